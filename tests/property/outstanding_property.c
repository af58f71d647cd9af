/* SPDX-License-Identifier: MIT */
/*
 * Outstanding against a model: a plain list of deliveries that is searched from
 * its beginning. Tickets are taken at any time after they are complete.
 */
#include "rmq_config.h"

#include "common/base/outstanding.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SEQUENCES = 400, STEPS = 800, OPEN_MAX = 64, TIMEOUT_S = 5 };

struct delivery {
  uint64_t ticket;
  size_t handed, back; /* values */
  bool is_handed_out;  /* handing out has ended */
  struct rmq_mono since, overtaken;
};

static struct {
  struct rmq_outstanding o;
  struct delivery open[OPEN_MAX];
  size_t count, max;
  uint64_t last_ticket, strays;
  struct rmq_mono now, last_back, newest;
  int64_t unheard; /* given up in silence, and still counted */
  struct rmq_mono unheard_since;
} t;

static struct delivery *model_find(uint64_t ticket) {
  for (size_t i = 0; i < t.count; i++)
    if (t.open[i].ticket == ticket)
      return &t.open[i];
  return NULL;
}

static void model_remove(struct delivery *d) { *d = t.open[--t.count]; }

static size_t out(const struct delivery *d) { return d->handed - d->back; }

static bool is_complete(const struct delivery *d) {
  return d->is_handed_out && out(d) == 0;
}

/* ---- what the table must say at every moment ---- */

static bool is_overdue(const struct delivery *d) {
  struct rmq_mono heard = t.last_back.ns > d->since.ns ? t.last_back : d->since;
  return !is_complete(d) &&
         rmq_mono_reached(t.now, rmq_mono_add(d->since, rmq_s(TIMEOUT_S))) &&
         (rmq_mono_reached(t.now,
                           rmq_mono_add(d->overtaken, rmq_s(TIMEOUT_S))) ||
          rmq_mono_reached(t.now, rmq_mono_add(heard, rmq_s(10 * TIMEOUT_S))));
}

static void check_overdue(void) {
  for (size_t i = 0; i < t.count; i++)
    if (t.newest.ns > t.open[i].since.ns && !is_complete(&t.open[i]) &&
        rmq_mono_is_never(t.open[i].overtaken))
      t.open[i].overtaken = t.now;
  uint64_t before = 0;
  uint64_t ticket = rmq_outstanding_overdue(&t.o, rmq_s(TIMEOUT_S), t.now);
  size_t count = 0;
  for (size_t i = 0; i < t.count; i++)
    count += is_overdue(&t.open[i]) ? 1 : 0;
  for (; ticket != 0; count--) { /* each of them once: in the slots' order */
    const struct delivery *d = model_find(ticket);
    assert_non_null(d);
    assert_true(is_overdue(d));
    assert_true(before == 0 || rmq_outstanding_slot_of(&t.o, ticket) >
                                   rmq_outstanding_slot_of(&t.o, before));
    before = ticket;
    ticket = rmq_outstanding_next_overdue(&t.o, rmq_s(TIMEOUT_S), t.now);
  }
  assert_int_equal(count, 0);
}

static void check(void) {
  int64_t values = t.unheard;
  for (size_t i = 0; i < t.count; i++) {
    const struct delivery *d = &t.open[i];
    values += (d->is_handed_out ? (int64_t)d->handed : 0) - (int64_t)d->back;
    for (size_t n = 0; n < i; n++)
      assert_true(rmq_outstanding_slot_of(&t.o, t.open[n].ticket) !=
                  rmq_outstanding_slot_of(&t.o, d->ticket));
  }
  assert_int_equal(t.o.count, t.count);
  assert_int_equal(t.o.values, values);
  assert_int_equal(t.o.strays, t.strays);
  check_overdue();
}

/* ---- steps ---- */

static void begin(struct prop *p) {
  uint64_t ticket = rmq_outstanding_begin(&t.o, t.now);
  PROP_TRACE(p, "begin %" PRIu64, ticket);
  assert_int_equal(ticket == 0, t.count == t.max);
  if (ticket == 0)
    return;
  assert_null(model_find(ticket));
  t.last_ticket = ticket;
  t.open[t.count++] = (struct delivery){ticket, 0, 0, false, t.now, RMQ_NEVER};
}

