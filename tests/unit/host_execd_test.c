/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd.h"

#include "common/base/series.h"
#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

/* A host between two pipes. */
struct fixture {
  struct rmq_execd host;
  int out[2], log[2];
};

static void set_up(struct fixture *f, enum rmq_log_format format) {
  assert_int_equal(pipe(f->out), 0);
  assert_int_equal(pipe(f->log), 0);
  rmq_execd_init(&f->host, f->out[1], f->log[1], format);
}

static void tear_down(struct fixture *f) {
  rmq_execd_fini(&f->host);
  for (int i = 0; i < 2; i++) {
    close(f->out[i]);
    close(f->log[i]);
  }
}

/* What has been written so far, at most size - 1 bytes; "" when nothing. */
static const char *written(int fd, int write_end, char *text, size_t size) {
  /* one byte more, so that the read never waits */
  assert_int_equal(write(write_end, "$", 1), 1);
  size_t len = 0;
  while (len < size - 1 && (len == 0 || text[len - 1] != '$')) {
    ssize_t n = read(fd, text + len, size - 1 - len);
    assert_true(n > 0);
    len += (size_t)n;
  }
  text[len - 1] = '\0';
  return text;
}

static void send(struct fixture *f, const char *queue, const char *type,
                 const char *instance, enum rmq_kind kind, double value,
                 int64_t time) {
  struct rmq_datum datum = {.name = "value", .kind = kind};
  if (kind == RMQ_GAUGE)
    datum.value.gauge = value;
  else
    datum.value.derive = (int64_t)value;
  const struct rmq_meta meta[] = {
      {"cluster", RMQ_META_STRING, {.string = "main"}},
      {"vhost", RMQ_META_STRING, {.string = "/"}},
      {"queue", RMQ_META_STRING, {.string = queue}}};
  const struct rmq_sample s = {
      .id = {"", "rabbitmq_monitor", "x", type, instance},
      .time = {time},
      .values = &datum,
      .values_count = 1,
      .meta = meta,
      .meta_count = queue == NULL ? 1 : 3};
  assert_int_equal(f->host.host.sample(f->host.host.ctx, &s), 0);
}

static void values_of_one_object_share_a_line(void **state) {
  (void)state;
  struct fixture f;
  char text[4096];
  set_up(&f, RMQ_LOG_TEXT);
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  send(&f, NULL, "total_operations", "publish", RMQ_DERIVE, 12, 5);
  send(&f, NULL, "uptime", "", RMQ_GAUGE, 7.5, 5);
  send(&f, "in", "queue_length", "ready", RMQ_GAUGE, 3, 5);
  send(&f, "a b", "queue_length", "ready", RMQ_GAUGE, 4, 5);
  send(&f, "a b", "queue_length", "ready", RMQ_GAUGE, 5, 6);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_string_equal(
      written(f.out[0], f.out[1], text, sizeof(text)),
      "rabbitmq_monitor,cluster=main "
      "bool_reachable=1,total_operations_publish=12i,uptime=7.5 5\n"
      "rabbitmq_monitor,cluster=main,vhost=/,queue=in queue_length_ready=3 5\n"
      "rabbitmq_monitor,cluster=main,vhost=/,queue=a\\ b queue_length_ready=4 "
      "5\n"
      "rabbitmq_monitor,cluster=main,vhost=/,queue=a\\ b queue_length_ready=5 "
      "6\n");
  tear_down(&f);
}

static void nothing_is_written_before_the_set_is_whole(void **state) {
  (void)state;
  struct fixture f;
  char text[4096];
  set_up(&f, RMQ_LOG_TEXT);
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  assert_string_equal(written(f.out[0], f.out[1], text, sizeof(text)), "");
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_int_equal(rmq_execd_flush(&f.host), 0); /* once only */
  assert_string_equal(written(f.out[0], f.out[1], text, sizeof(text)),
                      "rabbitmq_monitor,cluster=main bool_reachable=1 5\n");
  tear_down(&f);
}

