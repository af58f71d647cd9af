/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_publish.h"
#include "tests/testing.h"

#include <string.h>

/* What the check of the whole says after these options were set. */
static void check_after(const char *const set[][2], struct rmq_buf *errors,
                        int *ret_rc) {
  struct rmq_publish_options o;
  struct rmq_error err = {""};
  rmq_buf_init(errors, 4096);
  assert_int_equal(rmq_options_init(rmq_publish_option_table, &o, &err), 0);
  for (size_t i = 0; set[i][0] != NULL; i++)
    if (rmq_options_set_text(rmq_publish_option_table, &o, set[i][0], set[i][1],
                             NULL, &err) != 0)
      fail_msg("%s", err.text);
  *ret_rc = rmq_publish_options_check(&o, errors);
  rmq_options_fini(rmq_publish_option_table, &o);
}

enum { LONG = 256 };
static char too_long[LONG + 1];

static void what_does_not_fit_together_is_said(void **state) {
  (void)state;
  memset(too_long, 'x', LONG);
  static const struct {
    const char *set[4][2];
    const char *want; /* part of the error; NULL = none */
  } rows[] = {
      {{{NULL}}, NULL},
      {{{"RoutingKey", "m.%{host}.%{plugin_instance}"}}, NULL},
      {{{"RoutingKey", "m.%{hots}"}}, "option RoutingKey: "},
      {{{"RoutingKey", "m.%{severity}"}}, "option RoutingKey: "},
      {{{"RoutingKeyNotification", "n.%{severity}.%{host}"}}, NULL},
      {{{"RoutingKeyNotification", "n.%{sever"}},
       "option RoutingKeyNotification: "},
      {{{"Exchange", too_long}}, "option Exchange: longer than 255 bytes"},
      {{{"ExchangeType", too_long}},
       "option ExchangeType: longer than 255 bytes"},
      {{{"AppId", too_long}}, "option AppId: longer than 255 bytes"},
      {{{"Exchange", ""}}, NULL},
      {{{"Exchange", ""}, {"ExchangeType", "topic"}}, "the default exchange"},
      {{{"AlternateExchange", "u"},
        {"ExchangeType", "topic"},
        {"Exchange", "e"}},
       NULL},
      {{{"AlternateExchange", too_long}}, "option AlternateExchange: longer"},
      {{{"AlternateExchange", ""}}, "option AlternateExchange: the default"},
      {{{"AlternateExchange", "u"},
        {"ExchangeArgument", "alternate-exchange=v"}},
       "option AlternateExchange: ExchangeArgument"},
      {{{"SendQueueBytes", "65536"}}, NULL},
      {{{"SendQueueBytes", "65536"}, {"BatchValues", "2"}},
       "option BatchBytes: 65536 is more than half"},
      {{{"SendQueueBytes", "128KiB"}, {"BatchValues", "2"}}, NULL},
      {{{"SendQueueBytes", "128KiB"},
        {"BatchValues", "2"},
        {"Connections", "2"}},
       "allowed with these: 1024 to 32768"},
      {{{"GraphiteEscapeChar", "-"}}, NULL},
      {{{"GraphiteEscapeChar", ""}}, "option GraphiteEscapeChar: allowed"},
      {{{"GraphiteEscapeChar", "__"}}, "option GraphiteEscapeChar: allowed"},
      {{{"GraphiteEscapeChar", "/"}}, "option GraphiteEscapeChar: allowed"},
      {{{"GraphiteEscapeChar", "\xc3\xbc"}}, "GraphiteEscapeChar: allowed"},
      {{{"VHost", too_long}}, "option VHost: longer than 255 bytes"},
      {{{"SpoolMode", "always"}}, "\"always\" needs a SpoolDir"},
      {{{"SpoolMode", "always"}, {"SpoolDir", "/x"}}, NULL},
      {{{"SpoolMaxBytes", "1MiB"}, {"SpoolDir", "/x"}, {"BatchValues", "2"}},
       NULL},
      {{{"BatchBytes", "16MiB"}, {"SpoolDir", "/x"}}, NULL},
      {{{"BatchBytes", "16MiB"}, {"BatchValues", "2"}}, NULL},
      {{{"BatchBytes", "16MiB"}, {"BatchValues", "2"}, {"SpoolDir", "/x"}},
       "BatchBytes: 16777216 is more than a spool"},
      {{{"OnReturn", "alternate"}}, "needs an AlternateExchange"},
      {{{"OnReturn", "alternate"}, {"AlternateExchange", "spare"}}, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf errors;
    int rc = 0;
    SHOW_ROW("%zu: want %s", i, rows[i].want == NULL ? "-" : rows[i].want);
    check_after(rows[i].set, &errors, &rc);
    assert_int_equal(rc, rows[i].want == NULL ? 0 : -1);
    if (rows[i].want == NULL)
      assert_int_equal(errors.len, 0);
    else
      assert_non_null(strstr(rmq_buf_text(&errors), rows[i].want));
    rmq_buf_fini(&errors);
  }
}

static void all_errors_are_said_at_once(void **state) {
  (void)state;
  static const char *const set[][2] = {{"RoutingKey", "%{a}"},
                                       {"RoutingKeyNotification", "%{b}"},
                                       {"Host", "h:0"},
                                       {NULL, NULL}};
  struct rmq_buf errors;
  int rc = 0;
  check_after(set, &errors, &rc);
  assert_int_equal(rc, -1);
  assert_non_null(strstr(rmq_buf_text(&errors), "option RoutingKey: "));
  assert_non_null(strstr(rmq_buf_text(&errors), "option RoutingKeyNotif"));
  assert_non_null(strstr(rmq_buf_text(&errors), "option Host: "));
  rmq_buf_fini(&errors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_does_not_fit_together_is_said),
      cmocka_unit_test(all_errors_are_said_at_once),
  };
  return run_all(tests);
}
