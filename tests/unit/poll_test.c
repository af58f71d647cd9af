/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll.h"

#include "tests/fake/web.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define OVERVIEW "{\"rabbitmq_version\":\"3.10.8\",\"queue_totals\":{}}"
#define NODES "[{\"name\":\"rabbit@a\",\"running\":true}]"
#define PAGE(page, pages, item)                                                \
  "{\"page_count\":" #pages ",\"page\":" #page ",\"items\":[" item "]}"
#define QUEUE(name) "{\"name\":\"" name "\",\"vhost\":\"/\"}"

static struct fake_host fake;

struct fixture {
  struct fake_web server;
  struct rmq_poll poll;
  struct rmq_strings urls;
  char *items[3];
  struct rmq_strings metrics;
  char *metrics_items[2];
  struct rmq_filter *all;
  struct rmq_snapshot s;
  struct rmq_poll_result r;
};

static char metrics_a[] = "http://a:15692", metrics_b[] = "http://b:15692";
static char url_a[] = "http://a", url_b[] = "http://b", url_c[] = "http://c/p";

static void set_up(struct fixture *f, const struct fake_web_rule *rules,
                   size_t max_queues) {
  static const struct rmq_strings none = {.count = 0};
  memset(f, 0, sizeof(*f));
  fake_host_init(&fake);
  f->server.rules = rules;
  f->server.clock = &fake;
  f->items[0] = url_a;
  f->items[1] = url_b;
  f->items[2] = url_c;
  f->urls = (struct rmq_strings){.items = f->items, .count = 3};
  f->metrics_items[0] = metrics_a;
  f->metrics_items[1] = metrics_b;
  f->metrics = (struct rmq_strings){.items = f->metrics_items, .count = 0};
  f->all = rmq_filter_new(&none, &none, NULL);
  f->poll = (struct rmq_poll){.urls = &f->urls,
                              .metrics_urls = &f->metrics,
                              .timeout = rmq_s(5),
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
}

static void overview_pages_and_nodes_are_asked_in_that_order(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0.25},
      {"queues?page=1&page_size=500&", 200,
       PAGE(1, 2, QUEUE("a") "," QUEUE("b")), 1},
      {"queues?page=2&page_size=500&", 200, PAGE(2, 2, QUEUE("c")), 1},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
  assert_int_equal(f.server.asked_count, 4);
  assert_string_equal(f.server.asked[0], "http://a/api/overview");
  assert_non_null(strstr(f.server.asked[3], "http://a/api/nodes?columns="));
  assert_int_equal(f.s.queues_count, 3);
  assert_true(f.s.has_all_queues);
  assert_true(f.s.has_nodes);
  assert_true(f.s.response_time > 0.249 && f.s.response_time < 0.251);
  assert_true(f.r.seconds > 2.24 && f.r.seconds < 2.26);
  assert_true(f.r.bytes > 100);
  assert_int_equal(f.s.time.ns, 1700000000250000000);
  assert_false(rmq_error_is_set(&f.r.error));
  tear_down(&f);
}

static void vhosts_are_asked_for_where_some_are_wanted(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("a")), 0},
      {"vhosts", 200, "[{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"a\"}]",
       0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  static const struct fake_web_rule refusing[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("a")), 0},
      {"vhosts", 500, "", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  static char excluded[] = "a";
  static char *items[] = {excluded};
  static const struct rmq_strings none = {.count = 0},
                                  names = {.items = items, .count = 1};
  struct fixture f;
  set_up(&f, rules, 100);
  struct rmq_filter *not_a = rmq_filter_new(&none, &names, NULL);
  f.poll.vhosts = not_a;
  f.s.vhosts_max = 1;
  run(&f);
  assert_int_equal(f.server.asked_count, 4);
  assert_non_null(strstr(f.server.asked[2], "/api/vhosts?columns=name,"));
  assert_int_equal(f.s.vhosts_count, 1);
  assert_string_equal(f.s.vhosts[0].name, "b");
  assert_int_equal(f.s.vhosts_left_out, 1);
  assert_false(rmq_error_is_set(&f.r.vhosts_error));
  f.server.rules = refusing;
  run(&f);
  assert_int_equal(f.s.vhosts_count, 0);
  assert_non_null(strstr(f.r.vhosts_error.text, "HTTP status 500"));
  assert_true(f.s.has_nodes && f.s.has_all_queues);
  rmq_filter_free(not_a);
  tear_down(&f);
}

/* Which nobody asked for with MaxQueues 0. */
static void vhosts_are_left_out_at_the_lowest_level(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("a")), 6},
      {"vhosts", 200, "[{\"name\":\"b\"}]", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  static const struct {
    size_t max_queues;
    bool want_level_0, want_vhosts; /* in the second poll */
  } rows[] = {{100, true, false}, {0, true, true}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("MaxQueues %zu", rows[i].max_queues);
    struct fixture f;
    set_up(&f, rules, rows[i].max_queues);
    f.poll.timeout = rmq_s(8);
    f.poll.budget = rmq_s(5);
    rmq_detail_init(&f.poll.details[0], 5);
    f.s.vhosts_max = 1;
    run(&f);
    assert_int_equal(f.s.vhosts_count, 1);
    run(&f);
    assert_int_equal(f.s.detail == RMQ_DETAIL_TOTALS, rows[i].want_level_0);
    assert_int_equal(f.s.vhosts_count, rows[i].want_vhosts);
    assert_int_equal(f.server.asked_count, 2 + rows[i].want_vhosts);
    assert_false(rmq_error_is_set(&f.r.vhosts_error));
    tear_down(&f);
  }
}

