/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/buf.h"
#include "common/broker/management.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <sys/resource.h>

/* A whole fixture, NUL-terminated; the test's to free. */
static char *read_fixture(const char *name, size_t *ret_len) {
  const char *top = getenv("top_srcdir");
  char path[600];
  snprintf(path, sizeof(path), "%s/tests/fixtures/mgmt/%s",
           top == NULL ? "." : top, name);
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    fail_msg("no %s", path);
  char *bytes = calloc(1, 100000);
  *ret_len = fread(bytes, 1, 99999, f);
  fclose(f);
  return bytes;
}

static void load_overview(const char *name, struct rmq_snapshot *s) {
  size_t len;
  char *bytes = read_fixture(name, &len);
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_management_overview(bytes, len, s, &err), 0);
  assert_false(rmq_error_is_set(&err));
  free(bytes);
}

static void load_nodes(const char *name, struct rmq_snapshot *s) {
  size_t len;
  char *bytes = read_fixture(name, &len);
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_management_nodes(bytes, len, s, &err), 0);
  free(bytes);
}

/* Of a text that is not to be written to. */
#define OF_TEXT(what, type)                                                    \
  static int what##_of(const char *text, type *to, struct rmq_error *err) {    \
    char *copy = strdup(text);                                                 \
    int rc = rmq_management_##what(copy, strlen(text), to, err);               \
    free(copy);                                                                \
    return rc;                                                                 \
  }
OF_TEXT(overview, struct rmq_snapshot)
OF_TEXT(nodes, struct rmq_snapshot)
OF_TEXT(vhosts, struct rmq_snapshot)
OF_TEXT(streams, struct rmq_snapshot)
OF_TEXT(queue, struct rmq_snapshot_queue)

static size_t load_queues(const char *name, rmq_management_want want,
                          struct rmq_snapshot *s) {
  size_t len, pages = 0;
  char *bytes = read_fixture(name, &len);
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_management_queues(bytes, len, want, s, s, &pages, &err),
                   0);
  free(bytes);
  return pages;
}

static const struct rmq_snapshot_queue *find(const struct rmq_snapshot *s,
                                             const char *name) {
  for (size_t i = 0; i < s->queues_count; i++)
    if (strcmp(s->queues[i].name, name) == 0)
      return &s->queues[i];
  return NULL;
}

/* Where capture.py did the same to each version. */
static const struct version {
  const char *name;
  size_t queues;
  double ready, connections;
  int64_t stats[RMQ_STATS_COUNT];
  double capacity; /* of the queue "in"; 0 = not known */
} versions[] = {
    /* no streams yet; what is dropped is always 0 there */
    {"3.8.9", 9, 36, 5, {53, 53, 15, 0, 1, 0, 7, 3, 3, RMQ_ABSENT}, 0},
    {"3.10.8", 10, 41, 6, {58, 58, 18, 0, 1, 0, 8, 3, 3, 3}, 0.2788},
    {"4.0.5", 10, 41, 6, {58, 58, 18, 0, 1, 0, 8, 3, 3, 3}, 0.3194},
};

static const char *file_of(const struct version *v, const char *file) {
  static char path[100];
  snprintf(path, sizeof(path), "%s/%s", v->name, file);
  return path;
}

static void a_real_overview_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(versions); i++) {
    const struct version *v = &versions[i];
    struct rmq_snapshot s;
    SHOW_ROW("%s", v->name);
    rmq_snapshot_init(&s, 10);
    load_overview(file_of(v, "overview.json"), &s);
    assert_string_equal(s.version, v->name);
    assert_true(s.ready == v->ready);
    assert_true(s.unacked == 4);
    assert_true(s.connections == v->connections);
    assert_true((double)s.tallies[RMQ_TALLY_OPENED] == v->connections);
    assert_int_equal(s.tallies[RMQ_TALLY_CLOSED], 1);
    for (size_t k = 0; k < RMQ_STATS_COUNT; k++) {
      SHOW_ROW("%s %s", v->name, rmq_stat_to_str((enum rmq_stat)k));
      assert_int_equal(s.stats[k], v->stats[k]);
    }
    rmq_snapshot_fini(&s);
  }
}

static void a_real_node_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(versions); i++) {
    struct rmq_snapshot s;
    SHOW_ROW("%s", versions[i].name);
    rmq_snapshot_init(&s, 10);
    load_nodes(file_of(&versions[i], "nodes.json"), &s);
    assert_true(s.has_nodes);
    assert_int_equal(s.nodes_count, 1);
    const struct rmq_snapshot_node *n = &s.nodes[0];
    assert_string_equal(n->name, "warren@localhost");
    assert_true(n->running == 1);
    assert_true(n->memory_limit == 1e9);
    assert_true(n->memory_used > 5e7 && n->memory_used < 5e8);
    assert_true(n->disk_limit == 5e7);
    assert_true(n->fds_total == 20000 && n->fds_used > 10);
    assert_true(n->processes_total == 1048576 && n->processes_used > 100);
    assert_true(n->memory_alarm == 0 && n->disk_alarm == 0);
    assert_true(n->partitions == 0);
    assert_true(n->uptime > 50 && n->uptime < 1000);
    assert_true(n->os_pid > 1000);
    rmq_snapshot_fini(&s);
  }
}

