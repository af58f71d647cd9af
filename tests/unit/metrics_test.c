/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/metrics.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

#define IDENTITY(node, version)                                                \
  "rabbitmq_build_info{rabbitmq_version=\"" version "\"} 1\n"                  \
  "rabbitmq_identity_info{rabbitmq_node=\"" node                               \
  "\",rabbitmq_cluster=\"c\"} 1\n"

static struct rmq_metrics m;

static char *read_fixture(const char *name, size_t *ret_len) {
  const char *top = getenv("top_srcdir");
  char path[600];
  snprintf(path, sizeof(path), "%s/tests/fixtures/mgmt/%s",
           top == NULL ? "." : top, name);
  FILE *f = fopen(path, "rb");
  if (f == NULL)
    fail_msg("no %s", path);
  char *bytes = calloc(1, 200000);
  *ret_len = fread(bytes, 1, 199999, f);
  fclose(f);
  return bytes;
}

/* One node's answer, in pieces as a network brings them. */
static void read_node(const char *text, size_t len) {
  struct rmq_error err = {.text = ""};
  rmq_metrics_begin_node(&m);
  for (size_t at = 0; at < len; at += 1448)
    rmq_exposition_feed(&m.reader, text + at,
                        len - at < 1448 ? len - at : 1448);
  assert_int_equal(rmq_metrics_end_node(&m, &err), 0);
}

static void read_queues(struct rmq_metrics_queues *q, const char *version,
                        const char *text) {
  snprintf(m.node.version, sizeof(m.node.version), "%s", version);
  rmq_metrics_begin_queues(&m, q);
  rmq_exposition_feed(&m.reader, text, strlen(text));
  rmq_metrics_end_queues(&m);
}

static const struct rmq_snapshot_queue *find(const struct rmq_snapshot *s,
                                             const char *name) {
  for (size_t i = 0; i < s->queues_count; i++)
    if (strcmp(s->queues[i].name, name) == 0)
      return &s->queues[i];
  return NULL;
}

/* Where capture.py did the same to each version, and what /api/overview said
 * then; see management_test. */
static const struct version {
  const char *name;
  double queues, ready, connections;
  double alarm; /* NaN = not known, as are failed logins */
  int64_t stats[RMQ_STATS_COUNT];
  int64_t dead[4]; /* rejected, expired, maxlen, delivery_limit */
} versions[] = {
    {"3.8.9",
     9,
     36,
     5,
     (double)NAN,
     {RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT,
      RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT},
     {RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT, RMQ_ABSENT}},
    {"3.10.8", 10, 41, 6, 0, {58, 58, 18, 0, 1, 0, 8, 3, 3, 3}, {1, 2, 3, 1}},
    {"4.0.5", 10, 41, 6, 0, {58, 58, 18, 0, 1, 0, 8, 3, 3, 3}, {1, 2, 3, 1}},
};

static char *read_file_of(const char *version, const char *file,
                          size_t *ret_len) {
  char path[100];
  snprintf(path, sizeof(path), "%s/%s", version, file);
  return read_fixture(path, ret_len);
}

static void check_node(const struct rmq_snapshot_node *n, double alarm) {
  assert_string_equal(n->name, "warren@localhost");
  assert_true(n->has_counters);
  assert_true(n->running == 1);
  assert_true(n->memory_alarm == alarm ||
              (isnan(n->memory_alarm) && isnan(alarm)));
  assert_true(n->disk_alarm == alarm || (isnan(n->disk_alarm) && isnan(alarm)));
  assert_true(n->memory_limit == 1e9 && n->disk_limit == 5e7);
  assert_true(n->memory_used > 5e7 && n->memory_used < 1e9);
  assert_true(n->disk_free > 1e9);
  assert_true(n->fds_total == 20000 && n->fds_used > 10);
  assert_true(n->processes_total == 1048576 && n->processes_used > 100);
  assert_true(n->run_queue >= 0 && n->run_queue < 100);
  assert_true(n->uptime > 50 && n->uptime < 1000);
  assert_true(isnan(n->partitions));
}

