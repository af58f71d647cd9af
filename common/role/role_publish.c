/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish.h"

#include "common/base/complain.h"
#include "common/base/rkey.h"
#include "common/base/uuid.h"
#include "common/codec/codec.h"
#include "common/role/intake.h"
#include "common/role/prepare.h"
#include "common/role/publish_lane.h"
#include "common/role/publish_message.h"
#include "common/role/publish_series.h"
#include "common/role/publish_spool.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char plugin_name[] = "rabbitmq_publish";
enum { REPEAT_AFTER_S = 10, ERROR_WINDOW_S = 60 };
_Static_assert((int)RMQ_PUBLISH_TOTALS_REFUSED ==
                   (int)RMQ_PUBLISH_REFUSALS_COUNT,
               "one for each kind");
/* For committing what the end left over, and for waiting for that. */
enum { SPOOL_END_MS = 500 };

struct rmq_role_publish {
  const struct rmq_publish_options *options;
  const char *block;
  const struct rmq_host *host;
  const struct rmq_codec *codec;
  struct rmq_codec_style style;
  struct rmq_prepare prepare;
  struct rmq_connection_setup setup;
  struct rmq_connection_config connection;
  struct rmq_wire_exchange exchange;
  struct rmq_publish_lane **lanes;
  unsigned lanes_count;

  struct rmq_fate_sink fates;
  struct rmq_spool *spool; /* NULL = none */
  struct rmq_intake *intake;
  atomic_bool has_overflowed; /* since the last complaint about it */
  atomic_bool is_ending;
  bool is_left_behind; /* a thread runs on */

  /* Repeated complaints of the callbacks, any thread. */
  pthread_mutex_t complain_lock;
  struct rmq_complain overflow, unencodable;
  /* The reporting thread. */
  struct rmq_series_object object;
  struct rmq_publisher_counters reported;
  struct rmq_window errors;
};

static struct rmq_mono mono(const struct rmq_role_publish *r) {
  return r->host->mono(r->host->ctx);
}

static struct rmq_wall wall(const struct rmq_role_publish *r) {
  return r->host->wall(r->host->ctx);
}

static void log_line(struct rmq_role_publish *r, enum rmq_level level,
                     const char *event, const char *text) {
  rmq_session_log_write(rmq_publish_lane_session(r->lanes[0]),
                        &(struct rmq_log_record){
                            .level = level, .event = event, .message = text});
}

/* A lane's thread, or the spool's. */
static void prepare(void *ctx, struct rmq_message *m) {
  struct rmq_role_publish *r = ctx;
  rmq_prepare_message(&r->prepare, m);
}

static struct rmq_publish_lane *lane_of(const struct rmq_role_publish *r,
                                        const char *key) {
  return r->lanes[rmq_store_lane_of(rmq_store_key_hash(key), r->lanes_count)];
}

/* Under the intake's lock, so the complaint waits. A lane wakes its worker
 * itself. */
static bool accept_sealed(void *ctx, struct rmq_message *m) {
  struct rmq_role_publish *r = ctx;
  if (rmq_publish_lane_accept(lane_of(r, m->key), m) > 0)
    atomic_store(&r->has_overflowed, true);
  return false;
}

static void fate(void *ctx, const struct rmq_fate_report *report) {
  const struct rmq_role_publish *r = ctx;
  if (r->fates.tell != NULL)
    r->fates.tell(r->fates.ctx, report);
}

/* The first lane's thread. */
static struct rmq_mono tick(void *ctx, struct rmq_mono now) {
  struct rmq_role_publish *r = ctx;
  return rmq_intake_tick(r->intake, now);
}

/* ------------------------------------------------------------------------
 * Lifecycle */

static int create_connection(struct rmq_role_publish *r,
                             struct rmq_error *err) {
  r->connection =
      (struct rmq_connection_config){.wants_confirms = r->options->confirm};
  if (rmq_connection_setup_init(&r->setup, &r->options->connection,
                                r->host->service, r->host->hostname, r->block,
                                &r->connection, err) != 0)
    return -1;
  r->connection.exchange =
      rmq_exchange_options_declare(&r->options->exchange, &r->exchange);
  r->connection.alternate_exchange = r->options->exchange.alternate;
  return 0;
}

static int create_spool(struct rmq_role_publish *r, struct rmq_error *err) {
  return rmq_publish_spool_new(r->options, r->block, r->host, &r->prepare,
                               &r->spool, err);
}

static void attach_spool(struct rmq_role_publish *r, unsigned lane) {
  if (r->spool == NULL)
    return;
  struct rmq_store_handlers handlers =
      rmq_publisher_store_handlers(rmq_publish_lane_publisher(r->lanes[lane]));
  rmq_spool_attach(r->spool, lane, &handlers);
}

