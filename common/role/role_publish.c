/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish.h"

#include "common/base/complain.h"
#include "common/base/rkey.h"
#include "common/base/uuid.h"
#include "common/codec/codec.h"
#include "common/role/publish_lane.h"
#include "common/role/publish_series.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const char plugin_name[] = "rabbitmq_publish";
enum { ENCODED_MAX = 16 << 20, REPEAT_AFTER_S = 10, ERROR_WINDOW_S = 60 };

struct rmq_role_publish {
  const struct rmq_publish_options *options;
  const char *block;
  const struct rmq_host *host;
  const struct rmq_codec *codec;
  struct rmq_uuid instance; /* makes message-ids unique */
  struct rmq_connection_setup setup;
  struct rmq_connection_config connection;
  struct rmq_wire_exchange exchange;
  struct rmq_publish_lane **lanes;
  unsigned lanes_count;

  pthread_mutex_t seq_lock; /* messages reach their lane in order of seq */
  uint64_t next_seq;

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
  rmq_uuid_message_id(r->instance, m->seq, m->id);
  m->is_prepared = true;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

static int create_connection(struct rmq_role_publish *r,
                             struct rmq_error *err) {
  r->connection = (struct rmq_connection_config){.wants_confirms = true};
  if (rmq_connection_setup_init(&r->setup, &r->options->connection,
                                r->host->service, r->host->hostname, r->block,
                                &r->connection, err) != 0)
    return -1;
  r->connection.exchange =
      rmq_exchange_options_declare(&r->options->exchange, &r->exchange);
  return 0;
}

static int create_lanes(struct rmq_role_publish *r, struct rmq_error *err) {
  r->lanes = calloc(r->lanes_count, sizeof(struct rmq_publish_lane *));
  if (r->lanes == NULL)
    return rmq_error_set(err, "no memory");
  for (unsigned i = 0; i < r->lanes_count; i++) {
    struct rmq_publish_lane_config config = {.options = r->options,
                                             .block = r->block,
                                             .host = r->host,
                                             .setup = &r->setup,
                                             .connection = &r->connection,
                                             .index = i,
                                             .count = r->lanes_count,
                                             .ctx = r,
                                             .prepare = prepare};
    r->lanes[i] = rmq_publish_lane_new(&config, err);
    if (r->lanes[i] == NULL)
      return -1;
  }
  return 0;
}

static void init(struct rmq_role_publish *r,
                 const struct rmq_publish_options *options, const char *block,
                 const struct rmq_host *host) {
  r->options = options;
  r->block = block;
  r->host = host;
  r->codec = rmq_codec_at(options->format);
  r->lanes_count = (unsigned)options->connections;
  r->next_seq = 1;
  r->instance =
      rmq_uuid_from_bits(host->random(host->ctx), host->random(host->ctx));
  pthread_mutex_init(&r->complain_lock, NULL);
  pthread_mutex_init(&r->seq_lock, NULL);
  rmq_complain_init(&r->overflow, rmq_s(REPEAT_AFTER_S));
  rmq_complain_init(&r->unencodable, rmq_s(REPEAT_AFTER_S));
  rmq_window_init(&r->errors, rmq_s(ERROR_WINDOW_S));
}

struct rmq_role_publish *
rmq_role_publish_new(const struct rmq_publish_options *options,
                     const char *block, const struct rmq_host *host,
                     struct rmq_error *err) {
  struct rmq_role_publish *r = calloc(1, sizeof(*r));
  if (r == NULL) {
    rmq_error_set(err, "no memory");
    return NULL;
  }
  init(r, options, block, host);
  if (rmq_series_object_init(RMQ_SERIES_BLOCK, plugin_name, block, NULL, NULL,
                             NULL, &r->object) == 0 &&
      create_connection(r, err) == 0 && create_lanes(r, err) == 0)
    return r;
  rmq_error_set(err, "no memory");
  rmq_role_publish_free(r);
  return NULL;
}

void rmq_role_publish_free(struct rmq_role_publish *r) {
  if (r == NULL)
    return;
  for (unsigned i = 0; r->lanes != NULL && i < r->lanes_count; i++)
    rmq_publish_lane_free(r->lanes[i]);
  free(r->lanes);
  rmq_connection_setup_fini(&r->setup);
  pthread_mutex_destroy(&r->seq_lock);
  pthread_mutex_destroy(&r->complain_lock);
  free(r);
}

/* None runs, or all do. */
int rmq_role_publish_start(struct rmq_role_publish *r, struct rmq_error *err) {
  for (unsigned i = 0; i < r->lanes_count; i++) {
    if (rmq_publish_lane_start(r->lanes[i], err) == 0)
      continue;
    rmq_role_publish_stop(r, mono(r));
    struct rmq_mono soon = rmq_mono_add(mono(r), rmq_s(1));
    while (i-- > 0)
      rmq_publish_lane_join(r->lanes[i], soon);
    return -1;
  }
  return 0;
}

void rmq_role_publish_stop(struct rmq_role_publish *r,
                           struct rmq_mono deadline) {
  for (unsigned i = 0; i < r->lanes_count; i++)
    rmq_publish_lane_stop(r->lanes[i], deadline);
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
                " confirmed, %" PRIu64 " returned, %" PRIu64
                " rejected, %" PRIu64 " dropped; %" PRIu64 " republished",
                c->accepted, c->confirmed, c->returned, c->rejected, dropped,
                c->republished);
  log_line(r, RMQ_LOG_NOTICE, "ended", text.text);
}

