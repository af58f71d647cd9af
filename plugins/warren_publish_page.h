/* SPDX-License-Identifier: MIT */
/*
 * What GET /metrics of warren publish --listen answers: the role's own series
 * and those of the HTTP server as one page for Prometheus. One thread.
 */
#ifndef RMQ_PLUGINS_WARREN_PUBLISH_PAGE_H
#define RMQ_PLUGINS_WARREN_PUBLISH_PAGE_H

#include "common/base/buf.h"
#include "common/base/host.h"
#include "common/host/http_listen.h"
#include "common/role/role_publish.h"

struct warren_publish_page; /* opaque */

/* block is borrowed. NULL without memory. */
struct warren_publish_page *warren_publish_page_new(const char *block);
void warren_publish_page_free(struct warren_publish_page *p);
/* Where the samples of the role's host go. */
int warren_publish_page_sample(struct warren_publish_page *p,
                               const struct rmq_sample *s);
/* Has the role report, and the server. NULL where there was no room for all of
 * it. Borrowed until the next call. */
const struct rmq_buf *
warren_publish_page_make(struct warren_publish_page *p,
                         struct rmq_role_publish *role,
                         const struct rmq_http_listen_stats *server);
/* Of what make returns. */
const char *warren_publish_page_content_type(void);

#endif
