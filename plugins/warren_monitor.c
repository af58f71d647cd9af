/* SPDX-License-Identifier: MIT */
/*
 * warren monitor: the monitor's option table and role behind standard input and
 * output, for Telegraf's execd input and for shells.
 */
#include "rmq_config.h"

#include "plugins/warren.h"
#include "plugins/warren_ask.h"

#include "common/base/options.h"
#include "common/host/host_execd.h"
#include "common/role/role_monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* What only the command has. */
struct cli {
  char *name;
  int output;
  bool once, help;
};

static const char *const outputs[] = {"influx", NULL};

static const struct rmq_option cli_options[] = {
    {.name = "Name",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, name),
     .default_value = "main",
     .help = "Name of the cluster: the tag \"cluster\" of every line"},
    {.name = "Output",
     .type = RMQ_OPT_ENUM,
     .offset = offsetof(struct cli, output),
     .default_value = "influx",
     .choices = outputs,
     .help = "Form of the output"},
    {.name = "Once",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, once),
     .default_value = "false",
     .help = "One set of samples, then exit"},
    {.name = "Help",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, help),
     .default_value = "false",
     .help = "This text"},
    RMQ_OPTIONS_END};

struct session {
  struct cli cli;
  struct rmq_role_monitor_config config;
  struct rmq_execd host;
  struct rmq_role_monitor *role;
  size_t unsayable_count; /* that the log was told of */
};

static struct warren_ask ask_of(struct session *s) {
  return (struct warren_ask){
      .name = "warren monitor",
      .usage = "warren monitor [--url URL]... [OPTIONS]",
      .description =
          "Writes one set of samples for each line on standard input, and ends "
          "with it.\nWith --interval it writes one set per interval instead.",
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status: 0 end of input, 1 not started or standard output "
          "gone,\n2 wrong arguments, 3 with --once: the cluster did not "
          "answer.",
      .table = cli_options,
      .object = &s->cli,
      .wants_help = &s->cli.help,
      .usage_status = WARREN_EXIT_USAGE};
}

static void complain(const char *text) {
  fprintf(stderr, "E! warren monitor: %s\n", text);
}

/* One set of samples. False when nobody reads them. */
static bool write_set(struct session *s) {
  rmq_role_monitor_sample(s->role);
  bool is_read = rmq_execd_flush(&s->host) == 0;
  if (s->host.unsayable_count > 0 && s->unsayable_count == 0)
    fprintf(stderr, "W! warren monitor: a vhost or queue has a name that line "
                    "protocol cannot express; it is left out\n");
  s->unsayable_count = s->host.unsayable_count;
  if (!is_read)
    complain("standard output cannot be written");
  return is_read;
}

static int run_once(struct session *s) {
  if (!write_set(s))
    return WARREN_EXIT_FAILED;
  return rmq_role_monitor_is_reachable(s->role) ? WARREN_EXIT_OK
                                                : WARREN_EXIT_NO_ANSWER;
}

static int run_by_lines(struct session *s) {
  char bytes[256];
  for (;;) {
    ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0)
      return n == 0 ? WARREN_EXIT_OK : WARREN_EXIT_FAILED;
    for (ssize_t i = 0; i < n; i++)
      if (bytes[i] == '\n' && !write_set(s))
        return WARREN_EXIT_FAILED;
  }
}

/* A pipe on standard input is somebody who wants to tell us when to end. */
static bool input_is_pipe(void) {
  struct stat st;
  return fstat(STDIN_FILENO, &st) == 0 &&
         (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

/* False when standard input ended before it was due. */
static bool wait_until(struct session *s, struct rmq_mono due, bool has_pipe) {
  char bytes[256];
  for (;;) {
    struct rmq_dur left =
        rmq_mono_since(due, s->host.host.mono(s->host.host.ctx));
    if (left.ns <= 0)
      return true;
    int64_t ms = left.ns / RMQ_NS_PER_MS + 1;
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    int n = poll(&input, has_pipe ? 1 : 0, ms > 60000 ? 60000 : (int)ms);
    if (n > 0 && read(STDIN_FILENO, bytes, sizeof(bytes)) == 0)
      return false;
  }
}

static int run_by_interval(struct session *s) {
  bool has_pipe = input_is_pipe();
  struct rmq_mono due = s->host.host.mono(s->host.host.ctx);
  while (write_set(s)) {
    due = rmq_mono_add(due, s->config.interval);
    struct rmq_mono now = s->host.host.mono(s->host.host.ctx);
    if (due.ns < now.ns) /* late: no burst to make up for it */
      due = now;
    if (!wait_until(s, due, has_pipe))
      return WARREN_EXIT_OK;
  }
  return WARREN_EXIT_FAILED;
}

static int run(struct session *s) {
  struct rmq_error err = {.text = ""};
  bool has_interval = s->config.interval.ns > 0;
  if (!has_interval)
    s->config.interval = rmq_s(10); /* the longest that one set may take */
  s->role =
      rmq_role_monitor_new(&s->host.host, s->cli.name, &s->config, NULL, &err);
  if (s->role == NULL) {
    complain(err.text);
    return WARREN_EXIT_FAILED;
  }
  if (s->cli.once)
    return run_once(s);
  return has_interval ? run_by_interval(s) : run_by_lines(s);
}

int warren_monitor(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  struct warren_ask ask = ask_of(s);
  int status = warren_ask_read(&ask, &s->config, argc, argv);
  if (status < 0) {
    rmq_execd_init(&s->host, STDOUT_FILENO, STDERR_FILENO,
                   (enum rmq_log_format)s->config.log_format);
    status = run(s);
    rmq_role_monitor_free(s->role);
    rmq_execd_fini(&s->host);
  }
  rmq_options_fini(rmq_role_monitor_options, &s->config);
  rmq_options_fini(cli_options, &s->cli);
  free(s);
  return status;
}
