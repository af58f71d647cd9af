/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_gate.h"

/* Of values: how often the thread that hands out looks at the writers. */
enum { LOOK_EVERY = 16 };

int rmq_gate_init(struct rmq_gate *g, const struct rmq_host *host,
                  struct rmq_dur rest) {
  pthread_condattr_t attr;
  *g = (struct rmq_gate){.host = host, .rest = rest};
  if (pthread_condattr_init(&attr) != 0)
    return -1;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  int rc = pthread_cond_init(&g->called, &attr);
  pthread_condattr_destroy(&attr);
  if (rc != 0)
    return -1;
  if (pthread_mutex_init(&g->lock, NULL) == 0)
    return 0;
  pthread_cond_destroy(&g->called);
  return -1;
}

void rmq_gate_fini(struct rmq_gate *g) {
  pthread_cond_destroy(&g->called);
  pthread_mutex_destroy(&g->lock);
}

/* Below 0: values came back that begin was not told of. */
static int64_t on_their_way(const struct rmq_gate *g) {
  return (int64_t)(atomic_load(&g->passed) - atomic_load(&g->back));
}

static void call_one(struct rmq_gate *g) {
  pthread_mutex_lock(&g->lock);
  pthread_cond_signal(&g->called);
  pthread_mutex_unlock(&g->lock);
}

/* One is called where no other one is at work, as far as can be seen. */
static void look(struct rmq_gate *g) {
  uint64_t back = atomic_load(&g->back);
  if (back == g->seen_back && atomic_load(&g->resting) > 0 &&
      on_their_way(g) >= RMQ_GATE_ENOUGH)
    call_one(g);
  g->seen_back = back;
}

void rmq_gate_begin(struct rmq_gate *g, int64_t on_their_way) {
  g->closes_at = g->of_message < RMQ_GATE_FREE ? RMQ_GATE_FREE : 1;
  g->of_message = 0;
  g->is_counted = on_their_way >= 0;
  if (!g->is_counted)
    return;
  g->seen_back = atomic_load(&g->back);
  atomic_store(&g->passed, g->seen_back + (uint64_t)on_their_way);
}

void rmq_gate_pass(struct rmq_gate *g) {
  if (!g->is_counted)
    return;
  atomic_fetch_add(&g->passed, 1);
  if (++g->of_message == g->closes_at)
    atomic_store(&g->is_closed, true);
  if (g->of_message % LOOK_EVERY == 0)
    look(g);
}

/* Who is at work goes on; but with few left, it may be about to rest without
 * having seen this, and nobody else would come. */
void rmq_gate_end(struct rmq_gate *g) {
  if (!atomic_exchange(&g->is_closed, false))
    return;
  bool is_at_work = atomic_load(&g->back) != g->seen_back;
  if (atomic_load(&g->resting) > 0 &&
      (!is_at_work || on_their_way(g) < RMQ_GATE_FEW))
    call_one(g);
}

static bool may_rest(const struct rmq_gate *g) {
  if (!atomic_load(&g->is_closed))
    return false;
  int64_t left = on_their_way(g);
  return left >= 0 && left < RMQ_GATE_FEW;
}

static struct timespec latest(const struct rmq_gate *g) {
  struct rmq_mono end = rmq_mono_add(g->host->mono(g->host->ctx), g->rest);
  return (struct timespec){.tv_sec = end.ns / RMQ_NS_PER_S,
                           .tv_nsec = end.ns % RMQ_NS_PER_S};
}

/* Once, and not again if it was called for nothing: back to the host, which may
 * have other things to write. */
static void rest(struct rmq_gate *g) {
  struct timespec until = latest(g);
  pthread_mutex_lock(&g->lock);
  atomic_fetch_add(&g->resting, 1);
  if (may_rest(g)) { /* still, now that it is known that somebody rests */
    atomic_fetch_add(&g->rests, 1);
    pthread_cond_timedwait(&g->called, &g->lock, &until);
  }
  atomic_fetch_sub(&g->resting, 1);
  pthread_mutex_unlock(&g->lock);
}

void rmq_gate_back(struct rmq_gate *g) {
  atomic_fetch_add(&g->back, 1);
  if (may_rest(g))
    rest(g);
}
