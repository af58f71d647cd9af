/* SPDX-License-Identifier: MIT */
/* Connected, but consuming? What the machine asks, and what it does about the
 * answers. */
#include "rmq_config.h"

#include "tests/testing.h"

#include "tests/fake/rig.h"

#include <string.h>

enum { INTERVAL_S = 60 };
static const struct rmq_wire_queue QUEUE = {.name = "q", .is_durable = true};
static bool is_settled;

static bool settled(void *ctx) {
  (void)ctx;
  return is_settled;
}

static struct fake_rig *rig(void **state) {
  const enum fake_split *split = *state;
  struct fake_rig *r = fake_rig_new(*split, 5);
  r->config.heartbeat = rmq_s(0);
  r->config.queue = &QUEUE;
  r->config.prefetch = 10;
  r->config.consumer_tag = "w";
  r->config.idle_check = rmq_s(INTERVAL_S);
  r->also.is_settled = settled;
  is_settled = true;
  return r;
}

static void script_channel(struct fake_broker *b) {
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q passive=0", "queue=q");
  fake_rpc(b, "basic.qos", "", "");
  fake_rpc(b, "basic.consume", "queue=q", "consumer-tag=w");
}

static struct fake_broker *consumer(struct fake_rig *r) {
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_script_login(b, NULL);
  script_channel(b);
  return b;
}

#define COUNTS(messages, consumers)                                            \
  "queue=q message-count=" #messages " consumer-count=" #consumers
#define QUESTION "queue=q passive=1 durable=0 no-wait=0 arguments={}"

static void script_restart(struct fake_broker *b) {
  fake_rpc(b, "channel.close", "reply-code=200", "");
  script_channel(b);
}

static void must_pass(struct fake_rig *r, int seconds) {
  assert_int_equal(fake_rig_advance(r).ns, rmq_s(seconds).ns);
}

static void must_be_restarted(struct fake_rig *r, const char *why) {
  fake_rig_must_say(r, "ready -> reopening");
  fake_rig_must_say(r, why);
  assert_int_equal(r->losts, 1);
  assert_int_equal(rmq_connection_idle_restarts(r->connection), 1);
  assert_string_equal(r->last_remedy, ""); /* it mends itself: a warning */
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
}

static void must_be_left_alone(struct fake_rig *r) {
  fake_rig_must_be(r, RMQ_SESSION_READY);
  assert_int_equal(r->losts, 0);
  assert_int_equal(rmq_connection_idle_restarts(r->connection), 0);
}

static void quiet_queue_is_asked_for_and_left_alone(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  for (int i = 0; i < 3; i++)
    fake_rpc(b, "queue.declare", QUESTION, COUNTS(0, 1));
  fake_rig_start(r);
  for (int i = 0; i < 3; i++)
    must_pass(r, INTERVAL_S);
  must_be_left_alone(r);
  fake_rig_free(r);
}

static const struct rmq_binding BINDINGS[] = {{"x", "a"}, {"x", "b"}};

static void script_bound_channel(struct fake_broker *b) {
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q passive=0", "queue=q");
  fake_rpc(b, "queue.bind", "exchange=x routing-key=a no-wait=0", "");
  fake_rpc(b, "queue.bind", "exchange=x routing-key=b no-wait=0", "");
  fake_rpc(b, "basic.qos", "", "");
  fake_rpc(b, "basic.consume", "queue=q", "consumer-tag=w");
}

static struct fake_broker *bound_consumer(struct fake_rig *r) {
  r->config.bindings = BINDINGS;
  r->config.bindings_count = COUNT_OF(BINDINGS);
  struct fake_broker *b = fake_rig_next_broker(r);
  fake_script_login(b, NULL);
  script_bound_channel(b);
  return b;
}

/* Its exchange may have been deleted, and be back. */
static void quiet_queue_is_bound_again(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = bound_consumer(r);
  for (int i = 0; i < 2; i++) {
    fake_rpc(b, "queue.declare", QUESTION, COUNTS(0, 1));
    fake_expect(b, "queue.bind", "queue=q exchange=x routing-key=a no-wait=1");
    fake_expect(b, "queue.bind", "queue=q exchange=x routing-key=b no-wait=1");
  }
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  must_pass(r, INTERVAL_S);
  must_be_left_alone(r);
  fake_rig_free(r);
}

