/* SPDX-License-Identifier: MIT */
/*
 * How many values of each delivery are still on their way through the host. A
 * delivery has a ticket, which every value carries out and back; it is complete
 * when handing out has ended and every value has come back. Values may come
 * back in any order, before handing out has ended, and long after everybody has
 * lost interest. Complete deliveries wait here until they are taken, so that a
 * ticket's slot is nobody else's before its owner knows. No lock in here: the
 * caller has one around every call; between begin and end the values themselves
 * need none, because only their number counts, and end brings it.
 */
#ifndef RMQ_BASE_OUTSTANDING_H
#define RMQ_BASE_OUTSTANDING_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A ticket leaves the caller eight bits for a mark of its own. */
enum { RMQ_OUTSTANDING_TICKET_BITS = 56, RMQ_OUTSTANDING_SLOT_BITS_MAX = 24 };

struct rmq_outstanding_slot {
  uint64_t ticket; /* 0 = free */
  int64_t left;    /* values out; a large number more while handing out */
  int64_t aside;   /* of them: set aside; below 0 when back before that */
  size_t next;     /* in the list of the free or of the complete ones */
  struct rmq_mono since;
  struct rmq_mono overtaken; /* a later one has come back, noticed then */
};

struct rmq_outstanding {
  struct rmq_outstanding_slot *slots;
  size_t max;
  unsigned slot_bits; /* of a ticket: the slot */
  size_t free;        /* first free slot; max = none */
  size_t complete;    /* first complete one that was not taken; likewise */
  size_t complete_count;
  size_t tells_at; /* so many of them */
  size_t count;    /* deliveries that have a ticket */
  uint64_t begun;  /* deliveries ever */
  /* Values out, of all deliveries. Below the truth while one is handed out
   * (its values that came back are subtracted, the others added at the end). */
  int64_t values;
  int64_t unheard;               /* of them: given up while nothing came back */
  struct rmq_mono unheard_since; /* of their deliveries, the newest */
  /* Out and detached, not among values; and those that were set aside, which
   * are not among detached either. */
  int64_t detached, detached_aside;
  bool has_ever_heard;       /* any value came back */
  uint64_t strays;           /* values back for a delivery that is not open */
  struct rmq_mono newest;    /* of the deliveries of which a value came back */
  bool has_heard;            /* any value came back; noticed by overdue */
  struct rmq_mono last_back; /* when that was noticed last */
  size_t looked_at;          /* slots, of overdue's round */
};

/* max = most deliveries at a time, over 0. -1 without memory. */
int rmq_outstanding_init(struct rmq_outstanding *t, size_t max);
void rmq_outstanding_fini(struct rmq_outstanding *t);

/* Handing out begins; the delivery's ticket, or 0 when max are open. */
uint64_t rmq_outstanding_begin(struct rmq_outstanding *t, struct rmq_mono now);
/* Handing out of so many values has ended: true when none of them is out any
 * more; the delivery is then forgotten. Needs an open ticket. */
bool rmq_outstanding_end(struct rmq_outstanding *t, uint64_t ticket,
                         size_t values);
/* A value came back: true when it completes the delivery, and with that as many
 * wait to be taken as are to be told of; and when it is the last one that was
 * given up or detached and still counted. An unknown ticket is a stray. */
bool rmq_outstanding_back(struct rmq_outstanding *t, uint64_t ticket);
/* Before end, which counts them too: so many of its values go another way than
 * the rest, and come back for certain, however late. While one of them is out
 * the delivery is not overdue. */
void rmq_outstanding_set_aside(struct rmq_outstanding *t, uint64_t ticket,
                               size_t values);
/* As back, of one that was set aside: it says nothing of those that were not.
 */
bool rmq_outstanding_aside_back(struct rmq_outstanding *t, uint64_t ticket);
/* A complete delivery, which is then forgotten; 0 when there is none. */
uint64_t rmq_outstanding_take(struct rmq_outstanding *t);
/* From now on back tells of complete deliveries once there are count of them;
 * at first of each one. To be called when none waits, as take has just said. */
void rmq_outstanding_tell_at(struct rmq_outstanding *t, size_t count);
/* The delivery does not matter any more; values that still come back for it
 * are strays. After end, or before any value was handed out; without effect on
 * one that is complete. How many of its values were still out. */
int64_t rmq_outstanding_forget(struct rmq_outstanding *t, uint64_t ticket);
/* The same for one that is overdue. When that is because nothing at all comes
 * back, its values still wait in the host, as far as anybody knows: they go on
 * counting until they come back, as strays, or one that was handed out later
 * does. Unless none has come back ever: the host may not let any. */
int64_t rmq_outstanding_give_up(struct rmq_outstanding *t, uint64_t ticket);

/* The same; but its values are waited for, as long as some ever come back at
 * all. Those that never do are told by a later delivery's that come back while
 * it is handed out. Those that were set aside are waited for anyhow. */
void rmq_outstanding_detach(struct rmq_outstanding *t, uint64_t ticket);
/* Whether anything is out that may still come back. */
bool rmq_outstanding_waits(const struct rmq_outstanding *t);

/* A delivery whose values seem not to come back: handed out longer than timeout
 * ago, and either overtaken for as long, which is noticed here, or nothing at
 * all has come back for ten times that. Where writers are slow and several,
 * whatever is at its turn is overtaken for a moment. 0 = none. Looks at every
 * slot; to be called often compared with timeout. */
uint64_t rmq_outstanding_overdue(struct rmq_outstanding *t,
                                 struct rmq_dur timeout, struct rmq_mono now);
/* The next one of the same round, so that finding all of them means looking at
 * every slot once more, and not once for each. */
uint64_t rmq_outstanding_next_overdue(struct rmq_outstanding *t,
                                      struct rmq_dur timeout,
                                      struct rmq_mono now);
/* Below max; the same for the ticket's life, nobody else's meanwhile. */
size_t rmq_outstanding_slot_of(const struct rmq_outstanding *t,
                               uint64_t ticket);

#endif
