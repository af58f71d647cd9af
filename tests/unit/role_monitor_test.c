/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_rule.h"
#include "common/role/baseline_options.h"
#include "common/role/monitor_log.h"
#include "common/role/role_monitor.h"

#include "common/host/host_clock.h"
#include "tests/fake/host.h"
#include "tests/manual.h"
#include "tests/testing.h"

#include <fcntl.h>
#include <math.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAIN "rabbitmq_monitor-main/"

static struct fake_host fake;

/* A broker of one node and one queue. */
struct broker {
  int status; /* 0 = nobody there */
  int nodes_status, connections_status;
  long published, ready;
  bool has_unacked;
  int64_t queue_seconds; /* that an answer about queues takes */
  int64_t check_seconds; /* that the list of connections takes */
  sem_t asked;           /* posted when the nodes are asked, which is last */
  sem_t go_on;           /* waited for before that is answered */
  bool is_gated;         /* whether go_on is used */
  char queues_url[400];  /* asked for last */
  unsigned lists_of_connections, virtual_hosts_checks;
};

static enum rmq_http_outcome get(void *ctx, const char *url,
                                 struct rmq_dur timeout, struct rmq_buf *body,
                                 int *ret_status, struct rmq_error *err) {
  struct broker *b = ctx;
  (void)timeout;
  rmq_buf_clear(body);
  if (b->status == 0) {
    rmq_error_set(err, "Connection refused");
    return RMQ_HTTP_FAILED;
  }
  *ret_status = b->status;
  if (strstr(url, "/api/overview") != NULL) {
    rmq_buf_appendf(body,
                    "{\"rabbitmq_version\":\"3.10.8\","
                    "\"object_totals\":{\"connections\":3},\"queue_totals\":"
                    "{\"messages_ready\":%ld,\"messages_unacknowledged\":0},"
                    "\"message_stats\":{\"publish\":%ld}}",
                    b->ready, b->published);
  } else if (strstr(url, "/api/queues") != NULL) {
    snprintf(b->queues_url, sizeof(b->queues_url), "%s", url);
    if (b->queue_seconds > 0)
      fake_host_advance(&fake, rmq_s(b->queue_seconds));
    rmq_buf_appendf(body,
                    "{\"page_count\":1,\"items\":[{\"vhost\":\"/\","
                    "\"name\":\"in\",\"messages_ready\":3%s}]}",
                    b->has_unacked ? ",\"messages_unacknowledged\":0" : "");
  } else if (strstr(url, "/api/vhosts") != NULL) {
    rmq_buf_append_text(body, "[{\"name\":\"a-b\",\"messages_ready\":3}]");
  } else {
    *ret_status = b->nodes_status;
    rmq_buf_append_text(body, "[{\"name\":\"rabbit@a\",\"running\":true}]");
    sem_post(&b->asked);
    if (b->is_gated)
      sem_wait(&b->go_on);
  }
  return RMQ_HTTP_ANSWERED;
}

/* None of the health checks, and one connection in each state. */
static enum rmq_http_outcome get_all(void *ctx,
                                     struct rmq_http_request *requests,
                                     size_t count, struct rmq_dur timeout) {
  struct broker *b = ctx;
  (void)timeout;
  for (size_t i = 0; i < count; i++) {
    struct rmq_http_request *r = &requests[i];
    const char *body = "";
    r->outcome = RMQ_HTTP_ANSWERED;
    r->status = 404;
    b->virtual_hosts_checks += strstr(r->url, "checks/virtual-hosts") != NULL;
    if (strstr(r->url, "/api/connections") != NULL) {
      b->lists_of_connections++;
      r->status = b->connections_status;
      body = "[{\"state\":\"running\"},{\"state\":\"blocked\"},"
             "{\"state\":\"blocking\"}]";
      r->seconds = (double)b->check_seconds;
    }
    assert_true(r->take(r->ctx, body, strlen(body)));
    r->bytes = (double)strlen(body);
  }
  return RMQ_HTTP_ANSWERED;
}

struct fixture {
  struct broker broker;
  struct rmq_http http;
  struct rmq_role_monitor_config config;
  struct rmq_role_monitor *m;
};

static void set(struct fixture *f, const char *option, const char *text) {
  struct rmq_error err = {.text = ""};
  if (rmq_options_set_text(rmq_role_monitor_options, &f->config, option, text,
                           NULL, &err) != 0)
    fail_msg("%s", err.text);
}

static void prepare(struct fixture *f) {
  struct rmq_error err = {.text = ""};
  memset(f, 0, sizeof(*f));
  fake_host_init(&fake);
  f->broker.status = f->broker.nodes_status = 200;
  f->broker.connections_status = 200;
  sem_init(&f->broker.asked, 0, 0);
  sem_init(&f->broker.go_on, 0, 0);
  f->http =
      (struct rmq_http){.ctx = &f->broker, .get = get, .get_all = get_all};
  assert_int_equal(rmq_options_init(rmq_role_monitor_options, &f->config, &err),
                   0);
}

