/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/verdict.h"
#include "tests/testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct object {
  const char *node, *vhost, *queue;
};

static void see(struct rmq_verdict *v, const char *type, const char *instance,
                double value, struct object o) {
  struct rmq_meta meta[3];
  size_t count = 0;
  const char *names[][2] = {
      {"node", o.node}, {"vhost", o.vhost}, {"queue", o.queue}};
  for (size_t i = 0; i < COUNT_OF(names); i++)
    if (names[i][1] != NULL)
      meta[count++] = (struct rmq_meta){.key = names[i][0],
                                        .type = RMQ_META_STRING,
                                        .value.string = names[i][1]};
  struct rmq_datum datum = {"value", RMQ_GAUGE, {.gauge = value}};
  struct rmq_sample s = {.id = {"", "rabbitmq_monitor", "main", type, instance},
                         .values = &datum,
                         .values_count = 1,
                         .meta = meta,
                         .meta_count = count};
  rmq_verdict_see(v, &s);
}

static const struct object cluster = {NULL, NULL, NULL};
static const struct object node1 = {"rabbit@a", NULL, NULL};

/* In the order of the monitor's table. */
static void see_queue(struct rmq_verdict *v, const char *vhost,
                      const char *queue, double ready, double unacked) {
  see(v, "queue_length", "ready", ready, (struct object){NULL, vhost, queue});
  see(v, "queue_length", "unacked", unacked,
      (struct object){NULL, vhost, queue});
}

static void answer(struct rmq_verdict *v) {
  see(v, "bool", "reachable", 1, cluster);
}

static void begin(struct rmq_verdict *v, enum rmq_verdict_indicator i,
                  const char *measure, const char *warning,
                  const char *critical) {
  struct rmq_error err = {.text = ""};
  if (rmq_verdict_init(v, i, measure, warning, critical, &err) != 0)
    fail_msg("%s", err.text);
}

static void expect(struct rmq_verdict *v, enum rmq_verdict_state want_state,
                   const char *want_line) {
  struct rmq_buf line;
  rmq_buf_init(&line, 64 * 1024);
  assert_int_equal(rmq_verdict_say(v, "connection refused", &line), want_state);
  assert_string_equal(rmq_buf_text(&line), want_line);
  rmq_buf_fini(&line);
  rmq_verdict_fini(v);
}

static void no_answer_is_critical_and_says_why(void **state) {
  (void)state;
  for (int i = 0; i < 5; i++) {
    struct rmq_verdict v;
    struct rmq_buf line;
    begin(&v, (enum rmq_verdict_indicator)i, NULL, NULL, NULL);
    see(&v, "bool", "reachable", 0, cluster);
    v.silence = "refused: HTTP 401 (a|b)";
    rmq_buf_init(&line, 4096);
    assert_int_equal(rmq_verdict_say(&v, "connection refused", &line),
                     RMQ_VERDICT_CRITICAL);
    assert_non_null(
        strstr(rmq_buf_text(&line), "CRITICAL - refused: HTTP 401 (a?b)"));
    assert_null(strstr(rmq_buf_text(&line), "connection refused"));
    rmq_buf_fini(&line);
    rmq_verdict_fini(&v);
  }
}

static void
a_full_queue_is_named_and_the_sum_is_performance_data(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see(&v, "queue_length", "ready", 60010, cluster);
  see(&v, "queue_length", "unacked", 3, cluster);
  see_queue(&v, "/", "small", 10, 0);
  see_queue(&v, "/", "orders", 20000, 40000);
  see(&v, "queue_length", "ready", 70, (struct object){NULL, "/", NULL});
  expect(&v, RMQ_VERDICT_CRITICAL,
         "RABBITMQ LAG CRITICAL - queue orders in vhost /: 60000 messages "
         "ready or unacknowledged | 'queue_backlog'=60000;;50000 "
         "'queue_ready'=20000;; 'queue_unacked'=40000;; 'ready'=60010;; "
         "'unacked'=3;;");
}

