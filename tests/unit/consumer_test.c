/* SPDX-License-Identifier: MIT */
/* The consumer on a real connection machine, against the fake broker's
 * scripts: bytes whole, one by one, in random pieces. Any order of events is
 * tests/property/consumer_property.c. */
#include "rmq_config.h"

#include "common/amqp/consumer.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"

enum { SERIALS_MAX = 64 };

struct fixture {
  struct rmq_consumer_config config; /* to be changed before start */
  struct fake_rig *rig;
  struct rmq_consumer *consumer;
  uint64_t serials[SERIALS_MAX];
  size_t count;
  bool is_settled_at_once;
};

static const struct rmq_wire_queue QUEUE = {.name = "q", .is_durable = true};

static void on_delivered(void *ctx, uint64_t serial,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  struct fixture *f = ctx;
  (void)d;
  assert_true(f->count < SERIALS_MAX);
  f->serials[f->count++] = serial;
  if (f->is_settled_at_once)
    rmq_consumer_settle(f->consumer, serial, RMQ_SETTLE_DEAD_LETTER, now);
}

static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  (void)epoch;
  rmq_consumer_delivered(((struct fixture *)ctx)->consumer, d, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  (void)now;
  rmq_consumer_lost(((struct fixture *)ctx)->consumer);
}

static struct fixture *set_up(void **state) {
  struct fixture *f = calloc(1, sizeof(*f));
  assert_non_null(f);
  f->config = (struct rmq_consumer_config){
      .prefetch = 10, .ack_batch = 3, .ack_interval = rmq_s(1)};
  f->rig = fake_rig_new(*(const enum fake_split *)*state, 17);
  f->rig->config.queue = &QUEUE;
  f->rig->config.consumer_tag = "w";
  f->rig->config.heartbeat = rmq_s(0);
  f->rig->also = (struct rmq_connection_handlers){
      .ctx = f, .delivered = delivered, .lost = lost};
  return f;
}

static void script_channel(struct fake_broker *b) {
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q", "queue=q");
  fake_rpc(b, "basic.qos", "prefetch-count=10", "");
  fake_rpc(b, "basic.consume", "queue=q no-ack=0", "consumer-tag=w");
}

static struct fake_broker *broker(struct fixture *f) {
  struct fake_broker *b = fake_rig_next_broker(f->rig);
  fake_script_login(b, NULL);
  script_channel(b);
  return b;
}

/* Deliveries first ... last. */
static void send_deliveries(struct fake_broker *b, int first, int last,
                            const char *more) {
  for (int tag = first; tag <= last; tag++) {
    char fields[100];
    snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%d %s", tag,
             more);
    fake_send_deliver(b, .fields = fields, .exchange = "x", .body = "body");
  }
}

static void start(struct fixture *f) {
  const struct rmq_consumer_handlers handlers = {f, on_delivered};
  f->rig->config.prefetch = f->config.prefetch;
  f->consumer = rmq_consumer_new(&f->config, &handlers);
  assert_non_null(f->consumer);
  fake_rig_start(f->rig);
  rmq_consumer_attach(f->consumer, f->rig->connection);
}

/* A worker's turn; when the consumer wants the next one. */
static struct rmq_mono turn(struct fixture *f) {
  fake_rig_run(f->rig);
  struct rmq_mono due = rmq_consumer_step(f->consumer, f->rig->now);
  fake_rig_run(f->rig);
  return due;
}

static void finish(struct fixture *f, size_t n) {
  assert_true(rmq_consumer_settle(f->consumer, f->serials[n - 1],
                                  RMQ_SETTLE_ACK, f->rig->now));
}

static void tear_down(struct fixture *f) {
  fake_rig_free(f->rig);
  rmq_consumer_free(f->consumer);
  free(f);
}

/* Deliveries come in a later turn than the start, when the consumer is
 * attached. */
static struct fake_broker *start_with(struct fixture *f, int deliveries) {
  struct fake_broker *b = broker(f);
  fake_pause(b);
  send_deliveries(b, 1, deliveries, "");
  return b;
}

