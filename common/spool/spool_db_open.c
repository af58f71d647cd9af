/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_db_private.h"

#include "common/spool/spool_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [INSERT] = "INSERT OR REPLACE INTO messages (seq, key_hash, value_count,"
               " accepted_ms, message_id, routing_key, content_type,"
               " content_encoding, body, exchange, envelope)"
               " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DELETE] = "DELETE FROM messages WHERE seq BETWEEN ? AND ?",
    [SCAN] = "SELECT seq, key_hash, value_count, accepted_ms FROM messages"
             " WHERE seq > ? AND seq <= ? ORDER BY seq",
    [READ] = "SELECT seq, value_count, accepted_ms, message_id, routing_key,"
             " content_type, content_encoding, body, exchange, envelope"
             " FROM messages"
             " WHERE seq = ?",
    [PAGE_COUNT] = "PRAGMA page_count",
    [FREELIST_COUNT] = "PRAGMA freelist_count"};

static const char schema[] =
    "CREATE TABLE messages (seq INTEGER PRIMARY KEY, key_hash INTEGER NOT NULL,"
    " value_count INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, message_id"
    " TEXT NOT NULL, routing_key TEXT NOT NULL, content_type TEXT NOT NULL,"
    " content_encoding TEXT, body BLOB NOT NULL, exchange TEXT,"
    " envelope BLOB)";

/* What leads from a format to the next one, at [format - 1]. */
static const char *const steps[SCHEMA_VERSION - 1] = {
    "ALTER TABLE messages ADD COLUMN exchange TEXT;"
    " ALTER TABLE messages ADD COLUMN envelope BLOB"};

/* ------------------------------------------------------------------------
 * Faults */

enum rmq_spool_fault rmq_spool_db_fault_of(int rc) {
  switch (rc & 0xff) {
  case SQLITE_OK:
  case SQLITE_ROW:
  case SQLITE_DONE:
    return RMQ_SPOOL_FINE;
  case SQLITE_BUSY:
  case SQLITE_LOCKED:
    return RMQ_SPOOL_LOCKED;
  case SQLITE_CORRUPT:
  case SQLITE_NOTADB:
  case SQLITE_ERROR: /* our statements do not fit its schema */
  case SQLITE_MISMATCH:
  case SQLITE_CONSTRAINT:
  case SQLITE_TOOBIG:
    return RMQ_SPOOL_CORRUPT;
  default:
    return RMQ_SPOOL_DISK;
  }
}

enum rmq_spool_fault rmq_spool_db_fail(sqlite3 *handle, int rc,
                                       struct rmq_error *err) {
  if (handle == NULL) {
    rmq_error_set(err, "%s", sqlite3_errstr(rc));
    return rmq_spool_db_fault_of(rc);
  }
  int error = sqlite3_system_errno(handle);
  char text[128] = "";
#ifdef __GLIBC__
  const char *cause = strerror_r(error, text, sizeof(text));
#else
  strerror_r(error, text, sizeof(text));
  const char *cause = text;
#endif
  bool has_cause = error != 0 && rmq_spool_db_fault_of(rc) == RMQ_SPOOL_DISK;
  rmq_error_set(err, "%s%s%s%s", sqlite3_errmsg(handle), has_cause ? " (" : "",
                has_cause ? cause : "", has_cause ? ")" : "");
  return rmq_spool_db_fault_of(rc);
}

/* ------------------------------------------------------------------------
 * Statements */

enum rmq_spool_fault rmq_spool_db_execute(struct rmq_spool_db *db,
                                          const char *text,
                                          struct rmq_error *err) {
  int rc = sqlite3_exec(db->handle, text, NULL, NULL, NULL);
  return rc == SQLITE_OK ? RMQ_SPOOL_FINE
                         : rmq_spool_db_fail(db->handle, rc, err);
}

enum rmq_spool_fault rmq_spool_db_number(struct rmq_spool_db *db,
                                         sqlite3_stmt *st, int64_t *ret_number,
                                         struct rmq_error *err) {
  int rc = sqlite3_step(st);
  if (rc == SQLITE_ROW)
    *ret_number = sqlite3_column_int64(st, 0);
  enum rmq_spool_fault f = rc == SQLITE_ROW
                               ? RMQ_SPOOL_FINE
                               : rmq_spool_db_fail(db->handle, rc, err);
  sqlite3_reset(st);
  return f;
}

/* ------------------------------------------------------------------------
 * Opening */