static void all_well_is_said_in_figures(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see(&v, "queue_length", "ready", 13, cluster);
  see_queue(&v, "/", "q", 10, 1);
  see_queue(&v, "/", "p", 0, 2);
  see(&v, "duration", "head_age", 7, (struct object){NULL, "/", "p"});
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ LAG OK - 13 messages in 2 queues, 11 of them in the "
         "longest, the oldest message is 7 s old in the worst queue | "
         "'queue_backlog'=11;;50000 'queue_ready'=10;; 'queue_unacked'=2;; "
         "'head_age'=7s;;300 'ready'=13;;");
}

static void empty_queues_are_one_figure(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see(&v, "queue_length", "ready", 0, cluster);
  see_queue(&v, "/", "q", 0, 0);
  see_queue(&v, "/", "p", 0, 0);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ LAG OK - 0 messages in 2 queues | "
         "'queue_backlog'=0;;50000 'queue_ready'=0;; 'queue_unacked'=0;; "
         "'ready'=0;;");
  begin(&v, RMQ_VERDICT_LAG, "queue_ready", "10", NULL);
  answer(&v);
  see_queue(&v, "/", "q", 1, 0);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ LAG OK - 1 message in 1 queue, 1 message ready in the worst "
         "queue | 'queue_backlog'=1;;50000 'queue_ready'=1;10; "
         "'queue_unacked'=0;;");
}

static void of_one_thing_words_are_singular(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_CONNECTION, NULL, NULL, NULL);
  answer(&v);
  see(&v, "bool", "running", 1, node1);
  see(&v, "current_connections", "open", 1, cluster);
  see(&v, "gauge", "nodes_running", 1, cluster);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ CONNECTION OK - 1 connection, 1 node runs | "
         "'connections'=1;; 'nodes_running'=1;;");
  begin(&v, RMQ_VERDICT_CONNECTION, NULL, NULL, NULL);
  answer(&v);
  see(&v, "bool", "running", 1, node1);
  see(&v, "current_connections", "open", 0, cluster);
  see(&v, "gauge", "nodes_running", 3, cluster);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ CONNECTION OK - 0 connections, 3 nodes run | "
         "'connections'=0;; 'nodes_running'=3;;");
}

