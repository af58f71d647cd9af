/* SPDX-License-Identifier: MIT */
/* Leaving a host on our own wish: for a better one, or for one without an
 * alarm. */
#include "rmq_config.h"

#include "tests/testing.h"

#include "tests/fake/rig.h"

#include <string.h>

static const struct rmq_wire_queue QUEUE = {.name = "q", .is_durable = true};

static struct fake_rig *rig(void **state) {
  const enum fake_split *split = *state;
  struct fake_rig *r = fake_rig_new(*split, 3);
  r->config.endpoints_count = 3;
  r->config.heartbeat = rmq_s(0);
  r->config.wants_confirms = true;
  r->config.failback_interval = rmq_s(100);
  return r;
}

static struct fake_broker *broker(struct fake_rig *r) {
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_script_confirm(b);
  return b;
}

/* Ready at the third host, because the others did not answer. */
static void start_at_third(struct fake_rig *r) {
  size_t brokers = r->brokers_count;
  r->brokers_count = r->brokers_used; /* nobody listens yet */
  fake_rig_start(r);
  for (int i = 0; i < 2; i++) {
    if (i == 1)
      r->brokers_count = brokers;
    fake_rig_link_fails(r, "connection refused");
    fake_rig_advance(r);
  }
  assert_string_equal(r->link_host, "third");
  fake_rig_must_be(r, RMQ_SESSION_READY);
}

static const char *probed_host(const struct fake_rig *r) {
  struct rmq_link_wish wish = rmq_connection_probe_wish(r->connection);
  return wish.endpoint == NULL ? "nobody" : wish.endpoint->host;
}

static void probe_says(struct fake_rig *r, bool is_listening) {
  rmq_connection_probed(r->connection, is_listening, r->now);
  fake_rig_run(r);
}

/* Time passes until somebody is probed; between the interval and a quarter
 * more. */
static void wait_for_probe(struct fake_rig *r) {
  struct rmq_dur d = fake_rig_advance(r);
  assert_true(d.ns >= 100 * RMQ_NS_PER_S && d.ns <= 125 * RMQ_NS_PER_S);
  assert_string_not_equal(probed_host(r), "nobody");
}

static void preferred_host_is_gone_back_to_once_it_listens(void **state) {
  struct fake_rig *r = rig(state);
  fake_script_bye(broker(r));
  broker(r);
  start_at_third(r);
  wait_for_probe(r);
  assert_string_equal(probed_host(r), "first");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  probe_says(r, true);
  assert_string_equal(probed_host(r), "nobody");
  fake_rig_forget_events(r);
  fake_rig_advance(r);
  fake_rig_must_say(r, "closing -> waiting on left at third");
  fake_rig_must_say(r, "going back to first:5672, which listens again");
  assert_int_equal(r->losts, 1);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "first");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_pass(r, rmq_s(1000)); /* and there it stays */
  assert_string_equal(probed_host(r), "nobody");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void nothing_is_left_while_no_better_host_listens(void **state) {
  struct fake_rig *r = rig(state);
  broker(r);
  start_at_third(r);
  for (int i = 0; i < 3; i++) {
    wait_for_probe(r);
    assert_string_equal(probed_host(r), "first");
    probe_says(r, false);
    assert_string_equal(probed_host(r), "second");
    if (i == 1) /* silence is as good as a refusal */
      assert_int_equal(fake_rig_advance(r).ns, r->config.connect_timeout.ns);
    else
      probe_says(r, false);
    assert_string_equal(probed_host(r), "nobody");
  }
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->losts, 0);
  fake_rig_free(r);
}

static void the_one_that_listens_is_gone_to(void **state) {
  struct fake_rig *r = rig(state);
  fake_script_bye(broker(r));
  broker(r);
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, false);
  probe_says(r, true);
  fake_rig_advance(r);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "second");
  wait_for_probe(r); /* there is a still better one */
  assert_string_equal(probed_host(r), "first");
  probe_says(r, false);
  assert_string_equal(probed_host(r), "nobody");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static bool is_settled;
static bool settled(void *ctx) {
  (void)ctx;
  return is_settled;
}

static void
what_is_in_flight_is_confirmed_before_the_host_is_left(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = broker(r);
  fake_expect_publishes(b, 1);
  fake_pause(b);
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_script_bye(b);
  broker(r);
  r->also.is_settled = settled;
  is_settled = false;
  start_at_third(r);
  assert_true(fake_rig_publish(r, "id", "body"));
  wait_for_probe(r);
  assert_true(rmq_connection_can_publish(r->connection));
  probe_says(r, true);
  assert_false(rmq_connection_can_publish(r->connection));
  fake_rig_pass(r, rmq_ms(500));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_broker_resume(b);
  fake_rig_run(r);
  assert_int_equal(r->acks, 1);
  is_settled = true;
  fake_rig_advance(r);
  assert_int_equal(r->losts, 1);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "first");
  assert_true(rmq_connection_can_publish(r->connection));
  fake_rig_free(r);
}

