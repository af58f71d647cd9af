/* SPDX-License-Identifier: MIT */
/* The publisher on a real connection machine, against the fake broker. */
#include "rmq_config.h"

#include "common/amqp/publisher.h"
#include "common/base/envelope.h"
#include "common/base/uuid.h"

#include "tests/testing.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>

#include "tests/fake/rig.h"
#include "tests/fake/store.h"

struct fixture {
  struct rmq_publisher_config config; /* to be changed before start */
  struct fake_rig *rig;
  struct rmq_publisher *p;
  size_t given_up, refused;
  enum rmq_publish_refusal last_given_up;
  pthread_mutex_t lock; /* messages are accepted in order */
  uint64_t seq;
  struct rmq_mono born; /* of messages that are accepted now */
  bool shrinks;         /* bodies, when they are prepared */
  char fates[2048];     /* as they are told */
};

static void on_given_up(void *ctx, const struct rmq_publisher_given_up *g) {
  struct fixture *f = ctx;
  f->given_up++;
  f->last_given_up = g->why;
}

static void on_refused(void *ctx, const struct rmq_message *m,
                       enum rmq_publish_refusal why) {
  struct fixture *f = ctx;
  (void)m;
  (void)why;
  f->refused++;
}

static void on_prepare(void *ctx, struct rmq_message *m) {
  const struct fixture *f = ctx;
  rmq_uuid_message_id(rmq_uuid_from_bits(1, 2), m->seq, m->id);
  if (f->shrinks) {
    struct rmq_buf small;
    rmq_buf_init(&small, 16);
    assert_int_equal(rmq_buf_append_text(&small, "small"), 0);
    rmq_message_set_body(m, &small);
  }
  m->is_prepared = true;
}

static void on_wake(void *ctx) { (void)ctx; }

/* One line per fate. */
static void on_fate(void *ctx, const struct rmq_fate_report *r) {
  struct fixture *f = ctx;
  size_t len = strlen(f->fates);
  snprintf(f->fates + len, sizeof(f->fates) - len,
           "%" PRIu64 " %s %s %u %s %s %s\n", r->tag, rmq_fate_to_str(r->fate),
           r->cause, r->reply_code, r->reply_text, r->exchange, r->routing_key);
}

static void changed(void *ctx, const struct rmq_connection_change *change,
                    struct rmq_mono now) {
  struct fixture *f = ctx;
  rmq_publisher_changed(f->p, change, now);
}

static void ready(void *ctx, uint64_t epoch, struct rmq_mono now) {
  struct fixture *f = ctx;
  rmq_publisher_ready(f->p, epoch, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  struct fixture *f = ctx;
  rmq_publisher_lost(f->p, now);
}

static void confirmed(void *ctx, uint64_t epoch, uint64_t seqno, bool multiple,
                      bool is_nack, struct rmq_mono now) {
  struct fixture *f = ctx;
  rmq_publisher_confirmed(f->p, epoch, seqno, multiple, is_nack, now);
}

static void returned(void *ctx, uint64_t epoch, const struct rmq_returned *r,
                     struct rmq_mono now) {
  struct fixture *f = ctx;
  (void)now;
  rmq_publisher_returned(f->p, epoch, r);
}

static void set_up(struct fixture *f, void **state) {
  *f = (struct fixture){
      .config = {.exchange = "x",
                 .is_mandatory = true,
                 .is_persistent = true,
                 .app_id = "warren",
                 .window = 4,
                 .confirm_timeout = rmq_s(30),
                 .max_attempts = 3,
                 .on_return = RMQ_REFUSAL_RETRY,
                 .on_nack = RMQ_REFUSAL_RETRY,
                 .retry_min = rmq_s(1),
                 .retry_max = rmq_s(60),
                 .wants_confirms = true,
                 .fifo = {.max_messages = 100,
                          .max_bytes = 1 << 20,
                          .policy = RMQ_DROP_OLDEST,
                          .read_ahead = 16}},
      .rig = fake_rig_new(*(const enum fake_split *)*state, 3),
  };
  f->rig->config.wants_confirms = true;
  f->rig->config.heartbeat = rmq_s(0);
}

static struct fake_broker *broker(struct fixture *f) {
  struct fake_broker *b = fake_rig_next_broker(f->rig);
  fake_script_login(b, NULL);
  fake_script_channel(b);
  fake_script_confirm(b);
  return b;
}

/* What a worker's turn does, until nothing moves. */
static struct rmq_mono turn(struct fixture *f) {
  struct rmq_mono due = RMQ_NEVER;
  for (int i = 0; i < 8; i++) {
    fake_rig_run(f->rig);
    due = rmq_publisher_step(f->p, f->rig->now);
  }
  fake_rig_run(f->rig);
  return due;
}

static void start(struct fixture *f) {
  struct rmq_publisher_handlers handlers = {f,          on_given_up, on_refused,
                                            on_prepare, on_wake,     on_fate};
  f->rig->also = (struct rmq_connection_handlers){.ctx = f,
                                                  .changed = changed,
                                                  .ready = ready,
                                                  .lost = lost,
                                                  .confirmed = confirmed,
                                                  .returned = returned};
  f->p = rmq_publisher_new(&f->config, &handlers, 5);
  pthread_mutex_init(&f->lock, NULL);
  assert_non_null(f->p);
}

static void connect_it(struct fixture *f) {
  /* The machine exists from here on, and its first bytes wait for a link. */
  fake_rig_start(f->rig);
  rmq_publisher_attach(f->p, f->rig->connection);
  turn(f);
}

static struct rmq_publisher_snapshot snapshot(struct fixture *f) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(f->p, false, &s);
  return s;
}