static void set_up(struct fixture *f) {
  struct rmq_error err = {.text = ""};
  prepare(f);
  f->m = rmq_role_monitor_new(&fake.host, "main", &f->config, &f->http, &err);
  assert_non_null(f->m);
}

static void tear_down(struct fixture *f) {
  rmq_role_monitor_free(f->m);
  rmq_options_fini(rmq_role_monitor_options, &f->config);
  sem_destroy(&f->broker.asked);
  sem_destroy(&f->broker.go_on);
}

static void a_sample_reports_cluster_node_and_queue(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  f.broker.ready = 7;
  assert_true(rmq_role_monitor_sample(f.m) > 10);
  assert_true(fake_host_value(&fake, MAIN "bool-reachable") == 1);
  assert_true(fake_host_value(&fake, MAIN "queue_length-ready") == 7);
  assert_true(fake_host_value(&fake, "rabbitmq_monitor-main-node-rabbit@a/"
                                     "bool-running") == 1);
  const struct fake_sample *s = fake_host_find(
      &fake, "rabbitmq_monitor-main-queue-%2F-in/queue_length-ready");
  assert_non_null(s);
  assert_true(s->value.gauge == 3);
  assert_string_equal(s->labels, "cluster=main;vhost=/;queue=in;");
  const struct fake_sample *v = fake_host_find(
      &fake, "rabbitmq_monitor-main-vhost-a%2Db/queue_length-ready");
  assert_non_null(v);
  assert_true(v->value.gauge == 3);
  assert_string_equal(v->labels, "cluster=main;vhost=a-b;");
  assert_int_equal(s->interval.ns, rmq_s(10).ns);
  assert_int_equal(s->time.ns, fake.wall.ns);
  assert_true(rmq_role_monitor_is_reachable(f.m));
  tear_down(&f);
}

static void each_result_is_handed_over_once(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  assert_int_equal(rmq_role_monitor_read(f.m), 0);
  rmq_role_monitor_sample(f.m);
  size_t count = fake.samples_count;
  assert_int_equal(rmq_role_monitor_read(f.m), 0);
  assert_int_equal(fake.samples_count, count);
  tear_down(&f);
}

static void an_unreachable_broker_is_a_state_that_is_reported(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  f.broker.status = 0;
  for (int i = 1; i <= 3; i++) {
    fake_host_advance(&fake, rmq_s(10));
    fake.samples_count = 0;
    rmq_role_monitor_sample(f.m);
    assert_true(fake_host_value(&fake, MAIN "bool-reachable") == 0);
    assert_true(fake_host_value(&fake, MAIN "total_events-scrape_failed") == i);
    assert_null(fake_host_find(&fake, MAIN "queue_length-ready"));
    assert_int_equal(fake_host_find(&fake, MAIN "bool-reachable")->time.ns,
                     fake.wall.ns);
    assert_false(rmq_role_monitor_is_reachable(f.m));
  }
  tear_down(&f);
}

static void
what_was_checked_before_an_outage_is_not_sent_after_it(void **state) {
  (void)state;
  static const char blocked[] = MAIN "current_connections-blocked";
  struct fixture f;
  set_up(&f);
  rmq_role_monitor_sample(f.m);
  assert_true(fake_host_value(&fake, blocked) == 2);
  f.broker.status = 0;
  fake_host_advance(&fake, rmq_s(10));
  rmq_role_monitor_sample(f.m);
  f.broker.status = 200;
  f.broker.connections_status = 500;
  fake_host_advance(&fake, rmq_s(10));
  fake_host_clear(&fake);
  rmq_role_monitor_sample(f.m);
  assert_null(fake_host_find(&fake, blocked));
  tear_down(&f);
}

static void the_log_hears_of_each_change_once(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  for (int i = 0; i < 20; i++) { /* 200 s: at 0, 60 and 180 s of the fault */
    f.broker.status = i >= 1 && i < 20 ? 0 : 200;
    rmq_role_monitor_sample(f.m);
    fake_host_advance(&fake, rmq_s(10));
  }
  assert_int_equal(fake_host_count(&fake, "reachable"), 1);
  assert_int_equal(fake_host_count(&fake, "unreachable"), 3);
  assert_string_equal(fake.lines[1].state, "unreachable");
  assert_int_equal(fake.lines[1].level, RMQ_LOG_ERROR);
  assert_non_null(strstr(fake.lines[1].message,
                         "http://localhost:15672: Connection refused"));
  f.broker.status = 200;
  rmq_role_monitor_sample(f.m);
  rmq_role_monitor_sample(f.m);
  assert_int_equal(fake_host_count(&fake, "reachable"), 2);
  assert_non_null(strstr(fake.lines[fake.lines_count - 1].message,
                         "answers again after 190 s"));
  tear_down(&f);
}

