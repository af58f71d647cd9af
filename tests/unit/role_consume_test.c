/* SPDX-License-Identifier: MIT */
/* The consuming job's turns against the fake broker's scripts: when it listens
 * and acknowledges, how it ends, what becomes of messages that fail. Nothing of
 * it runs in a thread here. */
#include "rmq_config.h"

#include "common/role/role_consume_private.h"

#include "common/base/stream_offset.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "tests/fake/host.h"
#include "tests/fake/rig.h"
#include "tests/fake/sample_text.h"

enum { TICKETS_MAX = 400 };

#define VALUE "PUTVAL h/p/gauge 1700000000:1\n"
#define TWO VALUE VALUE

struct fixture {
  struct rmq_consume_options options;
  struct fake_rig *rig;
  struct rmq_role_consume *role;
  uint64_t tickets[TICKETS_MAX]; /* of values that are out */
  size_t out, dispatched;
  enum rmq_refusal refusal; /* of the next values */
};

static struct fake_host host;

static enum rmq_refusal take_value(void *ctx, const struct rmq_sample *s,
                                   uint64_t ticket) {
  struct fixture *f = ctx;
  assert_string_equal(s->id.host, "h");
  if (f->refusal != RMQ_REFUSAL_none)
    return f->refusal;
  assert_true(f->out < TICKETS_MAX);
  f->tickets[f->out++] = ticket;
  f->dispatched++;
  return RMQ_REFUSAL_none;
}

#define OPTIONS (const char *const[][2])

static void create(struct fixture *f, const char *const set[][2]) {
  struct rmq_error err = {""};
  *f = (struct fixture){.rig = fake_rig_new(FAKE_WHOLE, 3)};
  fake_host_init(&host);
  assert_int_equal(
      rmq_options_init(rmq_consume_option_table, &f->options, &err), 0);
  for (size_t i = 0; set[i][0] != NULL; i++)
    if (rmq_options_set_text(rmq_consume_option_table, &f->options, set[i][0],
                             set[i][1], NULL, &err) != 0)
      fail_msg("%s", err.text);
  const struct rmq_consume_sink sink = {
      .ctx = f, .dispatch = take_value, .types = fake_types};
  f->role = rmq_role_consume_new(&f->options, "b", &host.host, &sink, &err);
  if (f->role == NULL)
    fail_msg("%s", err.text);
}

static void start(struct fixture *f) {
  f->rig->now = host.now;
  fake_rig_start_with(f->rig, f->role->connection);
}

static void end(struct fixture *f) {
  fake_rig_free(f->rig);
  rmq_role_consume_free(f->role);
  rmq_options_fini(rmq_consume_option_table, &f->options);
}

static void script_channel(struct fake_broker *b, const char *consume) {
  fake_script_channel(b);
  fake_rpc(b, "queue.declare", "queue=q", "queue=q");
  fake_rpc(b, "basic.qos", "prefetch-count=10", "");
  fake_rpc(b, "basic.consume", consume, "consumer-tag=w");
}

static struct fake_broker *broker(struct fixture *f) {
  struct fake_broker *b = fake_rig_next_broker(f->rig);
  fake_script_login(b, NULL);
  script_channel(b, "queue=q");
  return b;
}

/* Messages of two values each. */
static void send_messages(struct fake_broker *b, int first, int last) {
  for (int tag = first; tag <= last; tag++) {
    char fields[64];
    snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%d", tag);
    fake_send_deliver(b, .fields = fields, .body = TWO,
                      .props = "content-type=text/collectd");
  }
}

/* A turn of the worker. */
static void turn(struct fixture *f) {
  f->rig->now = host.now;
  fake_rig_run(f->rig);
  rmq_consume_step(f->role, host.now);
  fake_rig_run(f->rig);
}

static void pass(struct fixture *f, struct rmq_dur d) {
  fake_host_advance(&host, d);
  f->rig->now = host.now;
  rmq_connection_tick(f->role->connection, host.now);
  turn(f);
}

/* The oldest values have been written. */
static void come_back(struct fixture *f, size_t values) {
  assert_true(values <= f->out);
  for (size_t i = 0; i < values; i++)
    rmq_role_consume_written(f->role, f->tickets[i]);
  f->out -= values;
  for (size_t i = 0; i < f->out; i++)
    f->tickets[i] = f->tickets[i + values];
}

static const struct fake_line *last_record(const char *event) {
  for (size_t i = host.lines_count; i > 0; i--)
    if (strcmp(host.lines[i - 1].event, event) == 0)
      return &host.lines[i - 1];
  fail_msg("no line about %s", event);
  return NULL;
}

