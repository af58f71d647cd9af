/* SPDX-License-Identifier: MIT */
/*
 * Cells of a table on a terminal: text of a certain number of columns, numbers
 * in few, sparklines. Whatever the text brings, nothing but printable
 * characters comes out.
 *
 * Pure.
 */
#ifndef RMQ_ROLE_STATUS_CELL_H
#define RMQ_ROLE_STATUS_CELL_H

#include "common/base/buf.h"
#include "common/role/verdict.h"

#include <stdbool.h>
#include <stddef.h>

/* Text in at most columns (0 = all of it), the end of a longer one replaced by
 * an ellipsis. Control characters, changes of the writing direction and what is
 * no UTF-8 become '?', without is_utf8 all that is not ASCII. How many columns
 * it took. */
size_t rmq_status_cell_text(struct rmq_buf *out, const char *text,
                            size_t columns, bool is_utf8);
/* The same, then spaces up to columns. */
void rmq_status_cell_left(struct rmq_buf *out, const char *text, size_t columns,
                          bool is_utf8);
/* ASCII of our own, at the right end of columns. */
void rmq_status_cell_right(struct rmq_buf *out, const char *text,
                           size_t columns);
/* Columns that it would take. */
size_t rmq_status_cell_width(const char *text, bool is_utf8);

/* What a terminal is told to show a state in its colour; \033[0m ends it. */
const char *rmq_status_cell_colour(enum rmq_verdict_state s);

enum { RMQ_STATUS_FIGURE_SIZE = 32 };
/* "-" for NaN in all of them. "61234", "1.2M"; with a sign where is_change. */
void rmq_status_cell_count(double value, bool is_change,
                           char ret_text[RMQ_STATUS_FIGURE_SIZE]);
/* "412 s", "35 min", "3 h", "5 d" */
void rmq_status_cell_time(double seconds,
                          char ret_text[RMQ_STATUS_FIGURE_SIZE]);
/* "1.5 GiB" */
void rmq_status_cell_bytes(double bytes, char ret_text[RMQ_STATUS_FIGURE_SIZE]);
/* "41 %" */
void rmq_status_cell_percent(double percent,
                             char ret_text[RMQ_STATUS_FIGURE_SIZE]);

/* The last columns of count values, one character each, from 0 to the largest
 * of those; a space where NaN. Padded on the left. */
void rmq_status_cell_sparkline(struct rmq_buf *out, const double *values,
                               size_t count, size_t columns, bool is_utf8);

#endif
