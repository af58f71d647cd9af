/* SPDX-License-Identifier: MIT */
/*
 * Typed time, in nanoseconds: a point on the monotonic clock, a point on the
 * wall clock and a duration cannot be mixed up by accident. Reads no clock: the
 * outermost loop reads it once per turn (struct rmq_host) and passes it down.
 */
#ifndef RMQ_BASE_RMQTIME_H
#define RMQ_BASE_RMQTIME_H

#include <stdbool.h>
#include <stdint.h>

struct rmq_mono {
  int64_t ns;
};
struct rmq_wall {
  int64_t ns; /* since 1970-01-01 UTC */
};
struct rmq_dur {
  int64_t ns;
};

#define RMQ_NS_PER_S INT64_C(1000000000)
#define RMQ_NS_PER_MS INT64_C(1000000)

/* Later than any deadline. */
#define RMQ_NEVER ((struct rmq_mono){INT64_MAX})

static inline struct rmq_dur rmq_ms(int64_t ms) {
  return (struct rmq_dur){ms * RMQ_NS_PER_MS};
}
static inline struct rmq_dur rmq_s(int64_t s) {
  return (struct rmq_dur){s * RMQ_NS_PER_S};
}
/* To the nearest nanosecond; saturates, NaN is 0. */
static inline struct rmq_dur rmq_dur_from_seconds(double s) {
  double ns = s * 1e9;
  if (ns != ns)
    return (struct rmq_dur){0};
  if (ns >= 9223372036854775807.0)
    return (struct rmq_dur){INT64_MAX};
  if (ns <= -9223372036854775807.0)
    return (struct rmq_dur){-INT64_MAX};
  return (struct rmq_dur){(int64_t)(ns < 0 ? ns - 0.5 : ns + 0.5)};
}
static inline double rmq_dur_seconds(struct rmq_dur d) {
  return (double)d.ns / 1e9;
}
static inline double rmq_wall_seconds(struct rmq_wall w) {
  return (double)w.ns / 1e9;
}
static inline int64_t rmq_wall_ms(struct rmq_wall w) {
  return w.ns / RMQ_NS_PER_MS;
}
/* Saturates: ms may come from the wire. */
static inline struct rmq_wall rmq_wall_from_ms(int64_t ms) {
  if (ms > INT64_MAX / RMQ_NS_PER_MS)
    return (struct rmq_wall){INT64_MAX};
  if (ms < INT64_MIN / RMQ_NS_PER_MS)
    return (struct rmq_wall){INT64_MIN};
  return (struct rmq_wall){ms * RMQ_NS_PER_MS};
}

/* Saturates at RMQ_NEVER; t is not negative. */
static inline struct rmq_mono rmq_mono_add(struct rmq_mono t,
                                           struct rmq_dur d) {
  if (d.ns > 0 && t.ns > INT64_MAX - d.ns)
    return RMQ_NEVER;
  return (struct rmq_mono){t.ns + d.ns};
}
static inline struct rmq_dur rmq_mono_since(struct rmq_mono later,
                                            struct rmq_mono earlier) {
  return (struct rmq_dur){later.ns - earlier.ns};
}
static inline bool rmq_mono_reached(struct rmq_mono now,
                                    struct rmq_mono deadline) {
  return now.ns >= deadline.ns;
}
static inline struct rmq_mono rmq_mono_min(struct rmq_mono a,
                                           struct rmq_mono b) {
  return a.ns < b.ns ? a : b;
}
static inline bool rmq_mono_is_never(struct rmq_mono t) {
  return t.ns == INT64_MAX;
}

#endif
