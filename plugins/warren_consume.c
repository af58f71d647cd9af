/* SPDX-License-Identifier: MIT */
/*
 * warren consume: the consumer's option table and role, with standard output or
 * commands in the place of collectd's writers. The role's worker reads; the
 * main thread does everything else, in one loop that never waits for anybody
 * but in its poll.
 */
#include "rmq_config.h"

#include "plugins/warren_consume.h"

#include "plugins/warren.h"
#include "plugins/warren_outlet.h"

#include "common/host/host_execd.h"
#include "common/host/host_types.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_MS = 50, BEYOND_MS = 500, REASON_SIZE = 640 };

struct session {
  struct warren_consume_args args;
  struct rmq_execd execd;
  struct rmq_host host; /* execd's, with a log that is listened to */
  struct warren_voice voice;
  struct warren_basket basket;
  struct rmq_host_types *types;
  struct rmq_consume_print *print;
  struct rmq_role_consume *role;
  struct warren_outlet outlet;
  sigset_t mask;  /* while the loop polls, and of commands */
  bool has_input; /* whose end ends us */
  bool is_stopping;
  struct rmq_mono deadline; /* of the stop */
  uint64_t seen;            /* messages; of the drain */
  struct rmq_mono idle_since;
  struct rmq_mono was_up; /* when it was consuming last */
  pthread_mutex_t reason_lock;
  bool has_given_up;        /* the reason stays as it is */
  char reason[REASON_SIZE]; /* the log's last complaint */
  uint64_t rejected;        /* at the end */
  uint64_t failed;          /* commands, at the end */
};

static volatile sig_atomic_t wants_end;

static void end_on_signal(int number) {
  (void)number;
  wants_end = 1;
}

/* Only to come out of the poll. */
static void wake_on_signal(int number) { (void)number; }

static struct rmq_mono clock_now(const struct session *s) {
  return s->host.mono(s->host.ctx);
}

/* ---- the worker's thread ---- */

static int print_item(struct session *s, const struct rmq_delivery *d,
                      struct warren_item *i, struct rmq_error *err) {
  const struct warren_consume_cli *cli = &s->args.cli;
  if (rmq_consume_print(s->print, d, &i->bytes, err) != 0)
    return -1;
  if (cli->exec != NULL) {
    rmq_consume_print_name(d, i->about, sizeof(i->about));
    return rmq_consume_print_environment(d, &i->environment);
  }
  return cli->output == RMQ_PRINT_INFLUX
             ? 0
             : rmq_buf_append_char(&i->bytes, cli->null ? '\0' : '\n');
}

/* Beyond the body: JSON's escapes and names, line protocol's own. */
static size_t item_max(const struct session *s) {
  return (size_t)s->args.options.max_message_bytes * 8 + 128 * 1024;
}

static enum rmq_message_turn take(void *ctx, const struct rmq_delivery *d,
                                  uint64_t ticket, struct rmq_error *err) {
  struct session *s = ctx;
  if (!warren_basket_is_open(&s->basket))
    return RMQ_MESSAGE_LEFT;
  struct warren_item *i = warren_item_new(ticket, item_max(s));
  if (i == NULL)
    return RMQ_MESSAGE_NO_MEMORY;
  if (print_item(s, d, i, err) == 0) {
    if (warren_basket_put(&s->basket, i))
      return RMQ_MESSAGE_TAKEN;
    warren_item_free(i);
    return RMQ_MESSAGE_LEFT;
  }
  bool is_short = i->bytes.failed || i->environment.failed;
  warren_item_free(i);
  return is_short ? RMQ_MESSAGE_NO_MEMORY : RMQ_MESSAGE_UNREADABLE;
}

static bool is_full(void *ctx) {
  struct session *s = ctx;
  return warren_basket_is_full(&s->basket);
}

/* ---- the loop ---- */

static void stop(struct session *s, struct rmq_mono now) {
  if (s->is_stopping)
    return;
  s->is_stopping = true;
  s->deadline = rmq_mono_add(now, s->args.options.connection.shutdown_timeout);
  warren_basket_close(&s->basket);
  if (s->outlet.stop != NULL) /* NULL: it could not be opened */
    s->outlet.stop(s->outlet.ctx);
  rmq_role_consume_stop(s->role, s->deadline);
}

static bool has_finished(struct session *s) {
  return warren_basket_is_empty(&s->basket) && s->outlet.is_idle(s->outlet.ctx);
}

static bool is_counted_out(struct session *s) {
  int64_t count = s->args.cli.count;
  return count > 0 && warren_basket_put_count(&s->basket) >= (uint64_t)count &&
         has_finished(s);
}

static bool is_drained(struct session *s, struct rmq_mono now) {
  if (s->args.cli.drain.ns == 0)
    return false;
  uint64_t put = warren_basket_put_count(&s->basket);
  if (put != s->seen || !rmq_role_consume_is_idle(s->role)) {
    s->seen = put;
    s->idle_since = now;
  }
  return rmq_mono_since(now, s->idle_since).ns >= s->args.cli.drain.ns;
}

