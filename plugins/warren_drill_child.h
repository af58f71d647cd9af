/* SPDX-License-Identifier: MIT */
/*
 * The processes of a private broker: each in a session of its own, since ^C is
 * for us, who end it. They die with this process. One thread.
 */
#ifndef RMQ_PLUGINS_WARREN_DRILL_CHILD_H
#define RMQ_PLUGINS_WARREN_DRILL_CHILD_H

#include "common/base/error.h"

#include <stdbool.h>
#include <sys/types.h>

/* In dir, with that environment and no other; output: the file in dir to which
 * what it says is appended. 0, or -1 with err. */
int warren_drill_child_start(const char *dir, char *const *env,
                             const char *const *argv, const char *output,
                             pid_t *ret_pid, struct rmq_error *err);
/* Sets *pid to 0 when it has; 0 has ended, too. ret_status: of wait,
 * untouched otherwise; may be NULL. */
bool warren_drill_child_has_ended(pid_t *pid, int *ret_status);
/* Kills it and whatever it has started in its session. */
void warren_drill_child_end(pid_t *pid);

#endif