static void a_refused_password_is_another_fault_than_no_broker(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  f.broker.status = 0;
  rmq_role_monitor_sample(f.m);
  fake_host_advance(&fake, rmq_s(60));
  rmq_role_monitor_sample(f.m);
  assert_int_equal(fake_host_count(&fake, "unreachable"), 2);
  /* the same fault would be said again after 120 s only */
  f.broker.status = 401;
  fake_host_advance(&fake, rmq_s(70));
  rmq_role_monitor_sample(f.m);
  assert_int_equal(fake_host_count(&fake, "unreachable"), 2);
  assert_int_equal(fake_host_count(&fake, "refused"), 1);
  tear_down(&f);
}

static void a_missing_part_is_said_once_and_its_return_too(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  for (int i = 0; i < 6; i++) {
    f.broker.nodes_status = i < 3 ? 401 : 200;
    rmq_role_monitor_sample(f.m);
    fake_host_advance(&fake, rmq_s(10));
  }
  assert_int_equal(fake_host_count(&fake, "nodes_missing"), 2);
  assert_int_equal(fake.lines[1].level, RMQ_LOG_WARNING);
  assert_non_null(strstr(fake.lines[1].message, "\"monitoring\""));
  assert_int_equal(fake.lines[2].level, RMQ_LOG_NOTICE);
  tear_down(&f);
}

static void rates_come_with_the_second_poll(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  f.broker.published = 1000;
  rmq_role_monitor_sample(f.m);
  assert_null(fake_host_find(&fake, MAIN "gauge-publish_rate"));
  f.broker.published = 1200;
  fake_host_advance(&fake, rmq_s(10));
  rmq_role_monitor_sample(f.m);
  assert_true(fake_host_value(&fake, MAIN "gauge-publish_rate") == 20);
  assert_true(fake_host_value(&fake, MAIN "total_operations-publish") == 200);
  tear_down(&f);
}

/* With the real clock, since a condition waits on it; nothing sleeps. */
static void the_thread_polls_at_once_and_stops_at_once(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  prepare(&f);
  set(&f, "Interval", "3600");
  fake.host.mono = rmq_host_mono;
  f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
  assert_int_equal(rmq_role_monitor_start(f.m, &err), 0);
  sem_wait(&f.broker.asked);
  rmq_role_monitor_tell_stop(f.m);
  assert_int_equal(rmq_role_monitor_await_stop(
                       f.m, rmq_mono_add(rmq_host_mono(NULL), rmq_s(60))),
                   0);
  assert_true(rmq_role_monitor_read(f.m) > 0);
  assert_int_equal(rmq_role_monitor_await_stop(f.m, RMQ_NEVER), 0);
  tear_down(&f);
}

static void reading_never_waits_for_a_poll(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  prepare(&f);
  fake.host.mono = rmq_host_mono;
  f.broker.is_gated = true;
  f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
  assert_int_equal(rmq_role_monitor_start(f.m, &err), 0);
  sem_wait(&f.broker.asked); /* the broker hangs in the middle of a poll */
  assert_int_equal(rmq_role_monitor_read(f.m), 0);
  rmq_role_monitor_tell_stop(f.m);
  sem_post(&f.broker.go_on);
  assert_int_equal(rmq_role_monitor_await_stop(
                       f.m, rmq_mono_add(rmq_host_mono(NULL), rmq_s(60))),
                   0);
  tear_down(&f);
}

static void a_late_thread_is_left_behind_with_its_memory(void **state) {
  (void)state;
  static struct fixture f; /* outlives the test, as the thread may */
  struct rmq_error err = {.text = ""};
  prepare(&f);
  fake.host.mono = rmq_host_mono;
  f.broker.is_gated = true;
  f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
  assert_int_equal(rmq_role_monitor_start(f.m, &err), 0);
  sem_wait(&f.broker.asked);
  rmq_role_monitor_tell_stop(f.m);
  assert_int_equal(rmq_role_monitor_await_stop(f.m, rmq_host_mono(NULL)), -1);
  rmq_role_monitor_free(f.m); /* keeps everything: the thread still uses it */
}

static void what_one_request_asks_for_is_configured(void **state) {
  (void)state;
  static const struct {
    const char *option, *value, *want_page;
    unsigned want_lists, want_checks;
  } rows[] = {{"PageSize", "500", "page_size=500&", 1, 0},
              {"PageSize", "40", "page_size=40&", 1, 0},
              {"CollectConnections", "false", "page_size=500&", 0, 0},
              {"HealthCheck", "virtual-hosts", "page_size=500&", 1, 1}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s %s", rows[i].option, rows[i].value);
    struct fixture f;
    struct rmq_error err = {.text = ""};
    prepare(&f);
    set(&f, rows[i].option, rows[i].value);
    f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
    assert_non_null(f.m);
    rmq_role_monitor_sample(f.m);
    assert_non_null(strstr(f.broker.queues_url, rows[i].want_page));
    assert_int_equal(f.broker.lists_of_connections, rows[i].want_lists);
    assert_int_equal(f.broker.virtual_hosts_checks, rows[i].want_checks);
    assert_int_equal(
        isnan(fake_host_value(&fake, MAIN "current_connections-blocked")),
        rows[i].want_lists == 0);
    tear_down(&f);
  }
}