static void check_queues(const struct rmq_snapshot *s,
                         const struct version *v) {
  const struct rmq_snapshot_queue *in = find(s, "in");
  assert_non_null(in);
  assert_string_equal(in->vhost, "/");
  assert_true(in->ready == 9);
  assert_true(in->unacked == 4);
  assert_true(in->consumers == 1);
  assert_true(in->memory > 1000);
  assert_true(v->capacity > 0 ? fabs(in->consumer_capacity - v->capacity) < 1e-3
                              : isnan(in->consumer_capacity));
  assert_true(in->head_timestamp > 1.7e9);
  assert_int_equal(in->stats[RMQ_STAT_PUBLISH], 20);
  assert_int_equal(in->stats[RMQ_STAT_DELIVER], 13);
  assert_int_equal(in->stats[RMQ_STAT_ACK], 6);
  assert_int_equal(in->stats[RMQ_STAT_REDELIVER], 2);
  const struct rmq_snapshot_queue *quorum = find(s, "quorum");
  assert_true(quorum->ready == 19 && quorum->unacked == 0);
  assert_true(isnan(quorum->head_timestamp));
  assert_int_equal(quorum->stats[RMQ_STAT_GET], 1);
  assert_true(find(s, "dead")->ready == 7);
  const struct rmq_snapshot_queue *idle = find(s, "idle");
  assert_true(isnan(idle->head_timestamp)); /* null */
  assert_int_equal(idle->stats[RMQ_STAT_PUBLISH], RMQ_ABSENT);
  const struct rmq_snapshot_queue *stream = find(s, "stream");
  assert_int_equal(stream != NULL, v->queues == 10);
  assert_true(stream == NULL || (stream->is_stream && isnan(stream->ready)));
  assert_true(stream == NULL || stream->stats[RMQ_STAT_PUBLISH] == 5);
  const struct rmq_snapshot_queue *odd = find(s, "a-b/c d");
  assert_non_null(odd);
  assert_string_equal(odd->vhost, "team-a/x");
  assert_non_null(find(s, "na\xc3\xafve \"quoted\""));
}

static void real_pages_of_queues_are_read_one_after_the_other(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(versions); i++) {
    const struct version *v = &versions[i];
    struct rmq_snapshot s;
    SHOW_ROW("%s", v->name);
    rmq_snapshot_init(&s, 10);
    assert_int_equal(load_queues(file_of(v, "queues-page1.json"), NULL, &s), 2);
    assert_int_equal(load_queues(file_of(v, "queues-page2.json"), NULL, &s), 2);
    assert_int_equal(s.queues_count, v->queues);
    assert_true(s.listed_ready == v->ready && s.listed_unacked == 4);
    check_queues(&s, v);
    rmq_snapshot_fini(&s);
  }
}

/* Of no version: forms that releases have, by their notes and issues, for what
 * they do not know. */
static const char odd_overview[] =
    "{\"management_version\": \"4.2.0\", \"rabbitmq_version\": \"4.2.0\","
    "\"message_stats\": [], \"queue_totals\": {}, \"churn_rates\": {},"
    "\"object_totals\": {\"connections\": 4, \"channels\": \"\"}}";
static const char odd_nodes[] =
    "[{\"name\": \"rabbit@a\", \"running\": true, \"mem_used\": 150000000,"
    "\"disk_free_alarm\": true, \"fd_used\": \"unknown\","
    "\"fd_total\": \"unknown\", \"uptime\": 5000, \"partitions\": []},"
    "{\"name\": \"rabbit@b\", \"running\": false, \"type\": \"disc\"},"
    "{\"name\": \"\", \"running\": true}, {\"running\": true}, 7]";
static const char odd_queues[] =
    "{\"page\": 1, \"page_count\": 1, \"items\": ["
    "{\"name\": \"quorum\", \"vhost\": \"/\", \"messages_ready\": 7,"
    "\"message_stats\": {\"publish\": 9, \"ack\": 3.0, \"deliver\": \"5\","
    "\"redeliver\": null, \"get\": -5}},"
    "{\"name\": \"old\", \"vhost\": \"/\", \"messages_ready\": \"\","
    "\"consumer_utilisation\": \"\", \"head_message_timestamp\": \"\"},"
    "{\"name\": \"utilised\", \"vhost\": \"/\","
    "\"consumer_utilisation\": 0.5, \"consumers\": 1,"
    "\"memory\": {\"total\": 1}, \"messages_ready\": true},"
    "{\"name\": \"n\\u0000l\", \"vhost\": \"/\", \"messages_ready\": 1},"
    "{\"name\": \"no vhost\"}, \"not a queue\"]}";

