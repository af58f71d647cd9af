/* SPDX-License-Identifier: MIT */
/*
 * Which drills there are, and what came of one. Pure.
 */
#ifndef RMQ_ROLE_DRILL_KIND_H
#define RMQ_ROLE_DRILL_KIND_H

#include <stdbool.h>

/* X(enum suffix, word, series, kind of alert, needs a broker of its own, what
 * is done) */
#define RMQ_DRILLS(X)                                                          \
  X(CLOSED_CONNECTION, "closed-connection", "bool-amqp_usable", "connection",  \
    false, "the connection of a probe of its own is closed, again and again")  \
  X(UNROUTABLE, "unroutable", "total_events-returned", "errors", false,        \
    "mandatory messages that no queue takes")                                  \
  X(NACK, "nack", "total_events-unconfirmed", "errors", false,                 \
    "messages that a full queue rejects; needs --metrics-url")                 \
  X(REDELIVERY, "redelivery", "total_events-redelivered", "errors", false,     \
    "messages that are taken and put back")                                    \
  X(BACKLOG, "backlog", "queue_length-ready", "backlog", false,                \
    "messages in a queue that nobody reads")                                   \
  X(MEMORY_ALARM, "memory-alarm", "bool-memory_alarm", "alarm", true,          \
    "less memory than the broker has, so that it blocks; --private")           \
  X(DISK_ALARM, "disk-alarm", "bool-disk_alarm", "alarm", true,                \
    "less free disk than it wants, so that it blocks; --private")              \
  X(KILL, "kill", "bool-reachable", "connection", true,                        \
    "the broker is killed and started again; --private")

enum rmq_drill_kind {
#define RMQ_X(name, word, series, alert, is_private, what) RMQ_DRILL_##name,
  RMQ_DRILLS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_DRILLS_COUNT = RMQ_DRILL_KILL + 1 };
const char *rmq_drill_kind_to_str(enum rmq_drill_kind k);
/* TYPE-TYPEINSTANCE */
const char *rmq_drill_kind_series(enum rmq_drill_kind k);
/* The kind's word, as in <Alert "kind">. */
const char *rmq_drill_kind_alert(enum rmq_drill_kind k);
/* The alert is about the share of errors among all operations. */
bool rmq_drill_kind_is_share(enum rmq_drill_kind k);
bool rmq_drill_kind_is_private(enum rmq_drill_kind k);
const char *rmq_drill_kind_help(enum rmq_drill_kind k);
/* 0, or -1 for an unknown word. */
int rmq_drill_kind_from_str(const char *word, enum rmq_drill_kind *ret_kind);

/* Seconds since the fault was made (moved, raised) or ended (over); NaN = it
 * did not, which says something only where is_made. */
struct rmq_drill_result {
  double moved_s, raised_s, over_s;
  bool is_made;   /* the fault was */
  bool is_shared; /* what moved is the cluster's, and others move it, too */
};
bool rmq_drill_passed(const struct rmq_drill_result *r);

#endif
