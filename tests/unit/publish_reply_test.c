/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_reply.h"

#include "tests/testing.h"

#include <string.h>

static struct rmq_fate_report report_of(enum rmq_fate fate) {
  return (struct rmq_fate_report){.fate = fate,
                                  .cause = "",
                                  .reply_text = "",
                                  .exchange = "",
                                  .routing_key = "",
                                  .message_id = ""};
}

/* What a client may believe: 202 = safe in the spool or beyond, 200 = the
 * broker has it, anything else = neither is promised. */
static void every_fate_has_its_honest_status(void **state) {
  (void)state;
  static const struct {
    enum rmq_fate fate;
    int want, want_confirm; /* 0 = not told yet */
  } rows[] = {
      {RMQ_FATE_STORED, 202, 0},     {RMQ_FATE_CONFIRMED, 202, 200},
      {RMQ_FATE_SENT, 502, 502},     {RMQ_FATE_RETURNED, 502, 502},
      {RMQ_FATE_REJECTED, 502, 502}, {RMQ_FATE_EXPIRED, 502, 502},
      {RMQ_FATE_DROPPED, 503, 503},  {RMQ_FATE_KEPT, 202, 504},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (int confirm = 0; confirm < 2; confirm++) {
      struct rmq_fate_report report = report_of(rows[i].fate);
      int want = confirm ? rows[i].want_confirm : rows[i].want;
      struct rmq_buf body;
      rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
      SHOW_ROW("%s %d", rmq_fate_to_str(rows[i].fate), confirm);
      assert_true(rmq_publish_reply_is_due(rows[i].fate, confirm) ==
                  (want != 0));
      if (want != 0) {
        assert_int_equal(rmq_publish_reply_fate(&report, confirm, "id", &body),
                         want);
        assert_true((strstr(rmq_buf_text(&body), "\"error\"") == NULL) ==
                    (want < 300));
      }
      rmq_buf_fini(&body);
    }
}

static void a_reply_is_one_object_whatever_the_broker_said(void **state) {
  (void)state;
  struct rmq_fate_report report = report_of(RMQ_FATE_RETURNED);
  struct rmq_buf body;
  report.reply_code = 312;
  report.reply_text = "NO\"ROUTE\\\n\xff";
  report.exchange = "e";
  report.routing_key = "a.b";
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  rmq_publish_reply_fate(&report, true, "m\"1", &body);
  assert_string_equal(
      rmq_buf_text(&body),
      "{\"message_id\":\"m\\\"1\",\"state\":\"returned\",\"error\":\"no queue "
      "takes the message\",\"reply_code\":312,\"reply_text\":"
      "\"NO\\\"ROUTE\\\\\\u000a\xef\xbf\xbd\",\"exchange\":\"e\","
      "\"routing_key\":\"a.b\"}\n");
  rmq_buf_fini(&body);
}

static void a_good_reply_says_the_id_and_the_state(void **state) {
  (void)state;
  struct rmq_fate_report report = report_of(RMQ_FATE_STORED);
  struct rmq_buf body;
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  rmq_publish_reply_fate(&report, false, "m1", &body);
  assert_string_equal(rmq_buf_text(&body),
                      "{\"message_id\":\"m1\",\"state\":\"stored\"}\n");
  rmq_buf_fini(&body);
}

static void refusals_have_a_status_and_a_reason(void **state) {
  (void)state;
  static const struct {
    enum rmq_publish_answer answer;
    int want;
  } rows[] = {
      {RMQ_PUBLISH_FULL, 503},      {RMQ_PUBLISH_TOO_LARGE, 413},
      {RMQ_PUBLISH_INVALID, 400},   {RMQ_PUBLISH_ENDING, 503},
      {RMQ_PUBLISH_NO_MEMORY, 503},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf body;
    rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
    SHOW_ROW("%s", rmq_publish_answer_to_str(rows[i].answer));
    assert_int_equal(
        rmq_publish_reply_refusal(rows[i].answer, "the reason", &body),
        rows[i].want);
    assert_memory_equal(rmq_buf_text(&body), "{\"error\":\"", 10);
    rmq_buf_fini(&body);
  }
}

static void a_timeout_promises_what_is_so(void **state) {
  (void)state;
  static const struct {
    bool is_stored;
    const char *want_state, *want_words;
  } rows[] = {{false, "\"state\":\"unknown\"", "in memory only"},
              {true, "\"state\":\"stored\"", "also after a restart"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf body;
    rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
    SHOW_ROW("%d", rows[i].is_stored);
    assert_int_equal(rmq_publish_reply_timeout(rows[i].is_stored, "m1", &body),
                     504);
    assert_non_null(strstr(rmq_buf_text(&body), rows[i].want_state));
    assert_non_null(strstr(rmq_buf_text(&body), rows[i].want_words));
    rmq_buf_fini(&body);
  }
}

/* Bytes that JSON writes as six each. */
static const char *longest(size_t len) {
  static char text[512];
  assert_true(len < sizeof(text));
  memset(text, 1, len);
  text[len] = '\0';
  return text;
}

static void the_longest_reply_has_room(void **state) {
  (void)state;
  static const enum rmq_fate fates[] = {RMQ_FATE_STORED,   RMQ_FATE_CONFIRMED,
                                        RMQ_FATE_SENT,     RMQ_FATE_RETURNED,
                                        RMQ_FATE_REJECTED, RMQ_FATE_EXPIRED,
                                        RMQ_FATE_DROPPED,  RMQ_FATE_KEPT};
  const char *text = longest(RMQ_ENVELOPE_TEXT_MAX);
  struct rmq_buf body;
  for (size_t i = 0; i < COUNT_OF(fates); i++) {
    SHOW_ROW("%s", rmq_fate_to_str(fates[i]));
    struct rmq_fate_report report = report_of(fates[i]);
    report.cause = "overflow";
    report.reply_code = UINT16_MAX;
    report.reply_text = report.exchange = report.routing_key = text;
    rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
    rmq_publish_reply_fate(&report, true, text, &body);
    assert_false(body.failed);
    rmq_buf_fini(&body);
  }
  for (int is_stored = 0; is_stored < 2; is_stored++) {
    rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
    rmq_publish_reply_timeout(is_stored, text, &body);
    assert_false(body.failed);
    rmq_buf_fini(&body);
  }
  struct rmq_error err;
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  rmq_publish_reply_error(400, longest(sizeof(err.text) - 1), &body);
  assert_false(body.failed);
  rmq_buf_fini(&body);
}

static void a_body_without_room_is_no_crash(void **state) {
  (void)state;
  struct rmq_fate_report report = report_of(RMQ_FATE_RETURNED);
  for (size_t max = 0; max < 120; max++) {
    struct rmq_buf body;
    rmq_buf_init(&body, max);
    assert_int_equal(rmq_publish_reply_fate(&report, true, "m1", &body), 502);
    rmq_buf_fini(&body);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_fate_has_its_honest_status),
      cmocka_unit_test(a_reply_is_one_object_whatever_the_broker_said),
      cmocka_unit_test(a_good_reply_says_the_id_and_the_state),
      cmocka_unit_test(refusals_have_a_status_and_a_reason),
      cmocka_unit_test(a_timeout_promises_what_is_so),
      cmocka_unit_test(the_longest_reply_has_room),
      cmocka_unit_test(a_body_without_room_is_no_crash),
  };
  return run_all(tests);
}
