/* SPDX-License-Identifier: MIT */
/*
 * What warren monitor waits for: a line on standard input, one of Telegraf's
 * signals (SIGHUP, SIGUSR1, SIGUSR2), a time, or the end.
 */
#ifndef RMQ_PLUGINS_WARREN_MONITOR_WAKE_H
#define RMQ_PLUGINS_WARREN_MONITOR_WAKE_H

#include "common/base/rmqtime.h"

#include <stdbool.h>

enum warren_wake {
  WARREN_WAKE_SET,   /* write one; how often it was asked for meanwhile does
                        not matter */
  WARREN_WAKE_END,   /* standard input has ended, or SIGTERM or SIGINT came */
  WARREN_WAKE_FAILED /* standard input cannot be read */
};

enum warren_input {
  WARREN_INPUT_LINES,  /* each asks for a set; the end of it ends the command */
  WARREN_INPUT_END,    /* only its end is looked for */
  WARREN_INPUT_IGNORED /* not looked at */
};

/* From here on no signal of those kills the process; but so many seconds after
 * SIGTERM or SIGINT it exits with 1, whatever it hangs in: 0 = never. -1 with
 * errno. */
int warren_wake_init(unsigned patience_s);
/* Something can be read from this descriptor from the first SIGTERM or SIGINT
 * on; it is not to be read. */
int warren_wake_get_end(void);
bool warren_wake_has_end(void);
/* What is still to be done has a bound of its own: no exit with 1 any more. */
void warren_wake_fini(void);
/* due NULL = no time of its own. */
enum warren_wake warren_wake_wait(enum warren_input input,
                                  const struct rmq_mono *due);

#endif
