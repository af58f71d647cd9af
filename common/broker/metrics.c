/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/metrics.h"

#include "common/broker/known.h"
#include "common/broker/metrics_family.h"

#include <math.h>
#include <string.h>

#define GAUGE(name_, field_)                                                   \
  { name_, false, offsetof(struct rmq_metrics_node, field_) }
#define STAT(name_, stat_)                                                     \
  {                                                                            \
    name_, true,                                                               \
        offsetof(struct rmq_metrics_node, values.stats) +                      \
            sizeof(int64_t) * RMQ_STAT_##stat_                                 \
  }
#define TALLY(name_, tally_)                                                   \
  {                                                                            \
    name_, true,                                                               \
        offsetof(struct rmq_metrics_node, values.tallies) +                    \
            sizeof(int64_t) * RMQ_TALLY_##tally_                               \
  }

/* /metrics. All versions have them but where it says so. A partition is not
 * among them: unreachable_cluster_peers counts nodes that are just down. */
static const struct rmq_metrics_family node_families[] = {
    GAUGE("process_resident_memory_bytes", values.memory_used),
    GAUGE("resident_memory_limit_bytes", values.memory_limit),
    GAUGE("disk_space_available_bytes", values.disk_free),
    GAUGE("disk_space_available_limit_bytes", values.disk_limit),
    GAUGE("process_open_fds", values.fds_used),
    GAUGE("process_max_fds", values.fds_total),
    GAUGE("erlang_processes_used", values.processes_used),
    GAUGE("erlang_processes_limit", values.processes_total),
    GAUGE("erlang_scheduler_run_queue", values.run_queue),
    GAUGE("erlang_uptime_seconds", values.uptime),
    GAUGE("alarms_memory_used_watermark", values.memory_alarm),
    GAUGE("alarms_free_disk_space_watermark", values.disk_alarm),
    GAUGE("connections", connections),
    GAUGE("queues", queues),
    GAUGE("queue_messages_ready", ready),
    GAUGE("queue_messages_unacked", unacked),
    GAUGE("channel_messages_unconfirmed", unconfirmed),
    TALLY("connections_opened_total", OPENED),
    TALLY("connections_closed_total", CLOSED),
    TALLY("channels_closed_total", CHANNEL_CLOSED),
    TALLY("auth_attempts_failed_total", AUTH_FAILED),
    /* from 3.9 */
    STAT("global_messages_received_total", PUBLISH),
    STAT("global_messages_confirmed_total", CONFIRM),
    STAT("global_messages_delivered_consume_manual_ack_total", DELIVER),
    STAT("global_messages_delivered_consume_auto_ack_total", DELIVER_NO_ACK),
    STAT("global_messages_delivered_get_manual_ack_total", GET),
    STAT("global_messages_delivered_get_auto_ack_total", GET_NO_ACK),
    STAT("global_messages_acknowledged_total", ACK),
    STAT("global_messages_redelivered_total", REDELIVER),
    STAT("global_messages_unroutable_returned_total", RETURNED),
    STAT("global_messages_unroutable_dropped_total", DROPPED),
    TALLY("global_messages_received_confirm_total", RECEIVED_CONFIRM),
    /* from 3.10 */
    TALLY("global_messages_dead_lettered_rejected_total", DEAD_REJECTED),
    TALLY("global_messages_dead_lettered_expired_total", DEAD_EXPIRED),
    TALLY("global_messages_dead_lettered_maxlen_total", DEAD_MAXLEN),
    TALLY("global_messages_dead_lettered_delivery_limit_total",
          DEAD_DELIVERY_LIMIT),
};
#define NODE_FAMILIES (sizeof(node_families) / sizeof(node_families[0]))
/* Behind the table: families whose labels are what they say. */
enum { FAMILY_IDENTITY = NODE_FAMILIES, FAMILY_BUILD };

static int find_of_node(void *ctx, struct rmq_exposition_text name) {
  static const char identity[] = "rabbitmq_identity_info",
                    build[] = "rabbitmq_build_info";
  (void)ctx;
  if (name.len == strlen(identity) &&
      memcmp(name.bytes, identity, name.len) == 0)
    return FAMILY_IDENTITY;
  if (name.len == strlen(build) && memcmp(name.bytes, build, name.len) == 0)
    return FAMILY_BUILD;
  return rmq_metrics_family_find(node_families, NODE_FAMILIES, "rabbitmq_",
                                 name);
}

