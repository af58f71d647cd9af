/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A host that keeps the last sample, copied. */
struct sink {
  size_t count;
  int refuse;
  char identity[600];
  char source[16];
  enum rmq_kind kind;
  union rmq_value value;
  char labels[600];
  struct rmq_wall time;
  struct rmq_dur interval;
};

static int keep(void *ctx, const struct rmq_sample *s) {
  struct sink *k = ctx;
  if (k->refuse != 0)
    return -1;
  k->count++;
  snprintf(k->identity, sizeof(k->identity), "%s/%s-%s/%s-%s", s->id.host,
           s->id.plugin, s->id.plugin_instance, s->id.type,
           s->id.type_instance);
  assert_int_equal(s->values_count, 1);
  snprintf(k->source, sizeof(k->source), "%s", s->values[0].name);
  k->kind = s->values[0].kind;
  k->value = s->values[0].value;
  k->labels[0] = '\0';
  for (size_t i = 0; i < s->meta_count; i++) {
    size_t used = strlen(k->labels);
    assert_int_equal(s->meta[i].type, RMQ_META_STRING);
    snprintf(k->labels + used, sizeof(k->labels) - used, "%s=%s;",
             s->meta[i].key, s->meta[i].value.string);
  }
  k->time = s->time;
  k->interval = s->interval;
  return 0;
}

struct values {
  double ready;
  double share;
  int64_t published;
  int64_t dropped[2];
  double uptime;
};

static const char *const causes[] = {"overflow", "shutdown", NULL};

static const struct rmq_series table[] = {
    {.type = "queue_length",
     .type_instance = "ready",
     .kind = RMQ_GAUGE,
     .scope = RMQ_SERIES_QUEUE,
     .offset = offsetof(struct values, ready),
     .max = INFINITY},
    {.type = "percent",
     .type_instance = "memory",
     .kind = RMQ_GAUGE,
     .scope = RMQ_SERIES_NODE,
     .offset = offsetof(struct values, share),
     .max = 100},
    {.type = "total_operations",
     .type_instance = "published",
     .kind = RMQ_DERIVE,
     .scope = RMQ_SERIES_BLOCK,
     .offset = offsetof(struct values, published),
     .max = INFINITY},
    {.type = "total_operations",
     .type_instance = "dropped_",
     .causes = causes,
     .kind = RMQ_DERIVE,
     .scope = RMQ_SERIES_BLOCK,
     .offset = offsetof(struct values, dropped),
     .max = INFINITY},
    {.type = "uptime",
     .kind = RMQ_GAUGE,
     .scope = RMQ_SERIES_NODE,
     .offset = offsetof(struct values, uptime),
     .max = 4294967295.0},
    RMQ_SERIES_END};

enum { READY, SHARE, PUBLISHED, DROPPED, UPTIME };

struct fixture {
  struct sink sink;
  struct rmq_host host;
  struct rmq_series_object object;
  struct rmq_series_report report;
};

static void set_up(struct fixture *f, enum rmq_series_scope scope) {
  memset(f, 0, sizeof(*f));
  f->host =
      (struct rmq_host){.ctx = &f->sink, .hostname = "agent", .sample = keep};
  assert_int_equal(rmq_series_object_init(scope, "rabbitmq_monitor", "main",
                                          "rabbit@a", "/", "in", &f->object),
                   0);
  f->report = (struct rmq_series_report){
      .host = &f->host, .object = &f->object, .time = {123}, .interval = {456}};
}

static void every_scope_has_its_identity_and_raw_labels(void **state) {
  (void)state;
  static const struct {
    enum rmq_series_scope scope;
    const char *vhost, *queue;
    const char *want_identity, *want_labels;
  } cases[] = {
      {RMQ_SERIES_BLOCK, NULL, NULL, "agent/rabbitmq_monitor-main/gauge-x",
       "block=main;"},
      {RMQ_SERIES_CLUSTER, NULL, NULL, "agent/rabbitmq_monitor-main/gauge-x",
       "cluster=main;"},
      {RMQ_SERIES_NODE, NULL, NULL,
       "agent/rabbitmq_monitor-main-node-rabbit@a/gauge-x",
       "cluster=main;node=rabbit@a;"},
      {RMQ_SERIES_VHOST, "a-b", NULL,
       "agent/rabbitmq_monitor-main-vhost-a%2Db/gauge-x",
       "cluster=main;vhost=a-b;"},
      {RMQ_SERIES_QUEUE, "/", "in",
       "agent/rabbitmq_monitor-main-queue-%2F-in/gauge-x",
       "cluster=main;vhost=/;queue=in;"},
      {RMQ_SERIES_QUEUE, "a-b", "c-d e",
       "agent/rabbitmq_monitor-main-queue-a%2Db-c-d%20e/gauge-x",
       "cluster=main;vhost=a-b;queue=c-d e;"},
      {RMQ_SERIES_QUEUE, "a", "b-c-d e",
       "agent/rabbitmq_monitor-main-queue-a-b-c-d%20e/gauge-x",
       "cluster=main;vhost=a;queue=b-c-d e;"},
  };
  static const struct rmq_series row = {.type = "gauge",
                                        .type_instance = "x",
                                        .kind = RMQ_GAUGE,
                                        .min = -INFINITY,
                                        .max = INFINITY};
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct fixture f;
    set_up(&f, RMQ_SERIES_CLUSTER);
    assert_int_equal(rmq_series_object_init(cases[i].scope, "rabbitmq_monitor",
                                            "main", "rabbit@a", cases[i].vhost,
                                            cases[i].queue, &f.object),
                     0);
    assert_true(rmq_series_emit_gauge(&f.report, &row, NULL, -1.5));
    assert_string_equal(f.sink.identity, cases[i].want_identity);
    assert_string_equal(f.sink.labels, cases[i].want_labels);
    assert_int_equal(f.sink.time.ns, 123);
    assert_int_equal(f.sink.interval.ns, 456);
  }
}

