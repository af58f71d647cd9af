/* SPDX-License-Identifier: MIT */
/*
 * GET /metrics: hands out the last set of warren monitor, and nothing where it
 * is too old.
 */
#ifndef RMQ_PLUGINS_WARREN_MONITOR_SERVE_H
#define RMQ_PLUGINS_WARREN_MONITOR_SERVE_H

#include "common/base/error.h"
#include "common/base/host.h"

#include <stdbool.h>
#include <stddef.h>

struct warren_serve; /* opaque: server, lock, document */

/* Serves from here on. host and address are borrowed; what is older than
 * max_age is not handed out. NULL with err. */
struct warren_serve *warren_serve_new(const struct rmq_host *host,
                                      const char *address,
                                      bool is_anywhere_allowed,
                                      struct rmq_dur max_age,
                                      struct rmq_error *err);
/* Takes the place of the document before; copies. -1 without memory: then
 * there is none. */
int warren_serve_put(struct warren_serve *s, const char *bytes, size_t len);
/* Stops and frees; NULL is fine. */
void warren_serve_free(struct warren_serve *s);

#endif
