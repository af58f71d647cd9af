/* SPDX-License-Identifier: MIT */
/*
 * Which alerts are raised, from one poll's indicators to the next, and what is
 * to be said about it: each change once, after its hold (alert_state.h).
 *
 * Never a storm. A cause silences what follows from it, as long as the rules
 * report the cause itself: while the broker does not answer nothing else is
 * judged; while an alarm is on the probe is not, nor the publish rate, nor this
 * while a node is down or the cluster is partitioned. All that was silenced
 * begins its hold anew. Of one quantity at most RMQ_ALERTS_EACH objects are
 * raised by name in RMQ_ALERTS_WINDOW_S; the others share one alert of the
 * object "*". What ends is said by name too, at most RMQ_ALERTS_EACH per poll,
 * the others with the next polls.
 *
 * Pure: the clock is an argument. One thread. Memory: one watch per queue and
 * node that the last polls had, those whose end is still to be said, and
 * RMQ_SNAPSHOT_HELD_MAX raised ones whose node is away, or that were not asked
 * for.
 */
#ifndef RMQ_BROKER_ALERTS_H
#define RMQ_BROKER_ALERTS_H

#include "common/broker/alert_rule.h"
#include "common/broker/indicators.h"

enum {
  RMQ_ALERTS_EACH = 20,
  RMQ_ALERTS_WINDOW_S = 600,
  RMQ_ALERTS_TEXT_SIZE = 256 /* as collectd's messages */
};

/* What came of a poll. */
struct rmq_alerts_input {
  const struct rmq_indicators_result *result;
  bool is_answered;    /* else nothing but reachable is known */
  bool is_refused;     /* not answered, but refused user or password */
  bool has_nodes;      /* a node that is not in it is gone */
  int queues_patience; /* rmq_snapshot_patience */
  bool lacks_queues;   /* one that is not in it may exist nevertheless:
                          rmq_snapshot_lacks_node, or _is_brief */
  struct rmq_mono now;
};

/* A change; all pointers are valid for the duration of the call. */
struct rmq_alert_event {
  enum rmq_severity severity;
  enum rmq_alert_priority priority;
  const struct rmq_alert_quantity *quantity;
  const char *node, *vhost, *queue; /* NULL where the scope has none, and in
                                       the alert of the many */
  bool is_group;                    /* stands for several objects */
  double value;                     /* NaN = not known any more */
  double threshold;                 /* that was crossed, either way */
  const char *message;              /* a sentence, printable UTF-8 */
};

struct rmq_alerts; /* opaque: one watch per object */

/* configs: count pointers, borrowed, in the order of the configuration; name is
 * the cluster's, borrowed. NULL with err. */
struct rmq_alerts *rmq_alerts_new(const struct rmq_alert_config *const *configs,
                                  size_t count, const char *name,
                                  const struct rmq_alert_pace *pace,
                                  struct rmq_error *err);
void rmq_alerts_free(struct rmq_alerts *a);

/* After each poll. Calls emit for every change, at most RMQ_ALERTS_EACH + 1
 * times per quantity. Objects for which there is no memory are not watched in
 * this poll. */
void rmq_alerts_step(struct rmq_alerts *a, const struct rmq_alerts_input *in,
                     void (*emit)(void *ctx,
                                  const struct rmq_alert_event *event),
                     void *ctx);

#endif
