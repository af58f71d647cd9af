/* SPDX-License-Identifier: MIT */
/*
 * From a delivery's body to samples: which format it is in, whether it came by
 * AMQP 1.0 or is compressed, and the decoder of that format. The worker's
 * thread only.
 */
#ifndef RMQ_ROLE_CONSUME_FORMAT_H
#define RMQ_ROLE_CONSUME_FORMAT_H

#include "common/amqp/connection.h"
#include "common/codec/codec.h"
#include "common/codec/graphite_template.h"
#include "common/codec/samples.h"
#include "common/role/consume_series.h"

/* A compressed body may become this many times MaxMessageBytes, and no more
 * than RMQ_EXPANDED_BYTES_MAX, or MaxMessageBytes where that is more. */
enum { RMQ_EXPANDED_TIMES = 16, RMQ_EXPANDED_BYTES_MAX = 64 << 20 };

struct rmq_consume_format {
  const struct rmq_codec *codec; /* NULL: by each message's content type */
  struct rmq_strings accepted;   /* content types, borrowed; none = all */
  struct rmq_graphite_template graphite;
  /* The work's memory, kept between messages as far as it is usual. */
  struct rmq_buf expanded;
  struct rmq_samples samples;
};

/* options have been checked; their texts are borrowed for the life of f. */
void rmq_consume_format_init(struct rmq_consume_format *f,
                             const struct rmq_consume_options *options);
void rmq_consume_format_fini(struct rmq_consume_format *f);

/* The decoder for d; or NULL, the cause, and in detail what the message says of
 * itself (maybe nothing). */
const struct rmq_codec *rmq_consume_format_choose(
    const struct rmq_consume_format *f, const struct rmq_delivery *d,
    enum rmq_rejection *ret_cause, struct rmq_error *detail);
/* Decodes d's body, and fails, as codec->decode does. */
int rmq_consume_format_decode(struct rmq_consume_format *f,
                              const struct rmq_codec *codec,
                              const struct rmq_delivery *d,
                              const struct rmq_types *types,
                              const struct rmq_codec_sink *sink,
                              struct rmq_error *err);

#endif
