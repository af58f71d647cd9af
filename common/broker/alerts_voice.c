/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alerts_private.h"

#include "common/broker/alert_text.h"

#include <math.h>

const struct rmq_alert_rule *
rmq_alerts_rule_of(const struct rmq_alerts_turn *t,
                   const struct rmq_alerts_concern *alert) {
  return t->a->rules[alert->rule - 1];
}

/* The limit that a change is about; of an end, the lowest there is. */
static double threshold(const struct rmq_alert_limits *l,
                        enum rmq_severity severity) {
  bool is_failure = severity == RMQ_FAILURE || isnan(l->warning);
  return is_failure ? l->failure : l->warning;
}

static void emit(const struct rmq_alerts_turn *t, struct rmq_alert_event *event,
                 struct rmq_alert_text *text) {
  char message[RMQ_ALERTS_TEXT_SIZE];
  text->event = event;
  text->cluster = t->a->name;
  rmq_alert_text(text, message);
  event->message = message;
  t->emit(t->ctx, event);
}

void rmq_alerts_announce(const struct rmq_alerts_turn *t,
                         const struct rmq_alerts_watch *w,
                         struct rmq_alerts_concern *alert, size_t quantity,
                         double value, enum rmq_severity severity,
                         bool is_gone) {
  const struct rmq_alert_quantity *q = &rmq_alert_quantities[quantity];
  const struct rmq_alert_limits limits =
      rmq_alert_rule_limits(rmq_alerts_rule_of(t, alert), q);
  struct rmq_alert_event event = {
      .severity = severity,
      .priority = rmq_alert_rule_priority(rmq_alerts_rule_of(t, alert)),
      .quantity = q,
      .node = w->node,
      .vhost = w->vhost,
      .queue = w->queue,
      .value = value,
      .threshold = threshold(&limits, severity)};
  struct rmq_alert_text text = {
      .is_gone = is_gone,
      .is_refused = t->in->is_refused,
      .raised_for = rmq_mono_since(t->in->now, alert->raised_at)};
  alert->announced = severity;
  t->a->tallies[quantity].said_count++;
  emit(t, &event, &text);
}

/* Whether one more object may be raised by name. */
static bool may_raise(struct rmq_alerts_tally *tally, struct rmq_mono now) {
  if (tally->raised_count > 0 &&
      rmq_mono_since(now, tally->window).ns >= rmq_s(RMQ_ALERTS_WINDOW_S).ns)
    tally->raised_count = 0;
  if (tally->raised_count == 0)
    tally->window = now;
  return tally->raised_count < RMQ_ALERTS_EACH;
}

/* Says a change of an object by name, or puts it among the many, or leaves it
 * to the next poll. */
static void change(const struct rmq_alerts_turn *t,
                   const struct rmq_alerts_watch *w,
                   struct rmq_alerts_concern *alert, size_t quantity,
                   double value, enum rmq_severity severity) {
  struct rmq_alerts_tally *tally = &t->a->tallies[quantity];
  bool is_raise = alert->announced == RMQ_OKAY;
  if (is_raise && !may_raise(tally, t->in->now)) {
    alert->is_grouped = true;
    alert->announced = severity;
    return;
  }
  if (tally->said_count >= RMQ_ALERTS_EACH)
    return;
  if (is_raise) {
    tally->raised_count++;
    alert->raised_at = t->in->now;
  }
  rmq_alerts_announce(t, w, alert, quantity, value, severity, false);
}

void rmq_alerts_count_grouped(const struct rmq_alerts_turn *t,
                              const struct rmq_alerts_concern *alert,
                              size_t quantity) {
  struct rmq_alerts_tally *tally = &t->a->tallies[quantity];
  enum rmq_alert_priority priority =
      rmq_alert_rule_priority(rmq_alerts_rule_of(t, alert));
  if (tally->group_count == 0 || priority < tally->group_priority)
    tally->group_priority = priority;
  if (alert->announced > tally->group_worst)
    tally->group_worst = alert->announced;
  tally->group_count++;
}

void rmq_alerts_say(const struct rmq_alerts_turn *t,
                    const struct rmq_alerts_watch *w,
                    struct rmq_alerts_concern *alert, size_t quantity,
                    double value) {
  enum rmq_severity severity = rmq_alert_state_severity(&alert->state);
  if (alert->is_grouped) {
    alert->announced = severity;
    alert->is_grouped = severity != RMQ_OKAY;
  } else if (severity != alert->announced) {
    change(t, w, alert, quantity, value, severity);
  }
}

void rmq_alerts_say_group(const struct rmq_alerts_turn *t, size_t quantity) {
  struct rmq_alerts_tally *tally = &t->a->tallies[quantity];
  if (tally->group_worst == tally->group_announced)
    return;
  if (tally->group_announced == RMQ_OKAY)
    tally->group_at = t->in->now;
  struct rmq_alert_event event = {.severity = tally->group_worst,
                                  .priority = tally->group_priority,
                                  .quantity = &rmq_alert_quantities[quantity],
                                  .is_group = true,
                                  .value = (double)tally->group_count,
                                  .threshold = RMQ_ALERTS_EACH};
  struct rmq_alert_text text = {
      .group_count = tally->group_count,
      .raised_for = rmq_mono_since(t->in->now, tally->group_at)};
  tally->group_announced = tally->group_worst;
  emit(t, &event, &text);
}

void rmq_alerts_begin_tallies(struct rmq_alerts *a) {
  for (size_t i = 0; i < RMQ_ALERT_QUANTITIES_COUNT; i++) {
    a->tallies[i].said_count = 0;
    a->tallies[i].group_count = 0;
    a->tallies[i].group_worst = RMQ_OKAY;
  }
}
