/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_series.h"

#include "tests/fake/host.h"
#include "tests/stock.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static struct fake_host fake;

struct block {
  struct rmq_session_log session;
  struct rmq_consume_counters before, c;
  struct rmq_window window;
  struct rmq_latency latency;
  struct rmq_series_object object;
};

static void block_init(struct block *b) {
  memset(b, 0, sizeof(*b));
  fake_host_init(&fake);
  rmq_session_log_init(&b->session, &fake.host, "rabbitmq_consume", "b");
  rmq_window_init(&b->window, rmq_s(60));
  rmq_latency_clear(&b->latency);
  assert_int_equal(rmq_series_object_init(RMQ_SERIES_BLOCK, "rabbitmq_consume",
                                          "b", NULL, NULL, NULL, &b->object),
                   0);
}

static void report(struct block *b) {
  struct rmq_consume_report r;
  const struct rmq_series_report to = {
      .host = &fake.host, .object = &b->object, .interval = rmq_s(10)};
  fake_host_clear(&fake);
  rmq_consume_report_fill(&r, &b->c, &b->latency, &b->session, &b->before,
                          &b->window, fake.now);
  rmq_series_emit_all(&to, rmq_consume_series_table, RMQ_SERIES_BLOCK, &r);
}

static double sent(const char *name) {
  char full[300];
  snprintf(full, sizeof(full), "rabbitmq_consume-b/%s", name);
  return fake_host_value(&fake, full);
}

static bool is_absent(const char *name) { return isnan(sent(name)); }

static void every_series_is_what_types_db_allows(void **state) {
  (void)state;
  stock_types_only(rmq_consume_series_table, "rabbitmq_consume");
}

static void each_number_arrives_in_the_series_of_its_name(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  b.c = (struct rmq_consume_counters){
      .consumer = {.delivered = 101,
                   .redelivered = 102,
                   .acked = 103,
                   .requeued = 104},
      .rejected = {105, 106, 107, 108, 109, 110, 201, 202, 203, 214, 111, 112},
      .dispatched = 113,
      .refused = {114, 115, 116, 117, 204, 205, 206, 207, 208, 209},
      .notifications = 210,
      .unreturned = 121,
      .flow = {.deduplicated = 122, .postponed = 123},
      .is_withheld = true,
      .filing = {211, 212, 213},
      .idle_restarts = 120,
      .unacked = 118,
      .outstanding = 119};
  report(&b);
  static const struct {
    const char *name;
    double want;
  } rows[] = {
      {"total_events-idle_restart", 120},
      {"total_operations-delivered", 101},
      {"total_operations-redelivered", 102},
      {"total_operations-acked", 103},
      {"total_operations-requeued", 104},
      {"total_operations-rejected_oversized", 105},
      {"total_operations-rejected_malformed", 106},
      {"total_operations-rejected_empty", 107},
      {"total_operations-rejected_encoding", 108},
      {"total_operations-rejected_content_type", 109},
      {"total_operations-rejected_parse", 110},
      {"total_operations-rejected_user_id", 201},
      {"total_operations-rejected_mixed", 202},
      {"total_operations-rejected_refused", 203},
      {"total_operations-rejected_memory", 214},
      {"total_operations-rejected_dispatch", 111},
      {"total_operations-rejected_timeout", 112},
      {"total_values-dispatched", 113},
      {"total_values-refused_unknown_type", 114},
      {"total_values-refused_wrong_values", 115},
      {"total_values-refused_bad_name", 116},
      {"total_values-refused_failed", 117},
      {"total_values-refused_parse", 204},
      {"total_values-refused_not_allowed", 205},
      {"total_values-refused_too_old", 206},
      {"total_values-refused_future", 207},
      {"total_values-refused_notification", 208},
      {"total_values-refused_rate", 209},
      {"total_values-unreturned", 121},
      {"total_operations-deduplicated", 122},
      {"total_events-postponed", 123},
      {"bool-backpressure", 1},
      {"total_events-notification", 210},
      {"total_events-quarantined", 211},
      {"total_events-quarantine_full", 212},
      {"total_events-quarantine_failed", 213},
      {"queue_length-unacked", 118},
      {"queue_length-outstanding_values", 119},
      {"total_connections-opened", 0},
      {"bool-connected", 0},
      {"gauge-state", 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    assert_true(sent(rows[i].name) == rows[i].want);
  }
}

static void percentiles_are_absent_until_something_is_settled(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  report(&b);
  assert_true(is_absent("latency-delivery_p50"));
  assert_true(is_absent("latency-delivery_p95"));
  assert_true(is_absent("latency-delivery_p99"));
  for (int i = 0; i < 90; i++)
    rmq_latency_add(&b.latency, rmq_ms(10));
  for (int i = 0; i < 8; i++)
    rmq_latency_add(&b.latency, rmq_ms(100));
  for (int i = 0; i < 2; i++)
    rmq_latency_add(&b.latency, rmq_s(1));
  report(&b);
  assert_true(fabs(sent("latency-delivery_p50") - 0.01) < 0.001);
  assert_true(fabs(sent("latency-delivery_p95") - 0.1) < 0.01);
  assert_true(fabs(sent("latency-delivery_p99") - 1) < 0.1);
}

/* 100 e / max(delivered, e) over 60 s, e = rejected + requeued. */
static void the_error_rate_is_absent_then_true_then_forgotten(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  report(&b);
  assert_true(is_absent("percent-error_rate"));
  b.c.consumer.delivered = 100;
  report(&b);
  assert_true(sent("percent-error_rate") == 0);
  b.c.consumer.delivered = 200;
  b.c.consumer.requeued = 4;
  b.c.rejected[RMQ_REJECTION_parse] = 5;
  b.c.rejected[RMQ_REJECTION_oversized] = 1;
  report(&b);
  assert_true(sent("percent-error_rate") == 5);
  fake_host_advance(&fake, rmq_s(61));
  report(&b);
  assert_true(is_absent("percent-error_rate"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_series_is_what_types_db_allows),
      cmocka_unit_test(each_number_arrives_in_the_series_of_its_name),
      cmocka_unit_test(percentiles_are_absent_until_something_is_settled),
      cmocka_unit_test(the_error_rate_is_absent_then_true_then_forgotten),
  };
  return run_all(tests);
}