static void end(struct prop *p, struct delivery *d) {
  PROP_TRACE(p, "end %" PRIu64, d->ticket);
  d->is_handed_out = true;
  assert_int_equal(rmq_outstanding_end(&t.o, d->ticket, d->handed),
                   is_complete(d));
  if (is_complete(d))
    model_remove(d);
}

static void back(struct prop *p, uint64_t ticket) {
  struct delivery *d = model_find(ticket);
  PROP_TRACE(p, "back %" PRIu64, ticket);
  bool is_stray = d == NULL || is_complete(d);
  bool completed = rmq_outstanding_back(&t.o, ticket);
  t.last_back = t.now;
  if (is_stray) {
    t.strays++;
    assert_int_equal(completed, t.unheard == 1);
    t.unheard -= t.unheard > 0 ? 1 : 0;
    return;
  }
  d->back++;
  if (d->since.ns > t.newest.ns)
    t.newest = d->since;
  if (t.newest.ns > t.unheard_since.ns)
    t.unheard = 0;
  assert_int_equal(completed, is_complete(d));
}

static void take(struct prop *p) {
  uint64_t ticket = rmq_outstanding_take(&t.o);
  PROP_TRACE(p, "take %" PRIu64, ticket);
  struct delivery *d = model_find(ticket);
  size_t complete = 0;
  for (size_t i = 0; i < t.count; i++)
    complete += is_complete(&t.open[i]) ? 1 : 0;
  assert_int_equal(ticket != 0, complete > 0);
  if (ticket == 0)
    return;
  assert_non_null(d);
  assert_true(is_complete(d));
  model_remove(d);
}

static void forget(struct prop *p, struct delivery *d) {
  PROP_TRACE(p, "forget %" PRIu64, d->ticket);
  rmq_outstanding_forget(&t.o, d->ticket);
  if (!is_complete(d))
    model_remove(d);
}

/* In silence: the host's queue keeps the order. */
static void give_up(struct prop *p, struct delivery *d) {
  PROP_TRACE(p, "give up %" PRIu64, d->ticket);
  bool is_silent = t.newest.ns > 0 && d->since.ns >= t.newest.ns;
  int64_t left = (int64_t)out(d);
  assert_int_equal(rmq_outstanding_give_up(&t.o, d->ticket), left);
  if (is_silent && left > 0) {
    t.unheard += left;
    if (d->since.ns > t.unheard_since.ns)
      t.unheard_since = d->since;
  }
  if (!is_complete(d))
    model_remove(d);
}

/* What may happen to a delivery that is open. */
static void work_on(struct prop *p, struct delivery *d) {
  if (!d->is_handed_out && prop_chance(p, 60))
    d->handed++;
  else if (!d->is_handed_out && prop_chance(p, 50))
    end(p, d);
  else if (out(d) > 0)
    back(p, d->ticket);
}

static void step(struct prop *p) {
  t.now = rmq_mono_add(t.now, rmq_ms((int64_t)prop_below(p, 500)));
  if (prop_chance(p, 1))
    t.now = rmq_mono_add(t.now, rmq_s(60));
  if (prop_chance(p, 20))
    begin(p);
  else if (prop_chance(p, 3))
    back(p, t.last_ticket + 1 + prop_below(p, 1000));
  else if (prop_chance(p, 10))
    take(p);
  else if (t.count > 0 && prop_chance(p, 3)) {
    struct delivery *d = &t.open[prop_below(p, t.count)];
    if (d->is_handed_out && prop_chance(p, 70))
      give_up(p, d);
    else if (d->is_handed_out || d->handed == 0)
      forget(p, d);
  } else if (t.count > 0)
    work_on(p, &t.open[prop_below(p, t.count)]);
}

static void sequence(struct prop *p) {
  memset(&t, 0, sizeof(t));
  t.max = 1 + prop_below(p, 16);
  t.now.ns = RMQ_NS_PER_S;
  assert_int_equal(rmq_outstanding_init(&t.o, t.max), 0);
  for (int i = 0; i < STEPS; i++) {
    step(p);
    check();
  }
  rmq_outstanding_fini(&t.o);
}

static void the_table_does_what_a_list_would_do(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_table_does_what_a_list_would_do),
  };
  return run_all(tests);
}