static void absent_and_wrongly_typed_fields_are_absent_never_0(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_error err = {.text = ""};
  size_t pages = 0;
  rmq_snapshot_init(&s, 10);
  assert_int_equal(overview_of(odd_overview, &s, &err), 0);
  assert_true(isnan(s.ready));
  assert_true(isnan(s.unacked));
  assert_true(s.connections == 4);
  assert_int_equal(s.tallies[RMQ_TALLY_OPENED], RMQ_ABSENT);
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
    assert_int_equal(s.stats[i], RMQ_ABSENT);
  assert_int_equal(nodes_of(odd_nodes, &s, &err), 0);
  assert_int_equal(s.nodes_count, 2);
  assert_true(isnan(s.nodes[0].fds_used));
  assert_true(s.nodes[0].disk_alarm == 1);
  assert_true(s.nodes[0].uptime == 5);
  assert_true(s.nodes[1].running == 0);
  assert_true(isnan(s.nodes[1].memory_used));
  assert_true(isnan(s.nodes[1].partitions));
  char queues[sizeof(odd_queues)]; /* is written to */
  memcpy(queues, odd_queues, sizeof(queues));
  assert_int_equal(rmq_management_queues(queues, strlen(queues), NULL, NULL, &s,
                                         &pages, &err),
                   0);
  assert_int_equal(s.queues_count, 3);
  const struct rmq_snapshot_queue *q = find(&s, "quorum");
  assert_int_equal(q->stats[RMQ_STAT_PUBLISH], 9);
  assert_int_equal(q->stats[RMQ_STAT_DELIVER], RMQ_ABSENT);
  assert_int_equal(q->stats[RMQ_STAT_REDELIVER], RMQ_ABSENT);
  assert_int_equal(q->stats[RMQ_STAT_GET], RMQ_ABSENT);
  q = find(&s, "old");
  assert_true(isnan(q->ready));
  assert_true(isnan(q->consumer_capacity));
  assert_true(isnan(q->head_timestamp));
  q = find(&s, "utilised");
  assert_true(q->consumer_capacity == 0.5);
  assert_true(isnan(q->memory));
  assert_true(isnan(q->ready));
  rmq_snapshot_fini(&s);
}

static bool want_in(void *ctx, const char *vhost, const char *name) {
  (void)ctx;
  return strcmp(vhost, "/") == 0 && strcmp(name, "in") == 0;
}

static void unwanted_queues_take_no_room(void **state) {
  (void)state;
  struct rmq_snapshot s;
  rmq_snapshot_init(&s, 1);
  load_queues("3.10.8/queues-page1.json", want_in, &s);
  assert_int_equal(s.queues_count, 1);
  assert_int_equal(s.queues_left_out, 0);
  rmq_snapshot_clear(&s);
  load_queues("3.10.8/queues-page1.json", NULL, &s);
  assert_int_equal(s.queues_count, 1);
  assert_int_equal(s.queues_left_out, 5);
  rmq_snapshot_fini(&s);
}

static void a_list_without_pages_is_one_page(void **state) {
  (void)state;
  char body[] = "[{\"vhost\":\"/\",\"name\":\"q\","
                "\"messages_ready\":5,\"consumers\":1}]";
  static const char about_one[] =
      "{\"memory\":9,\"message_stats\":{\"ack\":3}}";
  char none[] = "[]";
  struct rmq_error err = {.text = ""};
  struct rmq_snapshot s;
  size_t pages = 0;
  rmq_snapshot_init(&s, 10);
  assert_int_equal(
      rmq_management_queues(body, strlen(body), NULL, NULL, &s, &pages, &err),
      0);
  assert_int_equal(pages, 1);
  assert_int_equal(rmq_management_queues(none, 2, NULL, NULL, &s, &pages, &err),
                   0);
  assert_int_equal(s.queues_count, 1);
  struct rmq_snapshot_queue *q = &s.queues[0];
  assert_int_equal(queue_of(about_one, q, &err), 0);
  assert_true(q->ready == 5 && q->consumers == 1 && q->memory == 9);
  assert_int_equal(q->stats[RMQ_STAT_ACK], 3);
  assert_int_equal(q->counting, RMQ_COUNTED_ALONE);
  assert_int_equal(queue_of("[]", q, &err), -1);
  assert_true(rmq_error_is_set(&err));
  rmq_snapshot_fini(&s);
}

