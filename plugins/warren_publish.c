/* SPDX-License-Identifier: MIT */
/*
 * warren publish: standard input to RabbitMQ, with confirms and the module's
 * spool. Standard input waits while the queue is at its bound.
 */
#include "rmq_config.h"

#include "plugins/warren_publish.h"

#include "common/host/host_execd.h"
#include "plugins/warren.h"
#include "plugins/warren_publish_input.h"
#include "plugins/warren_publish_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DRAIN_LOOK_MS = 20 };

struct session {
  struct warren_publish_options options;
  struct rmq_execd execd;
  struct rmq_host host; /* execd's, with a log that says less */
  struct warren_voice voice;
  char hostname[256];
  struct rmq_role_publish *role;
  struct warren_publish_page *page; /* with --listen */
  struct warren_publish_input in;
};

static int complain_of_start(const struct session *s, const char *why) {
  warren_say(&s->voice, RMQ_LOG_ERROR, "not_started", "cannot start: %s", why);
  return WARREN_EXIT_FAILED;
}

static struct rmq_mono mono(const struct session *s) {
  return s->host.mono(s->host.ctx);
}

/* ------------------------------------------------------------------------
 * The end */

/* With --wait until the last message has ended. */
static bool has_ended(struct session *s) {
  uint64_t open = 0;
  struct rmq_publish_totals t;
  if (s->options.cli.wait) {
    warren_fates_ended(&s->in.fates, &open);
    return open == 0;
  }
  rmq_role_publish_totals(s->role, &t);
  return t.waiting == 0 && t.spooled == 0;
}

/* True when the role may be freed. */
static bool drain(struct session *s) {
  struct rmq_dur shutdown = s->options.publish.connection.shutdown_timeout;
  s->in.progress = mono(s);
  if (!s->options.cli.wait && !warren_publish_is_told_to_end(&s->in))
    s->in.told_to_end = mono(s);
  while (!has_ended(s) && warren_publish_is_patient(&s->in))
    warren_publish_wait(&s->in, false,
                        s->options.cli.wait ? 1000 : DRAIN_LOOK_MS);
  struct rmq_mono until =
      rmq_mono_add(mono(s), has_ended(s) ? shutdown : rmq_s(1));
  rmq_role_publish_stop(s->role, until);
  return rmq_role_publish_join(s->role, rmq_mono_add(until, rmq_ms(500)));
}

/* Without --wait: nothing may be lost without a word. */
static bool print_totals(struct session *s) {
  struct rmq_publish_totals t;
  rmq_role_publish_totals(s->role, &t);
  uint64_t failed = t.returned + t.rejected + t.expired + t.dropped;
  uint64_t unknown = t.waiting;
  if (failed + unknown > 0)
    warren_say(&s->voice, RMQ_LOG_ERROR, "not_arrived",
               "%" PRIu64 " message%s did not arrive: %" PRIu64
               " returned, %" PRIu64 " rejected, %" PRIu64 " expired, %" PRIu64
               " dropped, %" PRIu64 " unknown",
               failed + unknown, failed + unknown == 1 ? "" : "s", t.returned,
               t.rejected, t.expired, t.dropped, unknown);
  if (t.spooled > 0)
    warren_say(&s->voice, RMQ_LOG_WARNING, "spooled",
               "%" PRIu64 " message%s in %s/%s.spool for the next start",
               t.spooled, t.spooled == 1 ? " waits" : "s wait",
               s->options.publish.spool_dir, s->options.cli.name);
  for (int i = 0; i < RMQ_PUBLISH_TOTALS_REFUSED; i++)
    if (t.refused[i].messages > 0)
      warren_say(&s->voice, failed > 0 ? RMQ_LOG_ERROR : RMQ_LOG_WARNING,
                 "last_refusal",
                 "%" PRIu64 " of them: the broker's last refusal: %s",
                 t.refused[i].messages, t.refused[i].why);
  return failed + unknown == 0;
}

