/* SPDX-License-Identifier: MIT */
/*
 * What the Prometheus plugin of a node says -> snapshot. Every node is asked
 * for itself and reports the queues that it leads; together they are the
 * cluster. Bodies are not trusted: any length, any content, in any pieces.
 *
 * Versions: metrics.c has the tables of the families that are read. Before 3.9
 * there are no rabbitmq_global_*, before 3.9.8 no /metrics/detailed, before
 * 3.10 no dead-lettered, before 4.0 no deliveries per queue and no exchanges.
 */
#ifndef RMQ_BROKER_METRICS_H
#define RMQ_BROKER_METRICS_H

#include "common/base/error.h"
#include "common/broker/snapshot.h"
#include "common/codec/exposition.h"

/* What to ask for, behind the path of /metrics, about queues: lengths
 * only, little of many, or all that there is of a few. Families that a version
 * does not know are ignored by the broker. */
#define RMQ_METRICS_QUEUES_LENGTHS "/detailed?family=queue_coarse_metrics"
#define RMQ_METRICS_QUEUES_MANY                                                \
  "/detailed?family=queue_coarse_metrics&family=queue_consumer_count"          \
  "&family=exchange_metrics&family=stream_consumer_metrics"
#define RMQ_METRICS_QUEUES_FEW                                                 \
  "/detailed?family=queue_coarse_metrics&family=queue_metrics"                 \
  "&family=queue_delivery_metrics&family=queue_exchange_metrics"               \
  "&family=exchange_metrics&family=stream_consumer_metrics"

enum {
  RMQ_METRICS_NAME_MAX = 255,
  RMQ_METRICS_FEW = 1000 /* queues; all families take 0.5 s at 10,000 */
};

/* What one node says about itself; absent as in a snapshot. */
struct rmq_metrics_node {
  char name[RMQ_METRICS_NAME_MAX + 1]; /* "" = it did not say */
  char version[32];
  struct rmq_snapshot_node values; /* its name is NULL */
  double queues, ready, unacked, connections, unconfirmed;
};

/* The queues of all nodes on their way into a snapshot. */
struct rmq_metrics_queues {
  struct rmq_snapshot *snapshot;
  /* Whether a queue is wanted; NULL = all are. */
  bool (*want)(void *ctx, const char *vhost, const char *name);
  void *want_ctx;
  bool is_out_of_memory; /* some may be missing */
  /* Below: for the functions only. */
  uint32_t *slots;                /* a hash table of indices + 1 */
  size_t slots_count, slots_used; /* some for queues that lost their place */
  uint16_t *disputed; /* per queue: fields that were told twice, differing; and
                         whether a node leads it */
  size_t disputed_count;
  size_t led; /* queues that a node leads, also those over the maximum */
};

/* One body while it is read. */
struct rmq_metrics {
  struct rmq_exposition reader;
  struct rmq_metrics_node node;
  struct rmq_metrics_queues *queues; /* borrowed */
  size_t next; /* index where the next queue is looked for first */
};

/* Bodies come through rmq_exposition_feed(&m->reader). What came of a body that
 * broke off can be used; only the end must not be called then. */
void rmq_metrics_begin_node(struct rmq_metrics *m);
/* -1 with err when it was not the answer of a RabbitMQ node. */
int rmq_metrics_end_node(struct rmq_metrics *m, struct rmq_error *err);

/* For the snapshot of one poll; the snapshot and ctx are borrowed. After the
 * last body comes the end: a queue that only channels knew is none. */
void rmq_metrics_queues_init(struct rmq_metrics_queues *q,
                             struct rmq_snapshot *snapshot);
void rmq_metrics_queues_end(struct rmq_metrics_queues *q);
void rmq_metrics_queues_fini(struct rmq_metrics_queues *q);
/* After the node's own body: version and name are used. */
void rmq_metrics_begin_queues(struct rmq_metrics *m,
                              struct rmq_metrics_queues *queues);
void rmq_metrics_end_queues(struct rmq_metrics *m);

/* Whether a broker of that version tells the lag of each stream's consumers. */
bool rmq_metrics_tells_streams(const char *version);

/* Puts a node that answered into the snapshot: over what another source said of
 * the node of that name, or as a new one. Its part of the cluster's sums is
 * added. False when that node was put there before, or without memory. */
bool rmq_metrics_put_node(const struct rmq_metrics_node *n,
                          struct rmq_snapshot *s);

#endif
