/* SPDX-License-Identifier: MIT */
/*
 * The thread that owns one connection. It sleeps in one poll on the socket and
 * an eventfd, until the next deadline; everybody else enqueues and wakes it.
 * No lock is held over I/O and no call in it can block, so it stops when told.
 */
#ifndef RMQ_AMQP_WORKER_H
#define RMQ_AMQP_WORKER_H

#include "common/amqp/connection.h"
#include "common/amqp/link.h"
#include "common/base/host.h"

/* What the thread does besides moving bytes; called in the thread only. */
struct rmq_worker_job {
  void *ctx;
  /* Does what can be done now. Returns when it wants to be called although
   * nothing happened; RMQ_NEVER = only when woken. */
  struct rmq_mono (*step)(void *ctx, struct rmq_mono now);
  /* Once, when the worker was told to stop, before the first such step. */
  void (*drain)(void *ctx, struct rmq_mono now);
  /* Nothing is left to be done: the connection may be closed. */
  bool (*is_drained)(void *ctx);
};

struct rmq_worker;
/* Borrows everything; nothing runs before rmq_worker_start. NULL with err. */
struct rmq_worker *rmq_worker_new(const char *name, const struct rmq_host *host,
                                  struct rmq_connection *connection,
                                  const struct rmq_link_config *link,
                                  const struct rmq_worker_job *job,
                                  struct rmq_error *err);
/* Only when never started or joined. NULL is fine. */
void rmq_worker_free(struct rmq_worker *w);

int rmq_worker_start(struct rmq_worker *w, struct rmq_error *err);
/* Any thread; cheap when the worker is awake. */
void rmq_worker_wake(struct rmq_worker *w);
/* Any thread: drain, close the connection in good order, end; at the deadline
 * end without further ado. Returns at once. */
void rmq_worker_stop(struct rmq_worker *w, struct rmq_mono deadline);
/* Whether the thread has ended; waits until then. */
bool rmq_worker_await(struct rmq_worker *w, struct rmq_mono until);
/* Waits until the thread has ended, at most until deadline. False: it has not,
 * and is left alone: it and all that it uses must never be freed. */
bool rmq_worker_join(struct rmq_worker *w, struct rmq_mono deadline);

#endif
