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
#include "common/role/probe_options.h"
#include "common/role/role_monitor.h"
#include "common/role/verdict.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
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
             "than Over where there are two looks"},
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
  /* The probe complains from a thread of its own, of a connection of its own;
   * under probe_lock. */
  pthread_t thread;
  pthread_mutex_t probe_lock;
  char probe_reason[REASON_SIZE];
};

static struct warren_ask ask_of(struct session *s) {
  return (struct warren_ask){
      .name = "warren check",
      .usage = "warren check connection|lag|errors|resource|throughput "
               "[--url URL]... [OPTIONS]",
      .description =
          "One line with performance data on standard output, and a state as "
          "exit status.\nerrors, resource and throughput look twice. --probe "
          "is for connection.",
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status: 0 OK, 1 WARNING, 2 CRITICAL (also: no answer), 3 "
          "UNKNOWN (also:\nwrong arguments).",
      .table = cli_options,
      .object = &s->cli,
      .wants_help = &s->cli.help,
      .has_probe = true,
      .usage_status = RMQ_VERDICT_UNKNOWN};
}

/* ---- host ---- */

/* What is wrong with its connection tells more than that there is none, which
 * the probe says after it. */
static void hear_probe(struct session *s, const struct rmq_log_record *record) {
  bool is_its_own =
      record->event != NULL && strcmp(record->event, "probe") == 0;
  pthread_mutex_lock(&s->probe_lock);
  if (!is_its_own || s->probe_reason[0] == '\0')
    snprintf(s->probe_reason, sizeof(s->probe_reason), "%s", record->message);
  pthread_mutex_unlock(&s->probe_lock);
}

static void hear(struct session *s, const struct rmq_log_record *record) {
  bool is_complaint =
      record->level <= RMQ_LOG_WARNING && record->message != NULL;
  if (pthread_equal(pthread_self(), s->thread) == 0) {
    if (is_complaint)
      hear_probe(s, record);
    return;
  }
  if (is_complaint)
    snprintf(s->reason, sizeof(s->reason), "%s", record->message);
  if (record->event != NULL)
    rmq_verdict_hear(&s->verdict, record->event);
}

static void host_log(void *ctx, const struct rmq_log_record *record) {
  struct session *s = ctx;
  hear(s, record);
  if (s->cli.verbose)
    warren_ask_print(&s->config, record);
}

static int host_sample(void *ctx, const struct rmq_sample *sample) {
  struct session *s = ctx;
  rmq_verdict_see(&s->verdict, sample);
  return 0;
}

/* ---- time ---- */

/* Made beforehand: little is allowed in a handler. */
static char deadline_line[80];
static size_t deadline_len;

/* The last resort, where even a timeout does not help (a name server). */
static void on_deadline(int signal) {
  ssize_t n = write(STDOUT_FILENO, deadline_line, deadline_len);
  (void)n;
  (void)signal;
  _exit(RMQ_VERDICT_UNKNOWN);
}

static void set_deadline(const struct rmq_verdict *v, struct rmq_dur deadline) {
  struct sigaction action = {.sa_handler = on_deadline};
  struct rmq_buf line;
  rmq_buf_init(&line, sizeof(deadline_line));
  rmq_verdict_head(v->indicator, RMQ_VERDICT_UNKNOWN, &line);
  rmq_buf_append_text(&line, "no verdict by the deadline\n");
  deadline_len = line.len;
  memcpy(deadline_line, rmq_buf_bytes(&line), line.len);
  rmq_buf_fini(&line);
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
  s->verdict.silence = rmq_role_monitor_silence(role);
}

static void take_probe_reason(struct session *s, char text[REASON_SIZE]) {
  pthread_mutex_lock(&s->probe_lock);
  memcpy(text, s->probe_reason, REASON_SIZE);
  pthread_mutex_unlock(&s->probe_lock);
}

static int say(struct session *s) {
  struct rmq_buf line;
  char why[REASON_SIZE];
  take_probe_reason(s, why);
  s->verdict.probe_reason = why[0] != '\0' ? why : NULL;
  rmq_buf_init(&line, LINE_BYTES_MAX);
  int status = (int)rmq_verdict_say(&s->verdict, s->reason, &line);
  bool is_read =
      printf("%s\n", rmq_buf_text(&line)) >= 0 && fflush(stdout) == 0;
  rmq_buf_fini(&line);
  s->verdict.probe_reason = NULL;
  return is_read ? status : (int)RMQ_VERDICT_UNKNOWN;
}

