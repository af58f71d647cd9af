/* SPDX-License-Identifier: MIT */
/* What a poll asks for at each detail level, and what comes of it. */
#include "rmq_config.h"

#include "common/broker/longest.h"

#include "common/broker/poll.h"

#include "tests/fake/web.h"
#include "tests/prop.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define NODES "[{\"name\":\"rabbit@a\",\"running\":true}]"
#define OVERVIEW(queues)                                                       \
  "{\"rabbitmq_version\":\"3.10.8\",\"object_totals\":{\"queues\":" #queues    \
  "},\"queue_totals\":{\"messages_ready\":60}}"
#define LENGTH(name, ready)                                                    \
  "{\"name\":\"" name "\",\"vhost\":\"/\",\"messages_ready\":" #ready          \
  ",\"messages_unacknowledged\":1}"
#define THREE LENGTH("a/b", 10) "," LENGTH("b", 20) "," LENGTH("c", 30)
#define ONE "{\"consumers\":2,\"memory\":777,\"message_stats\":{\"publish\":5}}"
#define METRICS(queues)                                                        \
  "rabbitmq_build_info{rabbitmq_version=\"3.10.8\"} 1\n"                       \
  "rabbitmq_identity_info{rabbitmq_node=\"rabbit@a\"} 1\n"                     \
  "rabbitmq_erlang_uptime_seconds 100\nrabbitmq_queues " #queues "\n"
#define DETAILED                                                               \
  "# TYPE rabbitmq_detailed_queue_messages_ready gauge\n"                      \
  "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"a\"} 1\n"        \
  "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"b\"} 2\n"        \
  "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"c\"} 3\n"        \
  "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"d\"} 0\n"

static struct fake_host fake;

struct fixture {
  struct fake_web server;
  struct rmq_poll poll;
  struct rmq_strings urls, metrics;
  char *items[1], *metrics_items[1];
  struct rmq_filter *all;
  struct rmq_snapshot s;
  struct rmq_poll_result r;
};

static char url[] = "http://a", metrics_url[] = "http://a:15692";

static void set_up(struct fixture *f, const struct fake_web_rule *rules,
                   enum rmq_source source, size_t max_queues) {
  static const struct rmq_strings none = {.count = 0};
  memset(f, 0, sizeof(*f));
  fake_host_init(&fake);
  f->server.rules = rules;
  f->server.clock = &fake;
  f->items[0] = url;
  f->metrics_items[0] = metrics_url;
  f->urls = (struct rmq_strings){.items = f->items, .count = 1};
  f->metrics = (struct rmq_strings){.items = f->metrics_items, .count = 1};
  f->all = rmq_filter_new(&none, &none, NULL);
  f->poll = (struct rmq_poll){.urls = &f->urls,
                              .metrics_urls = &f->metrics,
                              .source = source,
                              .timeout = rmq_s(5),
                              .budget = rmq_s(5),
                              .top_queues = 2,
                              .vhosts = f->all,
                              .queues = f->all,
                              .http = fake_web_http(&f->server),
                              .clock_ctx = &fake,
                              .mono = fake.host.mono,
                              .wall = fake.host.wall};
  rmq_poll_init(&f->poll);
  rmq_snapshot_init(&f->s, max_queues);
}

static void tear_down(struct fixture *f) {
  rmq_snapshot_fini(&f->s);
  rmq_poll_fini(&f->poll);
  rmq_filter_free(f->all);
}

static void run(struct fixture *f) {
  f->server.asked_count = 0;
  rmq_poll_run(&f->poll, rmq_mono_add(fake.now, rmq_s(10)), &f->s, &f->r);
  assert_int_equal(f->r.outcome, RMQ_POLL_ANSWERED);
}

static void run_at(struct fixture *f, enum rmq_detail_level level) {
  f->poll.details[0].level = f->poll.details[1].level = level;
  run(f);
  assert_int_equal(f->s.detail, level);
}

static bool has_asked(const struct fixture *f, const char *text) {
  for (size_t i = 0; i < f->server.asked_count; i++)
    if (strstr(f->server.asked[i], text) != NULL)
      return true;
  return false;
}

static const struct rmq_snapshot_queue *queue(const struct fixture *f,
                                              const char *name) {
  for (size_t i = 0; i < f->s.queues_count; i++)
    if (strcmp(f->s.queues[i].name, name) == 0)
      return &f->s.queues[i];
  return NULL;
}

