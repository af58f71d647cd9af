/* SPDX-License-Identifier: MIT */
/*
 * null: a collectd module that takes every value and does nothing with it: the
 * limit of the daemon's own pipeline. No options; loadgen reports when the
 * last value was written.
 */
#include "rmq_config.h"

#include "common/host/collectd_api.h"

#include <stdatomic.h>

static atomic_ullong written;

static int null_write(const data_set_t *ds, const value_list_t *vl,
                      user_data_t *ud) {
  (void)ds;
  (void)vl;
  (void)ud;
  atomic_fetch_add(&written, 1);
  return 0;
}

static int null_shutdown(void) {
  NOTICE("null: took %llu values", atomic_load(&written));
  return 0;
}

void module_register(void) {
  plugin_register_write("null", null_write, NULL);
  plugin_register_shutdown("null", null_shutdown);
}
