/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/role_spool.h"

#include "common/base/buf.h"
#include "common/base/utf8.h"
#include "common/codec/quote.h"
#include "common/spool/spool_reader.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { LINE_MAX_BYTES = 256 << 20, TOP_KEYS = 3 };

const char *rmq_role_spool_result_to_str(enum rmq_role_spool_result r) {
  switch (r) {
  case RMQ_ROLE_SPOOL_DONE:
    return "done";
  case RMQ_ROLE_SPOOL_LOCKED:
    return "locked by a running daemon";
  case RMQ_ROLE_SPOOL_FAILED:
    return "failed";
  }
  return "unknown";
}

struct job {
  const struct rmq_role_spool_sink *sink;
  const char *head; /* of the table, until its first row; NULL = none */
  struct rmq_buf line;
  enum rmq_role_spool_result result;
  bool is_over; /* nobody reads */
  /* What is done to a file. -1 with err. */
  int (*of_file)(struct job *j, struct rmq_spool_reader *r, const char *path,
                 struct rmq_error *err);
};

static void worsen(struct job *j, enum rmq_role_spool_result result) {
  if (result > j->result)
    j->result = result;
}

static void complain(struct job *j, const char *path, const char *text) {
  char line[PATH_MAX + sizeof(struct rmq_error)];
  snprintf(line, sizeof(line), "%s: %s", path, text);
  j->sink->complain(j->sink->ctx, line);
}

static void write_text(struct job *j, const char *bytes, size_t len) {
  if (!j->is_over && j->sink->write(j->sink->ctx, bytes, len) != 0) {
    j->is_over = true;
    worsen(j, RMQ_ROLE_SPOOL_FAILED);
  }
}

static void write_line(struct job *j) {
  if (j->head != NULL)
    write_text(j, j->head, strlen(j->head));
  j->head = NULL;
  write_text(j, rmq_buf_bytes(&j->line), j->line.len);
  rmq_buf_clear(&j->line);
}

/* ------------------------------------------------------------------------
 * Files */

/* NAME.spool, or NAME.spool.corrupt-TIME and the like; not their logs. */
static bool is_spool(const char *name) {
  const char *suffix = strstr(name, ".spool");
  size_t len = strlen(name);
  return suffix != NULL && suffix != name &&
         (suffix[6] == '\0' || suffix[6] == '.') &&
         (len < 4 || (strcmp(name + len - 4, "-wal") != 0 &&
                      strcmp(name + len - 4, "-shm") != 0));
}

static int select_spool(const struct dirent *e) { return is_spool(e->d_name); }

static const char *name_of(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash == NULL ? path : slash + 1;
}

static void do_file(struct job *j, const char *path) {
  struct rmq_error err = {""};
  struct rmq_spool_reader *reader = NULL;
  switch (rmq_spool_reader_open(path, &reader, &err)) {
  case RMQ_SPOOL_READ_OK:
    if (j->of_file(j, reader, path, &err) == 0)
      break;
    complain(j, path, err.text);
    worsen(j, RMQ_ROLE_SPOOL_FAILED);
    break;
  case RMQ_SPOOL_READ_LOCKED:
    complain(j, path, err.text);
    worsen(j, RMQ_ROLE_SPOOL_LOCKED);
    break;
  case RMQ_SPOOL_READ_FAILED:
    complain(j, path, err.text);
    worsen(j, RMQ_ROLE_SPOOL_FAILED);
    break;
  }
  rmq_spool_reader_close(reader);
}

static void do_directory(struct job *j, const char *dir) {
  struct dirent **entries = NULL;
  int count = scandir(dir, &entries, select_spool, alphasort);
  if (count <= 0) {
    complain(j, dir,
             count < 0 ? "the directory cannot be read" : "no spool lies here");
    worsen(j, RMQ_ROLE_SPOOL_FAILED);
  }
  for (int i = 0; i < count; i++) {
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, entries[i]->d_name);
    if (!j->is_over && n > 0 && (size_t)n < sizeof(path))
      do_file(j, path);
    free(entries[i]);
  }
  free(entries);
}

