/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_publish.h"

#include "common/base/rkey.h"
#include "common/host/host_execd_args.h"
#include "plugins/warren.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELD(member) .offset = offsetof(struct warren_publish_cli, member)

static const char prefix[] = "E! warren publish: ";
static const char *const format_words[] = {"raw", "influx", NULL};

const struct rmq_option warren_publish_cli_table[] = {
    {.name = "Name",
     .type = RMQ_OPT_STRING,
     FIELD(name),
     .default_value = "publish",
     .help = "Name of the spool's file in SpoolDir, and in the log"},
    {.name = "Format",
     .type = RMQ_OPT_ENUM,
     FIELD(format),
     .default_value = "raw",
     .choices = format_words,
     .help = "What standard input is: opaque lines, or line protocol"},
    {.name = "Whole",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(whole),
     .default_value = "false",
     .help = "All of standard input is one message"},
    {.name = "Null",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(null),
     .default_value = "false",
     .help = "Messages end with a zero byte instead of a newline"},
    {.name = "ContentType",
     .type = RMQ_OPT_STRING,
     FIELD(content_type),
     .help = "Property content_type; without it none, or text/influx"},
    {.name = "MessageId",
     .type = RMQ_OPT_STRING,
     FIELD(message_id),
     .help = "Property message_id of the one message of --whole"},
    {.name = "CorrelationId",
     .type = RMQ_OPT_STRING,
     FIELD(correlation_id),
     .help = "Property correlation_id"},
    {.name = "ReplyTo",
     .type = RMQ_OPT_STRING,
     FIELD(reply_to),
     .help = "Property reply_to"},
    {.name = "Type",
     .type = RMQ_OPT_STRING,
     FIELD(type),
     .help = "Property type"},
    {.name = "Wait",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(wait),
     .default_value = "false",
     .help = "Exit 0 only when the broker has confirmed every message"},
    {.name = "Timeout",
     .type = RMQ_OPT_DURATION,
     FIELD(timeout),
     .default_value = "60",
     .min = 0,
     .max = 1e7,
     .unit = "seconds",
     .help = "With --wait: how long nothing may be confirmed before it gives "
             "up; 0 = for ever"},
    {.name = "Verbose",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(verbose),
     .default_value = "false",
     .help = "The whole log on standard error, not only what is wrong"},
    {.name = "Help",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(help),
     .default_value = "false",
     .help = "This text"},
    RMQ_OPTIONS_END};

/* They are about samples, about a daemon, or settled here. */
static const char *const not_here[] = {"RoutingKeyNotification",
                                       "Metrics",
                                       "Notifications",
                                       "StoreRates",
                                       "GraphitePrefix",
                                       "GraphitePostfix",
                                       "GraphiteEscapeChar",
                                       "GraphiteSeparateInstances",
                                       "GraphiteAlwaysAppendDS",
                                       "GraphitePreserveSeparator",
                                       "MaxOpenBatches",
                                       "OverflowPolicy",
                                       "LogFile",
                                       "ReportStats",
                                       NULL};

/* What differs from the module. Nothing is dropped for room: standard input
 * waits. */
static const struct {
  const char *name, *value;
} defaults[] = {
    {"Exchange", ""}, {"AppId", "warren"}, {"OverflowPolicy", "drop-newest"}};

enum { ROWS_MAX = 96 };

/* The module's rows with our defaults, without Format, which is ours. */
static const struct rmq_option *module_rows(void) {
  static struct rmq_option rows[ROWS_MAX];
  size_t n = 0;
  for (const struct rmq_option *row = rmq_publish_option_table;
       row->name != NULL && n < ROWS_MAX - 1; row++) {
    if (strcmp(row->name, "Format") == 0)
      continue;
    rows[n] = *row;
    for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
      if (strcmp(row->name, defaults[i].name) == 0)
        rows[n].default_value = defaults[i].value;
    n++;
  }
  rows[n] = (struct rmq_option)RMQ_OPTIONS_END;
  return rows;
}

static void complain(const char *text) {
  fprintf(stderr, "%s%s\n", prefix, text);
}

static int set_defaults(struct warren_publish_options *o,
                        struct rmq_error *err) {
  if (rmq_options_init(warren_publish_cli_table, &o->cli, err) != 0 ||
      rmq_options_init(warren_publish_listen_table, &o->listen, err) != 0 ||
      rmq_options_init(rmq_publish_option_table, &o->publish, err) != 0)
    return -1;
  for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
    if (rmq_options_set_text(rmq_publish_option_table, &o->publish,
                             defaults[i].name, defaults[i].value, NULL,
                             err) != 0)
      return -1;
  return 0;
}

static void print_help(const struct rmq_execd_args *args) {
  struct rmq_buf text;
  rmq_buf_init(&text, 64 * 1024);
  rmq_execd_help(args, &text);
  fputs(rmq_buf_text(&text), stdout);
  rmq_buf_fini(&text);
}

