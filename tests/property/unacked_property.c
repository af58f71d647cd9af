/* SPDX-License-Identifier: MIT */
/*
 * Unacked against a model of the broker's side: a list of deliveries of the
 * channel that it has not seen settled. It applies every ack and reject as a
 * broker does and looks at each delivery that an ack covers.
 */
#include "rmq_config.h"

#include "common/base/unacked.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SEQUENCES = 300, STEPS = 600, DELIVERIES_MAX = STEPS + 1 };

enum fate { OPEN, FINISHED, REJECTED, ACKED, LOST };

struct delivery {
  uint64_t serial, tag;
  int64_t finished_at;
  enum fate fate;
};

static struct {
  struct rmq_unacked u;
  size_t max;
  struct rmq_mono now;
  struct delivery all[DELIVERIES_MAX]; /* in order, over all channels */
  size_t count;
  size_t channel_starts; /* index of the first of the current channel */
  uint64_t last_tag;
  uint64_t strays;
  bool has_stubborn; /* the oldest of the channel never finishes */
} t;

static size_t with_fate(enum fate fate) {
  size_t n = 0;
  for (size_t i = t.channel_starts; i < t.count; i++)
    n += t.all[i].fate == fate;
  return n;
}

static size_t unsettled(void) { return with_fate(OPEN) + with_fate(FINISHED); }

/* A random delivery of the channel with this fate, or NULL. */
static struct delivery *pick(struct prop *p, enum fate fate) {
  size_t n = with_fate(fate);
  size_t nth = n == 0 ? 0 : prop_below(p, n);
  for (size_t i = t.channel_starts; n > 0 && i < t.count; i++) {
    if (t.all[i].fate == fate && nth-- == 0)
      return &t.all[i];
  }
  return NULL;
}

static void deliver(struct prop *p) {
  uint64_t tag = t.last_tag + 1 + prop_below(p, 2) * prop_below(p, 5);
  uint64_t serial = rmq_unacked_add(&t.u, tag);
  PROP_TRACE(p, "deliver tag %" PRIu64 ": serial %" PRIu64, tag, serial);
  /* never refused for anything but the prefetch */
  assert_int_equal(serial != 0, unsettled() < t.max);
  if (serial == 0)
    return;
  assert_true(t.count == 0 || serial > t.all[t.count - 1].serial);
  t.all[t.count++] = (struct delivery){.serial = serial, .tag = tag};
  t.last_tag = tag;
}

static void deliver_a_tag_that_does_not_grow(struct prop *p) {
  uint64_t tag = prop_below(p, t.last_tag + 1);
  assert_int_equal(rmq_unacked_add(&t.u, tag), 0);
}

static void finish(struct prop *p) {
  struct delivery *d = pick(p, OPEN);
  if (d == NULL || (t.has_stubborn && d == &t.all[t.channel_starts]))
    return;
  PROP_TRACE(p, "finish tag %" PRIu64, d->tag);
  assert_true(rmq_unacked_finish(&t.u, d->serial, t.now));
  d->fate = FINISHED;
  d->finished_at = t.now.ns;
}

static void reject(struct prop *p) {
  struct delivery *d = pick(p, OPEN);
  if (d == NULL || (t.has_stubborn && d == &t.all[t.channel_starts]))
    return;
  PROP_TRACE(p, "reject tag %" PRIu64, d->tag);
  uint64_t tag = 0;
  assert_true(rmq_unacked_take(&t.u, d->serial, &tag));
  assert_int_equal(tag, d->tag);
  d->fate = REJECTED;
}

static bool is_open(uint64_t serial) {
  for (size_t i = t.channel_starts; i < t.count; i++) {
    if (t.all[i].serial == serial)
      return t.all[i].fate == OPEN;
  }
  return false;
}

/* Any serial that is not open: settled, of a lost channel, or made up. */
static void use_a_stale_serial(struct prop *p) {
  uint64_t serial = prop_below(p, 100);
  if (t.count > 0 && prop_chance(p, 80))
    serial = t.all[prop_below(p, t.count)].serial;
  if (is_open(serial))
    return;
  PROP_TRACE(p, "stale serial %" PRIu64, serial);
  uint64_t tag = 77;
  if (prop_chance(p, 50))
    assert_false(rmq_unacked_finish(&t.u, serial, t.now));
  else
    assert_false(rmq_unacked_take(&t.u, serial, &tag));
  assert_int_equal(tag, 77);
  t.strays++;
}

/* What the broker does with an ack. It must cover finished ones only, and the
 * delivery that it names must be among them. */
static void broker_acks(uint64_t tag, bool multiple) {
  bool names_one = false;
  for (size_t i = t.channel_starts; i < t.count; i++) {
    struct delivery *d = &t.all[i];
    bool is_unsettled = d->fate == OPEN || d->fate == FINISHED;
    if (!is_unsettled || (multiple ? d->tag > tag : d->tag != tag))
      continue;
    assert_int_equal(d->fate, FINISHED);
    d->fate = ACKED;
    names_one = names_one || d->tag == tag;
  }
  assert_true(names_one);
}

