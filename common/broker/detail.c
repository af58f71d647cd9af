/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/detail.h"

#include <math.h>

/* Shares of the budget. */
static const double fall_share = 0.9, rise_share = 0.6, sure_share = 0.7;
/* Of the newest in a mean. */
static const double weight = 0.3;

const char *rmq_detail_level_to_str(enum rmq_detail_level l) {
  switch (l) {
#define RMQ_X(name, text)                                                      \
  case RMQ_DETAIL_##name:                                                      \
    return text;
    RMQ_DETAIL_LEVELS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

static void forget(struct rmq_detail_cost *c) {
  *c = (struct rmq_detail_cost){
      .mean = (double)NAN, .last = (double)NAN, .before = (double)NAN};
}

void rmq_detail_init(struct rmq_detail *d, double budget) {
  *d = (struct rmq_detail){.budget = budget,
                           .level = RMQ_DETAIL_ALL,
                           .most = RMQ_DETAIL_ALL,
                           .queues = RMQ_DETAIL_QUEUES_MIN,
                           .then = (double)NAN,
                           .base_before = (double)NAN,
                           .since_dip = RMQ_DETAIL_PATIENCE_MAX,
                           .patience = RMQ_DETAIL_PATIENCE};
  for (int i = 0; i < RMQ_DETAIL_LEVELS_COUNT; i++)
    forget(&d->costs[i]);
}

/* ---- costs ---- */

/* What was found of this level holds for those above, too. */
static void scale(struct rmq_detail *d, double by) {
  for (int i = (int)d->level + 1; i < RMQ_DETAIL_LEVELS_COUNT; i++) {
    d->costs[i].mean *= by;
    d->costs[i].last *= by;
    d->costs[i].before *= by;
  }
}

static void measure(struct rmq_detail *d, double seconds) {
  struct rmq_detail_cost *c = &d->costs[d->level];
  double value = (seconds + d->report) / d->queues;
  bool is_first = isnan(c->mean) || c->age > 1;
  if (is_first && value < c->mean)
    scale(d, value / c->mean);
  c->before = is_first ? value : c->last;
  c->mean = is_first ? value : c->mean + weight * (value - c->mean);
  c->last = value;
  c->age = 0;
  if (isnan(d->then) && !d->is_dip)
    d->then = value;
}

/* Seconds of a whole poll; NaN = the level was never tried. A broker that is
 * getting slower goes on doing so. */
static double predict(const struct rmq_detail *d, int level, double base) {
  const struct rmq_detail_cost *c = &d->costs[level];
  if (level == RMQ_DETAIL_TOTALS)
    return base;
  double next = c->last + fmax(0, c->last - c->before);
  return base + fmax(c->mean, next) * d->queues;
}

static bool has_overrun(const struct rmq_detail *d) {
  return d->total > d->budget;
}

/* What is known is out of date: to be tried anew. That is rare where this level
 * is known from the time when the next one did not fit, since it tells whether
 * anything has changed; the first one tells nothing. */
static bool is_old(const struct rmq_detail *d, int level) {
  unsigned times = level == RMQ_DETAIL_TOP || d->has_risen ? 2 : 20;
  return d->costs[level].age >= times * d->patience;
}

/* How much faster this level has become since it was fallen to; then those
 * above have, too. */
static double speed_up(const struct rmq_detail *d) {
  double now = d->costs[d->level].mean;
  return now < d->then ? now / d->then : 1;
}

/* Whether one level more would do. */
static bool may_rise(const struct rmq_detail *d) {
  if (d->level >= d->most || has_overrun(d))
    return false;
  int next = (int)d->level + 1;
  double room = rise_share * d->budget;
  double queues = predict(d, next, 0);
  if (isnan(queues) || is_old(d, next)) /* it takes longer than this one */
    return d->total <= room;
  return d->base + queues * speed_up(d) <= room;
}

/* The highest one from this on down that fits. */
static int fit(const struct rmq_detail *d, int level, double base,
               double left) {
  double share = has_overrun(d) ? sure_share : fall_share;
  for (; level > RMQ_DETAIL_TOTALS; level--) {
    double seconds = predict(d, level, base);
    if (isnan(seconds)
            ? !has_overrun(d)
            : seconds <= share * d->budget && predict(d, level, 0) <= left)
      break;
  }
  return level;
}

/* One slow poll is no trend. */
static double usual_base(const struct rmq_detail *d) {
  return fmin(d->base, d->base_before);
}

/* ---- changes ---- */

static bool has_lasted(const struct rmq_detail *d) {
  return d->kept >= RMQ_DETAIL_PATIENCE_MAX + 2 * d->patience;
}

static void move(struct rmq_detail *d, int level) {
  if (level == (int)d->level)
    return;
  bool is_fall = level < (int)d->level;
  if (is_fall && d->has_risen && !has_lasted(d))
    d->patience = d->patience * 2 > RMQ_DETAIL_PATIENCE_MAX
                      ? RMQ_DETAIL_PATIENCE_MAX
                      : d->patience * 2;
  d->has_risen = !is_fall;
  d->kept = d->calm = 0;
  d->then = (double)NAN;
  d->level = (enum rmq_detail_level)level;
}

static void explain_fall(struct rmq_detail *d, double seconds) {
  rmq_error_clear(&d->reason);
  if (has_overrun(d))
    rmq_error_set(&d->reason, "the last poll took %.3g s, TimeBudget is %.3g s",
                  d->total, d->budget);
  else
    rmq_error_set(&d->reason, "a poll would take %.3g s, TimeBudget is %.3g s",
                  seconds, d->budget);
}

static void explain_rise(struct rmq_detail *d, double seconds) {
  rmq_error_clear(&d->reason);
  if (isnan(seconds))
    rmq_error_set(&d->reason, "polls take %.3g s, TimeBudget is %.3g s",
                  d->total, d->budget);
  else
    rmq_error_set(&d->reason, "a poll would take %.3g s, TimeBudget is %.3g s",
                  seconds, d->budget);
}

/* One level up, where polls have been calm for long enough. An attempt is made
 * whatever is known of that level. */
static int rise(struct rmq_detail *d, double base, bool *ret_is_attempt) {
  int next = (int)d->level + 1;
  *ret_is_attempt = false;
  if (d->level >= d->most || d->calm < d->patience)
    return (int)d->level;
  scale(d, speed_up(d));
  double room = rise_share * d->budget, seconds = predict(d, next, base);
  *ret_is_attempt = !(seconds <= room) && base <= room;
  explain_rise(d, *ret_is_attempt ? (double)NAN : seconds);
  return next;
}

/* Back to where it was; what is said of it is said when it stays so. */
static void end_dip(struct rmq_detail *d) {
  if (!d->is_dip)
    return;
  d->is_dip = false;
  d->level = d->usual;
  explain_rise(d, predict(d, (int)d->level, usual_base(d)));
}

/* What this poll has taken already, and what is left of it. */
static void adapt(struct rmq_detail *d, double base, double left) {
  int level = fit(d, (int)d->level, base, left);
  if (level == (int)d->level)
    return;
  if (fit(d, (int)d->level, base, HUGE_VAL) == (int)d->level) {
    rmq_error_clear(&d->reason);
    rmq_error_set(&d->reason,
                  "%.3g s are left for queues, since somebody does not answer",
                  left);
  } else {
    explain_fall(d, predict(d, (int)d->level, base));
  }
  if (d->since_dip < RMQ_DETAIL_PATIENCE_MAX) {
    move(d, level);
    return;
  }
  d->usual = d->level;
  d->level = (enum rmq_detail_level)level;
  d->is_dip = true;
  d->since_dip = 0;
}

enum rmq_detail_level rmq_detail_choose(struct rmq_detail *d,
                                        enum rmq_detail_level most,
                                        double queues, double used,
                                        double left) {
  end_dip(d);
  if (queues >= 0)
    d->queues = fmax(queues, RMQ_DETAIL_QUEUES_MIN);
  d->most = most;
  if (d->budget <= 0 || d->level > most) {
    rmq_error_clear(&d->reason);
    rmq_error_set(&d->reason, "no more is asked for of so many queues");
    move(d, (int)most);
  }
  if (d->budget <= 0)
    return d->level;
  double base = usual_base(d);
  bool is_attempt = false;
  int risen = rise(d, base, &is_attempt);
  int level = is_attempt ? risen : fit(d, risen, base, HUGE_VAL);
  if (level < risen)
    explain_fall(d, predict(d, risen, base));
  move(d, level);
  if (!is_attempt)
    adapt(d, fmax(base, used), left);
  return d->level;
}

enum rmq_detail_level rmq_detail_give_up(struct rmq_detail *d, double seconds) {
  measure(d, seconds);
  explain_fall(d, predict(d, (int)d->level, d->base));
  move(d, fit(d, (int)d->level - 1, d->base, HUGE_VAL));
  return d->level;
}

/* A failure that came soon says nothing, a late one that it takes longer. */
static bool tells_cost(const struct rmq_detail *d, double seconds,
                       bool has_list) {
  return has_list ||
         (seconds + d->report) / d->queues > d->costs[d->level].mean;
}

void rmq_detail_end(struct rmq_detail *d, double queue_seconds, bool has_list,
                    double base) {
  for (int i = 0; i < RMQ_DETAIL_LEVELS_COUNT; i++)
    d->costs[i].age++;
  d->base_before = d->base > 0 ? d->base : base;
  d->base = base;
  d->total = base + d->report;
  if (!isnan(queue_seconds)) {
    if (tells_cost(d, queue_seconds, has_list))
      measure(d, queue_seconds);
    d->total += queue_seconds;
  }
  d->kept++;
  d->since_dip++;
  if (d->has_risen && has_lasted(d))
    d->patience = RMQ_DETAIL_PATIENCE;
  d->calm = has_list && !d->is_dip && may_rise(d) ? d->calm + 1 : 0;
}
