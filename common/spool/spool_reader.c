/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_reader.h"

#include "common/spool/spool_file.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rmq_spool_reader {
  sqlite3 *handle;
  sqlite3_stmt *next;
  struct rmq_envelope_view envelope; /* of the present record */
};

const char *rmq_spool_read_to_str(enum rmq_spool_read r) {
  switch (r) {
  case RMQ_SPOOL_READ_OK:
    return "read";
  case RMQ_SPOOL_READ_LOCKED:
    return "locked by a running daemon";
  case RMQ_SPOOL_READ_FAILED:
    return "not read";
  }
  return "unknown";
}

static int fail(struct rmq_spool_reader *r, struct rmq_error *err) {
  return rmq_error_set(err, "%s", sqlite3_errmsg(r->handle));
}

static int ask(struct rmq_spool_reader *r, const char *text) {
  return sqlite3_exec(r->handle, text, NULL, NULL, NULL);
}

/* A path as a URI that says: nobody writes. */
static void to_uri(const char *path, char *uri, size_t size) {
  size_t n = (size_t)snprintf(uri, size, "file:");
  for (; *path != '\0' && n + 16 < size; path++) {
    bool is_plain = strchr("%?#", *path) == NULL;
    n += (size_t)snprintf(uri + n, size - n, is_plain ? "%c" : "%%%02x",
                          (unsigned char)*path);
  }
  snprintf(uri + n, size - n, "?immutable=1");
}

/* The log's index in memory, no log moved into the database at the end: so the
 * files stay as they are. */
