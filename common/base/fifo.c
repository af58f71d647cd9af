/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/fifo.h"

#include <assert.h>

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

const char *rmq_spool_mode_to_str(enum rmq_spool_mode m) {
  switch (m) {
  case RMQ_SPOOL_NONE:
    return "none";
  case RMQ_SPOOL_OVERFLOW:
    return "overflow";
  case RMQ_SPOOL_ALWAYS:
    return "always";
  }
  return "unknown";
}

const char *rmq_fifo_place_to_str(enum rmq_fifo_place p) {
  switch (p) {
  case RMQ_FIFO_WAITS:
    return "waits";
  case RMQ_FIFO_SPOOLED:
    return "spooled";
  case RMQ_FIFO_DROPPED:
    return "dropped";
  }
  return "unknown";
}

void rmq_fifo_init(struct rmq_fifo *f, const struct rmq_fifo_config *config) {
  assert(config->mode == RMQ_SPOOL_NONE || config->store != NULL);
  *f = (struct rmq_fifo){.mode = config->mode,
                         .store = config->store,
                         .lane = config->lane,
                         .read_ahead = config->read_ahead,
                         .is_alone = config->mode == RMQ_SPOOL_NONE};
  rmq_outbox_init(&f->outbox, config->max_messages, config->max_bytes,
                  config->policy);
}

void rmq_fifo_fini(struct rmq_fifo *f) { rmq_outbox_fini(&f->outbox); }

uint64_t rmq_fifo_spooled(const struct rmq_fifo *f) {
  return f->pending + f->unread;
}

static enum rmq_fifo_place push(struct rmq_fifo *f, struct rmq_message *m,
                                struct rmq_list *dropped) {
  return rmq_outbox_push(&f->outbox, m, dropped) ? RMQ_FIFO_WAITS
                                                 : RMQ_FIFO_DROPPED;
}

static bool goes_to_store(const struct rmq_fifo *f,
                          const struct rmq_message *m) {
  switch (f->mode) {
  case RMQ_SPOOL_NONE:
    return false;
  case RMQ_SPOOL_OVERFLOW:
    return f->is_closed || rmq_fifo_spooled(f) > 0 ||
           !rmq_outbox_has_room(&f->outbox, m);
  case RMQ_SPOOL_ALWAYS:
    return true;
  }
  return false;
}

enum rmq_fifo_place rmq_fifo_accept(struct rmq_fifo *f, struct rmq_message *m,
                                    struct rmq_list *dropped) {
  if (!goes_to_store(f, m))
    return push(f, m, dropped);
  switch (f->store->put(f->store->ctx, f->lane, m)) {
  case RMQ_STORE_TOOK:
    f->pending++;
    f->is_alone = false;
    return RMQ_FIFO_SPOOLED;
  case RMQ_STORE_BUSY:
    /* In the outbox it would overtake those that wait for the disk. */
    rmq_list_push_back(dropped, &m->node);
    return RMQ_FIFO_DROPPED;
  case RMQ_STORE_UNUSABLE:
    f->is_alone = true;
    return push(f, m, dropped);
  }
  return RMQ_FIFO_DROPPED;
}

static enum rmq_fifo_place append(struct rmq_fifo *f, struct rmq_message *m) {
  if (!rmq_outbox_has_room(&f->outbox, m))
    return RMQ_FIFO_DROPPED;
  rmq_outbox_append(&f->outbox, m);
  return RMQ_FIFO_WAITS;
}

enum rmq_fifo_place rmq_fifo_offer(struct rmq_fifo *f, struct rmq_message *m) {
  if (!goes_to_store(f, m))
    return append(f, m);
  if (!f->store->has_room(f->store->ctx, m))
    return RMQ_FIFO_DROPPED;
  switch (f->store->put(f->store->ctx, f->lane, m)) {
  case RMQ_STORE_TOOK:
    f->pending++;
    f->is_alone = false;
    return RMQ_FIFO_SPOOLED;
  case RMQ_STORE_BUSY:
    return RMQ_FIFO_DROPPED;
  case RMQ_STORE_UNUSABLE:
    f->is_alone = true;
    return append(f, m);
  }
  return RMQ_FIFO_DROPPED;
}

