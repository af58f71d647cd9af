/* SPDX-License-Identifier: MIT */
/*
 * warren drill: one fault on purpose, and whether it is noticed.
 */
#include "rmq_config.h"

#include "plugins/warren.h"
#include "plugins/warren_ask.h"
#include "plugins/warren_drill_broker.h"

#include "common/base/options.h"
#include "common/role/drill.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_BYTES_MAX = 1024, HOST_BYTES_MAX = 300, CELL_SIZE = 16 };

/* What only this command has. */
struct cli {
  char *yes_on, *amqp, *rabbitmq_bin;
  struct rmq_dur hold, limit;
  double errors;
  bool amqp_tls, is_private, cleanup, verbose, help;
};

static const struct rmq_option cli_options[] = {
    {.name = "YesOn",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, yes_on),
     .help = "Name of the cluster, as it says it itself; without it you are "
             "asked to type it"},
    {.name = "Amqp",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, amqp),
     .help = "HOST[:PORT] for AMQP; without it the host of the first URL"},
    {.name = "AmqpTls",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, amqp_tls),
     .default_value = "false",
     .help = "AMQP by TLS"},
    {.name = "Hold",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct cli, hold),
     .default_value = "2",
     .min = 0,
     .max = 600,
     .help = "Hold and ClearHold of the alert"},
    {.name = "Limit",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct cli, limit),
     .default_value = "60",
     .min = 1,
     .max = 3600,
     .help = "How long each step is waited for"},
    {.name = "Errors",
     .type = RMQ_OPT_NUMBER,
     .offset = offsetof(struct cli, errors),
     .default_value = "3",
     .min = 0.001,
     .max = 100,
     .unit = "percent",
     .help = "Limit of the alert about errors, in percent of the operations of "
             "the last minute; lower on a busy cluster"},
    {.name = "Private",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, is_private),
     .default_value = "false",
     .help = "Starts a broker of its own for the drill, and ends it"},
    {.name = "RabbitmqBin",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, rabbitmq_bin),
     .default_value = "/usr/lib/rabbitmq/bin",
     .help = "Where Private finds rabbitmq-server and rabbitmqctl"},
    {.name = "Cleanup",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, cleanup),
     .default_value = "false",
     .help = "Removes what drills that were killed have left, and what those "
             "that run now have"},
    {.name = "Verbose",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, verbose),
     .default_value = "false",
     .help = "The log on standard error"},
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
  bool is_left_behind; /* a thread of the monitor, which uses this */
};

static volatile sig_atomic_t is_stopping;

/* By name, since completion offers what stands here. */
#define NAME(suffix, word, series, alert, is_private, what) "|" word
#define NAMES RMQ_DRILLS(NAME)
static const char usage[] =
    "warren drill list" NAMES "\n       [--url URL]...|--private [OPTIONS]";
#undef NAMES
#undef NAME
#define NAME(suffix, word, series, alert, is_private, what) word ", "
#define NAMES RMQ_DRILLS(NAME)
static const char which[] =
    "name one drill: " NAMES
    "as in warren drill backlog --private; or list, which explains them, or "
    "--cleanup";
#undef NAMES
#undef NAME

static struct warren_ask ask_of(struct session *s) {
  return (struct warren_ask){
      .name = "warren drill",
      .usage = usage,
      .description =
          "Makes one fault, in a virtual host of its own, and reports whether "
          "indicator and\nalert came and went. warren drill --cleanup removes "
          "what killed ones have left,\nand what those that run now have.",
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status: 0 all came and went, 1 not all of it, or it could not "
          "be run,\n2 wrong arguments, or the cluster was not confirmed.",
      .table = cli_options,
      .object = &s->cli,
      .wants_help = &s->cli.help,
      .usage_status = WARREN_EXIT_USAGE};
}

static void host_log(void *ctx, const struct rmq_log_record *record) {
  const struct session *s = ctx;
  if (s->cli.verbose)
    warren_ask_print(&s->config, record);
}

