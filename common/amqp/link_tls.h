/* SPDX-License-Identifier: MIT */
/* TLS over a connected, non-blocking socket. The only user of OpenSSL. */
#ifndef RMQ_AMQP_LINK_TLS_H
#define RMQ_AMQP_LINK_TLS_H

#include "common/amqp/link.h"

struct rmq_tls;

/* Reads the files of config and prepares a session over fd (borrowed) for the
 * server host, whose name or IP address the certificate must carry. NULL with
 * err and what a person has to do about it. */
struct rmq_tls *rmq_tls_new(const struct rmq_tls_config *config, int fd,
                            const char *host, const char **ret_remedy,
                            struct rmq_error *err);
void rmq_tls_free(struct rmq_tls *t);

/* What to wait for before the last call can go on. */
enum rmq_tls_want { RMQ_TLS_NOTHING, RMQ_TLS_READ, RMQ_TLS_WRITE };
const char *rmq_tls_want_to_str(enum rmq_tls_want w);
enum rmq_tls_want rmq_tls_want(const struct rmq_tls *t);

/* What a person has to do about the last failure; "" when it may pass by
 * itself. */
const char *rmq_tls_remedy(const struct rmq_tls *t);

/* 1: done; 0: not yet; -1: refused, err says why. */
int rmq_tls_handshake(struct rmq_tls *t, struct rmq_error *err);
/* Like send and recv: bytes, 0 = would block, -1 = broken or closed. */
long rmq_tls_send(struct rmq_tls *t, const char *bytes, size_t len,
                  struct rmq_error *err);
long rmq_tls_recv(struct rmq_tls *t, char *bytes, size_t size,
                  struct rmq_error *err);

#endif
