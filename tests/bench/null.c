/* SPDX-License-Identifier: MIT */
/*
 * null: a collectd module that takes every value and does nothing with it: the
 * limit of the daemon's own pipeline.
 *
 *   <Plugin null>
 *     Total 0            # values after which the result is written, 0: never
 *     Result "FILE"      # one JSON object: what passed between the first tenth
 *                        # of Total and the last, in seconds and in processor
 *                        # time of the whole daemon
 *   </Plugin>
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include <stdatomic.h>

/* When a certain value came. */
struct mark {
  double at_s, cpu_s;
};

static int total;
static char *result_path;
static atomic_ullong written;
static struct mark low, high; /* each written once, by whoever counts to it */
static atomic_int marked;

static double clock_s(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void result_write(void) {
  char part[4096]; /* so that nobody reads half of it */
  snprintf(part, sizeof(part), "%s.part", result_path);
  FILE *f = fopen(part, "w");
  if (f == NULL) {
    ERROR("null: cannot write %s", result_path);
    return;
  }
  double seconds = high.at_s - low.at_s;
  double values = (double)(total - 2 * (total / 10));
  fprintf(f,
          "{\"values\": %d, \"seconds\": %.6f, \"rate\": %.1f, "
          "\"cpu_us\": %.4f, \"end\": %.6f}\n",
          total, seconds, values / seconds,
          (high.cpu_s - low.cpu_s) / values * 1e6, clock_s(CLOCK_MONOTONIC));
  fclose(f);
  rename(part, result_path);
}

static void mark(struct mark *m) {
  *m = (struct mark){clock_s(CLOCK_MONOTONIC),
                     clock_s(CLOCK_PROCESS_CPUTIME_ID)};
  atomic_fetch_add(&marked, 1);
}

static int null_write(const data_set_t *ds, const value_list_t *vl,
                      user_data_t *ud) {
  (void)ds;
  (void)vl;
  (void)ud;
  unsigned long long n = atomic_fetch_add(&written, 1) + 1;
  if (total == 0)
    return 0;
  if (n == (unsigned)(total / 10))
    mark(&low);
  else if (n == (unsigned)(total - total / 10))
    mark(&high);
  else if (n == (unsigned)total && atomic_load(&marked) == 2)
    result_write();
  return 0;
}

static int null_config(oconfig_item_t *ci) {
  for (int i = 0; i < ci->children_num; i++) {
    oconfig_item_t *child = ci->children + i;
    int status = -1;
    if (strcasecmp("Total", child->key) == 0)
      status = cf_util_get_int(child, &total);
    else if (strcasecmp("Result", child->key) == 0)
      status = cf_util_get_string(child, &result_path);
    if (status != 0) {
      ERROR("null: cannot use option %s", child->key);
      return -1;
    }
  }
  if (total != 0 && (total < 10 || result_path == NULL)) {
    ERROR("null: Total needs to be 10 or more, with a Result");
    return -1;
  }
  return 0;
}

static int null_shutdown(void) {
  NOTICE("null: took %llu values", atomic_load(&written));
  return 0;
}

void module_register(void) {
  plugin_register_complex_config("null", null_config);
  plugin_register_write("null", null_write, NULL);
  plugin_register_shutdown("null", null_shutdown);
}
