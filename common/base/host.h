/* SPDX-License-Identifier: MIT */
/*
 * What a role needs from whoever runs it: collectd, Telegraf through stdin and
 * stdout, or a test. Filled in by an adapter under common/host or by a fake.
 */
#ifndef RMQ_BASE_HOST_H
#define RMQ_BASE_HOST_H

#include "common/base/log.h"
#include "common/base/rmqtime.h"
#include "common/base/sample.h"

#include <stdbool.h>

/* All members are set but recall and instances, which are NULL where the host
 * keeps nothing; ctx is passed back. log, mono, wall and random may be
 * called from any thread. sample and event only from the thread that the role
 * names; they copy what they keep. */
struct rmq_host {
  void *ctx;
  const char *service; /* "collectd" or "warren" */
  const char *hostname;
  /* Where files that outlive the daemon are kept, unless an option says it;
   * NULL = in the working directory. */
  const char *state_dir;
  bool has_rates; /* its samples come with rates where that is wanted */
  void (*log)(void *ctx, const struct rmq_log_record *record);
  struct rmq_mono (*mono)(void *ctx);
  struct rmq_wall (*wall)(void *ctx);
  uint64_t (*random)(void *ctx); /* 64 unpredictable bits */
  /* What was reported last under a name, by whatever module of the process,
   * while it is not too old. -1 when there is no such number. Any thread. */
  int (*recall)(void *ctx, const struct rmq_identity *id, enum rmq_kind kind,
                union rmq_value *ret_value);
  /* Every plugin instance of which recall knows that series; what found does
   * must be quick and not call the host. Any thread. */
  void (*instances)(void *ctx, const char *plugin, const char *type,
                    const char *type_instance,
                    void (*found)(void *ctx, const char *instance),
                    void *found_ctx);
  /* 0, or -1 when the host refused the sample. */
  int (*sample)(void *ctx, const struct rmq_sample *sample);
  void (*event)(void *ctx, const struct rmq_event *event);
};

#endif
