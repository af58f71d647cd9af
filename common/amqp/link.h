/* SPDX-License-Identifier: MIT */
/*
 * A non-blocking byte stream to a host: TCP, or TLS over it. Resolves, tries
 * the addresses one after the other, does the TLS handshake; no call blocks.
 * Used by the one thread that owns the connection.
 */
#ifndef RMQ_AMQP_LINK_H
#define RMQ_AMQP_LINK_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rmq_tls_version { RMQ_TLS_1_2, RMQ_TLS_1_3 };
const char *rmq_tls_version_to_str(enum rmq_tls_version v);

/* Borrowed; files are read anew for every link, so that a renewed certificate
 * needs no restart. */
struct rmq_tls_config {
  bool verify_peer, verify_host;
  const char *ca_file;                  /* NULL = the system's CAs */
  const char *client_cert, *client_key; /* PEM; NULL = none */
  /* Appends the password of client_key, asked for every link; NULL = there is
   * none. -1 = unreadable, err says why. */
  int (*key_password)(void *ctx, struct rmq_buf *ret_password,
                      struct rmq_error *err);
  void *key_password_ctx;
  enum rmq_tls_version min_version;
};

struct rmq_link_config {
  const struct rmq_tls_config *tls; /* NULL = plain TCP */
  struct rmq_dur address_timeout;   /* for one of several addresses */
  struct rmq_dur user_timeout;      /* TCP_USER_TIMEOUT; 0 = the system's */
};

struct rmq_link;

/* Begins; wake_fd is an eventfd that the owner polls, written to when the name
 * is resolved. NULL with err when nothing could be begun. */
struct rmq_link *rmq_link_open(const struct rmq_link_config *config,
                               const char *host, uint16_t port, int wake_fd,
                               struct rmq_mono now, struct rmq_error *err);
/* At once, without a word to the peer. NULL is fine. */
void rmq_link_close(struct rmq_link *l);

/* For poll: -1 while resolving. */
int rmq_link_fd(const struct rmq_link *l);
/* POLLIN and POLLOUT as the link needs them now. */
short rmq_link_events(const struct rmq_link *l, bool has_output);
/* When to call rmq_link_advance although nothing happened. */
struct rmq_mono rmq_link_deadline(const struct rmq_link *l);

/* Goes on with connecting. 1: up (again and again once it is); 0: not yet;
 * -1: failed for good, err says at what. */
int rmq_link_advance(struct rmq_link *l, struct rmq_mono now,
                     struct rmq_error *err);
/* What a person has to do about the failure that rmq_link_advance, _send or
 * _recv returned (with TLS 1.3 a server refuses our certificate only after the
 * handshake); "" when it may pass by itself, as a broker that is down does. */
const char *rmq_link_remedy(const struct rmq_link *l);
/* Sends as much as the link takes and consumes it. Returns bytes sent, or -1
 * when the link is broken. Only when up. */
long rmq_link_send(struct rmq_link *l, struct rmq_buf *out,
                   struct rmq_error *err);
/* Bytes read, 0 = nothing now, -1 = broken or closed. Only when up. With TLS
 * bytes may wait where poll does not see them: read until 0. */
long rmq_link_recv(struct rmq_link *l, char *bytes, size_t size,
                   struct rmq_error *err);

#endif
