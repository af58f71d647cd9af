/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/checks.h"

#include "tests/fake/web.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define OK "{\"status\":\"ok\"}"
#define CRITICAL(queue)                                                        \
  "{\"status\":\"failed\",\"queues\":[{\"name\":\"" queue                      \
  "\",\"virtual_host\":\"/\"},{\"name\":\"both\",\"virtual_host\":\"/\"}]}"
#define EXPIRED(date)                                                          \
  "{\"status\":\"failed\",\"expired\":[{\"node\":\"r@a\",\"port\":5671,"       \
  "\"certfile_expires_on\":[\"" date "\"]}]}"
#define NONE                                                                   \
  { NULL, 0, NULL, 0 }

static struct fake_host fake;
static char url_a[] = "http://a", url_b[] = "https://b/p";
static char metrics_a[] = "http://a:15692", metrics_b[] = "https://b:15691";

struct fixture {
  struct fake_web server;
  struct rmq_http http;
  char *items[2], *metrics_items[2];
  struct rmq_strings urls, metrics;
  struct rmq_checks checks;
  struct rmq_checks_input in;
  struct rmq_checks_result result;
  struct rmq_report_cluster r;
};

static void set_up(struct fixture *f, const struct fake_web_rule *rules) {
  memset(f, 0, sizeof(*f));
  fake_host_init(&fake);
  f->server.rules = rules;
  f->server.clock = &fake;
  f->http = fake_web_http(&f->server);
  f->items[0] = url_a;
  f->items[1] = url_b;
  f->urls = (struct rmq_strings){.items = f->items, .count = 2};
  f->metrics_items[0] = metrics_a;
  f->metrics_items[1] = metrics_b;
  f->metrics = (struct rmq_strings){.items = f->metrics_items, .count = 2};
  f->in = (struct rmq_checks_input){.urls = &f->urls,
                                    .metrics_urls = &f->metrics,
                                    .http = &f->http,
                                    .timeout = rmq_s(5),
                                    .connections = 3};
  rmq_checks_init(&f->checks);
}

/* One poll. */
static void run(struct fixture *f) {
  f->server.asked_count = 0;
  rmq_checks_run(&f->checks, &f->in, &f->result);
  rmq_report_cluster_clear(&f->r);
  rmq_checks_report(&f->checks, fake.wall, &f->r);
}

static const struct fake_web_rule all_well[] = {
    {"connections", 200, "[{\"state\":\"blocked\"},{}]", 0},
    {"elected-leaders", 200, OK, 0},
    {"http://a/api/health/checks/node-is", 503, CRITICAL("x"), 0},
    {"https://b/p/api/health/checks/node-is", 503, CRITICAL("y"), 0},
    {"certificate", 200, OK, 0},
    {"/metrics/detailed?", 200, "", 0},
    NONE};

static void the_first_poll_asks_for_all_at_once(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, all_well);
  run(&f);
  assert_int_equal(f.server.asked_count, 7);
  assert_string_equal(f.server.asked[0],
                      "http://a/api/connections?columns=state");
  assert_string_equal(f.server.asked[6],
                      "https://b:15691/metrics/detailed?family=none");
  assert_true(f.r.connections_blocked == 1);
  assert_true(f.r.leaderless == 0);
  assert_true(f.r.quorum_critical == 3); /* x, y and one that both name */
  assert_true(isnan(f.r.certificate_days));
  assert_true(f.result.bytes > 100);
  assert_false(rmq_error_is_set(&f.checks.connections_error));
  assert_false(rmq_error_is_set(&f.checks.queues_error));
  assert_false(rmq_error_is_set(&f.checks.certificates_error));
  rmq_checks_fini(&f.checks);
}

static void every_fifth_poll_asks_and_every_poll_reports(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, all_well);
  size_t asked = 0, certificates = 0;
  for (int i = 0; i < 121; i++) {
    run(&f);
    assert_int_equal(f.server.asked_count == 0, i % 5 != 0);
    assert_int_equal(f.server.asked_count > 4, i % 60 == 0);
    asked += f.server.asked_count > 0;
    certificates += f.server.asked_count > 4;
    assert_true(f.r.connections_blocked == 1 && f.r.quorum_critical == 3);
  }
  assert_int_equal(asked, 25);
  assert_int_equal(certificates, 3);
  rmq_checks_fini(&f.checks);
}

