/* SPDX-License-Identifier: MIT */
/*
 * What the files of a poll share: poll.c chooses the source and asks the nodes,
 * poll_management.c asks the management API, poll_queues.c asks it for queues.
 */
#ifndef RMQ_BROKER_POLL_PRIVATE_H
#define RMQ_BROKER_POLL_PRIVATE_H

#include "common/broker/poll.h"

/* One poll while it runs. */
struct rmq_poll_turn {
  struct rmq_poll *poll;
  struct rmq_snapshot *snapshot;
  struct rmq_mono start, deadline;
  const char *base; /* URL that is asked */
  bool is_cancelled;
  double bytes;
  struct rmq_error details_error; /* of questions about one queue */
  double queue_seconds;           /* NaN = none were asked for */
  bool lacks_list;                /* of queues, or a part of it */
  struct rmq_mono queues_begun;
  /* Seconds that somebody was waited for who did not answer, lists of queues
   * left out: asking for fewer queues would not have saved them. */
  double wasted;
  double abandoned; /* seconds, of lists that were not read to their end */
};

double rmq_poll_seconds_since(const struct rmq_poll_turn *r,
                              struct rmq_mono then);
/* What the poll has cost so far. */
double rmq_poll_used(const struct rmq_poll_turn *r);

/* One request to r->base. The status, or 0 with err when there was none; the
 * answer is in the poll's body. */
int rmq_poll_ask(struct rmq_poll_turn *r, const char *path,
                 struct rmq_error *err);
/* What a status other than 200 means to the reader of the log. */
void rmq_poll_explain(const struct rmq_poll_turn *r, const char *what,
                      int status, struct rmq_error *err);

/* Whether the options want a queue; ctx is the poll. */
bool rmq_poll_want_queue(void *ctx, const char *vhost, const char *name);

/* When queues have to be there, so that there is time for the rest: half of
 * what the budget leaves, of the time in which nobody was waited for in vain.
 */
struct rmq_mono rmq_poll_queues_deadline(const struct rmq_poll_turn *r);

/* Asks r->base for queues, as much as budget and deadline allow; err says what
 * is missing. */
void rmq_poll_ask_queues(struct rmq_poll_turn *r, struct rmq_error *err);

/* Asks r->base for all of the longest queues where the lists have lengths only.
 * What it has cost in seconds. */
double rmq_poll_ask_details(struct rmq_poll_turn *r);

/* Asks the management API for everything. */
void rmq_poll_run_management(struct rmq_poll_turn *r,
                             struct rmq_poll_result *result);

#endif