static void copy_label(const struct rmq_exposition_sample *sample,
                       const char *label, char *to, size_t size) {
  const struct rmq_exposition_text *text = rmq_exposition_label(sample, label);
  if (text != NULL)
    rmq_metrics_text_copy(*text, to, size);
}

static void take_of_node(void *ctx, const struct rmq_exposition_sample *s) {
  struct rmq_metrics_node *n = &((struct rmq_metrics *)ctx)->node;
  if (s->family == FAMILY_IDENTITY) {
    copy_label(s, "rabbitmq_node", n->name, sizeof(n->name));
    return;
  }
  if (s->family == FAMILY_BUILD) {
    copy_label(s, "rabbitmq_version", n->version, sizeof(n->version));
    return;
  }
  const struct rmq_metrics_family *f = &node_families[s->family];
  char *field = (char *)n + f->offset;
  if (f->is_counter)
    rmq_known_add_count((int64_t *)(void *)field, s->value);
  else
    rmq_known_add_gauge((double *)(void *)field, s->value);
}

void rmq_metrics_begin_node(struct rmq_metrics *m) {
  const struct rmq_exposition_sink sink = {m, find_of_node, take_of_node};
  struct rmq_metrics_node *n = &m->node;
  *n = (struct rmq_metrics_node){.name = ""};
  for (size_t i = 0; i < NODE_FAMILIES; i++) {
    char *field = (char *)n + node_families[i].offset;
    if (node_families[i].is_counter)
      *(int64_t *)(void *)field = RMQ_ABSENT;
    else
      *(double *)(void *)field = (double)NAN;
  }
  /* Nothing of interest is escaped here, and a name with a quote must not cost
   * a sum its part. */
  rmq_exposition_init(&m->reader, &sink, true);
}

int rmq_metrics_end_node(struct rmq_metrics *m, struct rmq_error *err) {
  rmq_exposition_end(&m->reader);
  if (m->node.name[0] != '\0')
    return 0;
  return rmq_error_set(err, "the answer is not of a RabbitMQ node; is the URL "
                            "that of the plugin rabbitmq_prometheus?");
}

/* ---- a node's part of the snapshot ---- */

static struct rmq_snapshot_node *find_node(struct rmq_snapshot *s,
                                           const char *name) {
  for (size_t i = 0; i < s->nodes_count; i++)
    if (strcmp(s->nodes[i].name, name) == 0)
      return &s->nodes[i];
  return NULL;
}

/* What the node did not say stays as another source had it. */
static void copy_known(const struct rmq_metrics_node *from,
                       struct rmq_snapshot_node *to) {
  const size_t start = offsetof(struct rmq_metrics_node, values);
  for (size_t i = 0; i < NODE_FAMILIES; i++) {
    const struct rmq_metrics_family *f = &node_families[i];
    const char *field = (const char *)from + f->offset;
    if (f->offset < start || f->offset >= start + sizeof(*to))
      continue;
    char *field_to = (char *)to + (f->offset - start);
    if (f->is_counter)
      memcpy(field_to, field, sizeof(int64_t));
    else if (!isnan(*(const double *)(const void *)field))
      memcpy(field_to, field, sizeof(double));
  }
}

bool rmq_metrics_put_node(const struct rmq_metrics_node *n,
                          struct rmq_snapshot *s) {
  struct rmq_snapshot_node *to = find_node(s, n->name);
  if (to == NULL)
    to = rmq_snapshot_add_node(s, n->name);
  if (to == NULL || to->has_counters)
    return false;
  copy_known(n, to);
  to->has_counters = true;
  to->scraped = 1;
  /* It has just answered; but one that the others' list has as down is cut off
   * from them. */
  if (isnan(to->running))
    to->running = 1;
  rmq_known_add_gauge(&s->ready, n->ready);
  rmq_known_add_gauge(&s->unacked, n->unacked);
  rmq_known_add_gauge(&s->connections, n->connections);
  rmq_known_add_gauge(&s->unconfirmed, n->unconfirmed);
  if (s->version[0] == '\0')
    memcpy(s->version, n->version, sizeof(s->version));
  return true;
}
