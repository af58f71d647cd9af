/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_print.h"

#include "common/amqp/connection.h"

#include "tests/testing.h"

#include "tests/fake/sample_text.h"

#include <string.h>

static struct rmq_consume_print *create(enum rmq_print_form form) {
  static char pattern[] = "_.host.plugin.type";
  static struct rmq_consume_options o;
  o = (struct rmq_consume_options){.max_message_bytes = 4096,
                                   .graphite_template = pattern};
  return rmq_consume_print_new(&o, form, &fake_types);
}

static struct rmq_delivery delivery(const char *type, const char *body,
                                    size_t len) {
  struct rmq_delivery d = {.body = {body, len},
                           .body_size = len,
                           .exchange = "e",
                           .routing_key = "k",
                           .delivery_count = -1};
  snprintf(d.content_type, sizeof(d.content_type), "%s", type);
  return d;
}

#define BODY(text) text, sizeof(text) - 1

static const struct {
  enum rmq_print_form form;
  const char *type, *body;
  size_t len;
  const char *want, *want_error;
} rows[] = {
    {RMQ_PRINT_RAW, "", BODY(""), "", NULL},
    {RMQ_PRINT_RAW, "", BODY("a\nb"), "a\nb", NULL},
    {RMQ_PRINT_JSON, "", BODY("a\n\"b\""),
     "{\"exchange\":\"e\",\"routing_key\":\"k\",\"redelivered\":false,"
     "\"properties\":{},\"body\":\"a\\u000a\\\"b\\\"\"}",
     NULL},
    {RMQ_PRINT_JSON, "t", BODY("\xff\0"),
     "{\"exchange\":\"e\",\"routing_key\":\"k\",\"redelivered\":false,"
     "\"properties\":{\"content_type\":\"t\"},\"body_base64\":\"/wA=\"}",
     NULL},
    {RMQ_PRINT_INFLUX, "text/influx",
     BODY("m,x=y a=1,t=\"u v\" 1700000000000000000"),
     "m,x=y a=1,t=\"u v\" 1700000000000000000\n", NULL},
    {RMQ_PRINT_INFLUX, "text/influx",
     BODY("m a=1i 1700000000000000000\nm a 1700000000000000000\n"), "", ""},
    {RMQ_PRINT_INFLUX, "text/influx", BODY("# only a comment\n"), "",
     "there is no line in it"},
    {RMQ_PRINT_INFLUX, "text/collectd", BODY("PUTVAL h/p/gauge 1700000000:1\n"),
     "p,host=h,type=gauge value=1 1700000000000000000\n", NULL},
    {RMQ_PRINT_INFLUX, "text/collectd",
     BODY("PUTVAL h/p/gauge 1700000000:1\nPUTVAL h/p/nosuch 1700000000:1\n"),
     "", ""},
    {RMQ_PRINT_INFLUX, "text/plain", BODY("x"), "",
     "its content type is not one that this block reads: text/plain; the "
     "option Format may say what it is"},
    {RMQ_PRINT_INFLUX, "text/influx", BODY(""), "", "its body is empty: "},
};

static void each_form_has_its_bytes(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    struct rmq_consume_print *p = create(rows[i].form);
    struct rmq_delivery d = delivery(rows[i].type, rows[i].body, rows[i].len);
    struct rmq_error err = {""};
    struct rmq_buf out;
    rmq_buf_init(&out, 4096);
    int rc = rmq_consume_print(p, &d, &out, &err);
    assert_int_equal(rc, rows[i].want_error == NULL ? 0 : -1);
    assert_false(out.failed);
    if (rc == 0)
      assert_string_equal(rmq_buf_text(&out), rows[i].want);
    else
      assert_true(err.text[0] != '\0');
    if (rc != 0 && rows[i].want_error[0] != '\0')
      assert_string_equal(err.text, rows[i].want_error);
    rmq_buf_fini(&out);
    rmq_consume_print_free(p);
  }
}

static void what_does_not_fit_is_no_fault_of_the_message(void **state) {
  (void)state;
  static const enum rmq_print_form forms[] = {RMQ_PRINT_RAW, RMQ_PRINT_INFLUX,
                                              RMQ_PRINT_JSON};
  static const char line[] = "m a=1 1700000000000000000\n";
  for (size_t i = 0; i < COUNT_OF(forms); i++) {
    struct rmq_consume_print *p = create(forms[i]);
    struct rmq_delivery d = delivery("text/influx", line, sizeof(line) - 1);
    struct rmq_error err = {""};
    struct rmq_buf out;
    rmq_buf_init(&out, 10);
    assert_int_equal(rmq_consume_print(p, &d, &out, &err), -1);
    assert_true(out.failed);
    rmq_buf_fini(&out);
    rmq_consume_print_free(p);
  }
}

static void the_environment_has_properties_and_plain_headers(void **state) {
  (void)state;
  static struct rmq_kept kept = {
      .app_id = "a",
      .reply_to = "r",
      .expiration = "60000",
      .priority = 9,
      .headers = {{.name = {"x-y", 3},
                   .type = RMQ_HEADER_STRING,
                   .string = {"v\0w", 3}},
                  {.name = {"n", 1}, .type = RMQ_HEADER_INTEGER, .integer = -5},
                  {.name = {"P=Q", 3},
                   .type = RMQ_HEADER_STRING,
                   .string = {"evil", 4}},
                  {.name = {"t", 1}, .type = RMQ_HEADER_OTHER}},
      .headers_count = 4};
  static const char want[] = "WARREN_EXCHANGE=e\0WARREN_ROUTING_KEY=k\0"
                             "WARREN_REDELIVERED=1\0WARREN_MESSAGE_ID=m\0"
                             "TRACEPARENT=00-1\0WARREN_TIMESTAMP_MS=7\0"
                             "WARREN_DELIVERY_COUNT=2\0WARREN_REPLY_TO=r\0"
                             "WARREN_APP_ID=a\0WARREN_EXPIRATION=60000\0"
                             "WARREN_PRIORITY=9\0"
                             "WARREN_HEADER_X_Y=v\0WARREN_HEADER_N=-5";
  struct rmq_delivery d = delivery("", "x", 1);
  struct rmq_buf out;
  d.is_redelivered = d.has_timestamp = true;
  d.timestamp_ms = 7;
  d.delivery_count = 2;
  d.kept = &kept;
  snprintf(d.message_id, sizeof(d.message_id), "m");
  snprintf(d.traceparent, sizeof(d.traceparent), "00-1");
  rmq_buf_init(&out, 4096);
  assert_int_equal(rmq_consume_print_environment(&d, &out), 0);
  assert_int_equal(out.len, sizeof(want));
  assert_memory_equal(rmq_buf_bytes(&out), want, sizeof(want));
  rmq_buf_fini(&out);
  rmq_buf_init(&out, 40);
  assert_int_equal(rmq_consume_print_environment(&d, &out), -1);
  rmq_buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_form_has_its_bytes),
      cmocka_unit_test(what_does_not_fit_is_no_fault_of_the_message),
      cmocka_unit_test(the_environment_has_properties_and_plain_headers),
  };
  return run_all(tests);
}
