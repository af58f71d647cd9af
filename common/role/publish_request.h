/* SPDX-License-Identifier: MIT */
/*
 * An HTTP request that hands over a message, read: path, query and headers
 * become what rmq_role_publish_message takes. Knows nothing of a server; what
 * comes is not trusted, and what is not understood is refused with the reason.
 *
 *   rmq_publish_request_begin(r, method, target, err)
 *   for each header: rmq_publish_request_header(r, name, value, err)
 *   rmq_publish_request_end(r, err)
 */
#ifndef RMQ_ROLE_PUBLISH_REQUEST_H
#define RMQ_ROLE_PUBLISH_REQUEST_H

#include "common/base/buf.h"
#include "common/base/http_target.h"
#include "common/role/role_publish.h"

/* What the target is about. */
enum rmq_publish_wish {
  RMQ_PUBLISH_WISH_MESSAGE, /* POST or PUT /publish/EXCHANGE/ROUTING-KEY */
  RMQ_PUBLISH_WISH_HEALTH,  /* GET /health */
  RMQ_PUBLISH_WISH_METRICS, /* GET /metrics */
  RMQ_PUBLISH_WISH_UNKNOWN, /* no such path: 404 */
  RMQ_PUBLISH_WISH_METHOD,  /* the path has other methods: 405 */
  RMQ_PUBLISH_WISH_BAD      /* the request makes no sense: 400 with err */
};
const char *rmq_publish_wish_to_str(enum rmq_publish_wish w);

/* Bytes of the texts that headers bring, in all. */
enum { RMQ_PUBLISH_REQUEST_TEXTS = 8192 };

struct rmq_publish_request {
  struct rmq_http_target target;
  bool wants_confirm;
  struct rmq_dur timeout; /* as it was before, unless it is asked for */
  /* All but body and tag. message_id is NULL when none is given. */
  struct rmq_outgoing message;
  struct rmq_argument headers[RMQ_ENVELOPE_HEADERS_MAX];
  char texts[RMQ_PUBLISH_REQUEST_TEXTS];
  size_t texts_len;
};

/* Longest timeout that may be asked for. */
#define RMQ_PUBLISH_TIMEOUT_MAX rmq_s(600)

/* err only with BAD. */
enum rmq_publish_wish rmq_publish_request_begin(struct rmq_publish_request *r,
                                                const char *method,
                                                const char *target,
                                                struct rmq_dur timeout,
                                                struct rmq_error *err);
/* Of a MESSAGE: a header that means nothing here is left out. -1 with err. */
int rmq_publish_request_header(struct rmq_publish_request *r, const char *name,
                               const char *value, struct rmq_error *err);
int rmq_publish_request_end(struct rmq_publish_request *r,
                            struct rmq_error *err);

#endif
