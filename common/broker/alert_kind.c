/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/alert_kind.h"

const char *rmq_alert_kind_to_str(enum rmq_alert_kind k) {
  switch (k) {
#define RMQ_X(name, word)                                                      \
  case RMQ_ALERT_##name:                                                       \
    return word;
    RMQ_ALERT_KINDS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_alert_priority_to_str(enum rmq_alert_priority p) {
  switch (p) {
  case RMQ_ALERT_P0:
    return "P0";
  case RMQ_ALERT_P1:
    return "P1";
  case RMQ_ALERT_P2:
    return "P2";
  }
  return "unknown";
}

const struct rmq_alert_habit *rmq_alert_habit(enum rmq_alert_kind k) {
  /* An alarm or a partition is the broker's own verdict and needs no second
   * look; but both come and go, so that their end does. One poll that was not
   * answered in time is no outage yet. A certificate does not come and go.
   * Refused logins are counted over a minute before their hold begins. */
  static const struct rmq_alert_habit habits[RMQ_ALERT_KINDS_COUNT] = {
      [RMQ_ALERT_BACKLOG] = {RMQ_ALERT_P1, 300, 300},
      [RMQ_ALERT_DELAY] = {RMQ_ALERT_P1, 300, 300},
      [RMQ_ALERT_ERRORS] = {RMQ_ALERT_P1, 300, 300},
      [RMQ_ALERT_RATE_DROP] = {RMQ_ALERT_P1, 300, 300},
      [RMQ_ALERT_RESOURCE] = {RMQ_ALERT_P2, 300, 300},
      [RMQ_ALERT_NO_CONSUMER] = {RMQ_ALERT_P1, 300, 60},
      [RMQ_ALERT_ALARM] = {RMQ_ALERT_P0, 0, 60},
      [RMQ_ALERT_PARTITION] = {RMQ_ALERT_P0, 0, 60},
      [RMQ_ALERT_CONNECTION] = {RMQ_ALERT_P0, 30, 30},
      [RMQ_ALERT_QUORUM] = {RMQ_ALERT_P1, 60, 60},
      [RMQ_ALERT_CERTIFICATE] = {RMQ_ALERT_P2, 0, 0},
      [RMQ_ALERT_AUTH_FAILED] = {RMQ_ALERT_P1, 60, 60},
      [RMQ_ALERT_CHANNEL_CLOSED] = {RMQ_ALERT_P2, 300, 300}};
  return &habits[k];
}

/* ---- what is measured ---- */

static double get_errors(const void *report) {
  const struct rmq_report_cluster *c = report;
  bool is_idle = isnan(c->error_rate) && (c->publish >= 0 || c->deliver >= 0);
  return is_idle ? 0 : c->error_rate; /* no operation, no error */
}
static double get_rate_drop(const void *report) {
  return ((const struct rmq_report_cluster *)report)->throughput_drop;
}
static double get_probe_delay(const void *report) {
  return ((const struct rmq_report_cluster *)report)->probe_delivery;
}
static double get_consumer_delay(const void *report) {
  return ((const struct rmq_report_cluster *)report)->consumer_delivery;
}
static double get_partitions(const void *report) {
  return ((const struct rmq_report_cluster *)report)->partitions;
}
/* NaN stays NaN. */
static double not(double truth) { return 1 - truth; }
static double get_unreachable(const void *report) {
  return not(((const struct rmq_report_cluster *)report)->reachable);
}

static double get_unusable(const void *report) {
  return not(((const struct rmq_report_cluster *)report)->amqp_usable);
}

static double get_vhosts_down(const void *report) {
  return ((const struct rmq_report_cluster *)report)->vhosts_down;
}
static double get_leaderless(const void *report) {
  return ((const struct rmq_report_cluster *)report)->leaderless;
}
static double get_quorum_critical(const void *report) {
  return ((const struct rmq_report_cluster *)report)->quorum_critical;
}
static double get_certificate_days(const void *report) {
  return ((const struct rmq_report_cluster *)report)->certificate_days;
}
static double get_auth_failed(const void *report) {
  return ((const struct rmq_report_cluster *)report)->auth_failed_minute;
}
static double get_channel_closed(const void *report) {
  return ((const struct rmq_report_cluster *)report)->channel_closed_minute;
}

static double get_memory(const void *report) {
  return ((const struct rmq_report_node *)report)->memory;
}
static double get_file_handles(const void *report) {
  return ((const struct rmq_report_node *)report)->file_handles;
}
static double get_processes(const void *report) {
  return ((const struct rmq_report_node *)report)->processes;
}
static double get_cpu(const void *report) {
  return ((const struct rmq_report_node *)report)->cpu;
}
static double get_host_memory(const void *report) {
  return ((const struct rmq_report_node *)report)->host_memory;
}
/* The limit in percent of what is free: 100 is the alarm, half of that as much
 * room again. Where nothing is free the quotient has no meaning. */
static double get_disk(const void *report) {
  const struct rmq_report_node *n = report;
  if (isnan(n->disk_free) || isnan(n->disk_limit))
    return (double)NAN;
  return n->disk_free > n->disk_limit ? 100 * n->disk_limit / n->disk_free
                                      : 100;
}
static double get_memory_alarm(const void *report) {
  return ((const struct rmq_report_node *)report)->memory_alarm;
}
static double get_disk_alarm(const void *report) {
  return ((const struct rmq_report_node *)report)->disk_alarm;
}
static double get_not_running(const void *report) {
  return not(((const struct rmq_report_node *)report)->running);
}
/* Where no list of nodes says whether it runs. */
static double get_silent(const void *report) {
  const struct rmq_report_node *n = report;
  return isnan(n->running) || n->scraped > 0 ? not(n->scraped) : (double)NAN;
}

/* Written and not acknowledged: a consumer that hoards messages does not hide
 * them. */
static double get_backlog(const void *report) {
  const struct rmq_report_queue *q = report;
  return q->ready + q->unacked;
}
/* A stream keeps what was read: what waits is what a consumer has yet to get.
 * Without a consumer whose lag could be told nobody is behind. */
static double get_stream_lag(const void *report) {
  const struct rmq_report_queue *q = report;
  bool has_nobody = q->consumers == 0 || q->has_no_stream_consumer;
  return isnan(q->stream_offset_lag) && has_nobody ? 0 : q->stream_offset_lag;
}
static double get_delay(const void *report) {
  const struct rmq_report_queue *q = report;
  return q->ready == 0 ? 0 : q->head_age; /* nothing waits, nothing is late */
}
static double get_no_consumer(const void *report) {
  const struct rmq_report_queue *q = report;
  if (q->consumers > 0)
    return 0;
  return isnan(q->consumers) ? (double)NAN : q->ready;
}

/* ---- the table ---- */

#define CLUSTER(k, ...) QUANTITY(k, RMQ_SERIES_CLUSTER, __VA_ARGS__)
#define NODE(k, ...) QUANTITY(k, RMQ_SERIES_NODE, __VA_ARGS__)
#define QUEUE(k, ...) QUANTITY(k, RMQ_SERIES_QUEUE, __VA_ARGS__)
#define QUANTITY(k, scope_, type_, instance_, get_, warning_, failure_, ...)   \
  {                                                                            \
    .kind = RMQ_ALERT_##k, .scope = scope_, .type = type_,                     \
    .type_instance = instance_, .get = get_, .warning = warning_,              \
    .failure = failure_, __VA_ARGS__                                           \
  }

/* One figure in the list is the one that calls for action: FAILURE. */
const struct rmq_alert_quantity
    rmq_alert_quantities[RMQ_ALERT_QUANTITIES_COUNT] = {
        CLUSTER(ERRORS, "percent", "error_rate", get_errors, 0, 3,
                .counts = "errors", .unit = " % of the operations"),
        CLUSTER(RATE_DROP, "percent", "throughput_drop", get_rate_drop, 30, 50,
                .counts = "the publish rate is below its baseline by",
                .unit = " %"),
        CLUSTER(DELAY, "latency", "probe_delivery", get_probe_delay, 0, 300,
                .counts = "the probe's message took", .unit = " s",
                .comes_with_probe = true),
        CLUSTER(DELAY, "latency", "consumer_delivery", get_consumer_delay, 0,
                300, .counts = "messages to a consumer of this host took",
                .unit = " s"),
        CLUSTER(PARTITION, "gauge", "partitions", get_partitions, 0, 1,
                .is_bad = "network partition: nodes do not see each other",
                .is_good = "no network partition any more"),
        CLUSTER(CONNECTION, "bool", "reachable", get_unreachable, 0, 1,
                .is_bad = "the broker is not reachable",
                .if_refused = "the broker refuses the monitor, which sees "
                              "nothing of it",
                .is_good = "the broker is reachable again",
                .needs_no_answer = true),
        CLUSTER(CONNECTION, "bool", "amqp_usable", get_unusable, 0, 1,
                .is_bad = "no message gets through, says the probe",
                .is_good = "messages get through again, says the probe",
                .follows_from_alarm = true),
        CLUSTER(CONNECTION, "gauge", "vhosts_down", get_vhosts_down, 0, 1,
                .counts = "virtual hosts that are down on a node:", .unit = ""),
        CLUSTER(QUORUM, "gauge", "leaderless_queues", get_leaderless, 0, 1,
                .counts = "quorum queues without a leader:", .unit = ""),
        CLUSTER(QUORUM, "gauge", "quorum_critical_queues", get_quorum_critical,
                1, 0,
                .counts = "queues that the loss of one more node would stop:",
                .unit = "", .follows_from_nodes = true),
        CLUSTER(CERTIFICATE, "gauge", "certificate_days", get_certificate_days,
                30, 7, .counts = "a TLS certificate expires within",
                .unit = " days", .is_lower_worse = true),
        CLUSTER(AUTH_FAILED, "gauge", "auth_failed_per_minute", get_auth_failed,
                10, 60, .counts = "refused logins:", .unit = " in a minute"),
        CLUSTER(CHANNEL_CLOSED, "gauge", "channel_closed_per_minute",
                get_channel_closed, 600, 6000,
                .counts = "channels closed:", .unit = " in a minute"),
        NODE(RESOURCE, "percent", "memory", get_memory, 80, 95,
             .resource = "memory", .counts = "memory used",
             .unit = " % of the limit"),
        NODE(RESOURCE, "percent", "file_handles", get_file_handles, 80, 90,
             .resource = "file-handles", .counts = "file handles used",
             .unit = " %"),
        NODE(RESOURCE, "percent", "processes", get_processes, 80, 90,
             .resource = "processes", .counts = "Erlang processes used",
             .unit = " %"),
        NODE(RESOURCE, "percent", "cpu", get_cpu, 85, 90, .resource = "cpu",
             .counts = "CPU used", .unit = " % of what the node may use"),
        NODE(RESOURCE, "percent", "host_memory", get_host_memory, 85, 90,
             .resource = "host-memory", .counts = "memory of the host used",
             .unit = " %"),
        NODE(RESOURCE, "bytes", "disk_free", get_disk, 50, 80,
             .resource = "disk", .counts = "the limit of free disk space is",
             .unit = " % of what is free"),
        NODE(ALARM, "bool", "memory_alarm", get_memory_alarm, 0, 1,
             .is_bad = "memory alarm: the cluster blocks publishers",
             .is_good = "no memory alarm any more"),
        NODE(ALARM, "bool", "disk_alarm", get_disk_alarm, 0, 1,
             .is_bad = "disk alarm: the cluster blocks publishers",
             .is_good = "no disk alarm any more"),
        NODE(CONNECTION, "bool", "running", get_not_running, 0, 1,
             .is_bad = "the node is not running",
             .is_good = "the node is running again"),
        NODE(CONNECTION, "bool", "scraped", get_silent, 0, 1,
             .is_bad = "the node does not answer at its MetricsURL",
             .is_good = "the node answers at its MetricsURL again"),
        QUEUE(BACKLOG, "queue_length", "ready", get_backlog, 0, 50000,
              .counts = "messages ready or unacknowledged:", .unit = ""),
        QUEUE(BACKLOG, "gauge", "stream_offset_lag", get_stream_lag, 0, 1000000,
              .counts = "messages of the stream that a consumer is behind:",
              .unit = ""),
        QUEUE(DELAY, "duration", "head_age", get_delay, 0, 300,
              .counts = "age of the oldest message", .unit = " s"),
        QUEUE(NO_CONSUMER, "gauge", "consumers", get_no_consumer, 0, 1,
              .counts = "messages that wait without a consumer:", .unit = ""),
};
