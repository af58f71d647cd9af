/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/checks.h"

#include "common/broker/management.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { CHECKS_URL_SIZE = 1200 };

/* All that there is: the broker names listeners whose certificate expires
 * within that time, and its date. */
#define CHECKS_CERTIFICATES                                                    \
  "/api/health/checks/certificate-expiration/9000/years"
#define CHECKS_CRITICAL "/api/health/checks/node-is-quorum-critical"
#define CHECKS_LEADERLESS                                                      \
  "/api/health/checks/quorum-queues-without-elected-leaders/all-vhosts/"
#define CHECKS_VHOSTS "/api/health/checks/virtual-hosts"
/* Not in pages: the largest has 500, and a count has to be whole. */
#define CHECKS_CONNECTIONS "/api/connections?columns=state"
/* Of the Prometheus plugin: an answer of next to nothing. */
#define CHECKS_NOTHING "/detailed?family=none"

/* What a request is about. */
enum subject { CONNECTIONS, LEADERLESS, CRITICAL, VHOSTS, LISTENERS, PEER };

/* What each node names of its own: all of it, and URLs that did not tell. */
struct named {
  struct rmq_checks_queues set;
  bool has_answer;
  size_t silent;
};

struct ask {
  enum subject subject;
  size_t target;    /* index, of the last two */
  const char *base; /* borrowed, for the log */
  bool is_silent;   /* nothing that was asked there was answered */
  char url[CHECKS_URL_SIZE];
  struct rmq_buf body;
};

/* All that is asked at once. */
struct turn {
  struct rmq_checks *checks;
  const struct rmq_checks_input *in;
  struct ask *asks;
  struct rmq_http_request *requests;
  size_t count;
  struct named critical, vhosts;
};

void rmq_checks_init(struct rmq_checks *c) {
  const struct rmq_checks_value unknown = {.value = (double)NAN};
  *c = (struct rmq_checks){.blocked = unknown,
                           .critical = unknown,
                           .leaderless = unknown,
                           .vhosts_down = unknown};
}

void rmq_checks_fini(struct rmq_checks *c) {
  free(c->targets);
  rmq_checks_init(c);
}

static size_t count_of(const struct rmq_strings *urls) {
  return urls == NULL ? 0 : urls->count;
}

static bool is_https(const char *url) {
  return strncasecmp(url, "https://", 8) == 0;
}

/* ---- asking ---- */

static bool take(void *ctx, const char *bytes, size_t len) {
  return rmq_buf_append(ctx, bytes, len) == 0;
}

static void add(struct turn *t, enum subject subject, size_t target,
                const char *base, const char *path) {
  struct ask *a = &t->asks[t->count];
  *a = (struct ask){.subject = subject, .target = target, .base = base};
  snprintf(a->url, sizeof(a->url), "%s%s", base, path);
  rmq_buf_init(&a->body, RMQ_CHECKS_BODY_MAX);
  t->requests[t->count++] = (struct rmq_http_request){
      .url = a->url,
      .max = a->body.max,
      .take = take,
      .ctx = &a->body,
      .wants_certificate =
          (subject == LISTENERS || subject == PEER) && is_https(base)};
}

/* They cost the broker most, and are left out of a turn that comes early. */
static void add_connections(struct turn *t, const char *current) {
  struct rmq_checks *c = t->checks;
  double count = t->in->connections;
  if (count > RMQ_CHECKS_CONNECTIONS_MAX)
    c->blocked.value = (double)NAN;
  if (c->connections_wait > 0)
    return;
  rmq_error_clear(&c->connections_error);
  if (!(count <= RMQ_CHECKS_CONNECTIONS_MAX))
    return;
  add(t, CONNECTIONS, 0, current, CHECKS_CONNECTIONS);
  c->connections_wait = RMQ_CHECKS_EVERY;
}

static void add_numbers(struct turn *t) {
  const struct rmq_checks_input *in = t->in;
  struct rmq_checks *c = t->checks;
  if (count_of(in->urls) == 0)
    return;
  rmq_error_clear(&c->queues_error);
  rmq_error_clear(&c->vhosts_error);
  const char *current = in->urls->items[in->current % in->urls->count];
  add_connections(t, current);
  add(t, LEADERLESS, 0, current, CHECKS_LEADERLESS);
  for (size_t i = 0; i < in->urls->count; i++)
    add(t, CRITICAL, 0, in->urls->items[i], CHECKS_CRITICAL);
  for (size_t i = 0; i < in->urls->count && in->wants_vhosts; i++)
    add(t, VHOSTS, 0, in->urls->items[i], CHECKS_VHOSTS);
}