static void check_balance(struct fixture *f) {
  struct rmq_publisher_snapshot s = snapshot(f);
  const struct rmq_publisher_counters *c = &s.counters;
  uint64_t ended =
      c->confirmed + c->unconfirmed + c->returned + c->rejected + c->expired;
  for (size_t i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    ended += s.counters.dropped[i];
  assert_int_equal(c->accepted + c->recovered,
                   ended + s.outbox + s.spooled + s.in_flight);
}

static void tear_down(struct fixture *f) {
  check_balance(f);
  rmq_publisher_abandon(f->p);
  check_balance(f);
  struct rmq_publisher_snapshot s = snapshot(f);
  assert_int_equal(s.outbox + s.in_flight, 0);
  fake_rig_free(f->rig);
  rmq_publisher_free(f->p);
}

static bool accept_message(struct fixture *f, struct rmq_message *m) {
  pthread_mutex_lock(&f->lock);
  m->seq = ++f->seq;
  m->born = f->born;
  bool wakes = rmq_publisher_accept(f->p, m, NULL);
  pthread_mutex_unlock(&f->lock);
  return wakes;
}

static void accept(struct fixture *f, const char *key, const char *body) {
  struct rmq_message *m = rmq_message_new(key, body, strlen(body));
  assert_non_null(m);
  m->content_type = "text/collectd";
  m->values = 1;
  accept_message(f, m);
}

/* Whether the worker has to be woken for one more message. */
static bool wakes(struct fixture *f) {
  struct rmq_message *m = rmq_message_new("k", "body", 4);
  assert_non_null(m);
  m->content_type = "text/collectd";
  return accept_message(f, m);
}

/* The id of the n-th message. */
static const char *id(unsigned n) {
  static char text[RMQ_MESSAGE_ID_SIZE];
  rmq_uuid_message_id(rmq_uuid_from_bits(1, 2), n, text);
  return text;
}

static void expect(struct fake_broker *b, unsigned n, const char *body) {
  char props[128];
  snprintf(props, sizeof(props), "message-id='%s'", id(n));
  fake_expect_publish(b, .exchange = "x", .props = props, .body = body);
}

static void give_back(struct fake_broker *b, unsigned n) {
  char props[128];
  snprintf(props, sizeof(props), "message-id='%s'", id(n));
  fake_send_return(b, .fields = "reply-code=312 reply-text=NO_ROUTE",
                   .exchange = "x", .routing_key = "k", .props = props,
                   .body = "x");
}

/* The broker returns and acks whatever is in flight. */
static void return_all(struct fixture *f) {
  struct rmq_publisher_snapshot s = snapshot(f);
  for (unsigned n = 1; n <= s.counters.accepted; n++) {
    struct rmq_returned r = {.code = 312};
    snprintf(r.message_id, sizeof(r.message_id), "%s", id(n));
    rmq_publisher_returned(f->p, f->rig->epoch, &r);
  }
  rmq_publisher_confirmed(f->p, f->rig->epoch, s.counters.published, true,
                          false, f->rig->now);
}

/* Lets time pass from deadline to deadline of publisher and connection. */
static void pass(struct fixture *f, struct rmq_dur d) {
  struct rmq_mono end = rmq_mono_add(f->rig->now, d);
  for (int i = 0; i < 1000; i++) {
    struct rmq_mono due = turn(f);
    due = rmq_mono_min(due, rmq_connection_next_deadline(f->rig->connection));
    if (!rmq_mono_reached(end, due))
      break;
    if (!rmq_mono_reached(f->rig->now, due))
      f->rig->now = due;
    rmq_connection_tick(f->rig->connection, f->rig->now);
  }
  f->rig->now = end;
  turn(f);
}

/* ---- the straight way ---- */

static void
accepted_messages_are_published_in_order_and_confirmed(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  expect(b, 2, "two");
  fake_send(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  accept(&f, "k", "two");
  turn(&f);
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.accepted, 2);
  assert_int_equal(s.counters.published, 2);
  assert_int_equal(s.counters.republished, 0);
  assert_int_equal(s.counters.confirmed, 2);
  assert_true(rmq_publisher_is_drained(f.p));
  tear_down(&f);
}

static void no_more_than_the_window_is_in_flight(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  fake_expect_publishes(b, 4);
  fake_expect_nothing(b);
  start(&f);
  for (int i = 0; i < 6; i++)
    accept(&f, "k", "body");
  connect_it(&f);
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.in_flight, 4);
  assert_int_equal(s.outbox, 2);
  assert_false(rmq_publisher_is_drained(f.p));
  fake_broker_resume(b);
  tear_down(&f);
}

static void content_encoding_is_told_where_there_is_one(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  fake_expect_publish(b, .exchange = "x", .body = "small",
                      .props = "content-type=text/collectd "
                               "content-encoding=gzip");
  fake_expect_publish(b, .exchange = "x", .body = "plain",
                      .props = "content-type=text/collectd "
                               "!content-encoding");
  fake_send(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(&f);
  struct rmq_message *m = rmq_message_new("k", "small", 5);
  assert_non_null(m);
  m->content_type = "text/collectd";
  m->content_encoding = "gzip";
  accept_message(&f, m);
  accept(&f, "k", "plain");
  connect_it(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 2);
  tear_down(&f);
}

/* ---- unknown ---- */

static void
unknown_outcome_is_republished_first_with_same_message_id(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  expect(b, 2, "two");
  expect(b, 3, "three");
  fake_send(b, "basic.ack", "delivery-tag=2");
  fake_close(b);
  b = broker(&f);
  expect(b, 1, "one");
  expect(b, 3, "three");
  expect(b, 4, "four");
  fake_send(b, "basic.ack", "delivery-tag=3 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "two");
  accept(&f, "k", "three");
  connect_it(&f);
  accept(&f, "k", "four");
  pass(&f, rmq_s(5));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.confirmed, 4);
  assert_int_equal(s.counters.published, 6);
  assert_int_equal(s.counters.republished, 2);
  tear_down(&f);
}

static void confirm_timeout_doubles_until_something_is_confirmed(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.rig->config.retry_max = rmq_s(2);
  for (int i = 0; i < 4; i++) {
    struct fake_broker *b = broker(&f);
    expect(b, 1, "one");
    if (i == 3)
      fake_send(b, "basic.ack", "delivery-tag=1");
  }
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  pass(&f, rmq_ms(29999));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 0);
  pass(&f, rmq_ms(1));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 1);
  pass(&f, rmq_s(59));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 1);
  pass(&f, rmq_s(4));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 2);
  pass(&f, rmq_s(119));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 2);
  pass(&f, rmq_s(4));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 3);
  pass(&f, rmq_s(3));
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  assert_int_equal(snapshot(&f).counters.republished, 3);
  tear_down(&f);
}