/* The deliveries have come, and no others for a while. */
static void begin(struct fixture *f, struct fake_broker *b) {
  start(f);
  fake_broker_resume(b);
  turn(f);
  fake_rig_wait(f->rig, rmq_ms(RMQ_CONSUMER_LULL_MS));
}

/* ---- acks ---- */

static void a_full_batch_is_one_ack_with_multiple(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 4);
  fake_expect(b, "basic.ack", "delivery-tag=3 multiple=1");
  begin(f, b);
  for (size_t n = 1; n <= 3; n++)
    finish(f, n);
  assert_true(rmq_mono_is_never(turn(f)));
  struct rmq_consumer_counters c = rmq_consumer_counters(f->consumer);
  assert_int_equal(c.delivered, 4);
  assert_int_equal(c.acked, 3);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 1);
  assert_int_equal(rmq_consumer_open(f->consumer), 1);
  tear_down(f);
}

static void a_smaller_batch_waits_for_the_interval_and_no_longer(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 4);
  fake_expect_nothing(b);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  begin(f, b);
  finish(f, 1);
  fake_rig_wait(f->rig, rmq_ms(400));
  finish(f, 2);
  struct rmq_mono due = turn(f);
  assert_int_equal(rmq_mono_since(due, f->rig->now).ns, rmq_ms(600).ns);
  fake_rig_wait(f->rig, rmq_ms(599));
  turn(f);
  fake_broker_resume(b);
  fake_rig_wait(f->rig, rmq_ms(1));
  turn(f);
  tear_down(f);
}

static void an_ack_never_covers_what_is_not_finished(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 5);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=0");
  fake_expect(b, "basic.ack", "delivery-tag=3 multiple=0");
  fake_expect(b, "basic.ack", "delivery-tag=5 multiple=0");
  fake_expect(b, "basic.ack", "delivery-tag=4 multiple=1");
  begin(f, b);
  finish(f, 2);
  finish(f, 3);
  finish(f, 5);
  turn(f);
  finish(f, 1);
  finish(f, 4);
  turn(f);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 0);
  tear_down(f);
}

static void the_last_one_at_hand_is_acked_at_once(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 1);
  fake_expect(b, "basic.ack", "delivery-tag=1");
  begin(f, b);
  finish(f, 1);
  assert_true(rmq_mono_is_never(turn(f)));
  tear_down(f);
}

static void while_messages_come_acks_wait_for_a_batch(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 2);
  fake_expect_nothing(b);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(f);
  fake_broker_resume(b);
  turn(f);
  assert_int_equal(rmq_consumer_until_batch(f->consumer), 3);
  finish(f, 1);
  finish(f, 2);
  struct rmq_mono due = turn(f);
  assert_int_equal(rmq_consumer_until_batch(f->consumer), 1);
  assert_int_equal(due.ns, rmq_consumer_lull(f->consumer).ns);
  assert_int_equal(rmq_mono_since(due, f->rig->now).ns,
                   rmq_ms(RMQ_CONSUMER_LULL_MS).ns);
  fake_broker_resume(b);
  fake_rig_wait(f->rig, rmq_ms(RMQ_CONSUMER_LULL_MS));
  turn(f);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 0);
  tear_down(f);
}

static void an_interval_shorter_than_the_lull_holds(void **state) {
  struct fixture *f = set_up(state);
  f->config.ack_interval = rmq_ms(0);
  struct fake_broker *b = start_with(f, 1);
  fake_expect(b, "basic.ack", "delivery-tag=1");
  start(f);
  fake_broker_resume(b);
  turn(f);
  finish(f, 1);
  turn(f);
  tear_down(f);
}

static void a_batch_over_the_prefetch_does_not_starve_the_broker(void **state) {
  struct fixture *f = set_up(state);
  f->config.ack_batch = 1000; /* of a prefetch of 10 */
  struct fake_broker *b = start_with(f, 10);
  fake_expect(b, "basic.ack", "delivery-tag=5 multiple=1");
  begin(f, b);
  for (size_t n = 1; n <= 5; n++)
    finish(f, n);
  turn(f);
  tear_down(f);
}

