/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/ahead.h"

#include <stdlib.h>
#include <string.h>

struct rmq_ahead_chunk {
  struct rmq_ahead_chunk *next; /* the newer one */
  size_t len;
  char bytes[RMQ_AHEAD_CHUNK];
};

void rmq_ahead_init(struct rmq_ahead *a, struct rmq_mono now) {
  *a = (struct rmq_ahead){.empty_at = now};
}

/* The oldest is done with. */
static void drop(struct rmq_ahead *a) {
  struct rmq_ahead_chunk *oldest = a->first;
  a->first = oldest->next;
  if (a->first == NULL)
    a->last = NULL;
  a->count--;
  free(oldest);
}

void rmq_ahead_clear(struct rmq_ahead *a, struct rmq_mono now) {
  while (a->first != NULL)
    drop(a);
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

static struct rmq_ahead_chunk *add(struct rmq_ahead *a) {
  struct rmq_ahead_chunk *c =
      a->count < RMQ_AHEAD_CHUNKS_MAX ? malloc(sizeof(*c)) : NULL;
  if (c == NULL)
    return NULL;
  c->next = NULL;
  c->len = 0;
  if (a->last == NULL)
    a->first = c;
  else
    a->last->next = c;
  a->last = c;
  a->count++;
  return c;
}

char *rmq_ahead_reserve(struct rmq_ahead *a, size_t *ret_room) {
  bool has_room = a->last != NULL && a->last->len < RMQ_AHEAD_CHUNK;
  struct rmq_ahead_chunk *c = has_room ? a->last : add(a);
  if (c == NULL)
    return NULL;
  *ret_room = RMQ_AHEAD_CHUNK - c->len;
  return c->bytes + c->len;
}

void rmq_ahead_commit(struct rmq_ahead *a, size_t n, struct rmq_mono now) {
  a->last->len += n;
  a->came_at = now;
}

size_t rmq_ahead_take(struct rmq_ahead *a, char *out) {
  while (a->first != NULL) {
    size_t len = a->first->len;
    memcpy(out, a->first->bytes, len);
    drop(a);
    if (len > 0) /* else nothing has come to where it was reserved */
      return len;
  }
  return 0;
}

bool rmq_ahead_is_empty(const struct rmq_ahead *a) { return a->first == NULL; }
