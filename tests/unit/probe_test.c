/* SPDX-License-Identifier: MIT */
/* The canary on a real connection machine, against a broker that keeps
 * exchanges, queues and bindings, and misbehaves as it is told. */
#include "rmq_config.h"

#include "common/amqp/probe.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#include "tests/fake/rig.h"
#include "tests/fake/server.h"

static const struct rmq_dur INTERVAL = {10 * RMQ_NS_PER_S};
static const struct rmq_dur TIMEOUT = {4 * RMQ_NS_PER_S};
static const struct rmq_wall TIME = {1700000000 * RMQ_NS_PER_S};

struct fixture {
  struct fake_rig *rig;
  struct fake_server *server;
  struct rmq_probe probe;
  size_t ended;
  enum rmq_probe_verdict verdict; /* of the round that ended last */
};

static void on_ended(void *ctx, enum rmq_probe_verdict v) {
  struct fixture *f = ctx;
  f->ended++;
  f->verdict = v;
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  (void)epoch;
  (void)now;
  rmq_probe_ready(&((struct fixture *)ctx)->probe);
}

static void lost(void *ctx, struct rmq_mono now) {
  (void)now;
  rmq_probe_lost(&((struct fixture *)ctx)->probe);
}

static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  (void)epoch;
  rmq_probe_confirmed(&((struct fixture *)ctx)->probe, seqno, multiple, is_nack,
                      now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                     struct rmq_mono now) {
  (void)epoch;
  rmq_probe_returned(&((struct fixture *)ctx)->probe, r, now);
}

static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  (void)epoch;
  rmq_probe_delivered(&((struct fixture *)ctx)->probe, d, now);
}

static struct fake_broker *connect_to(void *ctx, const struct rmq_endpoint *e) {
  return fake_server_connect(ctx, e);
}

/* key leads to the probe's own queue when it is "probe", to another one when
 * it is "elsewhere", and nowhere otherwise. */
static struct fixture *begin(enum fake_policy policy, const char *key) {
  static const struct rmq_wire_queue queue = {.name = "q",
                                              .is_exclusive = true};
  static const struct rmq_binding binding = {"amq.direct", "probe"};
  struct fixture *f = calloc(1, sizeof(*f));
  assert_non_null(f);
  f->server = fake_server_new(FAKE_WHOLE, 5);
  f->server->policy = policy;
  fake_server_exchange(f->server, "amq.direct", "direct");
  fake_server_queue(f->server, "other");
  fake_server_bind(f->server, "other", "amq.direct", "elsewhere");
  f->rig = fake_rig_new(FAKE_WHOLE, 5);
  f->rig->connect = connect_to;
  f->rig->connect_ctx = f->server;
  f->rig->config.queue = &queue;
  f->rig->config.bindings = &binding;
  f->rig->config.bindings_count = 1;
  f->rig->config.wants_confirms = true;
  f->rig->config.prefetch = 10;
  f->rig->config.consumer_tag = "w";
  f->rig->config.heartbeat = rmq_s(0);
  f->rig->also = (struct rmq_connection_handlers){.ctx = f,
                                                  .ready = ready,
                                                  .lost = lost,
                                                  .confirmed = confirmed,
                                                  .returned = returned,
                                                  .delivered = delivered};
  const struct rmq_probe_config config = {.exchange = "amq.direct",
                                          .routing_key = key,
                                          .app_id = "test",
                                          .interval = INTERVAL,
                                          .timeout = TIMEOUT,
                                          .instance = rmq_uuid_from_bits(1, 2)};
  rmq_probe_init(&f->probe, &config, f, on_ended);
  return f;
}

static void start(struct fixture *f) {
  fake_rig_start(f->rig);
  rmq_probe_attach(&f->probe, f->rig->connection);
}

static void end(struct fixture *f) {
  assert_false(fake_tell(fake_server_failure(f->server)));
  fake_rig_free(f->rig);
  fake_server_free(f->server);
  free(f);
}