static const char *last_line(const char *event) {
  return last_record(event)->message;
}

/* ---- back-pressure ---- */

#define PRESSED(limit, batch)                                                  \
  OPTIONS {                                                                    \
    {"Queue", "q"}, {"PrefetchCount", "10"}, {"AckBatch", batch},              \
        {"IdleCheckInterval", "0"}, {"Heartbeat", "0"},                        \
        {"BackpressureQueueLength", limit}, {                                  \
      NULL, NULL                                                               \
    }                                                                          \
  }

static void
above_the_limit_nothing_is_read_or_acked_until_half_is_back(void **state) {
  (void)state;
  struct fixture f;
  create(&f, PRESSED("5", "1"));
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 5);
  fake_expect_nothing(b);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(&f);
  turn(&f);
  assert_int_equal(f.dispatched, 6); /* two of the five wait in the socket */
  assert_true(rmq_connection_is_held(f.role->connection));
  assert_string_equal(
      last_line("backpressure"),
      "the writers are slow: 6 values are on their way to them, "
      "acknowledgements wait until fewer than half of "
      "BackpressureQueueLength are");
  come_back(&f, 4);
  pass(&f, rmq_ms(2500));
  assert_true(f.role->shared.is_withheld);
  assert_int_equal(f.dispatched, 6);
  assert_int_equal(fake_host_count(&host, "backpressure"), 1);
  fake_broker_resume(b);
  come_back(&f, 1);
  pass(&f, rmq_ms(500));
  assert_string_equal(last_line("backpressure"),
                      "the writers have caught up after 3.0 s: "
                      "acknowledgements flow again");
  assert_int_equal(f.dispatched, 10);
  turn(&f);
  assert_false(f.role->shared.is_withheld);
  end(&f);
}

/* Nothing comes from the broker meanwhile that would bring a turn. */
static void
while_nothing_is_read_each_message_that_is_back_wakes(void **state) {
  (void)state;
  struct fixture f;
  create(&f, PRESSED("5", "100"));
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 2);
  fake_pause(b);
  send_messages(b, 3, 3);
  fake_silence(b);
  start(&f);
  turn(&f);
  assert_int_equal(f.role->outstanding.tells_at, 5); /* half of the prefetch */
  fake_broker_resume(b);
  turn(&f);
  assert_true(rmq_connection_is_held(f.role->connection));
  assert_int_equal(f.role->outstanding.tells_at, 1);
  end(&f);
}

/* Given up or not, the values still wait in the daemon. One message at a time
 * shows whether they are stopped, which would go on for ever. */
static void behind_stuck_writers_one_message_at_a_time_is_let_in(void **state) {
  (void)state;
  static const char *const whens[] = {"written", "dispatched"};
  for (size_t i = 0; i < COUNT_OF(whens); i++) {
    struct fixture f;
    SHOW_ROW("%s", whens[i]);
    create(&f, OPTIONS{{"Queue", "q"},
                       {"PrefetchCount", "10"},
                       {"AckBatch", "1"},
                       {"AckWhen", whens[i]},
                       {"IdleCheckInterval", "0"},
                       {"Heartbeat", "0"},
                       {"WrittenTimeout", "1"},
                       {"OnWrittenTimeout", "ack"},
                       {"BackpressureQueueLength", "5"},
                       {NULL, NULL}});
    struct fake_broker *b = broker(&f);
    send_messages(b, 1, 1);
    fake_pause(b);
    send_messages(b, 2, 8);
    fake_silence(b);
    start(&f);
    turn(&f);
    come_back(&f, 2); /* they have worked once */
    pass(&f, rmq_s(1));
    fake_broker_resume(b);
    turn(&f);
    assert_int_equal(f.dispatched, 8);
    for (size_t n = 8; n <= 12; n += 2) {
      pass(&f, rmq_s(9));
      turn(&f);
      assert_int_equal(f.dispatched, n);
      assert_true(rmq_connection_is_held(f.role->connection));
      pass(&f, rmq_s(1)); /* all are given up */
      turn(&f);
      assert_int_equal(f.dispatched, n + 2);
      assert_int_equal(f.role->shared.outstanding, n);
    }
    assert_int_equal(fake_host_count(&host, "backpressure"), 1);
    come_back(&f, f.out);
    turn(&f);
    assert_int_equal(fake_host_count(&host, "backpressure"), 2);
    assert_false(rmq_connection_is_held(f.role->connection));
    end(&f);
  }
}

