/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/report.h"

#include "tests/fake/host.h"
#include "tests/manual.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* What collectd's own types.db says of the types that we use. */
static const struct {
  const char *type, *source;
  enum rmq_kind kind;
  double min, max;
} stock[] = {
    {"bool", "value", RMQ_GAUGE, 0, 1},
    {"bytes", "value", RMQ_GAUGE, 0, INFINITY},
    {"current_connections", "value", RMQ_GAUGE, 0, INFINITY},
    {"duration", "seconds", RMQ_GAUGE, 0, INFINITY},
    {"gauge", "value", RMQ_GAUGE, -INFINITY, INFINITY},
    {"percent", "value", RMQ_GAUGE, 0, 100.1},
    {"queue_length", "value", RMQ_GAUGE, 0, INFINITY},
    {"latency", "value", RMQ_GAUGE, 0, INFINITY},
    {"response_time", "value", RMQ_GAUGE, 0, INFINITY},
    {"total_connections", "value", RMQ_DERIVE, 0, INFINITY},
    {"total_events", "value", RMQ_DERIVE, 0, INFINITY},
    {"total_operations", "value", RMQ_DERIVE, 0, INFINITY},
    {"uptime", "value", RMQ_GAUGE, 0, 4294967295.0},
};

static size_t stock_index(const char *type) {
  size_t i = 0;
  while (i < COUNT_OF(stock) && strcmp(stock[i].type, type) != 0)
    i++;
  if (i == COUNT_OF(stock))
    fail_msg("%s is none of the stock types of this test", type);
  return i;
}

static void every_row_is_a_stock_type_inside_its_range(void **state) {
  (void)state;
  for (const struct rmq_series *r = rmq_report_series; r->type != NULL; r++) {
    SHOW_ROW("%s-%s", r->type,
             r->type_instance == NULL ? "" : r->type_instance);
    size_t i = stock_index(r->type);
    assert_int_equal(r->kind, stock[i].kind);
    assert_true(r->min >= stock[i].min);
    assert_true(r->max <= stock[i].max);
    assert_true(r->min <= r->max);
    assert_non_null(r->unit);
    assert_non_null(r->help);
    assert_true(
        r->type_instance == NULL ||
        strspn(r->type_instance, "abcdefghijklmnopqrstuvwxyz0123456789_") ==
            strlen(r->type_instance));
  }
}

static void no_two_rows_have_the_same_name(void **state) {
  (void)state;
  for (const struct rmq_series *a = rmq_report_series; a->type != NULL; a++)
    for (const struct rmq_series *b = a + 1; b->type != NULL; b++) {
      const char *x = a->type_instance == NULL ? "" : a->type_instance;
      const char *y = b->type_instance == NULL ? "" : b->type_instance;
      assert_false(a->scope == b->scope && strcmp(a->type, b->type) == 0 &&
                   strcmp(x, y) == 0);
    }
}

static struct fake_host fake;

/* Sends one row with one value; the sample or NULL. */
static const struct fake_sample *send(const struct rmq_series *row,
                                      double gauge, int64_t derive) {
  struct rmq_series_object o;
  fake_host_init(&fake);
  assert_int_equal(rmq_series_object_init(row->scope, "rabbitmq_monitor", "c",
                                          "n", "/", "q", &o),
                   0);
  const struct rmq_series_report r = {
      .host = &fake.host, .object = &o, .interval = rmq_s(10)};
  bool is_sent = row->kind == RMQ_GAUGE
                     ? rmq_series_emit_gauge(&r, row, NULL, gauge)
                     : rmq_series_emit_derive(&r, row, NULL, derive);
  assert_int_equal(fake.samples_count, is_sent ? 1 : 0);
  return is_sent ? &fake.samples[0] : NULL;
}

