/* SPDX-License-Identifier: MIT */
/*
 * Arithmetic on numbers of a broker that may be absent: NaN of a gauge,
 * RMQ_ABSENT of a counter. What needs one that is absent is absent.
 */
#ifndef RMQ_BROKER_KNOWN_H
#define RMQ_BROKER_KNOWN_H

#include "common/broker/meter.h"
#include "common/broker/snapshot.h"

/* Of counters what is known of the two, at most INT64_MAX; RMQ_ABSENT when
 * nothing is. */
int64_t rmq_known_sum(int64_t a, int64_t b);
/* Adds to a sum what a broker wrote as a number, any double; what can be no
 * gauge (NaN, infinite), or no counter (negative, 2^63), leaves the sum as it
 * is. */
void rmq_known_add_gauge(double *sum, double value);
void rmq_known_add_count(int64_t *sum, double value);
/* With and without acknowledgement; stats may be sums or what they grew by. */
int64_t rmq_known_delivered(const int64_t stats[RMQ_STATS_COUNT]);
int64_t rmq_known_gotten(const int64_t stats[RMQ_STATS_COUNT]);

/* Per second; NaN where nodes came or went, and messages with them. */
double rmq_known_growth(enum rmq_continuity c, double elapsed, double depth,
                        double depth_before);
/* Seconds until nothing is ready; NaN unless the depth fell by being consumed.
 */
double rmq_known_drain(double ready, double growth);
/* Seconds between two times of the wall clock; NaN without the first, or where
 * that is still to come. */
double rmq_known_age(double now, double timestamp);

#endif
