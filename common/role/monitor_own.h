/* SPDX-License-Identifier: MIT */
/*
 * What the publishing and consuming modules of the same process have counted,
 * as the host remembers it (recall in base/host.h): no module calls another.
 * One thread.
 */
#ifndef RMQ_ROLE_MONITOR_OWN_H
#define RMQ_ROLE_MONITOR_OWN_H

#include "common/base/host.h"
#include "common/broker/snapshot.h"
#include "common/role/role_monitor.h"

enum {
  RMQ_MONITOR_OWN_MAX = 64,    /* blocks of a kind; more are left out */
  RMQ_MONITOR_OWN_FIND_S = 30, /* between two looks for new ones */
  /* What a consumer got is so long a sign that nothing waits for it; twice the
   * Hold of the alert "delay", which can end in that time. */
  RMQ_MONITOR_OWN_IDLE_S = 600
};

struct rmq_monitor_own; /* opaque: the blocks that were found */

/* All borrowed; name: of the block of the monitor. NULL without memory. */
struct rmq_monitor_own *
rmq_monitor_own_new(const struct rmq_host *host, const char *name,
                    const struct rmq_role_monitor_config *config);
void rmq_monitor_own_free(struct rmq_monitor_own *x);

/* Fills s->own: of the blocks that Publisher and Consumer name, or of all where
 * the config is_alone; of those it says that they are found. */
void rmq_monitor_own_step(struct rmq_monitor_own *x, struct rmq_snapshot *s);

#endif
