/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_rule.h"

#include "common/base/filter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Times that a value may be missing without a hold beginning anew. */
enum { RULE_STALE_INTERVALS = 3 };

struct rmq_alert_rule {
  const struct rmq_alert_config *config;
  struct rmq_filter *queues, *vhosts, *nodes;
  struct rmq_dur stale, stale_of_probe;
};

/* ---- config ---- */

void rmq_alert_config_prepare(void *config) {
  struct rmq_alert_config *c = config;
  const struct rmq_alert_habit *habit =
      rmq_alert_habit((enum rmq_alert_kind)c->kind);
  c->priority = (int)habit->priority;
  c->hold = c->clear_hold = (struct rmq_dur){.ns = -1};
}

static struct rmq_dur hold_of(const struct rmq_alert_config *c) {
  return c->hold.ns >= 0
             ? c->hold
             : rmq_s(rmq_alert_habit((enum rmq_alert_kind)c->kind)->hold_s);
}

/* Who says how long it takes to begin means its end as well: with Hold alone
 * the end of a kind's five minutes is a surprise. */
static struct rmq_dur clear_hold_of(const struct rmq_alert_config *c) {
  if (c->clear_hold.ns >= 0)
    return c->clear_hold;
  if (c->hold.ns >= 0)
    return c->hold;
  return rmq_s(rmq_alert_habit((enum rmq_alert_kind)c->kind)->clear_hold_s);
}

/* The config's figure, or the quantity's own; NaN = no such level. */
static double limit(double configured, double own) {
  double value = isnan(configured) ? own : configured;
  return value > 0 ? value : (double)NAN;
}

static bool is_first_too_late(const struct rmq_alert_config *c,
                              const struct rmq_alert_quantity *q) {
  double warning = limit(c->warning, q->warning);
  double failure = limit(c->failure, q->failure);
  return q->is_lower_worse ? warning < failure : warning > failure;
}

static bool has_resource(const struct rmq_alert_config *c,
                         const struct rmq_alert_quantity *q) {
  if (q->resource == NULL || c->resources.count == 0)
    return true;
  for (size_t i = 0; i < c->resources.count; i++)
    if (strcasecmp(c->resources.items[i], q->resource) == 0)
      return true;
  return false;
}

static bool is_about(const struct rmq_alert_config *c,
                     const struct rmq_alert_quantity *q) {
  return (int)q->kind == c->kind && has_resource(c, q);
}

static void complain(struct rmq_buf *errors, const char *option,
                     const char *text) {
  rmq_buf_appendf(errors, "option %s: %s\n", option, text);
}

static bool has_scope(const struct rmq_alert_config *c,
                      enum rmq_series_scope scope) {
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++)
    if ((int)rmq_alert_quantities[i].kind == c->kind &&
        rmq_alert_quantities[i].scope == scope)
      return true;
  return false;
}

static void check_limits(const struct rmq_alert_config *c,
                         struct rmq_buf *errors) {
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++) {
    const struct rmq_alert_quantity *q = &rmq_alert_quantities[i];
    if (!is_about(c, q) || !is_first_too_late(c, q))
      continue;
    complain(errors, "Warning",
             q->is_lower_worse
                 ? "is under Failure; a warning comes first, so it has to be "
                   "the larger one (0 = no such level)"
                 : "is over Failure; a warning comes first, so it has to be "
                   "the smaller one (0 = no such level)");
    return;
  }
}

static void check_resources(const struct rmq_alert_config *c,
                            struct rmq_buf *errors) {
  for (size_t i = 0; i < c->resources.count; i++) {
    bool is_known = false;
    for (size_t j = 0; j < RMQ_ALERT_QUANTITIES_COUNT; j++) {
      const char *word = rmq_alert_quantities[j].resource;
      is_known |= word != NULL && strcasecmp(c->resources.items[i], word) == 0;
    }
    if (!is_known)
      complain(errors, "Resource",
               "allowed: memory, file-handles, processes, cpu, host-memory, "
               "disk");
  }
}

static void check_patterns(const char *option,
                           const struct rmq_strings *patterns, bool has_use,
                           struct rmq_buf *errors) {
  if (patterns->count > 0 && !has_use)
    complain(errors, option, "this kind of alert is not about such objects");
  else
    rmq_filter_check(option, patterns, errors);
}

