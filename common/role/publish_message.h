/* SPDX-License-Identifier: MIT */
/* An opaque message of the host, checked and made one of ours. */
#ifndef RMQ_ROLE_PUBLISH_MESSAGE_H
#define RMQ_ROLE_PUBLISH_MESSAGE_H

#include "common/base/message.h"
#include "common/role/role_publish.h"

/* What queue and spool of these options take. */
uint64_t
rmq_publish_message_body_max(const struct rmq_publish_options *options);
/* TAKEN with *ret_m, INVALID with err, or NO_MEMORY. A traceparent that is none
 * is left out, as the standard wants. */
enum rmq_publish_answer
rmq_publish_message_build(const struct rmq_outgoing *out,
                          struct rmq_message **ret_m, struct rmq_error *err);

#endif