static void performance_data_has_six_digits_and_whole_counts(void **state) {
  (void)state;
  static const struct {
    double value;
    const char *want;
  } rows[] = {{1.39620331876052, "1.3962"},     {14.818175055353, "14.8182"},
              {0.0000123456789, "1.23457e-05"}, {123456789, "123456789"},
              {1234567.75, "1234568"},          {0, "0"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_verdict v;
    struct rmq_buf line;
    char want[64];
    begin(&v, RMQ_VERDICT_THROUGHPUT, NULL, NULL, NULL);
    answer(&v);
    see(&v, "gauge", "publish_rate", rows[i].value, cluster);
    rmq_buf_init(&line, 4096);
    rmq_verdict_say(&v, "", &line);
    snprintf(want, sizeof(want), "| 'publish_rate'=%s;;", rows[i].want);
    assert_non_null(strstr(rmq_buf_text(&line), want));
    rmq_buf_fini(&line);
    rmq_verdict_fini(&v);
  }
}

static void see_disk(struct rmq_verdict *v, const char *node, double free,
                     double limit) {
  see(v, "bytes", "disk_free", free, (struct object){node, NULL, NULL});
  see(v, "bytes", "disk_limit", limit, (struct object){node, NULL, NULL});
}

/* The limit in percent of what is free, as <Alert "resource"> counts it. */
static void a_disk_that_fills_is_told_before_its_alarm(void **state) {
  (void)state;
  static const struct {
    double free;
    enum rmq_verdict_state want_state;
    const char *want_figure;
  } rows[] = {{5000e6, RMQ_VERDICT_OK, "1"},
              {100e6, RMQ_VERDICT_OK, "50"},
              {90e6, RMQ_VERDICT_WARNING, "55.5556"},
              {60e6, RMQ_VERDICT_CRITICAL, "83.3333"},
              {50e6, RMQ_VERDICT_CRITICAL, "100"},
              {0, RMQ_VERDICT_CRITICAL, "100"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_verdict v;
    struct rmq_buf line;
    char want[64];
    begin(&v, RMQ_VERDICT_RESOURCE, NULL, NULL, NULL);
    answer(&v);
    see(&v, "percent", "memory", 1, node1);
    see_disk(&v, "rabbit@a", rows[i].free, 50e6);
    rmq_buf_init(&line, 4096);
    assert_int_equal(rmq_verdict_say(&v, "", &line), rows[i].want_state);
    snprintf(want, sizeof(want), " 'disk rabbit@a'=%s%%;50;80",
             rows[i].want_figure);
    assert_non_null(strstr(rmq_buf_text(&line), want));
    rmq_buf_fini(&line);
    rmq_verdict_fini(&v);
  }
}

static void each_node_has_its_own_disk(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_RESOURCE, "disk", "10", NULL);
  answer(&v);
  see(&v, "percent", "memory", 1, node1);
  see_disk(&v, "rabbit@a", 200, 50);
  see_disk(&v, "rabbit@b", 1000, 50);
  expect(&v, RMQ_VERDICT_WARNING,
         "RABBITMQ RESOURCE WARNING - node rabbit@a: the limit of free disk "
         "space at 25 % of what is free | 'memory rabbit@a'=1%;80;95 'disk "
         "rabbit@a'=25%;10; 'disk rabbit@b'=5%;10;");
}

static void the_worst_come_first_and_the_rest_is_counted(void **state) {
  (void)state;
  struct rmq_verdict v;
  char name[] = "q0";
  begin(&v, RMQ_VERDICT_LAG, NULL, "10", "100");
  answer(&v);
  for (int i = 0; i < 7; i++, name[1]++)
    see_queue(&v, "v", name, i == 2 ? 499 : 19 + i, 1);
  expect(&v, RMQ_VERDICT_CRITICAL,
         "RABBITMQ LAG CRITICAL - queue q2 in vhost v: 500 messages ready or "
         "unacknowledged; queue q6 in vhost v: 26 messages ready or "
         "unacknowledged; queue q5 in vhost v: 25 messages ready or "
         "unacknowledged; queue q4 in vhost v: 24 messages ready or "
         "unacknowledged; and 3 more | 'queue_backlog'=500;10;100 "
         "'queue_ready'=499;; 'queue_unacked'=1;;");
}

static void the_users_ranges_replace_the_limits_of_their_measure(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_RESOURCE, "memory", "~:50", NULL);
  answer(&v);
  see(&v, "percent", "memory", 97, node1);
  see(&v, "percent", "processes", 85, node1);
  expect(&v, RMQ_VERDICT_WARNING,
         "RABBITMQ RESOURCE WARNING - node rabbit@a: memory at 97 % of the "
         "limit; node rabbit@a: Erlang processes at 85 % | 'memory "
         "rabbit@a'=97%;~:50; 'processes rabbit@a'=85%;80;90");
}

static void a_node_that_is_down_is_critical(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_CONNECTION, NULL, NULL, NULL);
  answer(&v);
  see(&v, "response_time", "management", 0.012, cluster);
  see(&v, "bool", "running", 0, node1);
  expect(&v, RMQ_VERDICT_CRITICAL,
         "RABBITMQ CONNECTION CRITICAL - node rabbit@a: is not running | "
         "'response_time'=0.012s;;");
}

/* A cluster whose nodes run. */
static void begin_connection(struct rmq_verdict *v) {
  begin(v, RMQ_VERDICT_CONNECTION, NULL, NULL, NULL);
  answer(v);
  see(v, "bool", "running", 1, node1);
}

