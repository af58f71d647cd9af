/* SPDX-License-Identifier: MIT */
/* Manual pages and samples say what the tables say, and nothing else; see
 * tests/manual.h and tests/sample.h. */
#include "rmq_config.h"

#include "common/role/alert_options.h"
#include "common/role/baseline_options.h"
#include "common/role/consume_series.h"
#include "common/role/probe_options.h"
#include "common/role/role_consume.h"
#include "common/role/role_monitor.h"
#include "common/role/role_publish.h"

#include "tests/manual.h"
#include "tests/sample.h"
#include "tests/testing.h"

#include <string.h>

static const char publish_page[] = "plugins/rabbitmq_publish.pod";
static const char publish_sample[] = "conf.d/rabbitmq_publish.conf";
static const char consume_page[] = "plugins/rabbitmq_consume.pod";
static const char consume_sample[] = "conf.d/rabbitmq_consume.conf";

static void publish_manual_explains_every_option(void **state) {
  (void)state;
  manual_has_options(publish_page, "options", rmq_publish_option_table);
  manual_has_ranges(publish_page, "options", rmq_publish_option_table);
}

static void publish_manual_lists_states_and_series(void **state) {
  (void)state;
  manual_has_states(publish_page);
  manual_has_series(publish_page, "rabbitmq_publish", rmq_publish_series_table);
}

static void publish_sample_shows_every_option(void **state) {
  (void)state;
  sample_has_options(publish_sample, rmq_publish_option_table,
                     "rabbitmq_publish", "Publish");
  sample_is_valid(publish_sample, rmq_publish_option_table,
                  sizeof(struct rmq_publish_options),
                  rmq_publish_options_check);
}

static void consume_manual_explains_every_option(void **state) {
  (void)state;
  manual_has_options(consume_page, "options", rmq_consume_option_table);
  manual_has_ranges(consume_page, "options", rmq_consume_option_table);
}

static void consume_manual_lists_states_and_series(void **state) {
  (void)state;
  manual_has_states(consume_page);
  manual_has_series(consume_page, "rabbitmq_consume", rmq_consume_series_table);
}

static void consume_manual_explains_every_rejection(void **state) {
  (void)state;
  char *text = manual_read(consume_page);
  for (int i = 0; i < RMQ_REJECTIONS_COUNT; i++) {
    char item[64];
    snprintf(item, sizeof(item), "\n=item C<%s>\n",
             rmq_rejection_to_str((enum rmq_rejection)i));
    if (strstr(text, item) == NULL)
      fail_msg("the manual does not have %s", item);
  }
  for (int i = RMQ_REFUSAL_none + 1; i <= RMQ_REFUSALS_COUNT; i++) {
    char word[64];
    snprintf(word, sizeof(word), "C<%s>",
             rmq_refusal_to_str((enum rmq_refusal)i));
    if (strstr(text, word) == NULL)
      fail_msg("the manual does not have %s", word);
  }
  free(text);
}

static void consume_sample_shows_every_option(void **state) {
  (void)state;
  sample_has_options(consume_sample, rmq_consume_option_table,
                     "rabbitmq_consume", "Subscribe");
  sample_is_valid(consume_sample, rmq_consume_option_table,
                  sizeof(struct rmq_consume_options),
                  rmq_consume_options_check);
}

static void monitor_manual_explains_every_option(void **state) {
  (void)state;
  manual_has_options("plugins/rabbitmq_monitor.pod", "options",
                     rmq_role_monitor_options);
  manual_has_ranges("plugins/rabbitmq_monitor.pod", "options",
                    rmq_role_monitor_options);
  manual_has_options("plugins/rabbitmq_monitor.pod", "probe options",
                     rmq_probe_option_table);
  manual_has_ranges("plugins/rabbitmq_monitor.pod", "probe options",
                    rmq_probe_option_table);
  manual_has_options("plugins/rabbitmq_monitor.pod", "alert options",
                     rmq_alert_option_table);
  manual_has_ranges("plugins/rabbitmq_monitor.pod", "alert options",
                    rmq_alert_option_table);
  manual_has_options("plugins/rabbitmq_monitor.pod", "baseline options",
                     rmq_baseline_option_table);
  manual_has_ranges("plugins/rabbitmq_monitor.pod", "baseline options",
                    rmq_baseline_option_table);
}

static void monitor_sample_shows_every_option(void **state) {
  (void)state;
  sample_has_options("conf.d/rabbitmq_monitor.conf", rmq_role_monitor_options,
                     "rabbitmq_monitor", "Cluster");
  sample_is_valid("conf.d/rabbitmq_monitor.conf", rmq_role_monitor_options,
                  sizeof(struct rmq_role_monitor_config),
                  rmq_role_monitor_check);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(publish_manual_explains_every_option),
      cmocka_unit_test(publish_manual_lists_states_and_series),
      cmocka_unit_test(publish_sample_shows_every_option),
      cmocka_unit_test(consume_manual_explains_every_option),
      cmocka_unit_test(consume_manual_lists_states_and_series),
      cmocka_unit_test(consume_manual_explains_every_rejection),
      cmocka_unit_test(consume_sample_shows_every_option),
      cmocka_unit_test(monitor_manual_explains_every_option),
      cmocka_unit_test(monitor_sample_shows_every_option),
  };
  return run_all(tests);
}