static struct delivery *oldest_unsettled(void) {
  for (size_t i = t.channel_starts; i < t.count; i++) {
    if (t.all[i].fate == OPEN || t.all[i].fate == FINISHED)
      return &t.all[i];
  }
  return NULL;
}

static bool collect_one(struct prop *p) {
  size_t done = with_fate(FINISHED);
  const struct delivery *oldest = oldest_unsettled();
  bool want_multiple = oldest != NULL && oldest->fate == FINISHED;
  uint64_t tag = 77;
  bool multiple = false;
  bool any = rmq_unacked_collect(&t.u, &tag, &multiple);
  assert_int_equal(any, done > 0);
  if (!any) {
    assert_int_equal(tag, 77);
    return false;
  }
  PROP_TRACE(p, "ack tag %" PRIu64 "%s", tag, multiple ? " multiple" : "");
  assert_int_equal(multiple, want_multiple);
  broker_acks(tag, multiple);
  /* the longest prefix: now an open one is in front, or nothing */
  oldest = oldest_unsettled();
  if (multiple)
    assert_true(oldest == NULL || oldest->fate == OPEN);
  return true;
}

static void collect_all(struct prop *p) {
  while (collect_one(p)) {
  }
  assert_int_equal(with_fate(FINISHED), 0);
}

static void lose(struct prop *p) {
  PROP_TRACE(p, "lose");
  rmq_unacked_lose(&t.u);
  for (size_t i = t.channel_starts; i < t.count; i++) {
    if (t.all[i].fate == OPEN || t.all[i].fate == FINISHED)
      t.all[i].fate = LOST;
  }
  t.channel_starts = t.count;
  t.last_tag = 0;
  t.has_stubborn = prop_chance(p, 40);
}

static void check_deadline(struct prop *p) {
  const struct rmq_dur interval = {(int64_t)prop_below(p, 5000)};
  size_t batch = 1 + prop_below(p, 10);
  const struct rmq_mono lull = {t.now.ns + 2000 - (int64_t)prop_below(p, 4000)};
  struct rmq_mono due =
      rmq_unacked_deadline(&t.u, batch, interval, lull, t.now);
  size_t done = with_fate(FINISHED);
  struct rmq_mono since = RMQ_NEVER;
  for (size_t i = t.channel_starts; i < t.count; i++) {
    if (t.all[i].fate == FINISHED)
      since = rmq_mono_min(since, (struct rmq_mono){t.all[i].finished_at});
  }
  if (done == 0)
    assert_true(rmq_mono_is_never(due));
  else if (done >= batch)
    assert_int_equal(due.ns, t.now.ns);
  else if (with_fate(OPEN) == 0 && lull.ns < since.ns + interval.ns)
    assert_int_equal(due.ns, lull.ns);
  else
    assert_int_equal(due.ns, since.ns + interval.ns);
}

static void check_invariants(struct prop *p) {
  assert_int_equal(rmq_unacked_count(&t.u), unsettled());
  assert_int_equal(rmq_unacked_open(&t.u), with_fate(OPEN));
  assert_true(rmq_unacked_count(&t.u) <= t.max);
  assert_int_equal(t.u.strays, t.strays);
  check_deadline(p);
}

static void step(struct prop *p) {
  t.now.ns += (int64_t)prop_below(p, 1000);
  size_t dice = prop_below(p, 100);
  if (dice < 40)
    deliver(p);
  else if (dice < 72)
    finish(p);
  else if (dice < 77)
    reject(p);
  else if (dice < 82)
    use_a_stale_serial(p);
  else if (dice < 84)
    deliver_a_tag_that_does_not_grow(p);
  else if (dice < 91)
    collect_one(p);
  else if (dice < 99)
    collect_all(p);
  else if (prop_chance(p, 50))
    lose(p);
}

/* Everything that is open ends; then the broker holds nothing any more. */
static void drain(struct prop *p) {
  t.has_stubborn = false;
  while (with_fate(OPEN) > 0)
    finish(p);
  collect_all(p);
  assert_int_equal(rmq_unacked_count(&t.u), 0);
  assert_int_equal(unsettled(), 0);
}

static void sequence(struct prop *p) {
  memset(&t, 0, sizeof(t));
  t.max = 1 + prop_below(p, prop_chance(p, 50) ? 4 : 50);
  t.has_stubborn = prop_chance(p, 40);
  assert_int_equal(rmq_unacked_init(&t.u, t.max), 0);
  for (int i = 0; i < STEPS; i++) {
    step(p);
    check_invariants(p);
  }
  drain(p);
  rmq_unacked_fini(&t.u);
}

static void acks_cover_finished_deliveries_only_and_each_once(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(acks_cover_finished_deliveries_only_and_each_once),
  };
  return run_all(tests);
}