static int open_to_write(struct rmq_spool_reader *r, const char *path,
                         bool has_log) {
  int rc = sqlite3_open_v2(path, &r->handle,
                           SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
#ifdef SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE
  if (rc == SQLITE_OK)
    sqlite3_db_config(r->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, has_log,
                      NULL);
#else
  (void)has_log;
#endif
  if (rc == SQLITE_OK && sqlite3_db_readonly(r->handle, "main") != 0)
    rc = SQLITE_READONLY;
  if (rc == SQLITE_OK)
    rc = ask(r, "PRAGMA locking_mode=EXCLUSIVE");
  if (rc == SQLITE_OK)
    rc = ask(r, "SELECT count(*) FROM sqlite_master");
  if (rc == SQLITE_OK)
    rc = ask(r, "PRAGMA query_only=ON");
  return rc;
}

static int open_to_read(struct rmq_spool_reader *r, const char *path) {
  char uri[3 * PATH_MAX];
  to_uri(path, uri, sizeof(uri));
  int rc = sqlite3_open_v2(
      uri, &r->handle,
      SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
  return rc == SQLITE_OK ? ask(r, "SELECT count(*) FROM sqlite_master") : rc;
}

static enum rmq_spool_read open_handle(struct rmq_spool_reader *r,
                                       const char *path, bool has_log,
                                       struct rmq_error *err) {
  int rc = open_to_write(r, path, has_log);
  bool may_not = (rc & 0xff) == SQLITE_READONLY ||
                 (rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_PERM;
  if (may_not && has_log) {
    rmq_error_set(err,
                  "its log %s-wal cannot be read without the right to "
                  "write; run this as the daemon's user, or on a copy of "
                  "both files",
                  path);
    return RMQ_SPOOL_READ_FAILED;
  }
  if (may_not) {
    sqlite3_close_v2(r->handle);
    r->handle = NULL;
    rc = open_to_read(r, path);
  }
  if (rc == SQLITE_OK)
    return RMQ_SPOOL_READ_OK;
  if ((rc & 0xff) == SQLITE_BUSY) {
    rmq_error_set(err, "locked by a running daemon; stop that first");
    return RMQ_SPOOL_READ_LOCKED;
  }
  fail(r, err);
  return RMQ_SPOOL_READ_FAILED;
}

enum rmq_spool_read rmq_spool_reader_open(const char *path,
                                          struct rmq_spool_reader **ret_reader,
                                          struct rmq_error *err) {
  bool has_log = false;
  if (rmq_spool_file_recognize(path, &has_log, err) != 0)
    return RMQ_SPOOL_READ_FAILED;
  struct rmq_spool_reader *r = calloc(1, sizeof(*r));
  if (r == NULL) {
    rmq_error_set(err, "no memory");
    return RMQ_SPOOL_READ_FAILED;
  }
  enum rmq_spool_read answer = open_handle(r, path, has_log, err);
  if (answer == RMQ_SPOOL_READ_OK)
    *ret_reader = r;
  else
    rmq_spool_reader_close(r);
  return answer;
}

void rmq_spool_reader_close(struct rmq_spool_reader *r) {
  if (r == NULL)
    return;
  sqlite3_finalize(r->next);
  sqlite3_close_v2(r->handle);
  free(r);
}

int rmq_spool_reader_summary(struct rmq_spool_reader *r,
                             struct rmq_spool_summary *ret,
                             struct rmq_error *err) {
  static const char text[] =
      "SELECT count(*), coalesce(sum(value_count), 0), "
      "coalesce(min(accepted_ms), 0), coalesce(max(accepted_ms), 0) "
      "FROM messages";
  sqlite3_stmt *st = NULL;
  bool is_read =
      sqlite3_prepare_v2(r->handle, text, -1, &st, NULL) == SQLITE_OK &&
      sqlite3_step(st) == SQLITE_ROW;
  if (is_read)
    *ret = (struct rmq_spool_summary){
        .messages = (uint64_t)sqlite3_column_int64(st, 0),
        .values = (uint64_t)sqlite3_column_int64(st, 1),
        .oldest = rmq_wall_from_ms(sqlite3_column_int64(st, 2)),
        .newest = rmq_wall_from_ms(sqlite3_column_int64(st, 3))};
  else
    fail(r, err);
  sqlite3_finalize(st);
  return is_read ? 0 : -1;
}

int rmq_spool_reader_keys(struct rmq_spool_reader *r,
                          bool (*more)(void *ctx, const char *key,
                                       uint64_t messages),
                          void *ctx, struct rmq_error *err) {
  static const char text[] =
      "SELECT routing_key, count(*) AS n FROM messages "
      "GROUP BY routing_key ORDER BY n DESC, routing_key";
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(r->handle, text, -1, &st, NULL);
  bool goes_on = rc == SQLITE_OK;
  while (goes_on && (rc = sqlite3_step(st)) == SQLITE_ROW) {
    const char *key = (const char *)sqlite3_column_text(st, 0);
    goes_on = more(ctx, key == NULL ? "" : key,
                   (uint64_t)sqlite3_column_int64(st, 1));
  }
  bool is_read = rc == SQLITE_ROW || rc == SQLITE_DONE;
  if (!is_read)
    fail(r, err);
  sqlite3_finalize(st);
  return is_read ? 0 : -1;
}

static const char *text_or_empty(sqlite3_stmt *st, int column) {
  const char *text = (const char *)sqlite3_column_text(st, column);
  return text == NULL ? "" : text;
}

/* Files of format 1 have no more columns than the first. */
static int prepare_next(struct rmq_spool_reader *r) {
  static const char text[] =
      "SELECT seq, value_count, accepted_ms, message_id, routing_key, "
      "content_type, content_encoding, body, exchange, envelope FROM messages "
      "ORDER BY seq";
  static const char text_of_1[] =
      "SELECT seq, value_count, accepted_ms, message_id, routing_key, "
      "content_type, content_encoding, body, NULL, NULL FROM messages "
      "ORDER BY seq";
  if (r->next != NULL ||
      sqlite3_prepare_v2(r->handle, text, -1, &r->next, NULL) == SQLITE_OK)
    return SQLITE_OK;
  return sqlite3_prepare_v2(r->handle, text_of_1, -1, &r->next, NULL);
}

static const struct rmq_envelope *read_envelope(struct rmq_spool_reader *r) {
  struct rmq_envelope_view *v = &r->envelope;
  if (rmq_envelope_unpack(sqlite3_column_blob(r->next, 9),
                          (size_t)sqlite3_column_bytes(r->next, 9), v) != 0)
    v->envelope = (struct rmq_envelope){.type = NULL};
  return &v->envelope;
}

int rmq_spool_reader_next(struct rmq_spool_reader *r,
                          struct rmq_spool_record *ret, struct rmq_error *err) {
  if (prepare_next(r) != SQLITE_OK)
    return fail(r, err);
  sqlite3_stmt *st = r->next;
  int rc = sqlite3_step(st);
  if (rc == SQLITE_DONE)
    return 0;
  if (rc != SQLITE_ROW)
    return fail(r, err);
  *ret = (struct rmq_spool_record){
      .seq = (uint64_t)sqlite3_column_int64(st, 0),
      .values = (uint32_t)sqlite3_column_int64(st, 1),
      .accepted = rmq_wall_from_ms(sqlite3_column_int64(st, 2)),
      .message_id = text_or_empty(st, 3),
      .routing_key = text_or_empty(st, 4),
      .content_type = text_or_empty(st, 5),
      .content_encoding = (const char *)sqlite3_column_text(st, 6),
      .body = sqlite3_column_blob(st, 7),
      .body_len = (size_t)sqlite3_column_bytes(st, 7),
      .exchange = (const char *)sqlite3_column_text(st, 8),
      .envelope = *read_envelope(r)};
  return 1;
}
