/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/tags.h"

#include "tests/alloc.h"
#include "tests/testing.h"

enum { MANY = 5000 };

static void a_tag_is_found_once(void **state) {
  (void)state;
  struct rmq_tags t = {.slots = NULL};
  assert_int_equal(rmq_tags_take(&t, 1), 0);
  assert_true(rmq_tags_reserve(&t, MANY));
  for (uint64_t seq = 1; seq <= MANY; seq++)
    rmq_tags_add(&t, seq * 7, seq);
  assert_int_equal(t.count, MANY);
  for (uint64_t seq = MANY; seq >= 1; seq--) {
    assert_int_equal(rmq_tags_take(&t, seq * 7), seq);
    assert_int_equal(rmq_tags_take(&t, seq * 7), 0);
  }
  assert_int_equal(t.count, 0);
  rmq_tags_fini(&t);
}

static void growing_loses_none(void **state) {
  (void)state;
  struct rmq_tags t = {.slots = NULL};
  for (uint64_t seq = 1; seq <= MANY; seq++) {
    assert_true(rmq_tags_reserve(&t, seq));
    rmq_tags_add(&t, seq, seq + 1);
  }
  for (uint64_t seq = 1; seq <= MANY; seq++)
    assert_int_equal(rmq_tags_take(&t, seq), seq + 1);
  rmq_tags_fini(&t);
}

static void a_range_is_taken_whole_in_pieces(void **state) {
  (void)state;
  struct rmq_tags t = {.slots = NULL};
  struct rmq_tag some[64];
  bool was_taken[MANY + 1] = {false};
  assert_true(rmq_tags_reserve(&t, MANY));
  for (uint64_t seq = 1; seq <= MANY; seq++)
    rmq_tags_add(&t, seq, seq);
  size_t cursor = 0, n, taken = 0;
  while ((n = rmq_tags_take_range(&t, 1001, 4000, &cursor, some, 64)) > 0)
    for (size_t i = 0; i < n; i++, taken++) {
      assert_true(some[i].seq >= 1001 && some[i].seq <= 4000);
      assert_false(was_taken[some[i].seq]);
      was_taken[some[i].seq] = true;
    }
  assert_int_equal(taken, 3000);
  assert_int_equal(t.count, MANY - 3000);
  for (uint64_t seq = 1; seq <= 1000; seq++)
    assert_int_equal(rmq_tags_take(&t, seq), seq);
  cursor = 0;
  assert_int_equal(rmq_tags_take_range(&t, 4500, 4500, &cursor, some, 64), 1);
  assert_int_equal(some[0].tag, 4500);
  assert_int_equal(rmq_tags_take_range(&t, 4500, 4500, &cursor, some, 64), 0);
  rmq_tags_fini(&t);
}

static void there_is_a_bound(void **state) {
  (void)state;
  struct rmq_tags t = {.slots = NULL};
  assert_false(rmq_tags_reserve(&t, RMQ_TAGS_MAX + 1));
  alloc_fail_at(1);
  assert_false(rmq_tags_reserve(&t, 1));
  assert_true(alloc_works_again());
  rmq_tags_fini(&t);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_tag_is_found_once),
      cmocka_unit_test(growing_loses_none),
      cmocka_unit_test(a_range_is_taken_whole_in_pieces),
      cmocka_unit_test(there_is_a_bound),
  };
  return run_all(tests);
}