static void virtual_hosts_that_are_down_are_asked_for_on_demand(void **state) {
  (void)state;
  static const struct fake_web_rule down[] = {
      {"http://a/api/health/checks/virtual", 503,
       "{\"status\":\"failed\",\"virtual-hosts\":[\"x\",\"both\"]}", 0},
      {"https://b/p/api/health/checks/virtual", 503,
       "{\"status\":\"failed\",\"virtual-hosts\":[\"both\"]}", 0},
      {"http", 404, "", 0},
      NONE};
  static const struct fake_web_rule well[] = {
      {"checks/virtual", 200, OK, 0}, {"http", 404, "", 0}, NONE};
  static const struct fake_web_rule silent[] = {
      {"http://a/api/health/checks/virtual", 500, "", 0},
      {"https://b/p/api/health/checks/virtual", 200, OK, 0},
      {"http", 404, "", 0},
      NONE};
  struct fixture f;
  set_up(&f, down);
  run(&f);
  assert_true(isnan(f.r.vhosts_down)); /* nobody wants to know */
  rmq_checks_fini(&f.checks);
  set_up(&f, down);
  f.in.wants_vhosts = true;
  for (int i = 0; i < 5; i++) {
    run(&f);
    assert_true(f.r.vhosts_down == 2);
  }
  f.server.rules = silent; /* a node that does not tell of its own */
  run(&f);
  assert_true(f.r.vhosts_down == 2);
  assert_string_equal(f.checks.vhosts_error.text,
                      "http://a: the check for virtual hosts was answered "
                      "with HTTP status 500");
  f.server.rules = well;
  for (int i = 0; i < 5; i++)
    run(&f);
  assert_true(f.r.vhosts_down == 0);
  assert_false(rmq_error_is_set(&f.checks.vhosts_error));
  rmq_checks_miss(&f.checks);
  rmq_report_cluster_clear(&f.r);
  rmq_checks_report(&f.checks, fake.wall, &f.r);
  assert_true(isnan(f.r.vhosts_down));
  rmq_checks_fini(&f.checks);
}

static void an_endpoint_that_a_version_lacks_is_no_fault(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"connections", 200, "[]", 0},
      {"http", 404, "{\"reason\":\"Not Found\"}", 0},
      NONE};
  struct fixture f;
  set_up(&f, rules);
  run(&f);
  assert_true(f.r.connections_blocked == 0);
  assert_true(isnan(f.r.leaderless) && isnan(f.r.quorum_critical));
  assert_true(isnan(f.r.certificate_days));
  assert_false(rmq_error_is_set(&f.checks.queues_error));
  assert_false(rmq_error_is_set(&f.checks.certificates_error));
  rmq_checks_fini(&f.checks);
}

static void
what_fails_costs_its_own_part_and_is_absent_after_ten_polls(void **state) {
  (void)state;
  static const struct fake_web_rule broken[] = {
      {"connections", 401, "{\"reason\":\"Not management user\"}", 0},
      {"elected-leaders", 200, "<html>", 0},
      {"http://a/api/health/checks/node-is", 0, "Connection refused", 0},
      {"https://b/p/api/health/checks/node-is", 503, CRITICAL("y"), 0},
      {"certificate", 500, "oops", 0},
      {"/metrics/detailed?", 0, "Connection refused", 0},
      NONE};
  struct fixture f;
  set_up(&f, all_well);
  run(&f);
  f.server.rules = broken;
  for (int i = 1; i <= 60; i++) {
    run(&f);
    assert_int_equal(isnan(f.r.connections_blocked), i >= 10);
    assert_int_equal(isnan(f.r.leaderless), i >= 10);
    assert_true(f.r.quorum_critical == (i < 10 ? 3 : 2));
    assert_int_equal(rmq_error_is_set(&f.checks.connections_error), i >= 5);
  }
  assert_string_equal(f.checks.connections_error.text,
                      "http://a: the list of connections was answered with "
                      "HTTP status 401 (Not management user)");
  assert_non_null(strstr(f.checks.queues_error.text,
                         "http://a: the answer is not that of a health check"));
  assert_string_equal(f.checks.certificates_error.text,
                      "http://a: the check of certificates was answered with "
                      "HTTP status 500");
  f.server.rules = all_well;
  for (int i = 0; i < 5; i++)
    run(&f);
  assert_true(f.r.connections_blocked == 1 && f.r.leaderless == 0);
  assert_false(rmq_error_is_set(&f.checks.connections_error));
  assert_false(rmq_error_is_set(&f.checks.queues_error));
  rmq_checks_fini(&f.checks);
}