static enum rmq_role_spool_result do_path(struct job *j, const char *path) {
  struct stat st;
  if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
    do_directory(j, path);
  else
    do_file(j, path);
  rmq_buf_fini(&j->line);
  return j->result;
}

/* ------------------------------------------------------------------------
 * List */

static void append_time(struct rmq_buf *out, struct rmq_wall t) {
  time_t seconds = (time_t)(t.ns / RMQ_NS_PER_S);
  struct tm tm;
  char text[32] = "?";
  if (gmtime_r(&seconds, &tm) != NULL)
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
  rmq_buf_append_text(out, text);
}

static void append_bytes(struct rmq_buf *out, const char *path) {
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  char wal[PATH_MAX], text[32];
  struct stat st;
  double bytes = stat(path, &st) == 0 ? (double)st.st_size : 0;
  int n = snprintf(wal, sizeof(wal), "%s-wal", path);
  if (n > 0 && (size_t)n < sizeof(wal) && stat(wal, &st) == 0)
    bytes += (double)st.st_size;
  size_t unit = 0;
  for (; bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
    bytes /= 1024;
  snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", bytes,
           units[unit]);
  rmq_buf_appendf(out, "%11s  ", text);
}

struct keys {
  struct rmq_buf *out;
  int count;
  uint64_t others;
};

static bool append_key(void *ctx, const char *key, uint64_t messages) {
  struct keys *k = ctx;
  if (k->count++ >= TOP_KEYS) {
    k->others++;
    return true;
  }
  rmq_buf_append_text(k->out, k->count == 1 ? "  " : ", ");
  rmq_quote_json(k->out, key);
  rmq_buf_appendf(k->out, " %" PRIu64, messages);
  return true;
}

static int list_file(struct job *j, struct rmq_spool_reader *r,
                     const char *path, struct rmq_error *err) {
  struct rmq_spool_summary s;
  struct keys keys = {&j->line, 0, 0};
  if (rmq_spool_reader_summary(r, &s, err) != 0)
    return -1;
  rmq_buf_appendf(&j->line, "%10" PRIu64 "  %10" PRIu64 "  ", s.messages,
                  s.values);
  append_bytes(&j->line, path);
  if (s.messages > 0) {
    append_time(&j->line, s.oldest);
    rmq_buf_append_text(&j->line, "  ");
    append_time(&j->line, s.newest);
  } else {
    rmq_buf_appendf(&j->line, "%-20s  %-20s", "-", "-");
  }
  rmq_buf_appendf(&j->line, "  %s", name_of(path));
  if (rmq_spool_reader_keys(r, append_key, &keys, err) != 0) {
    rmq_buf_clear(&j->line);
    return -1;
  }
  if (keys.others > 0)
    rmq_buf_appendf(&j->line, ", %" PRIu64 " more", keys.others);
  rmq_buf_append_char(&j->line, '\n');
  write_line(j);
  return 0;
}

enum rmq_role_spool_result
rmq_role_spool_list(const char *path, const struct rmq_role_spool_sink *sink) {
  char head[160];
  struct job j = {.sink = sink, .head = head, .of_file = list_file};
  snprintf(head, sizeof(head), "%10s  %10s  %11s  %-20s  %-20s  %s\n",
           "MESSAGES", "VALUES", "BYTES", "OLDEST", "NEWEST",
           "FILE  KEYS WITH THE MOST MESSAGES");
  rmq_buf_init(&j.line, LINE_MAX_BYTES);
  return do_path(&j, path);
}

/* ------------------------------------------------------------------------
 * Export */

static void append_string(struct rmq_buf *out, const char *name,
                          const char *value) {
  rmq_buf_appendf(out, ",\"%s\":", name);
  rmq_quote_json(out, value);
}

/* As text where it is one, so that grep and jq see it. The reader's bodies are
 * not NUL-terminated. */