static void a_real_node_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(versions); i++) {
    const struct version *v = &versions[i];
    struct rmq_snapshot s;
    size_t len;
    SHOW_ROW("%s", v->name);
    char *text = read_file_of(v->name, "metrics.prom", &len);
    rmq_snapshot_init(&s, 10);
    read_node(text, len);
    assert_int_equal(m.reader.malformed, 0);
    assert_string_equal(m.node.version, v->name);
    assert_true(m.node.queues == v->queues);
    assert_true(rmq_metrics_put_node(&m.node, &s));
    assert_string_equal(s.version, v->name);
    assert_true(s.ready == v->ready);
    assert_true(s.unacked == 4);
    assert_true(s.connections == v->connections);
    assert_true(s.unconfirmed == 0);
    assert_int_equal(s.nodes_count, 1);
    check_node(&s.nodes[0], v->alarm);
    free(text);
    rmq_snapshot_fini(&s);
  }
}

static void counters_of_a_real_node_are_those_of_management(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(versions); i++) {
    const struct version *v = &versions[i];
    size_t len;
    char *text = read_file_of(v->name, "metrics.prom", &len);
    read_node(text, len);
    const int64_t *tallies = m.node.values.tallies;
    for (size_t k = 0; k < RMQ_STATS_COUNT; k++) {
      SHOW_ROW("%s %s", v->name, rmq_stat_to_str((enum rmq_stat)k));
      assert_int_equal(m.node.values.stats[k], v->stats[k]);
    }
    SHOW_ROW("%s", v->name);
    assert_true((double)tallies[RMQ_TALLY_OPENED] == v->connections);
    assert_int_equal(tallies[RMQ_TALLY_CLOSED], 1);
    assert_int_equal(tallies[RMQ_TALLY_RECEIVED_CONFIRM],
                     v->stats[RMQ_STAT_CONFIRM]);
    assert_int_equal(tallies[RMQ_TALLY_AUTH_FAILED],
                     isnan(v->alarm) ? RMQ_ABSENT : 0);
    assert_int_equal(tallies[RMQ_TALLY_DEAD_REJECTED], v->dead[0]);
    assert_int_equal(tallies[RMQ_TALLY_DEAD_EXPIRED], v->dead[1]);
    assert_int_equal(tallies[RMQ_TALLY_DEAD_MAXLEN], v->dead[2]);
    assert_int_equal(tallies[RMQ_TALLY_DEAD_DELIVERY_LIMIT], v->dead[3]);
    free(text);
  }
}

/* What each version and question tells; before 3.9.8 there is nothing. */
static const struct detail {
  const char *version, *file;
  bool has_more;  /* memory, age, capacity */
  bool has_stats; /* and which queues are streams */
} details[] = {
    {"3.10.8", "detailed-many.prom", false, false},
    {"3.10.8", "detailed-few.prom", true, false},
    {"4.0.5", "detailed-many.prom", false, false},
    {"4.0.5", "detailed-few.prom", true, true},
};

