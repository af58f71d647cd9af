/* SPDX-License-Identifier: MIT */
/*
 * What alerts can be about, as a table: each kind is one or several quantities
 * of one poll's report, with the limits and holds that it has where no option
 * says otherwise. A quantity that is NaN is not known: it neither raises nor
 * clears.
 */
#ifndef RMQ_BROKER_ALERT_KIND_H
#define RMQ_BROKER_ALERT_KIND_H

#include "common/base/rmqtime.h"
#include "common/base/series.h"
#include "common/broker/report.h"

/* X(enum suffix, word in the configuration) */
#define RMQ_ALERT_KINDS(X)                                                     \
  X(BACKLOG, "backlog")                                                        \
  X(DELAY, "delay")                                                            \
  X(ERRORS, "errors")                                                          \
  X(RATE_DROP, "rate-drop")                                                    \
  X(RESOURCE, "resource")                                                      \
  X(NO_CONSUMER, "no-consumer")                                                \
  X(ALARM, "alarm")                                                            \
  X(PARTITION, "partition")                                                    \
  X(CONNECTION, "connection")                                                  \
  X(QUORUM, "quorum")                                                          \
  X(CERTIFICATE, "certificate")                                                \
  X(AUTH_FAILED, "auth-failed")                                                \
  X(CHANNEL_CLOSED, "channel-closed")

enum rmq_alert_kind {
#define RMQ_X(name, word) RMQ_ALERT_##name,
  RMQ_ALERT_KINDS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_ALERT_KINDS_COUNT = RMQ_ALERT_CHANNEL_CLOSED + 1 };
/* The word. */
const char *rmq_alert_kind_to_str(enum rmq_alert_kind k);

/* P0 wakes somebody, P1 is for working hours, P2 for a digest. */
enum rmq_alert_priority { RMQ_ALERT_P0, RMQ_ALERT_P1, RMQ_ALERT_P2 };
/* "P0" ... */
const char *rmq_alert_priority_to_str(enum rmq_alert_priority p);

/* What a kind is like unless its block says otherwise. */
struct rmq_alert_habit {
  enum rmq_alert_priority priority;
  int64_t hold_s, clear_hold_s; /* seconds */
};
const struct rmq_alert_habit *rmq_alert_habit(enum rmq_alert_kind k);

struct rmq_alert_quantity {
  enum rmq_alert_kind kind;
  enum rmq_series_scope scope; /* CLUSTER, NODE or QUEUE */
  const char *resource;        /* word of the option Resource; else NULL */
  /* Identity of its notifications: the series that it is about. */
  const char *type, *type_instance;
  /* From the report struct of the scope; NaN = not known. */
  double (*get)(const void *report);
  double warning, failure; /* limits; 0 = there is none */
  /* For the messages: what is counted and its unit, or what is the case. */
  const char *counts, *unit;
  const char *is_bad, *is_good;
  const char *if_refused;  /* in place of is_bad; NULL = the same */
  bool comes_with_probe;   /* with each of its messages, not with each poll */
  bool needs_no_answer;    /* known of a poll that failed, too */
  bool is_lower_worse;     /* at the limit or under it */
  bool follows_from_nodes; /* that are down, and is no news then */
  bool follows_from_alarm; /* likewise */
};

/* All of them; those of one scope stand together, in the order of the enum. */
extern const struct rmq_alert_quantity rmq_alert_quantities[];
enum {
  RMQ_ALERT_QUANTITIES_COUNT = 27,
  RMQ_ALERT_OF_CLUSTER = 13, /* how many have that scope */
  RMQ_ALERT_OF_NODE = 10,
  RMQ_ALERT_OF_QUEUE = 4
};

#endif