static void rejects_go_before_the_acks_that_would_cover_them(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 4);
  fake_expect(b, "basic.reject", "delivery-tag=2 requeue=1");
  fake_expect(b, "basic.reject", "delivery-tag=3 requeue=0");
  fake_expect(b, "basic.ack", "delivery-tag=4 multiple=1");
  begin(f, b);
  finish(f, 1);
  finish(f, 4);
  assert_true(rmq_consumer_settle(f->consumer, f->serials[1],
                                  RMQ_SETTLE_REQUEUE, f->rig->now));
  assert_true(rmq_consumer_settle(f->consumer, f->serials[2],
                                  RMQ_SETTLE_DEAD_LETTER, f->rig->now));
  turn(f);
  struct rmq_consumer_counters c = rmq_consumer_counters(f->consumer);
  assert_int_equal(c.acked, 2);
  assert_int_equal(c.requeued, 1);
  assert_int_equal(c.dead_lettered, 1);
  tear_down(f);
}

static void each_delivery_is_counted_as_what_it_was_settled_with(void **state) {
  static const enum rmq_settle ways[] = {RMQ_SETTLE_REQUEUE, RMQ_SETTLE_ACK,
                                         RMQ_SETTLE_DROP, RMQ_SETTLE_HAND_BACK,
                                         RMQ_SETTLE_DEAD_LETTER};
  struct fixture *f = set_up(state);
  f->config.ack_batch = 1;
  struct fake_broker *b = start_with(f, 6);
  fake_expect(b, "basic.reject", "delivery-tag=1 requeue=1");
  fake_expect(b, "basic.ack", "delivery-tag=3 multiple=0");
  fake_expect(b, "basic.nack", "delivery-tag=4 requeue=1 multiple=0");
  fake_expect(b, "basic.reject", "delivery-tag=5 requeue=0");
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  begin(f, b);
  for (size_t i = 0; i < COUNT_OF(ways); i++)
    assert_true(
        rmq_consumer_settle(f->consumer, f->serials[i], ways[i], f->rig->now));
  turn(f);
  struct rmq_consumer_counters c = rmq_consumer_counters(f->consumer);
  assert_int_equal(c.acked, 1); /* a dropped one is not done */
  assert_int_equal(c.dropped, 1);
  assert_int_equal(c.requeued, 2);
  assert_int_equal(c.dead_lettered, 1);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 1);
  tear_down(f);
}

static void a_delivery_may_be_settled_while_it_is_handed_over(void **state) {
  struct fixture *f = set_up(state);
  f->is_settled_at_once = true;
  struct fake_broker *b = start_with(f, 2);
  fake_expect(b, "basic.reject", "delivery-tag=1 requeue=0");
  fake_expect(b, "basic.reject", "delivery-tag=2 requeue=0");
  begin(f, b);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 0);
  tear_down(f);
}

/* ---- the channel dies ---- */

static void what_was_finished_too_late_settles_nothing(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *first = start_with(f, 2);
  fake_pause(first);
  fake_reset(first);
  struct fake_broker *b = broker(f);
  send_deliveries(b, 1, 2, "redelivered=1");
  fake_expect_nothing(b);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  begin(f, first);
  finish(f, 1);
  fake_broker_resume(first);
  turn(f);
  fake_rig_must_be(f->rig, RMQ_SESSION_WAITING);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 0);
  fake_rig_advance(f->rig);
  turn(f);
  assert_int_equal(f->count, 4);
  assert_false(rmq_consumer_settle(f->consumer, f->serials[0], RMQ_SETTLE_ACK,
                                   f->rig->now));
  assert_false(rmq_consumer_settle(f->consumer, f->serials[1],
                                   RMQ_SETTLE_REQUEUE, f->rig->now));
  turn(f);
  assert_int_equal(rmq_consumer_counters(f->consumer).stale, 2);
  assert_int_equal(rmq_consumer_counters(f->consumer).redelivered, 2);
  fake_broker_resume(b);
  finish(f, 3);
  finish(f, 4);
  fake_rig_wait(f->rig, rmq_ms(RMQ_CONSUMER_LULL_MS));
  turn(f);
  tear_down(f);
}