/* The worker's turn, until nothing moves; when it wants the next one. */
static struct rmq_mono turn(struct fixture *f) {
  struct rmq_mono due = RMQ_NEVER;
  for (int i = 0; i < 4; i++) {
    fake_rig_run(f->rig);
    due = rmq_probe_step(&f->probe, f->rig->now, TIME);
    fake_rig_run(f->rig);
  }
  return due;
}

/* Turns at every deadline of probe and connection while d passes. */
static void pass(struct fixture *f, struct rmq_dur d) {
  struct rmq_mono until = rmq_mono_add(f->rig->now, d);
  for (;;) {
    struct rmq_mono due = turn(f);
    due = rmq_mono_min(due, rmq_connection_next_deadline(f->rig->connection));
    if (!rmq_mono_reached(until, due))
      break;
    if (!rmq_mono_reached(f->rig->now, due))
      f->rig->now = due;
    rmq_connection_tick(f->rig->connection, f->rig->now);
  }
  f->rig->now = until;
  turn(f);
}

static void a_message_that_is_confirmed_and_comes_back_passes(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_ACK_EACH, "probe");
  start(f);
  struct rmq_mono began = f->rig->now;
  assert_int_equal(turn(f).ns, rmq_mono_add(began, INTERVAL).ns);
  assert_int_equal(f->ended, 1);
  assert_int_equal(f->verdict, RMQ_PROBE_PASSED);
  struct rmq_probe_result r = rmq_probe_take(&f->probe);
  assert_int_equal(r.verdict, RMQ_PROBE_PASSED);
  assert_true(r.confirm_s == 0 && r.delivery_s == 0);
  /* What was taken is not told again; the verdict stays. */
  r = rmq_probe_take(&f->probe);
  assert_true(isnan(r.confirm_s) && isnan(r.delivery_s));
  assert_int_equal(r.verdict, RMQ_PROBE_PASSED);
  end(f);
}

static void each_interval_has_one_message_with_an_id_of_its_own(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_ACK_EACH, "probe");
  start(f);
  pass(f, rmq_s(35));
  assert_int_equal(f->server->arrivals_count, 4); /* at 0, 10, 20, 30 s */
  assert_int_equal(f->ended, 4);
  for (size_t i = 1; i < 4; i++)
    assert_string_not_equal(f->server->arrivals[i].id,
                            f->server->arrivals[i - 1].id);
  assert_int_equal(fake_server_count(f->server, "q", FAKE_DONE), 4);
  end(f);
}

static void a_host_that_slept_sends_one_message_and_not_all(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_ACK_EACH, "probe");
  start(f);
  turn(f);
  f->rig->now = rmq_mono_add(f->rig->now, rmq_s(3600));
  turn(f);
  assert_int_equal(f->server->arrivals_count, 2);
  pass(f, rmq_s(9));
  assert_int_equal(f->server->arrivals_count, 2);
  end(f);
}

static void what_is_missing_at_the_timeout_is_the_verdict(void **state) {
  (void)state;
  static const struct {
    enum fake_policy policy;
    const char *key;
    enum rmq_probe_verdict want;
    bool want_at_once;
  } rows[] = {
      {FAKE_CONFIRM_NOTHING, "probe", RMQ_PROBE_UNCONFIRMED, false},
      {FAKE_ACK_EACH, "elsewhere", RMQ_PROBE_UNDELIVERED, false},
      {FAKE_ACK_EACH, "nowhere", RMQ_PROBE_RETURNED, true},
      {FAKE_RETURN_EACH, "probe", RMQ_PROBE_RETURNED, true},
      {FAKE_NACK_EACH, "probe", RMQ_PROBE_NACKED, true},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture *f = begin(rows[i].policy, rows[i].key);
    start(f);
    turn(f);
    assert_int_equal(f->ended, rows[i].want_at_once);
    pass(f, TIMEOUT);
    assert_int_equal(f->ended, 1);
    assert_int_equal(f->verdict, rows[i].want);
    /* The broker is well again, or the queue is not: the next round tells. */
    f->server->policy = FAKE_ACK_EACH;
    f->probe.config.routing_key = "probe";
    pass(f, rmq_s(6));
    assert_int_equal(f->ended, 2);
    assert_int_equal(f->verdict, RMQ_PROBE_PASSED);
    end(f);
  }
}

