/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/offsets.h"

#include "common/base/names.h"
#include "common/base/stream_offset.h"
#include "common/role/kept_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WRITE_EVERY_S = 1, COMPLAIN_AFTER_S = 60, FILE_MAX = 4096 };

const char *rmq_offset_verdict_to_str(enum rmq_offset_verdict v) {
  switch (v) {
  case RMQ_OFFSET_NEW:
    return "new";
  case RMQ_OFFSET_DONE:
    return "done";
  case RMQ_OFFSET_FOREIGN:
    return "foreign";
  }
  return "unknown";
}

static void say(struct rmq_offsets *o, enum rmq_level level, const char *event,
                const char *text) {
  rmq_session_log_write(o->log, &(struct rmq_log_record){.level = level,
                                                         .event = event,
                                                         .message = text});
}

/* ------------------------------------------------------------------------
 * Files */

/* "DIR/rabbitmq_consume-BLOCK-QUEUE.offset", whatever the queue's name. */
static char *path_of(const char *directory, const char *block,
                     const char *queue, const char *suffix) {
  struct rmq_buf name, path;
  char shortened[256];
  char *made = NULL;
  rmq_buf_init(&name, 8192);
  rmq_buf_init(&path, 8192);
  if (rmq_names_encode(&name, queue, /* also_dash = */ false) == 0) {
    rmq_names_shorten(rmq_buf_text(&name), shortened, sizeof(shortened));
    if (rmq_buf_appendf(&path, "%s/rabbitmq_consume-%s-%s.offset%s", directory,
                        block, shortened, suffix) == 0)
      made = strdup(rmq_buf_text(&path));
  }
  rmq_buf_fini(&path);
  rmq_buf_fini(&name);
  return made;
}

static void cannot_write(struct rmq_offsets *o, const char *why,
                         struct rmq_mono now) {
  struct rmq_error text = {""};
  if (!rmq_complain_report(&o->complain, now, NULL))
    return;
  rmq_error_set(&text,
                "offset file \"%s\" cannot be written: %s; after a restart "
                "messages since offset %" PRId64 " will come again",
                o->path, why, o->stored);
  say(o, RMQ_LOG_ERROR, "offset_error", text.text);
}

static void store(struct rmq_offsets *o, struct rmq_mono now) {
  struct rmq_buf line;
  char text[128];
  const char *why = "no memory";
  rmq_buf_init(&line, FILE_MAX);
  int rc = rmq_stream_offset_write(&line, o->vhost, o->queue, o->next);
  if (rc == 0) {
    const struct rmq_kept_place place = {.directory = AT_FDCWD,
                                         .name = o->path,
                                         .temporary = o->temporary,
                                         .mode = 0640,
                                         .sync = RMQ_KEPT_SYNC_BEFORE};
    rc = rmq_kept_file_replace(&place, rmq_buf_bytes(&line), line.len);
    if (rc != 0)
      why = rmq_kept_file_why(errno, text, sizeof(text));
  }
  rmq_buf_fini(&line);
  if (rc != 0) {
    cannot_write(o, why, now);
    return;
  }
  o->stored = o->next;
  if (rmq_complain_recover(&o->complain))
    say(o, RMQ_LOG_NOTICE, "offset_stored", "the offset file is written again");
}

/* ------------------------------------------------------------------------
 * Where the next subscription begins */

static void aim(struct rmq_offsets *o) {
  if (o->next < 0) {
    *o->argument = o->start;
    return;
  }
  o->argument->type = RMQ_ARG_INTEGER;
  o->argument->string = NULL;
  o->argument->integer = o->next > 0 ? o->next - 1 : 0;
}

int rmq_offsets_init(struct rmq_offsets *o, const char *directory,
                     const char *block, const char *vhost, const char *queue,
                     struct rmq_argument *argument, struct rmq_session_log *log,
                     struct rmq_error *err) {
  *o = (struct rmq_offsets){.log = log,
                            .vhost = vhost,
                            .queue = queue,
                            .argument = argument,
                            .next = -1,
                            .stored = -1};
  if (argument == NULL)
    return 0;
  o->start = *argument;
  o->path = path_of(directory, block, queue, "");
  o->temporary = path_of(directory, block, queue, ".new");
  rmq_complain_init(&o->complain, rmq_s(COMPLAIN_AFTER_S));
  return o->path != NULL && o->temporary != NULL
             ? 0
             : rmq_error_set(err, "no memory");
}