static void the_end_waits_for_what_was_given_up(void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"AckWhen", "dispatched"},
                     {"IdleCheckInterval", "0"},
                     {"Heartbeat", "0"},
                     {"WrittenTimeout", "1"},
                     {NULL, NULL}});
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 2);
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  fake_expect(b, "basic.cancel", "consumer-tag=w");
  fake_send(b, "basic.cancel-ok", "consumer-tag=w");
  start(&f);
  turn(&f);
  come_back(&f, 1);
  pass(&f, rmq_s(1));
  pass(&f, rmq_s(10));
  assert_int_equal(f.role->shared.unreturned, 3);
  rmq_consume_drain(f.role, host.now);
  turn(&f);
  assert_false(rmq_consume_is_drained(f.role));
  come_back(&f, 3);
  turn(&f);
  assert_true(rmq_consume_is_drained(f.role));
  end(&f);
}

/* Though nothing bounds what is out, and nothing is known of each message. */
static void without_a_limit_the_end_waits_as_well(void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"AckWhen", "dispatched"},
                     {"IdleCheckInterval", "0"},
                     {"Heartbeat", "0"},
                     {"BackpressureQueueLength", "0"},
                     {NULL, NULL}});
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 10);
  fake_silence(b);
  start(&f);
  turn(&f);
  pass(&f, rmq_ms(RMQ_CONSUMER_LULL_MS));
  assert_int_equal(f.dispatched, 20);
  come_back(&f, 1);
  rmq_connection_fail(f.role->connection, "a test", host.now);
  rmq_consume_drain(f.role, host.now);
  turn(&f);
  assert_false(rmq_consume_is_drained(f.role));
  come_back(&f, 19);
  assert_true(rmq_consume_is_drained(f.role));
  end(&f);
}

static void back_pressure_has_two_lines_a_minute_and_no_more(void **state) {
  (void)state;
  struct fixture f;
  create(&f, PRESSED("1", "1"));
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 9);
  fake_silence(b);
  start(&f);
  for (int i = 0; i < 9; i++) {
    turn(&f); /* a message comes, and is too much */
    assert_true(f.role->shared.is_withheld);
    come_back(&f, 2);
    turn(&f); /* and is over */
    assert_int_equal(fake_host_count(&host, "backpressure"), i < 6 ? 2 : 4);
    pass(&f, rmq_s(10));
  }
  end(&f);
}

/* ---- the end ---- */

/* An ack would wait for a minute otherwise. */
#define ENDING(when, limit)                                                    \
  OPTIONS {                                                                    \
    {"Queue", "q"}, {"PrefetchCount", "10"}, {"AckBatch", "100"},              \
        {"AckInterval", "60"}, {"IdleCheckInterval", "0"}, {"Heartbeat", "0"}, \
        {"AckWhen", when}, {"BackpressureQueueLength", limit}, {               \
      NULL, NULL                                                               \
    }                                                                          \
  }

static void the_end_waits_for_the_writers_and_acks_at_once(void **state) {
  (void)state;
  static const char *const whens[] = {"written", "dispatched"};
  for (size_t i = 0; i < COUNT_OF(whens); i++) {
    struct fixture f;
    SHOW_ROW("%s", whens[i]);
    create(&f, ENDING(whens[i], "100"));
    struct fake_broker *b = broker(&f);
    send_messages(b, 1, 2);
    if (f.options.ack_when == RMQ_ACK_DISPATCHED) /* until the end comes */
      fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
    fake_expect(b, "basic.cancel", "consumer-tag=w");
    send_messages(b, 3, 3); /* was under way */
    fake_send(b, "basic.cancel-ok", "consumer-tag=w");
    fake_expect_nothing(b);
    fake_expect(b, "basic.ack", "delivery-tag=3 multiple=1");
    start(&f);
    turn(&f);
    pass(&f, rmq_ms(RMQ_CONSUMER_LULL_MS));
    rmq_consume_drain(f.role, host.now);
    turn(&f);
    assert_int_equal(f.dispatched, 6);
    come_back(&f, 5);
    turn(&f);
    assert_false(rmq_consume_is_drained(f.role));
    fake_broker_resume(b);
    come_back(&f, 1);
    turn(&f);
    assert_true(rmq_consume_is_drained(f.role));
    end(&f);
  }
}

/* What the writers have no room for goes back with the connection, and all
 * behind it: a queue would give it back in another order. */
