/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the spool's thread: spool.c (queue, thread),
 * spool_write.c (transactions), spool_read.c (fetches), spool_care.c (opening,
 * failing, looking after the file).
 */
#ifndef RMQ_SPOOL_PRIVATE_H
#define RMQ_SPOOL_PRIVATE_H

#include "common/base/complain.h"
#include "common/spool/spool.h"
#include "common/spool/spool_age.h"
#include "common/spool/spool_db.h"
#include "common/spool/spool_file.h"
#include "common/spool/spool_ranges.h"

struct rmq_spool_fetch {
  bool is_wanted;
  uint64_t after_seq;
  size_t max_messages, max_bytes;
};

struct rmq_spool_lane {
  struct rmq_store_handlers handlers;
  struct rmq_spool_fetch fetch; /* under the lock */
  /* The thread's. Unread are the rows with a seq above handed. */
  uint64_t handed, committed; /* highest seq */
  struct rmq_store_tally unread;
  /* Of the open transaction. */
  struct rmq_list written;
  struct rmq_store_lost lost_rows[RMQ_STORE_LOSSES_COUNT];
  struct rmq_store_tally lost_pending;
};

struct rmq_spool {
  struct rmq_spool_config config;
  struct rmq_store store;
  int wake_fd;
  pthread_t thread;

  pthread_mutex_t lock;
  pthread_cond_t ended;
  bool has_ended;
  bool is_woken;
  bool is_usable;
  bool is_stopping;
  bool has_vanished;   /* as the thread found it last: is_unsafe */
  bool wants_room;     /* somebody waits for it: delete what has ended */
  uint64_t room_bytes; /* when the thread looked last */
  struct rmq_mono stop_deadline;
  struct rmq_list pending; /* of struct rmq_message, as they came */
  size_t pending_bytes;    /* of them and of those being written */
  uint64_t newest_seq;     /* that put has seen */
  struct rmq_spool_ranges settled;
  struct rmq_store_stats stats;
  struct rmq_wall oldest; /* when stats.rows > 0 */

  /* The thread's own, and open's before it. */
  struct rmq_spool_db *db; /* NULL = not open */
  struct rmq_spool_file file;
  bool disk_fails;    /* db is open, but could not be written */
  uint64_t first_seq; /* of this process */
  uint64_t rows;
  uint64_t failures;
  uint64_t victim_after; /* up to here no row is unread */
  bool is_dirty;         /* written since the last checkpoint */
  bool is_gone;          /* the file is not under its path any more */
  bool is_unsafe;        /* it, or its log alone, and could not be made anew */
  bool may_shrink;
  bool was_open; /* so its rows are of this process */
  struct rmq_mono retry_at, tick_at;
  struct rmq_complain trouble, vanished, full;
  uint64_t full_dropped; /* since the last line about it */
  struct rmq_spool_age age;
  struct rmq_spool_ranges deleting; /* taken from settled, not yet committed */
  struct rmq_list batch;            /* taken from pending */
  size_t trim_after;                /* bytes read before the heap is trimmed */
  bool makes_room;                  /* because somebody wanted some */
  bool is_stopping_now;             /* as this turn sees it */
  bool is_deleting;                 /* the last transaction left some */
  struct rmq_spool_lane lanes[];
};

struct rmq_spool_lane *rmq_spool_lane_of(struct rmq_spool *s,
                                         uint32_t key_hash);
void rmq_spool_log(const struct rmq_spool *s, enum rmq_level level,
                   const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline void rmq_spool_tally(struct rmq_store_tally *t, uint64_t values) {
  t->messages++;
  t->values += values;
}
static inline void rmq_spool_untally(struct rmq_store_tally *t,
                                     uint64_t values) {
  t->messages--;
  t->values -= values < t->values ? values : t->values;
}

/* spool.c. What the thread does between two sleeps; true when it may end, by
 * this. Tests call them instead of a thread. */
bool rmq_spool_turn(struct rmq_spool *s);
void rmq_spool_end(struct rmq_spool *s);
/* So many bytes wait for the disk no more: before a lane hears of it, since it
 * may put more at once. */
void rmq_spool_release(struct rmq_spool *s, size_t bytes);

/* spool_care.c. What a fault of the open file means: CORRUPT sets it aside,
 * with the loss of its unread rows, all else makes it unusable until a retry.
 */
void rmq_spool_faulted(struct rmq_spool *s, enum rmq_spool_fault f,
                       const struct rmq_error *err, struct rmq_mono now);
/* Opens the file and counts its rows. */
bool rmq_spool_try_open(struct rmq_spool *s, struct rmq_mono now);
/* Retries, checkpoints, looks whether the file is still there. */
void rmq_spool_tick(struct rmq_spool *s, struct rmq_mono now);

/* spool_write.c. One transaction of s->batch and s->deleting, whose answers are
 * given; what did not fit into it stays in them. False = a fault; the batch has
 * failed. */
bool rmq_spool_write(struct rmq_spool *s, struct rmq_mono now);
/* Gives s->batch back. */
void rmq_spool_fail_batch(struct rmq_spool *s);

/* spool_read.c. Answers one request. */
void rmq_spool_answer(struct rmq_spool *s, struct rmq_spool_lane *lane,
                      const struct rmq_spool_fetch *wanted,
                      struct rmq_mono now);

#endif