static const struct fake_web_rule management[] = {
    {"overview", 200, OVERVIEW(3), 0},
    {"sort=messages&sort_reverse=true", 200,
     "{\"page_count\":1,\"items\":[" THREE "]}", 0.5},
    {"queues?columns=name,vhost,type,exclusive,messages_ready,messages_"
     "unacknowledged&"
     "disable_stats=true&enable_queue_totals=true",
     200, "[" THREE "]", 1},
    {"queues?page=1&", 200, "{\"page_count\":1,\"items\":[" THREE "]}", 2},
    {"api/queues/%2F/a%2Fb?columns=", 200, ONE, 0},
    {"api/queues/%2F/b?columns=", 200, ONE, 0},
    {"api/queues/%2F/c?columns=", 404, "{\"reason\":\"Not found\"}", 0},
    {"nodes", 200, NODES, 0},
    {NULL, 0, NULL, 0}};

static const struct fake_web_rule nodes[] = {
    {"metrics/detailed", 200, DETAILED, 0.1},
    {"15692/metrics", 200, METRICS(4), 0.1},
    {"api/nodes", 200, NODES, 0},
    {"api/queues/", 200, ONE, 0},
    {NULL, 0, NULL, 0}};

static void lengths_come_for_all_and_the_rest_of_the_longest(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, management, RMQ_SOURCE_MANAGEMENT, 100);
  run_at(&f, RMQ_DETAIL_LENGTHS);
  assert_int_equal(f.server.asked_count, 5);
  assert_false(has_asked(&f, "page="));
  assert_int_equal(f.s.queues_count, 3);
  assert_true(rmq_snapshot_has_all(&f.s));
  assert_true(queue(&f, "a/b")->ready == 10);
  assert_int_equal(queue(&f, "a/b")->counting, RMQ_COUNTED_NOT);
  assert_true(queue(&f, "b")->ready == 20 && queue(&f, "b")->unacked == 1);
  assert_true(queue(&f, "b")->consumers == 2 && queue(&f, "b")->memory == 777);
  assert_int_equal(queue(&f, "b")->stats[RMQ_STAT_PUBLISH], 5);
  assert_int_equal(queue(&f, "b")->counting, RMQ_COUNTED_WITH_ALL);
  /* the longest one went away meanwhile, and that is no error */
  assert_int_equal(queue(&f, "c")->counting, RMQ_COUNTED_NOT);
  assert_false(rmq_error_is_set(&f.r.queues_error));
  tear_down(&f);
}

static void the_longest_alone_are_asked_for_at_level_1(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, management, RMQ_SOURCE_MANAGEMENT, 2);
  run_at(&f, RMQ_DETAIL_TOP);
  assert_int_equal(f.server.asked_count, 5);
  assert_true(has_asked(&f, "sort=messages"));
  assert_int_equal(f.s.queues_count, 2);
  assert_null(queue(&f, "a/b"));
  assert_true(queue(&f, "b")->memory == 777);
  assert_true(rmq_snapshot_is_brief(&f.s));
  assert_false(rmq_snapshot_has_all(&f.s));
  assert_true(f.s.ready == 60); /* the totals are there */
  tear_down(&f);
}

static void level_1_keeps_no_more_than_is_wanted(void **state) {
  (void)state;
  for (int source = RMQ_SOURCE_MANAGEMENT; source <= RMQ_SOURCE_PROMETHEUS;
       source++) {
    struct fixture f;
    set_up(&f, source == RMQ_SOURCE_MANAGEMENT ? management : nodes,
           (enum rmq_source)source, 1);
    run_at(&f, RMQ_DETAIL_TOP);
    assert_int_equal(f.s.queues_count, 1); /* MaxQueues 1, TopQueues 2 */
    assert_string_equal(f.s.queues[0].name, "c");
    f.poll.top_queues = 0;
    run(&f);
    assert_int_equal(f.s.detail, RMQ_DETAIL_TOTALS);
    assert_false(has_asked(&f, "api/queues"));
    assert_false(has_asked(&f, "detailed"));
    tear_down(&f);
  }
}

