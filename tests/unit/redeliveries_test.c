/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/redeliveries.h"

#include "tests/testing.h"

static void failures_are_counted_until_the_message_has_ended(void **state) {
  (void)state;
  struct rmq_redeliveries r;
  assert_int_equal(rmq_redeliveries_init(&r, 100), 0);
  assert_int_equal(rmq_redeliveries_count(&r, 7), 0);
  rmq_redeliveries_add(&r, 7);
  rmq_redeliveries_add(&r, 7);
  rmq_redeliveries_add(&r, 0);
  assert_int_equal(rmq_redeliveries_count(&r, 7), 2);
  assert_int_equal(rmq_redeliveries_count(&r, 0), 1);
  rmq_redeliveries_forget(&r, 7);
  rmq_redeliveries_forget(&r, 8);
  assert_int_equal(rmq_redeliveries_count(&r, 7), 0);
  rmq_redeliveries_fini(&r);
}

static uint64_t key_of(size_t message) {
  return (message + 1) * UINT64_C(0x5851F42D4C957F2D);
}

/* How many messages fail in turn without ever being counted often enough. */
static size_t never_given_up(size_t messages, size_t room, unsigned rounds) {
  enum { LIMIT = 5 };
  struct rmq_redeliveries r;
  assert_int_equal(rmq_redeliveries_init(&r, room), 0);
  size_t left = messages;
  for (unsigned n = 0; n < rounds; n++)
    for (size_t m = 0; m < messages; m++) {
      rmq_redeliveries_add(&r, key_of(m));
      if (n + 1 == rounds && rmq_redeliveries_count(&r, key_of(m)) >= LIMIT)
        left--;
    }
  rmq_redeliveries_fini(&r);
  return left;
}

static void poison_is_counted_however_much_of_it_there_is(void **state) {
  (void)state;
  assert_int_equal(never_given_up(4096, 4096, 4), 4096);
  assert_int_equal(never_given_up(4096, 4096, 5), 0);
  assert_int_equal(never_given_up(100000, 16, 5), 0);
}

static void the_one_that_failed_longest_ago_gives_way(void **state) {
  (void)state;
  struct rmq_redeliveries r;
  assert_int_equal(rmq_redeliveries_init(&r, 1), 0);
  assert_int_equal(r.mask, 0);
  for (uint64_t key = 1; key <= RMQ_REDELIVERIES_WAYS; key++)
    rmq_redeliveries_add(&r, key);
  rmq_redeliveries_add(&r, 1);
  rmq_redeliveries_add(&r, 100);
  assert_int_equal(rmq_redeliveries_count(&r, 1), 2);
  assert_int_equal(rmq_redeliveries_count(&r, 2), 0);
  assert_int_equal(rmq_redeliveries_count(&r, 3), 1);
  assert_int_equal(rmq_redeliveries_count(&r, 100), 2);
  rmq_redeliveries_fini(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(failures_are_counted_until_the_message_has_ended),
      cmocka_unit_test(poison_is_counted_however_much_of_it_there_is),
      cmocka_unit_test(the_one_that_failed_longest_ago_gives_way),
  };
  return run_all(tests);
}
