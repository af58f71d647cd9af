/* SPDX-License-Identifier: MIT */
/*
 * Shared by the three files of the HTTP server.
 *
 * libmicrohttpd is driven from outside, by one thread of ours: it alone calls
 * the library. Other threads only put an answer into a request and the request
 * into a list, under the lock, and wake that thread.
 *
 * A request has two owners: its connection, and its handler until it has
 * answered. The server's memory lives as long as a handler has a request.
 */
#ifndef RMQ_HOST_HTTP_LISTEN_PRIVATE_H
#define RMQ_HOST_HTTP_LISTEN_PRIVATE_H

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/host/http_listen.h"
#include "common/host/http_socket.h"

#include <microhttpd.h>
#include <pthread.h>

struct rmq_http_reply {
  int status;
  struct MHD_Response *response; /* NULL without memory: the connection ends */
};

/* A connection. */
struct rmq_http_client {
  struct rmq_node node; /* in clients of l, while it is to do something */
  struct rmq_mono since;
  int fd; /* the library's */
};

struct rmq_http_request {
  struct rmq_node node; /* in waiting or ready of l, while it is suspended */
  struct rmq_http_listen *l;
  struct MHD_Connection *connection;
  struct rmq_http_client *client; /* NULL without memory: it is being closed */
  char *target;
  char method[16];
  struct rmq_buf body;
  size_t charged; /* of the bound of all bodies */
  int refusal;    /* status, 0 = none */
  const char *refusal_text;
  struct rmq_mono deadline; /* when expiry becomes the reply */
  bool has_head;            /* it was judged */
  bool is_handed_over;
  bool is_counted; /* apart from others */
  /* Under the lock. */
  struct rmq_http_reply expiry;
  unsigned owners;
  bool is_answered, is_suspended;
  struct rmq_http_reply reply;
};

struct rmq_http_listen {
  struct rmq_http_listen_config config;
  struct rmq_http_socket socket;
  bool has_own_names; /* a Host header has to name this host */
  struct MHD_Daemon *daemon;
  int wake;
  pthread_t thread;
  bool is_started;
  /* The thread's. */
  struct rmq_list clients; /* the next to be late is the first */
  size_t active;           /* requests that are not over */
  size_t bodies;           /* bytes charged */
  bool is_over;            /* what comes now is refused */
  bool has_room;           /* a connection ended: another may be accepted */
  /* Under the lock. */
  pthread_mutex_t lock;
  unsigned owners; /* the creator, and each request that a handler has */
  struct rmq_list waiting, ready;
  struct rmq_mono next_expiry, stop_at; /* RMQ_NEVER = none */
  struct rmq_http_listen_stats stats;
};

/* Any thread. */
void rmq_http_listen_wake(struct rmq_http_listen *l);
/* With the lock held, which is released; the last owner frees l. */
void rmq_http_listen_leave(struct rmq_http_listen *l);

/* ---- clients; the server's thread ---- */

/* A connection is there; NULL without memory, and then it is closed. */
struct rmq_http_client *rmq_http_client_new(struct rmq_http_listen *l,
                                            struct MHD_Connection *connection);
/* NULL allowed, as below. */
void rmq_http_client_free(struct rmq_http_listen *l, struct rmq_http_client *c);
/* Of a request. */
struct rmq_http_client *rmq_http_client_of(struct MHD_Connection *connection);
/* It has done one thing, and has so and so long for the next: to send a request
 * line, the rest of the request, or to take the answer. */
void rmq_http_client_next(struct rmq_http_listen *l, struct rmq_http_client *c);
/* It waits for us. */
void rmq_http_client_rest(struct rmq_http_listen *l, struct rmq_http_client *c);
/* Closes those that took too long. Returns when the next one will have. */
struct rmq_mono rmq_http_client_close_late(struct rmq_http_listen *l,
                                           struct rmq_mono now);

/* A refusal of our own. Any thread. */
struct rmq_http_reply rmq_http_request_refusal(int status, const char *text);

/* What the library calls, see there; ctx is the server. */
void *rmq_http_request_on_target(void *ctx, const char *target,
                                 struct MHD_Connection *connection);
enum MHD_Result rmq_http_request_on_part(void *ctx,
                                         struct MHD_Connection *connection,
                                         const char *url, const char *method,
                                         const char *version, const char *piece,
                                         size_t *piece_len, void **request);
void rmq_http_request_on_end(void *ctx, struct MHD_Connection *connection,
                             void **request,
                             enum MHD_RequestTerminationCode code);

#endif