static void without_statistics_lengths_make_the_sums(void **state) {
  (void)state;
  struct fake_web_rule rules[COUNT_OF(management)];
  memcpy(rules, management, sizeof(management));
  rules[0].body = "{\"rabbitmq_version\":\"3.10.8\",\"disable_stats\":true}";
  for (size_t most = 2; most <= 3; most++) {
    struct fixture f;
    set_up(&f, rules, RMQ_SOURCE_MANAGEMENT, most);
    run_at(&f, RMQ_DETAIL_LENGTHS);
    assert_int_equal(f.s.queues_count, most);
    if (most == 3)
      assert_true(f.s.ready == 60 && f.s.unacked == 3);
    else /* the list was not read to its end */
      assert_true(isnan(f.s.ready) && isnan(f.s.unacked));
    tear_down(&f);
  }
}

static void no_queue_is_asked_for_at_level_0(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, management, RMQ_SOURCE_MANAGEMENT, 100);
  run_at(&f, RMQ_DETAIL_TOTALS);
  assert_int_equal(f.server.asked_count, 2);
  assert_false(has_asked(&f, "queues"));
  assert_false(rmq_snapshot_has_all(&f.s));
  assert_true(f.s.ready == 60 && f.s.has_nodes);
  tear_down(&f);
}

/* Ten pages of 0.8 s each: the first one tells. */
static void slow_pages_are_given_up_within_the_poll(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW(5000), 0.1},
      {"queues?page=1&", 200, "{\"page_count\":10,\"items\":[" THREE "]}", 0.8},
      {"queues?columns", 200, "[" THREE "]", 1},
      {"api/queues/", 200, ONE, 0.1},
      {"nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, RMQ_SOURCE_MANAGEMENT, 5000);
  run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_LENGTHS);
  assert_string_equal(f.r.detail->reason.text,
                      "a poll would take 8 s, TimeBudget is 5 s");
  assert_int_equal(f.s.queues_count, 3); /* not those of the page, too */
  assert_int_equal(f.server.asked_count, 6);
  assert_true(f.s.listed_ready == 60);
  assert_true(f.r.seconds < 2.5);
  run(&f);
  assert_false(has_asked(&f, "page=1")); /* it is known now */
  tear_down(&f);
}

/* What was not read to its end is no part of what the next poll takes. */
static void pages_that_were_given_up_cost_their_level_only(void **state) {
  (void)state;
#define ITEMS "{\"page_count\":10,\"items\":[" THREE "]}"
  static const struct fake_web_rule usual[] = {
      {"overview", 200, OVERVIEW(5000), 0.02},
      {"queues?page=", 200, ITEMS, 0.19},
      {"queues?columns", 200, "[" THREE "]", 0.6},
      {"api/queues/", 200, ONE, 0},
      {"nodes", 200, NODES, 0.02},
      {NULL, 0, NULL, 0}};
  struct fake_web_rule stalling[7];
  struct fixture f;
  set_up(&f, usual, RMQ_SOURCE_MANAGEMENT, 5000);
  for (int i = 0; i < 5; i++)
    run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_ALL);
  memcpy(stalling + 1, usual, sizeof(usual));
  stalling[0] = (struct fake_web_rule){"queues?page=4&", 200, ITEMS, 4.4};
  f.server.rules = stalling;
  run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_LENGTHS);
  f.server.rules = usual;
  for (int i = 0; i < 20; i++) {
    run(&f);
    assert_true(f.s.detail >= RMQ_DETAIL_LENGTHS);
  }
  tear_down(&f);
}

static void pages_over_the_maximum_are_not_in_the_guess(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW(5000), 0.1},
      {"queues?page=", 200, "{\"page_count\":10,\"items\":[" THREE "]}", 0.8},
      {"nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, RMQ_SOURCE_MANAGEMENT, 5); /* 2 pages of 3 */
  run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_ALL);
  assert_int_equal(f.s.queues_count, 5);
  tear_down(&f);
}

/* The interval has room for one poll that takes longer than its budget; nodes
 * are asked for after it, and the next poll asks for less. */
static void a_list_that_hangs_leaves_time_for_the_nodes(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW(5000), 0.1},
      {"queues", 200, "[]", 100},
      {"nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, RMQ_SOURCE_MANAGEMENT, 5000);
  f.poll.timeout = rmq_s(60);
  run(&f);
  assert_true(f.r.seconds > 7.5 && f.r.seconds < 8);
  assert_true(f.s.has_nodes);
  assert_true(rmq_error_is_set(&f.r.queues_error));
  run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_TOTALS);
  assert_false(has_asked(&f, "queues"));
  assert_string_equal(f.r.detail->reason.text,
                      "the last poll took 7.6 s, TimeBudget is 5 s");
  tear_down(&f);
}

