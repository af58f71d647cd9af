/* SPDX-License-Identifier: MIT */
/*
 * The terminal on standard output: what it can show, and a second screen for
 * what is drawn again and again, which is left on every way out that a process
 * can see.
 */
#ifndef RMQ_PLUGINS_WARREN_SCREEN_H
#define RMQ_PLUGINS_WARREN_SCREEN_H

#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>

bool warren_screen_is_terminal(void);
/* Colours are welcome: a terminal that is not dumb, and no NO_COLOR. */
bool warren_screen_wants_colour(void);
/* The locale's characters are UTF-8. */
bool warren_screen_is_utf8(void);
/* Of the terminal now; 0 where that is not known. */
void warren_screen_size(size_t *ret_columns, size_t *ret_rows);

/* The second screen, until leave or the end of the process by SIGINT, SIGTERM,
 * SIGHUP or SIGQUIT; SIGTSTP leaves it until SIGCONT. */
void warren_screen_enter(void);
void warren_screen_leave(void);
/* Replaces what is shown. 0, or -1 when the terminal is gone. */
int warren_screen_draw(const char *text);
/* Waits; false when the size has changed, or we were stopped, meanwhile: draw
 * again, then wait for what is left. */
bool warren_screen_wait(struct rmq_mono due);

#endif