static void exchange_that_is_gone_is_said_and_all_declared_anew(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = bound_consumer(r);
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(0, 1));
  fake_expect(b, "queue.bind", "routing-key=a no-wait=1");
  fake_expect(b, "queue.bind", "routing-key=b no-wait=1");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=50 "
            "method-id=20");
  fake_expect(b, "channel.close-ok");
  script_bound_channel(b);
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  fake_rig_must_say(r, "404 NOT_FOUND - no exchange");
  assert_non_null(strstr(r->last_remedy, "declared anew"));
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void
consumer_that_the_broker_does_not_know_subscribes_anew(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(0, 0));
  script_restart(b);
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  must_be_restarted(r, "queue \"q\" has no consumer, though we have "
                       "subscribed: subscribing anew");
  fake_rig_free(r);
}

static void messages_that_wait_twice_make_it_subscribe_anew(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(7, 1));
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(8, 1));
  script_restart(b);
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  must_be_left_alone(r);
  must_pass(r, 5);
  must_be_restarted(r, "8 messages wait in queue \"q\" and none is delivered: "
                       "subscribing anew");
  fake_rig_free(r);
}

static void
messages_that_are_gone_at_the_second_look_were_no_sign(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(7, 2));
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(0, 2));
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(7, 2));
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(0, 2));
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  must_pass(r, 5);
  must_pass(r, INTERVAL_S); /* and begins anew with the first look */
  must_pass(r, 5);
  must_be_left_alone(r);
  fake_rig_free(r);
}

static void delivery_ends_the_suspicion(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(7, 1));
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1", .body = "b");
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(7, 1));
  /* on its way while the broker answered: the answer says nothing */
  fake_expect(b, "queue.declare", QUESTION);
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=2", .body = "b");
  fake_send(b, "queue.declare-ok", COUNTS(0, 0));
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  assert_int_equal(r->deliveries, 1);
  must_pass(r, INTERVAL_S);
  must_pass(r, 5);
  assert_int_equal(r->deliveries, 2);
  must_be_left_alone(r);
  fake_rig_free(r);
}

static void
consumer_that_stands_by_is_not_restarted_for_a_backlog(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  r->config.backlog = RMQ_BACKLOG_OTHERS;
  for (int i = 0; i < 3; i++)
    fake_rpc(b, "queue.declare", QUESTION, COUNTS(9, 2));
  fake_rpc(b, "queue.declare", QUESTION, COUNTS(9, 0));
  script_restart(b);
  fake_rig_start(r);
  for (int i = 0; i < 3; i++)
    must_pass(r, INTERVAL_S);
  must_be_left_alone(r);
  must_pass(r, INTERVAL_S);
  must_be_restarted(r, "queue \"q\" has no consumer");
  fake_rig_free(r);
}

/* RabbitMQ counts a stream's messages whoever has read them, and no consumer
 * at all. */
static void counts_of_a_stream_say_nothing(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  r->config.backlog = RMQ_BACKLOG_UNTOLD;
  for (int i = 0; i < 3; i++)
    fake_rpc(b, "queue.declare", QUESTION, COUNTS(1000, 0));
  fake_rig_start(r);
  for (int i = 0; i < 3; i++)
    must_pass(r, INTERVAL_S);
  must_be_left_alone(r);
  fake_rig_free(r);
}

static void queue_that_is_gone_is_declared_again(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_expect(b, "queue.declare", QUESTION);
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no queue' class-id=50 "
            "method-id=10");
  fake_expect(b, "channel.close-ok");
  script_channel(b);
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  fake_rig_must_say(r, "404 NOT_FOUND - no queue");
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void question_without_an_answer_costs_the_link(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_expect(b, "queue.declare", QUESTION);
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  assert_int_equal(fake_rig_advance(r).ns, r->config.rpc_timeout.ns);
  fake_rig_must_say(r, "no answer within 10 s to a question about queue "
                       "\"q\"");
  fake_rig_must_be(r, RMQ_SESSION_WAITING);
  fake_rig_free(r);
}

static void busy_consumer_asks_nothing(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1", .body = "b");
  is_settled = false;
  fake_rig_start(r);
  for (int i = 0; i < 3; i++)
    must_pass(r, INTERVAL_S);
  must_be_left_alone(r);
  fake_rig_free(r);
}

static void nobody_asks_without_an_interval_or_a_subscription(void **state) {
  static const struct { bool is_publisher; } rows[] = {{false}, {true}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fake_rig *r = rig(state);
    struct fake_broker *b = NULL;
    if (rows[i].is_publisher) {
      r->config.prefetch = 0;
      b = fake_rig_next_broker(r);
      fake_script_login(b, NULL);
      fake_script_channel(b);
      fake_rpc(b, "queue.declare", "queue=q", "queue=q");
    } else {
      r->config.idle_check = rmq_s(0);
      b = consumer(r);
    }
    fake_rig_start(r);
    fake_rig_pass(r, rmq_s(10 * INTERVAL_S));
    must_be_left_alone(r);
    fake_rig_free(r);
  }
}

