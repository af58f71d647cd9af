/* SPDX-License-Identifier: MIT */
/*
 * What people want to see of a spool while its daemon is stopped: what lies in
 * it, and the messages themselves. Free of any host; text goes to a sink.
 */
#ifndef RMQ_ROLE_SPOOL_H
#define RMQ_ROLE_SPOOL_H

#include "common/base/error.h"

#include <stddef.h>

struct rmq_role_spool_sink {
  void *ctx;
  /* Whole lines. 0, or -1 when nobody reads them: then all ends. */
  int (*write)(void *ctx, const char *bytes, size_t len);
  /* Of one file, which is then left out. */
  void (*complain)(void *ctx, const char *text);
};

/* The worst of what happened to a file. */
enum rmq_role_spool_result {
  RMQ_ROLE_SPOOL_DONE,
  RMQ_ROLE_SPOOL_LOCKED, /* a running daemon has one */
  RMQ_ROLE_SPOOL_FAILED  /* one could not be read, or there is none */
};
const char *rmq_role_spool_result_to_str(enum rmq_role_spool_result r);

/* path: a file, or a directory with files NAME.spool and what was set aside of
 * them. */
/* A heading and one line per file. */
enum rmq_role_spool_result
rmq_role_spool_list(const char *path, const struct rmq_role_spool_sink *sink);
/* One JSON object per message and line, file by file in order of seq. */
enum rmq_role_spool_result
rmq_role_spool_export(const char *path, const struct rmq_role_spool_sink *sink);

#endif
