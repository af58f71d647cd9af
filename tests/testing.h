/* SPDX-License-Identifier: MIT */
/*
 * What every unit test includes: cmocka in the order it wants, TAP output, and
 * the seed of property tests.
 */
#ifndef RMQ_TESTS_TESTING_H
#define RMQ_TESTS_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Names the row of a table that the next assertions are about; shown as a TAP
 * diagnostic in the log, which is read when a row fails. */
#define SHOW_ROW(...)                                                          \
  do {                                                                         \
    printf("#   ");                                                            \
    printf(__VA_ARGS__);                                                       \
    printf("\n");                                                              \
  } while (0)

/* PROP_SEED from the environment, or the given one; printed, so that a failure
 * can be replayed. */
static inline uint64_t property_seed(uint64_t otherwise) {
  const char *text = getenv("PROP_SEED");
  uint64_t seed = text == NULL ? otherwise : strtoull(text, NULL, 0);
  printf("# PROP_SEED=%" PRIu64 "\n", seed);
  return seed;
}

/* PROP_ONE_IN=n has one in n of so many rounds done, where each takes long:
 * under valgrind. 1 without it. */
static inline unsigned property_one_in(void) {
  const char *text = getenv("PROP_ONE_IN");
  unsigned n = text == NULL ? 1 : (unsigned)strtoul(text, NULL, 0);
  return n == 0 ? 1 : n;
}
static inline unsigned property_rounds(unsigned all) {
  unsigned n = all / property_one_in();
  return n == 0 ? 1 : n;
}

#define run_all(tests)                                                         \
  (cmocka_set_message_output(CM_OUTPUT_TAP),                                   \
   cmocka_run_group_tests(tests, NULL, NULL))

#endif