/* 50,000 queues, whose list takes 3 s at level 2 and 9 s at level 3. */
static void a_list_that_fails_soon_does_not_raise_the_level(void **state) {
  (void)state;
  struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW(50000), 0.05},
      {"queues?page=", 200, "{\"page_count\":100,\"items\":[" THREE "]}", 0.09},
      {"queues?columns", 200, "[" THREE "]", 3},
      {"api/queues/", 200, ONE, 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, RMQ_SOURCE_MANAGEMENT, 50000);
  for (int i = 0; i < 3; i++)
    run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_LENGTHS);
  rules[1] = (struct fake_web_rule){"queues?", 503, "", 0.02};
  for (int i = 0; i < 30; i++) {
    run(&f);
    assert_int_equal(f.s.detail, RMQ_DETAIL_LENGTHS);
    assert_true(rmq_error_is_set(&f.r.queues_error));
  }
  tear_down(&f);
}

static void questions_about_one_queue_stop_at_the_budget(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW(3), 0.1},
      {"queues?columns", 200, "[" THREE "]", 1},
      {"api/queues/", 200, ONE, 4.5},
      {"nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, RMQ_SOURCE_MANAGEMENT, 100);
  run_at(&f, RMQ_DETAIL_LENGTHS);
  assert_int_equal(f.server.asked_count, 4); /* one of two */
  assert_int_equal(f.s.queues_count, 3);
  tear_down(&f);
}

static void a_queue_that_cannot_be_asked_for_costs_itself(void **state) {
  (void)state;
  static const struct {
    int status; /* of the longest queue; 0 = no answer */
    bool want_others;
    const char *want_error;
  } rows[] = {
      {404, true, ""},
      {500, true,
       "http://a: the question about one queue was answered with HTTP status "
       "500 (oops)"},
      {0, false, "http://a: {\"reason\":\"oops\"}"},
  };
  for (int source = RMQ_SOURCE_AUTO; source <= RMQ_SOURCE_MANAGEMENT; source++)
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
      SHOW_ROW("%d, source %d", rows[i].status, source);
      struct fake_web_rule rules[COUNT_OF(management)];
      struct fixture f;
      if (source == RMQ_SOURCE_AUTO)
        memcpy(rules + 1, nodes, sizeof(nodes));
      else
        memcpy(rules + 1, management, sizeof(management) - sizeof(rules[0]));
      rules[0] = (struct fake_web_rule){"%2F/c?columns=", rows[i].status,
                                        "{\"reason\":\"oops\"}", 0};
      set_up(&f, rules, (enum rmq_source)source, 100);
      run_at(&f, RMQ_DETAIL_LENGTHS);
      assert_true(isnan(queue(&f, "c")->memory));
      assert_int_equal(queue(&f, "b")->memory == 777, rows[i].want_others);
      assert_string_equal(f.r.queues_error.text, rows[i].want_error);
      assert_true(rmq_snapshot_has_all(&f.s));
      tear_down(&f);
    }
}

static void nodes_are_asked_for_fewer_families(void **state) {
  (void)state;
  static const struct {
    enum rmq_detail_level level;
    const char *want, *want_not;
    size_t want_asked, want_queues;
  } rows[] = {
      {RMQ_DETAIL_ALL, "family=queue_delivery_metrics", "api/queues", 3, 4},
      {RMQ_DETAIL_LENGTHS, "family=queue_consumer_count", "queue_metrics", 5,
       4},
      {RMQ_DETAIL_TOP, "detailed?family=queue_coarse_metrics", "consumer", 5,
       2},
      {RMQ_DETAIL_TOTALS, "api/nodes", "detailed", 2, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    struct fixture f;
    set_up(&f, nodes, RMQ_SOURCE_AUTO, 100);
    run_at(&f, rows[i].level);
    assert_int_equal(f.server.asked_count, rows[i].want_asked);
    assert_true(has_asked(&f, rows[i].want));
    for (size_t k = 0; k < f.server.asked_count; k++)
      if (strstr(f.server.asked[k], "detailed") != NULL)
        assert_null(strstr(f.server.asked[k], rows[i].want_not));
    assert_int_equal(f.s.queues_count, rows[i].want_queues);
    if (rows[i].level == RMQ_DETAIL_LENGTHS || rows[i].level == RMQ_DETAIL_TOP)
      assert_int_equal(queue(&f, "c")->counting, RMQ_COUNTED_ALONE);
    tear_down(&f);
  }
}

static void nodes_alone_tell_lengths(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, nodes, RMQ_SOURCE_PROMETHEUS, 2);
  run_at(&f, RMQ_DETAIL_TOP);
  assert_int_equal(f.server.asked_count, 2);
  assert_int_equal(f.s.queues_count, 2); /* the longest, not the first ones */
  assert_true(queue(&f, "c")->ready == 3 && queue(&f, "b")->ready == 2);
  assert_int_equal(f.s.queues_left_out, 0);
  tear_down(&f);
}