static void consumer_that_was_cancelled_by_us_asks_nothing(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_rpc(b, "basic.cancel", "consumer-tag=w", "consumer-tag=w");
  fake_rig_start(r);
  assert_true(rmq_connection_cancel(r->connection));
  fake_rig_run(r);
  fake_rig_pass(r, rmq_s(5 * INTERVAL_S));
  must_be_left_alone(r);
  fake_rig_free(r);
}

static void user_who_may_not_ask_is_asked_no_more(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_expect(b, "queue.declare", QUESTION);
  fake_send(b, "channel.close",
            "reply-code=403 reply-text=ACCESS_REFUSED class-id=50 "
            "method-id=10");
  fake_expect(b, "channel.close-ok");
  script_channel(b);
  fake_rig_start(r);
  must_pass(r, INTERVAL_S);
  fake_rig_must_say(r, "403 ACCESS_REFUSED");
  assert_non_null(strstr(r->last_remedy, "IdleCheckInterval 0"));
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_pass(r, rmq_s(5 * INTERVAL_S));
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

static void owner_may_have_the_channel_opened_anew(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  script_restart(b);
  fake_rig_start(r);
  rmq_connection_reopen(r->connection, "something is wrong", r->now);
  rmq_connection_reopen(r->connection, "twice is once", r->now);
  fake_rig_run(r);
  fake_rig_must_say(r, "ready -> reopening");
  fake_rig_must_say(r, "something is wrong");
  fake_rig_must_not_say(r, "twice is once");
  assert_int_equal(rmq_connection_idle_restarts(r->connection), 0);
  fake_rig_advance(r);
  fake_rig_must_be(r, RMQ_SESSION_READY);
  fake_rig_free(r);
}

/* What the broker says waits in the socket, an answer too. */
static void
consumer_without_room_neither_asks_nor_misses_an_answer(void **state) {
  struct fake_rig *r = rig(state);
  struct fake_broker *b = consumer(r);
  fake_expect(b, "queue.declare", QUESTION);
  fake_pause(b);
  fake_send(b, "queue.declare-ok", COUNTS(0, 1));
  fake_rig_start(r);
  rmq_connection_hold(r->connection, true);
  fake_rig_pass(r, rmq_s(5 * INTERVAL_S + 1)); /* no question */
  rmq_connection_hold(r->connection, false);
  fake_rig_pass(r, rmq_s(INTERVAL_S)); /* the question */
  rmq_connection_hold(r->connection, true);
  fake_broker_resume(b);
  fake_rig_pass(r, rmq_s(5 * INTERVAL_S));
  must_be_left_alone(r);
  rmq_connection_hold(r->connection, false);
  fake_rig_run(r);
  must_be_left_alone(r);
  fake_rig_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      HOWEVER_SPLIT(quiet_queue_is_asked_for_and_left_alone),
      HOWEVER_SPLIT(consumer_without_room_neither_asks_nor_misses_an_answer),
      HOWEVER_SPLIT(quiet_queue_is_bound_again),
      HOWEVER_SPLIT(exchange_that_is_gone_is_said_and_all_declared_anew),
      HOWEVER_SPLIT(consumer_that_the_broker_does_not_know_subscribes_anew),
      HOWEVER_SPLIT(messages_that_wait_twice_make_it_subscribe_anew),
      HOWEVER_SPLIT(messages_that_are_gone_at_the_second_look_were_no_sign),
      HOWEVER_SPLIT(delivery_ends_the_suspicion),
      HOWEVER_SPLIT(consumer_that_stands_by_is_not_restarted_for_a_backlog),
      HOWEVER_SPLIT(counts_of_a_stream_say_nothing),
      HOWEVER_SPLIT(queue_that_is_gone_is_declared_again),
      HOWEVER_SPLIT(question_without_an_answer_costs_the_link),
      HOWEVER_SPLIT(busy_consumer_asks_nothing),
      HOWEVER_SPLIT(nobody_asks_without_an_interval_or_a_subscription),
      HOWEVER_SPLIT(consumer_that_was_cancelled_by_us_asks_nothing),
      HOWEVER_SPLIT(user_who_may_not_ask_is_asked_no_more),
      HOWEVER_SPLIT(owner_may_have_the_channel_opened_anew),
  };
  return run_all(tests);
}
