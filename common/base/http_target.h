/* SPDX-License-Identifier: MIT */
/*
 * The target of an HTTP request ("/publish/amq.topic/a.b?wait=confirm") taken
 * apart: what a program on the other side of a socket wrote, so nothing is
 * repaired. A piece is percent-decoded after it was cut out, so that a routing
 * key may have a '/' in it.
 */
#ifndef RMQ_BASE_HTTP_TARGET_H
#define RMQ_BASE_HTTP_TARGET_H

#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum {
  RMQ_HTTP_SEGMENTS_MAX = 8,
  RMQ_HTTP_PARAMETERS_MAX = 16,
  RMQ_HTTP_TARGET_MAX = 4096 /* bytes of the whole, as they came */
};

struct rmq_http_parameter {
  const char *name, *value; /* value is "" without a '=' */
};

/* All texts are decoded, UTF-8, and point into text. */
struct rmq_http_target {
  char text[RMQ_HTTP_TARGET_MAX + 1];
  const char *segments[RMQ_HTTP_SEGMENTS_MAX]; /* between '/'; "" is one too */
  size_t segments_count;                       /* of "/" 1 */
  struct rmq_http_parameter parameters[RMQ_HTTP_PARAMETERS_MAX];
  size_t parameters_count;
};

/* -1 with err, and ret_target in no particular state: not the path of an origin
 * server, a '%' without two hex digits, a byte 0, a control character, bytes
 * that are not UTF-8, a parameter twice, too many of anything. A '+' of the
 * query is a blank. */
int rmq_http_target_parse(const char *bytes, struct rmq_http_target *ret_target,
                          struct rmq_error *err);
/* NULL when it is not there. */
const char *rmq_http_target_parameter(const struct rmq_http_target *t,
                                      const char *name);

/* GET, or HEAD: what that gets is a GET's answer without its body. */
bool rmq_http_method_reads(const char *method);

/* Whether the value of a Host header (NULL = none) is localhost or the number
 * of an address, with or without a port. A web page that had its own name point
 * to 127.0.0.1 sends that name. */
bool rmq_http_host_is_own(const char *host);

#endif
