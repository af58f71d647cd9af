/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/report.h"

#include <stddef.h>

#define ROW(scope_, struct_, max_, kind_, type_, instance_, field_, unit_,     \
            help_)                                                             \
  {                                                                            \
    .type = type_, .type_instance = instance_, .kind = kind_, .scope = scope_, \
    .offset = offsetof(struct struct_, field_), .min = 0, .max = max_,         \
    .indicator = INDICATOR, .unit = unit_, .help = help_                       \
  }
#define CLUSTER(...) CLUSTER_ROW((double)INFINITY, __VA_ARGS__)
#define CLUSTER_TO(max, ...) CLUSTER_ROW(max, RMQ_GAUGE, __VA_ARGS__)
#define CLUSTER_ROW(...)                                                       \
  ROW(RMQ_SERIES_CLUSTER, rmq_report_cluster, __VA_ARGS__)
/* A gauge with a name of its own in Prometheus: there only a counter ends in
 * _total, and no name has a unit like days. */
#define CLUSTER_NAMED(name, instance_, field_, unit_, help_)                   \
  {                                                                            \
    .type = "gauge", .type_instance = instance_, .kind = RMQ_GAUGE,            \
    .scope = RMQ_SERIES_CLUSTER,                                               \
    .offset = offsetof(struct rmq_report_cluster, field_), .min = 0,           \
    .max = (double)INFINITY, .indicator = INDICATOR, .unit = unit_,            \
    .prometheus = name, .help = help_                                          \
  }
/* Of a change, which may be below 0. */
#define GROWTH(scope_, struct_)                                                \
  {                                                                            \
    .type = "gauge", .type_instance = "growth", .kind = RMQ_GAUGE,             \
    .scope = scope_, .offset = offsetof(struct struct_, growth),               \
    .min = -(double)INFINITY, .max = (double)INFINITY, .indicator = INDICATOR, \
    .unit = "messages per second",                                             \
    .help =                                                                    \
        "Change of ready + unacked since the last poll, per second; below "    \
        "0 while the backlog falls"                                            \
  }
#define NODE(...) NODE_TO((double)INFINITY, __VA_ARGS__)
#define NODE_TO(max, ...)                                                      \
  ROW(RMQ_SERIES_NODE, rmq_report_node, max, RMQ_GAUGE, __VA_ARGS__)
#define VHOST(kind, ...)                                                       \
  ROW(RMQ_SERIES_VHOST, rmq_report_vhost, (double)INFINITY, kind, __VA_ARGS__)
#define QUEUE(...) QUEUE_ROW((double)INFINITY, __VA_ARGS__)
#define QUEUE_TO(max, ...) QUEUE_ROW(max, RMQ_GAUGE, __VA_ARGS__)
#define QUEUE_ROW(...) ROW(RMQ_SERIES_QUEUE, rmq_report_queue, __VA_ARGS__)
/* types.db's maximum of uptime. */
#define UPTIME_MAX 4294967295.0

/* As in the header x-death; "rejected" is with requeue false. */
const char *const rmq_report_reasons[RMQ_REPORT_DEAD_COUNT + 1] = {
    "rejected", "expired", "maxlen", "delivery_limit", NULL};