/* ---- confirmation ---- */

#define SHOWN_BY "rabbitmqctl cluster_status shows it as \"Cluster name\""

/* Typed by a person at a terminal, or given as an argument. */
static int confirm(struct session *s, const struct warren_ask *ask,
                   const char *cluster) {
  char typed[NAME_BYTES_MAX] = "";
  if (s->cli.yes_on != NULL) {
    if (strcmp(s->cli.yes_on, cluster) == 0)
      return 0;
    warren_ask_complain(ask, "--yes-on names another cluster than the one that "
                             "answers; a node's name is not the cluster's, "
                             "and " SHOWN_BY);
    return -1;
  }
  if (isatty(STDIN_FILENO) != 1) {
    warren_ask_complain(ask, "nobody can confirm without a terminal; --yes-on "
                             "CLUSTER does, with its name; " SHOWN_BY);
    return -1;
  }
  fprintf(stderr, "%s the cluster at %s.\nType its name (" SHOWN_BY "): ",
          s->cli.cleanup
              ? "The virtual hosts of all drills, also of those that "
                "run now, are about to be removed from"
              : "A fault is about to be made on",
          s->config.urls.items[0]);
  if (fgets(typed, sizeof(typed), stdin) != NULL) {
    typed[strcspn(typed, "\n")] = '\0';
    if (strcmp(typed, cluster) == 0)
      return 0;
  }
  warren_ask_complain(ask, "that is not its name; nothing was done");
  return -1;
}

/* ---- the command ---- */

static void on_signal(int signal) {
  (void)signal;
  is_stopping = 1;
}

static void catch_signals(void) {
  struct sigaction action = {.sa_handler = on_signal};
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGHUP, &action, NULL);
}

/* "http://[::1]:15672" -> "[::1]" */
static void host_of_url(const char *url, char ret_host[HOST_BYTES_MAX]) {
  const char *host = strstr(url, "://");
  host = host != NULL ? host + 3 : url;
  size_t len = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");
  snprintf(ret_host, HOST_BYTES_MAX, "%.*s", (int)len, host);
}

static const char *cell(double seconds, char text[CELL_SIZE]) {
  if (isnan(seconds))
    snprintf(text, CELL_SIZE, "never");
  else
    snprintf(text, CELL_SIZE, "%.1f s", seconds);
  return text;
}

static void print_result(enum rmq_drill_kind kind,
                         const struct rmq_drill_result *r) {
  char moved[CELL_SIZE], raised[CELL_SIZE], over[CELL_SIZE];
  printf("%-18s  %-25s  %9s  %9s  %9s\n", "DRILL", "INDICATOR", "MOVED",
         "FAILURE", "OKAY");
  printf("%-18s  %-25s  %9s  %9s  %9s\n", rmq_drill_kind_to_str(kind),
         rmq_drill_kind_series(kind), cell(r->moved_s, moved),
         cell(r->raised_s, raised), cell(r->over_s, over));
  if (r->is_shared)
    printf("That %s moved may be the doing of others, too: it is the whole "
           "cluster's.\n",
           rmq_drill_kind_series(kind));
}

static int run_drill(struct rmq_drill *d, const struct warren_ask *ask,
                     enum rmq_drill_kind kind) {
  struct rmq_error err = {.text = ""};
  struct rmq_drill_result result;
  int rc = rmq_drill_run(d, kind, &result, &err);
  if (rc != 0)
    warren_ask_complain(ask, err.text);
  if (result.is_made) /* else it would say that nothing was noticed */
    print_result(kind, &result);
  return rc == 0 && rmq_drill_passed(&result) ? WARREN_EXIT_OK
                                              : WARREN_EXIT_FAILED;
}

