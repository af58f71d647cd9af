/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/error.h"

#include <stdarg.h>
#include <stdio.h>

/* In brackets for the sake of the macro that the analyzer sees. */
int(rmq_error_set)(struct rmq_error *e, const char *format, ...) {
  if (e == NULL || rmq_error_is_set(e))
    return -1;
  va_list args;
  va_start(args, format);
  vsnprintf(e->text, sizeof(e->text), format, args);
  va_end(args);
  return -1;
}

bool rmq_error_is_set(const struct rmq_error *e) { return e->text[0] != '\0'; }

void rmq_error_clear(struct rmq_error *e) { e->text[0] = '\0'; }