static void what_is_not_the_api_is_refused_with_a_reason(void **state) {
  (void)state;
  static const char *const bodies[] = {"",
                                       "<html>502</html>",
                                       "null",
                                       "7",
                                       "[",
                                       "[1,2]",
                                       "{\"a\":1",
                                       "\"a string\"",
                                       "{}",
                                       "\xff\xfe",
                                       "{\"rabbitmq_version\":1e999}"};
  struct rmq_snapshot s;
  rmq_snapshot_init(&s, 10);
  for (size_t i = 0; i < COUNT_OF(bodies); i++) {
    SHOW_ROW("%zu", i);
    struct rmq_error a = {.text = ""}, b = {.text = ""}, c = {.text = ""};
    size_t len = strlen(bodies[i]), pages = 77;
    assert_int_equal(overview_of(bodies[i], &s, &a), -1);
    assert_true(rmq_error_is_set(&a));
    char *copy = strdup(bodies[i]);
    assert_int_equal(
        rmq_management_queues(copy, len, NULL, NULL, &s, &pages, &b), -1);
    free(copy);
    assert_true(rmq_error_is_set(&b));
    assert_int_equal(pages, 77);
    if (bodies[i][0] != '[' || len == 1) {
      assert_int_equal(nodes_of(bodies[i], &s, &c), -1);
      assert_true(rmq_error_is_set(&c));
    }
  }
  rmq_snapshot_fini(&s);
}

static void an_endless_list_of_nodes_is_refused(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_buf b;
  struct rmq_error err = {.text = ""};
  rmq_snapshot_init(&s, 10);
  rmq_buf_init(&b, 100000);
  for (int i = 0; i < 300; i++)
    rmq_buf_appendf(&b, "%c{\"name\":\"n%d\"}", i == 0 ? '[' : ',', i);
  rmq_buf_append_char(&b, ']');
  assert_int_equal(rmq_management_nodes(rmq_buf_bytes(&b), b.len, &s, &err),
                   -1);
  assert_int_equal(s.nodes_count, RMQ_SNAPSHOT_NODES_MAX);
  assert_false(s.has_nodes);
  rmq_buf_fini(&b);
  rmq_snapshot_fini(&s);
}

/* 1 MiB in which a byte would be worth more than forty in a tree. */
static void no_body_costs_more_memory_than_itself(void **state) {
  (void)state;
  enum { LEN = 1024 * 1024, KILOBYTES_MAX = 4 * 1024 };
  static const struct {
    const char *begin, *each, *end;
  } rows[] = {{"{\"x\":[", "[],", "[]]}"},
              {"[", "[],", "[]]"},
              {"[", "{},", "{}]"},
              {"[", "0,", "0]"},
              {"{\"reason\":7", ",\"\":0", "}"},
              {"{\"message_stats\":{\"a\":0", ",\"b\":[]", "}}"},
              {"[{\"partitions\":[1", ",{}", "]}]"}};
  char *body = malloc(LEN), *copy = malloc(LEN), reason[32];
  assert_non_null(body);
  assert_non_null(copy);
  memset(copy, 1, LEN);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_snapshot s;
    struct rmq_snapshot_queue q;
    struct rmq_error err = {.text = ""};
    struct rusage before, after;
    size_t len = 0, pages = 0, each = strlen(rows[i].each);
    SHOW_ROW("%s%s", rows[i].begin, rows[i].each);
    len = (size_t)snprintf(body, LEN, "%s", rows[i].begin);
    for (; len + each + 10 < LEN; len += each)
      memcpy(body + len, rows[i].each, each);
    len += (size_t)snprintf(body + len, LEN - len, "%s", rows[i].end);
    rmq_snapshot_init(&s, 10);
    rmq_snapshot_queue_clear(&q);
    s.vhosts_max = 10;
    getrusage(RUSAGE_SELF, &before);
    int (*const readers[])(char *, size_t, struct rmq_snapshot *,
                           struct rmq_error *) = {
        rmq_management_overview, rmq_management_nodes, rmq_management_vhosts,
        rmq_management_streams};
    for (size_t k = 0; k < COUNT_OF(readers); k++) {
      memcpy(copy, body, len);
      readers[k](copy, len, &s, &err);
    }
    memcpy(copy, body, len);
    rmq_management_queue(copy, len, &q, &err);
    memcpy(copy, body, len);
    rmq_management_queues(copy, len, NULL, NULL, &s, &pages, &err);
    rmq_management_reason(body, len, reason, sizeof(reason));
    assert_string_equal(reason, "");
    getrusage(RUSAGE_SELF, &after);
    assert_in_range(after.ru_maxrss - before.ru_maxrss, 0, KILOBYTES_MAX);
    assert_int_equal(s.nodes_count + s.vhosts_count + s.queues_count, 0);
    rmq_snapshot_fini(&s);
  }
  free(body);
  free(copy);
}

static void an_endless_list_of_vhosts_is_refused(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_buf b;
  struct rmq_error err = {.text = ""};
  rmq_snapshot_init(&s, 10);
  s.vhosts_max = 10;
  rmq_buf_init(&b, 1 << 20);
  for (int i = 0; i <= 50000; i++)
    rmq_buf_appendf(&b, "%c{\"name\":\"%d\"}", i == 0 ? '[' : ',', i % 7);
  rmq_buf_append_char(&b, ']');
  assert_int_equal(rmq_management_vhosts(rmq_buf_bytes(&b), b.len, &s, &err),
                   -1);
  assert_non_null(strstr(err.text, "the list of vhosts is longer than 50000"));
  assert_int_equal(s.vhosts_count, 0); /* a part of them would be a lie */
  rmq_buf_fini(&b);
  rmq_snapshot_fini(&s);
}