static int create_lanes(struct rmq_role_publish *r, struct rmq_error *err) {
  r->lanes = calloc(r->lanes_count, sizeof(struct rmq_publish_lane *));
  if (r->lanes == NULL)
    return rmq_error_set(err, "no memory");
  for (unsigned i = 0; i < r->lanes_count; i++) {
    struct rmq_publish_lane_config config = {
        .options = r->options,
        .block = r->block,
        .host = r->host,
        .setup = &r->setup,
        .connection = &r->connection,
        .store = r->spool == NULL ? NULL : rmq_spool_store(r->spool),
        .index = i,
        .count = r->lanes_count,
        .ctx = r,
        .prepare = prepare,
        .fate = fate,
        .tick = i == 0 ? tick : NULL};
    r->lanes[i] = rmq_publish_lane_new(&config, err);
    if (r->lanes[i] == NULL)
      return -1;
    attach_spool(r, i);
  }
  return 0;
}

static int create_intake(struct rmq_role_publish *r, struct rmq_error *err) {
  const struct rmq_publish_options *o = r->options;
  struct rmq_intake_config config = {.codec = r->codec,
                                     .style = &r->style,
                                     .routing_key = o->routing_key,
                                     .routing_key_notification =
                                         o->routing_key_notification,
                                     .batch_values = (size_t)o->batch_values,
                                     .batch_bytes = (size_t)o->batch_bytes,
                                     .max_open = (size_t)o->max_open_batches,
                                     .flush_interval = o->flush_interval};
  struct rmq_intake_sink sink = {r, accept_sealed};
  r->intake = rmq_intake_new(&config, &sink, r->host);
  return r->intake != NULL ? 0 : rmq_error_set(err, "no memory");
}

static struct rmq_codec_style style_of(const struct rmq_publish_options *o) {
  return (struct rmq_codec_style){
      .graphite_prefix = o->graphite_prefix == NULL ? "" : o->graphite_prefix,
      .graphite_postfix =
          o->graphite_postfix == NULL ? "" : o->graphite_postfix,
      .graphite_escape = o->graphite_escape_char[0],
      .graphite_separate_instances = o->graphite_separate_instances,
      .graphite_always_append_ds = o->graphite_always_append_ds,
      .graphite_preserve_separator = o->graphite_preserve_separator};
}

static void init(struct rmq_role_publish *r,
                 const struct rmq_publish_options *options, const char *block,
                 const struct rmq_host *host) {
  r->options = options;
  r->block = block;
  r->host = host;
  r->codec = rmq_codec_at(options->format);
  r->style = style_of(options);
  r->lanes_count = (unsigned)options->connections;
  pthread_mutex_init(&r->complain_lock, NULL);
  struct rmq_uuid instance =
      rmq_uuid_from_bits(host->random(host->ctx), host->random(host->ctx));
  rmq_prepare_init(&r->prepare, instance,
                   (enum rmq_encoding)options->content_encoding);
  rmq_complain_init(&r->overflow, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&r->unencodable, rmq_s(REPEAT_AFTER_S));
  rmq_window_init(&r->errors, rmq_s(ERROR_WINDOW_S));
}

struct rmq_role_publish *
rmq_role_publish_new(const struct rmq_publish_options *options,
                     const char *block, const struct rmq_host *host,
                     struct rmq_error *err) {
  if (options->store_rates && !host->has_rates) {
    rmq_error_set(err, "option StoreRates: %s knows no rates", host->service);
    return NULL;
  }
  struct rmq_role_publish *r = calloc(1, sizeof(*r));
  if (r == NULL) {
    rmq_error_set(err, "no memory");
    return NULL;
  }
  init(r, options, block, host);
  if (rmq_series_object_init(RMQ_SERIES_BLOCK, plugin_name, block, NULL, NULL,
                             NULL, &r->object) == 0 &&
      create_connection(r, err) == 0 && create_spool(r, err) == 0 &&
      create_lanes(r, err) == 0 && create_intake(r, err) == 0)
    return r;
  rmq_error_set(err, "no memory");
  rmq_role_publish_free(r);
  return NULL;
}

void rmq_role_publish_free(struct rmq_role_publish *r) {
  if (r == NULL || r->is_left_behind)
    return;
  for (unsigned i = 0; r->lanes != NULL && i < r->lanes_count; i++)
    rmq_publish_lane_free(r->lanes[i]);
  free(r->lanes);
  rmq_spool_free(r->spool);
  rmq_intake_free(r->intake);
  rmq_prepare_fini(&r->prepare);
  rmq_connection_setup_fini(&r->setup);
  pthread_mutex_destroy(&r->complain_lock);
  free(r);
}

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

