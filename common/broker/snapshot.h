/* SPDX-License-Identifier: MIT */
/*
 * What a broker said about itself in one poll, whatever it was asked through.
 * A field that was absent or of the wrong type is absent here too, never 0:
 * NaN for a gauge, RMQ_ABSENT for a counter.
 */
#ifndef RMQ_BROKER_SNAPSHOT_H
#define RMQ_BROKER_SNAPSHOT_H

#include "common/base/rmqtime.h"
#include "common/broker/detail.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RMQ_ABSENT INT64_C(-1)

/* Message counters. X(enum suffix, word of the management API) */
#define RMQ_STATS(X)                                                           \
  X(PUBLISH, "publish")                                                        \
  X(CONFIRM, "confirm")                                                        \
  X(DELIVER, "deliver")                                                        \
  X(DELIVER_NO_ACK, "deliver_no_ack")                                          \
  X(GET, "get")                                                                \
  X(GET_NO_ACK, "get_no_ack")                                                  \
  X(ACK, "ack")                                                                \
  X(REDELIVER, "redeliver")                                                    \
  X(RETURNED, "return_unroutable")                                             \
  X(DROPPED, "drop_unroutable")

enum rmq_stat {
#define RMQ_X(name, word) RMQ_STAT_##name,
  RMQ_STATS(RMQ_X)
#undef RMQ_X
};
enum { RMQ_STATS_COUNT = RMQ_STAT_DROPPED + 1 };
/* The management API's word. */
const char *rmq_stat_to_str(enum rmq_stat s);

/* Counters of nodes and clusters only. X(enum suffix, word). The first three
 * are words of the management API's churn_rates. */
#define RMQ_TALLIES(X)                                                         \
  X(OPENED, "connection_created")                                              \
  X(CLOSED, "connection_closed")                                               \
  X(CHANNEL_CLOSED, "channel_closed")                                          \
  X(AUTH_FAILED, "auth_failed")                                                \
  X(RECEIVED_CONFIRM, "received_confirm")                                      \
  X(DEAD_REJECTED, "dead_lettered_rejected")                                   \
  X(DEAD_EXPIRED, "dead_lettered_expired")                                     \
  X(DEAD_MAXLEN, "dead_lettered_maxlen")                                       \
  X(DEAD_DELIVERY_LIMIT, "dead_lettered_delivery_limit")

enum rmq_tally {
#define RMQ_X(name, word) RMQ_TALLY_##name,
  RMQ_TALLIES(RMQ_X)
#undef RMQ_X
};
enum { RMQ_TALLIES_COUNT = RMQ_TALLY_DEAD_DELIVERY_LIMIT + 1 };
const char *rmq_tally_to_str(enum rmq_tally e);

struct rmq_snapshot_node {
  char *name;                                              /* owned */
  double running, memory_alarm, disk_alarm;                /* 0 or 1 */
  double memory_used, memory_limit, disk_free, disk_limit; /* bytes */
  double fds_used, fds_total, processes_used, processes_total;
  double run_queue, uptime; /* uptime in seconds */
  double partitions;        /* nodes that it is cut off from */
  int64_t os_pid;           /* of its process, on its host */
  /* Of nodes that run on this host (local.h), in percent and bytes: */
  double cpu, host_memory, memory_rss;
  double scraped;    /* 0 or 1: whether its MetricsURL answered, as before */
  bool has_counters; /* the node told its own ones: */
  int64_t stats[RMQ_STATS_COUNT], tallies[RMQ_TALLIES_COUNT];
};

/* Who told a queue's counters; those of one have nothing to do with those of
 * another. */
enum rmq_counting {
  RMQ_COUNTED_WITH_ALL, /* the source of the poll, as those of all queues */
  RMQ_COUNTED_ALONE,    /* the management API, asked for this queue */
  RMQ_COUNTED_NOT       /* nobody was asked for them */
};
const char *rmq_counting_to_str(enum rmq_counting c);

