/* SPDX-License-Identifier: MIT */
/*
 * Where reading a stream begins: what a person may write, and what a file says
 * that remembers how far one has got.
 */
#ifndef RMQ_BASE_STREAM_OFFSET_H
#define RMQ_BASE_STREAM_OFFSET_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/options.h"

/* The value of RabbitMQ's argument x-stream-offset: "first", "last" or "next";
 * an offset; an age, "1h", with one of Y M D h m s; a moment,
 * "2026-01-31T12:00:00Z". A string of *ret_value points into text. -1 with err
 * for anything else, which RabbitMQ would answer by closing the connection. */
int rmq_stream_offset_parse(const char *text, struct rmq_argument *ret_value,
                            struct rmq_error *err);

/* One line that tells of this queue (and no other) the offset of the first
 * message that is not done. 0, or -1 without memory. */
int rmq_stream_offset_write(struct rmq_buf *out, const char *vhost,
                            const char *queue, int64_t next);
/* -1 with err: damaged, or about another queue. */
int rmq_stream_offset_read(const char *text, size_t len, const char *vhost,
                           const char *queue, int64_t *ret_next,
                           struct rmq_error *err);

#endif
