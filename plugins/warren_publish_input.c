/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_publish_input.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FULL_WAIT_MS = 10, BATCH_BYTES_MAX = 16 << 20 };

/* ------------------------------------------------------------------------
 * Signals */

static int signal_fd = -1;

static void on_signal(int number) {
  int error = errno;
  (void)number;
  eventfd_write(signal_fd, 1);
  errno = error;
}

bool warren_publish_outlives_hangup(void) {
  struct sigaction action;
  return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static int catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_fd < 0)
    return -1;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  if (!warren_publish_outlives_hangup())
    sigaction(SIGHUP, &action, NULL);
  return 0;
}

/* ------------------------------------------------------------------------
 * Waiting */

bool warren_publish_is_told_to_end(const struct warren_publish_input *s) {
  return s->told_to_end.ns != 0;
}

/* Until a signal, the last message's end, or input where that is wanted. True
 * when there is input. */
bool warren_publish_wait(struct warren_publish_input *s, bool wants_input,
                         int timeout_ms) {
  struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                         {.fd = s->fates.wake_fd, .events = POLLIN},
                         {.fd = STDIN_FILENO, .events = POLLIN}};
  eventfd_t ignored;
  if (poll(fds, wants_input ? 3 : 2, timeout_ms) <= 0)
    return false;
  if (fds[1].revents != 0)
    eventfd_read(s->fates.wake_fd, &ignored);
  if (fds[0].revents != 0) { /* later ones, too, or poll returns at once */
    eventfd_read(signal_fd, &ignored);
    if (!warren_publish_is_told_to_end(s))
      s->told_to_end = s->host->mono(s->host->ctx);
  }
  return wants_input && fds[2].revents != 0;
}

/* After a signal ShutdownTimeout; with --wait also when the broker has answered
 * nothing for --timeout. */
bool warren_publish_is_patient(struct warren_publish_input *s) {
  struct rmq_mono now = s->host->mono(s->host->ctx);
  uint64_t open = 0, ended = warren_fates_ended(&s->fates, &open);
  if (ended != s->seen) {
    s->seen = ended;
    s->progress = now;
  }
  struct rmq_dur most = s->options->cli.timeout;
  if (s->options->cli.wait && most.ns > 0 &&
      rmq_mono_since(now, s->progress).ns > most.ns)
    s->gave_up = true;
  struct rmq_dur shutdown = s->options->publish.connection.shutdown_timeout;
  return !s->gave_up && (!warren_publish_is_told_to_end(s) ||
                         rmq_mono_since(now, s->told_to_end).ns < shutdown.ns);
}

/* ------------------------------------------------------------------------
 * Messages */

static const char not_published[] = "not_published";

/* The first ones are said each, then one whenever their number has doubled:
 * standard input may have no end. */
static void lose(struct warren_publish_input *s, uint64_t records,
                 const char *why) {
  uint64_t before = s->lost;
  s->lost += records;
  if (before < WARREN_CAUSES_MAX)
    warren_say(s->voice, RMQ_LOG_ERROR, not_published, "not published: %s",
               why);
  else if (__builtin_clzll(before) != __builtin_clzll(s->lost))
    warren_say(s->voice, RMQ_LOG_ERROR, not_published,
               "not published: %s (%" PRIu64 " records so far)", why, s->lost);
}

static void tell_lost(const struct warren_publish_input *s) {
  if (s->lost > 0)
    warren_say(s->voice, RMQ_LOG_ERROR, not_published,
               "%" PRIu64 " record%s of standard input %s not published",
               s->lost, s->lost == 1 ? "" : "s", s->lost == 1 ? "was" : "were");
}

/* One attempt; true when it is done with, for good or ill. */
static bool try_to_put(struct warren_publish_input *s,
                       const struct rmq_outgoing *m, uint64_t records) {
  struct rmq_error err = {.text = ""};
  if (m->tag != 0)
    warren_fates_begin(&s->fates);
  enum rmq_publish_answer a = rmq_role_publish_message(s->role, m, &err);
  if (a == RMQ_PUBLISH_TAKEN)
    return true;
  if (m->tag != 0)
    warren_fates_cancel(&s->fates);
  if (a == RMQ_PUBLISH_FULL || a == RMQ_PUBLISH_NO_MEMORY)
    return false;
  lose(s, records,
       err.text[0] != '\0' ? err.text : rmq_publish_answer_to_str(a));
  return true;
}

/* Standard input is not read meanwhile. */
static void put(struct warren_publish_input *s, const struct rmq_outgoing *m,
                uint64_t records) {
  s->progress = s->host->mono(s->host->ctx);
  while (!try_to_put(s, m, records)) {
    if (!warren_publish_is_patient(s)) {
      lose(s, records, "the queue stayed full");
      return;
    }
    warren_publish_wait(s, false, FULL_WAIT_MS);
  }
}

static void publish(struct warren_publish_input *s, const char *key,
                    const char *body, size_t len, uint64_t records) {
  const struct warren_publish_cli *c = &s->options->cli;
  bool is_raw = c->format == WARREN_PUBLISH_RAW;
  const struct rmq_outgoing m = {
      .routing_key = key,
      .content_type =
          c->content_type != NULL || is_raw ? c->content_type : "text/influx",
      .message_id = c->message_id,
      .envelope = {.type = c->type,
                   .correlation_id = c->correlation_id,
                   .reply_to = c->reply_to},
      .body = body,
      .body_len = len,
      .tag = c->wait ? 1 : 0};
  put(s, &m, records);
}

