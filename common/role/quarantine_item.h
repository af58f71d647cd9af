/* SPDX-License-Identifier: MIT */
/* What a file of the quarantine says about its message. Pure. */
#ifndef RMQ_ROLE_QUARANTINE_ITEM_H
#define RMQ_ROLE_QUARANTINE_ITEM_H

#include "common/role/quarantine.h"

enum { RMQ_QUARANTINE_STAMP = 32, RMQ_QUARANTINE_JSON = 128 << 10 };

/* "20261123T013005.123Z" */
void rmq_quarantine_item_stamp(struct rmq_wall t,
                               char ret_text[RMQ_QUARANTINE_STAMP]);
/* Appends one JSON object of several lines. name is that of its files. -1: out
 * is full, or there is no memory. */
int rmq_quarantine_item_json(const struct rmq_quarantine_item *item,
                             const char *block, const char *name,
                             struct rmq_buf *out);

#endif
