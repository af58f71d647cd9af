/* SPDX-License-Identifier: MIT */
/*
 * One indicator of a cluster as Nagios and Icinga want it: a state, one line of
 * text and performance data, from the samples of one set. Limits are those of
 * the monitor's alerts unless the user gives ranges.
 *
 * Pure: no I/O, no clock. One thread.
 */
#ifndef RMQ_ROLE_VERDICT_H
#define RMQ_ROLE_VERDICT_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/sample.h"
#include "common/role/range.h"

#include <stdbool.h>

/* X(enum suffix, word on the command line) */
#define RMQ_VERDICT_INDICATORS(X)                                              \
  X(CONNECTION, "connection")                                                  \
  X(LAG, "lag")                                                                \
  X(ERRORS, "errors")                                                          \
  X(RESOURCE, "resource")                                                      \
  X(THROUGHPUT, "throughput")

enum rmq_verdict_indicator {
#define RMQ_X(name, word) RMQ_VERDICT_##name,
  RMQ_VERDICT_INDICATORS(RMQ_X)
#undef RMQ_X
};
const char *rmq_verdict_indicator_to_str(enum rmq_verdict_indicator i);
/* 0, or -1 for an unknown word. */
int rmq_verdict_indicator_from_str(const char *word,
                                   enum rmq_verdict_indicator *ret_indicator);
/* Whether it is about what happened between two sets. */
bool rmq_verdict_needs_two(enum rmq_verdict_indicator i);

/* Exit statuses of a plugin. */
enum rmq_verdict_state {
  RMQ_VERDICT_OK = 0,
  RMQ_VERDICT_WARNING = 1,
  RMQ_VERDICT_CRITICAL = 2,
  RMQ_VERDICT_UNKNOWN = 3
};
const char *rmq_verdict_state_to_str(enum rmq_verdict_state s);

enum {
  RMQ_VERDICT_MEASURES_MAX = 16, /* of one indicator */
  RMQ_VERDICT_PROBLEMS_MAX = 4,  /* that are named; the others are counted */
  RMQ_VERDICT_TEXT_MAX = 160
};

/* Of one measure in the set. */
struct rmq_verdict_tally {
  size_t seen;  /* objects */
  double worst; /* the largest value */
  double sum;
};

struct rmq_verdict_problem {
  enum rmq_verdict_state state;
  double badness; /* orders problems of one state */
  bool is_probe;  /* what the probe found out */
  char text[RMQ_VERDICT_TEXT_MAX];
};

struct rmq_verdict {
  enum rmq_verdict_indicator indicator;
  /* The user's ranges; they replace both limits of one measure. */
  int chosen; /* row, or -1 = no ranges given */
  bool has_warning, has_critical;
  struct rmq_range warning, critical;
  const char *warning_text, *critical_text; /* borrowed */
  bool is_partial; /* a part was not answered, in whichever set */
  /* For the user to set: there is a probe, without whose verdict nothing is OK;
   * and why it failed (borrowed, NULL = not known). */
  bool is_probed;
  const char *probe_reason;
  /* Likewise: why there was no answer (silence.h; borrowed, NULL = not known).
   */
  const char *silence;
  /* The set. */
  struct rmq_verdict_tally tallies[RMQ_VERDICT_MEASURES_MAX];
  struct rmq_verdict_problem problems[RMQ_VERDICT_PROBLEMS_MAX];
  size_t problems_count; /* that there are, named or not */
  double first;          /* of the two series of a sum, seen last; NaN = none */
  bool is_answered;
  struct rmq_buf nodes; /* performance data of nodes */
};

/* measure (a row's name; NULL = the indicator's first), warning and critical
 * are the user's words or NULL, borrowed. 0, or -1 with err naming the option
 * and what is allowed; then nothing is to be freed. */
int rmq_verdict_init(struct rmq_verdict *v, enum rmq_verdict_indicator i,
                     const char *measure, const char *warning,
                     const char *critical, struct rmq_error *err);
void rmq_verdict_fini(struct rmq_verdict *v);

/* Forgets the set that was seen. */
void rmq_verdict_clear(struct rmq_verdict *v);
/* One of the monitor's samples; others are ignored. */
void rmq_verdict_see(struct rmq_verdict *v, const struct rmq_sample *sample);
/* Whether an event of the monitor's log says that a part of the indicator was
 * not answered. */
bool rmq_verdict_is_part(enum rmq_verdict_indicator i, const char *event);
/* An event of the log: after such a one the verdict is not OK. */
void rmq_verdict_hear(struct rmq_verdict *v, const char *event);
/* Whether the indicator looks at single queues. */
bool rmq_verdict_needs_queues(enum rmq_verdict_indicator i);
/* Whether it looks at what the monitor asks now and then: blocked connections,
 * quorum queues, certificates. */
bool rmq_verdict_needs_checks(enum rmq_verdict_indicator i);
/* The state of the set. */
enum rmq_verdict_state rmq_verdict_judge(const struct rmq_verdict *v);
/* What the limits that a measure has by itself say of a value; NaN is OK, and
 * UNKNOWN a measure that the indicator does not have. */
enum rmq_verdict_state rmq_verdict_limits(enum rmq_verdict_indicator i,
                                          const char *measure, double value);
/* How the line begins: "RABBITMQ LAG UNKNOWN - ". */
void rmq_verdict_head(enum rmq_verdict_indicator i, enum rmq_verdict_state s,
                      struct rmq_buf *out);
/* Why it is that: problems, figures, or what is missing. */
void rmq_verdict_explain(const struct rmq_verdict *v, const char *reason,
                         struct rmq_buf *out);
/* The state, and the line for standard output without its end. reason (may be
 * "") is why there was not the whole of the answer. */
enum rmq_verdict_state rmq_verdict_say(struct rmq_verdict *v,
                                       const char *reason, struct rmq_buf *out);

#endif
