/* SPDX-License-Identifier: MIT */
/*
 * Confirms against a naive model: an array of everything ever published on the
 * current channel. Random publishes, acks, nacks, returns, strays and losses.
 */
#include "rmq_config.h"

#include "common/base/confirms.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SEQUENCES = 300, STEPS = 400, MESSAGES_MAX = STEPS + 1 };

struct published {
  uint64_t seq;
  size_t cost;
  int64_t at;
  bool is_open, was_returned;
};
struct ended {
  uint64_t seq;
  enum rmq_outcome outcome;
  int64_t at;
};

static struct {
  struct rmq_confirms c;
  size_t window;
  bool
      has_stubborn; /* acks are single and not for the oldest: the span grows */
  struct rmq_mono now;
  uint64_t last_seq;
  uint64_t strays;
  struct published on_channel[MESSAGES_MAX]; /* [seqno - 1] */
  size_t published;
  struct ended ended[MESSAGES_MAX]; /* of the settle that is checked */
  size_t ended_count;
  unsigned ends[MESSAGES_MAX]; /* [seq]: outcomes of every message, must be 1 */
} t;

static void sink(void *ctx, struct rmq_message *m, enum rmq_outcome outcome,
                 struct rmq_mono published) {
  (void)ctx;
  t.ended[t.ended_count++] = (struct ended){m->seq, outcome, published.ns};
  t.ends[m->seq]++;
  rmq_message_free(m);
}

static size_t model_count(void) {
  size_t n = 0;
  for (size_t i = 0; i < t.published; i++)
    n += t.on_channel[i].is_open;
  return n;
}

static size_t model_bytes(void) {
  size_t n = 0;
  for (size_t i = 0; i < t.published; i++)
    n += t.on_channel[i].is_open ? t.on_channel[i].cost : 0;
  return n;
}

/* Index of the oldest open one, or the number published. */
static size_t model_oldest(void) {
  size_t i = 0;
  while (i < t.published && !t.on_channel[i].is_open)
    i++;
  return i;
}

static bool model_has_room(void) {
  return model_count() < t.window &&
         t.published - model_oldest() < t.c.capacity;
}

static void check_invariants(void) {
  assert_int_equal(t.c.count, model_count());
  assert_int_equal(t.c.bytes, model_bytes());
  assert_true(t.c.count <= t.window);
  assert_true(t.c.capacity >= 4 * t.window);
  assert_int_equal(t.c.strays, t.strays);
  assert_int_equal(rmq_confirms_next_seqno(&t.c), t.published + 1);
  assert_int_equal(rmq_confirms_has_room(&t.c), model_has_room());
  size_t oldest = model_oldest();
  struct rmq_mono at = rmq_confirms_oldest(&t.c);
  if (oldest == t.published)
    assert_true(rmq_mono_is_never(at));
  else
    assert_int_equal(at.ns, t.on_channel[oldest].at);
}

static void publish(struct prop *p) {
  if (!rmq_confirms_has_room(&t.c))
    return;
  struct rmq_message *m =
      rmq_message_new("key", "0123456789", prop_below(p, 10));
  assert_non_null(m);
  m->seq = ++t.last_seq;
  snprintf(m->id, sizeof(m->id), "instance:%" PRIu64, m->seq);
  t.on_channel[t.published] = (struct published){
      .seq = m->seq,
      .cost = rmq_message_cost(m),
      .at = t.now.ns,
      .is_open = true,
  };
  uint64_t seqno = rmq_confirms_add(&t.c, m, t.now);
  PROP_TRACE(p, "publish %" PRIu64 " as %" PRIu64, m->seq, seqno);
  assert_int_equal(seqno, ++t.published);
}

static void settle(struct prop *p, uint64_t epoch, uint64_t seqno,
                   bool multiple, bool is_nack) {
  if (t.has_stubborn && (multiple || seqno == model_oldest() + 1))
    return;
  PROP_TRACE(p, "%s %" PRIu64 "%s, epoch %" PRIu64, is_nack ? "nack" : "ack",
             seqno, multiple ? " multiple" : "", epoch);
  struct ended want[MESSAGES_MAX];
  size_t count = 0;
  bool is_valid = epoch == t.c.epoch && seqno >= 1 && seqno <= t.published;
  for (size_t i = 0; is_valid && i < seqno; i++) {
    struct published *m = &t.on_channel[i];
    if (!m->is_open || (!multiple && i + 1 != seqno))
      continue;
    m->is_open = false;
    want[count++] = (struct ended){m->seq,
                                   is_nack           ? RMQ_NACKED
                                   : m->was_returned ? RMQ_RETURNED
                                                     : RMQ_CONFIRMED,
                                   m->at};
  }
  t.strays += count == 0;
  t.ended_count = 0;
  size_t got =
      rmq_confirms_settle(&t.c, epoch, seqno, multiple, is_nack, sink, NULL);
  assert_int_equal(got, count);
  assert_int_equal(t.ended_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(t.ended[i].seq, want[i].seq);
    assert_int_equal(t.ended[i].outcome, want[i].outcome);
    assert_int_equal(t.ended[i].at, want[i].at);
  }
}

