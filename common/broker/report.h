/* SPDX-License-Identifier: MIT */
/*
 * What the monitor says after one poll, and the table of its series: structs
 * whose fields the rows of rmq_report_series point at. NaN or a negative
 * counter = not known = not sent.
 */
#ifndef RMQ_BROKER_REPORT_H
#define RMQ_BROKER_REPORT_H

#include "common/base/series.h"

/* Ends with RMQ_SERIES_END; scopes cluster, node, vhost and queue. */
extern const struct rmq_series rmq_report_series[];

/* Why messages are dead-lettered, as in the header x-death, and how many
 * reasons there are. */
extern const char *const rmq_report_reasons[];
enum { RMQ_REPORT_DEAD_COUNT = 4 };

/* Times in seconds, sizes in bytes, shares in percent, rates per second. */
struct rmq_report_cluster {
  /* connection status */
  double reachable, amqp_usable, response_time, metrics_time;
  double connections_open, connections_blocked;
  int64_t connections_opened, connections_closed;
  double nodes_running, nodes_total, partitions;
  double quorum_critical, leaderless; /* queues */
  double vhosts_down;
  double certificate_days; /* until the first one expires */
  /* lag */
  double ready, unacked, growth, drain, head_age;
  double probe_confirm, probe_delivery, consumer_delivery, stream_offset_lag;
  /* error rate */
  int64_t returned, dropped_unroutable, unconfirmed, redelivered;
  int64_t own_nacks, own_dropped;
  int64_t dead_lettered[RMQ_REPORT_DEAD_COUNT]; /* by rmq_report_reasons */
  int64_t auth_failed, channel_closed;
  double auth_failed_minute, channel_closed_minute; /* in the last one */
  double error_rate;
  /* throughput */
  int64_t publish, confirm, deliver, ack, get;
  double publish_rate, deliver_rate, ack_rate, throughput_drop;
  /* about itself */
  double scrape_time, scrape_bytes, scrape_cpu, scrape_memory;
  double detail_level; /* enum rmq_detail_level */
  int64_t scrape_failed;
};

struct rmq_report_node {
  const char *name; /* borrowed from the snapshot */
  double memory_used, memory_limit, disk_free, disk_limit;
  double memory, file_handles, processes, run_queue;
  double cpu, host_memory, memory_rss; /* of nodes on this host */
  double running, memory_alarm, disk_alarm, uptime;
  double scraped; /* whether its MetricsURL answered */
};

struct rmq_report_vhost {
  const char *name; /* borrowed from the snapshot */
  double ready, unacked, growth, drain;
  int64_t returned, dropped_unroutable, redelivered;
  int64_t publish, confirm, deliver, ack, get;
};

struct rmq_report_queue {
  const char *vhost, *name; /* borrowed from the snapshot */
  double ready, unacked, consumers, growth, drain, head_age;
  double stream_offset_lag;
  int64_t publish, deliver, ack, redeliver;
  double consumer_capacity, memory;
  /* Behind all series: none by the stream protocol, as far as that is known. */
  bool has_no_stream_consumer;
};

/* Everything not known, nothing named. */
void rmq_report_cluster_clear(struct rmq_report_cluster *c);
void rmq_report_node_clear(struct rmq_report_node *n);
void rmq_report_vhost_clear(struct rmq_report_vhost *v);
void rmq_report_queue_clear(struct rmq_report_queue *q);

#endif
