/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/silence.h"
#include "tests/testing.h"

#include <stdio.h>

static char user[] = "monitor", secret[] = "x", file[] = "/etc/x";

static struct rmq_poll_result answer(int status, const char *reason) {
  struct rmq_poll_result poll = {
      .outcome = status == 401 || status == 403 ? RMQ_POLL_REFUSED
                                                : RMQ_POLL_UNREACHABLE,
      .url = "http://a",
      .refusal = {.status = status, .url = "http://b"}};
  snprintf(poll.refusal.reason, sizeof(poll.refusal.reason), "%s", reason);
  rmq_error_set(&poll.error, "http://a: refused");
  return poll;
}

static void expect(const struct rmq_poll_result *poll,
                   const struct rmq_role_monitor_config *config,
                   const char *want) {
  struct rmq_error text = {.text = "of the poll before"};
  rmq_silence_explain(poll, config, &text);
  assert_string_equal(text.text, want);
}

static void a_refusal_names_what_mends_it(void **state) {
  static const struct {
    struct rmq_role_monitor_config config;
    const char *want;
  } rows[] = {
      {{.user = user},
       "; no password was given (--password-file or WARREN_PASSWORD)"},
      {{.user = user, .password = secret},
       "; check --user and its password (--password-file or WARREN_PASSWORD), "
       "and that the user has the tag \"monitoring\""},
      {{.user = user, .password_file = file},
       "; check --user and its password (--password-file or WARREN_PASSWORD), "
       "and that the user has the tag \"monitoring\""},
      {{.user = user, .bearer_token_file = file},
       "; check --bearer-token-file"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (int status = 401; status <= 403; status += 2) {
      const struct rmq_poll_result poll = answer(status, "Login failed");
      char want[512];
      snprintf(want, sizeof(want),
               "refused: HTTP %d (Login failed) from http://b%s", status,
               rows[i].want);
      expect(&poll, &rows[i].config, want);
    }
}

static void another_status_is_no_matter_of_passwords(void **state) {
  const struct rmq_role_monitor_config config = {.user = user};
  struct rmq_poll_result poll = answer(503, "");
  (void)state;
  expect(&poll, &config, "refused: HTTP 503 from http://b");
  poll = answer(404, "Not Found");
  expect(&poll, &config,
         "refused: HTTP 404 (Not Found) from http://b; is this the URL of the "
         "management plugin?");
}

static void who_says_nothing_has_not_refused(void **state) {
  const struct rmq_role_monitor_config config = {.user = user};
  struct rmq_poll_result poll = answer(0, "");
  (void)state;
  poll.refusal.url = NULL;
  expect(&poll, &config, "no answer: http://a: refused");
  poll.refusal.status = 404; /* of a node, whose URL the error has */
  expect(&poll, &config, "refused: http://a: refused");
  poll.outcome = RMQ_POLL_ANSWERED;
  expect(&poll, &config, "");
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_refusal_names_what_mends_it),
      cmocka_unit_test(another_status_is_no_matter_of_passwords),
      cmocka_unit_test(who_says_nothing_has_not_refused)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