static void check_queues(const struct rmq_snapshot *s, const struct detail *d) {
  const struct rmq_snapshot_queue *in = find(s, "in");
  assert_non_null(in);
  assert_string_equal(in->vhost, "/");
  assert_true(in->ready == 9 && in->unacked == 4 && in->consumers == 1);
  assert_int_equal(in->stats[RMQ_STAT_PUBLISH], d->has_stats ? 20 : RMQ_ABSENT);
  assert_int_equal(in->stats[RMQ_STAT_DELIVER], d->has_stats ? 13 : RMQ_ABSENT);
  assert_int_equal(in->stats[RMQ_STAT_ACK], d->has_stats ? 6 : RMQ_ABSENT);
  assert_int_equal(in->stats[RMQ_STAT_REDELIVER],
                   d->has_stats ? 2 : RMQ_ABSENT);
  assert_true(d->has_more ? in->head_timestamp > 1.7e9
                          : isnan(in->head_timestamp));
  assert_true(d->has_more ? in->memory > 1e4 : isnan(in->memory));
  assert_true(d->has_more
                  ? in->consumer_capacity > 0.2 && in->consumer_capacity < 0.4
                  : isnan(in->consumer_capacity));
  const struct rmq_snapshot_queue *quoted = find(s, "naïve \"quoted\"");
  assert_non_null(quoted); /* 3.10 escapes nothing */
  assert_string_equal(quoted->vhost, "team-a/x");
  assert_true(find(s, "quorum")->ready == 19);
  assert_int_equal(find(s, "quorum")->stats[RMQ_STAT_GET],
                   d->has_stats ? 1 : RMQ_ABSENT);
  const struct rmq_snapshot_queue *stream = find(s, "stream");
  assert_int_equal(stream->is_stream, d->has_stats);
  assert_true(d->has_stats ? isnan(stream->ready) : stream->ready == 5);
  assert_true(stream->consumers == 1);
}

/* From 4.0 exchanges tell, however many queues there are. */
static void check_vhost(const struct rmq_snapshot *s, bool is_told) {
  assert_int_equal(s->vhosts_count, 2);
  const struct rmq_snapshot_vhost *v = &s->vhosts[0];
  assert_string_equal(v->name, "/");
  assert_int_equal(v->stats[RMQ_STAT_PUBLISH], is_told ? 58 : RMQ_ABSENT);
  assert_int_equal(v->stats[RMQ_STAT_CONFIRM], is_told ? 58 : RMQ_ABSENT);
  assert_int_equal(v->stats[RMQ_STAT_RETURNED], is_told ? 3 : RMQ_ABSENT);
  assert_int_equal(v->stats[RMQ_STAT_DROPPED], is_told ? 3 : RMQ_ABSENT);
}

static void queues_of_a_real_node_are_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(details); i++) {
    const struct detail *d = &details[i];
    struct rmq_snapshot s;
    struct rmq_metrics_queues q;
    size_t len;
    SHOW_ROW("%s %s", d->version, d->file);
    char *text = read_file_of(d->version, d->file, &len);
    rmq_snapshot_init(&s, 10);
    s.vhosts_max = 10;
    rmq_metrics_queues_init(&q, &s);
    rmq_metrics_begin_node(&m);
    read_queues(&q, d->version, text);
    assert_int_equal(m.reader.malformed, 0);
    assert_int_equal(s.queues_count, 10);
    check_queues(&s, d);
    check_vhost(&s, strcmp(d->version, "4.0.5") == 0);
    free(text);
    rmq_metrics_queues_fini(&q);
    rmq_snapshot_fini(&s);
  }
}

#define D "rabbitmq_detailed_queue_"

