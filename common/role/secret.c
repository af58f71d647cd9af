/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SECRET_MAX = 4096 };

/* Why a file could not be read, without strerror's shared buffer. */
static const char *reason(int error, char *text, size_t size) {
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
  return strerror_r(error, text, size);
#else
  return strerror_r(error, text, size) == 0 ? text : "unknown error";
#endif
}

/* Bytes read, or -1 with errno; a FIFO or a directory does not block. */
static ssize_t read_some(const char *path, char *bytes, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0)
    return -1;
  size_t used = 0;
  ssize_t n = 1;
  while (n > 0 && used < size) {
    n = read(fd, bytes + used, size - used);
    if (n > 0)
      used += (size_t)n;
  }
  int error = errno;
  close(fd);
  errno = error;
  return n < 0 ? -1 : (ssize_t)used;
}

static int take_line(const char *path, char *bytes, size_t len,
                     char **ret_secret, struct rmq_error *err) {
  const char *end = memchr(bytes, '\n', len);
  size_t line = end == NULL ? len : (size_t)(end - bytes);
  if (line > 0 && bytes[line - 1] == '\r')
    line--;
  if (line == 0)
    return rmq_error_set(err, "the file \"%s\" has no secret in its first line",
                         path);
  if (line > SECRET_MAX || memchr(bytes, '\0', line) != NULL)
    return rmq_error_set(err,
                         "the first line of the file \"%s\" is no secret: it "
                         "is too long, or binary",
                         path);
  char *secret = strndup(bytes, line);
  if (secret == NULL)
    return rmq_error_set(err, "out of memory");
  *ret_secret = secret;
  return 0;
}

int rmq_secret_read(const char *path, char **ret_secret,
                    struct rmq_error *err) {
  char bytes[SECRET_MAX + 2], text[128];
  ssize_t len = read_some(path, bytes, sizeof(bytes));
  if (len < 0)
    return rmq_error_set(err, "the file \"%s\" cannot be read: %s", path,
                         reason(errno, text, sizeof(text)));
  int rc = take_line(path, bytes, (size_t)len, ret_secret, err);
  explicit_bzero(bytes, sizeof(bytes));
  return rc;
}

void rmq_secret_free(char *secret) {
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  free(secret);
}
