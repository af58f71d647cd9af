/* SPDX-License-Identifier: MIT */
/*
 * A status as one JSON object, without a line's end. What is not known is not
 * in it.
 *
 * Pure.
 */
#ifndef RMQ_ROLE_STATUS_JSON_H
#define RMQ_ROLE_STATUS_JSON_H

#include "common/base/buf.h"
#include "common/role/status.h"

void rmq_status_json(const struct rmq_status_report *r, int64_t utc_offset_s,
                     struct rmq_buf *out);

#endif
