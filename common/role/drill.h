/* SPDX-License-Identifier: MIT */
/*
 * Drills: one fault at a time, made in a virtual host of its own, and whether
 * the monitor's indicator and alert come and go. Nothing outside of that
 * virtual host is touched, and no drill sends more than RMQ_DRILL_MESSAGES_MAX
 * small messages. One thread; blocks for as long as a drill takes.
 */
#ifndef RMQ_ROLE_DRILL_H
#define RMQ_ROLE_DRILL_H

#include "common/base/host.h"
#include "common/role/role_monitor.h"

#include <signal.h>

#define RMQ_DRILL_VHOST "warren-drill-"
enum { RMQ_DRILL_MESSAGES_MAX = 2000 };

/* X(enum suffix, word, series, kind of alert, what is done) */
#define RMQ_DRILLS(X)                                                          \
  X(CLOSED_CONNECTION, "closed-connection", "bool-amqp_usable", "connection",  \
    "the connection of a probe of its own is closed, again and again")         \
  X(UNROUTABLE, "unroutable", "total_events-returned", "errors",               \
    "mandatory messages that no queue takes")                                  \
  X(REDELIVERY, "redelivery", "total_events-redelivered", "errors",            \
    "messages that are taken and put back")                                    \
  X(BACKLOG, "backlog", "queue_length-ready", "backlog",                       \
    "messages in a queue that nobody reads")

enum rmq_drill_kind {
#define RMQ_X(name, word, series, alert, what) RMQ_DRILL_##name,
  RMQ_DRILLS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_DRILLS_COUNT = RMQ_DRILL_BACKLOG + 1 };
const char *rmq_drill_kind_to_str(enum rmq_drill_kind k);
const char *rmq_drill_series(enum rmq_drill_kind k);
const char *rmq_drill_help(enum rmq_drill_kind k);
/* 0, or -1 for an unknown word. */
int rmq_drill_kind_from_str(const char *word, enum rmq_drill_kind *ret_kind);

/* Borrowed. */
struct rmq_drill_config {
  struct rmq_role_monitor_config *monitor; /* Probe and Alert are added */
  const char *amqp;                        /* HOST[:PORT] of the probe */
  bool amqp_tls;
  struct rmq_dur hold;  /* of the alerts */
  struct rmq_dur limit; /* for each of: moved, raised, over */
  double errors_limit;  /* percent of the alert errors */
  const volatile sig_atomic_t *is_stopping;
};

/* Seconds since the fault began (moved, raised) or ended (over); NaN = it did
 * not. */
struct rmq_drill_result {
  double moved_s, raised_s, over_s;
};
bool rmq_drill_passed(const struct rmq_drill_result *r);

struct rmq_drill; /* opaque: requests, the drill that is running */

/* log goes through host; its sample and event are the drill's own. NULL with
 * err. */
struct rmq_drill *rmq_drill_new(const struct rmq_host *host,
                                const struct rmq_drill_config *config,
                                struct rmq_error *err);
void rmq_drill_free(struct rmq_drill *d);

/* Appends the name of the cluster. */
int rmq_drill_cluster(struct rmq_drill *d, struct rmq_buf *out,
                      struct rmq_error *err);
/* Makes the virtual host, runs, removes it again whatever comes. -1: it could
 * not be run, err says why; the result then holds what was seen. */
int rmq_drill_run(struct rmq_drill *d, enum rmq_drill_kind kind,
                  struct rmq_drill_result *ret_result, struct rmq_error *err);
/* Removes what earlier runs that were killed have left; ret_count = how many.
 */
int rmq_drill_cleanup(struct rmq_drill *d, size_t *ret_count,
                      struct rmq_error *err);

#endif
