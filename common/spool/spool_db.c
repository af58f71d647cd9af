/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_db_private.h"

#include "common/base/envelope.h"

#include <stdio.h>
#include <string.h>

enum { EXCHANGE_MAX = 255 };

const char *rmq_spool_fault_to_str(enum rmq_spool_fault f) {
  switch (f) {
  case RMQ_SPOOL_FINE:
    return "fine";
  case RMQ_SPOOL_DISK:
    return "the disk refuses";
  case RMQ_SPOOL_LOCKED:
    return "locked by another process";
  case RMQ_SPOOL_CORRUPT:
    return "corrupt";
  case RMQ_SPOOL_NEWER:
    return "newer";
  }
  return "unknown";
}

/* ------------------------------------------------------------------------
 * Statements */

static sqlite3_stmt *bound1(struct rmq_spool_db *db, enum statement s,
                            uint64_t a) {
  sqlite3_stmt *st = db->statements[s];
  sqlite3_bind_int64(st, 1, (sqlite3_int64)a);
  return st;
}

static sqlite3_stmt *bound2(struct rmq_spool_db *db, enum statement s,
                            uint64_t a, uint64_t b) {
  sqlite3_stmt *st = bound1(db, s, a);
  sqlite3_bind_int64(st, 2, (sqlite3_int64)b);
  return st;
}

/* Runs a statement that gives no rows. */
static enum rmq_spool_fault run(struct rmq_spool_db *db, sqlite3_stmt *st,
                                struct rmq_error *err) {
  int rc = sqlite3_step(st);
  enum rmq_spool_fault f = rmq_spool_db_fault_of(rc) == RMQ_SPOOL_FINE
                               ? RMQ_SPOOL_FINE
                               : rmq_spool_db_fail(db->handle, rc, err);
  sqlite3_reset(st);
  return f;
}

/* ------------------------------------------------------------------------
 * Transactions */

enum rmq_spool_fault rmq_spool_db_begin(struct rmq_spool_db *db,
                                        struct rmq_error *err) {
  return run(db, db->statements[BEGIN], err);
}

enum rmq_spool_fault rmq_spool_db_commit(struct rmq_spool_db *db,
                                         struct rmq_error *err) {
  return run(db, db->statements[COMMIT], err);
}

