/* SPDX-License-Identifier: MIT */
/*
 * warren status: the five indicators for a person, once or again and again.
 */
#include "rmq_config.h"

#include "plugins/warren.h"
#include "plugins/warren_ask.h"
#include "plugins/warren_screen.h"

#include "common/base/options.h"
#include "common/host/host_clock.h"
#include "common/role/role_monitor.h"
#include "common/role/status.h"
#include "common/role/status_json.h"
#include "common/role/status_text.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TEXT_BYTES_MAX = 1024 * 1024 };

enum colour { COLOUR_AUTO, COLOUR_ALWAYS, COLOUR_NEVER };
static const char *const colours[] = {"auto", "always", "never", NULL};
static const char default_watch[] = "--watch=5";

/* What only this command has. */
struct cli {
  char *name;
  struct rmq_dur over, watch; /* watch 0 = once */
  int64_t top;
  int colour;
  bool json, verbose, help;
};

static const struct rmq_option cli_options[] = {
    {.name = "Watch",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct cli, watch),
     .default_value = "0",
     .min = 0,
     .max = 3600,
     .help = "Looks again and again, so far apart (5 seconds where no time "
             "follows), with sparklines; on a terminal in place"},
    {.name = "Over",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct cli, over),
     .default_value = "10",
     .min = 0.1,
     .max = 3600,
     .help = "Time between the two looks without --watch; as collectd's "
             "interval, since it sends in bursts"},
    {.name = "Top",
     .type = RMQ_OPT_INTEGER,
     .offset = offsetof(struct cli, top),
     .default_value = "10",
     .min = 0,
     .max = RMQ_STATUS_QUEUES_MAX,
     .help = "How many of the worst queues are shown"},
    {.name = "Json",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, json),
     .default_value = "false",
     .help = "One JSON object per report, on one line"},
    {.name = "Color",
     .alias = "Colour",
     .type = RMQ_OPT_ENUM,
     .offset = offsetof(struct cli, colour),
     .default_value = "auto",
     .choices = colours,
     .help = "Colours; auto is on a terminal, unless NO_COLOR is set"},
    {.name = "Verbose",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct cli, verbose),
     .default_value = "false",
     .help = "The log on standard error"},
    {.name = "Name",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct cli, name),
     .default_value = "main",
     .help = "Name of the cluster"},
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
  struct rmq_role_monitor *role;
  pthread_mutex_t lock; /* of status: the probe has a thread of its own */
  struct rmq_status *status;
  struct rmq_status_style style;
  bool is_on_screen;
};

static struct warren_ask ask_of(struct session *s) {
  return (struct warren_ask){
      .name = "warren status",
      .usage = "warren status [--url URL]... [--watch [TIME]] [OPTIONS]",
      .description =
          "What is wrong with a cluster, where and since when: its five "
          "indicators, nodes\nand worst queues. Looks twice, --over apart.",
      .epilogue =
          "The password comes from --password-file or from the environment "
          "variable\nWARREN_PASSWORD, never from an argument.\n\n"
          "Exit status, of the last report: 0 all five OK, 1 WARNING, 2 "
          "FAILURE (also: no\nanswer), 3 UNKNOWN (also: wrong arguments).",
      .table = cli_options,
      .object = &s->cli,
      .wants_help = &s->cli.help,
      .has_probe = true,
      .usage_status = RMQ_VERDICT_UNKNOWN};
}

/* ---- host ---- */

static void host_log(void *ctx, const struct rmq_log_record *record) {
  struct session *s = ctx;
  pthread_mutex_lock(&s->lock);
  rmq_status_hear(s->status, record);
  pthread_mutex_unlock(&s->lock);
  if (s->cli.verbose)
    warren_ask_print(&s->config, record);
}

static int host_sample(void *ctx, const struct rmq_sample *sample) {
  struct session *s = ctx;
  pthread_mutex_lock(&s->lock);
  rmq_status_see(s->status, sample);
  pthread_mutex_unlock(&s->lock);
  return 0;
}

/* ---- looking and showing ---- */

static int64_t utc_offset(void) {
  time_t now = (time_t)(rmq_host_wall(NULL).ns / RMQ_NS_PER_S);
  struct tm tm;
  return localtime_r(&now, &tm) != NULL ? (int64_t)tm.tm_gmtoff : 0;
}

static void look(struct session *s) {
  pthread_mutex_lock(&s->lock);
  rmq_status_begin(s->status);
  pthread_mutex_unlock(&s->lock);
  rmq_role_monitor_sample(s->role);
  pthread_mutex_lock(&s->lock);
  rmq_status_fall_silent(s->status, rmq_role_monitor_silence(s->role));
  rmq_status_end(s->status, rmq_host_wall(NULL));
  pthread_mutex_unlock(&s->lock);
}

static void render(struct session *s, struct rmq_buf *out) {
  const struct rmq_status_report *r = rmq_status_get(s->status);
  s->style.utc_offset_s = utc_offset();
  if (warren_screen_is_terminal())
    warren_screen_size(&s->style.width, &s->style.height);
  if (!s->is_on_screen)
    s->style.height = 0;
  if (s->cli.json) {
    rmq_status_json(r, s->style.utc_offset_s, out);
    rmq_buf_append_char(out, '\n');
  } else {
    rmq_status_text(r, &s->style, out);
  }
}