static void a_blockade_stops_the_confirm_timeout(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  fake_send(b, "connection.blocked", "reason=memory");
  fake_pause(b);
  fake_send(b, "connection.unblocked");
  expect(b, 2, "two");
  fake_pause(b);
  fake_send(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  fake_rig_must_be(f.rig, RMQ_SESSION_BLOCKED);
  accept(&f, "k", "two");
  pass(&f, rmq_s(3600));
  assert_int_equal(snapshot(&f).counters.published, 1);
  fake_broker_resume(b);
  turn(&f);
  pass(&f, rmq_s(29));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 0);
  fake_broker_resume(b);
  turn(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 2);
  tear_down(&f);
}

/* ---- what the broker may say ---- */

static void confirms_settle_what_they_name_and_nothing_else(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  fake_expect_publishes(b, 4);
  fake_send(b, "basic.ack", "delivery-tag=3");
  fake_send(b, "basic.ack", "delivery-tag=99");
  fake_send(b, "basic.ack", "delivery-tag=0 multiple=1");
  fake_send(b, "basic.ack", "delivery-tag=9223372036854775808 multiple=1");
  fake_send(b, "basic.nack", "delivery-tag=3");
  fake_pause(b);
  fake_send(b, "basic.ack", "delivery-tag=2 multiple=1");
  fake_send(b, "basic.ack", "delivery-tag=4");
  start(&f);
  for (int i = 0; i < 4; i++)
    accept(&f, "k", "body");
  connect_it(&f);
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.confirmed, 1);
  assert_int_equal(s.counters.stray, 4);
  assert_int_equal(s.counters.nack, 0);
  assert_int_equal(s.in_flight, 3);
  fake_broker_resume(b);
  turn(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 4);
  assert_true(rmq_publisher_is_drained(f.p));
  tear_down(&f);
}

/* A queue with reject-publish nacks with multiple, out of order. */
static void a_nack_with_multiple_sends_all_that_it_names_again(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  fake_expect_publishes(b, 4);
  fake_send(b, "basic.ack", "delivery-tag=4");
  fake_send(b, "basic.nack", "delivery-tag=3 multiple=1 requeue=1");
  expect(b, 1, "one");
  expect(b, 2, "two");
  expect(b, 3, "three");
  fake_send(b, "basic.ack", "delivery-tag=7 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "two");
  accept(&f, "k", "three");
  accept(&f, "k", "four");
  connect_it(&f);
  assert_int_equal(snapshot(&f).counters.nack, 3);
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  pass(&f, rmq_s(5));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.confirmed, 4);
  assert_int_equal(s.counters.republished, 3);
  assert_int_equal(s.counters.late, 3);
  tear_down(&f);
}

static void returned_then_nacked_is_a_nack(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  give_back(b, 1);
  fake_send(b, "basic.nack", "delivery-tag=1");
  expect(b, 1, "one");
  fake_send(b, "basic.ack", "delivery-tag=2");
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  assert_int_equal(snapshot(&f).counters.nack, 1);
  assert_int_equal(snapshot(&f).counters.return_, 0);
  pass(&f, rmq_s(5));
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  tear_down(&f);
}

static void a_return_of_somebody_else_changes_nothing(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  give_back(b, 7);
  fake_send_return(b, .fields = "reply-code=312", .body = "no id at all");
  fake_send(b, "basic.ack", "delivery-tag=1");
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  assert_int_equal(snapshot(&f).counters.return_, 0);
  assert_int_equal(snapshot(&f).counters.stray, 2);
  tear_down(&f);
}

/* The exchange is missing: what was published well before stays unconfirmed
 * too, and comes again in order once the channel is open. */
static void a_closed_channel_publishes_again_in_order(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  expect(b, 2, "two");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=60 "
            "method-id=40");
  fake_expect(b, "channel.close-ok");
  fake_script_channel(b);
  fake_script_confirm(b);
  expect(b, 1, "one");
  expect(b, 2, "two");
  expect(b, 3, "three");
  fake_send(b, "basic.ack", "delivery-tag=3 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "two");
  connect_it(&f);
  fake_rig_must_be(f.rig, RMQ_SESSION_REOPENING);
  accept(&f, "k", "three");
  pass(&f, rmq_s(5));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.confirmed, 3);
  assert_int_equal(s.counters.republished, 2);
  assert_int_equal(f.rig->links_count, 1);
  tear_down(&f);
}

static void a_forced_close_publishes_again_in_order(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  expect(b, 2, "two");
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_send(b, "connection.close", "reply-code=320 reply-text=drill");
  fake_expect(b, "connection.close-ok");
  fake_close(b);
  b = broker(&f);
  expect(b, 2, "two");
  expect(b, 3, "three");
  fake_send(b, "basic.ack", "delivery-tag=2 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "two");
  connect_it(&f);
  accept(&f, "k", "three");
  pass(&f, rmq_s(5));
  assert_int_equal(snapshot(&f).counters.confirmed, 3);
  assert_int_equal(snapshot(&f).counters.republished, 1);
  tear_down(&f);
}

/* The window is full of messages that the broker never confirms: what comes
 * after them waits, and the bounds of the queue hold. */
static void no_confirm_at_all_leaks_neither_window_nor_queue(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.fifo.max_messages = 10;
  f.rig->config.retry_max = rmq_s(1);
  for (int link = 0; link < 3; link++)
    fake_expect_publishes(broker(&f), 4);
  start(&f);
  connect_it(&f);
  for (int i = 0; i < 50; i++) {
    accept(&f, "k", "body");
    turn(&f);
    assert_true(snapshot(&f).in_flight <= 4);
    assert_true(snapshot(&f).outbox <= 10);
  }
  assert_int_equal(snapshot(&f).counters.dropped[RMQ_PUBLISHER_DROP_overflow],
                   36);
  pass(&f, rmq_s(31)); /* ConfirmTimeout, the next link */
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 1);
  fake_rig_must_be(f.rig, RMQ_SESSION_READY);
  assert_int_equal(snapshot(&f).in_flight, 4);
  pass(&f, rmq_s(62));
  assert_int_equal(snapshot(&f).counters.confirm_timeout, 2);
  assert_int_equal(snapshot(&f).in_flight, 4);
  tear_down(&f);
}

/* ---- refusals ---- */