/* Of the rows that follow. */
#define INDICATOR "connection"
const struct rmq_series rmq_report_series[] = {
    /* connection status */
    CLUSTER_TO(
        1, "bool", "reachable", reachable, "0 or 1",
        "Whether a URL, or a MetricsURL, answered in the last poll, and not "
        "by refusing the user; SOURCES says when that of a part of the nodes "
        "is not enough"),
    CLUSTER_TO(1, "bool", "amqp_usable", amqp_usable, "0 or 1",
               "Whether the probe's last message was confirmed and came back "
               "within its Timeout"),
    CLUSTER(RMQ_GAUGE, "response_time", "management", response_time, "seconds",
            "Time from request to whole answer of /api/overview, or of "
            "/api/nodes where the numbers come from Prometheus"),
    CLUSTER(RMQ_GAUGE, "response_time", "prometheus", metrics_time, "seconds",
            "Time from request to whole answer of /metrics, of the slowest "
            "node that answered"),
    CLUSTER(RMQ_GAUGE, "current_connections", "open", connections_open,
            "connections", "object_totals.connections"),
    CLUSTER(RMQ_GAUGE, "current_connections", "blocked", connections_blocked,
            "connections",
            "Connections of /api/connections whose state is blocked, or "
            "blocking (they would be with their next publish), as of at most "
            "9 polls ago; absent where over 10,000 are open"),
    CLUSTER(RMQ_DERIVE, "total_connections", "opened", connections_opened,
            "connections", "Growth of churn_rates.connection_created"),
    CLUSTER(RMQ_DERIVE, "total_connections", "closed", connections_closed,
            "connections", "Growth of churn_rates.connection_closed"),
    CLUSTER(RMQ_GAUGE, "gauge", "nodes_running", nodes_running, "nodes",
            "Nodes of /api/nodes with running true; without that list, "
            "those that answered"),
    CLUSTER_NAMED(
        "nodes", "nodes_total", nodes_total, "nodes",
        "Nodes of /api/nodes; without that list, those that ever answered at "
        "a MetricsURL"),
    CLUSTER(
        RMQ_GAUGE, "gauge", "partitions", partitions, "nodes",
        "Sum over the nodes of /api/nodes of the nodes that each is cut off "
        "from; not without that list"),
    CLUSTER(RMQ_GAUGE, "gauge", "quorum_critical_queues", quorum_critical,
            "queues",
            "Quorum queues and streams that would lose their quorum with one "
            "more node: those that /api/health/checks/node-is-quorum-critical "
            "names at any URL, as of at most 9 polls ago"),
    CLUSTER(RMQ_GAUGE, "gauge", "leaderless_queues", leaderless, "queues",
            "Quorum queues without a leader: those that "
            "/api/health/checks/quorum-queues-without-elected-leaders names, "
            "as of at most 9 polls ago; from 4.1"),
    CLUSTER(RMQ_GAUGE, "gauge", "vhosts_down", vhosts_down, "virtual hosts",
            "Virtual hosts that /api/health/checks/virtual-hosts names at any "
            "URL, as of at most 9 polls ago; with HealthCheck virtual-hosts"),
    CLUSTER_NAMED(
        "certificate_expiry", "certificate_days", certificate_days, "days",
        "Days until the first certificate expires, 0 when one has: of the "
        "TLS listeners of the nodes behind URL "
        "(/api/health/checks/certificate-expiration), and of what URL and "
        "MetricsURL show us by https; asked for every 60 polls"),
/* lag */
#undef INDICATOR
#define INDICATOR "lag"
    CLUSTER(RMQ_GAUGE, "queue_length", "ready", ready, "messages",
            "queue_totals.messages_ready"),
    CLUSTER(RMQ_GAUGE, "queue_length", "unacked", unacked, "messages",
            "queue_totals.messages_unacknowledged"),
    GROWTH(RMQ_SERIES_CLUSTER, rmq_report_cluster),
    CLUSTER(RMQ_GAUGE, "duration", "drain", drain, "seconds",
            "ready / -growth; absent when not draining"),
    CLUSTER(RMQ_GAUGE, "duration", "head_age", head_age, "seconds",
            "Oldest head message of the queues that were read; absent below "
            "level 3, where not all are asked for it"),
    CLUSTER(RMQ_GAUGE, "latency", "probe_confirm", probe_confirm, "seconds",
            "Publish to confirm of the probe's messages, the longest since "
            "the last report"),
    CLUSTER(RMQ_GAUGE, "latency", "probe_delivery", probe_delivery, "seconds",
            "Publish to delivery of the probe's messages, the longest since "
            "the last report"),
    CLUSTER(
        RMQ_GAUGE, "latency", "consumer_delivery", consumer_delivery, "seconds",
        "Longest latency-delivery_p95 of the blocks of rabbitmq_consume "
        "(Consumer); 0 of one that is connected, has no message and got one in "
        "the last 10 minutes"),
    CLUSTER(RMQ_GAUGE, "gauge", "stream_offset_lag", stream_offset_lag,
            "messages",
            "Highest offset_lag of /api/stream/consumers, or "
            "stream_consumer_max_offset_lag: of the consumer that is furthest "
            "behind on its stream; those by the stream protocol only"),
/* error rate */
#undef INDICATOR
#define INDICATOR "errors"
    CLUSTER(RMQ_DERIVE, "total_events", "returned", returned, "messages",
            "Growth of message_stats.return_unroutable"),
    CLUSTER(RMQ_DERIVE, "total_events", "dropped_unroutable",
            dropped_unroutable, "messages",
            "Growth of message_stats.drop_unroutable"),
    CLUSTER(
        RMQ_DERIVE, "total_events", "unconfirmed", unconfirmed, "messages",
        "Growth of rabbitmq_global_messages_received_confirm_total - "
        "messages_confirmed_total - rabbitmq_channel_messages_unconfirmed "
        "where two polls in a row, and all of 6 seconds, have it: nacks, and "
        "channels that ended before a confirm; Prometheus only, from 3.9"),
    CLUSTER(RMQ_DERIVE, "total_events", "own_nack", own_nacks, "messages",
            "Growth of total_events-nack of the blocks of rabbitmq_publish "
            "(Publisher)"),
    CLUSTER(RMQ_DERIVE, "total_events", "own_dropped", own_dropped, "messages",
            "Growth of total_operations-dropped_CAUSE of the blocks of "
            "rabbitmq_publish (Publisher), all causes"),
    CLUSTER(RMQ_DERIVE, "total_events", "redelivered", redelivered, "messages",
            "Growth of message_stats.redeliver"),
    {.type = "total_events",
     .type_instance = "dead_lettered_",
     .causes = rmq_report_reasons,
     .kind = RMQ_DERIVE,
     .scope = RMQ_SERIES_CLUSTER,
     .offset = offsetof(struct rmq_report_cluster, dead_lettered),
     .min = 0,
     .max = (double)INFINITY,
     .indicator = INDICATOR,
     .unit = "messages",
     .help = "Growth of rabbitmq_global_messages_dead_lettered_REASON_total, "
             "also where no dead letter exchange is configured; Prometheus "
             "only, from 3.10"},
    CLUSTER(RMQ_DERIVE, "total_events", "auth_failed", auth_failed, "attempts",
            "Growth of rabbitmq_auth_attempts_failed_total; Prometheus only"),
    CLUSTER(RMQ_DERIVE, "total_events", "channel_closed", channel_closed,
            "channels", "Growth of churn_rates.channel_closed"),
    CLUSTER(RMQ_GAUGE, "gauge", "auth_failed_per_minute", auth_failed_minute,
            "attempts",
            "auth_failed of the last 60 s; where polls are further apart, in a "
            "minute on average"),
    CLUSTER(RMQ_GAUGE, "gauge", "channel_closed_per_minute",
            channel_closed_minute, "channels",
            "channel_closed of the last 60 s, orderly or not; where polls are "
            "further apart, in a minute on average"),
    CLUSTER_TO(
        100, "percent", "error_rate", error_rate, "percent",
        "100 e / max(o, e) over 60 s, e = returned + dropped_unroutable "
        "+ unconfirmed + redelivered + dead_lettered + own_dropped, o = "
        "publish + deliver + get; dead_lettered and unconfirmed with "
        "Prometheus only; where unconfirmed is not known own_nack is in its "
        "place; absent when both are 0"),
/* throughput */
#undef INDICATOR
#define INDICATOR "throughput"
    CLUSTER(RMQ_DERIVE, "total_operations", "publish", publish, "messages",
            "Growth of message_stats.publish"),
    CLUSTER(RMQ_DERIVE, "total_operations", "confirm", confirm, "messages",
            "Growth of message_stats.confirm"),
    CLUSTER(RMQ_DERIVE, "total_operations", "deliver", deliver, "messages",
            "Growth of message_stats.deliver and deliver_no_ack"),
    CLUSTER(RMQ_DERIVE, "total_operations", "ack", ack, "messages",
            "Growth of message_stats.ack"),
    CLUSTER(RMQ_DERIVE, "total_operations", "get", get, "messages",
            "Growth of message_stats.get and get_no_ack"),
    CLUSTER(RMQ_GAUGE, "gauge", "publish_rate", publish_rate,
            "messages per second", "publish since the last poll, per second"),
    CLUSTER(RMQ_GAUGE, "gauge", "deliver_rate", deliver_rate,
            "messages per second",
            "deliver + get since the last poll, per second"),
    CLUSTER(RMQ_GAUGE, "gauge", "ack_rate", ack_rate, "messages per second",
            "ack since the last poll, per second"),
    CLUSTER_TO(100, "percent", "throughput_drop", throughput_drop, "percent",
               "Mean of publish_rate over 10 s (over Interval where that is "
               "longer) below its own baseline, the median of the last 60 such "
               "means or of the same hour in the last five weeks, as Baseline "
               "says; 0 when not below, absent while that is learned"),
/* about itself */
#undef INDICATOR
#define INDICATOR NULL
    CLUSTER(RMQ_GAUGE, "duration", "scrape", scrape_time, "seconds",
            "Time that the whole poll took"),
    CLUSTER(RMQ_GAUGE, "bytes", "scrape", scrape_bytes, "bytes",
            "Size of all answers of the poll"),
    CLUSTER(RMQ_GAUGE, "duration", "scrape_cpu", scrape_cpu, "seconds",
            "CPU time of our own that the poll and the report before it took, "
            "of all CPUs together"),
    CLUSTER(RMQ_GAUGE, "bytes", "scrape_memory", scrape_memory, "bytes",
            "Resident memory of our own process, from /proc/self/statm: of "
            "collectd with all of its plugins"),
    CLUSTER_TO(
        3, "gauge", "detail_level", detail_level, "0 to 3",
        "How much of its queues the cluster was asked for, see COST: 3 "
        "all of every queue, 2 lengths of all and the rest of TopQueues, "
        "1 TopQueues, 0 none"),
    CLUSTER(RMQ_DERIVE, "total_events", "scrape_failed", scrape_failed, "polls",
            "Polls in which no URL answered"),

/* resource use */
#undef INDICATOR
#define INDICATOR "resource"
    NODE("bytes", "memory_used", memory_used, "bytes", "mem_used"),
    NODE("bytes", "memory_limit", memory_limit, "bytes", "mem_limit"),
    NODE("bytes", "disk_free", disk_free, "bytes", "disk_free"),
    NODE("bytes", "disk_limit", disk_limit, "bytes", "disk_free_limit"),
    NODE_TO(100, "percent", "memory", memory, "percent",
            "100 mem_used / mem_limit"),
    NODE_TO(100, "percent", "file_handles", file_handles, "percent",
            "100 fd_used / fd_total"),
    NODE_TO(100, "percent", "processes", processes, "percent",
            "100 proc_used / proc_total"),
    NODE_TO(100, "percent", "cpu", cpu, "percent",
            "CPU time of the node's process since the last poll, of the CPUs "
            "that it may use; of a node on collectd's host, from "
            "/proc/PID/stat, PID = os_pid; where several nodes have that pid "
            "and are as old, of the one named after the host"),
    NODE_TO(100, "percent", "host_memory", host_memory, "percent",
            "100 (MemTotal - MemAvailable) / MemTotal of /proc/meminfo; of a "
            "node on collectd's host"),
    NODE("bytes", "memory_rss", memory_rss, "bytes",
         "Resident memory of the node's process; of a node on collectd's host, "
         "from /proc/PID/stat"),
    NODE("gauge", "run_queue", run_queue, "processes", "run_queue"),
    NODE_TO(1, "bool", "running", running, "0 or 1", "running"),
    NODE_TO(1, "bool", "scraped", scraped, "0 or 1",
            "Whether the node answered at its MetricsURL, as it did before; "
            "Prometheus only"),
    NODE_TO(1, "bool", "memory_alarm", memory_alarm, "0 or 1", "mem_alarm"),
    NODE_TO(1, "bool", "disk_alarm", disk_alarm, "0 or 1", "disk_free_alarm"),
    NODE_TO(UPTIME_MAX, "uptime", NULL, uptime, "seconds", "uptime / 1000"),

/* virtual hosts */
#undef INDICATOR
#define INDICATOR NULL
    VHOST(RMQ_GAUGE, "queue_length", "ready", ready, "messages",
          "messages_ready of the vhost"),
    VHOST(RMQ_GAUGE, "queue_length", "unacked", unacked, "messages",
          "messages_unacknowledged of the vhost"),
    GROWTH(RMQ_SERIES_VHOST, rmq_report_vhost),
    VHOST(RMQ_GAUGE, "duration", "drain", drain, "seconds",
          "ready / -growth; absent when not draining"),
    VHOST(RMQ_DERIVE, "total_events", "returned", returned, "messages",
          "Growth of message_stats.return_unroutable"),
    VHOST(RMQ_DERIVE, "total_events", "dropped_unroutable", dropped_unroutable,
          "messages", "Growth of message_stats.drop_unroutable"),
    VHOST(RMQ_DERIVE, "total_events", "redelivered", redelivered, "messages",
          "Growth of message_stats.redeliver"),
    VHOST(RMQ_DERIVE, "total_operations", "publish", publish, "messages",
          "Growth of message_stats.publish"),
    VHOST(RMQ_DERIVE, "total_operations", "confirm", confirm, "messages",
          "Growth of message_stats.confirm"),
    VHOST(RMQ_DERIVE, "total_operations", "deliver", deliver, "messages",
          "Growth of message_stats.deliver and deliver_no_ack"),
    VHOST(RMQ_DERIVE, "total_operations", "ack", ack, "messages",
          "Growth of message_stats.ack"),
    VHOST(RMQ_DERIVE, "total_operations", "get", get, "messages",
          "Growth of message_stats.get and get_no_ack"),

    /* queues */
    QUEUE(RMQ_GAUGE, "queue_length", "ready", ready, "messages",
          "messages_ready"),
    QUEUE(RMQ_GAUGE, "queue_length", "unacked", unacked, "messages",
          "messages_unacknowledged"),
    QUEUE(RMQ_GAUGE, "gauge", "consumers", consumers, "consumers", "consumers"),
    GROWTH(RMQ_SERIES_QUEUE, rmq_report_queue),
    QUEUE(RMQ_GAUGE, "duration", "drain", drain, "seconds",
          "ready / -growth; absent when not draining"),
    QUEUE(RMQ_GAUGE, "duration", "head_age", head_age, "seconds",
          "Now minus head_message_timestamp (classic queues, messages with a "
          "timestamp)"),
    QUEUE(RMQ_GAUGE, "gauge", "stream_offset_lag", stream_offset_lag,
          "messages",
          "Highest offset_lag of the stream's consumers in "
          "/api/stream/consumers, or stream_consumer_max_offset_lag"),
    QUEUE(RMQ_DERIVE, "total_operations", "publish", publish, "messages",
          "Growth of message_stats.publish"),
    QUEUE(RMQ_DERIVE, "total_operations", "deliver", deliver, "messages",
          "Growth of message_stats.deliver, deliver_no_ack, get, get_no_ack"),
    QUEUE(RMQ_DERIVE, "total_operations", "ack", ack, "messages",
          "Growth of message_stats.ack"),
    QUEUE(RMQ_DERIVE, "total_operations", "redeliver", redeliver, "messages",
          "Growth of message_stats.redeliver"),
    QUEUE_TO(100, "percent", "consumer_capacity", consumer_capacity, "percent",
             "100 consumer_capacity (before 3.8.10 consumer_utilisation): "
             "share of time in which a message could be delivered at once; "
             "absent without consumers"),
    QUEUE(RMQ_GAUGE, "bytes", "memory", memory, "bytes", "memory"),
    RMQ_SERIES_END};

