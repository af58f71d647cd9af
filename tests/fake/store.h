/* SPDX-License-Identifier: MIT */
/* A store in memory, for one lane, that works when the test says so. Strict: a
 * settle of a row that nobody was handed, a put out of order, or two fetches at
 * a time fail the test. Rows outlive those who use it, so a test can end a
 * publisher at any moment and start another. */
#ifndef TESTS_FAKE_STORE_H
#define TESTS_FAKE_STORE_H

#include "common/base/store.h"

struct fake_row {
  uint64_t seq;
  uint32_t values;
  char id[RMQ_MESSAGE_ID_SIZE];
  char *key, *body;
  size_t body_len;
  bool is_handed_over; /* to the present user */
};

struct fake_store {
  struct rmq_store store;
  struct rmq_store_handlers handlers; /* of the present user */
  /* Gives a message its id before it is written, as the spool does. */
  void (*prepare)(void *ctx, struct rmq_message *m);
  void *prepare_ctx;
  struct fake_row *rows; /* in order of seq */
  size_t rows_count, rows_cap;
  struct rmq_list pending;
  uint64_t settled[4096]; /* not yet done */
  size_t settled_count;
  bool has_fetch;
  uint64_t fetch_after;
  size_t fetch_messages, fetch_bytes;
  uint64_t last_put;
  bool is_busy, is_broken; /* what put says */
  bool is_full;            /* what has_room says */
};

struct fake_store *fake_store_new(void);
void fake_store_free(struct fake_store *s);

/* Commits at most n of what waits, and answers. Broken: it fails instead. */
void fake_store_commit(struct fake_store *s, size_t n);
/* Answers a fetch, with nothing when broken. */
void fake_store_answer(struct fake_store *s);
/* Deletes the rows that were settled. */
void fake_store_delete(struct fake_store *s);
/* All of these, until nothing waits. */
void fake_store_work(struct fake_store *s);
/* The oldest n rows that nobody was handed end. */
void fake_store_lose(struct fake_store *s, size_t n, enum rmq_store_loss why);
/* The user is gone: what was not committed is gone too. */
void fake_store_kill(struct fake_store *s);
/* A new user: its handlers are told what was recovered. */
void fake_store_open(struct fake_store *s,
                     const struct rmq_store_handlers *handlers);
bool fake_store_has(const struct fake_store *s, uint64_t seq);

#endif