static void a_nacked_message_is_tried_again_and_then_given_up(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  for (int i = 1; i <= 3; i++) {
    expect(b, 1, "one");
    fake_send(b, "basic.nack", "delivery-tag=%d", i);
  }
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  assert_int_equal(snapshot(&f).counters.nack, 1);
  pass(&f, rmq_s(200));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.nack, 3);
  assert_int_equal(s.counters.rejected, 1);
  assert_int_equal(s.counters.published, 3);
  assert_int_equal(f.given_up, 1);
  assert_int_equal(f.last_given_up, RMQ_REFUSED_NACK);
  tear_down(&f);
}

static void a_returned_message_does_not_stop_the_others(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.max_attempts = 2;
  struct fake_broker *b = broker(&f);
  expect(b, 1, "bad");
  give_back(b, 1);
  fake_send(b, "basic.ack", "delivery-tag=1");
  expect(b, 2, "good");
  fake_send(b, "basic.ack", "delivery-tag=2");
  expect(b, 1, "bad");
  give_back(b, 1);
  fake_send(b, "basic.ack", "delivery-tag=3");
  start(&f);
  accept(&f, "k", "bad");
  connect_it(&f);
  accept(&f, "k", "good");
  turn(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  assert_int_equal(snapshot(&f).outbox, 1);
  pass(&f, rmq_s(100));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.return_, 2);
  assert_int_equal(s.counters.returned, 1);
  assert_int_equal(f.last_given_up, RMQ_REFUSED_RETURN);
  tear_down(&f);
}

/* Everything is unroutable: what waits for another try counts for the queue's
 * bounds, and the oldest goes first, as the policy says. */
static void returned_messages_count_for_the_queue(void **state) {
  static const struct {
    enum rmq_overflow policy;
    size_t bytes;
    unsigned want_published;
  } rows[] = {
      {RMQ_DROP_OLDEST, 1 << 20, 30},
      {RMQ_DROP_NEWEST, 1 << 20, 10},
      {RMQ_DROP_OLDEST, 10 * (RMQ_MESSAGE_OVERHEAD + 4), 29},
      {RMQ_DROP_NEWEST, 10 * (RMQ_MESSAGE_OVERHEAD + 4), 10},
  };
  for (size_t row = 0; row < COUNT_OF(rows); row++) {
    SHOW_ROW("%s, %zu bytes", rmq_overflow_to_str(rows[row].policy),
             rows[row].bytes);
    struct fixture f;
    set_up(&f, state);
    f.config.fifo.max_messages = rows[row].bytes == 1 << 20 ? 10 : 1000;
    f.config.fifo.max_bytes = rows[row].bytes;
    f.config.fifo.policy = rows[row].policy;
    f.config.window = 1;
    struct fake_broker *b = broker(&f);
    fake_silence(b);
    start(&f);
    connect_it(&f);
    for (int i = 0; i < 30; i++) {
      accept(&f, "k", "bad");
      turn(&f);
      return_all(&f);
      check_balance(&f);
      assert_true(snapshot(&f).outbox + snapshot(&f).in_flight <= 11);
    }
    struct rmq_publisher_snapshot s = snapshot(&f);
    assert_int_equal(s.counters.published, rows[row].want_published);
    assert_true(s.counters.dropped[RMQ_PUBLISHER_DROP_overflow] >= 19);
    pass(&f, rmq_s(100));
    assert_true(snapshot(&f).counters.republished > 0);
    tear_down(&f);
  }
}

/* ---- other ends ---- */

static void
what_is_too_old_expires_also_while_the_broker_is_away(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.ttl = rmq_s(10);
  start(&f);
  fake_rig_start(f.rig);
  rmq_publisher_attach(f.p, f.rig->connection);
  f.born = f.rig->now;
  accept(&f, "k", "old");
  f.born = f.rig->now = rmq_mono_add(f.rig->now, rmq_s(4));
  accept(&f, "k", "young");
  struct rmq_mono due = rmq_publisher_step(f.p, f.rig->now);
  assert_in_range(due.ns - f.rig->now.ns, 5900 * RMQ_NS_PER_MS,
                  6100 * RMQ_NS_PER_MS);
  f.rig->now = rmq_mono_add(f.rig->now, rmq_s(6));
  rmq_publisher_step(f.p, f.rig->now);
  assert_int_equal(snapshot(&f).counters.expired, 1);
  assert_int_equal(snapshot(&f).outbox, 1);
  tear_down(&f);
}

static void the_broker_is_told_what_is_left_of_a_life(void **state) {
  struct fixture f;
  set_up(&f, state);
  static char name[] = "site", value[] = "berlin";
  static struct rmq_argument site = {
      .name = name, .type = RMQ_ARG_STRING, .string = value};
  static const struct rmq_arguments headers = {&site, 1};
  f.config.ttl = rmq_s(10);
  f.config.priority = 7;
  f.config.headers = &headers;
  struct fake_broker *b = broker(&f);
  fake_expect_publish(b, .exchange = "x", .body = "one",
                      .props = "expiration=6000 priority=7 "
                               "headers>={site=S:berlin}");
  fake_send(b, "basic.ack", "delivery-tag=1");
  start(&f);
  f.born = f.rig->now;
  accept(&f, "k", "one");
  f.rig->now = rmq_mono_add(f.rig->now, rmq_s(4));
  connect_it(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  tear_down(&f);
}

static void without_confirms_a_message_ends_when_it_was_sent(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.wants_confirms = false;
  f.rig->config.wants_confirms = false;
  struct fake_broker *b = fake_rig_next_broker(f.rig);
  fake_script_login(b, NULL);
  fake_script_channel(b);
  for (unsigned n = 1; n <= 6; n++)
    expect(b, n, "body");
  give_back(b, 3);
  start(&f);
  connect_it(&f);
  for (int i = 0; i < 6; i++)
    accept(&f, "k", "body");
  turn(&f);
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.unconfirmed, 6);
  assert_int_equal(s.counters.return_, 1);
  assert_int_equal(s.counters.confirmed, 0);
  assert_int_equal(s.in_flight + s.outbox, 0);
  assert_true(rmq_publisher_is_drained(f.p));
  tear_down(&f);
}

static void
a_returned_message_goes_to_the_alternate_exchange_at_once(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.on_return = RMQ_REFUSAL_ALTERNATE;
  f.config.alternate_exchange = "spare";
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  give_back(b, 1);
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_expect_publish(b, .exchange = "spare", .routing_key = "k",
                      .body = "one");
  fake_send(b, "basic.ack", "delivery-tag=2");
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  pass(&f, rmq_ms(200));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.confirmed, 1);
  assert_int_equal(s.counters.return_, 1);
  assert_int_equal(f.given_up, 0);
  tear_down(&f);
}

