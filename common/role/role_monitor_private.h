/* SPDX-License-Identifier: MIT */
/*
 * What the three files of the monitoring job share: role_monitor.c has the
 * hand-over and the thread, monitor_poll.c is what that does in each interval,
 * monitor_setup.c makes all of it from the options, and unmakes it.
 */
#ifndef RMQ_ROLE_MONITOR_PRIVATE_H
#define RMQ_ROLE_MONITOR_PRIVATE_H

#include "common/role/role_monitor.h"

#include "common/base/filter.h"
#include "common/broker/checks.h"
#include "common/broker/http_curl.h"
#include "common/broker/indicators.h"
#include "common/broker/local.h"
#include "common/broker/poll.h"
#include "common/role/monitor_alerts.h"
#include "common/role/monitor_log.h"
#include "common/role/monitor_own.h"
#include "common/role/monitor_probe.h"
#include "common/role/week_file.h"

#include <pthread.h>

struct rmq_role_monitor {
  const struct rmq_host *host;
  const char *name;
  const struct rmq_role_monitor_config *config;
  struct rmq_series_object cluster;
  struct rmq_monitor_probe *probe;   /* NULL without a <Probe> */
  struct rmq_monitor_alerts *alerts; /* NULL without an <Alert> */

  /* The polling thread's own. */
  /* As configured, without a '/' at the end. */
  struct rmq_strings urls, metrics_urls;
  struct rmq_http_curl *curl; /* NULL with a fake */
  struct rmq_filter *vhosts, *queues;
  struct rmq_poll poll;
  struct rmq_checks checks;
  struct rmq_snapshot snapshots[2];
  int filling; /* index of the snapshot to fill next */
  bool has_password;
  struct rmq_monitor_log log;
  struct rmq_error silence; /* of the last poll */
  struct rmq_local local;
  struct rmq_monitor_own *own;
  struct rmq_week *week; /* NULL without HourOfWeek */
  struct rmq_week_file week_file;

  /* Under result_lock. */
  pthread_mutex_t result_lock;
  struct rmq_indicators *indicators;
  struct rmq_indicators_result result; /* borrows from the other snapshot */
  struct rmq_wall result_time;
  bool has_result;
  double report_seconds, report_cpu; /* of the last one that was handed over */

  /* Under life_lock. */
  pthread_mutex_t life_lock;
  pthread_cond_t life_changed;
  pthread_t thread;
  bool is_started, is_stopping, has_ended, is_left_behind;
};

/* One poll: asks, judges, and leaves the result for the hand-over. In the
 * thread that polls. False when it was cancelled: then nothing of the host may
 * be touched. */
bool rmq_role_monitor_poll(struct rmq_role_monitor *m, struct rmq_mono now);

#endif