static void
what_the_writers_have_no_room_for_is_not_begun_at_the_end(void **state) {
  (void)state;
  struct fixture f;
  create(&f, ENDING("written", "3"));
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 5);
  fake_expect(b, "basic.cancel", "consumer-tag=w");
  fake_send(b, "basic.cancel-ok", "consumer-tag=w");
  fake_expect(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(&f);
  turn(&f);
  assert_int_equal(f.dispatched, 4);
  rmq_consume_drain(f.role, host.now);
  turn(&f); /* the socket is read to its end, which the cancel-ok is */
  turn(&f);
  assert_int_equal(f.dispatched, 4);
  assert_false(rmq_consume_is_drained(f.role));
  come_back(&f, 4);
  turn(&f);
  assert_int_equal(f.dispatched, 4);
  assert_true(rmq_consume_is_drained(f.role));
  assert_int_equal(rmq_consumer_unacked(f.role->consumer), 3);
  end(&f);
}

static void without_a_connection_the_end_waits_for_the_writers(void **state) {
  (void)state;
  struct fixture f;
  create(&f, ENDING("written", "100"));
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 1);
  start(&f);
  turn(&f);
  rmq_connection_fail(f.role->connection, "a test", host.now);
  rmq_consume_drain(f.role, host.now);
  turn(&f);
  assert_false(rmq_consume_is_drained(f.role));
  come_back(&f, 2);
  turn(&f);
  assert_true(rmq_consume_is_drained(f.role));
  end(&f);
}

static void send_message(struct fake_broker *b, int tag, int id) {
  char fields[64], props[64];
  snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%d", tag);
  snprintf(props, sizeof(props), "content-type=text/collectd message-id=m%d",
           id);
  fake_send_deliver(b, .fields = fields, .body = TWO, .props = props);
}

/* What is out is acknowledged on the new channel; what is not, is left to those
 * who come after. */
static void a_link_that_breaks_at_the_end_brings_nothing_new(void **state) {
  (void)state;
  static const char *const limits[] = {"0", "3", "100"};
  for (size_t i = 0; i < 2 * COUNT_OF(limits); i++) {
    struct fixture f;
    bool is_asked = i % 2 == 0; /* before the link breaks */
    SHOW_ROW("%zu", i);
    create(&f, ENDING("written", limits[i / 2]));
    struct fake_broker *b = broker(&f);
    send_message(b, 1, 1);
    if (is_asked)
      fake_expect(b, "basic.cancel", "consumer-tag=w");
    b = broker(&f);
    send_message(b, 1, 2);
    send_message(b, 2, 1);
    send_message(b, 3, 3);
    fake_expect(b, "basic.cancel", "consumer-tag=w");
    send_message(b, 4, 2);
    fake_send(b, "basic.cancel-ok", "consumer-tag=w");
    fake_expect(b, "basic.ack", "delivery-tag=2 multiple=0");
    start(&f);
    turn(&f);
    assert_int_equal(f.dispatched, 2);
    if (is_asked)
      rmq_consume_drain(f.role, host.now);
    turn(&f);
    fake_rig_wait(f.rig, rmq_s(0));
    rmq_connection_fail(f.role->connection, "a test", host.now);
    if (!is_asked)
      rmq_consume_drain(f.role, host.now);
    pass(&f, rmq_s(2));
    turn(&f);
    assert_int_equal(f.dispatched, 2);
    assert_false(rmq_consume_is_drained(f.role));
    come_back(&f, 2);
    turn(&f);
    assert_true(rmq_consume_is_drained(f.role));
    assert_int_equal(rmq_consumer_unacked(f.role->consumer), 3);
    end(&f);
  }
}

/* ---- what fails ---- */

