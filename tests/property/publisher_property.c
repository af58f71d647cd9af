/* SPDX-License-Identifier: MIT */
/* A publisher on a real connection machine against a broker that confirms in
 * any order, refuses, blocks, forgets, closes and dies by chance. After every
 * event the counters balance; at the end each accepted message was acked by the
 * broker or was given up with a reason, and what was published again kept its
 * message-id and its place. */
#include "rmq_config.h"

#include "common/amqp/publisher.h"
#include "common/base/uuid.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"
#include "tests/fake/server.h"
#include "tests/prop.h"

enum { SEQUENCES = 120, EVENTS = 150, MESSAGES_MAX = 4000 };
/* Some sequences fill the connection's output, and RAM for a while. */
enum { SMALL_BODY = 16, LARGE_BODY = 40000 };

struct world {
  struct prop *prop;
  struct fake_rig *rig;
  struct fake_server *server;
  struct rmq_publisher *publisher;
  bool refuses; /* the broker may nack and return */
  size_t body_len;
  size_t accepted;
  bool was_given_up[MESSAGES_MAX + 1], was_acked[MESSAGES_MAX + 1];
};

/* ---- wiring ---- */

static size_t seq_of(const char *id) {
  const char *colon = strrchr(id, ':');
  assert_non_null(colon);
  return (size_t)strtoull(colon + 1, NULL, 10);
}

static void on_given_up(void *ctx, const struct rmq_publisher_given_up *g) {
  struct world *w = ctx;
  assert_true(w->refuses);
  assert_false(w->was_given_up[seq_of(g->m->id)]);
  w->was_given_up[seq_of(g->m->id)] = true;
}

static void on_refused(void *ctx, const struct rmq_message *m,
                       enum rmq_publish_refusal why) {
  const struct world *w = ctx;
  (void)m, (void)why;
  assert_true(w->refuses);
}

static void on_prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  rmq_uuid_message_id(rmq_uuid_from_bits(1, 2), m->seq, m->id);
  m->is_prepared = true;
}

static void on_wake(void *ctx) { (void)ctx; }

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  rmq_publisher_changed(((struct world *)ctx)->publisher, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  rmq_publisher_ready(((struct world *)ctx)->publisher, epoch, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  rmq_publisher_lost(((struct world *)ctx)->publisher, now);
}

static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  rmq_publisher_confirmed(((struct world *)ctx)->publisher, epoch, seqno,
                          multiple, is_nack, now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                     struct rmq_mono now) {
  (void)now;
  rmq_publisher_returned(((struct world *)ctx)->publisher, epoch, r);
}

static struct fake_broker *connect_to(void *ctx, const struct rmq_endpoint *e) {
  return fake_server_connect(ctx, e);
}

static void begin(struct world *w, struct prop *p) {
  static const size_t windows[] = {1, 2, 7, 64};
  static const enum fake_split splits[] = {FAKE_WHOLE, FAKE_RANDOM};
  enum fake_split split = splits[prop_below(p, COUNT_OF(splits))];
  uint32_t seed = (uint32_t)prop_next(p) | 1;
  *w = (struct world){.prop = p,
                      .refuses = prop_chance(p, 50),
                      .body_len = prop_chance(p, 5) ? LARGE_BODY : SMALL_BODY};
  struct rmq_publisher_config config = {
      .exchange = "x",
      .is_mandatory = true,
      .is_persistent = true,
      .app_id = "warren",
      .window = windows[prop_below(p, COUNT_OF(windows))],
      .confirm_timeout = rmq_s(30),
      .max_attempts = 1 + (unsigned)prop_below(p, 4),
      .on_return = prop_chance(p, 80) ? RMQ_REFUSAL_RETRY : RMQ_REFUSAL_DROP,
      .on_nack = prop_chance(p, 80) ? RMQ_REFUSAL_RETRY : RMQ_REFUSAL_DROP,
      .retry_min = rmq_s(1),
      .retry_max = rmq_s(60),
      .wants_confirms = true,
      .fifo = {.max_messages = MESSAGES_MAX,
               .max_bytes = 64 << 20,
               .read_ahead = 16},
  };
  const struct rmq_publisher_handlers handlers = {w, on_given_up, on_refused,
                                                  on_prepare, on_wake};
  PROP_TRACE(p, "window %zu, refuses %d", config.window, w->refuses);
  w->publisher = rmq_publisher_new(&config, &handlers, seed);
  w->server = fake_server_new(split, seed);
  fake_server_exchange(w->server, "x", "topic");
  fake_server_queue(w->server, "q");
  fake_server_bind(w->server, "q", "x", "#");
  w->rig = fake_rig_new(split, seed);
  w->rig->connect = connect_to;
  w->rig->connect_ctx = w->server;
  w->rig->config.wants_confirms = true;
  w->rig->also = (struct rmq_connection_handlers){.ctx = w,
                                                  .changed = changed,
                                                  .ready = ready,
                                                  .lost = lost,
                                                  .confirmed = confirmed,
                                                  .returned = returned};
  fake_rig_start(w->rig);
  rmq_publisher_attach(w->publisher, w->rig->connection);
}

static void end(struct world *w) {
  fake_rig_free(w->rig);
  fake_server_free(w->server);
  rmq_publisher_free(w->publisher);
}

/* ---- what happens ---- */

static void must_balance(struct world *w) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(w->publisher, false, &s);
  uint64_t ended =
      s.counters.confirmed + s.counters.returned + s.counters.rejected;
  assert_int_equal(s.counters.accepted, w->accepted);
  assert_int_equal(s.counters.accepted, ended + s.outbox + s.in_flight);
  assert_int_equal(s.counters.dropped[RMQ_PUBLISHER_DROP_overflow], 0);
  assert_int_equal(s.counters.stray, 0);
  assert_true(s.counters.published >= w->server->arrivals_count);
}

