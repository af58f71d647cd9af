/* SPDX-License-Identifier: MIT */
/*
 * Small seeded generator (splitmix64, public domain by Sebastiano Vigna) for
 * jitter, host order, trace ids and property tests. Not for secrets.
 */
#ifndef RMQ_BASE_PRNG_H
#define RMQ_BASE_PRNG_H

#include <stdint.h>

struct rmq_prng {
  uint64_t state; /* any seed */
};

static inline uint64_t rmq_prng_next(struct rmq_prng *p) {
  uint64_t z = (p->state += UINT64_C(0x9E3779B97F4A7C15));
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}
/* 0 .. bound - 1; bound > 0. */
static inline uint64_t rmq_prng_below(struct rmq_prng *p, uint64_t bound) {
  return rmq_prng_next(p) % bound;
}

#endif
