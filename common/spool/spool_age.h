/* SPDX-License-Identifier: MIT */
/*
 * How old a row is, although the clock that stamped it may jump. Rows of this
 * process are aged by the monotonic clock from the offset that the wall clock
 * had when they came; rows of an earlier process are as old as they were when
 * the file was opened (a stamp in the future is no age) plus what has passed
 * since. Reads no clock.
 */
#ifndef RMQ_SPOOL_AGE_H
#define RMQ_SPOOL_AGE_H

#include "common/base/rmqtime.h"

#include <stdint.h>

enum { RMQ_SPOOL_AGE_ERAS = 16 };

struct rmq_spool_age {
  struct rmq_mono start;
  struct rmq_wall start_wall;
  struct rmq_spool_era {
    uint64_t first_seq;
    int64_t offset_ns; /* wall - monotonic */
    struct rmq_mono start;
  } eras[RMQ_SPOOL_AGE_ERAS]; /* oldest first; at least one */
  unsigned count;
};

/* first_seq: the first of this process. */
void rmq_spool_age_init(struct rmq_spool_age *a, uint64_t first_seq,
                        struct rmq_mono now, struct rmq_wall wall);
/* Once in a while, and before rows are written: a jump of over two seconds
 * since the last era begins a new one, whose rows are from next_seq on. */
void rmq_spool_age_see(struct rmq_spool_age *a, uint64_t next_seq,
                       struct rmq_mono now, struct rmq_wall wall);
/* Never negative. */
struct rmq_dur rmq_spool_age_of(const struct rmq_spool_age *a, uint64_t seq,
                                struct rmq_wall accepted, struct rmq_mono now);

#endif