static void a_broker_that_is_not_there_fails_the_first_round(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_ACK_EACH, "probe");
  fake_server_set_down(f->server, true);
  start(f);
  turn(f);
  assert_int_equal(rmq_probe_take(&f->probe).verdict, RMQ_PROBE_UNKNOWN);
  pass(f, TIMEOUT);
  assert_int_equal(f->verdict, RMQ_PROBE_NOT_CONNECTED);
  end(f);
}

static void an_alarm_is_told_apart_from_a_broker_that_is_slow(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_ACK_EACH, "probe");
  start(f);
  turn(f);
  fake_server_block(f->server, true);
  pass(f, rmq_s(15)); /* due at 10, over at 14 */
  assert_int_equal(f->ended, 2);
  assert_int_equal(f->verdict, RMQ_PROBE_BLOCKED);
  fake_server_block(f->server, false);
  pass(f, rmq_s(6));
  assert_int_equal(f->verdict, RMQ_PROBE_PASSED);
  end(f);
}

/* The confirm is lost with the connection; another message takes the place. */
static void a_connection_that_is_back_in_time_costs_no_round(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_CONFIRM_NOTHING, "probe");
  start(f);
  turn(f);
  assert_int_equal(f->ended, 0);
  fake_server_drop(f->server, true);
  f->server->policy = FAKE_ACK_EACH;
  pass(f, rmq_s(3));
  assert_int_equal(f->ended, 1);
  assert_int_equal(f->verdict, RMQ_PROBE_PASSED);
  assert_int_equal(f->server->arrivals_count, 2);
  end(f);
}

static void
a_confirm_that_comes_too_late_says_nothing_of_the_next_round(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_CONFIRM_NOTHING, "probe");
  start(f);
  pass(f, rmq_s(11)); /* the second message is out */
  assert_int_equal(f->server->arrivals_count, 2);
  rmq_probe_confirmed(&f->probe, 1, false, false, f->rig->now);
  assert_false(f->probe.is_confirmed);
  assert_int_equal(f->ended, 1);
  rmq_probe_confirmed(&f->probe, 2, true, false, f->rig->now);
  assert_int_equal(f->verdict, RMQ_PROBE_PASSED);
  end(f);
}

static void a_message_of_somebody_else_is_taken_and_counted(void **state) {
  (void)state;
  struct fixture *f = begin(FAKE_ACK_EACH, "probe");
  start(f);
  turn(f);
  fake_server_put(f->server, "q", "foreign", NULL, "x", 1);
  turn(f);
  assert_int_equal(rmq_probe_take(&f->probe).counters.strays, 1);
  assert_int_equal(fake_server_count(f->server, "q", FAKE_DONE), 2);
  end(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_that_is_confirmed_and_comes_back_passes),
      cmocka_unit_test(each_interval_has_one_message_with_an_id_of_its_own),
      cmocka_unit_test(a_host_that_slept_sends_one_message_and_not_all),
      cmocka_unit_test(what_is_missing_at_the_timeout_is_the_verdict),
      cmocka_unit_test(a_broker_that_is_not_there_fails_the_first_round),
      cmocka_unit_test(an_alarm_is_told_apart_from_a_broker_that_is_slow),
      cmocka_unit_test(a_connection_that_is_back_in_time_costs_no_round),
      cmocka_unit_test(
          a_confirm_that_comes_too_late_says_nothing_of_the_next_round),
      cmocka_unit_test(a_message_of_somebody_else_is_taken_and_counted),
  };
  return run_all(tests);
}
