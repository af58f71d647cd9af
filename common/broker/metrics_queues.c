/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/metrics.h"

#include "common/broker/known.h"
#include "common/broker/metrics_family.h"
#include "common/broker/vhosts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_GAUGE(name_, field_)                                             \
  { name_, false, offsetof(struct rmq_snapshot_queue, field_) }
#define QUEUE_STAT(name_, stat_)                                               \
  {                                                                            \
    name_, true,                                                               \
        offsetof(struct rmq_snapshot_queue, stats) +                           \
            sizeof(int64_t) * RMQ_STAT_##stat_                                 \
  }

/* /metrics/detailed, from 3.9.8. The node that leads a queue tells the first;
 * counters come from all nodes that have channels for it. */
enum { FAMILY_READY, FAMILY_UNACKED };
static const struct rmq_metrics_family queue_families[] = {
    QUEUE_GAUGE("messages_ready", ready),     /* queue_coarse_metrics */
    QUEUE_GAUGE("messages_unacked", unacked), /* ... */
    QUEUE_GAUGE("consumers", consumers), /* queue_consumer_count or _metrics */
    QUEUE_GAUGE("consumer_capacity", consumer_capacity), /* queue_metrics */
    QUEUE_GAUGE("process_memory_bytes", memory),         /* ... */
    QUEUE_GAUGE("head_message_timestamp", head_timestamp),
    /* queue_delivery_metrics, from 4.0 */
    QUEUE_STAT("messages_delivered_ack_total", DELIVER),
    QUEUE_STAT("messages_delivered_total", DELIVER_NO_ACK),
    QUEUE_STAT("get_ack_total", GET),
    QUEUE_STAT("get_total", GET_NO_ACK),
    QUEUE_STAT("messages_acked_total", ACK),
    QUEUE_STAT("messages_redelivered_total", REDELIVER),
    /* queue_exchange_metrics, from 4.0 */
    QUEUE_STAT("exchange_messages_published_total", PUBLISH),
};
#define QUEUE_FAMILIES (sizeof(queue_families) / sizeof(queue_families[0]))
/* exchange_metrics, from 4.0: what a vhost's exchanges took in. */
static const struct {
  const char *name;
  enum rmq_stat stat;
} exchange_families[] = {
    {"messages_published_total", RMQ_STAT_PUBLISH},
    {"messages_confirmed_total", RMQ_STAT_CONFIRM},
    {"messages_unroutable_returned_total", RMQ_STAT_RETURNED},
    {"messages_unroutable_dropped_total", RMQ_STAT_DROPPED},
};
/* Behind the table: what kind of queue it is. From 4.1 there is a family whose
 * labels say so; in 4.0 only streams have segments (queue_metrics). Then
 * the lag of a stream's consumers, told by the nodes that these are connected
 * to (stream_consumer_metrics, from 4.0.5), and the exchanges' ones. */
enum {
  FAMILY_INFO = QUEUE_FAMILIES,
  FAMILY_SEGMENTS,
  FAMILY_LAG,
  FAMILY_EXCHANGE
};
/* Beside the bits of the families: some node leads the queue. */
enum { QUEUE_IS_LED = 1u << 15 };

void rmq_metrics_queues_init(struct rmq_metrics_queues *q,
                             struct rmq_snapshot *snapshot) {
  *q = (struct rmq_metrics_queues){.snapshot = snapshot};
}

void rmq_metrics_queues_end(struct rmq_metrics_queues *q) {
  struct rmq_snapshot *s = q->snapshot;
  size_t kept = 0, unwanted = 0;
  for (size_t i = 0; i < s->queues_count; i++) {
    bool is_led = (q->disputed[i] & QUEUE_IS_LED) != 0;
    bool is_wanted = rmq_snapshot_wants(s, &s->queues[i]);
    unwanted += is_led && !is_wanted;
    if (!is_led || !is_wanted)
      free(s->queues[i].vhost);
    else
      s->queues[kept++] = s->queues[i];
  }
  s->queues_count = kept;
  s->queues_left_out = q->led > kept + unwanted ? q->led - kept - unwanted : 0;
  free(s->last_first); /* of indices that are no more */
  s->last_first = NULL;
}

