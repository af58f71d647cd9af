/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_screen.h"

#include "common/host/host_clock.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* The second screen and no cursor; back again. */
static const char enter_text[] = "\033[?1049h\033[?25l\033[2J\033[H";
static const char leave_text[] = "\033[0m\033[?25h\033[?1049l";

static volatile sig_atomic_t has_changed;

bool warren_screen_is_terminal(void) { return isatty(STDOUT_FILENO) == 1; }

bool warren_screen_wants_colour(void) {
  const char *no_colour = getenv("NO_COLOR");
  const char *term = getenv("TERM");
  return warren_screen_is_terminal() &&
         (no_colour == NULL || no_colour[0] == '\0') && term != NULL &&
         strcmp(term, "dumb") != 0;
}

/* Without a change of the process's locale: numbers stay as they are. */
bool warren_screen_is_utf8(void) {
  locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
  if (locale == (locale_t)0)
    return false;
  bool is_utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
  freelocale(locale);
  return is_utf8;
}

void warren_screen_size(size_t *ret_columns, size_t *ret_rows) {
  struct winsize size;
  *ret_columns = *ret_rows = 0;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) {
    *ret_columns = size.ws_col;
    *ret_rows = size.ws_row;
  }
}

/* ---- signals: nothing but write, kill and sigaction in the handlers ---- */

static void put(const char *text, size_t len) {
  ssize_t n = write(STDOUT_FILENO, text, len);
  (void)n;
}

/* The default action follows, which is in place again (SA_RESETHAND). */
static void on_end(int signal) {
  put(leave_text, sizeof(leave_text) - 1);
  kill(getpid(), signal);
}

static void on_stop(int signal) {
  int saved = errno;
  (void)signal;
  put(leave_text, sizeof(leave_text) - 1);
  kill(getpid(), SIGSTOP);
  put(enter_text, sizeof(enter_text) - 1);
  has_changed = 1;
  errno = saved;
}

static void on_resize(int signal) {
  (void)signal;
  has_changed = 1;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigemptyset(&action.sa_mask);
  sigaction(signal, &action, NULL);
}

void warren_screen_enter(void) {
  static const int ends[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
    handle(ends[i], on_end, (int)SA_RESETHAND);
  handle(SIGTSTP, on_stop, SA_RESTART);
  handle(SIGWINCH, on_resize, 0);
  put(enter_text, sizeof(enter_text) - 1);
}

void warren_screen_leave(void) { put(leave_text, sizeof(leave_text) - 1); }

/* ---- drawing ---- */

/* Line over line, so that nothing flickers; the rest of each is cleared. */
int warren_screen_draw(const char *text) {
  fputs("\033[H", stdout);
  while (*text != '\0') {
    size_t len = strcspn(text, "\n");
    bool is_last = text[len] == '\0' || text[len + 1] == '\0';
    fwrite(text, 1, len, stdout);
    fputs(is_last ? "\033[K" : "\033[K\r\n", stdout);
    text += len + (text[len] == '\n' ? 1 : 0);
  }
  fputs("\033[J", stdout);
  return fflush(stdout) == 0 ? 0 : -1;
}

bool warren_screen_wait(struct rmq_mono due) {
  for (;;) {
    struct rmq_dur left = rmq_mono_since(due, rmq_host_mono(NULL));
    int64_t ms = left.ns / RMQ_NS_PER_MS + 1;
    if (has_changed) {
      has_changed = 0;
      return false;
    }
    if (left.ns <= 0)
      return true;
    poll(NULL, 0, ms > 1000 ? 1000 : (int)ms);
  }
}