/* Publishing must not stand still for a wish. */
static void publisher_stays_where_confirms_do_not_come(void **state) {
  struct fake_rig *r = rig(state);
  broker(r);
  r->also.is_settled = settled;
  is_settled = false;
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, true);
  assert_false(rmq_connection_can_publish(r->connection));
  fake_rig_pass(r, rmq_ms(10020)); /* the RPC time-out */
  assert_true(rmq_connection_can_publish(r->connection));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  wait_for_probe(r);
  fake_rig_free(r);
}

static void blocked_publisher_stays_until_it_may_publish(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = broker(r);
  fake_pause(b);
  fake_send(b, "connection.blocked", "reason='low on memory'");
  fake_pause(b);
  fake_send(b, "connection.unblocked");
  r->also.is_settled = settled;
  is_settled = false;
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, true);
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  fake_rig_pass(r, rmq_ms(30));
  wait_for_probe(r);
  probe_says(r, true); /* blocked: not now */
  assert_string_equal(probed_host(r), "nobody");
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  fake_broker_resume(b);
  fake_rig_run(r);
  assert_true(rmq_connection_can_publish(r->connection));
  fake_rig_free(r);
}

static void unanswered_close_does_not_keep_us(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = broker(r);
  fake_expect(b, "connection.close");
  fake_silence(b);
  broker(r);
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, true);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_CLOSING);
  fake_rig_pass(r, rmq_s(11));
  assert_string_equal(r->link_host, "first");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void preferred_host_that_fails_after_all_costs_one_round(void **state) {
  struct fake_rig *r = rig(state);
  fake_script_bye(broker(r));
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, true);
  fake_rig_advance(r);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "first");
  broker(r);
  fake_rig_link_fails(r, "connection refused");
  assert_int_equal(fake_rig_advance(r).ns, 0);
  /* the second is still shunned as well; the third worked last */
  assert_string_equal(r->link_host, "second");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void consumer_finishes_what_it_has_before_it_leaves(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = fake_rig_next_broker(r);
  r->config.wants_confirms = false;
  r->config.queue = &QUEUE;
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  for (int i = 0; i < 2; i++) {
    fake_script_login(b, NULL);
    fake_script_channel(b);
    fake_rpc(b, "queue.declare", "queue=q", "queue=q");
    fake_rpc(b, "basic.qos", "", "");
    fake_rpc(b, "basic.consume", "queue=q", "consumer-tag=w");
    if (i == 1)
      break;
    fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1",
                      .body = "b");
    fake_rpc(b, "basic.cancel", "consumer-tag=w", "consumer-tag=w");
    fake_expect(b, "basic.ack", "delivery-tag=1 multiple=0");
    fake_script_bye(b);
    b = fake_rig_next_broker(r);
  }
  r->also.is_settled = settled;
  is_settled = false;
  start_at_third(r);
  assert_int_equal(r->deliveries, 1);
  wait_for_probe(r);
  probe_says(r, true);
  assert_int_equal(r->cancels, 1);
  fake_rig_pass(r, rmq_s(30));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  rmq_connection_ack(r->connection, 1, false);
  is_settled = true;
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY); /* the ack was not sent yet */
  fake_rig_advance(r);
  fake_rig_advance(r);
  assert_string_equal(r->link_host, "first");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void stop_on_the_way_back_is_a_stop(void **state) {
  struct fake_rig *r = rig(state);
  fake_script_bye(broker(r));
  start_at_third(r);
  wait_for_probe(r);
  fake_rig_stop(r);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  assert_string_equal(probed_host(r), "nobody");
  fake_rig_free(r);
  /* while the close for the move is under way */
  r = rig(state);
  struct fake_broker *b = broker(r);
  fake_expect(b, "connection.close");
  fake_pause(b);
  fake_send(b, "connection.close-ok");
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, true);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_CLOSING);
  fake_rig_stop(r);
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_must_be(r, RMQ_SESSION_STOPPED);
  fake_rig_free(r);
}

