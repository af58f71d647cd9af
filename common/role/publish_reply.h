/* SPDX-License-Identifier: MIT */
/*
 * What an HTTP client is told of its message: a status and one JSON object. The
 * honest word for each fate is here and nowhere else.
 */
#ifndef RMQ_ROLE_PUBLISH_REPLY_H
#define RMQ_ROLE_PUBLISH_REPLY_H

#include "common/base/buf.h"
#include "common/base/fate.h"
#include "common/role/role_publish.h"

/* No reply is longer. Four texts in it are not our own: message_id, reply_text,
 * exchange and routing_key are short strings, of which JSON makes six bytes of
 * each (\u0001). The words around them are under 512. A refusal has but one,
 * the text of an error, which is shorter than the four. */
enum { RMQ_PUBLISH_REPLY_MAX = 4 * 6 * RMQ_ENVELOPE_TEXT_MAX + 512 };
_Static_assert(6 * sizeof(((struct rmq_error *)0)->text) <
                   4 * 6 * (size_t)RMQ_ENVELOPE_TEXT_MAX,
               "a refusal is the shorter one");

/* Whether the client hears of that fate: STORED says nothing to one that waits
 * for the confirm. */
bool rmq_publish_reply_is_due(enum rmq_fate fate, bool wants_confirm);
/* The status; appends the object. */
int rmq_publish_reply_fate(const struct rmq_fate_report *report,
                           bool wants_confirm, const char *message_id,
                           struct rmq_buf *body);
/* For what was not taken; reason is err's text, or "". */
int rmq_publish_reply_refusal(enum rmq_publish_answer answer,
                              const char *reason, struct rmq_buf *body);
/* When it is not confirmed at the deadline, and is_stored says whether its row
 * is committed. */
int rmq_publish_reply_timeout(bool is_stored, const char *message_id,
                              struct rmq_buf *body);
/* {"error":"REASON"} */
int rmq_publish_reply_error(int status, const char *reason,
                            struct rmq_buf *body);

#endif