/* False when nobody reads it. */
static bool show(struct session *s) {
  struct rmq_buf text;
  bool is_read;
  rmq_buf_init(&text, TEXT_BYTES_MAX);
  pthread_mutex_lock(&s->lock);
  render(s, &text);
  pthread_mutex_unlock(&s->lock);
  if (s->is_on_screen)
    is_read = warren_screen_draw(rmq_buf_text(&text)) == 0;
  else
    is_read = fputs(rmq_buf_text(&text), stdout) >= 0 && fflush(stdout) == 0;
  rmq_buf_fini(&text);
  return is_read;
}

static bool show_again(struct session *s) {
  if (!s->is_on_screen && !s->cli.json && putchar('\n') == EOF)
    return false;
  return show(s);
}

/* ---- the command ---- */

static int run_once(struct session *s) {
  look(s);
  if (rmq_status_get(s->status)->is_answered) {
    struct rmq_mono due = rmq_mono_add(rmq_host_mono(NULL), s->cli.over);
    while (!warren_screen_wait(due))
      ;
    look(s);
  }
  return show(s) ? (int)rmq_status_get(s->status)->state : RMQ_VERDICT_UNKNOWN;
}

/* Until a signal, or until nobody reads. */
static int run_watch(struct session *s) {
  struct rmq_mono due = rmq_host_mono(NULL);
  s->is_on_screen = warren_screen_is_terminal() && !s->cli.json;
  if (s->is_on_screen)
    warren_screen_enter();
  look(s);
  bool is_read = show(s);
  while (is_read) {
    due = rmq_mono_add(due, s->cli.watch);
    if (rmq_mono_reached(rmq_host_mono(NULL), due))
      due = rmq_host_mono(NULL); /* late: no burst to make up for it */
    while (is_read && !warren_screen_wait(due))
      is_read = !s->is_on_screen || show(s);
    if (!is_read)
      break;
    look(s);
    is_read = show_again(s);
  }
  if (s->is_on_screen)
    warren_screen_leave();
  return RMQ_VERDICT_UNKNOWN;
}

static void set_style(struct session *s) {
  s->style =
      (struct rmq_status_style){.has_colour = s->cli.colour == COLOUR_ALWAYS ||
                                              (s->cli.colour == COLOUR_AUTO &&
                                               warren_screen_wants_colour()),
                                .is_utf8 = warren_screen_is_utf8(),
                                .has_history = s->cli.watch.ns > 0};
}

static int run(struct session *s, const struct warren_ask *ask) {
  struct rmq_error err = {.text = ""};
  s->host = warren_ask_host(s, host_log, host_sample);
  s->config.max_vhosts = 0;
  /* The longest that a look may take. */
  if (s->config.interval.ns == 0)
    s->config.interval = s->cli.watch.ns > 0 ? s->cli.watch : s->cli.over;
  if (s->config.interval.ns < RMQ_NS_PER_S)
    s->config.interval = rmq_s(1);
  set_style(s);
  s->status = rmq_status_new(s->cli.name, (size_t)s->cli.top);
  s->role = rmq_role_monitor_new(&s->host, s->cli.name, &s->config, NULL, &err);
  if (s->status == NULL || s->role == NULL) {
    warren_ask_complain(ask, s->role == NULL ? err.text : "out of memory");
    return RMQ_VERDICT_UNKNOWN;
  }
  if (s->config.probes.count > 0)
    rmq_status_expect_probe(s->status);
  if (warren_ask_start(ask, s->role) != 0)
    return RMQ_VERDICT_UNKNOWN;
  int status = s->cli.watch.ns > 0 ? run_watch(s) : run_once(s);
  warren_ask_stop(s->role, status);
  s->role = NULL;
  return status;
}

/* "--watch" may stand alone. NULL without memory; the texts are borrowed. */
static char **complete(int argc, char *const *argv) {
  union {
    const char *in;
    char *out;
  } watch = {.in = default_watch};
  char **args = calloc((size_t)argc + 1, sizeof(*args));
  for (int i = 0; args != NULL && i < argc; i++) {
    bool has_time = i + 1 < argc && isdigit((unsigned char)argv[i + 1][0]) != 0;
    args[i] =
        strcmp(argv[i], "--watch") == 0 && !has_time ? watch.out : argv[i];
  }
  return args;
}

int warren_status(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  char **args = complete(argc, argv);
  int status = RMQ_VERDICT_UNKNOWN;
  if (s != NULL && args != NULL) {
    struct warren_ask ask = ask_of(s);
    pthread_mutex_init(&s->lock, NULL);
    status = warren_ask_read(&ask, &s->config, argc, args);
    if (status < 0)
      status = run(s, &ask);
    rmq_role_monitor_free(s->role);
    rmq_status_free(s->status);
    rmq_options_fini(rmq_role_monitor_options, &s->config);
    rmq_options_fini(cli_options, &s->cli);
    pthread_mutex_destroy(&s->lock);
  }
  free(args);
  free(s);
  return status;
}
