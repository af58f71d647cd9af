/* SPDX-License-Identifier: MIT */
/*
 * A collectd for unit tests: the few functions of the daemon that host_collectd
 * calls, which keep what they are given instead of doing anything.
 */
#ifndef RMQ_TESTS_FAKE_COLLECTD_H
#define RMQ_TESTS_FAKE_COLLECTD_H

#include "common/host/collectd_api.h"

enum { FAKE_COLLECTD_LINES = 64 };

struct fake_collectd {
  char lines[FAKE_COLLECTD_LINES][1024]; /* of the log */
  int levels[FAKE_COLLECTD_LINES];
  size_t lines_count;
  value_list_t vl; /* the last that was dispatched; values below */
  value_t values[64];
  size_t dispatched;
  char meta[1024];           /* of that value list: "key=value;" in its order */
  cdtime_t context_interval; /* of the plugin context in that call */
  notification_t notification; /* the last; its meta data is gone */
  char notification_meta[1024];
  size_t notified;
  int dispatch_result;
  /* The value cache; ends with a NULL name. */
  const struct fake_cached {
    const char *name;
    value_t value;
  } * cache;
  const gauge_t *rates; /* what uc_get_rate knows; NULL = nothing */
};

extern struct fake_collectd fake_collectd;
void fake_collectd_clear(void);
/* True when a log line contains the text. */
bool fake_collectd_said(const char *text);

#endif
