/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/prng.h"

#include "tests/testing.h"

static void the_sequence_is_splitmix64(void **state) {
  (void)state;
  /* The first outputs for seed 1234567, as other implementations publish. */
  static const uint64_t want[] = {
      UINT64_C(6457827717110365317), UINT64_C(3203168211198807973),
      UINT64_C(9817491932198370423), UINT64_C(4593380528125082431),
      UINT64_C(16408922859458223821)};
  struct rmq_prng r = {1234567};
  for (size_t i = 0; i < COUNT_OF(want); i++)
    assert_true(rmq_prng_next(&r) == want[i]);
}

static void numbers_stay_below_their_bound_and_reach_all_of_it(void **state) {
  (void)state;
  struct rmq_prng r = {1};
  unsigned seen[7] = {0};
  for (int i = 0; i < 7000; i++) {
    uint64_t n = rmq_prng_below(&r, 7);
    assert_in_range(n, 0, 6);
    seen[n]++;
  }
  for (size_t i = 0; i < COUNT_OF(seen); i++)
    assert_in_range(seen[i], 850, 1150);
  assert_int_equal(rmq_prng_below(&r, 1), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_sequence_is_splitmix64),
      cmocka_unit_test(numbers_stay_below_their_bound_and_reach_all_of_it),
  };
  return run_all(tests);
}
