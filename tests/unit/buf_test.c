/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/buf.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include "common/base/prng.h"

#include <string.h>

static void appended_pieces_follow_each_other(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 100);
  assert_string_equal(rmq_buf_text(&b), "");
  assert_null(rmq_buf_bytes(&b));
  assert_int_equal(rmq_buf_append(&b, "ab", 2), 0);
  assert_int_equal(rmq_buf_append(&b, NULL, 0), 0);
  assert_int_equal(rmq_buf_append_char(&b, 'c'), 0);
  assert_int_equal(rmq_buf_append_text(&b, "de"), 0);
  assert_int_equal(rmq_buf_appendf(&b, "%d%s", 42, "!"), 0);
  assert_string_equal(rmq_buf_text(&b), "abcde42!");
  assert_int_equal(b.len, 8);
  assert_false(b.failed);
  rmq_buf_fini(&b);
}

static void bytes_may_be_zero(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 100);
  assert_int_equal(rmq_buf_append(&b, "a\0b", 3), 0);
  assert_int_equal(b.len, 3);
  assert_memory_equal(rmq_buf_bytes(&b), "a\0b", 3);
  rmq_buf_fini(&b);
}

static void beyond_the_maximum_nothing_is_appended(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 4);
  assert_int_equal(rmq_buf_append_text(&b, "abcd"), 0);
  assert_false(b.failed);
  assert_int_equal(rmq_buf_append_char(&b, 'e'), -1);
  assert_true(b.failed);
  assert_int_equal(rmq_buf_appendf(&b, "%s", "e"), -1);
  assert_null(rmq_buf_reserve(&b, 1));
  assert_null(rmq_buf_reserve(&b, SIZE_MAX));
  assert_string_equal(rmq_buf_text(&b), "abcd");
  /* The failure stays until the buffer is cleared, though there is room. */
  rmq_buf_truncate(&b, 1);
  assert_int_equal(rmq_buf_append_text(&b, "xyz"), 0);
  assert_true(b.failed);
  rmq_buf_clear(&b);
  assert_false(b.failed);
  assert_int_equal(b.len, 0);
  rmq_buf_fini(&b);
}

static void a_maximum_of_zero_takes_nothing(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 0);
  assert_int_equal(rmq_buf_append_char(&b, 'x'), -1);
  assert_string_equal(rmq_buf_text(&b), "");
  rmq_buf_fini(&b);
}

static void an_absurd_size_is_refused_not_wrapped(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, SIZE_MAX);
  assert_int_equal(rmq_buf_append_text(&b, "kept"), 0);
  assert_null(rmq_buf_reserve(&b, SIZE_MAX - 4));
  assert_null(rmq_buf_reserve(&b, SIZE_MAX - 5));
  assert_null(rmq_buf_reserve(&b, SIZE_MAX / 2));
  assert_string_equal(rmq_buf_text(&b), "kept");
  rmq_buf_fini(&b);
}

static void reserved_bytes_count_when_committed(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 1000);
  char *room = rmq_buf_reserve(&b, 600);
  assert_non_null(room);
  memset(room, 'r', 600);
  assert_int_equal(b.len, 0);
  rmq_buf_commit(&b, 2);
  assert_string_equal(rmq_buf_text(&b), "rr");
  rmq_buf_fini(&b);
}

static void consumed_bytes_are_gone_and_their_room_comes_back(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 1000);
  char block[250];
  memset(block, 'x', sizeof(block));
  for (int i = 0; i < 10000; i++) {
    assert_int_equal(rmq_buf_append(&b, block, sizeof(block)), 0);
    assert_int_equal(rmq_buf_append(&b, "yz", 2), 0);
    rmq_buf_consume(&b, 100);
    rmq_buf_consume(&b, 150);
    assert_string_equal(rmq_buf_text(&b), "yz");
    rmq_buf_consume(&b, 2);
    assert_int_equal(b.start, 0);
  }
  assert_in_range(b.capacity, 253, 1024);
  rmq_buf_fini(&b);
}

static void a_stream_that_never_runs_dry_does_not_grow(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 1000);
  assert_int_equal(rmq_buf_append_text(&b, "in front"), 0);
  for (int i = 0; i < 10000; i++) {
    char bytes[16];
    snprintf(bytes, sizeof(bytes), "%07d", i);
    assert_int_equal(rmq_buf_append(&b, bytes, 7), 0);
    rmq_buf_consume(&b, 7);
  }
  assert_string_equal(rmq_buf_text(&b), "80009999");
  assert_int_equal(b.capacity, 256);
  rmq_buf_fini(&b);
}

