/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_ask.h"

#include "common/host/host_clock.h"
#include "common/role/probe_options.h"
#include "plugins/warren.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Standard error is the log, and nothing runs longer than its last request. */
static const char *const not_here[] = {"LogFile", "ShutdownTimeout", NULL};
/* Of a command that looks once or twice. */
static const char *const not_here_either[] = {"LogFile", "ShutdownTimeout",
                                              "Alert", "Baseline", NULL};

/* For the probe to say good-bye; a broker that hangs is not waited for. */
enum { GOODBYE_S = 1, SLACK_S = 1 };

void warren_ask_complain(const struct warren_ask *ask, const char *text) {
  fprintf(stderr, "E! %s: %s\n", ask->name, text);
}

void warren_ask_print(const struct rmq_role_monitor_config *config,
                      const struct rmq_log_record *record) {
  struct rmq_buf line;
  rmq_buf_init(&line, RMQ_LOG_LINE_MAX);
  rmq_log_render((enum rmq_log_format)config->log_format, record, &line);
  fprintf(stderr, "%s\n", rmq_buf_text(&line));
  rmq_buf_fini(&line);
}

static void ignore_event(void *ctx, const struct rmq_event *event) {
  (void)ctx;
  (void)event;
}

struct rmq_host
warren_ask_host(void *ctx,
                void (*log)(void *ctx, const struct rmq_log_record *record),
                int (*sample)(void *ctx, const struct rmq_sample *sample)) {
  return (struct rmq_host){.ctx = ctx,
                           .service = "warren",
                           .hostname = "",
                           .log = log,
                           .mono = rmq_host_mono,
                           .wall = rmq_host_wall,
                           .random = rmq_host_random,
                           .sample = sample,
                           .event = ignore_event};
}

enum { ROWS_MAX = 48 };

/* The module's rows. Without --interval each command has a time of its own. */
static const struct rmq_option *module_rows(void) {
  static struct rmq_option rows[ROWS_MAX];
  size_t n = 0;
  for (const struct rmq_option *row = rmq_role_monitor_options;
       row->name != NULL && n < ROWS_MAX - 1; row++) {
    rows[n] = *row;
    if (strcmp(row->name, "Interval") == 0)
      rows[n].default_value = NULL;
    n++;
  }
  rows[n] = (struct rmq_option)RMQ_OPTIONS_END;
  return rows;
}

static struct rmq_execd_args make_args(struct rmq_execd_options options[3],
                                       const struct warren_ask *ask,
                                       struct rmq_role_monitor_config *config) {
  options[0] = (struct rmq_execd_options){"Options of the command:", ask->table,
                                          ask->object};
  options[1] = (struct rmq_execd_options){
      "Options of the monitor, as in collectd's module rabbitmq_monitor:",
      module_rows(), config};
  options[2] = (struct rmq_execd_options){NULL, NULL, NULL};
  return (struct rmq_execd_args){
      .usage = ask->usage,
      .description = ask->description,
      .options = options,
      .not_here = ask->has_blocks ? not_here : not_here_either,
      .has_blocks = ask->has_blocks || ask->has_probe,
      .epilogue = ask->epilogue};
}

/* The probe has a user and a password of its own. */
static void take_probe_password(struct rmq_role_monitor_config *config) {
  const char *password = getenv("WARREN_PROBE_PASSWORD");
  for (size_t i = 0; password != NULL && i < config->probes.count; i++) {
    struct rmq_probe_options *probe = config->probes.items[i];
    if (probe->connection.password_file == NULL)
      probe->connection.password = strdup(password);
  }
}

static void print_help(const struct rmq_execd_args *args) {
  struct rmq_buf text;
  rmq_buf_init(&text, 64 * 1024);
  rmq_execd_help(args, &text);
  fputs(rmq_buf_text(&text), stdout);
  rmq_buf_fini(&text);
}

/* Errors of check are lines. */
static int check(const struct warren_ask *ask,
                 const struct rmq_role_monitor_config *config) {
  struct rmq_buf errors;
  rmq_buf_init(&errors, 16 * 1024);
  int rc = rmq_role_monitor_check(config, &errors);
  const char *line = rmq_buf_text(&errors);
  while (rc != 0 && line[0] != '\0') {
    size_t len = strcspn(line, "\n");
    fprintf(stderr, "E! %s: %.*s\n", ask->name, (int)len, line);
    line += len + (line[len] == '\n' ? 1 : 0);
  }
  rmq_buf_fini(&errors);
  return rc;
}

int warren_ask_read(const struct warren_ask *ask,
                    struct rmq_role_monitor_config *config, int argc,
                    char *const *argv) {
  struct rmq_execd_options options[3];
  struct rmq_execd_args args = make_args(options, ask, config);
  struct rmq_error err = {.text = ""};
  if (rmq_options_init(ask->table, ask->object, &err) != 0 ||
      rmq_options_init(rmq_role_monitor_options, config, &err) != 0) {
    warren_ask_complain(ask, err.text);
    return ask->usage_status;
  }
  config->interval.ns = 0;
  if (ask->has_probe)
    config->shutdown_timeout = rmq_s(GOODBYE_S);
  const char *password = getenv("WARREN_PASSWORD");
  if (rmq_execd_parse(&args, argc, argv, &err) != 0) {
    warren_ask_complain(ask, err.text);
    return ask->usage_status;
  }
  if (*ask->wants_help) {
    print_help(&args);
    return WARREN_EXIT_OK;
  }
  if (password != NULL && config->password_file == NULL)
    config->password = strdup(password);
  take_probe_password(config);
  return check(ask, config) == 0 ? -1 : ask->usage_status;
}

int warren_ask_start(const struct warren_ask *ask,
                     struct rmq_role_monitor *role) {
  struct rmq_error err = {.text = ""};
  if (rmq_role_monitor_start_beside(role, &err) != 0) {
    warren_ask_complain(ask, err.text);
    return -1;
  }
  rmq_role_monitor_await_probe(role);
  return 0;
}

void warren_ask_stop(struct rmq_role_monitor *role, int status) {
  rmq_role_monitor_tell_stop(role);
  struct rmq_mono due =
      rmq_mono_add(rmq_host_mono(NULL), rmq_s(GOODBYE_S + SLACK_S));
  if (rmq_role_monitor_await_stop(role, due) != 0)
    exit(status);
  rmq_role_monitor_free(role);
}