static void
stream_consumers_are_asked_for_where_there_are_streams(void **state) {
  (void)state;
#define STREAM "{\"name\":\"log\",\"vhost\":\"/\",\"type\":\"stream\"}"
  static const struct fake_web_rule without[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("a")), 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  static const struct fake_web_rule no_plugin[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("z") "," STREAM), 0},
      {"stream/consumers", 404, "", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  static const struct fake_web_rule with_plugin[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("z") "," STREAM), 0},
      {"stream/consumers", 200,
       "[{\"queue\":{\"vhost\":\"/\",\"name\":\"log\"},\"offset_lag\":7}]", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, without, 100);
  run(&f);
  assert_int_equal(f.server.asked_count, 3);
  f.server.rules = no_plugin;
  run(&f);
  assert_int_equal(f.server.asked_count, 4);
  assert_true(isnan(f.s.stream_lag));
  assert_false(rmq_error_is_set(&f.r.streams_error));
  f.server.rules = with_plugin;
  run(&f); /* not asked again at once */
  assert_int_equal(f.server.asked_count, 3);
  fake_host_advance(&fake, rmq_s(RMQ_POLL_PROBE_S));
  run(&f);
  assert_int_equal(f.server.asked_count, 4);
  assert_true(f.s.stream_lag == 7);
  assert_string_equal(f.s.queues[0].name, "log");
  assert_true(f.s.queues[0].stream_lag == 7);
  assert_true(isnan(f.s.queues[1].stream_lag));
  tear_down(&f);
}