static int run_cleanup(struct rmq_drill *d, const struct warren_ask *ask) {
  struct rmq_error err = {.text = ""};
  size_t count = 0, left = 0;
  if (rmq_drill_cleanup(d, &count, &left, &err) != 0) {
    warren_ask_complain(ask, err.text);
    return WARREN_EXIT_FAILED;
  }
  printf("%zu virtual hosts removed\n", count);
  if (left == 0)
    return WARREN_EXIT_OK;
  rmq_error_set(&err, "%zu more are left; run it again", left);
  warren_ask_complain(ask, err.text);
  return WARREN_EXIT_FAILED;
}

static void prepare(struct session *s) {
  s->host = warren_ask_host(s, host_log, NULL);
  s->config.has_no_checks = true;
  if (s->config.interval.ns == 0)
    s->config.interval = rmq_s(1);
}

/* kind NULL = cleanup; owner NULL = somebody's broker */
static int run(struct session *s, const struct warren_ask *ask,
               const enum rmq_drill_kind *kind,
               const struct rmq_drill_owner *owner) {
  char host[HOST_BYTES_MAX];
  struct rmq_error err = {.text = ""};
  struct rmq_buf cluster;
  host_of_url(s->config.urls.items[0], host);
  const struct rmq_drill_config config = {
      .monitor = &s->config,
      .amqp = s->cli.amqp != NULL ? s->cli.amqp : host,
      .amqp_tls = s->cli.amqp_tls,
      .hold = s->cli.hold,
      .limit = s->cli.limit,
      .errors_limit = s->cli.errors,
      .is_stopping = &is_stopping,
      .owner = owner};
  prepare(s);
  struct rmq_drill *d = rmq_drill_new(&s->host, &config, &err);
  rmq_buf_init(&cluster, NAME_BYTES_MAX);
  int status = WARREN_EXIT_FAILED;
  if (d == NULL || rmq_drill_cluster(d, &cluster, &err) != 0) {
    warren_ask_complain(ask, err.text);
  } else if (owner == NULL && confirm(s, ask, rmq_buf_text(&cluster)) != 0) {
    status = WARREN_EXIT_USAGE;
  } else {
    catch_signals();
    status = kind == NULL ? run_cleanup(d, ask) : run_drill(d, ask, *kind);
  }
  rmq_buf_fini(&cluster);
  s->is_left_behind = d != NULL && rmq_drill_is_left_behind(d);
  rmq_drill_free(d);
  return status;
}

/* What names another broker would not be what it is about. */
static int check_private(const struct session *s,
                         const struct warren_ask *ask) {
  if (!s->config.urls.is_default || s->config.metrics_urls.count > 0 ||
      s->config.password_file != NULL || s->cli.amqp != NULL ||
      s->cli.amqp_tls || s->cli.yes_on != NULL || s->cli.cleanup) {
    warren_ask_complain(ask, "--private starts its own broker: no --url, "
                             "--metrics-url, --password-file, --amqp, "
                             "--amqp-tls, --yes-on or --cleanup with it");
    return -1;
  }
  return 0;
}

static int set_access(struct session *s, const struct warren_drill_access *a,
                      struct rmq_error *err) {
  const struct rmq_option *const table = rmq_role_monitor_options;
  return rmq_options_set_text(table, &s->config, "URL", a->url, NULL, err) ||
                 rmq_options_set_text(table, &s->config, "MetricsURL",
                                      a->metrics_url, NULL, err) ||
                 rmq_options_set_text(table, &s->config, "User", a->user, NULL,
                                      err) ||
                 rmq_options_set_text(table, &s->config, "Password",
                                      a->password, NULL, err) ||
                 rmq_options_set_text(cli_options, &s->cli, "Amqp", a->amqp,
                                      NULL, err)
             ? -1
             : 0;
}