static enum rmq_spool_fault ask(struct rmq_spool_db *db, const char *text,
                                int64_t *ret_number, struct rmq_error *err) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(db->handle, text, -1, &st, NULL);
  if (rc != SQLITE_OK)
    return rmq_spool_db_fail(db->handle, rc, err);
  enum rmq_spool_fault f = rmq_spool_db_number(db, st, ret_number, err);
  sqlite3_finalize(st);
  return f;
}

static int count_frames(void *ctx, sqlite3 *handle, const char *name,
                        int frames) {
  struct rmq_spool_db *db = ctx;
  (void)handle;
  (void)name;
  db->frames = (uint64_t)frames;
  return SQLITE_OK;
}

static const char *synchronous_of(enum rmq_spool_sync sync) {
  switch (sync) {
  case RMQ_SPOOL_SYNC_NONE:
    return "OFF";
  case RMQ_SPOOL_SYNC_INTERVAL:
    return "NORMAL";
  case RMQ_SPOOL_SYNC_ALWAYS:
    return "FULL";
  }
  return "FULL";
}

/* Before the log is switched on, so that page 1 never is without our id. */
static enum rmq_spool_fault create(struct rmq_spool_db *db,
                                   struct rmq_error *err) {
  char text[1024];
  snprintf(text, sizeof(text),
           "PRAGMA page_size=%d; BEGIN EXCLUSIVE; PRAGMA application_id=%d;"
           " PRAGMA user_version=%d; %s; COMMIT",
           PAGE_BYTES, RMQ_SPOOL_APPLICATION_ID, SCHEMA_VERSION, schema);
  return rmq_spool_db_execute(db, text, err);
}

/* Step by step; each is one transaction. */
static enum rmq_spool_fault upgrade(struct rmq_spool_db *db, int64_t version,
                                    struct rmq_error *err) {
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  for (; f == RMQ_SPOOL_FINE && version < SCHEMA_VERSION; version++) {
    char text[512];
    snprintf(text, sizeof(text),
             "BEGIN EXCLUSIVE; %s; PRAGMA user_version=%" PRId64 "; COMMIT",
             steps[version - 1], version + 1);
    f = rmq_spool_db_execute(db, text, err);
  }
  return f;
}

static enum rmq_spool_fault check_version(struct rmq_spool_db *db,
                                          struct rmq_error *err) {
  int64_t version = 0, page = 0;
  enum rmq_spool_fault f = ask(db, "PRAGMA user_version", &version, err);
  if (f == RMQ_SPOOL_FINE)
    f = ask(db, "PRAGMA page_size", &page, err);
  if (f != RMQ_SPOOL_FINE)
    return f;
  if (version > SCHEMA_VERSION) {
    rmq_error_set(err,
                  "a later version of this program made it (format %" PRId64
                  ", this one knows %d)",
                  version, SCHEMA_VERSION);
    return RMQ_SPOOL_NEWER;
  }
  if (version >= 1 && page == PAGE_BYTES)
    return upgrade(db, version, err);
  rmq_error_set(err, "its header is damaged");
  return RMQ_SPOOL_CORRUPT;
}

/* Where the log cannot be had, nothing else would hold either. */
static enum rmq_spool_fault switch_log_on(struct rmq_spool_db *db,
                                          struct rmq_error *err) {
  sqlite3_stmt *st = NULL;
  int rc =
      sqlite3_prepare_v2(db->handle, "PRAGMA journal_mode=WAL", -1, &st, NULL);
  if (rc == SQLITE_OK)
    rc = sqlite3_step(st);
  const char *mode =
      rc == SQLITE_ROW ? (const char *)sqlite3_column_text(st, 0) : NULL;
  enum rmq_spool_fault f = RMQ_SPOOL_FINE;
  if (rc != SQLITE_ROW) {
    f = rmq_spool_db_fail(db->handle, rc, err);
  } else if (mode == NULL || strcmp(mode, "wal") != 0) {
    rmq_error_set(err, "SQLite cannot write ahead on this file system");
    f = RMQ_SPOOL_DISK;
  }
  sqlite3_finalize(st);
  return f;
}

