/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_consume.h"

#include "plugins/warren.h"

#include "common/host/host_execd_args.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PREFETCH = 256, PREFETCH_OF_EACH = 4 };
enum { GIVE_UP_AFTER_S = 60 };
/* Of a message, where it is only handed on: the most that a broker takes by
 * itself. And where it is read. */
enum { WHOLE_BYTES = 128 * 1024 * 1024, READ_BYTES = 1024 * 1024 };

static const char types_db[] = "/usr/share/collectd/types.db";

/* As enum rmq_on_failure has them; what a command had is not kept for a
 * quarantine. */
static const char *const failure_words[] = {"dead-letter", "requeue", "drop",
                                            NULL};

#define FIELD(member) .offset = offsetof(struct warren_consume_cli, member)

static const struct rmq_option cli_options[] = {
    {.name = "Name",
     .type = RMQ_OPT_STRING,
     FIELD(name),
     .default_value = "main",
     .help = "Name of the consumer in the log"},
    {.name = "Output",
     .type = RMQ_OPT_ENUM,
     FIELD(output),
     .default_value = "raw",
     .choices = rmq_print_words,
     .help = "What is written of each message: its body, its values as line "
             "protocol, or an object with all that is known"},
    {.name = "Null",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(null),
     .default_value = "false",
     .help = "A zero byte behind each message in place of a newline"},
    {.name = "Sync",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(sync),
     .default_value = "false",
     .help = "Messages count as written when the file is on the disk"},
    {.name = "Count",
     .type = RMQ_OPT_INTEGER,
     FIELD(count),
     .default_value = "0",
     .unit = "messages",
     .help = "End after so many messages; 0 = any number"},
    {.name = "Drain",
     .type = RMQ_OPT_DURATION,
     FIELD(drain),
     .default_value = "0",
     .max = 86400,
     .unit = "seconds",
     .help = "End when no message has come for so long; 0 = never"},
    {.name = "GiveUpAfter",
     .type = RMQ_OPT_DURATION,
     FIELD(give_up_after),
     .max = 86400,
     .unit = "seconds",
     .help = "End with status 1 when broker or queue have been away for so "
             "long; 0 = never; without it 60 with --count or --drain, else "
             "never"},
    {.name = "TypesDB",
     .type = RMQ_OPT_STRING,
     FIELD(types_db),
     .help = "collectd's list of types, for --output influx; without it the "
             "one of collectd's package, if it is there"},
    {.name = "Exec",
     .type = RMQ_OPT_STRING,
     FIELD(exec),
     .help = "A command that gets each message on its standard input, in place "
             "of standard output; arguments for it stand behind --"},
    {.name = "OnFailure",
     .type = RMQ_OPT_ENUM,
     FIELD(on_failure),
     .default_value = "requeue",
     .choices = failure_words,
     .help = "What becomes of a message whose command fails"},
    {.name = "Timeout",
     .type = RMQ_OPT_DURATION,
     FIELD(timeout),
     .default_value = "60",
     .max = 86400,
     .unit = "seconds",
     .help = "A command that runs for longer is ended and has failed; 0 = "
             "never"},
    {.name = "Parallel",
     .type = RMQ_OPT_INTEGER,
     FIELD(parallel),
     .default_value = "1",
     .min = 1,
     .max = 256,
     .unit = "commands",
     .help = "Most commands at a time"},
    {.name = "Help",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(help),
     .default_value = "false",
     .help = "This text"},
    RMQ_OPTIONS_END};

/* Standard error is the log; values are not looked at one by one; and what a
 * message does here is written, never merely dispatched. */
static const char *const not_here[] = {"LogFile",
                                       "ReportStats",
                                       "AckWhen",
                                       "WrittenTimeout",
                                       "OnWrittenTimeout",
                                       "BackpressureQueueLength",
                                       "OnDispatchError",
                                       "AllowHost",
                                       "AllowPlugin",
                                       "HostFromHeader",
                                       "RewriteHost",
                                       "MaxAge",
                                       "MaxClockSkew",
                                       "OnMixedMessage",
                                       "Notifications",
                                       "NotificationRate",
                                       NULL};

