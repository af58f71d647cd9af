/* SPDX-License-Identifier: MIT */
/* Duplicates: deliveries go through the flow on a real connection machine,
 * against a broker that keeps account. Values come back in any order, messages
 * fail or are overdue, the same message lies in the queue twice, links and
 * channels die in between. Every message is worked on at least once; after it
 * was done it is never worked on again, and never twice at a time. */
#include "rmq_config.h"

#include "common/role/consume_flow.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"
#include "tests/fake/server.h"
#include "tests/prop.h"

enum { SEQUENCES = 150, EVENTS = 250, MESSAGES_MAX = 2000, VALUES_MAX = 6 };
enum { OUT_MAX = 100000, STORED_MAX = 4000, CHANNELS = 4 };

struct message {
  unsigned working;  /* deliveries that are worked on now: 0 or 1 */
  unsigned done;     /* times that all of its values came back in time */
  unsigned requeues; /* in a row */
  bool was_dropped, was_condemned;
};

struct world {
  struct prop *prop;
  struct fake_rig *rig;
  struct fake_server *server;
  struct rmq_consumer *consumer;
  struct rmq_outstanding tickets;
  struct rmq_flow flow;
  unsigned prefetch, max_redeliveries;
  struct message messages[MESSAGES_MAX + 1];
  size_t count;           /* messages 1 ... count exist */
  size_t put[STORED_MAX]; /* which message lies in the queue */
  size_t put_count;
  size_t of_slot[1 << 16]; /* the message of a ticket's slot */
  uint64_t out[OUT_MAX];   /* values on their way: their tickets */
  size_t out_count;
};

static struct message *message_of(struct world *w, uint64_t ticket) {
  return &w->messages[w->of_slot[rmq_outstanding_slot_of(&w->tickets, ticket)]];
}

/* ---- wiring ---- */

static bool settle(void *ctx, uint64_t serial, enum rmq_settle how,
                   struct rmq_mono now) {
  return rmq_consumer_settle(((struct world *)ctx)->consumer, serial, how, now);
}

static size_t place_of(void *ctx, uint64_t serial) {
  return rmq_consumer_place_of(((struct world *)ctx)->consumer, serial);
}

static void done(struct world *w, uint64_t ticket) {
  int64_t ms = 0;
  struct message *m = message_of(w, ticket);
  if (!rmq_flow_done(&w->flow, ticket, w->rig->now, &ms))
    return;
  m->working--;
  m->done++;
  m->requeues = 0;
}

static void failed(struct world *w, uint64_t ticket, enum rmq_settle how) {
  struct message *m = message_of(w, ticket);
  if (!rmq_flow_is_open(&w->flow, ticket))
    return;
  if (how == RMQ_SETTLE_REQUEUE && !rmq_flow_may_requeue(&w->flow, ticket))
    how = RMQ_SETTLE_DEAD_LETTER;
  rmq_flow_failed(&w->flow, ticket, how, prop_chance(w->prop, 50), w->rig->now);
  m->working--;
  m->requeues = how == RMQ_SETTLE_REQUEUE ? m->requeues + 1 : 0;
  m->was_dropped = m->was_dropped || how == RMQ_SETTLE_DROP;
  m->was_condemned = m->was_condemned || how == RMQ_SETTLE_DEAD_LETTER;
  assert_true(m->requeues <= w->max_redeliveries);
}

static void hand_out(struct world *w, uint64_t ticket) {
  static const enum rmq_settle failures[] = {
      RMQ_SETTLE_DROP, RMQ_SETTLE_REQUEUE, RMQ_SETTLE_DEAD_LETTER};
  size_t values = prop_below(w->prop, VALUES_MAX);
  assert_true(w->out_count + values <= OUT_MAX);
  for (size_t i = 0; i < values; i++)
    w->out[w->out_count++] = ticket;
  bool is_complete = rmq_outstanding_end(&w->tickets, ticket, values);
  if (prop_chance(w->prop, 10))
    failed(w, ticket, failures[prop_below(w->prop, COUNT_OF(failures))]);
  else if (is_complete)
    done(w, ticket);
}

