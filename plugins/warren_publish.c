/* SPDX-License-Identifier: MIT */
/*
 * warren publish: standard input to RabbitMQ, with confirms and the module's
 * spool. Standard input waits while the queue is at its bound.
 */
#include "rmq_config.h"

#include "plugins/warren_publish.h"

#include "common/host/host_execd.h"
#include "common/host/host_execd_lines.h"
#include "plugins/warren.h"
#include "plugins/warren_publish_fates.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { FULL_WAIT_MS = 10, DRAIN_LOOK_MS = 20, BATCH_BYTES_MAX = 16 << 20 };

struct session {
  struct warren_publish_options options;
  struct rmq_execd execd;
  struct rmq_host host; /* execd's, with a log that says less */
  char hostname[256];
  struct rmq_role_publish *role;
  struct warren_fates fates;
  struct rmq_execd_lines lines;
  /* Lines of one key that wait for others: Influx with BatchValues. */
  struct rmq_buf batch;
  char batch_key[RMQ_RKEY_MAX + 1];
  int64_t batch_lines;
  struct rmq_mono batch_due;
  uint64_t lost; /* records that never became messages */
  uint64_t seen; /* messages that had ended when there was progress last */
  struct rmq_mono progress;
  struct rmq_mono told_to_end; /* a signal; 0 = none */
  bool gave_up;                /* --timeout */
};

static const char prefix[] = "E! warren publish: ";

/* ------------------------------------------------------------------------
 * Signals */

static int signal_fd = -1;

static void on_signal(int number) {
  int error = errno;
  (void)number;
  eventfd_write(signal_fd, 1);
  errno = error;
}

static int catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  signal_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (signal_fd < 0)
    return -1;
  sigemptyset(&action.sa_mask);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  return 0;
}

/* ------------------------------------------------------------------------
 * Waiting */

static struct rmq_mono mono(const struct session *s) {
  return s->host.mono(s->host.ctx);
}

static bool is_told_to_end(const struct session *s) {
  return s->told_to_end.ns != 0;
}

/* Until a signal, the last message's end, or input where that is wanted. True
 * when there is input. */
static bool wait_for(struct session *s, bool wants_input, int timeout_ms) {
  struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                         {.fd = s->fates.wake_fd, .events = POLLIN},
                         {.fd = STDIN_FILENO, .events = POLLIN}};
  eventfd_t ignored;
  if (poll(fds, wants_input ? 3 : 2, timeout_ms) <= 0)
    return false;
  if (fds[1].revents != 0)
    eventfd_read(s->fates.wake_fd, &ignored);
  if (fds[0].revents != 0 && !is_told_to_end(s)) {
    eventfd_read(signal_fd, &ignored);
    s->told_to_end = mono(s);
  }
  return wants_input && fds[2].revents != 0;
}

/* After a signal ShutdownTimeout; with --wait also when the broker has answered
 * nothing for --timeout. */
static bool is_patient(struct session *s) {
  struct rmq_mono now = mono(s);
  uint64_t open = 0, ended = warren_fates_ended(&s->fates, &open);
  if (ended != s->seen) {
    s->seen = ended;
    s->progress = now;
  }
  struct rmq_dur most = s->options.cli.timeout;
  if (s->options.cli.wait && most.ns > 0 &&
      rmq_mono_since(now, s->progress).ns > most.ns)
    s->gave_up = true;
  struct rmq_dur shutdown = s->options.publish.connection.shutdown_timeout;
  return !s->gave_up && (!is_told_to_end(s) ||
                         rmq_mono_since(now, s->told_to_end).ns < shutdown.ns);
}

/* ------------------------------------------------------------------------
 * Messages */

static void lose(struct session *s, const char *why) {
  if (s->lost++ < WARREN_CAUSES_MAX)
    fprintf(stderr, "%snot published: %s\n", prefix, why);
}

/* One attempt; true when it is done with, for good or ill. */
static bool try_to_put(struct session *s, const struct rmq_outgoing *m) {
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
  lose(s, err.text[0] != '\0' ? err.text : rmq_publish_answer_to_str(a));
  return true;
}

/* Standard input is not read meanwhile. */
static void put(struct session *s, const struct rmq_outgoing *m) {
  s->progress = mono(s);
  while (!try_to_put(s, m)) {
    if (!is_patient(s)) {
      lose(s, "the queue stayed full");
      return;
    }
    wait_for(s, false, FULL_WAIT_MS);
  }
}

static void publish(struct session *s, const char *key, const char *body,
                    size_t len) {
  const struct warren_publish_cli *c = &s->options.cli;
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
  put(s, &m);
}