/* The cluster's lag is that of all streams, as with Prometheus. */
static void streams_that_are_not_wanted_have_a_lag_nevertheless(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues", 200, PAGE(1, 1, QUEUE("a") "," STREAM), 0},
      {"stream/consumers", 200,
       "[{\"queue\":{\"vhost\":\"/\",\"name\":\"log\"},\"offset_lag\":7}]", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  static const struct fake_web_rule gone[] = {
      {"http://", 0, "Connection refused", 0}, {NULL, 0, NULL, 0}};
  static char name[] = "a";
  static char *items[] = {name};
  static const struct rmq_strings none = {.count = 0},
                                  names = {.items = items, .count = 1};
  static const bool by_type[] = {true, false};
  for (size_t i = 0; i < COUNT_OF(by_type); i++) {
    struct fixture f;
    struct rmq_filter *only_a = rmq_filter_new(&names, &none, NULL);
    SHOW_ROW("%s", by_type[i] ? "QueueType" : "IncludeQueue");
    set_up(&f, rules, 100);
    f.s.choice.no_streams = by_type[i];
    if (!by_type[i])
      f.poll.queues = only_a;
    run(&f);
    assert_true(f.s.stream_lag == 7);
    assert_int_equal(f.s.queues_count, 1);
    assert_string_equal(f.s.queues[0].name, "a");
    assert_true(isnan(f.s.queues[0].stream_lag));
    f.server.rules = gone;
    run(&f);
    assert_false(f.s.has_streams);
    rmq_filter_free(only_a);
    tear_down(&f);
  }
}

static void the_next_url_is_tried_and_the_last_good_one_kept(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"http://a", 0, "Connection refused", 0},
      {"http://b", 500, "<html>oops", 0},
      {"/p/api/overview", 200, OVERVIEW, 0},
      {"/p/api/queues", 200, PAGE(1, 1, ""), 0},
      {"/p/api/nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
  assert_string_equal(f.r.url, "http://c/p");
  assert_int_equal(f.server.asked_count, 5);
  run(&f);
  assert_int_equal(f.server.asked_count, 3);
  assert_string_equal(f.server.asked[0], "http://c/p/api/overview");
  tear_down(&f);
}

static void what_no_url_answers_is_said_by_the_first_one(void **state) {
  (void)state;
  static const struct {
    const char *name;
    struct fake_web_rule rules[3];
    enum rmq_poll_outcome want;
    const char *want_error;
    int want_status;
    const char *want_refused_by;
  } rows[] = {
      {"refused connections",
       {{"http", 0, "Connection refused", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: Connection refused",
       0,
       NULL},
      {"wrong password",
       {{"http", 401, "{\"reason\":\"Login failed\"}", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_REFUSED,
       "http://a: the overview was answered with HTTP status 401 (Login "
       "failed); check User and Password, and that the user has the tag "
       "\"monitoring\"",
       401,
       "http://a"},
      {"one says the password is wrong",
       {{"http://b", 401, "", 0}, {"http", 503, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_REFUSED,
       "http://a: the overview was answered with HTTP status 503",
       401,
       "http://b"},
      {"one is away and one busy",
       {{"http://a", 0, "gone", 0}, {"http", 503, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: gone",
       503,
       "http://b"},
      {"another server",
       {{"http", 200, "<html>hello", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: the overview is not JSON",
       0,
       NULL},
      {"a redirect",
       {{"http", 302, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: the overview was answered with HTTP status 302",
       302,
       "http://a"},
      {"not the management plugin",
       {{"http", 404, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: the overview was answered with HTTP status 404; is this",
       404,
       "http://a"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct fixture f;
    set_up(&f, rows[i].rules, 100);
    run(&f);
    assert_int_equal(f.r.outcome, rows[i].want);
    assert_ptr_equal(strstr(f.r.error.text, rows[i].want_error),
                     f.r.error.text);
    assert_int_equal(f.r.refusal.status, rows[i].want_status);
    if (rows[i].want_refused_by == NULL)
      assert_null(f.r.refusal.url);
    else
      assert_string_equal(f.r.refusal.url, rows[i].want_refused_by);
    assert_int_equal(f.server.asked_count, 3);
    tear_down(&f);
  }
}

/* With a poll that ends after so many seconds. */
static void run_within(struct fixture *f, int64_t seconds) {
  f->server.asked_count = 0;
  rmq_poll_run(&f->poll, rmq_mono_add(fake.now, rmq_s(seconds)), &f->s, &f->r);
}

/* However few seconds there are, and whatever one request may take. */
static void urls_that_hang_hide_none_behind_them(void **state) {
  (void)state;
  static const struct fake_web_rule last_one[] = {
      {"http://a", 200, OVERVIEW, 1000},
      {"http://b", 200, OVERVIEW, 1000},
      {"/p/api/overview", 200, OVERVIEW, 0.1},
      {"/p/api/queues", 200, PAGE(1, 1, QUEUE("q")), 0.1},
      {"/p/api/nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  static const struct fake_web_rule second[] = {
      {"http://a", 200, OVERVIEW, 1000},
      {"b/api/overview", 200, OVERVIEW, 0.1},
      {"b/api/queues", 200, PAGE(1, 1, QUEUE("q")), 0.1},
      {"b/api/nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  static const struct fake_web_rule slow[] = {
      {"http://a", 200, OVERVIEW, 1000},
      {"http://b", 200, OVERVIEW, 1000},
      {"/p/api/overview", 200, OVERVIEW, 4},
      {"/p/api/queues", 200, PAGE(1, 1, QUEUE("q")), 0.1},
      {"/p/api/nodes", 200, NODES, 0.1},
      {NULL, 0, NULL, 0}};
  static const struct {
    const char *name;
    const struct fake_web_rule *rules;
    int64_t interval, timeout;
    int want_polls; /* until one is answered */
    const char *want_url;
  } rows[] = {
      {"two of three, the defaults", last_one, 10, 5, 1, "http://c/p"},
      {"two of three, no longer than a request", last_one, 5, 5, 1,
       "http://c/p"},
      {"one of three, no longer than a request", second, 5, 5, 1, "http://b"},
      {"one of three, shorter than a request", second, 2, 5, 1, "http://b"},
      {"two of three, and the third is slow", slow, 10, 5, 2, "http://c/p"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct fixture f;
    set_up(&f, rows[i].rules, 100);
    f.poll.timeout = rmq_s(rows[i].timeout);
    f.poll.budget.ns = rows[i].interval * RMQ_NS_PER_S / 2;
    for (int poll = 1; poll <= rows[i].want_polls; poll++) {
      struct rmq_mono before = fake.now;
      run_within(&f, rows[i].interval);
      assert_true(rmq_mono_since(fake.now, before).ns <=
                  rows[i].interval * RMQ_NS_PER_S);
      assert_int_equal(f.r.outcome, poll == rows[i].want_polls
                                        ? RMQ_POLL_ANSWERED
                                        : RMQ_POLL_UNREACHABLE);
    }
    assert_string_equal(f.r.url, rows[i].want_url);
    /* and there was time for the rest */
    assert_int_equal(f.s.queues_count, 1);
    assert_true(f.s.has_all_queues && f.s.has_nodes);
    run_within(&f, rows[i].interval);
    assert_string_equal(f.r.url, rows[i].want_url);
    assert_int_equal(f.server.asked_count, 3);
    tear_down(&f);
  }
}

/* More of them than one poll has time for: each one's turn comes. */
static void of_many_urls_the_one_that_answers_is_found(void **state) {
  (void)state;
  enum { MANY = 12, FEW_POLLS = 6 };
  char names[MANY][20], answers[300];
  char *items[MANY];
  for (int i = 0; i < MANY; i++) {
    snprintf(names[i], sizeof(names[i]), "http://n%02d", i);
    items[i] = names[i];
  }
  for (int good = 0; good < MANY; good++) {
    SHOW_ROW("%d", good);
    snprintf(answers, sizeof(answers), "%s/", names[good]);
    const struct fake_web_rule rules[] = {{answers, 200, OVERVIEW, 0.1},
                                          {"http", 200, "", 1000},
                                          {NULL, 0, NULL, 0}};
    struct fixture f;
    set_up(&f, rules, 0);
    f.urls = (struct rmq_strings){.items = items, .count = MANY};
    int polls = 0;
    do {
      run(&f);
      assert_true(f.server.asked_count >= 2);
      polls++;
    } while (f.r.outcome != RMQ_POLL_ANSWERED && polls < FEW_POLLS);
    assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
    assert_string_equal(f.r.url, names[good]);
    tear_down(&f);
  }
}

static void a_hanging_server_costs_its_timeout_and_no_more(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {{"http", 200, OVERVIEW, 1000},
                                               {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  struct rmq_mono before = fake.now;
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
  /* 5 s, half of what is left, and the rest */
  assert_int_equal(f.server.asked_count, 3);
  assert_int_equal(rmq_mono_since(fake.now, before).ns, rmq_s(10).ns);
  assert_string_equal(f.r.error.text, "http://a: timed out");
  tear_down(&f);
}

static void parts_that_fail_leave_the_rest(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues?page=1&", 200, PAGE(1, 3, QUEUE("a")), 0},
      {"queues?page=2&", 500, "{\"reason\":\"timeout\"}", 0},
      {"nodes", 401, "{\"reason\":\"Not monitor user\"}", 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
  assert_int_equal(f.s.queues_count, 1);
  assert_false(f.s.has_all_queues);
  assert_false(f.s.has_nodes);
  assert_non_null(strstr(f.r.queues_error.text, "500 (timeout)"));
  assert_non_null(strstr(f.r.nodes_error.text, "401 (Not monitor user); check "
                                               "User and Password, and that "
                                               "the user has the tag"));
  tear_down(&f);
}

static void a_page_that_is_gone_is_the_end_of_the_list(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues?page=1&", 200, PAGE(1, 2, QUEUE("a")), 0},
      {"queues?page=2&", 400, "{\"error\":\"page_out_of_range\"}", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  run(&f);
  assert_true(f.s.has_all_queues);
  assert_int_equal(rmq_snapshot_patience(&f.s), 1); /* the rest moved to it */
  assert_false(rmq_error_is_set(&f.r.queues_error));
  tear_down(&f);
}

static void a_queue_may_slip_between_pages_only(void **state) {
  (void)state;
  static const struct {
    const char *name;
    struct fake_web_rule page_1, page_2;
    size_t max_queues;
    int want;
  } rows[] = {
      {"one page", {"?page=1&", 200, PAGE(1, 1, QUEUE("a")), 0}, {0}, 9, 0},
      {"two, of which b was deleted and c is on the first now",
       {"?page=1&", 200, PAGE(1, 2, QUEUE("a") "," QUEUE("b")), 0},
       {"?page=2&", 200, PAGE(2, 2, QUEUE("d")), 0},
       9,
       1},
      {"the second one fails",
       {"?page=1&", 200, PAGE(1, 2, QUEUE("a")), 0},
       {"?page=2&", 500, "", 0},
       9,
       RMQ_SNAPSHOT_PATIENCE},
      {"more than the maximum",
       {"?page=1&", 200, PAGE(1, 2, QUEUE("a") "," QUEUE("b")), 0},
       {0},
       1,
       RMQ_SNAPSHOT_PATIENCE},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const struct fake_web_rule rules[] = {{"overview", 200, OVERVIEW, 0},
                                          {"nodes", 200, NODES, 0},
                                          rows[i].page_1,
                                          rows[i].page_2,
                                          {NULL, 0, NULL, 0}};
    struct fixture f;
    SHOW_ROW("%s", rows[i].name);
    set_up(&f, rules, rows[i].max_queues);
    run(&f);
    assert_int_equal(rmq_snapshot_patience(&f.s), rows[i].want);
    tear_down(&f);
  }
}

static void no_page_is_asked_for_beyond_the_maximum(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues?page=1&", 200, PAGE(1, 9, QUEUE("a") "," QUEUE("b")), 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 1);
  run(&f);
  assert_int_equal(f.s.queues_count, 1);
  assert_int_equal(f.s.queues_left_out, 1);
  assert_true(f.s.has_all_queues);
  tear_down(&f);
  set_up(&f, rules, 0);
  run(&f);
  assert_int_equal(f.server.asked_count, 2); /* no list at all */
  tear_down(&f);
}

static void without_statistics_lengths_come_from_the_list(void **state) {
  (void)state;
#define LONG_QUEUE(name, ready)                                                \
  "{\"name\":\"" name "\",\"vhost\":\"/\",\"messages_ready\":" #ready          \
  ",\"messages_unacknowledged\":1}"
  static const struct fake_web_rule rules[] = {
      {"overview", 200,
       "{\"rabbitmq_version\":\"3.10.8\",\"disable_stats\":true,"
       "\"object_totals\":{\"connections\":2}}",
       0},
      {"queues?page=1&", 200,
       PAGE(1, 1, LONG_QUEUE("a", 5) "," LONG_QUEUE("b", 7)), 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  for (size_t most = 1; most <= 2; most++) {
    struct fixture f;
    set_up(&f, rules, most);
    run(&f);
    assert_non_null(strstr(f.server.asked[1], "enable_queue_totals=true"));
    assert_true(f.s.connections == 2);
    assert_int_equal(f.s.queues_count, most);
    if (most == 2)
      assert_true(f.s.ready == 12 && f.s.unacked == 2);
    else /* the list was not read to its end */
      assert_true(isnan(f.s.ready) && isnan(f.s.unacked));
    assert_true(rmq_error_is_set(&f.r.statistics_error));
    tear_down(&f);
  }
}

static void a_cancelled_poll_asks_nothing_more(void **state) {
  (void)state;
  static const struct {
    const char *cancelled;
    size_t want_asked;
  } rows[] = {{"overview", 1}, {"queues", 2}, {"nodes", 3}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const struct fake_web_rule rules[] = {{rows[i].cancelled, -1, "", 0},
                                          {"overview", 200, OVERVIEW, 0},
                                          {"queues", 200, PAGE(1, 1, ""), 0},
                                          {"nodes", 200, NODES, 0},
                                          {NULL, 0, NULL, 0}};
    struct fixture f;
    set_up(&f, rules, 100);
    run(&f);
    assert_int_equal(f.r.outcome, RMQ_POLL_CANCELLED);
    assert_int_equal(f.server.asked_count, rows[i].want_asked);
    tear_down(&f);
  }
}

static void a_body_over_the_maximum_is_a_failure(void **state) {
  (void)state;
  static const struct fake_web_rule rules[] = {{"http", 200, OVERVIEW, 0},
                                               {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  f.poll.body.max = 10;
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
  assert_string_equal(f.r.error.text,
                      "http://a: the answer is larger than 10 bytes");
  tear_down(&f);
}

/* ---- sources ---- */

#define METRICS(node)                                                          \
  "rabbitmq_build_info{rabbitmq_version=\"3.13.7\"} 1\n"                       \
  "rabbitmq_identity_info{rabbitmq_node=\"rabbit@" node "\"} 1\n"              \
  "rabbitmq_erlang_uptime_seconds 100\nrabbitmq_queue_messages_ready 4\n"
#define DETAILED(queue)                                                        \
  "rabbitmq_detailed_queue_messages_ready{vhost=\"/\",queue=\"" queue "\"} "   \
  "4\n"
#define TWO_NODES                                                              \
  "[{\"name\":\"rabbit@a\",\"running\":true},"                                 \
  "{\"name\":\"rabbit@b\",\"running\":true}]"
#define B_IS_DOWN                                                              \
  "[{\"name\":\"rabbit@a\",\"running\":true},"                                 \
  "{\"name\":\"rabbit@b\",\"running\":false}]"

/* A server that speaks of two nodes through both sources; the first rules can
 * be replaced. */
struct cluster {
  struct fake_web_rule rules[12];
};

enum { DETAILED_A, DETAILED_B, METRICS_A, METRICS_B, LIST, OVERVIEW_RULE };

static struct cluster make_cluster(void) {
  return (struct cluster){
      {{"a:15692/metrics/detailed", 200, DETAILED("qa"), 0},
       {"b:15692/metrics/detailed", 200, DETAILED("qb"), 0},
       {"a:15692/metrics", 200, METRICS("a"), 0.5},
       {"b:15692/metrics", 200, METRICS("b"), 0.25},
       {"api/nodes", 200, TWO_NODES, 0},
       {"api/overview", 200, "{\"rabbitmq_version\":\"3.13.7\"}", 0},
       {"api/queues", 200, PAGE(1, 1, QUEUE("from management")), 0},
       {NULL, 0, NULL, 0}}};
}

static void poll_cluster(struct fixture *f, const struct cluster *c) {
  f->server.rules = c->rules;
  fake_host_advance(&fake, rmq_s(10));
  run(f);
}

static void begin_cluster(struct fixture *f, const struct cluster *c) {
  set_up(f, c->rules, 100);
  f->metrics.count = 2;
}

static void auto_takes_prometheus_when_every_node_answers(void **state) {
  (void)state;
  struct cluster c = make_cluster();
  struct fixture f;
  begin_cluster(&f, &c);
  poll_cluster(&f, &c);
  assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  assert_true(f.r.is_switched);
  assert_string_equal(f.r.reason.text,
                      "every running node answers at a MetricsURL");
  assert_string_equal(f.r.url, "http://a:15692");
  assert_int_equal(f.server.asked_count, 5); /* two nodes, the list, queues */
  assert_int_equal(f.s.queues_count, 2);
  assert_int_equal(f.s.nodes_count, 2);
  assert_true(f.s.ready == 8);
  assert_true(f.s.metrics_time == 0.5);
  assert_true(f.s.has_all_queues);
  poll_cluster(&f, &c);
  assert_false(f.r.is_switched); /* it is said once */
  assert_int_equal(f.server.asked_count, 5);
  tear_down(&f);
}

static void one_node_at_two_urls_is_counted_once_and_missing_nowhere(void **s) {
  (void)s;
  struct cluster c = make_cluster();
  struct fixture f;
  c.rules[METRICS_B].body = METRICS("a");
  c.rules[LIST].body = "[{\"name\":\"rabbit@a\",\"running\":true}]";
  begin_cluster(&f, &c);
  poll_cluster(&f, &c);
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  assert_true(f.s.ready == 4);
  assert_false(rmq_error_is_set(&f.r.metrics_error));
  assert_string_equal(f.r.twice.text,
                      "http://b:15692/metrics: rabbit@a answers "
                      "at another MetricsURL, too");
  f.poll.source = RMQ_SOURCE_PROMETHEUS; /* no list: is one behind b's? */
  poll_cluster(&f, &c);
  assert_false(rmq_error_is_set(&f.r.twice));
  assert_true(rmq_error_is_set(&f.r.metrics_error));
  tear_down(&f);
}

static void auto_takes_management_when_a_part_would_be_missing(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int rule;
    struct fake_web_rule with;
    size_t metrics_count;
    const char *want_reason;
  } rows[] = {
      {"one for two nodes",
       LIST,
       {"api/nodes", 200, TWO_NODES, 0},
       1,
       "rabbit@b runs and does not answer at any MetricsURL"},
      {"the plugin is absent",
       METRICS_B,
       {"b:15692/metrics", 0, "Connection refused", 0},
       2,
       "rabbit@b runs and does not answer at any MetricsURL; "
       "http://b:15692/metrics: Connection refused"},
      {"another server",
       METRICS_B,
       {"b:15692/metrics", 200, "<html>", 0},
       2,
       "rabbit@b runs and does not answer at any MetricsURL; "
       "http://b:15692/metrics: the answer is not of a RabbitMQ node"},
      {"nodes that do not want us",
       METRICS_B,
       {"b:15692/metrics", 401, "", 0},
       2,
       "rabbit@b runs and does not answer at any MetricsURL; "
       "http://b:15692/metrics was answered with HTTP status 401; check User"},
      {"an old version",
       DETAILED_A,
       {"a:15692/metrics/detailed", 404, "", 0},
       2,
       "http://a:15692/metrics/detailed was answered with HTTP status 404; "
       "RabbitMQ before 3.9.8 does not have it"},
      {"both URLs lead to one node",
       METRICS_B,
       {"b:15692/metrics", 200, METRICS("a"), 0},
       2,
       "rabbit@b runs and does not answer at any MetricsURL; "
       "http://b:15692/metrics: rabbit@a answers at another MetricsURL"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct cluster c = make_cluster();
    struct fixture f;
    begin_cluster(&f, &c);
    f.metrics.count = rows[i].metrics_count;
    c.rules[rows[i].rule] = rows[i].with;
    poll_cluster(&f, &c);
    assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
    assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
    assert_true(f.r.is_switched);
    assert_ptr_equal(strstr(f.r.reason.text, rows[i].want_reason),
                     f.r.reason.text);
    assert_int_equal(f.s.queues_count, 1);
    assert_string_equal(f.s.queues[0].name, "from management");
    assert_false(f.s.is_per_node);
    poll_cluster(&f, &c);
    assert_false(f.r.is_switched);
    assert_int_equal(f.server.asked_count, 3); /* nobody else is asked */
    tear_down(&f);
  }
}

static void auto_has_no_choice_without_a_metrics_url(void **state) {
  (void)state;
  struct cluster c = make_cluster();
  struct fixture f;
  begin_cluster(&f, &c);
  f.metrics.count = 0;
  for (int i = 0; i < 2; i++) {
    poll_cluster(&f, &c);
    assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
    assert_false(f.r.is_switched);
    assert_int_equal(f.server.asked_count, 3);
  }
  tear_down(&f);
}

static void a_node_that_says_nothing_of_queues_is_counted(void **state) {
  (void)state;
  struct cluster whole = make_cluster(), broken = make_cluster();
  broken.rules[DETAILED_B].status = 500;
  broken.rules[DETAILED_B].body = "";
  struct fixture f;
  begin_cluster(&f, &whole);
  poll_cluster(&f, &whole);
  assert_int_equal(f.s.silent_of_queues, 0);
  poll_cluster(&f, &broken);
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  assert_int_equal(f.s.silent, 0);
  assert_int_equal(f.s.silent_of_queues, 1);
  assert_int_equal(f.s.queues_count, 1);
  poll_cluster(&f, &whole);
  assert_int_equal(f.s.silent_of_queues, 0);
  tear_down(&f);
}

static void auto_finds_out_anew(void **state) {
  (void)state;
  struct cluster whole = make_cluster(), broken = make_cluster(), newer;
  broken.rules[METRICS_B].status = 0;
  newer = whole;
  newer.rules[OVERVIEW_RULE].body = "{\"rabbitmq_version\":\"4.0.5\"}";
  struct fixture f;
  begin_cluster(&f, &whole);
  poll_cluster(&f, &broken);
  assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
  poll_cluster(&f, &whole); /* not at once */
  assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
  poll_cluster(&f, &newer); /* an upgrade */
  assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
  poll_cluster(&f, &newer);
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  assert_true(f.r.is_switched);
  /* what was good is waited for */
  for (int i = 1; i < RMQ_POLL_PATIENCE; i++) {
    poll_cluster(&f, &broken);
    assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
    assert_false(f.r.is_switched);
    assert_int_equal(f.s.silent, 1);
    assert_int_equal(f.s.queues_count, 1);
    assert_false(f.s.has_all_queues);
  }
  poll_cluster(&f, &broken);
  assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
  assert_true(f.r.is_switched);
  /* and tried again after some minutes */
  int polls = 0;
  do {
    poll_cluster(&f, &whole);
    polls++;
  } while (f.r.source == RMQ_SOURCE_MANAGEMENT && polls < 100);
  assert_int_equal(polls, RMQ_POLL_PROBE_S / 10);
  tear_down(&f);
}

static void a_node_that_is_down_is_no_reason_to_switch(void **state) {
  (void)state;
  struct cluster whole = make_cluster(), down = make_cluster();
  down.rules[METRICS_B] =
      (struct fake_web_rule){"b:15692/metrics", 0, "Connection refused", 0};
  down.rules[LIST].body = B_IS_DOWN;
  struct fixture f;
  begin_cluster(&f, &whole);
  poll_cluster(&f, &whole);
  for (int i = 0; i < 10; i++) {
    poll_cluster(&f, &down);
    assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
    assert_int_equal(f.s.silent, 0);
    assert_true(f.s.ready == 4); /* of the other one */
    assert_true(f.s.nodes[1].running == 0);
    assert_true(rmq_error_is_set(&f.r.metrics_error));
  }
  tear_down(&f);
}

static void without_management_the_nodes_are_observed(void **state) {
  (void)state;
  struct cluster c = make_cluster();
  c.rules[LIST] = c.rules[OVERVIEW_RULE] =
      (struct fake_web_rule){"api/", 0, "Connection refused", 0};
  struct fixture f;
  begin_cluster(&f, &c);
  for (int i = 0; i < 3; i++) {
    poll_cluster(&f, &c);
    assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
    assert_int_equal(f.s.nodes_count, 2);
    assert_true(f.s.has_nodes);
    assert_true(isnan(f.s.response_time));
    assert_true(rmq_error_is_set(&f.r.nodes_error));
  }
  /* neither of them */
  c.rules[METRICS_A] = c.rules[LIST];
  c.rules[METRICS_A].in_url = "/metrics";
  for (int i = 0; i < 2; i++) {
    poll_cluster(&f, &c);
    assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
  }
  c = make_cluster();
  poll_cluster(&f, &c);
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  tear_down(&f);
}

/* What the last list named is remembered where there is no list any more. */
static void a_part_of_the_cluster_is_not_taken_for_the_whole(void **state) {
  (void)state;
  struct cluster whole = make_cluster(), gone = make_cluster();
  gone.rules[LIST] = (struct fake_web_rule){"api/", 0, "refused", 0};
  for (int has_url_of_b = 0; has_url_of_b < 2; has_url_of_b++) {
    struct fixture f;
    SHOW_ROW("%d", has_url_of_b);
    struct cluster with = whole, without = gone;
    with.rules[METRICS_B].status = without.rules[METRICS_B].status = 0;
    begin_cluster(&f, &with);
    f.metrics.count = has_url_of_b ? 2 : 1;
    poll_cluster(&f, &with);
    assert_int_equal(f.r.source, RMQ_SOURCE_MANAGEMENT);
    for (int i = 0; i < 3 * RMQ_SCRAPE_SILENT_MAX; i++) {
      poll_cluster(&f, &without);
      assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
      assert_false(f.r.is_switched);
    }
    poll_cluster(&f, &with);
    assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
    assert_int_equal(f.s.nodes_count, 2);
    poll_cluster(&f, &without);
    assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
    /* It has begun to answer for itself. */
    poll_cluster(&f, &gone);
    assert_int_equal(f.r.outcome,
                     has_url_of_b ? RMQ_POLL_ANSWERED : RMQ_POLL_UNREACHABLE);
    assert_int_equal(f.s.has_nodes, has_url_of_b);
    tear_down(&f);
  }
}

static void a_node_that_came_without_a_url_is_missed(void **state) {
  (void)state;
  struct cluster whole = make_cluster(), more = make_cluster(),
                 gone = make_cluster();
  more.rules[LIST].body = "[{\"name\":\"rabbit@a\",\"running\":true},"
                          "{\"name\":\"rabbit@b\",\"running\":true},"
                          "{\"name\":\"rabbit@c\",\"running\":true}]";
  gone.rules[LIST] = (struct fake_web_rule){"api/", 0, "refused", 0};
  struct fixture f;
  begin_cluster(&f, &whole);
  poll_cluster(&f, &whole);
  poll_cluster(&f, &more);
  poll_cluster(&f, &gone); /* what was good before may come back */
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
  assert_int_equal(f.s.nodes_count, 2);
  assert_int_equal(f.s.silent, 1);
  assert_true(isnan(f.s.ready));
  assert_false(f.s.has_nodes);
  assert_false(f.s.has_all_queues);
  poll_cluster(&f, &gone);
  assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
  assert_true(f.r.is_switched);
  assert_string_equal(f.r.reason.text,
                      "rabbit@c was in the last list of nodes and does not "
                      "answer at any MetricsURL");
  tear_down(&f);
}

/* The sums are those of the other one, as with the list. */
static void a_node_that_was_down_may_still_be_there(void **state) {
  (void)state;
  struct cluster down = make_cluster(), gone = make_cluster();
  down.rules[LIST].body = B_IS_DOWN;
  gone.rules[LIST] = (struct fake_web_rule){"api/", 0, "refused", 0};
  struct fixture f;
  begin_cluster(&f, &down);
  f.metrics.count = 1;
  poll_cluster(&f, &down);
  assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
  for (int i = 0; i < 2 * RMQ_POLL_PATIENCE; i++) {
    poll_cluster(&f, &gone);
    assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
    assert_false(f.s.has_nodes);
    assert_true(f.s.ready == 4);
  }
  tear_down(&f);
}

static void prometheus_alone_knows_what_its_nodes_say(void **state) {
  (void)state;
  struct cluster whole = make_cluster(), half = make_cluster();
  half.rules[METRICS_B] =
      (struct fake_web_rule){"b:15692/metrics", 200, METRICS("b"), 1000};
  struct fixture f;
  begin_cluster(&f, &whole);
  f.poll.source = RMQ_SOURCE_PROMETHEUS;
  poll_cluster(&f, &half);
  assert_false(f.s.has_nodes); /* who is the other one? */
  assert_int_equal(f.server.asked_count, 3);
  poll_cluster(&f, &whole);
  assert_int_equal(f.server.asked_count, 4); /* no management */
  assert_true(f.s.has_nodes);
  assert_int_equal(f.s.silent, 0);
  for (int i = 0; i < 2 * RMQ_SCRAPE_SILENT_MAX; i++) {
    struct rmq_mono before = fake.now;
    poll_cluster(&f, &half);
    /* the one that hangs costs half of the time, and not the other's queues */
    assert_int_equal(rmq_mono_since(fake.now, before).ns, rmq_s(15).ns);
    assert_int_equal(f.s.silent, i < RMQ_SCRAPE_SILENT_MAX ? 1 : 0);
    assert_int_equal(isnan(f.s.ready), f.s.silent);
    assert_int_equal(f.s.queues_count, 1);
    assert_int_equal(f.s.nodes_count, 2);
    assert_true(isnan(f.s.nodes[1].running)); /* nobody knows */
    assert_true(f.s.nodes[0].scraped == 1 && f.s.nodes[1].scraped == 0);
  }
  tear_down(&f);
}

/* Where a part is missing, or the version does not tell them, a stream that is
 * not named may have consumers nevertheless. */
static void stream_consumers_are_known_where_all_nodes_tell(void **state) {
  (void)state;
#define NODE_AT(version)                                                       \
  "rabbitmq_build_info{rabbitmq_version=\"" version                            \
  "\"} 1\nrabbitmq_identity_info{rabbitmq_node=\"rabbit@a\"} 1\n"              \
  "rabbitmq_erlang_uptime_seconds 100\n"
  static const struct {
    const char *node;
    int detailed_b; /* HTTP's status */
    size_t max_queues;
    bool want_known;
  } rows[] = {
      {NODE_AT("4.0.5"), 200, 100, true},  {NODE_AT("4.1.0"), 200, 100, true},
      {NODE_AT("4.0.4"), 200, 100, false}, {NODE_AT("3.13.7"), 200, 100, false},
      {NODE_AT("x"), 200, 100, false},     {NODE_AT("4.0.5"), 200, 0, false},
      {NODE_AT("4.0.5"), 500, 100, false}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct cluster c = make_cluster();
    struct fixture f;
    SHOW_ROW("%zu", i);
    c.rules[METRICS_A].body = rows[i].node;
    c.rules[DETAILED_B].status = rows[i].detailed_b;
    begin_cluster(&f, &c);
    f.s.queues_max = rows[i].max_queues;
    f.poll.source = RMQ_SOURCE_PROMETHEUS;
    poll_cluster(&f, &c);
    assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
    assert_int_equal(f.s.are_stream_consumers_known, rows[i].want_known);
    tear_down(&f);
  }
}

/* A refusal does not pass by itself, least of all that of the user. */
static void of_nodes_that_bring_nothing_one_that_refuses_is_told(void **state) {
  (void)state;
  static const struct {
    int a, b, want_status;
    enum rmq_poll_outcome want;
    const char *want_error;
  } rows[] = {
      {0, 401, 401, RMQ_POLL_REFUSED,
       "http://b:15692/metrics was answered with HTTP status 401; check User"},
      {503, 401, 401, RMQ_POLL_REFUSED,
       "http://b:15692/metrics was answered with HTTP status 401; check User"},
      {401, 503, 401, RMQ_POLL_REFUSED,
       "http://a:15692/metrics was answered with HTTP status 401; check User"},
      {0, 404, 404, RMQ_POLL_UNREACHABLE,
       "http://b:15692/metrics was answered with HTTP status 404; is the"},
      {0, 0, 0, RMQ_POLL_UNREACHABLE,
       "http://a:15692/metrics: Connection refused"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct cluster c = make_cluster();
    struct fixture f;
    SHOW_ROW("%d and %d", rows[i].a, rows[i].b);
    c.rules[METRICS_A] =
        (struct fake_web_rule){"a:15692/metrics", rows[i].a,
                               rows[i].a == 0 ? "Connection refused" : "", 0};
    c.rules[METRICS_B] =
        (struct fake_web_rule){"b:15692/metrics", rows[i].b,
                               rows[i].b == 0 ? "Connection refused" : "", 0};
    begin_cluster(&f, &c);
    f.poll.source = RMQ_SOURCE_PROMETHEUS;
    poll_cluster(&f, &c);
    assert_int_equal(f.r.outcome, rows[i].want);
    assert_int_equal(f.r.refusal.status, rows[i].want_status);
    assert_ptr_equal(strstr(f.r.error.text, rows[i].want_error),
                     f.r.error.text);
    tear_down(&f);
  }
}

/* /metrics asks for no user by default, the list does. */
static void a_list_that_refuses_the_user_is_told(void **state) {
  (void)state;
  static const struct {
    int list, a; /* HTTP's */
    bool want;
  } rows[] = {{200, 200, false}, {0, 200, false},  {500, 200, false},
              {401, 200, true},  {403, 200, true}, {200, 401, true}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct cluster whole = make_cluster(), c = whole;
    struct fixture f;
    SHOW_ROW("%d and %d", rows[i].list, rows[i].a);
    c.rules[LIST].status = rows[i].list;
    c.rules[METRICS_A].status = rows[i].a;
    begin_cluster(&f, &c);
    poll_cluster(&f, &whole);
    poll_cluster(&f, &c);
    assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
    assert_int_equal(f.r.source, RMQ_SOURCE_PROMETHEUS);
    assert_int_equal(f.r.is_user_refused, rows[i].want);
    tear_down(&f);
  }
}

/* Nobody who is waited for in vain tells what queues cost. */
static void who_does_not_answer_costs_no_detail(void **state) {
  (void)state;
  static const char empty[] = "{\"rabbitmq_version\":\"3.13.7\"}";
  static const struct {
    const char *name;
    enum rmq_source source;
    int rule;
    struct fake_web_rule with;
    bool is_down; /* by the list */
    size_t want_queues;
  } rows[] = {
      {"a node that is down by the list",
       RMQ_SOURCE_AUTO,
       METRICS_B,
       {"b:15692/metrics", 200, "", 1000},
       true,
       1},
      {"a node, and no list",
       RMQ_SOURCE_PROMETHEUS,
       METRICS_B,
       {"b:15692/metrics", 200, "", 1000},
       false,
       1},
      {"the management API",
       RMQ_SOURCE_AUTO,
       LIST,
       {"api/nodes", 200, TWO_NODES, 1000},
       false,
       2},
      {"a node that runs: management, and tried again every 300 s",
       RMQ_SOURCE_AUTO,
       METRICS_B,
       {"b:15692/metrics", 200, "", 1000},
       false,
       1},
      {"the first URL",
       RMQ_SOURCE_MANAGEMENT,
       OVERVIEW_RULE,
       {"//a/api/overview", 200, empty, 1000},
       false,
       1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct cluster whole = make_cluster(), broken = make_cluster();
    struct fixture f;
    begin_cluster(&f, &whole);
    f.poll.source = rows[i].source;
    f.poll.budget = rmq_s(5);
    for (size_t k = 0; k < 2; k++)
      rmq_detail_init(&f.poll.details[k], 5);
    for (int k = 0; k < 5; k++)
      poll_cluster(&f, &whole);
    memmove(&broken.rules[OVERVIEW_RULE + 1], &broken.rules[OVERVIEW_RULE],
            4 * sizeof(broken.rules[0]));
    broken.rules[rows[i].rule] = rows[i].with;
    if (rows[i].is_down)
      broken.rules[LIST].body = B_IS_DOWN;
    for (int k = 0; k < 200; k++) {
      poll_cluster(&f, &broken);
      assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
      assert_int_equal(f.s.detail, RMQ_DETAIL_ALL);
      assert_int_equal(f.s.queues_count, rows[i].want_queues);
    }
    tear_down(&f);
  }
}

/* Of the nodes' answers the version is known only after the list of nodes. */
static void partitions_of_a_version_without_are_absent(void **state) {
  (void)state;
#define NODE_OF(version)                                                       \
  "rabbitmq_build_info{rabbitmq_version=\"" version "\"} 1\n"                  \
  "rabbitmq_identity_info{rabbitmq_node=\"rabbit@a\"} 1\n"
  static const char list[] =
      "[{\"name\":\"rabbit@a\",\"running\":true,\"partitions\":[]}]";
  static const struct {
    const char *overview, *metrics;
    bool want_absent;
  } rows[] = {
      {"{\"rabbitmq_version\":\"4.2.1\"}", NODE_OF("4.2.1"), false},
      {"{\"rabbitmq_version\":\"4.3.0\"}", NODE_OF("4.3.0"), true},
  };
  for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    bool is_of_nodes = i % 2 == 1;
    struct cluster c = make_cluster();
    struct fixture f;
    begin_cluster(&f, &c);
    f.metrics.count = is_of_nodes ? 1 : 0;
    c.rules[METRICS_A].body = rows[i / 2].metrics;
    c.rules[OVERVIEW_RULE].body = rows[i / 2].overview;
    c.rules[LIST].body = list;
    poll_cluster(&f, &c);
    assert_int_equal(f.r.source, is_of_nodes ? RMQ_SOURCE_PROMETHEUS
                                             : RMQ_SOURCE_MANAGEMENT);
    assert_int_equal(f.s.nodes_count, 1);
    assert_int_equal(isnan(f.s.nodes[0].partitions), rows[i / 2].want_absent);
    tear_down(&f);
  }
}

static void a_cancelled_scrape_is_cancelled(void **state) {
  (void)state;
  for (int rule = DETAILED_A; rule <= LIST; rule++) {
    struct cluster c = make_cluster();
    struct fixture f;
    begin_cluster(&f, &c);
    c.rules[rule].status = -1;
    poll_cluster(&f, &c);
    assert_int_equal(f.r.outcome, RMQ_POLL_CANCELLED);
    assert_false(f.r.is_switched);
    tear_down(&f);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(overview_pages_and_nodes_are_asked_in_that_order),
      cmocka_unit_test(vhosts_are_asked_for_where_some_are_wanted),
      cmocka_unit_test(vhosts_are_left_out_at_the_lowest_level),
      cmocka_unit_test(stream_consumers_are_asked_for_where_there_are_streams),
      cmocka_unit_test(streams_that_are_not_wanted_have_a_lag_nevertheless),
      cmocka_unit_test(the_next_url_is_tried_and_the_last_good_one_kept),
      cmocka_unit_test(what_no_url_answers_is_said_by_the_first_one),
      cmocka_unit_test(urls_that_hang_hide_none_behind_them),
      cmocka_unit_test(of_many_urls_the_one_that_answers_is_found),
      cmocka_unit_test(a_hanging_server_costs_its_timeout_and_no_more),
      cmocka_unit_test(parts_that_fail_leave_the_rest),
      cmocka_unit_test(a_page_that_is_gone_is_the_end_of_the_list),
      cmocka_unit_test(a_queue_may_slip_between_pages_only),
      cmocka_unit_test(no_page_is_asked_for_beyond_the_maximum),
      cmocka_unit_test(without_statistics_lengths_come_from_the_list),
      cmocka_unit_test(a_cancelled_poll_asks_nothing_more),
      cmocka_unit_test(a_body_over_the_maximum_is_a_failure),
      cmocka_unit_test(auto_takes_prometheus_when_every_node_answers),
      cmocka_unit_test(
          one_node_at_two_urls_is_counted_once_and_missing_nowhere),
      cmocka_unit_test(auto_takes_management_when_a_part_would_be_missing),
      cmocka_unit_test(auto_has_no_choice_without_a_metrics_url),
      cmocka_unit_test(a_node_that_says_nothing_of_queues_is_counted),
      cmocka_unit_test(auto_finds_out_anew),
      cmocka_unit_test(a_node_that_is_down_is_no_reason_to_switch),
      cmocka_unit_test(without_management_the_nodes_are_observed),
      cmocka_unit_test(a_part_of_the_cluster_is_not_taken_for_the_whole),
      cmocka_unit_test(a_node_that_came_without_a_url_is_missed),
      cmocka_unit_test(a_node_that_was_down_may_still_be_there),
      cmocka_unit_test(prometheus_alone_knows_what_its_nodes_say),
      cmocka_unit_test(stream_consumers_are_known_where_all_nodes_tell),
      cmocka_unit_test(of_nodes_that_bring_nothing_one_that_refuses_is_told),
      cmocka_unit_test(a_list_that_refuses_the_user_is_told),
      cmocka_unit_test(who_does_not_answer_costs_no_detail),
      cmocka_unit_test(partitions_of_a_version_without_are_absent),
      cmocka_unit_test(a_cancelled_scrape_is_cancelled),
  };
  return run_all(tests);
}
