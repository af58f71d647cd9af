/* SPDX-License-Identifier: MIT */
/*
 * The spool's file as a thing in a directory: whose it is, who may read it, and
 * how one that is of no use is set aside. Nothing is followed that a stranger
 * could have put there.
 */
#ifndef RMQ_SPOOL_FILE_H
#define RMQ_SPOOL_FILE_H

#include "common/base/error.h"
#include "common/base/rmqtime.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* "Wrrn", PRAGMA application_id of our files. */
#define RMQ_SPOOL_APPLICATION_ID 0x5772726e
/* Most files of a block that are set aside and kept. */
enum { RMQ_SPOOL_ASIDE_MAX = 10 };

struct rmq_spool_file {
  char path[PATH_MAX]; /* directory resolved */
  dev_t device;
  ino_t inode;
  bool is_empty; /* just created, or of 0 bytes */
};

/* Makes sure that DIR/BLOCK.spool is a file of ours that nobody else may read,
 * creating DIR's last component and the file when absent. -1 with err, which
 * names the path and the remedy. Must not be called while SQLite has the file
 * open: closing a descriptor would drop its locks. */
int rmq_spool_file_prepare(const char *dir, const char *block,
                           struct rmq_spool_file *ret_file,
                           struct rmq_error *err);
/* For who only wants to read: -1 with err unless it is a file with our header.
 * ret_has_log: there is more in a log beside it. */
int rmq_spool_file_recognize(const char *path, bool *ret_has_log,
                             struct rmq_error *err);
/* Whether the file is still the one under its path. */
bool rmq_spool_file_is_there(const struct rmq_spool_file *f);
bool rmq_spool_file_has_log(const struct rmq_spool_file *f);
/* Removes the file, if it is still the one. */
void rmq_spool_file_remove(const struct rmq_spool_file *f);
/* The file of a closed database with all that is in it, and its log. */
void rmq_spool_file_discard(const struct rmq_spool_file *f);
/* Bytes of the file and its WAL. */
uint64_t rmq_spool_file_bytes(const struct rmq_spool_file *f);
/* Renames the file and its WAL to PATH.WHY-TIMESTAMP; closed before. -1 with
 * err also when RMQ_SPOOL_ASIDE_MAX have been set aside: nothing that may hold
 * messages is ever deleted, so on a disk that damages every file there must be
 * an end of making new ones. */
int rmq_spool_file_set_aside(const struct rmq_spool_file *f, const char *why,
                             struct rmq_wall now, char ret_path[PATH_MAX],
                             struct rmq_error *err);

#endif