static void each_part_of_the_connection_has_its_limits(void **state) {
  (void)state;
  static const struct {
    const char *type, *instance;
    double value;
    enum rmq_verdict_state want_state;
    const char *want_line;
  } rows[] = {
      {"gauge", "certificate_days", 30, RMQ_VERDICT_OK,
       "RABBITMQ CONNECTION OK - a TLS certificate expires within 30 days | "
       "'certificate_days'=30;30:;7:"},
      {"gauge", "certificate_days", 29.5, RMQ_VERDICT_WARNING,
       "RABBITMQ CONNECTION WARNING - a TLS certificate expires within 29.5 "
       "days | 'certificate_days'=29.5;30:;7:"},
      {"gauge", "certificate_days", 0, RMQ_VERDICT_CRITICAL,
       "RABBITMQ CONNECTION CRITICAL - a TLS certificate expires within 0 days "
       "| 'certificate_days'=0;30:;7:"},
      {"current_connections", "blocked", 0, RMQ_VERDICT_OK,
       "RABBITMQ CONNECTION OK - 0 connections blocked | "
       "'connections_blocked'=0;0;"},
      {"current_connections", "blocked", 3, RMQ_VERDICT_WARNING,
       "RABBITMQ CONNECTION WARNING - 3 connections blocked | "
       "'connections_blocked'=3;0;"},
      {"gauge", "quorum_critical_queues", 2, RMQ_VERDICT_WARNING,
       "RABBITMQ CONNECTION WARNING - 2 queues that the loss of one more node "
       "would stop | 'quorum_critical_queues'=2;0;"},
      {"gauge", "leaderless_queues", 1, RMQ_VERDICT_CRITICAL,
       "RABBITMQ CONNECTION CRITICAL - 1 quorum queue without a leader | "
       "'leaderless_queues'=1;;0"},
      {"gauge", "leaderless_queues", 0, RMQ_VERDICT_OK,
       "RABBITMQ CONNECTION OK - 0 quorum queues without a leader | "
       "'leaderless_queues'=0;;0"},
      {"gauge", "vhosts_down", 1, RMQ_VERDICT_CRITICAL,
       "RABBITMQ CONNECTION CRITICAL - 1 virtual host down on a node that runs "
       "| 'vhosts_down'=1;;0"},
      {"gauge", "vhosts_down", 0, RMQ_VERDICT_OK,
       "RABBITMQ CONNECTION OK - 0 virtual hosts down on a node that runs | "
       "'vhosts_down'=0;;0"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_verdict v;
    begin_connection(&v);
    see(&v, rows[i].type, rows[i].instance, rows[i].value, cluster);
    expect(&v, rows[i].want_state, rows[i].want_line);
  }
}

static void what_was_asked_now_and_then_and_not_told_is_unknown(void **state) {
  (void)state;
  static const char *const events[] = {"connections_missing", "quorum_missing",
                                       "certificates_missing", "health_missing",
                                       "url_silent"};
  for (size_t i = 0; i < COUNT_OF(events); i++)
    for (int indicator = 0; indicator <= RMQ_VERDICT_THROUGHPUT; indicator++) {
      bool is_connection = indicator == RMQ_VERDICT_CONNECTION;
      assert_int_equal(
          rmq_verdict_is_part((enum rmq_verdict_indicator)indicator, events[i]),
          is_connection);
      assert_int_equal(
          rmq_verdict_needs_checks((enum rmq_verdict_indicator)indicator),
          is_connection);
    }
  struct rmq_verdict v;
  begin_connection(&v);
  rmq_verdict_hear(&v, "quorum_missing");
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ CONNECTION UNKNOWN - the broker does not tell all of it: "
         "connection refused");
}

static void a_probe_that_fails_says_why(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin_connection(&v);
  v.is_probed = true;
  v.probe_reason = "rabbit1:5672: refused | a\nb";
  see(&v, "bool", "amqp_usable", 0, cluster);
  expect(&v, RMQ_VERDICT_CRITICAL,
         "RABBITMQ CONNECTION CRITICAL - no message gets through, says the "
         "probe (rabbit1:5672: refused ? a?b)");
}

static void a_probe_without_a_verdict_leaves_nothing_ok(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin_connection(&v);
  v.is_probed = true;
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ CONNECTION UNKNOWN - the broker does not tell amqp_usable: "
         "connection refused");
  begin_connection(&v);
  v.is_probed = true;
  v.probe_reason = "of a failure that is over";
  see(&v, "bool", "amqp_usable", 1, cluster);
  see(&v, "latency", "probe_confirm", 0.002, cluster);
  see(&v, "latency", "probe_delivery", 0.003, cluster);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ CONNECTION OK - the probe's message came back in 0.003 s, "
         "it was confirmed in 0.002 s | 'probe_delivery'=0.003s;;300 "
         "'probe_confirm'=0.002s;;");
}