static void a_long_queue_name_is_shortened_and_its_label_is_not(void **state) {
  (void)state;
  struct fixture f;
  char a[256], b[256];
  memset(a, '/', 255);
  a[255] = '\0';
  memcpy(b, a, sizeof(b));
  b[254] = '.';
  set_up(&f, RMQ_SERIES_QUEUE);
  assert_int_equal(rmq_series_object_init(RMQ_SERIES_QUEUE, "rabbitmq_monitor",
                                          "main", NULL, a, a, &f.object),
                   0);
  struct rmq_series_object other;
  assert_int_equal(rmq_series_object_init(RMQ_SERIES_QUEUE, "rabbitmq_monitor",
                                          "main", NULL, a, b, &other),
                   0);
  assert_true(strlen(f.object.plugin_instance) <= RMQ_NAME_MAX);
  assert_string_not_equal(f.object.plugin_instance, other.plugin_instance);
  assert_string_equal(f.object.labels[2].value.string, a);
}

static void a_node_name_that_no_identity_can_carry_is_refused(void **state) {
  (void)state;
  struct rmq_series_object o;
  memset(&o, 0x5a, sizeof(o));
  static const char *const bad[] = {"", "a/b", "a\nb", "a\xff"};
  for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
    assert_int_equal(rmq_series_object_init(RMQ_SERIES_NODE, "p", "n", bad[i],
                                            NULL, NULL, &o),
                     -1);
    assert_int_equal(o.plugin_instance[0], 0x5a);
  }
}

static void what_is_not_known_or_out_of_range_is_not_sent(void **state) {
  (void)state;
  static const struct {
    int row;
    double value;
    bool want_sent;
    double want_value;
  } cases[] = {
      {READY, NAN, false, 0},
      {READY, -1, false, 0},
      {READY, INFINITY, false, 0},
      {READY, 0, true, 0},
      {READY, 1e15, true, 1e15},
      {SHARE, -0.5, true, 0},
      {SHARE, 100.5, true, 100},
      {SHARE, 1e300, true, 100},
      {SHARE, NAN, false, 0},
      {SHARE, 42.5, true, 42.5},
      {UPTIME, 4294967295.0, true, 4294967295.0},
      {UPTIME, 4294967296.0, false, 0},
  };
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    struct fixture f;
    set_up(&f, RMQ_SERIES_CLUSTER);
    assert_int_equal(rmq_series_emit_gauge(&f.report, &table[cases[i].row],
                                           NULL, cases[i].value),
                     cases[i].want_sent);
    assert_int_equal(f.sink.count, cases[i].want_sent ? 1 : 0);
    if (cases[i].want_sent)
      assert_true(f.sink.value.gauge == cases[i].want_value);
  }
  struct fixture f;
  set_up(&f, RMQ_SERIES_BLOCK);
  assert_false(rmq_series_emit_derive(&f.report, &table[PUBLISHED], NULL, -1));
  assert_true(
      rmq_series_emit_derive(&f.report, &table[PUBLISHED], NULL, INT64_MAX));
  assert_int_equal(f.sink.value.derive, INT64_MAX);
  assert_int_equal(f.sink.kind, RMQ_DERIVE);
}

static void a_sample_that_the_host_refuses_is_not_counted(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, RMQ_SERIES_QUEUE);
  f.sink.refuse = 1;
  assert_false(rmq_series_emit_gauge(&f.report, &table[READY], NULL, 1));
}

static void duration_alone_calls_its_source_seconds(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, RMQ_SERIES_CLUSTER);
  static const struct rmq_series drain = {.type = "duration",
                                          .type_instance = "drain",
                                          .kind = RMQ_GAUGE,
                                          .max = INFINITY};
  assert_true(rmq_series_emit_gauge(&f.report, &drain, NULL, 1));
  assert_string_equal(f.sink.source, "seconds");
  assert_true(rmq_series_emit_gauge(&f.report, &table[READY], NULL, 1));
  assert_string_equal(f.sink.source, "value");
}

