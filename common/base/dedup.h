/* SPDX-License-Identifier: MIT */
/*
 * Which messages were done lately, and which are being worked on: a copy of
 * either is not worked on again. A message is known by its id and a
 * fingerprint of its content, so that a sender that numbers its messages from 1
 * after each start has no copies. Ids enter the window only when their message
 * was done; the oldest leaves when the window is full.
 */
#ifndef RMQ_BASE_DEDUP_H
#define RMQ_BASE_DEDUP_H

#include "common/base/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a body; not for secrets: whoever can choose both bodies can make them
 * equal, and gains that the second of his own messages is not read. */
uint64_t rmq_fingerprint(const void *bytes, size_t len);

struct rmq_dedup_entry {
  struct rmq_list copies; /* the caller's, of an open message: who waits */
  struct rmq_node order;  /* in the window, oldest first, once it is done */
  struct rmq_dedup_entry *next; /* in its bucket */
  uint64_t hash, fingerprint;
  bool is_done;
  char id[];
};

struct rmq_dedup {
  struct rmq_dedup_entry **buckets;
  size_t mask, window;
  struct rmq_list done;
  size_t open; /* entries that are not done */
};

enum rmq_dedup_seen {
  RMQ_DEDUP_NEW,  /* not known: an open entry was made; it has to end in done
                     or forget. NULL without memory: work on it anyway */
  RMQ_DEDUP_OPEN, /* the message is being worked on: wait for its end */
  RMQ_DEDUP_DONE  /* the message was done */
};
const char *rmq_dedup_seen_to_str(enum rmq_dedup_seen s);

/* window = most ids of done messages, over 0. -1 without memory. */
int rmq_dedup_init(struct rmq_dedup *d, size_t window);
/* Frees the open entries too. */
void rmq_dedup_fini(struct rmq_dedup *d);

/* id is not empty. *ret_entry is borrowed until its end. */
enum rmq_dedup_seen rmq_dedup_look(struct rmq_dedup *d, const char *id,
                                   uint64_t fingerprint,
                                   struct rmq_dedup_entry **ret_entry);
/* An open message was done: copies from now on are known. Its list of copies
 * has to be empty. */
void rmq_dedup_done(struct rmq_dedup *d, struct rmq_dedup_entry *e);
/* It was not done: the next copy is new. Likewise. */
void rmq_dedup_forget(struct rmq_dedup *d, struct rmq_dedup_entry *e);

#endif
