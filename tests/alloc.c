/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/alloc.h"

#include <stdbool.h>
#include <stddef.h>

static bool is_armed;
static bool has_failed;
static unsigned left;

void alloc_fail_after(unsigned n) {
  is_armed = true;
  has_failed = false;
  left = n;
}

int alloc_fail_never(void) {
  is_armed = false;
  return has_failed;
}

static bool fails_now(void) {
  if (!is_armed || left-- > 0)
    return false;
  is_armed = false;
  has_failed = true;
  return true;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n) { return fails_now() ? NULL : __real_malloc(n); }

void *__wrap_calloc(size_t n, size_t size) {
  return fails_now() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n) {
  return fails_now() ? NULL : __real_realloc(p, n);
}
