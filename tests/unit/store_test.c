/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/store.h"

#include "tests/testing.h"

#include <stdio.h>

static void the_hash_of_a_key_never_changes(void **state) {
  (void)state;
  /* It lies in files of earlier versions. */
  assert_int_equal(rmq_store_key_hash(""), 2166136261u);
  assert_int_equal(rmq_store_key_hash("a"), 0xe40c292c);
  assert_int_equal(rmq_store_key_hash("foobar"), 0xbf9cf968);
}

static void one_lane_gets_everything(void **state) {
  (void)state;
  for (uint32_t h = 0; h < 1000; h++)
    assert_int_equal(rmq_store_lane_of(h * 4294967u, 1), 0);
  assert_int_equal(rmq_store_lane_of(UINT32_MAX, 1), 0);
}

static void keys_spread_evenly_over_the_lanes(void **state) {
  (void)state;
  enum { LANES = 16, KEYS = 16000 };
  unsigned counts[LANES] = {0};
  for (int i = 0; i < KEYS; i++) {
    char key[64];
    snprintf(key, sizeof(key), "collectd.host%d.cpu.%d", i / 8, i % 8);
    unsigned lane = rmq_store_lane_of(rmq_store_key_hash(key), LANES);
    assert_in_range(lane, 0, LANES - 1);
    counts[lane]++;
  }
  for (int i = 0; i < LANES; i++)
    assert_in_range(counts[i], KEYS / LANES * 3 / 4, KEYS / LANES * 5 / 4);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_hash_of_a_key_never_changes),
      cmocka_unit_test(one_lane_gets_everything),
      cmocka_unit_test(keys_spread_evenly_over_the_lanes),
  };
  return run_all(tests);
}
