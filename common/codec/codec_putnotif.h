/* SPDX-License-Identifier: MIT */
/*
 * A notification as collectd's text protocol has it, one line:
 *   PUTNOTIF severity=warning time=1700000000.123 host="a" message="..."
 * The text is for people, so it is made fit rather than refused: control
 * characters become spaces, bytes that are no UTF-8 a question mark.
 * Meta data travel as s:KEY="..." (collectd reads no other kind): numbers and
 * booleans as their text, keys outside [A-Za-z0-9_:]+ not at all.
 */
#ifndef RMQ_CODEC_CODEC_PUTNOTIF_H
#define RMQ_CODEC_CODEC_PUTNOTIF_H

#include "common/base/buf.h"
#include "common/base/sample.h"

/* struct rmq_codec's encode_event. -1 without full buffer: no message or no
 * time, without which collectd refuses a notification. */
int rmq_codec_putnotif_encode(const struct rmq_event *e, struct rmq_buf *out);

#endif
