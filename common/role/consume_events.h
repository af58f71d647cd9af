/* SPDX-License-Identifier: MIT */
/*
 * Notifications from messages on their way into the host. Their handlers may
 * start programs and send mail, and run in the thread that dispatches: so the
 * worker puts them into a bounded ring, at a bounded rate, and another thread
 * dispatches them.
 */
#ifndef RMQ_ROLE_CONSUME_EVENTS_H
#define RMQ_ROLE_CONSUME_EVENTS_H

#include "common/base/host.h"
#include "common/role/role_consume.h"

enum { RMQ_CONSUME_EVENTS_MAX = 256 }; /* in the ring */

struct rmq_consume_events;
/* rate per second, which is also what may come at once. NULL without memory. */
struct rmq_consume_events *rmq_consume_events_new(int64_t rate);
void rmq_consume_events_free(struct rmq_consume_events *e);

/* The worker's thread. A copy of event is to be dispatched: RMQ_REFUSAL_none;
 * else rate (too many in this second, or the ring is full) or failed. */
enum rmq_refusal rmq_consume_events_push(struct rmq_consume_events *e,
                                         const struct rmq_event *event,
                                         uint64_t ticket, struct rmq_mono now);
/* Another thread: dispatches the oldest; false when there is none, or it is
 * `until`: handlers may be slower than messages come. */
bool rmq_consume_events_dispatch(struct rmq_consume_events *e,
                                 const struct rmq_host *host,
                                 struct rmq_mono until, uint64_t *ret_ticket);

#endif