struct rmq_snapshot_queue {
  char *vhost; /* owned, with the name behind it in the same allocation */
  const char *name;
  /* A stream keeps what was read: what brokers give as its ready messages is
   * its whole log. Of one that is known to be a stream the lengths are absent.
   */
  bool is_stream;
  bool is_classic, is_quorum, is_exclusive; /* as far as the source tells */
  double ready, unacked, consumers;         /* messages, messages, count */
  double memory;                            /* bytes */
  double consumer_capacity;                 /* share of time, 0 to 1 */
  double head_timestamp; /* seconds since 1970, of the publisher */
  double stream_lag;     /* of its consumer that is furthest behind, messages */
  bool has_stream_consumer; /* one by the stream protocol was told */
  enum rmq_counting counting;
  int64_t stats[RMQ_STATS_COUNT];
};

/* The numbers of all its queues and exchanges, wanted ones or not. */
struct rmq_snapshot_vhost {
  char *name; /* owned */
  double ready, unacked;
  int64_t stats[RMQ_STATS_COUNT];
};

/* What modules of the same process counted, as running sums, and measured. */
struct rmq_snapshot_own {
  int64_t nacks;            /* that rabbitmq_publish got */
  int64_t dropped;          /* messages that it dropped */
  double consumer_delivery; /* seconds, the longest of rabbitmq_consume */
};

/* Queues that are not wanted for what they are; all false = all are. */
struct rmq_snapshot_choice {
  bool no_classic, no_quorum, no_streams, no_exclusive;
};

struct rmq_snapshot {
  struct rmq_mono taken; /* when the overview had arrived */
  struct rmq_wall time;
  char version[32];     /* of RabbitMQ; "" = absent */
  double response_time; /* of the management API's first answer, seconds */
  double metrics_time;  /* of the slowest /metrics that answered, seconds */
  double ready, unacked, connections;
  double queues_total;  /* all there are, whatever is asked for of them */
  double queues_listed; /* those of the management API's list, wanted or not:
                           of virtual hosts that the user may see */
  enum rmq_detail_level detail; /* at which queues were asked for */
  double unconfirmed;           /* published and not confirmed yet */
  /* The cluster's counters, or where is_per_node those of its nodes. */
  bool is_per_node;
  double stream_lag; /* the highest of all streams, wanted or not */
  bool has_streams;  /* there are some in the list so far, likewise */
  /* The consumers by the stream protocol were told, of all streams. */
  bool are_stream_consumers_known;
  bool is_without_statistics; /* the management API says that it has none */
  struct rmq_snapshot_own own;
  double listed_ready, listed_unacked; /* of all queues in the list so far,
                                          wanted or not */
  size_t silent; /* nodes that may run and did not tell their counters */
  size_t silent_of_queues; /* nodes that told theirs, not those of queues */
  int64_t stats[RMQ_STATS_COUNT], tallies[RMQ_TALLIES_COUNT];
  bool has_nodes; /* the list of nodes was readable */
  struct rmq_snapshot_node *nodes;
  size_t nodes_count;
  bool has_all_queues;    /* read to the end, or up to the maximum */
  bool has_pages;         /* the list of queues came as several answers */
  size_t queues_left_out; /* over the maximum; at least this many */
  struct rmq_snapshot_queue *queues;
  size_t queues_count, queues_capacity, queues_max;
  uint32_t *last_first; /* a heap of indices, once queues are left out */
  struct rmq_snapshot_choice choice; /* for the caller to set after init */
  /* vhosts.h: sorted by name; vhosts_max is for the caller to set after init,
   * and 0 before. */
  struct rmq_snapshot_vhost *vhosts;
  size_t vhosts_count, vhosts_capacity, vhosts_max;
  size_t vhosts_left_out; /* over the maximum; at least this many */
  size_t vhosts_last;     /* index where the next one is looked for first */
  bool vhosts_failed;     /* without memory: a part is missing */
  /* Which are wanted; NULL = all. For the caller to set, too; ctx is borrowed.
   */
  bool (*vhosts_want)(void *ctx, const char *name);
  void *vhosts_want_ctx;
  bool vhosts_filtered; /* there were so many that others were dropped */
};