/* Every check is a process of its own, several a minute: what the verdict does
 * not look at is not asked for. */
static void ask_for_little(struct session *s) {
  s->config.has_no_checks = !rmq_verdict_needs_checks(s->verdict.indicator);
  s->config.max_vhosts = 0;
  if (!rmq_verdict_needs_queues(s->verdict.indicator)) {
    s->config.max_queues = 0;
    s->config.top_queues = 0;
  }
}

static int run(struct session *s, const struct warren_ask *ask) {
  struct rmq_error err = {.text = ""};
  s->host = warren_ask_host(s, host_log, host_sample);
  ask_for_little(s);
  if (s->config.interval.ns == 0)
    s->config.interval = s->cli.over;
  struct rmq_role_monitor *role =
      rmq_role_monitor_new(&s->host, s->cli.name, &s->config, NULL, &err);
  if (role == NULL) {
    warren_ask_complain(ask, err.text);
    return RMQ_VERDICT_UNKNOWN;
  }
  set_deadline(&s->verdict, s->cli.deadline);
  if (warren_ask_start(ask, role) != 0) {
    rmq_role_monitor_free(role);
    return RMQ_VERDICT_UNKNOWN;
  }
  look(s, role);
  if (s->verdict.is_answered && rmq_verdict_needs_two(s->verdict.indicator)) {
    wait_for(s->cli.over);
    look(s, role);
  }
  int status = say(s);
  alarm(0); /* it is said; the good-bye has a bound of its own */
  warren_ask_stop(role, status);
  return status;
}

/* What no single option can say. */
static int check_cli(const struct session *s,
                     enum rmq_verdict_indicator indicator,
                     struct rmq_error *err) {
  const struct rmq_probe_options *probe =
      s->config.probes.count > 0 ? s->config.probes.items[0] : NULL;
  if (rmq_verdict_needs_two(indicator) && s->cli.over.ns >= s->cli.deadline.ns)
    return rmq_error_set(err, "--deadline must be longer than --over");
  if (probe != NULL && indicator != RMQ_VERDICT_CONNECTION)
    return rmq_error_set(err, "--probe is for connection");
  if (probe != NULL && probe->timeout.ns >= s->cli.deadline.ns)
    return rmq_error_set(err,
                         "--deadline must be longer than the probe's timeout");
  return 0;
}

static int prepare(struct session *s, const struct warren_ask *ask,
                   enum rmq_verdict_indicator indicator) {
  struct rmq_error err = {.text = ""};
  if (check_cli(s, indicator, &err) == 0 &&
      rmq_verdict_init(&s->verdict, indicator, s->cli.measure, s->cli.warning,
                       s->cli.critical, &err) == 0) {
    s->verdict.is_probed = s->config.probes.count > 0;
    return 0;
  }
  warren_ask_complain(ask, err.text);
  return -1;
}

/* The first argument, unless it is an option: then --help may follow. */
static int read_indicator(const struct warren_ask *ask, int argc,
                          char *const *argv,
                          enum rmq_verdict_indicator *ret_indicator) {
  if (argc > 1 && rmq_verdict_indicator_from_str(argv[1], ret_indicator) == 0)
    return 0;
  bool is_word = argc > 1 && argv[1][0] != '-';
  fprintf(stderr,
          "E! %s: %s%s%s; allowed: connection, lag, errors, resource, "
          "throughput\n",
          ask->name,
          is_word    ? "there is no indicator \""
          : argc > 1 ? "the indicator comes first: warren check lag [OPTIONS]"
                     : "no indicator",
          is_word ? argv[1] : "", is_word ? "\"" : "");
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
  s->thread = pthread_self();
  pthread_mutex_init(&s->probe_lock, NULL);
  int status = read_and_run(s, argc, argv);
  rmq_options_fini(rmq_role_monitor_options, &s->config);
  rmq_options_fini(cli_options, &s->cli);
  pthread_mutex_destroy(&s->probe_lock);
  free(s);
  return status;
}
