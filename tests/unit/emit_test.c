/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/emit.h"

#include "common/broker/report.h"
#include "common/codec/emit_influx.h"
#include "common/codec/emit_json.h"
#include "common/codec/emit_prometheus.h"
#include "common/codec/emit_putval.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum { OUT_MAX = 4 * 1024 * 1024 };

static const struct rmq_series table[] = {{.type = "queue_length",
                                           .type_instance = "ready",
                                           .kind = RMQ_GAUGE,
                                           .scope = RMQ_SERIES_CLUSTER,
                                           .indicator = "lag",
                                           .unit = "messages",
                                           .help = "All \\ of them"},
                                          {.type = "bool",
                                           .type_instance = "reachable",
                                           .kind = RMQ_GAUGE,
                                           .scope = RMQ_SERIES_CLUSTER,
                                           .indicator = "connection",
                                           .unit = "1",
                                           .help = "There"},
                                          {.type = "total_operations",
                                           .type_instance = "publish",
                                           .kind = RMQ_DERIVE,
                                           .scope = RMQ_SERIES_CLUSTER,
                                           .indicator = "throughput",
                                           .unit = "1",
                                           .help = "Published"},
                                          {.type = "gauge",
                                           .type_instance = "detail_level",
                                           .kind = RMQ_GAUGE,
                                           .scope = RMQ_SERIES_CLUSTER,
                                           .unit = "1",
                                           .help = "Own"},
                                          {.type = "bool",
                                           .type_instance = "running",
                                           .kind = RMQ_GAUGE,
                                           .scope = RMQ_SERIES_NODE,
                                           .unit = "1",
                                           .help = "Runs"},
                                          {.type = "queue_length",
                                           .type_instance = "ready",
                                           .kind = RMQ_GAUGE,
                                           .scope = RMQ_SERIES_QUEUE,
                                           .unit = "messages",
                                           .help = "Its own"},
                                          RMQ_SERIES_END};

/* ---- sending ---- */

static int send_named(const struct rmq_emit *emit, struct rmq_buf *out,
                      const char *node, const char *vhost, const char *queue,
                      const char *type, const char *instance,
                      enum rmq_kind kind, double value) {
  struct rmq_datum datum = {.name = "value", .kind = kind};
  struct rmq_meta meta[3] = {{"cluster", RMQ_META_STRING, {.string = "main"}}};
  size_t count = 1;
  char plugin_instance[RMQ_NAME_MAX + 1];
  if (node != NULL)
    meta[count++] =
        (struct rmq_meta){"node", RMQ_META_STRING, {.string = node}};
  if (vhost != NULL)
    meta[count++] =
        (struct rmq_meta){"vhost", RMQ_META_STRING, {.string = vhost}};
  if (queue != NULL)
    meta[count++] =
        (struct rmq_meta){"queue", RMQ_META_STRING, {.string = queue}};
  snprintf(plugin_instance, sizeof(plugin_instance), "main%s%s%s",
           node == NULL ? "" : node, vhost == NULL ? "" : "-v",
           queue == NULL ? "" : queue);
  if (kind == RMQ_GAUGE)
    datum.value.gauge = value;
  else
    datum.value.derive = (int64_t)value;
  const struct rmq_sample s = {
      .id = {"h", "rabbitmq_monitor", plugin_instance, type, instance},
      .time = {INT64_C(1700000000123456789)},
      .interval = rmq_s(10),
      .values = &datum,
      .values_count = 1,
      .meta = meta,
      .meta_count = count};
  return emit->sample(emit->ctx, &s, out);
}

static void send(const struct rmq_emit *emit, struct rmq_buf *out,
                 const char *queue, const char *type, const char *instance,
                 enum rmq_kind kind, double value) {
  assert_int_equal(send_named(emit, out, NULL, queue == NULL ? NULL : "/",
                              queue, type, instance, kind, value),
                   0);
}