static int run_private(struct session *s, const struct warren_ask *ask,
                       const enum rmq_drill_kind *kind) {
  struct rmq_error err = {.text = ""};
  int status = WARREN_EXIT_FAILED;
  if (check_private(s, ask) != 0)
    return WARREN_EXIT_USAGE;
  catch_signals();
  struct warren_drill_broker *b =
      warren_drill_broker_start(s->cli.rabbitmq_bin, &is_stopping, &err);
  if (b == NULL || set_access(s, warren_drill_broker_get(b), &err) != 0) {
    warren_ask_complain(ask, err.text);
  } else {
    const struct rmq_drill_owner owner = warren_drill_broker_owner(b);
    status = run(s, ask, kind, &owner);
  }
  warren_drill_broker_end(b);
  return status;
}

static int list(void) {
  for (int k = 0; k < RMQ_DRILLS_COUNT; k++)
    printf("%-18s  %s\n", rmq_drill_kind_to_str((enum rmq_drill_kind)k),
           rmq_drill_kind_help((enum rmq_drill_kind)k));
  return WARREN_EXIT_OK;
}

/* An option whose value, if it has one, is not the next argument. */
static bool is_flag(const char *text) {
  const char *name = strncmp(text, "--", 2) == 0 ? text + 2 : text;
  const struct rmq_option *row = rmq_options_find_kebab(cli_options, name);
  if (row == NULL)
    row = rmq_options_find_kebab(rmq_role_monitor_options, name);
  return strchr(name, '=') != NULL ||
         (row != NULL && row->type == RMQ_OPT_BOOLEAN);
}

/* The drill that is named behind an option, or NULL. */
static const char *late_name(int argc, char *const *argv) {
  enum rmq_drill_kind kind;
  for (int i = 2; i < argc; i++) {
    const char *before = argv[i - 1];
    bool is_value = before[0] == '-' && !is_flag(before);
    if (!is_value && rmq_drill_kind_from_str(argv[i], &kind) == 0)
      return argv[i];
  }
  return NULL;
}

static int complain_of_order(const struct warren_ask *ask, const char *name) {
  struct rmq_error err = {.text = ""};
  rmq_error_set(&err,
                "the drill comes first: warren drill %s [OPTIONS], as in "
                "warren drill %s --private",
                name, name);
  warren_ask_complain(ask, err.text);
  return WARREN_EXIT_USAGE;
}

/* Not repeated, here or in the log. */
static int check_amqp(const struct session *s, const struct warren_ask *ask) {
  if (s->cli.amqp == NULL || strchr(s->cli.amqp, '@') == NULL)
    return 0;
  warren_ask_complain(ask, "--amqp: a user or password inside it is not "
                           "allowed, since hosts are logged; use --user and "
                           "--password-file");
  return -1;
}

static int read_and_run(struct session *s, int argc, char *const *argv) {
  struct warren_ask ask = ask_of(s);
  enum rmq_drill_kind kind = RMQ_DRILL_BACKLOG;
  const char *late = late_name(argc, argv);
  bool has_name = argc > 1 && argv[1][0] != '-';
  if (has_name && strcmp(argv[1], "list") == 0)
    return list();
  if (has_name && rmq_drill_kind_from_str(argv[1], &kind) != 0) {
    warren_ask_complain(&ask, "there is no such drill; warren drill list says "
                              "which there are");
    return WARREN_EXIT_USAGE;
  }
  if (!has_name && late != NULL)
    return complain_of_order(&ask, late);
  int skip = has_name ? 1 : 0;
  int status = warren_ask_read(&ask, &s->config, argc - skip, argv + skip);
  if (status >= 0)
    return status;
  if (has_name == s->cli.cleanup) {
    warren_ask_complain(&ask, which);
    return WARREN_EXIT_USAGE;
  }
  if (check_amqp(s, &ask) != 0)
    return WARREN_EXIT_USAGE;
  if (s->cli.is_private)
    return run_private(s, &ask, has_name ? &kind : NULL);
  return run(s, &ask, has_name ? &kind : NULL, NULL);
}

int warren_drill(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  int status = read_and_run(s, argc, argv);
  if (s->is_left_behind)
    exit(status);
  rmq_options_fini(rmq_role_monitor_options, &s->config);
  rmq_options_fini(cli_options, &s->cli);
  free(s);
  return status;
}
