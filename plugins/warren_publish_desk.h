/* SPDX-License-Identifier: MIT */
/*
 * HTTP requests of warren publish that wait for the fate of their message. A
 * tag names a place at the desk; it is answered once, by whoever comes first: a
 * fate, or the request's own deadline, after which the place is cleared.
 */
#ifndef RMQ_PLUGINS_WARREN_PUBLISH_DESK_H
#define RMQ_PLUGINS_WARREN_PUBLISH_DESK_H

#include "common/base/fate.h"
#include "common/base/rmqtime.h"
#include "common/host/http_listen.h"

struct warren_desk;
/* max: places. NULL without memory. */
struct warren_desk *warren_desk_new(size_t max);
/* Only when every tag is settled or withdrawn. */
void warren_desk_free(struct warren_desk *d);

/* From the handler of q, which is answered by the server at the deadline, with
 * what is known by then. Never 0 but when the desk is full or without memory.
 * Copies id. Any thread, as all of them. */
uint64_t warren_desk_take(struct warren_desk *d, struct rmq_http_request *q,
                          bool wants_confirm, const char *id,
                          struct rmq_mono deadline);
/* Its message was not taken: q is the caller's again. */
void warren_desk_withdraw(struct warren_desk *d, uint64_t tag);
/* Whoever waits until the deadline and no longer is forgotten; q has been
 * answered by the server. Cheap when it is called often. */
void warren_desk_sweep(struct warren_desk *d, struct rmq_mono now);
/* struct rmq_fate_sink; ctx is the desk. */
void warren_desk_tell(void *ctx, const struct rmq_fate_report *report);

/* Answers q with what the function of publish_reply.h said, and lets go of
 * body. Retry-After goes with a 503, the id in a header where it is not NULL.
 */
void warren_desk_answer(struct rmq_http_request *q, int status, const char *id,
                        struct rmq_buf *body);

#endif