/* What the daemon's end leaves little time for is not held back. */
static void who_is_about_to_stop_stays_and_publishes(void **state) {
  struct fake_rig *r = rig(state);
  broker(r);
  r->also.is_settled = settled;
  is_settled = false;
  start_at_third(r);
  wait_for_probe(r);
  probe_says(r, true);
  assert_false(rmq_connection_can_publish(r->connection));
  rmq_connection_stay(r->connection);
  assert_true(rmq_connection_can_publish(r->connection));
  is_settled = true;
  assert_true(rmq_mono_is_never(rmq_connection_next_deadline(r->connection)));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void without_a_preference_nobody_is_probed(void **state) {
  for (int i = 0; i < 2; i++) {
    struct fake_rig *r = rig(state);
    broker(r);
    if (i == 0)
      r->config.failback_interval = rmq_s(0);
    else
      r->config.is_random_order = true;
    r->brokers_count = 0;
    fake_rig_start(r);
    fake_rig_link_fails(r, "connection refused");
    r->brokers_count = 1;
    fake_rig_advance(r);
    fake_rig_must_be(r, RMQ_SESSION_READY);
    assert_true(rmq_mono_is_never(rmq_connection_next_deadline(r->connection)));
    fake_rig_free(r);
  }
}

/* ---- blocked for too long ---- */

static struct fake_broker *blocking(struct fake_rig *r) {
  struct fake_broker *b = broker(r);
  fake_send(b, "connection.blocked", "reason='low on memory'");
  fake_silence(b);
  return b;
}

static void broker_with_a_long_alarm_is_left_for_another(void **state) {
  struct fake_rig *r = rig(state);
  r->config.blocked_timeout = rmq_s(60);
  blocking(r);
  broker(r);
  fake_rig_start(r);
  fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
  assert_int_equal(fake_rig_advance(r).ns, 60 * RMQ_NS_PER_S);
  fake_rig_must_say(r, "blocked -> waiting on leave at first");
  fake_rig_must_say(r, "blocked for 60 s, trying another host");
  assert_int_equal(r->losts, 1);
  /* not at once: everybody else is leaving, too */
  assert_true(fake_rig_advance(r).ns >= RMQ_NS_PER_S);
  assert_string_equal(r->link_host, "second");
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void alarm_that_ends_in_time_changes_nothing(void **state) {
  struct fake_rig *r = rig(state);
  r->config.blocked_timeout = rmq_s(60);
  struct fake_broker *b = broker(r);
  fake_send(b, "connection.blocked", "reason='low on memory'");
  fake_pause(b);
  fake_send(b, "connection.unblocked");
  fake_rig_start(r);
  fake_rig_pass(r, rmq_s(59));
  fake_broker_resume(b);
  fake_rig_run(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_true(rmq_mono_is_never(rmq_connection_next_deadline(r->connection)));
  fake_rig_free(r);
}

/* The alarm of a cluster is at every host. */
static void time_doubles_while_every_host_is_blocked(void **state) {
  struct fake_rig *r = rig(state);
  r->config.blocked_timeout = rmq_s(60);
  r->config.failback_interval = rmq_s(0);
  static const int want[] = {1, 2, 4, 8, 16, 16};
  for (size_t i = 0; i < COUNT_OF(want) + 1; i++)
    blocking(r);
  fake_rig_start(r);
  const char *before = "";
  for (size_t i = 0; i < COUNT_OF(want); i++) {
    fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
    assert_string_not_equal(r->link_host, before);
    before = r->link_host;
    assert_int_equal(fake_rig_advance(r).ns, want[i] * 60 * RMQ_NS_PER_S);
    fake_rig_must_be(r, RMQ_SESSION_WAITING);
    fake_rig_advance(r);
  }
  rmq_connection_progress(r->connection);
  fake_rig_free(r);
}

static void alone_or_told_so_it_stays_blocked(void **state) {
  for (int i = 0; i < 2; i++) {
    struct fake_rig *r = rig(state);
    r->config.failback_interval = rmq_s(0);
    if (i == 0) {
      r->config.endpoints_count = 1;
      r->config.blocked_timeout = rmq_s(60);
    }
    blocking(r);
    fake_rig_start(r);
    fake_rig_pass(r, rmq_s(3600));
    fake_rig_must_be(r, RMQ_SESSION_BLOCKED);
    assert_int_equal(r->losts, 0);
    fake_rig_free(r);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      HOWEVER_SPLIT(preferred_host_is_gone_back_to_once_it_listens),
      HOWEVER_SPLIT(the_one_that_listens_is_gone_to),
      HOWEVER_SPLIT(nothing_is_left_while_no_better_host_listens),
      HOWEVER_SPLIT(what_is_in_flight_is_confirmed_before_the_host_is_left),
      HOWEVER_SPLIT(publisher_stays_where_confirms_do_not_come),
      HOWEVER_SPLIT(blocked_publisher_stays_until_it_may_publish),
      HOWEVER_SPLIT(unanswered_close_does_not_keep_us),
      HOWEVER_SPLIT(preferred_host_that_fails_after_all_costs_one_round),
      HOWEVER_SPLIT(consumer_finishes_what_it_has_before_it_leaves),
      HOWEVER_SPLIT(stop_on_the_way_back_is_a_stop),
      HOWEVER_SPLIT(who_is_about_to_stop_stays_and_publishes),
      HOWEVER_SPLIT(without_a_preference_nobody_is_probed),
      HOWEVER_SPLIT(broker_with_a_long_alarm_is_left_for_another),
      HOWEVER_SPLIT(alarm_that_ends_in_time_changes_nothing),
      HOWEVER_SPLIT(time_doubles_while_every_host_is_blocked),
      HOWEVER_SPLIT(alone_or_told_so_it_stays_blocked),
  };
  return run_all(tests);
}
