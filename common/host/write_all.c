/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/write_all.h"

#include <errno.h>
#include <unistd.h>

int rmq_write_all(int fd, const char *bytes, size_t len) {
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