static void on_delivered(void *ctx, uint64_t serial,
                         const struct rmq_delivery *d, struct rmq_mono now) {
  struct world *w = ctx;
  size_t number = (size_t)strtoull(d->message_id, NULL, 10);
  assert_true(number >= 1 && number <= w->count);
  struct message *m = &w->messages[number];
  uint64_t ticket = rmq_outstanding_begin(&w->tickets, now);
  if (ticket == 0) {
    rmq_flow_postpone(&w->flow, serial, now);
    return;
  }
  switch (rmq_flow_arrive(&w->flow, ticket, serial, d, now)) {
  case RMQ_FLOW_TAKE:
    if (m->done > 0 || m->working > 0)
      fail_msg("message %zu is worked on again: %u times done, %u at work",
               number, m->done, m->working);
    m->working++;
    w->of_slot[rmq_outstanding_slot_of(&w->tickets, ticket)] = number;
    hand_out(w, ticket);
    break;
  case RMQ_FLOW_HELD:
    assert_int_equal(m->working, 1);
    rmq_outstanding_forget(&w->tickets, ticket);
    break;
  case RMQ_FLOW_DUPLICATE:
    assert_true(m->done > 0);
    rmq_outstanding_forget(&w->tickets, ticket);
    break;
  }
}

static void delivered(void *ctx, uint64_t epoch, const struct rmq_delivery *d,
                      struct rmq_mono now) {
  (void)epoch;
  rmq_consumer_delivered(((struct world *)ctx)->consumer, d, now);
}

static void lost(void *ctx, struct rmq_mono now) {
  struct world *w = ctx;
  (void)now;
  rmq_consumer_lost(w->consumer);
  rmq_flow_lost(&w->flow);
}

static struct fake_broker *connect_to(void *ctx, const struct rmq_endpoint *e) {
  return fake_server_connect(ctx, e);
}

static void begin(struct world *w, struct prop *p) {
  static const struct rmq_wire_queue queue = {.name = "q", .is_durable = true};
  static const unsigned prefetches[] = {1, 2, 9, 50};
  enum fake_split split = prop_chance(p, 50) ? FAKE_WHOLE : FAKE_RANDOM;
  uint32_t seed = (uint32_t)prop_next(p) | 1;
  memset(w, 0, sizeof(*w));
  w->prop = p;
  w->prefetch = prefetches[prop_below(p, COUNT_OF(prefetches))];
  w->max_redeliveries = (unsigned)prop_below(p, 4);
  struct rmq_consumer_config config = {
      .prefetch = (uint16_t)w->prefetch,
      .ack_batch = 1 + prop_below(p, 20),
      .ack_interval = rmq_ms((int64_t)prop_below(p, 2000)),
  };
  struct rmq_flow_config flow = {.prefetch = (uint16_t)w->prefetch,
                                 .deduplicates = true,
                                 .window = MESSAGES_MAX,
                                 .max_redeliveries = w->max_redeliveries,
                                 .retry_delay =
                                     rmq_ms((int64_t)prop_below(p, 3) * 500)};
  const struct rmq_consumer_handlers handlers = {w, on_delivered};
  const struct rmq_flow_settler settler = {w, settle, place_of};
  PROP_TRACE(p, "prefetch %u, ack batch %zu", w->prefetch, config.ack_batch);
  assert_int_equal(rmq_outstanding_init(&w->tickets, CHANNELS * w->prefetch),
                   0);
  assert_int_equal(rmq_flow_init(&w->flow, &flow, &settler, &w->tickets), 0);
  w->consumer = rmq_consumer_new(&config, &handlers);
  w->server = fake_server_new(split, seed);
  w->rig = fake_rig_new(split, seed);
  w->rig->connect = connect_to;
  w->rig->connect_ctx = w->server;
  w->rig->config.queue = &queue;
  w->rig->config.prefetch = (uint16_t)w->prefetch;
  w->rig->config.consumer_tag = "w";
  w->rig->config.max_message_bytes = 1000;
  w->rig->also = (struct rmq_connection_handlers){
      .ctx = w, .delivered = delivered, .lost = lost};
}

static void end(struct world *w) {
  fake_rig_free(w->rig);
  fake_server_free(w->server);
  rmq_consumer_free(w->consumer);
  rmq_flow_fini(&w->flow);
  rmq_outstanding_fini(&w->tickets);
}

/* ---- what happens ---- */