/* One line for it, whatever is asked of each URL. */
static void
a_url_that_is_away_is_one_cause_and_not_that_of_each_check(void **state) {
  (void)state;
  static const struct fake_web_rule away[] = {
      {"https://b/p", 0, "Could not resolve host: b", 0},
      {"connections", 200, "[]", 0},
      {"http://a/api", 200, OK, 0},
      {"/metrics/detailed?", 200, "", 0},
      NONE};
  static const struct fake_web_rule all_away[] = {
      {"http", 0, "Connection refused", 0}, NONE};
  struct fixture f;
  set_up(&f, away);
  f.in.wants_vhosts = true;
  run(&f);
  const struct rmq_checks_target *b = &f.checks.targets[1];
  assert_false(f.checks.targets[0].is_silent);
  assert_true(b->is_silent);
  assert_string_equal(b->url, "https://b/p");
  assert_string_equal(b->why, "Could not resolve host: b");
  assert_false(rmq_error_is_set(&f.checks.queues_error));
  assert_false(rmq_error_is_set(&f.checks.vhosts_error));
  assert_false(rmq_error_is_set(&f.checks.certificates_error));
  assert_true(isnan(f.r.quorum_critical)); /* there may be some */
  /* With nobody's answer it is the numbers that are missing. */
  f.server.rules = all_away;
  for (int i = 0; i < 5; i++)
    run(&f);
  assert_true(b->is_silent);
  assert_false(f.checks.targets[0].is_silent);
  assert_true(rmq_error_is_set(&f.checks.queues_error));
  assert_true(rmq_error_is_set(&f.checks.vhosts_error));
  f.in.wants_vhosts = false;
  f.server.rules = all_well;
  for (int i = 0; i < 5; i++)
    run(&f);
  assert_false(b->is_silent);
  /* It has just answered a poll: not away, but something is missing. */
  f.server.rules = away;
  f.in.current = 1;
  for (int i = 0; i < 5; i++)
    run(&f);
  assert_false(b->is_silent);
  assert_true(rmq_error_is_set(&f.checks.queues_error));
  rmq_checks_fini(&f.checks);
}

static void what_a_running_node_does_not_tell_is_not_zero(void **state) {
  (void)state;
  static const struct fake_web_rule one[] = {
      {"http://a/api/health/checks/node-is", 0, "timed out", 0},
      {"https://b/p/api/health/checks/node-is", 503, CRITICAL("y"), 0},
      {"http", 404, "", 0},
      NONE};
  static const struct fake_web_rule none[] = {
      {"http://a/api/health/checks/node-is", 401, "", 0},
      {"https://b/p/api/health/checks/node-is", 200, OK, 0},
      {"http", 404, "", 0},
      NONE};
  static const struct fake_web_rule unreadable[] = {
      {"http://a/api/health/checks/node-is", 503, "<html>", 0},
      {"https://b/p/api/health/checks/node-is", 200, OK, 0},
      {"http", 404, "", 0},
      NONE};
  static const struct {
    const char *name;
    const struct fake_web_rule *before, *now; /* NULL = nothing was asked */
    size_t away;
    double want, want_later; /* at once, and five polls on */
  } rows[] = {
      {"none of those that told", NULL, none, 0, NAN, NAN},
      {"some of those that told", NULL, one, 0, 2, 2},
      {"fewer than before", all_well, one, 0, 3, 2},
      {"none, and some before", all_well, none, 0, 3, NAN},
      {"none, and a page of a proxy", all_well, unreadable, 0, 3, NAN},
      {"the silent one is not running", all_well, none, 1, 0, 0},
      {"and the others have some", all_well, one, 1, 2, 2},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct fixture f;
    set_up(&f, rows[i].before);
    for (int j = 0; rows[i].before != NULL && j < 5; j++)
      run(&f);
    f.server.rules = rows[i].now;
    f.in.nodes_away = rows[i].away;
    for (int j = 0; j < 2; j++) {
      double want = j == 0 ? rows[i].want : rows[i].want_later;
      run(&f);
      assert_int_equal(isnan(f.r.quorum_critical), isnan(want));
      assert_true(isnan(want) || f.r.quorum_critical == want);
      for (int k = 0; k < 4; k++)
        run(&f);
    }
    rmq_checks_fini(&f.checks);
  }
}

