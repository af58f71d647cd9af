/* SPDX-License-Identifier: MIT */
/*
 * Memory runs out when a test says so. For programs that are linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc ($(LDFLAGS_OF_ALLOC)).
 */
#ifndef RMQ_TESTS_ALLOC_H
#define RMQ_TESTS_ALLOC_H

/* The next n allocations succeed, the one after them fails, and those behind it
 * succeed again. */
void alloc_fail_after(unsigned n);
/* No more failures. Returns whether the announced one has happened. */
int alloc_fail_never(void);

#endif