static void a_cancelled_consumer_gets_its_deliveries_again(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 2);
  fake_send(b, "basic.cancel", "consumer-tag=w no-wait=1");
  fake_rpc(b, "channel.close", "", "");
  script_channel(b);
  fake_pause(b);
  send_deliveries(b, 1, 2, "redelivered=1");
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  begin(f, b);
  fake_rig_must_be(f->rig, RMQ_SESSION_REOPENING);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 0);
  fake_rig_advance(f->rig);
  fake_rig_must_be(f->rig, RMQ_SESSION_READY);
  fake_broker_resume(b);
  turn(f);
  finish(f, 3);
  finish(f, 4);
  fake_rig_wait(f->rig, rmq_ms(RMQ_CONSUMER_LULL_MS));
  turn(f);
  tear_down(f);
}

static void nothing_is_acked_while_the_channel_is_away(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 2);
  fake_send(b, "channel.close", "reply-code=406 reply-text=timed-out");
  fake_expect(b, "channel.close-ok");
  fake_expect_nothing(b);
  begin(f, b);
  fake_rig_must_be(f->rig, RMQ_SESSION_REOPENING);
  rmq_consumer_settle(f->consumer, f->serials[0], RMQ_SETTLE_ACK, f->rig->now);
  rmq_consumer_settle(f->consumer, f->serials[1], RMQ_SETTLE_REQUEUE,
                      f->rig->now);
  rmq_consumer_flush(f->consumer);
  turn(f);
  fake_broker_resume(b);
  tear_down(f);
}

/* ---- a broker that breaks its word ---- */

static void more_than_the_prefetch_ends_the_connection(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 11);
  fake_expect_eof(b);
  begin(f, b);
  fake_rig_must_be(f->rig, RMQ_SESSION_WAITING);
  fake_rig_must_say(f->rig, "beyond the prefetch");
  assert_int_equal(f->count, 10);
  assert_int_equal(rmq_consumer_counters(f->consumer).delivered, 10);
  tear_down(f);
}

static void a_tag_that_does_not_grow_ends_the_connection(void **state) {
  static const int tags[] = {0, 1, 2};
  for (size_t i = 0; i < COUNT_OF(tags); i++) {
    struct fixture *f = set_up(state);
    struct fake_broker *b = start_with(f, 2);
    send_deliveries(b, tags[i], tags[i], "");
    fake_expect_eof(b);
    begin(f, b);
    fake_rig_must_be(f->rig, RMQ_SESSION_WAITING);
    assert_int_equal(f->count, 2);
    tear_down(f);
  }
}

/* ---- the end ---- */

static void stopping_finishes_and_acks_what_is_at_hand(void **state) {
  struct fixture *f = set_up(state);
  struct fake_broker *b = start_with(f, 3);
  fake_expect(b, "basic.cancel", "consumer-tag=w");
  send_deliveries(b, 4, 4, ""); /* under way */
  fake_send(b, "basic.cancel-ok", "consumer-tag=w");
  fake_expect(b, "basic.ack", "delivery-tag=4 multiple=1");
  fake_script_bye(b);
  begin(f, b);
  finish(f, 2);
  finish(f, 1);
  assert_true(rmq_consumer_cancel(f->consumer));
  turn(f);
  assert_int_equal(f->rig->cancels, 1);
  assert_int_equal(f->count, 4);
  finish(f, 3);
  finish(f, 4);
  rmq_consumer_flush(f->consumer);
  fake_rig_run(f->rig);
  assert_int_equal(rmq_consumer_unacked(f->consumer), 0);
  assert_false(rmq_consumer_cancel(f->consumer));
  fake_rig_stop(f->rig);
  fake_rig_must_be(f->rig, RMQ_SESSION_STOPPED);
  tear_down(f);
}

/* What is given up is acked at once, what has to come again keeps the position
 * and has the channel opened anew: a reject would cost the connection. */
