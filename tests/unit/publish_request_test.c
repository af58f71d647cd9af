/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_request.h"

#include "tests/testing.h"

#include "common/base/prng.h"

#include <string.h>

static struct rmq_publish_request request;

static enum rmq_publish_wish begin(const char *method, const char *target,
                                   struct rmq_error *err) {
  *err = (struct rmq_error){.text = ""};
  return rmq_publish_request_begin(&request, method, target, rmq_s(30), err);
}

static void targets_say_what_is_wanted(void **state) {
  (void)state;
  static const struct {
    const char *method, *target;
    enum rmq_publish_wish want;
    const char *want_error; /* a part of it */
  } rows[] = {
      {"POST", "/publish/e/k", RMQ_PUBLISH_WISH_MESSAGE, ""},
      {"PUT", "/publish/e/k", RMQ_PUBLISH_WISH_MESSAGE, ""},
      {"POST", "/publish/e/", RMQ_PUBLISH_WISH_MESSAGE, ""},
      {"POST", "/publish/e", RMQ_PUBLISH_WISH_MESSAGE, ""},
      {"GET", "/publish/e/k", RMQ_PUBLISH_WISH_METHOD, ""},
      {"DELETE", "/publish/e/k", RMQ_PUBLISH_WISH_METHOD, ""},
      {"", "/publish/e/k", RMQ_PUBLISH_WISH_METHOD, ""},
      {"GET", "/health", RMQ_PUBLISH_WISH_HEALTH, ""},
      {"HEAD", "/health", RMQ_PUBLISH_WISH_HEALTH, ""},
      {"POST", "/health", RMQ_PUBLISH_WISH_METHOD, ""},
      {"GET", "/metrics", RMQ_PUBLISH_WISH_METRICS, ""},
      {"POST", "/metrics", RMQ_PUBLISH_WISH_METHOD, ""},
      {"GET", "/", RMQ_PUBLISH_WISH_UNKNOWN, ""},
      {"GET", "/healthy", RMQ_PUBLISH_WISH_UNKNOWN, ""},
      {"GET", "/health/", RMQ_PUBLISH_WISH_UNKNOWN, ""},
      {"POST", "/Publish/e/k", RMQ_PUBLISH_WISH_UNKNOWN, ""},
      {"POST", "/publish", RMQ_PUBLISH_WISH_BAD, "/publish/EXCHANGE"},
      {"POST", "/publish/", RMQ_PUBLISH_WISH_BAD, "amq.default"},
      {"POST", "/publish//k", RMQ_PUBLISH_WISH_BAD, "amq.default"},
      {"POST", "/publish/e/a/b", RMQ_PUBLISH_WISH_BAD, "%2F"},
      {"POST", "/publish/e/%ff", RMQ_PUBLISH_WISH_BAD, "UTF-8"},
      {"POST", "/publish/e/k?wait=confirm", RMQ_PUBLISH_WISH_MESSAGE, ""},
      {"POST", "/publish/e/k?wait", RMQ_PUBLISH_WISH_BAD, "\"confirm\""},
      {"POST", "/publish/e/k?wait=yes", RMQ_PUBLISH_WISH_BAD, "\"confirm\""},
      {"POST", "/publish/e/k?wiat=confirm", RMQ_PUBLISH_WISH_BAD, "timeout="},
      {"POST", "/publish/e/k?timeout=0", RMQ_PUBLISH_WISH_BAD, "seconds"},
      {"POST", "/publish/e/k?timeout=601", RMQ_PUBLISH_WISH_BAD, "600"},
      {"POST", "/publish/e/k?timeout=-1", RMQ_PUBLISH_WISH_BAD, "seconds"},
      {"POST", "/publish/e/k?timeout=600", RMQ_PUBLISH_WISH_MESSAGE, ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err;
    SHOW_ROW("%s %s", rows[i].method, rows[i].target);
    assert_int_equal(begin(rows[i].method, rows[i].target, &err), rows[i].want);
    assert_non_null(strstr(err.text, rows[i].want_error));
    assert_true(rmq_error_is_set(&err) ==
                (rows[i].want == RMQ_PUBLISH_WISH_BAD));
  }
}

static void a_path_is_an_exchange_and_a_key(void **state) {
  (void)state;
  static const struct {
    const char *target, *want_exchange, *want_key;
  } rows[] = {
      {"/publish/amq.topic/a.b.c", "amq.topic", "a.b.c"},
      {"/publish/amq.default/q", "", "q"},
      {"/publish/logs", "logs", ""},
      {"/publish/a%2Fb/c%20d%25", "a/b", "c d%"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err;
    SHOW_ROW("%s", rows[i].target);
    assert_int_equal(begin("POST", rows[i].target, &err),
                     RMQ_PUBLISH_WISH_MESSAGE);
    assert_string_equal(request.message.exchange, rows[i].want_exchange);
    assert_string_equal(request.message.routing_key, rows[i].want_key);
    assert_false(request.wants_confirm);
    assert_true(request.timeout.ns == rmq_s(30).ns);
  }
}

static void a_query_asks_for_the_confirm_and_a_time(void **state) {
  (void)state;
  struct rmq_error err;
  assert_int_equal(begin("POST", "/publish/e/k?timeout=1.5&wait=confirm", &err),
                   RMQ_PUBLISH_WISH_MESSAGE);
  assert_true(request.wants_confirm);
  assert_true(request.timeout.ns == rmq_ms(1500).ns);
}

static void a_key_is_as_long_as_amqp_allows(void **state) {
  (void)state;
  struct rmq_error err;
  char target[400] = "/publish/e/";
  memset(target + strlen(target), 'k', 255);
  assert_int_equal(begin("POST", target, &err), RMQ_PUBLISH_WISH_MESSAGE);
  target[strlen(target)] = 'k';
  assert_int_equal(begin("POST", target, &err), RMQ_PUBLISH_WISH_BAD);
}

static const char traceparent[] =
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

static void headers_become_properties(void **state) {
  (void)state;
  static const char *const headers[][2] = {
      {"Host", "localhost"},        {"content-type", "application/json"},
      {"Content-Encoding", "gzip"}, {"Idempotency-Key", "order-1"},
      {"X-Message-Id", "order-1"},  {"X-Correlation-Id", "c"},
      {"X-Reply-To", "r"},          {"X-Type", "t"},
      {"X-Priority", "9"},          {"X-Expiration", "60000"},
      {"Traceparent", traceparent}, {"X-Header-Tenant", "Blue"},
      {"x-header-x-retry", "007"},  {"X-Unknown", "left out"},
  };
  struct rmq_error err;
  begin("POST", "/publish/e/k", &err);
  for (size_t i = 0; i < COUNT_OF(headers); i++)
    assert_int_equal(rmq_publish_request_header(&request, headers[i][0],
                                                headers[i][1], &err),
                     0);
  assert_int_equal(rmq_publish_request_end(&request, &err), 0);
  const struct rmq_outgoing *m = &request.message;
  const struct rmq_envelope *e = &m->envelope;
  assert_string_equal(m->content_type, "application/json");
  assert_string_equal(m->content_encoding, "gzip");
  assert_string_equal(m->message_id, "order-1");
  assert_string_equal(e->correlation_id, "c");
  assert_string_equal(e->reply_to, "r");
  assert_string_equal(e->type, "t");
  assert_int_equal(e->priority, 9);
  assert_true(e->expiration_ms == 60000);
  assert_string_equal(e->traceparent, traceparent);
  assert_int_equal(e->headers_count, 2);
  assert_string_equal(e->headers[0].name, "tenant");
  assert_string_equal(e->headers[0].string, "Blue");
  assert_int_equal(e->headers[1].type, RMQ_ARG_STRING);
  assert_string_equal(e->headers[1].name, "x-retry");
  assert_string_equal(e->headers[1].string, "007");
  struct rmq_buf packed;
  rmq_buf_init(&packed, RMQ_ENVELOPE_BYTES_MAX);
  assert_int_equal(rmq_envelope_pack(e, &packed), 0);
  rmq_buf_fini(&packed);
}

static void what_is_not_said_is_absent(void **state) {
  (void)state;
  struct rmq_error err;
  begin("POST", "/publish/e/k", &err);
  assert_int_equal(rmq_publish_request_header(&request, "Content-Encoding",
                                              "identity", &err),
                   0);
  assert_int_equal(rmq_publish_request_header(&request, "X-Type", "", &err), 0);
  assert_int_equal(
      rmq_publish_request_header(&request, "traceparent", "nonsense", &err), 0);
  assert_int_equal(rmq_publish_request_end(&request, &err), 0);
  assert_null(request.message.content_encoding);
  assert_null(request.message.content_type);
  assert_null(request.message.message_id);
  assert_true(rmq_envelope_is_empty(&request.message.envelope));
}

static void headers_that_make_no_sense_are_refused(void **state) {
  (void)state;
  static char longest[] = /* 256 */
      "0123456789012345678901234567890123456789012345678901234567890123"
      "0123456789012345678901234567890123456789012345678901234567890123"
      "0123456789012345678901234567890123456789012345678901234567890123"
      "0123456789012345678901234567890123456789012345678901234567890123";
  const char *const rows[][4] = {
      {"X-Priority", "256"},
      {"X-Priority", "-1"},
      {"X-Priority", "high"},
      {"X-Expiration", "0"},
      {"X-Expiration", "1.5"},
      {"X-Expiration", "99999999999"},
      {"X-Message-Id", longest},
      {"X-Type", "\xff"},
      {"X-Header-", "no name"},
      {"X-Header-Traceparent", "x"},
      {"X-Header-Timestamp_in_ms", "1"},
      {"X-Message-Id", "a", "Idempotency-Key", "b"},
      {"X-Header-A", "1", "x-header-a", "1"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err;
    SHOW_ROW("%s: %.20s", rows[i][0], rows[i][1]);
    begin("POST", "/publish/e/k", &err);
    int rc = rmq_publish_request_header(&request, rows[i][0], rows[i][1], &err);
    if (rows[i][2] != NULL) {
      assert_int_equal(rc, 0);
      rc = rmq_publish_request_header(&request, rows[i][2], rows[i][3], &err);
    }
    assert_int_equal(rc, -1);
    assert_true(rmq_error_is_set(&err));
  }
}

static void headers_for_the_message_are_bounded(void **state) {
  (void)state;
  struct rmq_error err;
  char name[40];
  begin("POST", "/publish/e/k", &err);
  for (int i = 0; i < RMQ_ENVELOPE_HEADERS_MAX; i++) {
    snprintf(name, sizeof(name), "X-Header-H%d", i);
    assert_int_equal(rmq_publish_request_header(&request, name, "v", &err), 0);
  }
  assert_int_equal(rmq_publish_request_end(&request, &err), 0);
  assert_int_equal(
      rmq_publish_request_header(&request, "X-Header-One", "v", &err), -1);

  char value[200];
  memset(value, 'v', sizeof(value) - 1);
  value[sizeof(value) - 1] = '\0';
  begin("POST", "/publish/e/k", &err);
  for (int i = 0; i < 11; i++) {
    snprintf(name, sizeof(name), "X-Header-H%d", i);
    assert_int_equal(rmq_publish_request_header(&request, name, value, &err),
                     0);
  }
  assert_int_equal(rmq_publish_request_end(&request, &err), -1);
}

/* Any headers at all: what is taken can be packed. */
static void hostile_headers_are_survived(void **state) {
  (void)state;
  struct rmq_prng prng = {property_seed(20261123)};
  static const char *const names[] = {
      "X-Header-",    "X-Header-a",  "X-Header-\xff", "Content-Type",
      "X-Message-Id", "traceparent", "X-Expiration",  "X-Priority",
      "X-Reply-To",   "X-Header-%s", "x-header-%n",   "Idempotency-Key"};
  for (unsigned round = 0; round < property_rounds(3000); round++) {
    struct rmq_error err;
    begin("POST", "/publish/e/k", &err);
    uint64_t count = rmq_prng_below(&prng, 60);
    int rc = 0;
    for (uint64_t i = 0; i < count && rc == 0; i++) {
      char name[40], value[300];
      size_t len = rmq_prng_below(&prng, 280);
      snprintf(name, sizeof(name), "%s%c",
               names[rmq_prng_below(&prng, COUNT_OF(names))],
               (int)(rmq_prng_below(&prng, 4) == 0 ? 0 : 'a' + i % 26));
      for (size_t n = 0; n < len; n++)
        value[n] = (char)(rmq_prng_below(&prng, 3) == 0
                              ? 1 + rmq_prng_below(&prng, 255)
                              : '0' + rmq_prng_below(&prng, 10));
      value[len] = '\0';
      rc = rmq_publish_request_header(&request, name, value, &err);
    }
    if (rc != 0 || rmq_publish_request_end(&request, &err) != 0)
      continue;
    struct rmq_buf packed;
    rmq_buf_init(&packed, RMQ_ENVELOPE_BYTES_MAX);
    assert_int_equal(rmq_envelope_pack(&request.message.envelope, &packed), 0);
    rmq_buf_fini(&packed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(targets_say_what_is_wanted),
      cmocka_unit_test(a_path_is_an_exchange_and_a_key),
      cmocka_unit_test(a_query_asks_for_the_confirm_and_a_time),
      cmocka_unit_test(a_key_is_as_long_as_amqp_allows),
      cmocka_unit_test(headers_become_properties),
      cmocka_unit_test(what_is_not_said_is_absent),
      cmocka_unit_test(headers_that_make_no_sense_are_refused),
      cmocka_unit_test(headers_for_the_message_are_bounded),
      cmocka_unit_test(hostile_headers_are_survived),
  };
  return run_all(tests);
}
