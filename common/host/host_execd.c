/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd.h"

#include "common/base/series.h"
#include "common/host/host_clock.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  EXECD_WRITE_AT = 64 * 1024, /* Telegraf's own buffer */
  EXECD_BYTES_MAX = 1024 * 1024
};

static int write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return -1;
    bytes += n;
    len -= (size_t)n;
  }
  return 0;
}

/* ---- log ---- */

/* Telegraf's prefixes. */
static const char *prefix(enum rmq_level l) {
  switch (l) {
  case RMQ_LOG_ERROR:
    return "E! ";
  case RMQ_LOG_WARNING:
    return "W! ";
  case RMQ_LOG_NOTICE:
  case RMQ_LOG_INFO:
    return "I! ";
  case RMQ_LOG_DEBUG:
    return "D! ";
  }
  return "E! ";
}

static void host_log(void *ctx, const struct rmq_log_record *record) {
  struct rmq_execd *e = ctx;
  struct rmq_buf line;
  rmq_buf_init(&line, RMQ_LOG_LINE_MAX + 8);
  if (e->log_format == RMQ_LOG_TEXT)
    rmq_buf_append_text(&line, prefix(record->level));
  rmq_log_render(e->log_format, record, &line);
  rmq_buf_append_char(&line, '\n');
  write_all(e->log, rmq_buf_bytes(&line), line.len);
  rmq_buf_fini(&line);
}

/* An event has no place among the data: people read it in the log. */
static void host_event(void *ctx, const struct rmq_event *event) {
  const struct rmq_execd *e = ctx;
  const struct rmq_log_record record = {
      .level = event->severity == RMQ_FAILURE   ? RMQ_LOG_ERROR
               : event->severity == RMQ_WARNING ? RMQ_LOG_WARNING
                                                : RMQ_LOG_NOTICE,
      .time = event->time,
      .service = e->host.service,
      .plugin = event->id.plugin,
      .block = event->id.plugin_instance,
      .event = rmq_severity_to_str(event->severity),
      .message = event->message};
  host_log(ctx, &record);
}

/* ---- samples ---- */

static void write_bytes(struct rmq_execd *e) {
  if (!e->has_failed &&
      write_all(e->out, rmq_buf_bytes(&e->bytes), e->bytes.len) != 0)
    e->has_failed = true;
  rmq_buf_clear(&e->bytes);
}

static void end_line(struct rmq_execd *e) {
  struct rmq_execd_line *l = &e->line;
  struct rmq_influx_tag tags[RMQ_EXECD_TAGS];
  for (size_t i = 0; i < l->tags_count; i++)
    tags[i] = (struct rmq_influx_tag){l->tag_keys[i], l->tag_values[i]};
  for (size_t i = 0; i < l->fields_count; i++)
    l->fields[i].key = l->field_keys[i];
  if (l->fields_count > 0 &&
      rmq_influx_encode(&e->bytes, l->measurement, tags, l->tags_count,
                        l->fields, l->fields_count, l->time) != 0)
    e->unsayable_count++;
  l->fields_count = 0;
  if (e->bytes.len >= EXECD_WRITE_AT)
    write_bytes(e);
}

static bool copy(char to[RMQ_EXECD_NAME], const char *from) {
  size_t len = strlen(from);
  if (len >= RMQ_EXECD_NAME)
    return false;
  memcpy(to, from, len + 1);
  return true;
}

/* Whether the sample goes onto the line that is open. */
static bool belongs(const struct rmq_execd_line *l,
                    const struct rmq_sample *s) {
  if (l->fields_count == 0 ||
      l->fields_count + s->values_count > RMQ_EXECD_FIELDS ||
      l->time.ns != s->time.ns || l->tags_count != s->meta_count ||
      strcmp(l->measurement, s->id.plugin) != 0)
    return false;
  for (size_t i = 0; i < l->tags_count; i++)
    if (strcmp(l->tag_keys[i], s->meta[i].key) != 0 ||
        strcmp(l->tag_values[i], s->meta[i].value.string) != 0)
      return false;
  return true;
}

static int begin_line(struct rmq_execd_line *l, const struct rmq_sample *s) {
  if (s->meta_count > RMQ_EXECD_TAGS || !copy(l->measurement, s->id.plugin))
    return -1;
  for (size_t i = 0; i < s->meta_count; i++)
    if (!copy(l->tag_keys[i], s->meta[i].key) ||
        !copy(l->tag_values[i], s->meta[i].value.string))
      return -1;
  l->tags_count = s->meta_count;
  l->time = s->time;
  return 0;
}

/* Samples of our own series: one value, raw names as text meta data. */
static int host_sample(void *ctx, const struct rmq_sample *s) {
  struct rmq_execd *e = ctx;
  struct rmq_execd_line *l = &e->line;
  struct rmq_buf key;
  if (s->values_count != 1)
    return -1;
  for (size_t i = 0; i < s->meta_count; i++)
    if (s->meta[i].type != RMQ_META_STRING)
      return -1;
  if (!belongs(l, s)) {
    end_line(e);
    if (begin_line(l, s) != 0)
      return -1;
  }
  rmq_buf_init(&key, RMQ_EXECD_NAME - 1);
  int rc = rmq_series_field(s->id.type, s->id.type_instance, &key);
  if (rc == 0) {
    copy(l->field_keys[l->fields_count], rmq_buf_text(&key));
    l->fields[l->fields_count++] = (struct rmq_influx_field){
        .kind = s->values[0].kind, .value = s->values[0].value};
  }
  rmq_buf_fini(&key);
  return rc;
}

int rmq_execd_flush(struct rmq_execd *e) {
  end_line(e);
  write_bytes(e);
  return e->has_failed ? -1 : 0;
}

void rmq_execd_init(struct rmq_execd *e, int out, int log,
                    enum rmq_log_format log_format) {
  *e = (struct rmq_execd){.out = out, .log = log, .log_format = log_format};
  rmq_buf_init(&e->bytes, EXECD_BYTES_MAX);
  e->host = (struct rmq_host){.ctx = e,
                              .service = "warren",
                              .hostname = "",
                              .log = host_log,
                              .mono = rmq_host_mono,
                              .wall = rmq_host_wall,
                              .random = rmq_host_random,
                              .sample = host_sample,
                              .event = host_event};
}

void rmq_execd_fini(struct rmq_execd *e) { rmq_buf_fini(&e->bytes); }