static void over_ten_thousand_connections_are_not_listed(void **state) {
  (void)state;
  static const struct {
    double connections;
    bool want_asked;
  } rows[] = {{0, true}, {10000, true}, {10001, false}, {NAN, false}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%g", rows[i].connections);
    struct fixture f;
    set_up(&f, all_well);
    run(&f);
    f.in.connections = rows[i].connections;
    for (int j = 0; j < 5; j++)
      run(&f);
    assert_int_equal(f.server.asked_count, rows[i].want_asked ? 4 : 3);
    assert_int_equal(isnan(f.r.connections_blocked),
                     rows[i].connections > 10000);
    assert_false(rmq_error_is_set(&f.checks.connections_error));
    rmq_checks_fini(&f.checks);
  }
}

static void
without_the_management_api_there_are_only_certificates(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, all_well);
  f.in.urls = NULL;
  f.server.certificate_expires_s =
      fake.wall.ns / RMQ_NS_PER_S + 5 * INT64_C(86400);
  run(&f);
  assert_int_equal(f.server.asked_count, 1);
  assert_true(isnan(f.r.connections_blocked) && isnan(f.r.quorum_critical));
  assert_true(fabs(f.r.certificate_days - 5) < 0.001);
  assert_string_equal(rmq_checks_soonest(&f.checks)->where, "https://b:15691");
  rmq_checks_fini(&f.checks);
}

/* 1700000000 is 2023-11-14 22:13:20. */
static void the_certificate_that_expires_first_counts(void **state) {
  (void)state;
  static const struct fake_web_rule soon[] = {
      {"http://a/api/health/checks/certificate", 503,
       EXPIRED("2023-11-17 22:13:20"), 0},
      {"certificate", 200, OK, 0},
      {"http", 404, "", 0},
      NONE};
  static const struct fake_web_rule silent[] = {
      {"http://a/api/health/checks/certificate", 0, "timed out", 0},
      {"http", 404, "", 0},
      NONE};
  struct fixture f;
  set_up(&f, soon);
  f.server.certificate_expires_s = 1700000000 + 40 * INT64_C(86400);
  run(&f);
  assert_true(fabs(f.r.certificate_days - 3) < 0.001);
  assert_non_null(strstr(rmq_checks_soonest(&f.checks)->where, "of r@a"));
  /* A node that does not answer still has its certificate, for a while. */
  f.server.rules = silent;
  for (int i = 1; i <= 120; i++) {
    fake_host_advance(&fake, rmq_s(10));
    run(&f);
    assert_int_equal(f.r.certificate_days > 3, i >= 120);
  }
  fake_host_advance(&fake, rmq_s(41 * 86400));
  run(&f);
  assert_true(f.r.certificate_days == 0); /* it has expired */
  rmq_checks_fini(&f.checks);
}

static void a_turn_without_time_is_taken_with_the_next_poll(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, all_well);
  f.in.timeout = rmq_s(0);
  run(&f);
  assert_int_equal(f.server.asked_count, 0);
  f.in.timeout = rmq_s(1);
  run(&f);
  assert_int_equal(f.server.asked_count, 7);
  rmq_checks_fini(&f.checks);
}

static void after_an_outage_nothing_of_before_is_told(void **state) {
  (void)state;
  static const struct fake_web_rule other[] = {
      {"connections", 200, "[{}]", 0},
      {"elected-leaders", 503, CRITICAL("x"), 0},
      {"node-is", 200, OK, 0},
      {"http", 404, "", 0},
      NONE};
  static const struct {
    int polls, missed; /* before it, and in it */
    size_t want_asked; /* connections not before their turn */
  } rows[] = {{1, 1, 3},   {2, 1, 3},  {3, 1, 4},  {5, 1, 4},
              {7, 500, 7}, {60, 1, 7}, {61, 58, 4}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%d polls, %d missed", rows[i].polls, rows[i].missed);
    struct fixture f;
    set_up(&f, all_well);
    for (int j = 0; j < rows[i].polls; j++)
      run(&f);
    for (int j = 0; j < rows[i].missed; j++)
      rmq_checks_miss(&f.checks);
    f.server.rules = all_well;
    f.in.timeout = rmq_s(0); /* no time yet */
    run(&f);
    assert_int_equal(f.server.asked_count, 0);
    assert_true(isnan(f.r.connections_blocked) && isnan(f.r.leaderless));
    assert_true(isnan(f.r.quorum_critical));
    f.server.rules = other;
    f.in.timeout = rmq_s(5);
    run(&f);
    assert_int_equal(f.server.asked_count, rows[i].want_asked);
    assert_true(isnan(f.r.connections_blocked) && f.r.leaderless == 2);
    assert_true(f.r.quorum_critical == 0);
    rmq_checks_fini(&f.checks);
  }
}

