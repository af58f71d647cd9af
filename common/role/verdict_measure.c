/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/verdict_measure.h"

#include <math.h>

#define ROW(i, name_, scope_, type_, instance_, uom_, warning_, critical_,     \
            says_, ...)                                                        \
  {                                                                            \
    .indicator = RMQ_VERDICT_##i, .name = name_, .scope = RMQ_SERIES_##scope_, \
    .type = type_, .type_instance = instance_, .uom = uom_,                    \
    .warning = warning_, .critical = critical_, .says = says_, __VA_ARGS__     \
  }
#define FACT(...) ROW(__VA_ARGS__, .is_fact = true)

/* Limits are those of the alerts (broker/alert_kind), checked by a test. A
 * value that is not known judges nothing. */
const struct rmq_verdict_measure rmq_verdict_measures_table[] = {
    ROW(CONNECTION, "response_time", CLUSTER, "response_time", "management",
        "s", NULL, NULL, "the management API answers in %s s"),
    ROW(CONNECTION, "probe_delivery", CLUSTER, "latency", "probe_delivery", "s",
        NULL, "300", "the probe's message came back in %s s"),
    ROW(CONNECTION, "probe_confirm", CLUSTER, "latency", "probe_confirm", "s",
        NULL, NULL, "it was confirmed in %s s"),
    ROW(CONNECTION, "connections", CLUSTER, "current_connections", "open", "",
        NULL, NULL, "%s connection{|s}"),
    ROW(CONNECTION, "nodes_running", CLUSTER, "gauge", "nodes_running", "",
        NULL, NULL, "%s node{ runs|s run}"),
    ROW(CONNECTION, "certificate_days", CLUSTER, "gauge", "certificate_days",
        "", "30:", "7:", "a TLS certificate expires within %s day{|s}"),
    /* No alert has this: it follows from one node's alarm, which has its own.
     * But a publisher that stands still is worth a word by itself. */
    ROW(CONNECTION, "connections_blocked", CLUSTER, "current_connections",
        "blocked", "", "0", NULL, "%s connection{|s} blocked"),
    ROW(CONNECTION, "leaderless_queues", CLUSTER, "gauge", "leaderless_queues",
        "", NULL, "0", "%s quorum queue{|s} without a leader"),
    ROW(CONNECTION, "quorum_critical_queues", CLUSTER, "gauge",
        "quorum_critical_queues", "", "0", NULL,
        "%s queue{|s} that the loss of one more node would stop"),
    ROW(CONNECTION, "vhosts_down", CLUSTER, "gauge", "vhosts_down", "", NULL,
        "0", "%s virtual host{|s} down on a node that runs"),
    FACT(CONNECTION, "partitions", CLUSTER, "gauge", "partitions", "", NULL,
         "0", "network partition: nodes do not see each other"),
    FACT(CONNECTION, "amqp_usable", CLUSTER, "bool", "amqp_usable", "", NULL,
         "1:", "no message gets through, says the probe", .is_probe = true),
    FACT(CONNECTION, "running", NODE, "bool", "running", "", NULL,
         "1:", "is not running", .is_needed = true),
    FACT(CONNECTION, "memory_alarm", NODE, "bool", "memory_alarm", "", NULL,
         "0", "memory alarm: the cluster blocks publishers"),
    FACT(CONNECTION, "disk_alarm", NODE, "bool", "disk_alarm", "", NULL, "0",
         "disk alarm: the cluster blocks publishers"),

    ROW(LAG, "queue_backlog", QUEUE, "queue_length", "ready", "", NULL, "50000",
        "%s message{|s} ready or unacknowledged", .plus = "unacked",
        .is_needed = true),
    ROW(LAG, "queue_ready", QUEUE, "queue_length", "ready", "", NULL, NULL,
        "%s message{|s} ready", .is_quiet = true),
    ROW(LAG, "queue_unacked", QUEUE, "queue_length", "unacked", "", NULL, NULL,
        "%s message{|s} unacknowledged", .is_quiet = true),
    ROW(LAG, "head_age", QUEUE, "duration", "head_age", "s", NULL, "300",
        "the oldest message is %s s old"),
    ROW(LAG, "stream_offset_lag", QUEUE, "gauge", "stream_offset_lag", "", NULL,
        "1000000", "a consumer is %s message{|s} of the stream behind",
        .is_needed = true),
    ROW(LAG, "ready", CLUSTER, "queue_length", "ready", "", NULL, NULL,
        "%s message{|s} ready in all", .is_quiet = true),
    ROW(LAG, "unacked", CLUSTER, "queue_length", "unacked", "", NULL, NULL,
        "%s unacknowledged in all", .is_quiet = true),
    ROW(LAG, "drain", CLUSTER, "duration", "drain", "s", NULL, NULL,
        "drained in %s s at this pace"),

    ROW(ERRORS, "error_rate", CLUSTER, "percent", "error_rate", "%", NULL, "3",
        "%s %% of the operations failed"),
    ROW(ERRORS, "returned", CLUSTER, "total_events", "returned", "", NULL, NULL,
        "%s returned"),
    ROW(ERRORS, "dropped_unroutable", CLUSTER, "total_events",
        "dropped_unroutable", "", NULL, NULL, "%s dropped as unroutable"),
    ROW(ERRORS, "unconfirmed", CLUSTER, "total_events", "unconfirmed", "", NULL,
        NULL, "%s unconfirmed"),
    ROW(ERRORS, "redelivered", CLUSTER, "total_events", "redelivered", "", NULL,
        NULL, "%s redelivered"),
    ROW(ERRORS, "published", CLUSTER, "total_operations", "publish", "", NULL,
        NULL, "%s published"),
    ROW(ERRORS, "delivered", CLUSTER, "total_operations", "deliver", "", NULL,
        NULL, "%s delivered"),

    ROW(RESOURCE, "memory", NODE, "percent", "memory", "%", "80", "95",
        "memory at %s %% of the limit", .is_needed = true),
    ROW(RESOURCE, "disk", NODE, "bytes", "disk_free", "%", "50", "80",
        "the limit of free disk space at %s %% of what is free",
        .plus = "disk_limit", .is_disk = true),
    ROW(RESOURCE, "file_handles", NODE, "percent", "file_handles", "%", "80",
        "90", "file handles at %s %%"),
    ROW(RESOURCE, "processes", NODE, "percent", "processes", "%", "80", "90",
        "Erlang processes at %s %%"),
    ROW(RESOURCE, "cpu", NODE, "percent", "cpu", "%", "85", "90",
        "CPU at %s %% of what the node may use"),
    ROW(RESOURCE, "host_memory", NODE, "percent", "host_memory", "%", "85",
        "90", "memory of the host at %s %%"),
    FACT(RESOURCE, "memory_alarm", NODE, "bool", "memory_alarm", "", NULL, "0",
         "memory alarm: the cluster blocks publishers"),
    FACT(RESOURCE, "disk_alarm", NODE, "bool", "disk_alarm", "", NULL, "0",
         "disk alarm: the cluster blocks publishers"),

    ROW(THROUGHPUT, "publish_rate", CLUSTER, "gauge", "publish_rate", "", NULL,
        NULL, "%s message{|s} published per second"),
    ROW(THROUGHPUT, "deliver_rate", CLUSTER, "gauge", "deliver_rate", "", NULL,
        NULL, "%s delivered"),
    ROW(THROUGHPUT, "ack_rate", CLUSTER, "gauge", "ack_rate", "", NULL, NULL,
        "%s acknowledged")};

double rmq_verdict_disk(double free, double limit) {
  if (isnan(free) || isnan(limit))
    return (double)NAN;
  return free > limit ? 100 * limit / free : 100;
}

const size_t rmq_verdict_measures_count =
    sizeof(rmq_verdict_measures_table) / sizeof(rmq_verdict_measures_table[0]);

struct rmq_verdict_rows rmq_verdict_rows_of(enum rmq_verdict_indicator i) {
  struct rmq_verdict_rows r = {rmq_verdict_measures_table, 0};
  for (size_t k = 0; k < rmq_verdict_measures_count; k++)
    if (rmq_verdict_measures_table[k].indicator == i) {
      if (r.count == 0)
        r.first = &rmq_verdict_measures_table[k];
      r.count++;
    }
  return r;
}
