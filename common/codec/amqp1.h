/* SPDX-License-Identifier: MIT */
/*
 * A body as RabbitMQ hands it to a consumer of AMQP 0-9-1 when it came by AMQP
 * 1.0: plain bytes where the sender made a section "data" of them, and then
 * nothing is to be done; otherwise the section as it was encoded, and the
 * property type is "amqp-1.0". Types and sections: OASIS AMQP 1.0, parts 1.6
 * and 3.2.
 */
#ifndef RMQ_CODEC_AMQP1_H
#define RMQ_CODEC_AMQP1_H

#include "common/base/error.h"

#include <stddef.h>

/* What the one section, amqp-value or data, of *bytes holds: a binary or a
 * string, which *bytes and *len become; nothing is copied. 0, or -1 with both
 * as they were. */
int rmq_amqp1_unwrap(const char **bytes, size_t *len, struct rmq_error *err);

#endif
