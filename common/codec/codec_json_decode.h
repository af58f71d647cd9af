/* SPDX-License-Identifier: MIT */
/*
 * Reading collectd's JSON: an array of objects with values, dstypes, dsnames,
 * time, interval, host, plugin, plugin_instance, type, type_instance and meta,
 * as amqp, write_http and write_kafka send it. values, time, host, plugin and
 * type are needed; dstypes and dsnames, where given, must be the type's own;
 * other keys are ignored. null is a gauge that is not known. Derive, counter
 * and absolute must be integers: what a sender with StoreRates calls a derive
 * is a rate, and taking it for a count would be wrong without a trace. A key
 * twice in an object is an error, as is more nesting than the form has.
 * Times are exact to the microsecond, which is what a double can carry.
 */
#ifndef RMQ_CODEC_CODEC_JSON_DECODE_H
#define RMQ_CODEC_CODEC_JSON_DECODE_H

#include "common/codec/codec.h"

/* struct rmq_codec's decode. Takes at most about 80 times len of memory. */
int rmq_codec_json_decode(const struct rmq_codec_input *in,
                          const struct rmq_codec_sink *sink,
                          struct rmq_error *err);

#endif
