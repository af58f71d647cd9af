/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* SQLite's header: www.sqlite.org/fileformat.html, section 1.3. */
enum { HEADER_SIZE = 100, APPLICATION_ID_AT = 68 };
static const char magic[16] = "SQLite format 3";

static const char *error_text(int error, char *text, size_t size) {
#ifdef __GLIBC__
  return strerror_r(error, text, size);
#else
  return strerror_r(error, text, size) == 0 ? text : "unknown error";
#endif
}

static int fail_errno(struct rmq_error *err, const char *what, const char *path,
                      int error, const char *remedy) {
  char text[128];
  return rmq_error_set(err, "%s %s: %s; %s", what, path,
                       error_text(error, text, sizeof(text)), remedy);
}

/* Only we and root may put names into it. */
static int check_directory(const char *dir, struct rmq_error *err) {
  struct stat st;
  if (stat(dir, &st) != 0)
    return fail_errno(err, "cannot look at", dir, errno,
                      "create the directory for the user that the daemon runs "
                      "as");
  if (!S_ISDIR(st.st_mode))
    return rmq_error_set(err, "%s is not a directory; correct SpoolDir", dir);
  if (st.st_uid != geteuid() && st.st_uid != 0)
    return rmq_error_set(err,
                         "%s belongs to user id %lu, who could exchange the "
                         "spool; chown it to the user that the daemon runs as",
                         dir, (unsigned long)st.st_uid);
  if ((st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    return rmq_error_set(
        err, "others may write to the directory %s; chmod 0700 it", dir);
  return 0;
}

static int make_directory(const char *dir, struct rmq_error *err) {
  if (mkdir(dir, 0700) == 0 || errno == EEXIST)
    return 0;
  return fail_errno(err, "cannot create the directory", dir, errno,
                    errno == ENOENT
                        ? "create the directory above it"
                        : "create it for the user that the daemon runs as");
}

enum header { OURS, FOREIGN, NO_DATABASE };

static enum header read_header(int fd) {
  unsigned char h[HEADER_SIZE];
  if (pread(fd, h, sizeof(h), 0) != sizeof(h) ||
      memcmp(h, magic, sizeof(magic)) != 0)
    return NO_DATABASE;
  const unsigned char *id = h + APPLICATION_ID_AT;
  uint32_t got = (uint32_t)id[0] << 24 | (uint32_t)id[1] << 16 |
                 (uint32_t)id[2] << 8 | id[3];
  return got == RMQ_SPOOL_APPLICATION_ID ? OURS : FOREIGN;
}

/* A file that another program keeps its data in is not touched. One that is
 * empty or corrupt is SQLite's to judge. */
static int check_header(int fd, const char *path, struct rmq_error *err) {
  if (read_header(fd) != FOREIGN)
    return 0;
  return rmq_error_set(err,
                       "%s is a database of another program and is left as it "
                       "is; move it away or correct SpoolDir",
                       path);
}

static int check_file(int fd, const char *path, struct rmq_spool_file *f,
                      struct rmq_error *err) {
  struct stat st;
  if (fstat(fd, &st) != 0)
    return fail_errno(err, "cannot look at", path, errno, "move it away");
  if (!S_ISREG(st.st_mode) || st.st_nlink > 1)
    return rmq_error_set(err, "%s is %s; move it away", path,
                         S_ISREG(st.st_mode) ? "a file with a second name"
                                             : "not a file");
  if (st.st_uid != geteuid())
    return rmq_error_set(err,
                         "%s belongs to user id %lu; chown it to the user that "
                         "the daemon runs as, or move it away",
                         path, (unsigned long)st.st_uid);
  if ((st.st_mode & 0777) != 0600 && fchmod(fd, 0600) != 0)
    return fail_errno(err, "others may read", path, errno, "chmod 0600 it");
  f->device = st.st_dev;
  f->inode = st.st_ino;
  f->is_empty = st.st_size == 0;
  return check_header(fd, path, err);
}

static int open_file(const char *path, struct rmq_error *err) {
  /* Not blocking, in case that it is a FIFO. */
  int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  int fd = open(path, flags);
  if (fd < 0 && errno == ENOENT)
    fd = open(path, flags | O_CREAT | O_EXCL, 0600);
  if (fd >= 0)
    return fd;
  if (errno == ELOOP)
    return rmq_error_set(err,
                         "%s is a symbolic link, which is not followed; "
                         "move it away or link the directory instead",
                         path);
  return fail_errno(err, "cannot open", path, errno,
                    errno == EROFS    ? "mount the file system read-write"
                    : errno == ENOSPC ? "make room on the file system"
                    : errno == EISDIR
                        ? "move it away"
                        : "the user that the daemon runs as must be allowed to "
                          "write to the directory and the file");
}

int rmq_spool_file_prepare(const char *dir, const char *block,
                           struct rmq_spool_file *ret_file,
                           struct rmq_error *err) {
  struct rmq_spool_file f = {.path = ""};
  char resolved[PATH_MAX];
  if (make_directory(dir, err) != 0)
    return -1;
  if (realpath(dir, resolved) == NULL)
    return fail_errno(err, "cannot resolve", dir, errno, "correct SpoolDir");
  if (check_directory(resolved, err) != 0)
    return -1;
  int n = snprintf(f.path, sizeof(f.path), "%s/%s.spool", resolved, block);
  if (n < 0 || (size_t)n >= sizeof(f.path))
    return rmq_error_set(err, "the path of the spool is too long; shorten "
                              "SpoolDir");
  int fd = open_file(f.path, err);
  if (fd < 0)
    return -1;
  int rc = check_file(fd, f.path, &f, err);
  close(fd);
  if (rc == 0)
    *ret_file = f;
  return rc;
}

bool rmq_spool_file_is_there(const struct rmq_spool_file *f) {
  struct stat st;
  return lstat(f->path, &st) == 0 && st.st_dev == f->device &&
         st.st_ino == f->inode;
}

/* False when it is too long. */
static bool with_suffix(const char *path, const char *suffix,
                        char ret_path[PATH_MAX]) {
  int n = snprintf(ret_path, PATH_MAX, "%s%s", path, suffix);
  return n > 0 && n < PATH_MAX;
}

static uint64_t bytes_of(const char *path) {
  struct stat st;
  return lstat(path, &st) == 0 && st.st_size > 0 ? (uint64_t)st.st_size : 0;
}

bool rmq_spool_file_has_log(const struct rmq_spool_file *f) {
  char wal[PATH_MAX];
  struct stat st;
  return with_suffix(f->path, "-wal", wal) && lstat(wal, &st) == 0;
}

void rmq_spool_file_remove(const struct rmq_spool_file *f) {
  if (rmq_spool_file_is_there(f))
    unlink(f->path);
}

/* The log first: alone it would be taken for that of the next file. */
void rmq_spool_file_discard(const struct rmq_spool_file *f) {
  char wal[PATH_MAX];
  if (!rmq_spool_file_is_there(f))
    return;
  if (with_suffix(f->path, "-wal", wal))
    unlink(wal);
  unlink(f->path);
}

uint64_t rmq_spool_file_bytes(const struct rmq_spool_file *f) {
  char wal[PATH_MAX];
  uint64_t bytes = bytes_of(f->path);
  return with_suffix(f->path, "-wal", wal) ? bytes + bytes_of(wal) : bytes;
}

int rmq_spool_file_recognize(const char *path, bool *ret_has_log,
                             struct rmq_error *err) {
  char wal[PATH_MAX], text[128];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0)
    return rmq_error_set(err, "%s", error_text(errno, text, sizeof(text)));
  enum header header = read_header(fd);
  close(fd);
  if (header != OURS)
    return rmq_error_set(err, "this is no spool of rabbitmq_publish");
  *ret_has_log = with_suffix(path, "-wal", wal) && bytes_of(wal) > 0;
  return 0;
}

/* A name that is free. */
static bool name_aside(const char *path, const char *why, struct rmq_wall now,
                       char ret_path[PATH_MAX]) {
  time_t seconds = (time_t)(now.ns / RMQ_NS_PER_S);
  struct tm tm;
  char stamp[32] = "unknown";
  if (gmtime_r(&seconds, &tm) != NULL)
    strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%SZ", &tm);
  struct stat st;
  for (int i = 0; i < 1000; i++) {
    int n = i == 0 ? snprintf(ret_path, PATH_MAX, "%s.%s-%s", path, why, stamp)
                   : snprintf(ret_path, PATH_MAX, "%s.%s-%s-%d", path, why,
                              stamp, i);
    if (n < 0 || n >= PATH_MAX - 5) /* room for "-wal" */
      return false;
    if (lstat(ret_path, &st) != 0)
      return errno == ENOENT;
  }
  return false;
}

/* BLOCK.spool.WHY-TIMESTAMP, and not the log beside one. */
static bool is_aside_of(const char *name, const char *spool, size_t spool_len) {
  size_t len = strlen(name);
  return strncmp(name, spool, spool_len) == 0 && name[spool_len] == '.' &&
         (len < 4 || strcmp(name + len - 4, "-wal") != 0);
}

/* How many have been set aside before; none when nobody can tell. */
static unsigned count_aside(const char *path) {
  char dir[PATH_MAX];
  const char *slash = strrchr(path, '/');
  if (slash == NULL || slash == path)
    return 0;
  size_t dir_len = (size_t)(slash - path);
  memcpy(dir, path, dir_len);
  dir[dir_len] = '\0';
  DIR *d = opendir(dir);
  if (d == NULL)
    return 0;
  unsigned count = 0;
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d))
    count += is_aside_of(e->d_name, slash + 1, strlen(slash + 1)) ? 1 : 0;
  closedir(d);
  return count;
}

