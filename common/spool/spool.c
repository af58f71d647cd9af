/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/spool/spool_private.h"

#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
  RETRY_S = 30,
  TICK_S = 1,
  BATCH_BYTES = 8 << 20, /* taken from the queue at once */
  /* So many settled rows wake the thread; fewer wait for a put or a tick. */
  SETTLED_RANGES = 1024,
  SETTLED_SEQS = 8192,
  ROOM_MARGIN = 32 * 4096 /* pages that are not full, and inner ones */
};

const char *rmq_spool_sync_to_str(enum rmq_spool_sync s) {
  switch (s) {
  case RMQ_SPOOL_SYNC_NONE:
    return "none";
  case RMQ_SPOOL_SYNC_INTERVAL:
    return "interval";
  case RMQ_SPOOL_SYNC_ALWAYS:
    return "always";
  }
  return "unknown";
}

static struct rmq_mono clock_now(const struct rmq_spool *s) {
  return s->config.host->mono(s->config.host->ctx);
}

struct rmq_spool_lane *rmq_spool_lane_of(struct rmq_spool *s,
                                         uint32_t key_hash) {
  return &s->lanes[rmq_store_lane_of(key_hash, s->config.lanes)];
}

void rmq_spool_log(const struct rmq_spool *s, enum rmq_level level,
                   const char *event, const char *format, ...) {
  const struct rmq_host *host = s->config.host;
  char text[900];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof(text), format, args);
  va_end(args);
  host->log(host->ctx, &(struct rmq_log_record){.level = level,
                                                .time = host->wall(host->ctx),
                                                .service = host->service,
                                                .plugin = s->config.plugin,
                                                .block = s->config.block,
                                                .event = event,
                                                .message = text});
}

/* ------------------------------------------------------------------------
 * Verbs, any thread */

/* Under the lock. */
static void wake(struct rmq_spool *s) {
  if (s->is_woken)
    return;
  s->is_woken = true;
  eventfd_write(s->wake_fd, 1);
}

static enum rmq_store_put queue(struct rmq_spool *s, struct rmq_message *m,
                                size_t bytes_max) {
  enum rmq_store_put answer = RMQ_STORE_TOOK;
  size_t cost = rmq_message_cost(m);
  pthread_mutex_lock(&s->lock);
  if (!s->is_usable || s->is_stopping) {
    answer = RMQ_STORE_UNUSABLE;
  } else if (s->pending_bytes > 0 && s->pending_bytes + cost > bytes_max) {
    answer = RMQ_STORE_BUSY;
  } else {
    s->pending_bytes += cost;
    if (m->seq > s->newest_seq)
      s->newest_seq = m->seq;
    rmq_list_push_back(&s->pending, &m->node);
    wake(s);
  }
  pthread_mutex_unlock(&s->lock);
  return answer;
}

/* The lane is what the key says. */
static enum rmq_store_put put(void *ctx, unsigned lane, struct rmq_message *m) {
  struct rmq_spool *s = ctx;
  (void)lane;
  return queue(s, m, s->config.pending_bytes_max);
}

/* By what the thread found when it looked last, and what waits since; a spool
 * that is of no use says so when it is asked to take m. */
static bool has_room(void *ctx, const struct rmq_message *m) {
  struct rmq_spool *s = ctx;
  pthread_mutex_lock(&s->lock);
  uint64_t wanted = s->pending_bytes + rmq_message_cost(m) + ROOM_MARGIN;
  bool has = !s->is_usable || wanted <= s->room_bytes;
  if (!has && !s->wants_room) {
    s->wants_room = true;
    wake(s);
  }
  pthread_mutex_unlock(&s->lock);
  return has;
}

static enum rmq_store_put keep(void *ctx, unsigned lane,
                               struct rmq_message *m) {
  (void)lane;
  return queue(ctx, m, SIZE_MAX);
}

static void fetch(void *ctx, unsigned lane, uint64_t after_seq,
                  size_t max_messages, size_t max_bytes) {
  struct rmq_spool *s = ctx;
  pthread_mutex_lock(&s->lock);
  s->lanes[lane].fetch = (struct rmq_spool_fetch){
      true, after_seq, max_messages > 0 ? max_messages : 1, max_bytes};
  wake(s);
  pthread_mutex_unlock(&s->lock);
}

static bool is_due(const struct rmq_spool_ranges *r) {
  return r->count >= SETTLED_RANGES || r->seqs >= SETTLED_SEQS;
}

