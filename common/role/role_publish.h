/* SPDX-License-Identifier: MIT */
/*
 * The publishing job, free of any host: samples and events in, messages with
 * confirms out, its own series. Wires codec, publisher, connection and worker,
 * and owns their lifecycle: new, start, stop, join, free.
 */
#ifndef RMQ_ROLE_PUBLISH_H
#define RMQ_ROLE_PUBLISH_H

#include "common/base/envelope.h"
#include "common/base/fate.h"
#include "common/base/host.h"
#include "common/base/series.h"
#include "common/role/connection_options.h"
#include "common/role/exchange_options.h"

struct rmq_publish_options {
  struct rmq_connection_options connection;
  struct rmq_exchange_options exchange;
  char *routing_key, *routing_key_notification;
  bool persistent, mandatory, metrics, notifications;
  int format;
  char *app_id;
  int64_t confirm_window, max_attempts;
  struct rmq_dur confirm_timeout;
  int on_return, on_nack;
  int64_t send_queue_limit, send_queue_bytes;
  int64_t batch_values, batch_bytes, max_open_batches;
  struct rmq_dur flush_interval;
  int content_encoding;
  bool store_rates;
  char *graphite_prefix, *graphite_postfix, *graphite_escape_char;
  bool graphite_separate_instances, graphite_always_append_ds,
      graphite_preserve_separator;
  int64_t connections;
  bool confirm;
  struct rmq_dur message_ttl;
  int64_t priority;
  struct rmq_arguments headers;
  char *spool_dir;
  int spool_mode, spool_sync;
  int64_t spool_max_bytes;
  struct rmq_dur spool_max_age;
  int overflow_policy;
};

/* Rows for struct rmq_publish_options. */
extern const struct rmq_option rmq_publish_option_table[];
/* Rows for what rmq_role_publish_report emits. */
extern const struct rmq_series rmq_publish_series_table[];

/* What no single row can say; appends one line per error. */
int rmq_publish_options_check(const void *options, struct rmq_buf *errors);

struct rmq_role_publish;
/* Borrows options and block. Starts nothing. NULL with err. */
struct rmq_role_publish *
rmq_role_publish_new(const struct rmq_publish_options *options,
                     const char *block, const struct rmq_host *host,
                     struct rmq_error *err);
/* Keeps all of it where a thread was left behind. */
void rmq_role_publish_free(struct rmq_role_publish *r);
/* All threads run; or -1 with err and none does, but for what was left behind.
 */
int rmq_role_publish_start(struct rmq_role_publish *r, struct rmq_error *err);
/* A thread did not end in time: at the join, or when a start that failed half
 * way took it back. It may still use r and all that r borrows, which nobody may
 * free. */
bool rmq_role_publish_is_left_behind(const struct rmq_role_publish *r);

/* Any thread, also before start. Encodes and enqueues; never waits. 0, or -1
 * when the value itself was refused (and counted). */
int rmq_role_publish_sample(struct rmq_role_publish *r,
                            const struct rmq_sample *sample);
int rmq_role_publish_event(struct rmq_role_publish *r,
                           const struct rmq_event *event);
/* Any thread: publishes what has waited for age or longer as soon as possible;
 * with id only what has the routing key of that series. */
void rmq_role_publish_flush(struct rmq_role_publish *r, struct rmq_dur age,
                            const struct rmq_identity *id);

/* An opaque message. All is borrowed for the call; NULL and 0 = absent. */
struct rmq_outgoing {
  const char *exchange; /* NULL = the block's, "" = the default exchange */
  const char *routing_key;
  const char *content_type, *content_encoding;
  const char *message_id; /* absent = one of ours */
  struct rmq_envelope envelope;
  const void *body;
  size_t body_len;
  /* Refusals (nack, return) after which it is given up, 0 = MaxAttempts. Lost
   * when the message waits on the disk and in memory no more. */
  unsigned max_attempts;
  uint64_t tag; /* whose fate is told; 0 = nobody's */
};

/* What became of rmq_role_publish_message. */
enum rmq_publish_answer {
  RMQ_PUBLISH_TAKEN,     /* its fate will be told */
  RMQ_PUBLISH_FULL,      /* at the bound of queue, spool or tags: try later */
  RMQ_PUBLISH_TOO_LARGE, /* it never fits: see rmq_role_publish_body_max */
  RMQ_PUBLISH_INVALID, /* a property is not what AMQP allows: err says which */
  RMQ_PUBLISH_ENDING,  /* rmq_role_publish_stop was called */
  RMQ_PUBLISH_NO_MEMORY
};
const char *rmq_publish_answer_to_str(enum rmq_publish_answer a);

/* Before start: who is told the fates of tags. After a join that returned
 * true every tag that was taken has had its final fate. */
void rmq_role_publish_on_fate(struct rmq_role_publish *r,
                              const struct rmq_fate_sink *sink);
/* Any thread. Takes the message or refuses it at once; never waits, and never
 * drops another for it. A fate may be told before this returns. */
enum rmq_publish_answer rmq_role_publish_message(struct rmq_role_publish *r,
                                                 const struct rmq_outgoing *m,
                                                 struct rmq_error *err);
/* The largest body that queue and spool take, with the longest key and
 * properties. */
uint64_t rmq_role_publish_body_max(const struct rmq_role_publish *r);

/* How messages have ended since the start, and where the others are. */
enum { RMQ_PUBLISH_TOTALS_REFUSED = 3 };
struct rmq_publish_totals {
  uint64_t accepted, recovered;
  uint64_t confirmed, sent, returned, rejected, expired, dropped;
  uint64_t waiting; /* in memory, also in flight */
  uint64_t spooled; /* on the disk only */
  bool is_connected;
  /* Those that were given up, and after the end those that were left over,
   * dropped or in the spool: by what the broker refused each with last. */
  struct {
    uint64_t messages;
    const char *why; /* static */
  } refused[RMQ_PUBLISH_TOTALS_REFUSED];
};
/* Any thread. */
void rmq_role_publish_totals(struct rmq_role_publish *r,
                             struct rmq_publish_totals *ret);

/* Any thread: what is accepted now goes to a spool that can be written and
 * outlives this process. False without SpoolDir. */
bool rmq_role_publish_can_spool(const struct rmq_role_publish *r);

/* One thread at a time: emits the block's own series. */
void rmq_role_publish_report(struct rmq_role_publish *r,
                             struct rmq_dur interval);

/* Told first, then waited for: drains until the deadline. */
void rmq_role_publish_stop(struct rmq_role_publish *r,
                           struct rmq_mono deadline);
/* False: a thread is left behind, see above. What was not confirmed is counted
 * and logged. */
bool rmq_role_publish_join(struct rmq_role_publish *r,
                           struct rmq_mono deadline);

#endif