static void each_failure_has_its_policy(void **state) {
  (void)state;
  static const struct {
    enum rmq_refusal refusal;
    const char *body, *props, *on_parse, *on_dispatch, *want, *fields;
  } rows[] = {
      {RMQ_REFUSAL_failed, VALUE, "text/collectd", "drop", "requeue",
       "basic.reject", "requeue=1"},
      {RMQ_REFUSAL_failed, VALUE, "text/collectd", "requeue", "drop",
       "basic.ack", "multiple=0"},
      /* it would fail for ever */
      {RMQ_REFUSAL_unknown_type, VALUE, "text/collectd", "drop", "requeue",
       "basic.reject", "requeue=0"},
      {RMQ_REFUSAL_none, "nothing", "text/collectd", "requeue", "drop",
       "basic.reject", "requeue=1"},
      {RMQ_REFUSAL_none, "nothing", "text/collectd", "dead-letter", "drop",
       "basic.reject", "requeue=0"},
      {RMQ_REFUSAL_none, VALUE, "text/html", "drop", "requeue", "basic.ack",
       "multiple=0"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    char props[64];
    SHOW_ROW("%zu", i);
    create(&f, OPTIONS{{"Queue", "q"},
                       {"PrefetchCount", "10"},
                       {"Heartbeat", "0"},
                       {"OnParseError", rows[i].on_parse},
                       {"OnDispatchError", rows[i].on_dispatch},
                       {NULL, NULL}});
    f.refusal = rows[i].refusal;
    struct fake_broker *b = broker(&f);
    snprintf(props, sizeof(props), "content-type=%s", rows[i].props);
    fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1",
                      .body = rows[i].body, .props = props);
    fake_expect(b, rows[i].want, "delivery-tag=1 %s", rows[i].fields);
    start(&f);
    turn(&f);
    pass(&f, rmq_s(1)); /* RedeliveryDelay */
    assert_int_equal(rmq_consumer_unacked(f.role->consumer), 0);
    end(&f);
  }
}

static void overdue_messages_have_a_line_a_minute(void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"Heartbeat", "0"},
                     {"IdleCheckInterval", "0"},
                     {"WrittenTimeout", "1"},
                     {"OnWrittenTimeout", "ack"},
                     {NULL, NULL}});
  struct fake_broker *b = broker(&f);
  send_messages(b, 1, 3);
  fake_pause(b);
  send_messages(b, 4, 4);
  fake_silence(b);
  start(&f);
  turn(&f);
  pass(&f, rmq_s(10)); /* the writers are stuck */
  assert_int_equal(f.role->shared.rejected[RMQ_REJECTION_timeout], 3);
  assert_int_equal(fake_host_count(&host, "written_timeout"), 1);
  fake_broker_resume(b);
  pass(&f, rmq_s(49));
  pass(&f, rmq_s(11));
  assert_int_equal(f.role->shared.rejected[RMQ_REJECTION_timeout], 4);
  assert_int_equal(fake_host_count(&host, "written_timeout"), 2);
  assert_non_null(strstr(last_line("written_timeout"), "PostCacheChain"));
  assert_non_null(strstr(last_line("written_timeout"),
                         "(and 2 others since the last such line)"));
  end(&f);
}

/* The broker has it back since the link broke; nobody can requeue it. */
static void
what_is_overdue_when_its_channel_is_gone_is_not_said_requeued(void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"Heartbeat", "0"},
                     {"IdleCheckInterval", "0"},
                     {"WrittenTimeout", "1"},
                     {"OnWrittenTimeout", "requeue"},
                     {NULL, NULL}});
  struct fake_broker *b = broker(&f);
  send_message(b, 1, 1);
  b = broker(&f);
  fake_silence(b);
  start(&f);
  turn(&f);
  assert_int_equal(f.dispatched, 2);
  fake_rig_wait(f.rig, rmq_s(0));
  rmq_connection_fail(f.role->connection, "a test", host.now);
  pass(&f, rmq_s(2));
  pass(&f, rmq_s(10)); /* the writers are stuck */
  assert_int_equal(fake_host_count(&host, "written_timeout"), 1);
  assert_null(strstr(last_line("written_timeout"), "requeued"));
  assert_string_equal(last_record("written_timeout")->message_id, "m1");
  assert_non_null(strstr(last_line("written_timeout"),
                         "a message is given up, which the broker had to"));
  end(&f);
}

/* However many they are: they must not stand for values that wait. */
static void values_that_stay_away_are_given_up_though_their_messages_are_acked(
    void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"AckBatch", "1"},
                     {"AckWhen", "dispatched"},
                     {"BackpressureQueueLength", "1000"},
                     {"WrittenTimeout", "1"},
                     {"Heartbeat", "0"},
                     {"IdleCheckInterval", "0"},
                     {NULL, NULL}});
  struct rmq_delivery d = {.content_type = "text/collectd",
                           .body = rmq_span_of(TWO),
                           .body_size = strlen(TWO),
                           .delivery_count = -1,
                           .stream_offset = -1};
  fake_silence(broker(&f));
  start(&f);
  turn(&f);
  for (d.tag = 1; d.tag <= 150; d.tag++) {
    rmq_consumer_delivered(f.role->consumer, &d, host.now);
    turn(&f);
  }
  assert_int_equal(rmq_consumer_counters(f.role->consumer).acked, 150);
  assert_int_equal(f.dispatched, 300);
  assert_int_equal(f.role->shared.outstanding, 300);
  pass(&f, rmq_s(9));
  assert_int_equal(f.role->shared.unreturned, 0);
  pass(&f, rmq_s(1));
  assert_int_equal(f.role->shared.unreturned, 300);
  assert_int_equal(f.role->shared.outstanding, 0);
  assert_int_equal(f.role->shared.rejected[RMQ_REJECTION_timeout], 0);
  assert_int_equal(fake_host_count(&host, "written_timeout"), 1);
  assert_int_equal(last_record("written_timeout")->level, RMQ_LOG_ERROR);
  assert_string_equal(last_line("written_timeout"),
                      "2 values of a message that is settled already did not "
                      "come back from the writers within 1 s; does a filter "
                      "chain (PreCacheChain, PostCacheChain) stop them?");
  come_back(&f, 300); /* after all, and nobody minds */
  turn(&f);
  assert_int_equal(f.role->shared.outstanding, 0);
  end(&f);
}

