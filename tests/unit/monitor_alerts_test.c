/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/monitor_alerts.h"

#include "common/role/alert_options.h"
#include "common/role/probe_options.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum { QUEUES = 60 };

static struct fake_host fake;
static struct rmq_role_monitor_config config;
static struct rmq_indicators_result result;
static struct rmq_report_queue queues[QUEUES];
static char names[QUEUES][8];

static struct rmq_monitor_alerts *make(void) {
  struct rmq_error err = {.text = ""};
  struct rmq_monitor_alerts *a =
      rmq_monitor_alerts_new(&fake.host, "main", &config, &err);
  assert_non_null(a);
  return a;
}

/* One alert of that kind without holds; queues in vhost "/". */
static struct rmq_monitor_alerts *set_up(enum rmq_alert_kind kind) {
  struct rmq_error err = {.text = ""};
  fake_host_init(&fake);
  assert_int_equal(rmq_options_init(rmq_role_monitor_options, &config, &err),
                   0);
  struct rmq_alert_config *c = rmq_options_add_block(
      rmq_options_find(rmq_role_monitor_options, "Alert"), &config, &err);
  assert_non_null(c);
  c->kind = (int)kind;
  rmq_alert_config_prepare(c);
  c->hold = c->clear_hold = rmq_s(0);
  result = (struct rmq_indicators_result){.queues = queues};
  rmq_report_cluster_clear(&result.cluster);
  result.cluster.reachable = 1;
  for (size_t i = 0; i < QUEUES; i++) {
    snprintf(names[i], sizeof(names[i]), "q-%02zu", i);
    rmq_report_queue_clear(&queues[i]);
    queues[i].vhost = "/";
    queues[i].name = names[i];
    queues[i].ready = queues[i].unacked = 0;
  }
  return make();
}

static void tear_down(struct rmq_monitor_alerts *a) {
  rmq_monitor_alerts_free(a);
  rmq_options_fini(rmq_role_monitor_options, &config);
}

static void judge(struct rmq_monitor_alerts *a) {
  const struct rmq_alerts_input in = {.result = &result,
                                      .is_answered = true,
                                      .has_nodes = true,
                                      .queues_patience = 0,
                                      .now = fake.now};
  rmq_monitor_alerts_step(a, &in);
  fake_host_advance(&fake, rmq_s(10));
}

static void
a_notification_has_identity_and_meta_data_of_its_queue(void **state) {
  (void)state;
  struct rmq_monitor_alerts *a = set_up(RMQ_ALERT_BACKLOG);
  result.queues_count = 1;
  queues[0].ready = 60000;
  judge(a);
  assert_int_equal(fake.events_count, 0); /* another thread's business */
  assert_int_equal(rmq_monitor_alerts_dispatch(a), 1);
  assert_int_equal(rmq_monitor_alerts_dispatch(a), 0);
  const struct fake_event *e = &fake.events[0];
  assert_int_equal(e->severity, RMQ_FAILURE);
  assert_string_equal(
      e->name, "rabbitmq_monitor-main-queue-%2F-q-00/queue_length-ready");
  assert_string_equal(e->meta, "indicator=backlog;priority=P1;value=60000;"
                               "threshold=50000;object=q-00;cluster=main;"
                               "vhost=/;queue=q-00;");
  assert_non_null(strstr(e->message, "queue q-00 in vhost /"));
  tear_down(a);
}

static void a_name_adds_no_line_to_what_handlers_read(void **state) {
  (void)state;
  struct rmq_monitor_alerts *a = set_up(RMQ_ALERT_BACKLOG);
  result.queues_count = 1;
  queues[0].name = "q\nSeverity: OKAY";
  queues[0].vhost = "\x7f\xff";
  queues[0].ready = 60000;
  judge(a);
  rmq_monitor_alerts_dispatch(a);
  assert_non_null(strstr(fake.events[0].meta,
                         "object=q?Severity: OKAY;cluster=main;vhost=??;"
                         "queue=q?Severity: OKAY;"));
  assert_null(strchr(fake.events[0].name, '\n'));
  tear_down(a);
}