/* Where the URL has no path it is the plugin's usual one. */
static const char *path_of_metrics(const char *url) {
  const char *host = strstr(url, "://");
  bool has_path = host != NULL && strchr(host + 3, '/') != NULL;
  return has_path ? CHECKS_NOTHING : "/metrics" CHECKS_NOTHING;
}

static void add_certificates(struct turn *t) {
  const struct rmq_checks_input *in = t->in;
  size_t urls = count_of(in->urls);
  rmq_error_clear(&t->checks->certificates_error);
  for (size_t i = 0; i < urls; i++)
    add(t, LISTENERS, i, in->urls->items[i], CHECKS_CERTIFICATES);
  for (size_t i = 0; i < count_of(in->metrics_urls); i++)
    if (is_https(in->metrics_urls->items[i]))
      add(t, PEER, urls + i, in->metrics_urls->items[i],
          path_of_metrics(in->metrics_urls->items[i]));
}

/* ---- answers ---- */

static double get(const struct rmq_checks_value *v) {
  return v->age < 2 * RMQ_CHECKS_EVERY ? v->value : (double)NAN;
}

static void explain(const struct ask *a, const struct rmq_http_request *r,
                    const char *what, struct rmq_error *err) {
  char reason[128];
  if (a->is_silent)
    return;
  if (r->outcome != RMQ_HTTP_ANSWERED) {
    rmq_error_set(err, "%s: %s: %s", a->base, what, r->error.text);
    return;
  }
  rmq_management_reason(rmq_buf_bytes(&a->body), a->body.len, reason,
                        sizeof(reason));
  rmq_error_set(err, "%s: %s was answered with HTTP status %d%s%s%s", a->base,
                what, r->status, reason[0] == '\0' ? "" : " (", reason,
                reason[0] == '\0' ? "" : ")");
}

static void read_connections(struct turn *t, struct ask *a, char *text) {
  struct rmq_checks *c = t->checks;
  struct rmq_error cause = {.text = ""};
  if (rmq_checks_body_connections(text, a->body.len, &c->blocked.value,
                                  &cause) != 0)
    rmq_error_set(&c->connections_error, "%s: %s", a->base, cause.text);
  else
    c->blocked.age = 0;
}

static void read_leaderless(struct turn *t, struct ask *a, char *text) {
  struct rmq_checks *c = t->checks;
  struct rmq_checks_queues queues = {.hashes = NULL};
  struct rmq_error cause = {.text = ""};
  if (rmq_checks_body_queues(text, a->body.len, &queues, &cause) != 0)
    rmq_error_set(&c->queues_error, "%s: %s", a->base, cause.text);
  else
    c->leaderless =
        (struct rmq_checks_value){(double)rmq_checks_queues_count(&queues), 0};
  rmq_checks_queues_fini(&queues);
}

static void read_critical(struct turn *t, struct ask *a, char *text) {
  struct rmq_error cause = {.text = ""};
  if (rmq_checks_body_queues(text, a->body.len, &t->critical.set, &cause) != 0)
    rmq_error_set(&t->checks->queues_error, "%s: %s", a->base, cause.text);
  t->critical.silent += rmq_error_is_set(&cause);
  t->critical.has_answer |= !rmq_error_is_set(&cause);
}

static void read_vhosts(struct turn *t, struct ask *a, char *text) {
  struct rmq_error cause = {.text = ""};
  if (rmq_checks_body_vhosts(text, a->body.len, &t->vhosts.set, &cause) != 0)
    rmq_error_set(&t->checks->vhosts_error, "%s: %s", a->base, cause.text);
  t->vhosts.silent += rmq_error_is_set(&cause);
  t->vhosts.has_answer |= !rmq_error_is_set(&cause);
}

/* Each node names its own: while one that runs is silent there may be more, so
 * the number may rise and does not fall. */
static void count(const struct turn *t, struct named *named,
                  struct rmq_checks_value *value) {
  if (!named->has_answer)
    return;
  size_t count = rmq_checks_queues_count(&named->set);
  bool is_whole = named->silent <= t->in->nodes_away;
  bool is_more = count > 0 && !(get(value) >= (double)count);
  if (is_whole || is_more)
    *value = (struct rmq_checks_value){(double)count, 0};
}

