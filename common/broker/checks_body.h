/* SPDX-License-Identifier: MIT */
/*
 * Bodies that the management API gives to checks.c -> numbers. They are not
 * trusted: any length, any content. Each is read in place and spoiled by it.
 */
#ifndef RMQ_BROKER_CHECKS_BODY_H
#define RMQ_BROKER_CHECKS_BODY_H

#include "common/base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { RMQ_CHECKS_QUEUES_MAX = 100000, RMQ_CHECKS_WHERE_SIZE = 200 };

/* Queues, or virtual hosts, that were named, each once however many nodes named
 * it. */
struct rmq_checks_queues {
  uint64_t *hashes; /* owned */
  size_t count, capacity;
};
void rmq_checks_queues_fini(struct rmq_checks_queues *q);
/* How many there are. */
size_t rmq_checks_queues_count(struct rmq_checks_queues *q);

/* The certificate that expires first. */
struct rmq_checks_certificate {
  int64_t expires_s;                 /* since 1970; 0 = none is known */
  char where[RMQ_CHECKS_WHERE_SIZE]; /* for people */
};
/* Keeps the one that expires first. */
void rmq_checks_certificate_add(struct rmq_checks_certificate *c,
                                int64_t expires_s, const char *where);

/* /api/connections: how many are blocked, or would be with their next publish
 * (state blocked or blocking). NaN when there are connections and none says its
 * state. -1 with err: the body is not that of the endpoint. */
int rmq_checks_body_connections(char *text, size_t len, double *ret_blocked,
                                struct rmq_error *err);
/* A health check about queues, status 200 or 503: adds those that it names.
 * -1 likewise; then some of them may have been added. */
int rmq_checks_body_queues(char *text, size_t len, struct rmq_checks_queues *q,
                           struct rmq_error *err);
/* The health check virtual-hosts: adds those that are down on the node that was
 * asked. -1 likewise. */
int rmq_checks_body_vhosts(char *text, size_t len, struct rmq_checks_queues *v,
                           struct rmq_error *err);
/* The health check certificate-expiration: of each listener's certificate file
 * the first certificate, which is its own. -1 likewise, and when the broker
 * itself could not read a file. */
int rmq_checks_body_certificates(char *text, size_t len,
                                 struct rmq_checks_certificate *c,
                                 struct rmq_error *err);

#endif
