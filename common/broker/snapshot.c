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

const char *rmq_counting_to_str(enum rmq_counting c) {
  switch (c) {
  case RMQ_COUNTED_WITH_ALL:
    return "with all";
  case RMQ_COUNTED_ALONE:
    return "alone";
  case RMQ_COUNTED_NOT:
    return "not";
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

void rmq_snapshot_counters_clear(int64_t *counters, size_t count) {
  for (size_t i = 0; i < count; i++)
    counters[i] = RMQ_ABSENT;
}

static void free_objects(struct rmq_snapshot *s) {
  for (size_t i = 0; i < s->nodes_count; i++)
    free(s->nodes[i].name);
  free(s->nodes);
  for (size_t i = 0; i < s->queues_count; i++)
    free(s->queues[i].vhost);
  free(s->last_first);
  for (size_t i = 0; i < s->vhosts_count; i++)
    free(s->vhosts[i].name);
}

/* Everything absent; before holds what outlives that. */
static void reset(struct rmq_snapshot *s, const struct rmq_snapshot *before) {
  *s = (struct rmq_snapshot){.response_time = (double)NAN,
                             .metrics_time = (double)NAN,
                             .ready = (double)NAN,
                             .unacked = (double)NAN,
                             .connections = (double)NAN,
                             .queues_total = (double)NAN,
                             .queues_listed = (double)NAN,
                             .detail = RMQ_DETAIL_ALL,
                             .unconfirmed = (double)NAN,
                             .stream_lag = (double)NAN,
                             .own = {.nacks = RMQ_ABSENT,
                                     .dropped = RMQ_ABSENT,
                                     .consumer_delivery = (double)NAN},
                             .listed_ready = (double)NAN,
                             .listed_unacked = (double)NAN,
                             .queues = before->queues,
                             .queues_capacity = before->queues_capacity,
                             .queues_max = before->queues_max,
                             .choice = before->choice,
                             .vhosts = before->vhosts,
                             .vhosts_capacity = before->vhosts_capacity,
                             .vhosts_max = before->vhosts_max,
                             .vhosts_want = before->vhosts_want,
                             .vhosts_want_ctx = before->vhosts_want_ctx};
  rmq_snapshot_counters_clear(s->stats, RMQ_STATS_COUNT);
  rmq_snapshot_counters_clear(s->tallies, RMQ_TALLIES_COUNT);
}

void rmq_snapshot_init(struct rmq_snapshot *s, size_t queues_max) {
  const struct rmq_snapshot before = {.queues_max = queues_max};
  reset(s, &before);
}

void rmq_snapshot_fini(struct rmq_snapshot *s) {
  free_objects(s);
  free(s->queues);
  free(s->vhosts);
  const struct rmq_snapshot before = {.queues_max = s->queues_max,
                                      .choice = s->choice,
                                      .vhosts_max = s->vhosts_max};
  reset(s, &before);
}

void rmq_snapshot_clear(struct rmq_snapshot *s) {
  free_objects(s);
  const struct rmq_snapshot before = *s;
  reset(s, &before);
}

void rmq_snapshot_node_clear(struct rmq_snapshot_node *n) {
  *n = (struct rmq_snapshot_node){.running = (double)NAN,
                                  .scraped = (double)NAN,
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
  rmq_snapshot_counters_clear(n->stats, RMQ_STATS_COUNT);
  rmq_snapshot_counters_clear(n->tallies, RMQ_TALLIES_COUNT);
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
  rmq_snapshot_node_clear(n);
  n->name = copy;
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

/* Both names in one allocation, or NULL. */
static char *copy_names(const char *vhost, const char *name) {
  size_t vhost_size = strlen(vhost) + 1, name_size = strlen(name) + 1;
  char *names = malloc(vhost_size + name_size);
  if (names == NULL)
    return NULL;
  memcpy(names, vhost, vhost_size);
  memcpy(names + vhost_size, name, name_size);
  return names;
}

void rmq_snapshot_queue_clear(struct rmq_snapshot_queue *q) {
  *q = (struct rmq_snapshot_queue){.ready = (double)NAN,
                                   .unacked = (double)NAN,
                                   .consumers = (double)NAN,
                                   .memory = (double)NAN,
                                   .consumer_capacity = (double)NAN,
                                   .head_timestamp = (double)NAN,
                                   .stream_lag = (double)NAN};
  rmq_snapshot_counters_clear(q->stats, RMQ_STATS_COUNT);
}

static void begin_queue(struct rmq_snapshot_queue *q, char *names) {
  rmq_snapshot_queue_clear(q);
  q->vhost = names;
  q->name = names + strlen(names) + 1;
}

/* ---- more queues than the maximum ---- */

static int order(const char *vhost, const char *name,
                 const struct rmq_snapshot_queue *q) {
  int by_vhost = strcmp(vhost, q->vhost);
  return by_vhost != 0 ? by_vhost : strcmp(name, q->name);
}

static int compare_queues(const void *a, const void *b) {
  const struct rmq_snapshot_queue *x = a;
  return order(x->vhost, x->name, b);
}

static void sift_down(struct rmq_snapshot *s, size_t at) {
  uint32_t *heap = s->last_first;
  for (size_t child = 2 * at + 1; child < s->queues_count; child = 2 * at + 1) {
    if (child + 1 < s->queues_count &&
        compare_queues(&s->queues[heap[child]], &s->queues[heap[child + 1]]) <
            0)
      child++;
    if (compare_queues(&s->queues[heap[at]], &s->queues[heap[child]]) >= 0)
      return;
    uint32_t index = heap[at];
    heap[at] = heap[child];
    heap[child] = index;
    at = child;
  }
}

static int need_heap(struct rmq_snapshot *s) {
  if (s->last_first != NULL)
    return 0;
  s->last_first = malloc((s->queues_count + 1) * sizeof(*s->last_first));
  if (s->last_first == NULL)
    return -1;
  for (size_t i = 0; i < s->queues_count; i++)
    s->last_first[i] = (uint32_t)i;
  for (size_t i = s->queues_count / 2; i-- > 0;)
    sift_down(s, i);
  return 0;
}

/* In the place of the last one, if that is behind it; else NULL. */
static struct rmq_snapshot_queue *
replace_last(struct rmq_snapshot *s, const char *vhost, const char *name) {
  s->queues_left_out++;
  if (s->queues_count == 0 || need_heap(s) != 0)
    return NULL;
  struct rmq_snapshot_queue *last = &s->queues[s->last_first[0]];
  if (order(vhost, name, last) >= 0)
    return NULL;
  char *names = copy_names(vhost, name);
  if (names == NULL)
    return NULL;
  free(last->vhost);
  begin_queue(last, names);
  sift_down(s, 0);
  return last;
}

struct rmq_snapshot_queue *rmq_snapshot_add_queue(struct rmq_snapshot *s,
                                                  const char *vhost,
                                                  const char *name) {
  if (rmq_snapshot_is_full(s))
    return replace_last(s, vhost, name);
  char *names = copy_names(vhost, name);
  if (names == NULL || grow_queues(s) != 0) {
    free(names);
    return NULL;
  }
  struct rmq_snapshot_queue *q = &s->queues[s->queues_count++];
  begin_queue(q, names);
  return q;
}

bool rmq_snapshot_wants(const struct rmq_snapshot *s,
                        const struct rmq_snapshot_queue *q) {
  const struct rmq_snapshot_choice *c = &s->choice;
  return !((c->no_classic && q->is_classic) || (c->no_quorum && q->is_quorum) ||
           (c->no_streams && q->is_stream) ||
           (c->no_exclusive && q->is_exclusive));
}

void rmq_snapshot_mark_stream(struct rmq_snapshot_queue *q) {
  q->is_stream = true;
  q->ready = q->unacked = (double)NAN;
}

bool rmq_snapshot_lacks_node(const struct rmq_snapshot *s) {
  for (size_t i = 0; s->is_per_node && i < s->nodes_count; i++)
    if (!s->nodes[i].has_counters)
      return true;
  return false;
}

bool rmq_snapshot_is_brief(const struct rmq_snapshot *s) {
  return s->queues_max > 0 && s->detail < RMQ_DETAIL_LENGTHS;
}

bool rmq_snapshot_has_all(const struct rmq_snapshot *s) {
  return s->has_all_queues && s->queues_left_out == 0 &&
         !rmq_snapshot_lacks_node(s) && !rmq_snapshot_is_brief(s);
}

int rmq_snapshot_patience(const struct rmq_snapshot *s) {
  if (!rmq_snapshot_has_all(s))
    return RMQ_SNAPSHOT_PATIENCE;
  return s->has_pages || (s->is_per_node && s->nodes_count > 1) ? 1 : 0;
}

/* ---- the longest ---- */

static double depth(const struct rmq_snapshot_queue *q) {
  double sum =
      (isnan(q->ready) ? 0 : q->ready) + (isnan(q->unacked) ? 0 : q->unacked);
  return sum;
}

/* Whether a belongs before b. */
static bool is_longer(const struct rmq_snapshot_queue *a,
                      const struct rmq_snapshot_queue *b) {
  double x = depth(a), y = depth(b);
  return x != y ? x > y : compare_queues(a, b) < 0;
}

/* Insertion into a short list that is sorted already. */
size_t rmq_snapshot_longest(const struct rmq_snapshot *s, size_t count,
                            size_t *ret_indices) {
  size_t found = 0;
  for (size_t i = 0; i < s->queues_count && count > 0; i++) {
    const struct rmq_snapshot_queue *q = &s->queues[i];
    if (!(depth(q) > 0) ||
        (found == count && !is_longer(q, &s->queues[ret_indices[found - 1]])))
      continue;
    size_t at = found < count ? found++ : count - 1;
    for (; at > 0 && is_longer(q, &s->queues[ret_indices[at - 1]]); at--)
      ret_indices[at] = ret_indices[at - 1];
    ret_indices[at] = i;
  }
  return found;
}

static int compare_indices(const void *a, const void *b) {
  size_t x = *(const size_t *)a, y = *(const size_t *)b;
  return (x > y) - (x < y);
}

void rmq_snapshot_keep(struct rmq_snapshot *s, size_t *indices, size_t count) {
  size_t kept = 0;
  qsort(indices, count, sizeof(*indices), compare_indices);
  for (size_t i = 0; i < s->queues_count; i++) {
    if (kept < count && indices[kept] == i)
      s->queues[kept++] = s->queues[i];
    else
      free(s->queues[i].vhost);
  }
  s->queues_count = kept;
  free(s->last_first); /* of indices that are no more */
  s->last_first = NULL;
}

void rmq_snapshot_drop_queues(struct rmq_snapshot *s) {
  size_t none[1] = {0};
  rmq_snapshot_keep(s, none, 0);
  s->queues_left_out = 0;
  s->has_all_queues = s->has_pages = false;
  s->has_streams = false;
  s->listed_ready = s->listed_unacked = (double)NAN;
}

void rmq_snapshot_sort(struct rmq_snapshot *s) {
  size_t kept = 0;
  free(s->last_first);
  s->last_first = NULL;
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

struct rmq_snapshot_queue *
rmq_snapshot_find(struct rmq_snapshot *s, const char *vhost, const char *name) {
  size_t low = 0, high = s->queues_count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int rc = order(vhost, name, &s->queues[middle]);
    if (rc == 0)
      return &s->queues[middle];
    if (rc < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return NULL;
}