static void a_wrong_configuration_is_told_line_by_line(void **state) {
  (void)state;
  static const struct {
    const char *option, *value, *want;
  } rows[] = {
      {"URL", "localhost:15672",
       "option URL: \"localhost:15672\" is not a URL"},
      {"URL", "ftp://x", "option URL: \"ftp://x\" is not a URL"},
      {"URL", "http:///x", "option URL: \"http:///x\" is not a URL"},
      {"URL", "http://u:secret@x", "option URL: a user or password inside"},
      {"URL", "http://x/?a=1", "has a query"},
      {"ClientCert", "a.pem", "option ClientCert: ClientCert and ClientKey"},
      {"ClientKey", "a.pem", "option ClientKey: ClientCert and ClientKey"},
      {"IncludeQueue", "/(/", "option IncludeQueue: \"/(/\" is not a regular"},
      {"ExcludeVHost", "/[/", "option ExcludeVHost: \"/[/\" is not a regular"},
      {"TimeBudget", "10.5", "option TimeBudget: it is longer than Interval"},
      {"TimeBudget", "10", NULL},
      {"MaxQueues", "0", NULL},
      {"HealthCheck", "virtual-hosts", NULL},
      {"HealthCheck", "alarms", "option HealthCheck: allowed: virtual-hosts"},
      {"QueueType", "Stream", NULL},
      {"QueueType", "streams", "option QueueType: allowed: classic, quorum"},
      {"ExcludeExclusive", "true", NULL},
      {"URL", "https://[::1]:15671/prefix/", NULL},
      {"IncludeVHost", "/", NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s %s", rows[i].option, rows[i].value);
    struct fixture f;
    struct rmq_buf errors;
    prepare(&f);
    rmq_buf_init(&errors, 4096);
    set(&f, rows[i].option, rows[i].value);
    int rc = rmq_role_monitor_check(&f.config, &errors);
    assert_int_equal(rc, rows[i].want == NULL ? 0 : -1);
    if (rows[i].want != NULL)
      assert_non_null(strstr(rmq_buf_text(&errors), rows[i].want));
    assert_null(strstr(rmq_buf_text(&errors), "secret"));
    rmq_buf_fini(&errors);
    tear_down(&f);
  }
}

static void what_no_node_tells_is_not_chosen_by(void **state) {
  (void)state;
  static const struct {
    const char *source;
    bool is_wrong;
  } rows[] = {{"auto", true}, {"prometheus", true}, {"management", false}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    struct rmq_buf errors;
    SHOW_ROW("%s", rows[i].source);
    prepare(&f);
    rmq_buf_init(&errors, 4096);
    set(&f, "Source", rows[i].source);
    set(&f, "MetricsURL", "http://h:15692");
    set(&f, "ExcludeExclusive", "true");
    assert_int_equal(rmq_role_monitor_check(&f.config, &errors),
                     rows[i].is_wrong ? -1 : 0);
    if (rows[i].is_wrong)
      assert_non_null(strstr(rmq_buf_text(&errors),
                             "option ExcludeExclusive: the Prometheus plugin"));
    rmq_buf_fini(&errors);
    tear_down(&f);
  }
}

static void all_errors_of_a_block_are_told(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_buf errors;
  prepare(&f);
  rmq_buf_init(&errors, 4096);
  set(&f, "URL", "ftp://x");
  set(&f, "URL", "gopher://y");
  set(&f, "Password", "a");
  set(&f, "PasswordFile", "b");
  set(&f, "IncludeQueue", "/(/");
  assert_int_equal(rmq_role_monitor_check(&f.config, &errors), -1);
  size_t lines = 0;
  for (const char *c = rmq_buf_text(&errors); *c != '\0'; c++)
    lines += *c == '\n' ? 1 : 0;
  assert_int_equal(lines, 4);
  rmq_buf_fini(&errors);
  tear_down(&f);
}

static struct rmq_alert_config *add_alert(struct fixture *f,
                                          enum rmq_alert_kind kind) {
  struct rmq_error err = {.text = ""};
  struct rmq_alert_config *c = rmq_options_add_block(
      rmq_options_find(rmq_role_monitor_options, "Alert"), &f->config, &err);
  assert_non_null(c);
  c->kind = (int)kind;
  rmq_alert_config_prepare(c);
  return c;
}

static void an_outage_is_one_alert_and_its_end_is_one(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  prepare(&f);
  add_alert(&f, RMQ_ALERT_CONNECTION);
  add_alert(&f, RMQ_ALERT_BACKLOG)->failure = 3;
  f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
  assert_non_null(f.m);
  for (int i = 0; i < 60; i++) {
    f.broker.status = i >= 10 && i < 30 ? 0 : 200;
    rmq_role_monitor_sample(f.m);
    fake_host_advance(&fake, rmq_s(10));
  }
  assert_int_equal(fake.events_count, 2);
  assert_int_equal(fake.events[0].severity, RMQ_FAILURE);
  assert_string_equal(fake.events[0].name, MAIN "bool-reachable");
  assert_string_equal(fake.events[0].meta,
                      "indicator=connection;priority=P0;value=1;threshold=1;"
                      "object=main;cluster=main;");
  assert_int_equal(fake.events[1].severity, RMQ_OKAY);
  assert_int_equal(fake_host_count(&fake, "alert"), 2);
  tear_down(&f);
}

/* A node's plugin may need no secret, and what was read before may do. */
static void a_secret_that_cannot_be_read_blinds_nobody(void **state) {
  (void)state;
  static const char *const options[] = {"PasswordFile", "BearerTokenFile"};
  for (size_t i = 0; i < COUNT_OF(options); i++) {
    struct fixture f;
    struct rmq_error err = {.text = ""};
    SHOW_ROW("%s", options[i]);
    prepare(&f);
    set(&f, options[i], "/nonexistent/secret");
    add_alert(&f, RMQ_ALERT_CONNECTION);
    f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
    assert_non_null(f.m);
    for (int k = 0; k < 5; k++) {
      rmq_role_monitor_sample(f.m);
      assert_true(fake_host_value(&fake, MAIN "bool-reachable") == 1);
      fake_host_advance(&fake, rmq_s(10));
    }
    assert_int_equal(fake_host_count(&fake, "secret_missing"), 1);
    assert_int_equal(fake_host_count(&fake, "refused"), 0);
    assert_int_equal(fake.events_count, 0);
    rmq_role_monitor_free(f.m);
    /* Who shows nothing is refused for that. */
    f.broker.status = 401;
    fake_host_clear(&fake);
    f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
    assert_non_null(f.m);
    for (int k = 0; k < 5; k++) {
      rmq_role_monitor_sample(f.m);
      assert_true(fake_host_value(&fake, MAIN "bool-reachable") == 0);
      fake_host_advance(&fake, rmq_s(10));
    }
    assert_int_equal(fake_host_count(&fake, "secret_missing"), 0);
    assert_int_equal(fake_host_count(&fake, "refused"), 1);
    assert_non_null(strstr(fake.lines[0].message,
                           "/nonexistent/secret\" cannot be read: No such"));
    assert_int_equal(fake.events_count, 1);
    assert_string_equal(fake.events[0].message,
                        "cluster main: the broker refuses the monitor, which "
                        "sees nothing of it");
    tear_down(&f);
  }
}

static void a_secret_that_can_be_read_again_is_said(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  char path[] = "/tmp/warren-secret-XXXXXX";
  int fd = mkstemp(path);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, "x\n", 2), 2);
  close(fd);
  prepare(&f);
  set(&f, "BearerTokenFile", path);
  f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
  assert_non_null(f.m);
  rmq_role_monitor_sample(f.m);
  assert_int_equal(fake_host_count(&fake, "secret_missing"), 0);
  assert_int_equal(truncate(path, 0), 0);
  for (int k = 0; k < 3; k++)
    rmq_role_monitor_sample(f.m);
  assert_int_equal(fake_host_count(&fake, "secret_missing"), 1);
  assert_non_null(strstr(fake.lines[fake.lines_count - 1].message,
                         "has no secret in its first line; what was read from "
                         "it before is used, or nothing"));
  fd = open(path, O_WRONLY);
  assert_int_equal(write(fd, "y\n", 2), 2);
  close(fd);
  rmq_role_monitor_sample(f.m);
  assert_int_equal(fake_host_count(&fake, "secret_missing"), 2);
  unlink(path);
  tear_down(&f);
}

