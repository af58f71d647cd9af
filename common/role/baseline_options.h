/* SPDX-License-Identifier: MIT */
/*
 * The block <Baseline> of the monitor: what the publish rate is compared with.
 */
#ifndef RMQ_ROLE_BASELINE_OPTIONS_H
#define RMQ_ROLE_BASELINE_OPTIONS_H

#include "common/base/options.h"

struct rmq_baseline_options {
  struct rmq_dur window, learn, adapt;
  bool hour_of_week;
  char *state_dir; /* NULL = the daemon's base directory */
};
extern const struct rmq_option rmq_baseline_option_table[];
/* For the row of the options that the block stands in. */
extern const struct rmq_option_block rmq_baseline_option_block;

#endif
