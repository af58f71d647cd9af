/* SPDX-License-Identifier: MIT */
/*
 * Clocks and chance, as every host answers them: CLOCK_MONOTONIC, the wall
 * clock and the kernel's random bits. Any thread. The signatures are those of
 * struct rmq_host; ctx is not used.
 */
#ifndef RMQ_HOST_CLOCK_H
#define RMQ_HOST_CLOCK_H

#include "common/base/rmqtime.h"

#include <stdint.h>

struct rmq_mono rmq_host_mono(void *ctx);
struct rmq_wall rmq_host_wall(void *ctx);
uint64_t rmq_host_random(void *ctx);

#endif