void rmq_spool_db_rollback(struct rmq_spool_db *db) {
  struct rmq_error ignored = {""};
  if (sqlite3_get_autocommit(db->handle) == 0) /* else SQLite did it itself */
    run(db, db->statements[ROLLBACK], &ignored);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text) {
  if (text == NULL)
    sqlite3_bind_null(st, at);
  else
    sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

/* Without them both stay NULL. */
static void bind_extras(sqlite3_stmt *st, const struct rmq_message_extras *e) {
  if (e == NULL)
    return;
  bind_text(st, 10, e->exchange);
  if (e->envelope_len > 0)
    sqlite3_bind_blob64(st, 11, e->envelope, e->envelope_len, SQLITE_STATIC);
}

enum rmq_spool_fault rmq_spool_db_insert(struct rmq_spool_db *db,
                                         const struct rmq_message *m,
                                         uint32_t key_hash,
                                         struct rmq_error *err) {
  sqlite3_stmt *st = bound2(db, INSERT, m->seq, key_hash);
  sqlite3_bind_int64(st, 3, m->values);
  sqlite3_bind_int64(st, 4, rmq_wall_ms(m->time));
  bind_text(st, 5, rmq_message_id(m));
  bind_text(st, 6, m->key);
  bind_text(st, 7, m->content_type == NULL ? "" : m->content_type);
  bind_text(st, 8, m->content_encoding);
  sqlite3_bind_blob64(st, 9, m->body_len == 0 ? "" : m->body, m->body_len,
                      SQLITE_STATIC);
  bind_extras(st, m->extras);
  enum rmq_spool_fault f = run(db, st, err);
  sqlite3_clear_bindings(st);
  return f;
}

enum rmq_spool_fault rmq_spool_db_delete(struct rmq_spool_db *db,
                                         uint64_t first, uint64_t last,
                                         uint64_t *ret_rows,
                                         struct rmq_error *err) {
  enum rmq_spool_fault f = run(db, bound2(db, DELETE, first, last), err);
  if (f == RMQ_SPOOL_FINE)
    *ret_rows = (uint64_t)sqlite3_changes(db->handle);
  return f;
}

/* ------------------------------------------------------------------------
 * Reading */

/* A damaged one may be before 1970, where an age could not be told. */
static struct rmq_wall time_of(sqlite3_stmt *st, int column) {
  int64_t ms = sqlite3_column_int64(st, column);
  return rmq_wall_from_ms(ms < 0 ? 0 : ms);
}

enum rmq_spool_fault rmq_spool_db_scan(struct rmq_spool_db *db, uint64_t after,
                                       uint64_t through,
                                       struct rmq_error *err) {
  (void)err;
  bound2(db, SCAN, after, through);
  return RMQ_SPOOL_FINE;
}

enum rmq_spool_fault rmq_spool_db_scan_next(struct rmq_spool_db *db,
                                            struct rmq_spool_row *ret_row,
                                            bool *ret_has,
                                            struct rmq_error *err) {
  sqlite3_stmt *st = db->statements[SCAN];
  int rc = sqlite3_step(st);
  *ret_has = rc == SQLITE_ROW;
  if (rc == SQLITE_DONE)
    return RMQ_SPOOL_FINE;
  if (rc != SQLITE_ROW)
    return rmq_spool_db_fail(db->handle, rc, err);
  *ret_row =
      (struct rmq_spool_row){.seq = (uint64_t)sqlite3_column_int64(st, 0),
                             .key_hash = (uint32_t)sqlite3_column_int64(st, 1),
                             .values = (uint32_t)sqlite3_column_int64(st, 2),
                             .accepted = time_of(st, 3)};
  return RMQ_SPOOL_FINE;
}

void rmq_spool_db_scan_end(struct rmq_spool_db *db) {
  sqlite3_reset(db->statements[SCAN]);
}

/* NULL, or a text without a NUL in it. */
static bool is_text(sqlite3_stmt *st, int column) {
  const char *text = (const char *)sqlite3_column_text(st, column);
  return text == NULL ||
         strlen(text) == (size_t)sqlite3_column_bytes(st, column);
}

static bool are_extras_sound(sqlite3_stmt *st) {
  struct rmq_envelope_view ignored;
  return is_text(st, 8) && sqlite3_column_bytes(st, 8) <= EXCHANGE_MAX &&
         (sqlite3_column_type(st, 9) == SQLITE_NULL ||
          (sqlite3_column_type(st, 9) == SQLITE_BLOB &&
           rmq_envelope_unpack(sqlite3_column_blob(st, 9),
                               (size_t)sqlite3_column_bytes(st, 9),
                               &ignored) == 0));
}

/* Whether the columns are what insert wrote. */
static bool is_sound(sqlite3_stmt *st) {
  return sqlite3_column_type(st, 3) == SQLITE_TEXT && is_text(st, 3) &&
         sqlite3_column_bytes(st, 3) <= RMQ_MESSAGE_ID_MAX &&
         sqlite3_column_type(st, 4) == SQLITE_TEXT && is_text(st, 4) &&
         sqlite3_column_type(st, 5) == SQLITE_TEXT &&
         sqlite3_column_type(st, 7) == SQLITE_BLOB && are_extras_sound(st);
}

static const char *text_or_null(sqlite3_stmt *st, int column) {
  const char *text = (const char *)sqlite3_column_text(st, column);
  return text == NULL || text[0] == '\0' ? NULL : text;
}

static struct rmq_message *restore(sqlite3_stmt *st) {
  const struct rmq_message_parts parts = {
      .id = (const char *)sqlite3_column_text(st, 3),
      .key = (const char *)sqlite3_column_text(st, 4),
      .content_type = text_or_null(st, 5),
      .content_encoding = (const char *)sqlite3_column_text(st, 6),
      .body = sqlite3_column_blob(st, 7),
      .body_len = (size_t)sqlite3_column_bytes(st, 7),
      .exchange = (const char *)sqlite3_column_text(st, 8),
      .envelope = sqlite3_column_blob(st, 9),
      .envelope_len = (size_t)sqlite3_column_bytes(st, 9)};
  struct rmq_message *m = rmq_message_build(&parts);
  if (m == NULL)
    return NULL;
  m->seq = (uint64_t)sqlite3_column_int64(st, 0);
  m->values = (uint32_t)sqlite3_column_int64(st, 1);
  m->time = time_of(st, 2);
  m->latency = (struct rmq_dur){-1};
  m->is_stored = m->is_prepared = true;
  return m;
}

enum rmq_spool_fault rmq_spool_db_read(struct rmq_spool_db *db, uint64_t seq,
                                       struct rmq_message **ret_m,
                                       struct rmq_error *err) {
  sqlite3_stmt *st = bound1(db, READ, seq);
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  int rc = sqlite3_step(st);
  *ret_m = NULL;
  if (rc == SQLITE_ROW && is_sound(st)) {
    *ret_m = restore(st);
  } else if (rc == SQLITE_ROW) {
    rmq_error_set(err, "a row is not as it was written");
    f = RMQ_SPOOL_CORRUPT;
  } else if (rc != SQLITE_DONE) {
    f = rmq_spool_db_fail(db->handle, rc, err);
  }
  sqlite3_reset(st);
  return f;
}

/* ------------------------------------------------------------------------
 * Room */

uint64_t rmq_spool_db_pages_of(const struct rmq_spool_db *db, size_t bytes) {
  (void)db;
  return bytes / (PAGE_BYTES - 4) + 2;
}

enum rmq_spool_fault rmq_spool_db_room(struct rmq_spool_db *db,
                                       int64_t *ret_pages,
                                       struct rmq_error *err) {
  int64_t used = 0, free_pages = 0;
  enum rmq_spool_fault f =
      rmq_spool_db_number(db, db->statements[PAGE_COUNT], &used, err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_number(db, db->statements[FREELIST_COUNT], &free_pages,
                            err);
  if (f == RMQ_SPOOL_FINE)
    *ret_pages = (int64_t)db->pages_max - used + free_pages;
  return f;
}

uint64_t rmq_spool_db_pages_max(const struct rmq_spool_db *db) {
  return db->pages_max;
}

uint64_t rmq_spool_db_frames_left(const struct rmq_spool_db *db) {
  return db->frames >= db->frames_max ? 0 : db->frames_max - db->frames;
}

uint64_t rmq_spool_db_frames_max(const struct rmq_spool_db *db) {
  return db->frames_max;
}

enum rmq_spool_fault rmq_spool_db_checkpoint(struct rmq_spool_db *db,
                                             struct rmq_error *err) {
  int in_log = 0, moved = 0;
  int rc = sqlite3_wal_checkpoint_v2(
      db->handle, NULL, SQLITE_CHECKPOINT_RESTART, &in_log, &moved);
  if (rc != SQLITE_OK)
    return rmq_spool_db_fail(db->handle, rc, err);
  db->frames = 0; /* nobody else reads: the next transaction starts anew */
  return RMQ_SPOOL_FINE;
}

enum rmq_spool_fault rmq_spool_db_probe(struct rmq_spool_db *db,
                                        struct rmq_error *err) {
  char text[64];
  snprintf(text, sizeof(text), "PRAGMA user_version=%d", SCHEMA_VERSION);
  enum rmq_spool_fault f = rmq_spool_db_execute(db, text, err);
  return f == RMQ_SPOOL_FINE ? rmq_spool_db_checkpoint(db, err) : f;
}

enum rmq_spool_fault rmq_spool_db_shrink(struct rmq_spool_db *db,
                                         struct rmq_error *err) {
  enum rmq_spool_fault f = rmq_spool_db_execute(db, "VACUUM", err);
  return f == RMQ_SPOOL_FINE ? rmq_spool_db_checkpoint(db, err) : f;
}
