/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/quarantine.h"

#include "common/role/kept_file.h"
#include "common/role/quarantine_item.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { RETRY_S = 30 }; /* before a full or failed directory is looked at */
enum { PATH_BYTES = 4096, NAME_BYTES = 128, REASON_BYTES = 128 };
enum { BLOCK_BYTES = 4096 };

struct rmq_quarantine {
  const char *block;
  char path[PATH_BYTES]; /* DIR/BLOCK */
  const char *dir;
  int64_t max_bytes;
  int fd;        /* of the directory, -1 = not open */
  int64_t bytes; /* on disk */
  size_t files;  /* messages */
  uint64_t seq;
  struct rmq_mono retry_at; /* not before */
  struct rmq_error why;     /* it is not open */
  char name[NAME_BYTES];
};

const char *rmq_quarantine_verdict_to_str(enum rmq_quarantine_verdict v) {
  switch (v) {
  case RMQ_QUARANTINE_FILED:
    return "filed";
  case RMQ_QUARANTINE_FULL:
    return "full";
  case RMQ_QUARANTINE_FAILED:
    return "failed";
  }
  return "unknown";
}

struct rmq_quarantine *rmq_quarantine_new(const char *dir, const char *block,
                                          int64_t max_bytes) {
  struct rmq_quarantine *q = calloc(1, sizeof(*q));
  if (q == NULL)
    return NULL;
  q->dir = dir;
  q->block = block;
  q->max_bytes = max_bytes;
  q->fd = -1;
  snprintf(q->path, sizeof(q->path), "%s/%s", dir, block);
  return q;
}

void rmq_quarantine_free(struct rmq_quarantine *q) {
  if (q == NULL)
    return;
  if (q->fd >= 0)
    close(q->fd);
  free(q);
}

static int fail(struct rmq_error *err, const char *what, const char *path,
                int error) {
  char space[REASON_BYTES];
#ifdef __GLIBC__
  const char *reason = strerror_r(error, space, sizeof(space));
#else
  const char *reason = space;
  if (strerror_r(error, space, sizeof(space)) != 0)
    reason = "unknown error";
#endif
  const char *remedy =
      error == ENOENT   ? "create the directory above it"
      : error == ENOSPC ? "make room on the file system"
      : error == ELOOP || error == ENOTDIR
          ? "it must be a directory and no link to one"
          : "it must be a directory of the user that the daemon runs as";
  return rmq_error_set(err, "%s %.300s: %s; %s", what, path, reason, remedy);
}

/* ------------------------------------------------------------------------
 * The directory */

/* Only we and root may put names into it. */
static int check_directory(int fd, const char *path, struct rmq_error *err) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return fail(err, "cannot look at", path, errno);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return rmq_error_set(err,
                         "%.300s belongs to user id %lu; chown it to the user "
                         "that the daemon runs as",
                         path, (unsigned long)st.st_uid);
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return rmq_error_set(err, "others may write to %.300s; chmod 0700 it",
                         path);
  return 0;
}

/* A directory in parent, made if need be; -1 with err. */
static int open_directory(int parent, const char *name, const char *path,
                          struct rmq_error *err) {
  if (mkdirat(parent, name, 0700) != 0 && errno != EEXIST) {
    fail(err, "cannot create the directory", path, errno);
    return -1;
  }
  int fd =
      openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    fail(err, "cannot open the directory", path, errno);
    return -1;
  }
  if (check_directory(fd, path, err) == 0)
    return fd;
  close(fd);
  return -1;
}

