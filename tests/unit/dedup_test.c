/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/dedup.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

static struct rmq_dedup d;

static int setup(void **state) {
  (void)state;
  return rmq_dedup_init(&d, 3);
}

static int teardown(void **state) {
  (void)state;
  rmq_dedup_fini(&d);
  return 0;
}

static enum rmq_dedup_seen look(const char *id) {
  struct rmq_dedup_entry *e = NULL;
  return rmq_dedup_look(&d, id, 1, &e);
}

static void do_message(const char *id) {
  struct rmq_dedup_entry *e = NULL;
  assert_int_equal(rmq_dedup_look(&d, id, 1, &e), RMQ_DEDUP_NEW);
  rmq_dedup_done(&d, e);
}

static void a_copy_of_an_open_or_done_message_is_known(void **state) {
  (void)state;
  struct rmq_dedup_entry *e = NULL, *again = NULL;
  assert_int_equal(rmq_dedup_look(&d, "a", 1, &e), RMQ_DEDUP_NEW);
  assert_int_equal(rmq_dedup_look(&d, "a", 1, &again), RMQ_DEDUP_OPEN);
  assert_ptr_equal(e, again);
  rmq_dedup_done(&d, e);
  assert_int_equal(look("a"), RMQ_DEDUP_DONE);
  assert_int_equal(d.open, 0);
}

static void only_what_was_done_enters_the_window(void **state) {
  (void)state;
  struct rmq_dedup_entry *e = NULL;
  assert_int_equal(rmq_dedup_look(&d, "a", 1, &e), RMQ_DEDUP_NEW);
  rmq_dedup_forget(&d, e);
  assert_int_equal(rmq_dedup_look(&d, "a", 1, &e), RMQ_DEDUP_NEW);
  rmq_dedup_forget(&d, e);
  assert_int_equal(d.done.count, 0);
}

static void the_oldest_id_leaves_a_full_window(void **state) {
  (void)state;
  do_message("a");
  do_message("b");
  do_message("c");
  assert_int_equal(look("a"), RMQ_DEDUP_DONE);
  do_message("d");
  assert_int_equal(look("b"), RMQ_DEDUP_DONE);
  assert_int_equal(look("d"), RMQ_DEDUP_DONE);
  assert_int_equal(d.done.count, 3);
  assert_int_equal(look("a"), RMQ_DEDUP_NEW);
}

/* A sender that numbers its messages from 1 after each start. */
static void the_same_id_with_another_content_is_another_message(void **state) {
  (void)state;
  struct rmq_dedup_entry *e = NULL;
  uint64_t first = rmq_fingerprint("first content", 13);
  uint64_t other = rmq_fingerprint("other content", 13);
  assert_int_equal(rmq_dedup_look(&d, "1", first, &e), RMQ_DEDUP_NEW);
  rmq_dedup_done(&d, e);
  assert_int_equal(rmq_dedup_look(&d, "1", other, &e), RMQ_DEDUP_NEW);
  rmq_dedup_done(&d, e);
  assert_int_equal(rmq_dedup_look(&d, "1", first, &e), RMQ_DEDUP_DONE);
  assert_int_equal(rmq_dedup_look(&d, "1", other, &e), RMQ_DEDUP_DONE);
}

static void every_byte_counts_in_a_fingerprint(void **state) {
  (void)state;
  char body[41];
  memset(body, 'x', sizeof(body));
  uint64_t whole = rmq_fingerprint(body, sizeof(body));
  for (size_t i = 0; i < sizeof(body); i++) {
    body[i] = 'y';
    assert_true(rmq_fingerprint(body, sizeof(body)) != whole);
    body[i] = 'x';
    assert_true(rmq_fingerprint(body, i) != whole);
  }
  assert_int_equal(rmq_fingerprint(body, sizeof(body)), whole);
}

static void without_memory_a_message_is_new_and_not_remembered(void **state) {
  (void)state;
  struct rmq_dedup_entry *e = NULL;
  alloc_fail_at(1);
  enum rmq_dedup_seen seen = rmq_dedup_look(&d, "a", 1, &e);
  assert_true(alloc_works_again());
  assert_int_equal(seen, RMQ_DEDUP_NEW);
  assert_null(e);
  struct rmq_dedup other;
  alloc_fail_at(1);
  int rc = rmq_dedup_init(&other, 3);
  assert_true(alloc_works_again());
  assert_int_equal(rc, -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_copy_of_an_open_or_done_message_is_known),
      TEST(only_what_was_done_enters_the_window),
      TEST(the_oldest_id_leaves_a_full_window),
      TEST(the_same_id_with_another_content_is_another_message),
      TEST(every_byte_counts_in_a_fingerprint),
      TEST(without_memory_a_message_is_new_and_not_remembered),
  };
  return run_all(tests);
}