static void queues_of_version_4_have_counters(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_metrics_queues q;
  rmq_snapshot_init(&s, 10);
  rmq_metrics_queues_init(&q, &s);
  rmq_metrics_begin_node(&m);
  read_queues(
      &q, "4.1.0",
      D
      "messages_ready{vhost=\"/\",queue=\"a\\\"b\\\\\"} 5\n" D
      "head_message_timestamp{vhost=\"/\",queue=\"a\\\"b\\\\\"} 1700000000\n" D
      "get_ack_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 1\n" D
      "get_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 2\n" D
      "messages_delivered_ack_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 3\n" D
      "messages_delivered_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 4\n" D
      "messages_redelivered_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 5\n" D
      "messages_acked_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 6\n" D
      "exchange_messages_published_total{vhost=\"/\",exchange=\"\",queue="
      "\"a\\\"b\\\\\"} 7\n" D
      "exchange_messages_published_total{vhost=\"/\",exchange=\"x\",queue="
      "\"a\\\"b\\\\\"} 8\n"
      /* another node's channels delivered, too */
      D "messages_acked_total{vhost=\"/\",queue=\"a\\\"b\\\\\"} 10\n" D
      "messages_acked_total{vhost=\"/\",queue=\"not there\"} 10\n");
  rmq_metrics_queues_end(&q);
  assert_int_equal(s.queues_count, 1);
  const struct rmq_snapshot_queue *a = find(&s, "a\"b\\");
  assert_non_null(a);
  assert_true(a->head_timestamp == 1.7e9);
  assert_int_equal(a->stats[RMQ_STAT_GET], 1);
  assert_int_equal(a->stats[RMQ_STAT_GET_NO_ACK], 2);
  assert_int_equal(a->stats[RMQ_STAT_DELIVER], 3);
  assert_int_equal(a->stats[RMQ_STAT_DELIVER_NO_ACK], 4);
  assert_int_equal(a->stats[RMQ_STAT_REDELIVER], 5);
  assert_int_equal(a->stats[RMQ_STAT_ACK], 16);
  assert_int_equal(a->stats[RMQ_STAT_PUBLISH], 15);
  rmq_metrics_queues_fini(&q);
  rmq_snapshot_fini(&s);
}

static void the_node_that_answers_first_need_not_lead_the_queue(void **state) {
  (void)state;
  static const char channels[] =
      D "messages_acked_total{vhost=\"/\",queue=\"a\"} 10\n" D
        "messages_acked_total{vhost=\"/\",queue=\"deleted\"} 3\n" D
        "exchange_messages_published_total{vhost=\"/\",exchange=\"\",queue="
        "\"b\"} 20\n";
  static const char leader[] =
      D "messages_ready{vhost=\"/\",queue=\"b\"} NaN\n" D
        "messages_ready{vhost=\"/\",queue=\"a\"} 5\n" D
        "messages_acked_total{vhost=\"/\",queue=\"a\"} 1\n";
  for (int i = 0; i < 4; i++) {
    int order = i % 2;
    bool is_one_too_many = i >= 2;
    struct rmq_snapshot s;
    struct rmq_metrics_queues q;
    SHOW_ROW("the leader is %s%s", order == 0 ? "first" : "last",
             is_one_too_many ? ", two queues, one wanted" : "");
    rmq_snapshot_init(&s, is_one_too_many ? 1 : 10);
    rmq_metrics_queues_init(&q, &s);
    rmq_metrics_begin_node(&m);
    read_queues(&q, "4.1.0", order == 0 ? leader : channels);
    read_queues(&q, "4.1.0", order == 0 ? channels : leader);
    rmq_metrics_queues_end(&q);
    assert_int_equal(s.queues_count, is_one_too_many ? 1 : 2);
    assert_int_equal(s.queues_left_out, is_one_too_many ? 1 : 0);
    assert_non_null(find(&s, "a"));
    assert_true(find(&s, "a")->ready == 5);
    assert_int_equal(find(&s, "a")->stats[RMQ_STAT_ACK], 11);
    const struct rmq_snapshot_queue *b = find(&s, "b");
    assert_int_equal(b == NULL, is_one_too_many);
    assert_true(b == NULL || isnan(b->ready));
    assert_true(b == NULL || b->stats[RMQ_STAT_PUBLISH] == 20);
    rmq_metrics_queues_fini(&q);
    rmq_snapshot_fini(&s);
  }
}

