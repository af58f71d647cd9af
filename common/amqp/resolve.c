/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/resolve.h"

#include "common/amqp/thread.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* Threads of this module that wait in getaddrinfo. A resolver that hangs would
 * otherwise cost a thread per attempt to connect. */
enum { ASKING_MAX = 16 };
static atomic_int asking;

struct rmq_resolve {
  atomic_int references; /* the asker and the thread */
  atomic_bool is_done;   /* written last by the thread */
  int wake_fd;
  int rc; /* of getaddrinfo */
  struct addrinfo *addresses;
  char *host;
  char port[8];
};

void rmq_resolve_release(struct rmq_resolve *r) {
  if (r == NULL || atomic_fetch_sub(&r->references, 1) != 1)
    return;
  if (r->addresses != NULL)
    freeaddrinfo(r->addresses);
  if (r->wake_fd >= 0)
    close(r->wake_fd);
  free(r->host);
  free(r);
}

static void ask(struct rmq_resolve *r, int flags) {
  struct addrinfo hints = {.ai_family = AF_UNSPEC,
                           .ai_socktype = SOCK_STREAM,
                           .ai_flags = AI_NUMERICSERV | flags};
  r->rc = getaddrinfo(r->host, r->port, &hints, &r->addresses);
}

static void *run(void *arg) {
  struct rmq_resolve *r = arg;
  ask(r, 0);
  atomic_fetch_sub(&asking, 1);
  atomic_store(&r->is_done, true);
  eventfd_write(r->wake_fd, 1);
  rmq_resolve_release(r);
  return NULL;
}

static struct rmq_resolve *resolve_new(const char *host, uint16_t port) {
  struct rmq_resolve *r = calloc(1, sizeof(*r));
  if (r == NULL)
    return NULL;
  atomic_init(&r->references, 1);
  r->wake_fd = -1;
  r->host = strdup(host);
  snprintf(r->port, sizeof(r->port), "%u", port);
  if (r->host != NULL)
    return r;
  rmq_resolve_release(r);
  return NULL;
}

static int ask_in_thread(struct rmq_resolve *r, int wake_fd,
                         struct rmq_error *err) {
  r->wake_fd = fcntl(wake_fd, F_DUPFD_CLOEXEC, 0);
  if (r->wake_fd < 0)
    return rmq_error_set(err, "no file descriptor to resolve \"%s\"", r->host);
  if (atomic_fetch_add(&asking, 1) >= ASKING_MAX) {
    atomic_fetch_sub(&asking, 1);
    return rmq_error_set(err,
                         "cannot resolve \"%s\": %d earlier look-ups are "
                         "still waiting for the name server",
                         r->host, ASKING_MAX);
  }
  atomic_fetch_add(&r->references, 1); /* the thread's */
  if (rmq_thread_start(NULL, /* is_detached = */ true, "rmq_resolve", run, r,
                       err) == 0)
    return 0;
  atomic_fetch_sub(&r->references, 1);
  atomic_fetch_sub(&asking, 1);
  return -1;
}

struct rmq_resolve *rmq_resolve_start(const char *host, uint16_t port,
                                      int wake_fd, struct rmq_error *err) {
  struct rmq_resolve *r = resolve_new(host, port);
  if (r == NULL) {
    rmq_error_set(err, "no memory to resolve \"%s\"", host);
    return NULL;
  }
  ask(r, AI_NUMERICHOST);
  if (r->rc == 0) {
    atomic_store(&r->is_done, true);
    return r;
  }
  if (ask_in_thread(r, wake_fd, err) == 0)
    return r;
  rmq_resolve_release(r);
  return NULL;
}

int rmq_resolve_poll(struct rmq_resolve *r,
                     const struct addrinfo **ret_addresses,
                     struct rmq_error *err) {
  if (!atomic_load(&r->is_done))
    return 0;
  if (r->rc != 0)
    return rmq_error_set(err, "cannot resolve \"%s\": %s", r->host,
                         gai_strerror(r->rc));
  *ret_addresses = r->addresses;
  return 1;
}
