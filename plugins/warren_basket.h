/* SPDX-License-Identifier: MIT */
/*
 * Messages between the thread that reads them from the broker and the one that
 * does something with them. Bounded in bytes: the one who fills it asks whether
 * it is full, and the role stops reading.
 */
#ifndef RMQ_PLUGINS_WARREN_BASKET_H
#define RMQ_PLUGINS_WARREN_BASKET_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/list.h"

#include <pthread.h>
#include <stdint.h>

struct warren_item {
  struct rmq_node node;
  uint64_t ticket;
  struct rmq_buf bytes;       /* to be written, or a command's standard input */
  struct rmq_buf environment; /* NAME=VALUE, each with a NUL behind it */
  char about[192];            /* its name in the log */
};
/* No bytes yet; most of them max. NULL without memory. */
struct warren_item *warren_item_new(uint64_t ticket, size_t max);
void warren_item_free(struct warren_item *i);

enum { WARREN_BASKET_BYTES = 16 * 1024 * 1024 }; /* full with so many */

struct warren_basket {
  pthread_mutex_t lock;
  struct rmq_list items;
  size_t bytes;
  uint64_t put, most; /* items ever; no more than most, 0 = any number */
  bool is_closed;
  int wake_fd; /* an eventfd: something was put */
};

int warren_basket_init(struct warren_basket *b, uint64_t most,
                       struct rmq_error *err);
void warren_basket_fini(struct warren_basket *b);

/* Takes ownership of i when true. False: closed, or most have been put. */
bool warren_basket_put(struct warren_basket *b, struct warren_item *i);
/* Whether one more would be taken; for who has not made the item yet. */
bool warren_basket_is_open(struct warren_basket *b);
bool warren_basket_is_full(struct warren_basket *b);
bool warren_basket_is_empty(struct warren_basket *b);
uint64_t warren_basket_put_count(struct warren_basket *b);
/* The oldest, NULL = empty. */
struct warren_item *warren_basket_pop(struct warren_basket *b);
/* Nothing is put any more. */
void warren_basket_close(struct warren_basket *b);

#endif
