/* SPDX-License-Identifier: MIT */
/*
 * One message read: every record is judged by the decoder and by the filter,
 * then the good ones are handed over, or none of them. One thread.
 */
#ifndef RMQ_ROLE_CONSUME_READING_H
#define RMQ_ROLE_CONSUME_READING_H

#include "common/role/consume_filter.h"
#include "common/role/consume_format.h"
#include "common/role/consume_series.h"

/* Where the good records go; borrowed for each call, hosts as RewriteHost has
 * them. */
struct rmq_reading_sink {
  void *ctx;
  void (*sample)(void *ctx, const struct rmq_sample *s);
  void (*event)(void *ctx, const struct rmq_event *e);
};

struct rmq_reading_message {
  const struct rmq_delivery *delivery;
  const struct rmq_codec *codec;
  const struct rmq_types *types;
};

struct rmq_reading {
  size_t bad; /* records that were not taken */
  /* Records by rmq_refusal - 1. */
  uint64_t refused[RMQ_REFUSALS_COUNT];
  /* When the message was not taken; memory says nothing about the message, and
   * nothing is counted. */
  enum rmq_rejection cause;
  struct rmq_error err; /* why, or what is wrong with the first bad record */
};

/* The decoder for d; or NULL, the cause and in detail what the message says of
 * itself: its format cannot be read, or its user is not taken. */
const struct rmq_codec *
rmq_reading_choose(const struct rmq_consume_format *format,
                   const struct rmq_consume_filter *filter,
                   const struct rmq_delivery *d, enum rmq_rejection *ret_cause,
                   struct rmq_error *detail);
/* 0: the good records have been handed over, of which there is at least one.
 * -1: nothing has, cause and err say why. filter has begun the message. */
int rmq_reading_run(struct rmq_consume_format *format,
                    const struct rmq_reading_message *message,
                    const struct rmq_trust_options *options,
                    struct rmq_consume_filter *filter,
                    const struct rmq_reading_sink *sink,
                    struct rmq_reading *ret_reading);

#endif
