/* SPDX-License-Identifier: MIT */
/*
 * loadgen: a collectd module that dispatches uniquely numbered values, so that
 * a receiver can count losses, duplicates and order exactly.
 *
 *   <Plugin loadgen>
 *     Total 100000       # values to dispatch, once
 *     First 0            # number of the first one
 *     Series 1000        # value i belongs to plugin_instance "s<i % Series>"
 *     Rate 0             # values per second, 0: as fast as collectd takes them
 *     Burst 0            # so many values at full speed before Rate rules
 *     Resume "FILE"      # after the burst, wait until this exists
 *     Ahead 0            # most values dispatched and not yet written, 0: any;
 *                        # loaded last, this is what a writer has not taken
 *     Delay 0.5          # seconds after init
 *     Threads 1          # dispatching threads; only with Target more than one
 *     Notifications 0    # dispatched after the values
 *     Target "x/y"       # call this write callback directly and time each call
 *     Result "FILE"      # one JSON object, written when all is dispatched,
 *                        # with Ahead when all is written
 *   </Plugin>
 *
 * What is sent follows from the options, so nobody has to write it down:
 * value i is loadgen.example.org/loadgen-s<i % Series>/gauge-n with value i
 * and the time at which loadgen began plus 10 ms * (i / Series).
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include <stdatomic.h>

enum { THREADS_MAX = 16 };

static int total = 100000;
static int first;
static int series = 1000;
static int thread_count = 1;
static int notification_count;
static int burst;
static int ahead;
static double rate;
static double delay_s = 0.5;
static char *resume;
static char *target;
static char *result_path;

static cdtime_t begin_time;
static double begin_s;
static double burst_end_s; /* dispatched */
static double burst_written_s;
static atomic_int written;
static atomic_int next_number;
static atomic_int threads_running;
static uint32_t *call_ns; /* how long each call of Target took */
static pthread_t threads[THREADS_MAX];

static double monotonic_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void sleep_s(double s) {
  struct timespec t = {.tv_sec = (time_t)s,
                       .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)};
  while (nanosleep(&t, &t) != 0)
    ;
}

static void burst_end(void) {
  while (ahead > 0 && atomic_load(&written) < burst)
    sleep_s(0.001);
  NOTICE("loadgen: the burst of %d values is written", burst);
  while (resume != NULL && access(resume, F_OK) != 0)
    sleep_s(0.01);
  burst_end_s = monotonic_s();
}

static void keep_pace(int sent) {
  while (ahead > 0 && sent - atomic_load(&written) >= ahead)
    sleep_s(0.001);
  if (sent == burst)
    burst_end();
  if (rate <= 0 || sent <= burst)
    return;
  double early = burst_end_s + (double)(sent - burst) / rate - monotonic_s();
  if (early > 0.001)
    sleep_s(early);
}

static void value_fill(value_list_t *vl, value_t *value, int i) {
  value->gauge = first + i;
  vl->values = value;
  vl->values_len = 1;
  vl->time = begin_time + MS_TO_CDTIME_T(10) * (cdtime_t)(i / series);
  vl->interval = TIME_T_TO_CDTIME_T(10);
  sstrncpy(vl->host, "loadgen.example.org", sizeof(vl->host));
  sstrncpy(vl->plugin, "loadgen", sizeof(vl->plugin));
  snprintf(vl->plugin_instance, sizeof(vl->plugin_instance), "s%d", i % series);
  sstrncpy(vl->type, "gauge", sizeof(vl->type));
  sstrncpy(vl->type_instance, "n", sizeof(vl->type_instance));
}

static void target_call(const data_set_t *ds, const value_list_t *vl, int i) {
  double t = monotonic_s();
  plugin_write(target, ds, vl);
  call_ns[i] = (uint32_t)((monotonic_s() - t) * 1e9);
}

static void notifications_dispatch(void) {
  for (int i = 0; i < notification_count; i++) {
    notification_t n = {.severity = NOTIF_WARNING, .time = cdtime()};
    sstrncpy(n.host, "loadgen.example.org", sizeof(n.host));
    sstrncpy(n.plugin, "loadgen", sizeof(n.plugin));
    snprintf(n.message, sizeof(n.message), "notification number %d", i);
    plugin_dispatch_notification(&n);
  }
}

static int number_compare(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return (x > y) - (x < y);
}

static double percentile_us(double p) {
  return call_ns[(size_t)((double)(total - 1) * p)] / 1000.0;
}

