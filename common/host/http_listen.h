/* SPDX-License-Identifier: MIT */
/*
 * A small HTTP server for this host, on libmicrohttpd: one thread, bounded in
 * connections, heads, bodies and time. An answer may be given later and from
 * another thread, while the request waits without costing one.
 *
 * A request is refused before its handler sees it: 400 for a head that
 * contradicts itself, 403 for one that a web page sent, 413 for a body over the
 * bound (nothing of it is kept), 503 where the bodies together are at theirs.
 * Its own refusals are JSON, {"error":"..."}. A 503, whoever says it, also says
 * when to come again (Retry-After). An answer to HEAD loses its body here.
 */
#ifndef RMQ_HOST_HTTP_LISTEN_H
#define RMQ_HOST_HTTP_LISTEN_H

#include "common/base/error.h"
#include "common/base/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct rmq_http_listen;
struct rmq_http_request;

/* All is borrowed for the server's life. */
struct rmq_http_listen_config {
  const struct rmq_host *host; /* log and mono */
  const char *plugin;          /* for the log */
  const char *address;         /* see http_socket.h */
  bool is_anywhere_allowed;    /* also an address that others can reach */
  mode_t socket_mode;          /* of a local socket's file, such as 0660 */
  size_t connections_max;      /* more wait until one ends */
  size_t body_max;             /* bytes of one request's body */
  size_t bodies_max;           /* of all requests that are not answered */
  struct rmq_dur idle_timeout; /* of a connection; at least 1 s */
  /* Answers to targets that begin so are counted apart, too; NULL = none. */
  const char *counted;
  void *ctx;
  /* The server's thread; must not block. q is to be answered exactly once, here
   * or later in any thread. */
  void (*request)(void *ctx, struct rmq_http_request *q);
};

enum { RMQ_HTTP_STATUS_END = 600 };

/* Sums since the start but the first two. */
struct rmq_http_listen_stats {
  uint64_t connections, waiting; /* now: open; not yet answered */
  uint64_t accepted;             /* connections */
  uint64_t at_bound;      /* times that the bound of connections was reached */
  uint64_t requests;      /* handed to the handler */
  uint64_t refused;       /* answered before */
  uint64_t expired, late; /* answered by their deadline; answers after it */
  uint64_t answers[RMQ_HTTP_STATUS_END]; /* by their status */
  uint64_t counted, counted_failed; /* of config.counted: all; with a 5xx */
};

/* Listens from here on, but answers nothing yet. NULL with err: also where
 * Warren was built without the library. */
struct rmq_http_listen *
rmq_http_listen_new(const struct rmq_http_listen_config *config,
                    struct rmq_error *err);
/* As it is bound, with the port: borrowed. */
const char *rmq_http_listen_address(const struct rmq_http_listen *l);
int rmq_http_listen_start(struct rmq_http_listen *l, struct rmq_error *err);
/* Any thread. */
void rmq_http_listen_stats(struct rmq_http_listen *l,
                           struct rmq_http_listen_stats *ret_stats);
/* Accepts no more, and ends when all are answered; what is not answered at the
 * deadline gets a 503. Any thread. */
void rmq_http_listen_stop(struct rmq_http_listen *l, struct rmq_mono deadline);
/* Waits for that; then the handler is called no more. */
void rmq_http_listen_join(struct rmq_http_listen *l);
/* When never started, or joined. A request that is not answered yet may still
 * be: nobody reads that answer. */
void rmq_http_listen_free(struct rmq_http_listen *l);

/* ---- a request; what follows only while its handler runs ---- */

const char *rmq_http_request_method(const struct rmq_http_request *q);
/* As it came: see base/http_target.h. */
const char *rmq_http_request_target(const struct rmq_http_request *q);
/* Calls found with every header as it came. */
void rmq_http_request_headers(const struct rmq_http_request *q,
                              void (*found)(void *ctx, const char *name,
                                            const char *value),
                              void *ctx);
/* Until it is answered or forgotten. */
const char *rmq_http_request_body(const struct rmq_http_request *q,
                                  size_t *ret_len);

/* Gives its memory back, where it is not needed until the answer. */
void rmq_http_request_forget_body(struct rmq_http_request *q);

struct rmq_http_header {
  const char *name, *value;
};
struct rmq_http_answer {
  int status;
  const char *content_type; /* NULL = application/json */
  const char *body;         /* NULL = none */
  size_t body_len;
  struct rmq_http_header headers[4]; /* up to the first without a name */
};

/* While its handler runs: 405 with the header Allow. q is gone. */
void rmq_http_request_wrong_method(struct rmq_http_request *q,
                                   const char *allowed);

/* While its handler runs: has the request answered so at the deadline, unless
 * it is before. Copies; a later answer is dropped and counted. */
void rmq_http_request_expire(struct rmq_http_request *q,
                             struct rmq_mono deadline,
                             const struct rmq_http_answer *answer);
/* Any thread, until it is answered: what its deadline brings instead. Copies.
 */
void rmq_http_request_reword(struct rmq_http_request *q,
                             const struct rmq_http_answer *answer);
/* Any thread; copies. q is gone. */
void rmq_http_request_answer(struct rmq_http_request *q,
                             const struct rmq_http_answer *answer);

#endif
