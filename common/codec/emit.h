/* SPDX-License-Identifier: MIT */
/*
 * Sets of samples, and what happened beside them, as bytes of one format: what
 * a host writes that is no daemon. A format is a file that fills this struct;
 * host_execd owns descriptors and knows no format.
 */
#ifndef RMQ_CODEC_EMIT_H
#define RMQ_CODEC_EMIT_H

#include "common/base/buf.h"
#include "common/base/sample.h"

#include <stdbool.h>

/* All members are set; ctx is passed back. One thread. */
struct rmq_emit {
  void *ctx;
  /* One sample of the set: one value, raw names as text meta data, which each
   * format has as they are. 0, or -1 when this format cannot say it (a control
   * character, a line break, what is no UTF-8), or out is full; the set goes
   * on without the sample. */
  int (*sample)(void *ctx, const struct rmq_sample *s, struct rmq_buf *out);
  /* Something has changed; as sample. */
  int (*event)(void *ctx, const struct rmq_event *e, struct rmq_buf *out);
  /* The set is whole: what is kept back is appended. -1 when out is full. */
  int (*end)(void *ctx, struct rmq_buf *out);
  /* Lines and samples that this format could not say, since the beginning. */
  size_t (*left_out)(const void *ctx);
  /* A set is to be written at once, as it stands or not at all. */
  bool is_document;
};

/* A value as text without a NUL, at most RMQ_NUMBER_MAX bytes (number.h); how
 * many, 0 for one that is not finite. */
size_t rmq_emit_put_value(char *to, const struct rmq_datum *d);

#endif
