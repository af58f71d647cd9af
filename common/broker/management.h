/* SPDX-License-Identifier: MIT */
/*
 * Bodies of RabbitMQ's management API -> snapshot. Versions differ in fields
 * and in their types (a number, a string, "" or null for the same thing): a
 * field is taken when it has the type that carries its meaning, and is absent
 * otherwise. Bodies are not trusted: any length, any content. They are read as
 * they stand, without a tree, so that none costs more memory than itself.
 */
#ifndef RMQ_BROKER_MANAGEMENT_H
#define RMQ_BROKER_MANAGEMENT_H

#include "common/base/error.h"
#include "common/broker/snapshot.h"

/* What to ask for, behind the URL's end; only fields that are read. */
#define RMQ_MANAGEMENT_OVERVIEW "/api/overview"
#define RMQ_MANAGEMENT_NODES                                                   \
  "/api/nodes?columns=name,running,mem_used,mem_limit,mem_alarm,disk_free,"    \
  "disk_free_limit,disk_free_alarm,fd_used,fd_total,proc_used,proc_total,"     \
  "run_queue,uptime,partitions,os_pid"
/* Behind it: page number from 1, then page size. */
#define RMQ_MANAGEMENT_QUEUES                                                  \
  "/api/queues?page=%zu&page_size=%zu&columns=name,vhost,type,exclusive,"      \
  "messages_ready,messages_unacknowledged,consumers,memory,consumer_capacity," \
  "consumer_utilisation,head_message_timestamp,message_stats.publish,"         \
  "message_stats.deliver,message_stats.deliver_no_ack,message_stats.get,"      \
  "message_stats.get_no_ack,message_stats.ack,message_stats.redeliver"
/* Behind that, of a broker without statistics, which has lengths only when it
 * is asked like this (from 3.8.10). */
#define RMQ_MANAGEMENT_TOTALS "&disable_stats=true&enable_queue_totals=true"

#define RMQ_MANAGEMENT_VHOSTS                                                  \
  "/api/vhosts?columns=name,messages_ready,messages_unacknowledged,"           \
  "message_stats.publish,message_stats.confirm,message_stats.deliver,"         \
  "message_stats.deliver_no_ack,message_stats.get,message_stats.get_no_ack,"   \
  "message_stats.ack,message_stats.redeliver,message_stats.return_unroutable," \
  "message_stats.drop_unroutable"

/* Consumers by the stream protocol; the plugin rabbitmq_stream_management
 * answers, from 3.9. */
#define RMQ_MANAGEMENT_STREAMS "/api/stream/consumers?columns=queue,offset_lag"

/* Lengths of all queues in one answer, and of the longest ones: what the broker
 * knows without its statistics (from 3.8.10; before that it works them out for
 * all queues, as it did). A page of the former would cost as much as all. */
#define RMQ_MANAGEMENT_LENGTHS                                                 \
  "/api/queues?columns=name,vhost,type,exclusive,messages_ready,"              \
  "messages_unacknowledged" RMQ_MANAGEMENT_TOTALS
#define RMQ_MANAGEMENT_LONGEST                                                 \
  "/api/queues?page=1&page_size=500&sort=messages&sort_reverse=true"           \
  "&columns=name,vhost,type,exclusive,messages_ready,"                         \
  "messages_unacknowledged" RMQ_MANAGEMENT_TOTALS
/* One queue; in between come "/", the vhost, "/", and the name, encoded. */
#define RMQ_MANAGEMENT_QUEUE "/api/queues"
#define RMQ_MANAGEMENT_QUEUE_COLUMNS                                           \
  "?columns=type,consumers,memory,consumer_capacity,consumer_utilisation,"     \
  "head_message_timestamp,message_stats.publish,message_stats.deliver,"        \
  "message_stats.deliver_no_ack,message_stats.get,message_stats.get_no_ack,"   \
  "message_stats.ack,message_stats.redeliver"

/* Each: 0, or -1 with err when the body is not what the endpoint answers; of
 * nodes, queues and stream consumers the snapshot may then hold a part. bytes
 * are written to. */
int rmq_management_overview(char *bytes, size_t len, struct rmq_snapshot *s,
                            struct rmq_error *err);
int rmq_management_nodes(char *bytes, size_t len, struct rmq_snapshot *s,
                         struct rmq_error *err);

int rmq_management_vhosts(char *bytes, size_t len, struct rmq_snapshot *s,
                          struct rmq_error *err);

/* Into a snapshot that is sorted, see rmq_snapshot_find. */
int rmq_management_streams(char *bytes, size_t len, struct rmq_snapshot *s,
                           struct rmq_error *err);

/* Whether the queue is wanted; NULL = all are. */
typedef bool (*rmq_management_want)(void *ctx, const char *vhost,
                                    const char *name);

/* ret_pages is the number of pages that there are now; 1
 * where the list is in none. */
int rmq_management_queues(char *bytes, size_t len, rmq_management_want want,
                          void *ctx, struct rmq_snapshot *s, size_t *ret_pages,
                          struct rmq_error *err);

/* The answer about one queue: what its lengths do not tell, and that it has
 * none where it is a stream. */
int rmq_management_queue(char *bytes, size_t len, struct rmq_snapshot_queue *q,
                         struct rmq_error *err);

/* Once the version and all parts are there, whatever told them: what it gives
 * as 0 and does not know is absent. From 4.3 on no partition is told, and from
 * 4.3.1 on the capacity of quorum queues' consumers is 0 (server's issue
 * 16649). */
void rmq_management_forget_zeroed(struct rmq_snapshot *s);

/* The broker's own words in an error's body ("Not monitor user"); "" when it
 * has none, or is longer than any error. */
void rmq_management_reason(const char *bytes, size_t len, char *ret_text,
                           size_t size);

#endif
