/* SPDX-License-Identifier: MIT */
/*
 * Interface: where messages survive. The publisher owns the FIFO; a store is
 * its continuation on disk. What implements it (spool) has a thread of its own,
 * the only one to touch the disk: every verb is a request that returns at once,
 * and the answers come as calls of the handlers from that thread.
 *
 * A publisher block is one or more lanes (architecture decision 3), and its
 * lanes share one store. A message belongs to the lane that
 * rmq_store_lane_of(key hash) gives, so the number of lanes may change while
 * rows lie on disk.
 *
 * Accounting. A message that put took is pending and owed exactly one answer:
 * stored, failed, or lost (with its message). A row that lies in the store and
 * was handed to nobody is unread, and ends by being handed over (fetched), or
 * by lost. So a lane knows at every moment how many of its
 * messages it has not got: that is what it reports as spooled, and while it is
 * over 0 younger messages must go the same way.
 */
#ifndef RMQ_BASE_STORE_H
#define RMQ_BASE_STORE_H

#include "common/base/list.h"
#include "common/base/message.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why rows ended in the store. X(suffix, meaning) */
#define RMQ_STORE_LOSSES(X)                                                    \
  X(FULL, "dropped as the policy says: no room within the bound")              \
  X(EXPIRED, "older than the age limit")                                       \
  X(DAMAGED, "the row could not be read back")

enum rmq_store_loss {
#define RMQ_X(name, meaning) RMQ_STORE_##name,
  RMQ_STORE_LOSSES(RMQ_X)
#undef RMQ_X
};
enum { RMQ_STORE_LOSSES_COUNT = 3 };
const char *rmq_store_loss_to_str(enum rmq_store_loss l);

/* How many rows, and how many value lists in them. */
struct rmq_store_tally {
  uint64_t messages, values;
};

/* What ended in the store. */
struct rmq_store_lost {
  enum rmq_store_loss why;
  /* One that was pending: the store frees it afterwards. NULL: all unread rows
   * of this lane with first <= seq <= last. */
  struct rmq_message *message;
  uint64_t first, last;
  struct rmq_store_tally tally;
};

struct rmq_store_stats {
  uint64_t bytes;    /* of all files */
  uint64_t rows;     /* in the file, whether read or not */
  uint64_t failures; /* times that the disk refused */
  bool is_usable;    /* put will be accepted, and what it takes outlives us */
  /* Age of the oldest row; negative when there is none. */
  struct rmq_dur oldest_age;
};

/* One per lane; called from the store's thread, no lock of the store held.
 * Lists are of struct rmq_message in order of seq, and every message in them
 * has is_stored set when a row of it is in the file. */
struct rmq_store_handlers {
  void *ctx;
  /* Messages of put, committed. The handler removes what it takes from the
   * FRONT of the list; the store frees the rest, whose rows will be fetched. */
  void (*stored)(void *ctx, struct rmq_list *messages);
  /* The answer to fetch: the lane's rows behind after_seq, taken over; through
   * is the seq up to which the lane has now seen all rows that were committed.
   * Empty with failed reads too: the lane asks again a little later. */
  void (*fetched)(void *ctx, struct rmq_list *messages, uint64_t through);
  /* Messages of put that could not be written, given back; taken over. */
  void (*failed)(void *ctx, struct rmq_list *messages);
  /* Messages ended in the store: pending ones, or unread rows. */
  void (*lost)(void *ctx, const struct rmq_store_lost *l);
  /* Rows that an earlier process left: at the start, before any other call,
   * or later when the file could not be opened at first. */
  void (*recovered)(void *ctx, struct rmq_store_tally rows);
};

enum rmq_store_put {
  RMQ_STORE_TOOK,    /* m is the store's until it answers */
  RMQ_STORE_BUSY,    /* what waits for the disk fills its bound; m is kept */
  RMQ_STORE_UNUSABLE /* the disk fails; go on without; m is kept */
};
const char *rmq_store_put_to_str(enum rmq_store_put p);

/* All members are set. Any thread. */
struct rmq_store {
  void *ctx;
  enum rmq_store_put (*put)(void *ctx, unsigned lane, struct rmq_message *m);
  /* Whether put would have to drop nothing for m, now or when it is written. */
  bool (*has_room)(void *ctx, const struct rmq_message *m);
  /* At the end: as put, but never busy, since m leaves RAM as much room as it
   * takes. */
  enum rmq_store_put (*keep)(void *ctx, unsigned lane, struct rmq_message *m);
  /* At most one at a time and lane. max_bytes bounds the sum of
   * rmq_message_cost, but one message always comes. */
  void (*fetch)(void *ctx, unsigned lane, uint64_t after_seq,
                size_t max_messages, size_t max_bytes);
  /* The row of a message that was handed over has ended. */
  void (*settle)(void *ctx, uint64_t seq);
  void (*stats)(void *ctx, struct rmq_store_stats *ret);
};

/* The lane that a message with this routing key belongs to; lanes over 0. */
uint32_t rmq_store_key_hash(const char *key);
unsigned rmq_store_lane_of(uint32_t key_hash, unsigned lanes);

#endif