static void result_write(double seconds) {
  FILE *f = result_path ? fopen(result_path, "w") : NULL;
  if (f == NULL)
    return;
  fprintf(f, "{\"dispatched\": %d, \"seconds\": %.6f", total, seconds);
  if (ahead > 0)
    fprintf(f, ", \"begin\": %.6f, \"burst_written\": %.6f, \"end\": %.6f",
            begin_s, burst_written_s, monotonic_s());
  if (target != NULL) {
    qsort(call_ns, (size_t)total, sizeof(*call_ns), number_compare);
    fprintf(f, ", \"p50_us\": %.3f, \"p95_us\": %.3f", percentile_us(0.50),
            percentile_us(0.95));
    fprintf(f, ", \"p99_us\": %.3f, \"max_us\": %.3f", percentile_us(0.99),
            percentile_us(1));
  }
  fputs("}\n", f);
  fclose(f);
}

static void *generate(void *arg) {
  (void)arg;
  const data_set_t *ds = plugin_get_ds("gauge");
  for (;;) {
    int i = atomic_fetch_add(&next_number, 1);
    if (i >= total)
      break;
    value_t value;
    value_list_t vl = VALUE_LIST_INIT;
    value_fill(&vl, &value, i);
    if (target != NULL)
      target_call(ds, &vl, i);
    else
      plugin_dispatch_values(&vl);
    keep_pace(i + 1);
  }
  if (atomic_fetch_sub(&threads_running, 1) > 1)
    return NULL;
  double seconds = monotonic_s() - begin_s;
  while (ahead > 0 && atomic_load(&written) < total)
    sleep_s(0.001);
  notifications_dispatch();
  result_write(seconds);
  NOTICE("loadgen: dispatched %d values in %.3f s", total, seconds);
  return NULL;
}

static void *wait_and_generate(void *arg) {
  sleep_s(delay_s);
  begin_time = cdtime();
  begin_s = burst_end_s = monotonic_s();
  for (int i = 1; i < thread_count; i++)
    plugin_thread_create(&threads[i], generate, NULL, "loadgen");
  return generate(arg);
}

static int count_write(const data_set_t *ds, const value_list_t *vl,
                       user_data_t *ud) {
  (void)ds;
  (void)ud;
  if (strcmp(vl->plugin, "loadgen") == 0 &&
      atomic_fetch_add(&written, 1) + 1 == burst)
    burst_written_s = monotonic_s();
  return 0;
}

static int loadgen_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++) {
    oconfig_item_t *child = ci->children + i;
    int status = -1;
    if (strcasecmp("Total", child->key) == 0)
      status = cf_util_get_int(child, &total);
    else if (strcasecmp("First", child->key) == 0)
      status = cf_util_get_int(child, &first);
    else if (strcasecmp("Series", child->key) == 0)
      status = cf_util_get_int(child, &series);
    else if (strcasecmp("Rate", child->key) == 0)
      status = cf_util_get_double(child, &rate);
    else if (strcasecmp("Burst", child->key) == 0)
      status = cf_util_get_int(child, &burst);
    else if (strcasecmp("Resume", child->key) == 0)
      status = cf_util_get_string(child, &resume);
    else if (strcasecmp("Ahead", child->key) == 0)
      status = cf_util_get_int(child, &ahead);
    else if (strcasecmp("Delay", child->key) == 0)
      status = cf_util_get_double(child, &delay_s);
    else if (strcasecmp("Threads", child->key) == 0)
      status = cf_util_get_int(child, &thread_count);
    else if (strcasecmp("Notifications", child->key) == 0)
      status = cf_util_get_int(child, &notification_count);
    else if (strcasecmp("Target", child->key) == 0)
      status = cf_util_get_string(child, &target);
    else if (strcasecmp("Result", child->key) == 0)
      status = cf_util_get_string(child, &result_path);
    if (status != 0) {
      ERROR("loadgen: cannot use option %s", child->key);
      return -1;
    }
  }
  if (total < 1 || series < 1 || thread_count < 1 ||
      thread_count > THREADS_MAX) {
    ERROR("loadgen: Total, Series or Threads out of range");
    return -1;
  }
  return 0;
}

static int loadgen_init(void) {
  if (target != NULL) {
    call_ns = calloc((size_t)total, sizeof(*call_ns));
    if (call_ns == NULL)
      return -1;
  }
  if (ahead > 0)
    plugin_register_write("loadgen", count_write, NULL);
  atomic_store(&threads_running, thread_count);
  return plugin_thread_create(&threads[0], wait_and_generate, NULL, "loadgen");
}

void module_register(void) {
  plugin_register_complex_config("loadgen", loadgen_config);
  plugin_register_init("loadgen", loadgen_init);
}
