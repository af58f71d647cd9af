/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_state.h"

#include <math.h>

bool rmq_alert_limits_are_reached(const struct rmq_alert_limits *l,
                                  double value) {
  if (l->is_lower_worse)
    return value <= l->warning || value <= l->failure;
  return value >= l->warning || value >= l->failure;
}

/* On which side of the level the value is, hysteresis included. */
static bool is_over(const struct rmq_alert_level *level, double limit,
                    const struct rmq_alert_limits *l, double value) {
  if (l->is_lower_worse)
    return value <= (level->is_on ? limit / l->clear : limit);
  return value >= (level->is_on ? limit * l->clear : limit);
}

static void step_level(struct rmq_alert_level *level, double limit,
                       const struct rmq_alert_limits *l, double value,
                       struct rmq_mono now) {
  if (isnan(limit))
    return;
  if (is_over(level, limit, l, value) == level->is_on) {
    level->is_turning = false;
    return;
  }
  if (!level->is_turning)
    level->since = now;
  level->is_turning = true;
  struct rmq_dur hold = level->is_on ? l->clear_hold : l->hold;
  if (rmq_mono_since(now, level->since).ns < hold.ns)
    return;
  level->is_on = !level->is_on;
  level->is_turning = false;
}

enum rmq_severity rmq_alert_state_severity(const struct rmq_alert_state *s) {
  if (s->failure.is_on)
    return RMQ_FAILURE;
  return s->warning.is_on ? RMQ_WARNING : RMQ_OKAY;
}

enum rmq_severity rmq_alert_state_step(struct rmq_alert_state *s,
                                       const struct rmq_alert_limits *l,
                                       double value, struct rmq_mono now) {
  if (isnan(value))
    return rmq_alert_state_severity(s);
  if (!s->is_known || rmq_mono_since(now, s->known_at).ns > l->stale.ns)
    rmq_alert_state_suspend(s);
  s->is_known = true;
  s->known_at = now;
  step_level(&s->warning, l->warning, l, value, now);
  step_level(&s->failure, l->failure, l, value, now);
  return rmq_alert_state_severity(s);
}

void rmq_alert_state_suspend(struct rmq_alert_state *s) {
  s->warning.is_turning = false;
  s->failure.is_turning = false;
}
