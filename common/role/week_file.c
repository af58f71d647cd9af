/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/week_file.h"

#include "common/role/monitor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WEEK_FILE_COMPLAIN_S = 3600 }; /* it is written once an hour */

static const char *text_of(int error, char *text, size_t size) {
#if defined(__GLIBC__) && defined(_GNU_SOURCE)
  return strerror_r(error, text, size);
#else
  return strerror_r(error, text, size) == 0 ? text : "unknown error";
#endif
}

static void say(struct rmq_week_file *f, enum rmq_level level,
                const char *event, const char *message) {
  const struct rmq_log_record record = {.level = level,
                                        .time = f->host->wall(f->host->ctx),
                                        .service = f->host->service,
                                        .plugin = RMQ_MONITOR_PLUGIN,
                                        .block = f->name,
                                        .event = event,
                                        .message = message};
  f->host->log(f->host->ctx, &record);
}

static char *path_of(const char *directory, const char *name,
                     const char *suffix) {
  struct rmq_buf path;
  char *made = NULL;
  rmq_buf_init(&path, 8192);
  if (rmq_buf_appendf(&path, "%s/rabbitmq_monitor-%s.week%s",
                      directory == NULL ? "." : directory, name, suffix) == 0)
    made = strdup(rmq_buf_text(&path));
  rmq_buf_fini(&path);
  return made;
}

int rmq_week_file_init(struct rmq_week_file *f, const struct rmq_host *host,
                       const char *name, const char *directory,
                       struct rmq_error *err) {
  *f = (struct rmq_week_file){.host = host,
                              .name = name,
                              .directory = directory == NULL ? "." : directory,
                              .path = path_of(directory, name, ""),
                              .temporary = path_of(directory, name, ".new")};
  rmq_complain_init(&f->complain, rmq_s(WEEK_FILE_COMPLAIN_S));
  return f->path != NULL && f->temporary != NULL
             ? 0
             : rmq_error_set(err, "out of memory");
}

void rmq_week_file_fini(struct rmq_week_file *f) {
  free(f->path);
  free(f->temporary);
  f->path = f->temporary = NULL;
}

/* ---- reading ---- */

/* 0 = read, 1 = there is none, -1 with err. */
static int read_all(const char *path, struct rmq_buf *buf,
                    struct rmq_error *err) {
  char why[128];
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT)
    return 1;
  char *room = rmq_buf_reserve(buf, RMQ_WEEK_TEXT_MAX);
  ssize_t n = fd < 0 || room == NULL ? -1 : read(fd, room, RMQ_WEEK_TEXT_MAX);
  if (n >= 0)
    rmq_buf_commit(buf, (size_t)n);
  else
    rmq_error_set(err, "%s",
                  fd >= 0 && room == NULL ? "out of memory"
                                          : text_of(errno, why, sizeof(why)));
  if (fd >= 0)
    close(fd);
  return n >= 0 ? 0 : -1;
}

void rmq_week_file_load(struct rmq_week_file *f, struct rmq_week *w) {
  struct rmq_error err = {""}, text = {""};
  struct rmq_buf buf;
  rmq_buf_init(&buf, RMQ_WEEK_TEXT_MAX);
  int rc = read_all(f->path, &buf, &err);
  if (rc == 0)
    rc = rmq_week_read(w, rmq_buf_bytes(&buf), buf.len, f->name,
                       f->host->wall(f->host->ctx), &err);
  rmq_buf_fini(&buf);
  if (rc >= 0)
    return;
  rmq_error_set(&text,
                "file \"%s\" cannot be used: %s; the hours of the week are "
                "learned anew",
                f->path, err.text);
  say(f, RMQ_LOG_ERROR, "week_error", text.text);
}

/* ---- writing ---- */

static int write_all(const char *path, const char *bytes, size_t len) {
  int fd =
      open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0)
    return -1;
  ssize_t n = write(fd, bytes, len);
  int problem = n < 0 ? errno : n == (ssize_t)len ? 0 : ENOSPC;
  /* Else the name may be on the disk before the bytes are. */
  if (problem == 0 && fsync(fd) != 0)
    problem = errno;
  if (close(fd) != 0 && problem == 0)
    problem = errno;
  errno = problem;
  return problem == 0 ? 0 : -1;
}

static void complain(struct rmq_week_file *f, int error) {
  char why[128];
  struct rmq_error text = {""};
  if (!rmq_complain_report(&f->complain, f->host->mono(f->host->ctx), NULL))
    return;
  rmq_error_set(&text,
                "file \"%s\" cannot be written: %s; after a restart the hours "
                "of the week are learned anew",
                f->path, text_of(error, why, sizeof(why)));
  say(f, RMQ_LOG_ERROR, "week_error", text.text);
}

void rmq_week_file_try(struct rmq_week_file *f) {
  if (access(f->directory, W_OK | X_OK) != 0)
    complain(f, errno);
}

void rmq_week_file_store(struct rmq_week_file *f, const struct rmq_week *w) {
  struct rmq_buf buf;
  rmq_buf_init(&buf, RMQ_WEEK_TEXT_MAX);
  errno = ENOMEM;
  int rc = rmq_week_write(w, &buf, f->name, f->host->wall(f->host->ctx));
  if (rc == 0)
    rc = write_all(f->temporary, rmq_buf_bytes(&buf), buf.len);
  if (rc == 0)
    rc = rename(f->temporary, f->path);
  int error = errno;
  rmq_buf_fini(&buf);
  if (rc == 0) {
    if (rmq_complain_recover(&f->complain))
      say(f, RMQ_LOG_NOTICE, "week_stored",
          "the hours of the week are written again");
    return;
  }
  complain(f, error);
}