static struct rmq_baseline_options *add_baseline(struct fixture *f) {
  struct rmq_error err = {.text = ""};
  return rmq_options_add_block(
      rmq_options_find(rmq_role_monitor_options, "Baseline"), &f->config, &err);
}

static void start(struct fixture *f) {
  struct rmq_error err = {.text = ""};
  f->m = rmq_role_monitor_new(&fake.host, "main", &f->config, &f->http, &err);
  if (f->m == NULL)
    fail_msg("%s", err.text);
}

/* Polls every 10 s for so long; 50 messages a second. */
static void run_for(struct fixture *f, int seconds) {
  for (int s = 0; s < seconds; s += 10) {
    f->broker.published += 500;
    fake_host_clear(&fake);
    rmq_role_monitor_sample(f->m);
    fake_host_advance(&fake, rmq_s(10));
  }
}

static void what_is_learned_as_usual_is_an_option(void **state) {
  (void)state;
  static const struct {
    const char *name;
    bool has_block;
    int64_t learn_s;
    int want_silent; /* seconds from the first rate */
  } rows[] = {{"no block", false, 0, 120},
              {"the block's defaults", true, 120, 120},
              {"a minute", true, 60, 60}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    SHOW_ROW("%s", rows[i].name);
    prepare(&f);
    if (rows[i].has_block) {
      struct rmq_baseline_options *b = add_baseline(&f);
      assert_non_null(b);
      assert_true(b->learn.ns == rmq_s(120).ns);
      b->learn = rmq_s(rows[i].learn_s);
    }
    start(&f);
    run_for(&f, 20 + rows[i].want_silent);
    assert_null(fake_host_find(&fake, MAIN "percent-throughput_drop"));
    run_for(&f, 10);
    assert_true(fake_host_value(&fake, MAIN "percent-throughput_drop") == 0);
    tear_down(&f);
  }
}