/* What the broker holds for done or rejected must be so. */
static void must_agree(struct world *w) {
  if (fake_tell(fake_server_failure(w->server)))
    fail();
  for (size_t i = 0; i < w->server->stored_count; i++) {
    const struct message *m = &w->messages[w->put[i]];
    if (w->server->stored[i].state == FAKE_DONE)
      assert_true(m->done > 0 || m->was_dropped);
    if (w->server->stored[i].state == FAKE_REJECTED)
      assert_true(m->was_condemned);
  }
  assert_true(rmq_consumer_unacked(w->consumer) <= w->prefetch);
}

static void take_complete(struct world *w) {
  uint64_t ticket = 0;
  while ((ticket = rmq_outstanding_take(&w->tickets)) != 0)
    done(w, ticket);
}

static struct rmq_mono turn(struct world *w) {
  struct rmq_mono due = RMQ_NEVER;
  uint64_t before;
  do {
    before = w->server->acks_count + w->server->deliveries_count;
    fake_rig_run(w->rig);
    take_complete(w);
    due = rmq_flow_step(&w->flow, w->rig->now);
    due = rmq_mono_min(due, rmq_consumer_step(w->consumer, w->rig->now));
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

/* A new message, or one that was published before: its sender did not get the
 * confirm. */
static void put_one(struct world *w) {
  char id[32], body[32];
  if (w->put_count == STORED_MAX || w->count == MESSAGES_MAX)
    return;
  size_t number = w->count > 0 && prop_chance(w->prop, 20)
                      ? 1 + prop_below(w->prop, w->count)
                      : ++w->count;
  snprintf(id, sizeof(id), "%zu", number);
  snprintf(body, sizeof(body), "body of %zu", number);
  w->put[w->put_count++] = number;
  fake_server_put(w->server, "q", id, NULL, body, strlen(body));
}

static void value_back(struct world *w) {
  size_t i = prop_below(w->prop, w->out_count);
  uint64_t ticket = w->out[i];
  w->out[i] = w->out[--w->out_count];
  rmq_outstanding_back(&w->tickets, ticket);
}

/* A filter chain has stopped a value: the delivery is overdue. */
static void never_comes_back(struct world *w) {
  struct rmq_mono later = rmq_mono_add(w->rig->now, rmq_s(60));
  rmq_outstanding_overdue(&w->tickets, rmq_s(1), w->rig->now);
  uint64_t ticket = rmq_outstanding_overdue(&w->tickets, rmq_s(1), later);
  rmq_outstanding_forget(&w->tickets, ticket);
  failed(w, ticket,
         prop_chance(w->prop, 80) ? RMQ_SETTLE_REQUEUE : RMQ_SETTLE_DROP);
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
  PROP_TRACE(p, "event %zu, put %zu, out %zu", what, w->put_count,
             w->out_count);
  if (what < 25) {
    for (size_t n = prop_below(p, 10); n > 0; n--)
      put_one(w);
  } else if (what < 60) {
    for (size_t n = prop_below(p, 20); n > 0 && w->out_count > 0; n--)
      value_back(w);
  } else if (what < 64) {
    never_comes_back(w);
  } else if (what < 90) {
    let_time_pass(w);
  } else {
    fault(w);
  }
  turn(w);
}

static void work_until_nothing_is_left(struct world *w) {
  fake_server_set_down(w->server, false);
  for (int i = 0; i < 5000; i++) {
    while (w->out_count > 0)
      value_back(w);
    turn(w);
    if (w->out_count == 0 &&
        fake_server_count(w->server, "q", FAKE_DONE) +
                fake_server_count(w->server, "q", FAKE_REJECTED) ==
            w->put_count)
      return;
    let_time_pass(w);
  }
  fail_msg("not everything is settled; the state is %s",
           rmq_session_state_to_str(fake_rig_state(w->rig)));
}

static struct world world; /* large */

static void sequence(struct prop *p) {
  struct world *w = &world;
  begin(w, p);
  fake_rig_start(w->rig);
  rmq_consumer_attach(w->consumer, w->rig->connection);
  turn(w);
  for (int i = 0; i < EVENTS; i++)
    event(w);
  work_until_nothing_is_left(w);
  for (size_t i = 1; i <= w->count; i++) {
    const struct message *m = &w->messages[i];
    assert_int_equal(m->working, 0);
    assert_true(m->done > 0 || m->was_dropped || m->was_condemned);
  }
  assert_int_equal(w->flow.dedup.open, 0);
  end(w);
}

static void every_message_at_least_once_and_none_again_once_done(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_message_at_least_once_and_none_again_once_done),
  };
  return run_all(tests);
}