static void two_nodes_that_disagree_on_a_queue_say_nothing(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_metrics_queues q;
  rmq_snapshot_init(&s, 10);
  rmq_metrics_queues_init(&q, &s);
  rmq_metrics_begin_node(&m);
  read_queues(&q, "4.1.0",
              D "messages_ready{vhost=\"/\",queue=\"a\"} 5\n" D
                "messages_unacked{vhost=\"/\",queue=\"a\"} 1\n" D
                "messages_ready{vhost=\"/\",queue=\"b\"} 7\n");
  read_queues(&q, "4.1.0",
              D "messages_ready{vhost=\"/\",queue=\"a\"} 6\n" D
                "messages_unacked{vhost=\"/\",queue=\"a\"} 1\n");
  read_queues(&q, "4.1.0", D "messages_ready{vhost=\"/\",queue=\"a\"} 5\n");
  assert_int_equal(s.queues_count, 2);
  assert_true(isnan(find(&s, "a")->ready));
  assert_true(find(&s, "a")->unacked == 1);
  assert_true(find(&s, "b")->ready == 7);
  rmq_metrics_queues_fini(&q);
  rmq_snapshot_fini(&s);
}

static void nodes_add_up_and_each_counts_once(void **state) {
  (void)state;
  struct rmq_snapshot s;
  rmq_snapshot_init(&s, 10);
  /* what the management API knew before */
  struct rmq_snapshot_node *b = rmq_snapshot_add_node(&s, "rabbit@b");
  b->running = 0;
  b->fds_total = 500;
  b->memory_used = 1;
  b->partitions = 0;
  rmq_snapshot_add_node(&s, "rabbit@c")->running = 1;
  static const char *const texts[] = {
      IDENTITY("rabbit@a", "4.0.5") "rabbitmq_queue_messages_ready 5\n"
                                    "rabbitmq_connections 2\n",
      IDENTITY("rabbit@b", "4.0.5") "rabbitmq_queue_messages_ready 7\n"
                                    "rabbitmq_process_resident_memory_bytes 9\n"
                                    "rabbitmq_unreachable_cluster_peers_count "
                                    "2\n"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    read_node(texts[i], strlen(texts[i]));
    assert_true(rmq_metrics_put_node(&m.node, &s));
    assert_false(rmq_metrics_put_node(&m.node, &s));
  }
  assert_int_equal(s.nodes_count, 3);
  assert_string_equal(s.nodes[0].name, "rabbit@b");
  assert_true(s.nodes[0].running == 0); /* it answers and is cut off */
  assert_true(s.nodes[0].has_counters);
  assert_true(s.nodes[0].fds_total == 500);
  assert_true(s.nodes[0].memory_used == 9);
  assert_true(s.nodes[0].partitions == 0); /* peers that are down are none */
  assert_false(s.nodes[1].has_counters);
  assert_string_equal(s.nodes[2].name, "rabbit@a");
  assert_true(s.nodes[2].running == 1); /* no list says anything else */
  assert_true(s.ready == 12);
  assert_true(s.connections == 2);
  assert_true(isnan(s.unacked));
  rmq_snapshot_fini(&s);
}

static void one_value_per_object_is_a_sum(void **state) {
  (void)state;
  /* prometheus.return_per_object_metrics = true, and a queue named ": */
  static const char text[] = IDENTITY(
      "rabbit@a",
      "3.10.8") "rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"a\"} 5\n"
                "rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"\"\"} 6\n"
                "rabbitmq_queue_messages_ready{vhost=\"/\",queue=\"c\"} NaN\n"
                "rabbitmq_auth_attempts_failed_total{protocol=\"http\"} 3\n"
                "rabbitmq_auth_attempts_failed_total{protocol=\"amqp091\"} 4\n";
  read_node(text, strlen(text));
  assert_true(m.node.ready == 11);
  assert_int_equal(m.node.values.tallies[RMQ_TALLY_AUTH_FAILED], 7);
}