static void the_brokers_own_reason_is_found(void **state) {
  (void)state;
  static const struct {
    const char *body, *want;
  } rows[] = {
      {"{\"error\":\"not_authorised\",\"reason\":\"Not monitor user\"}",
       "Not monitor user"},
      {"{\"reason\":7}", ""},
      {"<html>", ""},
      {"", ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char text[8 + 16];
    rmq_management_reason(rows[i].body, strlen(rows[i].body), text,
                          sizeof(text));
    assert_string_equal(text, rows[i].want);
  }
}

static void a_queue_that_is_on_two_pages_counts_once(void **state) {
  (void)state;
  struct rmq_snapshot s;
  rmq_snapshot_init(&s, 20);
  load_queues("3.10.8/queues-page1.json", NULL, &s);
  load_queues("3.10.8/queues-page1.json", NULL, &s);
  assert_int_equal(s.queues_count, 12);
  rmq_snapshot_sort(&s);
  assert_int_equal(s.queues_count, 6);
  assert_string_equal(s.queues[0].name, "dead");
  assert_string_equal(s.queues[5].name, "short");
  rmq_snapshot_fini(&s);
}

static void queues_are_chosen_by_what_they_are(void **state) {
  (void)state;
  static const char list[] =
      "[{\"name\":\"c\",\"vhost\":\"/\",\"type\":\"classic\","
      "\"exclusive\":false,\"messages_ready\":5},"
      "{\"name\":\"e\",\"vhost\":\"/\",\"type\":\"classic\","
      "\"exclusive\":true},"
      "{\"name\":\"o\",\"vhost\":\"/\",\"exclusive\":\"yes\"},"
      "{\"name\":\"q\",\"vhost\":\"/\",\"type\":\"quorum\"},"
      "{\"name\":\"s\",\"vhost\":\"/\",\"type\":\"stream\","
      "\"messages_ready\":9}]";
  static const struct {
    struct rmq_snapshot_choice choice;
    const char *want;
  } rows[] = {
      {{.no_classic = false}, "ceoqs"},
      {{.no_classic = true}, "oqs"},
      {{.no_quorum = true}, "ceos"},
      {{.no_streams = true}, "ceoq"},
      {{.no_exclusive = true}, "coqs"},
      {{.no_classic = true, .no_quorum = true, .no_streams = true}, "o"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_snapshot s;
    struct rmq_error err = {.text = ""};
    char text[sizeof(list)], names[8] = "";
    size_t pages = 0;
    SHOW_ROW("%s", rows[i].want);
    memcpy(text, list, sizeof(list));
    rmq_snapshot_init(&s, 10);
    s.choice = rows[i].choice;
    rmq_snapshot_clear(&s); /* before each poll: it stays */
    assert_int_equal(rmq_management_queues(text, sizeof(list) - 1, NULL, NULL,
                                           &s, &pages, &err),
                     0);
    for (size_t k = 0; k < s.queues_count; k++)
      names[k] = s.queues[k].name[0];
    assert_string_equal(names, rows[i].want);
    assert_true(s.listed_ready == 14); /* of all, wanted or not */
    rmq_snapshot_fini(&s);
  }
}

static void real_stream_consumers_are_read(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_error err = {.text = ""};
  size_t len;
  char *bytes = read_fixture("3.10.8/stream-consumers.json", &len);
  rmq_snapshot_init(&s, 10);
  rmq_snapshot_add_queue(&s, "/", "other");
  rmq_snapshot_add_queue(&s, "/", "log");
  rmq_snapshot_add_queue(&s, "a", "log");
  rmq_snapshot_sort(&s);
  assert_int_equal(rmq_management_streams(bytes, len, &s, &err), 0);
  assert_true(s.stream_lag == 79);
  assert_true(rmq_snapshot_find(&s, "/", "log")->stream_lag == 79);
  assert_true(isnan(rmq_snapshot_find(&s, "/", "other")->stream_lag));
  assert_true(isnan(rmq_snapshot_find(&s, "a", "log")->stream_lag));
  assert_null(rmq_snapshot_find(&s, "a", "nothing"));
  assert_true(s.are_stream_consumers_known);
  assert_true(rmq_snapshot_find(&s, "/", "log")->has_stream_consumer);
  assert_false(rmq_snapshot_find(&s, "/", "other")->has_stream_consumer);
  free(bytes);
  static const char more[] =
      "[1,{\"offset_lag\":900},{\"offset_lag\":\"9\",\"queue\":{\"name\":"
      "\"log\",\"vhost\":\"/\"}},{\"offset_lag\":-5,\"queue\":{\"name\":"
      "\"other\",\"vhost\":\"/\"}},{\"offset_lag\":100,\"queue\":{\"name\":"
      "\"log\",\"vhost\":\"/\"}},{\"offset_lag\":200,\"queue\":{\"name\":"
      "\"unwanted\",\"vhost\":\"/\"}}]";
  assert_int_equal(streams_of(more, &s, &err), 0);
  assert_true(s.stream_lag == 200);
  assert_true(rmq_snapshot_find(&s, "/", "log")->stream_lag == 100);
  assert_true(isnan(rmq_snapshot_find(&s, "/", "other")->stream_lag));
  /* it has one, whatever its lag is */
  assert_true(rmq_snapshot_find(&s, "/", "other")->has_stream_consumer);
  rmq_snapshot_clear(&s);
  assert_int_equal(streams_of("{}", &s, &err), -1);
  assert_false(s.are_stream_consumers_known);
  rmq_snapshot_fini(&s);
}

static void real_vhosts_are_read(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_error err = {.text = ""};
  rmq_snapshot_init(&s, 10);
  s.vhosts_max = 10;
  for (size_t k = 1; k < COUNT_OF(versions); k++) {
    size_t len;
    char *bytes = read_fixture(file_of(&versions[k], "vhosts.json"), &len);
    SHOW_ROW("%s", versions[k].name);
    rmq_snapshot_clear(&s);
    assert_int_equal(rmq_management_vhosts(bytes, len, &s, &err), 0);
    assert_int_equal(s.vhosts_count, 2);
    const struct rmq_snapshot_vhost *v = &s.vhosts[0];
    assert_string_equal(v->name, "/");
    assert_true(v->ready == versions[k].ready && v->unacked == 4);
    for (size_t i = 0; i < RMQ_STATS_COUNT; i++)
      assert_int_equal(v->stats[i], versions[k].stats[i]);
    assert_string_equal(s.vhosts[1].name, "team-a/x");
    assert_true(s.vhosts[1].ready == 0);
    assert_int_equal(s.vhosts[1].stats[RMQ_STAT_PUBLISH], RMQ_ABSENT);
    free(bytes);
  }
  for (size_t i = 0; i < RMQ_STATS_COUNT; i++) /* all that is read is asked */
    assert_non_null(
        strstr(RMQ_MANAGEMENT_VHOSTS, rmq_stat_to_str((enum rmq_stat)i)));
  static const char odd[] =
      "[1,{},{\"name\":\"\"},{\"name\":\"x\",\"messages_ready\":\"7\"}]";
  rmq_snapshot_clear(&s);
  assert_int_equal(vhosts_of(odd, &s, &err), 0);
  assert_int_equal(s.vhosts_count, 1);
  assert_true(isnan(s.vhosts[0].ready));
  assert_int_equal(vhosts_of("{}", &s, &err), -1);
  rmq_snapshot_fini(&s);
}

/* It says 0 of each virtual host, too. */
static void an_old_broker_counts_no_dropped_messages(void **state) {
  (void)state;
  static const char body[] =
      "[{\"name\":\"/\",\"message_stats\":{\"publish\":5,"
      "\"drop_unroutable\":0}}]";
  static const struct {
    const char *version;
    int64_t want;
  } rows[] = {{"3.8.9", RMQ_ABSENT},
              {"3.9.27", RMQ_ABSENT},
              {"3.10.8", 0},
              {"4.0.5", 0},
              {"", 0}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_snapshot s;
    struct rmq_error err = {.text = ""};
    SHOW_ROW("%s", rows[i].version);
    rmq_snapshot_init(&s, 10);
    s.vhosts_max = 10;
    snprintf(s.version, sizeof(s.version), "%s", rows[i].version);
    assert_int_equal(vhosts_of(body, &s, &err), 0);
    assert_int_equal(s.vhosts[0].stats[RMQ_STAT_PUBLISH], 5);
    assert_int_equal(s.vhosts[0].stats[RMQ_STAT_DROPPED], rows[i].want);
    rmq_snapshot_fini(&s);
  }
}

/* What it does not know, later versions give as 0. */
static void what_a_version_zeroes_is_absent(void **state) {
  (void)state;
  static const struct {
    const char *version;
    bool has_partitions, has_capacity; /* of quorum queues, as 0 */
  } rows[] = {{"3.10.8", true, true},       {"4.2.9", true, true},
              {"4.3.0", false, true},       {"4.3.1", false, false},
              {"4.3.12", false, false},     {"4.4.0", false, false},
              {"5.0.0-rc.1", false, false}, {"", true, true}};
  static const char nodes[] = "[{\"name\":\"a\",\"partitions\":[]},"
                              "{\"name\":\"b\",\"partitions\":[\"a\"]}]";
#define CAPACITY(name, type, consumers, capacity)                              \
  "{\"name\":\"" name "\",\"vhost\":\"/\",\"type\":\"" type                    \
  "\",\"consumers\":" #consumers ",\"consumer_capacity\":" #capacity "}"
  static const char list[] =
      "[" CAPACITY("quorum", "quorum", 1, 0) "," CAPACITY(
          "used", "quorum", 1,
          0.5) "," CAPACITY("none", "quorum", 0,
                            0) "," CAPACITY("classic", "classic", 1, 0) "]";
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_snapshot s;
    struct rmq_error err = {.text = ""};
    char body[sizeof(list)];
    size_t pages = 0;
    SHOW_ROW("%s", rows[i].version);
    rmq_snapshot_init(&s, 10);
    assert_int_equal(nodes_of(nodes, &s, &err), 0);
    memcpy(body, list, sizeof(list));
    assert_int_equal(
        rmq_management_queues(body, strlen(body), NULL, NULL, &s, &pages, &err),
        0);
    snprintf(s.version, sizeof(s.version), "%s", rows[i].version);
    rmq_management_forget_zeroed(&s);
    assert_int_equal(!isnan(s.nodes[0].partitions), rows[i].has_partitions);
    assert_true(s.nodes[1].partitions == 1);
    assert_int_equal(!isnan(find(&s, "quorum")->consumer_capacity),
                     rows[i].has_capacity);
    assert_true(find(&s, "used")->consumer_capacity == 0.5);
    assert_true(find(&s, "none")->consumer_capacity == 0);
    assert_true(find(&s, "classic")->consumer_capacity == 0);
    rmq_snapshot_fini(&s);
  }
}

/* The overview's number is that of all of them, the list's that of those which
 * the user may see. */
static void both_numbers_of_queues_are_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(versions); i++) {
    const struct version *v = &versions[i];
    struct rmq_snapshot s;
    SHOW_ROW("%s", v->name);
    rmq_snapshot_init(&s, 3);
    load_overview(file_of(v, "overview.json"), &s);
    assert_true(isnan(s.queues_listed));
    load_queues(file_of(v, "queues-page1.json"), want_in, &s);
    assert_true(s.queues_listed == (double)v->queues);
    assert_true(s.queues_total == s.queues_listed);
    rmq_snapshot_fini(&s);
  }
  char whole[] = "[{\"vhost\":\"/\",\"name\":\"in\"},"
                 "{\"vhost\":\"/\",\"name\":\"unwanted\"}]";
  char wrong[] = "{\"items\":[],\"page_count\":1,\"total_count\":\"7\"}";
  struct rmq_snapshot s;
  struct rmq_error err = {.text = ""};
  size_t pages = 0;
  rmq_snapshot_init(&s, 10);
  assert_int_equal(rmq_management_queues(whole, strlen(whole), want_in, NULL,
                                         &s, &pages, &err),
                   0);
  assert_true(s.queues_listed == 2 && s.queues_count == 1);
  rmq_snapshot_clear(&s);
  assert_int_equal(
      rmq_management_queues(wrong, strlen(wrong), NULL, NULL, &s, &pages, &err),
      0);
  assert_true(isnan(s.queues_listed));
  rmq_snapshot_fini(&s);
}