static int tell_at(const struct rmq_emit *emit, struct rmq_buf *out,
                   const char *queue, const char *priority,
                   enum rmq_severity severity) {
  const struct rmq_meta meta[] = {
      {"indicator", RMQ_META_STRING, {.string = "backlog"}},
      {"priority", RMQ_META_STRING, {.string = priority}},
      {"value", RMQ_META_DOUBLE, {.number = 60000}},
      {"threshold", RMQ_META_DOUBLE, {.number = 50000}},
      {"cluster", RMQ_META_STRING, {.string = "main"}},
      {"queue", RMQ_META_STRING, {.string = queue}}};
  const struct rmq_event e = {
      .severity = severity,
      .time = {INT64_C(1700000000123456789)},
      .id = {"", "rabbitmq_monitor", "main-q", "queue_length", "backlog"},
      .message = "so \"many\"",
      .meta = meta,
      .meta_count = COUNT_OF(meta)};
  return emit->event(emit->ctx, &e, out);
}

static int tell(const struct rmq_emit *emit, struct rmq_buf *out,
                const char *queue, enum rmq_severity severity) {
  return tell_at(emit, out, queue, "P1", severity);
}

/* The set of one emitter as a text. */
struct fixture {
  struct rmq_emit emit;
  struct rmq_buf out;
  struct rmq_emit_prometheus *prometheus;
  struct rmq_emit_json *json;
  struct rmq_emit_putval putval;
};

static void set_up(struct fixture *f, const struct rmq_series *series) {
  *f = (struct fixture){.putval.hostname = "here"};
  rmq_buf_init(&f->out, OUT_MAX);
  f->prometheus = rmq_emit_prometheus_new("rabbitmq_monitor", series);
  f->json = rmq_emit_json_new(series);
  assert_non_null(f->prometheus);
  assert_non_null(f->json);
}

static void tear_down(struct fixture *f) {
  rmq_emit_prometheus_free(f->prometheus);
  rmq_emit_json_free(f->json);
  rmq_buf_fini(&f->out);
}

static const char *end(struct fixture *f) {
  assert_int_equal(f->emit.end(f->emit.ctx, &f->out), 0);
  return rmq_buf_text(&f->out);
}

/* ---- prometheus ---- */

static void samples_of_a_family_stand_together_under_its_help(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  assert_true(f.emit.is_document);
  send(&f.emit, &f.out, NULL, "queue_length", "ready", RMQ_GAUGE, 12);
  send(&f.emit, &f.out, NULL, "bool", "reachable", RMQ_GAUGE, 1);
  send(&f.emit, &f.out, NULL, "total_operations", "publish", RMQ_DERIVE, 7);
  send(&f.emit, &f.out, "q", "queue_length", "ready", RMQ_GAUGE, 0.5);
  assert_string_equal(
      end(&f),
      "# HELP warren_monitor_queue_length_ready of a cluster: All \\\\ of them "
      "(messages); of a queue: Its own (messages)\n"
      "# TYPE warren_monitor_queue_length_ready gauge\n"
      "warren_monitor_queue_length_ready{cluster=\"main\"} 12\n"
      "warren_monitor_queue_length_ready{cluster=\"main\",vhost=\"/\",queue="
      "\"q\"} 0.5\n"
      "# HELP warren_monitor_bool_reachable There\n"
      "# TYPE warren_monitor_bool_reachable gauge\n"
      "warren_monitor_bool_reachable{cluster=\"main\"} 1\n"
      "# HELP warren_monitor_operations_publish_total Published\n"
      "# TYPE warren_monitor_operations_publish_total counter\n"
      "warren_monitor_operations_publish_total{cluster=\"main\"} 7\n");
  tear_down(&f);
}

static void a_document_has_nothing_of_the_one_before(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  send(&f.emit, &f.out, "old", "queue_length", "ready", RMQ_GAUGE, 1);
  end(&f);
  rmq_buf_clear(&f.out);
  send(&f.emit, &f.out, NULL, "bool", "reachable", RMQ_GAUGE, 0);
  assert_string_equal(end(&f),
                      "# HELP warren_monitor_bool_reachable There\n"
                      "# TYPE warren_monitor_bool_reachable gauge\n"
                      "warren_monitor_bool_reachable{cluster=\"main\"} 0\n");
  tear_down(&f);
}

