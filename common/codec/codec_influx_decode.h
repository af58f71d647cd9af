/* SPDX-License-Identifier: MIT */
/*
 * Reading InfluxDB's line protocol:
 *   measurement,tag=value field=1,other=2i 1700000000000000000
 *
 * collectd's own shape (codec_influx.c, write_influxdb_udp) comes back as it
 * was: no tag but host, instance, type and type_instance, a type that is known,
 * and fields that are its data sources; a field of a counter may have "_total"
 * behind its name and must be an integer, a gauge without a field is NaN.
 *
 * Any other line (Telegraf's) becomes a gauge for each field that is a number
 * or a boolean (1 and 0), fields with text are left out:
 *   plugin           the measurement
 *   host             the tag host, which must be there
 *   plugin instance  the values of the other tags, in the order of their keys,
 *                    with '-' between them
 *   type instance    the field
 * Names that collectd cannot carry are percent-encoded, and shortened when they
 * are too long (base/names.h).
 *
 * The time is in nanoseconds and must be there. Lines that are empty or begin
 * with '#' are nothing.
 */
#ifndef RMQ_CODEC_CODEC_INFLUX_DECODE_H
#define RMQ_CODEC_CODEC_INFLUX_DECODE_H

#include "common/codec/codec.h"

/* struct rmq_codec's decode. Takes at most about 120 times len of memory: a
 * field of four bytes becomes a sample. */
int rmq_codec_influx_decode(const struct rmq_codec_input *in,
                            const struct rmq_codec_sink *sink,
                            struct rmq_error *err);

#endif