static void fields_are_taken_in_any_order_and_others_read_over(void **state) {
  (void)state;
  char body[] =
      "{\"x\":{\"name\":\"no\",\"page_count\":9},\"items\":[7,null,[{}],"
      "{\"vhost\":\"/\",\"messages_ready\":3,\"z\":[{\"name\":\"no\"}],"
      "\"message_stats\":{\"publish\":5,\"publish_details\":{\"ack\":1},"
      "\"deliver\":-1,\"ack\":\"2\"},\"ack\":9,\"messages_ready\":4,"
      "\"consumer_utilisation\":0.25,\"name\":\"a\\u0062\"},"
      "{\"name\":\"nul\\u0000\",\"vhost\":\"/\"},"
      "{\"name\":\"\",\"vhost\":\"/\"},{\"name\":7,\"vhost\":\"/\"},"
      "{\"name\":\"empty\",\"vhost\":\"/\",\"message_stats\":[],"
      "\"consumers\":\"1\",\"memory\":1e3}],\"page_count\":2}";
  struct rmq_snapshot s;
  struct rmq_error err = {.text = ""};
  size_t pages = 0;
  rmq_snapshot_init(&s, 10);
  assert_int_equal(
      rmq_management_queues(body, strlen(body), NULL, NULL, &s, &pages, &err),
      0);
  assert_int_equal(pages, 2);
  assert_int_equal(s.queues_count, 2);
  const struct rmq_snapshot_queue *q = find(&s, "ab"), *e = find(&s, "empty");
  assert_non_null(q);
  assert_true(q->ready == 4); /* the last one, as in a tree */
  assert_true(q->consumer_capacity == 0.25);
  assert_int_equal(q->stats[RMQ_STAT_PUBLISH], 5);
  assert_int_equal(q->stats[RMQ_STAT_DELIVER], RMQ_ABSENT);
  assert_int_equal(q->stats[RMQ_STAT_ACK], RMQ_ABSENT);
  assert_non_null(e);
  assert_true(isnan(e->consumers));
  assert_true(e->memory == 1000);
  assert_true(s.listed_ready == 4);
  rmq_snapshot_fini(&s);
}