static void close_over_publish(struct fake_broker *b) {
  fake_send(b, "channel.close",
            "reply-code=406 reply-text='PRECONDITION_FAILED - message size' "
            "class-id=60 method-id=40");
  fake_expect(b, "channel.close-ok");
  fake_script_channel(b);
  fake_script_confirm(b);
}

/* The broker closes the channel over the second of three, whenever it comes. */
static void
a_message_that_closes_the_channel_is_found_and_given_up(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.max_attempts = 2;
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  expect(b, 2, "huge");
  expect(b, 3, "three");
  close_over_publish(b);
  /* One by one: the first passes, the second is alone. */
  expect(b, 1, "one");
  fake_send(b, "basic.ack", "delivery-tag=1");
  expect(b, 2, "huge");
  close_over_publish(b);
  /* The others go on without it; its last try costs one more channel. */
  expect(b, 3, "three");
  fake_send(b, "basic.ack", "delivery-tag=1");
  expect(b, 2, "huge");
  close_over_publish(b);
  expect(b, 4, "four");
  fake_send(b, "basic.ack", "delivery-tag=1");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "huge");
  accept(&f, "k", "three");
  connect_it(&f);
  pass(&f, rmq_s(200));
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.rejected, 1);
  assert_int_equal(f.given_up, 1);
  assert_int_equal(f.last_given_up, RMQ_REFUSED_CLOSE);
  accept(&f, "k", "four");
  pass(&f, rmq_s(100));
  assert_int_equal(snapshot(&f).counters.confirmed, 3);
  assert_int_equal(f.rig->links_count, 1);
  tear_down(&f);
}

static void other_closes_of_the_channel_blame_no_message(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.max_attempts = 1;
  struct fake_broker *b = broker(&f);
  for (int i = 0; i < 3; i++) {
    expect(b, 1, "one");
    fake_send(b, "channel.close",
              "reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=60 "
              "method-id=40");
    fake_expect(b, "channel.close-ok");
    fake_script_channel(b);
    fake_script_confirm(b);
  }
  expect(b, 1, "one");
  fake_send(b, "basic.ack", "delivery-tag=1");
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  pass(&f, rmq_s(300));
  assert_int_equal(f.given_up, 0);
  assert_int_equal(snapshot(&f).counters.confirmed, 1);
  tear_down(&f);
}

static void a_refused_message_does_not_hold_the_end(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.max_attempts = 10;
  struct fake_broker *b = broker(&f);
  for (unsigned i = 1; i <= 2; i++) {
    expect(b, 1, "one");
    give_back(b, 1);
    fake_send(b, "basic.ack", "delivery-tag=%u", i);
  }
  start(&f);
  accept(&f, "k", "one");
  connect_it(&f);
  assert_false(rmq_publisher_is_drained(f.p));
  rmq_publisher_drain(f.p);
  assert_false(rmq_publisher_is_drained(f.p)); /* it gets its last try */
  turn(&f);
  assert_int_equal(snapshot(&f).counters.return_, 2);
  assert_true(rmq_publisher_is_drained(f.p));
  tear_down(&f);
}

static void suspects_that_all_pass_open_the_window_again(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  expect(b, 2, "two");
  close_over_publish(b);
  expect(b, 1, "one");
  fake_send(b, "basic.ack", "delivery-tag=1");
  expect(b, 2, "two");
  fake_send(b, "basic.ack", "delivery-tag=2");
  expect(b, 3, "three");
  expect(b, 4, "four");
  fake_send(b, "basic.ack", "delivery-tag=4 multiple=1");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "two");
  connect_it(&f);
  pass(&f, rmq_s(5));
  assert_int_equal(snapshot(&f).counters.confirmed, 2);
  accept(&f, "k", "three");
  accept(&f, "k", "four");
  turn(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 4);
  tear_down(&f);
}

static void bodies_that_shrink_leave_room_for_others(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.shrinks = true;
  f.config.fifo.max_bytes = 3 * (100 + 1 + RMQ_MESSAGE_OVERHEAD);
  struct fake_broker *b = broker(&f);
  for (unsigned i = 1; i <= 20; i++) {
    expect(b, i, "small");
    fake_send(b, "basic.ack", "delivery-tag=%u", i);
  }
  start(&f);
  connect_it(&f);
  char body[101];
  memset(body, 'x', 100);
  body[100] = '\0';
  for (int i = 0; i < 20; i++) {
    accept(&f, "k", body);
    turn(&f);
  }
  assert_int_equal(snapshot(&f).counters.confirmed, 20);
  tear_down(&f);
}

static void rows_of_messages_that_ended_are_settled(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_store *store = fake_store_new();
  store->prepare = on_prepare;
  store->prepare_ctx = &f;
  f.config.wants_confirms = f.rig->config.wants_confirms = false;
  f.config.fifo.mode = RMQ_SPOOL_ALWAYS;
  f.config.fifo.store = &store->store;
  struct fake_broker *b = fake_rig_next_broker(f.rig);
  fake_script_login(b, NULL);
  fake_script_channel(b);
  expect(b, 1, "one");
  start(&f);
  struct rmq_store_handlers to = rmq_publisher_store_handlers(f.p);
  fake_store_open(store, &to);
  accept(&f, "k", "one");
  connect_it(&f);
  assert_int_equal(snapshot(&f).spooled, 1);
  fake_store_commit(store, 1);
  turn(&f);
  assert_int_equal(snapshot(&f).counters.unconfirmed, 1);
  assert_int_equal(store->settled_count, 1);
  tear_down(&f);
  fake_store_free(store);
}

/* ---- fates ---- */

/* A message as rmq_role_publish_message makes it. */
static struct rmq_message *opaque(const char *exchange, const char *body,
                                  const struct rmq_envelope *e) {
  struct rmq_buf packed;
  rmq_buf_init(&packed, RMQ_ENVELOPE_BYTES_MAX);
  assert_int_equal(rmq_envelope_pack(e, &packed), 0);
  const struct rmq_message_parts parts = {.key = "k",
                                          .exchange = exchange,
                                          .envelope = rmq_buf_bytes(&packed),
                                          .envelope_len = packed.len,
                                          .body = body,
                                          .body_len = strlen(body)};
  struct rmq_message *m = rmq_message_build(&parts);
  assert_non_null(m);
  rmq_buf_fini(&packed);
  return m;
}

