/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/ring.h"

#include "tests/testing.h"

#include "common/base/prng.h"

static int *number(int value) {
  int *n = malloc(sizeof(*n));
  assert_non_null(n);
  *n = value;
  return n;
}

static void assert_is(void *item, int want) {
  assert_non_null(item);
  assert_int_equal(*(int *)item, want);
  free(item);
}

static void items_come_out_as_they_went_in(void **state) {
  (void)state;
  struct rmq_ring r;
  assert_int_equal(rmq_ring_init(&r, 3), 0);
  assert_null(rmq_ring_pop(&r));
  assert_null(rmq_ring_push(&r, number(1)));
  assert_null(rmq_ring_push(&r, number(2)));
  assert_is(rmq_ring_pop(&r), 1);
  assert_is(rmq_ring_pop(&r), 2);
  assert_null(rmq_ring_pop(&r));
  rmq_ring_fini(&r, free);
}

static void when_it_is_full_the_oldest_gives_way_and_is_counted(void **state) {
  (void)state;
  struct rmq_ring r;
  assert_int_equal(rmq_ring_init(&r, 2), 0);
  rmq_ring_push(&r, number(1));
  rmq_ring_push(&r, number(2));
  assert_int_equal(r.displaced, 0);
  assert_is(rmq_ring_push(&r, number(3)), 1);
  assert_int_equal(r.displaced, 1);
  assert_is(rmq_ring_pop(&r), 2);
  assert_is(rmq_ring_pop(&r), 3);
  assert_null(rmq_ring_pop(&r));
  rmq_ring_fini(&r, free);
}

static void what_is_left_is_freed(void **state) {
  (void)state; /* the sanitizer sees it */
  struct rmq_ring r;
  assert_int_equal(rmq_ring_init(&r, 4), 0);
  for (int i = 0; i < 4; i++)
    rmq_ring_push(&r, number(i));
  rmq_ring_fini(&r, free);
  assert_int_equal(r.count, 0);
}

static void any_sequence_keeps_the_newest_in_order(void **state) {
  (void)state;
  enum { MAX = 5, TURNS = 5000 };
  struct rmq_prng p = {property_seed(8)};
  static int items[TURNS];
  struct rmq_ring r;
  assert_int_equal(rmq_ring_init(&r, MAX), 0);
  size_t oldest = 0, next = 0;
  uint64_t displaced = 0;
  for (size_t turn = 0; turn < TURNS; turn++) {
    if (rmq_prng_below(&p, 5) < 3) {
      int *want = next - oldest == MAX ? &items[oldest] : NULL;
      assert_ptr_equal(rmq_ring_push(&r, &items[next++]), want);
      if (want != NULL) {
        oldest++;
        displaced++;
      }
    } else {
      int *want = oldest == next ? NULL : &items[oldest++];
      assert_ptr_equal(rmq_ring_pop(&r), want);
    }
    assert_int_equal(r.count, next - oldest);
    assert_int_equal(r.displaced, displaced);
  }
  while (rmq_ring_pop(&r) != NULL)
    ;
  rmq_ring_fini(&r, free);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(items_come_out_as_they_went_in),
      cmocka_unit_test(when_it_is_full_the_oldest_gives_way_and_is_counted),
      cmocka_unit_test(what_is_left_is_freed),
      cmocka_unit_test(any_sequence_keeps_the_newest_in_order),
  };
  return run_all(tests);
}
