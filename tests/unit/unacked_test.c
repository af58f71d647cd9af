/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/unacked.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <stdbool.h>
#include <string.h>

static const struct rmq_mono NOW = {1000000};

static struct rmq_unacked unacked;

static int set_up(void **state) {
  (void)state;
  return rmq_unacked_init(&unacked, 4);
}

static int tear_down(void **state) {
  (void)state;
  rmq_unacked_fini(&unacked);
  return 0;
}

static uint64_t add(uint64_t tag) {
  uint64_t serial = rmq_unacked_add(&unacked, tag);
  assert_true(serial != 0);
  return serial;
}

static void finish(uint64_t serial) {
  assert_true(rmq_unacked_finish(&unacked, serial, NOW));
}

static void assert_collects(uint64_t want_tag, bool want_multiple) {
  uint64_t tag;
  bool multiple;
  assert_true(rmq_unacked_collect(&unacked, &tag, &multiple));
  assert_int_equal(tag, want_tag);
  assert_int_equal(multiple, want_multiple);
}

static void assert_collects_nothing(void) {
  uint64_t tag = 77;
  bool multiple = true;
  assert_false(rmq_unacked_collect(&unacked, &tag, &multiple));
  assert_int_equal(tag, 77);
  assert_true(multiple);
}

static void finished_deliveries_share_one_multiple_ack(void **state) {
  (void)state;
  uint64_t a = add(1), b = add(2), c = add(3);
  finish(b);
  finish(a);
  finish(c);
  assert_collects(3, true);
  assert_collects_nothing();
  assert_int_equal(rmq_unacked_count(&unacked), 0);
}

static void no_ack_covers_an_open_delivery(void **state) {
  (void)state;
  uint64_t a = add(1), b = add(2), c = add(3), d = add(4);
  finish(a);
  finish(d);
  finish(c);
  assert_collects(1, true);
  assert_collects(4, false);
  assert_collects(3, false);
  assert_collects_nothing();
  finish(b);
  assert_collects(2, true);
}

static void a_rejected_delivery_does_not_stop_the_prefix(void **state) {
  (void)state;
  uint64_t a = add(1), b = add(2), c = add(3);
  uint64_t tag = 0;
  assert_true(rmq_unacked_take(&unacked, b, &tag));
  assert_int_equal(tag, 2);
  finish(a);
  finish(c);
  assert_collects(3, true);
}

static void one_slow_delivery_never_stops_the_others(void **state) {
  (void)state;
  uint64_t slow = add(1);
  for (uint64_t tag = 2; tag < 5000; tag++) {
    finish(add(tag));
    assert_collects(tag, false);
  }
  finish(slow);
  assert_collects(1, true);
  assert_int_equal(unacked.strays, 0);
}

static void more_than_the_prefetch_is_refused(void **state) {
  (void)state;
  uint64_t a = add(1);
  add(2);
  add(3);
  add(4);
  assert_int_equal(rmq_unacked_add(&unacked, 5), 0);
  assert_int_equal(rmq_unacked_count(&unacked), 4);
  finish(a);
  assert_int_equal(rmq_unacked_add(&unacked, 6), 0);
  assert_collects(1, true);
  add(7);
}

static void a_tag_that_does_not_grow_is_refused(void **state) {
  (void)state;
  assert_int_equal(rmq_unacked_add(&unacked, 0), 0);
  finish(add(5));
  assert_int_equal(rmq_unacked_add(&unacked, 5), 0);
  assert_int_equal(rmq_unacked_add(&unacked, 3), 0);
  assert_collects(5, true);
  assert_int_equal(rmq_unacked_add(&unacked, 5), 0);
  add(6);
  rmq_unacked_lose(&unacked);
  add(1);
}

static void results_of_a_lost_channel_settle_nothing(void **state) {
  (void)state;
  uint64_t a = add(1), b = add(2);
  finish(b);
  rmq_unacked_lose(&unacked);
  assert_int_equal(rmq_unacked_count(&unacked), 0);
  assert_collects_nothing();
  uint64_t c = add(1);
  assert_true(c > b);
  assert_false(rmq_unacked_finish(&unacked, a, NOW));
  assert_false(rmq_unacked_finish(&unacked, b, NOW));
  uint64_t tag = 77;
  assert_false(rmq_unacked_take(&unacked, a, &tag));
  assert_int_equal(tag, 77);
  assert_int_equal(unacked.strays, 3);
  assert_collects_nothing();
  assert_int_equal(rmq_unacked_count(&unacked), 1);
}

static void a_delivery_is_settled_once(void **state) {
  (void)state;
  uint64_t a = add(1), b = add(2), tag;
  finish(a);
  assert_false(rmq_unacked_finish(&unacked, a, NOW));
  assert_false(rmq_unacked_take(&unacked, a, &tag));
  assert_true(rmq_unacked_take(&unacked, b, &tag));
  assert_false(rmq_unacked_take(&unacked, b, &tag));
  assert_false(rmq_unacked_finish(&unacked, b, NOW));
  assert_collects(1, true);
  assert_false(rmq_unacked_finish(&unacked, a, NOW));
  assert_int_equal(unacked.strays, 5);
}