/* One line per error. */
static void check_command(const struct warren_publish_options *o,
                          struct rmq_buf *errors) {
  const struct warren_publish_cli *c = &o->cli;
  const struct rmq_publish_options *p = &o->publish;
  bool is_raw = c->format == WARREN_PUBLISH_RAW;
  if (o->listen.listen != NULL) {
    if (c->whole || c->null || c->wait || !is_raw)
      rmq_buf_append_text(errors, "--listen excludes --whole, --null, --wait "
                                  "and --format influx\n");
    warren_publish_listen_check(&o->listen, p, errors);
    is_raw = false; /* each request has exchange and key */
  }
  if (c->whole && (c->null || !is_raw))
    rmq_buf_append_text(errors, "--whole excludes --null and --format "
                                "influx\n");
  if (c->message_id != NULL && !c->whole)
    rmq_buf_append_text(errors, "--message-id needs --whole: no two messages "
                                "may have the same\n");
  if (c->wait && !p->confirm)
    rmq_buf_append_text(errors, "--wait needs --confirm\n");
  if (is_raw && p->routing_key == NULL && p->exchange.name[0] == '\0')
    rmq_buf_append_text(errors, "the default exchange needs --routing-key, "
                                "the name of a queue\n");
  if (is_raw && p->routing_key != NULL && !rmq_rkey_is_fixed(p->routing_key))
    rmq_buf_append_text(errors, "--routing-key: %{...} needs --format "
                                "influx\n");
  if (strpbrk(c->name, "/") != NULL || c->name[0] == '\0' || c->name[0] == '.')
    rmq_buf_append_text(errors, "--name: not the name of a file\n");
}

static int check(const struct warren_publish_options *o) {
  struct rmq_buf errors;
  rmq_buf_init(&errors, 16 * 1024);
  rmq_publish_options_check(&o->publish, &errors);
  check_command(o, &errors);
  const char *line = rmq_buf_text(&errors);
  int rc = line[0] == '\0' ? 0 : -1;
  while (line[0] != '\0') {
    size_t len = strcspn(line, "\n");
    fprintf(stderr, "%s%.*s\n", prefix, (int)len, line);
    line += len + (line[len] == '\n' ? 1 : 0);
  }
  rmq_buf_fini(&errors);
  return rc;
}

static int parse(struct warren_publish_options *o, int argc, char *const *argv,
                 const struct rmq_execd_args *args, struct rmq_error *err) {
  const struct rmq_option *attempts =
      rmq_options_find(rmq_publish_option_table, "MaxAttempts");
  o->publish.max_attempts = 0; /* not a value that can be given */
  if (rmq_execd_parse(args, argc, argv, err) != 0)
    return -1;
  /* Who waits wants the answer, not ten. */
  if (o->publish.max_attempts == 0)
    o->publish.max_attempts =
        o->cli.wait ? 1 : strtoll(attempts->default_value, NULL, 10);
  return 0;
}

static void take_password(struct rmq_connection_options *c) {
  const char *password = getenv("WARREN_PASSWORD");
  if (password == NULL || c->password_file != NULL)
    return;
  char *copy = strdup(password);
  if (copy == NULL)
    return;
  free(c->password);
  c->password = copy;
}

int warren_publish_read_args(struct warren_publish_options *o, int argc,
                             char *const *argv) {
  const struct rmq_execd_options options[] = {
      {"Options of the command:", warren_publish_cli_table, &o->cli},
      {"Messages by HTTP:", warren_publish_listen_table, &o->listen},
      {"Options as in a block <Publish> of collectd's module rabbitmq_publish:",
       module_rows(), &o->publish},
      {NULL, NULL, NULL}};
  const struct rmq_execd_args args = {
      .usage = "warren publish [--exchange NAME] [--routing-key KEY] [--wait] "
               "[OPTIONS]",
      .description =
          "Publishes each line of standard input as a message, with confirms. "
          "Standard input\nwaits while the queue is full; nothing is dropped.",
      .options = options,
      .not_here = not_here,
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument. MaxAttempts is 1 "
          "with --wait.\n\n"
          "Exit status: 0 all is confirmed, or without --wait is safe in the "
          "spool; 1 not\nstarted, or something did not arrive, standard error "
          "says what; 2 wrong\narguments."};
  struct rmq_error err = {.text = ""};
  if (set_defaults(o, &err) != 0 || parse(o, argc, argv, &args, &err) != 0) {
    complain(err.text);
    return WARREN_EXIT_USAGE;
  }
  if (o->cli.help) {
    print_help(&args);
    return WARREN_EXIT_OK;
  }
  take_password(&o->publish.connection);
  return check(o) == 0 ? -1 : WARREN_EXIT_USAGE;
}

void warren_publish_options_fini(struct warren_publish_options *o) {
  rmq_options_fini(rmq_publish_option_table, &o->publish);
  rmq_options_fini(warren_publish_listen_table, &o->listen);
  rmq_options_fini(warren_publish_cli_table, &o->cli);
}