#define NOTIFICATION                                                           \
  "PUTNOTIF severity=failure time=1700000000 host=h plugin=p message=x\n"

/* Two messages, the second a little later. */
static void start_with_notifications(struct fixture *f, const char *first,
                                     const char *second) {
  create(f, OPTIONS{{"Queue", "q"},
                    {"PrefetchCount", "10"},
                    {"AckBatch", "1"},
                    {"Notifications", "true"},
                    {"WrittenTimeout", "1"},
                    {"Heartbeat", "0"},
                    {"IdleCheckInterval", "0"},
                    {NULL, NULL}});
  struct fake_broker *b = broker(f);
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=1", .body = first,
                    .props = "content-type=text/collectd");
  fake_pause(b);
  fake_send_deliver(b, .fields = "consumer-tag=w delivery-tag=2",
                    .body = second, .props = "content-type=text/collectd");
  fake_silence(b);
  start(f);
  turn(f);
  pass(f, rmq_ms(1));
  fake_broker_resume(b);
  turn(f);
}

/* It would be dispatched once more for each redelivery. */
static void a_notification_that_waits_for_its_handler_is_not_overdue(void **s) {
  (void)s;
  struct fixture f;
  start_with_notifications(&f, VALUE NOTIFICATION, TWO);
  come_back(&f, 3);
  for (int i = 0; i < 60; i++)
    pass(&f, rmq_s(1));
  assert_int_equal(rmq_consumer_counters(f.role->consumer).acked, 1);
  assert_int_equal(fake_host_count(&host, "written_timeout"), 0);
  rmq_role_consume_dispatch_events(f.role, RMQ_NEVER);
  pass(&f, rmq_ms(RMQ_CONSUMER_LULL_MS));
  assert_int_equal(host.events_count, 1);
  assert_int_equal(rmq_consumer_counters(f.role->consumer).acked, 2);
  assert_int_equal(rmq_consumer_counters(f.role->consumer).requeued, 0);
  end(&f);
}

static void a_notification_that_is_done_overtakes_no_value(void **state) {
  (void)state;
  struct fixture f;
  start_with_notifications(&f, VALUE, NOTIFICATION);
  rmq_role_consume_dispatch_events(f.role, RMQ_NEVER);
  assert_int_equal(host.events_count, 1);
  for (int i = 0; i < 9; i++)
    pass(&f, rmq_s(1));
  assert_int_equal(fake_host_count(&host, "written_timeout"), 0);
  pass(&f, rmq_s(1)); /* nothing has come back from the writers */
  assert_int_equal(fake_host_count(&host, "written_timeout"), 1);
  end(&f);
}

static void
what_finds_no_room_is_given_back_with_a_line_a_minute(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_delivery d = {.content_type = "text/collectd",
                           .body = rmq_span_of(TWO),
                           .body_size = strlen(TWO),
                           .delivery_count = -1,
                           .stream_offset = -1};
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"Heartbeat", "0"},
                     {"MaxRedeliveries", "0"},
                     {NULL, NULL}});
  fake_silence(broker(&f));
  start(&f);
  while (rmq_outstanding_begin(&f.role->outstanding, host.now) != 0)
    ;
  for (d.tag = 1; d.tag <= 3; d.tag++)
    rmq_consumer_delivered(f.role->consumer, &d, host.now);
  assert_int_equal(f.dispatched, 0);
  assert_int_equal(fake_host_count(&host, "postponed"), 1);
  assert_string_equal(last_line("postponed"),
                      "a message is given back after a second, and comes "
                      "again: too many others, of connections that broke "
                      "meanwhile, are not done yet");
  pass(&f, rmq_s(RMQ_FLOW_POSTPONED_S));
  assert_int_equal(f.role->shared.flow.postponed, 3);
  assert_int_equal(rmq_consumer_counters(f.role->consumer).requeued, 3);
  assert_int_equal(rmq_consumer_counters(f.role->consumer).dead_lettered, 0);
  end(&f);
}

