/* SPDX-License-Identifier: MIT */
/*
 * What a value costs on its way through the intake: 1 and 5 threads that
 * append, as collectd's write threads do, and one that takes the messages away,
 * as a worker does. Values a second, and nanoseconds of processor time a value,
 * all threads together. Reported, not judged.
 *
 * usage: intake_bench [VALUES]
 */
#include "rmq_config.h"

#include "common/role/intake.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { THREADS_MAX = 5, SERIES = 200 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct rmq_list waiting;
static atomic_bool is_over;
static uint64_t values_out;

static struct rmq_intake *intake;
static int values_each;

static struct timespec clock_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return t;
}

static int64_t ns_of(clockid_t id) {
  struct timespec t = clock_of(id);
  return (int64_t)t.tv_sec * RMQ_NS_PER_S + t.tv_nsec;
}

static struct rmq_mono host_mono(void *ctx) {
  (void)ctx;
  return (struct rmq_mono){ns_of(CLOCK_MONOTONIC)};
}
static struct rmq_wall host_wall(void *ctx) {
  (void)ctx;
  return (struct rmq_wall){ns_of(CLOCK_REALTIME)};
}

static bool accept_message(void *ctx, struct rmq_message *m) {
  (void)ctx;
  pthread_mutex_lock(&lock);
  rmq_list_push_back(&waiting, &m->node);
  pthread_mutex_unlock(&lock);
  return false;
}

static void take_some(void) {
  struct rmq_node *nodes[64];
  size_t n = 0;
  do {
    n = 0;
    pthread_mutex_lock(&lock);
    while (n < 64 && (nodes[n] = rmq_list_pop_front(&waiting)) != NULL)
      n++;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < n; i++) {
      struct rmq_message *m = RMQ_ELEMENT(nodes[i], struct rmq_message, node);
      values_out += m->values;
      rmq_message_free(m);
    }
  } while (n > 0);
}

static void *work(void *arg) {
  (void)arg;
  while (!atomic_load(&is_over)) {
    take_some();
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
  }
  take_some();
  return NULL;
}

static void *write_values(void *arg) {
  char instances[SERIES][16];
  for (int i = 0; i < SERIES; i++)
    snprintf(instances[i], sizeof(instances[i]), "%d", i);
  (void)arg;
  struct rmq_datum d = {"value", RMQ_DERIVE, {.derive = 0}};
  struct rmq_sample s = {.id = {"host.example.org", "cpu", "", "cpu", "idle"},
                         .time = {INT64_C(1700000000123000000)},
                         .interval = rmq_s(10),
                         .values = &d,
                         .values_count = 1};
  for (int i = 0; i < values_each; i++) {
    s.id.plugin_instance = instances[i % SERIES];
    d.value.derive = INT64_C(81234567) * i;
    s.time.ns += RMQ_NS_PER_MS;
    if (rmq_intake_sample(intake, &s) == RMQ_INTAKE_REFUSED)
      abort();
  }
  return NULL;
}

static void run_threads(int count) {
  pthread_t worker, threads[THREADS_MAX];
  atomic_store(&is_over, false);
  if (pthread_create(&worker, NULL, work, NULL) != 0)
    abort();
  for (int i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, write_values, NULL) != 0)
      abort();
  for (int i = 0; i < count; i++)
    pthread_join(threads[i], NULL);
  rmq_intake_close(intake);
  atomic_store(&is_over, true);
  pthread_join(worker, NULL);
}

static void measure(const struct rmq_codec *codec, const char *key,
                    size_t batch, int threads, int values) {
  const struct rmq_host host = {.mono = host_mono, .wall = host_wall};
  const struct rmq_intake_config config = {.codec = codec,
                                           .style = &rmq_codec_style_default,
                                           .routing_key = key,
                                           .batch_values = batch,
                                           .batch_bytes = 64 << 10,
                                           .max_open = 1000,
                                           .flush_interval = rmq_s(1)};
  const struct rmq_intake_sink sink = {NULL, accept_message};
  rmq_list_init(&waiting);
  values_out = 0;
  values_each = values / threads;
  intake = rmq_intake_new(&config, &sink, &host);
  if (intake == NULL)
    abort();
  int64_t begin = ns_of(CLOCK_MONOTONIC);
  int64_t cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID);
  run_threads(threads);
  cpu = ns_of(CLOCK_PROCESS_CPUTIME_ID) - cpu;
  double s = (double)(ns_of(CLOCK_MONOTONIC) - begin) / 1e9;
  rmq_intake_free(intake);
  if (values_out != (uint64_t)values_each * (uint64_t)threads)
    abort();
  printf("%-8s %-26s %4zu a message, %d threads: %8.0f values/s, %5.0f ns\n",
         codec->name, key == NULL ? "(computed key)" : key, batch, threads,
         (double)values_out / s, (double)cpu / (double)values_out);
}

int main(int argc, char **argv) {
  static const char *const keys[] = {"metrics", "collectd.%{host}.%{plugin}",
                                     NULL};
  int values = argc > 1 ? atoi(argv[1]) : 1000000;
  if (values < THREADS_MAX)
    values = THREADS_MAX;
  for (int i = 0; rmq_codec_at(i) != NULL; i++)
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
      for (int threads = 1; threads <= THREADS_MAX; threads += 4) {
        if (i > 0 && k > 0)
          continue; /* the key costs the same for all formats */
        measure(rmq_codec_at(i), keys[k], 200, threads, values);
        measure(rmq_codec_at(i), keys[k], 1, threads, values);
      }
  return 0;
}
