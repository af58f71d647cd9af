/* SPDX-License-Identifier: MIT */
/*
 * The way of a delivery from arrival to settlement: a copy of a message that
 * was done is acknowledged, a copy of one that is being worked on waits and
 * shares its end, what failed is held for a while before it is given back, and
 * not for ever. Pure: no clock, no lock, no I/O; the worker's thread only.
 *
 * A message that is worked on has a ticket (base/outstanding.h), which outlives
 * the channel that brought it: when the connection breaks while its values are
 * on their way, the redelivered copy waits for them and is acknowledged on its
 * own delivery tag.
 */
#ifndef RMQ_ROLE_CONSUME_FLOW_H
#define RMQ_ROLE_CONSUME_FLOW_H

#include "common/amqp/consumer.h"
#include "common/base/dedup.h"
#include "common/base/outstanding.h"
#include "common/base/redeliveries.h"

/* Held redelivery: delay x 2^n, n = failures before, at most this. */
enum { RMQ_FLOW_DELAY_MAX_S = 60, RMQ_FLOW_LEVELS = 8 };
/* What cannot even begin is given back after this. */
enum { RMQ_FLOW_POSTPONED_S = 1 };
/* Bad messages may hold half of the prefetch; one more is given back after
 * this, so that the good ones behind them get through. */
enum { RMQ_FLOW_CROWDED_MS = 100 };
/* Lists of who is held, by delay. */
enum { RMQ_FLOW_POSTPONED = RMQ_FLOW_LEVELS, RMQ_FLOW_CROWDED, RMQ_FLOW_LISTS };

struct rmq_flow_config {
  uint16_t prefetch;
  bool deduplicates;
  size_t window;              /* ids of done messages */
  uint32_t max_redeliveries;  /* failures that are tried again */
  struct rmq_dur retry_delay; /* before the first redelivery */
};

/* How to settle with the broker. */
struct rmq_flow_settler {
  void *ctx;
  /* False when serial belongs to a channel that is gone. */
  bool (*settle)(void *ctx, uint64_t serial, enum rmq_settle how,
                 struct rmq_mono now);
  /* Of an unsettled delivery: its own place below prefetch. */
  size_t (*place_of)(void *ctx, uint64_t serial);
};

struct rmq_flow_counters {
  uint64_t deduplicated; /* copies acknowledged without work */
  uint64_t postponed;    /* given back because there was no ticket */
};

/* A delivery that waits: for its time, or for the message it is a copy of. */
struct rmq_flow_wait {
  struct rmq_node node;
  uint64_t serial;
  struct rmq_mono due;
};

struct rmq_flow_item {
  uint64_t ticket;               /* 0 = free */
  uint64_t serial;               /* 0 = its channel is gone */
  struct rmq_dedup_entry *entry; /* NULL = without an id */
  uint64_t key;                  /* of redeliveries */
  uint32_t failures;             /* before this delivery */
  int64_t published_ms;          /* 0 = unknown */
};

struct rmq_flow {
  struct rmq_flow_config config;
  struct rmq_flow_settler settler;
  const struct rmq_outstanding *tickets; /* for slot_of only: borrowed */
  struct rmq_flow_item *items;           /* by the ticket's slot */
  struct rmq_flow_wait *waits;           /* by the delivery's place */
  struct rmq_list held[RMQ_FLOW_LISTS];  /* each in order of due */
  struct rmq_dedup dedup;
  struct rmq_redeliveries redeliveries;
  struct rmq_flow_counters counters;
};

/* tickets is initialised. -1 without memory. */
int rmq_flow_init(struct rmq_flow *f, const struct rmq_flow_config *config,
                  const struct rmq_flow_settler *settler,
                  const struct rmq_outstanding *tickets);
void rmq_flow_fini(struct rmq_flow *f);

enum rmq_flow_turn {
  RMQ_FLOW_TAKE,     /* work on it; ends in done or failed */
  RMQ_FLOW_HELD,     /* waits for the message it is a copy of */
  RMQ_FLOW_DUPLICATE /* was done before, and is acknowledged */
};
const char *rmq_flow_turn_to_str(enum rmq_flow_turn t);

/* A delivery; ticket is new and used only when it is to be taken. */
enum rmq_flow_turn rmq_flow_arrive(struct rmq_flow *f, uint64_t ticket,
                                   uint64_t serial,
                                   const struct rmq_delivery *d,
                                   struct rmq_mono now);
/* No ticket was to be had: handed back after a while, which is no failure of
 * the message. */
void rmq_flow_postpone(struct rmq_flow *f, uint64_t serial,
                       struct rmq_mono now);

/* What was to be taken is not begun, and stays as it came: the next copy is new
 * again. */
void rmq_flow_leave(struct rmq_flow *f, uint64_t ticket);

/* The message was done. False, without effect, when ticket has had its end.
 * *ret_published_ms: 0 when unknown, or when nothing could be acknowledged any
 * more. */
bool rmq_flow_done(struct rmq_flow *f, uint64_t ticket, struct rmq_mono now,
                   int64_t *ret_published_ms);
/* Whether a failure may still be answered with REQUEUE. */
bool rmq_flow_may_requeue(const struct rmq_flow *f, uint64_t ticket);
/* The message was not done. is_bad: it fails wherever it is tried; otherwise
 * all others might fail as well, and it keeps its place while it is held. How
 * many deliveries that settles: copies share its end; 0 when ticket has had its
 * end. */
size_t rmq_flow_failed(struct rmq_flow *f, uint64_t ticket, enum rmq_settle how,
                       bool is_bad, struct rmq_mono now);
/* Whether ticket has not had its end. */
bool rmq_flow_is_open(const struct rmq_flow *f, uint64_t ticket);
/* Until that; "" = the message has none, or no copies are looked for. */
const char *rmq_flow_message_id(const struct rmq_flow *f, uint64_t ticket);

/* The channel is gone. */
void rmq_flow_lost(struct rmq_flow *f);
/* Gives back what has been held long enough; when to be called again. */
struct rmq_mono rmq_flow_step(struct rmq_flow *f, struct rmq_mono now);
/* Gives back everything that is held: the end has come. */
void rmq_flow_let_go(struct rmq_flow *f, struct rmq_mono now);

#endif
