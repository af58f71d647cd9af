/* SPDX-License-Identifier: MIT */
/*
 * Bodies made smaller: one gzip member (RFC 1952) without name and time, so
 * that the same bytes always become the same bytes. And the way back, for
 * bodies of anybody. The only place that sees zlib.
 */
#ifndef RMQ_CODEC_GZIP_H
#define RMQ_CODEC_GZIP_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* Memory of about 256 KiB that is used again for each body; one thread at a
 * time. */
struct rmq_gzip;
/* NULL without memory. */
struct rmq_gzip *rmq_gzip_new(void);
void rmq_gzip_free(struct rmq_gzip *g);

/* Appends the member to out. 0, or -1 with out as it was: the result would not
 * be smaller than len bytes, or there is no memory; then the body goes as it
 * is. */
int rmq_gzip_pack(struct rmq_gzip *g, const void *bytes, size_t len,
                  struct rmq_buf *out);

/* Appends to out what the len bytes were: one gzip member, or several one after
 * the other as RFC 1952 allows, and nothing behind them. Stops as soon as out
 * is full, so that a bomb takes no more than out->max. 0, or with out as it
 * was -1, or RMQ_CODEC_NO_MEMORY of codec.h. */
int rmq_gzip_expand(const void *bytes, size_t len, struct rmq_buf *out,
                    struct rmq_error *err);

#endif
