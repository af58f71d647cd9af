/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/link.h"

#include "common/amqp/link_tls.h"
#include "common/amqp/resolve.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct rmq_link {
  struct rmq_link_config config;
  char *host;
  enum { LINK_RESOLVING, LINK_CONNECTING, LINK_HANDSHAKE, LINK_UP } phase;
  struct rmq_resolve *resolve;
  const struct addrinfo *address; /* being tried, borrowed from resolve */
  struct rmq_mono address_deadline;
  int fd;
  struct rmq_tls *tls;
  char last_failure[128]; /* of the addresses tried so far */
  const char *remedy;     /* of the failure, see rmq_link_remedy */
  bool has_received;      /* anything at all */
};

static void describe(struct rmq_link *l, const char *doing, int error) {
  char text[96];
  const char *reason = strerror_r(error, text, sizeof(text));
  struct rmq_error e = {""};
  rmq_error_set(&e, "%s: %s", doing, reason);
  memcpy(l->last_failure, e.text, sizeof(l->last_failure) - 1);
}

struct rmq_link *rmq_link_open(const struct rmq_link_config *config,
                               const char *host, uint16_t port, int wake_fd,
                               struct rmq_mono now, struct rmq_error *err) {
  (void)now;
  struct rmq_link *l = calloc(1, sizeof(*l));
  if (l == NULL) {
    rmq_error_set(err, "no memory for a connection");
    return NULL;
  }
  l->config = *config;
  l->fd = -1;
  l->address_deadline = RMQ_NEVER;
  l->host = strdup(host);
  if (l->host != NULL)
    l->resolve = rmq_resolve_start(host, port, wake_fd, err);
  if (l->resolve != NULL)
    return l;
  rmq_error_set(err, "no memory for a connection");
  rmq_link_close(l);
  return NULL;
}

static void close_socket(struct rmq_link *l) {
  rmq_tls_free(l->tls);
  l->tls = NULL;
  if (l->fd >= 0)
    close(l->fd);
  l->fd = -1;
}

void rmq_link_close(struct rmq_link *l) {
  if (l == NULL)
    return;
  close_socket(l);
  rmq_resolve_release(l->resolve);
  free(l->host);
  free(l);
}

const char *rmq_link_remedy(const struct rmq_link *l) {
  return l->remedy == NULL ? "" : l->remedy;
}

int rmq_link_fd(const struct rmq_link *l) { return l->fd; }

short rmq_link_events(const struct rmq_link *l, bool has_output) {
  switch (l->phase) {
  case LINK_RESOLVING:
    return 0;
  case LINK_CONNECTING:
    return POLLOUT;
  case LINK_HANDSHAKE:
    return rmq_tls_want(l->tls) == RMQ_TLS_WRITE ? POLLOUT : POLLIN;
  case LINK_UP:
    break;
  }
  /* A TLS write that waits for bytes from the peer is woken by POLLIN. */
  bool waits_to_read = l->tls != NULL && rmq_tls_want(l->tls) == RMQ_TLS_READ;
  bool waits_to_write = l->tls != NULL && rmq_tls_want(l->tls) == RMQ_TLS_WRITE;
  bool wants_out = (has_output && !waits_to_read) || waits_to_write;
  return (short)(POLLIN | (wants_out ? POLLOUT : 0));
}

struct rmq_mono rmq_link_deadline(const struct rmq_link *l) {
  return l->phase == LINK_CONNECTING ? l->address_deadline : RMQ_NEVER;
}

static void tune_socket(const struct rmq_link *l, int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
#ifdef TCP_USER_TIMEOUT
  unsigned ms = (unsigned)(l->config.user_timeout.ns / RMQ_NS_PER_MS);
  if (ms > 0)
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
#endif
}

/* Begins to connect to l->address; false when that failed at once. */
static bool begin_address(struct rmq_link *l, struct rmq_mono now) {
  const struct addrinfo *a = l->address;
  l->fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (l->fd < 0) {
    describe(l, "no socket", errno);
    return false;
  }
  tune_socket(l, l->fd);
  if (connect(l->fd, a->ai_addr, a->ai_addrlen) != 0 && errno != EINPROGRESS) {
    describe(l, "cannot connect", errno);
    close_socket(l);
    return false;
  }
  l->phase = LINK_CONNECTING;
  l->address_deadline = a->ai_next == NULL
                            ? RMQ_NEVER /* the owner's deadline rules */
                            : rmq_mono_add(now, l->config.address_timeout);
  return true;
}

/* The first address from l->address on that can be tried. */
static int try_addresses(struct rmq_link *l, struct rmq_mono now,
                         struct rmq_error *err) {
  for (; l->address != NULL; l->address = l->address->ai_next)
    if (begin_address(l, now))
      return 0;
  return rmq_error_set(err, "%s", l->last_failure);
}