enum { ROWS_MAX = 112 };

/* The module's rows with our default. */
static const struct rmq_option *module_rows(void) {
  static struct rmq_option rows[ROWS_MAX];
  size_t n = 0;
  for (const struct rmq_option *row = rmq_consume_option_table;
       row->name != NULL && n < ROWS_MAX - 1; row++) {
    rows[n] = *row;
    if (strcmp(row->name, "MaxMessageBytes") == 0)
      rows[n].default_value = "128MiB";
    n++;
  }
  rows[n] = (struct rmq_option)RMQ_OPTIONS_END;
  return rows;
}

static void complain(const char *text) {
  fprintf(stderr, "E! warren consume: %s\n", text);
}

static void print_help(const struct rmq_execd_args *args) {
  struct rmq_buf text;
  rmq_buf_init(&text, 64 * 1024);
  rmq_execd_help(args, &text);
  fputs(rmq_buf_text(&text), stdout);
  rmq_buf_fini(&text);
}

/* Errors of check are lines. */
static int check(const struct warren_consume_args *a) {
  struct rmq_buf errors;
  rmq_buf_init(&errors, 16 * 1024);
  int rc = rmq_consume_options_check(&a->options, &errors);
  const char *line = rmq_buf_text(&errors);
  while (rc != 0 && line[0] != '\0') {
    size_t len = strcspn(line, "\n");
    fprintf(stderr, "E! warren consume: %.*s\n", (int)len, line);
    line += len + (line[len] == '\n' ? 1 : 0);
  }
  rmq_buf_fini(&errors);
  return rc;
}

/* Whoever asks for an end is told when it will not come. */
static struct rmq_dur give_up_after(const struct warren_consume_cli *cli) {
  bool has_end = cli->count > 0 || cli->drain.ns > 0;
  return rmq_s(has_end ? GIVE_UP_AFTER_S : 0);
}

/* What follows from the command's own options. */
static void settle_options(struct warren_consume_args *a) {
  struct rmq_consume_options *o = &a->options;
  struct warren_consume_cli *cli = &a->cli;
  int64_t prefetch =
      cli->exec == NULL ? PREFETCH : PREFETCH_OF_EACH * cli->parallel;
  if (o->prefetch_count == 0)
    o->prefetch_count = prefetch;
  if (cli->count > 0 && o->prefetch_count > cli->count)
    o->prefetch_count = cli->count;
  if (o->max_message_bytes == 0)
    o->max_message_bytes =
        cli->output == RMQ_PRINT_INFLUX ? READ_BYTES : WHOLE_BYTES;
  if (cli->give_up_after.ns < 0)
    cli->give_up_after = give_up_after(cli);
  o->backpressure_queue_length = 0;
  o->on_dispatch_error = RMQ_FAILURE_REQUEUE;
  if (o->queue.type == RMQ_QUEUE_TYPE_STREAM) {
    o->on_dispatch_error = RMQ_FAILURE_DROP;
    o->on_written_timeout = 1;
  }
}

/* Where the command's own arguments begin: behind "--", or argc. */
static int find_rest(int argc, char *const *argv) {
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--") == 0)
      return i + 1;
  return argc;
}

static int make_command(struct warren_consume_args *a, char *const *rest,
                        size_t count) {
  if (a->cli.exec == NULL)
    return 0;
  a->command = calloc(count + 2, sizeof(*a->command));
  if (a->command == NULL)
    return -1;
  a->command[0] = a->cli.exec;
  for (size_t i = 0; i < count; i++)
    a->command[i + 1] = rest[i];
  return 0;
}