/* --give-up-after. */
static bool has_given_up(struct session *s, struct rmq_mono now) {
  struct rmq_dur most = s->args.cli.give_up_after;
  if (most.ns == 0 || s->is_stopping)
    return s->has_given_up;
  if (rmq_role_consume_is_up(s->role))
    s->was_up = now;
  if (rmq_mono_since(now, s->was_up).ns < most.ns)
    return false;
  pthread_mutex_lock(&s->reason_lock);
  s->has_given_up = true;
  pthread_mutex_unlock(&s->reason_lock);
  return true;
}

static bool input_has_ended(const struct session *s) {
  char bytes[256];
  struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
  if (!s->has_input || poll(&input, 1, 0) <= 0)
    return false;
  return read(STDIN_FILENO, bytes, sizeof(bytes)) == 0;
}

static void sleep_until(struct session *s, struct rmq_mono due,
                        struct rmq_mono now) {
  struct pollfd fds[WARREN_OUTLET_FDS + 2];
  fds[0] = (struct pollfd){.fd = s->basket.wake_fd, .events = POLLIN};
  fds[1] =
      (struct pollfd){.fd = s->has_input && !s->is_stopping ? STDIN_FILENO : -1,
                      .events = POLLIN};
  size_t n =
      2 + s->outlet.wait_for(s->outlet.ctx, fds + 2, WARREN_OUTLET_FDS, &due);
  int64_t ns = rmq_mono_since(due, now).ns;
  struct timespec timeout = {0};
  if (ns > 0)
    timeout = (struct timespec){.tv_sec = ns / RMQ_NS_PER_S,
                                .tv_nsec = ns % RMQ_NS_PER_S};
  ppoll(fds, n, rmq_mono_is_never(due) ? NULL : &timeout, &s->mask);
  eventfd_t ignored;
  eventfd_read(s->basket.wake_fd, &ignored);
}

static int loop(struct session *s) {
  bool looks = s->args.cli.drain.ns > 0 || s->args.cli.give_up_after.ns > 0;
  for (;;) {
    struct rmq_mono now = clock_now(s);
    if (s->outlet.work(s->outlet.ctx, now) != 0)
      return WARREN_EXIT_FAILED;
    if (wants_end || is_counted_out(s) || is_drained(s, now) ||
        has_given_up(s, now) || input_has_ended(s))
      stop(s, now);
    if (s->is_stopping && rmq_role_consume_await(s->role, now))
      return has_finished(s) && !s->has_given_up ? WARREN_EXIT_OK
                                                 : WARREN_EXIT_FAILED;
    struct rmq_mono due = s->is_stopping || looks
                              ? rmq_mono_add(now, rmq_ms(LOOK_MS))
                              : RMQ_NEVER;
    sleep_until(s, due, now);
  }
}

/* ---- begin and end ---- */

/* They are delivered in the poll only. */
static void watch_signals(struct session *s) {
  static const int ends[] = {SIGTERM, SIGINT, SIGHUP};
  struct sigaction end = {.sa_handler = end_on_signal};
  struct sigaction wake = {.sa_handler = wake_on_signal};
  sigset_t blocked;
  sigemptyset(&end.sa_mask);
  sigemptyset(&wake.sa_mask);
  sigemptyset(&blocked);
  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
    sigaction(ends[i], &end, NULL);
    sigaddset(&blocked, ends[i]);
  }
  sigaction(SIGCHLD, &wake, NULL);
  sigaddset(&blocked, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &blocked, &s->mask);
}

/* Telegraf's way to end its children. A shell's or cron's standard input may be
 * a pipe, too, and ends when it likes. */
