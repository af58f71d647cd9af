/* SPDX-License-Identifier: MIT */
/*
 * A canary: every interval one small message goes to the broker and comes back,
 * on a connection of its own whose publisher and consumer share the channel.
 * A broker that answers HTTP and takes no message is not usable; this is what
 * finds out. Pure but for the connection it speaks to: no clock, no thread.
 * Everything belongs to the worker's thread.
 *
 * A round begins when its message is due, and passes when the message was
 * confirmed and came back within the timeout. It fails when the broker refuses
 * the message, and at the timeout, with what was missing then. A connection
 * that breaks and is back in time costs a round nothing but its latencies,
 * which begin at the last publish.
 */
#ifndef RMQ_AMQP_PROBE_H
#define RMQ_AMQP_PROBE_H

#include "common/amqp/connection.h"
#include "common/base/message.h"
#include "common/base/uuid.h"

/* Borrowed. */
struct rmq_probe_config {
  const char *exchange, *routing_key; /* lead to the queue that is consumed */
  const char *app_id;
  struct rmq_dur interval;
  struct rmq_dur timeout; /* at most interval */
  struct rmq_uuid instance;
};

/* How the last round ended. */
enum rmq_probe_verdict {
  RMQ_PROBE_UNKNOWN, /* none has ended */
  RMQ_PROBE_PASSED,
  RMQ_PROBE_NOT_CONNECTED,
  RMQ_PROBE_BLOCKED,     /* by an alarm: the broker takes no message */
  RMQ_PROBE_NACKED,      /* the broker could not take it */
  RMQ_PROBE_RETURNED,    /* no queue took it */
  RMQ_PROBE_UNCONFIRMED, /* sent; no confirm within the timeout */
  RMQ_PROBE_UNDELIVERED  /* confirmed; it did not come back in time */
};
/* A sentence's end: "was not confirmed in time". */
const char *rmq_probe_verdict_to_str(enum rmq_probe_verdict v);

struct rmq_probe_counters {
  uint64_t rounds, passed; /* ended */
  uint64_t strays;         /* came back too late, or was nobody's */
};

struct rmq_probe_result {
  enum rmq_probe_verdict verdict;
  /* Seconds from the publish; the longest since the last take; NaN = none was
   * measured. Rounds that fail have those that they got as far as. */
  double confirm_s, delivery_s;
  struct rmq_probe_counters counters;
};

enum rmq_probe_stage {
  RMQ_PROBE_IDLE, /* the next message is not due */
  RMQ_PROBE_DUE,  /* it is, and waits for the connection */
  RMQ_PROBE_SENT
};
const char *rmq_probe_stage_to_str(enum rmq_probe_stage s);

struct rmq_probe {
  struct rmq_probe_config config;
  struct rmq_connection *connection;
  void *ctx;
  void (*ended)(void *ctx, enum rmq_probe_verdict v);
  enum rmq_probe_stage stage;
  struct rmq_mono due, deadline, sent;
  uint64_t number; /* of the message that is out, from 1 */
  uint64_t seqno;  /* of the channel's last publish */
  char id[RMQ_MESSAGE_ID_SIZE];
  bool is_confirmed, is_delivered;
  struct rmq_probe_result result;
};

/* ended is called at the end of each round. The first one begins at the first
 * step: a broker that is never there fails it. */
void rmq_probe_init(struct rmq_probe *p, const struct rmq_probe_config *config,
                    void *ctx,
                    void (*ended)(void *ctx, enum rmq_probe_verdict v));
/* Before the worker starts. */
void rmq_probe_attach(struct rmq_probe *p, struct rmq_connection *c);

/* Does what is due; time is of the message's timestamp. Returns when to be
 * called again without an event. */
struct rmq_mono rmq_probe_step(struct rmq_probe *p, struct rmq_mono now,
                               struct rmq_wall time);
/* What is known now; begins the next period of latencies. */
struct rmq_probe_result rmq_probe_take(struct rmq_probe *p);

/* For the connection's handlers. */
void rmq_probe_ready(struct rmq_probe *p);
void rmq_probe_lost(struct rmq_probe *p);
void rmq_probe_confirmed(struct rmq_probe *p, uint64_t seqno, bool multiple,
                         bool is_nack, struct rmq_mono now);
void rmq_probe_returned(struct rmq_probe *p, const struct rmq_returned *r,
                        struct rmq_mono now);
/* Acknowledges whatever it is: the queue is the probe's. */
void rmq_probe_delivered(struct rmq_probe *p, const struct rmq_delivery *d,
                         struct rmq_mono now);

#endif
