/* SPDX-License-Identifier: MIT */
/*
 * Reading Graphite's plaintext protocol, "PATH VALUE SECONDS": a template
 * (graphite_template.h) says which part of the path is which part of the name.
 * Lines of one value list, its data sources in order, become that value list,
 * which is how collectd writes them. Derive, counter and absolute must be
 * integers. The time must be there.
 */
#ifndef RMQ_CODEC_CODEC_GRAPHITE_DECODE_H
#define RMQ_CODEC_CODEC_GRAPHITE_DECODE_H

#include "common/codec/codec.h"

/* struct rmq_codec's decode. Takes at most about 40 times len of memory. */
int rmq_codec_graphite_decode(const struct rmq_codec_input *in,
                              const struct rmq_codec_sink *sink,
                              struct rmq_error *err);

#endif
