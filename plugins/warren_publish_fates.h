/* SPDX-License-Identifier: MIT */
/*
 * What became of the messages of warren publish --wait: counted, and the causes
 * of those that did not arrive kept for a line each.
 */
#ifndef RMQ_PLUGINS_WARREN_PUBLISH_FATES_H
#define RMQ_PLUGINS_WARREN_PUBLISH_FATES_H

#include "common/base/fate.h"
#include "plugins/warren_voice.h"

#include <pthread.h>

enum { WARREN_CAUSES_MAX = 16, WARREN_CAUSE_SIZE = 800 };

struct warren_fates {
  pthread_mutex_t lock;
  uint64_t begun, ended, confirmed;
  int wake_fd; /* eventfd: every message has ended */
  struct warren_cause {
    char text[WARREN_CAUSE_SIZE];
    uint64_t messages;
  } causes[WARREN_CAUSES_MAX];
  size_t causes_count;
  uint64_t others; /* messages of causes beyond these */
};

int warren_fates_init(struct warren_fates *f);
void warren_fates_fini(struct warren_fates *f);
/* Before a message is published; cancel when it was not taken after all. */
void warren_fates_begin(struct warren_fates *f);
void warren_fates_cancel(struct warren_fates *f);
/* struct rmq_fate_sink; ctx is f. Any thread. */
void warren_fates_tell(void *ctx, const struct rmq_fate_report *report);
/* How many have ended; *ret_open is how many have not. */
uint64_t warren_fates_ended(struct warren_fates *f, uint64_t *ret_open);
/* A line per cause. True when all that was begun is confirmed. */
bool warren_fates_print(struct warren_fates *f,
                        const struct warren_voice *voice);

#endif
