/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_db.h"

#include "common/spool/spool_file.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
  SCHEMA_VERSION = 1,
  PAGE_BYTES = 4096,
  FRAME_BYTES = PAGE_BYTES + 24, /* of a page in the log */
  CACHE_KIB = 2048,
  /* The log is of use up to here; more would only be read at the next start. */
  LOG_BYTES_MAX = 16 << 20,
  /* SQLite need not believe a damaged row that claims more. */
  ROW_BYTES_MAX = 128 << 20
};

enum statement {
  BEGIN,
  COMMIT,
  ROLLBACK,
  INSERT,
  DELETE,
  SCAN,
  READ,
  PAGE_COUNT,
  FREELIST_COUNT,
  STATEMENTS
};

static const char *const texts[STATEMENTS] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [INSERT] = "INSERT OR REPLACE INTO messages (seq, key_hash, value_count,"
               " accepted_ms, message_id, routing_key, content_type,"
               " content_encoding, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [DELETE] = "DELETE FROM messages WHERE seq BETWEEN ? AND ?",
    [SCAN] = "SELECT seq, key_hash, value_count, accepted_ms FROM messages"
             " WHERE seq > ? AND seq <= ? ORDER BY seq",
    [READ] = "SELECT seq, value_count, accepted_ms, message_id, routing_key,"
             " content_type, content_encoding, body FROM messages"
             " WHERE seq = ?",
    [PAGE_COUNT] = "PRAGMA page_count",
    [FREELIST_COUNT] = "PRAGMA freelist_count"};

static const char schema[] =
    "CREATE TABLE messages (seq INTEGER PRIMARY KEY, key_hash INTEGER NOT NULL,"
    " value_count INTEGER NOT NULL, accepted_ms INTEGER NOT NULL, message_id"
    " TEXT NOT NULL, routing_key TEXT NOT NULL, content_type TEXT NOT NULL,"
    " content_encoding TEXT, body BLOB NOT NULL)";

struct rmq_spool_db {
  sqlite3 *handle;
  sqlite3_stmt *statements[STATEMENTS];
  uint64_t pages_max;
  uint64_t frames_max;
  uint64_t frames; /* in the log since its last restart */
};

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
 * Faults */

