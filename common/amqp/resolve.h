/* SPDX-License-Identifier: MIT */
/*
 * Names to addresses without blocking the caller: getaddrinfo has no time-out,
 * so a detached thread asks, and the counted result outlives an asker that lost
 * its patience.
 */
#ifndef RMQ_AMQP_RESOLVE_H
#define RMQ_AMQP_RESOLVE_H

#include "common/base/error.h"

#include <netdb.h>
#include <stdint.h>

struct rmq_resolve;

/* Asks for host and port; wake_fd (an eventfd, duplicated) is written to when
 * the answer is there. A numeric address is answered at once. NULL with err
 * when it cannot even be asked. */
struct rmq_resolve *rmq_resolve_start(const char *host, uint16_t port,
                                      int wake_fd, struct rmq_error *err);
/* 0: not yet; 1: *ret_addresses is borrowed until the release; -1: err. */
int rmq_resolve_poll(struct rmq_resolve *r,
                     const struct addrinfo **ret_addresses,
                     struct rmq_error *err);
/* The asker is done with it, answered or not; NULL is fine. */
void rmq_resolve_release(struct rmq_resolve *r);

#endif