bool rmq_alert_config_needs_queues(const struct rmq_alert_config *c) {
  return has_scope(c, RMQ_SERIES_QUEUE) &&
         (!has_scope(c, RMQ_SERIES_CLUSTER) || c->queues.count > 0 ||
          c->vhosts.count > 0);
}

bool rmq_alert_config_is_of_queues(const struct rmq_alert_config *c) {
  return has_scope(c, RMQ_SERIES_QUEUE);
}

int rmq_alert_config_check(const void *config, struct rmq_buf *errors) {
  const struct rmq_alert_config *c = config;
  size_t before = errors->len;
  bool is_of_queues = rmq_alert_config_is_of_queues(c);
  check_limits(c, errors);
  check_patterns("Queue", &c->queues, is_of_queues, errors);
  check_patterns("VHost", &c->vhosts, is_of_queues, errors);
  check_patterns("Node", &c->nodes, has_scope(c, RMQ_SERIES_NODE), errors);
  if (c->resources.count > 0 && c->kind != RMQ_ALERT_RESOURCE)
    complain(errors, "Resource", "is for <Alert \"resource\"> only");
  else
    check_resources(c, errors);
  return errors->len == before ? 0 : -1;
}

/* ---- rule ---- */

static struct rmq_dur stale_after(struct rmq_dur interval) {
  return (struct rmq_dur){.ns = interval.ns > INT64_MAX / RULE_STALE_INTERVALS
                                    ? INT64_MAX
                                    : RULE_STALE_INTERVALS * interval.ns};
}

struct rmq_alert_rule *rmq_alert_rule_new(const struct rmq_alert_config *c,
                                          const struct rmq_alert_pace *pace,
                                          struct rmq_error *err) {
  static const struct rmq_strings none = {.items = NULL};
  struct rmq_alert_rule *r = calloc(1, sizeof(*r));
  if (r == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  r->config = c;
  r->stale = stale_after(pace->poll);
  r->stale_of_probe =
      stale_after(pace->probe.ns > pace->poll.ns ? pace->probe : pace->poll);
  r->queues = rmq_filter_new(&c->queues, &none, err);
  r->vhosts = rmq_filter_new(&c->vhosts, &none, err);
  r->nodes = rmq_filter_new(&c->nodes, &none, err);
  if (r->queues != NULL && r->vhosts != NULL && r->nodes != NULL)
    return r;
  rmq_alert_rule_free(r);
  return NULL;
}

void rmq_alert_rule_free(struct rmq_alert_rule *r) {
  if (r == NULL)
    return;
  rmq_filter_free(r->queues);
  rmq_filter_free(r->vhosts);
  rmq_filter_free(r->nodes);
  free(r);
}

bool rmq_alert_rule_matches(const struct rmq_alert_rule *r,
                            const struct rmq_alert_quantity *q,
                            const char *node, const char *vhost,
                            const char *queue) {
  if (!is_about(r->config, q))
    return false;
  switch (q->scope) {
  case RMQ_SERIES_BLOCK:
  case RMQ_SERIES_VHOST:
    return false;
  case RMQ_SERIES_CLUSTER: /* one with names is for such objects only */
    return r->config->nodes.count + r->config->queues.count +
               r->config->vhosts.count ==
           0;
  case RMQ_SERIES_NODE:
    return rmq_filter_wants(r->nodes, node);
  case RMQ_SERIES_QUEUE:
    return rmq_filter_wants(r->vhosts, vhost) &&
           rmq_filter_wants(r->queues, queue);
  }
  return false;
}

enum rmq_alert_priority
rmq_alert_rule_priority(const struct rmq_alert_rule *r) {
  return (enum rmq_alert_priority)r->config->priority;
}

enum rmq_alert_kind rmq_alert_rule_kind(const struct rmq_alert_rule *r) {
  return (enum rmq_alert_kind)r->config->kind;
}

struct rmq_alert_limits
rmq_alert_rule_limits(const struct rmq_alert_rule *r,
                      const struct rmq_alert_quantity *q) {
  const struct rmq_alert_config *c = r->config;
  return (struct rmq_alert_limits){
      .warning = limit(c->warning, q->warning),
      .failure = limit(c->failure, q->failure),
      .clear = c->clear / 100,
      .is_lower_worse = q->is_lower_worse,
      .hold = hold_of(c),
      .clear_hold = clear_hold_of(c),
      .stale = q->comes_with_probe ? r->stale_of_probe : r->stale};
}
