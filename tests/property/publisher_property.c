/* SPDX-License-Identifier: MIT */
/* A publisher on a real connection machine against a broker that confirms in
 * any order, refuses, blocks, forgets, closes and dies by chance, and with a
 * store that is slow, fails, or outlives a daemon that was killed. After every
 * event the counters balance; at the end each accepted message was acked by the
 * broker, or was given up with a reason, or was in the RAM of a daemon that was
 * killed; and what was published again kept its message-id and its place. A
 * message with a tag is told stored at most once and then has one final fate,
 * which is the true one, unless its daemon was killed. */
#include "rmq_config.h"

#include "common/amqp/publisher.h"
#include "common/base/uuid.h"

#include "tests/testing.h"

#include <string.h>

#include "tests/fake/rig.h"
#include "tests/fake/server.h"
#include "tests/fake/store.h"
#include "tests/prop.h"

enum { SEQUENCES = 360, EVENTS = 150, MESSAGES_MAX = 4000 };
/* Some sequences fill the connection's output, and RAM for a while. */
enum { SMALL_BODY = 16, LARGE_BODY = 40000 };

struct world {
  struct prop *prop;
  struct fake_rig *rig;
  struct fake_server *server;
  struct rmq_publisher *publisher;
  bool refuses; /* the broker may nack and return */
  /* The worker sleeps until it is woken, the rig moves, or this. */
  bool is_woken;
  struct rmq_mono due;
  size_t body_len;
  size_t accepted;
  bool was_given_up[MESSAGES_MAX + 1], was_acked[MESSAGES_MAX + 1];
  /* The store; NULL in mode none. */
  struct fake_store *store;
  struct rmq_publisher_config config;
  enum fake_split split;
  struct rmq_mono now;
  bool disks_fail;      /* in this sequence */
  bool disk_failed;     /* younger messages may have overtaken older ones */
  size_t life_accepted; /* by the present daemon */
  size_t kills;
  uint64_t dropped; /* by daemons that ended */
  bool may_be_lost[MESSAGES_MAX + 1];
  bool is_dying; /* killed: nobody listens any more */
  struct tag {
    bool is_offered, was_stored, has_fate, was_orphaned;
    enum rmq_fate fate;
  } tags[MESSAGES_MAX + 1];
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
  /* A row may outlive the end of its message when a daemon is killed. */
  assert_true(!w->was_given_up[seq_of(g->m->id)] || w->kills > 0);
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

static void on_wake(void *ctx) {
  struct world *w = ctx;
  w->is_woken = true;
}

static void on_fate(void *ctx, const struct rmq_fate_report *r) {
  struct world *w = ctx;
  struct tag *t = &w->tags[r->tag];
  if (w->is_dying)
    return;
  PROP_TRACE(w->prop, "tag %" PRIu64 " is %s", r->tag,
             rmq_fate_to_str(r->fate));
  assert_true(r->tag >= 1 && r->tag <= w->accepted + 1);
  assert_true(!t->has_fate && !t->was_orphaned);
  if (r->message_id[0] != '\0')
    assert_int_equal(seq_of(r->message_id), r->tag);
  if (!rmq_fate_is_final(r->fate)) {
    assert_false(t->was_stored);
    assert_true(fake_store_has(w->store, r->tag));
    t->was_stored = true;
    return;
  }
  if (r->fate == RMQ_FATE_KEPT)
    assert_true(fake_store_has(w->store, r->tag));
  t->has_fate = true;
  t->fate = r->fate;
}

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

static void start_daemon(struct world *w) {
  uint32_t seed = (uint32_t)prop_next(w->prop) | 1;
  const struct rmq_publisher_handlers handlers = {
      w, on_given_up, on_refused, on_prepare, on_wake, on_fate};
  w->life_accepted = 0;
  w->publisher = rmq_publisher_new(&w->config, &handlers, seed);
  assert_non_null(w->publisher);
  if (w->store != NULL) {
    struct rmq_store_handlers to = rmq_publisher_store_handlers(w->publisher);
    fake_store_open(w->store, &to);
  }
  w->rig = fake_rig_new(w->split, seed);
  w->rig->now = w->now;
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
  w->is_woken = true;
}

static void begin_store(struct world *w) {
  struct prop *p = w->prop;
  struct rmq_fifo_config *f = &w->config.fifo;
  f->mode = (enum rmq_spool_mode)prop_below(p, 3);
  if (f->mode == RMQ_SPOOL_NONE)
    return;
  w->store = fake_store_new();
  w->disks_fail = prop_chance(p, 40);
  w->store->prepare = on_prepare;
  f->store = &w->store->store;
  f->max_messages = 1 + prop_below(p, 60);
  f->policy = prop_chance(p, 50) ? RMQ_DROP_OLDEST : RMQ_DROP_NEWEST;
  f->read_ahead = 1 + prop_below(p, 20);
}

static void begin(struct world *w, struct prop *p) {
  static const size_t windows[] = {1, 2, 7, 64};
  static const enum fake_split splits[] = {FAKE_WHOLE, FAKE_RANDOM};
  *w = (struct world){.prop = p,
                      .refuses = prop_chance(p, 50),
                      .body_len = prop_chance(p, 5) ? LARGE_BODY : SMALL_BODY,
                      .split = splits[prop_below(p, COUNT_OF(splits))]};
  w->config = (struct rmq_publisher_config){
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
  begin_store(w);
  PROP_TRACE(p, "mode %s, window %zu, refuses %d",
             rmq_spool_mode_to_str(w->config.fifo.mode), w->config.window,
             w->refuses);
  uint32_t seed = (uint32_t)prop_next(p) | 1;
  w->server = fake_server_new(w->split, seed);
  fake_server_exchange(w->server, "x", "topic");
  fake_server_queue(w->server, "q");
  fake_server_bind(w->server, "q", "x", "#");
  start_daemon(w);
}

static void count_dropped(struct world *w) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(w->publisher, false, &s);
  for (size_t i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    w->dropped += s.counters.dropped[i];
}

static void free_daemon(struct world *w) {
  fake_server_drop(w->server, true);
  w->now = w->rig->now;
  fake_rig_free(w->rig);
  rmq_publisher_free(w->publisher);
}

static void end(struct world *w) {
  if (w->store != NULL)
    w->store->is_broken = true; /* nobody reads what is kept now */
  free_daemon(w);
  fake_server_free(w->server);
  fake_store_free(w->store);
}

/* ---- what happens ---- */

static void must_balance(struct world *w) {
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(w->publisher, false, &s);
  const struct rmq_publisher_counters *c = &s.counters;
  uint64_t ended = c->confirmed + c->returned + c->rejected + c->expired;
  for (size_t i = 0; i < RMQ_PUBLISHER_DROPS_COUNT; i++)
    ended += c->dropped[i];
  assert_int_equal(c->accepted, w->life_accepted);
  assert_int_equal(c->accepted + c->recovered,
                   ended + s.outbox + s.spooled + s.in_flight);
  if (!w->disk_failed)
    assert_int_equal(c->dropped[RMQ_PUBLISHER_DROP_overflow], 0);
  assert_int_equal(c->stray, 0);
}

/* A worker's turn, until nothing moves; when the publisher wants the next. */
static struct rmq_mono turn(struct world *w) {
  struct rmq_mono due = RMQ_NEVER;
  size_t before;
  do {
    before = w->server->arrivals_count;
    fake_rig_run(w->rig);
    due = rmq_publisher_step(w->publisher, w->rig->now);
    fake_rig_run(w->rig);
  } while (w->server->arrivals_count != before);
  must_balance(w);
  if (fake_tell(fake_server_failure(w->server)))
    fail();
  w->is_woken = false;
  w->due = due;
  return due;
}

/* Nothing but wakes and deadlines makes a worker look: what others did without
 * waking it has left it nothing to do, now or earlier than it knows. */
static void must_sleep_in_peace(struct world *w) {
  struct rmq_publisher_snapshot before, after;
  if (w->is_woken)
    return;
  bool has_fetch = w->store != NULL && w->store->has_fetch;
  rmq_publisher_snapshot(w->publisher, false, &before);
  struct rmq_mono due = rmq_publisher_step(w->publisher, w->rig->now);
  rmq_publisher_snapshot(w->publisher, false, &after);
  assert_int_equal(before.counters.published, after.counters.published);
  assert_true(rmq_mono_reached(due, w->due));
  if (w->store != NULL)
    assert_int_equal(has_fetch, w->store->has_fetch);
}

/* To the next deadline of anybody. */
static void let_time_pass(struct world *w) {
  struct rmq_connection *c = w->rig->connection;
  struct rmq_mono due = turn(w);
  if (w->store != NULL && prop_chance(w->prop, 70))
    fake_store_work(w->store);
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

static void offer_one(struct world *w) {
  struct rmq_message *m =
      rmq_message_new("k", body_of(w, w->accepted + 1), w->body_len);
  assert_non_null(m);
  m->seq = m->tag = w->accepted + 1;
  struct rmq_publisher_snapshot before, after;
  rmq_publisher_snapshot(w->publisher, false, &before);
  switch (rmq_publisher_offer(w->publisher, m)) {
  case RMQ_OFFER_WAKE:
    w->is_woken = true;
    break;
  case RMQ_OFFER_TAKEN:
    break;
  case RMQ_OFFER_FULL:
  case RMQ_OFFER_TOO_LARGE:
    rmq_publisher_snapshot(w->publisher, false, &after);
    assert_memory_equal(&before.counters, &after.counters,
                        sizeof(before.counters));
    rmq_message_free(m);
    return;
  }
  w->tags[++w->accepted].is_offered = true;
  w->life_accepted++;
}

static void accept_one(struct world *w) {
  if (prop_chance(w->prop, 50)) {
    offer_one(w);
    return;
  }
  struct rmq_message *m =
      rmq_message_new("k", body_of(w, w->accepted + 1), w->body_len);
  assert_non_null(m);
  m->content_type = "text/collectd";
  m->values = 1;
  m->seq = ++w->accepted;
  w->life_accepted++;
  size_t dropped = 0;
  w->is_woken |= rmq_publisher_accept(w->publisher, m, &dropped);
  if (!w->disk_failed)
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

static void all_tags_have_their_fate(const struct world *w) {
  for (size_t seq = 1; seq <= w->accepted; seq++) {
    const struct tag *t = &w->tags[seq];
    assert_true(!t->is_offered || t->was_orphaned || t->has_fate);
  }
}

static void orphan_tags(struct world *w) {
  for (size_t seq = 1; seq <= w->accepted; seq++)
    if (!w->tags[seq].has_fate)
      w->tags[seq].was_orphaned = true;
}

/* kill -9: what is in RAM only is gone. */
static void kill_daemon(struct world *w) {
  for (size_t seq = 1; seq <= w->accepted; seq++)
    w->may_be_lost[seq] |= !fake_store_has(w->store, seq);
  w->kills++;
  count_dropped(w);
  bool was_broken = w->store->is_broken;
  w->store->is_broken = true; /* it keeps nothing of what is thrown away */
  w->is_dying = true;
  free_daemon(w);
  w->is_dying = false;
  orphan_tags(w);
  fake_store_kill(w->store);
  w->store->is_broken = was_broken;
  start_daemon(w);
}

/* SIGTERM: RAM goes to the disk. */
static void end_daemon(struct world *w) {
  if (prop_chance(w->prop, 80)) { /* else the start has failed */
    rmq_publisher_drain(w->publisher);
    turn(w);
  }
  size_t left = rmq_publisher_abandon(w->publisher);
  if (!w->store->is_broken) /* however busy it is */
    assert_int_equal(left, 0);
  fake_store_work(w->store);
  must_balance(w);
  rmq_publisher_tell_kept(w->publisher);
  all_tags_have_their_fate(w);
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(w->publisher, false, &s);
  assert_int_equal(s.outbox + s.in_flight, 0);
  count_dropped(w);
  free_daemon(w);
  fake_store_kill(w->store);
  start_daemon(w);
}

static void store_event(struct world *w) {
  struct prop *p = w->prop;
  struct fake_store *s = w->store;
  switch (prop_below(p, 13)) {
  case 12:
    if (!w->disks_fail)
      break;
    w->disk_failed = true;
    fake_store_lose(s, prop_chance(p, 50) ? prop_below(p, 5) : SIZE_MAX,
                    RMQ_STORE_FULL);
    break;
  case 0:
    s->is_broken = w->disks_fail && !s->is_broken;
    w->disk_failed |= s->is_broken;
    break;
  case 11:
    s->is_full = !s->is_full;
    break;
  case 1:
    s->is_busy = w->disks_fail && !s->is_busy;
    w->disk_failed |= s->is_busy;
    break;
  case 2:
    end_daemon(w);
    break;
  case 3:
    kill_daemon(w);
    break;
  case 4:
  case 5:
    fake_store_answer(s);
    break;
  case 6:
    fake_store_delete(s);
    break;
  default:
    fake_store_commit(s, 1 + prop_below(p, 30));
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
    must_sleep_in_peace(w);
  } else if (what < 55 && w->store != NULL) {
    store_event(w);
    must_sleep_in_peace(w);
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
  if (w->store != NULL)
    w->store->is_broken = w->store->is_busy = w->store->is_full = false;
  for (int i = 0; i < 3000; i++) {
    turn(w);
    if (w->store != NULL)
      fake_store_work(w->store);
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
    if (!w->refuses && !w->disk_failed && a->seqno > 1)
      assert_true(seq > last);
    last = seq;
    w->was_acked[seq] |= a->outcome == FAKE_ACKED;
  }
}

static void check_fates(const struct world *w) {
  all_tags_have_their_fate(w);
  for (size_t seq = 1; seq <= w->accepted; seq++) {
    const struct tag *t = &w->tags[seq];
    if (!t->has_fate)
      continue;
    assert_true(t->fate != RMQ_FATE_CONFIRMED || w->was_acked[seq]);
    assert_true(
        (t->fate != RMQ_FATE_RETURNED && t->fate != RMQ_FATE_REJECTED) ||
        w->was_given_up[seq]);
    assert_true(t->fate != RMQ_FATE_KEPT || w->store != NULL);
    assert_true(t->fate != RMQ_FATE_DROPPED || w->disk_failed ||
                w->dropped > 0);
  }
}

static void sequence(struct prop *p) {
  static struct world w; /* large */
  begin(&w, p);
  for (int i = 0; i < EVENTS; i++)
    event(&w);
  calm_down(&w);
  check_arrivals(&w);
  count_dropped(&w);
  check_fates(&w);
  size_t missing = 0, given_up = 0;
  for (size_t seq = 1; seq <= w.accepted; seq++) {
    missing += !w.was_acked[seq] && !w.was_given_up[seq] && !w.may_be_lost[seq];
    given_up += w.was_given_up[seq];
  }
  assert_true(missing <= w.dropped);
  if (!w.disk_failed)
    assert_int_equal(missing, 0);
  struct rmq_publisher_snapshot s;
  rmq_publisher_snapshot(w.publisher, false, &s);
  if (w.store == NULL) {
    assert_int_equal(s.counters.confirmed + given_up, w.accepted);
    assert_int_equal(s.counters.returned + s.counters.rejected, given_up);
  }
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
