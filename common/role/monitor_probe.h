/* SPDX-License-Identifier: MIT */
/*
 * The monitor's canary with its connection and its thread: whether the broker
 * takes, keeps and delivers a message, and how long that takes. Its first
 * failure is one line, repeated with backing-off frequency, and its recovery
 * one more.
 */
#ifndef RMQ_ROLE_MONITOR_PROBE_H
#define RMQ_ROLE_MONITOR_PROBE_H

#include "common/amqp/probe.h"
#include "common/base/host.h"
#include "common/role/probe_options.h"

struct rmq_monitor_probe; /* opaque: worker, connection, lock */

/* Starts nothing. plugin and block name log lines; everything is borrowed until
 * free. NULL with err. */
struct rmq_monitor_probe *
rmq_monitor_probe_new(const struct rmq_probe_options *options,
                      const char *plugin, const char *block,
                      const struct rmq_host *host, struct rmq_error *err);
/* Never started, or joined. NULL is fine. */
void rmq_monitor_probe_free(struct rmq_monitor_probe *m);
int rmq_monitor_probe_start(struct rmq_monitor_probe *m, struct rmq_error *err);
/* Returns at once. */
void rmq_monitor_probe_stop(struct rmq_monitor_probe *m,
                            struct rmq_mono deadline);
/* After stop. False: it has not ended by then, and is left alone: it and what
 * it borrowed must never be freed. */
bool rmq_monitor_probe_join(struct rmq_monitor_probe *m,
                            struct rmq_mono deadline);

/* After a start: waits for the first verdict, at most the options' Timeout and
 * a second. */
void rmq_monitor_probe_await(struct rmq_monitor_probe *m);
/* Any thread. Latencies are those since the last take. */
struct rmq_probe_result rmq_monitor_probe_take(struct rmq_monitor_probe *m);

#endif
