/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/event.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <string.h>

static void a_clone_outlives_its_original(void **state) {
  (void)state;
  char host[] = "web",
       text[] = "Queue is \xc3\xbc"
                "ber 50000",
       key[] = "object", value[] = "orders";
  struct rmq_meta meta[] = {
      {.key = key, .type = RMQ_META_STRING, .value.string = value},
      {.key = "value", .type = RMQ_META_DOUBLE, .value.number = 0.5},
      {.key = "big",
       .type = RMQ_META_UNSIGNED,
       .value.unsigned_int = UINT64_MAX},
  };
  const struct rmq_event event = {
      .severity = RMQ_FAILURE,
      .time = {123},
      .id = {host, "rabbitmq_monitor", "", "queue_length", "ready"},
      .message = text,
      .meta = meta,
      .meta_count = COUNT_OF(meta),
  };
  struct rmq_event *clone = rmq_event_clone(&event);
  assert_non_null(clone);
  memset(host, 'x', strlen(host));
  memset(text, 'x', strlen(text));
  memset(key, 'x', strlen(key));
  memset(value, 'x', strlen(value));
  memset(meta, 0, sizeof(meta));
  assert_int_equal(clone->severity, RMQ_FAILURE);
  assert_true(clone->time.ns == 123);
  assert_string_equal(clone->id.host, "web");
  assert_string_equal(clone->id.plugin, "rabbitmq_monitor");
  assert_string_equal(clone->id.plugin_instance, "");
  assert_string_equal(clone->id.type, "queue_length");
  assert_string_equal(clone->id.type_instance, "ready");
  assert_string_equal(clone->message, "Queue is \xc3\xbc"
                                      "ber 50000");
  assert_int_equal(clone->meta_count, 3);
  assert_string_equal(clone->meta[0].key, "object");
  assert_int_equal(clone->meta[0].type, RMQ_META_STRING);
  assert_string_equal(clone->meta[0].value.string, "orders");
  assert_string_equal(clone->meta[1].key, "value");
  assert_true(clone->meta[1].value.number == 0.5);
  assert_true(clone->meta[2].value.unsigned_int == UINT64_MAX);
  free(clone);
}

static void a_bare_event_is_cloned_too(void **state) {
  (void)state;
  const struct rmq_event event = {.severity = RMQ_OKAY,
                                  .id = {"", "", "", "", ""}};
  struct rmq_event *clone = rmq_event_clone(&event);
  assert_non_null(clone);
  assert_string_equal(clone->id.host, "");
  assert_null(clone->message);
  assert_int_equal(clone->meta_count, 0);
  free(clone);
}

static void without_memory_there_is_no_clone(void **state) {
  (void)state;
  const struct rmq_event event = {.id = {"h", "", "", "", ""}};
  alloc_fail_at(1);
  assert_null(rmq_event_clone(&event));
  assert_true(alloc_works_again());
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_clone_outlives_its_original),
      cmocka_unit_test(a_bare_event_is_cloned_too),
      cmocka_unit_test(without_memory_there_is_no_clone),
  };
  return run_all(tests);
}
