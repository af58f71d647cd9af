/* SPDX-License-Identifier: MIT */
/*
 * The virtual hosts of a snapshot: what the management API says of each, or the
 * sums of what the nodes say of its queues and exchanges. One thread.
 *
 * Of more than RMQ_VHOSTS_MAX the first wanted ones by name are kept, in
 * whatever order they come; none of those was ever left out, so that its sums
 * are whole.
 */
#ifndef RMQ_BROKER_VHOSTS_H
#define RMQ_BROKER_VHOSTS_H

#include "common/broker/snapshot.h"

enum { RMQ_VHOSTS_MAX = 5000 };

/* The one of that name, with everything absent when it is new; NULL: none is
 * wanted (vhosts_max is 0), or not this one, one too many, without memory (then
 * vhosts_failed is set), or the name is empty or has a NUL inside. Valid until
 * the next call. */
struct rmq_snapshot_vhost *rmq_vhosts_need(struct rmq_snapshot *s,
                                           const char *name, size_t len);

/* After the last one: only those that are wanted, and of these the first
 * vhosts_max by name; the others count in vhosts_left_out. */
void rmq_vhosts_end(struct rmq_snapshot *s);
/* A part of them is missing: nothing is known of any. */
void rmq_vhosts_forget(struct rmq_snapshot *s);

#endif
