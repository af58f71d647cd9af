/* SPDX-License-Identifier: MIT */
/*
 * The tables of a status as text: nodes and worst queues, each behind an empty
 * line, and nothing where there is no row.
 *
 * Pure.
 */
#ifndef RMQ_ROLE_STATUS_TABLE_H
#define RMQ_ROLE_STATUS_TABLE_H

#include "common/role/status_text.h"

void rmq_status_table_nodes(const struct rmq_status_report *r,
                            const struct rmq_status_style *style,
                            struct rmq_buf *out);
/* The first rows of them. */
void rmq_status_table_queues(const struct rmq_status_report *r,
                             const struct rmq_status_style *style, size_t rows,
                             struct rmq_buf *out);

#endif
