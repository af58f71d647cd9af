/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

const char *rmq_kept_sync_to_str(enum rmq_kept_sync v) {
  switch (v) {
  case RMQ_KEPT_SYNC_BEFORE:
    return "before";
  case RMQ_KEPT_SYNC_NEVER:
    return "never";
  }
  return "unknown";
}

const char *rmq_kept_file_why(int number, char *text, size_t size) {
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
  return strerror_r(number, text, size);
#else
  return strerror_r(number, text, size) == 0 ? text : "unknown error";
#endif
}

static int write_all(int fd, const char *bytes, size_t len) {
  while (len > 0) {
    ssize_t n = write(fd, bytes, len);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return -1;
    bytes += n;
    len -= (size_t)n;
  }
  return 0;
}

/* 0, or the number of the error. */
static int fill(int fd, const char *bytes, size_t len,
                enum rmq_kept_sync sync) {
  int number = write_all(fd, bytes, len) != 0 ? errno : 0;
  if (number == 0 && sync == RMQ_KEPT_SYNC_BEFORE && fsync(fd) != 0)
    number = errno;
  if (close(fd) != 0 && number == 0)
    number = errno;
  return number;
}

int rmq_kept_file_replace(const struct rmq_kept_place *p, const char *bytes,
                          size_t len) {
  unlinkat(p->directory, p->temporary, 0);
  int fd =
      openat(p->directory, p->temporary,
             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, p->mode);
  if (fd < 0)
    return -1;
  int number = fill(fd, bytes, len, p->sync);
  if (number == 0 &&
      renameat(p->directory, p->temporary, p->directory, p->name) == 0)
    return 0;
  number = number == 0 ? errno : number;
  unlinkat(p->directory, p->temporary, 0);
  errno = number;
  return -1;
}

/* 0, or the number of the error. */
static int take(int fd, size_t max, struct rmq_buf *buf) {
  while (max > 0) {
    char *room = rmq_buf_reserve(buf, max);
    if (room == NULL)
      return ENOMEM;
    ssize_t n = read(fd, room, max);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    if (n == 0)
      return 0;
    rmq_buf_commit(buf, (size_t)n);
    max -= (size_t)n;
  }
  return 0;
}

int rmq_kept_file_read(const char *path, size_t max, struct rmq_buf *buf,
                       struct rmq_error *err) {
  char why[128];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return 1;
  int number = fd < 0 ? errno : take(fd, max, buf);
  if (fd >= 0)
    close(fd);
  if (number == 0)
    return 0;
  return rmq_error_set(err, "%s", rmq_kept_file_why(number, why, sizeof(why)));
}
