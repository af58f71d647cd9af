/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/stock.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static const struct stock {
  const char *type, *source;
  enum rmq_kind kind;
  double min, max;
} stock[] = {
    {"bool", "value", RMQ_GAUGE, 0, 1},
    {"bytes", "value", RMQ_GAUGE, 0, INFINITY},
    {"gauge", "value", RMQ_GAUGE, -INFINITY, INFINITY},
    {"latency", "value", RMQ_GAUGE, 0, INFINITY},
    {"percent", "value", RMQ_GAUGE, 0, 100.1},
    {"queue_length", "value", RMQ_GAUGE, 0, INFINITY},
    {"total_connections", "value", RMQ_DERIVE, 0, INFINITY},
    {"total_events", "value", RMQ_DERIVE, 0, INFINITY},
    {"total_operations", "value", RMQ_DERIVE, 0, INFINITY},
    {"total_values", "value", RMQ_DERIVE, 0, INFINITY},
};

static const struct stock *stock_of(const char *type) {
  for (size_t i = 0; i < COUNT_OF(stock); i++)
    if (strcmp(stock[i].type, type) == 0)
      return &stock[i];
  fail_msg("%s is none of the stock types of this test", type);
  return NULL;
}

static struct fake_host fake;

static void send_one(const struct rmq_series *row, const char *plugin,
                     const char *cause, double gauge, int64_t derive) {
  const struct stock *s = stock_of(row->type);
  struct rmq_series_object o;
  fake_host_init(&fake);
  assert_int_equal(
      rmq_series_object_init(row->scope, plugin, "b", "n", "/", "q", &o), 0);
  const struct rmq_series_report r = {
      .host = &fake.host, .object = &o, .interval = rmq_s(10)};
  bool is_sent = row->kind == RMQ_GAUGE
                     ? rmq_series_emit_gauge(&r, row, cause, gauge)
                     : rmq_series_emit_derive(&r, row, cause, derive);
  assert_int_equal(fake.samples_count, is_sent ? 1 : 0);
  if (!is_sent)
    return;
  const struct fake_sample *k = &fake.samples[0];
  double value =
      k->kind == RMQ_GAUGE ? k->value.gauge : (double)k->value.derive;
  assert_string_equal(k->source, s->source);
  assert_int_equal(k->kind, s->kind);
  assert_true(value >= s->min && value <= s->max && isfinite(value));
}

static void row_obeys(const struct rmq_series *row, const char *plugin,
                      const char *cause) {
  static const double gauges[] = {0,
                                  1,
                                  42.5,
                                  100,
                                  1e300,
                                  -1,
                                  -1e300,
                                  (double)NAN,
                                  (double)INFINITY,
                                  -(double)INFINITY};
  static const int64_t derives[] = {0,         1,  INT64_C(1) << 53,
                                    INT64_MAX, -1, INT64_MIN};
  const struct stock *s = stock_of(row->type);
  assert_int_equal(row->kind, s->kind);
  assert_true(row->min >= s->min && row->max <= s->max);
  assert_non_null(row->unit);
  assert_non_null(row->help);
  for (size_t i = 0; i < COUNT_OF(gauges); i++)
    send_one(row, plugin, cause, gauges[i], 0);
  for (size_t i = 0; i < COUNT_OF(derives); i++)
    send_one(row, plugin, cause, 0, derives[i]);
}

enum { NAMES_MAX = 200, NAME_SIZE = 150 };

static void name_is_new(char (*names)[NAME_SIZE], size_t count) {
  for (size_t i = 0; i + 1 < count; i++)
    if (strcmp(names[i], names[count - 1]) == 0)
      fail_msg("there are two series %s", names[i]);
}

void stock_types_only(const struct rmq_series *table, const char *plugin) {
  static char names[NAMES_MAX][NAME_SIZE];
  size_t count = 0;
  for (const struct rmq_series *row = table; row->type != NULL; row++)
    for (size_t i = 0; i < rmq_series_names_count(row); i++) {
      const char *cause = row->causes == NULL ? NULL : row->causes[i];
      struct rmq_buf instance;
      rmq_buf_init(&instance, NAME_SIZE);
      rmq_series_type_instance(row, cause, &instance);
      assert_true(count < NAMES_MAX);
      snprintf(names[count++], NAME_SIZE, "%s-%s", row->type,
               rmq_buf_text(&instance));
      SHOW_ROW("%s", names[count - 1]);
      rmq_buf_fini(&instance);
      name_is_new(names, count);
      row_obeys(row, plugin, cause);
    }
}