static void publish_batch(struct session *s) {
  if (s->batch_lines == 0)
    return;
  publish(s, s->batch_key, rmq_buf_bytes(&s->batch), s->batch.len);
  rmq_buf_clear(&s->batch);
  s->batch_lines = 0;
}

/* A line ends with its newline, as Telegraf's own output has it. */
static void take_influx(struct session *s, const char *line, size_t len) {
  const struct rmq_publish_options *o = &s->options.publish;
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
    s->batch_due = rmq_mono_add(mono(s), o->flush_interval);
  }
  rmq_buf_append(&s->batch, line, len);
  rmq_buf_append_char(&s->batch, '\n');
  s->batch_lines++;
  if (s->batch.failed) {
    lose(s, "no memory for a line");
    rmq_buf_clear(&s->batch);
    s->batch_lines = 0;
  } else if (s->batch_lines >= o->batch_values) {
    publish_batch(s);
  }
}

static void take_records(struct session *s, bool is_end) {
  const struct warren_publish_cli *c = &s->options.cli;
  const char *key = s->options.publish.routing_key;
  uint64_t too_long = s->lines.too_long;
  const char *record = "";
  size_t len = 0;
  while (rmq_execd_lines_next(&s->lines, is_end, &record, &len)) {
    if (c->format == WARREN_PUBLISH_INFLUX)
      take_influx(s, record, len);
    else
      publish(s, key == NULL ? "" : key, record, len);
  }
  for (; too_long < s->lines.too_long; too_long++)
    lose(s, "longer than queue and spool take");
}

/* ------------------------------------------------------------------------
 * Standard input */

/* The open batch is the only one with a deadline. */
static int read_timeout(const struct session *s) {
  if (s->batch_lines == 0)
    return -1;
  int64_t ms = rmq_mono_since(s->batch_due, mono(s)).ns / RMQ_NS_PER_MS + 1;
  return ms < 0 ? 0 : (int)(ms > 60000 ? 60000 : ms);
}

/* 1, 0 at the end, -1 when it cannot be read. */
static int read_some(struct session *s) {
  size_t size = 0;
  char *room = rmq_execd_lines_room(&s->lines, &size);
  ssize_t n = room == NULL ? -1 : read(STDIN_FILENO, room, size);
  if (n < 0 && room != NULL && (errno == EINTR || errno == EAGAIN))
    return 1;
  if (n > 0)
    rmq_execd_lines_fill(&s->lines, (size_t)n);
  return n > 0 ? 1 : (int)n;
}

static void read_all(struct session *s) {
  int more = 1;
  while (more > 0 && !is_told_to_end(s) && !s->gave_up) {
    if (wait_for(s, true, read_timeout(s))) {
      more = read_some(s);
      take_records(s, more <= 0);
    }
    if (s->batch_lines > 0 && rmq_mono_reached(mono(s), s->batch_due))
      publish_batch(s);
  }
  publish_batch(s);
  if (more < 0)
    lose(s, "standard input cannot be read");
  if (more > 0 && rmq_execd_lines_rest(&s->lines) > 0)
    lose(s, "told to end in the middle of a record");
}

/* ------------------------------------------------------------------------
 * The end */

/* With --wait until the last message has ended. */
static bool has_ended(struct session *s) {
  uint64_t open = 0;
  struct rmq_publish_totals t;
  if (s->options.cli.wait) {
    warren_fates_ended(&s->fates, &open);
    return open == 0;
  }
  rmq_role_publish_totals(s->role, &t);
  return t.waiting == 0 && t.spooled == 0;
}

/* True when the role may be freed. */
static bool drain(struct session *s) {
  struct rmq_dur shutdown = s->options.publish.connection.shutdown_timeout;
  s->progress = mono(s);
  if (!s->options.cli.wait && !is_told_to_end(s))
    s->told_to_end = mono(s);
  while (!has_ended(s) && is_patient(s))
    wait_for(s, false, s->options.cli.wait ? 1000 : DRAIN_LOOK_MS);
  struct rmq_mono until =
      rmq_mono_add(mono(s), has_ended(s) ? shutdown : rmq_s(1));
  rmq_role_publish_stop(s->role, until);
  return rmq_role_publish_join(s->role, rmq_mono_add(until, rmq_ms(500)));
}