static void give_back(struct prop *p, uint64_t epoch) {
  uint64_t seq = prop_below(p, t.last_seq + 2);
  char id[RMQ_MESSAGE_ID_SIZE];
  snprintf(id, sizeof(id), "instance:%" PRIu64, seq);
  PROP_TRACE(p, "return %s, epoch %" PRIu64, id, epoch);
  struct published *want = NULL;
  for (size_t i = 0; epoch == t.c.epoch && i < t.published; i++) {
    struct published *m = &t.on_channel[i];
    if (m->seq == seq && m->is_open && !m->was_returned)
      want = m;
  }
  const struct rmq_message *m =
      rmq_confirms_mark_returned(&t.c, epoch, id, strlen(id), NULL);
  assert_int_equal(m != NULL, want != NULL);
  if (want == NULL) {
    t.strays++;
    return;
  }
  assert_int_equal(m->seq, seq);
  want->was_returned = true;
}

/* All in flight come back in order of publish; the channel is opened anew. */
static void lose(struct prop *p) {
  PROP_TRACE(p, "lose");
  struct rmq_list lost;
  rmq_list_init(&lost);
  rmq_confirms_lose(&t.c, &lost);
  assert_int_equal(lost.count, model_count());
  for (size_t i = 0; i < t.published; i++) {
    if (!t.on_channel[i].is_open)
      continue;
    struct rmq_node *n = rmq_list_pop_front(&lost);
    assert_non_null(n);
    struct rmq_message *m = RMQ_ELEMENT(n, struct rmq_message, node);
    assert_int_equal(m->seq, t.on_channel[i].seq);
    t.on_channel[i].is_open = false;
    t.ends[m->seq]++;
    rmq_message_free(m);
  }
  assert_int_equal(t.c.count, 0);
  assert_int_equal(t.c.bytes, 0);
  /* a confirm may still arrive before the next channel is open */
  if (prop_chance(p, 50))
    settle(p, t.c.epoch, 1 + prop_below(p, t.published + 1), true, false);
  rmq_confirms_begin(&t.c, t.c.epoch + 1);
  t.published = 0;
  t.has_stubborn = prop_chance(p, 30);
}

static void step(struct prop *p) {
  t.now.ns += (int64_t)prop_below(p, 1000);
  size_t dice = prop_below(p, 100);
  uint64_t epoch = t.c.epoch;
  if (dice < 50)
    publish(p);
  else if (dice < 88) /* also seqnos settled before, 0 and the next one */
    settle(p, epoch, prop_below(p, t.published + 2), prop_chance(p, 40),
           prop_chance(p, 25));
  else if (dice < 91) /* the oldest, so that long waits also end */
    settle(p, epoch, model_oldest() + 1, false, prop_chance(p, 25));
  else if (dice < 95)
    give_back(p, epoch);
  else if (dice < 96)
    give_back(p, epoch - 1);
  else if (dice < 97)
    settle(p, epoch - 1 + 2 * prop_below(p, 2), prop_below(p, t.published + 2),
           prop_chance(p, 50), prop_chance(p, 50));
  else if (dice < 98)
    settle(p, epoch, prop_next(p), prop_chance(p, 50), prop_chance(p, 50));
  else if (prop_chance(p, 50))
    lose(p);
}

static void sequence(struct prop *p) {
  memset(&t, 0, sizeof(t));
  t.window = 1 + prop_below(p, prop_chance(p, 50) ? 4 : 40);
  assert_int_equal(rmq_confirms_init(&t.c, t.window), 0);
  rmq_confirms_begin(&t.c, 1 + prop_below(p, 3));
  for (int i = 0; i < STEPS; i++) {
    step(p);
    check_invariants();
  }
  lose(p);
  for (uint64_t seq = 1; seq <= t.last_seq; seq++)
    assert_int_equal(t.ends[seq], 1);
  rmq_confirms_fini(&t.c);
}

static void confirms_settle_exactly_what_the_model_says(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(confirms_settle_exactly_what_the_model_says),
  };
  return run_all(tests);
}