static void publish_batch(struct warren_publish_input *s) {
  if (s->batch_lines == 0)
    return;
  publish(s, s->batch_key, rmq_buf_bytes(&s->batch), s->batch.len,
          (uint64_t)s->batch_lines);
  rmq_buf_clear(&s->batch);
  s->batch_lines = 0;
}

/* A line ends with its newline, as Telegraf's own output has it. */
static void take_influx(struct warren_publish_input *s, const char *line,
                        size_t len) {
  const struct rmq_publish_options *o = &s->options->publish;
  char key[RMQ_RKEY_MAX + 1];
  if (len > 0 && line[len - 1] == '\r')
    len--;
  if (len == 0 || line[0] == '#')
    return;
  rmq_execd_lines_key(line, len, o->routing_key, key);
  if (strcmp(key, s->batch_key) != 0 ||
      s->batch.len + len + 1 > (size_t)o->batch_bytes)
    publish_batch(s);
  if (s->batch_lines == 0) {
    memcpy(s->batch_key, key, sizeof(key));
    s->batch_due = rmq_mono_add(s->host->mono(s->host->ctx), o->flush_interval);
  }
  rmq_buf_append(&s->batch, line, len);
  rmq_buf_append_char(&s->batch, '\n');
  s->batch_lines++;
  if (s->batch.failed) {
    lose(s, (uint64_t)s->batch_lines, "no memory for a line");
    rmq_buf_clear(&s->batch);
    s->batch_lines = 0;
  } else if (s->batch_lines >= o->batch_values) {
    publish_batch(s);
  }
}

static void take_records(struct warren_publish_input *s, bool is_end) {
  const struct warren_publish_cli *c = &s->options->cli;
  const char *key = s->options->publish.routing_key;
  uint64_t too_long = s->lines.too_long;
  const char *record = "";
  size_t len = 0;
  while (rmq_execd_lines_next(&s->lines, is_end, &record, &len)) {
    if (c->format == WARREN_PUBLISH_INFLUX)
      take_influx(s, record, len);
    else
      publish(s, key == NULL ? "" : key, record, len, 1);
  }
  for (; too_long < s->lines.too_long; too_long++)
    lose(s, 1, "longer than queue and spool take");
}

/* ------------------------------------------------------------------------
 * Standard input */

/* The open batch is the only one with a deadline. */
static int read_timeout(const struct warren_publish_input *s) {
  if (s->batch_lines == 0)
    return -1;
  int64_t ms = rmq_mono_since(s->batch_due, s->host->mono(s->host->ctx)).ns /
                   RMQ_NS_PER_MS +
               1;
  return ms < 0 ? 0 : (int)(ms > 60000 ? 60000 : ms);
}

/* 1, 0 at the end, -1 when it cannot be read. */
static int read_some(struct warren_publish_input *s) {
  size_t size = 0;
  char *room = rmq_execd_lines_room(&s->lines, &size);
  ssize_t n = room == NULL ? -1 : read(STDIN_FILENO, room, size);
  if (n < 0 && room != NULL && (errno == EINTR || errno == EAGAIN))
    return 1;
  if (n > 0)
    rmq_execd_lines_fill(&s->lines, (size_t)n);
  return n > 0 ? 1 : (int)n;
}

void warren_publish_read(struct warren_publish_input *s) {
  int more = 1;
  while (more > 0 && !warren_publish_is_told_to_end(s) && !s->gave_up) {
    if (warren_publish_wait(s, true, read_timeout(s))) {
      more = read_some(s);
      take_records(s, more <= 0);
    }
    if (s->batch_lines > 0 &&
        rmq_mono_reached(s->host->mono(s->host->ctx), s->batch_due))
      publish_batch(s);
  }
  publish_batch(s);
  if (more < 0)
    lose(s, 1, "standard input cannot be read");
  if (more > 0 && rmq_execd_lines_rest(&s->lines) > 0)
    lose(s, 1, "told to end in the middle of a record");
  tell_lost(s);
}

/* ------------------------------------------------------------------------
 * Lifecycle */

int warren_publish_input_init(struct warren_publish_input *s,
                              const struct warren_publish_options *options,
                              const struct rmq_host *host,
                              const struct warren_voice *voice,
                              struct rmq_role_publish *role) {
  const struct warren_publish_cli *c = &options->cli;
  *s = (struct warren_publish_input){
      .options = options, .host = host, .voice = voice, .role = role};
  if (warren_fates_init(&s->fates) != 0)
    return -1;
  if (catch_signals() != 0) {
    warren_fates_fini(&s->fates);
    return -1;
  }
  rmq_execd_lines_init(&s->lines,
                       c->whole  ? RMQ_EXECD_WHOLE
                       : c->null ? RMQ_EXECD_BY_NUL
                                 : RMQ_EXECD_BY_LINE,
                       (size_t)rmq_role_publish_body_max(role));
  rmq_buf_init(&s->batch, BATCH_BYTES_MAX + 64 * 1024);
  return 0;
}

void warren_publish_input_fini(struct warren_publish_input *s) {
  rmq_execd_lines_fini(&s->lines);
  rmq_buf_fini(&s->batch);
  warren_fates_fini(&s->fates);
}
