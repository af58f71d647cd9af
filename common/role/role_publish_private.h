/* SPDX-License-Identifier: MIT */
/*
 * What the three files of the publishing job share: role_publish.c has its
 * threads' lives and what the host calls, publish_setup.c makes all of it from
 * the options, and unmakes it, publish_totals.c says what has become of it.
 */
#ifndef RMQ_ROLE_ROLE_PUBLISH_PRIVATE_H
#define RMQ_ROLE_ROLE_PUBLISH_PRIVATE_H

#include "common/role/role_publish.h"

#include "common/base/complain.h"
#include "common/codec/codec.h"
#include "common/role/intake.h"
#include "common/role/prepare.h"
#include "common/role/publish_lane.h"
#include "common/role/publish_series.h"
#include "common/role/publish_spool.h"

#include <pthread.h>
#include <stdatomic.h>

struct rmq_role_publish {
  const struct rmq_publish_options *options;
  const char *block;
  const struct rmq_host *host;
  const struct rmq_codec *codec;
  struct rmq_codec_style style;
  struct rmq_prepare prepare;
  struct rmq_connection_setup setup;
  struct rmq_connection_config connection;
  struct rmq_wire_exchange exchange;
  struct rmq_publish_lane **lanes;
  unsigned lanes_count;

  struct rmq_fate_sink fates;
  struct rmq_spool *spool; /* NULL = none */
  struct rmq_intake *intake;
  atomic_bool has_overflowed; /* since the last complaint about it */
  atomic_bool is_ending;
  bool is_left_behind; /* a thread runs on */

  /* Repeated complaints of the callbacks, any thread. */
  pthread_mutex_t complain_lock;
  struct rmq_complain overflow, unencodable;
  /* The reporting thread. */
  struct rmq_series_object object;
  struct rmq_publisher_counters reported;
  struct rmq_window errors;
};

/* What the intake has sealed. Under its lock; ctx is the role. */
bool rmq_role_publish_accept(void *ctx, struct rmq_message *m);
/* All lanes' together. Any thread. */
void rmq_role_publish_snapshot(struct rmq_role_publish *r, bool take_latency,
                               struct rmq_publisher_snapshot *sum);

#endif