static void each_change_is_a_line_of_its_level(void **state) {
  (void)state;
  struct rmq_monitor_alerts *a = set_up(RMQ_ALERT_RATE_DROP);
  static const struct {
    double drop;
    enum rmq_level want_level;
    const char *want_state;
  } rows[] = {{35, RMQ_LOG_WARNING, "warning"},
              {60, RMQ_LOG_ERROR, "failure"},
              {0, RMQ_LOG_NOTICE, "okay"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    result.cluster.throughput_drop = rows[i].drop;
    judge(a);
    judge(a);
    assert_int_equal(fake.lines_count, i + 1);
    assert_int_equal(fake.lines[i].level, rows[i].want_level);
    assert_string_equal(fake.lines[i].event, "alert");
    assert_string_equal(fake.lines[i].state, rows[i].want_state);
  }
  tear_down(a);
}

static void what_is_gone_and_what_is_many_have_meta_data_too(void **state) {
  (void)state;
  struct rmq_monitor_alerts *a = set_up(RMQ_ALERT_BACKLOG);
  result.queues_count = 30;
  for (size_t i = 0; i < 30; i++)
    queues[i].ready = 60000;
  judge(a);
  assert_int_equal(rmq_monitor_alerts_dispatch(a), RMQ_ALERTS_EACH + 1);
  const struct fake_event *many = &fake.events[RMQ_ALERTS_EACH];
  assert_string_equal(many->name, "rabbitmq_monitor-main/queue_length-ready");
  assert_string_equal(many->meta, "indicator=backlog;priority=P1;value=10;"
                                  "threshold=20;object=*;cluster=main;");
  fake_host_clear(&fake);
  result.queues_count = 0;
  judge(a);
  assert_int_equal(rmq_monitor_alerts_dispatch(a), RMQ_ALERTS_EACH + 1);
  assert_null(strstr(fake.events[0].meta, "value="));
  tear_down(a);
}

static void what_nobody_dispatches_gives_way_and_is_told(void **state) {
  (void)state;
  struct rmq_monitor_alerts *a = set_up(RMQ_ALERT_BACKLOG);
  result.queues_count = 1;
  for (int i = 0; i < RMQ_MONITOR_EVENTS_MAX + 3; i++) {
    queues[0].ready = i % 2 == 0 ? 60000 : 0;
    fake_host_advance(&fake, rmq_s(600));
    fake.lines_count = 0;
    judge(a);
    assert_int_equal(fake_host_count(&fake, "alert_lost"),
                     i < RMQ_MONITOR_EVENTS_MAX ? 0 : 1);
  }
  assert_int_equal(rmq_monitor_alerts_dispatch(a), RMQ_MONITOR_EVENTS_MAX);
  assert_int_equal(fake.events[0].severity, RMQ_OKAY); /* not the oldest */
  tear_down(a);
}

static void
a_kind_that_there_is_not_is_told_those_that_there_are(void **state) {
  (void)state;
  struct rmq_alert_config c;
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_options_init(rmq_alert_option_table, &c, &err), 0);
  assert_int_equal(rmq_options_set_text(rmq_alert_option_table, &c, "Kind",
                                        "weather", NULL, &err),
                   -1);
  assert_non_null(strstr(err.text, "\"weather\""));
  assert_non_null(strstr(err.text, "backlog, delay, errors, rate-drop, "
                                   "resource, no-consumer, alarm, partition, "
                                   "connection, quorum, certificate, "
                                   "auth-failed, channel-closed"));
  rmq_options_fini(rmq_alert_option_table, &c);
}

static void a_probe_that_is_rarer_than_polls_has_its_own_pace(void **state) {
  (void)state;
  struct rmq_error err = {.text = ""};
  rmq_monitor_alerts_free(set_up(RMQ_ALERT_DELAY));
  struct rmq_alert_config *c = config.alerts.items[0];
  c->hold = rmq_s(120);
  c->failure = 2;
  config.interval = rmq_s(10);
  struct rmq_probe_options *probe = rmq_options_add_block(
      rmq_options_find(rmq_role_monitor_options, "Probe"), &config, &err);
  assert_non_null(probe);
  probe->interval = rmq_s(60);
  struct rmq_monitor_alerts *a = make();
  for (int i = 0; i < 13; i++) {
    result.cluster.probe_delivery = i % 6 == 0 ? 3 : (double)NAN;
    judge(a);
  }
  assert_int_equal(rmq_monitor_alerts_dispatch(a), 1);
  assert_string_equal(fake.events[0].name,
                      "rabbitmq_monitor-main/latency-probe_delivery");
  tear_down(a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_notification_has_identity_and_meta_data_of_its_queue),
      cmocka_unit_test(a_name_adds_no_line_to_what_handlers_read),
      cmocka_unit_test(each_change_is_a_line_of_its_level),
      cmocka_unit_test(what_is_gone_and_what_is_many_have_meta_data_too),
      cmocka_unit_test(a_kind_that_there_is_not_is_told_those_that_there_are),
      cmocka_unit_test(a_probe_that_is_rarer_than_polls_has_its_own_pace),
      cmocka_unit_test(what_nobody_dispatches_gives_way_and_is_told),
  };
  return run_all(tests);
}
