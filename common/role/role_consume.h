/* SPDX-License-Identifier: MIT */
/*
 * The consuming job, free of any host: deliveries in, samples out, each
 * delivery acknowledged when its samples have got where AckWhen says. Wires
 * codec, consumer, connection and worker, and owns their lifecycle.
 */
#ifndef RMQ_ROLE_CONSUME_H
#define RMQ_ROLE_CONSUME_H

#include "common/base/host.h"
#include "common/base/series.h"
#include "common/role/connection_options.h"
#include "common/role/consume_queue_options.h"
#include "common/role/exchange_options.h"
#include "common/role/trust_options.h"

enum rmq_ack_when { RMQ_ACK_WRITTEN, RMQ_ACK_DISPATCHED };
enum rmq_on_failure {
  RMQ_FAILURE_DEAD_LETTER,
  RMQ_FAILURE_REQUEUE,
  RMQ_FAILURE_DROP,
  RMQ_FAILURE_QUARANTINE
};

const char *rmq_ack_when_to_str(enum rmq_ack_when w);
const char *rmq_on_failure_to_str(enum rmq_on_failure f);

struct rmq_consume_options {
  struct rmq_connection_options connection;
  struct rmq_exchange_options exchange;
  struct rmq_trust_options trust;
  struct rmq_strings routing_keys, accept_content_type;
  struct rmq_consume_queue_options queue;
  int64_t prefetch_count, ack_batch, max_message_bytes;
  struct rmq_dur ack_interval, written_timeout;
  int64_t backpressure_queue_length, max_redeliveries, deduplicate_window;
  struct rmq_dur redelivery_delay;
  bool deduplicate;
  int ack_when, on_written_timeout, format, on_parse_error, on_dispatch_error;
  char *graphite_template;
};

extern const struct rmq_option rmq_consume_option_table[];
extern const struct rmq_series rmq_consume_series_table[];
int rmq_consume_options_check(const void *options, struct rmq_buf *errors);

/* Why a sample, or a notification, was not taken: X(suffix, meaning). The
 * first four are the host's reasons, of which the last may pass by trying
 * again. */
#define RMQ_REFUSALS(X)                                                        \
  X(unknown_type, "its type is not in the types.db of this daemon")            \
  X(wrong_values, "its values do not fit its type")                            \
  X(bad_name, "a name in it cannot be used")                                   \
  X(failed, "the daemon refused it, or memory was short")                      \
  X(parse, "it cannot be read")                                                \
  X(not_allowed, "AllowHost or AllowPlugin does not have it")                  \
  X(too_old, "it is older than MaxAge")                                        \
  X(future, "its time is further ahead than MaxClockSkew")                     \
  X(notification, "it is a notification, and Notifications is off")            \
  X(rate, "it is a notification above NotificationRate")                       \
  X(no_host, "its message does not have the header that HostFromHeader names")
enum rmq_refusal {
  RMQ_REFUSAL_none,
#define RMQ_X(name, meaning) RMQ_REFUSAL_##name,
  RMQ_REFUSALS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_REFUSALS_COUNT = 11 };
const char *rmq_refusal_to_str(enum rmq_refusal r);

/* What a sink of whole messages answers. */
enum rmq_message_turn {
  RMQ_MESSAGE_TAKEN,      /* its end will be told, once, with the ticket */
  RMQ_MESSAGE_LEFT,       /* not wanted any more: it goes back to its queue with
                             the channel; for who has stopped the role, or does
                             so next */
  RMQ_MESSAGE_UNREADABLE, /* OnParseError; the error says why */
  RMQ_MESSAGE_NO_MEMORY   /* OnDispatchError */
};
const char *rmq_message_turn_to_str(enum rmq_message_turn t);

/* Where samples go, or whole messages; called in the worker's thread. ticket
 * (56 bits) is to be handed to rmq_role_consume_written once for every sample
 * that was taken. */
struct rmq_delivery;
struct rmq_consume_sink {
  void *ctx;
  enum rmq_refusal (*dispatch)(void *ctx, const struct rmq_sample *sample,
                               uint64_t ticket);
  struct rmq_types types;
  /* Not NULL: messages go here as they are, and none of them is read for
   * samples; d, with its kept properties, is borrowed for the call. The options
   * about values do not apply, WrittenTimeout neither. A ticket ends with
   * rmq_role_consume_written, _message_failed or _message_left. */
  enum rmq_message_turn (*message)(void *ctx, const struct rmq_delivery *d,
                                   uint64_t ticket, struct rmq_error *err);
  /* Whether what the broker has sent is not to be read for now; looked at when
   * a ticket has ended. NULL = never. */
  bool (*is_full)(void *ctx);
};

struct rmq_role_consume;
struct rmq_role_consume *
rmq_role_consume_new(const struct rmq_consume_options *options,
                     const char *block, const struct rmq_host *host,
                     const struct rmq_consume_sink *sink,
                     struct rmq_error *err);
/* Only when never started, or joined with true. */
void rmq_role_consume_free(struct rmq_role_consume *r);
int rmq_role_consume_start(struct rmq_role_consume *r, struct rmq_error *err);

/* Any thread: a sample with that ticket has been written by everybody. */
void rmq_role_consume_written(struct rmq_role_consume *r, uint64_t ticket);

/* A message that the sink took and that was not done. */
struct rmq_message_failure {
  uint64_t ticket;
  enum rmq_on_failure policy; /* not QUARANTINE; within MaxRedeliveries */
  bool is_bad; /* it fails wherever it is tried; else all others may as well */
  char about[256]; /* which one and why, for the log; may hold wire bytes */
};
/* Any thread. */
void rmq_role_consume_message_failed(struct rmq_role_consume *r,
                                     const struct rmq_message_failure *f);
/* Any thread: it was not begun, and goes back to its queue. */
void rmq_role_consume_message_left(struct rmq_role_consume *r, uint64_t ticket);

/* Any thread: subscribed. */
bool rmq_role_consume_is_up(const struct rmq_role_consume *r);
/* Any thread: subscribed, and nothing is unacknowledged. */
bool rmq_role_consume_is_idle(struct rmq_role_consume *r);

/* One thread at a time, and not the worker's: dispatches the notifications that
 * messages have brought, if the block takes any; none is begun at `until`, and
 * the rest waits for the next call. To be called about every second, until the
 * role has been joined. */
void rmq_role_consume_dispatch_events(struct rmq_role_consume *r,
                                      struct rmq_mono until);
/* Any thread: messages rejected so far, which are dead-lettered or lost. */
uint64_t rmq_role_consume_rejected(struct rmq_role_consume *r);
/* One thread at a time: emits the block's own series. */
void rmq_role_consume_report(struct rmq_role_consume *r,
                             struct rmq_dur interval);

/* Stops the flow, waits until what is in hand has been written, acknowledges
 * it, closes; what is not done by the deadline goes back to the broker. */
void rmq_role_consume_stop(struct rmq_role_consume *r,
                           struct rmq_mono deadline);
/* Whether the worker has ended; waits until then. */
bool rmq_role_consume_await(struct rmq_role_consume *r, struct rmq_mono until);
/* False: the worker did not end in time; never free r. */
bool rmq_role_consume_join(struct rmq_role_consume *r,
                           struct rmq_mono deadline);

#endif
