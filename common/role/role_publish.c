/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish_private.h"

#include "common/base/rkey.h"
#include "common/role/publish_message.h"

#include <inttypes.h>
#include <stdio.h>

/* For committing what the end left over, and for waiting for that. */
enum { SPOOL_END_MS = 500 };

static struct rmq_mono mono(const struct rmq_role_publish *r) {
  return r->host->mono(r->host->ctx);
}

static void log_line(struct rmq_role_publish *r, enum rmq_level level,
                     const char *event, const char *text) {
  rmq_session_log_write(rmq_publish_lane_session(r->lanes[0]),
                        &(struct rmq_log_record){
                            .level = level, .event = event, .message = text});
}

static struct rmq_publish_lane *lane_of(const struct rmq_role_publish *r,
                                        const char *key) {
  return r->lanes[rmq_store_lane_of(rmq_store_key_hash(key), r->lanes_count)];
}

/* The complaint waits. A lane wakes its worker itself. */
bool rmq_role_publish_accept(void *ctx, struct rmq_message *m) {
  struct rmq_role_publish *r = ctx;
  if (rmq_publish_lane_accept(lane_of(r, m->key), m) > 0)
    atomic_store(&r->has_overflowed, true);
  return false;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

/* Options that are right each by itself, and useless together. */
static void warn_of_keys(struct rmq_role_publish *r) {
  const struct rmq_publish_options *o = r->options;
  if (o->metrics && o->connections > 1 && rmq_rkey_is_fixed(o->routing_key))
    log_line(r, RMQ_LOG_WARNING, "fixed_key",
             "Connections is over 1, but with this RoutingKey all messages "
             "have one routing key and so use one connection; use RoutingKey "
             "\"collectd.%{host}.%{plugin}\"");
  if (o->metrics && o->batch_values > 1 &&
      rmq_rkey_is_per_series(o->routing_key))
    log_line(r, RMQ_LOG_WARNING, "batch_keys",
             "BatchValues is over 1, but with this RoutingKey nearly every "
             "series has a routing key, and so messages, of its own; use "
             "RoutingKey \"collectd.%{host}.%{plugin}\", or a fixed one");
}

/* A file that cannot be opened is no failure: the spool says so, and tries
 * again. */
static int start_spool(struct rmq_role_publish *r, struct rmq_error *err) {
  if (r->spool == NULL)
    return 0;
  uint64_t next_seq = 1;
  rmq_spool_open(r->spool, &next_seq);
  rmq_intake_raise_seq(r->intake, next_seq - 1);
  return rmq_spool_start(r->spool, err);
}

static int start_lanes(struct rmq_role_publish *r, struct rmq_error *err) {
  for (unsigned i = 0; i < r->lanes_count; i++)
    if (rmq_publish_lane_start(r->lanes[i], err) != 0)
      return -1;
  return 0;
}

bool rmq_role_publish_is_left_behind(const struct rmq_role_publish *r) {
  return r->is_left_behind;
}

int rmq_role_publish_start(struct rmq_role_publish *r, struct rmq_error *err) {
  warn_of_keys(r);
  if (start_spool(r, err) != 0)
    return -1;
  if (start_lanes(r, err) == 0)
    return 0;
  struct rmq_mono soon = rmq_mono_add(mono(r), rmq_s(1));
  rmq_role_publish_stop(r, mono(r));
  rmq_role_publish_join(r, soon);
  return -1;
}

/* The last quarter is the spool's, to write what could not be published. */
static struct rmq_mono lanes_deadline(const struct rmq_role_publish *r,
                                      struct rmq_mono deadline) {
  struct rmq_dur left = rmq_mono_since(deadline, mono(r));
  if (r->spool == NULL || left.ns <= 0)
    return deadline;
  return (struct rmq_mono){deadline.ns - left.ns / 4};
}

void rmq_role_publish_stop(struct rmq_role_publish *r,
                           struct rmq_mono deadline) {
  rmq_intake_close(r->intake);
  atomic_store(&r->is_ending, true);
  for (unsigned i = 0; i < r->lanes_count; i++)
    rmq_publish_lane_stop(r->lanes[i], lanes_deadline(r, deadline));
}

/* The last report is up to an interval old when the daemon ends. */
static void log_totals(struct rmq_role_publish *r) {
  struct rmq_publisher_snapshot s;
  rmq_role_publish_snapshot(r, /* take_latency = */ false, &s);
  const struct rmq_publisher_counters *c = &s.counters;
  uint64_t dropped = 0;
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    dropped += c->dropped[i];
  struct rmq_error text = {""};
  rmq_error_set(&text,
                "ended: %" PRIu64 " messages accepted, %" PRIu64
                " recovered, %" PRIu64 " confirmed, %" PRIu64
                " returned, %" PRIu64 " rejected, %" PRIu64 " expired, %" PRIu64
                " dropped; %" PRIu64 " republished; %" PRIu64
                " wait in the spool",
                c->accepted, c->recovered, c->confirmed, c->returned,
                c->rejected, c->expired, dropped, c->republished, s.spooled);
  log_line(r, RMQ_LOG_NOTICE, "ended", text.text);
}

/* What neither the broker nor the spool took in time. */
static void log_abandoned(struct rmq_role_publish *r) {
  struct rmq_publisher_snapshot s;
  rmq_role_publish_snapshot(r, /* take_latency = */ false, &s);
  uint64_t left = s.counters.dropped[RMQ_PUBLISHER_DROP_shutdown];
  struct rmq_error text = {""};
  rmq_error_set(&text,
                "%" PRIu64 " messages were not confirmed at the end, and "
                "are lost unless the broker already had them",
                left);
  if (left > 0)
    log_line(r, RMQ_LOG_ERROR, "abandoned", text.text);
}

/* After the lanes, which give it what they could not publish. */
static bool end_spool(struct rmq_role_publish *r, struct rmq_mono deadline) {
  if (r->spool == NULL)
    return true;
  struct rmq_mono until = rmq_mono_add(deadline, rmq_ms(SPOOL_END_MS));
  rmq_spool_stop(r->spool, until);
  return rmq_spool_join(r->spool, rmq_mono_add(until, rmq_ms(SPOOL_END_MS)));
}

bool rmq_role_publish_join(struct rmq_role_publish *r,
                           struct rmq_mono deadline) {
  bool have_ended = true;
  for (unsigned i = 0; i < r->lanes_count; i++)
    if (!rmq_publish_lane_join(r->lanes[i], deadline))
      have_ended = false;
  if (!end_spool(r, deadline))
    have_ended = false;
  for (unsigned i = 0; have_ended && i < r->lanes_count; i++)
    rmq_publisher_tell_kept(rmq_publish_lane_publisher(r->lanes[i]));
  log_abandoned(r);
  if (have_ended)
    log_totals(r);
  r->is_left_behind = !have_ended;
  return have_ended;
}

/* ------------------------------------------------------------------------
 * The host's callbacks */

/* One line per trouble and back-off, from whichever thread meets it. */
static void complain(struct rmq_role_publish *r, struct rmq_complain *c,
                     const char *event, const char *text) {
  uint64_t missed = 0;
  pthread_mutex_lock(&r->complain_lock);
  bool is_due = rmq_complain_report(c, mono(r), &missed);
  pthread_mutex_unlock(&r->complain_lock);
  if (!is_due)
    return;
  char line[320];
  snprintf(line, sizeof(line), "%s (%llu times since the last such line)", text,
           (unsigned long long)missed + 1);
  log_line(r, RMQ_LOG_ERROR, event, line);
}

/* With a spool that works, RAM is full only when the disk is too slow. */
static void complain_of_overflow(struct rmq_role_publish *r) {
  if (atomic_load_explicit(&r->has_overflowed, memory_order_relaxed) &&
      atomic_exchange(&r->has_overflowed, false))
    complain(r, &r->overflow, "overflow",
             r->spool == NULL
                 ? "the send queue is full: messages are dropped; see "
                   "SendQueueLimit, SendQueueBytes and the connection's state"
                 : "messages are dropped: the spool's disk fails or is too "
                   "slow, and the send queue is full; see the lines about the "
                   "spool, and SpoolSync");
}

static int refuse(struct rmq_role_publish *r, uint32_t values) {
  rmq_publisher_count_unencodable(rmq_publish_lane_publisher(r->lanes[0]),
                                  values);
  complain(r, &r->unencodable, "unencodable",
           "a value could not be encoded, or memory was short: it is dropped");
  return -1;
}

static int answer(struct rmq_role_publish *r, enum rmq_intake_outcome outcome,
                  uint32_t values) {
  complain_of_overflow(r);
  switch (outcome) {
  case RMQ_INTAKE_TAKEN:
  case RMQ_INTAKE_OMITTED:
    return 0;
  case RMQ_INTAKE_WAKE:
    rmq_publish_lane_wake(r->lanes[0]);
    return 0;
  case RMQ_INTAKE_REFUSED:
    break;
  }
  return refuse(r, values);
}

int rmq_role_publish_sample(struct rmq_role_publish *r,
                            const struct rmq_sample *sample) {
  return r->options->metrics ? answer(r, rmq_intake_sample(r->intake, sample),
                                      /* values = */ 1)
                             : 0;
}

int rmq_role_publish_event(struct rmq_role_publish *r,
                           const struct rmq_event *event) {
  if (!r->options->notifications || r->codec->encode_event == NULL)
    return 0;
  return answer(r, rmq_intake_event(r->intake, event), /* values = */ 0);
}

void rmq_role_publish_flush(struct rmq_role_publish *r, struct rmq_dur age,
                            const struct rmq_identity *id) {
  rmq_intake_flush(r->intake, age, id);
  complain_of_overflow(r);
}

/* ------------------------------------------------------------------------
 * Opaque messages */

void rmq_role_publish_on_fate(struct rmq_role_publish *r,
                              const struct rmq_fate_sink *sink) {
  r->fates = *sink;
}

uint64_t rmq_role_publish_body_max(const struct rmq_role_publish *r) {
  return rmq_publish_message_body_max(r->options);
}

struct offer {
  struct rmq_role_publish *r;
  enum rmq_publisher_offer answer;
};

/* Under the intake's lock. */
static bool offer_message(void *ctx, struct rmq_message *m) {
  struct offer *o = ctx;
  o->answer = rmq_publish_lane_offer(lane_of(o->r, m->key), m);
  return o->answer == RMQ_OFFER_TAKEN || o->answer == RMQ_OFFER_WAKE;
}

static enum rmq_publish_answer answer_of(enum rmq_publisher_offer o) {
  switch (o) {
  case RMQ_OFFER_TAKEN:
  case RMQ_OFFER_WAKE:
    return RMQ_PUBLISH_TAKEN;
  case RMQ_OFFER_FULL:
    return RMQ_PUBLISH_FULL;
  case RMQ_OFFER_TOO_LARGE:
    break;
  }
  return RMQ_PUBLISH_TOO_LARGE;
}

enum rmq_publish_answer rmq_role_publish_message(struct rmq_role_publish *r,
                                                 const struct rmq_outgoing *out,
                                                 struct rmq_error *err) {
  struct rmq_message *m = NULL;
  struct offer o = {r, RMQ_OFFER_FULL};
  if (atomic_load(&r->is_ending))
    return RMQ_PUBLISH_ENDING;
  if (out->body_len > rmq_role_publish_body_max(r))
    return RMQ_PUBLISH_TOO_LARGE;
  enum rmq_publish_answer a = rmq_publish_message_build(out, &m, err);
  if (a != RMQ_PUBLISH_TAKEN)
    return a;
  if (r->fates.tell == NULL)
    m->tag = 0;
  if (!rmq_intake_message(r->intake, m, offer_message, &o))
    rmq_message_free(m);
  return answer_of(o.answer);
}
