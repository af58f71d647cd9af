/* SPDX-License-Identifier: MIT */
/*
 * Memory of one fault, so that the log hears of it without being flooded: the
 * first report at once, repeats at intervals that double from a base up to a
 * day, the recovery once. After a recovery a new fault is reported at once
 * again, but no sooner than the base interval after the last line, so that one
 * that comes and goes costs one line and its recovery per base interval.
 *
 *   if (rmq_complain_report(&c, now, &missed))
 *     log(ERROR, "...", missed);
 *   ...
 *   if (rmq_complain_recover(&c))
 *     log(NOTICE, "... again");
 */
#ifndef RMQ_BASE_COMPLAIN_H
#define RMQ_BASE_COMPLAIN_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stdint.h>

struct rmq_complain {
  struct rmq_dur base;
  struct rmq_dur interval; /* between the last line and the next; 0 = the next
                              report is the first */
  struct rmq_mono last;    /* of the lines */
  bool has_line;           /* last is set */
  bool is_open;            /* reported, not yet recovered */
  uint64_t missed;         /* reports since the last line */
};

/* base > 0 */
void rmq_complain_init(struct rmq_complain *c, struct rmq_dur base);
/* The fault is there. True when a line is due; ret_missed is then the number of
 * reports since the last line that had none. It may be NULL. */
bool rmq_complain_report(struct rmq_complain *c, struct rmq_mono now,
                         uint64_t *ret_missed);
/* The fault is gone. True when a line is due: once, and only when the fault
 * had one. Cheap enough to be called on every success. */
bool rmq_complain_recover(struct rmq_complain *c);

#endif
