/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd.h"

#include "common/host/host_clock.h"
#include "common/host/write_all.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum {
  EXECD_WRITE_AT = 64 * 1024, /* Telegraf's own buffer */
  /* Only a document is ever larger than what is written at: of 1,000,000
   * queues with a dozen series each. */
  EXECD_BYTES_MAX = 1024 * 1024 * 1024
};

/* ---- log ---- */

/* Telegraf's prefixes. */
static const char *prefix(enum rmq_level l) {
  switch (l) {
  case RMQ_LOG_ERROR:
    return "E! ";
  case RMQ_LOG_WARNING:
    return "W! ";
  case RMQ_LOG_NOTICE:
  case RMQ_LOG_INFO:
    return "I! ";
  case RMQ_LOG_DEBUG:
    return "D! ";
  }
  return "E! ";
}

static void host_log(void *ctx, const struct rmq_log_record *record) {
  struct rmq_execd *e = ctx;
  struct rmq_buf line;
  rmq_buf_init(&line, RMQ_LOG_LINE_MAX + 8);
  if (e->log_format == RMQ_LOG_TEXT)
    rmq_buf_append_text(&line, prefix(record->level));
  rmq_log_render(e->log_format, record, &line);
  rmq_buf_append_char(&line, '\n');
  rmq_write_all(e->log, rmq_buf_bytes(&line), line.len);
  rmq_buf_fini(&line);
}

/* ---- samples and events ---- */

static void write_bytes(struct rmq_execd *e) {
  if (!e->has_failed &&
      rmq_write_all(e->out, rmq_buf_bytes(&e->bytes), e->bytes.len) != 0)
    e->has_failed = true;
  rmq_buf_clear(&e->bytes);
}

static void write_early(struct rmq_execd *e) {
  if (e->out >= 0 && !e->emit.is_document && e->bytes.len >= EXECD_WRITE_AT)
    write_bytes(e);
}

static int host_sample(void *ctx, const struct rmq_sample *s) {
  struct rmq_execd *e = ctx;
  int rc = e->emit.sample(e->emit.ctx, s, &e->bytes);
  write_early(e);
  return rc;
}

/* The log has it already, from the role. */
static void host_event(void *ctx, const struct rmq_event *event) {
  struct rmq_execd *e = ctx;
  e->emit.event(e->emit.ctx, event, &e->bytes);
  write_early(e);
}

static void end_set(struct rmq_execd *e) {
  e->was_whole = e->emit.end(e->emit.ctx, &e->bytes) == 0 && !e->bytes.failed;
  e->unsayable_count = e->emit.left_out(e->emit.ctx);
}

int rmq_execd_flush(struct rmq_execd *e) {
  end_set(e);
  if (e->emit.is_document && !e->was_whole)
    rmq_buf_clear(&e->bytes);
  write_bytes(e);
  return e->has_failed ? -1 : 0;
}

struct rmq_buf *rmq_execd_take(struct rmq_execd *e) {
  end_set(e);
  if (e->was_whole)
    return &e->bytes;
  rmq_buf_clear(&e->bytes);
  return NULL;
}

void rmq_execd_set_emit(struct rmq_execd *e, const struct rmq_emit *emit) {
  e->emit = *emit;
}

void rmq_execd_init(struct rmq_execd *e, int out, int log,
                    enum rmq_log_format log_format) {
  *e = (struct rmq_execd){.out = out, .log = log, .log_format = log_format};
  rmq_buf_init(&e->bytes, EXECD_BYTES_MAX);
  e->emit = rmq_emit_influx_emit(&e->influx);
  e->host = (struct rmq_host){.ctx = e,
                              .service = "warren",
                              .hostname = "",
                              .log = host_log,
                              .mono = rmq_host_mono,
                              .wall = rmq_host_wall,
                              .random = rmq_host_random,
                              .sample = host_sample,
                              .event = host_event};
}

void rmq_execd_fini(struct rmq_execd *e) { rmq_buf_fini(&e->bytes); }