static void hours_of_the_week_survive_a_restart(void **state) {
  (void)state;
  struct fixture f;
  char directory[200], path[300];
  const char *tmp = getenv("TMPDIR");
  snprintf(directory, sizeof(directory), "%s/role_monitor.XXXXXX",
           tmp == NULL ? "/tmp" : tmp);
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof(path), "%s/rabbitmq_monitor-main.week", directory);
  for (int life = 0; life < 2; life++) {
    struct rmq_wall wall = fake.wall;
    prepare(&f);
    if (life > 0)
      fake.wall = wall;
    struct rmq_baseline_options *b = add_baseline(&f);
    b->hour_of_week = true;
    b->state_dir = strdup(directory);
    start(&f);
    if (life == 0)
      run_for(&f, 2 * 7 * 24 * 3600 + 3600);
    run_for(&f, 20); /* the first rate */
    assert_true(fake_host_value(&fake, MAIN "percent-throughput_drop") == 0);
    f.broker.published -= 250; /* of 500 */
    run_for(&f, 10);
    assert_true(fake_host_value(&fake, MAIN "percent-throughput_drop") == 50);
    tear_down(&f);
  }
  unlink(path);
  rmdir(directory);
}

static void hours_of_the_week_need_polls_within_the_hour(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_buf errors;
  prepare(&f);
  rmq_buf_init(&errors, 4096);
  add_baseline(&f)->hour_of_week = true;
  set(&f, "Interval", "15m");
  assert_int_equal(rmq_role_monitor_check(&f.config, &errors), 0);
  set(&f, "Interval", "16m");
  assert_int_equal(rmq_role_monitor_check(&f.config, &errors), -1);
  assert_string_equal(rmq_buf_text(&errors),
                      "option Interval: must be at most 900 seconds with "
                      "HourOfWeek\n");
  rmq_buf_fini(&errors);

  tear_down(&f);
}

/* Every interval has its result; what is missing is series, and nothing that
 * was raised ends because of it. */
static void a_slow_broker_is_asked_for_less_and_then_for_more(void **state) {
  (void)state;
  static const char level[] = MAIN "gauge-detail_level";
  static const char of_queue[] =
      "rabbitmq_monitor-main-queue-%2F-in/queue_length-ready";
  struct fixture f;
  struct rmq_error err = {.text = ""};
  prepare(&f);
  struct rmq_alert_config *alert = add_alert(&f, RMQ_ALERT_BACKLOG);
  alert->failure = 3;
  alert->hold = rmq_s(0);
  f.broker.has_unacked = true;
  f.m = rmq_role_monitor_new(&fake.host, "main", &f.config, &f.http, &err);
  assert_non_null(f.m);
  struct rmq_mono due = fake.now;
  for (int i = 0; i < 60; i++) {
    fake_host_advance(&fake, rmq_mono_since(due, fake.now));
    fake.samples_count = 0;
    f.broker.queue_seconds = i >= 5 && i < 10 ? 6 : 0;
    rmq_role_monitor_sample(f.m);
    assert_true(fake_host_value(&fake, MAIN "bool-reachable") == 1);
    if (i == 5) /* once too long; it was not to be foreseen */
      assert_true(fake_host_value(&fake, level) == 3);
    if (i == 6 || i == 7)
      assert_true(fake_host_value(&fake, level) == 0 &&
                  fake_host_find(&fake, of_queue) == NULL);
    if (i < 5 || i == 59)
      assert_true(fake_host_value(&fake, level) == 3 &&
                  fake_host_value(&fake, of_queue) == 3);
    assert_true(fake_host_value(&fake, MAIN "duration-scrape_cpu") >= 0);
    assert_true(fake_host_value(&fake, MAIN "bytes-scrape_memory") > 1e5);
    due = rmq_mono_add(due, rmq_s(10));
    assert_true(fake.now.ns < due.ns);
  }
  assert_int_equal(fake.events_count, 1);
  assert_int_equal(fake.events[0].severity, RMQ_FAILURE);
  const char *first = NULL;
  for (size_t i = 0; first == NULL && i < fake.lines_count; i++)
    if (strcmp(fake.lines[i].event, "detail_level") == 0)
      first = fake.lines[i].message;
  assert_non_null(first);
  assert_string_equal(first,
                      "detail level 0, was 3, of queues: no queue; the last "
                      "poll took 6 s, TimeBudget is 5 s");
  size_t changes = fake_host_count(&fake, "detail_level");
  assert_true(changes >= 4 && changes <= 8);
  tear_down(&f);
}

/* The budget is for them, too, in each poll: which of them asks is no reason
 * to report more or less. */
