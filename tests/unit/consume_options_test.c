/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_consume.h"
#include "tests/testing.h"

#include <string.h>

enum { LONG = 256 };
static char too_long[LONG + 1];

static void what_does_not_fit_together_is_said(void **state) {
  (void)state;
  memset(too_long, 'x', LONG);
  static const struct {
    const char *set[6][2];
    const char *want; /* part of the error; NULL = none */
  } rows[] = {
      {{{NULL}}, "option Queue: without a name"},
      {{{"Exchange", "amq.fanout"}}, NULL},
      {{{"Queue", "q"}}, NULL},
      {{{"Queue", "q"}, {"QueuePassive", "true"}}, NULL},
      {{{"Exchange", "e"}, {"QueuePassive", "true"}}, "option QueuePassive: "},
      {{{"Queue", "q"}, {"QueueType", "classic"}}, NULL},
      {{{"Queue", "q"}, {"QueueType", "quorum"}}, NULL},
      {{{"Exchange", "e"}, {"QueueType", "quorum"}}, "needs a name"},
      {{{"Queue", "q"}, {"QueueType", "quorum"}, {"QueueDurable", "false"}},
       "must be durable"},
      {{{"Queue", "q"}, {"QueueType", "quorum"}, {"QueueExclusive", "true"}},
       "cannot be exclusive"},
      {{{"Queue", "q"}, {"QueueType", "quorum"}, {"QueueAutoDelete", "true"}},
       "deleted automatically"},
      {{{"Queue", "q"}, {"QueueType", "quorum"}, {"QueueMaxPriority", "3"}},
       "option QueueMaxPriority: a queue of type quorum does not have it; "
       "needs "
       "QueueType classic\n"},
      {{{"Queue", "q"}, {"QueueMaxPriority", "3"}}, NULL},
      {{{"Queue", "q"},
        {"QueueType", "quorum"},
        {"QueueOverflow", "reject-publish-dlx"}},
       "option QueueOverflow reject-publish-dlx: a queue of type quorum"},
      {{{"Queue", "q"}, {"QueueType", "classic"}, {"DeliveryLimit", "3"}},
       "option DeliveryLimit: a queue of type classic does not have it; needs "
       "QueueType quorum\n"},
      {{{"Queue", "q"},
        {"QueueType", "classic"},
        {"DeadLetterStrategy", "at-most-once"}},
       "option DeadLetterStrategy: a queue of type classic"},
      {{{"Queue", "q"}, {"DeadLetterRoutingKey", "k"}},
       "option DeadLetterRoutingKey: needs DeadLetterExchange"},
      {{{"Queue", "q"},
        {"DeadLetterRoutingKey", "k"},
        {"QueueArgument", "x-dead-letter-exchange=e"}},
       NULL},
      {{{"Queue", "q"},
        {"DeadLetterExchange", "e"},
        {"DeadLetterStrategy", "at-least-once"}},
       "option DeadLetterStrategy: at-least-once needs"},
      {{{"Queue", "q"},
        {"DeadLetterExchange", "e"},
        {"QueueOverflow", "reject-publish"},
        {"DeadLetterStrategy", "at-least-once"}},
       NULL},
      {{{"Queue", "q"}, {"QueueArgument", "x-queue-type=quorum"}},
       "option QueueArgument: use QueueType instead of \"x-queue-type\""},
      {{{"Queue", "q"}, {"QueueArgument", "x-expires=5"}}, NULL},
      {{{"Queue", "q"},
        {"QueueExpires", "5"},
        {"QueueArgument", "x-expires=5"}},
       "option QueueExpires: QueueArgument \"x-expires\" says it, too"},
      {{{"Queue", "q"},
        {"ConsumerPriority", "-5"},
        {"ConsumeArgument", "x-priority=5"}},
       "option ConsumerPriority: ConsumeArgument \"x-priority\" says it"},
      {{{"Queue", "q"},
        {"QueueType", "stream"},
        {"OnParseError", "drop"},
        {"OnDispatchError", "drop"},
        {"OnWrittenTimeout", "ack"}},
       NULL},
      {{{"Queue", "q"}, {"QueueType", "stream"}},
       "option OnParseError: a stream takes no message back; allowed with "
       "QueueType stream: drop or quarantine\noption OnDispatchError: a stream "
       "takes no message back; allowed with QueueType stream: drop or "
       "quarantine\noption OnWrittenTimeout: a stream takes no message back; "
       "allowed with QueueType stream: ack\n"},
      {{{"Queue", "q"}, {"QueueType", "stream"}, {"QueueMessageTTL", "5"}},
       "option QueueMessageTTL: a queue of type stream does not have it; needs "
       "QueueType classic or quorum\n"},
      {{{"Exchange", "e"}, {"QueueType", "stream"}},
       "a stream queue needs a name"},
      {{{"Queue", "q"}, {"StreamOffset", "first"}},
       "option StreamOffset: a queue of type auto does not have it; needs "
       "QueueType stream\n"},
      {{{"Queue", "q"}, {"QueueType", "stream"}, {"StreamOffset", "-1"}},
       "option StreamOffset: \"-1\" is not valid; allowed are first"},
      {{{"Queue", too_long}}, "option Queue: longer"},
      {{{"Queue", "q"}, {"Exchange", too_long}}, "option Exchange: longer"},
      {{{"Queue", "q"}, {"ExchangeType", too_long}},
       "option ExchangeType: longer"},
      {{{"Queue", "q"}, {"ConsumerTag", too_long}},
       "option ConsumerTag: longer"},
      {{{"Queue", "q"}, {"RoutingKey", "a"}, {"RoutingKey", too_long}},
       "option RoutingKey: longer"},
      {{{"Queue", "q"}, {"Host", "h:0"}}, "option Host: "},
      {{{"Queue", "q"}, {"AllowHost", "h"}, {"AllowHost", "/a(/"}},
       "option AllowHost: \"/a(/\" is not a regular expression"},
      {{{"Queue", "q"}, {"AllowPlugin", "/[/"}}, "option AllowPlugin: "},
      {{{"Queue", "q"}, {"AllowPlugin", "/^cpu$/"}}, NULL},
      {{{"Queue", "q"}, {"RewriteHost", "%{host}.%{zone}"}},
       "option RewriteHost: \"%{host}.%{zone}\" is not valid"},
      {{{"Queue", "q"}, {"RewriteHost", "%{user_id}.%{host}"}}, NULL},
      {{{"Queue", "q"}, {"HostFromHeader", "agent"}}, NULL},
      {{{"Queue", "q"}, {"HostFromHeader", ""}},
       "option HostFromHeader: allowed is the name of a header, of 1 to 255"},
      {{{"Queue", "q"}, {"AcceptContentType", "Application/JSON"}}, NULL},
      {{{"Queue", "q"}, {"AcceptContentType", "text/plain"}},
       "option AcceptContentType: \"text/plain\" is not read with Format auto"},
      {{{"Queue", "q"}, {"AcceptContentType", ""}},
       "option AcceptContentType: \"\" is not read with Format auto"},
      {{{"Queue", "q"},
        {"Format", "Influx"},
        {"AcceptContentType", "text/plain"}},
       NULL},
      {{{"Queue", "q"}, {"OnParseError", "quarantine"}},
       "option OnParseError: quarantine needs QuarantineDir"},
      {{{"Queue", "q"}, {"OnDispatchError", "quarantine"}},
       "option OnDispatchError: quarantine needs QuarantineDir"},
      {{{"Queue", "q"}, {"OnParseError", "quarantine"}, {"QuarantineDir", "d"}},
       NULL},
      {{{"Queue", "q"}, {"Exchange", "e"}, {"AlternateExchange", "u"}},
       "option AlternateExchange: needs ExchangeType"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_consume_options o;
    struct rmq_error err = {""};
    struct rmq_buf errors;
    rmq_buf_init(&errors, 4096);
    SHOW_ROW("%zu: want %s", i, rows[i].want == NULL ? "-" : rows[i].want);
    assert_int_equal(rmq_options_init(rmq_consume_option_table, &o, &err), 0);
    for (size_t j = 0; rows[i].set[j][0] != NULL; j++)
      assert_int_equal(rmq_options_set_text(rmq_consume_option_table, &o,
                                            rows[i].set[j][0],
                                            rows[i].set[j][1], NULL, &err),
                       0);
    assert_int_equal(rmq_consume_options_check(&o, &errors),
                     rows[i].want == NULL ? 0 : -1);
    if (rows[i].want == NULL)
      assert_int_equal(errors.len, 0);
    else
      assert_non_null(strstr(rmq_buf_text(&errors), rows[i].want));
    rmq_buf_fini(&errors);
    rmq_options_fini(rmq_consume_option_table, &o);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_does_not_fit_together_is_said),
  };
  return run_all(tests);
}