void rmq_report_cluster_clear(struct rmq_report_cluster *c) {
  *c = (struct rmq_report_cluster){.reachable = (double)NAN,
                                   .amqp_usable = (double)NAN,
                                   .probe_confirm = (double)NAN,
                                   .probe_delivery = (double)NAN,
                                   .consumer_delivery = (double)NAN,
                                   .stream_offset_lag = (double)NAN,
                                   .response_time = (double)NAN,
                                   .metrics_time = (double)NAN,
                                   .connections_open = (double)NAN,
                                   .connections_blocked = (double)NAN,
                                   .connections_opened = -1,
                                   .connections_closed = -1,
                                   .nodes_running = (double)NAN,
                                   .nodes_total = (double)NAN,
                                   .partitions = (double)NAN,
                                   .quorum_critical = (double)NAN,
                                   .leaderless = (double)NAN,
                                   .vhosts_down = (double)NAN,
                                   .certificate_days = (double)NAN,
                                   .auth_failed_minute = (double)NAN,
                                   .channel_closed_minute = (double)NAN,
                                   .ready = (double)NAN,
                                   .unacked = (double)NAN,
                                   .growth = (double)NAN,
                                   .drain = (double)NAN,
                                   .head_age = (double)NAN,
                                   .returned = -1,
                                   .dropped_unroutable = -1,
                                   .unconfirmed = -1,
                                   .own_nacks = -1,
                                   .own_dropped = -1,
                                   .redelivered = -1,
                                   .dead_lettered = {-1, -1, -1, -1},
                                   .auth_failed = -1,
                                   .channel_closed = -1,
                                   .error_rate = (double)NAN,
                                   .publish = -1,
                                   .confirm = -1,
                                   .deliver = -1,
                                   .ack = -1,
                                   .get = -1,
                                   .publish_rate = (double)NAN,
                                   .deliver_rate = (double)NAN,
                                   .ack_rate = (double)NAN,
                                   .throughput_drop = (double)NAN,
                                   .scrape_time = (double)NAN,
                                   .scrape_bytes = (double)NAN,
                                   .scrape_cpu = (double)NAN,
                                   .scrape_memory = (double)NAN,
                                   .detail_level = (double)NAN,
                                   .scrape_failed = -1};
}