static void a_list_that_breaks_off_is_refused_wherever_it_does(void **state) {
  (void)state;
  size_t len;
  char *whole = read_fixture("3.10.8/queues-page1.json", &len);
  while (len > 0 && whole[len - 1] != '}')
    len--;
  for (size_t i = 0; i < len; i++) {
    struct rmq_snapshot s;
    struct rmq_error err = {.text = ""};
    size_t pages = 77;
    char *part = malloc(i + 1); /* no byte more to look at */
    memcpy(part, whole, i);
    rmq_snapshot_init(&s, 10);
    assert_int_equal(
        rmq_management_queues(part, i, NULL, NULL, &s, &pages, &err), -1);
    assert_true(rmq_error_is_set(&err));
    assert_int_equal(pages, 77);
    rmq_snapshot_fini(&s);
    free(part);
  }
  free(whole);
}

static void a_stream_has_no_lengths(void **state) {
  (void)state;
  char body[] = "{\"page_count\":1,\"items\":["
                "{\"name\":\"s\",\"vhost\":\"/\",\"type\":\"stream\","
                "\"messages_ready\":60000,\"messages_unacknowledged\":0,"
                "\"consumers\":2},"
                "{\"name\":\"q\",\"vhost\":\"/\",\"type\":\"quorum\","
                "\"messages_ready\":7,\"messages_unacknowledged\":1}]}";
  struct rmq_snapshot s;
  struct rmq_error err = {.text = ""};
  size_t pages = 0;
  rmq_snapshot_init(&s, 10);
  assert_non_null(strstr(RMQ_MANAGEMENT_QUEUES, ",type,"));
  assert_int_equal(
      rmq_management_queues(body, strlen(body), NULL, NULL, &s, &pages, &err),
      0);
  const struct rmq_snapshot_queue *stream = find(&s, "s");
  assert_true(stream->is_stream);
  assert_true(isnan(stream->ready) && isnan(stream->unacked));
  assert_true(stream->consumers == 2);
  assert_false(find(&s, "q")->is_stream);
  assert_true(find(&s, "q")->ready == 7);
  assert_true(s.listed_ready == 60007); /* as in the overview's totals */
  rmq_snapshot_fini(&s);
}

