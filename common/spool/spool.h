/* SPDX-License-Identifier: MIT */
/*
 * The store of common/base/store.h on SQLite: one file per publisher block,
 * DIR/BLOCK.spool, and one thread that is the only one to touch it. What cannot
 * be opened or written is an error of the world: said once with its remedy,
 * tried again, and meanwhile put says UNUSABLE.
 *
 * Lifecycle: new, attach each lane, open, start, stop, join, free.
 */
#ifndef RMQ_SPOOL_H
#define RMQ_SPOOL_H

#include "common/base/error.h"
#include "common/base/host.h"
#include "common/base/outbox.h"
#include "common/base/store.h"

#include <pthread.h>
#include <stdbool.h>

/* What a loss of power may cost; a death of the process costs no committed row
 * with any of them. */
enum rmq_spool_sync {
  RMQ_SPOOL_SYNC_NONE,     /* what the kernel had not yet written */
  RMQ_SPOOL_SYNC_INTERVAL, /* the last second */
  RMQ_SPOOL_SYNC_ALWAYS    /* nothing that was told as stored */
};
const char *rmq_spool_sync_to_str(enum rmq_spool_sync s);

/* Least sensible max_bytes. */
#define RMQ_SPOOL_BYTES_MIN UINT64_C(1048576)

/* The largest body that a spool of so many bytes takes, at least
 * RMQ_SPOOL_BYTES_MIN, with whatever key, extras counted as body: a row has to
 * fit into half of the log. */
uint64_t rmq_spool_body_max(uint64_t max_bytes);

/* Texts and host are borrowed as long as the spool lives. */
struct rmq_spool_config {
  const char *dir;    /* its last component is created when absent */
  const char *plugin; /* of log lines */
  const char *block;
  uint64_t max_bytes; /* of all files together */
  enum rmq_spool_sync sync;
  struct rmq_dur max_age; /* 0 = none */
  enum rmq_overflow policy;
  unsigned lanes;
  size_t pending_bytes_max; /* sum of rmq_message_cost that waits for the disk;
                               one message always may */
  struct rmq_dur retry_interval; /* of a file that failed; 0 = 30 s */
  struct rmq_dur tick_interval;  /* of looking after it; 0 = 1 s */
  const struct rmq_host *host;   /* log, mono, wall */
  /* In the spool's thread, before a message is written: sets id, content type
   * and the body as it goes out. */
  void *ctx;
  void (*prepare)(void *ctx, struct rmq_message *m);
  /* rmq_thread_start, or what does the same. */
  int (*start_thread)(pthread_t *ret_thread, bool is_detached, const char *name,
                      void *(*run)(void *), void *arg, struct rmq_error *err);
};

struct rmq_spool;
/* Copies config; opens nothing. NULL with err. */
struct rmq_spool *rmq_spool_new(const struct rmq_spool_config *config,
                                struct rmq_error *err);
/* Before open, for every lane; copied. */
void rmq_spool_attach(struct rmq_spool *s, unsigned lane,
                      const struct rmq_store_handlers *handlers);
/* The verbs; valid as long as the spool. */
const struct rmq_store *rmq_spool_store(const struct rmq_spool *s);

/* Opens the file in the caller's thread and tells the lanes what they have
 * recovered. False when it cannot be opened now: logged, and tried again by the
 * thread. Either way *ret_next_seq is the first seq for new messages: above all
 * that lies in the file, or, without it, above all that it could hold. */
bool rmq_spool_open(struct rmq_spool *s, uint64_t *ret_next_seq);
int rmq_spool_start(struct rmq_spool *s, struct rmq_error *err);

/* Any thread; returns at once. put refuses from now on; what waits is written,
 * settled and checkpointed, and what is not written by deadline has failed. */
void rmq_spool_stop(struct rmq_spool *s, struct rmq_mono deadline);
/* Waits until the thread has ended, at most until deadline. False: it hangs in
 * the disk and is left alone; s and all that it uses must never be freed. */
bool rmq_spool_join(struct rmq_spool *s, struct rmq_mono deadline);
/* Only when never started, or joined with true. NULL is fine. */
void rmq_spool_free(struct rmq_spool *s);

#endif
