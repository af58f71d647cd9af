/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/detail.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define BUDGET 5.0

/* A broker: seconds of a poll without queues, and per queue at each level. */
struct world {
  double base, per_queue[RMQ_DETAIL_LEVELS_COUNT];
  double queues;
  enum rmq_detail_level most;
};
static const struct world usual = {.base = 0.1,
                                   .per_queue = {0, 5e-5, 14e-5, 25e-5},
                                   .queues = 10000,
                                   .most = RMQ_DETAIL_ALL};

/* One poll; what it took. */
static double poll(struct rmq_detail *d, const struct world *w) {
  enum rmq_detail_level level =
      rmq_detail_choose(d, w->most, w->queues, w->base / 2, HUGE_VAL);
  double seconds = w->per_queue[level] * fmax(w->queues, RMQ_DETAIL_QUEUES_MIN);
  rmq_detail_end(d, level == RMQ_DETAIL_TOTALS ? (double)NAN : seconds, true,
                 w->base);
  return w->base + seconds + d->report;
}

/* Number of polls until the level is reached, at most 1000. */
static int until(struct rmq_detail *d, const struct world *w,
                 enum rmq_detail_level level) {
  int polls = 0;
  while (d->level != level && polls++ < 1000)
    poll(d, w);
  return polls;
}

static void what_fits_is_asked_for_from_the_first_poll_on(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < 100; i++) {
    poll(&d, &usual);
    assert_int_equal(d.level, RMQ_DETAIL_ALL);
  }
  assert_false(rmq_error_is_set(&d.reason));
}

static void without_a_budget_everything_is_asked_for(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  w.queues = 1e6;
  rmq_detail_init(&d, 0);
  for (int i = 0; i < 10; i++)
    poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_ALL);
}

/* 10,000 queues take 2.6 s, and more come: no poll takes longer than the
 * budget. */
static void the_level_falls_before_queues_that_grow_overrun_it(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < 10; i++)
    poll(&d, &w);
  for (; w.queues < 100000; w.queues += 3000)
    assert_true(poll(&d, &w) <= BUDGET);
  assert_int_equal(d.level, RMQ_DETAIL_TOTALS); /* 5.1 s at the next one */
}

static void a_jump_in_queues_is_met_before_they_are_asked_for(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  poll(&d, &w);
  w.queues = 25000; /* 6.35 s, 3.6 s, 1.35 s */
  assert_true(poll(&d, &w) <= BUDGET);
  assert_int_equal(d.level, RMQ_DETAIL_LENGTHS);
  assert_string_equal(d.reason.text,
                      "a poll would take 6.35 s, TimeBudget is 5 s");
}

/* It takes half a second more each time. */
static void the_level_falls_before_a_broker_that_gets_slower(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < 40 && d.level == RMQ_DETAIL_ALL; i++) {
    assert_true(poll(&d, &w) <= BUDGET);
    w.per_queue[RMQ_DETAIL_ALL] += 5e-5;
  }
  assert_int_equal(d.level, RMQ_DETAIL_LENGTHS);
}

static void a_slow_first_answer_costs_detail(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  poll(&d, &w);
  w.base = 7; /* half of it before the queues are asked for: 3.5 + 2.5 s */
  poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_LENGTHS);
  poll(&d, &w); /* nothing fits any more */
  assert_int_equal(d.level, RMQ_DETAIL_TOTALS);
}

static void one_slow_first_answer_costs_one_poll(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < 5; i++)
    poll(&d, &usual);
  struct world w = usual;
  w.base = 2 * 4.8; /* before the queues are asked for: half of it */
  poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_LENGTHS); /* of which nothing is known */
  poll(&d, &usual);
  assert_int_equal(d.level, RMQ_DETAIL_ALL);
  assert_string_equal(d.reason.text,
                      "a poll would take 2.6 s, TimeBudget is 5 s");
  poll(&d, &w); /* it does so more often: that lasts */
  poll(&d, &usual);
  assert_true(d.level < RMQ_DETAIL_ALL);
}

static void too_little_time_left_costs_one_poll(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < 5; i++)
    poll(&d, &usual);
  for (int i = 0; i < 10; i++) {
    assert_int_equal(
        rmq_detail_choose(&d, RMQ_DETAIL_ALL, usual.queues, 0.1, 2.4),
        RMQ_DETAIL_LENGTHS);
    assert_string_equal(d.reason.text, "2.4 s are left for queues, since "
                                       "somebody does not answer");
    rmq_detail_end(&d, 1.4, true, 0.1);
    for (int k = 0; k < RMQ_DETAIL_PATIENCE_MAX; k++) {
      poll(&d, &usual);
      assert_int_equal(d.level, RMQ_DETAIL_ALL);
    }
  }
}