static void settle(void *ctx, uint64_t seq) {
  struct rmq_spool *s = ctx;
  pthread_mutex_lock(&s->lock);
  /* Where it cannot be remembered, the message comes again after a restart. */
  rmq_spool_ranges_add(&s->settled, seq);
  if (is_due(&s->settled))
    wake(s);
  pthread_mutex_unlock(&s->lock);
}

static void stats(void *ctx, struct rmq_store_stats *ret) {
  struct rmq_spool *s = ctx;
  struct rmq_wall wall = s->config.host->wall(s->config.host->ctx);
  pthread_mutex_lock(&s->lock);
  *ret = s->stats;
  ret->is_usable = s->is_usable && !s->is_stopping && !s->has_vanished;
  int64_t age = wall.ns - s->oldest.ns;
  ret->oldest_age.ns = s->stats.rows == 0 ? -1 : age < 0 ? 0 : age;
  pthread_mutex_unlock(&s->lock);
}

/* ------------------------------------------------------------------------
 * The thread */

/* What others have left for it; several ranges may become one. */
static void take_settled(struct rmq_spool *s) {
  if (s->deleting.count == 0) {
    struct rmq_spool_ranges empty = s->deleting;
    s->deleting = s->settled;
    s->settled = empty;
  }
}

/* Returns what its messages count for. */
static size_t take_pending(struct rmq_spool *s) {
  size_t bytes = 0;
  while (!rmq_list_is_empty(&s->pending) && bytes < BATCH_BYTES) {
    struct rmq_node *n = rmq_list_pop_front(&s->pending);
    bytes += rmq_message_cost(RMQ_ELEMENT(n, struct rmq_message, node));
    rmq_list_push_back(&s->batch, n);
  }
  return bytes;
}

void rmq_spool_release(struct rmq_spool *s, size_t bytes) {
  pthread_mutex_lock(&s->lock);
  s->pending_bytes -= bytes;
  pthread_mutex_unlock(&s->lock);
}

/* From here on they count as what they have become. */
static void prepare_batch(struct rmq_spool *s, size_t bytes) {
  size_t prepared = 0;
  for (struct rmq_node *n = rmq_list_first(&s->batch); n != NULL;
       n = rmq_list_next(&s->batch, n)) {
    struct rmq_message *m = RMQ_ELEMENT(n, struct rmq_message, node);
    s->config.prepare(s->config.ctx, m);
    prepared += rmq_message_cost(m);
  }
  pthread_mutex_lock(&s->lock);
  s->pending_bytes = s->pending_bytes - bytes + prepared;
  pthread_mutex_unlock(&s->lock);
}

static void take_work(struct rmq_spool *s) {
  size_t bytes = 0;
  pthread_mutex_lock(&s->lock);
  s->is_woken = false;
  s->makes_room = s->wants_room;
  s->wants_room = false;
  take_settled(s);
  bool is_new = rmq_list_is_empty(&s->batch);
  if (is_new)
    bytes = take_pending(s);
  pthread_mutex_unlock(&s->lock);
  if (is_new)
    prepare_batch(s, bytes);
}

static bool can_write(const struct rmq_spool *s) {
  return s->db != NULL && !s->disk_fails;
}

static void write_work(struct rmq_spool *s, bool is_tick, struct rmq_mono now) {
  bool may_expire = is_tick && s->config.max_age.ns > 0 && s->rows > 0;
  bool has_batch = !rmq_list_is_empty(&s->batch);
  bool has_deletions = s->deleting.count > 0 &&
                       (is_tick || s->is_deleting || s->is_stopping_now ||
                        s->makes_room || is_due(&s->deleting));
  if (!can_write(s))
    rmq_spool_fail_batch(s);
  else if (has_batch || has_deletions || may_expire)
    s->is_deleting = rmq_spool_write(s, now) && s->deleting.count > 0;
}

static void answer_fetches(struct rmq_spool *s, struct rmq_mono now) {
  for (unsigned i = 0; i < s->config.lanes; i++) {
    struct rmq_spool_lane *lane = &s->lanes[i];
    pthread_mutex_lock(&s->lock);
    struct rmq_spool_fetch wanted = lane->fetch;
    lane->fetch.is_wanted = false;
    pthread_mutex_unlock(&s->lock);
    if (wanted.is_wanted)
      rmq_spool_answer(s, lane, &wanted, now);
  }
}

/* What may still be written before something has to be dropped. */
static uint64_t find_room(struct rmq_spool *s) {
  struct rmq_error ignored = {""};
  int64_t pages = 0;
  if (!can_write(s) ||
      rmq_spool_db_room(s->db, &pages, &ignored) != RMQ_SPOOL_FINE || pages < 0)
    return 0;
  return (uint64_t)pages * 4096;
}

