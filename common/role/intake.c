/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/intake.h"

#include "common/base/rkey.h"
#include "common/codec/batches.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Of one encoded sample; and what a thread keeps of its buffer. */
enum { ENCODED_MAX = 16 << 20, SCRATCH_KEEP = 64 << 10 };

struct rmq_intake {
  struct rmq_intake_config config;
  struct rmq_intake_sink sink;
  const struct rmq_host *host;
  /* NULL: the key depends on the sample. */
  const char *fixed_key;
  char fixed_key_text[RMQ_RKEY_MAX + 1];

  pthread_mutex_t lock; /* over all that follows */
  struct rmq_batches *batches;
  uint64_t seq; /* of the newest message */
  uint64_t values, omitted;
  struct rmq_mono promised; /* when the worker ticks without being woken */
  bool needs_worker;        /* the sink, since the lock was taken */
  bool is_closed;
};

const char *rmq_intake_outcome_to_str(enum rmq_intake_outcome o) {
  switch (o) {
  case RMQ_INTAKE_TAKEN:
    return "taken";
  case RMQ_INTAKE_WAKE:
    return "wake";
  case RMQ_INTAKE_OMITTED:
    return "omitted";
  case RMQ_INTAKE_REFUSED:
    return "refused";
  }
  return "unknown";
}

/* ------------------------------------------------------------------------
 * Each thread's own buffer, shared by all intakes */

static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static pthread_key_t scratch_key;
static bool has_scratch_key;

static void free_scratch(void *p) {
  struct rmq_buf *scratch = p;
  rmq_buf_fini(scratch);
  free(scratch);
}

static void create_scratch_key(void) {
  has_scratch_key = pthread_key_create(&scratch_key, free_scratch) == 0;
}

/* Empty; NULL without memory. */
static struct rmq_buf *get_scratch(void) {
  if (pthread_once(&scratch_once, create_scratch_key) != 0 || !has_scratch_key)
    return NULL;
  struct rmq_buf *scratch = pthread_getspecific(scratch_key);
  if (scratch != NULL)
    return scratch;
  scratch = malloc(sizeof(*scratch));
  if (scratch == NULL)
    return NULL;
  rmq_buf_init(scratch, ENCODED_MAX);
  if (pthread_setspecific(scratch_key, scratch) == 0)
    return scratch;
  free_scratch(scratch);
  return NULL;
}

static void put_scratch(struct rmq_buf *scratch) {
  rmq_buf_clear(scratch);
  rmq_buf_shrink(scratch, SCRATCH_KEEP);
}

/* ------------------------------------------------------------------------
 * Under the lock */

static void hand_over(struct rmq_intake *i, struct rmq_message *m,
                      struct rmq_wall time) {
  m->seq = ++i->seq;
  m->time = time;
  m->born = i->host->mono(i->host->ctx);
  if (i->sink.accept(i->sink.ctx, m))
    i->needs_worker = true;
}

static void sealed(void *ctx, struct rmq_message *m) {
  struct rmq_intake *i = ctx;
  m->content_type = i->config.codec->content_type;
  hand_over(i, m, i->host->wall(i->host->ctx));
}

/* A worker that will tick too late for the oldest batch has to come earlier. */
static void ask_for_tick(struct rmq_intake *i) {
  struct rmq_mono next = rmq_batches_next_deadline(i->batches);
  if (rmq_mono_reached(next, i->promised))
    return;
  i->promised = next;
  i->needs_worker = true;
}