static enum rmq_spool_fault configure(struct rmq_spool_db *db,
                                      enum rmq_spool_sync sync,
                                      struct rmq_error *err) {
  char text[512];
  snprintf(text, sizeof(text),
           "PRAGMA synchronous=%s;"
           " PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%" PRIu64
           "; PRAGMA max_page_count=%" PRIu64 "; PRAGMA cache_size=-%d;"
           " PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
           " PRAGMA secure_delete=OFF", /* some builds write zeros over rows */
           synchronous_of(sync), db->frames_max * FRAME_BYTES, db->pages_max,
           CACHE_KIB);
  enum rmq_spool_fault f = switch_log_on(db, err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_execute(db, text, err);
  sqlite3_wal_hook(db->handle, count_frames, db);
  return f;
}

static enum rmq_spool_fault prepare(struct rmq_spool_db *db,
                                    struct rmq_error *err) {
  for (int i = 0; i < STATEMENTS; i++) {
    int rc =
        sqlite3_prepare_v3(db->handle, texts[i], -1, SQLITE_PREPARE_PERSISTENT,
                           &db->statements[i], NULL);
    if (rc != SQLITE_OK)
      return rmq_spool_db_fail(db->handle, rc, err);
  }
  return RMQ_SPOOL_FINE;
}

static enum rmq_spool_fault
open_handle(struct rmq_spool_db *db, const char *path, struct rmq_error *err) {
  int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
#ifdef SQLITE_OPEN_NOFOLLOW
  flags |= SQLITE_OPEN_NOFOLLOW;
#endif
  int rc = sqlite3_open_v2(path, &db->handle, flags, NULL);
  if (rc != SQLITE_OK)
    return rmq_spool_db_fail(db->handle, rc, err);
  sqlite3_extended_result_codes(db->handle, 1);
  sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
#ifdef SQLITE_DBCONFIG_DEFENSIVE
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
#endif
#ifdef SQLITE_DBCONFIG_TRUSTED_SCHEMA
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
#endif
  /* Before the first access, so that the log's index stays in memory. */
  return rmq_spool_db_execute(db, "PRAGMA locking_mode=EXCLUSIVE", err);
}

static enum rmq_spool_fault open_all(struct rmq_spool_db *db, const char *path,
                                     bool is_empty, enum rmq_spool_sync sync,
                                     struct rmq_error *err) {
  enum rmq_spool_fault f = open_handle(db, path, err);
  if (f == RMQ_SPOOL_FINE && is_empty)
    f = create(db, err);
  if (f == RMQ_SPOOL_FINE)
    f = check_version(db, err);
  if (f == RMQ_SPOOL_FINE)
    f = configure(db, sync, err);
  if (f == RMQ_SPOOL_FINE)
    f = prepare(db, err);
  return f;
}

uint64_t rmq_spool_db_frames_of(uint64_t max_bytes) {
  uint64_t bytes = max_bytes / 4;
  if (bytes > LOG_BYTES_MAX)
    bytes = LOG_BYTES_MAX;
  return bytes / FRAME_BYTES - 1; /* and a header */
}

enum rmq_spool_fault rmq_spool_db_open(const char *path, bool is_empty,
                                       uint64_t max_bytes,
                                       enum rmq_spool_sync sync,
                                       struct rmq_spool_db **ret_db,
                                       struct rmq_error *err) {
  *ret_db = NULL;
  struct rmq_spool_db *db = calloc(1, sizeof(*db));
  if (db == NULL) {
    rmq_error_set(err, "no memory");
    return RMQ_SPOOL_DISK;
  }
  db->pages_max = max_bytes / 4 * 3 / PAGE_BYTES;
  db->frames_max = rmq_spool_db_frames_of(max_bytes);
  enum rmq_spool_fault f = open_all(db, path, is_empty, sync, err);
  if (f == RMQ_SPOOL_FINE)
    *ret_db = db;
  else
    rmq_spool_db_close(db, f == RMQ_SPOOL_NEWER);
  return f;
}

void rmq_spool_db_close(struct rmq_spool_db *db, bool is_good) {
  if (db == NULL)
    return;
  for (int i = 0; i < STATEMENTS; i++)
    sqlite3_finalize(db->statements[i]);
#ifdef SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !is_good,
                    NULL);
#endif
  sqlite3_close_v2(db->handle);
  free(db);
}

/* ------------------------------------------------------------------------ */

enum rmq_spool_fault rmq_spool_db_copy(struct rmq_spool_db *db,
                                       const char *path,
                                       struct rmq_error *err) {
  struct rmq_spool_db to = {.handle = NULL};
  enum rmq_spool_fault f = open_handle(&to, path, err);
  if (f == RMQ_SPOOL_FINE) {
    sqlite3_backup *b =
        sqlite3_backup_init(to.handle, "main", db->handle, "main");
    if (b != NULL)
      sqlite3_backup_step(b, -1);
    int rc = b == NULL ? sqlite3_errcode(to.handle) : sqlite3_backup_finish(b);
    if (rc != SQLITE_OK)
      f = rmq_spool_db_fail(to.handle, rc, err);
  }
  sqlite3_close_v2(to.handle);
  return f;
}
