/* SPDX-License-Identifier: MIT */
/*
 * A status as text for a terminal, and as one JSON object. Names from the
 * broker are made harmless here: no control character, no terminal's escape,
 * no change of writing direction comes through.
 *
 * Pure.
 */
#ifndef RMQ_ROLE_STATUS_TEXT_H
#define RMQ_ROLE_STATUS_TEXT_H

#include "common/base/buf.h"
#include "common/role/status.h"

struct rmq_status_style {
  size_t width;  /* columns; 0 = as wide as need be */
  size_t height; /* lines; 0 = as many as need be */
  bool has_colour, is_utf8;
  bool has_history;     /* a sparkline per indicator */
  int64_t utc_offset_s; /* of the clock that is shown */
};

/* "OK", "WARNING", "FAILURE", "UNKNOWN": the monitor's words. */
const char *rmq_status_word(enum rmq_verdict_state s);

/* What is wrong, where, and since when, in one sentence without its end; raw
 * names. */
void rmq_status_headline(const struct rmq_status_report *r,
                         int64_t utc_offset_s, struct rmq_buf *out);
void rmq_status_text(const struct rmq_status_report *r,
                     const struct rmq_status_style *style, struct rmq_buf *out);

#endif
