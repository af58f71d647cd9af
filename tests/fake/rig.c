/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"

const enum fake_split fake_splits[] = {FAKE_WHOLE, FAKE_BYTE_BY_BYTE,
                                       FAKE_RANDOM};

/* More turns than this without rest: the machine or the script loops. */
enum { TURNS_MAX = 2000000 };

static void say(struct fake_rig *r, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void say(struct fake_rig *r, const char *format, ...) {
  char line[1024];
  va_list ap;
  va_start(ap, format);
  vsnprintf(line, sizeof(line), format, ap);
  va_end(ap);
  fake_bytes_printf(&r->events, "%s\n", line);
}

/* ---- what the machine calls ---- */

static int give_password(void *ctx, struct rmq_buf *ret_password,
                         struct rmq_error *err) {
  const struct fake_rig *r = ctx;
  if (r->password == NULL)
    return rmq_error_set(err, "the password file cannot be read");
  return rmq_buf_append_text(ret_password, r->password);
}

static void on_changed(void *ctx, const struct rmq_connection_change *change,
                       struct rmq_mono now) {
  struct fake_rig *r = ctx;
  r->changes++;
  r->last_change = *change;
  snprintf(r->last_reason, sizeof(r->last_reason), "%s", change->reason);
  snprintf(r->last_remedy, sizeof(r->last_remedy), "%s", change->remedy);
  r->last_change.reason = r->last_reason;
  r->last_change.remedy = r->last_remedy;
  say(r, "%s -> %s on %s at %s: %d %s", rmq_session_state_to_str(change->from),
      rmq_session_state_to_str(change->to),
      rmq_session_event_to_str(change->event),
      change->endpoint != NULL ? change->endpoint->host : "none",
      change->reply_code, change->reason);
  if (r->also.changed != NULL)
    r->also.changed(r->also.ctx, change, now);
}

static void on_ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct fake_rig *r = ctx;
  r->readies++;
  r->epoch = epoch;
  say(r, "ready %" PRIu64, epoch);
  if (r->also.ready != NULL)
    r->also.ready(r->also.ctx, epoch, now);
}

static void on_lost(void *ctx, struct rmq_mono now) {
  struct fake_rig *r = ctx;
  r->losts++;
  say(r, "lost");
  if (r->also.lost != NULL)
    r->also.lost(r->also.ctx, now);
}

static void on_confirmed(void *ctx, uint64_t epoch, uint64_t seqno,
                         bool multiple, bool is_nack, struct rmq_mono now) {
  struct fake_rig *r = ctx;
  if (is_nack)
    r->nacks++;
  else
    r->acks++;
  say(r, "%s %" PRIu64 "/%" PRIu64 "%s", is_nack ? "nack" : "ack", epoch, seqno,
      multiple ? " multiple" : "");
  if (r->also.confirmed != NULL)
    r->also.confirmed(r->also.ctx, epoch, seqno, multiple, is_nack, now);
}

static void on_returned(void *ctx, uint64_t epoch,
                        const struct rmq_returned *returned,
                        struct rmq_mono now) {
  struct fake_rig *r = ctx;
  r->returns++;
  r->last_returned = *returned;
  say(r, "returned %" PRIu64 " %u %s exchange=%s key=%s id=%s", epoch,
      returned->code, returned->text, returned->exchange, returned->routing_key,
      returned->message_id);
  if (r->also.returned != NULL)
    r->also.returned(r->also.ctx, epoch, returned, now);
}

static void on_delivered(void *ctx, uint64_t epoch,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  struct fake_rig *r = ctx;
  int shown = d->body.len < 60 ? (int)d->body.len : 60;
  r->deliveries++;
  r->last_delivery = *d;
  say(r,
      "delivered %" PRIu64 "/%" PRIu64 "%s%s%s id=%s %" PRIu64 " bytes: %.*s",
      epoch, d->tag, d->is_redelivered ? " redelivered" : "",
      d->is_oversized ? " oversized" : "", d->is_malformed ? " malformed" : "",
      d->message_id, d->body_size, shown,
      d->body.bytes != NULL ? d->body.bytes : "");
  if (r->also.delivered != NULL)
    r->also.delivered(r->also.ctx, epoch, d, now);
}

