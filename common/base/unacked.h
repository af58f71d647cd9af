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

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmq_unacked_entry {
  uint64_t tag; /* delivery tag on the current channel */
  enum { RMQ_UNACKED_FREE, RMQ_UNACKED_OPEN, RMQ_UNACKED_DONE } state;
};

struct rmq_unacked {
  struct rmq_unacked_entry *ring; /* slot = serial & mask */
  size_t capacity;                /* power of two; the prefetch fits */
  uint64_t first;                 /* oldest serial not settled */
  uint64_t next;                  /* serial of the next delivery, from 1 */
  size_t open;                    /* handed out, not finished */
  size_t done;                    /* finished, ack not yet collected */
  struct rmq_mono done_since;     /* when the oldest of done finished */
  uint64_t strays;                /* finish or take of an unknown serial */
};

/* max = most deliveries at a time (the prefetch). -1 without memory. */
int rmq_unacked_init(struct rmq_unacked *u, size_t max);
void rmq_unacked_fini(struct rmq_unacked *u);

/* A new delivery; its serial, or 0 when the broker sent more than max (grows
 * never; the caller rejects the delivery). Tags must grow. */
uint64_t rmq_unacked_add(struct rmq_unacked *u, uint64_t tag);
/* The work of a delivery is done: it may be acked. false + stray when serial
 * is not open. */
bool rmq_unacked_finish(struct rmq_unacked *u, uint64_t serial,
                        struct rmq_mono now);
/* Takes an open delivery out, to be rejected or requeued by its tag. false +
 * stray when serial is not open. */
bool rmq_unacked_take(struct rmq_unacked *u, uint64_t serial,
                      uint64_t *ret_tag);
/* The next ack to send, until false: first one multiple ack for the longest
 * prefix in which every delivery is finished or already settled, then the
 * finished ones behind an open one, singly. */
bool rmq_unacked_collect(struct rmq_unacked *u, uint64_t *ret_tag,
                         bool *ret_multiple);
/* When acks should be collected: at once when batch are done or nothing is
 * open any more, else interval after the oldest was done; RMQ_NEVER when
 * nothing is done. */
struct rmq_mono rmq_unacked_deadline(const struct rmq_unacked *u, size_t batch,
                                     struct rmq_dur interval,
                                     struct rmq_mono now);
/* The channel is gone: nothing can be settled any more. Serials go on. */
void rmq_unacked_lose(struct rmq_unacked *u);
/* Handed out or finished, not yet acked. */
size_t rmq_unacked_count(const struct rmq_unacked *u);

#endif