static void handing_over_is_a_part_of_the_cost(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  poll(&d, &usual);
  d.report = 2.6;
  poll(&d, &usual);
  assert_int_equal(d.level, RMQ_DETAIL_ALL); /* it is known of the last one */
  poll(&d, &usual);
  assert_int_equal(d.level, RMQ_DETAIL_TOTALS);
  assert_string_equal(d.reason.text,
                      "the last poll took 5.2 s, TimeBudget is 5 s");
}

static void it_rises_step_by_step_when_the_broker_is_fast_again(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < RMQ_DETAIL_LEVELS_COUNT; i++)
    w.per_queue[i] *= 4; /* 10.1 s, 5.7 s, 2.1 s */
  poll(&d, &w);
  poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_TOTALS); /* nothing else is known */
  assert_int_equal(until(&d, &w, RMQ_DETAIL_TOP), RMQ_DETAIL_PATIENCE);
  assert_int_equal(until(&d, &w, RMQ_DETAIL_LENGTHS), RMQ_DETAIL_PATIENCE);
  for (int i = 0; i < 50; i++)
    poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_TOP); /* the next one did not fit */
  assert_true(until(&d, &usual, RMQ_DETAIL_ALL) <= 30);
}

/* Only level 3 was ever slow: levels 1 and 2 cannot tell that it is not. */
static void the_way_up_does_not_end_at_what_is_not_known(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  w.per_queue[RMQ_DETAIL_ALL] = 1e-3; /* 10 s */
  poll(&d, &w);
  poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_TOTALS);
  assert_true(until(&d, &usual, RMQ_DETAIL_ALL) <= 20);
}

static void fewer_queues_are_known_to_fit(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  poll(&d, &w);
  w.queues = 25000;
  poll(&d, &w);
  assert_int_equal(d.level, RMQ_DETAIL_LENGTHS);
  w.queues = 1000;
  assert_int_equal(until(&d, &w, RMQ_DETAIL_ALL), RMQ_DETAIL_PATIENCE + 1);
  assert_string_equal(d.reason.text,
                      "a poll would take 0.35 s, TimeBudget is 5 s");
}

/* What is hopeless is tried more and more rarely. */
static void a_rise_that_does_not_last_makes_the_next_one_wait(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  w.queues = 40000; /* 10.1 s, 5.7 s, 2.1 s */
  int rises = 0, last = 0, gap = 0;
  for (int i = 0; i < 10000; i++) {
    enum rmq_detail_level before = d.level;
    poll(&d, &w);
    if (d.level > before && before > RMQ_DETAIL_TOTALS) {
      gap = i - last;
      last = i;
      rises++;
    }
  }
  assert_true(gap >= 20 * RMQ_DETAIL_PATIENCE_MAX);
  assert_true(rises > 5 && rises < 30);
}

/* 50,000 queues: 9 s at level 3, 3 s at level 2, and then a list that fails. */
static void a_list_that_fails_soon_is_not_a_cheap_one(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  rmq_detail_choose(&d, RMQ_DETAIL_ALL, 50000, 0.05, HUGE_VAL);
  rmq_detail_give_up(&d, 9);
  for (int i = 0; i < 3; i++) {
    rmq_detail_end(&d, 3, true, 0.05);
    rmq_detail_choose(&d, RMQ_DETAIL_ALL, 50000, 0.05, HUGE_VAL);
  }
  for (int i = 0; i < 50; i++) {
    rmq_detail_end(&d, 0.02, false, 0.05);
    assert_int_equal(
        rmq_detail_choose(&d, RMQ_DETAIL_ALL, 50000, 0.05, HUGE_VAL),
        RMQ_DETAIL_LENGTHS);
  }
}

static void a_list_that_fails_late_is_a_dear_one(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  for (int i = 0; i < 3; i++)
    poll(&d, &usual);
  rmq_detail_choose(&d, RMQ_DETAIL_ALL, usual.queues, 0.05, HUGE_VAL);
  rmq_detail_end(&d, 4.8, false, 0.05);
  assert_true(rmq_detail_choose(&d, RMQ_DETAIL_ALL, usual.queues, 0.05,
                                HUGE_VAL) < RMQ_DETAIL_ALL);
}

static void giving_up_goes_on_at_a_level_that_may_fit(void **state) {
  (void)state;
  struct rmq_detail d;
  rmq_detail_init(&d, BUDGET);
  rmq_detail_choose(&d, RMQ_DETAIL_ALL, 50000, 0.1, HUGE_VAL);
  assert_int_equal(rmq_detail_give_up(&d, 30), RMQ_DETAIL_LENGTHS);
  assert_string_equal(d.reason.text,
                      "a poll would take 30 s, TimeBudget is 5 s");
  rmq_detail_end(&d, 7, true, 0.1); /* neither did that */
  assert_int_equal(rmq_detail_choose(&d, RMQ_DETAIL_ALL, 50000, 0.1, HUGE_VAL),
                   RMQ_DETAIL_TOTALS);
}