bool rmq_fifo_read_on(struct rmq_fifo *f) {
  const struct rmq_outbox *o = &f->outbox;
  if (f->unread == 0 || f->is_fetching || f->is_closed || f->is_stalled ||
      rmq_outbox_count(o) > f->read_ahead / 2 ||
      rmq_outbox_count(o) + o->held >= o->max_messages ||
      o->bytes > o->max_bytes / 2)
    return false;
  f->is_fetching = true;
  size_t room = o->max_messages - rmq_outbox_count(o) - o->held;
  /* A quarter, so that messages in flight and waiting keep theirs. */
  f->store->fetch(f->store->ctx, f->lane, f->through,
                  room < f->read_ahead ? room : f->read_ahead,
                  o->max_bytes / 4);
  return true;
}

/* ------------------------------------------------------------------------
 * The store's answers */

/* Committed while everything older has been handed over: it need not be read
 * back. */
static bool may_take(const struct rmq_fifo *f, const struct rmq_message *m) {
  return !f->is_closed && !f->is_fetching && f->unread == 0 &&
         rmq_outbox_has_room(&f->outbox, m);
}

void rmq_fifo_stored(struct rmq_fifo *f, struct rmq_list *messages) {
  assert(f->pending >= messages->count);
  f->pending -= messages->count;
  struct rmq_node *n;
  while ((n = rmq_list_first(messages)) != NULL && may_take(f, message_of(n))) {
    rmq_list_remove(messages, n);
    f->through = message_of(n)->seq;
    rmq_outbox_append(&f->outbox, message_of(n));
  }
  f->unread += messages->count;
}

void rmq_fifo_fetched(struct rmq_fifo *f, struct rmq_list *messages,
                      uint64_t through) {
  assert(f->unread >= messages->count);
  f->is_fetching = false;
  if (f->is_closed) /* they stay rows */
    return;
  f->unread -= messages->count;
  f->is_stalled = messages->count == 0 && through <= f->through;
  if (f->through < through)
    f->through = through;
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL)
    rmq_outbox_append(&f->outbox, message_of(n));
}

void rmq_fifo_failed(struct rmq_fifo *f, struct rmq_list *messages,
                     struct rmq_list *dropped) {
  assert(f->pending >= messages->count);
  f->pending -= messages->count;
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL)
    push(f, message_of(n), dropped);
}

void rmq_fifo_lost(struct rmq_fifo *f, bool was_pending, uint64_t messages) {
  uint64_t *from = was_pending ? &f->pending : &f->unread;
  assert(*from >= messages);
  *from -= messages;
}

void rmq_fifo_recovered(struct rmq_fifo *f, uint64_t messages) {
  f->unread += messages;
}

/* ------------------------------------------------------------------------
 * The end */

void rmq_fifo_close(struct rmq_fifo *f, struct rmq_list *forgotten) {
  if (f->mode == RMQ_SPOOL_NONE)
    return;
  f->is_closed = true;
  struct rmq_list kept;
  rmq_list_init(&kept);
  struct rmq_message *m;
  while ((m = rmq_outbox_pop(&f->outbox)) != NULL)
    rmq_list_push_back(&kept, &m->node);
  struct rmq_node *n;
  while ((n = rmq_list_last(&kept)) != NULL && message_of(n)->is_stored) {
    rmq_list_remove(&kept, n);
    rmq_outbox_release(&f->outbox, message_of(n));
    f->unread++;
    rmq_list_push_back(forgotten, n);
  }
  rmq_outbox_unpop_all(&f->outbox, &kept);
}

bool rmq_fifo_keep(struct rmq_fifo *f, struct rmq_message *m) {
  if (m->is_stored) {
    f->unread++;
    return true;
  }
  if (f->mode == RMQ_SPOOL_NONE ||
      f->store->keep(f->store->ctx, f->lane, m) != RMQ_STORE_TOOK)
    return false;
  f->pending++;
  return true;
}
