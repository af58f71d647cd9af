/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/poll.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <string.h>

#define OVERVIEW "{\"rabbitmq_version\":\"3.10.8\",\"queue_totals\":{}}"
#define NODES "[{\"name\":\"rabbit@a\",\"running\":true}]"
#define PAGE(page, pages, item)                                                \
  "{\"page_count\":" #pages ",\"page\":" #page ",\"items\":[" item "]}"
#define QUEUE(name) "{\"name\":\"" name "\",\"vhost\":\"/\"}"

/* One answer of a fake server; the first rule whose text is in the URL counts.
 * status 0 = it does not answer (err says why), -1 = cancelled. */
struct rule {
  const char *in_url;
  int status;
  const char *body;
  double seconds; /* that it takes, or the timeout where that is shorter */
};

struct server {
  const struct rule *rules; /* ends with a NULL in_url */
  struct fake_host *clock;
  char asked[32][400];
  size_t asked_count;
};

static struct fake_host fake;

static enum rmq_http_outcome get(void *ctx, const char *url,
                                 struct rmq_dur timeout, struct rmq_buf *body,
                                 int *ret_status, struct rmq_error *err) {
  struct server *s = ctx;
  const struct rule *r = s->rules;
  assert_true(timeout.ns > 0);
  assert_true(s->asked_count < COUNT_OF(s->asked));
  snprintf(s->asked[s->asked_count++], sizeof(s->asked[0]), "%s", url);
  while (r->in_url != NULL && strstr(url, r->in_url) == NULL)
    r++;
  assert_non_null(r->in_url);
  struct rmq_dur took = rmq_dur_from_seconds(r->seconds);
  rmq_buf_clear(body);
  fake_host_advance(s->clock, took.ns > timeout.ns ? timeout : took);
  if (r->status < 0)
    return RMQ_HTTP_CANCELLED;
  if (r->status == 0 || took.ns > timeout.ns) {
    rmq_error_set(err, "%s", r->status == 0 ? r->body : "timed out");
    return RMQ_HTTP_FAILED;
  }
  if (rmq_buf_append_text(body, r->body) != 0) {
    rmq_error_set(err, "the answer is larger than %zu bytes", body->max);
    return RMQ_HTTP_FAILED;
  }
  *ret_status = r->status;
  return RMQ_HTTP_ANSWERED;
}

struct fixture {
  struct server server;
  struct rmq_poll poll;
  struct rmq_strings urls;
  char *items[3];
  struct rmq_filter *all;
  struct rmq_snapshot s;
  struct rmq_poll_result r;
};

static char url_a[] = "http://a", url_b[] = "http://b", url_c[] = "http://c/p";

static void set_up(struct fixture *f, const struct rule *rules,
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
  f->all = rmq_filter_new(&none, &none, NULL);
  f->poll = (struct rmq_poll){.urls = &f->urls,
                              .timeout = rmq_s(5),
                              .vhosts = f->all,
                              .queues = f->all,
                              .http = {&f->server, get},
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
  static const struct rule rules[] = {
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

static void the_next_url_is_tried_and_the_last_good_one_kept(void **state) {
  (void)state;
  static const struct rule rules[] = {{"http://a", 0, "Connection refused", 0},
                                      {"http://b", 500, "<html>oops", 0},
                                      {"/p/api/overview", 200, OVERVIEW, 0},
                                      {"/p/api/queues", 200, PAGE(1, 1, ""), 0},
                                      {"/p/api/nodes", 200, NODES, 0},
                                      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_ANSWERED);
  assert_int_equal(f.r.url, 2);
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
    struct rule rules[3];
    enum rmq_poll_outcome want;
    const char *want_error;
  } rows[] = {
      {"refused connections",
       {{"http", 0, "Connection refused", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: Connection refused"},
      {"wrong password",
       {{"http", 401, "{\"reason\":\"Login failed\"}", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_REFUSED,
       "http://a: the overview was answered with HTTP status 401 (Login "
       "failed); check User and Password, and that the user has the tag "
       "\"monitoring\""},
      {"one says the password is wrong",
       {{"http://b", 401, "", 0}, {"http", 503, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_REFUSED,
       "http://a: the overview was answered with HTTP status 503"},
      {"another server",
       {{"http", 200, "<html>hello", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: the overview is not JSON"},
      {"a redirect",
       {{"http", 302, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: the overview was answered with HTTP status 302"},
      {"not the management plugin",
       {{"http", 404, "", 0}, {NULL, 0, NULL, 0}},
       RMQ_POLL_UNREACHABLE,
       "http://a: the overview was answered with HTTP status 404; is this"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct fixture f;
    set_up(&f, rows[i].rules, 100);
    run(&f);
    assert_int_equal(f.r.outcome, rows[i].want);
    assert_ptr_equal(strstr(f.r.error.text, rows[i].want_error),
                     f.r.error.text);
    assert_int_equal(f.server.asked_count, 3);
    tear_down(&f);
  }
}

static void a_hanging_server_costs_its_timeout_and_no_more(void **state) {
  (void)state;
  static const struct rule rules[] = {{"http", 200, OVERVIEW, 1000},
                                      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  struct rmq_mono before = fake.now;
  run(&f);
  assert_int_equal(f.r.outcome, RMQ_POLL_UNREACHABLE);
  /* two of 5 s fit before the deadline, the third has no time left */
  assert_int_equal(f.server.asked_count, 2);
  assert_int_equal(rmq_mono_since(fake.now, before).ns, rmq_s(10).ns);
  assert_string_equal(f.r.error.text, "http://a: timed out");
  tear_down(&f);
}

static void parts_that_fail_leave_the_rest(void **state) {
  (void)state;
  static const struct rule rules[] = {
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
  static const struct rule rules[] = {
      {"overview", 200, OVERVIEW, 0},
      {"queues?page=1&", 200, PAGE(1, 2, QUEUE("a")), 0},
      {"queues?page=2&", 400, "{\"error\":\"page_out_of_range\"}", 0},
      {"nodes", 200, NODES, 0},
      {NULL, 0, NULL, 0}};
  struct fixture f;
  set_up(&f, rules, 100);
  run(&f);
  assert_true(f.s.has_all_queues);
  assert_false(rmq_error_is_set(&f.r.queues_error));
  tear_down(&f);
}

static void no_page_is_asked_for_beyond_the_maximum(void **state) {
  (void)state;
  static const struct rule rules[] = {
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

static void a_cancelled_poll_asks_nothing_more(void **state) {
  (void)state;
  static const struct {
    const char *cancelled;
    size_t want_asked;
  } rows[] = {{"overview", 1}, {"queues", 2}, {"nodes", 3}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const struct rule rules[] = {{rows[i].cancelled, -1, "", 0},
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
  static const struct rule rules[] = {{"http", 200, OVERVIEW, 0},
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(overview_pages_and_nodes_are_asked_in_that_order),
      cmocka_unit_test(the_next_url_is_tried_and_the_last_good_one_kept),
      cmocka_unit_test(what_no_url_answers_is_said_by_the_first_one),
      cmocka_unit_test(a_hanging_server_costs_its_timeout_and_no_more),
      cmocka_unit_test(parts_that_fail_leave_the_rest),
      cmocka_unit_test(a_page_that_is_gone_is_the_end_of_the_list),
      cmocka_unit_test(no_page_is_asked_for_beyond_the_maximum),
      cmocka_unit_test(a_cancelled_poll_asks_nothing_more),
      cmocka_unit_test(a_body_over_the_maximum_is_a_failure),
  };
  return run_all(tests);
}
