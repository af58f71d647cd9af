/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/ahead.h"

#include <stdlib.h>
#include <string.h>

struct chunk {
  struct rmq_node node;
  size_t len;
  char bytes[RMQ_AHEAD_CHUNK];
};

static struct chunk *chunk_of(struct rmq_node *node) {
  return node == NULL ? NULL : RMQ_ELEMENT(node, struct chunk, node);
}

void rmq_ahead_init(struct rmq_ahead *a, struct rmq_mono now) {
  *a = (struct rmq_ahead){.empty_at = now};
  rmq_list_init(&a->chunks);
}

static struct chunk *pop(struct rmq_ahead *a) {
  return chunk_of(rmq_list_pop_front(&a->chunks));
}

void rmq_ahead_clear(struct rmq_ahead *a, struct rmq_mono now) {
  while (!rmq_list_is_empty(&a->chunks))
    free(pop(a));
  rmq_ahead_pause(a, now);
}

void rmq_ahead_pause(struct rmq_ahead *a, struct rmq_mono now) {
  a->is_on = false;
  a->empty_at = now;
}

bool rmq_ahead_step(struct rmq_ahead *a, bool waits, struct rmq_mono now) {
  bool is_due = rmq_mono_reached(now, rmq_ahead_deadline(a, waits));
  if (!waits) {
    a->is_on = false;
  } else if (is_due && a->is_on) {
    rmq_ahead_pause(a, now);
  } else if (is_due) {
    a->is_on = true;
    a->came_at = now;
  }
  return a->is_on;
}

struct rmq_mono rmq_ahead_deadline(const struct rmq_ahead *a, bool waits) {
  if (!waits)
    return RMQ_NEVER;
  return a->is_on ? rmq_mono_add(a->came_at, rmq_s(RMQ_AHEAD_QUIET_S))
                  : rmq_mono_add(a->empty_at, rmq_s(RMQ_AHEAD_PATIENCE_S));
}

char *rmq_ahead_reserve(struct rmq_ahead *a, size_t *ret_room) {
  struct chunk *last = chunk_of(rmq_list_last(&a->chunks));
  if (last == NULL || last->len == RMQ_AHEAD_CHUNK) {
    last =
        a->chunks.count < RMQ_AHEAD_CHUNKS_MAX ? malloc(sizeof(*last)) : NULL;
    if (last == NULL)
      return NULL;
    last->node = (struct rmq_node){NULL, NULL};
    last->len = 0;
    rmq_list_push_back(&a->chunks, &last->node);
  }
  *ret_room = RMQ_AHEAD_CHUNK - last->len;
  return last->bytes + last->len;
}

void rmq_ahead_commit(struct rmq_ahead *a, size_t n, struct rmq_mono now) {
  chunk_of(rmq_list_last(&a->chunks))->len += n;
  a->came_at = now;
}

size_t rmq_ahead_take(struct rmq_ahead *a, char *out) {
  while (!rmq_list_is_empty(&a->chunks)) {
    struct chunk *oldest = pop(a);
    size_t len = oldest->len;
    memcpy(out, oldest->bytes, len);
    free(oldest);
    if (len > 0) /* else nothing has come to where it was reserved */
      return len;
  }
  return 0;
}

bool rmq_ahead_is_empty(const struct rmq_ahead *a) {
  return rmq_list_is_empty(&a->chunks);
}
