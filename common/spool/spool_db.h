/* SPDX-License-Identifier: MIT */
/*
 * All of SQLite: the one table, its statements, and what the file may grow to.
 * Database and write-ahead log together stay within max_bytes: three quarters
 * are the database's (max_page_count), one the log's, which the caller keeps by
 * asking rmq_spool_db_frames_left before a transaction. One thread at a time.
 */
#ifndef RMQ_SPOOL_DB_H
#define RMQ_SPOOL_DB_H

#include "common/base/error.h"
#include "common/base/message.h"
#include "common/base/store.h"
#include "common/spool/spool.h"

#include <stdbool.h>
#include <stdint.h>

/* What went wrong, and so what is to be done. */
enum rmq_spool_fault {
  RMQ_SPOOL_FINE,
  RMQ_SPOOL_DISK,    /* it refuses: try again later */
  RMQ_SPOOL_LOCKED,  /* another process has the file: try again later */
  RMQ_SPOOL_CORRUPT, /* set the file aside */
  RMQ_SPOOL_NEWER    /* likewise: a later version's */
};
const char *rmq_spool_fault_to_str(enum rmq_spool_fault f);

/* What a row says of itself without its body. */
struct rmq_spool_row {
  uint64_t seq;
  uint32_t key_hash, values;
  struct rmq_wall accepted;
};

/* Pages that the log of a spool of so many bytes may hold. */
uint64_t rmq_spool_db_frames_of(uint64_t max_bytes);

struct rmq_spool_db;
/* The file exists; is_empty = make the table. On a fault *ret_db is NULL and
 * err says what is wrong. What a dead process left in the log can be read; it
 * is to be checkpointed before anything is written. */
enum rmq_spool_fault rmq_spool_db_open(const char *path, bool is_empty,
                                       uint64_t max_bytes,
                                       enum rmq_spool_sync sync,
                                       struct rmq_spool_db **ret_db,
                                       struct rmq_error *err);
/* Without is_good the log is left beside the file as it is. NULL is fine. */
void rmq_spool_db_close(struct rmq_spool_db *db, bool is_good);

/* Transactions. After a fault the caller rolls back. */
enum rmq_spool_fault rmq_spool_db_begin(struct rmq_spool_db *db,
                                        struct rmq_error *err);
enum rmq_spool_fault rmq_spool_db_commit(struct rmq_spool_db *db,
                                         struct rmq_error *err);
void rmq_spool_db_rollback(struct rmq_spool_db *db);
/* m has id and content type. A row with its seq is replaced. */
enum rmq_spool_fault rmq_spool_db_insert(struct rmq_spool_db *db,
                                         const struct rmq_message *m,
                                         uint32_t key_hash,
                                         struct rmq_error *err);
/* first to last, both included. */
enum rmq_spool_fault rmq_spool_db_delete(struct rmq_spool_db *db,
                                         uint64_t first, uint64_t last,
                                         uint64_t *ret_rows,
                                         struct rmq_error *err);

/* The rows with after < seq <= through in order of seq. Ends with end, also
 * after a fault; no other scan and no deletion meanwhile. */
enum rmq_spool_fault rmq_spool_db_scan(struct rmq_spool_db *db, uint64_t after,
                                       uint64_t through, struct rmq_error *err);
/* *ret_has is false behind the last. */
enum rmq_spool_fault rmq_spool_db_scan_next(struct rmq_spool_db *db,
                                            struct rmq_spool_row *ret_row,
                                            bool *ret_has,
                                            struct rmq_error *err);
void rmq_spool_db_scan_end(struct rmq_spool_db *db);
/* A row as the message it was. *ret_m is NULL without a fault when there is no
 * such row or no memory for it; CORRUPT when only this row is. */
enum rmq_spool_fault rmq_spool_db_read(struct rmq_spool_db *db, uint64_t seq,
                                       struct rmq_message **ret_m,
                                       struct rmq_error *err);

/* Pages that a row with so many bytes may need; and that its insertion or
 * deletion may write to the log. */
uint64_t rmq_spool_db_pages_of(const struct rmq_spool_db *db, size_t bytes);
/* Pages of the database that are free or may still be added. */
enum rmq_spool_fault rmq_spool_db_room(struct rmq_spool_db *db,
                                       int64_t *ret_pages,
                                       struct rmq_error *err);
/* Of an empty database. */
uint64_t rmq_spool_db_pages_max(const struct rmq_spool_db *db);
/* Pages that the log has room for before it has to be checkpointed, and would
 * have after that. */
uint64_t rmq_spool_db_frames_left(const struct rmq_spool_db *db);
uint64_t rmq_spool_db_frames_max(const struct rmq_spool_db *db);
/* Moves the log into the database (and with sync interval onto the disk). */
enum rmq_spool_fault rmq_spool_db_checkpoint(struct rmq_spool_db *db,
                                             struct rmq_error *err);
/* Whether the disk takes a transaction again. */
enum rmq_spool_fault rmq_spool_db_probe(struct rmq_spool_db *db,
                                        struct rmq_error *err);
/* Gives the pages of a database without rows back to the file system. */
enum rmq_spool_fault rmq_spool_db_shrink(struct rmq_spool_db *db,
                                         struct rmq_error *err);
/* Copies all into the file at path, which is empty. */
enum rmq_spool_fault rmq_spool_db_copy(struct rmq_spool_db *db,
                                       const char *path, struct rmq_error *err);

#endif