/* Without --wait: nothing may be lost without a word. */
static bool print_totals(struct session *s) {
  struct rmq_publish_totals t;
  rmq_role_publish_totals(s->role, &t);
  uint64_t failed = t.returned + t.rejected + t.expired + t.dropped;
  uint64_t unknown = t.waiting;
  if (failed + unknown > 0)
    fprintf(stderr,
            "%s%" PRIu64 " messages did not arrive: %" PRIu64
            " returned, %" PRIu64 " rejected, %" PRIu64 " expired, %" PRIu64
            " dropped, %" PRIu64 " unknown\n",
            prefix, failed + unknown, t.returned, t.rejected, t.expired,
            t.dropped, unknown);
  if (t.spooled > 0)
    fprintf(stderr,
            "W! warren publish: %" PRIu64 " messages wait in %s/%s.spool for "
            "the next start\n",
            t.spooled, s->options.publish.spool_dir, s->options.cli.name);
  return failed + unknown == 0;
}

static int run(struct session *s) {
  struct rmq_error err = {.text = ""};
  const struct rmq_fate_sink sink = {&s->fates, warren_fates_tell};
  s->role = rmq_role_publish_new(&s->options.publish, s->options.cli.name,
                                 &s->host, &err);
  if (s->role != NULL)
    rmq_role_publish_on_fate(s->role, &sink);
  if (s->role == NULL || rmq_role_publish_start(s->role, &err) != 0) {
    fprintf(stderr, "%scannot start: %s\n", prefix, err.text);
    rmq_role_publish_free(s->role);
    return WARREN_EXIT_FAILED;
  }
  rmq_execd_lines_init(&s->lines,
                       s->options.cli.whole  ? RMQ_EXECD_WHOLE
                       : s->options.cli.null ? RMQ_EXECD_BY_NUL
                                             : RMQ_EXECD_BY_LINE,
                       (size_t)rmq_role_publish_body_max(s->role));
  rmq_buf_init(&s->batch, BATCH_BYTES_MAX + 64 * 1024);
  read_all(s);
  bool is_joined = drain(s);
  bool is_good = s->options.cli.wait
                     ? warren_fates_print(&s->fates, prefix, stderr)
                     : print_totals(s);
  if (!is_joined) /* its threads may use all of it */
    _exit(WARREN_EXIT_FAILED);
  rmq_role_publish_free(s->role);
  rmq_execd_lines_fini(&s->lines);
  rmq_buf_fini(&s->batch);
  return is_good && s->lost == 0 ? WARREN_EXIT_OK : WARREN_EXIT_FAILED;
}

/* Instead of standard input. */
static int run_by_http(struct session *s) {
  const struct warren_publish_options *o = &s->options;
  struct rmq_error err = {.text = ""};
  bool is_joined = true;
  s->role = rmq_role_publish_new(&o->publish, o->cli.name, &s->host, &err);
  if (s->role == NULL) {
    fprintf(stderr, "%scannot start: %s\n", prefix, err.text);
    return WARREN_EXIT_FAILED;
  }
  int status = warren_publish_listen_run(
      &o->listen, &o->publish, s->role, &s->host,
      o->publish.connection.shutdown_timeout, &is_joined);
  if (!is_joined) /* its threads may use all of it */
    _exit(status);
  rmq_role_publish_free(s->role);
  return status;
}

/* ------------------------------------------------------------------------
 * The log */

/* What the lines at the end say of single messages anyway. */
static bool is_said_later(const struct session *s, const char *event) {
  static const char *const events[] = {"given_up", "returned", "nacked",
                                       "abandoned"};
  for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
    if (s->options.cli.wait && strcmp(event, events[i]) == 0)
      return true;
  return false;
}

static void log_record(void *ctx, const struct rmq_log_record *record) {
  struct session *s = ctx;
  if (s->options.cli.verbose ||
      (record->level <= RMQ_LOG_WARNING && !is_said_later(s, record->event)))
    s->execd.host.log(s->execd.host.ctx, record);
}

static void init_host(struct session *s) {
  rmq_execd_init(&s->execd, STDOUT_FILENO, STDERR_FILENO,
                 (enum rmq_log_format)s->options.publish.connection.log_format);
  if (gethostname(s->hostname, sizeof(s->hostname) - 1) != 0)
    s->hostname[0] = '\0';
  s->host = s->execd.host; /* its samples are never asked for */
  s->host.ctx = s;
  s->host.hostname = s->hostname;
  s->host.log = log_record;
  if (s->options.listen.listen != NULL)
    s->options.cli.verbose = true; /* it runs like a daemon */
}

int warren_publish(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  int status = warren_publish_read_args(&s->options, argc, argv);
  if (status < 0) {
    init_host(s);
    status = WARREN_EXIT_FAILED;
    if (s->options.listen.listen != NULL) {
      status = run_by_http(s);
    } else if (warren_fates_init(&s->fates) == 0) {
      if (catch_signals() == 0)
        status = run(s);
      warren_fates_fini(&s->fates);
    }
    rmq_execd_fini(&s->execd);
  }
  warren_publish_options_fini(&s->options);
  free(s);
  return status;
}
