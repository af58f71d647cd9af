/* SPDX-License-Identifier: MIT */
/*
 * Memory that runs out when a test says so. A test that includes this is linked
 * with $(LDFLAGS_OF_ALLOC), which sends every allocation of our code through
 * here (not those inside of libraries).
 */
#ifndef RMQ_TESTS_ALLOC_H
#define RMQ_TESTS_ALLOC_H

#include <malloc.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* The allocation with this number fails, counted from 1; 0 = none does. Atomic:
 * code under test allocates in several threads. */
static _Atomic size_t alloc_fails_at;
static _Atomic size_t alloc_count;
/* Sees each block just before it is freed; NULL = nobody does. */
static void (*alloc_on_free)(const char *block, size_t size);

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *block);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t max);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *block);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t max);

static inline void alloc_fail_at(size_t number) {
  alloc_fails_at = number;
  alloc_count = 0;
}
/* Allocations work again; true when one had failed. */
static inline bool alloc_works_again(void) {
  bool has_failed = alloc_fails_at != 0 && alloc_count >= alloc_fails_at;
  alloc_fails_at = 0;
  return has_failed;
}

static inline bool alloc_fails_now(void) {
  return ++alloc_count == alloc_fails_at;
}

void *__wrap_malloc(size_t size) {
  return alloc_fails_now() ? NULL : __real_malloc(size);
}
void *__wrap_calloc(size_t count, size_t size) {
  return alloc_fails_now() ? NULL : __real_calloc(count, size);
}
void *__wrap_realloc(void *old, size_t size) {
  return alloc_fails_now() ? NULL : __real_realloc(old, size);
}
void __wrap_free(void *block) {
  if (block != NULL && alloc_on_free != NULL)
    alloc_on_free(block, malloc_usable_size(block));
  __real_free(block);
}
char *__wrap_strdup(const char *text) {
  return alloc_fails_now() ? NULL : __real_strdup(text);
}
char *__wrap_strndup(const char *text, size_t max) {
  return alloc_fails_now() ? NULL : __real_strndup(text, max);
}

#endif
