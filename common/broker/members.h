/* SPDX-License-Identifier: MIT */
/*
 * Which nodes made up the cluster in the last poll, and so what the change of
 * an aggregated counter means: the sum over the nodes loses a node's part when
 * it leaves and regains it when it comes back, and neither was published.
 */
#ifndef RMQ_BROKER_MEMBERS_H
#define RMQ_BROKER_MEMBERS_H

#include "common/broker/meter.h"
#include "common/broker/snapshot.h"

enum { RMQ_MEMBERS_UNSURE_S = 30 };

struct rmq_member {
  char *name;    /* owned */
  double uptime; /* seconds; NaN = absent */
};

struct rmq_members {
  struct rmq_member *items; /* nodes that run, or tell counters */
  size_t count;
  bool has_before;  /* there was a poll */
  bool is_known;    /* the last poll listed them */
  bool was_changed; /* the last poll saw a change */
  bool is_unsure;   /* the last poll said nothing, the first one at unsure_at */
  struct rmq_mono unsure_at;
  struct rmq_mono taken;
};

void rmq_members_init(struct rmq_members *m);
void rmq_members_fini(struct rmq_members *m);

/* What happened to the cluster's counters since the last poll. A change counts
 * for the poll after it too: the parts of one poll are not of one moment.
 * A list that fails, or a node that does not say its uptime yet, makes the poll
 * UNSURE, for up to RMQ_MEMBERS_UNSURE_S seconds; then it is CHANGED. Where
 * there never was a list, nothing is known to have changed; the first poll says
 * SAME, since there is nothing yet that could go on. Without memory the next
 * step says CHANGED. */
enum rmq_continuity rmq_members_step(struct rmq_members *m,
                                     const struct rmq_snapshot *now);

/* Whether a node has restarted between two uptimes, read elapsed apart; all in
 * seconds, NaN before = not known = no. */
bool rmq_members_has_restarted(double before, double now, double elapsed);

#endif
