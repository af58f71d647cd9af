/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/known.h"

#include <math.h>

/* 2^63, the first double that no counter can be. */
#define KNOWN_COUNT_END 9223372036854775808.0

int64_t rmq_known_sum(int64_t a, int64_t b) {
  if (a < 0 || b < 0)
    return a < 0 ? b : a;
  return a > INT64_MAX - b ? INT64_MAX : a + b;
}

void rmq_known_add_gauge(double *sum, double value) {
  if (isfinite(value))
    *sum = isnan(*sum) ? value : *sum + value;
}

void rmq_known_add_count(int64_t *sum, double value) {
  if (value >= 0 && value < KNOWN_COUNT_END)
    *sum = rmq_known_sum(*sum, (int64_t)value);
}

int64_t rmq_known_delivered(const int64_t stats[RMQ_STATS_COUNT]) {
  return rmq_known_sum(stats[RMQ_STAT_DELIVER], stats[RMQ_STAT_DELIVER_NO_ACK]);
}

int64_t rmq_known_gotten(const int64_t stats[RMQ_STATS_COUNT]) {
  return rmq_known_sum(stats[RMQ_STAT_GET], stats[RMQ_STAT_GET_NO_ACK]);
}

double rmq_known_growth(enum rmq_continuity c, double elapsed, double depth,
                        double depth_before) {
  if (c != RMQ_SAME || !(elapsed > 0))
    return (double)NAN;
  return (depth - depth_before) / elapsed;
}

double rmq_known_drain(double ready, double growth) {
  return growth < 0 ? ready / -growth : (double)NAN;
}

double rmq_known_age(double now, double timestamp) {
  double age = now - timestamp;
  return timestamp > 0 && age >= 0 ? age : (double)NAN;
}
