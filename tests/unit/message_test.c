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

static void what_its_giver_chose_is_copied_and_charged(void **state) {
  (void)state;
  for (size_t key_len = 0; key_len < 16;
       key_len++) { /* however it is aligned */
    char id[RMQ_MESSAGE_ID_SIZE + 1], key[17] = "kkkkkkkkkkkkkkkk";
    memset(id, 'i', RMQ_MESSAGE_ID_SIZE);
    id[RMQ_MESSAGE_ID_SIZE] = '\0';
    key[key_len] = '\0';
    const struct rmq_message_parts parts = {.key = key,
                                            .exchange = "",
                                            .id = id,
                                            .envelope = "a\0b",
                                            .envelope_len = 3,
                                            .body = "body",
                                            .body_len = 4};
    struct rmq_message *m = rmq_message_build(&parts);
    assert_non_null(m);
    assert_string_equal(rmq_message_id(m), id);
    assert_string_equal(rmq_message_exchange(m, "block"), "");
    assert_memory_equal(m->extras->envelope, "a\0b", 3);
    assert_null(m->content_type);
    assert_string_equal(m->body, "body");
    size_t extras = 1 + RMQ_MESSAGE_ID_SIZE + 1 + 3;
    assert_int_equal(rmq_message_extras_len(m), extras);
    assert_int_equal(rmq_message_cost(m),
                     4 + key_len + extras + RMQ_MESSAGE_OVERHEAD);
    rmq_message_free(m);
  }
}

static void a_short_id_needs_no_extras(void **state) {
  (void)state;
  const struct rmq_message_parts parts = {
      .key = "k", .id = "0af76519-16cd-43dd-8448-eb211c80319c", .body = ""};
  struct rmq_message *m = rmq_message_build(&parts);
  assert_non_null(m);
  assert_null(m->extras);
  assert_string_equal(rmq_message_id(m), parts.id);
  assert_string_equal(rmq_message_exchange(m, "block"), "block");
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
  assert_null(rmq_message_restore("key", "", NULL, "", SIZE_MAX));
  assert_null(rmq_message_restore("key", "", NULL, "", SIZE_MAX - 8));
}

static void without_memory_there_is_no_message(void **state) {
  (void)state;
  alloc_fail_at(1);
  assert_null(rmq_message_new("key", "body", 4));
  assert_true(alloc_works_again());
}

static void a_taken_body_is_not_copied(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 100);
  assert_int_equal(rmq_buf_append(&b, "a\0b", 3), 0);
  struct rmq_message *m = rmq_message_take("key", &b);
  assert_non_null(m);
  assert_int_equal(b.len, 0);
  assert_int_equal(m->body_len, 3);
  assert_memory_equal(m->body, "a\0b", 4);
  assert_string_equal(m->key, "key");
  assert_int_equal(rmq_message_cost(m), 3 + 3 + RMQ_MESSAGE_OVERHEAD);
  rmq_message_free(m);
  rmq_buf_fini(&b);
}

static void without_memory_a_body_is_not_taken(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 100);
  assert_int_equal(rmq_buf_append(&b, "body", 4), 0);
  alloc_fail_at(1);
  assert_null(rmq_message_take("key", &b));
  assert_true(alloc_works_again());
  assert_int_equal(b.len, 4);
  rmq_buf_fini(&b);
}

static void a_restored_message_owns_all_its_texts(void **state) {
  (void)state;
  char type[] = "text/x", encoding[] = "gzip", body[] = "body";
  struct rmq_message *m = rmq_message_restore("key", type, encoding, body, 4);
  assert_non_null(m);
  memset(type, '-', sizeof(type) - 1);
  memset(encoding, '-', sizeof(encoding) - 1);
  memset(body, '-', sizeof(body) - 1);
  assert_string_equal(m->key, "key");
  assert_string_equal(m->content_type, "text/x");
  assert_string_equal(m->content_encoding, "gzip");
  assert_memory_equal(m->body, "body", 5);
  rmq_message_free(m);
  m = rmq_message_restore("", "", NULL, NULL, 0);
  assert_non_null(m);
  assert_string_equal(m->content_type, "");
  assert_null(m->content_encoding);
  assert_int_equal(m->body_len, 0);
  rmq_message_free(m);
}

static void a_body_can_be_replaced(void **state) {
  (void)state;
  struct rmq_message *m = rmq_message_new("key", "long body", 9);
  assert_non_null(m);
  struct rmq_buf b;
  rmq_buf_init(&b, 100);
  for (int i = 0; i < 2; i++) {
    assert_int_equal(rmq_buf_append(&b, "short", 5), 0);
    rmq_message_set_body(m, &b);
    assert_int_equal(m->body_len, 5);
    assert_memory_equal(m->body, "short", 6);
    assert_int_equal(rmq_message_cost(m), 5 + 3 + RMQ_MESSAGE_OVERHEAD);
  }
  rmq_message_set_body(m, &b);
  assert_int_equal(m->body_len, 0);
  rmq_message_free(m);
  rmq_buf_fini(&b);
}

static void freeing_null_is_fine(void **state) {
  (void)state;
  rmq_message_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_its_giver_chose_is_copied_and_charged),
      cmocka_unit_test(a_short_id_needs_no_extras),
      cmocka_unit_test(a_message_holds_its_own_copy_of_key_and_body),
      cmocka_unit_test(everything_else_starts_at_zero),
      cmocka_unit_test(the_cost_is_body_key_and_overhead),
      cmocka_unit_test(the_struct_fits_into_the_overhead_that_is_charged),
      cmocka_unit_test(a_size_that_overflows_gives_no_message),
      cmocka_unit_test(without_memory_there_is_no_message),
      cmocka_unit_test(a_taken_body_is_not_copied),
      cmocka_unit_test(without_memory_a_body_is_not_taken),
      cmocka_unit_test(a_restored_message_owns_all_its_texts),
      cmocka_unit_test(a_body_can_be_replaced),
      cmocka_unit_test(freeing_null_is_fine),
  };
  return run_all(tests);
}