static enum rmq_publisher_offer offer(struct fixture *f,
                                      struct rmq_message *m) {
  m->seq = m->tag = f->seq + 1;
  m->born = f->rig->now;
  enum rmq_publisher_offer o = rmq_publisher_offer(f->p, m);
  if (o == RMQ_OFFER_TAKEN || o == RMQ_OFFER_WAKE)
    f->seq++;
  else
    rmq_message_free(m);
  return o;
}

static void offer_plain(struct fixture *f, const char *exchange,
                        const char *body) {
  const struct rmq_envelope none = {.type = NULL};
  enum rmq_publisher_offer o = offer(f, opaque(exchange, body, &none));
  assert_true(o == RMQ_OFFER_TAKEN || o == RMQ_OFFER_WAKE);
}

static void what_the_giver_chose_is_what_the_broker_gets(void **state) {
  char name[] = "tenant", value[] = "a b";
  const struct rmq_argument headers[] = {
      {.name = name, .type = RMQ_ARG_STRING, .string = value}};
  const struct rmq_envelope e = {
      .type = "order.v1",
      .correlation_id = "c-1",
      .reply_to = "answers",
      .traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
      .expiration_ms = 5000,
      .priority = 7,
      .headers = headers,
      .headers_count = 1};
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  fake_expect_publish(
      b, .exchange = "other", .routing_key = "k", .body = "body",
      .props = "type=order.v1 correlation-id=c-1 reply-to=answers "
               "expiration=5000 priority=7 "
               "headers={timestamp_in_ms=l:0,traceparent=S:00-"
               "0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01,"
               "tenant=S:'a b'} !content-type");
  fake_send(b, "basic.ack", "delivery-tag=1");
  start(&f);
  assert_int_equal(offer(&f, opaque("other", "body", &e)), RMQ_OFFER_TAKEN);
  connect_it(&f);
  assert_string_equal(f.fates, "1 confirmed  0  other k\n");
  tear_down(&f);
}

static void each_fate_is_told_with_its_reason(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.max_attempts = 1;
  struct fake_broker *b = broker(&f);
  fake_expect_publishes(b, 3);
  give_back(b, 1);
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_send(b, "basic.nack", "delivery-tag=2");
  fake_send(b, "basic.ack", "delivery-tag=3");
  start(&f);
  offer_plain(&f, NULL, "one");
  offer_plain(&f, NULL, "two");
  offer_plain(&f, "", "three");
  connect_it(&f);
  assert_string_equal(f.fates, "1 returned  312 NO_ROUTE x k\n"
                               "2 rejected  0  x k\n"
                               "3 confirmed  0   k\n");
  f.fates[0] = '\0';
  tear_down(&f);
}

static void a_full_queue_refuses_and_drops_nothing(void **state) {
  struct fixture f;
  const struct rmq_envelope none = {.type = NULL};
  set_up(&f, state);
  f.config.fifo.max_messages = 2;
  start(&f);
  offer_plain(&f, NULL, "one");
  offer_plain(&f, NULL, "two");
  assert_int_equal(offer(&f, opaque(NULL, "three", &none)), RMQ_OFFER_FULL);
  assert_int_equal(snapshot(&f).counters.accepted, 2);
  assert_string_equal(f.fates, "");
  static char large[(1 << 20) + 1];
  memset(large, 'x', sizeof(large) - 1);
  assert_int_equal(offer(&f, opaque(NULL, large, &none)), RMQ_OFFER_TOO_LARGE);
  check_balance(&f);
  rmq_publisher_abandon(f.p);
  assert_string_equal(f.fates, "1 dropped shutdown 0  x k\n"
                               "2 dropped shutdown 0  x k\n");
  fake_rig_free(f.rig);
  rmq_publisher_free(f.p);
}

/* One wrong name must not stop all others, nor be retried for ever. */
static void a_missing_exchange_costs_its_own_message_only(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.max_attempts = 1;
  struct fake_broker *b = broker(&f);
  fake_expect_publish(b, .exchange = "nowhere", .body = "one");
  fake_expect_publish(b, .exchange = "x", .body = "two");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=60 "
            "method-id=40");
  fake_expect(b, "channel.close-ok");
  fake_script_channel(b);
  fake_script_confirm(b);
  fake_expect_publish(b, .exchange = "nowhere", .body = "one");
  fake_send(b, "channel.close",
            "reply-code=404 reply-text='NOT_FOUND - no exchange' class-id=60 "
            "method-id=40");
  fake_expect(b, "channel.close-ok");
  fake_script_channel(b);
  fake_script_confirm(b);
  fake_expect_publish(b, .exchange = "x", .body = "two");
  fake_send(b, "basic.ack", "delivery-tag=1");
  start(&f);
  offer_plain(&f, "nowhere", "one");
  offer_plain(&f, NULL, "two");
  connect_it(&f);
  pass(&f, rmq_s(10));
  assert_non_null(strstr(f.fates, "1 rejected  404 "));
  assert_non_null(strstr(f.fates, "NOT_FOUND - no exchange"));
  assert_non_null(strstr(f.fates, "nowhere k\n2 confirmed  0  x k\n"));
  tear_down(&f);
}

static void a_row_that_comes_back_keeps_its_tag(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_store *store = fake_store_new();
  store->prepare = on_prepare;
  store->prepare_ctx = &f;
  f.config.fifo.mode = RMQ_SPOOL_OVERFLOW;
  f.config.fifo.store = &store->store;
  f.config.fifo.max_messages = 1;
  start(&f);
  struct rmq_store_handlers to = rmq_publisher_store_handlers(f.p);
  fake_store_open(store, &to);
  offer_plain(&f, NULL, "one");
  for (int i = 0; i < 5; i++)
    offer_plain(&f, NULL, "row");
  fake_store_commit(store, SIZE_MAX);
  assert_string_equal(f.fates, "2 stored  0  x k\n3 stored  0  x k\n"
                               "4 stored  0  x k\n5 stored  0  x k\n"
                               "6 stored  0  x k\n");
  f.fates[0] = '\0';
  store->has_fetch = false;
  fake_store_lose(store, 2, RMQ_STORE_EXPIRED);
  assert_non_null(strstr(f.fates, "2 expired  0   \n"));
  assert_non_null(strstr(f.fates, "3 expired  0   \n"));
  f.fates[0] = '\0';
  rmq_publisher_abandon(f.p);
  fake_store_work(store);
  rmq_publisher_tell_kept(f.p);
  assert_non_null(strstr(f.fates, "1 stored  0  x k\n"));
  for (int i = 0; i < 4; i++) {
    static const char *const kept[] = {"1 kept ", "4 kept ", "5 kept ",
                                       "6 kept "};
    assert_non_null(strstr(f.fates, kept[i]));
  }
  fake_rig_free(f.rig);
  rmq_publisher_free(f.p);
  fake_store_free(store);
}