static void what_the_broker_does_not_say_is_unknown(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_THROUGHPUT, NULL, "100:", NULL);
  answer(&v);
  see(&v, "gauge", "ack_rate", 5, cluster);
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ THROUGHPUT UNKNOWN - the broker does not tell publish_rate: "
         "connection refused | 'ack_rate'=5;;");
  begin(&v, RMQ_VERDICT_ERRORS, NULL, NULL, NULL);
  answer(&v);
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ ERRORS UNKNOWN - the broker does not tell it: connection "
         "refused");
}

/* Figures without a limit are no verdict. */
static void without_the_part_that_decides_it_is_unknown(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_CONNECTION, NULL, NULL, NULL);
  answer(&v);
  see(&v, "current_connections", "open", 6, cluster);
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ CONNECTION UNKNOWN - the broker does not tell running: "
         "connection refused | 'connections'=6;;");
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see(&v, "queue_length", "ready", 6, cluster);
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ LAG UNKNOWN - the broker does not tell queue_backlog: "
         "connection refused | 'ready'=6;;");
}

static void of_a_part_of_the_queues_only_bad_news_is_believed(void **state) {
  (void)state;
  for (int is_bad = 0; is_bad < 2; is_bad++) {
    struct rmq_verdict v;
    struct rmq_buf line;
    begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
    answer(&v);
    see_queue(&v, "/", "q", is_bad ? 60000 : 1, 0);
    rmq_verdict_hear(&v, "scrape_failed");
    rmq_verdict_hear(&v, "too_many_queues");
    rmq_buf_init(&line, 4096);
    assert_int_equal(rmq_verdict_say(&v, "over MaxQueues", &line),
                     is_bad ? RMQ_VERDICT_CRITICAL : RMQ_VERDICT_UNKNOWN);
    rmq_buf_fini(&line);
    rmq_verdict_fini(&v);
  }
}

static void see_stream(struct rmq_verdict *v, const char *name, double lag) {
  see(v, "gauge", "stream_offset_lag", lag, (struct object){NULL, "/", name});
}

/* A stream has no length; what waits is what a consumer is behind. */
static void of_a_stream_it_is_its_consumers_that_are_judged(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see_queue(&v, "/", "q", 3, 0);
  see_stream(&v, "events", 10e6);
  expect(&v, RMQ_VERDICT_CRITICAL,
         "RABBITMQ LAG CRITICAL - queue events in vhost /: a consumer is "
         "10000000 messages of the stream behind | 'queue_backlog'=3;;50000 "
         "'queue_ready'=3;; 'queue_unacked'=0;; "
         "'stream_offset_lag'=10000000;;1000000");
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see_stream(&v, "events", 7);
  see_stream(&v, "other", 1);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ LAG OK - a consumer is 7 messages of the stream behind in "
         "the worst queue | 'stream_offset_lag'=7;;1000000");
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see_stream(&v, "events", (double)NAN);
  expect(&v, RMQ_VERDICT_UNKNOWN,
         "RABBITMQ LAG UNKNOWN - the broker does not tell queue_backlog: "
         "connection refused");
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, NULL);
  answer(&v);
  see_queue(&v, "/", "q", 3, 0);
  rmq_verdict_hear(&v, "streams_missing");
  assert_int_equal(rmq_verdict_judge(&v), RMQ_VERDICT_UNKNOWN);
  rmq_verdict_fini(&v);
}

/* A node that was never heard has no name, and so no series that is missed. */
static void without_a_nodes_numbers_nothing_is_ok(void **state) {
  (void)state;
  static const struct {
    enum rmq_verdict_indicator indicator;
    const char *type, *instance;
    struct object object;
  } rows[] = {
      {RMQ_VERDICT_CONNECTION, "bool", "running", {"rabbit@a", NULL, NULL}},
      {RMQ_VERDICT_LAG, "queue_length", "unacked", {NULL, "/", "q"}},
      {RMQ_VERDICT_ERRORS, "total_operations", "publish", {NULL, NULL, NULL}},
      {RMQ_VERDICT_RESOURCE, "percent", "memory", {"rabbit@a", NULL, NULL}},
      {RMQ_VERDICT_THROUGHPUT, "gauge", "ack_rate", {NULL, NULL, NULL}}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rmq_verdict_indicator_to_str(rows[i].indicator));
    struct rmq_verdict v;
    begin(&v, rows[i].indicator, NULL, NULL, NULL);
    answer(&v);
    see(&v, "queue_length", "ready", 1, rows[i].object);
    see(&v, rows[i].type, rows[i].instance, 1, rows[i].object);
    assert_int_equal(rmq_verdict_judge(&v), RMQ_VERDICT_OK);
    rmq_verdict_hear(&v, "metrics_missing");
    assert_int_equal(rmq_verdict_judge(&v), RMQ_VERDICT_UNKNOWN);
    rmq_verdict_fini(&v);
  }
}