static const char *conflict(const struct warren_consume_cli *cli,
                            bool has_rest) {
  if (has_rest && cli->exec == NULL)
    return "arguments behind -- are those of --exec, which is missing";
  if (cli->exec != NULL && cli->exec[0] == '\0')
    return "--exec needs a command";
  if (cli->exec != NULL && (cli->sync || cli->null))
    return "--sync and --null are about standard output, not --exec";
  if (cli->null && cli->output == RMQ_PRINT_INFLUX)
    return "--null: line protocol ends in newlines";
  return NULL;
}

static int parse(struct warren_consume_args *a,
                 const struct rmq_execd_args *args, int argc,
                 char *const *argv) {
  struct rmq_error err = {.text = ""};
  int rest = find_rest(argc, argv);
  int own = rest < argc || strcmp(argv[argc - 1], "--") == 0 ? rest - 1 : argc;
  if (rmq_options_init(cli_options, &a->cli, &err) != 0 ||
      rmq_options_init(rmq_consume_option_table, &a->options, &err) != 0) {
    complain(err.text);
    return WARREN_EXIT_FAILED;
  }
  a->options.prefetch_count = 0; /* by the other options, unless it is given */
  a->options.max_message_bytes = 0;
  a->cli.give_up_after.ns = -1;
  if (rmq_execd_parse(args, own, argv, &err) != 0) {
    complain(err.text);
    return WARREN_EXIT_USAGE;
  }
  if (a->cli.help) {
    print_help(args);
    return WARREN_EXIT_OK;
  }
  const char *wrong = conflict(&a->cli, rest < argc);
  if (wrong != NULL) {
    complain(wrong);
    return WARREN_EXIT_USAGE;
  }
  settle_options(a);
  if (make_command(a, argv + rest, (size_t)(argc - rest)) != 0) {
    complain("no memory");
    return WARREN_EXIT_FAILED;
  }
  return check(a) == 0 ? -1 : WARREN_EXIT_USAGE;
}

/* The environment's, where no option names a file. */
static void take_password(struct rmq_connection_options *o) {
  const char *password = getenv("WARREN_PASSWORD");
  char *copy =
      password != NULL && o->password_file == NULL ? strdup(password) : NULL;
  if (copy == NULL)
    return;
  free(o->password);
  o->password = copy;
}

static void find_types(struct warren_consume_cli *cli) {
  FILE *f = cli->types_db == NULL ? fopen(types_db, "re") : NULL;
  if (f == NULL)
    return;
  fclose(f);
  cli->types_db = strdup(types_db);
}

int warren_consume_args_read(struct warren_consume_args *a, int argc,
                             char *const *argv) {
  struct rmq_execd_options options[] = {
      {"Options of the command:", cli_options, &a->cli},
      {"Options of the consumer, as in collectd's module rabbitmq_consume:",
       module_rows(), &a->options},
      {NULL, NULL, NULL}};
  struct rmq_execd_args args = {
      .usage = "warren consume --queue NAME [OPTIONS] [--exec COMMAND [-- "
               "ARGUMENT...]]",
      .description =
          "Writes messages to standard output and acknowledges each when it is "
          "written,\nor hands each to a command and acknowledges it when that "
          "exits with 0.",
      .options = options,
      .not_here = not_here,
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status: 0 ended by a signal, --count or --drain, 1 not "
          "started, "
          "standard\noutput gone, the command cannot be run, not all in hand "
          "was finished in time,\n--give-up-after, or, with --count and "
          "--drain, a message was rejected, or with\n--count a command failed, "
          "2 wrong arguments."};
  int status = parse(a, &args, argc, argv);
  if (status >= 0)
    return status;
  take_password(&a->options.connection);
  find_types(&a->cli);
  return -1;
}

void warren_consume_args_fini(struct warren_consume_args *a) {
  free(a->command);
  rmq_options_fini(rmq_consume_option_table, &a->options);
  rmq_options_fini(cli_options, &a->cli);
}