/* Whichever allocation fails: the message is taken, or comes again. */
static void a_message_without_memory_comes_again(void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"Heartbeat", "0"},
                     {"RedeliveryDelay", "0"},
                     {"MaxRedeliveries", "1000"},
                     {"OnParseError", "dead-letter"},
                     {NULL, NULL}});
  fake_silence(broker(&f));
  start(&f);
  uint64_t requeued = 0;
  struct rmq_delivery d = {.content_type = "text/collectd",
                           .body = rmq_span_of(TWO),
                           .body_size = strlen(TWO),
                           .delivery_count = -1,
                           .stream_offset = -1};
  for (bool has_failed = true; has_failed;) {
    d.tag++;
    alloc_fail_at(d.tag);
    rmq_consumer_delivered(f.role->consumer, &d, host.now);
    has_failed = alloc_works_again();
    requeued = rmq_consumer_counters(f.role->consumer).requeued;
    assert_int_equal(requeued * 2 + f.dispatched, d.tag * 2);
    come_back(&f, f.out);
    turn(&f);
  }
  assert_true(requeued >= 3);
  assert_int_equal(rmq_consumer_counters(f.role->consumer).dead_lettered, 0);
  assert_non_null(strstr(last_line("rejected"),
                         "requeued: memory was too short to read it"));
  end(&f);
}

/* The same of one that brings a notification. */
static void a_notification_without_memory_comes_again(void **state) {
  (void)state;
  struct fixture f;
  create(&f, OPTIONS{{"Queue", "q"},
                     {"PrefetchCount", "10"},
                     {"Heartbeat", "0"},
                     {"Notifications", "true"},
                     {"NotificationRate", "10000"},
                     {"RedeliveryDelay", "0"},
                     {"MaxRedeliveries", "1000"},
                     {"OnParseError", "dead-letter"},
                     {NULL, NULL}});
  fake_silence(broker(&f));
  start(&f);
  struct rmq_delivery d = {.content_type = "text/collectd",
                           .body = rmq_span_of(NOTIFICATION),
                           .body_size = strlen(NOTIFICATION),
                           .delivery_count = -1,
                           .stream_offset = -1};
  /* What is read into stays from one message to the next. */
  for (int pass = 0; pass < 2; pass++) {
    bool has_failed = true;
    for (size_t n = 1; has_failed; n++) {
      d.tag++;
      alloc_fail_at(n);
      rmq_consumer_delivered(f.role->consumer, &d, host.now);
      has_failed = alloc_works_again();
      rmq_role_consume_dispatch_events(f.role, RMQ_NEVER);
      turn(&f);
      assert_int_equal(rmq_consumer_counters(f.role->consumer).requeued +
                           host.events_count,
                       d.tag);
    }
  }
  assert_true(f.role->shared.refused[RMQ_REFUSAL_failed - 1] > 0);
  assert_int_equal(f.role->shared.rejected[RMQ_REJECTION_dispatch], 0);
  assert_non_null(strstr(last_line("rejected"), " requeued: "));
  end(&f);
}

/* ---- a stream ---- */

static char directory[] = "/tmp/role_consume.XXXXXX";

static int64_t stored_offset(struct fixture *f) {
  char text[4096], path[256];
  struct rmq_error err = {""};
  int64_t next = -1;
  rmq_offsets_flush(&f->role->offsets, host.now); /* as the end does */
  snprintf(path, sizeof(path), "%s/rabbitmq_consume-b-q.offset", directory);
  FILE *file = fopen(path, "rb");
  if (file == NULL)
    return -1;
  size_t n = fread(text, 1, sizeof(text), file);
  fclose(file);
  if (rmq_stream_offset_read(text, n, "/", "q", &next, &err) != 0)
    fail_msg("%s", err.text);
  return next;
}

static void send_offset(struct fake_broker *b, int tag, int offset) {
  char fields[64], props[160];
  snprintf(fields, sizeof(fields), "consumer-tag=w delivery-tag=%d", tag);
  snprintf(props, sizeof(props),
           "content-type=text/collectd message-id=m%d "
           "headers={x-stream-offset=l:%d}",
           offset, offset);
  fake_send_deliver(b, .fields = fields, .body = TWO, .props = props);
}