static void taking_moves_ownership_of_exactly_the_content(void **state) {
  (void)state;
  struct rmq_buf b;
  size_t len = 77;
  rmq_buf_init(&b, 100);
  assert_null(rmq_buf_take(&b, &len));
  assert_int_equal(len, 77);
  rmq_buf_append_text(&b, "consumed:kept");
  rmq_buf_consume(&b, 9);
  char *bytes = rmq_buf_take(&b, &len);
  assert_string_equal(bytes, "kept");
  assert_int_equal(len, 4);
  free(bytes);
  assert_int_equal(b.len, 0);
  assert_int_equal(b.capacity, 0);
  assert_int_equal(b.max, 100);
  assert_int_equal(rmq_buf_append_text(&b, "again"), 0);
  bytes = rmq_buf_take(&b, NULL);
  assert_string_equal(bytes, "again");
  free(bytes);
  rmq_buf_fini(&b);
}

static void an_idle_buffer_gives_memory_back(void **state) {
  (void)state;
  struct rmq_buf b;
  rmq_buf_init(&b, 10000);
  for (int i = 0; i < 5000; i++)
    rmq_buf_append_char(&b, 'x');
  rmq_buf_shrink(&b, 100);
  assert_int_equal(b.len, 5000); /* not idle */
  rmq_buf_clear(&b);
  size_t capacity = b.capacity;
  rmq_buf_shrink(&b, capacity);
  assert_int_equal(b.capacity, capacity);
  rmq_buf_shrink(&b, capacity - 1);
  assert_int_equal(b.capacity, 0);
  rmq_buf_fini(&b);
}

static void without_memory_nothing_changes(void **state) {
  (void)state;
  struct rmq_buf b;
  char block[300];
  memset(block, 'x', sizeof(block));
  rmq_buf_init(&b, 10000);
  alloc_fail_at(1);
  assert_int_equal(rmq_buf_append_text(&b, "a"), -1);
  assert_true(alloc_works_again());
  assert_true(b.failed);
  assert_string_equal(rmq_buf_text(&b), "");

  rmq_buf_clear(&b);
  assert_int_equal(rmq_buf_append_text(&b, "abc"), 0);
  rmq_buf_consume(&b, 1);
  alloc_fail_at(1);
  assert_int_equal(rmq_buf_append(&b, block, sizeof(block)), -1);
  assert_true(alloc_works_again());
  assert_string_equal(rmq_buf_text(&b), "bc");

  size_t len = 77;
  alloc_fail_at(1);
  char *bytes = rmq_buf_take(&b, &len); /* it need not grow for that */
  assert_true(alloc_works_again());
  assert_int_equal(len, 2);
  assert_string_equal(bytes, "bc");
  assert_int_equal(b.len, 0);
  free(bytes);
  rmq_buf_fini(&b);
}

static void any_sequence_reads_like_an_array(void **state) {
  (void)state;
  enum { MAX = 3000 };
  struct rmq_prng r = {property_seed(5)};
  static char model[MAX];
  size_t len = 0;
  struct rmq_buf b;
  rmq_buf_init(&b, MAX);
  unsigned char next = 0;
  for (int turn = 0; turn < 30000; turn++) {
    size_t n = (size_t)rmq_prng_below(&r, turn % 100 == 0 ? MAX + 1 : 60);
    switch (rmq_prng_below(&r, 4)) {
    case 0:
      n = n > len ? len : n;
      rmq_buf_consume(&b, n);
      memmove(model, model + n, len - n);
      len -= n;
      break;
    case 1:
      rmq_buf_truncate(&b, n + len / 2);
      len = n + len / 2 < len ? n + len / 2 : len;
      break;
    default: {
      char bytes[MAX + 1];
      for (size_t i = 0; i < n; i++)
        bytes[i] = (char)next++;
      bool fits = n <= MAX - len;
      alloc_fail_at(rmq_prng_below(&r, 50) == 0 ? 1 : 0);
      int rc = rmq_buf_append(&b, bytes, n);
      bool no_memory = alloc_works_again();
      assert_int_equal(rc, fits && !no_memory ? 0 : -1);
      if (rc == 0) {
        memcpy(model + len, bytes, n);
        len += n;
      }
    }
    }
    assert_int_equal(b.len, len);
    if (len > 0)
      assert_memory_equal(rmq_buf_bytes(&b), model, len);
    assert_in_range(b.capacity, 0, 4 * (MAX + 1));
  }
  rmq_buf_fini(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appended_pieces_follow_each_other),
      cmocka_unit_test(bytes_may_be_zero),
      cmocka_unit_test(beyond_the_maximum_nothing_is_appended),
      cmocka_unit_test(a_maximum_of_zero_takes_nothing),
      cmocka_unit_test(an_absurd_size_is_refused_not_wrapped),
      cmocka_unit_test(reserved_bytes_count_when_committed),
      cmocka_unit_test(consumed_bytes_are_gone_and_their_room_comes_back),
      cmocka_unit_test(a_stream_that_never_runs_dry_does_not_grow),
      cmocka_unit_test(taking_moves_ownership_of_exactly_the_content),
      cmocka_unit_test(an_idle_buffer_gives_memory_back),
      cmocka_unit_test(without_memory_nothing_changes),
      cmocka_unit_test(any_sequence_reads_like_an_array),
  };
  return run_all(tests);
}