static bool ends_with(const char *name, const char *end) {
  size_t len = strlen(name), end_len = strlen(end);
  return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* What a file takes of the file system, in blocks of the usual size; its place
 * in the directory is not counted. */
static int64_t on_disk(size_t size) {
  return (int64_t)((size + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
}

static void count_file(struct rmq_quarantine *q, const char *name) {
  struct stat st;
  if (name[0] == '.') { /* half written when the daemon died */
    if (ends_with(name, ".tmp"))
      unlinkat(q->fd, name, 0);
    return;
  }
  if (fstatat(q->fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
    return;
  q->bytes += on_disk((size_t)st.st_size);
  if (ends_with(name, ".json"))
    q->files++;
}

static int count_files(struct rmq_quarantine *q, struct rmq_error *err) {
  int fd = openat(q->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR *d = fd < 0 ? NULL : fdopendir(fd);
  if (d == NULL) {
    int error = errno;
    if (fd >= 0)
      close(fd);
    return fail(err, "cannot read the directory", q->path, error);
  }
  q->bytes = 0;
  q->files = 0;
  const struct dirent *e = NULL;
  while ((e = readdir(d)) != NULL)
    count_file(q, e->d_name);
  closedir(d);
  return 0;
}

static void close_directory(struct rmq_quarantine *q) {
  if (q->fd >= 0)
    close(q->fd);
  q->fd = -1;
}

static int try_open(struct rmq_quarantine *q, struct rmq_error *err) {
  if (q->block[0] == '.')
    return rmq_error_set(err, "a block whose name begins with '.' has no "
                              "directory; rename the block");
  if (strlen(q->dir) + strlen(q->block) + 2 > sizeof(q->path))
    return rmq_error_set(err, "the path is too long; correct QuarantineDir");
  int dir = open_directory(AT_FDCWD, q->dir, q->dir, err);
  if (dir < 0)
    return -1;
  q->fd = open_directory(dir, q->block, q->path, err);
  close(dir);
  if (q->fd < 0)
    return -1;
  if (count_files(q, err) == 0)
    return 0;
  close_directory(q);
  return -1;
}

int rmq_quarantine_open(struct rmq_quarantine *q, struct rmq_error *err) {
  close_directory(q);
  rmq_error_clear(&q->why);
  if (try_open(q, &q->why) == 0)
    return 0;
  return rmq_error_set(err, "%s", q->why.text);
}

/* ------------------------------------------------------------------------
 * A message */

/* Whole, or not at all. */
static int write_file(const struct rmq_quarantine *q, const char *ending,
                      const char *bytes, size_t len) {
  char name[NAME_BYTES + 16], temporary[NAME_BYTES + 32];
  snprintf(name, sizeof(name), "%s%s", q->name, ending);
  snprintf(temporary, sizeof(temporary), ".%s.tmp", name);
  const struct rmq_kept_place place = {.directory = q->fd,
                                       .name = name,
                                       .temporary = temporary,
                                       .mode = 0600,
                                       .sync = RMQ_KEPT_SYNC_NEVER};
  return rmq_kept_file_replace(&place, bytes, len);
}

static void remove_file(const struct rmq_quarantine *q, const char *ending) {
  char name[NAME_BYTES + 16];
  snprintf(name, sizeof(name), "%s%s", q->name, ending);
  unlinkat(q->fd, name, 0);
}

static bool is_taken(const struct rmq_quarantine *q) {
  char name[NAME_BYTES + 16];
  snprintf(name, sizeof(name), "%s.json", q->name);
  return faccessat(q->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A name that no file has; a restart begins to count anew. */
static void choose_name(struct rmq_quarantine *q,
                        const struct rmq_quarantine_item *item) {
  char when[RMQ_QUARANTINE_STAMP];
  rmq_quarantine_item_stamp(item->now, when);
  do
    snprintf(q->name, sizeof(q->name), "%s-%06" PRIu64 "-%.40s", when, ++q->seq,
             item->cause);
  while (is_taken(q));
}

static enum rmq_quarantine_verdict
write_message(struct rmq_quarantine *q, const struct rmq_quarantine_item *item,
              struct rmq_buf *json, struct rmq_error *err) {
  struct rmq_span body = item->delivery->body;
  choose_name(q, item);
  if (rmq_quarantine_item_json(item, q->block, q->name, json) != 0) {
    rmq_error_set(err, "no memory for its description");
    return RMQ_QUARANTINE_FAILED;
  }
  int64_t size = on_disk(json->len) + on_disk(body.len);
  if (q->files >= RMQ_QUARANTINE_FILES || size > q->max_bytes - q->bytes)
    return RMQ_QUARANTINE_FULL;
  if (body.len > 0 && write_file(q, ".body", body.bytes, body.len) != 0) {
    fail(err, "cannot write to", q->path, errno);
    return RMQ_QUARANTINE_FAILED;
  }
  if (write_file(q, ".json", rmq_buf_bytes(json), json->len) != 0) {
    fail(err, "cannot write to", q->path, errno);
    if (body.len > 0)
      remove_file(q, ".body");
    return RMQ_QUARANTINE_FAILED;
  }
  q->files++;
  q->bytes += size;
  return RMQ_QUARANTINE_FILED;
}

/* Room may have been made meanwhile; a directory may have come back. */
static enum rmq_quarantine_verdict
look_again(struct rmq_quarantine *q, const struct rmq_quarantine_item *item,
           enum rmq_quarantine_verdict before, struct rmq_error *err) {
  if (!rmq_mono_reached(item->now_mono, q->retry_at)) {
    if (before == RMQ_QUARANTINE_FAILED)
      rmq_error_set(err, "%s", q->why.text);
    return before;
  }
  q->retry_at = rmq_mono_add(item->now_mono, rmq_s(RETRY_S));
  return rmq_quarantine_open(q, err) == 0 ? RMQ_QUARANTINE_FILED
                                          : RMQ_QUARANTINE_FAILED;
}

enum rmq_quarantine_verdict
rmq_quarantine_put(struct rmq_quarantine *q,
                   const struct rmq_quarantine_item *item,
                   const char **ret_name, struct rmq_error *err) {
  enum rmq_quarantine_verdict verdict = RMQ_QUARANTINE_FILED;
  if (q->fd < 0)
    verdict = look_again(q, item, RMQ_QUARANTINE_FAILED, err);
  if (verdict != RMQ_QUARANTINE_FILED)
    return verdict;
  struct rmq_buf json;
  rmq_buf_init(&json, RMQ_QUARANTINE_JSON);
  verdict = write_message(q, item, &json, err);
  if (verdict == RMQ_QUARANTINE_FULL) {
    verdict = look_again(q, item, verdict, err);
    if (verdict == RMQ_QUARANTINE_FILED) {
      rmq_buf_clear(&json);
      verdict = write_message(q, item, &json, err);
    }
  }
  rmq_buf_fini(&json);
  if (verdict == RMQ_QUARANTINE_FILED)
    *ret_name = q->name;
  if (verdict == RMQ_QUARANTINE_FAILED && q->fd >= 0) {
    q->why = *err;
    q->retry_at = rmq_mono_add(item->now_mono, rmq_s(RETRY_S));
    close_directory(q);
  }
  return verdict;
}