static void label_values_are_escaped_or_left_out(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  send(&f.emit, &f.out, "a\"b\\c\nd\xc3\xa9", "queue_length", "ready",
       RMQ_GAUGE, 1);
  assert_int_equal(send_named(&f.emit, &f.out, NULL, "/", "\xff",
                              "queue_length", "ready", RMQ_GAUGE, 1),
                   -1);
  assert_int_equal(send_named(&f.emit, &f.out, NULL, NULL, NULL, "gauge",
                              "not_in_the_table", RMQ_GAUGE, 1),
                   -1);
  assert_int_equal(send_named(&f.emit, &f.out, NULL, NULL, NULL, "bool",
                              "reachable", RMQ_GAUGE, (double)NAN),
                   -1);
  assert_int_equal(f.emit.left_out(f.emit.ctx), 3);
  const char *text = end(&f);
  assert_non_null(strstr(text, "queue=\"a\\\"b\\\\c\\nd\xc3\xa9\"} 1\n"));
  assert_null(strstr(text, "\xff"));
  assert_null(strstr(text, "reachable"));
  tear_down(&f);
}

static size_t occurrences(const char *text, const char *word) {
  size_t n = 0;
  for (const char *at = strstr(text, word); at != NULL;
       at = strstr(at + 1, word))
    n++;
  return n;
}

/* What promtool check metrics would complain about. */
static void check_name(const struct rmq_series *row, const char *name) {
  size_t len = strlen(name);
  bool is_total = len > 6 && strcmp(name + len - 6, "_total") == 0;
  assert_int_equal(is_total, row->kind == RMQ_DERIVE);
  assert_null(strstr(name, "gauge"));
  assert_null(strstr(name, "_days"));
  assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_"), len);
}

static void every_series_is_in_one_family_with_a_proper_name(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_buf names[2];
  set_up(&f, rmq_report_series);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  rmq_buf_init(&names[0], 512);
  rmq_buf_init(&names[1], 512);
  const struct rmq_series *row;
  for (row = rmq_report_series; row->type != NULL; row++)
    for (size_t i = 0; i < rmq_series_names_count(row); i++) {
      rmq_buf_clear(&names[0]);
      rmq_series_type_instance(row, row->causes == NULL ? NULL : row->causes[i],
                               &names[0]);
      assert_int_equal(send_named(&f.emit, &f.out,
                                  row->scope == RMQ_SERIES_NODE ? "n" : NULL,
                                  row->scope > RMQ_SERIES_NODE ? "v" : NULL,
                                  row->scope == RMQ_SERIES_QUEUE ? "q" : NULL,
                                  row->type, rmq_buf_text(&names[0]), row->kind,
                                  1),
                       0);
    }
  const char *text = end(&f);
  for (row = rmq_report_series; row->type != NULL; row++) {
    const char *cause = row->causes == NULL ? NULL : row->causes[0];
    rmq_buf_clear(&names[0]);
    rmq_buf_clear(&names[1]);
    rmq_series_prometheus("rabbitmq_monitor", row, cause, &names[0]);
    rmq_buf_appendf(&names[1], "# TYPE %s ", rmq_buf_text(&names[0]));
    SHOW_ROW("%s", rmq_buf_text(&names[0]));
    check_name(row, rmq_buf_text(&names[0]));
    assert_int_equal(occurrences(text, rmq_buf_text(&names[1])), 1);
  }
  rmq_buf_fini(&names[0]);
  rmq_buf_fini(&names[1]);
  tear_down(&f);
}

static void the_state_of_an_alert_stays_until_it_changes(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  assert_int_equal(tell(&f.emit, &f.out, "q", RMQ_FAILURE), 0);
  for (int i = 0; i < 2; i++) {
    rmq_buf_clear(&f.out);
    assert_string_equal(
        end(&f), "# HELP warren_monitor_alert What an alert told last: 0 "
                 "okay, 1 warning, 2 failure\n"
                 "# TYPE warren_monitor_alert gauge\n"
                 "warren_monitor_alert{indicator=\"backlog\",priority=\"P1\","
                 "cluster=\"main\",queue=\"q\",series=\"queue_length_backlog\""
                 "} 2\n");
  }
  assert_int_equal(tell(&f.emit, &f.out, "q", RMQ_OKAY), 0);
  rmq_buf_clear(&f.out);
  assert_non_null(strstr(end(&f), "\"} 0\n"));
  assert_null(strstr(rmq_buf_text(&f.out), "\"} 2\n"));
  tear_down(&f);
}

