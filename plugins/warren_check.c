/* SPDX-License-Identifier: MIT */
/*
 * warren check INDICATOR: one question, one line, one exit status, for Nagios,
 * Icinga and whatever else runs their plugins.
 */
#include "rmq_config.h"

#include "plugins/warren.h"
#include "plugins/warren_ask.h"

#include "common/base/options.h"
#include "common/host/host_clock.h"
#include "common/role/role_monitor.h"
#include "common/role/verdict.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 64 * 1024, REASON_SIZE = 256 };

/* What only this command has. */
struct cli {
  char *name, *measure, *warning, *critical;
  struct rmq_dur over, deadline;
  bool verbose, help;
};

static const struct rmq_option cli_options[] = {
    {.name = "Warning",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, warning),
     .help = "Range outside which the state is WARNING, as Nagios writes them: "
             "10, 10:, ~:10, 10:20, @10:20"},
    {.name = "Critical",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, critical),
     .help = "Range outside which it is CRITICAL; both replace the limits that "
             "the measure has by itself"},
    {.name = "Measure",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, measure),
     .help =
         "What the ranges are about; the first of the indicator where it is "
         "not given"},
    {.name = "Over",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct cli, over),
     .default_value = "10",
     .min = 1,
     .max = 3600,
     .help = "Time between the two looks of errors, resource and throughput"},
    {.name = "Deadline",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct cli, deadline),
     .default_value = "50",
     .min = 1,
     .max = 3600,
     .help = "The state is UNKNOWN when there is no verdict by then; longer "
             "than Over"},
    {.name = "Verbose",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, verbose),
     .default_value = "false",
     .help = "The log on standard error"},
    {.name = "Name",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, name),
     .default_value = "main",
     .help = "Name of the cluster in the log"},
    {.name = "Help",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, help),
     .default_value = "false",
     .help = "This text"},
    RMQ_OPTIONS_END};

struct session {
  struct cli cli;
  struct rmq_role_monitor_config config;
  struct rmq_host host;
  struct rmq_verdict verdict;
  char reason[REASON_SIZE]; /* the last complaint of the log */
};

static struct warren_ask ask_of(struct session *s) {
  return (struct warren_ask){
      .name = "warren check",
      .usage = "warren check connection|lag|errors|resource|throughput "
               "[--url URL]... [OPTIONS]",
      .description =
          "One line with performance data on standard output, and a state as "
          "exit status.\nerrors, resource and throughput look twice.",
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status: 0 OK, 1 WARNING, 2 CRITICAL (also: no answer), 3 "
          "UNKNOWN (also:\nwrong arguments).",
      .table = cli_options,
      .object = &s->cli,
      .wants_help = &s->cli.help,
      .usage_status = RMQ_VERDICT_UNKNOWN};
}

/* ---- host ---- */

static void keep_reason(struct session *s, const char *message) {
  if (message != NULL)
    snprintf(s->reason, sizeof(s->reason), "%s", message);
}

static void host_log(void *ctx, const struct rmq_log_record *record) {
  struct session *s = ctx;
  if (record->level <= RMQ_LOG_WARNING)
    keep_reason(s, record->message);
  if (record->event != NULL)
    rmq_verdict_hear(&s->verdict, record->event);
  if (!s->cli.verbose)
    return;
  struct rmq_buf line;
  rmq_buf_init(&line, RMQ_LOG_LINE_MAX);
  rmq_log_render((enum rmq_log_format)s->config.log_format, record, &line);
  fprintf(stderr, "%s\n", rmq_buf_text(&line));
  rmq_buf_fini(&line);
}

static int host_sample(void *ctx, const struct rmq_sample *sample) {
  struct session *s = ctx;
  rmq_verdict_see(&s->verdict, sample);
  return 0;
}

static void host_event(void *ctx, const struct rmq_event *event) {
  (void)ctx;
  (void)event; /* no Alert block on a command line */
}

static struct rmq_host make_host(struct session *s) {
  return (struct rmq_host){.ctx = s,
                           .service = "warren",
                           .hostname = "",
                           .log = host_log,
                           .mono = rmq_host_mono,
                           .wall = rmq_host_wall,
                           .random = rmq_host_random,
                           .sample = host_sample,
                           .event = host_event};
}

/* ---- time ---- */

/* The last resort, where even a timeout does not help (a name server). */
static void on_deadline(int signal) {
  static const char text[] = "RABBITMQ UNKNOWN - no verdict by the deadline\n";
  ssize_t n = write(STDOUT_FILENO, text, sizeof(text) - 1);
  (void)n;
  (void)signal;
  _exit(RMQ_VERDICT_UNKNOWN);
}

