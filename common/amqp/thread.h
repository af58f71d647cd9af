/* SPDX-License-Identifier: MIT */
/*
 * Threads as a guest of somebody's daemon should start them: explicit stack,
 * all signals blocked, so that the host's handlers run in the host's threads.
 */
#ifndef RMQ_AMQP_THREAD_H
#define RMQ_AMQP_THREAD_H

#include "common/base/error.h"

#include <pthread.h>
#include <stdbool.h>

/* name: at most 15 characters. */
int rmq_thread_start(pthread_t *ret_thread, bool is_detached, const char *name,
                     void *(*run)(void *), void *arg, struct rmq_error *err);

#endif