void rmq_metrics_queues_fini(struct rmq_metrics_queues *q) {
  free(q->slots);
  free(q->disputed);
  q->slots = NULL;
  q->disputed = NULL;
  q->slots_count = q->slots_used = q->disputed_count = 0;
}

static uint64_t hash(struct rmq_exposition_text vhost,
                     struct rmq_exposition_text name) {
  uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */
  for (size_t i = 0; i < vhost.len; i++)
    h = (h ^ (unsigned char)vhost.bytes[i]) * UINT64_C(0x100000001b3);
  h *= UINT64_C(0x100000001b3); /* a NUL between them */
  for (size_t i = 0; i < name.len; i++)
    h = (h ^ (unsigned char)name.bytes[i]) * UINT64_C(0x100000001b3);
  return h;
}

static bool is_queue(const struct rmq_snapshot_queue *q,
                     struct rmq_exposition_text vhost,
                     struct rmq_exposition_text name) {
  return rmq_metrics_text_is(q->name, name) &&
         rmq_metrics_text_is(q->vhost, vhost);
}

/* The slot of a queue, or the empty one where it belongs. */
static uint32_t *find_slot(struct rmq_metrics_queues *q,
                           struct rmq_exposition_text vhost,
                           struct rmq_exposition_text name) {
  size_t mask = q->slots_count - 1;
  size_t at = (size_t)hash(vhost, name) & mask;
  while (q->slots[at] != 0 &&
         !is_queue(&q->snapshot->queues[q->slots[at] - 1], vhost, name))
    at = (at + 1) & mask;
  return &q->slots[at];
}

static struct rmq_exposition_text to_text(const char *text) {
  return (struct rmq_exposition_text){text, strlen(text)};
}

/* Room for one more, the table at most half full. */
static int grow(struct rmq_metrics_queues *q) {
  size_t count = q->snapshot->queues_count;
  if ((q->slots_used + 1) * 2 <= q->slots_count)
    return 0;
  size_t size = q->slots_count == 0 ? 256 : q->slots_count;
  if ((count + 1) * 4 > size)
    size *= 2;
  uint16_t *disputed = realloc(q->disputed, size * sizeof(*disputed));
  if (disputed == NULL)
    return -1;
  q->disputed = disputed;
  memset(disputed + q->disputed_count, 0,
         (size - q->disputed_count) * sizeof(*disputed));
  q->disputed_count = size;
  uint32_t *slots = calloc(size, sizeof(*slots));
  if (slots == NULL)
    return -1;
  free(q->slots);
  q->slots = slots;
  q->slots_count = size;
  q->slots_used = count;
  for (size_t i = 0; i < count; i++) {
    const struct rmq_snapshot_queue *queue = &q->snapshot->queues[i];
    *find_slot(q, to_text(queue->vhost), to_text(queue->name)) =
        (uint32_t)i + 1;
  }
  return 0;
}

/* A queue that is not there yet, or NULL: not wanted, one too many, or with a
 * name that is none. */
static struct rmq_snapshot_queue *add_queue(struct rmq_metrics_queues *q,
                                            uint32_t *slot,
                                            struct rmq_exposition_text vhost,
                                            struct rmq_exposition_text name,
                                            bool is_led) {
  char vhost_text[RMQ_METRICS_NAME_MAX + 1], name_text[sizeof(vhost_text)];
  if (vhost.len == 0 || name.len == 0 ||
      !rmq_metrics_text_copy(vhost, vhost_text, sizeof(vhost_text)) ||
      !rmq_metrics_text_copy(name, name_text, sizeof(name_text)) ||
      (q->want != NULL && !q->want(q->want_ctx, vhost_text, name_text)))
    return NULL;
  bool is_full = rmq_snapshot_is_full(q->snapshot);
  struct rmq_snapshot_queue *queue =
      rmq_snapshot_add_queue(q->snapshot, vhost_text, name_text);
  if (queue == NULL) {
    q->is_out_of_memory |= !is_full;
    q->led += is_led;
    return NULL;
  }
  size_t index = (size_t)(queue - q->snapshot->queues);
  *slot = (uint32_t)index + 1;
  q->slots_used++;
  q->disputed[index] = 0;
  return queue;
}

