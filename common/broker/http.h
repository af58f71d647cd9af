/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests, most of them GETs, one or several at once, whoever performs
 * them: libcurl, or a fake in a test.
 */
#ifndef RMQ_BROKER_HTTP_H
#define RMQ_BROKER_HTTP_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What the caller may do next. */
enum rmq_http_outcome {
  RMQ_HTTP_ANSWERED, /* there is a status, whichever, and a body */
  RMQ_HTTP_FAILED,   /* no whole answer, err says why: try another URL */
  RMQ_HTTP_CANCELLED /* someone wants us to stop: return at once */
};
const char *rmq_http_outcome_to_str(enum rmq_http_outcome o);

/* One of several. */
struct rmq_http_request {
  const char *url; /* borrowed */
  size_t max;      /* bytes of its body */
  /* The body as it arrives, whatever the status. False = it is refused. */
  bool (*take)(void *ctx, const char *bytes, size_t len);
  void *ctx;
  /* Connects anew, so that the server shows its certificate, and no other
   * request uses that connection. */
  bool wants_certificate;
  /* Another method than GET, and what is sent with it, which is JSON; NULL =
   * none. Borrowed. */
  const char *method, *body;
  /* Set by get_all: */
  enum rmq_http_outcome outcome;
  int status;            /* of what was answered */
  double bytes, seconds; /* whatever came, and how long that took */
  /* Seconds since 1970 until which the server's own certificate is valid; 0 =
   * it was not asked for, or none was shown. */
  int64_t certificate_expires_s;
  struct rmq_error error;
};

struct rmq_http {
  void *ctx;
  /* Returns within timeout, whatever the server does, or as soon as the
   * request is cancelled. Fails when the body would exceed body->max. body is
   * cleared first; bytes that came are in it even after a failure. */
  enum rmq_http_outcome (*get)(void *ctx, const char *url,
                               struct rmq_dur timeout, struct rmq_buf *body,
                               int *ret_status, struct rmq_error *err);
  /* All of them at the same time, within timeout. CANCELLED, or ANSWERED: then
   * each has an outcome of its own. */
  enum rmq_http_outcome (*get_all)(void *ctx, struct rmq_http_request *requests,
                                   size_t count, struct rmq_dur timeout);
};

#endif
