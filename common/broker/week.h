/* SPDX-License-Identifier: MIT */
/*
 * What a rate usually is in this hour of the week: of each of the 168 hours, by
 * the local time of this host, the last five weeks are kept, each as the median
 * of its means over a minute; usual is the median of the weeks. An hour counts
 * when at least half an hour of it was measured. Silent about an hour until it
 * was seen in two weeks.
 *
 * Rates that rise or fall with the day cross from one hour's median to the
 * next: in the half of an hour next to a neighbour that is usually lower, the
 * neighbour is what is usual.
 */
#ifndef RMQ_BROKER_WEEK_H
#define RMQ_BROKER_WEEK_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>

enum {
  RMQ_WEEK_HOURS = 168, /* the first is Sunday, 0:00 to 1:00 */
  RMQ_WEEK_KEPT = 5,
  RMQ_WEEK_LEARN = 2,        /* weeks before an hour is known */
  RMQ_WEEK_MINUTES = 60,     /* of an hour */
  RMQ_WEEK_MEASURED_MIN = 3, /* minutes with a rate, for an hour to count */
  RMQ_WEEK_INTERVAL_S = 900, /* longest between two rates */
  RMQ_WEEK_TEXT_MAX = 65536
};

/* One hour of the week in the weeks before, a ring, messages per second. */
struct rmq_week_hour {
  double rates[RMQ_WEEK_KEPT];
  size_t count, next;
};

struct rmq_week {
  struct rmq_week_hour hours[RMQ_WEEK_HOURS];
  /* The running hour. */
  int hour; /* -1 = none */
  struct rmq_wall first, last;
  double minutes[RMQ_WEEK_MINUTES];
  size_t minutes_count;
  int64_t minute; /* the running one, since 1970 */
  double sum;     /* of its rates */
  size_t count;
};

void rmq_week_init(struct rmq_week *w);
/* A rate as measured up to now; NaN is ignored. True when an hour is over and
 * was learned from. */
bool rmq_week_feed(struct rmq_week *w, double rate, struct rmq_wall now);
/* The usual rate of now, or NaN while it is not known. */
double rmq_week_get(const struct rmq_week *w, struct rmq_wall now);
/* 100 (usual - rate) / usual; 0 when not below, NaN while not known. */
double rmq_week_drop(const struct rmq_week *w, double rate,
                     struct rmq_wall now);

/* What was learned, as text: a line with the name of what it is of and the
 * time, then one per hour that has been seen. -1 when buf is full. */
int rmq_week_write(const struct rmq_week *w, struct rmq_buf *buf,
                   const char *name, struct rmq_wall now);
/* Reads that; w is changed only when all of it is good, of that name, and not
 * older than the weeks that are kept. -1 with err. */
int rmq_week_read(struct rmq_week *w, const char *text, size_t len,
                  const char *name, struct rmq_wall now, struct rmq_error *err);

#endif
