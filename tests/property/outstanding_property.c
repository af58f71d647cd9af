/* SPDX-License-Identifier: MIT */
/*
 * Outstanding against a model: a plain list of deliveries that is searched from
 * its beginning. The tables are small and the serials jump, so that they share
 * places, runs of neighbours wrap around, and slots go from their midst.
 */
#include "rmq_config.h"

#include "common/base/outstanding.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <string.h>

enum { SEQUENCES = 400, STEPS = 800, OPEN_MAX = 64, TIMEOUT_S = 5 };

struct delivery {
  uint64_t serial;
  size_t out; /* values that have left and are not back */
  bool is_handed_out;
  int64_t note;
  struct rmq_mono since;
};

static struct {
  struct rmq_outstanding o;
  struct delivery open[OPEN_MAX];
  size_t count, max;
  uint64_t last_serial, newest, strays;
  struct rmq_mono now, last_back;
} t;

static struct delivery *model_find(uint64_t serial) {
  for (size_t i = 0; i < t.count; i++)
    if (t.open[i].serial == serial)
      return &t.open[i];
  return NULL;
}

static void model_remove(struct delivery *d) { *d = t.open[--t.count]; }

static bool is_complete(const struct delivery *d) {
  return d->is_handed_out && d->out == 0;
}

/* ---- what the table must say at every moment ---- */

static bool is_overdue(const struct delivery *d) {
  struct rmq_mono heard = t.last_back.ns > d->since.ns ? t.last_back : d->since;
  return rmq_mono_reached(t.now, rmq_mono_add(d->since, rmq_s(TIMEOUT_S))) &&
         (t.newest > d->serial ||
          rmq_mono_reached(t.now, rmq_mono_add(heard, rmq_s(10 * TIMEOUT_S))));
}

static void check_overdue(void) {
  uint64_t serial = rmq_outstanding_overdue(&t.o, rmq_s(TIMEOUT_S), t.now);
  size_t count = 0;
  for (size_t i = 0; i < t.count; i++)
    count += is_overdue(&t.open[i]) ? 1 : 0;
  assert_int_equal(serial != 0, count > 0);
  if (serial == 0)
    return;
  const struct delivery *d = model_find(serial);
  assert_non_null(d);
  assert_true(is_overdue(d));
}

static void check(void) {
  size_t values = 0;
  for (size_t i = 0; i < t.count; i++) {
    values += t.open[i].out;
    assert_int_equal(rmq_outstanding_note(&t.o, t.open[i].serial),
                     t.open[i].note);
  }
  assert_int_equal(t.o.count, t.count);
  assert_int_equal(t.o.values, values);
  assert_int_equal(t.o.strays, t.strays);
  check_overdue();
}

/* ---- steps ---- */

static void begin(struct prop *p) {
  uint64_t serial = t.last_serial + 1 + prop_below(p, 1000);
  int64_t note = 1 + (int64_t)prop_below(p, 1000);
  PROP_TRACE(p, "begin %" PRIu64, serial);
  bool has_room = rmq_outstanding_begin(&t.o, serial, note, t.now);
  assert_true(has_room || t.count >= t.max);
  if (!has_room)
    return;
  t.last_serial = serial;
  assert_true(t.count < OPEN_MAX);
  t.open[t.count++] = (struct delivery){serial, 0, false, note, t.now};
}

static void out(struct prop *p, struct delivery *d) {
  PROP_TRACE(p, "out %" PRIu64, d->serial);
  rmq_outstanding_out(&t.o, d->serial);
  d->out++;
  if (!prop_chance(p, 20))
    return;
  PROP_TRACE(p, "undo %" PRIu64, d->serial);
  rmq_outstanding_undo(&t.o, d->serial);
  d->out--;
}

static void end(struct prop *p, struct delivery *d) {
  PROP_TRACE(p, "end %" PRIu64, d->serial);
  d->is_handed_out = true;
  assert_int_equal(rmq_outstanding_end(&t.o, d->serial), is_complete(d));
  if (is_complete(d))
    model_remove(d);
}

static void back(struct prop *p, uint64_t serial) {
  struct rmq_outstanding_done done = {0, 0};
  struct delivery *d = model_find(serial);
  PROP_TRACE(p, "back %" PRIu64, serial);
  bool completed = rmq_outstanding_back(&t.o, serial, t.now, &done);
  t.last_back = t.now;
  if (d == NULL) {
    t.strays++;
    assert_false(completed);
    return;
  }
  d->out--;
  if (serial > t.newest)
    t.newest = serial;
  assert_int_equal(completed, is_complete(d));
  assert_int_equal(done.serial, completed ? serial : 0);
  assert_int_equal(done.note, completed ? d->note : 0);
  if (completed)
    model_remove(d);
}

static void forget(struct prop *p, struct delivery *d) {
  PROP_TRACE(p, "forget %" PRIu64, d->serial);
  rmq_outstanding_forget(&t.o, d->serial);
  model_remove(d);
}

static void clear(struct prop *p) {
  PROP_TRACE(p, "clear");
  rmq_outstanding_clear(&t.o);
  t.count = 0;
}

/* What may happen to a delivery that is open. */
static void work_on(struct prop *p, struct delivery *d) {
  if (!d->is_handed_out && prop_chance(p, 60))
    out(p, d);
  else if (!d->is_handed_out && prop_chance(p, 50))
    end(p, d);
  else if (d->out > 0)
    back(p, d->serial);
}

static void step(struct prop *p) {
  t.now = rmq_mono_add(t.now, rmq_ms((int64_t)prop_below(p, 500)));
  if (prop_chance(p, 1))
    t.now = rmq_mono_add(t.now, rmq_s(60));
  if (prop_chance(p, 20))
    begin(p);
  else if (prop_chance(p, 3))
    back(p, t.last_serial + 1 + prop_below(p, 1000));
  else if (prop_chance(p, 1))
    clear(p);
  else if (t.count > 0 && prop_chance(p, 3)) {
    struct delivery *d = &t.open[prop_below(p, t.count)];
    if (d->is_handed_out)
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
