/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/unconfirmed.h"

#include "tests/testing.h"

#include <math.h>

#define NOT_KNOWN ((double)NAN)

enum { STEPS = 6 };

static struct rmq_mono at_ms(int64_t ms) {
  return (struct rmq_mono){ms * RMQ_NS_PER_MS};
}

static void what_will_not_be_confirmed_counts(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t count;
    struct {
      int64_t received, confirmed;
      double in_flight;
      int64_t want_sum;
    } steps[STEPS];
  } rows[] = {
      {"every message is confirmed",
       4,
       {{-1, -1, 0, 0}, {10, 10, 0, 0}, {0, 0, 0, 0}, {50, 50, 0, 0}}},
      {"nacks show in the second poll",
       5,
       {{-1, -1, 0, 0},
        {10, 7, 0, 0},
        {0, 0, 0, 3},
        {4, 0, 0, 3},
        {0, 0, 0, 7}}},
      {"what is in flight will be confirmed",
       5,
       {{-1, -1, 0, 0},
        {100, 60, 40, 0},
        {100, 100, 40, 0},
        {0, 40, 0, 0},
        {0, 0, 0, 0}}},
      {"what was in flight at first, too",
       3,
       {{-1, -1, 40, 0}, {0, 40, 0, 0}, {0, 0, 0, 0}}},
      {"the number in flight is late",
       6,
       {{-1, -1, 0, 0},
        {1000, 0, 0, 0},
        {0, 0, 1000, 0},
        {0, 1000, 1000, 0},
        {0, 0, 0, 0},
        {0, 0, 0, 0}}},
      {"a channel that ends leaves them without a confirm",
       4,
       {{-1, -1, 0, 0}, {20, 0, 20, 0}, {0, 0, 0, 0}, {0, 0, 0, 20}}},
      {"a restart is a beginning, not a nack",
       6,
       {{-1, -1, 0, 0},
        {10, 7, 0, 0},
        {0, 0, 0, 3},
        {-1, -1, 500, 3},
        {0, 500, 0, 3},
        {0, 0, 0, 3}}},
      {"nothing is known without the number in flight",
       6,
       {{-1, -1, 0, 0},
        {10, 0, NOT_KNOWN, 0},
        {0, 0, NOT_KNOWN, 0},
        {0, 0, 0, 0},
        {5, 0, 0, 0},
        {0, 0, 0, 5}}},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_unconfirmed u;
    rmq_unconfirmed_init(&u);
    for (size_t k = 0; k < rows[i].count; k++) {
      SHOW_ROW("%s, step %zu", rows[i].name, k);
      int64_t before = u.sum;
      int64_t added = rmq_unconfirmed_step(
          &u, rows[i].steps[k].received, rows[i].steps[k].confirmed,
          rows[i].steps[k].in_flight, at_ms(10000 * (int64_t)k));
      assert_int_equal(u.sum, rows[i].steps[k].want_sum);
      assert_int_equal(u.sum - before, added < 0 ? 0 : added);
      if (rows[i].steps[k].received < 0)
        assert_int_equal(added, -1);
    }
  }
}

/* From 10 s to 40 s a publisher has 256 messages in flight, and the broker says
 * so 5 s late; at 60 s 3 are nacked. */
static void polls_that_are_quick_wait_for_a_number_that_is_late(void **state) {
  (void)state;
  static const int64_t every_ms[] = {100, 990, 1000, 1500, 2000, 3000, 5000};
  for (size_t i = 0; i < COUNT_OF(every_ms); i++) {
    struct rmq_unconfirmed u;
    int64_t in_flight = 0, missing = 0;
    rmq_unconfirmed_init(&u);
    rmq_unconfirmed_step(&u, -1, -1, 0, at_ms(0));
    for (int64_t ms = every_ms[i]; ms <= 90000; ms += every_ms[i]) {
      SHOW_ROW("every %d ms, at %d", (int)every_ms[i], (int)ms);
      int64_t before = in_flight + missing;
      in_flight = ms >= 10000 && ms < 40000 ? 256 : 0;
      missing = ms >= 60000 ? 3 : 0;
      int64_t growth = in_flight + missing - before;
      rmq_unconfirmed_step(&u, 50 + (growth > 0 ? growth : 0),
                           50 + (growth < 0 ? -growth : 0),
                           ms >= 15000 && ms < 45000 ? 256 : 0, at_ms(ms));
      if (ms < 66000)
        assert_int_equal(u.sum, 0);
      if (ms >= 75000)
        assert_int_equal(u.sum, 3);
    }
  }
}

static void absurd_growth_is_not_counted(void **state) {
  (void)state;
  struct rmq_unconfirmed u;
  rmq_unconfirmed_init(&u);
  rmq_unconfirmed_step(&u, -1, -1, 0, at_ms(0));
  for (int i = 1; i < 10; i++) {
    rmq_unconfirmed_step(&u, INT64_MAX, 0, 0, at_ms(10000 * i));
    assert_int_equal(u.sum, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_will_not_be_confirmed_counts),
      cmocka_unit_test(polls_that_are_quick_wait_for_a_number_that_is_late),
      cmocka_unit_test(absurd_growth_is_not_counted),
  };
  return run_all(tests);
}