/* Families list the queues in about the same order. */
static struct rmq_snapshot_queue *find_queue(struct rmq_metrics *m, int family,
                                             struct rmq_exposition_text vhost,
                                             struct rmq_exposition_text name) {
  struct rmq_metrics_queues *q = m->queues;
  struct rmq_snapshot *s = q->snapshot;
  if (m->next < s->queues_count && is_queue(&s->queues[m->next], vhost, name))
    return &s->queues[m->next];
  if (grow(q) != 0) {
    q->is_out_of_memory = true;
    return NULL;
  }
  uint32_t *slot = find_slot(q, vhost, name);
  if (*slot != 0)
    return &s->queues[*slot - 1];
  /* The leader may be the last one to answer. */
  bool is_led = family == FAMILY_READY;
  if (!is_led && family != FAMILY_LAG &&
      ((size_t)family >= QUEUE_FAMILIES || !queue_families[family].is_counter))
    return NULL;
  return add_queue(q, slot, vhost, name, is_led);
}

static void mark_led(struct rmq_metrics_queues *q, size_t queue) {
  if ((q->disputed[queue] & QUEUE_IS_LED) == 0)
    q->led++;
  q->disputed[queue] |= QUEUE_IS_LED;
}

/* Two nodes may both think that they lead a queue, for a while. */
static void set_gauge(struct rmq_metrics_queues *q, size_t queue, int family,
                      double *field, double value) {
  uint16_t bit = (uint16_t)(1u << family);
  if (!isfinite(value) || (q->disputed[queue] & bit) != 0)
    return;
  if (isnan(*field)) {
    *field = value;
  } else if (*field != value) {
    *field = (double)NAN;
    q->disputed[queue] |= bit;
  }
}

static int find_of_exchanges(struct rmq_exposition_text name) {
  static const char prefix[] = "rabbitmq_detailed_exchange_";
  const size_t prefix_len = sizeof(prefix) - 1;
  if (name.len < prefix_len || memcmp(name.bytes, prefix, prefix_len) != 0)
    return -1;
  name.bytes += prefix_len;
  name.len -= prefix_len;
  for (size_t i = 0;
       i < sizeof(exchange_families) / sizeof(exchange_families[0]); i++)
    if (rmq_metrics_text_is(exchange_families[i].name, name))
      return FAMILY_EXCHANGE + (int)i;
  return -1;
}

static int find_of_queues(void *ctx, struct rmq_exposition_text name) {
  ((struct rmq_metrics *)ctx)->next = 0;
  if (rmq_metrics_text_is("rabbitmq_detailed_queue_info", name))
    return FAMILY_INFO;
  if (rmq_metrics_text_is("rabbitmq_detailed_stream_segments", name))
    return FAMILY_SEGMENTS;
  if (rmq_metrics_text_is("rabbitmq_detailed_stream_consumer_max_offset_lag",
                          name))
    return FAMILY_LAG;
  int family = rmq_metrics_family_find(queue_families, QUEUE_FAMILIES,
                                       "rabbitmq_detailed_queue_", name);
  return family >= 0 ? family : find_of_exchanges(name);
}

/* Which of a virtual host's counters a family is a part of, or -1. What was
 * published is what exchanges took: a message in two queues is one. */
static int find_stat(int family) {
  const size_t first = offsetof(struct rmq_snapshot_queue, stats);
  if (family >= FAMILY_EXCHANGE)
    return (int)exchange_families[family - FAMILY_EXCHANGE].stat;
  if (family >= FAMILY_INFO || !queue_families[family].is_counter)
    return -1;
  size_t stat = (queue_families[family].offset - first) / sizeof(int64_t);
  return stat == RMQ_STAT_PUBLISH ? -1 : (int)stat;
}