/* Reads, publishes, and says what became of it. */
static int run_role(struct session *s) {
  struct rmq_error err = {.text = ""};
  const struct rmq_fate_sink sink = {&s->in.fates, warren_fates_tell};
  rmq_role_publish_on_fate(s->role, &sink);
  if (rmq_role_publish_start(s->role, &err) != 0) {
    int status = complain_of_start(s, err.text);
    if (rmq_role_publish_is_left_behind(s->role))
      _exit(status); /* as below */
    return status;
  }
  warren_publish_read(&s->in);
  bool is_joined = drain(s);
  bool is_good = s->options.cli.wait
                     ? warren_fates_print(&s->in.fates, &s->voice)
                     : print_totals(s);
  if (!is_joined) /* its threads may use all of it */
    _exit(WARREN_EXIT_FAILED);
  return is_good && s->in.lost == 0 ? WARREN_EXIT_OK : WARREN_EXIT_FAILED;
}

static int run(struct session *s) {
  struct rmq_error err = {.text = ""};
  s->role = rmq_role_publish_new(&s->options.publish, s->options.cli.name,
                                 &s->host, &err);
  if (s->role != NULL &&
      warren_publish_input_init(&s->in, &s->options, &s->host, &s->voice,
                                s->role) == 0) {
    int status = run_role(s);
    rmq_role_publish_free(s->role);
    warren_publish_input_fini(&s->in);
    return status;
  }
  rmq_role_publish_free(s->role);
  return complain_of_start(s,
                           s->role == NULL ? err.text : "no file descriptors");
}

static int add_to_page(void *ctx, const struct rmq_sample *sample) {
  struct session *s = ctx;
  return warren_publish_page_sample(s->page, sample);
}

/* Instead of standard input. */
static int run_by_http(struct session *s) {
  const struct warren_publish_options *o = &s->options;
  struct rmq_error err = {.text = ""};
  bool is_joined = true;
  s->page = warren_publish_page_new(o->cli.name);
  s->host.sample = add_to_page;
  if (s->page == NULL)
    rmq_error_set(&err, "out of memory");
  else
    s->role = rmq_role_publish_new(&o->publish, o->cli.name, &s->host, &err);
  if (s->role == NULL) {
    warren_publish_page_free(s->page);
    return complain_of_start(s, err.text);
  }
  int status = warren_publish_listen_run(
      &o->listen, &o->publish, s->role, &s->host, &s->voice, s->page,
      o->publish.connection.shutdown_timeout, &is_joined);
  if (!is_joined) /* its threads may use all of it */
    _exit(status);
  rmq_role_publish_free(s->role);
  warren_publish_page_free(s->page);
  return status;
}

/* ------------------------------------------------------------------------
 * The log */

/* What the lines at the end say of single messages anyway. */
static bool is_said_later(const struct session *s, const char *event) {
  static const char *const events[] = {"given_up", "returned", "nacked",
                                       "abandoned"};
  for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++)
    if (s->options.cli.wait && strcmp(event, events[i]) == 0)
      return true;
  return false;
}

static void log_record(void *ctx, const struct rmq_log_record *record) {
  struct session *s = ctx;
  if (s->options.cli.verbose ||
      (record->level <= RMQ_LOG_WARNING && !is_said_later(s, record->event)))
    s->execd.host.log(s->execd.host.ctx, record);
}

static void init_host(struct session *s) {
  rmq_execd_init(&s->execd, STDOUT_FILENO, STDERR_FILENO,
                 (enum rmq_log_format)s->options.publish.connection.log_format);
  if (gethostname(s->hostname, sizeof(s->hostname) - 1) != 0)
    s->hostname[0] = '\0';
  s->host = s->execd.host;
  s->host.ctx = s;
  s->host.hostname = s->hostname;
  s->host.log = log_record;
  s->voice = (struct warren_voice){"warren publish", "rabbitmq_publish",
                                   s->options.cli.name, &s->execd};
  if (s->options.listen.listen != NULL)
    s->options.cli.verbose = true; /* it runs like a daemon */
}

int warren_publish(int argc, char *const *argv) {
  struct session *s = calloc(1, sizeof(*s));
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  int status = warren_publish_read_args(&s->options, argc, argv);
  if (status < 0) {
    init_host(s);
    status = s->options.listen.listen != NULL ? run_by_http(s) : run(s);
    rmq_execd_fini(&s->execd);
  }
  warren_publish_options_fini(&s->options);
  free(s);
  return status;
}