static void a_name_that_cannot_be_said_is_left_out_and_counted(void **state) {
  (void)state;
  struct fixture f;
  char text[4096];
  set_up(&f, RMQ_LOG_TEXT);
  send(&f, "two\nlines", "queue_length", "ready", RMQ_GAUGE, 1, 5);
  send(&f, "fine", "queue_length", "ready", RMQ_GAUGE, 2, 5);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_int_equal(f.host.unsayable_count, 1);
  assert_string_equal(
      written(f.out[0], f.out[1], text, sizeof(text)),
      "rabbitmq_monitor,cluster=main,vhost=/,queue=fine queue_length_ready=2 "
      "5\n");
  tear_down(&f);
}

static void a_name_that_is_too_long_is_refused(void **state) {
  (void)state;
  struct fixture f;
  char name[400];
  set_up(&f, RMQ_LOG_TEXT);
  memset(name, 'q', sizeof(name) - 1);
  name[sizeof(name) - 1] = '\0';
  const struct rmq_datum datum = {.name = "value", .value.gauge = 1};
  const struct rmq_meta meta = {"queue", RMQ_META_STRING, {.string = name}};
  const struct rmq_sample s = {.id = {"", "p", "x", "gauge", "y"},
                               .values = &datum,
                               .values_count = 1,
                               .meta = &meta,
                               .meta_count = 1};
  assert_int_equal(f.host.host.sample(f.host.host.ctx, &s), -1);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  tear_down(&f);
}

static void more_fields_than_a_line_has_take_another(void **state) {
  (void)state;
  struct fixture f;
  static char text[16384];
  set_up(&f, RMQ_LOG_TEXT);
  for (int i = 0; i < RMQ_EMIT_INFLUX_FIELDS + 1; i++)
    send(&f, NULL, "gauge", "x", RMQ_GAUGE, i, 5);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  const char *lines = written(f.out[0], f.out[1], text, sizeof(text));
  const char *first_end = strchr(lines, '\n');
  assert_string_equal(first_end + 1,
                      "rabbitmq_monitor,cluster=main gauge_x=64 5\n");
  tear_down(&f);
}

static void a_reader_that_is_gone_is_an_error_of_the_flush(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f, RMQ_LOG_TEXT);
  close(f.out[1]); /* EBADF: as good as EPIPE, without the signal */
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  assert_int_equal(rmq_execd_flush(&f.host), -1);
  assert_int_equal(rmq_execd_flush(&f.host), -1);
  tear_down(&f);
}

