/* SPDX-License-Identifier: MIT */
/*
 * A drill's own virtual host: made, removed, and what killed drills have left.
 * Blocking; one thread. 0, or -1 with err in words for who runs the drill.
 */
#ifndef RMQ_ROLE_DRILL_VHOST_H
#define RMQ_ROLE_DRILL_VHOST_H

#include "common/broker/admin.h"

#include <signal.h>

#define RMQ_DRILL_VHOST "warren-drill-" /* what its name begins with */
#define RMQ_DRILL_ADMINISTRATOR "the user has to be an administrator"

int rmq_drill_vhost_make(struct rmq_admin *a, const char *vhost,
                         struct rmq_error *err);
/* rc and err: of what was done in it. Whatever went wrong before, a virtual
 * host that stays is said. Returns rc, or -1. */
int rmq_drill_vhost_remove(struct rmq_admin *a, const char *vhost,
                           const volatile sig_atomic_t *is_stopping, int rc,
                           struct rmq_error *err);
/* Removes what earlier runs that were killed have left, and what others that
 * run have: nothing in a virtual host says which, since most drills have no
 * connection. ret_count of them, and ret_left more are there than are removed
 * at a time. */
int rmq_drill_vhost_cleanup(struct rmq_admin *a, size_t *ret_count,
                            size_t *ret_left, struct rmq_error *err);

/* What the last request was refused with: the cause, or, of a user who may not,
 * what the broker says and the remedy. The broker's own words about a user do
 * not say what the user lacks, and are printable only here. -1. */
int rmq_drill_vhost_explain(struct rmq_admin *a, const struct rmq_error *cause,
                            const char *remedy, struct rmq_error *err);

#endif