static void read_certificates(struct turn *t, struct ask *a, char *text,
                              const struct rmq_http_request *r) {
  struct rmq_checks_target *target = &t->checks->targets[a->target];
  struct rmq_checks_certificate found = {.expires_s = 0};
  struct rmq_error cause = {.text = ""};
  if (a->subject == LISTENERS && r->status != 404 &&
      rmq_checks_body_certificates(text, a->body.len, &found, &cause) != 0)
    rmq_error_set(&t->checks->certificates_error, "%s: %s", a->base,
                  cause.text);
  rmq_checks_certificate_add(&found, r->certificate_expires_s, a->base);
  if (rmq_error_is_set(&cause) && found.expires_s == 0)
    return;
  target->certificate = found;
  target->age = 0;
}

static void read_answer(struct turn *t, size_t i) {
  struct ask *a = &t->asks[i];
  struct rmq_checks *c = t->checks;
  const struct rmq_http_request *r = &t->requests[i];
  char nothing[1] = "";
  char *text = a->body.len == 0 ? nothing : rmq_buf_bytes(&a->body);
  bool is_answered = r->outcome == RMQ_HTTP_ANSWERED;
  bool is_verdict = is_answered && (r->status == 200 || r->status == 503);
  bool is_known = !is_answered || r->status != 404; /* to that version */
  switch (a->subject) {
  case CONNECTIONS:
    if (is_answered && r->status == 200)
      read_connections(t, a, text);
    else
      explain(a, r, "the list of connections", &c->connections_error);
    break;
  case LEADERLESS:
    if (is_verdict)
      read_leaderless(t, a, text);
    else if (is_known)
      explain(a, r, "the check for queues without a leader", &c->queues_error);
    break;
  case CRITICAL:
    if (is_verdict)
      read_critical(t, a, text);
    else if (is_known) {
      t->critical.silent++;
      explain(a, r, "the check for quorum critical queues", &c->queues_error);
    }
    break;
  case VHOSTS:
    if (is_verdict)
      read_vhosts(t, a, text);
    else if (is_known) {
      t->vhosts.silent++;
      explain(a, r, "the check for virtual hosts", &c->vhosts_error);
    }
    break;
  case LISTENERS:
    if (is_verdict || !is_known)
      read_certificates(t, a, text, r);
    else
      explain(a, r, "the check of certificates", &c->certificates_error);
    break;
  case PEER: /* what is wrong with a MetricsURL the poll says */
    if (is_answered)
      read_certificates(t, a, text, r);
    break;
  }
}

/* Nothing was answered there; ret_why = of the first request. */
static bool is_silent(const struct turn *t, const char *base,
                      const char **ret_why) {
  const char *why = NULL;
  for (size_t i = t->count; i-- > 0;) {
    if (t->asks[i].base != base)
      continue;
    if (t->requests[i].outcome == RMQ_HTTP_ANSWERED)
      return false;
    why = t->requests[i].error.text;
  }
  if (why != NULL)
    *ret_why = why;
  return why != NULL;
}

static bool has_answer(const struct turn *t) {
  for (size_t i = 0; i < t->count; i++)
    if (t->asks[i].subject != PEER &&
        t->requests[i].outcome == RMQ_HTTP_ANSWERED)
      return true;
  return false;
}

/* One cause is said once, and not by each check that misses its answer. The
 * URL that has just answered a poll is not silent, whatever it leaves out. */
static void find_silent(struct turn *t) {
  const struct rmq_strings *urls = t->in->urls;
  if (!has_answer(t))
    return;
  for (size_t u = 0; u < count_of(urls); u++) {
    struct rmq_checks_target *target = &t->checks->targets[u];
    const char *base = urls->items[u], *why = "";
    target->is_silent =
        u != t->in->current % urls->count && is_silent(t, base, &why);
    if (!target->is_silent)
      continue;
    target->url = base;
    snprintf(target->why, sizeof(target->why), "%s", why);
    for (size_t i = 0; i < t->count; i++)
      t->asks[i].is_silent |= t->asks[i].base == base;
  }
}

static void read_all(struct turn *t, struct rmq_checks_result *result) {
  find_silent(t);
  for (size_t i = 0; i < t->count; i++) {
    const struct rmq_http_request *r = &t->requests[i];
    result->bytes += r->bytes;
    if (r->outcome == RMQ_HTTP_ANSWERED)
      result->seconds = fmax(result->seconds, r->seconds);
    read_answer(t, i);
  }
  count(t, &t->critical, &t->checks->critical);
  count(t, &t->vhosts, &t->checks->vhosts_down);
}

/* ---- turns ---- */