static void no_rate_without_operations_is_no_error(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_ERRORS, NULL, NULL, NULL);
  answer(&v);
  see(&v, "total_operations", "publish", 0, cluster);
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ ERRORS OK - 0 published | 'published'=0;;");
}

static void a_name_cannot_break_the_line(void **state) {
  (void)state;
  struct rmq_verdict v;
  begin(&v, RMQ_VERDICT_LAG, NULL, NULL, "5");
  answer(&v);
  see_queue(&v, "/", "a|b\n'c=d", 6, 0);
  expect(&v, RMQ_VERDICT_CRITICAL,
         "RABBITMQ LAG CRITICAL - queue a?b?'c=d in vhost /: 6 messages ready "
         "or unacknowledged | 'queue_backlog'=6;;5 'queue_ready'=6;; "
         "'queue_unacked'=0;;");
  begin(&v, RMQ_VERDICT_RESOURCE, NULL, NULL, NULL);
  answer(&v);
  see(&v, "percent", "memory", 6, (struct object){"n|'=\t", NULL, NULL});
  expect(&v, RMQ_VERDICT_OK,
         "RABBITMQ RESOURCE OK - memory at 6 % of the limit | 'memory "
         "n____'=6%;80;95");
}

static void wrong_words_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *measure, *warning, *critical, *want;
  } rows[] = {
      {"depth", "1", NULL, "--measure: \"depth\" is nothing that lag has"},
      {"ready", NULL, NULL, "--measure: needs --warning or --critical"},
      {NULL, "x", NULL, "--warning: \"x\" is no range"},
      {NULL, "1", "2:1", "--critical: \"2:1\" is no range"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_verdict v;
    struct rmq_error err = {.text = ""};
    assert_int_equal(rmq_verdict_init(&v, RMQ_VERDICT_LAG, rows[i].measure,
                                      rows[i].warning, rows[i].critical, &err),
                     -1);
    assert_non_null(strstr(err.text, rows[i].want));
  }
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_answer_is_critical_and_says_why),
      cmocka_unit_test(a_full_queue_is_named_and_the_sum_is_performance_data),
      cmocka_unit_test(all_well_is_said_in_figures),
      cmocka_unit_test(empty_queues_are_one_figure),
      cmocka_unit_test(of_one_thing_words_are_singular),
      cmocka_unit_test(performance_data_has_six_digits_and_whole_counts),
      cmocka_unit_test(a_disk_that_fills_is_told_before_its_alarm),
      cmocka_unit_test(each_node_has_its_own_disk),
      cmocka_unit_test(the_worst_come_first_and_the_rest_is_counted),
      cmocka_unit_test(the_users_ranges_replace_the_limits_of_their_measure),
      cmocka_unit_test(a_node_that_is_down_is_critical),
      cmocka_unit_test(each_part_of_the_connection_has_its_limits),
      cmocka_unit_test(what_was_asked_now_and_then_and_not_told_is_unknown),
      cmocka_unit_test(a_probe_that_fails_says_why),
      cmocka_unit_test(a_probe_without_a_verdict_leaves_nothing_ok),
      cmocka_unit_test(what_the_broker_does_not_say_is_unknown),
      cmocka_unit_test(without_the_part_that_decides_it_is_unknown),
      cmocka_unit_test(of_a_part_of_the_queues_only_bad_news_is_believed),
      cmocka_unit_test(of_a_stream_it_is_its_consumers_that_are_judged),
      cmocka_unit_test(without_a_nodes_numbers_nothing_is_ok),
      cmocka_unit_test(no_rate_without_operations_is_no_error),
      cmocka_unit_test(a_name_cannot_break_the_line),
      cmocka_unit_test(wrong_words_are_refused)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
