/* SPDX-License-Identifier: MIT */
/*
 * Deliveries handed out and not yet settled with the broker. Acks coalesce into
 * basic.ack(multiple) where that covers finished deliveries only; no ack ever
 * covers one that is not finished. Each delivery has a serial of our own, which
 * grows for life and is never reused: a result that comes back after a
 * reconnect settles nothing, because a delivery tag dies with its channel.
 */
#ifndef RMQ_BASE_UNACKED_H
#define RMQ_BASE_UNACKED_H

#include "common/base/list.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* At least 2^40 deliveries in a life; a prefetch has 16 bits. */
enum { RMQ_UNACKED_SLOT_BITS_MAX = 24 };

struct rmq_unacked_entry {
  struct rmq_node order; /* in order, or in free */
  struct rmq_node done;  /* in done while is_done */
  uint64_t serial;       /* number of the delivery, then the slot; 0 = free */
  uint64_t tag;          /* delivery tag on the current channel */
  struct rmq_mono finished;
  int64_t mark; /* the owner's; -1 until it is set */
  bool is_done;
};

/* Not a ring: one delivery may stay open for as long as it likes while any
 * number of younger ones come and go. Lists point into it: do not copy. */
struct rmq_unacked {
  struct rmq_unacked_entry *entries;
  size_t max;
  unsigned slot_bits;    /* of a serial: the entry */
  struct rmq_list order; /* open and done, oldest delivery first */
  struct rmq_list done;  /* finished, ack not yet collected, by finish */
  struct rmq_list free;
  uint64_t deliveries; /* ever added */
  uint64_t last_tag;   /* on the current channel */
  uint64_t strays;     /* finish or take of a serial that is not open */
};

/* max = most deliveries at a time (the prefetch, over 0). -1 without memory. */
int rmq_unacked_init(struct rmq_unacked *u, size_t max);
void rmq_unacked_fini(struct rmq_unacked *u);

/* A new delivery; its serial, which is larger than all before, or 0 when the
 * broker breaks its word: more than max unsettled, or a tag that does not grow.
 * An ack would then mean something else than we think: reopen the channel. */
uint64_t rmq_unacked_add(struct rmq_unacked *u, uint64_t tag);
/* The work of a delivery is done: it may be acked. false + stray when serial
 * is not open. */
bool rmq_unacked_finish(struct rmq_unacked *u, uint64_t serial,
                        struct rmq_mono now);
/* Takes an open delivery out, to be rejected or requeued by its tag. The caller
 * sends that before the next collected ack, which may be a multiple one and
 * would cover the tag: a requeue that waits stays open until it is sent. false
 * + stray when serial is not open. */
bool rmq_unacked_take(struct rmq_unacked *u, uint64_t serial,
                      uint64_t *ret_tag);
/* The next ack to send, until false: first one multiple ack for the longest
 * prefix in which every delivery is finished or already settled, then the
 * finished ones behind an open one, singly, in order of finish. What was
 * collected is settled: without a channel to send it on, call lose first. */
bool rmq_unacked_collect(struct rmq_unacked *u, uint64_t *ret_tag,
                         bool *ret_multiple);
/* When acks should be collected: at once (now) when batch are done, else
 * interval after the oldest was done, and not later than lull when nothing is
 * open any more; RMQ_NEVER when nothing is done. */
struct rmq_mono rmq_unacked_deadline(const struct rmq_unacked *u, size_t batch,
                                     struct rmq_dur interval,
                                     struct rmq_mono lull, struct rmq_mono now);
/* A number that goes with an open delivery: an offset in a stream. */
void rmq_unacked_mark(struct rmq_unacked *u, uint64_t serial, int64_t mark);
/* -1 for none, and for a serial that is not open. */
int64_t rmq_unacked_mark_of(const struct rmq_unacked *u, uint64_t serial);
/* Of the oldest delivery that is not settled; false when all are. */
bool rmq_unacked_oldest_mark(const struct rmq_unacked *u, int64_t *ret_mark);
/* The channel is gone: nothing can be settled any more. Serials go on. */
void rmq_unacked_lose(struct rmq_unacked *u);
/* Of a serial that is not settled: a place below max that is its own. */
size_t rmq_unacked_place_of(const struct rmq_unacked *u, uint64_t serial);
/* Handed out or finished, not yet acked. */
size_t rmq_unacked_count(const struct rmq_unacked *u);
/* Handed out, not finished. */
size_t rmq_unacked_open(const struct rmq_unacked *u);

#endif