static void on_cancelled(void *ctx, struct rmq_mono now) {
  struct fake_rig *r = ctx;
  r->cancels++;
  say(r, "cancelled");
  if (r->also.cancelled != NULL)
    r->also.cancelled(r->also.ctx, now);
}

static bool on_is_settled(void *ctx) {
  struct fake_rig *r = ctx;
  return r->also.is_settled == NULL || r->also.is_settled(r->also.ctx);
}

/* ---- life ---- */

static const struct rmq_connection_config CONFIG = {
    .endpoints_count = 1,
    .vhost = "/",
    .user = "guest",
    .connection_name = "warren test",
    .product = "warren",
    .version = "0",
    .heartbeat = {30 * RMQ_NS_PER_S},
    .connect_timeout = {5 * RMQ_NS_PER_S},
    .rpc_timeout = {10 * RMQ_NS_PER_S},
    .retry_min = {1 * RMQ_NS_PER_S},
    .retry_max = {60 * RMQ_NS_PER_S},
    .refused_delay = {300 * RMQ_NS_PER_S},
    .max_message_bytes = 1 << 20,
};

struct fake_rig *fake_rig_new(enum fake_split split, uint32_t seed) {
  struct fake_rig *r = calloc(1, sizeof(*r));
  if (r == NULL)
    abort();
  r->config = CONFIG;
  r->endpoints[0] = (struct rmq_endpoint){"first", 5672};
  r->endpoints[1] = (struct rmq_endpoint){"second", 5672};
  r->endpoints[2] = (struct rmq_endpoint){"third", 5672};
  r->config.endpoints = r->endpoints;
  r->config.password = give_password;
  r->config.password_ctx = r;
  r->password = "guest";
  r->split = split;
  r->seed = seed != 0 ? seed : 1;
  r->now = (struct rmq_mono){1000 * RMQ_NS_PER_S};
  return r;
}

static void show_events(const struct fake_rig *r) {
  struct fake_bytes copy = {0};
  fake_bytes_put(&copy, r->events.data, r->events.len);
  printf("# events:\n");
  fake_tell(fake_bytes_text(&copy));
  fake_bytes_fini(&copy);
}

/* The link is over: was its script fulfilled? */
static void end_broker(struct fake_rig *r) {
  if (r->broker == NULL)
    return;
  fake_bytes_drop(&r->held, r->held.len);
  fake_broker_client_closed(r->broker);
  bool is_bad = fake_tell(fake_broker_finish(r->broker));
  r->broker = NULL;
  if (is_bad) {
    show_events(r);
    fail();
  }
}

void fake_rig_free(struct fake_rig *r) {
  if (r == NULL)
    return;
  if (r->broker != NULL)
    end_broker(r);
  for (size_t i = 0; i < r->brokers_count; i++) {
    bool was_used = i < r->brokers_used;
    fake_broker_free(r->brokers[i]);
    if (!was_used) {
      show_events(r);
      fail_msg("broker %zu of %zu was never connected to", i + 1,
               r->brokers_count);
    }
  }
  if (!r->is_borrowed)
    rmq_connection_free(r->connection);
  fake_bytes_fini(&r->events);
  fake_bytes_fini(&r->held);
  free(r);
}

struct fake_broker *fake_rig_next_broker(struct fake_rig *r) {
  assert_true(r->brokers_count < FAKE_RIG_BROKERS);
  struct fake_broker *b =
      fake_broker_new(r->split, r->seed + (uint32_t)r->brokers_count);
  r->brokers[r->brokers_count++] = b;
  return b;
}

