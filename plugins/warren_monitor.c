/* SPDX-License-Identifier: MIT */
/*
 * warren monitor: the monitor's option table and role behind standard input and
 * output, a file or a port, for Telegraf, Prometheus, collectd's exec, jq.
 */
#include "rmq_config.h"

#include "plugins/warren.h"
#include "plugins/warren_ask.h"
#include "plugins/warren_monitor_serve.h"
#include "plugins/warren_monitor_wake.h"
#include "plugins/warren_voice.h"

#include "common/base/options.h"
#include "common/host/host_execd.h"
#include "common/host/host_execd_format.h"
#include "common/host/textfile.h"
#include "common/role/role_monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
  MONITOR_INTERVAL_S = 10, /* where it is needed and not given */
  /* At the end, with a reader of standard output that hangs, or the probe's
   * broker: Telegraf kills after 5 s. */
  MONITOR_PATIENCE_S = 3
};

/* What only the command has. */
struct cli {
  char *name, *file, *listen;
  int output; /* enum rmq_execd_output */
  bool allow_remote, once, help;
};

#define FIELD(f) .offset = offsetof(struct cli, f)

static const struct rmq_option cli_options[] = {
    {.name = "Name",
     .type = RMQ_OPT_STRING,
     FIELD(name),
     .default_value = "main",
     .help = "Name of the cluster: the tag \"cluster\" of every line"},
    {.name = "Output",
     .type = RMQ_OPT_ENUM,
     FIELD(output),
     .default_value = "influx",
     .choices = rmq_execd_output_words,
     .help = "Form of the output"},
    {.name = "File",
     .type = RMQ_OPT_STRING,
     FIELD(file),
     .help = "With --output prometheus: replaces this file with each set, "
             "for node_exporter's textfile collector"},
    {.name = "Listen",
     .type = RMQ_OPT_STRING,
     FIELD(listen),
     .help = "With --output prometheus: serves GET /metrics at "
             "127.0.0.1:PORT, [::1]:PORT or unix:PATH"},
    {.name = "AllowRemote",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(allow_remote),
     .default_value = "false",
     .help = "--listen takes an address that others can reach, too; there is "
             "no password in front of it"},
    {.name = "Once",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(once),
     .default_value = "false",
     .help = "One set of samples, then exit"},
    {.name = "Help",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(help),
     .default_value = "false",
     .help = "This text"},
    RMQ_OPTIONS_END};

struct session {
  struct cli cli;
  struct rmq_role_monitor_config config;
  struct rmq_execd host;
  struct warren_voice voice;
  struct rmq_execd_format format;
  char hostname[RMQ_NAME_MAX + 1];
  struct warren_serve *serve;
  struct rmq_role_monitor *role;
  size_t unsayable_count; /* that the log was told of */
  bool has_file_failed;
  bool is_cut_off; /* the end came before the last set was made */
};

static struct warren_ask ask_of(struct session *s) {
  return (struct warren_ask){
      .name = "warren monitor",
      .usage = "warren monitor [--url URL]... [OPTIONS]",
      .description =
          "Writes one set of samples for each line on standard input, and for "
          "SIGHUP,\nSIGUSR1 and SIGUSR2; ends when standard input ends.\nWith "
          "--interval it writes one set per interval instead.",
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status: 0 end of input or a signal, 1 not started, standard "
          "output gone,\nwith --once no file or no set written, 2 wrong "
          "arguments, 3 with --once: the\ncluster did not answer.",
      .table = cli_options,
      .object = &s->cli,
      .wants_help = &s->cli.help,
      .has_blocks = true,
      .usage_status = WARREN_EXIT_USAGE};
}

static void complain(const struct session *s, const char *event,
                     const char *text) {
  warren_say(&s->voice, RMQ_LOG_ERROR, event, "%s", text);
}

/* ---- outputs ---- */

/* The name of this host as collectd has it, where collectd runs us. */
static void set_hostname(struct session *s) {
  const char *name = getenv("COLLECTD_HOSTNAME");
  if (name != NULL && name[0] != '\0')
    snprintf(s->hostname, sizeof(s->hostname), "%s", name);
  else if (gethostname(s->hostname, sizeof(s->hostname) - 1) != 0)
    snprintf(s->hostname, sizeof(s->hostname), "localhost");
}

static int set_format(struct session *s) {
  set_hostname(s);
  return rmq_execd_format_init(
      &s->format, &s->host, (enum rmq_execd_output)s->cli.output,
      "rabbitmq_monitor", rmq_role_monitor_series(), s->hostname);
}