static void slow_health_checks_are_a_part_of_the_budget(void **state) {
  (void)state;
  static const char level[] = MAIN "gauge-detail_level";
  static const struct {
    int64_t seconds;
    double want;
  } rows[] = {{2, 3}, {4, 3}, {5, 0}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%lld s", (long long)rows[i].seconds);
    struct fixture f;
    set_up(&f);
    f.broker.check_seconds = rows[i].seconds;
    for (int k = 0; k < 20; k++) {
      fake.samples_count = 0;
      rmq_role_monitor_sample(f.m);
      if (k < 2 || k >= 5) /* one is no trend; then level by level */
        assert_true(fake_host_value(&fake, level) ==
                    (k < 2 ? 3 : rows[i].want));
      fake_host_advance(&fake, rmq_s(10));
    }
    tear_down(&f);
  }
}

static void a_level_that_changes_with_the_source_says_so(void **state) {
  (void)state;
  struct rmq_role_monitor_config config = {.max_queues = 100};
  struct rmq_detail details[2];
  struct rmq_monitor_log l;
  struct rmq_snapshot s;
  fake_host_init(&fake);
  rmq_monitor_log_init(&l, &fake.host, "main", &config);
  rmq_snapshot_init(&s, 100);
  for (int i = 0; i < 2; i++)
    rmq_detail_init(&details[i], 5);
  rmq_error_set(&details[1].reason, "an old one");
  static const struct {
    enum rmq_source source;
    enum rmq_detail_level level;
    const char *want; /* line; NULL = none */
  } rows[] = {
      {RMQ_SOURCE_PROMETHEUS, RMQ_DETAIL_LENGTHS,
       "detail level 2, was 3, of queues: lengths of every queue, more of the "
       "longest; an old one"},
      {RMQ_SOURCE_MANAGEMENT, RMQ_DETAIL_ALL,
       "detail level 3, was 2, of queues: all of every queue; another source"},
      {RMQ_SOURCE_PROMETHEUS, RMQ_DETAIL_ALL, NULL},
      {RMQ_SOURCE_PROMETHEUS, RMQ_DETAIL_TOTALS,
       "detail level 0, was 3, of queues: no queue; an old one"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    const struct rmq_poll_result r = {
        .outcome = RMQ_POLL_ANSWERED,
        .url = "http://a",
        .source = rows[i].source,
        .detail = &details[rows[i].source == RMQ_SOURCE_PROMETHEUS]};
    s.detail = rows[i].level;
    size_t before = fake.lines_count;
    rmq_monitor_log_poll(&l, &r, &s, fake.now);
    const char *line = NULL;
    for (size_t k = before; k < fake.lines_count; k++)
      if (strcmp(fake.lines[k].event, "detail_level") == 0)
        line = fake.lines[k].message;
    assert_int_equal(line != NULL, rows[i].want != NULL);
    if (line != NULL)
      assert_string_equal(line, rows[i].want);
  }
  rmq_snapshot_fini(&s);
}

/* Once it is sure, since between two requests queues come and go. */
static void queues_that_the_user_may_not_see_are_said_once(void **state) {
  (void)state;
  enum { SURE = 10 };
  static char vhost[] = "v";
  static char *vhosts[] = {vhost};
  static const struct {
    const char *name;
    double total, listed; /* NaN = not known */
    bool is_interrupted;  /* by a poll in which all were there */
    bool is_chosen;       /* IncludeVHost is given */
    size_t want;          /* lines */
  } rows[] = {
      {"some", 30, 18, false, false, 1},
      {"some, but not always", 30, 18, true, false, 0},
      {"some, of vhosts that nobody wants", 30, 18, false, true, 0},
      {"none", 18, 18, false, false, 0},
      {"a list that is newer", 18, 30, false, false, 0},
      {"a broker that does not say", NAN, 18, false, false, 0},
      {"no list was asked for", 30, NAN, false, false, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    struct rmq_role_monitor_config config = {.max_queues = 100};
    if (rows[i].is_chosen)
      config.include_vhost = (struct rmq_strings){.items = vhosts, .count = 1};
    const struct rmq_poll_result r = {.outcome = RMQ_POLL_ANSWERED,
                                      .url = "http://a"};
    struct rmq_monitor_log l;
    struct rmq_snapshot s;
    fake_host_init(&fake);
    rmq_monitor_log_init(&l, &fake.host, "main", &config);
    rmq_snapshot_init(&s, 100);
    for (int poll = 1; poll < 2 * SURE; poll++) {
      bool is_whole = rows[i].is_interrupted && poll % (SURE - 1) == 0;
      s.queues_total = rows[i].total + (poll % 2); /* one comes and goes */
      s.queues_listed = is_whole ? s.queues_total : rows[i].listed;
      fake_host_advance(&fake, rmq_s(1));
      rmq_monitor_log_poll(&l, &r, &s, fake.now);
      assert_int_equal(fake_host_count(&fake, "queues_hidden"),
                       poll < SURE ? 0 : rows[i].want);
    }
    if (rows[i].want > 0) {
      assert_string_equal(
          fake.lines[fake.lines_count - 1].message,
          "queues: not reported, or not all of them: 12 of 30 are in virtual "
          "hosts on which the user has no permission; give it an empty one, or "
          "choose with IncludeVHost");
      s.queues_total = s.queues_listed;
      rmq_monitor_log_poll(&l, &r, &s, fake.now);
      assert_string_equal(fake.lines[fake.lines_count - 1].message,
                          "queues: complete again");
    }
    rmq_snapshot_fini(&s);
  }
}

static void a_url_that_is_away_is_said_once_and_when_it_is_back(void **state) {
  (void)state;
  struct rmq_role_monitor_config config = {.max_queues = 100};
  struct rmq_checks_target targets[2] = {
      {.is_silent = false},
      {.is_silent = true,
       .url = "http://rabbit2:15672",
       .why = "Could not resolve host: rabbit2"}};
  const struct rmq_checks checks = {.targets = targets, .targets_count = 2};
  struct rmq_monitor_log l;
  fake_host_init(&fake);
  rmq_monitor_log_init(&l, &fake.host, "main", &config);
  for (int turn = 0; turn < 100; turn++) {
    fake_host_advance(&fake, rmq_s(50));
    rmq_monitor_log_checks(&l, &checks, fake.now);
  }
  assert_int_equal(fake.lines_count, 1);
  assert_string_equal(fake.lines[0].event, "url_silent");
  assert_string_equal(fake.lines[0].message,
                      "http://rabbit2:15672 does not answer (Could not resolve "
                      "host: rabbit2); health checks are those of the others");
  targets[1].is_silent = false;
  for (int turn = 0; turn < 3; turn++)
    rmq_monitor_log_checks(&l, &checks, fake.now);
  assert_int_equal(fake.lines_count, 2);
  assert_string_equal(
      fake.lines[1].message,
      "http://rabbit2:15672 answers again; health checks are its own, too");
}

static void alerts_of_queues_need_queues(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_buf errors;
  prepare(&f);
  rmq_buf_init(&errors, 4096);
  add_alert(&f, RMQ_ALERT_ERRORS);
  add_alert(&f, RMQ_ALERT_DELAY); /* also about consumers */
  add_alert(&f, RMQ_ALERT_BACKLOG);
  assert_int_equal(rmq_role_monitor_check(&f.config, &errors), 0);
  set(&f, "MaxQueues", "0");
  assert_int_equal(rmq_role_monitor_check(&f.config, &errors), -1);
  assert_string_equal(rmq_buf_text(&errors),
                      "option MaxQueues: with 0 no queue is looked at, so "
                      "<Alert \"backlog\"> would never be raised\n");
  rmq_buf_fini(&errors);
  tear_down(&f);
}

static void manual_and_sample_have_every_option(void **state) {
  (void)state;
  manual_has_options("plugins/rabbitmq_monitor.pod", "options",
                     rmq_role_monitor_options);
  sample_has_options("conf.d/rabbitmq_monitor.conf", rmq_role_monitor_options,
                     "rabbitmq_monitor", "Cluster");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_sample_reports_cluster_node_and_queue),
      cmocka_unit_test(each_result_is_handed_over_once),
      cmocka_unit_test(an_unreachable_broker_is_a_state_that_is_reported),
      cmocka_unit_test(what_was_checked_before_an_outage_is_not_sent_after_it),
      cmocka_unit_test(the_log_hears_of_each_change_once),
      cmocka_unit_test(a_refused_password_is_another_fault_than_no_broker),
      cmocka_unit_test(a_missing_part_is_said_once_and_its_return_too),
      cmocka_unit_test(rates_come_with_the_second_poll),
      cmocka_unit_test(the_thread_polls_at_once_and_stops_at_once),
      cmocka_unit_test(reading_never_waits_for_a_poll),
      cmocka_unit_test(a_late_thread_is_left_behind_with_its_memory),
      cmocka_unit_test(what_one_request_asks_for_is_configured),
      cmocka_unit_test(a_wrong_configuration_is_told_line_by_line),
      cmocka_unit_test(what_no_node_tells_is_not_chosen_by),
      cmocka_unit_test(all_errors_of_a_block_are_told),
      cmocka_unit_test(a_secret_that_cannot_be_read_blinds_nobody),
      cmocka_unit_test(a_secret_that_can_be_read_again_is_said),
      cmocka_unit_test(an_outage_is_one_alert_and_its_end_is_one),
      cmocka_unit_test(what_is_learned_as_usual_is_an_option),
      cmocka_unit_test(hours_of_the_week_survive_a_restart),
      cmocka_unit_test(hours_of_the_week_need_polls_within_the_hour),
      cmocka_unit_test(a_slow_broker_is_asked_for_less_and_then_for_more),
      cmocka_unit_test(slow_health_checks_are_a_part_of_the_budget),
      cmocka_unit_test(a_level_that_changes_with_the_source_says_so),
      cmocka_unit_test(queues_that_the_user_may_not_see_are_said_once),
      cmocka_unit_test(a_url_that_is_away_is_said_once_and_when_it_is_back),
      cmocka_unit_test(alerts_of_queues_need_queues),
      cmocka_unit_test(manual_and_sample_have_every_option),
  };
  return run_all(tests);
}