/* Of many queues in one alert it is that of the most urgent one. */
static void a_priority_that_changes_leaves_no_alert_behind(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  assert_int_equal(tell_at(&f.emit, &f.out, "*", "P0", RMQ_FAILURE), 0);
  assert_int_equal(tell_at(&f.emit, &f.out, "*", "P1", RMQ_OKAY), 0);
  const char *text = end(&f);
  assert_int_equal(occurrences(text, "warren_monitor_alert{"), 1);
  assert_non_null(strstr(text, ",priority=\"P1\","));
  assert_non_null(strstr(text, "\"} 0\n"));
  tear_down(&f);
}

static void alerts_are_bounded_and_those_that_are_over_make_room(void **state) {
  (void)state;
  struct fixture f;
  char name[32];
  set_up(&f, table);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  for (int i = 0; i < RMQ_EMIT_ALERTS_MAX; i++) {
    snprintf(name, sizeof(name), "q%d", i);
    assert_int_equal(tell(&f.emit, &f.out, name, RMQ_FAILURE), 0);
  }
  assert_int_equal(tell(&f.emit, &f.out, "more", RMQ_FAILURE), -1);
  assert_int_equal(f.emit.left_out(f.emit.ctx), 1);
  assert_int_equal(tell(&f.emit, &f.out, "q7", RMQ_OKAY), 0);
  assert_int_equal(tell(&f.emit, &f.out, "more", RMQ_FAILURE), 0);
  const char *text = end(&f);
  assert_null(strstr(text, "queue=\"q7\""));
  assert_non_null(strstr(text, "queue=\"more\""));
  assert_int_equal(occurrences(text, "\"} 2\n"), RMQ_EMIT_ALERTS_MAX);
  tear_down(&f);
}

/* ---- json ---- */

static void a_set_is_one_object_on_one_line(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_json_emit(f.json);
  for (int i = 0; i < 2; i++) {
    rmq_buf_clear(&f.out);
    send(&f.emit, &f.out, NULL, "queue_length", "ready", RMQ_GAUGE, 12);
    send(&f.emit, &f.out, NULL, "bool", "reachable", RMQ_GAUGE, 1);
    send(&f.emit, &f.out, NULL, "total_operations", "publish", RMQ_DERIVE, 7);
    send(&f.emit, &f.out, NULL, "gauge", "detail_level", RMQ_GAUGE, 3);
    send_named(&f.emit, &f.out, "r@a", NULL, NULL, "bool", "running", RMQ_GAUGE,
               1);
    send_named(&f.emit, &f.out, NULL, "/", NULL, "queue_length", "ready",
               RMQ_GAUGE, 12);
    send(&f.emit, &f.out, "a\"\n", "queue_length", "ready", RMQ_GAUGE, 5);
    send(&f.emit, &f.out, "a\"\n", "total_operations", "ack", RMQ_DERIVE, 6);
    send(&f.emit, &f.out, "b", "queue_length", "ready", RMQ_GAUGE, 7);
    send(&f.emit, &f.out, "b", "duration", "drain", RMQ_GAUGE, (double)NAN);
    assert_string_equal(
        end(&f),
        "{\"time\":1700000000.123,\"cluster\":\"main\","
        "\"connection\":{\"bool_reachable\":1},"
        "\"lag\":{\"queue_length_ready\":12},\"errors\":{},\"resource\":{},"
        "\"throughput\":{\"total_operations_publish\":7},"
        "\"monitor\":{\"gauge_detail_level\":3},"
        "\"nodes\":[{\"node\":\"r@a\",\"bool_running\":1}],"
        "\"vhosts\":[{\"vhost\":\"/\",\"queue_length_ready\":12}],"
        "\"queues\":[{\"vhost\":\"/\",\"queue\":\"a\\\"\\u000a\","
        "\"queue_length_ready\":5,\"total_operations_ack\":6},"
        "{\"vhost\":\"/\",\"queue\":\"b\",\"queue_length_ready\":7}]}\n");
  }
  assert_int_equal(f.emit.left_out(f.emit.ctx), 0);
  rmq_buf_clear(&f.out);
  assert_string_equal(end(&f), ""); /* without a sample there is no set */
  tear_down(&f);
}

