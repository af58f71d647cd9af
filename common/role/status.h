/* SPDX-License-Identifier: MIT */
/*
 * All five indicators of a cluster for a person, from the monitor's samples of
 * one look after the other: states and words of the verdicts, the worst queues,
 * the nodes, and what the main figures were in the looks before.
 *
 * Pure: no I/O, no clock. One thread.
 */
#ifndef RMQ_ROLE_STATUS_H
#define RMQ_ROLE_STATUS_H

#include "common/base/log.h"
#include "common/base/sample.h"
#include "common/broker/snapshot.h"
#include "common/role/verdict.h"

enum {
  RMQ_STATUS_INDICATORS = RMQ_VERDICT_THROUGHPUT + 1,
  RMQ_STATUS_QUEUES_MAX = 100,
  RMQ_STATUS_NODES_MAX = RMQ_SNAPSHOT_NODES_MAX, /* none is left out */
  RMQ_STATUS_HISTORY_MAX = 240,                  /* looks */
  RMQ_STATUS_NOTES_MAX = 8,
  RMQ_STATUS_NAME_SIZE = 256, /* AMQP's longest, with its end */
  RMQ_STATUS_TEXT_SIZE = 768
};

struct rmq_status_indicator {
  enum rmq_verdict_indicator indicator;
  enum rmq_verdict_state state;
  /* The look that found this state first; is_older = nothing was known before
   * it, so that it may have been so for long. */
  struct rmq_wall since;
  bool is_older;
  char text[RMQ_STATUS_TEXT_SIZE]; /* raw: may hold bytes of the broker */
  /* Its main figure, oldest look first; NaN = not known. */
  double history[RMQ_STATUS_HISTORY_MAX];
  size_t history_count;
};

/* NaN = not known, here as below. growth is per second. */
struct rmq_status_queue {
  char vhost[RMQ_STATUS_NAME_SIZE], name[RMQ_STATUS_NAME_SIZE];
  double ready, unacked, consumers, growth, drain, head_age;
  enum rmq_verdict_state state; /* by the limits of lag */
};

/* Shares in percent, sizes in bytes. */
struct rmq_status_node {
  char name[RMQ_STATUS_NAME_SIZE];
  double running, memory_alarm, disk_alarm;
  double memory, memory_limit, disk_free, disk_limit;
  double file_handles, processes, cpu;
};

struct rmq_status_report {
  char cluster[RMQ_STATUS_NAME_SIZE];
  struct rmq_wall time; /* of the last look */
  size_t looks;
  bool is_answered;
  enum rmq_verdict_state state; /* the worst of the five */
  struct rmq_status_indicator indicators[RMQ_STATUS_INDICATORS];
  /* Those with messages, worst first; and how many there are in all, with
   * messages, and with messages that nobody consumes. */
  struct rmq_status_queue queues[RMQ_STATUS_QUEUES_MAX];
  size_t queues_count, queues_seen, queues_filled, queues_abandoned;
  struct rmq_status_node nodes[RMQ_STATUS_NODES_MAX];
  size_t nodes_count;
  /* What the log complains of and has not said to be over; text is raw. */
  struct rmq_status_note {
    char event[32], text[RMQ_STATUS_TEXT_SIZE];
  } notes[RMQ_STATUS_NOTES_MAX];
  size_t notes_count;
};

struct rmq_status; /* opaque: verdicts and the queue that is being read */

/* top: how many queues are kept, at most RMQ_STATUS_QUEUES_MAX. NULL without
 * memory. */
struct rmq_status *rmq_status_new(const char *cluster, size_t top);
void rmq_status_free(struct rmq_status *s);
/* There is a probe, without whose verdict the connection is not OK. */
void rmq_status_expect_probe(struct rmq_status *s);

/* One look: begin, what the monitor hands over, end. */
void rmq_status_begin(struct rmq_status *s);
void rmq_status_see(struct rmq_status *s, const struct rmq_sample *sample);
void rmq_status_hear(struct rmq_status *s, const struct rmq_log_record *record);
/* Before the end of a look without an answer: why (silence.h), copied. */
void rmq_status_fall_silent(struct rmq_status *s, const char *why);
void rmq_status_end(struct rmq_status *s, struct rmq_wall now);

/* Borrowed; changes with the next look. */
const struct rmq_status_report *rmq_status_get(const struct rmq_status *s);

/* Of several states the one that counts: CRITICAL, WARNING, UNKNOWN, OK. */
enum rmq_verdict_state rmq_status_worse(enum rmq_verdict_state a,
                                        enum rmq_verdict_state b);
/* Messages wait and nobody consumes. */
bool rmq_status_is_abandoned(const struct rmq_status_queue *q);

#endif
