/* SPDX-License-Identifier: MIT */
/* Signals to this process, and a pipe in the place of standard input. */
#include "rmq_config.h"

#include "plugins/warren_monitor_wake.h"

#include "tests/testing.h"

#include "common/host/host_clock.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int input; /* where the other end of standard input is written */

static int set_up(void **state) {
  int fds[2];
  (void)state;
  assert_int_equal(warren_wake_init(0), 0); /* without an end before */
  assert_int_equal(pipe(fds), 0);
  assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
  close(fds[0]);
  input = fds[1];
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  if (input >= 0)
    close(input);
  return 0;
}

static void type(const char *text) {
  assert_int_equal(write(input, text, strlen(text)), strlen(text));
}

static void end_input(void) {
  close(input);
  input = -1;
}

/* A set is due at once, so that nothing here waits. */
static enum warren_wake wait_due(enum warren_input kind) {
  struct rmq_mono due = rmq_host_mono(NULL);
  return warren_wake_wait(kind, &due);
}

static void each_signal_of_telegraf_asks_for_one_set(void **state) {
  static const int numbers[] = {SIGHUP, SIGUSR1, SIGUSR2};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(numbers); i++) {
    SHOW_ROW("signal %d", numbers[i]);
    raise(numbers[i]);
    assert_int_equal(warren_wake_wait(WARREN_INPUT_LINES, NULL),
                     WARREN_WAKE_SET);
  }
}

static void an_end_among_other_signals_is_the_end(void **state) {
  static const int numbers[] = {SIGTERM, SIGINT};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(numbers); i++) {
    SHOW_ROW("signal %d", numbers[i]);
    assert_int_equal(warren_wake_init(0), 0);
    raise(SIGHUP);
    raise(numbers[i]);
    raise(SIGUSR1);
    assert_int_equal(warren_wake_wait(WARREN_INPUT_LINES, NULL),
                     WARREN_WAKE_END);
  }
}

static bool is_readable(int fd) {
  struct pollfd one = {.fd = fd, .events = POLLIN};
  return poll(&one, 1, 0) == 1;
}

/* Whoever makes a set sees it there, and what follows sees it again. */
static void an_end_stays_to_be_read_and_a_set_is_none(void **state) {
  (void)state;
  raise(SIGHUP);
  assert_false(warren_wake_has_end());
  assert_false(is_readable(warren_wake_get_end()));
  raise(SIGTERM);
  for (int i = 0; i < 2; i++) {
    assert_true(warren_wake_has_end());
    assert_true(is_readable(warren_wake_get_end()));
    assert_int_equal(warren_wake_wait(WARREN_INPUT_LINES, NULL),
                     WARREN_WAKE_END);
  }
}

/* Where each set is late, one is always due. */
static void a_set_that_is_due_hides_no_end(void **state) {
  (void)state;
  assert_int_equal(wait_due(WARREN_INPUT_END), WARREN_WAKE_SET);
  raise(SIGTERM);
  assert_int_equal(wait_due(WARREN_INPUT_IGNORED), WARREN_WAKE_END);
  end_input();
  assert_int_equal(wait_due(WARREN_INPUT_END), WARREN_WAKE_END);
}

static void lines_that_have_come_meanwhile_are_one_set(void **state) {
  (void)state;
  type("\n\nnow\n");
  assert_int_equal(warren_wake_wait(WARREN_INPUT_LINES, NULL), WARREN_WAKE_SET);
  end_input();
  assert_int_equal(warren_wake_wait(WARREN_INPUT_LINES, NULL), WARREN_WAKE_END);
}

static void what_is_no_line_asks_for_nothing(void **state) {
  (void)state;
  type("half of it");
  end_input();
  assert_int_equal(warren_wake_wait(WARREN_INPUT_LINES, NULL), WARREN_WAKE_END);
}

static void input_that_is_not_looked_at_ends_nothing(void **state) {
  (void)state;
  end_input();
  assert_int_equal(wait_due(WARREN_INPUT_IGNORED), WARREN_WAKE_SET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(each_signal_of_telegraf_asks_for_one_set),
      TEST(an_end_among_other_signals_is_the_end),
      TEST(an_end_stays_to_be_read_and_a_set_is_none),
      TEST(a_set_that_is_due_hides_no_end),
      TEST(lines_that_have_come_meanwhile_are_one_set),
      TEST(what_is_no_line_asks_for_nothing),
      TEST(input_that_is_not_looked_at_ends_nothing),
  };
  return run_all(tests);
}