static void what_is_no_node_is_refused(void **state) {
  (void)state;
  static const char *const texts[] = {
      "", "<html>hello</html>\n", "rabbitmq_queue_messages_ready 5\n",
      "up 1\n# HELP x y\n", "rabbitmq_identity_info{rabbitmq_node=\"\"} 1\n"};
  for (size_t i = 0; i < COUNT_OF(texts); i++) {
    struct rmq_error err = {.text = ""};
    rmq_metrics_begin_node(&m);
    rmq_exposition_feed(&m.reader, texts[i], strlen(texts[i]));
    assert_int_equal(rmq_metrics_end_node(&m, &err), -1);
    assert_non_null(strstr(err.text, "rabbitmq_prometheus"));
  }
}

static void absurd_numbers_are_not_known(void **state) {
  (void)state;
  static const char text[] =
      IDENTITY("rabbit@a", "4.0.5") "rabbitmq_connections +Inf\n"
                                    "rabbitmq_erlang_uptime_seconds NaN\n"
                                    "rabbitmq_connections_opened_total -1\n"
                                    "rabbitmq_connections_closed_total 1e300\n"
                                    "rabbitmq_channels_closed_total NaN\n";
  read_node(text, strlen(text));
  assert_true(isnan(m.node.connections));
  assert_true(isnan(m.node.values.uptime));
  for (size_t i = 0; i < 3; i++)
    assert_int_equal(m.node.values.tallies[i], RMQ_ABSENT);
}

static void
a_stream_has_no_lengths_where_the_node_tells_the_type(void **state) {
  (void)state;
  static const char leader[] =
      D "messages_ready{vhost=\"/\",queue=\"s\"} 60000\n" D
        "messages_ready{vhost=\"/\",queue=\"q\"} 7\n" D
        "messages_unacked{vhost=\"/\",queue=\"s\"} 0\n" D
        "messages_unacked{vhost=\"/\",queue=\"q\"} 1\n" D
        "consumers{vhost=\"/\",queue=\"s\"} 2\n" D
        "info{vhost=\"/\",queue=\"s\",queue_type=\"rabbit_stream_queue\","
        "membership=\"leader\"} 1\n" D
        "info{vhost=\"/\",queue=\"q\",queue_type=\"rabbit_quorum_queue\","
        "membership=\"leader\"} 1\n" D "info{vhost=\"/\",queue=\"elsewhere\","
        "queue_type=\"rabbit_stream_queue\",membership=\"replica\"} 1\n";
  struct rmq_snapshot s;
  struct rmq_metrics_queues q;
  rmq_snapshot_init(&s, 10);
  rmq_metrics_queues_init(&q, &s);
  rmq_metrics_begin_node(&m);
  for (int i = 0; i < 2; i++) { /* the second time it is known before */
    read_queues(&q, "4.1.0", leader);
    assert_int_equal(s.queues_count, 2);
    const struct rmq_snapshot_queue *stream = find(&s, "s");
    assert_true(stream->is_stream);
    assert_true(isnan(stream->ready) && isnan(stream->unacked));
    assert_true(stream->consumers == 2);
    assert_false(find(&s, "q")->is_stream);
    assert_true(find(&s, "q")->is_quorum && !stream->is_quorum);
    assert_true(find(&s, "q")->ready == 7 && find(&s, "q")->unacked == 1);
  }
  s.choice.no_streams = true;
  rmq_metrics_queues_end(&q);
  assert_int_equal(s.queues_count, 1);
  assert_string_equal(s.queues[0].name, "q");
  assert_int_equal(s.queues_left_out, 0);
  rmq_metrics_queues_fini(&q);
  rmq_snapshot_fini(&s);
}

static bool want(void *ctx, const char *vhost, const char *name) {
  ++*(int *)ctx;
  return strcmp(vhost, "/") == 0 && name[0] != 'x';
}

