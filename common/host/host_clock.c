/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_clock.h"

#include <sys/random.h>
#include <time.h>

static int64_t read_ns(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (int64_t)t.tv_sec * RMQ_NS_PER_S + t.tv_nsec;
}

struct rmq_mono rmq_host_mono(void *ctx) {
  (void)ctx;
  return (struct rmq_mono){read_ns(CLOCK_MONOTONIC)};
}

struct rmq_wall rmq_host_wall(void *ctx) {
  (void)ctx;
  return (struct rmq_wall){read_ns(CLOCK_REALTIME)};
}

uint64_t rmq_host_random(void *ctx) {
  (void)ctx;
  uint64_t bits;
  /* Fails only before the kernel's pool is ready, early at boot: then the
   * clock is random enough for a retry delay. */
  if (getrandom(&bits, sizeof(bits), GRND_NONBLOCK) == (ssize_t)sizeof(bits))
    return bits;
  return (uint64_t)read_ns(CLOCK_MONOTONIC) * UINT64_C(0x9e3779b97f4a7c15);
}
