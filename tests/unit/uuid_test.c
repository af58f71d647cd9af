/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/uuid.h"

#include "tests/testing.h"

#include "common/base/prng.h"

#include <string.h>

static void an_instance_is_a_version_4_uuid(void **state) {
  (void)state;
  struct rmq_uuid none = rmq_uuid_from_bits(0, 0);
  struct rmq_uuid all = rmq_uuid_from_bits(UINT64_MAX, UINT64_MAX);
  assert_true(none.high == UINT64_C(0x0000000000004000));
  assert_true(none.low == UINT64_C(0x8000000000000000));
  assert_true(all.high == UINT64_C(0xffffffffffff4fff));
  assert_true(all.low == UINT64_C(0xbfffffffffffffff));
}

static void message_ids_are_instance_and_seq(void **state) {
  (void)state;
  char id[RMQ_MESSAGE_ID_SIZE];
  struct rmq_uuid instance = {UINT64_C(0x0123456789ab4def), UINT64_C(0x8000)};
  rmq_uuid_message_id(instance, 1, id);
  assert_string_equal(id, "0123456789ab4def0000000000008000:1");
  rmq_uuid_message_id(instance, UINT64_MAX, id);
  assert_string_equal(id,
                      "0123456789ab4def0000000000008000:18446744073709551615");
  assert_int_equal(strlen(id) + 1, RMQ_MESSAGE_ID_SIZE);
}

static void a_traceparent_is_as_w3c_says_and_never_zero(void **state) {
  (void)state;
  char text[RMQ_TRACEPARENT_SIZE];
  rmq_uuid_traceparent(UINT64_C(0x4bf92f3577b34da6),
                       UINT64_C(0xa3ce929d0e0e4736),
                       UINT64_C(0x00f067aa0ba902b7), text);
  assert_string_equal(
      text, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
  assert_int_equal(strlen(text) + 1, RMQ_TRACEPARENT_SIZE);
  rmq_uuid_traceparent(0, 0, 0, text);
  assert_string_equal(
      text, "00-00000000000000000000000000000001-0000000000000001-01");
}

static int by_text(const void *a, const void *b) { return strcmp(a, b); }

static void each_message_has_a_trace_of_its_own_that_stays(void **state) {
  (void)state;
  enum { MESSAGES = 20000 };
  static char all[MESSAGES][RMQ_TRACE_ID_SIZE];
  struct rmq_prng r = {property_seed(9)};
  struct rmq_uuid instance = rmq_uuid_from_bits(0, 0);
  for (size_t i = 0; i < MESSAGES; i++) {
    char id[RMQ_MESSAGE_ID_SIZE];
    char once[RMQ_TRACEPARENT_SIZE], again[RMQ_TRACEPARENT_SIZE];
    if (i % 100 == 0)
      instance = rmq_uuid_from_bits(rmq_prng_next(&r), rmq_prng_next(&r));
    rmq_uuid_message_id(instance, 1 + i % 100, id);
    rmq_uuid_traceparent_of(id, once);
    rmq_uuid_traceparent_of(id, again);
    assert_string_equal(once, again);
    assert_true(rmq_uuid_trace_id(once, strlen(once), all[i]));
    assert_memory_not_equal(all[i], all[i] + 16, 16); /* 128 bits, not 64 */
  }
  qsort(all, MESSAGES, sizeof(all[0]), by_text);
  for (size_t i = 1; i < MESSAGES; i++)
    assert_string_not_equal(all[i - 1], all[i]);
}

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define ZEROS "00000000000000000000000000000000"
#define PARENT "00f067aa0ba902b7"

static void only_real_trace_ids_are_taken_from_the_wire(void **state) {
  (void)state;
  static const struct {
    const char *text;
    bool want;
  } rows[] = {
      {"00-" TRACE "-" PARENT "-01", true},
      {"00-" TRACE "-" PARENT "-00", true},
      {"cc-" TRACE "-" PARENT "-01", true},
      {"cc-" TRACE "-" PARENT "-01-what-comes", true},
      {"00-" TRACE "-" PARENT "-01-more", false},
      {"cc-" TRACE "-" PARENT "-01more", false},
      {"ff-" TRACE "-" PARENT "-01", false},
      {"00-" ZEROS "-" PARENT "-01", false},
      {"00-" TRACE "-0000000000000000-01", false},
      {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" PARENT "-01", false},
      {"00_" TRACE "-" PARENT "-01", false},
      {"00-" TRACE "_" PARENT "-01", false},
      {"00-" TRACE "-" PARENT "_01", false},
      {"00-" TRACE "-" PARENT "-0", false},
      {"00-" TRACE "-" PARENT "-0g", false},
      {"0x-" TRACE "-" PARENT "-01", false},
      {"", false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char id[RMQ_TRACE_ID_SIZE] = "untouched";
    SHOW_ROW("\"%s\"", rows[i].text);
    assert_int_equal(rmq_uuid_trace_id(rows[i].text, strlen(rows[i].text), id),
                     rows[i].want);
    assert_string_equal(id, rows[i].want ? TRACE : "untouched");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_instance_is_a_version_4_uuid),
      cmocka_unit_test(message_ids_are_instance_and_seq),
      cmocka_unit_test(a_traceparent_is_as_w3c_says_and_never_zero),
      cmocka_unit_test(each_message_has_a_trace_of_its_own_that_stays),
      cmocka_unit_test(only_real_trace_ids_are_taken_from_the_wire),
  };
  return run_all(tests);
}