static bool goes_to_stdout(const struct session *s) {
  return s->cli.file == NULL && s->cli.listen == NULL;
}

/* An error once, until it is over. */
static bool write_file(struct session *s, const struct rmq_buf *bytes) {
  struct rmq_error err = {.text = ""};
  bool is_written = rmq_textfile_write(s->cli.file, rmq_buf_bytes(bytes),
                                       bytes->len, &err) == 0;
  if (!is_written && !s->has_file_failed)
    complain(s, "file_failed", err.text);
  if (is_written && s->has_file_failed)
    warren_say(&s->voice, RMQ_LOG_NOTICE, "file_written",
               "the file is written again");
  s->has_file_failed = !is_written;
  return is_written;
}

static void complain_of_memory(const struct session *s) {
  complain(s, "output_failed",
           "a set of samples is larger than there is memory for");
}

/* The set on standard output. False when it is not there, or not all of it. */
static bool print(struct session *s) {
  bool is_read = rmq_execd_flush(&s->host) == 0;
  if (!is_read)
    complain(s, "output_failed", "standard output cannot be written");
  else if (!s->host.was_whole)
    complain_of_memory(s);
  return is_read && s->host.was_whole;
}

/* The set as a document. False when it is not where it belongs. */
static bool hand_out(struct session *s) {
  struct rmq_buf *bytes = rmq_execd_take(&s->host);
  bool is_out = bytes != NULL;
  if (!is_out)
    complain_of_memory(s);
  if (is_out && s->cli.file != NULL)
    is_out = write_file(s, bytes);
  if (bytes != NULL && s->serve != NULL &&
      warren_serve_put(s->serve, rmq_buf_bytes(bytes), bytes->len) != 0)
    complain(s, "output_failed", "out of memory");
  if (bytes != NULL)
    rmq_buf_clear(bytes);
  return is_out;
}

/* One set of samples, or none where the end came before. False when it is not
 * where it belongs. */
static bool write_set(struct session *s) {
  s->is_cut_off =
      rmq_role_monitor_sample(s->role) == 0 && warren_wake_has_end();
  if (s->is_cut_off)
    return true;
  bool is_out = goes_to_stdout(s) ? print(s) : hand_out(s);
  if (s->host.unsayable_count > 0 && s->unsayable_count == 0)
    warren_say(&s->voice, RMQ_LOG_WARNING, "left_out",
               "a vhost or queue has a name that this form of output cannot "
               "express; it is left out");
  s->unsayable_count = s->host.unsayable_count;
  return is_out;
}

/* ---- running ---- */

static int run_once(struct session *s) {
  if (!write_set(s) || s->is_cut_off)
    return WARREN_EXIT_FAILED;
  return rmq_role_monitor_is_reachable(s->role) ? WARREN_EXIT_OK
                                                : WARREN_EXIT_NO_ANSWER;
}

/* A pipe on standard input is somebody who wants to tell us when to end; that
 * of collectd's plugin exec is closed from the beginning. */
static enum warren_input input_of(bool has_interval) {
  struct stat st;
  if (!has_interval)
    return WARREN_INPUT_LINES;
  if (getenv("COLLECTD_INTERVAL") != NULL)
    return WARREN_INPUT_IGNORED;
  return fstat(STDIN_FILENO, &st) == 0 &&
                 (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode))
             ? WARREN_INPUT_END
             : WARREN_INPUT_IGNORED;
}

static int run_on(struct session *s, bool has_interval) {
  enum warren_input input = input_of(has_interval);
  struct rmq_mono due = s->host.host.mono(s->host.host.ctx);
  for (;;) {
    switch (warren_wake_wait(input, has_interval ? &due : NULL)) {
    case WARREN_WAKE_SET:
      break;
    case WARREN_WAKE_END:
      return WARREN_EXIT_OK;
    case WARREN_WAKE_FAILED:
      complain(s, "input_failed", "standard input cannot be read");
      return WARREN_EXIT_FAILED;
    }
    struct rmq_mono now = s->host.host.mono(s->host.host.ctx);
    if (!write_set(s) && s->host.has_failed)
      return WARREN_EXIT_FAILED;
    if (now.ns >= due.ns) /* else a signal asked for one in between */
      due = rmq_mono_add(due, s->config.interval);
    now = s->host.host.mono(s->host.host.ctx);
    if (due.ns < now.ns) /* late: no burst to make up for it */
      due = now;
  }
}