static void a_tag_until_stored_hears_no_more(void **state) {
  const struct rmq_envelope none = {.type = NULL};
  struct fixture f;
  set_up(&f, state);
  struct fake_store *store = fake_store_new();
  store->prepare = on_prepare;
  store->prepare_ctx = &f;
  f.config.fifo.mode = RMQ_SPOOL_OVERFLOW;
  f.config.fifo.store = &store->store;
  f.config.fifo.max_messages = 1;
  start(&f);
  struct rmq_store_handlers to = rmq_publisher_store_handlers(f.p);
  fake_store_open(store, &to);
  offer_plain(&f, NULL, "one");
  for (int i = 0; i < 2; i++) {
    struct rmq_message *m = opaque(NULL, "row", &none);
    m->seq = ++f.seq;
    m->tag = m->seq | RMQ_TAG_UNTIL_STORED;
    m->born = f.rig->now;
    rmq_publisher_offer(f.p, m);
  }
  fake_store_commit(store, SIZE_MAX);
  assert_string_equal(f.fates, "9223372036854775810 stored  0  x k\n"
                               "9223372036854775811 stored  0  x k\n");
  f.fates[0] = '\0';
  store->has_fetch = false;
  fake_store_lose(store, 1, RMQ_STORE_EXPIRED);
  assert_string_equal(f.fates, "");
  rmq_publisher_abandon(f.p);
  fake_store_work(store);
  rmq_publisher_tell_kept(f.p);
  assert_null(strstr(f.fates, "922337"));
  assert_non_null(strstr(f.fates, "1 kept "));
  fake_rig_free(f.rig);
  rmq_publisher_free(f.p);
  fake_store_free(store);
}

/* The store's thread asks on by itself while the worker sleeps. */
static void rows_that_turn_up_while_the_worker_sleeps_are_asked_for(void **s) {
  struct fixture f;
  set_up(&f, s);
  struct fake_store *store = fake_store_new();
  f.config.fifo.mode = RMQ_SPOOL_OVERFLOW;
  f.config.fifo.store = &store->store;
  broker(&f);
  start(&f);
  struct rmq_store_handlers to = rmq_publisher_store_handlers(f.p);
  connect_it(&f);
  to.recovered(to.ctx, (struct rmq_store_tally){1, 1});
  assert_true(store->has_fetch);
  store->has_fetch = false;
  struct rmq_list none; /* there were rows, of other lanes */
  rmq_list_init(&none);
  to.fetched(to.ctx, &none, 5);
  assert_true(store->has_fetch);
  assert_int_equal(store->fetch_after, 5);
  tear_down(&f);
  fake_store_free(store);
}

/* With a store nothing is dropped for room; but back-offs of a minute and more
 * for each of many would keep the rows on the disk for hours. */
static void refused_messages_do_not_keep_rows_on_the_disk(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_store *store = fake_store_new();
  store->prepare = on_prepare;
  store->prepare_ctx = &f;
  f.config.max_attempts = 5;
  f.config.fifo.max_messages = 8;
  f.config.fifo.mode = RMQ_SPOOL_OVERFLOW;
  f.config.fifo.store = &store->store;
  fake_silence(broker(&f));
  start(&f);
  struct rmq_store_handlers handlers = rmq_publisher_store_handlers(f.p);
  fake_store_open(store, &handlers);
  connect_it(&f);
  for (int i = 0; i < 100; i++)
    accept(&f, "k", "nobody wants it");
  for (int i = 0; i < 400 && snapshot(&f).counters.returned < 100; i++) {
    fake_store_work(store);
    turn(&f);
    rmq_buf_clear(rmq_connection_output(f.rig->connection));
    return_all(&f);
    check_balance(&f);
    f.rig->now = rmq_mono_add(f.rig->now, rmq_ms(100));
  }
  assert_in_range(snapshot(&f).counters.returned, 95, 100);
  assert_int_equal(snapshot(&f).spooled, 0);
  fake_store_work(store);
  tear_down(&f);
  fake_store_free(store);
}

/* ---- the end ---- */

static void the_end_does_not_wait_for_a_lane_to_calm_down(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.window = 1;
  struct fake_broker *b = broker(&f);
  expect(b, 1, "one");
  fake_send(b, "basic.nack", "delivery-tag=1");
  expect(b, 1, "one");
  fake_send(b, "basic.ack", "delivery-tag=2");
  expect(b, 2, "two");
  fake_send(b, "basic.ack", "delivery-tag=3");
  start(&f);
  accept(&f, "k", "one");
  accept(&f, "k", "two");
  connect_it(&f);
  assert_int_equal(snapshot(&f).outbox, 2);
  rmq_publisher_drain(f.p);
  turn(&f);
  assert_int_equal(snapshot(&f).counters.confirmed, 2);
  assert_true(rmq_publisher_is_drained(f.p));
  tear_down(&f);
}

static void what_is_left_at_the_end_is_counted_as_dropped(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  fake_expect_publishes(b, 4);
  start(&f);
  for (int i = 0; i < 6; i++)
    accept(&f, "k", "body");
  connect_it(&f);
  assert_int_equal(rmq_publisher_abandon(f.p), 6);
  accept(&f, "k", "too late");
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.dropped[RMQ_PUBLISHER_DROP_shutdown], 7);
  assert_int_equal(s.counters.values_dropped, 7);
  tear_down(&f);
}