static void over_a_thousand_queues_level_3_is_not_asked_for(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"metrics/detailed", 200, DETAILED, 0.1},
      {"15692/metrics", 200, METRICS(1001), 0.1},
      {"api/nodes", 200, NODES, 0},
      {"api/queues/", 200, ONE, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, RMQ_SOURCE_AUTO, 100);
  f.poll.budget.ns = 0; /* it is so without a budget, too */
  rmq_detail_init(&f.poll.details[1], 0);
  run(&f);
  assert_int_equal(f.s.detail, RMQ_DETAIL_LENGTHS);
  assert_true(queue(&f, "c")->memory == 777);
  assert_true(isnan(queue(&f, "a")->memory));
  tear_down(&f);
}

/* ---- the longest of a snapshot ---- */

static int is_before(const struct rmq_snapshot_queue *a,
                     const struct rmq_snapshot_queue *b) {
  double x = a->ready + a->unacked, y = b->ready + b->unacked;
  return x != y ? x > y : strcmp(a->name, b->name) < 0;
}

static void find(struct prop *p) {
  struct rmq_snapshot s;
  size_t indices[20], count = prop_below(p, 21), all = prop_below(p, 60);
  rmq_snapshot_init(&s, 100);
  for (size_t i = 0; i < all; i++) {
    char name[8];
    snprintf(name, sizeof(name), "%02zu", (i * 7) % 60);
    struct rmq_snapshot_queue *q = rmq_snapshot_add_queue(&s, "/", name);
    assert_non_null(q);
    q->ready = (double)prop_below(p, 4);
    q->unacked = (double)prop_below(p, 3);
  }
  size_t found = rmq_snapshot_longest(&s, count, indices);
  assert_true(found <= count);
  size_t longer = 0, with_messages = 0;
  for (size_t i = 0; i < all; i++) {
    const struct rmq_snapshot_queue *q = &s.queues[i];
    with_messages += q->ready + q->unacked > 0 ? 1 : 0;
    longer += found > 0 && q->ready + q->unacked > 0 &&
                      is_before(q, &s.queues[indices[found - 1]])
                  ? 1
                  : 0;
  }
  assert_int_equal(found, with_messages < count ? with_messages : count);
  assert_int_equal(longer, found > 0 ? found - 1 : 0);
  for (size_t i = 1; i < found; i++)
    assert_true(is_before(&s.queues[indices[i - 1]], &s.queues[indices[i]]));
  rmq_snapshot_keep(&s, indices, found);
  assert_int_equal(s.queues_count, found);
  rmq_snapshot_fini(&s);
}

static void the_longest_are_found_whatever_the_order(void **state) {
  (void)state;
  prop_run(500, find);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lengths_come_for_all_and_the_rest_of_the_longest),
      cmocka_unit_test(the_longest_alone_are_asked_for_at_level_1),
      cmocka_unit_test(level_1_keeps_no_more_than_is_wanted),
      cmocka_unit_test(without_statistics_lengths_make_the_sums),
      cmocka_unit_test(no_queue_is_asked_for_at_level_0),
      cmocka_unit_test(slow_pages_are_given_up_within_the_poll),
      cmocka_unit_test(pages_that_were_given_up_cost_their_level_only),
      cmocka_unit_test(pages_over_the_maximum_are_not_in_the_guess),
      cmocka_unit_test(a_list_that_hangs_leaves_time_for_the_nodes),
      cmocka_unit_test(a_list_that_fails_soon_does_not_raise_the_level),
      cmocka_unit_test(questions_about_one_queue_stop_at_the_budget),
      cmocka_unit_test(a_queue_that_cannot_be_asked_for_costs_itself),
      cmocka_unit_test(nodes_are_asked_for_fewer_families),
      cmocka_unit_test(nodes_alone_tell_lengths),
      cmocka_unit_test(over_a_thousand_queues_level_3_is_not_asked_for),
      cmocka_unit_test(the_longest_are_found_whatever_the_order),
  };
  return run_all(tests);
}
