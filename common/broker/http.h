/* SPDX-License-Identifier: MIT */
/*
 * One HTTP GET, whoever performs it: libcurl, or a fake in a test.
 */
#ifndef RMQ_BROKER_HTTP_H
#define RMQ_BROKER_HTTP_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"

/* What the caller may do next. */
enum rmq_http_outcome {
  RMQ_HTTP_ANSWERED, /* there is a status, whichever, and a body */
  RMQ_HTTP_FAILED,   /* no whole answer, err says why: try another URL */
  RMQ_HTTP_CANCELLED /* someone wants us to stop: return at once */
};
const char *rmq_http_outcome_to_str(enum rmq_http_outcome o);

struct rmq_http {
  void *ctx;
  /* Returns within timeout, whatever the server does, or as soon as the
   * request is cancelled. Fails when the body would exceed body->max. body is
   * cleared first; bytes that came are in it even after a failure. */
  enum rmq_http_outcome (*get)(void *ctx, const char *url,
                               struct rmq_dur timeout, struct rmq_buf *body,
                               int *ret_status, struct rmq_error *err);
};

#endif
