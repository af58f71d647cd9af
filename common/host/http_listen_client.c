/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/http_listen_private.h"

#include <stdlib.h>
#include <sys/socket.h>

/* For each step. The library's own bound is one of silence: a byte now and then
 * renews it, and so a client could keep its place for days. */
#define CLIENT_STEP rmq_s(60)

/* The library sees the end of the connection in its next round. It closes the
 * descriptor itself, and not before it has told us. */
static void end_connection(int fd) { shutdown(fd, SHUT_RDWR); }

struct rmq_http_client *rmq_http_client_new(struct rmq_http_listen *l,
                                            struct MHD_Connection *connection) {
  const union MHD_ConnectionInfo *info =
      MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
  struct rmq_http_client *c = calloc(1, sizeof(*c));
  if (c == NULL) {
    end_connection(info->connect_fd);
    return NULL;
  }
  c->fd = info->connect_fd;
  rmq_http_client_next(l, c);
  return c;
}

struct rmq_http_client *rmq_http_client_of(struct MHD_Connection *connection) {
  return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)
      ->socket_context;
}

void rmq_http_client_free(struct rmq_http_listen *l,
                          struct rmq_http_client *c) {
  rmq_http_client_rest(l, c);
  free(c);
}

void rmq_http_client_rest(struct rmq_http_listen *l,
                          struct rmq_http_client *c) {
  if (c != NULL && c->node.prev != NULL)
    rmq_list_remove(&l->clients, &c->node);
}

/* All steps have the same time, so the list stays in order. */
void rmq_http_client_next(struct rmq_http_listen *l,
                          struct rmq_http_client *c) {
  if (c == NULL)
    return;
  rmq_http_client_rest(l, c);
  c->since = l->config.host->mono(l->config.host->ctx);
  rmq_list_push_back(&l->clients, &c->node);
}

struct rmq_mono rmq_http_client_close_late(struct rmq_http_listen *l,
                                           struct rmq_mono now) {
  for (struct rmq_node *n; (n = rmq_list_first(&l->clients)) != NULL;) {
    const struct rmq_http_client *c =
        RMQ_ELEMENT(n, struct rmq_http_client, node);
    struct rmq_mono due = rmq_mono_add(c->since, CLIENT_STEP);
    if (!rmq_mono_reached(now, due))
      return due;
    rmq_list_remove(&l->clients, n);
    end_connection(c->fd);
  }
  return RMQ_NEVER;
}
