/* SPDX-License-Identifier: MIT */
/* What the targets that read a broker's bytes share. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An invariant; abort is what a fuzzer understands. */
static inline void fuzz_must(bool holds) {
  if (!holds)
    abort();
}

#endif
