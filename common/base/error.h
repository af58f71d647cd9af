/* SPDX-License-Identifier: MIT */
/*
 * One error text, filled by the first function that fails. Callers above may
 * prepend where they were; nobody overwrites the cause. No secret is ever put
 * into it.
 */
#ifndef RMQ_BASE_ERROR_H
#define RMQ_BASE_ERROR_H

#include <stdbool.h>

struct rmq_error {
  char text[512]; /* empty = no error */
};

/* Does nothing when an error is already recorded, or when e is NULL. Returns
 * -1, so that a failing function can `return rmq_error_set(...)`. */
int rmq_error_set(struct rmq_error *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
#ifdef __clang_analyzer__
/* The analyzer reads one file at a time; it has to know the result. */
#define rmq_error_set(...) (rmq_error_set(__VA_ARGS__), -1)
#endif
bool rmq_error_is_set(const struct rmq_error *e);
void rmq_error_clear(struct rmq_error *e);

#endif
