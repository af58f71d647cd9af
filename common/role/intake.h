/* SPDX-License-Identifier: MIT */
/*
 * What the host's write threads call: samples and events in, sealed messages
 * out. A thread encodes into a buffer of its own, then appends under the lock
 * of the intake (one memcpy); when a batch is full it becomes a message, gets
 * its seq and goes to the sink, still under the lock, so that the sink sees
 * messages in the order of seq. Nothing here waits for network or disk, and
 * neither ids nor compression are made here (see prepare.h).
 *
 * At every moment: values accepted = values in open batches + values in sealed
 * messages. An event is a message of its own, and seals nothing.
 */
#ifndef RMQ_ROLE_INTAKE_H
#define RMQ_ROLE_INTAKE_H

#include "common/base/host.h"
#include "common/base/message.h"
#include "common/base/rmqtime.h"
#include "common/base/sample.h"
#include "common/codec/codec.h"

/* Borrowed for the life of the intake. */
struct rmq_intake_config {
  const struct rmq_codec *codec;
  const struct rmq_codec_style *style;
  /* Templates, NULL = collectd's scheme; see rkey.h. */
  const char *routing_key, *routing_key_notification;
  size_t batch_values; /* value lists a message; 1 = no batches */
  size_t batch_bytes;  /* a larger single one is a message of its own */
  size_t max_open;     /* batches; beyond it the oldest is sealed */
  struct rmq_dur flush_interval; /* a batch is open no longer than this */
};

struct rmq_intake_sink {
  void *ctx;
  /* Takes m, which has its seq, time, content type and number of values. True
   * when the worker has to be woken for it. Called under the lock of the
   * intake, by any thread, in order of seq: short, and never back into the
   * intake. */
  bool (*accept)(void *ctx, struct rmq_message *m);
};

/* What became of a sample or event. */
enum rmq_intake_outcome {
  RMQ_INTAKE_TAKEN,
  RMQ_INTAKE_WAKE,    /* taken, and the worker has to be woken */
  RMQ_INTAKE_OMITTED, /* the format has nothing to say of it: all NaN */
  RMQ_INTAKE_REFUSED  /* it cannot be encoded, or memory is short */
};
const char *rmq_intake_outcome_to_str(enum rmq_intake_outcome o);

struct rmq_intake_stats {
  uint64_t values;    /* value lists taken since the start */
  uint64_t omitted;   /* value lists of which the format has nothing to say */
  size_t open_values; /* of those taken, still in open batches */
  size_t open_batches;
};

struct rmq_intake;
/* host for its clocks. Messages are numbered from 1 on. NULL without memory. */
struct rmq_intake *rmq_intake_new(const struct rmq_intake_config *config,
                                  const struct rmq_intake_sink *sink,
                                  const struct rmq_host *host);
/* When no thread uses it any more. What is in open batches is lost. */
void rmq_intake_free(struct rmq_intake *i);

/* Any thread, all of them. */

/* Messages sealed from now on have a seq above this one; never lowers. */
void rmq_intake_raise_seq(struct rmq_intake *i, uint64_t seq);
enum rmq_intake_outcome rmq_intake_sample(struct rmq_intake *i,
                                          const struct rmq_sample *sample);
enum rmq_intake_outcome rmq_intake_event(struct rmq_intake *i,
                                         const struct rmq_event *event);
/* A message that was made elsewhere: gets its seq and time, and offer may take
 * it, under the lock and in order of seq as the sink's accept. False when it
 * did not: m stays the caller's, and its number goes to the next. */
bool rmq_intake_message(struct rmq_intake *i, struct rmq_message *m,
                        bool (*offer)(void *ctx, struct rmq_message *m),
                        void *ctx);
/* The worker's clock: seals what is as old as flush_interval and returns when
 * to be called again, RMQ_NEVER when nothing is open. Whoever opens a batch
 * earlier than that is told to wake the worker. */
struct rmq_mono rmq_intake_tick(struct rmq_intake *i, struct rmq_mono now);
/* Seals what has been open for age or longer, 0 = all; with id only the batch
 * of that identity's key. True when the worker has to be woken. */
bool rmq_intake_flush(struct rmq_intake *i, struct rmq_dur age,
                      const struct rmq_identity *id);
/* Seals all, and from now on every value at once: the end is near. */
bool rmq_intake_close(struct rmq_intake *i);
void rmq_intake_stats(struct rmq_intake *i, struct rmq_intake_stats *ret);

#endif
