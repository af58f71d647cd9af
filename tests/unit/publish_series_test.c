/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/publish_series.h"
#include "common/role/role_publish.h"
#include "common/role/session_log.h"

#include "tests/fake/host.h"
#include "tests/stock.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static struct fake_host fake;

/* A block that has reported before, or not yet. */
struct block {
  struct rmq_session_log session;
  struct rmq_publisher_counters before;
  struct rmq_window window;
  struct rmq_series_object object;
  struct rmq_publisher_snapshot s;
  double spool_bytes;
  struct rmq_intake_stats in;
};

static void block_init(struct block *b) {
  memset(b, 0, sizeof(*b));
  fake_host_init(&fake);
  rmq_session_log_init(&b->session, &fake.host, "rabbitmq_publish", "b");
  rmq_window_init(&b->window, rmq_s(60));
  rmq_latency_clear(&b->s.latency);
  assert_int_equal(rmq_series_object_init(RMQ_SERIES_BLOCK, "rabbitmq_publish",
                                          "b", NULL, NULL, NULL, &b->object),
                   0);
}

static void report(struct block *b) {
  struct rmq_publish_report r;
  const struct rmq_series_report to = {
      .host = &fake.host, .object = &b->object, .interval = rmq_s(10)};
  fake_host_clear(&fake);
  enum rmq_session_state state = rmq_session_log_state(&b->session);
  const struct rmq_publish_sessions sessions = {
      .state = state,
      .is_connected = rmq_session_is_up(state),
      .is_blocked = state == RMQ_SESSION_BLOCKED,
      .opened = rmq_session_log_opened(&b->session)};
  rmq_publish_report_fill(&r, &b->s, &b->in, &sessions, b->spool_bytes,
                          &b->before, &b->window, fake.now);
  rmq_series_emit_all(&to, rmq_publish_series_table, RMQ_SERIES_BLOCK, &r);
}

static double sent(const char *name) {
  char full[300];
  snprintf(full, sizeof(full), "rabbitmq_publish-b/%s", name);
  return fake_host_value(&fake, full);
}

static bool is_absent(const char *name) { return isnan(sent(name)); }

static void go(struct block *b, enum rmq_session_state from,
               enum rmq_session_state to, enum rmq_session_event event) {
  static const struct rmq_endpoint endpoint = {"h", 5672};
  const struct rmq_connection_change change = {.from = from,
                                               .to = to,
                                               .event = event,
                                               .endpoint = &endpoint,
                                               .reason = "",
                                               .remedy = ""};
  rmq_session_log_changed(&b->session, &change, fake.now);
}

/* ------------------------------------------------------------------------ */

static void every_series_is_what_types_db_allows(void **state) {
  (void)state;
  stock_types_only(rmq_publish_series_table, "rabbitmq_publish");
}

