/* SPDX-License-Identifier: MIT */
/*
 * One value against its limits, with hold time and hysteresis: a level is
 * entered when the value has been at or over its limit for the hold, and left
 * when it has been under the clear share of that limit for the clear hold.
 * Pure: the clock is an argument. One thread.
 */
#ifndef RMQ_BROKER_ALERT_STATE_H
#define RMQ_BROKER_ALERT_STATE_H

#include "common/base/rmqtime.h"
#include "common/base/sample.h"

#include <stdbool.h>

struct rmq_alert_limits {
  double warning, failure; /* NaN = there is no such level */
  double clear;            /* share of the limit, over 0 and up to 1 */
  bool is_lower_worse;     /* a value is at fault at the limit or under it, and
                              clear is its reciprocal */
  struct rmq_dur hold, clear_hold;
  /* A value that was not known for longer than this begins a hold anew. */
  struct rmq_dur stale;
};

/* All zero = neither level, nothing seen. */
struct rmq_alert_state {
  struct rmq_alert_level {
    bool is_on;
    bool is_turning;       /* the value has asked for the other side ... */
    struct rmq_mono since; /* ... since then */
  } warning, failure;
  struct rmq_mono known_at; /* when there was a value last */
  bool is_known;            /* there was one */
};

/* Whether a value that stays is raised in the end. */
bool rmq_alert_limits_are_reached(const struct rmq_alert_limits *l,
                                  double value);

/* The severity after value, where NaN is a value that is not known: it changes
 * nothing. */
enum rmq_severity rmq_alert_state_step(struct rmq_alert_state *s,
                                       const struct rmq_alert_limits *l,
                                       double value, struct rmq_mono now);
enum rmq_severity rmq_alert_state_severity(const struct rmq_alert_state *s);
/* Holds that have begun are forgotten; what is raised stays raised. */
void rmq_alert_state_suspend(struct rmq_alert_state *s);

#endif