static void set_deadline(struct rmq_dur deadline) {
  struct sigaction action = {.sa_handler = on_deadline};
  sigemptyset(&action.sa_mask);
  sigaction(SIGALRM, &action, NULL);
  alarm((unsigned)((deadline.ns + RMQ_NS_PER_S - 1) / RMQ_NS_PER_S));
}

static void wait_for(struct rmq_dur time) {
  struct rmq_mono due = rmq_mono_add(rmq_host_mono(NULL), time);
  for (;;) {
    struct rmq_dur left = rmq_mono_since(due, rmq_host_mono(NULL));
    if (left.ns <= 0)
      return;
    poll(NULL, 0, (int)(left.ns / RMQ_NS_PER_MS + 1));
  }
}

/* ---- the command ---- */

static void look(struct session *s, struct rmq_role_monitor *role) {
  rmq_verdict_clear(&s->verdict);
  rmq_role_monitor_sample(role);
}

static int say(struct session *s) {
  struct rmq_buf line;
  rmq_buf_init(&line, LINE_BYTES_MAX);
  int status = (int)rmq_verdict_say(&s->verdict, s->reason, &line);
  bool is_read =
      printf("%s\n", rmq_buf_text(&line)) >= 0 && fflush(stdout) == 0;
  rmq_buf_fini(&line);
  return is_read ? status : (int)RMQ_VERDICT_UNKNOWN;
}

/* Every check is a process of its own, several a minute: what the verdict does
 * not look at is not asked for. */
static void ask_for_little(struct session *s) {
  s->config.has_no_checks = true;
  s->config.max_vhosts = 0;
  if (!rmq_verdict_needs_queues(s->verdict.indicator)) {
    s->config.max_queues = 0;
    s->config.top_queues = 0;
  }
}

static int run(struct session *s, const struct warren_ask *ask) {
  struct rmq_error err = {.text = ""};
  s->host = make_host(s);
  ask_for_little(s);
  if (s->config.interval.ns == 0)
    s->config.interval = s->cli.over;
  struct rmq_role_monitor *role =
      rmq_role_monitor_new(&s->host, s->cli.name, &s->config, NULL, &err);
  if (role == NULL) {
    warren_ask_complain(ask, err.text);
    return RMQ_VERDICT_UNKNOWN;
  }
  set_deadline(s->cli.deadline);
  look(s, role);
  if (s->verdict.is_answered && rmq_verdict_needs_two(s->verdict.indicator)) {
    wait_for(s->cli.over);
    look(s, role);
  }
  rmq_role_monitor_free(role);
  return say(s);
}

static int prepare(struct session *s, const struct warren_ask *ask,
                   enum rmq_verdict_indicator indicator) {
  struct rmq_error err = {.text = ""};
  if (s->cli.over.ns >= s->cli.deadline.ns)
    rmq_error_set(&err, "--deadline must be longer than --over");
  else if (rmq_verdict_init(&s->verdict, indicator, s->cli.measure,
                            s->cli.warning, s->cli.critical, &err) == 0)
    return 0;
  warren_ask_complain(ask, err.text);
  return -1;
}

/* The first argument, unless it is an option: then --help may follow. */
static int read_indicator(const struct warren_ask *ask, int argc,
                          char *const *argv,
                          enum rmq_verdict_indicator *ret_indicator) {
  if (argc > 1 && rmq_verdict_indicator_from_str(argv[1], ret_indicator) == 0)
    return 0;
  fprintf(stderr,
          "E! %s: %s%s%s; allowed: connection, lag, errors, resource, "
          "throughput\n",
          ask->name, argc > 1 ? "there is no indicator \"" : "no indicator",
          argc > 1 ? argv[1] : "", argc > 1 ? "\"" : "");
  return -1;
}

static bool begins_with_help(int argc, char *const *argv) {
  return argc > 1 && strcmp(argv[1], "--help") == 0;
}

static int read_and_run(struct session *s, int argc, char *const *argv) {
  struct warren_ask ask = ask_of(s);
  enum rmq_verdict_indicator indicator = RMQ_VERDICT_CONNECTION;
  int skip = 0;
  if (!begins_with_help(argc, argv)) {
    if (read_indicator(&ask, argc, argv, &indicator) != 0)
      return RMQ_VERDICT_UNKNOWN;
    skip = 1;
  }
  int status = warren_ask_read(&ask, &s->config, argc - skip, argv + skip);
  if (status >= 0)
    return status;
  if (prepare(s, &ask, indicator) != 0)
    return RMQ_VERDICT_UNKNOWN;
  status = run(s, &ask);
  rmq_verdict_fini(&s->verdict);
  return status;
}

int warren_check(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return RMQ_VERDICT_UNKNOWN;
  int status = read_and_run(s, argc, argv);
  rmq_options_fini(rmq_role_monitor_options, &s->config);
  rmq_options_fini(cli_options, &s->cli);
  free(s);
  return status;
}