static bool take_needs_worker(struct rmq_intake *i) {
  bool needs_worker = i->needs_worker;
  i->needs_worker = false;
  return needs_worker;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

struct rmq_intake *rmq_intake_new(const struct rmq_intake_config *config,
                                  const struct rmq_intake_sink *sink,
                                  const struct rmq_host *host) {
  struct rmq_batches_config batches = {.open = config->codec->open,
                                       .separator = config->codec->separator,
                                       .close = config->codec->close,
                                       .values_max = config->batch_values,
                                       .bytes_max = config->batch_bytes,
                                       .open_max = config->max_open,
                                       .age_max = config->flush_interval};
  struct rmq_intake *i = calloc(1, sizeof(*i));
  if (i == NULL || pthread_mutex_init(&i->lock, NULL) != 0) {
    free(i);
    return NULL;
  }
  i->config = *config;
  i->sink = *sink;
  i->host = host;
  i->promised = RMQ_NEVER;
  if (rmq_rkey_is_fixed(config->routing_key)) {
    static const struct rmq_identity nobody = {"", "", "", "", ""};
    rmq_rkey_from_sample(config->routing_key, &nobody, i->fixed_key_text);
    i->fixed_key = i->fixed_key_text;
  }
  i->batches = rmq_batches_new(&batches, sealed, i);
  if (i->batches != NULL)
    return i;
  rmq_intake_free(i);
  return NULL;
}

void rmq_intake_free(struct rmq_intake *i) {
  if (i == NULL)
    return;
  rmq_batches_free(i->batches);
  pthread_mutex_destroy(&i->lock);
  free(i);
}

void rmq_intake_raise_seq(struct rmq_intake *i, uint64_t seq) {
  pthread_mutex_lock(&i->lock);
  if (seq > i->seq)
    i->seq = seq;
  pthread_mutex_unlock(&i->lock);
}

/* ------------------------------------------------------------------------
 * In */

/* A message of its own; its body is all of scratch. */
static enum rmq_intake_outcome take_alone(struct rmq_intake *i, const char *key,
                                          const char *content_type,
                                          const struct rmq_buf *scratch,
                                          uint32_t values) {
  struct rmq_message *m =
      rmq_message_new(key, rmq_buf_bytes(scratch), scratch->len);
  if (m == NULL)
    return RMQ_INTAKE_REFUSED;
  m->content_type = content_type;
  m->values = values;
  struct rmq_wall now = i->host->wall(i->host->ctx);
  pthread_mutex_lock(&i->lock);
  i->values += values;
  hand_over(i, m, now);
  bool needs_worker = take_needs_worker(i);
  pthread_mutex_unlock(&i->lock);
  return needs_worker ? RMQ_INTAKE_WAKE : RMQ_INTAKE_TAKEN;
}

static enum rmq_intake_outcome take_into_batch(struct rmq_intake *i,
                                               const char *key,
                                               const struct rmq_buf *scratch) {
  uint32_t hash = rmq_batches_hash(key);
  struct rmq_mono now = i->host->mono(i->host->ctx);
  pthread_mutex_lock(&i->lock);
  int rc = rmq_batches_append(i->batches, key, hash, rmq_buf_bytes(scratch),
                              scratch->len, now);
  if (rc == 0)
    i->values++;
  if (i->is_closed)
    rmq_batches_seal_all(i->batches);
  ask_for_tick(i);
  bool needs_worker = take_needs_worker(i);
  pthread_mutex_unlock(&i->lock);
  if (rc != 0)
    return RMQ_INTAKE_REFUSED;
  return needs_worker ? RMQ_INTAKE_WAKE : RMQ_INTAKE_TAKEN;
}

static enum rmq_intake_outcome omit(struct rmq_intake *i) {
  pthread_mutex_lock(&i->lock);
  i->omitted++;
  pthread_mutex_unlock(&i->lock);
  return RMQ_INTAKE_OMITTED;
}

/* Without batches what stands around the sample is written at once. */
static enum rmq_intake_outcome take_sample(struct rmq_intake *i,
                                           const struct rmq_sample *s,
                                           const char *key,
                                           struct rmq_buf *scratch) {
  const struct rmq_codec *codec = i->config.codec;
  bool is_alone = i->config.batch_values <= 1;
  if (is_alone)
    rmq_buf_append_text(scratch, codec->open);
  size_t before = scratch->len;
  if (codec->encode(s, i->config.style, scratch) != 0)
    return RMQ_INTAKE_REFUSED;
  if (scratch->len == before)
    return omit(i);
  if (!is_alone)
    return take_into_batch(i, key, scratch);
  if (rmq_buf_append_text(scratch, codec->close) != 0 || scratch->failed)
    return RMQ_INTAKE_REFUSED;
  return take_alone(i, key, codec->content_type, scratch, /* values = */ 1);
}

/* The key of id: written to buffer when it depends on id. */
static const char *key_of(const struct rmq_intake *i,
                          const struct rmq_identity *id,
                          char buffer[RMQ_RKEY_MAX + 1]) {
  if (i->fixed_key != NULL)
    return i->fixed_key;
  rmq_rkey_from_sample(i->config.routing_key, id, buffer);
  return buffer;
}

enum rmq_intake_outcome rmq_intake_sample(struct rmq_intake *i,
                                          const struct rmq_sample *sample) {
  char buffer[RMQ_RKEY_MAX + 1];
  struct rmq_buf *scratch = get_scratch();
  if (scratch == NULL)
    return RMQ_INTAKE_REFUSED;
  const char *key = key_of(i, &sample->id, buffer);
  enum rmq_intake_outcome o = take_sample(i, sample, key, scratch);
  put_scratch(scratch);
  return o;
}

enum rmq_intake_outcome rmq_intake_event(struct rmq_intake *i,
                                         const struct rmq_event *event) {
  const struct rmq_codec *codec = i->config.codec;
  char key[RMQ_RKEY_MAX + 1];
  struct rmq_buf *scratch = get_scratch();
  if (scratch == NULL)
    return RMQ_INTAKE_REFUSED;
  enum rmq_intake_outcome o = RMQ_INTAKE_REFUSED;
  rmq_rkey_from_event(i->config.routing_key_notification, event, key);
  if (codec->encode_event(event, scratch) == 0)
    o = take_alone(i, key, codec->event_content_type, scratch,
                   /* values = */ 0);
  put_scratch(scratch);
  return o;
}

bool rmq_intake_message(struct rmq_intake *i, struct rmq_message *m,
                        bool (*offer)(void *ctx, struct rmq_message *m),
                        void *ctx) {
  m->time = i->host->wall(i->host->ctx);
  pthread_mutex_lock(&i->lock);
  m->seq = i->seq + 1;
  m->born = i->host->mono(i->host->ctx);
  bool is_taken = offer(ctx, m);
  if (is_taken)
    i->seq++;
  pthread_mutex_unlock(&i->lock);
  return is_taken;
}

/* ------------------------------------------------------------------------
 * Out */

struct rmq_mono rmq_intake_tick(struct rmq_intake *i, struct rmq_mono now) {
  pthread_mutex_lock(&i->lock);
  rmq_batches_seal_aged(i->batches, i->config.flush_interval, now);
  i->promised = rmq_batches_next_deadline(i->batches);
  i->needs_worker = false;
  struct rmq_mono next = i->promised;
  pthread_mutex_unlock(&i->lock);
  return next;
}

bool rmq_intake_flush(struct rmq_intake *i, struct rmq_dur age,
                      const struct rmq_identity *id) {
  char buffer[RMQ_RKEY_MAX + 1];
  struct rmq_mono now = i->host->mono(i->host->ctx);
  const char *key = id == NULL ? NULL : key_of(i, id, buffer);
  pthread_mutex_lock(&i->lock);
  if (key != NULL)
    rmq_batches_seal_key(i->batches, key, rmq_batches_hash(key), age, now);
  else
    rmq_batches_seal_aged(i->batches, age, now);
  bool needs_worker = take_needs_worker(i);
  pthread_mutex_unlock(&i->lock);
  return needs_worker;
}

bool rmq_intake_close(struct rmq_intake *i) {
  pthread_mutex_lock(&i->lock);
  i->is_closed = true;
  rmq_batches_seal_all(i->batches);
  bool needs_worker = take_needs_worker(i);
  pthread_mutex_unlock(&i->lock);
  return needs_worker;
}

void rmq_intake_stats(struct rmq_intake *i, struct rmq_intake_stats *ret) {
  pthread_mutex_lock(&i->lock);
  *ret = (struct rmq_intake_stats){
      .values = i->values,
      .omitted = i->omitted,
      .open_values = rmq_batches_open_values(i->batches),
      .open_batches = rmq_batches_open_count(i->batches)};
  pthread_mutex_unlock(&i->lock);
}
