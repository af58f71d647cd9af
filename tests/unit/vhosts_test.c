/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/known.h"
#include "common/broker/vhosts.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

static struct rmq_snapshot s;

static void begin(size_t max) {
  rmq_snapshot_init(&s, 10);
  s.vhosts_max = max;
}

static struct rmq_snapshot_vhost *need(const char *name) {
  return rmq_vhosts_need(&s, name, strlen(name));
}

static void a_new_one_has_everything_absent(void **state) {
  (void)state;
  begin(10);
  const struct rmq_snapshot_vhost *v = need("/");
  assert_non_null(v);
  assert_string_equal(v->name, "/");
  assert_true(isnan(v->ready) && isnan(v->unacked));
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    assert_int_equal(v->stats[i], RMQ_ABSENT);
  rmq_snapshot_fini(&s);
}

static void they_are_found_again_and_stand_in_order(void **state) {
  (void)state;
  static const char *const names[] = {"b", "a", "abc", "ab", "c", "a", "abc"};
  static const char *const want[] = {"a", "ab", "abc", "b", "c"};
  begin(10);
  for (size_t i = 0; i < COUNT_OF(names); i++)
    rmq_known_add_gauge(&need(names[i])->ready, 1);
  assert_int_equal(s.vhosts_count, COUNT_OF(want));
  for (size_t i = 0; i < COUNT_OF(want); i++)
    assert_string_equal(s.vhosts[i].name, want[i]);
  assert_true(s.vhosts[0].ready == 2);
  assert_true(s.vhosts[1].ready == 1);
  assert_true(s.vhosts[2].ready == 2);
  rmq_snapshot_fini(&s);
}

static void a_name_that_is_none_is_not_kept(void **state) {
  (void)state;
  begin(10);
  assert_null(rmq_vhosts_need(&s, "", 0));
  assert_null(rmq_vhosts_need(&s, "a\0b", 3));
  assert_int_equal(s.vhosts_count, 0);
  assert_false(s.vhosts_failed);
  rmq_snapshot_fini(&s);
}

static void with_a_maximum_of_0_there_are_none(void **state) {
  (void)state;
  begin(0);
  assert_null(need("/"));
  rmq_vhosts_end(&s);
  assert_int_equal(s.vhosts_count, 0);
  assert_int_equal(s.vhosts_left_out, 0);
  rmq_snapshot_fini(&s);
}

static bool is_not_b(void *ctx, const char *name) {
  (void)ctx;
  return strcmp(name, "b") != 0;
}

static void the_first_wanted_ones_stay(void **state) {
  (void)state;
  begin(2);
  need("d");
  need("b");
  need("c");
  need("a");
  s.vhosts_want = is_not_b;
  rmq_vhosts_end(&s);
  assert_int_equal(s.vhosts_count, 2);
  assert_string_equal(s.vhosts[0].name, "a");
  assert_string_equal(s.vhosts[1].name, "c");
  assert_int_equal(s.vhosts_left_out, 1); /* nobody wants b */
  rmq_snapshot_fini(&s);
}

static void over_the_bound_the_first_by_name_are_kept_whole(void **state) {
  (void)state;
  char name[16];
  begin(10);
  for (int round = 0; round < 2; round++)
    for (int n = 0; n < RMQ_VHOSTS_MAX + 100; n++) {
      int i = n * 7919 % (RMQ_VHOSTS_MAX + 100); /* in no order, each once */
      snprintf(name, sizeof(name), "v%05d", i);
      struct rmq_snapshot_vhost *v = need(name);
      if (v != NULL)
        rmq_known_add_gauge(&v->ready, i);
    }
  assert_int_equal(s.vhosts_count, RMQ_VHOSTS_MAX);
  rmq_vhosts_end(&s);
  assert_int_equal(s.vhosts_count, 10);
  assert_true(s.vhosts_left_out >= RMQ_VHOSTS_MAX - 10);
  for (int i = 0; i < 10; i++)
    assert_true(s.vhosts[i].ready == 2 * i);
  rmq_snapshot_fini(&s);
}

static bool is_even(void *ctx, const char *name) {
  (void)ctx;
  return (name[strlen(name) - 1] - '0') % 2 == 0;
}

/* Nobody wants most of those that come first in the alphabet. */
static void over_the_bound_unwanted_ones_take_no_place(void **state) {
  (void)state;
  enum { ALL = 2 * RMQ_VHOSTS_MAX - 100 }; /* half of them are wanted */
  char name[16];
  begin(RMQ_VHOSTS_MAX);
  s.vhosts_want = is_even;
  for (int round = 0; round < 2; round++)
    for (int n = 0; n < ALL; n++) {
      int i = n * 7919 % ALL;
      snprintf(name, sizeof(name), "v%05d", i);
      struct rmq_snapshot_vhost *v = need(name);
      if (v != NULL)
        rmq_known_add_gauge(&v->ready, i);
    }
  rmq_vhosts_end(&s);
  assert_int_equal(s.vhosts_count, ALL / 2);
  assert_int_equal(s.vhosts_left_out, 0);
  for (int i = 0; i < ALL / 2; i++)
    assert_true(s.vhosts[i].ready == 2 * (2 * i)); /* in both rounds */
  rmq_snapshot_fini(&s);
}

static void a_cleared_snapshot_has_none_and_the_same_maximum(void **state) {
  (void)state;
  begin(7);
  need("a");
  rmq_snapshot_clear(&s);
  assert_int_equal(s.vhosts_count, 0);
  assert_int_equal(s.vhosts_max, 7);
  need("a");
  rmq_vhosts_forget(&s);
  assert_int_equal(s.vhosts_count, 0);
  assert_non_null(need("b"));
  rmq_snapshot_fini(&s);
  assert_int_equal(s.vhosts_max, 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_new_one_has_everything_absent),
      cmocka_unit_test(they_are_found_again_and_stand_in_order),
      cmocka_unit_test(a_name_that_is_none_is_not_kept),
      cmocka_unit_test(with_a_maximum_of_0_there_are_none),
      cmocka_unit_test(the_first_wanted_ones_stay),
      cmocka_unit_test(over_the_bound_the_first_by_name_are_kept_whole),
      cmocka_unit_test(over_the_bound_unwanted_ones_take_no_place),
      cmocka_unit_test(a_cleared_snapshot_has_none_and_the_same_maximum),
  };
  return run_all(tests);
}
