/* SPDX-License-Identifier: MIT */
/* A consumer on a real connection machine against a broker that keeps account:
 * work is finished in any order, sent back, or never again; links and channels
 * die in between. The broker never believes done what is not, and at the end
 * every message was settled as its worker said. */
#include "rmq_config.h"

#include "common/amqp/consumer.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"
#include "tests/fake/server.h"
#include "tests/prop.h"

enum { SEQUENCES = 120, EVENTS = 200, MESSAGES_MAX = 3000, OPEN_MAX = 20000 };

/* What the worker of a message said last about its latest delivery. */
enum verdict {
  NOT_DELIVERED,
  WORKING,
  FINISHED,
  DROPPED,
  SENT_BACK,
  CONDEMNED
};

struct job {
  uint64_t serial;
  size_t message;
};

struct world {
  struct prop *prop;
  struct fake_rig *rig;
  struct fake_server *server;
  struct rmq_consumer *consumer;
  unsigned prefetch;
  size_t put; /* messages 1 ... put are in the queue */
  enum verdict verdicts[MESSAGES_MAX + 1];
  struct job open[OPEN_MAX];
  size_t open_count;
  uint64_t last_serial;
  uint64_t lost; /* deliveries that their channel took along */
};

/* ---- wiring ---- */

static void on_delivered(void *ctx, uint64_t serial,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  struct world *w = ctx;
  char body[32];
  size_t message = (size_t)strtoull(d->message_id, NULL, 10);
  int len = snprintf(body, sizeof(body), "body of %zu", message);
  (void)now;
  assert_true(serial > w->last_serial);
  w->last_serial = serial;
  assert_true(message >= 1 && message <= w->put);
  assert_int_equal(d->body.len, len);
  assert_memory_equal(d->body.bytes, body, (size_t)len);
  assert_true(d->is_redelivered || w->verdicts[message] == NOT_DELIVERED);
  assert_true(w->open_count < OPEN_MAX);
  w->open[w->open_count++] = (struct job){serial, message};
  w->verdicts[message] = WORKING;
}

static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  (void)epoch;
  rmq_consumer_delivered(((struct world *)ctx)->consumer, d, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  struct world *w = ctx;
  (void)now;
  w->lost += rmq_consumer_unacked(w->consumer);
  rmq_consumer_lost(w->consumer);
}

static struct fake_broker *connect_to(void *ctx, const struct rmq_endpoint *e) {
  return fake_server_connect(ctx, e);
}

static void begin(struct world *w, struct prop *p) {
  static const struct rmq_wire_queue queue = {.name = "q", .is_durable = true};
  static const unsigned prefetches[] = {1, 2, 9, 50};
  enum fake_split split = prop_chance(p, 50) ? FAKE_WHOLE : FAKE_RANDOM;
  uint32_t seed = (uint32_t)prop_next(p) | 1;
  *w = (struct world){.prop = p};
  w->prefetch = prefetches[prop_below(p, COUNT_OF(prefetches))];
  struct rmq_consumer_config config = {
      .prefetch = (uint16_t)w->prefetch,
      .ack_batch = 1 + prop_below(p, 20),
      .ack_interval = rmq_ms((int64_t)prop_below(p, 2000)),
  };
  const struct rmq_consumer_handlers handlers = {w, on_delivered};
  PROP_TRACE(p, "prefetch %u, ack batch %zu", w->prefetch, config.ack_batch);
  w->consumer = rmq_consumer_new(&config, &handlers);
  w->server = fake_server_new(split, seed);
  w->rig = fake_rig_new(split, seed);
  w->rig->connect = connect_to;
  w->rig->connect_ctx = w->server;
  w->rig->config.queue = &queue;
  w->rig->config.prefetch = (uint16_t)w->prefetch;
  w->rig->config.consumer_tag = "w";
  w->rig->also = (struct rmq_connection_handlers){
      .ctx = w, .delivered = delivered, .lost = lost};
}