enum {
  RMQ_SNAPSHOT_NODES_MAX = 256,
  /* Queues that may be remembered for as long as a node is away. */
  RMQ_SNAPSHOT_HELD_MAX = 5000,
  RMQ_SNAPSHOT_PATIENCE = 10 /* the most that rmq_snapshot_patience says */
};

/* Empty, everything absent. */
void rmq_snapshot_init(struct rmq_snapshot *s, size_t queues_max);
void rmq_snapshot_fini(struct rmq_snapshot *s);
/* Empty again, with the same maxima; keeps memory for queues and vhosts. */
void rmq_snapshot_clear(struct rmq_snapshot *s);

/* A new node or queue with everything absent but its name, or NULL: without
 * memory, or over the maximum. Of more queues than the maximum the first ones
 * by vhost and name are kept, in whatever order they come: a new one may take
 * the place, and the index, of another. The others count in queues_left_out. */
struct rmq_snapshot_node *rmq_snapshot_add_node(struct rmq_snapshot *s,
                                                const char *name);
struct rmq_snapshot_queue *rmq_snapshot_add_queue(struct rmq_snapshot *s,
                                                  const char *vhost,
                                                  const char *name);
bool rmq_snapshot_is_full(const struct rmq_snapshot *s);
/* All absent. */
void rmq_snapshot_counters_clear(int64_t *counters, size_t count);
/* Everything absent, its names too. */
void rmq_snapshot_node_clear(struct rmq_snapshot_node *n);
void rmq_snapshot_queue_clear(struct rmq_snapshot_queue *q);
/* Whether the choice is for it; of a queue of which the source does not tell
 * what it is, it is. */
bool rmq_snapshot_wants(const struct rmq_snapshot *s,
                        const struct rmq_snapshot_queue *q);
/* It is a stream, whatever was said of its lengths before. */
void rmq_snapshot_mark_stream(struct rmq_snapshot_queue *q);

/* All queues that there are were told. */
bool rmq_snapshot_has_all(const struct rmq_snapshot *s);
/* How many polls a queue may be missing from before it does not exist any more:
 * none where one answer told all queues; one where several did, since a queue
 * that moves from an answer to come to one that was read is in neither (on
 * pages, when another one before it is deleted; of nodes, when its leader
 * moves); RMQ_SNAPSHOT_PATIENCE where not all were told. */
int rmq_snapshot_patience(const struct rmq_snapshot *s);
/* Only some queues, or none, were asked for: the others may exist. */
bool rmq_snapshot_is_brief(const struct rmq_snapshot *s);
/* Each node tells the queues that it leads, and one is down or did not tell:
 * those that are not in it may exist for as long as that lasts. (The management
 * API lists the queues of a node that is down, too.) */
bool rmq_snapshot_lacks_node(const struct rmq_snapshot *s);

/* Of a snapshot that was sorted and has got no queue since; NULL = none. */
struct rmq_snapshot_queue *
rmq_snapshot_find(struct rmq_snapshot *s, const char *vhost, const char *name);
/* Drops all queues and what was said of them. */
void rmq_snapshot_drop_queues(struct rmq_snapshot *s);
/* The count queues with most messages, ready or not, that have one: sets
 * ret_indices, which has room for that many, in that order (equal ones by vhost
 * and name). How many there are. */
size_t rmq_snapshot_longest(const struct rmq_snapshot *s, size_t count,
                            size_t *ret_indices);
/* Drops all but these; sorts the indices. */
void rmq_snapshot_keep(struct rmq_snapshot *s, size_t *indices, size_t count);

/* Orders queues by vhost and name, and drops a queue that is there twice (it
 * moved to the next page while pages were read). */
void rmq_snapshot_sort(struct rmq_snapshot *s);

#endif
