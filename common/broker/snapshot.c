/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/snapshot.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SNAPSHOT_FIRST_QUEUES = 64 };

const char *rmq_stat_to_str(enum rmq_stat s) {
  switch (s) {
#define RMQ_X(name, word)                                                      \
  case RMQ_STAT_##name:                                                        \
    return word;
    RMQ_STATS(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

const char *rmq_tally_to_str(enum rmq_tally e) {
  switch (e) {
#define RMQ_X(name, word)                                                      \
  case RMQ_TALLY_##name:                                                       \
    return word;
    RMQ_TALLIES(RMQ_X)
#undef RMQ_X
  }
  return "unknown";
}

static void clear_counters(int64_t *counters, size_t count) {
  for (size_t i = 0; i < count; i++)
    counters[i] = RMQ_ABSENT;
}

static void free_objects(struct rmq_snapshot *s) {
  for (size_t i = 0; i < s->nodes_count; i++)
    free(s->nodes[i].name);
  free(s->nodes);
  for (size_t i = 0; i < s->queues_count; i++)
    free(s->queues[i].vhost);
}

static void reset(struct rmq_snapshot *s, struct rmq_snapshot_queue *queues,
                  size_t capacity, size_t max) {
  *s = (struct rmq_snapshot){.response_time = (double)NAN,
                             .metrics_time = (double)NAN,
                             .ready = (double)NAN,
                             .unacked = (double)NAN,
                             .connections = (double)NAN,
                             .unconfirmed = (double)NAN,
                             .listed_ready = (double)NAN,
                             .listed_unacked = (double)NAN,
                             .queues = queues,
                             .queues_capacity = capacity,
                             .queues_max = max};
  clear_counters(s->stats, RMQ_STATS_COUNT);
  clear_counters(s->tallies, RMQ_TALLIES_COUNT);
}

void rmq_snapshot_init(struct rmq_snapshot *s, size_t queues_max) {
  reset(s, NULL, 0, queues_max);
}

void rmq_snapshot_fini(struct rmq_snapshot *s) {
  free_objects(s);
  free(s->queues);
  rmq_snapshot_init(s, s->queues_max);
}

void rmq_snapshot_clear(struct rmq_snapshot *s) {
  free_objects(s);
  reset(s, s->queues, s->queues_capacity, s->queues_max);
}

struct rmq_snapshot_node *rmq_snapshot_add_node(struct rmq_snapshot *s,
                                                const char *name) {
  if (s->nodes_count >= RMQ_SNAPSHOT_NODES_MAX)
    return NULL;
  struct rmq_snapshot_node *nodes =
      realloc(s->nodes, (s->nodes_count + 1) * sizeof(*nodes));
  if (nodes == NULL)
    return NULL;
  s->nodes = nodes;
  char *copy = strdup(name);
  if (copy == NULL)
    return NULL;
  struct rmq_snapshot_node *n = &nodes[s->nodes_count++];
  *n = (struct rmq_snapshot_node){.name = copy,
                                  .running = (double)NAN,
                                  .memory_alarm = (double)NAN,
                                  .disk_alarm = (double)NAN,
                                  .memory_used = (double)NAN,
                                  .memory_limit = (double)NAN,
                                  .disk_free = (double)NAN,
                                  .disk_limit = (double)NAN,
                                  .fds_used = (double)NAN,
                                  .fds_total = (double)NAN,
                                  .processes_used = (double)NAN,
                                  .processes_total = (double)NAN,
                                  .run_queue = (double)NAN,
                                  .uptime = (double)NAN,
                                  .partitions = (double)NAN,
                                  .os_pid = RMQ_ABSENT,
                                  .cpu = (double)NAN,
                                  .host_memory = (double)NAN,
                                  .memory_rss = (double)NAN};
  clear_counters(n->stats, RMQ_STATS_COUNT);
  clear_counters(n->tallies, RMQ_TALLIES_COUNT);
  return n;
}

bool rmq_snapshot_is_full(const struct rmq_snapshot *s) {
  return s->queues_count >= s->queues_max;
}

static int grow_queues(struct rmq_snapshot *s) {
  if (s->queues_count < s->queues_capacity)
    return 0;
  size_t capacity =
      s->queues_capacity == 0 ? SNAPSHOT_FIRST_QUEUES : s->queues_capacity * 2;
  struct rmq_snapshot_queue *queues =
      realloc(s->queues, capacity * sizeof(*queues));
  if (queues == NULL)
    return -1;
  s->queues = queues;
  s->queues_capacity = capacity;
  return 0;
}

struct rmq_snapshot_queue *rmq_snapshot_add_queue(struct rmq_snapshot *s,
                                                  const char *vhost,
                                                  const char *name) {
  if (rmq_snapshot_is_full(s)) {
    s->queues_left_out++;
    return NULL;
  }
  size_t vhost_size = strlen(vhost) + 1, name_size = strlen(name) + 1;
  char *names = malloc(vhost_size + name_size);
  if (names == NULL || grow_queues(s) != 0) {
    free(names);
    return NULL;
  }
  memcpy(names, vhost, vhost_size);
  memcpy(names + vhost_size, name, name_size);
  struct rmq_snapshot_queue *q = &s->queues[s->queues_count++];
  *q = (struct rmq_snapshot_queue){.vhost = names,
                                   .name = names + vhost_size,
                                   .ready = (double)NAN,
                                   .unacked = (double)NAN,
                                   .consumers = (double)NAN,
                                   .memory = (double)NAN,
                                   .consumer_capacity = (double)NAN,
                                   .head_timestamp = (double)NAN};
  clear_counters(q->stats, RMQ_STATS_COUNT);
  return q;
}

void rmq_snapshot_mark_stream(struct rmq_snapshot_queue *q) {
  q->is_stream = true;
  q->ready = q->unacked = (double)NAN;
}

static int compare_queues(const void *a, const void *b) {
  const struct rmq_snapshot_queue *x = a, *y = b;
  int order = strcmp(x->vhost, y->vhost);
  return order != 0 ? order : strcmp(x->name, y->name);
}

void rmq_snapshot_sort(struct rmq_snapshot *s) {
  size_t kept = 0;
  if (s->queues_count == 0)
    return;
  qsort(s->queues, s->queues_count, sizeof(*s->queues), compare_queues);
  for (size_t i = 1; i < s->queues_count; i++) {
    if (compare_queues(&s->queues[kept], &s->queues[i]) == 0)
      free(s->queues[i].vhost);
    else
      s->queues[++kept] = s->queues[i];
  }
  s->queues_count = kept + 1;
}
