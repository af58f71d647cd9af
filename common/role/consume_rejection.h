/* SPDX-License-Identifier: MIT */
/*
 * What becomes of a delivery that is not acknowledged as done, and the line
 * that says why. The worker's thread only.
 */
#ifndef RMQ_ROLE_CONSUME_REJECTION_H
#define RMQ_ROLE_CONSUME_REJECTION_H

#include "common/amqp/consumer.h"
#include "common/role/consume_series.h"
#include "common/role/session_log.h"

/* Lines about one cause: so many per minute, the rest is counted. */
struct rmq_line_budget {
  int left;
  struct rmq_mono refill_at;
  uint64_t missed;
};

struct rmq_rejections {
  struct rmq_session_log *log; /* borrowed */
  struct rmq_line_budget budgets[RMQ_REJECTIONS_COUNT];
};

void rmq_rejections_init(struct rmq_rejections *r, struct rmq_session_log *log);

/* The policy's answer: requeued at most once, because after that a message
 * would go round for ever. */
enum rmq_settle rmq_rejections_settle(enum rmq_on_failure policy,
                                      bool is_redelivered);
/* One line that names the message, what became of it, the cause and detail
 * ("" = none; may hold bytes from the wire). */
void rmq_rejections_log(struct rmq_rejections *r, const struct rmq_delivery *d,
                        enum rmq_rejection cause, const char *detail,
                        enum rmq_settle how, struct rmq_mono now);
/* The same for a delivery of which only the fate is known. */
void rmq_rejections_log_overdue(struct rmq_rejections *r, enum rmq_settle how,
                                struct rmq_dur timeout, struct rmq_mono now);

#endif