static void
a_family_is_sent_once_per_cause_and_only_in_its_scope(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, RMQ_SERIES_BLOCK);
  const struct values v = {
      .ready = 1, .share = 2, .published = 3, .dropped = {4, -1}, .uptime = 5};
  assert_int_equal(rmq_series_emit_all(&f.report, table, RMQ_SERIES_BLOCK, &v),
                   2);
  assert_string_equal(
      f.sink.identity,
      "agent/rabbitmq_monitor-main/total_operations-dropped_overflow");
  assert_int_equal(f.sink.value.derive, 4);
  assert_int_equal(
      rmq_series_emit_all(&f.report, table, RMQ_SERIES_CLUSTER, &v), 0);
  assert_int_equal(rmq_series_names_count(&table[DROPPED]), 2);
  assert_int_equal(rmq_series_names_count(&table[READY]), 1);
}

static void names_elsewhere_come_from_the_same_row(void **state) {
  (void)state;
  static const struct {
    const char *plugin;
    struct rmq_series row;
    const char *want_field, *want_prometheus;
  } cases[] = {
      {"rabbitmq_monitor",
       {.type = "queue_length", .type_instance = "ready", .kind = RMQ_GAUGE},
       "queue_length_ready",
       "warren_monitor_queue_length_ready"},
      {"rabbitmq_publish",
       {.type = "total_operations",
        .type_instance = "accepted",
        .kind = RMQ_DERIVE},
       "total_operations_accepted",
       "warren_publish_operations_accepted_total"},
      {"rabbitmq_monitor",
       {.type = "uptime", .type_instance = "", .kind = RMQ_GAUGE},
       "uptime",
       "warren_monitor_uptime"},
      {"rabbitmq_monitor",
       {.type = "uptime", .type_instance = NULL, .kind = RMQ_GAUGE},
       "uptime",
       "warren_monitor_uptime"},
      {"rabbitmq_monitor",
       {.type = "gauge", .type_instance = "ack_rate", .kind = RMQ_GAUGE},
       "gauge_ack_rate",
       "warren_monitor_ack_rate"},
      {"rabbitmq_monitor",
       {.type = "gauge",
        .type_instance = "nodes_total",
        .kind = RMQ_GAUGE,
        .prometheus = "nodes"},
       "gauge_nodes_total",
       "warren_monitor_nodes"},
  };
  struct rmq_buf b;
  rmq_buf_init(&b, 1024);
  for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
    const struct rmq_series *row = &cases[i].row;
    rmq_buf_clear(&b);
    assert_int_equal(rmq_series_field(row->type, row->type_instance, &b), 0);
    assert_string_equal(rmq_buf_text(&b), cases[i].want_field);
    rmq_buf_clear(&b);
    assert_int_equal(rmq_series_prometheus(cases[i].plugin, row, NULL, &b), 0);
    assert_string_equal(rmq_buf_text(&b), cases[i].want_prometheus);
  }
  rmq_buf_clear(&b);
  assert_int_equal(rmq_series_type_instance(&table[DROPPED], "shutdown", &b),
                   0);
  assert_string_equal(rmq_buf_text(&b), "dropped_shutdown");
  rmq_buf_fini(&b);
}

static void a_full_buffer_leaves_no_half_name(void **state) {
  (void)state;
  static const struct rmq_series row = {
      .type = "bytes", .type_instance = "x", .kind = RMQ_GAUGE};
  struct rmq_buf b;
  rmq_buf_init(&b, 20);
  assert_int_equal(rmq_series_prometheus("rabbitmq_monitor", &row, NULL, &b),
                   -1);
  assert_int_equal(b.len, 0);
  rmq_buf_fini(&b);
}

static void every_scope_has_a_word(void **state) {
  (void)state;
  assert_string_equal(rmq_series_scope_to_str(RMQ_SERIES_BLOCK), "block");
  assert_string_equal(rmq_series_scope_to_str(RMQ_SERIES_CLUSTER), "cluster");
  assert_string_equal(rmq_series_scope_to_str(RMQ_SERIES_NODE), "node");
  assert_string_equal(rmq_series_scope_to_str(RMQ_SERIES_QUEUE), "queue");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_scope_has_its_identity_and_raw_labels),
      cmocka_unit_test(a_long_queue_name_is_shortened_and_its_label_is_not),
      cmocka_unit_test(a_node_name_that_no_identity_can_carry_is_refused),
      cmocka_unit_test(what_is_not_known_or_out_of_range_is_not_sent),
      cmocka_unit_test(a_sample_that_the_host_refuses_is_not_counted),
      cmocka_unit_test(duration_alone_calls_its_source_seconds),
      cmocka_unit_test(a_family_is_sent_once_per_cause_and_only_in_its_scope),
      cmocka_unit_test(names_elsewhere_come_from_the_same_row),
      cmocka_unit_test(a_full_buffer_leaves_no_half_name),
      cmocka_unit_test(every_scope_has_a_word),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
