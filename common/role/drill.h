/* SPDX-License-Identifier: MIT */
/*
 * Drills: one fault at a time, made in a virtual host of its own, and whether
 * the monitor's indicator and alert come and go. Nothing outside of that
 * virtual host is touched, and no drill sends more than RMQ_DRILL_MESSAGES_MAX
 * small messages; what would hurt a whole broker is done only by who owns it.
 * One thread; blocks for as long as a drill takes.
 */
#ifndef RMQ_ROLE_DRILL_H
#define RMQ_ROLE_DRILL_H

#include "common/base/host.h"
#include "common/role/drill_kind.h"
#include "common/role/role_monitor.h"

#include <signal.h>

enum { RMQ_DRILL_MESSAGES_MAX = 2000 };

/* Faults of a private broker, by who has started it: makes one, or ends it. 0,
 * or -1 with err. */
struct rmq_drill_owner {
  void *ctx;
  int (*act)(void *ctx, enum rmq_drill_kind kind, bool is_on,
             struct rmq_error *err);
};

/* Borrowed. */
struct rmq_drill_config {
  struct rmq_role_monitor_config *monitor; /* Probe and Alert are added */
  const char *amqp;                        /* HOST[:PORT] of the probe */
  bool amqp_tls;
  struct rmq_dur hold;  /* of the alerts */
  struct rmq_dur limit; /* for each of: moved, raised, over */
  double errors_limit;  /* percent of the alert errors */
  const volatile sig_atomic_t *is_stopping;
  const struct rmq_drill_owner *owner; /* NULL: the broker is not ours */
};

struct rmq_drill; /* opaque: requests, the drill that is running */

/* log goes through host; its sample and event are the drill's own. NULL with
 * err. */
struct rmq_drill *rmq_drill_new(const struct rmq_host *host,
                                const struct rmq_drill_config *config,
                                struct rmq_error *err);
/* Frees nothing when the monitor was left behind. */
void rmq_drill_free(struct rmq_drill *d);
/* A thread of the monitor did not end in time: it uses d, host and what config
 * borrows until the process ends. */
bool rmq_drill_is_left_behind(const struct rmq_drill *d);

/* Appends the name of the cluster. */
int rmq_drill_cluster(struct rmq_drill *d, struct rmq_buf *out,
                      struct rmq_error *err);
/* Makes the virtual host, runs, removes it again whatever comes. -1: it could
 * not be run, err says why; the result then holds what was seen, if the fault
 * was made. */
int rmq_drill_run(struct rmq_drill *d, enum rmq_drill_kind kind,
                  struct rmq_drill_result *ret_result, struct rmq_error *err);
/* Removes the virtual hosts of all drills, also of those that run now:
 * ret_count of them, and ret_left more are there than are removed at a time. */
int rmq_drill_cleanup(struct rmq_drill *d, size_t *ret_count, size_t *ret_left,
                      struct rmq_error *err);

#endif