/* Held by slow writers, broken, subscribed anew, stopped: the file never says
 * more than what has been written. */
static void a_stream_is_never_stored_past_what_was_written(void **state) {
  (void)state;
  struct fixture f;
  assert_non_null(mkdtemp(directory));
  create(&f, OPTIONS{{"Queue", "q"},
                     {"QueueType", "stream"},
                     {"StreamOffset", "first"},
                     {"StateDir", directory},
                     {"PrefetchCount", "10"},
                     {"AckBatch", "1"},
                     {"Heartbeat", "0"},
                     {"OnParseError", "drop"},
                     {"OnDispatchError", "drop"},
                     {"OnWrittenTimeout", "ack"},
                     {"BackpressureQueueLength", "1"},
                     {NULL, NULL}});
  struct fake_broker *b = broker(&f);
  send_offset(b, 1, 70);
  fake_pause(b); /* what comes now is in the socket when the link breaks */
  send_offset(b, 2, 71);
  start(&f);
  turn(&f);
  fake_broker_resume(b);
  turn(&f);
  assert_int_equal(f.dispatched, 2);
  assert_int_equal(stored_offset(&f), 70);

  b = fake_rig_next_broker(f.rig);
  fake_script_login(b, NULL);
  script_channel(b, "queue=q arguments={x-stream-offset=l:69}");
  for (int i = 0; i < 4; i++)
    send_offset(b, i + 1, 69 + i);
  fake_skip_until(b, "basic.cancel", "");
  fake_send(b, "basic.cancel-ok", "consumer-tag=w");
  fake_silence(b);
  fake_rig_wait(f.rig, rmq_s(0));
  rmq_connection_fail(f.role->connection, "a test", host.now);
  pass(&f, rmq_s(2));
  assert_int_equal(rmq_connection_state(f.role->connection), RMQ_SESSION_READY);
  assert_int_equal(stored_offset(&f), 70);
  come_back(&f, 2); /* 70; its copy shares that, 69 was done before */
  turn(&f);
  turn(&f);
  assert_int_equal(f.dispatched, 4); /* 71 is out, 72 waits in the socket */
  assert_int_equal(stored_offset(&f), 70); /* not acked yet */

  rmq_consume_drain(f.role, host.now);
  turn(&f);
  turn(&f);
  assert_int_equal(f.role->left, 1);
  assert_int_equal(stored_offset(&f), 71);
  come_back(&f, 2);
  turn(&f);
  assert_true(rmq_consume_is_drained(f.role));
  assert_int_equal(f.dispatched, 4);
  assert_int_equal(stored_offset(&f), 72);
  end(&f);
}

static int remove_directory(void **state) {
  char command[64];
  (void)state;
  snprintf(command, sizeof(command), "rm -rf %s", directory);
  return system(command);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          above_the_limit_nothing_is_read_or_acked_until_half_is_back),
      cmocka_unit_test(while_nothing_is_read_each_message_that_is_back_wakes),
      cmocka_unit_test(behind_stuck_writers_one_message_at_a_time_is_let_in),
      cmocka_unit_test(the_end_waits_for_what_was_given_up),
      cmocka_unit_test(without_a_limit_the_end_waits_as_well),
      cmocka_unit_test(back_pressure_has_two_lines_a_minute_and_no_more),
      cmocka_unit_test(the_end_waits_for_the_writers_and_acks_at_once),
      cmocka_unit_test(
          what_the_writers_have_no_room_for_is_not_begun_at_the_end),
      cmocka_unit_test(without_a_connection_the_end_waits_for_the_writers),
      cmocka_unit_test(a_link_that_breaks_at_the_end_brings_nothing_new),
      cmocka_unit_test(each_failure_has_its_policy),
      cmocka_unit_test(overdue_messages_have_a_line_a_minute),
      cmocka_unit_test(
          what_is_overdue_when_its_channel_is_gone_is_not_said_requeued),
      cmocka_unit_test(
          values_that_stay_away_are_given_up_though_their_messages_are_acked),
      cmocka_unit_test(
          a_notification_that_waits_for_its_handler_is_not_overdue),
      cmocka_unit_test(a_notification_that_is_done_overtakes_no_value),
      cmocka_unit_test(what_finds_no_room_is_given_back_with_a_line_a_minute),
      cmocka_unit_test(a_message_without_memory_comes_again),
      cmocka_unit_test(a_notification_without_memory_comes_again),
      cmocka_unit_test_teardown(a_stream_is_never_stored_past_what_was_written,
                                remove_directory),
  };
  return run_all(tests);
}