/* A queue's or an exchange's part of its virtual host. */
static void add_to_vhost(struct rmq_snapshot *s,
                         const struct rmq_exposition_sample *sample,
                         struct rmq_exposition_text name) {
  int family = sample->family;
  int stat = find_stat(family);
  if (family != FAMILY_READY && family != FAMILY_UNACKED && stat < 0)
    return;
  struct rmq_snapshot_vhost *v = rmq_vhosts_need(s, name.bytes, name.len);
  if (v == NULL)
    return;
  if (stat >= 0)
    rmq_known_add_count(&v->stats[stat], sample->value);
  else if (family == FAMILY_READY)
    rmq_known_add_gauge(&v->ready, sample->value);
  else
    rmq_known_add_gauge(&v->unacked, sample->value);
}

/* Its leader's node says it as do those of its replicas. */
static void take_kind(const struct rmq_exposition_sample *s,
                      struct rmq_snapshot_queue *q) {
  const struct rmq_exposition_text *type =
      rmq_exposition_label(s, "queue_type");
  if (s->family == FAMILY_SEGMENTS ||
      (type != NULL && rmq_metrics_text_is("rabbit_stream_queue", *type)))
    rmq_snapshot_mark_stream(q);
  q->is_quorum |=
      type != NULL && rmq_metrics_text_is("rabbit_quorum_queue", *type);
  q->is_classic |=
      type != NULL && rmq_metrics_text_is("rabbit_classic_queue", *type);
}

static bool is_length_value(double value) {
  return isfinite(value) && value >= 0;
}

static void take_of_queues(void *ctx, const struct rmq_exposition_sample *s) {
  struct rmq_metrics *m = ctx;
  const struct rmq_exposition_text *vhost = rmq_exposition_label(s, "vhost");
  const struct rmq_exposition_text *name = rmq_exposition_label(s, "queue");
  if (vhost == NULL)
    return;
  add_to_vhost(m->queues->snapshot, s, *vhost);
  if (s->family == FAMILY_LAG && is_length_value(s->value))
    m->queues->snapshot->stream_lag =
        fmax(m->queues->snapshot->stream_lag, s->value);
  if (name == NULL || s->family >= FAMILY_EXCHANGE)
    return;
  struct rmq_snapshot_queue *q = find_queue(m, s->family, *vhost, *name);
  if (q == NULL)
    return;
  size_t index = (size_t)(q - m->queues->snapshot->queues);
  m->next = index + 1;
  if (s->family == FAMILY_READY)
    mark_led(m->queues, index);
  if (s->family == FAMILY_LAG && is_length_value(s->value)) {
    rmq_snapshot_mark_stream(q);
    q->stream_lag = fmax(q->stream_lag, s->value);
  }
  bool is_kind = s->family == FAMILY_INFO || s->family == FAMILY_SEGMENTS;
  if (is_kind)
    take_kind(s, q);
  q->has_stream_consumer |= s->family == FAMILY_LAG;
  bool is_length = s->family == FAMILY_READY || s->family == FAMILY_UNACKED;
  if (is_kind || s->family == FAMILY_LAG || (is_length && q->is_stream))
    return;
  const struct rmq_metrics_family *f = &queue_families[s->family];
  char *field = (char *)q + f->offset;
  if (f->is_counter)
    rmq_known_add_count((int64_t *)(void *)field, s->value);
  else
    set_gauge(m->queues, index, s->family, (double *)(void *)field, s->value);
}

bool rmq_metrics_tells_streams(const char *version) {
  int major = 0, minor = 0, patch = 0;
  return sscanf(version, "%2d.%3d.%3d", &major, &minor, &patch) == 3 &&
         major * 1000000 + minor * 1000 + patch >= 4000005;
}

/* Names in labels are escaped from 3.11. */
static bool is_raw(const char *version) {
  int major = 0, minor = 0;
  return sscanf(version, "%d.%d", &major, &minor) == 2 &&
         (major < 3 || (major == 3 && minor < 11));
}

void rmq_metrics_begin_queues(struct rmq_metrics *m,
                              struct rmq_metrics_queues *queues) {
  const struct rmq_exposition_sink sink = {m, find_of_queues, take_of_queues};
  m->queues = queues;
  m->next = 0;
  rmq_exposition_init(&m->reader, &sink, is_raw(m->node.version));
}

void rmq_metrics_end_queues(struct rmq_metrics *m) {
  rmq_exposition_end(&m->reader);
}
