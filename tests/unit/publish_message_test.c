/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_message.h"

#include "tests/testing.h"

#include <string.h>

static const char trace[] =
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

static struct rmq_message *build(const struct rmq_outgoing *out) {
  struct rmq_error err = {""};
  struct rmq_message *m = NULL;
  assert_int_equal(rmq_publish_message_build(out, &m, &err), RMQ_PUBLISH_TAKEN);
  assert_non_null(m);
  return m;
}

static void what_amqp_does_not_allow_is_named(void **state) {
  static char long_text[257], own[] = "timestamp_in_ms",
                              trace_name[] = "traceparent";
  static char name[] = "n", value[3000];
  (void)state;
  memset(long_text, 'x', 256);
  memset(value, 'y', sizeof(value) - 1);
  const struct rmq_argument own_header = {.name = own, .type = RMQ_ARG_INTEGER};
  const struct rmq_argument trace_header = {
      .name = trace_name, .type = RMQ_ARG_STRING, .string = name};
  const struct rmq_argument large = {
      .name = name, .type = RMQ_ARG_STRING, .string = value};
  const struct {
    struct rmq_outgoing out;
    const char *want;
  } rows[] = {
      {{.routing_key = long_text}, "routing key"},
      {{.exchange = long_text}, "exchange"},
      {{.message_id = long_text}, "message_id"},
      {{.content_type = long_text}, "content_type"},
      {{.content_encoding = long_text}, "content_encoding"},
      {{.envelope = {.type = long_text}}, "type"},
      {{.envelope = {.reply_to = long_text}}, "reply_to"},
      {{.envelope = {.correlation_id = long_text}}, "correlation_id"},
      {{.envelope = {.headers = &own_header, .headers_count = 1}},
       "timestamp_in_ms is set by us"},
      {{.envelope = {.headers = &trace_header, .headers_count = 1}},
       "traceparent is set by us"},
      {{.envelope = {.headers = &large, .headers_count = 1}}, "2048 bytes"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {""};
    struct rmq_message *m = NULL;
    assert_int_equal(rmq_publish_message_build(&rows[i].out, &m, &err),
                     RMQ_PUBLISH_INVALID);
    assert_null(m);
    assert_non_null(strstr(err.text, rows[i].want));
  }
}

static void what_is_absent_is_absent(void **state) {
  (void)state;
  struct rmq_message *m = build(&(struct rmq_outgoing){
      .content_type = "", .message_id = "", .body = NULL});
  assert_string_equal(m->key, "");
  assert_null(m->content_type);
  assert_string_equal(rmq_message_id(m), "");
  assert_null(m->extras);
  rmq_message_free(m);
}

static void a_trace_is_kept_when_it_is_one(void **state) {
  static const char *const wrong[] = {"", "00-1-2-01", "nonsense"};
  struct rmq_envelope_view v;
  (void)state;
  struct rmq_message *m =
      build(&(struct rmq_outgoing){.envelope = {.traceparent = trace}});
  assert_int_equal(
      rmq_envelope_unpack(m->extras->envelope, m->extras->envelope_len, &v), 0);
  assert_string_equal(v.envelope.traceparent, trace);
  rmq_message_free(m);
  for (size_t i = 0; i < COUNT_OF(wrong); i++) {
    m = build(&(struct rmq_outgoing){.envelope = {.traceparent = wrong[i]}});
    assert_null(m->extras);
    rmq_message_free(m);
  }
}

static void the_largest_body_fits_into_queue_and_spool(void **state) {
  static char dir[] = "/nowhere";
  struct rmq_publish_options o = {.send_queue_bytes = 64 << 20,
                                  .connections = 4,
                                  .spool_mode = 2,
                                  .spool_max_bytes = 1 << 20};
  (void)state;
  uint64_t in_memory = rmq_publish_message_body_max(&o);
  assert_true(in_memory < (16 << 20) && in_memory > (15 << 20));
  o.spool_dir = dir;
  uint64_t spooled = rmq_publish_message_body_max(&o);
  assert_true(spooled < in_memory && spooled > (60 << 10));
  o.send_queue_bytes = INT64_C(1) << 40;
  o.spool_dir = NULL;
  assert_int_equal(rmq_publish_message_body_max(&o), 128 << 20);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_amqp_does_not_allow_is_named),
      cmocka_unit_test(what_is_absent_is_absent),
      cmocka_unit_test(a_trace_is_kept_when_it_is_one),
      cmocka_unit_test(the_largest_body_fits_into_queue_and_spool),
  };
  return run_all(tests);
}
