/* SPDX-License-Identifier: MIT */
/*
 * A small file that outlives the process: it is read at the start, and replaced
 * as a whole or not at all. Owned by one thread; nothing is kept open.
 */
#ifndef RMQ_ROLE_KEPT_FILE_H
#define RMQ_ROLE_KEPT_FILE_H

#include "common/base/buf.h"
#include "common/base/error.h"

#include <sys/types.h>

/* When the bytes have to be on the disk. */
enum rmq_kept_sync {
  RMQ_KEPT_SYNC_BEFORE, /* before they get the name: a power cut leaves the file
                           that was, or this one */
  RMQ_KEPT_SYNC_NEVER   /* when the kernel likes: a power cut may leave less */
};

const char *rmq_kept_sync_to_str(enum rmq_kept_sync v);

struct rmq_kept_place {
  int directory;         /* its descriptor, or AT_FDCWD */
  const char *name;      /* in the directory, or a path */
  const char *temporary; /* likewise, on the same file system; what a process
                            that was killed left there goes */
  mode_t mode;
  enum rmq_kept_sync sync;
};

/* 0, or -1 with errno; then the file is what it was, and the temporary one is
 * gone. No symbolic link is followed. */
int rmq_kept_file_replace(const struct rmq_kept_place *place, const char *bytes,
                          size_t len);

/* Appends at most `max` bytes to `buf`: 0, or 1 where there is no such file, or
 * -1 with err, which does not name the path. Never waits for a writer where the
 * path is a pipe. */
int rmq_kept_file_read(const char *path, size_t max, struct rmq_buf *buf,
                       struct rmq_error *err);

/* strerror_r() for whoever reports the two: `text`, or a constant. */
const char *rmq_kept_file_why(int number, char *text, size_t size);

#endif
