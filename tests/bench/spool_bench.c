/* SPDX-License-Identifier: MIT */
/*
 * How fast the spool is: rows written, then read and settled, per mode and size
 * of a row, through its thread as the publisher uses it. Prints a table.
 *
 * usage: spool_bench [DIRECTORY]   on the disk that is to be measured
 */
#include "rmq_config.h"

#include "common/amqp/thread.h"
#include "common/host/host_clock.h"
#include "common/spool/spool.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TOTAL_BYTES = 256 << 20, PENDING_BYTES = 8 << 20, ASK = 512 };

static struct bench {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  const struct rmq_store *store;
  uint64_t stored, fetched, through;
  bool is_fetching;
} bench = {.lock = PTHREAD_MUTEX_INITIALIZER,
           .changed = PTHREAD_COND_INITIALIZER};

static void stored(void *ctx, struct rmq_list *messages) {
  struct bench *b = ctx;
  pthread_mutex_lock(&b->lock);
  b->stored += messages->count;
  pthread_cond_signal(&b->changed);
  pthread_mutex_unlock(&b->lock);
}

static void fetched(void *ctx, struct rmq_list *messages, uint64_t through) {
  struct bench *b = ctx;
  struct rmq_node *n;
  uint64_t count = messages->count;
  while ((n = rmq_list_pop_front(messages)) != NULL) {
    struct rmq_message *m = RMQ_ELEMENT(n, struct rmq_message, node);
    b->store->settle(b->store->ctx, m->seq);
    rmq_message_free(m);
  }
  pthread_mutex_lock(&b->lock);
  b->fetched += count;
  b->through = through;
  b->is_fetching = false;
  pthread_cond_signal(&b->changed);
  pthread_mutex_unlock(&b->lock);
}

static void failed(void *ctx, struct rmq_list *messages) {
  (void)ctx;
  (void)messages;
  fprintf(stderr, "the disk refuses\n");
  exit(1);
}

static void lost(void *ctx, const struct rmq_store_lost *l) {
  (void)ctx;
  fprintf(stderr, "%" PRIu64 " lost: %s\n", l->tally.messages,
          rmq_store_loss_to_str(l->why));
  exit(1);
}

static void recovered(void *ctx, struct rmq_store_tally t) {
  (void)ctx;
  (void)t;
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  snprintf(m->id, sizeof(m->id), "0123456789abcdef0123456789abcdef:%" PRIu64,
           m->seq);
  m->content_type = "application/json";
}

static void print_line(void *ctx, const struct rmq_log_record *r) {
  (void)ctx;
  fprintf(stderr, "%s\n", r->message);
}

static double now_s(void) { return (double)rmq_host_mono(NULL).ns * 1e-9; }

static void put_all(struct bench *b, size_t size, uint64_t count) {
  char *body = malloc(size);
  memset(body, 'x', size);
  for (uint64_t seq = 1; seq <= count; seq++) {
    struct rmq_message *m = rmq_message_new("collectd", body, size);
    m->seq = seq;
    m->time = rmq_host_wall(NULL);
    while (b->store->put(b->store->ctx, 0, m) != RMQ_STORE_TOOK) {
      pthread_mutex_lock(&b->lock);
      uint64_t before = b->stored;
      while (b->stored == before && b->stored < seq - 1)
        pthread_cond_wait(&b->changed, &b->lock);
      pthread_mutex_unlock(&b->lock);
    }
  }
  free(body);
  pthread_mutex_lock(&b->lock);
  while (b->stored < count)
    pthread_cond_wait(&b->changed, &b->lock);
  pthread_mutex_unlock(&b->lock);
}

static void fetch_all(struct bench *b, uint64_t count) {
  while (b->fetched < count) {
    b->is_fetching = true;
    b->store->fetch(b->store->ctx, 0, b->through, ASK, 8 << 20);
    pthread_mutex_lock(&b->lock);
    while (b->is_fetching)
      pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
  }
}

static long rss_kib(void) {
  struct rusage u;
  getrusage(RUSAGE_SELF, &u);
  return u.ru_maxrss;
}

static void run(const char *dir, const struct rmq_host *host,
                enum rmq_spool_sync sync, size_t size) {
  struct rmq_error err = {""};
  uint64_t next, count = TOTAL_BYTES / (size + 100), bytes = count * size;
  struct rmq_spool_config config = {.dir = dir,
                                    .plugin = "bench",
                                    .block = "bench",
                                    .max_bytes = UINT64_C(1) << 30,
                                    .sync = sync,
                                    .lanes = 1,
                                    .pending_bytes_max = PENDING_BYTES,
                                    .host = host,
                                    .prepare = prepare,
                                    .start_thread = rmq_thread_start};
  struct rmq_store_handlers h = {&bench, stored, fetched,
                                 failed, lost,   recovered};
  bench.stored = bench.fetched = bench.through = 0;
  struct rmq_spool *s = rmq_spool_new(&config, &err);
  rmq_spool_attach(s, 0, &h);
  bench.store = rmq_spool_store(s);
  if (!rmq_spool_open(s, &next) || rmq_spool_start(s, &err) != 0)
    exit(1);
  double start = now_s();
  put_all(&bench, size, count);
  double put = now_s() - start;
  start = now_s();
  fetch_all(&bench, count);
  double get = now_s() - start;
  start = now_s();
  struct rmq_mono deadline = rmq_mono_add(rmq_host_mono(NULL), rmq_s(60));
  rmq_spool_stop(s, deadline);
  if (!rmq_spool_join(s, deadline))
    exit(1);
  double stop = now_s() - start;
  rmq_spool_free(s);
  printf("%-8s %6zu B  put %9.0f rows/s %7.1f MB/s  fetch+settle %9.0f rows/s"
         " %7.1f MB/s  stop %.2f s  peak %ld MiB\n",
         rmq_spool_sync_to_str(sync), size, (double)count / put,
         (double)bytes / put / 1e6, (double)count / get,
         (double)bytes / get / 1e6, stop, rss_kib() / 1024);
  fflush(stdout);
}

int main(int argc, char **argv) {
  static const size_t sizes[] = {300, 16000};
  char dir[256], path[300];
  struct rmq_host host = {.service = "warren",
                          .hostname = "here",
                          .log = print_line,
                          .mono = rmq_host_mono,
                          .wall = rmq_host_wall,
                          .random = rmq_host_random};
  snprintf(dir, sizeof(dir), "%s/spool_bench.XXXXXX",
           argc > 1 ? argv[1] : "/tmp");
  if (mkdtemp(dir) == NULL) {
    perror(dir);
    return 1;
  }
  snprintf(path, sizeof(path), "%s/bench.spool", dir);
  for (int sync = RMQ_SPOOL_SYNC_NONE; sync <= RMQ_SPOOL_SYNC_ALWAYS; sync++)
    for (size_t i = 0; i < 2; i++) {
      run(dir, &host, (enum rmq_spool_sync)sync, sizes[i]);
      unlink(path);
    }
  rmdir(dir);
  return 0;
}
