/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/batches.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

/* Sealed messages as text: "KEY/VALUES BODY\n". */
struct fixture {
  struct rmq_batches *b;
  struct rmq_buf sealed;
};

static void keep(void *ctx, struct rmq_message *m) {
  struct fixture *f = ctx;
  assert_int_equal(strlen(m->body), m->body_len);
  rmq_buf_appendf(&f->sealed, "%s/%u %s\n", m->key, m->values, m->body);
  rmq_message_free(m);
}

static const struct rmq_batches_config usual = {.open = "[",
                                                .separator = ",",
                                                .close = "]",
                                                .values_max = 3,
                                                .bytes_max = 20,
                                                .open_max = 2,
                                                .age_max = {RMQ_NS_PER_S}};

static void set_up(struct fixture *f, const struct rmq_batches_config *c) {
  rmq_buf_init(&f->sealed, 100000);
  f->b = rmq_batches_new(c, keep, f);
  assert_non_null(f->b);
}

static void tear_down(struct fixture *f) {
  rmq_batches_free(f->b);
  rmq_buf_fini(&f->sealed);
}

static struct rmq_mono at(int64_t s) {
  return (struct rmq_mono){s * RMQ_NS_PER_S};
}

static int append(struct fixture *f, const char *key, const char *value,
                  int64_t s) {
  return rmq_batches_append(f->b, key, rmq_batches_hash(key), value,
                            strlen(value), at(s));
}

/* What was sealed since the last time. */
static void must_seal(struct fixture *f, const char *want) {
  assert_string_equal(rmq_buf_text(&f->sealed), want);
  rmq_buf_clear(&f->sealed);
}

static void full_batch_is_sealed_with_what_stands_around_it(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  assert_int_equal(append(&f, "k", "1", 0), 0);
  assert_int_equal(append(&f, "k", "2", 0), 0);
  must_seal(&f, "");
  assert_int_equal(rmq_batches_open_values(f.b), 2);
  assert_int_equal(append(&f, "k", "3", 0), 0);
  must_seal(&f, "k/3 [1,2,3]\n");
  assert_int_equal(rmq_batches_open_values(f.b), 0);
  assert_int_equal(rmq_batches_open_count(f.b), 0);
  tear_down(&f);
}

static void body_never_exceeds_its_bytes(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  append(&f, "k", "12345678", 0);
  append(&f, "k", "123456789", 0); /* 20 bytes: [8,9] */
  must_seal(&f, "k/2 [12345678,123456789]\n");
  append(&f, "k", "12345678", 0);
  append(&f, "k", "1234567890", 0);
  must_seal(&f, "k/1 [12345678]\n");
  rmq_batches_seal_all(f.b);
  must_seal(&f, "k/1 [1234567890]\n");
  tear_down(&f);
}

static void value_that_is_too_large_goes_alone_behind_its_elders(void **s) {
  (void)s;
  struct fixture f;
  set_up(&f, &usual);
  append(&f, "k", "1", 0);
  append(&f, "k", "12345678901234567890", 0);
  must_seal(&f, "k/1 [1]\nk/1 [12345678901234567890]\n");
  append(&f, "k", "2", 0);
  must_seal(&f, "");
  tear_down(&f);
}

static void each_key_has_a_batch_of_its_own(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  append(&f, "a", "1", 0);
  append(&f, "b", "2", 0);
  append(&f, "a", "3", 0);
  assert_int_equal(rmq_batches_open_count(f.b), 2);
  rmq_batches_seal_all(f.b);
  must_seal(&f, "a/2 [1,3]\nb/1 [2]\n");
  tear_down(&f);
}

static void oldest_batch_makes_room_for_one_more_key(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  append(&f, "a", "1", 0);
  append(&f, "b", "2", 0);
  append(&f, "a", "3", 0);
  append(&f, "c", "4", 0);
  must_seal(&f, "a/2 [1,3]\n");
  append(&f, "d", "5", 0);
  must_seal(&f, "b/1 [2]\n");
  assert_int_equal(rmq_batches_open_count(f.b), 2);
  assert_int_equal(rmq_batches_open_values(f.b), 2);
  tear_down(&f);
}

static void age_counts_from_the_first_value(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  assert_true(rmq_mono_is_never(rmq_batches_next_deadline(f.b)));
  append(&f, "a", "1", 10);
  append(&f, "b", "2", 11);
  append(&f, "a", "3", 11);
  assert_int_equal(rmq_batches_next_deadline(f.b).ns, at(11).ns);
  rmq_batches_seal_aged(f.b, usual.age_max, (struct rmq_mono){at(11).ns - 1});
  must_seal(&f, "");
  rmq_batches_seal_aged(f.b, usual.age_max, at(11));
  must_seal(&f, "a/2 [1,3]\n");
  assert_int_equal(rmq_batches_next_deadline(f.b).ns, at(12).ns);
  tear_down(&f);
}

