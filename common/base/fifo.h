/* SPDX-License-Identifier: MIT */
/*
 * A lane's one FIFO: the outbox in RAM, and a store as its continuation on
 * disk. Decides where an accepted message goes and when to read on. Pure: the
 * store is an interface whose verbs return at once. Not locked: the publisher
 * holds its own lock, also when it passes on the store's answers.
 *
 * Without a store, or in mode overflow while nothing is spooled, a message goes
 * to the outbox. What the outbox has no room for goes to the store, and from
 * then on everything does, until the store has given all back: so what is older
 * is always ahead of what is younger. In mode always every message goes through
 * the store first. A store that fails is left aside: messages go to the outbox,
 * bounded by its policy, and overtake what the store holds.
 */
#ifndef RMQ_BASE_FIFO_H
#define RMQ_BASE_FIFO_H

#include "common/base/outbox.h"
#include "common/base/store.h"

enum rmq_spool_mode {
  RMQ_SPOOL_NONE,     /* RAM only */
  RMQ_SPOOL_OVERFLOW, /* disk when RAM is full, and at the end */
  RMQ_SPOOL_ALWAYS    /* committed to disk before it is published */
};
const char *rmq_spool_mode_to_str(enum rmq_spool_mode m);

struct rmq_fifo_config {
  size_t max_messages, max_bytes; /* of the outbox */
  enum rmq_overflow policy;
  enum rmq_spool_mode mode;
  const struct rmq_store *store; /* NULL in mode none */
  unsigned lane;
  size_t read_ahead; /* messages fetched at a time; over 0 */
};

struct rmq_fifo {
  struct rmq_outbox outbox;
  enum rmq_spool_mode mode;
  const struct rmq_store *store;
  unsigned lane;
  size_t read_ahead;
  uint64_t pending; /* put, not yet answered */
  uint64_t unread;  /* rows that the store has not handed over */
  uint64_t through; /* rows up to this seq were handed over, or are not ours */
  bool is_fetching;
  bool is_alone;   /* there is no store, or it failed the last message: the
                      outbox is all there is */
  bool is_stalled; /* the last fetch brought nothing: the owner clears it after
                      a while */
  bool is_closed;  /* nothing is taken from the store any more */
};

/* What became of an accepted message. */
enum rmq_fifo_place {
  RMQ_FIFO_WAITS,   /* it is in the outbox */
  RMQ_FIFO_SPOOLED, /* the store has it */
  RMQ_FIFO_DROPPED  /* it is in dropped, perhaps with others */
};
const char *rmq_fifo_place_to_str(enum rmq_fifo_place p);

void rmq_fifo_init(struct rmq_fifo *f, const struct rmq_fifo_config *config);
/* As rmq_outbox_fini. */
void rmq_fifo_fini(struct rmq_fifo *f);

/* Takes m. dropped gets what the bound costs: older messages, or m itself; its
 * owner counts, settles (is_stored) and frees them. */
enum rmq_fifo_place rmq_fifo_accept(struct rmq_fifo *f, struct rmq_message *m,
                                    struct rmq_list *dropped);
/* As accept, but m, which stays the caller's, is refused (DROPPED) where it or
 * another message would be dropped. */
enum rmq_fifo_place rmq_fifo_offer(struct rmq_fifo *f, struct rmq_message *m);
/* Asks the store for more when the outbox runs low. Returns whether it did. */
bool rmq_fifo_read_on(struct rmq_fifo *f);
/* Messages that the store has and we have not. */
uint64_t rmq_fifo_spooled(const struct rmq_fifo *f);

/* The store's answers, see struct rmq_store_handlers. */
void rmq_fifo_stored(struct rmq_fifo *f, struct rmq_list *messages);
void rmq_fifo_fetched(struct rmq_fifo *f, struct rmq_list *messages,
                      uint64_t through);
void rmq_fifo_failed(struct rmq_fifo *f, struct rmq_list *messages,
                     struct rmq_list *dropped);
void rmq_fifo_lost(struct rmq_fifo *f, bool was_pending, uint64_t messages);
void rmq_fifo_recovered(struct rmq_fifo *f, uint64_t messages);

/* The end, first half: nothing more comes out of the store. Rows that wait in
 * RAM with nothing behind them that only RAM has go to forgotten, to be freed:
 * they are for the next start. Rows before such a message stay, since it would
 * overtake them. */
void rmq_fifo_close(struct rmq_fifo *f, struct rmq_list *forgotten);
/* The end, second half, for a popped message that was not confirmed: the store
 * keeps it (true; m is gone, or the caller frees it when is_stored), or
 * cannot. The caller has released it. */
bool rmq_fifo_keep(struct rmq_fifo *f, struct rmq_message *m);

#endif