static void reader_of_a_stream_acks_or_reads_again(void **state) {
  struct fixture *f = set_up(state);
  f->config.is_stream = true;
  struct fake_broker *b = broker(f);
  fake_pause(b);
  for (int i = 0; i < 4; i++) {
    char fields[60], props[60];
    snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%d", i + 1);
    snprintf(props, sizeof(props), "headers={x-stream-offset=l:%d}", 70 + i);
    fake_send_deliver(b, .fields = fields, .props = props, .body = "body");
  }
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=0");
  fake_expect(b, "basic.ack", "delivery-tag=1 multiple=1");
  fake_rpc(b, "channel.close", "reply-code=200", "");
  start(f);
  assert_int_equal(rmq_consumer_position(f->consumer), -1);
  fake_broker_resume(b);
  fake_rig_run(f->rig);
  assert_int_equal(f->count, 4);
  assert_int_equal(rmq_consumer_position(f->consumer), 70);
  assert_true(rmq_consumer_settle(f->consumer, f->serials[1],
                                  RMQ_SETTLE_DEAD_LETTER, f->rig->now));
  assert_int_equal(rmq_consumer_counters(f->consumer).dropped, 1);
  assert_int_equal(rmq_consumer_position(f->consumer), 70);
  finish(f, 1);
  rmq_consumer_flush(f->consumer);
  assert_int_equal(rmq_consumer_position(f->consumer), 72);
  assert_true(rmq_consumer_settle(f->consumer, f->serials[2],
                                  RMQ_SETTLE_REQUEUE, f->rig->now));
  assert_int_equal(rmq_consumer_position(f->consumer), 72);
  turn(f);
  fake_rig_must_be(f->rig, RMQ_SESSION_REOPENING);
  assert_int_equal(rmq_consumer_position(f->consumer), 72);
  tear_down(f);
}

/* Its headers could not be decoded: what is not known is not behind us. */
static void a_message_without_its_offset_holds_the_position(void **state) {
  static const char *const props[] = {"", "headers={x-stream-offset=l:70}", "",
                                      "headers={x-stream-offset=l:72}"};
  static const int64_t want[] = {-1, 70, 70, 72};
  struct fixture *f = set_up(state);
  f->config.is_stream = true;
  struct fake_broker *b = broker(f);
  fake_pause(b);
  for (size_t i = 0; i < COUNT_OF(props); i++) {
    char fields[60];
    snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%zu", i + 1);
    fake_send_deliver(b, .fields = fields, .props = props[i], .body = "body");
  }
  fake_silence(b);
  start(f);
  fake_broker_resume(b);
  fake_rig_run(f->rig);
  assert_int_equal(f->count, 4);
  for (size_t i = 0; i < COUNT_OF(props); i++) {
    SHOW_ROW("%zu", i);
    assert_int_equal(rmq_consumer_position(f->consumer), want[i]);
    finish(f, i + 1);
    rmq_consumer_flush(f->consumer);
  }
  assert_int_equal(rmq_consumer_position(f->consumer), 73);
  tear_down(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      HOWEVER_SPLIT(a_full_batch_is_one_ack_with_multiple),
      HOWEVER_SPLIT(a_smaller_batch_waits_for_the_interval_and_no_longer),
      HOWEVER_SPLIT(an_ack_never_covers_what_is_not_finished),
      HOWEVER_SPLIT(the_last_one_at_hand_is_acked_at_once),
      HOWEVER_SPLIT(while_messages_come_acks_wait_for_a_batch),
      HOWEVER_SPLIT(an_interval_shorter_than_the_lull_holds),
      HOWEVER_SPLIT(a_batch_over_the_prefetch_does_not_starve_the_broker),
      HOWEVER_SPLIT(rejects_go_before_the_acks_that_would_cover_them),
      HOWEVER_SPLIT(each_delivery_is_counted_as_what_it_was_settled_with),
      HOWEVER_SPLIT(a_delivery_may_be_settled_while_it_is_handed_over),
      HOWEVER_SPLIT(what_was_finished_too_late_settles_nothing),
      HOWEVER_SPLIT(a_cancelled_consumer_gets_its_deliveries_again),
      HOWEVER_SPLIT(nothing_is_acked_while_the_channel_is_away),
      HOWEVER_SPLIT(more_than_the_prefetch_ends_the_connection),
      HOWEVER_SPLIT(a_tag_that_does_not_grow_ends_the_connection),
      HOWEVER_SPLIT(stopping_finishes_and_acks_what_is_at_hand),
      HOWEVER_SPLIT(reader_of_a_stream_acks_or_reads_again),
      HOWEVER_SPLIT(a_message_without_its_offset_holds_the_position),
  };
  return run_all(tests);
}