/* Minimum, typical and absurd values: what is sent is inside types.db. */
static void every_row_sends_only_what_its_type_allows(void **state) {
  (void)state;
  static const double gauges[] = {0,
                                  1,
                                  42.5,
                                  99.9,
                                  100,
                                  1e9,
                                  1e300,
                                  -1,
                                  -1e300,
                                  (double)NAN,
                                  (double)INFINITY,
                                  -(double)INFINITY};
  static const int64_t derives[] = {0,         1,  INT64_C(1) << 53,
                                    INT64_MAX, -1, INT64_MIN};
  for (const struct rmq_series *r = rmq_report_series; r->type != NULL; r++) {
    SHOW_ROW("%s-%s", r->type,
             r->type_instance == NULL ? "" : r->type_instance);
    size_t t = stock_index(r->type);
    for (size_t i = 0; r->kind == RMQ_GAUGE && i < COUNT_OF(gauges); i++) {
      const struct fake_sample *s = send(r, gauges[i], 0);
      if (s == NULL)
        continue;
      assert_string_equal(s->source, stock[t].source);
      assert_true(isfinite(s->value.gauge));
      assert_true(s->value.gauge >= stock[t].min);
      assert_true(s->value.gauge <= stock[t].max);
    }
    assert_true(r->kind != RMQ_GAUGE || send(r, 0, 0) != NULL);
    assert_true(r->kind != RMQ_GAUGE || send(r, 1, 0) != NULL);
    for (size_t i = 0; r->kind == RMQ_DERIVE && i < COUNT_OF(derives); i++)
      assert_int_equal(send(r, 0, derives[i]) != NULL, derives[i] >= 0);
  }
}

/* Every field is its row's: values that differ arrive under different names. */
static void every_field_of_a_report_has_one_row(void **state) {
  (void)state;
  struct rmq_report_queue q;
  struct rmq_report_vhost v;
  struct rmq_report_cluster c;
  struct rmq_report_node n;
  static const struct {
    enum rmq_series_scope scope;
    size_t want; /* fields of the struct, names left out */
  } rows[] = {
      {RMQ_SERIES_CLUSTER, sizeof(c) / 8},
      {RMQ_SERIES_NODE, (sizeof(n) - sizeof(n.name)) / 8},
      {RMQ_SERIES_VHOST, (sizeof(v) - sizeof(v.name)) / 8},
      {RMQ_SERIES_QUEUE,
       (offsetof(struct rmq_report_queue, has_no_stream_consumer) -
        2 * sizeof(q.name)) /
           8},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    size_t count = 0;
    for (const struct rmq_series *a = rmq_report_series; a->type != NULL; a++) {
      if (a->scope != rows[i].scope)
        continue;
      count += rmq_series_names_count(a);
      for (const struct rmq_series *b = a + 1; b->type != NULL; b++)
        assert_false(a->scope == b->scope && a->offset == b->offset);
    }
    assert_int_equal(count, rows[i].want);
  }
}

static void a_cleared_report_sends_nothing(void **state) {
  (void)state;
  struct rmq_report_queue q;
  struct rmq_report_cluster c;
  struct rmq_report_node n;
  struct rmq_report_vhost v;
  struct rmq_series_object o;
  fake_host_init(&fake);
  rmq_report_queue_clear(&q);
  rmq_report_cluster_clear(&c);
  rmq_report_node_clear(&n);
  rmq_report_vhost_clear(&v);
  rmq_series_object_init(RMQ_SERIES_CLUSTER, "p", "c", NULL, NULL, NULL, &o);
  const struct rmq_series_report r = {.host = &fake.host, .object = &o};
  rmq_series_emit_all(&r, rmq_report_series, RMQ_SERIES_CLUSTER, &c);
  rmq_series_emit_all(&r, rmq_report_series, RMQ_SERIES_NODE, &n);
  rmq_series_emit_all(&r, rmq_report_series, RMQ_SERIES_VHOST, &v);
  rmq_series_emit_all(&r, rmq_report_series, RMQ_SERIES_QUEUE, &q);
  assert_int_equal(fake.samples_count, 0);
}

static void the_manual_lists_these_series(void **state) {
  (void)state;
  manual_has_series("plugins/rabbitmq_monitor.pod", "rabbitmq_monitor",
                    rmq_report_series);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_is_a_stock_type_inside_its_range),
      cmocka_unit_test(no_two_rows_have_the_same_name),
      cmocka_unit_test(every_row_sends_only_what_its_type_allows),
      cmocka_unit_test(every_field_of_a_report_has_one_row),
      cmocka_unit_test(a_cleared_report_sends_nothing),
      cmocka_unit_test(the_manual_lists_these_series),
  };
  return run_all(tests);
}