static void what_the_source_offers_is_the_most(void **state) {
  (void)state;
  struct rmq_detail d;
  struct world w = usual;
  rmq_detail_init(&d, BUDGET);
  w.most = RMQ_DETAIL_LENGTHS;
  for (int i = 0; i < 100; i++) {
    poll(&d, &w);
    assert_int_equal(d.level, RMQ_DETAIL_LENGTHS);
  }
  assert_string_equal(d.reason.text, "no more is asked for of so many queues");
  w.most = RMQ_DETAIL_ALL;
  w.queues = 100;
  assert_true(until(&d, &w, RMQ_DETAIL_ALL) <= RMQ_DETAIL_PATIENCE + 1);
}

/* Whatever a steady broker costs: no two polls in a row take longer than the
 * budget unless nothing can be left out any more; the level does not swing; and
 * when the broker is fast it is back within a bounded number of polls. */
static double random_between(struct prop *p, double low, double high) {
  return low + (high - low) * (double)prop_below(p, 10001) / 10000;
}

static struct world random_world(struct prop *p) {
  struct world w = usual;
  w.base = random_between(p, 0.01, 0.5);
  w.queues = (double)prop_below(p, 60000);
  double sum = 0;
  for (int i = RMQ_DETAIL_TOP; i <= RMQ_DETAIL_ALL; i++)
    w.per_queue[i] = sum += random_between(p, 1e-6, 4e-4);
  return w;
}

static struct world jitter(struct prop *p, const struct world *w) {
  struct world now = *w;
  double by = random_between(p, 0.92, 1.08);
  now.base *= by;
  for (int i = 0; i < RMQ_DETAIL_LEVELS_COUNT; i++)
    now.per_queue[i] *= by;
  return now;
}

enum { STEADY_POLLS = 400, BACK_POLLS = 9 * RMQ_DETAIL_PATIENCE_MAX + 10 };

static void steady(struct prop *p) {
  struct rmq_detail d;
  const struct world w = random_world(p);
  rmq_detail_init(&d, BUDGET);
  bool was_over = false;
  int changes = 0;
  for (int i = 0; i < STEADY_POLLS; i++) {
    enum rmq_detail_level before = d.level;
    const struct world now = jitter(p, &w);
    bool is_over = poll(&d, &now) > BUDGET;
    PROP_TRACE(p, "%d: level %d, %.2f s", i, d.level, d.total);
    assert_false(is_over && was_over);
    was_over = is_over;
    changes += d.level != before ? 1 : 0;
  }
  assert_true(changes < STEADY_POLLS / 10);
  struct world fast = w;
  fast.queues = 100;
  for (int i = 0; i < RMQ_DETAIL_LEVELS_COUNT; i++)
    fast.per_queue[i] = 1e-5;
  assert_true(until(&d, &fast, RMQ_DETAIL_ALL) <= BACK_POLLS);
}

static void a_steady_broker_has_a_steady_level(void **state) {
  (void)state;
  prop_run(3000, steady);
}

static void every_level_has_a_text(void **state) {
  (void)state;
  for (int i = 0; i < RMQ_DETAIL_LEVELS_COUNT; i++)
    assert_string_not_equal(rmq_detail_level_to_str((enum rmq_detail_level)i),
                            "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_fits_is_asked_for_from_the_first_poll_on),
      cmocka_unit_test(without_a_budget_everything_is_asked_for),
      cmocka_unit_test(the_level_falls_before_queues_that_grow_overrun_it),
      cmocka_unit_test(a_jump_in_queues_is_met_before_they_are_asked_for),
      cmocka_unit_test(the_level_falls_before_a_broker_that_gets_slower),
      cmocka_unit_test(a_slow_first_answer_costs_detail),
      cmocka_unit_test(one_slow_first_answer_costs_one_poll),
      cmocka_unit_test(too_little_time_left_costs_one_poll),
      cmocka_unit_test(handing_over_is_a_part_of_the_cost),
      cmocka_unit_test(it_rises_step_by_step_when_the_broker_is_fast_again),
      cmocka_unit_test(the_way_up_does_not_end_at_what_is_not_known),
      cmocka_unit_test(fewer_queues_are_known_to_fit),
      cmocka_unit_test(a_rise_that_does_not_last_makes_the_next_one_wait),
      cmocka_unit_test(a_list_that_fails_soon_is_not_a_cheap_one),
      cmocka_unit_test(a_list_that_fails_late_is_a_dear_one),
      cmocka_unit_test(giving_up_goes_on_at_a_level_that_may_fit),
      cmocka_unit_test(what_the_source_offers_is_the_most),
      cmocka_unit_test(a_steady_broker_has_a_steady_level),
      cmocka_unit_test(every_level_has_a_text),
  };
  return run_all(tests);
}
