/* SPDX-License-Identifier: MIT */
/*
 * Rejected messages as files that one can read: DIR/BLOCK/NAME.json has
 * properties and reason, DIR/BLOCK/NAME.body the bytes. Both are written under
 * another name and renamed, the body first; nothing is synced. One thread,
 * which waits for the disk meanwhile.
 *
 * Bounded by bytes on disk and by number. What somebody takes out of the
 * directory makes room again.
 */
#ifndef RMQ_ROLE_QUARANTINE_H
#define RMQ_ROLE_QUARANTINE_H

#include "common/amqp/connection.h"
#include "common/base/error.h"
#include "common/base/rmqtime.h"

enum { RMQ_QUARANTINE_FILES = 10000 }; /* messages in one directory */

struct rmq_quarantine;
/* dir and block are borrowed. Nothing is opened yet. NULL without memory. */
struct rmq_quarantine *rmq_quarantine_new(const char *dir, const char *block,
                                          int64_t max_bytes);
void rmq_quarantine_free(struct rmq_quarantine *q);

/* Opens the directory, which is made if only its last part is missing, and
 * counts what is in it. 0, or -1 with a reason and its remedy. */
int rmq_quarantine_open(struct rmq_quarantine *q, struct rmq_error *err);

struct rmq_quarantine_item {
  const struct rmq_delivery *delivery;
  const char *cause;  /* a word, which becomes part of the name */
  const char *reason; /* may hold bytes from the wire */
  struct rmq_wall now;
  struct rmq_mono now_mono;
};
enum rmq_quarantine_verdict {
  RMQ_QUARANTINE_FILED,
  RMQ_QUARANTINE_FULL,  /* try again when there is room */
  RMQ_QUARANTINE_FAILED /* err says why; tried again after a while */
};
const char *rmq_quarantine_verdict_to_str(enum rmq_quarantine_verdict v);
/* Files one message. *ret_name, when filed, is its name without ".json", valid
 * until the next call. */
enum rmq_quarantine_verdict
rmq_quarantine_put(struct rmq_quarantine *q,
                   const struct rmq_quarantine_item *item,
                   const char **ret_name, struct rmq_error *err);

#endif