static void an_answer_about_one_queue_says_that_it_is_a_stream(void **state) {
  (void)state;
  static const struct {
    const char *body;
    bool want;
  } rows[] = {{"{\"type\":\"stream\",\"consumers\":2}", true},
              {"{\"type\":\"quorum\",\"consumers\":2}", false},
              {"{\"consumers\":2}", false}};
  assert_non_null(strstr(RMQ_MANAGEMENT_QUEUE_COLUMNS, "type,"));
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_snapshot s;
    struct rmq_error err = {.text = ""};
    SHOW_ROW("%s", rows[i].body);
    rmq_snapshot_init(&s, 10);
    struct rmq_snapshot_queue *q = rmq_snapshot_add_queue(&s, "/", "q");
    q->ready = q->unacked = 5;
    assert_int_equal(queue_of(rows[i].body, q, &err), 0);
    assert_int_equal(q->is_stream, rows[i].want);
    assert_int_equal(isnan(q->ready), rows[i].want);
    assert_int_equal(q->is_quorum, strstr(rows[i].body, "quorum") != NULL);
    assert_true(q->consumers == 2);
    rmq_snapshot_fini(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_real_overview_is_read),
      cmocka_unit_test(a_real_node_is_read),
      cmocka_unit_test(real_pages_of_queues_are_read_one_after_the_other),
      cmocka_unit_test(absent_and_wrongly_typed_fields_are_absent_never_0),
      cmocka_unit_test(unwanted_queues_take_no_room),
      cmocka_unit_test(a_list_without_pages_is_one_page),
      cmocka_unit_test(what_is_not_the_api_is_refused_with_a_reason),
      cmocka_unit_test(an_endless_list_of_nodes_is_refused),
      cmocka_unit_test(an_endless_list_of_vhosts_is_refused),
      cmocka_unit_test(no_body_costs_more_memory_than_itself),
      cmocka_unit_test(the_brokers_own_reason_is_found),
      cmocka_unit_test(an_old_broker_counts_no_dropped_messages),
      cmocka_unit_test(what_a_version_zeroes_is_absent),
      cmocka_unit_test(both_numbers_of_queues_are_read),
      cmocka_unit_test(fields_are_taken_in_any_order_and_others_read_over),
      cmocka_unit_test(a_list_that_breaks_off_is_refused_wherever_it_does),
      cmocka_unit_test(a_stream_has_no_lengths),
      cmocka_unit_test(an_answer_about_one_queue_says_that_it_is_a_stream),
      cmocka_unit_test(queues_are_chosen_by_what_they_are),
      cmocka_unit_test(real_stream_consumers_are_read),
      cmocka_unit_test(real_vhosts_are_read),
      cmocka_unit_test(a_queue_that_is_on_two_pages_counts_once),
  };
  return run_all(tests);
}