void fake_rig_start(struct fake_rig *r) {
  struct rmq_connection_handlers h = {
      .ctx = r,
      .changed = on_changed,
      .ready = on_ready,
      .lost = on_lost,
      .confirmed = on_confirmed,
      .returned = on_returned,
      .delivered = on_delivered,
      .cancelled = on_cancelled,
      .is_settled = on_is_settled,
  };
  r->connection = rmq_connection_new(&r->config, &h, r->seed);
  assert_non_null(r->connection);
  rmq_connection_start(r->connection, r->now);
  fake_rig_run(r);
}

void fake_rig_start_with(struct fake_rig *r, struct rmq_connection *c) {
  r->connection = c;
  r->is_borrowed = true;
  rmq_connection_start(c, r->now);
  fake_rig_run(r);
}

/* ---- bytes ---- */

static uint32_t next_random(struct fake_rig *r) {
  r->seed = r->seed * 1664525 + 1013904223;
  return r->seed >> 16;
}

static size_t piece(struct fake_rig *r, size_t len) {
  switch (r->split) {
  case FAKE_WHOLE:
    return len;
  case FAKE_BYTE_BY_BYTE:
    return 1;
  case FAKE_RANDOM:
    break;
  }
  return 1 + next_random(r) % (len < 64 ? len : 64);
}

/* One piece of what the machine wants to send. */
static bool carry_out(struct fake_rig *r) {
  struct rmq_buf *out = rmq_connection_output(r->connection);
  if (out->len > r->output_most)
    r->output_most = out->len;
  if (out->len == 0 || r->broker == NULL)
    return false;
  size_t len = piece(r, out->len);
  fake_broker_input(r->broker, rmq_buf_bytes(out), len);
  rmq_buf_consume(out, len);
  return true;
}

static size_t give(struct fake_rig *r, const uint8_t *bytes, size_t len) {
  return rmq_connection_input(r->connection, (const char *)bytes, len, r->now);
}

static bool carry_in(struct fake_rig *r) {
  const uint8_t *bytes;
  size_t len;
  if (r->broker == NULL || rmq_connection_is_held(r->connection))
    return false;
  if (r->held.len > 0) {
    size_t left = give(r, r->held.data, r->held.len);
    fake_bytes_drop(&r->held, r->held.len - left);
    return true;
  }
  if (!fake_broker_output(r->broker, &bytes, &len))
    return false;
  size_t left = give(r, bytes, len);
  fake_bytes_put(&r->held, bytes + len - left, left);
  return true;
}

static struct fake_broker *choose_broker(struct fake_rig *r,
                                         const struct rmq_endpoint *e) {
  if (r->connect != NULL)
    return r->connect(r->connect_ctx, e);
  if (r->brokers_used == r->brokers_count)
    return NULL;
  return r->brokers[r->brokers_used++];
}

/* Follows the machine's wish for a link. */
static bool follow_wish(struct fake_rig *r) {
  struct rmq_link_wish wish = rmq_connection_link_wish(r->connection);
  if (wish.number == r->link_number)
    return false;
  r->link_number = wish.number;
  while (carry_out(r))
    ;
  end_broker(r);
  r->link_host = wish.endpoint != NULL ? wish.endpoint->host : NULL;
  if (wish.endpoint == NULL)
    return true;
  r->links_count++;
  r->broker = choose_broker(r, wish.endpoint);
  if (r->broker != NULL)
    rmq_connection_link_up(r->connection, r->now);
  return true;
}

static bool notice_eof(struct fake_rig *r) {
  if (r->broker == NULL || !fake_broker_is_eof(r->broker) ||
      rmq_connection_is_held(r->connection))
    return false;
  bool was_reset = fake_broker_is_reset(r->broker);
  end_broker(r);
  rmq_connection_link_down(
      r->connection, was_reset ? "connection reset by peer" : "end of file",
      r->now);
  return true;
}

