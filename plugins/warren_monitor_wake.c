/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_monitor_wake.h"

#include "common/host/host_clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Signals come in as bytes; any thread may be the one that gets them. Those
 * that end the command have a pipe of their own, whose bytes stay. */
static int set_pipe[2] = {-1, -1}, end_pipe[2] = {-1, -1};
static volatile sig_atomic_t end_patience_s;

static void take_signal(int number) {
  int saved = errno;
  char byte = (char)number;
  bool is_end = number == SIGTERM || number == SIGINT;
  if (end_patience_s > 0 && is_end)
    alarm((unsigned)end_patience_s);
  /* A full pipe has enough in it. */
  (void)!write(is_end ? end_pipe[1] : set_pipe[1], &byte, 1);
  errno = saved;
}

static void give_up(int number) {
  (void)number;
  _exit(EXIT_FAILURE);
}

int warren_wake_init(unsigned patience_s) {
  static const int numbers[] = {SIGHUP, SIGUSR1, SIGUSR2, SIGTERM, SIGINT};
  struct sigaction action = {.sa_handler = take_signal, .sa_flags = SA_RESTART};
  const struct sigaction last = {.sa_handler = give_up};
  end_patience_s = (sig_atomic_t)patience_s;
  if (patience_s > 0 && sigaction(SIGALRM, &last, NULL) != 0)
    return -1;
  if (pipe2(set_pipe, O_CLOEXEC | O_NONBLOCK) != 0 ||
      pipe2(end_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    return -1;
  sigemptyset(&action.sa_mask);
  for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
    if (sigaction(numbers[i], &action, NULL) != 0)
      return -1;
  return 0;
}

int warren_wake_get_end(void) { return end_pipe[0]; }

bool warren_wake_has_end(void) {
  struct pollfd end = {.fd = end_pipe[0], .events = POLLIN};
  return poll(&end, 1, 0) > 0;
}

void warren_wake_fini(void) {
  end_patience_s = 0;
  alarm(0);
}

static void read_signals(void) {
  char bytes[64];
  while (read(set_pipe[0], bytes, sizeof(bytes)) > 0)
    continue;
}

/* True when there is something to do about it, which is *ret_wake. Lines that
 * have come meanwhile are read at once. */
static bool read_input(enum warren_input input, enum warren_wake *ret_wake) {
  char bytes[4096];
  ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));
  if (n < 0 && (errno == EINTR || errno == EAGAIN))
    return false;
  if (n > 0 &&
      (input != WARREN_INPUT_LINES || memchr(bytes, '\n', (size_t)n) == NULL))
    return false;
  *ret_wake = n > 0    ? WARREN_WAKE_SET
              : n == 0 ? WARREN_WAKE_END
                       : WARREN_WAKE_FAILED;
  return true;
}

/* Milliseconds until due, -1 for ever. */
static int time_left(const struct rmq_mono *due) {
  if (due == NULL)
    return -1;
  struct rmq_dur left = rmq_mono_since(*due, rmq_host_mono(NULL));
  int64_t ms = left.ns <= 0 ? 0 : left.ns / RMQ_NS_PER_MS + 1;
  return ms > 60000 ? 60000 : (int)ms;
}

enum warren_wake warren_wake_wait(enum warren_input input,
                                  const struct rmq_mono *due) {
  for (;;) {
    enum warren_wake wake = WARREN_WAKE_SET;
    struct pollfd fds[3] = {{.fd = end_pipe[0], .events = POLLIN},
                            {.fd = set_pipe[0], .events = POLLIN},
                            {.fd = STDIN_FILENO, .events = POLLIN}};
    int ms = time_left(due);
    /* Also when a set is due: where each is late, nothing else would be seen.
     */
    int n = poll(fds, input == WARREN_INPUT_IGNORED ? 2 : 3, ms);
    if (n > 0 && fds[0].revents != 0)
      return WARREN_WAKE_END;
    if (n > 0 && fds[1].revents != 0) {
      read_signals();
      return WARREN_WAKE_SET;
    }
    if (n > 0 && fds[2].revents != 0 && read_input(input, &wake))
      return wake;
    if (ms == 0)
      return WARREN_WAKE_SET;
  }
}