static void publish_stats(struct rmq_spool *s) {
  struct rmq_wall oldest = {0};
  struct rmq_spool_row row;
  struct rmq_error ignored = {""};
  bool has = false;
  if (s->db != NULL && s->rows > 0 &&
      rmq_spool_db_scan(s->db, 0, INT64_MAX, &ignored) == RMQ_SPOOL_FINE) {
    if (rmq_spool_db_scan_next(s->db, &row, &has, &ignored) == RMQ_SPOOL_FINE &&
        has)
      oldest = row.accepted;
    rmq_spool_db_scan_end(s->db);
  }
  uint64_t bytes = s->db == NULL ? 0 : rmq_spool_file_bytes(&s->file);
  uint64_t room = find_room(s);
  pthread_mutex_lock(&s->lock);
  s->room_bytes = room;
  s->stats = (struct rmq_store_stats){
      .bytes = bytes, .rows = s->rows, .failures = s->failures};
  s->oldest = oldest;
  s->has_vanished = s->is_unsafe;
  pthread_mutex_unlock(&s->lock);
}

static int timeout_ms(struct rmq_mono now, struct rmq_mono deadline) {
  if (rmq_mono_reached(now, deadline))
    return 0;
  int64_t ms = (deadline.ns - now.ns + RMQ_NS_PER_MS - 1) / RMQ_NS_PER_MS;
  return ms > INT_MAX ? INT_MAX : (int)ms;
}

static void sleep_until(struct rmq_spool *s, struct rmq_mono now,
                        struct rmq_mono deadline) {
  struct pollfd fd = {.fd = s->wake_fd, .events = POLLIN};
  if (poll(&fd, 1, timeout_ms(now, deadline)) > 0) {
    eventfd_t ignored;
    eventfd_read(s->wake_fd, &ignored);
  }
}

/* Whether all that was asked for is done, or there is no time left. */
static bool is_over(struct rmq_spool *s, struct rmq_mono now) {
  pthread_mutex_lock(&s->lock);
  bool is_late = rmq_mono_reached(now, s->stop_deadline);
  bool is_done = rmq_list_is_empty(&s->pending) && s->settled.count == 0;
  pthread_mutex_unlock(&s->lock);
  is_done = is_done && rmq_list_is_empty(&s->batch);
  return is_late || (is_done && (s->deleting.count == 0 || !can_write(s)));
}

bool rmq_spool_turn(struct rmq_spool *s) {
  struct rmq_mono now = clock_now(s);
  bool is_tick = rmq_mono_reached(now, s->tick_at);
  if (is_tick) {
    rmq_spool_tick(s, now);
    s->tick_at = rmq_mono_add(now, s->config.tick_interval);
  }
  pthread_mutex_lock(&s->lock);
  s->is_stopping_now = s->is_stopping;
  pthread_mutex_unlock(&s->lock);
  take_work(s);
  write_work(s, is_tick, now);
  answer_fetches(s, now);
  publish_stats(s);
  return s->is_stopping_now && is_over(s, clock_now(s));
}

static bool is_idle(const struct rmq_spool *s) {
  return rmq_list_is_empty(&s->batch) && !s->is_deleting && !s->is_stopping_now;
}

/* What was not written in time is given back. */
static void fail_rest(struct rmq_spool *s) {
  do {
    rmq_spool_fail_batch(s);
    pthread_mutex_lock(&s->lock);
    take_pending(s);
    pthread_mutex_unlock(&s->lock);
  } while (!rmq_list_is_empty(&s->batch));
}

void rmq_spool_end(struct rmq_spool *s) {
  fail_rest(s);
  rmq_spool_db_close(s->db, /* is_good = */ !s->is_gone);
  s->db = NULL;
}

static void *run(void *arg) {
  struct rmq_spool *s = arg;
  while (!rmq_spool_turn(s))
    if (is_idle(s))
      sleep_until(s, clock_now(s), s->tick_at);
  rmq_spool_end(s);
  pthread_mutex_lock(&s->lock);
  s->has_ended = true;
  pthread_cond_signal(&s->ended);
  pthread_mutex_unlock(&s->lock);
  return NULL;
}

/* ------------------------------------------------------------------------
 * Lifecycle */

/* CLOCK_MONOTONIC for the timed wait, as the host's deadlines are. */
static int init_locks(struct rmq_spool *s) {
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0)
    return -1;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  int rc = pthread_cond_init(&s->ended, &attr);
  pthread_condattr_destroy(&attr);
  return rc == 0 && pthread_mutex_init(&s->lock, NULL) == 0 ? 0 : -1;
}

