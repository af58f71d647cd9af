/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/baseline_options.h"

enum { BASELINES_MAX = 1 };

#define FIELD(f) .offset = offsetof(struct rmq_baseline_options, f)

/* The defaults are those of broker/baseline.h: without the block they hold. */
const struct rmq_option rmq_baseline_option_table[] = {
    {.name = "Window",
     .type = RMQ_OPT_DURATION,
     FIELD(window),
     .default_value = "600",
     .min = 60,
     .max = 86400,
     .unit = "seconds",
     .help = "Measured time whose median is what the rate usually is"},
    {.name = "Learn",
     .type = RMQ_OPT_DURATION,
     FIELD(learn),
     .default_value = "120",
     .min = 0,
     .max = 86400,
     .unit = "seconds",
     .help = "Measured time before a drop is told"},
    {.name = "Adapt",
     .type = RMQ_OPT_DURATION,
     FIELD(adapt),
     .default_value = "3600",
     .min = 0,
     .max = 604800,
     .unit = "seconds",
     .help = "How long a drop has to last until it is what is usual"},
    {.name = "HourOfWeek",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(hour_of_week),
     .default_value = "false",
     .help = "Compare with the same hour of the weeks before instead"},
    {.name = "StateDir",
     .type = RMQ_OPT_STRING,
     FIELD(state_dir),
     .help = "Directory of the file that keeps the hours of the week; without "
             "it the daemon's base directory"},
    RMQ_OPTIONS_END};

static int check(const void *object, struct rmq_buf *errors) {
  const struct rmq_baseline_options *o = object;
  if (o->learn.ns <= o->window.ns)
    return 0;
  rmq_buf_append_text(errors, "option Learn: must not be longer than Window\n");
  return -1;
}

const struct rmq_option_block rmq_baseline_option_block = {
    .table = rmq_baseline_option_table,
    .size = sizeof(struct rmq_baseline_options),
    .max = BASELINES_MAX,
    .check = check};