/* One is given up, one waits for another try, one was never refused. */
static void whatever_is_not_taken_has_its_last_refusal(void **state) {
  struct fixture f;
  set_up(&f, state);
  f.config.on_nack = RMQ_REFUSAL_DROP;
  struct fake_broker *b = broker(&f);
  fake_expect_publishes(b, 4);
  give_back(b, 1);
  fake_send(b, "basic.ack", "delivery-tag=1");
  fake_send(b, "basic.nack", "delivery-tag=2");
  fake_send(b, "basic.ack", "delivery-tag=3");
  start(&f);
  for (int i = 0; i < 4; i++)
    accept(&f, "k", "body");
  connect_it(&f);
  struct rmq_publisher_snapshot s = snapshot(&f);
  assert_int_equal(s.counters.refused_last[RMQ_REFUSED_NACK], 1);
  assert_int_equal(s.counters.refused_last[RMQ_REFUSED_RETURN], 0);
  assert_int_equal(rmq_publisher_abandon(f.p), 2);
  s = snapshot(&f);
  assert_int_equal(s.counters.refused_last[RMQ_REFUSED_NACK], 1);
  assert_int_equal(s.counters.refused_last[RMQ_REFUSED_RETURN], 1);
  assert_int_equal(s.counters.refused_last[RMQ_REFUSED_CLOSE], 0);
  tear_down(&f);
}

/* ---- threads ---- */

enum { THREADS = 4, MESSAGES_EACH = 5000 };
static atomic_int running;

static void *feed(void *arg) {
  struct fixture *f = arg;
  for (int i = 0; i < MESSAGES_EACH; i++)
    accept(f, "k", "body");
  atomic_fetch_sub(&running, 1);
  return NULL;
}

static void the_balance_holds_while_threads_feed_it(void **state) {
  struct fixture f;
  set_up(&f, state);
  fake_silence(broker(&f));
  start(&f);
  connect_it(&f);
  pthread_t threads[THREADS];
  atomic_store(&running, THREADS);
  for (int i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, feed, &f), 0);
  while (atomic_load(&running) > 0) {
    rmq_publisher_step(f.p, f.rig->now);
    rmq_publisher_confirmed(f.p, f.rig->epoch, snapshot(&f).counters.published,
                            true, false, f.rig->now);
    rmq_buf_clear(rmq_connection_output(f.rig->connection));
    check_balance(&f);
  }
  for (int i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(snapshot(&f).counters.accepted, THREADS * MESSAGES_EACH);
  tear_down(&f);
}

static void the_worker_is_woken_only_when_it_waits_for_a_message(void **state) {
  struct fixture f;
  set_up(&f, state);
  struct fake_broker *b = broker(&f);
  for (unsigned n = 1; n <= 4; n++)
    expect(b, n, "body");
  start(&f);
  assert_false(wakes(&f)); /* nowhere to publish it */
  assert_false(wakes(&f));
  connect_it(&f); /* both are published, and nothing is left */
  assert_true(wakes(&f));
  assert_false(wakes(&f)); /* it is on its way */
  turn(&f);
  assert_int_equal(snapshot(&f).in_flight, 4);
  assert_false(wakes(&f)); /* the window is full: a confirm will wake it */
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      HOWEVER_SPLIT(accepted_messages_are_published_in_order_and_confirmed),
      HOWEVER_SPLIT(the_worker_is_woken_only_when_it_waits_for_a_message),
      HOWEVER_SPLIT(no_more_than_the_window_is_in_flight),
      HOWEVER_SPLIT(content_encoding_is_told_where_there_is_one),
      HOWEVER_SPLIT(unknown_outcome_is_republished_first_with_same_message_id),
      HOWEVER_SPLIT(confirm_timeout_doubles_until_something_is_confirmed),
      HOWEVER_SPLIT(a_blockade_stops_the_confirm_timeout),
      HOWEVER_SPLIT(confirms_settle_what_they_name_and_nothing_else),
      HOWEVER_SPLIT(a_nack_with_multiple_sends_all_that_it_names_again),
      HOWEVER_SPLIT(returned_then_nacked_is_a_nack),
      HOWEVER_SPLIT(a_return_of_somebody_else_changes_nothing),
      HOWEVER_SPLIT(a_closed_channel_publishes_again_in_order),
      HOWEVER_SPLIT(a_forced_close_publishes_again_in_order),
      HOWEVER_SPLIT(no_confirm_at_all_leaks_neither_window_nor_queue),
      HOWEVER_SPLIT(a_nacked_message_is_tried_again_and_then_given_up),
      HOWEVER_SPLIT(a_returned_message_does_not_stop_the_others),
      WHOLE(returned_messages_count_for_the_queue),
      WHOLE(what_is_too_old_expires_also_while_the_broker_is_away),
      HOWEVER_SPLIT(the_broker_is_told_what_is_left_of_a_life),
      HOWEVER_SPLIT(without_confirms_a_message_ends_when_it_was_sent),
      HOWEVER_SPLIT(a_returned_message_goes_to_the_alternate_exchange_at_once),
      HOWEVER_SPLIT(a_message_that_closes_the_channel_is_found_and_given_up),
      HOWEVER_SPLIT(other_closes_of_the_channel_blame_no_message),
      WHOLE(refused_messages_do_not_keep_rows_on_the_disk),
      HOWEVER_SPLIT(a_refused_message_does_not_hold_the_end),
      HOWEVER_SPLIT(bodies_that_shrink_leave_room_for_others),
      HOWEVER_SPLIT(rows_of_messages_that_ended_are_settled),
      WHOLE(rows_that_turn_up_while_the_worker_sleeps_are_asked_for),
      HOWEVER_SPLIT(suspects_that_all_pass_open_the_window_again),
      HOWEVER_SPLIT(the_end_does_not_wait_for_a_lane_to_calm_down),
      HOWEVER_SPLIT(what_is_left_at_the_end_is_counted_as_dropped),
      HOWEVER_SPLIT(whatever_is_not_taken_has_its_last_refusal),
      WHOLE(the_balance_holds_while_threads_feed_it),
      HOWEVER_SPLIT(what_the_giver_chose_is_what_the_broker_gets),
      HOWEVER_SPLIT(each_fate_is_told_with_its_reason),
      WHOLE(a_full_queue_refuses_and_drops_nothing),
      HOWEVER_SPLIT(a_missing_exchange_costs_its_own_message_only),
      WHOLE(a_row_that_comes_back_keeps_its_tag),
      WHOLE(a_tag_until_stored_hears_no_more),
  };
  return run_all(tests);
}