static void must_not_have_failed(struct fake_rig *r) {
  if (r->broker != NULL && fake_tell(fake_broker_failure(r->broker))) {
    show_events(r);
    fail();
  }
}

/* Both directions advance a piece at a time, so that they interleave. */
void fake_rig_run(struct fake_rig *r) {
  for (int turn = 0; turn < TURNS_MAX; turn++) {
    bool has_moved = follow_wish(r);
    has_moved |= carry_out(r);
    has_moved |= carry_in(r);
    must_not_have_failed(r);
    if (!has_moved && !notice_eof(r))
      return;
  }
  show_events(r);
  fail_msg("no rest after %d turns", TURNS_MAX);
}

/* ---- time ---- */

void fake_rig_wait(struct fake_rig *r, struct rmq_dur d) {
  r->now = rmq_mono_add(r->now, d);
  fake_rig_run(r);
}

struct rmq_dur fake_rig_advance(struct fake_rig *r) {
  struct rmq_mono before = r->now;
  struct rmq_mono next = rmq_connection_next_deadline(r->connection);
  if (rmq_mono_is_never(next)) {
    show_events(r);
    fail_msg("there is no deadline to wait for");
  }
  if (!rmq_mono_reached(r->now, next))
    r->now = next;
  rmq_connection_tick(r->connection, r->now);
  fake_rig_run(r);
  if (rmq_mono_reached(r->now, rmq_connection_next_deadline(r->connection))) {
    show_events(r);
    fail_msg("a deadline that was reached is still due: a worker would spin");
  }
  return rmq_mono_since(r->now, before);
}

void fake_rig_pass(struct fake_rig *r, struct rmq_dur d) {
  struct rmq_mono end = rmq_mono_add(r->now, d);
  while (!rmq_mono_is_never(rmq_connection_next_deadline(r->connection)) &&
         rmq_connection_next_deadline(r->connection).ns <= end.ns)
    fake_rig_advance(r);
  r->now = end;
}

void fake_rig_link_fails(struct fake_rig *r, const char *reason) {
  assert_null(r->broker);
  rmq_connection_link_down(r->connection, reason, r->now);
  fake_rig_run(r);
}

void fake_rig_stop(struct fake_rig *r) {
  rmq_connection_stop(r->connection, r->now);
  fake_rig_run(r);
}

bool fake_rig_publish(struct fake_rig *r, const char *id, const char *body) {
  if (!rmq_connection_can_publish(r->connection))
    return false;
  struct rmq_wire_publish p = {
      .exchange = "x",
      .routing_key = "k",
      .is_mandatory = true,
      .is_persistent = true,
      .content_type = "text/collectd",
      .message_id = id,
      .app_id = "warren",
      .timestamp_ms = 1700000000123,
      .body = rmq_span_of(body),
  };
  assert_int_equal(rmq_connection_publish(r->connection, &p), 0);
  fake_rig_run(r);
  return true;
}

/* ---- asserting ---- */

enum rmq_session_state fake_rig_state(const struct fake_rig *r) {
  return rmq_connection_state(r->connection);
}

void fake_rig_must_be(struct fake_rig *r, enum rmq_session_state want) {
  enum rmq_session_state got = fake_rig_state(r);
  if (got == want)
    return;
  show_events(r);
  fail_msg("the state is %s, wanted %s", rmq_session_state_to_str(got),
           rmq_session_state_to_str(want));
}

static bool says(struct fake_rig *r, const char *text) {
  return strstr(fake_bytes_text(&r->events), text) != NULL;
}

void fake_rig_must_say(struct fake_rig *r, const char *text) {
  if (says(r, text))
    return;
  show_events(r);
  fail_msg("no event says '%s'", text);
}

void fake_rig_must_not_say(struct fake_rig *r, const char *text) {
  if (!says(r, text))
    return;
  show_events(r);
  fail_msg("an event says '%s'", text);
}

void fake_rig_forget_events(struct fake_rig *r) { r->events.len = 0; }
