/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/unconfirmed.h"

#include "tests/testing.h"

#include <math.h>

#define NOT_KNOWN ((double)NAN)

enum { STEPS = 6 };

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
      int64_t added = rmq_unconfirmed_step(&u, rows[i].steps[k].received,
                                           rows[i].steps[k].confirmed,
                                           rows[i].steps[k].in_flight);
      assert_int_equal(u.sum, rows[i].steps[k].want_sum);
      assert_int_equal(u.sum - before, added < 0 ? 0 : added);
      if (rows[i].steps[k].received < 0)
        assert_int_equal(added, -1);
    }
  }
}

static void absurd_growth_is_not_counted(void **state) {
  (void)state;
  struct rmq_unconfirmed u;
  rmq_unconfirmed_init(&u);
  rmq_unconfirmed_step(&u, -1, -1, 0);
  for (int i = 0; i < 10; i++) {
    rmq_unconfirmed_step(&u, INT64_MAX, 0, 0);
    assert_int_equal(u.sum, 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_will_not_be_confirmed_counts),
      cmocka_unit_test(absurd_growth_is_not_counted),
  };
  return run_all(tests);
}