/* A worker's turn, until nothing moves; when the publisher wants the next. */
static struct rmq_mono turn(struct world *w) {
  struct rmq_mono due = RMQ_NEVER;
  size_t before;
  do {
    before = w->server->arrivals_count;
    fake_rig_run(w->rig);
    due = rmq_publisher_step(w->publisher, w->rig->now, (struct rmq_wall){0});
    fake_rig_run(w->rig);
  } while (w->server->arrivals_count != before);
  must_balance(w);
  if (fake_tell(fake_server_failure(w->server)))
    fail();
  return due;
}

/* To the next deadline of anybody. */
static void let_time_pass(struct world *w) {
  struct rmq_connection *c = w->rig->connection;
  struct rmq_mono due = turn(w);
  due = rmq_mono_min(due, rmq_connection_next_deadline(c));
  if (rmq_mono_is_never(due))
    return;
  if (!rmq_mono_reached(w->rig->now, due))
    w->rig->now = due;
  rmq_connection_tick(c, w->rig->now);
  fake_server_tick(w->server, w->rig->now.ns);
  turn(w);
}

/* Valid until the next call. */
static const char *body_of(const struct world *w, size_t seq) {
  static char body[LARGE_BODY];
  memset(body, 'x', w->body_len);
  memcpy(body, &seq, sizeof(seq));
  return body;
}

static void accept_one(struct world *w) {
  struct rmq_message *m =
      rmq_message_new("k", body_of(w, w->accepted + 1), w->body_len);
  assert_non_null(m);
  m->content_type = "text/collectd";
  m->values = 1;
  m->seq = ++w->accepted;
  size_t dropped = 0;
  rmq_publisher_accept(w->publisher, m, &dropped);
  assert_int_equal(dropped, 0);
}

static void change_policy(struct world *w) {
  static const enum fake_policy acking[] = {
      FAKE_ACK_EACH, FAKE_ACK_EVERY, FAKE_ACK_SHUFFLED, FAKE_CONFIRM_NOTHING};
  static const enum fake_policy any[] = {
      FAKE_ACK_EACH,    FAKE_ACK_EVERY,       FAKE_ACK_SHUFFLED,
      FAKE_NACK_EACH,   FAKE_RETURN_EACH,     FAKE_NACK_SOME,
      FAKE_RETURN_SOME, FAKE_CONFIRM_NOTHING, FAKE_CONFIRM_ANYHOW};
  struct prop *p = w->prop;
  w->server->policy = w->refuses ? any[prop_below(p, COUNT_OF(any))]
                                 : acking[prop_below(p, COUNT_OF(acking))];
  w->server->every = 1 + (unsigned)prop_below(p, 9);
  w->server->forgets_percent = (unsigned)prop_below(p, 101);
}