static void grow_older(struct rmq_checks *c) {
  c->patience -= c->patience > 0;
  c->connections_wait -= c->connections_wait > 0;
  c->blocked.age++;
  c->critical.age++;
  c->leaderless.age++;
  c->vhosts_down.age++;
  for (size_t i = 0; i < c->targets_count; i++)
    c->targets[i].age++;
}

static int allocate(struct turn *t) {
  struct rmq_checks *c = t->checks;
  size_t urls = count_of(t->in->urls),
         all = urls + count_of(t->in->metrics_urls);
  size_t most = 2 + 2 * urls + all; /* add_numbers and add_certificates */
  if (c->targets == NULL) {
    c->targets = calloc(all + 1, sizeof(*c->targets));
    c->targets_count = c->targets == NULL ? 0 : all;
  }
  t->asks = calloc(most, sizeof(*t->asks));
  t->requests = calloc(most, sizeof(*t->requests));
  return c->targets == NULL || t->asks == NULL || t->requests == NULL ? -1 : 0;
}

static void release(struct turn *t) {
  for (size_t i = 0; i < t->count; i++)
    rmq_buf_fini(&t->asks[i].body);
  free(t->asks);
  free(t->requests);
  rmq_checks_queues_fini(&t->critical.set);
  rmq_checks_queues_fini(&t->vhosts.set);
}

static void take_turn(struct turn *t, struct rmq_checks_result *result) {
  const struct rmq_checks_input *in = t->in;
  add_numbers(t);
  if (t->checks->polls % RMQ_CHECKS_CERTIFICATES_EVERY == 0)
    add_certificates(t);
  if (t->count == 0)
    return;
  if (in->http->get_all(in->http->ctx, t->requests, t->count, in->timeout) ==
      RMQ_HTTP_CANCELLED)
    result->is_cancelled = true;
  else
    read_all(t, result);
}

static void end_turn(struct rmq_checks *c) {
  if (c->polls % RMQ_CHECKS_EVERY != 0)
    c->patience = RMQ_CHECKS_EVERY;
  c->is_due = false;
}

void rmq_checks_run(struct rmq_checks *c, const struct rmq_checks_input *in,
                    struct rmq_checks_result *ret_result) {
  struct rmq_checks_result result = {.seconds = (double)NAN};
  struct turn t = {.checks = c, .in = in};
  bool is_turn =
      c->polls % RMQ_CHECKS_EVERY == 0 || (c->is_due && c->patience == 0);
  grow_older(c);
  *ret_result = result;
  if (is_turn && in->timeout.ns <= 0) /* with the next poll, then */
    return;
  if (is_turn && allocate(&t) == 0)
    take_turn(&t, ret_result);
  release(&t);
  if (is_turn)
    end_turn(c);
  c->polls = (c->polls + 1) % RMQ_CHECKS_CERTIFICATES_EVERY;
}

void rmq_checks_miss(struct rmq_checks *c) {
  grow_older(c);
  c->blocked.value = (double)NAN;
  c->critical.value = (double)NAN;
  c->leaderless.value = (double)NAN;
  c->vhosts_down.value = (double)NAN;
  c->is_due = true;
  /* Certificates last: they are asked when it was time for them meanwhile. */
  if (c->polls > 0)
    c->polls = (c->polls + 1) % RMQ_CHECKS_CERTIFICATES_EVERY;
}

/* ---- what is known ---- */

const struct rmq_checks_certificate *
rmq_checks_soonest(const struct rmq_checks *c) {
  const struct rmq_checks_certificate *soonest = NULL;
  for (size_t i = 0; i < c->targets_count; i++) {
    const struct rmq_checks_target *t = &c->targets[i];
    if (t->certificate.expires_s == 0 ||
        t->age >= 2 * RMQ_CHECKS_CERTIFICATES_EVERY)
      continue;
    if (soonest == NULL || t->certificate.expires_s < soonest->expires_s)
      soonest = &t->certificate;
  }
  return soonest;
}

void rmq_checks_report(const struct rmq_checks *c, struct rmq_wall now,
                       struct rmq_report_cluster *r) {
  const struct rmq_checks_certificate *soonest = rmq_checks_soonest(c);
  r->connections_blocked = get(&c->blocked);
  r->quorum_critical = get(&c->critical);
  r->leaderless = get(&c->leaderless);
  r->vhosts_down = get(&c->vhosts_down);
  if (soonest == NULL)
    return;
  double days = ((double)soonest->expires_s - rmq_wall_seconds(now)) / 86400;
  r->certificate_days = fmax(days, 0);
}