bool rmq_role_publish_join(struct rmq_role_publish *r,
                           struct rmq_mono deadline) {
  bool have_ended = true;
  for (unsigned i = 0; i < r->lanes_count; i++)
    if (!rmq_publish_lane_join(r->lanes[i], deadline))
      have_ended = false;
  if (have_ended)
    log_totals(r);
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

static struct rmq_publish_lane *lane_of(const struct rmq_role_publish *r,
                                        const char *key) {
  return r->lanes[rmq_store_lane_of(rmq_store_key_hash(key), r->lanes_count)];
}

static int enqueue(struct rmq_role_publish *r, const char *key,
                   const struct rmq_buf *body, uint32_t values) {
  struct rmq_message *m = rmq_message_new(key, rmq_buf_bytes(body), body->len);
  if (m == NULL)
    return -1;
  m->content_type = r->codec->content_type;
  m->values = values;
  m->time = wall(r);
  pthread_mutex_lock(&r->seq_lock);
  m->seq = r->next_seq++;
  size_t dropped = rmq_publish_lane_accept(lane_of(r, key), m);
  pthread_mutex_unlock(&r->seq_lock);
  if (dropped > 0)
    complain(r, &r->overflow, "overflow",
             "the send queue is full: messages are dropped; see "
             "SendQueueLimit, SendQueueBytes and the connection's state");
  return 0;
}

static int refuse(struct rmq_role_publish *r, uint32_t values) {
  rmq_publisher_count_unencodable(rmq_publish_lane_publisher(r->lanes[0]),
                                  values);
  complain(r, &r->unencodable, "unencodable",
           "a value could not be encoded, or memory was short: it is dropped");
  return -1;
}

static int encode(const struct rmq_codec *codec,
                  const struct rmq_sample *sample, struct rmq_buf *out) {
  return rmq_buf_append_text(out, codec->open) == 0 &&
                 codec->encode(sample, out) == 0 &&
                 rmq_buf_append_text(out, codec->close) == 0
             ? 0
             : -1;
}

int rmq_role_publish_sample(struct rmq_role_publish *r,
                            const struct rmq_sample *sample) {
  if (!r->options->metrics)
    return 0;
  char key[RMQ_RKEY_MAX + 1];
  struct rmq_buf body;
  rmq_buf_init(&body, ENCODED_MAX);
  rmq_rkey_from_sample(r->options->routing_key, &sample->id, key);
  int rc = encode(r->codec, sample, &body);
  if (rc == 0)
    rc = enqueue(r, key, &body, /* values = */ 1);
  rmq_buf_fini(&body);
  return rc == 0 ? 0 : refuse(r, /* values = */ 1);
}

int rmq_role_publish_event(struct rmq_role_publish *r,
                           const struct rmq_event *event) {
  if (!r->options->notifications || r->codec->encode_event == NULL)
    return 0;
  char key[RMQ_RKEY_MAX + 1];
  struct rmq_buf body;
  rmq_buf_init(&body, ENCODED_MAX);
  rmq_rkey_from_event(r->options->routing_key_notification, event, key);
  int rc = r->codec->encode_event(event, &body);
  if (rc == 0)
    rc = enqueue(r, key, &body, /* values = */ 0);
  rmq_buf_fini(&body);
  return rc == 0 ? 0 : refuse(r, /* values = */ 0);
}

void rmq_role_publish_flush(struct rmq_role_publish *r) {
  for (unsigned i = 0; i < r->lanes_count; i++)
    rmq_publish_lane_wake(r->lanes[i]);
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

void rmq_role_publish_report(struct rmq_role_publish *r,
                             struct rmq_dur interval) {
  if (!r->options->connection.report_stats)
    return;
  struct rmq_publisher_snapshot s;
  struct rmq_publish_report report;
  snapshot(r, /* take_latency = */ true, &s);
  struct rmq_publish_sessions all = sessions(r);
  rmq_publish_report_fill(&report, &s, &all, &r->reported, &r->errors, mono(r));
  struct rmq_series_report to = {.host = r->host,
                                 .object = &r->object,
                                 .time = wall(r),
                                 .interval = interval};
  rmq_series_emit_all(&to, rmq_publish_series_table, RMQ_SERIES_BLOCK, &report);
}
