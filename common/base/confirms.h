/* SPDX-License-Identifier: MIT */
/*
 * Published and not yet confirmed: which message each publish sequence number
 * of the current channel stands for, and how it ended. Sequence numbers start
 * at 1 with every channel incarnation (epoch); (epoch, seqno) is unique.
 */
#ifndef RMQ_BASE_CONFIRMS_H
#define RMQ_BASE_CONFIRMS_H

#include "common/base/list.h"
#include "common/base/message.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a publish ended, and what the publisher may do next. */
enum rmq_outcome {
  RMQ_CONFIRMED, /* the broker took responsibility: forget the message */
  RMQ_NACKED,    /* the broker could not take it: republish or give up; no
                    duplicate arises */
  RMQ_RETURNED,  /* confirmed, but routed nowhere (basic.return came first):
                    republish later or give up; no duplicate arises */
  RMQ_UNKNOWN    /* the channel died before the confirm: republish with the same
                    message-id; a duplicate is possible */
};
const char *rmq_outcome_to_str(enum rmq_outcome o);

struct rmq_confirm_entry {
  struct rmq_message *message; /* NULL = settled */
  struct rmq_mono published;
  bool was_returned;
};

struct rmq_confirms {
  struct rmq_confirm_entry *ring; /* capacity entries, slot = seqno & mask */
  size_t capacity;                /* power of two >= 4 * window */
  size_t window;                  /* most messages in flight */
  size_t count;                   /* in flight */
  size_t bytes;                   /* their rmq_message_cost */
  uint64_t first;                 /* oldest seqno that may be in flight */
  uint64_t next;                  /* seqno of the next publish */
  uint64_t epoch;                 /* 0 before the first begin */
  uint64_t strays; /* acks, nacks, returns that settled nothing */
};

/* Called once per settled message, oldest first; ownership moves to it. Must
 * not call back into the confirms. */
typedef void (*rmq_confirms_sink)(void *ctx, struct rmq_message *m,
                                  enum rmq_outcome outcome,
                                  struct rmq_mono published);

/* window over 0. -1 without memory. */
int rmq_confirms_init(struct rmq_confirms *c, size_t window);
/* Frees messages still in flight. */
void rmq_confirms_fini(struct rmq_confirms *c);

/* A new channel: nothing may be in flight (rmq_confirms_lose came before). */
void rmq_confirms_begin(struct rmq_confirms *c, uint64_t epoch);
/* Room for one more: fewer than window in flight, and the oldest is not so far
 * behind that the ring is spent. */
bool rmq_confirms_has_room(const struct rmq_confirms *c);
/* Files m under the next seqno, which is returned. Needs room. */
uint64_t rmq_confirms_add(struct rmq_confirms *c, struct rmq_message *m,
                          struct rmq_mono now);
/* The seqno that the next rmq_confirms_add will use. */
uint64_t rmq_confirms_next_seqno(const struct rmq_confirms *c);
/* basic.return: its message is found by message-id, and by key where that is
 * not NULL, since ids that others chose may be there twice. Returns the message
 * (borrowed, still in flight until its ack), or NULL and a stray when it is not
 * in flight or was returned before. */
struct rmq_message *rmq_confirms_mark_returned(struct rmq_confirms *c,
                                               uint64_t epoch,
                                               const char *message_id,
                                               size_t len, const char *key);
/* basic.ack / basic.nack. Settles exactly the open seqnos <= seqno (multiple)
 * or == seqno of the current epoch; anything else - another epoch, 0 (also with
 * multiple: nothing is taken as confirmed that was not named), a number never
 * published, one settled before - changes nothing and counts a stray.
 * A returned message ends RETURNED when acked, NACKED when nacked.
 * Returns how many were settled. */
size_t rmq_confirms_settle(struct rmq_confirms *c, uint64_t epoch,
                           uint64_t seqno, bool multiple, bool is_nack,
                           rmq_confirms_sink sink, void *ctx);
/* The channel is gone: every message in flight is UNKNOWN and appended to
 * ret_messages in order of publish. */
void rmq_confirms_lose(struct rmq_confirms *c, struct rmq_list *ret_messages);
/* When the oldest message in flight was published; RMQ_NEVER when none is. */
struct rmq_mono rmq_confirms_oldest(const struct rmq_confirms *c);

#endif
