/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_consume.h"

#include "tests/testing.h"

enum { WORDS_MAX = 8 };

struct row {
  char *words[WORDS_MAX]; /* behind the name of the queue */
  double want_give_up_s;
};

static double give_up_s(char *const *words) {
  static char name[] = "consume", queue[] = "--queue=q";
  char *argv[WORDS_MAX + 2] = {name, queue};
  struct warren_consume_args a = {.cli = {.name = NULL}};
  int argc = 2;
  for (; words[argc - 2] != NULL; argc++)
    argv[argc] = words[argc - 2];
  assert_int_equal(warren_consume_args_read(&a, argc, argv), -1);
  double seconds = rmq_dur_seconds(a.cli.give_up_after);
  warren_consume_args_fini(&a);
  return seconds;
}

/* A daemon waits for its broker for ever; what has an end, a minute. */
static void who_wants_an_end_gives_up_by_default(void **state) {
  (void)state;
  static char count[] = "--count=1", drain[] = "--drain=5s",
              never[] = "--give-up-after=0", soon[] = "--give-up-after=500ms";
  const struct row rows[] = {
      {{NULL}, 0},
      {{count, NULL}, 60},
      {{drain, NULL}, 60},
      {{drain, never, NULL}, 0},
      {{never, count, NULL}, 0},
      {{count, soon, NULL}, 0.5},
      {{soon, NULL}, 0.5},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    assert_true(give_up_s(rows[i].words) == rows[i].want_give_up_s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_wants_an_end_gives_up_by_default),
  };
  return run_all(tests);
}