static size_t count_asked(const struct fixture *f, const char *in_url) {
  size_t count = 0;
  for (size_t i = 0; i < f->server.asked_count; i++)
    count += strstr(f->server.asked[i], in_url) != NULL;
  return count;
}

/* Of 400 polls; twice as often as without outages, at most, and connections no
 * more often. */
static void an_api_that_fails_every_other_time_is_spared(void **state) {
  (void)state;
  struct fixture f;
  size_t turns = 0, lists = 0;
  int last = -RMQ_CHECKS_EVERY;
  set_up(&f, all_well);
  for (int i = 0; i < 400; i += 2) {
    run(&f);
    size_t listed = count_asked(&f, "/api/connections");
    turns += f.server.asked_count > 0;
    lists += listed;
    assert_int_equal(f.server.asked_count > 0, !isnan(f.r.leaderless));
    assert_int_equal(listed > 0, !isnan(f.r.connections_blocked));
    assert_true(listed == 0 || i - last >= RMQ_CHECKS_EVERY);
    last = listed > 0 ? i : last;
    rmq_checks_miss(&f.checks);
  }
  assert_in_range(turns, 400 / RMQ_CHECKS_EVERY / 2, 800 / RMQ_CHECKS_EVERY);
  assert_in_range(lists, 400 / RMQ_CHECKS_EVERY / 2, 400 / RMQ_CHECKS_EVERY);
  for (int i = 0; i < RMQ_CHECKS_EVERY; i++) /* then it is well again */
    run(&f);
  assert_true(f.r.connections_blocked == 1 && f.r.leaderless == 0);
  rmq_checks_fini(&f.checks);
}

static void the_slowest_answer_is_what_a_turn_costs(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"connections", 200, "[]", 0.25},
      {"elected-leaders", 200, OK, 0.5},
      {"http://a/api/health/checks/node-is", 0, "timed out", 4},
      {"http", 404, "", 0},
      NONE};
  static const struct fake_web_rule silent[] = {{"http", 0, "timed out", 4},
                                                NONE};
  struct fixture f;
  set_up(&f, rules);
  run(&f);
  assert_true(f.result.seconds == 0.5);
  run(&f); /* no turn */
  assert_true(isnan(f.result.seconds));
  f.server.rules = silent;
  for (int i = 2; i <= RMQ_CHECKS_EVERY; i++)
    run(&f);
  assert_true(f.server.asked_count > 0 && isnan(f.result.seconds));
  rmq_checks_fini(&f.checks);
}

static void a_cancelled_turn_changes_nothing(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {{"http", -1, "", 0}, NONE};
  struct fixture f;
  set_up(&f, rules);
  run(&f);
  assert_true(f.result.is_cancelled);
  assert_true(isnan(f.r.connections_blocked));
  assert_null(rmq_checks_soonest(&f.checks));
  rmq_checks_fini(&f.checks);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_poll_asks_for_all_at_once),
      cmocka_unit_test(every_fifth_poll_asks_and_every_poll_reports),
      cmocka_unit_test(virtual_hosts_that_are_down_are_asked_for_on_demand),
      cmocka_unit_test(an_endpoint_that_a_version_lacks_is_no_fault),
      cmocka_unit_test(
          what_fails_costs_its_own_part_and_is_absent_after_ten_polls),
      cmocka_unit_test(
          a_url_that_is_away_is_one_cause_and_not_that_of_each_check),
      cmocka_unit_test(what_a_running_node_does_not_tell_is_not_zero),
      cmocka_unit_test(over_ten_thousand_connections_are_not_listed),
      cmocka_unit_test(without_the_management_api_there_are_only_certificates),
      cmocka_unit_test(the_certificate_that_expires_first_counts),
      cmocka_unit_test(a_turn_without_time_is_taken_with_the_next_poll),
      cmocka_unit_test(after_an_outage_nothing_of_before_is_told),
      cmocka_unit_test(an_api_that_fails_every_other_time_is_spared),
      cmocka_unit_test(the_slowest_answer_is_what_a_turn_costs),
      cmocka_unit_test(a_cancelled_turn_changes_nothing),
  };
  return run_all(tests);
}
