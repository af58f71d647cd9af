/* SPDX-License-Identifier: MIT */
/*
 * Shared by the two files that see SQLite as a store: spool_db_open.c (from a
 * path to prepared statements) and spool_db.c (all that follows).
 */
#ifndef RMQ_SPOOL_DB_PRIVATE_H
#define RMQ_SPOOL_DB_PRIVATE_H

#include "common/spool/spool_db.h"

#include <sqlite3.h>

enum {
  SCHEMA_VERSION = 2,
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

struct rmq_spool_db {
  sqlite3 *handle;
  sqlite3_stmt *statements[STATEMENTS];
  uint64_t pages_max;
  uint64_t frames_max;
  uint64_t frames; /* in the log since its last restart */
};

enum rmq_spool_fault rmq_spool_db_fault_of(int rc);
/* err gets SQLite's reason, and the system's; handle may be NULL. */
enum rmq_spool_fault rmq_spool_db_fail(sqlite3 *handle, int rc,
                                       struct rmq_error *err);
enum rmq_spool_fault rmq_spool_db_execute(struct rmq_spool_db *db,
                                          const char *text,
                                          struct rmq_error *err);
/* The number that st answers with; st is reset. */
enum rmq_spool_fault rmq_spool_db_number(struct rmq_spool_db *db,
                                         sqlite3_stmt *st, int64_t *ret_number,
                                         struct rmq_error *err);

#endif