static void end(struct world *w) {
  fake_rig_free(w->rig);
  fake_server_free(w->server);
  rmq_consumer_free(w->consumer);
}

/* ---- what happens ---- */

/* Every delivery has one end. */
static void account_must_balance(const struct world *w) {
  struct rmq_consumer_counters c = rmq_consumer_counters(w->consumer);
  assert_int_equal(c.delivered, c.acked + c.dropped + c.requeued +
                                    c.dead_lettered + w->lost +
                                    rmq_consumer_unacked(w->consumer));
}

/* What the broker holds for done must be done. */
static void must_agree(struct world *w) {
  account_must_balance(w);
  if (fake_tell(fake_server_failure(w->server)))
    fail();
  for (size_t i = 0; i < w->server->stored_count; i++) {
    enum verdict v = w->verdicts[i + 1];
    if (w->server->stored[i].state == FAKE_DONE && v != FINISHED &&
        v != DROPPED)
      fail_msg("message %zu was acked, but its worker says %d", i + 1, v);
    if (w->server->stored[i].state == FAKE_REJECTED && v != CONDEMNED)
      fail_msg("message %zu was rejected, but its worker says %d", i + 1, v);
  }
  assert_true(w->server->unacked_most <= w->prefetch);
  assert_true(rmq_consumer_open(w->consumer) <=
              rmq_consumer_unacked(w->consumer));
  assert_true(rmq_consumer_unacked(w->consumer) <= w->prefetch);
}

static struct rmq_mono turn(struct world *w) {
  struct rmq_mono due = RMQ_NEVER;
  uint64_t before;
  do {
    before = w->server->acks_count + w->server->deliveries_count;
    fake_rig_run(w->rig);
    due = rmq_consumer_step(w->consumer, w->rig->now);
    fake_rig_run(w->rig);
  } while (w->server->acks_count + w->server->deliveries_count != before);
  must_agree(w);
  return due;
}

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

static void put_one(struct world *w) {
  char id[32], body[32];
  w->put++;
  snprintf(id, sizeof(id), "%zu", w->put);
  snprintf(body, sizeof(body), "body of %zu", w->put);
  fake_server_put(w->server, "q", id, NULL, body, strlen(body));
}

static void settle(struct world *w, size_t index, enum rmq_settle how) {
  static const enum verdict verdicts[] = {[RMQ_SETTLE_ACK] = FINISHED,
                                          [RMQ_SETTLE_DROP] = DROPPED,
                                          [RMQ_SETTLE_REQUEUE] = SENT_BACK,
                                          [RMQ_SETTLE_HAND_BACK] = SENT_BACK,
                                          [RMQ_SETTLE_DEAD_LETTER] = CONDEMNED};
  struct job job = w->open[index];
  w->open[index] = w->open[--w->open_count];
  if (rmq_consumer_settle(w->consumer, job.serial, how, w->rig->now))
    w->verdicts[job.message] = verdicts[how];
}

static void settle_some(struct world *w) {
  static const enum rmq_settle rare[] = {RMQ_SETTLE_DROP, RMQ_SETTLE_REQUEUE,
                                         RMQ_SETTLE_HAND_BACK,
                                         RMQ_SETTLE_DEAD_LETTER};
  struct prop *p = w->prop;
  for (size_t n = prop_below(p, 8); n > 0 && w->open_count > 0; n--) {
    size_t how = prop_below(p, 16);
    settle(w, prop_below(p, w->open_count),
           how < COUNT_OF(rare) ? rare[how] : RMQ_SETTLE_ACK);
  }
}

static void fault(struct world *w) {
  struct prop *p = w->prop;
  switch (prop_below(p, 6)) {
  case 0:
    fake_server_drop(w->server, prop_chance(p, 50));
    break;
  case 1:
    fake_server_close(w->server, 320, "CONNECTION_FORCED");
    break;
  case 2:
    fake_server_close_channel(w->server, 406, "PRECONDITION_FAILED");
    break;
  case 3:
    fake_server_cancel(w->server);
    break;
  case 4:
    fake_server_set_down(w->server, prop_chance(p, 50));
    break;
  default:
    rmq_connection_fail(w->rig->connection, "a test", w->rig->now);
    break;
  }
}

