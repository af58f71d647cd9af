/* SPDX-License-Identifier: MIT */
/*
 * How many values of each delivery are still on their way through the host.
 * Values come back in any order and from any thread; the caller locks. A
 * delivery has one more count while it is being handed out, so that it is not
 * complete before its last value has left.
 */
#ifndef RMQ_BASE_OUTSTANDING_H
#define RMQ_BASE_OUTSTANDING_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rmq_outstanding_slot {
  uint64_t serial; /* 0 = free */
  uint64_t left;   /* values out, plus one while handing out */
  int64_t note;    /* the caller's, comes back with the completed delivery */
  struct rmq_mono since;
};

/* A delivery of which every value has come back. */
struct rmq_outstanding_done {
  uint64_t serial;
  int64_t note;
};

struct rmq_outstanding {
  struct rmq_outstanding_slot *slots; /* hashed by serial, linear probing */
  size_t mask;
  size_t count;              /* deliveries that are not complete */
  uint64_t values;           /* out, of all deliveries */
  uint64_t strays;           /* came back for an unknown delivery */
  uint64_t newest;           /* largest serial of which a value came back */
  struct rmq_mono last_back; /* when any value came back */
};

/* max = most deliveries at a time. -1 without memory. */
int rmq_outstanding_init(struct rmq_outstanding *t, size_t max);
void rmq_outstanding_fini(struct rmq_outstanding *t);

/* Handing out begins. False when max deliveries are open. */
bool rmq_outstanding_begin(struct rmq_outstanding *t, uint64_t serial,
                           int64_t note, struct rmq_mono now);
/* One more value is about to leave; needs an open serial. */
void rmq_outstanding_out(struct rmq_outstanding *t, uint64_t serial);
/* A value that was counted did not leave after all; handing out goes on. */
void rmq_outstanding_undo(struct rmq_outstanding *t, uint64_t serial);
/* Handing out has ended: true when no value is out any more; the delivery is
 * then forgotten. */
bool rmq_outstanding_end(struct rmq_outstanding *t, uint64_t serial);
/* A value came back: true when it completes the delivery, which is then
 * forgotten and *ret_done filled. An unknown serial is a stray. */
bool rmq_outstanding_back(struct rmq_outstanding *t, uint64_t serial,
                          struct rmq_mono now,
                          struct rmq_outstanding_done *ret_done);
/* The delivery does not matter any more; values that still come back for it
 * are strays. Only after rmq_outstanding_end. */
void rmq_outstanding_forget(struct rmq_outstanding *t, uint64_t serial);
/* All of them: the channel is gone. */
void rmq_outstanding_clear(struct rmq_outstanding *t);

/* A delivery whose values seem not to come back: handed out longer than timeout
 * ago, and either a later one has come back since, or nothing at all has for
 * ten times that. 0 = none. */
uint64_t rmq_outstanding_overdue(const struct rmq_outstanding *t,
                                 struct rmq_dur timeout, struct rmq_mono now);
/* The caller's note of an open delivery; 0 for an unknown serial. */
int64_t rmq_outstanding_note(const struct rmq_outstanding *t, uint64_t serial);

#endif