static void snapshot(struct rmq_role_publish *r, bool take_latency,
                     struct rmq_publisher_snapshot *sum) {
  *sum = (struct rmq_publisher_snapshot){0};
  rmq_latency_clear(&sum->latency);
  for (unsigned i = 0; i < r->lanes_count; i++) {
    struct rmq_publisher_snapshot s;
    rmq_publisher_snapshot(rmq_publish_lane_publisher(r->lanes[i]),
                           take_latency, &s);
    rmq_publisher_counters_add(&sum->counters, &s.counters);
    sum->outbox += s.outbox;
    sum->in_flight += s.in_flight;
    sum->spooled += s.spooled;
    rmq_latency_merge(&sum->latency, &s.latency);
  }
}

/* The last report is up to an interval old when the daemon ends. */
static void log_totals(struct rmq_role_publish *r) {
  struct rmq_publisher_snapshot s;
  snapshot(r, /* take_latency = */ false, &s);
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
  snapshot(r, /* take_latency = */ false, &s);
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

/* What a block says of its sessions: connected when all lanes are. The state is
 * that of the lane that is furthest from publishing. */
static struct rmq_publish_sessions sessions(const struct rmq_role_publish *r) {
  struct rmq_publish_sessions s = {.state = RMQ_SESSION_READY,
                                   .is_connected = true};
  for (unsigned i = 0; i < r->lanes_count; i++) {
    const struct rmq_session_log *log = rmq_publish_lane_session(r->lanes[i]);
    enum rmq_session_state state = rmq_session_log_state(log);
    s.opened += rmq_session_log_opened(log);
    s.blocked_timeouts += rmq_session_log_blocked_timeouts(log);
    s.failbacks += rmq_session_log_failbacks(log);
    if (!rmq_session_is_up(state) && s.is_connected)
      s.state = state;
    if (state == RMQ_SESSION_BLOCKED) {
      s.is_blocked = true;
      if (s.state == RMQ_SESSION_READY)
        s.state = state;
    }
    s.is_connected = s.is_connected && rmq_session_is_up(state);
  }
  return s;
}

void rmq_role_publish_totals(struct rmq_role_publish *r,
                             struct rmq_publish_totals *ret) {
  struct rmq_publisher_snapshot s;
  snapshot(r, /* take_latency = */ false, &s);
  const struct rmq_publisher_counters *c = &s.counters;
  *ret = (struct rmq_publish_totals){.accepted = c->accepted,
                                     .recovered = c->recovered,
                                     .confirmed = c->confirmed,
                                     .sent = c->unconfirmed,
                                     .returned = c->returned,
                                     .rejected = c->rejected,
                                     .expired = c->expired,
                                     .waiting = s.outbox + s.in_flight,
                                     .spooled = s.spooled,
                                     .is_connected = sessions(r).is_connected};
  for (int i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    ret->dropped += c->dropped[i];
  for (int i = 0; i < RMQ_PUBLISH_REFUSALS_COUNT; i++) {
    ret->refused[i].messages = c->refused_last[i];
    ret->refused[i].why = rmq_publish_lane_remedy((enum rmq_publish_refusal)i);
  }
}

static struct rmq_store_stats spool_stats(const struct rmq_role_publish *r) {
  const struct rmq_store *store = rmq_spool_store(r->spool);
  struct rmq_store_stats stats;
  store->stats(store->ctx, &stats);
  return stats;
}

static double spool_bytes(const struct rmq_role_publish *r) {
  return r->spool == NULL ? NAN : (double)spool_stats(r).bytes;
}

bool rmq_role_publish_can_spool(const struct rmq_role_publish *r) {
  return r->spool != NULL && spool_stats(r).is_usable;
}

void rmq_role_publish_report(struct rmq_role_publish *r,
                             struct rmq_dur interval) {
  if (!r->options->connection.report_stats)
    return;
  struct rmq_publisher_snapshot s;
  struct rmq_publish_report report;
  snapshot(r, /* take_latency = */ true, &s);
  struct rmq_publish_sessions all = sessions(r);
  struct rmq_intake_stats in;
  rmq_intake_stats(r->intake, &in);
  rmq_publish_report_fill(&report, &s, &in, &all, spool_bytes(r), &r->reported,
                          &r->errors, mono(r));
  struct rmq_series_report to = {.host = r->host,
                                 .object = &r->object,
                                 .time = wall(r),
                                 .interval = interval};
  rmq_series_emit_all(&to, rmq_publish_series_table, RMQ_SERIES_BLOCK, &report);
}
