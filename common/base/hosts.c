/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/hosts.h"

#include <assert.h>
#include <stdlib.h>

int rmq_hosts_init(struct rmq_hosts *h, size_t count, bool is_random,
                   struct rmq_dur penalty_min, struct rmq_dur penalty_max) {
  assert(count > 0);
  struct rmq_hosts_entry *entries = calloc(count, sizeof(*entries));
  if (entries == NULL)
    return -1;
  for (size_t i = 0; i < count; i++)
    rmq_backoff_init(&entries[i].penalty, penalty_min, penalty_max);
  *h = (struct rmq_hosts){.entries = entries,
                          .count = count,
                          .is_random = is_random,
                          .forced = count};
  return 0;
}

void rmq_hosts_fini(struct rmq_hosts *h) {
  free(h->entries);
  h->entries = NULL;
}

void rmq_hosts_begin_round(struct rmq_hosts *h) {
  for (size_t i = 0; i < h->count; i++)
    h->entries[i].is_tried = false;
}

static bool is_left(const struct rmq_hosts_entry *e, struct rmq_mono now) {
  return !e->is_tried && rmq_mono_reached(now, e->barred_until);
}

static bool is_shunned(const struct rmq_hosts_entry *e, struct rmq_mono now) {
  return !rmq_mono_reached(now, e->shunned_until);
}

bool rmq_hosts_has_more(const struct rmq_hosts *h, struct rmq_mono now) {
  for (size_t i = 0; i < h->count; i++)
    if (is_left(&h->entries[i], now))
      return true;
  return false;
}

struct rmq_mono rmq_hosts_free_at(const struct rmq_hosts *h) {
  struct rmq_mono first = RMQ_NEVER;
  for (size_t i = 0; i < h->count; i++)
    first = rmq_mono_min(first, h->entries[i].barred_until);
  return first;
}

static bool is_candidate(const struct rmq_hosts_entry *e, bool with_shunned,
                         struct rmq_mono now) {
  return is_left(e, now) && (with_shunned || !is_shunned(e, now));
}

static size_t count_candidates(const struct rmq_hosts *h, bool with_shunned,
                               struct rmq_mono now) {
  size_t n = 0;
  for (size_t i = 0; i < h->count; i++)
    n += is_candidate(&h->entries[i], with_shunned, now);
  return n;
}

static size_t nth_candidate(const struct rmq_hosts *h, size_t n,
                            bool with_shunned, struct rmq_mono now) {
  for (size_t i = 0; i < h->count; i++)
    if (is_candidate(&h->entries[i], with_shunned, now) && n-- == 0)
      return i;
  return h->current;
}

static size_t first_free(const struct rmq_hosts *h) {
  size_t first = 0;
  for (size_t i = 1; i < h->count; i++)
    if (h->entries[i].barred_until.ns < h->entries[first].barred_until.ns)
      first = i;
  return first;
}

static size_t pick(const struct rmq_hosts *h, struct rmq_prng *prng,
                   struct rmq_mono now) {
  if (h->forced < h->count)
    return h->forced;
  bool with_shunned = count_candidates(h, false, now) == 0;
  size_t n = count_candidates(h, with_shunned, now);
  if (n == 0)
    return first_free(h);
  size_t which = h->is_random ? (size_t)rmq_prng_below(prng, n) : 0;
  return nth_candidate(h, which, with_shunned, now);
}

void rmq_hosts_choose(struct rmq_hosts *h, struct rmq_prng *prng,
                      struct rmq_mono now) {
  h->current = pick(h, prng, now);
  h->entries[h->current].is_tried = true;
  h->forced = h->count;
}

void rmq_hosts_failed(struct rmq_hosts *h, struct rmq_prng *prng,
                      struct rmq_mono now) {
  struct rmq_hosts_entry *e = &h->entries[h->current];
  struct rmq_dur d = rmq_backoff_next(&e->penalty, rmq_prng_next(prng));
  e->shunned_until = rmq_mono_add(now, d);
}

void rmq_hosts_refused(struct rmq_hosts *h, struct rmq_mono until) {
  h->entries[h->current].barred_until = until;
}

void rmq_hosts_worked(struct rmq_hosts *h) {
  rmq_backoff_reset(&h->entries[h->current].penalty);
}

void rmq_hosts_skip(struct rmq_hosts *h) {
  h->entries[h->current].is_tried = true;
}

void rmq_hosts_force(struct rmq_hosts *h, size_t host) {
  assert(host < h->count);
  h->forced = host;
}

size_t rmq_hosts_better(const struct rmq_hosts *h, size_t after,
                        struct rmq_mono now) {
  for (size_t i = after < h->count ? after + 1 : 0; i < h->current; i++)
    if (rmq_mono_reached(now, h->entries[i].barred_until))
      return i;
  return h->count;
}
