/* SPDX-License-Identifier: MIT */
/*
 * What a drill makes of the samples and events of its monitor: whether it can
 * begin, whether the indicator has moved, whether the alert is raised. Pure,
 * one thread.
 */
#ifndef RMQ_ROLE_DRILL_WATCH_H
#define RMQ_ROLE_DRILL_WATCH_H

#include "common/base/sample.h"
#include "common/role/drill_kind.h"

enum { RMQ_DRILL_WATCH_BACKLOG = 50 }; /* messages that are one */

struct rmq_drill_watch {
  enum rmq_drill_kind kind;
  const char *vhost;   /* borrowed; the drill's own */
  double value, first; /* of the series, now and before the fault; NaN = none */
  double own, own_first; /* likewise, of the series of the virtual host */
  bool is_listed;        /* the virtual host is among those that are reported */
  bool has_management, has_nodes; /* what answers: API, Prometheus plugins */
  bool is_reachable;
  bool is_raised, was_raised; /* the alert: now, since the fault */
};

void rmq_drill_watch_init(struct rmq_drill_watch *w, enum rmq_drill_kind kind,
                          const char *vhost);
void rmq_drill_watch_sample(struct rmq_drill_watch *w,
                            const struct rmq_sample *s);
void rmq_drill_watch_event(struct rmq_drill_watch *w,
                           const struct rmq_event *e);
/* The cluster answers, and says that the fault is not there already. */
bool rmq_drill_watch_is_well(const struct rmq_drill_watch *w);
/* The fault is made now: what is before it counts no more. */
void rmq_drill_watch_begin(struct rmq_drill_watch *w);
/* A counter of what went wrong is the virtual host's where the source tells
 * that, else the cluster's. */
bool rmq_drill_watch_has_moved(const struct rmq_drill_watch *w);
/* It is the cluster's, which somebody else's messages move, too. */
bool rmq_drill_watch_is_shared(const struct rmq_drill_watch *w);

#endif
