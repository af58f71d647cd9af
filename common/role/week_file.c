/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/week_file.h"

#include "common/role/kept_file.h"
#include "common/role/monitor_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WEEK_FILE_COMPLAIN_S = 3600 }; /* it is written once an hour */

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

void rmq_week_file_load(struct rmq_week_file *f, struct rmq_week *w) {
  struct rmq_error err = {""}, text = {""};
  struct rmq_buf buf;
  rmq_buf_init(&buf, RMQ_WEEK_TEXT_MAX);
  int rc = rmq_kept_file_read(f->path, RMQ_WEEK_TEXT_MAX, &buf, &err);
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

static void complain(struct rmq_week_file *f, int error) {
  char why[128];
  struct rmq_error text = {""};
  if (!rmq_complain_report(&f->complain, f->host->mono(f->host->ctx), NULL))
    return;
  rmq_error_set(&text,
                "file \"%s\" cannot be written: %s; after a restart the hours "
                "of the week are learned anew",
                f->path, rmq_kept_file_why(error, why, sizeof(why)));
  say(f, RMQ_LOG_ERROR, "week_error", text.text);
}

void rmq_week_file_try(struct rmq_week_file *f) {
  if (access(f->directory, W_OK | X_OK) != 0)
    complain(f, errno);
}

void rmq_week_file_store(struct rmq_week_file *f, const struct rmq_week *w) {
  const struct rmq_kept_place place = {.directory = AT_FDCWD,
                                       .name = f->path,
                                       .temporary = f->temporary,
                                       .mode = 0640,
                                       .sync = RMQ_KEPT_SYNC_BEFORE};
  struct rmq_buf buf;
  rmq_buf_init(&buf, RMQ_WEEK_TEXT_MAX);
  errno = ENOMEM;
  int rc = rmq_week_write(w, &buf, f->name, f->host->wall(f->host->ctx));
  if (rc == 0)
    rc = rmq_kept_file_replace(&place, rmq_buf_bytes(&buf), buf.len);
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