static void one_key_is_sealed_only_when_it_is_old_enough(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  append(&f, "a", "1", 10);
  append(&f, "b", "2", 11);
  rmq_batches_seal_key(f.b, "c", rmq_batches_hash("c"), rmq_s(0), at(12));
  rmq_batches_seal_key(f.b, "b", rmq_batches_hash("b"), rmq_s(2), at(12));
  must_seal(&f, "");
  rmq_batches_seal_key(f.b, "b", rmq_batches_hash("b"), rmq_s(1), at(12));
  must_seal(&f, "b/1 [2]\n");
  assert_int_equal(rmq_batches_open_count(f.b), 1);
  tear_down(&f);
}

static void keys_that_share_a_bucket_stay_apart(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_batches_config c = usual;
  c.open_max = 3;
  set_up(&f, &c);
  rmq_batches_append(f.b, "a", 5, "1", 1, at(0));
  rmq_batches_append(f.b, "b", 5, "2", 1, at(0));
  rmq_batches_append(f.b, "c", 5, "3", 1, at(0));
  rmq_batches_append(f.b, "b", 5, "4", 1, at(0));
  rmq_batches_seal_key(f.b, "b", 5, rmq_s(0), at(0));
  must_seal(&f, "b/2 [2,4]\n");
  rmq_batches_append(f.b, "a", 5, "5", 1, at(0));
  rmq_batches_seal_all(f.b);
  must_seal(&f, "a/2 [1,5]\nc/1 [3]\n");
  tear_down(&f);
}

static void format_without_frame_has_bare_lines(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_batches_config c = usual;
  c.open = c.separator = c.close = "";
  set_up(&f, &c);
  append(&f, "k", "a;", 0);
  append(&f, "k", "b;", 0);
  append(&f, "k", "c;", 0);
  must_seal(&f, "k/3 a;b;c;\n");
  tear_down(&f);
}

/* Whatever allocation fails: the value is in the next message, or was refused,
 * and the others are where they were. */
static void without_memory_only_the_value_itself_is_refused(void **state) {
  (void)state;
  for (size_t nth = 1; nth <= 6; nth++) {
    struct fixture f;
    struct rmq_batches_config c = usual;
    char large[301] = "";
    memset(large, 'x', sizeof(large) - 1);
    c.bytes_max = 1000;
    set_up(&f, &c);
    rmq_buf_reserve(&f.sealed, 5000);
    append(&f, "a", "1", 0);
    alloc_fail_at(nth);
    bool has_a = append(&f, "a", large, 0) == 0; /* grows */
    bool has_b = append(&f, "b", "2", 0) == 0;   /* opens */
    bool was_short = alloc_works_again();
    assert_int_equal(was_short, !has_a || !has_b);
    assert_int_equal(rmq_batches_open_values(f.b), 1 + has_a + has_b);
    rmq_batches_seal_all(f.b);
    char want[700];
    snprintf(want, sizeof(want), "a/%d [1%s%s]\n%s", 1 + has_a,
             has_a ? "," : "", has_a ? large : "", has_b ? "b/1 [2]\n" : "");
    must_seal(&f, want);
    append(&f, "b", "3", 0);
    rmq_batches_seal_all(f.b);
    must_seal(&f, "b/1 [3]\n");
    tear_down(&f);
  }
}

static void sealing_needs_no_memory(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  rmq_buf_reserve(&f.sealed, 1000);
  append(&f, "a", "1", 0);
  alloc_fail_at(1);
  rmq_batches_seal_all(f.b);
  alloc_works_again();
  must_seal(&f, "a/1 [1]\n");
  tear_down(&f);
}

static void without_memory_there_are_none(void **state) {
  (void)state;
  for (size_t nth = 1; nth <= 2; nth++) {
    alloc_fail_at(nth);
    assert_null(rmq_batches_new(&usual, keep, NULL));
    assert_true(alloc_works_again());
  }
}

static void what_is_open_is_freed_with_the_batches(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, &usual);
  append(&f, "a", "1", 0);
  append(&f, "b", "2", 0);
  tear_down(&f);
  rmq_batches_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(full_batch_is_sealed_with_what_stands_around_it),
      cmocka_unit_test(body_never_exceeds_its_bytes),
      cmocka_unit_test(value_that_is_too_large_goes_alone_behind_its_elders),
      cmocka_unit_test(each_key_has_a_batch_of_its_own),
      cmocka_unit_test(oldest_batch_makes_room_for_one_more_key),
      cmocka_unit_test(age_counts_from_the_first_value),
      cmocka_unit_test(one_key_is_sealed_only_when_it_is_old_enough),
      cmocka_unit_test(keys_that_share_a_bucket_stay_apart),
      cmocka_unit_test(format_without_frame_has_bare_lines),
      cmocka_unit_test(without_memory_only_the_value_itself_is_refused),
      cmocka_unit_test(sealing_needs_no_memory),
      cmocka_unit_test(without_memory_there_are_none),
      cmocka_unit_test(what_is_open_is_freed_with_the_batches),
  };
  return run_all(tests);
}