static enum rmq_spool_fault fault_of(int rc) {
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

static enum rmq_spool_fault fail(sqlite3 *handle, int rc,
                                 struct rmq_error *err) {
  if (handle == NULL) {
    rmq_error_set(err, "%s", sqlite3_errstr(rc));
    return fault_of(rc);
  }
  int error = sqlite3_system_errno(handle);
  char text[128] = "";
#ifdef __GLIBC__
  const char *cause = strerror_r(error, text, sizeof(text));
#else
  strerror_r(error, text, sizeof(text));
  const char *cause = text;
#endif
  bool has_cause = error != 0 && fault_of(rc) == RMQ_SPOOL_DISK;
  rmq_error_set(err, "%s%s%s%s", sqlite3_errmsg(handle), has_cause ? " (" : "",
                has_cause ? cause : "", has_cause ? ")" : "");
  return fault_of(rc);
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
  enum rmq_spool_fault f = fault_of(rc) == RMQ_SPOOL_FINE
                               ? RMQ_SPOOL_FINE
                               : fail(db->handle, rc, err);
  sqlite3_reset(st);
  return f;
}

static enum rmq_spool_fault get_number(struct rmq_spool_db *db,
                                       sqlite3_stmt *st, int64_t *ret_number,
                                       struct rmq_error *err) {
  int rc = sqlite3_step(st);
  if (rc == SQLITE_ROW)
    *ret_number = sqlite3_column_int64(st, 0);
  enum rmq_spool_fault f =
      rc == SQLITE_ROW ? RMQ_SPOOL_FINE : fail(db->handle, rc, err);
  sqlite3_reset(st);
  return f;
}

/* ------------------------------------------------------------------------
 * Opening */

static enum rmq_spool_fault execute(struct rmq_spool_db *db, const char *text,
                                    struct rmq_error *err) {
  int rc = sqlite3_exec(db->handle, text, NULL, NULL, NULL);
  return rc == SQLITE_OK ? RMQ_SPOOL_FINE : fail(db->handle, rc, err);
}

static enum rmq_spool_fault ask(struct rmq_spool_db *db, const char *text,
                                int64_t *ret_number, struct rmq_error *err) {
  sqlite3_stmt *st = NULL;
  int rc = sqlite3_prepare_v2(db->handle, text, -1, &st, NULL);
  if (rc != SQLITE_OK)
    return fail(db->handle, rc, err);
  enum rmq_spool_fault f = get_number(db, st, ret_number, err);
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
  return execute(db, text, err);
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
  if (version == SCHEMA_VERSION && page == PAGE_BYTES)
    return RMQ_SPOOL_FINE;
  rmq_error_set(err, "its header is damaged");
  return RMQ_SPOOL_CORRUPT;
}

static enum rmq_spool_fault configure(struct rmq_spool_db *db,
                                      enum rmq_spool_sync sync,
                                      struct rmq_error *err) {
  char text[512];
  snprintf(text, sizeof(text),
           "PRAGMA journal_mode=WAL; PRAGMA synchronous=%s;"
           " PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=%" PRIu64
           "; PRAGMA max_page_count=%" PRIu64 "; PRAGMA cache_size=-%d;"
           " PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;"
           " PRAGMA secure_delete=OFF", /* some builds write zeros over rows */
           synchronous_of(sync), db->frames_max * FRAME_BYTES, db->pages_max,
           CACHE_KIB);
  enum rmq_spool_fault f = execute(db, text, err);
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
      return fail(db->handle, rc, err);
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
    return fail(db->handle, rc, err);
  sqlite3_extended_result_codes(db->handle, 1);
  sqlite3_limit(db->handle, SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX);
#ifdef SQLITE_DBCONFIG_DEFENSIVE
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
#endif
#ifdef SQLITE_DBCONFIG_TRUSTED_SCHEMA
  sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
#endif
  /* Before the first access, so that the log's index stays in memory. */
  return execute(db, "PRAGMA locking_mode=EXCLUSIVE", err);
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
  uint64_t log_bytes = max_bytes / 4;
  if (log_bytes > LOG_BYTES_MAX)
    log_bytes = LOG_BYTES_MAX;
  db->pages_max = max_bytes / 4 * 3 / PAGE_BYTES;
  db->frames_max = log_bytes / FRAME_BYTES - 1; /* and a header */
  enum rmq_spool_fault f = open_all(db, path, is_empty, sync, err);
  if (f == RMQ_SPOOL_FINE)
    f = rmq_spool_db_checkpoint(db, err); /* what a dead process left */
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

enum rmq_spool_fault rmq_spool_db_insert(struct rmq_spool_db *db,
                                         const struct rmq_message *m,
                                         uint32_t key_hash,
                                         struct rmq_error *err) {
  sqlite3_stmt *st = bound2(db, INSERT, m->seq, key_hash);
  sqlite3_bind_int64(st, 3, m->values);
  sqlite3_bind_int64(st, 4, rmq_wall_ms(m->time));
  bind_text(st, 5, m->id);
  bind_text(st, 6, m->key);
  bind_text(st, 7, m->content_type == NULL ? "" : m->content_type);
  bind_text(st, 8, m->content_encoding);
  sqlite3_bind_blob64(st, 9, m->body_len == 0 ? "" : m->body, m->body_len,
                      SQLITE_STATIC);
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
    return fail(db->handle, rc, err);
  *ret_row = (struct rmq_spool_row){
      .seq = (uint64_t)sqlite3_column_int64(st, 0),
      .key_hash = (uint32_t)sqlite3_column_int64(st, 1),
      .values = (uint32_t)sqlite3_column_int64(st, 2),
      .accepted = rmq_wall_from_ms(sqlite3_column_int64(st, 3))};
  return RMQ_SPOOL_FINE;
}

void rmq_spool_db_scan_end(struct rmq_spool_db *db) {
  sqlite3_reset(db->statements[SCAN]);
}

/* Whether the columns are what insert wrote. */
static bool is_sound(sqlite3_stmt *st) {
  const char *key = (const char *)sqlite3_column_text(st, 4);
  return sqlite3_column_type(st, 3) == SQLITE_TEXT &&
         sqlite3_column_bytes(st, 3) < RMQ_MESSAGE_ID_SIZE && key != NULL &&
         strlen(key) == (size_t)sqlite3_column_bytes(st, 4) &&
         sqlite3_column_type(st, 5) == SQLITE_TEXT &&
         sqlite3_column_type(st, 7) == SQLITE_BLOB;
}

static struct rmq_message *restore(sqlite3_stmt *st) {
  struct rmq_message *m = rmq_message_restore(
      (const char *)sqlite3_column_text(st, 4),
      (const char *)sqlite3_column_text(st, 5),
      (const char *)sqlite3_column_text(st, 6), sqlite3_column_blob(st, 7),
      (size_t)sqlite3_column_bytes(st, 7));
  if (m == NULL)
    return NULL;
  m->seq = (uint64_t)sqlite3_column_int64(st, 0);
  m->values = (uint32_t)sqlite3_column_int64(st, 1);
  m->time = rmq_wall_from_ms(sqlite3_column_int64(st, 2));
  snprintf(m->id, sizeof(m->id), "%s",
           (const char *)sqlite3_column_text(st, 3));
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
    f = fail(db->handle, rc, err);
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
      get_number(db, db->statements[PAGE_COUNT], &used, err);
  if (f == RMQ_SPOOL_FINE)
    f = get_number(db, db->statements[FREELIST_COUNT], &free_pages, err);
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
    return fail(db->handle, rc, err);
  db->frames = 0; /* nobody else reads: the next transaction starts anew */
  return RMQ_SPOOL_FINE;
}

enum rmq_spool_fault rmq_spool_db_probe(struct rmq_spool_db *db,
                                        struct rmq_error *err) {
  char text[64];
  snprintf(text, sizeof(text), "PRAGMA user_version=%d", SCHEMA_VERSION);
  enum rmq_spool_fault f = execute(db, text, err);
  return f == RMQ_SPOOL_FINE ? rmq_spool_db_checkpoint(db, err) : f;
}

enum rmq_spool_fault rmq_spool_db_shrink(struct rmq_spool_db *db,
                                         struct rmq_error *err) {
  enum rmq_spool_fault f = execute(db, "VACUUM", err);
  return f == RMQ_SPOOL_FINE ? rmq_spool_db_checkpoint(db, err) : f;
}

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
      f = fail(to.handle, rc, err);
  }
  sqlite3_close_v2(to.handle);
  return f;
}
