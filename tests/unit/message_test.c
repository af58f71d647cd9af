/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/message.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

static void a_message_holds_its_own_copy_of_key_and_body(void **state) {
  (void)state;
  char key[] = "host.cpu";
  char body[] = {'a', '\0', 'b'};
  struct rmq_message *m = rmq_message_new(key, body, sizeof(body));
  assert_non_null(m);
  memset(key, 'x', sizeof(key) - 1);
  memset(body, 'x', sizeof(body));
  assert_string_equal(m->key, "host.cpu");
  assert_int_equal(m->key_len, 8);
  assert_int_equal(m->body_len, 3);
  assert_memory_equal(m->body, "a\0b", 4);
  rmq_message_free(m);
}

static void everything_else_starts_at_zero(void **state) {
  (void)state;
  struct rmq_message *m = rmq_message_new("", NULL, 0);
  assert_non_null(m);
  assert_null(m->node.next);
  assert_int_equal(m->seq, 0);
  assert_string_equal(m->id, "");
  assert_int_equal(m->attempts, 0);
  assert_int_equal(m->refusals, 0);
  assert_int_equal(m->not_before.ns, 0);
  assert_string_equal(m->key, "");
  assert_int_equal(m->body_len, 0);
  rmq_message_free(m);
}

static void the_cost_is_body_key_and_overhead(void **state) {
  (void)state;
  struct rmq_message *m = rmq_message_new("four", "123456", 6);
  assert_non_null(m);
  assert_int_equal(rmq_message_cost(m), 4 + 6 + RMQ_MESSAGE_OVERHEAD);
  rmq_message_free(m);
}

static void the_struct_fits_into_the_overhead_that_is_charged(void **state) {
  (void)state;
  assert_true(sizeof(struct rmq_message) + 2 <= RMQ_MESSAGE_OVERHEAD);
}

static void a_size_that_overflows_gives_no_message(void **state) {
  (void)state;
  assert_null(rmq_message_new("key", "", SIZE_MAX));
  assert_null(rmq_message_new("key", "", SIZE_MAX - 8));
}

static void without_memory_there_is_no_message(void **state) {
  (void)state;
  alloc_fail_at(1);
  assert_null(rmq_message_new("key", "body", 4));
  assert_true(alloc_works_again());
}

static void freeing_null_is_fine(void **state) {
  (void)state;
  rmq_message_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_holds_its_own_copy_of_key_and_body),
      cmocka_unit_test(everything_else_starts_at_zero),
      cmocka_unit_test(the_cost_is_body_key_and_overhead),
      cmocka_unit_test(the_struct_fits_into_the_overhead_that_is_charged),
      cmocka_unit_test(a_size_that_overflows_gives_no_message),
      cmocka_unit_test(without_memory_there_is_no_message),
      cmocka_unit_test(freeing_null_is_fine),
  };
  return run_all(tests);
}