static int next_address(struct rmq_link *l, struct rmq_mono now,
                        struct rmq_error *err) {
  close_socket(l);
  l->address = l->address->ai_next;
  return try_addresses(l, now, err);
}

static int advance_resolving(struct rmq_link *l, struct rmq_mono now,
                             struct rmq_error *err) {
  int rc = rmq_resolve_poll(l->resolve, &l->address, err);
  return rc <= 0 ? rc : try_addresses(l, now, err);
}

static int connected(struct rmq_link *l, struct rmq_error *err) {
  if (l->config.tls == NULL) {
    l->phase = LINK_UP;
    return 1;
  }
  l->tls = rmq_tls_new(l->config.tls, l->fd, l->host, &l->remedy, err);
  if (l->tls == NULL)
    return -1;
  l->phase = LINK_HANDSHAKE;
  return 0;
}

static int advance_connecting(struct rmq_link *l, struct rmq_mono now,
                              struct rmq_error *err) {
  struct pollfd p = {.fd = l->fd, .events = POLLOUT};
  if (poll(&p, 1, 0) <= 0) {
    if (!rmq_mono_reached(now, l->address_deadline))
      return 0;
    describe(l, "cannot connect", ETIMEDOUT);
    return next_address(l, now, err);
  }
  int error = 0;
  socklen_t size = sizeof(error);
  if (getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
    error = errno;
  if (error == 0)
    return connected(l, err);
  describe(l, "cannot connect", error);
  return next_address(l, now, err);
}

int rmq_link_advance(struct rmq_link *l, struct rmq_mono now,
                     struct rmq_error *err) {
  int rc = 0;
  if (l->phase == LINK_RESOLVING)
    rc = advance_resolving(l, now, err);
  if (rc == 0 && l->phase == LINK_CONNECTING)
    rc = advance_connecting(l, now, err);
  if (rc == 0 && l->phase == LINK_HANDSHAKE) {
    rc = rmq_tls_handshake(l->tls, err);
    l->remedy = rmq_tls_remedy(l->tls);
    if (rc == 1)
      l->phase = LINK_UP;
  }
  return l->phase == LINK_UP ? 1 : rc;
}

static long broken(const char *doing, struct rmq_error *err) {
  if (errno == EAGAIN || errno == EINTR)
    return 0;
  char text[96];
  rmq_error_set(err, "the connection broke while %s: %s", doing,
                strerror_r(errno, text, sizeof(text)));
  return -1;
}

static long send_some(struct rmq_link *l, const struct rmq_buf *out,
                      struct rmq_error *err) {
  if (l->tls != NULL)
    return rmq_tls_send(l->tls, rmq_buf_bytes(out), out->len, err);
  ssize_t n = send(l->fd, rmq_buf_bytes(out), out->len, MSG_NOSIGNAL);
  return n >= 0 ? n : broken("sending", err);
}

/* A server that does not want our certificate may reset the connection before
 * we have read its alert. */
static void suspect_certificate(struct rmq_link *l) {
  const struct rmq_tls_config *tls = l->config.tls;
  if (tls == NULL || l->has_received || rmq_link_remedy(l)[0] != '\0')
    return;
  l->remedy = tls->client_cert != NULL
                  ? "the server may have refused TLSClientCert: see its log"
                  : "the server may want a client certificate: see its log, "
                    "and TLSClientCert";
}

long rmq_link_send(struct rmq_link *l, struct rmq_buf *out,
                   struct rmq_error *err) {
  long total = 0;
  while (out->len > 0) {
    long n = send_some(l, out, err);
    if (n < 0) {
      suspect_certificate(l);
      return -1;
    }
    if (n == 0)
      break;
    rmq_buf_consume(out, (size_t)n);
    total += n;
  }
  return total;
}

static long recv_some(struct rmq_link *l, char *bytes, size_t size,
                      struct rmq_error *err) {
  if (l->tls != NULL) {
    long got = rmq_tls_recv(l->tls, bytes, size, err);
    if (got < 0)
      l->remedy = rmq_tls_remedy(l->tls);
    return got;
  }
  ssize_t n = recv(l->fd, bytes, size, 0);
  if (n > 0)
    return n;
  if (n < 0)
    return broken("receiving", err);
  return rmq_error_set(err, "the server closed the connection");
}

long rmq_link_recv(struct rmq_link *l, char *bytes, size_t size,
                   struct rmq_error *err) {
  long n = recv_some(l, bytes, size, err);
  if (n < 0)
    suspect_certificate(l);
  l->has_received |= n > 0;
  return n;
}