static void an_event_is_an_object_of_its_own(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_json_emit(f.json);
  assert_int_equal(tell(&f.emit, &f.out, "q", RMQ_WARNING), 0);
  assert_string_equal(
      end(&f),
      "{\"event\":\"alert\",\"time\":1700000000.123,\"severity\":\"warning\","
      "\"series\":\"queue_length_backlog\",\"indicator\":\"backlog\","
      "\"priority\":\"P1\",\"value\":60000,\"threshold\":50000,"
      "\"cluster\":\"main\",\"queue\":\"q\",\"message\":\"so \\\"many\\\"\"}"
      "\n");
  tear_down(&f);
}

/* All of the table's series of the cluster have an indicator, or are the
 * monitor's own. */
static void the_five_indicators_are_in_the_table(void **state) {
  (void)state;
  static const struct {
    const char *type_instance, *want;
  } rows[] = {{"reachable", "connection"},
              {"certificate_days", "connection"},
              {"unacked", "lag"},
              {"growth", "lag"},
              {"error_rate", "errors"},
              {"dead_lettered_", "errors"},
              {"publish_rate", "throughput"},
              {"scrape_failed", NULL}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const struct rmq_series *row = rmq_report_series;
    while (row->scope != RMQ_SERIES_CLUSTER || row->type_instance == NULL ||
           strcmp(row->type_instance, rows[i].type_instance) != 0)
      row++;
    SHOW_ROW("%s", rows[i].type_instance);
    if (rows[i].want == NULL)
      assert_null(row->indicator);
    else
      assert_string_equal(row->indicator, rows[i].want);
  }
}

/* ---- putval ---- */

static void lines_for_collectd_have_the_modules_identity(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  f.emit = rmq_emit_putval_emit(&f.putval);
  assert_false(f.emit.is_document);
  send(&f.emit, &f.out, NULL, "queue_length", "ready", RMQ_GAUGE, 12);
  assert_int_equal(tell(&f.emit, &f.out, "q", RMQ_FAILURE), 0);
  assert_string_equal(
      end(&f),
      "PUTVAL h/rabbitmq_monitor-main/queue_length-ready interval=10.000 "
      "meta:cluster=\"\\\"main\\\"\" 1700000000.123:12\n"
      "PUTNOTIF severity=failure time=1700000000.123 host=\"here\" "
      "plugin=\"rabbitmq_monitor\" plugin_instance=\"main-q\" "
      "type=\"queue_length\" type_instance=\"backlog\" "
      "message=\"so \\\"many\\\"\" s:indicator=\"backlog\" s:priority=\"P1\" "
      "s:value=\"60000\" s:threshold=\"50000\" s:cluster=\"main\" "
      "s:queue=\"q\"\n");
  tear_down(&f);
}

/* ---- all of them ---- */

enum { FORMS = 4 };
static const char *const forms[FORMS] = {"influx", "json", "prometheus",
                                         "putval"};
#define C1 "\xc2\x9b"

/* With the identity that the report gives it, in which all is printable. */
static void send_queue(const struct rmq_emit *emit, struct rmq_buf *out,
                       const char *queue) {
  const struct rmq_datum datum = {
      .name = "value", .kind = RMQ_GAUGE, .value.gauge = 0.5};
  const struct rmq_meta meta[] = {
      {"cluster", RMQ_META_STRING, {.string = "main"}},
      {"vhost", RMQ_META_STRING, {.string = "/"}},
      {"queue", RMQ_META_STRING, {.string = queue}}};
  const struct rmq_sample s = {.id = {"h", "rabbitmq_monitor",
                                      "main-queue-%2F-q", "queue_length",
                                      "ready"},
                               .time = {INT64_C(1700000000123456789)},
                               .interval = rmq_s(10),
                               .values = &datum,
                               .values_count = 1,
                               .meta = meta,
                               .meta_count = COUNT_OF(meta)};
  emit->sample(emit->ctx, &s, out);
}

