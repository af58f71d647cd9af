/* SPDX-License-Identifier: MIT */
/*
 * Reading collectd's JSON: an array of objects, or one object, with values,
 * dstypes, dsnames, time, interval, host, plugin, plugin_instance, type,
 * type_instance and meta, as amqp, amqp1, write_http and write_kafka send it.
 * values, time, host, plugin and type are needed; dstypes and dsnames, where
 * given, must be the type's own; other keys are ignored. null is a gauge that
 * is not known. Derive, counter and absolute must be integers: what a sender
 * with StoreRates calls a derive is a rate, and taking it for a count would be
 * wrong without a trace. One of these keys twice in an object makes that object
 * a bad record; more nesting than the form has makes the message unreadable.
 * Times are exact to the nanosecond. Objects with "labels" are notifications
 * (codec_json_alert.h).
 */
#ifndef RMQ_CODEC_CODEC_JSON_DECODE_H
#define RMQ_CODEC_CODEC_JSON_DECODE_H

#include "common/codec/codec.h"

/* struct rmq_codec's decode. Takes at most about 16 times len of memory. */
int rmq_codec_json_decode(const struct rmq_codec_input *in,
                          const struct rmq_codec_sink *sink,
                          struct rmq_error *err);

#endif