/* Before samples are taken: the port, and what runs beside them. */
static int start(struct session *s, struct rmq_error *err) {
  const struct rmq_dur max_age = {3 * s->config.interval.ns};
  s->role =
      rmq_role_monitor_new(&s->host.host, s->cli.name, &s->config, NULL, err);
  if (s->role == NULL)
    return -1;
  rmq_role_monitor_set_end(s->role, warren_wake_get_end());
  if (rmq_role_monitor_start_beside(s->role, err) != 0)
    return -1;
  if (s->cli.listen == NULL)
    return 0;
  s->serve = warren_serve_new(&s->host.host, s->cli.listen, s->cli.allow_remote,
                              max_age, err);
  return s->serve == NULL ? -1 : 0;
}

/* False when something was left behind that may still use all of it. */
static bool stop(struct session *s) {
  if (s->role == NULL)
    return true;
  rmq_role_monitor_tell_stop(s->role);
  return rmq_role_monitor_await_stop(
             s->role, rmq_mono_add(s->host.host.mono(s->host.host.ctx),
                                   s->config.shutdown_timeout)) == 0;
}

static int run(struct session *s) {
  struct rmq_error err = {.text = ""};
  bool has_interval = s->config.interval.ns > 0;
  if (!has_interval) /* the longest that one set may take */
    s->config.interval = rmq_s(MONITOR_INTERVAL_S);
  s->config.shutdown_timeout = rmq_s(MONITOR_PATIENCE_S);
  if (set_format(s) != 0)
    rmq_error_set(&err, "out of memory");
  else if (warren_wake_init(goes_to_stdout(s) ? MONITOR_PATIENCE_S : 0) != 0)
    rmq_error_set(&err, "signals cannot be taken");
  if (rmq_error_is_set(&err) || start(s, &err) != 0) {
    complain(s, "not_started", err.text);
    return WARREN_EXIT_FAILED;
  }
  if (s->cli.once)
    return run_once(s);
  int status = run_on(s, has_interval || !goes_to_stdout(s));
  if (s->cli.file != NULL) /* whoever reads it has no numbers, not old ones */
    unlink(s->cli.file);
  return status;
}

/* What collectd's plugin exec says is the interval, where nothing else does. */
static int take_collectds_interval(struct session *s, struct rmq_error *err) {
  const char *text = getenv("COLLECTD_INTERVAL");
  if (s->cli.output != RMQ_EXECD_PUTVAL || text == NULL ||
      s->config.interval.ns > 0)
    return 0;
  return rmq_options_set_text(rmq_role_monitor_options, &s->config, "Interval",
                              text, NULL, err);
}

static int check_cli(const struct session *s, struct rmq_error *err) {
  if (s->cli.output != RMQ_EXECD_PROMETHEUS && !goes_to_stdout(s))
    return rmq_error_set(err,
                         "--file and --listen are for --output prometheus");
  if (s->cli.once && s->cli.listen != NULL)
    return rmq_error_set(err, "--once and --listen exclude each other");
  if (s->cli.allow_remote && s->cli.listen == NULL)
    return rmq_error_set(err, "--allow-remote needs --listen");
  return 0;
}

static int run_checked(struct session *s, const struct warren_ask *ask) {
  struct rmq_error err = {.text = ""};
  if (check_cli(s, &err) != 0 || take_collectds_interval(s, &err) != 0) {
    warren_ask_complain(ask, err.text);
    return WARREN_EXIT_USAGE;
  }
  rmq_execd_init(&s->host, goes_to_stdout(s) ? STDOUT_FILENO : -1,
                 STDERR_FILENO, (enum rmq_log_format)s->config.log_format);
  s->voice = (struct warren_voice){"warren monitor", "rabbitmq_monitor",
                                   s->cli.name, &s->host};
  int status = run(s);
  warren_wake_fini();
  warren_serve_free(s->serve);
  if (!stop(s))
    exit(status); /* with the thread that was left behind */
  rmq_role_monitor_free(s->role);
  rmq_execd_fini(&s->host);
  rmq_execd_format_fini(&s->format);
  return status;
}

int warren_monitor(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  struct warren_ask ask = ask_of(s);
  int status = warren_ask_read(&ask, &s->config, argc, argv);
  if (status < 0)
    status = run_checked(s, &ask);
  rmq_options_fini(rmq_role_monitor_options, &s->config);
  rmq_options_fini(cli_options, &s->cli);
  free(s);
  return status;
}