static void fault(struct world *w) {
  struct prop *p = w->prop;
  switch (prop_below(p, 7)) {
  case 0:
    fake_server_drop(w->server, prop_chance(p, 50));
    break;
  case 1:
    fake_server_close(w->server, 320, "CONNECTION_FORCED");
    break;
  case 2:
    fake_server_close_channel(w->server, 404, "NOT_FOUND");
    break;
  case 3:
    fake_server_block(w->server, true);
    break;
  case 4:
    fake_server_block(w->server, false);
    break;
  case 5:
    fake_server_set_down(w->server, prop_chance(p, 50));
    break;
  default:
    rmq_connection_fail(w->rig->connection, "a test", w->rig->now);
    break;
  }
}

static void event(struct world *w) {
  struct prop *p = w->prop;
  size_t what = prop_below(p, 100), n;
  PROP_TRACE(p, "event %zu, accepted %zu, arrived %zu", what, w->accepted,
             w->server->arrivals_count);
  if (what < 45) {
    for (n = prop_below(p, 12); n > 0 && w->accepted < MESSAGES_MAX; n--)
      accept_one(w);
  } else if (what < 70) {
    let_time_pass(w);
  } else if (what < 80) {
    change_policy(w);
  } else if (what < 88) {
    fake_server_flush(w->server);
  } else {
    fault(w);
  }
  turn(w);
}

/* ---- what must be true at the end ---- */

static void calm_down(struct world *w) {
  w->server->policy = FAKE_ACK_EACH;
  w->server->forgets_percent = 0;
  fake_server_set_down(w->server, false);
  fake_server_block(w->server, false);
  fake_server_flush(w->server);
  for (int i = 0; i < 3000; i++) {
    turn(w);
    if (rmq_publisher_is_drained(w->publisher))
      return;
    let_time_pass(w);
  }
  fail_msg("not drained: the state is %s",
           rmq_session_state_to_str(fake_rig_state(w->rig)));
}

/* The same id means the same message, however often it was published; in one
 * life of a channel the order is that of acceptance, unless refused messages
 * came again later. */
static void check_arrivals(struct world *w) {
  size_t last = 0;
  for (size_t i = 0; i < w->server->arrivals_count; i++) {
    const struct fake_arrival *a = &w->server->arrivals[i];
    size_t seq = seq_of(a->id);
    assert_int_equal(a->body.len, w->body_len);
    assert_memory_equal(a->body.data, body_of(w, seq), w->body_len);
    assert_true(seq >= 1 && seq <= w->accepted);
    if (!w->refuses && a->seqno > 1)
      assert_true(seq > last);
    last = seq;
    w->was_acked[seq] |= a->outcome == FAKE_ACKED;
  }
}

static void sequence(struct prop *p) {
  struct world w;
  begin(&w, p);
  for (int i = 0; i < EVENTS; i++)
    event(&w);
  calm_down(&w);
  check_arrivals(&w);
  struct rmq_publisher_snapshot s;
  size_t given_up = 0;
  rmq_publisher_snapshot(w.publisher, false, &s);
  for (size_t seq = 1; seq <= w.accepted; seq++) {
    if (!w.was_acked[seq] && !w.was_given_up[seq])
      fail_msg("message %zu was neither acked nor given up", seq);
    given_up += w.was_given_up[seq];
  }
  assert_int_equal(s.counters.confirmed + given_up, w.accepted);
  assert_int_equal(s.counters.returned + s.counters.rejected, given_up);
  end(&w);
}

static void every_accepted_message_has_one_end(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_accepted_message_has_one_end),
  };
  return run_all(tests);
}
