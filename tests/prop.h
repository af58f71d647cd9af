/* SPDX-License-Identifier: MIT */
/*
 * Property tests: many random sequences, each from its own seed. The seed is
 * printed before the sequence, so the last one in the log is the one that
 * failed; PROP_SEED=n runs that one alone and prints its events.
 */
#ifndef RMQ_TESTS_PROP_H
#define RMQ_TESTS_PROP_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/testing.h"

struct prop {
  uint64_t state;
  bool is_replay;
};

/* splitmix64, Steele, Lea, Flood 2014 */
static inline uint64_t prop_next(struct prop *p) {
  uint64_t z = p->state += UINT64_C(0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
  return z ^ (z >> 31);
}
/* 0 to n - 1; n over 0. */
static inline size_t prop_below(struct prop *p, size_t n) {
  return (size_t)(prop_next(p) % n);
}
static inline bool prop_chance(struct prop *p, unsigned percent) {
  return prop_below(p, 100) < percent;
}

#define PROP_TRACE(p, ...)                                                     \
  do {                                                                         \
    if ((p)->is_replay) {                                                      \
      printf("#   ");                                                          \
      printf(__VA_ARGS__);                                                     \
      printf("\n");                                                            \
    }                                                                          \
  } while (0)

static inline void prop_run(unsigned sequences,
                            void (*sequence)(struct prop *p)) {
  const char *replay = getenv("PROP_SEED");
  if (replay != NULL) {
    struct prop p = {.state = strtoull(replay, NULL, 0), .is_replay = true};
    printf("# PROP_SEED=%" PRIu64 "\n", p.state);
    sequence(&p);
    return;
  }
  sequences = property_rounds(sequences);
  for (unsigned seed = 1; seed <= sequences; seed++) {
    struct prop p = {.state = seed};
    printf("# PROP_SEED=%u\n", seed);
    fflush(stdout);
    sequence(&p);
  }
}

#endif