static void init_lanes(struct rmq_spool *s) {
  rmq_list_init(&s->pending);
  rmq_list_init(&s->batch);
  for (unsigned i = 0; i < s->config.lanes; i++)
    rmq_list_init(&s->lanes[i].written);
}

static void init_intervals(struct rmq_spool *s) {
  struct rmq_spool_config *c = &s->config;
  if (c->retry_interval.ns == 0)
    c->retry_interval = rmq_s(RETRY_S);
  if (c->tick_interval.ns == 0)
    c->tick_interval = rmq_s(TICK_S);
  rmq_complain_init(&s->trouble, c->retry_interval);
  rmq_complain_init(&s->vanished, c->retry_interval);
  rmq_complain_init(&s->full, c->retry_interval);
}

struct rmq_spool *rmq_spool_new(const struct rmq_spool_config *config,
                                struct rmq_error *err) {
  struct rmq_spool *s =
      calloc(1, sizeof(*s) + config->lanes * sizeof(s->lanes[0]));
  if (s == NULL || init_locks(s) != 0) {
    rmq_error_set(err, "no memory for a spool");
    free(s);
    return NULL;
  }
  s->config = *config;
  s->store = (struct rmq_store){s, put, has_room, keep, fetch, settle, stats};
  init_lanes(s);
  init_intervals(s);
  s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (s->wake_fd >= 0)
    return s;
  rmq_error_set(err, "no file descriptor for a spool");
  rmq_spool_free(s);
  return NULL;
}

void rmq_spool_attach(struct rmq_spool *s, unsigned lane,
                      const struct rmq_store_handlers *handlers) {
  s->lanes[lane].handlers = *handlers;
}

const struct rmq_store *rmq_spool_store(const struct rmq_spool *s) {
  return &s->store;
}

bool rmq_spool_open(struct rmq_spool *s, uint64_t *ret_next_seq) {
  struct rmq_mono now = clock_now(s);
  struct rmq_wall wall = s->config.host->wall(s->config.host->ctx);
  bool is_open = rmq_spool_try_open(s, now);
  /* Microseconds since 1970: more than a file can hold that counts on from 1,
   * or from the microseconds of an earlier day. */
  if (!is_open)
    s->first_seq = (uint64_t)(wall.ns / 1000);
  rmq_spool_age_init(&s->age, s->first_seq, now, wall);
  s->newest_seq = s->first_seq - 1;
  s->tick_at = rmq_mono_add(now, s->config.tick_interval);
  *ret_next_seq = s->first_seq;
  publish_stats(s);
  return is_open;
}

int rmq_spool_start(struct rmq_spool *s, struct rmq_error *err) {
  return s->config.start_thread(&s->thread, /* is_detached = */ false,
                                "rmq-spool", run, s, err);
}

void rmq_spool_stop(struct rmq_spool *s, struct rmq_mono deadline) {
  pthread_mutex_lock(&s->lock);
  s->is_stopping = true;
  s->stop_deadline = deadline;
  wake(s);
  pthread_mutex_unlock(&s->lock);
}

bool rmq_spool_join(struct rmq_spool *s, struct rmq_mono deadline) {
  struct timespec until = {.tv_sec = deadline.ns / RMQ_NS_PER_S,
                           .tv_nsec = deadline.ns % RMQ_NS_PER_S};
  int rc = 0;
  pthread_mutex_lock(&s->lock);
  while (!s->has_ended && rc == 0)
    rc = pthread_cond_timedwait(&s->ended, &s->lock, &until);
  bool has_ended = s->has_ended;
  pthread_mutex_unlock(&s->lock);
  if (has_ended)
    pthread_join(s->thread, NULL);
  else
    pthread_detach(s->thread);
  return has_ended;
}

static void free_messages(struct rmq_list *l) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(l)) != NULL)
    rmq_message_free(RMQ_ELEMENT(n, struct rmq_message, node));
}

void rmq_spool_free(struct rmq_spool *s) {
  if (s == NULL)
    return;
  rmq_spool_db_close(s->db, !s->is_gone);
  free_messages(&s->pending);
  free_messages(&s->batch);
  rmq_spool_ranges_fini(&s->settled);
  rmq_spool_ranges_fini(&s->deleting);
  if (s->wake_fd >= 0)
    close(s->wake_fd);
  pthread_cond_destroy(&s->ended);
  pthread_mutex_destroy(&s->lock);
  free(s);
}
