/* SPDX-License-Identifier: MIT */
/*
 * Keeps a host's writers from fighting over single values. A host that wakes
 * one of its threads for each value that it is given pays for it: where writing
 * is quicker than what the values come from, each of them costs a thread that
 * wakes up, finds one value and goes to sleep again, and with several threads
 * much of the processor's time goes into that. So while many values of one
 * message are being handed out, a writer that has caught up with them rests. It
 * goes on when there is something to do for it, or after a moment in any case.
 *
 * What others may notice: behind a value of ours, while more values of the same
 * message are about to follow, a writer rests, for the time that init was given
 * at most. Whoever gives it something else to write waits for that long.
 *
 * begin, pass and end are for the thread that hands out; back is for any other.
 */
#ifndef RMQ_ROLE_CONSUME_GATE_H
#define RMQ_ROLE_CONSUME_GATE_H

#include "common/base/host.h"
#include "common/base/rmqtime.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum {
  /* So many values of a message pass before anybody rests: short messages are
   * none of the gate's business. Behind a longer one the next is expected to be
   * long as well. */
  RMQ_GATE_FREE = 16,
  RMQ_GATE_FEW = 16,   /* with fewer values on their way a writer rests */
  RMQ_GATE_ENOUGH = 64 /* with so many, one is called */
};

struct rmq_gate {
  const struct rmq_host *host; /* its clock */
  struct rmq_dur rest;         /* the longest */
  pthread_mutex_t lock;
  pthread_cond_t called;
  atomic_bool is_closed; /* more values follow at once */
  atomic_uint_fast64_t passed, back;
  atomic_int resting;         /* writers, now */
  atomic_uint_fast64_t rests; /* ever */
  uint64_t of_message;        /* values passed */
  uint64_t closes_at;         /* of them */
  bool is_counted;
  uint64_t seen_back; /* at the last look */
};

/* host is borrowed; its clock is CLOCK_MONOTONIC. -1 without memory. */
int rmq_gate_init(struct rmq_gate *g, const struct rmq_host *host,
                  struct rmq_dur rest);
/* Nobody is in back any more. */
void rmq_gate_fini(struct rmq_gate *g);

/* The values of a message follow; so many of others are on their way, or a
 * negative number when nobody knows: then nobody rests. (Some never come back,
 * so it is said each time.) */
void rmq_gate_begin(struct rmq_gate *g, int64_t on_their_way);
/* One of them was handed out. */
void rmq_gate_pass(struct rmq_gate *g);
/* No more of it follow. */
void rmq_gate_end(struct rmq_gate *g);

/* A value has been written. Rests where that is better. */
void rmq_gate_back(struct rmq_gate *g);

#endif