static void each_number_arrives_in_the_series_of_its_name(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  b.s.outbox = 101;
  b.s.in_flight = 102;
  b.s.spooled = 122;
  b.spool_bytes = 123;
  b.in = (struct rmq_intake_stats){
      .values = 116, .open_values = 125, .omitted = 124};
  b.s.counters =
      (struct rmq_publisher_counters){.accepted = 103,
                                      .published = 104,
                                      .republished = 105,
                                      .confirmed = 106,
                                      .returned = 107,
                                      .rejected = 108,
                                      .dropped = {109, 110, 118, 111},
                                      .recovered = 119,
                                      .unconfirmed = 120,
                                      .expired = 121,
                                      .nack = 112,
                                      .return_ = 113,
                                      .late = 114,
                                      .confirm_timeout = 115,
                                      .values_dropped = 117};
  report(&b);
  static const struct {
    const char *name;
    double want;
  } rows[] = {
      {"queue_length-outbox", 101},
      {"queue_length-in_flight", 102},
      {"total_operations-accepted", 103},
      {"total_operations-published", 104},
      {"total_operations-republished", 105},
      {"total_operations-confirmed", 106},
      {"total_operations-returned", 107},
      {"total_operations-rejected", 108},
      {"total_operations-dropped_overflow", 109},
      {"total_operations-dropped_encode", 110},
      {"total_operations-dropped_shutdown", 111},
      {"total_operations-dropped_damaged", 118},
      {"total_operations-recovered", 119},
      {"total_operations-unconfirmed", 120},
      {"total_operations-expired", 121},
      {"queue_length-spooled", 122},
      {"bytes-spool", 123},
      {"total_events-nack", 112},
      {"total_events-return", 113},
      {"total_events-late", 114},
      {"total_events-confirm_timeout", 115},
      {"total_values-accepted", 116},
      {"queue_length-open_values", 125},
      {"total_values-omitted", 124},
      {"total_values-dropped", 117},
      {"total_connections-opened", 0},
      {"bool-connected", 0},
      {"bool-blocked", 0},
      {"gauge-state", 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    assert_true(sent(rows[i].name) == rows[i].want);
  }
}

static void the_session_shows_as_connected_blocked_and_state(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  go(&b, RMQ_SESSION_LOGIN, RMQ_SESSION_OPENING, RMQ_SESSION_ON_LOGGED_IN);
  report(&b);
  assert_true(sent("bool-connected") == 0 && sent("gauge-state") == 4);
  assert_true(sent("total_connections-opened") == 1);
  go(&b, RMQ_SESSION_OPENING, RMQ_SESSION_READY, RMQ_SESSION_ON_CHANNEL_READY);
  report(&b);
  assert_true(sent("bool-connected") == 1 && sent("gauge-state") == 5);
  assert_true(sent("bool-blocked") == 0);
  go(&b, RMQ_SESSION_READY, RMQ_SESSION_BLOCKED, RMQ_SESSION_ON_BLOCKED);
  report(&b);
  assert_true(sent("bool-connected") == 1 && sent("gauge-state") == 6);
  assert_true(sent("bool-blocked") == 1);
  go(&b, RMQ_SESSION_BLOCKED, RMQ_SESSION_WAITING, RMQ_SESSION_ON_LINK_DOWN);
  report(&b);
  assert_true(sent("bool-connected") == 0 && sent("gauge-state") == 1);
  assert_true(sent("bool-blocked") == 0);
}

static void percentiles_are_absent_until_something_is_confirmed(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  report(&b);
  assert_true(is_absent("latency-confirm_p50"));
  assert_true(is_absent("latency-confirm_p95"));
  assert_true(is_absent("latency-confirm_p99"));
  for (int i = 0; i < 90; i++)
    rmq_latency_add(&b.s.latency, rmq_ms(10));
  for (int i = 0; i < 8; i++)
    rmq_latency_add(&b.s.latency, rmq_ms(100));
  for (int i = 0; i < 2; i++)
    rmq_latency_add(&b.s.latency, rmq_s(1));
  report(&b);
  assert_true(fabs(sent("latency-confirm_p50") - 0.01) < 0.001);
  assert_true(fabs(sent("latency-confirm_p95") - 0.1) < 0.01);
  assert_true(fabs(sent("latency-confirm_p99") - 1) < 0.1);
}

/* 100 e / max(published, e) over 60 s, e = nack + return + dropped. */
static void the_error_rate_is_absent_then_true_then_forgotten(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  report(&b);
  assert_true(is_absent("percent-error_rate"));
  b.s.counters.published = 100;
  report(&b);
  assert_true(sent("percent-error_rate") == 0);
  b.s.counters.published = 200;
  b.s.counters.nack = 4;
  b.s.counters.return_ = 5;
  b.s.counters.dropped[RMQ_PUBLISHER_DROP_encode] = 1;
  report(&b);
  assert_true(sent("percent-error_rate") == 5);
  fake_host_advance(&fake, rmq_s(61));
  report(&b);
  assert_true(is_absent("percent-error_rate"));
}

static void with_nothing_published_every_drop_is_a_full_error(void **state) {
  (void)state;
  struct block b;
  block_init(&b);
  b.s.counters.dropped[RMQ_PUBLISHER_DROP_overflow] = 7;
  report(&b);
  assert_true(sent("percent-error_rate") == 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_series_is_what_types_db_allows),
      cmocka_unit_test(each_number_arrives_in_the_series_of_its_name),
      cmocka_unit_test(the_session_shows_as_connected_blocked_and_state),
      cmocka_unit_test(percentiles_are_absent_until_something_is_confirmed),
      cmocka_unit_test(the_error_rate_is_absent_then_true_then_forgotten),
      cmocka_unit_test(with_nothing_published_every_drop_is_a_full_error),
  };
  return run_all(tests);
}