static void
unwanted_queues_and_more_than_the_maximum_are_left_out(void **state) {
  (void)state;
  enum { MANY = 3000, MAX = 1000 };
  struct rmq_snapshot s;
  struct rmq_metrics_queues q;
  int asked = 0;
  static char text[600000];
  size_t len = 0;
  rmq_snapshot_init(&s, MAX);
  rmq_metrics_queues_init(&q, &s);
  q.want = want;
  q.want_ctx = &asked;
  len += (size_t)snprintf(text, sizeof(text),
                          D "messages_ready{vhost=\"v\",queue=\"a\"} 1\n" D
                            "messages_ready{vhost=\"/\",queue=\"x\"} 1\n" D
                            "messages_ready{vhost=\"/\",queue=\"\"} 1\n" D
                            "messages_ready{vhost=\"/\"} 1\n" D
                            "messages_ready{queue=\"a\"} 1\n");
  for (int family = 0; family < 2; family++)
    for (int i = 0; i < MANY; i++) /* the second time in another order */
      len += (size_t)snprintf(text + len, sizeof(text) - len,
                              D "messages_%s{vhost=\"/\",queue=\"q%d\"} %d\n",
                              family == 0 ? "ready" : "unacked",
                              i * (family == 0 ? 1 : 7) % MANY,
                              i * (family == 0 ? 1 : 7) % MANY);
  assert_true(len < sizeof(text) - 1);
  rmq_metrics_begin_node(&m);
  read_queues(&q, "4.1.0", text);
  assert_int_equal(s.queues_count, MAX);
  rmq_metrics_queues_end(&q);
  assert_int_equal(s.queues_left_out, MANY - MAX);
  assert_int_equal(asked, MANY + 2);
  for (size_t i = 0; i < s.queues_count; i++) {
    assert_true(s.queues[i].ready == atoi(s.queues[i].name + 1));
    assert_true(s.queues[i].unacked == s.queues[i].ready);
  }
  rmq_metrics_queues_fini(&q);
  rmq_snapshot_fini(&s);
}

static void
over_the_maximum_the_first_by_name_stay_in_any_order_of_arrival(void **state) {
  (void)state;
  enum { MANY = 2000, MAX = 300 };
  static const int steps[] = {1, MANY - 1, 777}; /* up, down, mixed */
  static char text[400000];
  for (size_t row = 0; row < COUNT_OF(steps); row++) {
    SHOW_ROW("step %d", steps[row]);
    struct rmq_snapshot s;
    struct rmq_metrics_queues q;
    size_t len = 0;
    rmq_snapshot_init(&s, MAX);
    rmq_metrics_queues_init(&q, &s);
    for (int family = 0; family < 2; family++)
      for (int i = 0, at = MANY / 3; i < MANY; i++) {
        at = (at + steps[row]) % MANY;
        len += (size_t)snprintf(
            text + len, sizeof(text) - len,
            D "messages_%s{vhost=\"v%d\",queue=\"q%05d\"} %d\n",
            family == 0 ? "ready" : "unacked", at / 200, at % 200, at);
      }
    assert_true(len < sizeof(text) - 1);
    rmq_metrics_begin_node(&m);
    read_queues(&q, "4.1.0", text);
    rmq_metrics_queues_end(&q);
    rmq_snapshot_sort(&s);
    assert_int_equal(s.queues_count, MAX);
    assert_int_equal(s.queues_left_out, MANY - MAX);
    for (int i = 0; i < MAX; i++) {
      const struct rmq_snapshot_queue *queue = &s.queues[i];
      assert_int_equal(queue->vhost[1] - '0', i / 200);
      assert_int_equal(atoi(queue->name + 1), i % 200);
      assert_true(queue->ready == i && queue->unacked == i);
    }
    rmq_metrics_queues_fini(&q);
    rmq_snapshot_fini(&s);
  }
}

