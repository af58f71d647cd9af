/* SPDX-License-Identifier: MIT */
/* Whole messages to a sink: who takes them tells each one's end. Nothing of it
 * runs in a thread here. */
#include "rmq_config.h"

#include "common/role/role_consume_private.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/host.h"
#include "tests/fake/rig.h"
#include "tests/fake/sample_text.h"

enum { TAKEN_MAX = 16 };

struct fixture {
  struct rmq_consume_options options;
  struct fake_rig *rig;
  struct rmq_role_consume *role;
  enum rmq_message_turn answer; /* to the next message */
  uint64_t tickets[TAKEN_MAX];
  size_t taken;
  bool is_full;
};

static struct fake_host host;

static enum rmq_message_turn take(void *ctx, const struct rmq_delivery *d,
                                  uint64_t ticket, struct rmq_error *err) {
  struct fixture *f = ctx;
  assert_non_null(d->kept);
  if (f->answer == RMQ_MESSAGE_UNREADABLE)
    rmq_error_set(err, "it is not to my taste");
  if (f->answer != RMQ_MESSAGE_TAKEN)
    return f->answer;
  assert_true(f->taken < TAKEN_MAX);
  f->tickets[f->taken++] = ticket;
  return RMQ_MESSAGE_TAKEN;
}

static bool is_full(void *ctx) {
  const struct fixture *f = ctx;
  return f->is_full;
}

static struct fake_broker *create(struct fixture *f) {
  static const char *const set[][2] = {
      {"Queue", "q"},           {"PrefetchCount", "10"},
      {"AckBatch", "1"},        {"IdleCheckInterval", "0"},
      {"Heartbeat", "0"},       {"MaxMessageBytes", "1024"},
      {"MaxRedeliveries", "1"}, {"RedeliveryDelay", "0"}};
  struct rmq_error err = {""};
  *f = (struct fixture){.rig = fake_rig_new(FAKE_WHOLE, 3)};
  fake_host_init(&host);
  assert_int_equal(
      rmq_options_init(rmq_consume_option_table, &f->options, &err), 0);
  for (size_t i = 0; i < COUNT_OF(set); i++)
    if (rmq_options_set_text(rmq_consume_option_table, &f->options, set[i][0],
                             set[i][1], NULL, &err) != 0)
      fail_msg("%s", err.text);
  const struct rmq_consume_sink sink = {
      .ctx = f, .types = fake_types, .message = take, .is_full = is_full};
  f->role = rmq_role_consume_new(&f->options, "b", &host.host, &sink, &err);
  if (f->role == NULL)
    fail_msg("%s", err.text);
  struct fake_broker *b = fake_rig_next_broker(f->rig);
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q", "queue=q");
  fake_rpc(b, "basic.qos", "prefetch-count=10", "");
  fake_rpc(b, "basic.consume", "queue=q", "consumer-tag=w");
  return b;
}

static void end(struct fixture *f) {
  fake_rig_free(f->rig);
  rmq_role_consume_free(f->role);
  rmq_options_fini(rmq_consume_option_table, &f->options);
}

static void send_messages(struct fake_broker *b, int first, int last) {
  for (int tag = first; tag <= last; tag++) {
    char fields[64], props[64];
    snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%d", tag);
    snprintf(props, sizeof(props), "message-id=m%d", tag);
    fake_send_deliver(b, .fields = fields, .body = "x", .props = props);
  }
}

static void turn(struct fixture *f) {
  f->rig->now = host.now;
  fake_rig_run(f->rig);
  rmq_consume_step(f->role, host.now);
  fake_rig_run(f->rig);
}

static void start(struct fixture *f) {
  f->rig->now = host.now;
  fake_rig_start_with(f->rig, f->role->connection);
  turn(f);
}

static void fail_message(struct fixture *f, size_t index,
                         enum rmq_on_failure policy) {
  struct rmq_message_failure failure = {
      .ticket = f->tickets[index], .policy = policy, .about = "the \"x\""};
  rmq_role_consume_message_failed(f->role, &failure);
}

static const char *last_line(const char *event) {
  for (size_t i = host.lines_count; i > 0; i--)
    if (strcmp(host.lines[i - 1].event, event) == 0)
      return host.lines[i - 1].message;
  fail_msg("no line about %s", event);
  return "";
}

static void each_end_settles_its_message_and_only_that(void **state) {
  (void)state;
  struct fixture f;
  struct fake_broker *b = create(&f);
  send_messages(b, 1, 5);
  fake_expect_nothing(b);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=0");
  fake_expect(b, "basic.reject", "delivery-tag=1 requeue=0");
  fake_expect(b, "basic.reject", "delivery-tag=3 requeue=1");
  fake_expect(b, "basic.ack", "delivery-tag=4 multiple=0");
  fake_expect(b, "basic.nack", "delivery-tag=5 requeue=1");
  start(&f);
  assert_int_equal(f.taken, 5);
  assert_false(rmq_role_consume_is_idle(f.role));
  fake_broker_resume(b);
  rmq_role_consume_written(f.role, f.tickets[1]);
  turn(&f);
  fail_message(&f, 0, RMQ_FAILURE_DEAD_LETTER);
  turn(&f);
  assert_string_equal(last_line("rejected"),
                      "message rejected to the dead-letter exchange, if the "
                      "queue has one: the \"x\"");
  fail_message(&f, 2, RMQ_FAILURE_REQUEUE);
  turn(&f);
  assert_string_equal(last_line("rejected"), "message requeued: the \"x\"");
  fail_message(&f, 3, RMQ_FAILURE_DROP);
  turn(&f);
  rmq_role_consume_message_left(f.role, f.tickets[4]);
  turn(&f);
  assert_true(rmq_role_consume_is_idle(f.role));
  assert_int_equal(f.role->counters.rejected[RMQ_REJECTION_dispatch], 2);
  end(&f);
}

