/* SPDX-License-Identifier: MIT */
/*
 * What a sealed message needs before it is stored or published, done once and
 * not in the host's threads: its id, and its body compressed where that is
 * wanted and pays.
 */
#ifndef RMQ_ROLE_PREPARE_H
#define RMQ_ROLE_PREPARE_H

#include "common/base/message.h"
#include "common/base/uuid.h"
#include "common/codec/gzip.h"

#include <pthread.h>
#include <stddef.h>

enum rmq_encoding { RMQ_ENCODING_IDENTITY, RMQ_ENCODING_GZIP };
/* "identity", "gzip": the words of the option ContentEncoding. */
const char *rmq_encoding_to_str(enum rmq_encoding e);

/* As many threads as may compress at the same time without allocating. */
enum { RMQ_PREPARE_IDLE_MAX = 4 };

struct rmq_prepare {
  struct rmq_uuid instance; /* makes message-ids unique */
  enum rmq_encoding encoding;
  pthread_mutex_t lock;
  struct rmq_gzip *idle[RMQ_PREPARE_IDLE_MAX];
  size_t idle_count;
};

void rmq_prepare_init(struct rmq_prepare *p, struct rmq_uuid instance,
                      enum rmq_encoding encoding);
void rmq_prepare_fini(struct rmq_prepare *p);
/* Any thread. Nothing when m is prepared already. Afterwards rmq_message_cost
 * may be less than it was. Cannot fail: without memory the body stays as it is.
 */
void rmq_prepare_message(struct rmq_prepare *p, struct rmq_message *m);

#endif