static bool input_is_telegraf(const struct warren_consume_cli *cli) {
  struct stat st;
  return cli->output == RMQ_PRINT_INFLUX && cli->exec == NULL &&
         fstat(STDIN_FILENO, &st) == 0 &&
         (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

static bool open_outlet(struct session *s, struct rmq_error *err) {
  const struct warren_consume_cli *cli = &s->args.cli;
  const struct warren_source source = {&s->basket, s->role, &s->voice};
  if (s->args.command == NULL)
    return warren_writer_open(
        &(struct warren_writer_config){source, STDOUT_FILENO, cli->sync},
        &s->outlet, err);
  const struct warren_exec_config config = {
      .source = source,
      .argv = s->args.command,
      .parallel = (size_t)cli->parallel,
      .timeout = cli->timeout,
      .on_failure = (enum rmq_on_failure)cli->on_failure,
      .mask = s->mask};
  return warren_exec_open(&config, &s->outlet, err);
}

static int open_session(struct session *s, struct rmq_error *err) {
  const struct warren_consume_cli *cli = &s->args.cli;
  if (cli->output == RMQ_PRINT_INFLUX && cli->types_db != NULL) {
    s->types = rmq_host_types_new(cli->types_db, err);
    if (s->types == NULL)
      return -1;
  }
  const struct rmq_types types = rmq_host_types_get(s->types);
  s->print = rmq_consume_print_new(&s->args.options,
                                   (enum rmq_print_form)cli->output, &types);
  if (s->print == NULL)
    return rmq_error_set(err, "no memory");
  const struct rmq_consume_sink sink = {
      .ctx = s, .types = types, .message = take, .is_full = is_full};
  s->role =
      rmq_role_consume_new(&s->args.options, cli->name, &s->host, &sink, err);
  if (s->role == NULL || !open_outlet(s, err))
    return -1;
  s->idle_since = s->was_up = clock_now(s);
  return rmq_role_consume_start(s->role, err);
}

/* The worker has ended, or is told to: what is in hand goes back to the broker
 * with it. False: it is stuck, and nothing may be freed. */
static bool close_session(struct session *s) {
  struct rmq_mono now = clock_now(s);
  if (s->role != NULL)
    stop(s, now);
  if (s->outlet.failed != NULL)
    s->failed = s->outlet.failed(s->outlet.ctx);
  if (s->outlet.free != NULL)
    s->outlet.free(s->outlet.ctx);
  if (s->role != NULL &&
      !rmq_role_consume_join(s->role,
                             rmq_mono_add(s->deadline, rmq_ms(BEYOND_MS))))
    return false;
  s->rejected = s->role == NULL ? 0 : rmq_role_consume_rejected(s->role);
  rmq_role_consume_free(s->role);
  rmq_consume_print_free(s->print);
  rmq_host_types_free(s->types);
  return true;
}

/* What --count and --drain ask for is done messages. A command that failed may
 * be tried again, but --count does not wait for that. A daemon that is ended by
 * a signal has said it in the log. */
static bool is_all_done(const struct session *s) {
  if (wants_end)
    return true;
  bool has_failed = s->args.cli.count > 0 && s->failed > 0;
  if (s->rejected > 0)
    warren_say(&s->voice, RMQ_LOG_ERROR, "messages_rejected",
               "messages were rejected: those that were neither dropped nor "
               "filed are lost where their queue has no dead-letter exchange");
  if (has_failed)
    warren_say(&s->voice, RMQ_LOG_ERROR, "command_failed",
               "a command failed: not all of --count was done");
  return s->rejected == 0 && !has_failed;
}

/* Behind the role's last line, where it is looked for. */
static void complain_of_absence(const struct session *s) {
  warren_say(&s->voice, RMQ_LOG_ERROR, "gave_up",
             "gave up after %.3g s without a consumer on the queue: %s",
             rmq_dur_seconds(s->args.cli.give_up_after),
             s->reason[0] == '\0' ? "no answer yet" : s->reason);
}

static int complain_of_start(const struct session *s,
                             const struct rmq_error *err) {
  warren_say(&s->voice, RMQ_LOG_ERROR, "not_started", "%s", err->text);
  return WARREN_EXIT_FAILED;
}

static int run(struct session *s) {
  struct rmq_error err = {.text = ""};
  watch_signals(s);
  s->has_input = input_is_telegraf(&s->args.cli);
  if (warren_basket_init(&s->basket, (uint64_t)s->args.cli.count, &err) != 0)
    return complain_of_start(s, &err);
  int status =
      open_session(s, &err) == 0 ? loop(s) : complain_of_start(s, &err);
  bool is_closed = close_session(s);
  if (s->has_given_up)
    complain_of_absence(s);
  if (!is_closed)
    _exit(WARREN_EXIT_FAILED);
  warren_basket_fini(&s->basket);
  if (status == WARREN_EXIT_OK && !is_all_done(s))
    status = WARREN_EXIT_FAILED;
  return status;
}

/* For --give-up-after, which makes no next attempt. Any thread. */
static void keep_reason(struct session *s, const char *text) {
  const char *next = strstr(text, "; next attempt in ");
  size_t len = next == NULL ? strlen(text) : (size_t)(next - text);
  pthread_mutex_lock(&s->reason_lock);
  if (!s->has_given_up)
    snprintf(s->reason, sizeof(s->reason), "%.*s", (int)len, text);
  pthread_mutex_unlock(&s->reason_lock);
}

static void log_record(void *ctx, const struct rmq_log_record *record) {
  struct session *s = ctx;
  if (record->level <= RMQ_LOG_WARNING && record->message != NULL)
    keep_reason(s, record->message);
  s->execd.host.log(s->execd.host.ctx, record);
}

static void init_host(struct session *s) {
  rmq_execd_init(&s->execd, STDOUT_FILENO, STDERR_FILENO,
                 (enum rmq_log_format)s->args.options.connection.log_format);
  s->host = s->execd.host;
  s->host.ctx = s;
  s->host.log = log_record;
  s->voice = (struct warren_voice){"warren consume", "rabbitmq_consume",
                                   s->args.cli.name, &s->execd};
}

int warren_consume(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  pthread_mutex_init(&s->reason_lock, NULL);
  int status = warren_consume_args_read(&s->args, argc, argv);
  if (status < 0) {
    init_host(s);
    status = run(s);
    rmq_execd_fini(&s->execd);
  }
  warren_consume_args_fini(&s->args);
  pthread_mutex_destroy(&s->reason_lock);
  free(s);
  return status;
}