static void log_lines_have_telegrafs_prefix(void **state) {
  (void)state;
  static const struct {
    enum rmq_level level;
    const char *want;
  } rows[] = {{RMQ_LOG_ERROR, "E! p plugin: block \"b\": hello\n"},
              {RMQ_LOG_WARNING, "W! p plugin: block \"b\": hello\n"},
              {RMQ_LOG_NOTICE, "I! p plugin: block \"b\": hello\n"},
              {RMQ_LOG_INFO, "I! p plugin: block \"b\": hello\n"},
              {RMQ_LOG_DEBUG, "D! p plugin: block \"b\": hello\n"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct fixture f;
    char text[2048];
    set_up(&f, RMQ_LOG_TEXT);
    const struct rmq_log_record r = {.level = rows[i].level,
                                     .plugin = "p",
                                     .block = "b",
                                     .message = "hello"};
    f.host.host.log(f.host.host.ctx, &r);
    assert_string_equal(written(f.log[0], f.log[1], text, sizeof(text)),
                        rows[i].want);
    assert_string_equal(written(f.out[0], f.out[1], text, sizeof(text)), "");
    tear_down(&f);
  }
}

static void json_lines_are_pure(void **state) {
  (void)state;
  struct fixture f;
  char text[2048];
  set_up(&f, RMQ_LOG_JSON);
  const struct rmq_log_record r = {
      .level = RMQ_LOG_ERROR, .plugin = "p", .message = "hello"};
  f.host.host.log(f.host.host.ctx, &r);
  const char *line = written(f.log[0], f.log[1], text, sizeof(text));
  assert_int_equal(line[0], '{');
  assert_string_equal(line + strlen(line) - 2, "}\n");
  tear_down(&f);
}

/* The role has told the log. */
static void events_go_where_the_samples_go(void **state) {
  (void)state;
  struct fixture f;
  char text[2048];
  set_up(&f, RMQ_LOG_TEXT);
  const struct rmq_meta meta[] = {
      {"cluster", RMQ_META_STRING, {.string = "main"}},
      {"value", RMQ_META_DOUBLE, {.number = 7.5}}};
  const struct rmq_event e = {.severity = RMQ_FAILURE,
                              .time = {5},
                              .id = {"", "p", "main", "", ""},
                              .message = "too \"many\"",
                              .meta = meta,
                              .meta_count = COUNT_OF(meta)};
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  f.host.host.event(f.host.host.ctx, &e);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_string_equal(written(f.log[0], f.log[1], text, sizeof(text)), "");
  assert_string_equal(
      written(f.out[0], f.out[1], text, sizeof(text)),
      "rabbitmq_monitor,cluster=main bool_reachable=1 5\n"
      "p_event,cluster=main,severity=failure value=7.5,message=\"too "
      "\\\"many\\\"\" 5\n");
  tear_down(&f);
}

/* A format that says what it was asked. */
struct spy {
  bool is_full;
  size_t samples, ends;
};

static int spy_sample(void *ctx, const struct rmq_sample *s,
                      struct rmq_buf *out) {
  struct spy *spy = ctx;
  (void)s;
  spy->samples++;
  return rmq_buf_append_text(out, "s");
}

static int spy_event(void *ctx, const struct rmq_event *e,
                     struct rmq_buf *out) {
  (void)ctx, (void)e;
  return rmq_buf_append_text(out, "e");
}

static int spy_end(void *ctx, struct rmq_buf *out) {
  struct spy *spy = ctx;
  spy->ends++;
  return spy->is_full ? -1 : rmq_buf_append_text(out, ".");
}

static size_t spy_left_out(const void *ctx) {
  const struct spy *spy = ctx;
  return spy->samples;
}

static struct rmq_emit spy_emit(struct spy *spy) {
  return (struct rmq_emit){.ctx = spy,
                           .sample = spy_sample,
                           .event = spy_event,
                           .end = spy_end,
                           .left_out = spy_left_out,
                           .is_document = true};
}

static void another_format_takes_the_place_of_line_protocol(void **state) {
  (void)state;
  struct fixture f;
  char text[64];
  struct spy spy = {.is_full = false};
  struct rmq_emit emit = spy_emit(&spy);
  const struct rmq_event e = {.message = "x"};
  set_up(&f, RMQ_LOG_TEXT);
  rmq_execd_set_emit(&f.host, &emit);
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  f.host.host.event(f.host.host.ctx, &e);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_int_equal(spy.ends, 1);
  assert_int_equal(f.host.unsayable_count, 1);
  assert_string_equal(written(f.out[0], f.out[1], text, sizeof(text)), "se.");
  tear_down(&f);
}

static void a_document_is_whole_or_not_there(void **state) {
  (void)state;
  struct fixture f;
  char text[64];
  struct spy spy = {.is_full = true};
  struct rmq_emit emit = spy_emit(&spy);
  set_up(&f, RMQ_LOG_TEXT);
  rmq_execd_set_emit(&f.host, &emit);
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_false(f.host.was_whole);
  assert_string_equal(written(f.out[0], f.out[1], text, sizeof(text)), "");
  assert_null(rmq_execd_take(&f.host));
  spy.is_full = false;
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  assert_int_equal(rmq_execd_flush(&f.host), 0);
  assert_true(f.host.was_whole);
  assert_string_equal(written(f.out[0], f.out[1], text, sizeof(text)), "s.");
  send(&f, NULL, "bool", "reachable", RMQ_GAUGE, 1, 5);
  assert_string_equal(rmq_buf_text(rmq_execd_take(&f.host)), "s.");
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(values_of_one_object_share_a_line),
      cmocka_unit_test(nothing_is_written_before_the_set_is_whole),
      cmocka_unit_test(a_name_that_cannot_be_said_is_left_out_and_counted),
      cmocka_unit_test(a_name_that_is_too_long_is_refused),
      cmocka_unit_test(more_fields_than_a_line_has_take_another),
      cmocka_unit_test(a_reader_that_is_gone_is_an_error_of_the_flush),
      cmocka_unit_test(log_lines_have_telegrafs_prefix),
      cmocka_unit_test(json_lines_are_pure),
      cmocka_unit_test(events_go_where_the_samples_go),
      cmocka_unit_test(another_format_takes_the_place_of_line_protocol),
      cmocka_unit_test(a_document_is_whole_or_not_there),
  };
  return run_all(tests);
}
