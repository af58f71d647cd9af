/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/textfile.h"

#include "common/host/write_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TEXTFILE_PATH_MAX = 4096 };

static int complain(struct rmq_error *err, const char *path, int number) {
  char text[128];
  return rmq_error_set(err, "file \"%.200s\" cannot be written: %s", path,
                       strerror_r(number, text, sizeof(text)));
}

/* 0, or the number of the error. */
static int fill(int fd, const char *bytes, size_t len) {
  if (fchmod(fd, 0644) != 0 || rmq_write_all(fd, bytes, len) != 0 ||
      fsync(fd) != 0)
    return errno;
  return 0;
}

int rmq_textfile_write(const char *path, const char *bytes, size_t len,
                       struct rmq_error *err) {
  char temporary[TEXTFILE_PATH_MAX];
  int n = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
  if (n < 0 || (size_t)n >= sizeof(temporary))
    return complain(err, path, ENAMETOOLONG);
  /* What a process that was killed has left; nobody's link is followed. */
  unlink(temporary);
  int fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  if (fd < 0)
    return complain(err, path, errno);
  int number = fill(fd, bytes, len);
  if (close(fd) != 0 && number == 0)
    number = errno;
  if (number == 0 && rename(temporary, path) != 0)
    number = errno;
  if (number == 0)
    return 0;
  unlink(temporary);
  return complain(err, path, number);
}
