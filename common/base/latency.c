/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/latency.h"

#include <stddef.h>
#include <string.h>

enum { SPLIT = 1 << RMQ_LATENCY_SPLIT_BITS };

void rmq_latency_clear(struct rmq_latency *l) { memset(l, 0, sizeof(*l)); }

static size_t bucket_of(int64_t ns) {
  if (ns < INT64_C(1) << RMQ_LATENCY_LOWEST_BITS)
    return 0;
  if (ns >= INT64_C(1) << RMQ_LATENCY_HIGHEST_BITS)
    return RMQ_LATENCY_BUCKETS - 1;
  unsigned bits = RMQ_LATENCY_LOWEST_BITS;
  while (ns >> (bits + 1) != 0)
    bits++;
  size_t part = (size_t)(ns >> (bits - RMQ_LATENCY_SPLIT_BITS)) & (SPLIT - 1);
  return 1 + (size_t)(bits - RMQ_LATENCY_LOWEST_BITS) * SPLIT + part;
}

static int64_t middle_of(size_t bucket) {
  if (bucket == 0)
    return INT64_C(1) << (RMQ_LATENCY_LOWEST_BITS - 1);
  unsigned bits = RMQ_LATENCY_LOWEST_BITS + (unsigned)((bucket - 1) / SPLIT);
  int64_t part = (int64_t)((bucket - 1) % SPLIT);
  int64_t width = INT64_C(1) << (bits - RMQ_LATENCY_SPLIT_BITS);
  return (SPLIT + part) * width + width / 2;
}

void rmq_latency_add(struct rmq_latency *l, struct rmq_dur d) {
  int64_t ns = d.ns < 0 ? 0 : d.ns;
  if (l->count == 0 || ns < l->min_ns)
    l->min_ns = ns;
  if (ns > l->max_ns)
    l->max_ns = ns;
  l->buckets[bucket_of(ns)]++;
  l->count++;
}

void rmq_latency_merge(struct rmq_latency *l, const struct rmq_latency *other) {
  if (other->count == 0)
    return;
  if (l->count == 0 || other->min_ns < l->min_ns)
    l->min_ns = other->min_ns;
  if (other->max_ns > l->max_ns)
    l->max_ns = other->max_ns;
  for (size_t i = 0; i < RMQ_LATENCY_BUCKETS; i++)
    l->buckets[i] += other->buckets[i];
  l->count += other->count;
}

uint64_t rmq_latency_count(const struct rmq_latency *l) { return l->count; }

bool rmq_latency_percentile(const struct rmq_latency *l, unsigned percent,
                            double *ret_seconds) {
  if (l->count == 0)
    return false;
  uint64_t rank = (l->count * percent + 99) / 100; /* the smallest is 1 */
  uint64_t seen = 0;
  size_t bucket = 0;
  while (bucket < RMQ_LATENCY_BUCKETS - 1 &&
         (seen += l->buckets[bucket]) < rank)
    bucket++;
  int64_t ns = middle_of(bucket);
  if (ns < l->min_ns)
    ns = l->min_ns;
  if (ns > l->max_ns)
    ns = l->max_ns;
  *ret_seconds = (double)ns * 1e-9;
  return true;
}