int rmq_spool_file_set_aside(const struct rmq_spool_file *f, const char *why,
                             struct rmq_wall now, char ret_path[PATH_MAX],
                             struct rmq_error *err) {
  char aside[PATH_MAX], wal[PATH_MAX], aside_wal[PATH_MAX];
  if (count_aside(f->path) >= RMQ_SPOOL_ASIDE_MAX)
    return rmq_error_set(err,
                         "%s is of no use, and %d that were set aside lie "
                         "beside it already; see what damages them, and move "
                         "them away (warren spool export saves what they hold)",
                         f->path, RMQ_SPOOL_ASIDE_MAX);
  if (!name_aside(f->path, why, now, aside) ||
      !with_suffix(f->path, "-wal", wal) ||
      !with_suffix(aside, "-wal", aside_wal))
    return rmq_error_set(err, "no name is free to set %s aside; move it away",
                         f->path);
  /* First the WAL: SQLite deletes one that has lost its database. */
  if (rename(wal, aside_wal) != 0 && errno != ENOENT)
    return fail_errno(err, "cannot rename", wal, errno, "move it away");
  if (rename(f->path, aside) != 0)
    return fail_errno(err, "cannot rename", f->path, errno, "move it away");
  memmove(ret_path, aside, strlen(aside) + 1);
  return 0;
}