static void an_unknown_serial_is_a_stray(void **state) {
  (void)state;
  uint64_t a = add(1);
  const uint64_t unknown[] = {0, 1, a + 1, a + 4, a - 1, UINT64_MAX};
  for (size_t i = 0; i < COUNT_OF(unknown); i++) {
    assert_false(rmq_unacked_finish(&unacked, unknown[i], NOW));
    assert_int_equal(unacked.strays, i + 1);
  }
  assert_int_equal(rmq_unacked_open(&unacked), 1);
}

static void serials_grow_for_life(void **state) {
  (void)state;
  uint64_t before = 0;
  for (uint64_t tag = 1; tag < 1000; tag++) {
    uint64_t serial = add(tag % 100 + 1);
    assert_true(serial > before);
    before = serial;
    if (tag % 3 == 0)
      finish(serial);
    rmq_unacked_lose(&unacked);
  }
}

static void acks_are_due_by_batch_by_age_or_when_idle(void **state) {
  (void)state;
  const struct rmq_dur interval = rmq_ms(100);
  const struct rmq_mono later = rmq_mono_add(NOW, rmq_ms(30));
  const struct rmq_mono lull = rmq_mono_add(NOW, rmq_ms(40));
  assert_true(rmq_mono_is_never(
      rmq_unacked_deadline(&unacked, 2, interval, lull, NOW)));
  uint64_t a = add(1), b = add(2), c = add(3);
  assert_true(rmq_mono_is_never(
      rmq_unacked_deadline(&unacked, 2, interval, lull, NOW)));
  /* one of three: the interval after it was done */
  finish(b);
  assert_int_equal(rmq_unacked_deadline(&unacked, 2, interval, lull, later).ns,
                   rmq_mono_add(NOW, interval).ns);
  /* a batch */
  assert_true(rmq_unacked_finish(&unacked, c, later));
  assert_int_equal(rmq_unacked_deadline(&unacked, 2, interval, lull, later).ns,
                   later.ns);
  assert_int_equal(rmq_unacked_deadline(&unacked, 3, interval, lull, later).ns,
                   rmq_mono_add(NOW, interval).ns);
  /* the age is that of the oldest that is left */
  assert_collects(2, false);
  assert_int_equal(rmq_unacked_deadline(&unacked, 3, interval, lull, later).ns,
                   rmq_mono_add(later, interval).ns);
  /* nothing open any more: the lull, unless the age comes first */
  finish(a);
  assert_int_equal(rmq_unacked_deadline(&unacked, 3, interval, lull, later).ns,
                   lull.ns);
  const struct rmq_mono far = rmq_mono_add(later, rmq_s(1));
  assert_int_equal(rmq_unacked_deadline(&unacked, 3, interval, far, later).ns,
                   rmq_mono_add(later, interval).ns);
}

static void every_prefetch_has_room_for_itself(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 3, 7, 8, 9, 100, 65535};
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    SHOW_ROW("%zu", sizes[i]);
    struct rmq_unacked u;
    assert_int_equal(rmq_unacked_init(&u, sizes[i]), 0);
    for (uint64_t tag = 1; tag <= sizes[i]; tag++)
      assert_true(rmq_unacked_add(&u, tag) != 0);
    assert_int_equal(rmq_unacked_add(&u, sizes[i] + 1), 0);
    rmq_unacked_fini(&u);
  }
}

static void init_without_memory_changes_nothing(void **state) {
  (void)state;
  struct rmq_unacked u, before;
  memset(&u, 0x5a, sizeof(u));
  memcpy(&before, &u, sizeof(u));
  alloc_fail_at(1);
  assert_int_equal(rmq_unacked_init(&u, 100), -1);
  assert_true(alloc_works_again());
  assert_memory_equal(&u, &before, sizeof(u));
  assert_int_equal(rmq_unacked_init(&u, SIZE_MAX), -1);
  assert_memory_equal(&u, &before, sizeof(u));
}

#define with_four(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      with_four(finished_deliveries_share_one_multiple_ack),
      with_four(no_ack_covers_an_open_delivery),
      with_four(a_rejected_delivery_does_not_stop_the_prefix),
      with_four(one_slow_delivery_never_stops_the_others),
      with_four(more_than_the_prefetch_is_refused),
      with_four(a_tag_that_does_not_grow_is_refused),
      with_four(results_of_a_lost_channel_settle_nothing),
      with_four(a_delivery_is_settled_once),
      with_four(an_unknown_serial_is_a_stray),
      with_four(serials_grow_for_life),
      with_four(acks_are_due_by_batch_by_age_or_when_idle),
      cmocka_unit_test(every_prefetch_has_room_for_itself),
      cmocka_unit_test(init_without_memory_changes_nothing),
  };
  return run_all(tests);
}