static void event(struct world *w) {
  struct prop *p = w->prop;
  size_t what = prop_below(p, 100);
  PROP_TRACE(p, "event %zu, put %zu, open %zu", what, w->put, w->open_count);
  if (what < 25) {
    for (size_t n = prop_below(p, 10); n > 0 && w->put < MESSAGES_MAX; n--)
      put_one(w);
  } else if (what < 65) {
    settle_some(w);
  } else if (what < 90) {
    let_time_pass(w);
  } else {
    fault(w);
  }
  turn(w);
}

/* ---- the two ways to end ---- */

static void work_until_nothing_is_left(struct world *w) {
  fake_server_set_down(w->server, false);
  for (int i = 0; i < 3000; i++) {
    while (w->open_count > 0)
      settle(w, w->open_count - 1, RMQ_SETTLE_ACK);
    turn(w);
    if (fake_server_count(w->server, "q", FAKE_DONE) +
            fake_server_count(w->server, "q", FAKE_REJECTED) ==
        w->put)
      return;
    let_time_pass(w);
  }
  fail_msg("%zu of %zu messages are not settled; the state is %s",
           w->put - fake_server_count(w->server, "q", FAKE_DONE), w->put,
           rmq_session_state_to_str(fake_rig_state(w->rig)));
}

/* A graceful stop: nothing more comes, what is at hand is finished, and all
 * that was finished is acked before the connection closes. */
static void stop_with_work_at_hand(struct world *w) {
  while (!rmq_session_is_up(fake_rig_state(w->rig)) ||
         !fake_server_has_consumer(w->server)) {
    fake_server_set_down(w->server, false);
    let_time_pass(w);
  }
  assert_true(rmq_consumer_cancel(w->consumer));
  turn(w);
  assert_int_equal(w->rig->cancels, 1);
  uint64_t deliveries = w->server->deliveries_count;
  while (w->open_count > 0)
    settle(w, w->open_count - 1, RMQ_SETTLE_ACK);
  rmq_consumer_flush(w->consumer);
  turn(w);
  assert_int_equal(rmq_consumer_unacked(w->consumer), 0);
  assert_int_equal(w->server->deliveries_count, deliveries);
  fake_rig_stop(w->rig);
  fake_rig_must_be(w->rig, RMQ_SESSION_STOPPED);
  must_agree(w);
  assert_int_equal(fake_server_count(w->server, "q", FAKE_UNACKED), 0);
  for (size_t i = 1; i <= w->put; i++)
    if (w->verdicts[i] == FINISHED)
      assert_int_equal(w->server->stored[i - 1].state, FAKE_DONE);
}

static void sequence(struct prop *p) {
  struct world w;
  begin(&w, p);
  fake_rig_start(w.rig);
  rmq_consumer_attach(w.consumer, w.rig->connection);
  turn(&w);
  for (int i = 0; i < EVENTS; i++)
    event(&w);
  if (prop_chance(p, 50))
    work_until_nothing_is_left(&w);
  else
    stop_with_work_at_hand(&w);
  struct rmq_consumer_counters c = rmq_consumer_counters(w.consumer);
  assert_int_equal(c.delivered, w.rig->deliveries);
  assert_true(c.delivered <= w.server->deliveries_count);
  assert_true(c.acked + c.dropped >=
              fake_server_count(w.server, "q", FAKE_DONE));
  end(&w);
}

static void
nothing_is_acked_that_is_not_done_and_nothing_is_forgotten(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(
          nothing_is_acked_that_is_not_done_and_nothing_is_forgotten),
  };
  return run_all(tests);
}