static void names_are_as_they_are_or_their_samples_are_left_out(void **state) {
  (void)state;
  static const struct {
    const char *queue;
    const char *want[FORMS]; /* NULL = left out */
  } rows[] = {
      {"plain", {"plain", "plain", "plain", "plain"}},
      {"a\x1b[2J\tb",
       {NULL, "a\\u001b[2J\\u0009b", "a\x1b[2J\tb", "a\x1b[2J\tb"}},
      {C1, {C1, C1, C1, C1}},
      {"a\nb", {NULL, "a\\u000ab", "a\\nb", NULL}},
      {"a\rb", {NULL, "a\\u000db", "a\rb", NULL}},
      {"a\xff", {NULL, NULL, NULL, NULL}},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (int form = 0; form < FORMS; form++) {
      struct fixture f;
      struct rmq_emit_influx influx = {.fields_count = 0};
      set_up(&f, table);
      f.emit = form == 0   ? rmq_emit_influx_emit(&influx)
               : form == 1 ? rmq_emit_json_emit(f.json)
               : form == 2 ? rmq_emit_prometheus_emit(f.prometheus)
                           : rmq_emit_putval_emit(&f.putval);
      SHOW_ROW("row %zu, %s", i, forms[form]);
      send_queue(&f.emit, &f.out, rows[i].queue);
      const char *text = end(&f);
      bool is_there = strstr(text, "0.5") != NULL;
      assert_int_equal(is_there, rows[i].want[form] != NULL);
      assert_int_equal(f.emit.left_out(f.emit.ctx), !is_there);
      if (is_there)
        assert_non_null(strstr(text, rows[i].want[form]));
      tear_down(&f);
    }
}

static void what_a_format_has_no_room_for_leaves_no_half(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, table);
  rmq_buf_fini(&f.out);
  rmq_buf_init(&f.out, 70);
  f.emit = rmq_emit_putval_emit(&f.putval);
  assert_int_equal(send_named(&f.emit, &f.out, NULL, NULL, NULL, "queue_length",
                              "ready", RMQ_GAUGE, 1),
                   -1);
  assert_int_equal(f.out.len, 0);
  f.emit = rmq_emit_json_emit(f.json);
  assert_int_equal(tell(&f.emit, &f.out, "q", RMQ_OKAY), -1);
  assert_int_equal(f.out.len, 0);
  send(&f.emit, &f.out, NULL, "bool", "reachable", RMQ_GAUGE, 1);
  assert_int_equal(f.emit.end(f.emit.ctx, &f.out), -1);
  assert_int_equal(f.out.len, 0);
  f.emit = rmq_emit_prometheus_emit(f.prometheus);
  send(&f.emit, &f.out, NULL, "bool", "reachable", RMQ_GAUGE, 1);
  assert_int_equal(f.emit.end(f.emit.ctx, &f.out), -1); /* host drops it */
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_of_a_family_stand_together_under_its_help),
      cmocka_unit_test(a_document_has_nothing_of_the_one_before),
      cmocka_unit_test(label_values_are_escaped_or_left_out),
      cmocka_unit_test(every_series_is_in_one_family_with_a_proper_name),
      cmocka_unit_test(the_state_of_an_alert_stays_until_it_changes),
      cmocka_unit_test(a_priority_that_changes_leaves_no_alert_behind),
      cmocka_unit_test(alerts_are_bounded_and_those_that_are_over_make_room),
      cmocka_unit_test(a_set_is_one_object_on_one_line),
      cmocka_unit_test(an_event_is_an_object_of_its_own),
      cmocka_unit_test(the_five_indicators_are_in_the_table),
      cmocka_unit_test(lines_for_collectd_have_the_modules_identity),
      cmocka_unit_test(names_are_as_they_are_or_their_samples_are_left_out),
      cmocka_unit_test(what_a_format_has_no_room_for_leaves_no_half),
  };
  return run_all(tests);
}
