/* SPDX-License-Identifier: MIT */
/*
 * How far a block has got in its stream: the offset of the first message that
 * is not done, kept in a file, so that reading goes on there after a reconnect,
 * a restart or a crash. The worker's thread, and whoever starts and joins it.
 *
 * A broker that is asked for an offset beyond the end of a stream says nothing
 * and delivers nothing. So the last message that is done is asked for again: it
 * proves that the stream is the one that was read, and is not taken twice.
 */
#ifndef RMQ_ROLE_OFFSETS_H
#define RMQ_ROLE_OFFSETS_H

#include "common/base/complain.h"
#include "common/base/options.h"
#include "common/role/session_log.h"

struct rmq_offsets {
  struct rmq_session_log *log;
  const char *vhost, *queue;
  /* x-stream-offset of the next subscription, which we write to; NULL: the
   * queue is no stream, and nothing here does anything. */
  struct rmq_argument *argument;
  struct rmq_argument start; /* what the user wants where nothing is known */
  char *path, *temporary;
  int64_t next;   /* first offset that is not done; -1 = not known */
  int64_t stored; /* what the file says */
  struct rmq_mono write_at;
  struct rmq_complain complain;
  bool has_delivery; /* since the subscription */
  struct rmq_mono silent_since;
};

/* What a delivery is. */
enum rmq_offset_verdict {
  RMQ_OFFSET_NEW,    /* to be worked on */
  RMQ_OFFSET_DONE,   /* known to be done: ack it */
  RMQ_OFFSET_FOREIGN /* the stream is another one: rmq_offsets_begin_anew */
};
const char *rmq_offset_verdict_to_str(enum rmq_offset_verdict v);

/* Borrows all but directory. -1 without memory. */
int rmq_offsets_init(struct rmq_offsets *o, const char *directory,
                     const char *block, const char *vhost, const char *queue,
                     struct rmq_argument *argument, struct rmq_session_log *log,
                     struct rmq_error *err);
void rmq_offsets_fini(struct rmq_offsets *o);
/* Reads the file; at the start. */
void rmq_offsets_load(struct rmq_offsets *o);

/* The subscription was made. */
void rmq_offsets_ready(struct rmq_offsets *o, struct rmq_mono now);
/* Nothing is read from the broker now: its silence says nothing. */
void rmq_offsets_hold(struct rmq_offsets *o, struct rmq_mono now);
enum rmq_offset_verdict rmq_offsets_judge(struct rmq_offsets *o,
                                          int64_t offset);
/* next: first offset that is not done, -1 = not known. Writes the file, at most
 * once a second; returns when to be called again. */
struct rmq_mono rmq_offsets_step(struct rmq_offsets *o, int64_t next,
                                 struct rmq_mono now);
/* Nothing was delivered for so long (0 = for ever), not even what was done: the
 * stream is shorter than the offset. */
bool rmq_offsets_is_beyond(const struct rmq_offsets *o, struct rmq_dur patience,
                           struct rmq_mono now);
/* When to ask that. */
struct rmq_mono rmq_offsets_deadline(const struct rmq_offsets *o,
                                     struct rmq_dur patience,
                                     struct rmq_mono now);
/* The stream was deleted and made anew: it is read from its beginning, once the
 * channel is opened anew. */
void rmq_offsets_begin_anew(struct rmq_offsets *o);
/* Writes what the file does not say yet; at the end. */
void rmq_offsets_flush(struct rmq_offsets *o, struct rmq_mono now);

#endif