static void requeue_ends_at_max_redeliveries(void **state) {
  (void)state;
  struct fixture f;
  struct fake_broker *b = create(&f);
  send_messages(b, 1, 1);
  fake_expect(b, "basic.reject", "delivery-tag=1 requeue=1");
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=2 redelivered=1",
                    .body = "x", .props = "message-id=m1");
  fake_expect(b, "basic.reject", "delivery-tag=2 requeue=0");
  start(&f);
  fail_message(&f, 0, RMQ_FAILURE_REQUEUE);
  turn(&f);
  turn(&f);
  assert_int_equal(f.taken, 2);
  fail_message(&f, 1, RMQ_FAILURE_REQUEUE);
  turn(&f);
  end(&f);
}

static void a_full_sink_stops_the_reading_until_a_message_ends(void **state) {
  (void)state;
  struct fixture f;
  struct fake_broker *b = create(&f);
  send_messages(b, 1, 3);
  fake_expect(b, "basic.ack", "delivery-tag=1 multiple=1");
  f.is_full = true;
  start(&f);
  assert_int_equal(f.taken, 1);
  assert_true(rmq_connection_is_held(f.role->connection));
  f.is_full = false;
  rmq_role_consume_written(f.role, f.tickets[0]);
  turn(&f);
  turn(&f);
  assert_int_equal(f.taken, 3);
  end(&f);
}

static void what_no_sink_wants_is_answered_by_policy(void **state) {
  (void)state;
  static const struct {
    enum rmq_message_turn answer;
    int want_requeue;
    const char *want_line;
  } rows[] = {
      {RMQ_MESSAGE_UNREADABLE, 0, "it is not to my taste"},
      {RMQ_MESSAGE_NO_MEMORY, 1, "memory"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    SHOW_ROW("%s", rmq_message_turn_to_str(rows[i].answer));
    struct fake_broker *b = create(&f);
    send_messages(b, 1, 1);
    fake_expect(b, "basic.reject", "delivery-tag=1 requeue=%d",
                rows[i].want_requeue);
    f.answer = rows[i].answer;
    start(&f);
    assert_non_null(strstr(last_line("rejected"), rows[i].want_line));
    end(&f);
  }
}

/* --count: what came beyond it goes back with the channel. */
static void what_is_left_is_not_waited_for_at_the_end(void **state) {
  (void)state;
  struct fixture f;
  struct fake_broker *b = create(&f);
  send_messages(b, 1, 1);
  fake_pause(b);
  send_messages(b, 2, 3);
  fake_expect(b, "basic.cancel", "consumer-tag=w");
  fake_send(b, "basic.cancel-ok", "consumer-tag=w");
  fake_expect(b, "basic.ack", "delivery-tag=1 multiple=1");
  start(&f);
  assert_int_equal(f.taken, 1);
  f.answer = RMQ_MESSAGE_LEFT;
  fake_broker_resume(b);
  turn(&f);
  rmq_consume_drain(f.role, host.now);
  turn(&f);
  assert_false(rmq_consume_is_drained(f.role));
  rmq_role_consume_written(f.role, f.tickets[0]);
  turn(&f);
  assert_true(rmq_consume_is_drained(f.role));
  assert_int_equal(rmq_consumer_unacked(f.role->consumer), 2);
  end(&f);
}

/* However slow a reader is: who holds a message has not lost it. */
static void a_message_in_hand_is_never_overdue(void **state) {
  (void)state;
  struct fixture f;
  struct fake_broker *b = create(&f);
  send_messages(b, 1, 2);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=0");
  start(&f);
  rmq_role_consume_written(f.role, f.tickets[1]);
  turn(&f);
  fake_expect_nothing(b);
  for (int i = 0; i < 3; i++) {
    fake_host_advance(&host, rmq_s(3600));
    turn(&f);
  }
  fake_broker_resume(b);
  end(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_end_settles_its_message_and_only_that),
      cmocka_unit_test(requeue_ends_at_max_redeliveries),
      cmocka_unit_test(a_full_sink_stops_the_reading_until_a_message_ends),
      cmocka_unit_test(what_no_sink_wants_is_answered_by_policy),
      cmocka_unit_test(what_is_left_is_not_waited_for_at_the_end),
      cmocka_unit_test(a_message_in_hand_is_never_overdue),
  };
  return run_all(tests);
}
