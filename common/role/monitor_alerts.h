/* SPDX-License-Identifier: MIT */
/*
 * The alerts of one cluster on their way to people: the polling thread judges
 * and logs, and another thread dispatches the notifications, since their
 * handlers may start programs and send mail. Between them is a bounded ring; of
 * what does not fit the oldest is lost, and counted in the log.
 */
#ifndef RMQ_ROLE_MONITOR_ALERTS_H
#define RMQ_ROLE_MONITOR_ALERTS_H

#include "common/base/host.h"
#include "common/broker/alerts.h"
#include "common/role/role_monitor.h"

enum { RMQ_MONITOR_EVENTS_MAX = 512 }; /* in the ring */

struct rmq_monitor_alerts; /* opaque: a lock around the ring */

/* All borrowed. NULL with err. */
struct rmq_monitor_alerts *
rmq_monitor_alerts_new(const struct rmq_host *host, const char *name,
                       const struct rmq_role_monitor_config *config,
                       struct rmq_error *err);
void rmq_monitor_alerts_free(struct rmq_monitor_alerts *a);

/* The polling thread, after each poll. */
void rmq_monitor_alerts_step(struct rmq_monitor_alerts *a,
                             const struct rmq_alerts_input *in);
/* Another thread: hands what has come to host->event; how many. */
size_t rmq_monitor_alerts_dispatch(struct rmq_monitor_alerts *a);

#endif
