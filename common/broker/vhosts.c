/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/vhosts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VHOSTS_FIRST = 16 };

static int order(const char *name, size_t len,
                 const struct rmq_snapshot_vhost *v) {
  int rc = strncmp(name, v->name, len);
  return rc != 0 ? rc : -(v->name[len] != '\0');
}

/* Where the name is, or belongs. */
static size_t find(const struct rmq_snapshot *s, const char *name, size_t len,
                   bool *ret_is_there) {
  size_t low = 0, high = s->vhosts_count;
  *ret_is_there = false;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    int rc = order(name, len, &s->vhosts[middle]);
    if (rc == 0) {
      *ret_is_there = true;
      return middle;
    }
    if (rc < 0)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

static int grow(struct rmq_snapshot *s) {
  if (s->vhosts_count < s->vhosts_capacity)
    return 0;
  size_t capacity =
      s->vhosts_capacity == 0 ? VHOSTS_FIRST : 2 * s->vhosts_capacity;
  struct rmq_snapshot_vhost *vhosts =
      realloc(s->vhosts, capacity * sizeof(*vhosts));
  if (vhosts == NULL)
    return -1;
  s->vhosts = vhosts;
  s->vhosts_capacity = capacity;
  return 0;
}

static struct rmq_snapshot_vhost *insert(struct rmq_snapshot *s, size_t at,
                                         const char *name, size_t len) {
  char *copy = strndup(name, len);
  if (copy == NULL || grow(s) != 0) {
    free(copy);
    s->vhosts_failed = true;
    return NULL;
  }
  struct rmq_snapshot_vhost *v = &s->vhosts[at];
  memmove(v + 1, v, (s->vhosts_count - at) * sizeof(*v));
  s->vhosts_count++;
  *v = (struct rmq_snapshot_vhost){
      .name = copy, .ready = (double)NAN, .unacked = (double)NAN};
  rmq_snapshot_counters_clear(v->stats, RMQ_STATS_COUNT);
  return v;
}

static bool is_wanted(const struct rmq_snapshot *s, const char *name) {
  return s->vhosts_want == NULL || s->vhosts_want(s->vhosts_want_ctx, name);
}

/* Only the first most wanted ones stay; how many others are wanted. */
static size_t keep_wanted(struct rmq_snapshot *s, size_t most) {
  size_t kept = 0, left_out = 0;
  for (size_t i = 0; i < s->vhosts_count; i++) {
    bool is_one = is_wanted(s, s->vhosts[i].name);
    if (is_one && kept < most) {
      s->vhosts[kept++] = s->vhosts[i];
      continue;
    }
    left_out += is_one;
    free(s->vhosts[i].name);
  }
  s->vhosts_count = kept;
  s->vhosts_last = 0;
  return left_out;
}

/* Whether there is room for a new one. To ask for each name what the filters
 * say is dear, so that they come in when the bound is reached. */
static bool may_come(struct rmq_snapshot *s, const char *name, size_t len) {
  if (s->vhosts_count >= RMQ_VHOSTS_MAX && !s->vhosts_filtered) {
    keep_wanted(s, RMQ_VHOSTS_MAX);
    s->vhosts_filtered = true;
  }
  if (!s->vhosts_filtered || s->vhosts_want == NULL)
    return true;
  char *copy = strndup(name, len);
  bool is_one = copy != NULL && is_wanted(s, copy);
  s->vhosts_failed |= copy == NULL;
  free(copy);
  return is_one;
}

struct rmq_snapshot_vhost *rmq_vhosts_need(struct rmq_snapshot *s,
                                           const char *name, size_t len) {
  bool is_there = false;
  if (s->vhosts_max == 0 || len == 0 || memchr(name, '\0', len) != NULL)
    return NULL;
  /* Most lines are about the same one as the line before. */
  if (s->vhosts_last < s->vhosts_count &&
      order(name, len, &s->vhosts[s->vhosts_last]) == 0)
    return &s->vhosts[s->vhosts_last];
  size_t at = find(s, name, len, &is_there);
  if (!is_there) {
    if (!may_come(s, name, len))
      return NULL;
    at = find(s, name, len, &is_there);
  }
  if (!is_there && s->vhosts_count >= RMQ_VHOSTS_MAX) {
    s->vhosts_left_out = 1; /* at least */
    if (at == s->vhosts_count)
      return NULL;
    free(s->vhosts[--s->vhosts_count].name);
  }
  if (!is_there && insert(s, at, name, len) == NULL)
    return NULL;
  s->vhosts_last = at;
  return &s->vhosts[at];
}

void rmq_vhosts_end(struct rmq_snapshot *s) {
  s->vhosts_left_out += keep_wanted(s, s->vhosts_max);
  if (s->vhosts_failed)
    rmq_vhosts_forget(s);
}

void rmq_vhosts_forget(struct rmq_snapshot *s) {
  for (size_t i = 0; i < s->vhosts_count; i++)
    free(s->vhosts[i].name);
  s->vhosts_count = s->vhosts_last = 0;
}
