/* SPDX-License-Identifier: MIT */
/*
 * What the log hears of the monitor: each change of its state once, a lasting
 * fault with backing-off frequency, and the parts of an answer that are
 * missing. One thread.
 */
#ifndef RMQ_ROLE_MONITOR_LOG_H
#define RMQ_ROLE_MONITOR_LOG_H

#include "common/base/complain.h"
#include "common/base/host.h"
#include "common/broker/checks.h"
#include "common/broker/poll.h"
#include "common/role/role_monitor.h"

#define RMQ_MONITOR_PLUGIN "rabbitmq_monitor"

/* X(enum suffix, text, meaning) */
#define RMQ_MONITOR_STATES(X)                                                  \
  X(STARTING, "starting", "nothing was asked yet")                             \
  X(ANSWERING, "answering", "the last poll was answered")                      \
  X(UNREACHABLE, "unreachable", "no URL gave an overview")                     \
  X(REFUSED, "refused", "the broker did not accept user and password")

enum rmq_monitor_state {
#define RMQ_X(name, text, meaning) RMQ_MONITOR_##name,
  RMQ_MONITOR_STATES(RMQ_X)
#undef RMQ_X
};
const char *rmq_monitor_state_to_str(enum rmq_monitor_state s);

/* A part of the answer, and what the log was told of its absence. */
struct rmq_monitor_part {
  const char *event;
  struct rmq_complain complain;
};

struct rmq_monitor_log {
  const struct rmq_host *host;
  const char *name;
  const struct rmq_role_monitor_config *config;
  enum rmq_monitor_state state;
  struct rmq_mono state_since;
  struct rmq_complain unreachable, secret, twice;
  enum rmq_detail_level detail; /* that was told last */
  enum rmq_source source;       /* of the last poll; AUTO = none was answered */
  struct rmq_monitor_part nodes, queues, too_many, hidden, vhosts, streams,
      metrics, statistics;
  unsigned hidden_polls; /* in a row in which queues were not listed for us */
  double hidden_least;   /* the fewest of them in one of these */
  struct rmq_monitor_part connections, quorum, certificates, health;
  uint64_t silent;       /* bit n: the nth URL was said not to answer */
  int64_t certificate_s; /* end of the one that was said last; 0 = none was */
};

/* All borrowed. */
void rmq_monitor_log_init(struct rmq_monitor_log *l,
                          const struct rmq_host *host, const char *name,
                          const struct rmq_role_monitor_config *config);
/* After every poll that was not cancelled. */
void rmq_monitor_log_poll(struct rmq_monitor_log *l,
                          const struct rmq_poll_result *poll,
                          const struct rmq_snapshot *s, struct rmq_mono now);
/* Likewise, unless the broker refused us and was said to: why password or token
 * could not be read, or an empty error. */
void rmq_monitor_log_secret(struct rmq_monitor_log *l,
                            const struct rmq_error *why, struct rmq_mono now);
/* After the checks that follow a poll: what is missing, and which certificate
 * expires first when that has changed. */
void rmq_monitor_log_checks(struct rmq_monitor_log *l,
                            const struct rmq_checks *checks,
                            struct rmq_mono now);

#endif