static void who_takes_a_place_has_nothing_of_who_had_it(void **state) {
  (void)state;
  struct rmq_snapshot s;
  struct rmq_metrics_queues q;
  rmq_snapshot_init(&s, 1);
  rmq_metrics_queues_init(&q, &s);
  rmq_metrics_begin_node(&m);
  read_queues(&q, "4.1.0",
              D "messages_ready{vhost=\"/\",queue=\"z\"} 1\n" D
                "messages_ready{vhost=\"/\",queue=\"z\"} 2\n" D
                "consumers{vhost=\"/\",queue=\"z\"} 3\n" D
                "messages_ready{vhost=\"/\",queue=\"a\"} 5\n" D
                "consumers{vhost=\"/\",queue=\"z\"} 3\n");
  assert_int_equal(s.queues_count, 1);
  assert_string_equal(s.queues[0].name, "a");
  assert_true(s.queues[0].ready == 5);
  assert_true(isnan(s.queues[0].consumers));
  rmq_metrics_queues_fini(&q);
  rmq_snapshot_fini(&s);
}

/* Consumers of a stream tell through the nodes that they are connected to,
 * which may answer before the one that leads the stream. */
static void the_lag_of_a_stream_is_that_of_the_last_consumer(void **state) {
  (void)state;
#define LAG "rabbitmq_detailed_stream_consumer_max_offset_lag"
  struct rmq_snapshot s;
  struct rmq_metrics_queues q;
  rmq_snapshot_init(&s, 10);
  rmq_metrics_queues_init(&q, &s);
  read_queues(&q, "4.0.5",
              LAG "{vhost=\"/\",queue=\"log\"} 7\n" LAG
                  "{vhost=\"/\",queue=\"gone\"} 5\n" LAG
                  "{vhost=\"/\",queue=\"log\"} NaN\n");
  read_queues(&q, "4.0.5",
              "rabbitmq_detailed_queue_messages_ready{vhost=\"/\","
              "queue=\"log\"} 60000\n"
              "rabbitmq_detailed_queue_messages_ready{vhost=\"/\","
              "queue=\"q\"} 3\n" LAG "{vhost=\"/\",queue=\"log\"} 4\n");
  rmq_metrics_queues_end(&q);
  assert_int_equal(s.queues_count, 2);
  assert_true(find(&s, "log")->is_stream);
  assert_true(isnan(find(&s, "log")->ready));
  assert_true(find(&s, "log")->stream_lag == 7);
  assert_true(isnan(find(&s, "q")->stream_lag));
  assert_true(find(&s, "log")->has_stream_consumer);
  assert_false(find(&s, "q")->has_stream_consumer);
  assert_true(find(&s, "q")->ready == 3);
  assert_true(s.stream_lag == 7);
  assert_non_null(strstr(RMQ_METRICS_QUEUES_FEW, "=stream_consumer_metrics"));
  assert_non_null(strstr(RMQ_METRICS_QUEUES_MANY, "=stream_consumer_metrics"));
  rmq_metrics_queues_fini(&q);
  rmq_snapshot_fini(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_lag_of_a_stream_is_that_of_the_last_consumer),
      cmocka_unit_test(a_real_node_is_read),
      cmocka_unit_test(counters_of_a_real_node_are_those_of_management),
      cmocka_unit_test(queues_of_a_real_node_are_read),
      cmocka_unit_test(queues_of_version_4_have_counters),
      cmocka_unit_test(the_node_that_answers_first_need_not_lead_the_queue),
      cmocka_unit_test(two_nodes_that_disagree_on_a_queue_say_nothing),
      cmocka_unit_test(nodes_add_up_and_each_counts_once),
      cmocka_unit_test(one_value_per_object_is_a_sum),
      cmocka_unit_test(what_is_no_node_is_refused),
      cmocka_unit_test(absurd_numbers_are_not_known),
      cmocka_unit_test(a_stream_has_no_lengths_where_the_node_tells_the_type),
      cmocka_unit_test(unwanted_queues_and_more_than_the_maximum_are_left_out),
      cmocka_unit_test(
          over_the_maximum_the_first_by_name_stay_in_any_order_of_arrival),
      cmocka_unit_test(who_takes_a_place_has_nothing_of_who_had_it),
  };
  return run_all(tests);
}
