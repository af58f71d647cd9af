/* SPDX-License-Identifier: MIT */
/* Manual pages and samples say what the tables say; see tests/manual.h. */
#include "rmq_config.h"

#include "common/role/role_consume.h"
#include "common/role/role_monitor.h"
#include "common/role/role_publish.h"

#include "tests/manual.h"
#include "tests/testing.h"

static void publish_manual_explains_every_option(void **state) {
  (void)state;
  manual_has_options("plugins/rabbitmq_publish.pod", rmq_publish_option_table);
}

static void publish_sample_shows_every_option(void **state) {
  (void)state;
  sample_has_options("conf.d/rabbitmq_publish.conf", rmq_publish_option_table,
                     "rabbitmq_publish", "Publish");
}

static void publish_manual_lists_every_series(void **state) {
  (void)state;
  manual_has_series("plugins/rabbitmq_publish.pod", "rabbitmq_publish",
                    rmq_publish_series_table);
}

static void consume_manual_explains_every_option(void **state) {
  (void)state;
  manual_has_options("plugins/rabbitmq_consume.pod", rmq_consume_option_table);
}

static void consume_sample_shows_every_option(void **state) {
  (void)state;
  sample_has_options("conf.d/rabbitmq_consume.conf", rmq_consume_option_table,
                     "rabbitmq_consume", "Subscribe");
}

static void consume_manual_lists_every_series(void **state) {
  (void)state;
  manual_has_series("plugins/rabbitmq_consume.pod", "rabbitmq_consume",
                    rmq_consume_series_table);
}

static void monitor_manual_explains_every_option(void **state) {
  (void)state;
  manual_has_options("plugins/rabbitmq_monitor.pod", rmq_role_monitor_options);
}

static void monitor_sample_shows_every_option(void **state) {
  (void)state;
  sample_has_options("conf.d/rabbitmq_monitor.conf", rmq_role_monitor_options,
                     "rabbitmq_monitor", "Cluster");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(publish_manual_explains_every_option),
      cmocka_unit_test(publish_sample_shows_every_option),
      cmocka_unit_test(publish_manual_lists_every_series),
      cmocka_unit_test(consume_manual_explains_every_option),
      cmocka_unit_test(consume_sample_shows_every_option),
      cmocka_unit_test(consume_manual_lists_every_series),
      cmocka_unit_test(monitor_manual_explains_every_option),
      cmocka_unit_test(monitor_sample_shows_every_option),
  };
  return run_all(tests);
}
