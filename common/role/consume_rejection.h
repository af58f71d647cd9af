/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a delivery that is not acknowledged as done, and the line
 * that says why. The worker's thread only.
 */
#ifndef RMQ_ROLE_CONSUME_REJECTION_H
#define RMQ_ROLE_CONSUME_REJECTION_H

#include "common/amqp/consumer.h"
#include "common/role/consume_series.h"
#include "common/role/quarantine.h"
#include "common/role/session_log.h"

/* Lines about one cause: so many per minute, the rest is counted. */
struct rmq_line_budget {
  int left;
  struct rmq_mono refill_at;
  uint64_t missed;
};

struct rmq_rejections {
  struct rmq_session_log *log; /* borrowed */
  bool is_stream;              /* which has no dead letters */
  struct rmq_line_budget budgets[RMQ_REJECTIONS_COUNT];
  struct rmq_line_budget mixed, rate, unreturned, postponed;
  struct rmq_quarantine *quarantine; /* NULL = QuarantineDir is not set */
  struct rmq_complain trouble;       /* with it */
  struct rmq_filing_counters filed;
  const char *filed_as; /* the message that is being rejected; NULL = not */
};

/* Opens the quarantine; what is wrong with it is a line, and tried again. -1
 * without memory. log and options are borrowed. */
int rmq_rejections_init(struct rmq_rejections *r, struct rmq_session_log *log,
                        const struct rmq_trust_options *options,
                        bool is_stream);
void rmq_rejections_fini(struct rmq_rejections *r);

/* Files a message that is not tried again, where QuarantineDir is set. How it
 * is to be settled: as how says, but what policy QUARANTINE could not file goes
 * to the dead-letter exchange, where there can be one. */
enum rmq_settle rmq_rejections_file(struct rmq_rejections *r,
                                    enum rmq_on_failure policy,
                                    const struct rmq_delivery *d,
                                    enum rmq_rejection cause,
                                    const char *detail, enum rmq_settle how,
                                    struct rmq_mono now);
/* One line that names the message, what became of it, the cause and detail
 * ("" = none; may hold bytes from the wire). */
void rmq_rejections_log(struct rmq_rejections *r, const struct rmq_delivery *d,
                        enum rmq_rejection cause, const char *detail,
                        enum rmq_settle how, struct rmq_mono now);
/* Some records of a message were not taken, the others were; detail is about
 * the first. */
void rmq_rejections_log_mixed(struct rmq_rejections *r,
                              const struct rmq_delivery *d, size_t bad,
                              const char *detail, struct rmq_mono now);
/* A message that a sink of whole messages took and that was not done. */
void rmq_rejections_log_failed(struct rmq_rejections *r, const char *about,
                               enum rmq_settle how, struct rmq_mono now);
/* A notification was dropped because of NotificationRate: a line a minute. */
void rmq_rejections_log_rate(struct rmq_rejections *r, struct rmq_mono now);
/* A message whose values did not come back in time. */
struct rmq_overdue {
  const char *message_id; /* "" = not known; may hold wire bytes */
  enum rmq_settle how;
  size_t settled; /* 0: its channel was gone */
  struct rmq_dur timeout;
};
/* A line a minute, as one cause makes all of them overdue. */
void rmq_rejections_log_overdue(struct rmq_rejections *r,
                                const struct rmq_overdue *overdue,
                                struct rmq_mono now);
/* The same for values of a message that had its end before: acknowledged when
 * it was dispatched, or rejected because of others of them. */
void rmq_rejections_log_unreturned(struct rmq_rejections *r, int64_t values,
                                   struct rmq_dur timeout, struct rmq_mono now);
/* A message is not begun, since too many others are on their way: a line a
 * minute. */
void rmq_rejections_log_postponed(struct rmq_rejections *r,
                                  const struct rmq_delivery *d,
                                  struct rmq_mono now);

#endif