void rmq_offsets_fini(struct rmq_offsets *o) {
  free(o->path);
  free(o->temporary);
  o->path = o->temporary = NULL;
}

/* As rmq_kept_file_read(). */
static int read_next(struct rmq_offsets *o, struct rmq_error *err) {
  struct rmq_buf bytes;
  rmq_buf_init(&bytes, FILE_MAX);
  int rc = rmq_kept_file_read(o->path, FILE_MAX, &bytes, err);
  if (rc == 0 && bytes.len == 0)
    rc = rmq_error_set(err, "it is empty");
  if (rc == 0)
    rc = rmq_stream_offset_read(rmq_buf_bytes(&bytes), bytes.len, o->vhost,
                                o->queue, &o->next, err);
  rmq_buf_fini(&bytes);
  return rc;
}

void rmq_offsets_load(struct rmq_offsets *o) {
  struct rmq_error err = {""}, text = {""};
  if (o->argument == NULL)
    return;
  int rc = read_next(o, &err);
  if (rc > 0)
    return;
  if (rc < 0) {
    rmq_error_set(&text,
                  "offset file \"%s\" cannot be used: %s; reading begins where "
                  "StreamOffset says",
                  o->path, err.text);
    say(o, RMQ_LOG_ERROR, "offset_error", text.text);
    return;
  }
  o->stored = o->next;
  aim(o);
  rmq_error_set(&text, "reading goes on at offset %" PRId64 " of the stream",
                o->next);
  say(o, RMQ_LOG_INFO, "offset_loaded", text.text);
}

/* ------------------------------------------------------------------------
 * The worker's thread */

void rmq_offsets_ready(struct rmq_offsets *o, struct rmq_mono now) {
  o->has_delivery = false;
  o->silent_since = now;
}

void rmq_offsets_hold(struct rmq_offsets *o, struct rmq_mono now) {
  o->silent_since = now;
}

enum rmq_offset_verdict rmq_offsets_judge(struct rmq_offsets *o,
                                          int64_t offset) {
  if (o->argument == NULL || offset < 0)
    return RMQ_OFFSET_NEW;
  o->has_delivery = true;
  if (offset >= o->next)
    return RMQ_OFFSET_NEW;
  return offset == o->next - 1 ? RMQ_OFFSET_DONE : RMQ_OFFSET_FOREIGN;
}

struct rmq_mono rmq_offsets_step(struct rmq_offsets *o, int64_t next,
                                 struct rmq_mono now) {
  if (o->argument == NULL)
    return RMQ_NEVER;
  if (next > o->next) { /* what is done stays done, acked or not */
    o->next = next;
    aim(o);
  }
  if (o->next < 0 || o->next == o->stored)
    return RMQ_NEVER;
  if (!rmq_mono_reached(now, o->write_at))
    return o->write_at;
  o->write_at = rmq_mono_add(now, rmq_s(WRITE_EVERY_S));
  store(o, now);
  return o->next == o->stored ? RMQ_NEVER : o->write_at;
}

struct rmq_mono rmq_offsets_deadline(const struct rmq_offsets *o,
                                     struct rmq_dur patience,
                                     struct rmq_mono now) {
  if (o->argument == NULL || o->next <= 0 || o->has_delivery ||
      patience.ns <= 0)
    return RMQ_NEVER;
  struct rmq_mono due = rmq_mono_add(o->silent_since, patience);
  /* Over, but the channel is not up: when it is, the time begins anew. */
  return rmq_mono_reached(now, due) ? RMQ_NEVER : due;
}

bool rmq_offsets_is_beyond(const struct rmq_offsets *o, struct rmq_dur patience,
                           struct rmq_mono now) {
  return o->argument != NULL && o->next > 0 && !o->has_delivery &&
         patience.ns > 0 &&
         rmq_mono_reached(now, rmq_mono_add(o->silent_since, patience));
}

void rmq_offsets_begin_anew(struct rmq_offsets *o) {
  o->next = -1;
  o->start =
      (struct rmq_argument){.name = o->argument->name, .type = RMQ_ARG_INTEGER};
  aim(o);
}

void rmq_offsets_flush(struct rmq_offsets *o, struct rmq_mono now) {
  if (o->argument != NULL && o->next >= 0 && o->next != o->stored)
    store(o, now);
}