void rmq_report_node_clear(struct rmq_report_node *n) {
  *n = (struct rmq_report_node){.memory_used = (double)NAN,
                                .memory_limit = (double)NAN,
                                .disk_free = (double)NAN,
                                .disk_limit = (double)NAN,
                                .memory = (double)NAN,
                                .file_handles = (double)NAN,
                                .processes = (double)NAN,
                                .run_queue = (double)NAN,
                                .running = (double)NAN,
                                .scraped = (double)NAN,
                                .memory_alarm = (double)NAN,
                                .disk_alarm = (double)NAN,
                                .uptime = (double)NAN,
                                .cpu = (double)NAN,
                                .host_memory = (double)NAN,
                                .memory_rss = (double)NAN};
}

void rmq_report_vhost_clear(struct rmq_report_vhost *v) {
  *v = (struct rmq_report_vhost){.ready = (double)NAN,
                                 .unacked = (double)NAN,
                                 .growth = (double)NAN,
                                 .drain = (double)NAN,
                                 .returned = -1,
                                 .dropped_unroutable = -1,
                                 .redelivered = -1,
                                 .publish = -1,
                                 .confirm = -1,
                                 .deliver = -1,
                                 .ack = -1,
                                 .get = -1};
}

void rmq_report_queue_clear(struct rmq_report_queue *q) {
  *q = (struct rmq_report_queue){.ready = (double)NAN,
                                 .stream_offset_lag = (double)NAN,
                                 .unacked = (double)NAN,
                                 .consumers = (double)NAN,
                                 .growth = (double)NAN,
                                 .drain = (double)NAN,
                                 .head_age = (double)NAN,
                                 .publish = -1,
                                 .deliver = -1,
                                 .ack = -1,
                                 .redeliver = -1,
                                 .consumer_capacity = (double)NAN,
                                 .memory = (double)NAN};
}