static int append_body(struct rmq_buf *out, const struct rmq_spool_record *m,
                       struct rmq_error *err) {
  bool is_text =
      m->content_encoding == NULL && rmq_utf8_is_valid(m->body, m->body_len) &&
      (m->body_len == 0 || memchr(m->body, '\0', m->body_len) == NULL);
  if (!is_text) {
    rmq_buf_append_text(out, ",\"body_base64\":\"");
    rmq_quote_base64(out, m->body, m->body_len);
    rmq_buf_append_char(out, '"');
    return 0;
  }
  char *body = strndup(m->body_len == 0 ? "" : m->body, m->body_len);
  if (body == NULL)
    return rmq_error_set(err, "no memory");
  append_string(out, "body", body);
  free(body);
  return 0;
}

static void append_if(struct rmq_buf *out, const char *name,
                      const char *value) {
  if (value != NULL)
    append_string(out, name, value);
}

static void append_header(struct rmq_buf *out, const struct rmq_argument *a) {
  rmq_quote_json(out, a->name);
  rmq_buf_append_char(out, ':');
  switch (a->type) {
  case RMQ_ARG_STRING:
    rmq_quote_json(out, a->string);
    return;
  case RMQ_ARG_INTEGER:
  case RMQ_ARG_TIMESTAMP:
    rmq_buf_appendf(out, "%" PRId64, a->integer);
    return;
  case RMQ_ARG_BOOLEAN:
    rmq_buf_append_text(out, a->boolean ? "true" : "false");
    return;
  }
}

/* What the giver of the message chose. */
static void append_envelope(struct rmq_buf *out, const struct rmq_envelope *e) {
  append_if(out, "type", e->type);
  append_if(out, "correlation_id", e->correlation_id);
  append_if(out, "reply_to", e->reply_to);
  append_if(out, "traceparent", e->traceparent);
  if (e->expiration_ms > 0)
    rmq_buf_appendf(out, ",\"expiration_ms\":%" PRId64, e->expiration_ms);
  if (e->priority > 0)
    rmq_buf_appendf(out, ",\"priority\":%u", (unsigned)e->priority);
  for (size_t i = 0; i < e->headers_count; i++) {
    rmq_buf_append_text(out, i == 0 ? ",\"headers\":{" : ",");
    append_header(out, &e->headers[i]);
  }
  if (e->headers_count > 0)
    rmq_buf_append_char(out, '}');
}

static int export_message(struct job *j, const char *block,
                          const struct rmq_spool_record *m,
                          struct rmq_error *err) {
  rmq_buf_appendf(&j->line, "{\"seq\":%" PRIu64, m->seq);
  append_string(&j->line, "block", block);
  append_string(&j->line, "message_id", m->message_id);
  if (m->exchange != NULL)
    append_string(&j->line, "exchange", m->exchange);
  append_string(&j->line, "routing_key", m->routing_key);
  append_string(&j->line, "content_type", m->content_type);
  if (m->content_encoding != NULL)
    append_string(&j->line, "content_encoding", m->content_encoding);
  rmq_buf_appendf(&j->line,
                  ",\"values\":%" PRIu32 ",\"timestamp_in_ms\":%" PRId64,
                  m->values, rmq_wall_ms(m->accepted));
  append_envelope(&j->line, &m->envelope);
  if (append_body(&j->line, m, err) != 0)
    return -1;
  rmq_buf_append_text(&j->line, "}\n");
  if (j->line.failed)
    return rmq_error_set(err, "no memory for message %" PRIu64, m->seq);
  write_line(j);
  return 0;
}

static int export_file(struct job *j, struct rmq_spool_reader *r,
                       const char *path, struct rmq_error *err) {
  struct rmq_spool_record m;
  char block[NAME_MAX + 1];
  int rc;
  snprintf(block, sizeof(block), "%s", name_of(path));
  char *suffix = strstr(block, ".spool");
  if (suffix != NULL)
    *suffix = '\0';
  while (!j->is_over && (rc = rmq_spool_reader_next(r, &m, err)) != 0)
    if (rc < 0 || export_message(j, block, &m, err) != 0)
      return -1;
  return 0;
}

enum rmq_role_spool_result
rmq_role_spool_export(const char *path,
                      const struct rmq_role_spool_sink *sink) {
  struct job j = {.sink = sink, .of_file = export_file};
  rmq_buf_init(&j.line, LINE_MAX_BYTES);
  return do_path(&j, path);
}
