/* SPDX-License-Identifier: MIT */
/*
 * A spool's file read while no daemon has it, without changing it: what a log
 * beside it holds is read too and stays there. Meanwhile a daemon that starts
 * finds it locked, and tries again.
 */
#ifndef RMQ_SPOOL_READER_H
#define RMQ_SPOOL_READER_H

#include "common/base/envelope.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rmq_spool_read {
  RMQ_SPOOL_READ_OK,
  RMQ_SPOOL_READ_LOCKED, /* a running daemon has it */
  RMQ_SPOOL_READ_FAILED  /* not there, not allowed, not ours, or damaged */
};
const char *rmq_spool_read_to_str(enum rmq_spool_read r);

struct rmq_spool_summary {
  uint64_t messages, values;
  struct rmq_wall oldest, newest; /* when there are messages */
};

/* Borrowed until the next call. */
struct rmq_spool_record {
  uint64_t seq;
  uint32_t values;
  struct rmq_wall accepted;
  const char *message_id, *routing_key, *content_type;
  const char *exchange;         /* NULL = the block's */
  struct rmq_envelope envelope; /* empty where it cannot be read */
  const char *content_encoding; /* NULL = identity */
  const void *body;
  size_t body_len;
};

struct rmq_spool_reader;
/* *ret_reader is set only with OK; else err says what is wrong. */
enum rmq_spool_read rmq_spool_reader_open(const char *path,
                                          struct rmq_spool_reader **ret_reader,
                                          struct rmq_error *err);
/* NULL is fine. */
void rmq_spool_reader_close(struct rmq_spool_reader *r);
/* 0, or -1 with err. */
int rmq_spool_reader_summary(struct rmq_spool_reader *r,
                             struct rmq_spool_summary *ret,
                             struct rmq_error *err);
/* The keys with the most messages, the first of them first; stops when more
 * returns false. */
int rmq_spool_reader_keys(struct rmq_spool_reader *r,
                          bool (*more)(void *ctx, const char *key,
                                       uint64_t messages),
                          void *ctx, struct rmq_error *err);
/* The next message in order of seq: 1, 0 behind the last, or -1 with err. */
int rmq_spool_reader_next(struct rmq_spool_reader *r,
                          struct rmq_spool_record *ret, struct rmq_error *err);

#endif
