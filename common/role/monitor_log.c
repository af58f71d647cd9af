/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/monitor_log.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum {
  MONITOR_COMPLAIN_S = 60, /* first repeat of a lasting fault */
  MONITOR_HIDDEN_POLLS = 10
};

const char *rmq_monitor_state_to_str(enum rmq_monitor_state s) {
  switch (s) {
#define RMQ_X(name, text, meaning)                                             \
  case RMQ_MONITOR_##name:                                                     \
    return text;
    RMQ_MONITOR_STATES(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

__attribute__((format(printf, 4, 5))) static void say(struct rmq_monitor_log *l,
                                                      enum rmq_level level,
                                                      const char *event,
                                                      const char *format, ...) {
  char message[900];
  va_list args;
  va_start(args, format);
  vsnprintf(message, sizeof(message), format, args);
  va_end(args);
  const struct rmq_log_record record = {.level = level,
                                        .time = l->host->wall(l->host->ctx),
                                        .service = l->host->service,
                                        .plugin = RMQ_MONITOR_PLUGIN,
                                        .block = l->name,
                                        .event = event,
                                        .state =
                                            rmq_monitor_state_to_str(l->state),
                                        .message = message};
  l->host->log(l->host->ctx, &record);
}

/* The one place where the state changes. True when it did. */
static bool set_state(struct rmq_monitor_log *l, enum rmq_monitor_state state,
                      struct rmq_mono now) {
  if (l->state == state)
    return false;
  l->state = state;
  l->state_since = now;
  return true;
}

static void say_answering(struct rmq_monitor_log *l,
                          const struct rmq_snapshot *s, const char *url,
                          struct rmq_mono now) {
  double seconds = rmq_dur_seconds(rmq_mono_since(now, l->state_since));
  bool was_down = rmq_complain_recover(&l->unreachable);
  if (!set_state(l, RMQ_MONITOR_ANSWERING, now))
    return;
  if (was_down)
    say(l, RMQ_LOG_NOTICE, "reachable", "%s answers again after %.0f s", url,
        seconds);
  else
    say(l, RMQ_LOG_INFO, "reachable", "%s answers, RabbitMQ %s", url,
        s->version[0] == '\0' ? "of unknown version" : s->version);
}

static void say_down(struct rmq_monitor_log *l, enum rmq_monitor_state state,
                     const char *why, struct rmq_mono now) {
  uint64_t missed = 0;
  /* Another kind of fault is news. */
  if (l->state != state)
    rmq_complain_recover(&l->unreachable);
  set_state(l, state, now);
  if (!rmq_complain_report(&l->unreachable, now, &missed))
    return;
  const char *event = state == RMQ_MONITOR_REFUSED ? "refused" : "unreachable";
  if (missed == 0)
    say(l, RMQ_LOG_ERROR, event,
        "the broker is not observed: %s; every poll asks it again", why);
  else
    say(l, RMQ_LOG_ERROR, event,
        "the broker is still not observed, %llu more polls failed: %s",
        (unsigned long long)missed, why);
}

static void say_part(struct rmq_monitor_log *l, struct rmq_monitor_part *p,
                     const char *what, const char *why, struct rmq_mono now) {
  if (why[0] == '\0') {
    if (rmq_complain_recover(&p->complain))
      say(l, RMQ_LOG_NOTICE, p->event, "%s: complete again", what);
  } else if (rmq_complain_report(&p->complain, now, NULL)) {
    say(l, RMQ_LOG_WARNING, p->event,
        "%s: not reported, or not all of them: %s", what, why);
  }
}

/* What Source auto chose, and why; nothing when it chose so before. */
static void say_source(struct rmq_monitor_log *l,
                       const struct rmq_poll_result *poll) {
  if (poll->is_switched)
    say(l, RMQ_LOG_INFO, "source", "the broker is observed through %s: %s",
        poll->source == RMQ_SOURCE_PROMETHEUS ? "its Prometheus plugin"
                                              : "the management API",
        poll->reason.text);
}

/* Why, or "". */
static const char *missing_vhosts(const struct rmq_monitor_log *l,
                                  const struct rmq_poll_result *poll,
                                  const struct rmq_snapshot *s,
                                  char text[160]) {
  text[0] = '\0';
  if (rmq_error_is_set(&poll->vhosts_error))
    return poll->vhosts_error.text;
  if (s->vhosts_left_out > 0 && l->config->max_vhosts > 0)
    snprintf(text, 160,
             "there are more than MaxVHosts %lld; raise it, or choose with "
             "IncludeVHost and ExcludeVHost",
             (long long)l->config->max_vhosts);
  return text;
}

/* The broker counts more queues than it lists for our user. Between the two
 * requests queues come and go, so it takes some polls to be sure; a virtual
 * host that nobody wants is nobody's loss. */
static void say_hidden(struct rmq_monitor_log *l, const struct rmq_snapshot *s,
                       struct rmq_mono now) {
  const struct rmq_role_monitor_config *c = l->config;
  double hidden = s->queues_total - s->queues_listed;
  char why[160] = "";
  if (isnan(hidden) || c->include_vhost.count + c->exclude_vhost.count > 0)
    return;
  bool is_first = l->hidden_polls == 0;
  l->hidden_least = is_first ? hidden : fmin(l->hidden_least, hidden);
  l->hidden_polls = hidden > 0 ? l->hidden_polls + 1 : 0;
  if (hidden > 0 && l->hidden_polls < MONITOR_HIDDEN_POLLS)
    return;
  if (hidden > 0)
    snprintf(why, sizeof(why),
             "%.0f of %.0f are in virtual hosts on which the user has no "
             "permission; give it an empty one, or choose with IncludeVHost",
             l->hidden_least, s->queues_total);
  say_part(l, &l->hidden, "queues", why, now);
}

/* Each change of how much is asked for; nothing else is lost by it. */
static void say_detail(struct rmq_monitor_log *l,
                       const struct rmq_poll_result *poll,
                       const struct rmq_snapshot *s) {
  /* Each source has a level of its own. */
  bool is_other = l->source != RMQ_SOURCE_AUTO && l->source != poll->source;
  l->source = poll->source;
  if (s->detail == l->detail || poll->detail == NULL || s->queues_max == 0)
    return;
  say(l, RMQ_LOG_NOTICE, "detail_level",
      "detail level %d, was %d, of queues: %s; %s", (int)s->detail,
      (int)l->detail, rmq_detail_level_to_str(s->detail),
      is_other ? "another source" : poll->detail->reason.text);
  l->detail = s->detail;
}

/* Nothing is missing for it. */
static void say_twice(struct rmq_monitor_log *l, const struct rmq_error *which,
                      struct rmq_mono now) {
  if (!rmq_error_is_set(which))
    rmq_complain_recover(&l->twice);
  else if (rmq_complain_report(&l->twice, now, NULL))
    say(l, RMQ_LOG_WARNING, "metrics_twice", "%s; it is counted once",
        which->text);
}

void rmq_monitor_log_poll(struct rmq_monitor_log *l,
                          const struct rmq_poll_result *poll,
                          const struct rmq_snapshot *s, struct rmq_mono now) {
  say_source(l, poll);
  if (poll->outcome != RMQ_POLL_ANSWERED) {
    say_down(l,
             poll->outcome == RMQ_POLL_REFUSED ? RMQ_MONITOR_REFUSED
                                               : RMQ_MONITOR_UNREACHABLE,
             poll->error.text, now);
    return;
  }
  char more[160] = "";
  if (s->queues_left_out > 0)
    snprintf(more, sizeof(more),
             "there are more than MaxQueues %lld; raise it, or choose with "
             "IncludeQueue and ExcludeQueue",
             (long long)l->config->max_queues);
  say_answering(l, s, poll->url, now);
  say_detail(l, poll, s);
  say_part(l, &l->nodes, "nodes", poll->nodes_error.text, now);
  say_part(l, &l->queues, "queues", poll->queues_error.text, now);
  say_part(l, &l->too_many, "queues", more, now);
  say_hidden(l, s, now);
  say_part(l, &l->vhosts, "virtual hosts", missing_vhosts(l, poll, s, more),
           now);
  say_part(l, &l->streams, "the lag of stream consumers",
           poll->streams_error.text, now);
  say_part(l, &l->statistics, "counters, rates and most numbers of nodes",
           poll->statistics_error.text, now);
  say_part(l, &l->metrics, "a node's numbers", poll->metrics_error.text, now);
  say_twice(l, &poll->twice, now);
}

void rmq_monitor_log_secret(struct rmq_monitor_log *l,
                            const struct rmq_error *why, struct rmq_mono now) {
  if (!rmq_error_is_set(why)) {
    if (rmq_complain_recover(&l->secret))
      say(l, RMQ_LOG_NOTICE, "secret_missing", "password or token: read again");
  } else if (rmq_complain_report(&l->secret, now, NULL)) {
    say(l, RMQ_LOG_WARNING, "secret_missing",
        "%s; what was read from it before is used, or nothing", why->text);
  }
}

static void say_certificate(struct rmq_monitor_log *l,
                            const struct rmq_checks_certificate *c) {
  char date[32] = "";
  struct tm t;
  if (c == NULL || c->expires_s == l->certificate_s)
    return;
  time_t end = (time_t)c->expires_s;
  if (gmtime_r(&end, &t) == NULL ||
      strftime(date, sizeof(date), "%Y-%m-%d %H:%M", &t) == 0)
    return;
  l->certificate_s = c->expires_s;
  say(l, RMQ_LOG_INFO, "certificate",
      "the TLS certificate that expires first is that of %s, on %s UTC",
      c->where, date);
}

/* Each change once. */
static void say_silent(struct rmq_monitor_log *l,
                       const struct rmq_checks *checks) {
  for (size_t i = 0; i < checks->targets_count && i < 64; i++) {
    const struct rmq_checks_target *t = &checks->targets[i];
    const uint64_t bit = (uint64_t)1 << i;
    if (t->is_silent == ((l->silent & bit) != 0))
      continue;
    l->silent ^= bit;
    if (t->is_silent)
      say(l, RMQ_LOG_WARNING, "url_silent",
          "%s does not answer (%s); health checks are those of the others",
          t->url, t->why);
    else
      say(l, RMQ_LOG_NOTICE, "url_silent",
          "%s answers again; health checks are its own, too", t->url);
  }
}

void rmq_monitor_log_checks(struct rmq_monitor_log *l,
                            const struct rmq_checks *checks,
                            struct rmq_mono now) {
  say_silent(l, checks);
  say_part(l, &l->connections, "blocked connections",
           checks->connections_error.text, now);
  say_part(l, &l->quorum, "quorum critical and leaderless queues",
           checks->queues_error.text, now);
  say_part(l, &l->health, "virtual hosts that are down",
           checks->vhosts_error.text, now);
  say_part(l, &l->certificates, "the days of certificates",
           checks->certificates_error.text, now);
  say_certificate(l, rmq_checks_soonest(checks));
}

static void init_part(struct rmq_monitor_part *p, const char *event) {
  p->event = event;
  rmq_complain_init(&p->complain, rmq_s(MONITOR_COMPLAIN_S));
}

void rmq_monitor_log_init(struct rmq_monitor_log *l,
                          const struct rmq_host *host, const char *name,
                          const struct rmq_role_monitor_config *config) {
  *l = (struct rmq_monitor_log){.host = host,
                                .name = name,
                                .config = config,
                                .state = RMQ_MONITOR_STARTING,
                                .detail = RMQ_DETAIL_ALL,
                                .state_since = host->mono(host->ctx)};
  rmq_complain_init(&l->unreachable, rmq_s(MONITOR_COMPLAIN_S));
  rmq_complain_init(&l->secret, rmq_s(MONITOR_COMPLAIN_S));
  rmq_complain_init(&l->twice, rmq_s(MONITOR_COMPLAIN_S));
  init_part(&l->nodes, "nodes_missing");
  init_part(&l->queues, "queues_missing");
  init_part(&l->too_many, "too_many_queues");
  init_part(&l->hidden, "queues_hidden");
  init_part(&l->statistics, "statistics_missing");
  init_part(&l->vhosts, "vhosts_missing");
  init_part(&l->streams, "streams_missing");
  init_part(&l->metrics, "metrics_missing");
  init_part(&l->connections, "connections_missing");
  init_part(&l->quorum, "quorum_missing");
  init_part(&l->certificates, "certificates_missing");
  init_part(&l->health, "health_missing");
}
