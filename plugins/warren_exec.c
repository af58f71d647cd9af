/* SPDX-License-Identifier: MIT */
/*
 * Messages to commands: one process each, in a process group of its own, the
 * body on its standard input, properties in its environment.
 */
#include "rmq_config.h"

#include "plugins/warren_outlet.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum {
  EX_TEMPORARY = 75, /* sysexits.h: EX_TEMPFAIL */
  GRACE_S = 2        /* between SIGTERM and SIGKILL */
};

struct slot {
  pid_t pid;                /* 0 = free */
  struct warren_item *item; /* in hand */
  int input;                /* -1 = closed */
  struct rmq_mono due;      /* of the timeout, then of SIGKILL */
  bool is_late, is_killed;
};

struct exec {
  struct warren_exec_config config;
  struct slot *slots;
  bool is_stopping;
  uint64_t failed; /* commands */
};

/* ---- the start ---- */

static bool is_ours(const char *variable) {
  return strncmp(variable, "WARREN_", strlen("WARREN_")) == 0 ||
         strncmp(variable, "TRACEPARENT=", strlen("TRACEPARENT=")) == 0;
}

/* Our own environment without what is ours (the password), and the message's.
 * An array to free, of borrowed texts. */
static char **environment_of(const struct warren_item *i) {
  size_t count = 0, texts = 0;
  char *bytes = rmq_buf_bytes(&i->environment);
  while (environ[count] != NULL)
    count++;
  for (size_t at = 0; at < i->environment.len; at++)
    texts += bytes[at] == '\0';
  char **made = calloc(count + texts + 1, sizeof(*made));
  if (made == NULL)
    return NULL;
  size_t n = 0;
  for (size_t k = 0; k < count; k++)
    if (!is_ours(environ[k]))
      made[n++] = environ[k];
  for (size_t at = 0; at < i->environment.len; at += strlen(bytes + at) + 1)
    made[n++] = bytes + at;
  return made;
}

static int set_attributes(posix_spawnattr_t *a, const sigset_t *mask) {
  sigset_t all;
  sigfillset(&all);
  short flags =
      POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  return posix_spawnattr_setflags(a, flags) == 0 &&
                 posix_spawnattr_setpgroup(a, 0) == 0 &&
                 posix_spawnattr_setsigmask(a, mask) == 0 &&
                 posix_spawnattr_setsigdefault(a, &all) == 0
             ? 0
             : -1;
}

/* errno's number, or 0. */
static int spawn(const struct exec *e, const struct warren_item *i, int input,
                 pid_t *ret_pid) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  char **env = environment_of(i);
  if (env == NULL)
    return ENOMEM;
  int rc = posix_spawn_file_actions_init(&actions);
  if (rc != 0 || (rc = posix_spawnattr_init(&attributes)) != 0) {
    free(env);
    return rc;
  }
  rc = posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  if (rc == 0 && set_attributes(&attributes, &e->config.mask) != 0)
    rc = ENOMEM;
  if (rc == 0)
    rc = posix_spawnp(ret_pid, e->config.argv[0], &actions, &attributes,
                      e->config.argv, env);
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  free(env);
  return rc;
}

/* -1: the command cannot be run at all, which is no fault of the message. */
static int begin(struct exec *e, struct slot *s, struct warren_item *i,
                 struct rmq_mono now) {
  int ends[2];
  int rc = pipe2(ends, O_CLOEXEC) == 0 ? 0 : errno;
  if (rc == 0) {
    rc = spawn(e, i, ends[0], &s->pid);
    close(ends[0]);
    if (rc != 0)
      close(ends[1]);
  }
  if (rc != 0) {
    char why[128];
    warren_say(e->config.source.voice, RMQ_LOG_ERROR, "not_run",
               "\"%s\" cannot be run: %s", e->config.argv[0],
               strerror_r(rc, why, sizeof(why)));
    s->pid = 0;
    return -1;
  }
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  s->item = i;
  s->input = ends[1];
  s->is_late = s->is_killed = false;
  s->due = e->config.timeout.ns > 0 ? rmq_mono_add(now, e->config.timeout)
                                    : RMQ_NEVER;
  return 0;
}

/* ---- while it runs ---- */

/* A command need not read all of it, or any. */
static void feed(struct slot *s) {
  struct rmq_buf *b = &s->item->bytes;
  while (s->input >= 0 && b->len > 0) {
    ssize_t n = write(s->input, rmq_buf_bytes(b), b->len);
    if (n < 0 && errno == EAGAIN)
      return;
    if (n < 0 && errno == EINTR)
      continue;
    rmq_buf_consume(b, n < 0 ? b->len : (size_t)n);
  }
  if (s->input >= 0)
    close(s->input);
  s->input = -1;
}

static void hurry(struct slot *s, struct rmq_mono now) {
  if (!rmq_mono_reached(now, s->due) || s->is_killed)
    return;
  kill(-s->pid, s->is_late ? SIGKILL : SIGTERM);
  s->is_killed = s->is_late;
  s->is_late = true;
  s->due = s->is_killed ? RMQ_NEVER : rmq_mono_add(now, rmq_s(GRACE_S));
}

/* ---- the end ---- */

static void say_end(const struct slot *s, int status, char *ret_text,
                    size_t size) {
  if (s->is_late)
    snprintf(ret_text, size, "the command did not end in time");
  else if (WIFSIGNALED(status))
    snprintf(ret_text, size, "the command was ended by signal %d",
             WTERMSIG(status));
  else
    snprintf(ret_text, size, "the command ended with status %d",
             WEXITSTATUS(status));
}

static void settle(struct exec *e, struct slot *s, int status) {
  struct rmq_role_consume *role = e->config.source.role;
  if (!s->is_late && WIFEXITED(status) && WEXITSTATUS(status) == 0) {
    rmq_role_consume_written(role, s->item->ticket);
    return;
  }
  bool is_temporary =
      !s->is_late && WIFEXITED(status) && WEXITSTATUS(status) == EX_TEMPORARY;
  struct rmq_message_failure f = {.ticket = s->item->ticket,
                                  .policy = is_temporary ? RMQ_FAILURE_REQUEUE
                                                         : e->config.on_failure,
                                  .is_bad = !is_temporary};
  char how[64];
  say_end(s, status, how, sizeof(how));
  snprintf(f.about, sizeof(f.about), "%s: %.180s", how, s->item->about);
  rmq_role_consume_message_failed(role, &f);
  e->failed++;
}

static void release(struct slot *s) {
  if (s->input >= 0)
    close(s->input);
  warren_item_free(s->item);
  *s = (struct slot){.input = -1};
}

/* What a command that was late has left behind in its group goes with it, as
 * long as its number is still its own. */
static bool reap(struct slot *s, int *ret_status) {
  siginfo_t info = {.si_pid = 0};
  if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
      info.si_pid == 0)
    return false;
  if (s->is_late)
    kill(-s->pid, SIGKILL);
  return waitpid(s->pid, ret_status, 0) == s->pid;
}

static void tend(struct exec *e, struct slot *s, struct rmq_mono now) {
  int status = 0;
  feed(s);
  hurry(s, now);
  if (!reap(s, &status))
    return;
  settle(e, s, status);
  release(s);
}

static int fill(struct exec *e, struct slot *s, struct rmq_mono now) {
  if (s->pid != 0 || e->is_stopping)
    return 0;
  struct warren_item *i = warren_basket_pop(e->config.source.basket);
  if (i == NULL)
    return 0;
  if (begin(e, s, i, now) != 0) {
    rmq_role_consume_message_left(e->config.source.role, i->ticket);
    warren_item_free(i);
    return -1;
  }
  feed(s);
  return 0;
}

static int work(void *ctx, struct rmq_mono now) {
  struct exec *e = ctx;
  for (size_t k = 0; k < e->config.parallel; k++)
    if (e->slots[k].pid != 0)
      tend(e, &e->slots[k], now);
  for (size_t k = 0; k < e->config.parallel; k++)
    if (fill(e, &e->slots[k], now) != 0)
      return -1;
  return 0;
}

static size_t wait_for(void *ctx, struct pollfd *fds, size_t max,
                       struct rmq_mono *due) {
  const struct exec *e = ctx;
  size_t n = 0;
  for (size_t k = 0; k < e->config.parallel; k++) {
    const struct slot *s = &e->slots[k];
    if (s->pid == 0)
      continue;
    *due = rmq_mono_min(*due, s->due);
    if (s->input >= 0 && n < max)
      fds[n++] = (struct pollfd){.fd = s->input, .events = POLLOUT};
  }
  return n;
}

static bool is_idle(const void *ctx) {
  const struct exec *e = ctx;
  for (size_t k = 0; k < e->config.parallel; k++)
    if (e->slots[k].pid != 0)
      return false;
  return true;
}

static uint64_t failed(const void *ctx) {
  const struct exec *e = ctx;
  return e->failed;
}

static void stop(void *ctx) {
  struct exec *e = ctx;
  e->is_stopping = true;
  warren_outlet_leave_all(&e->config.source);
}

static void free_exec(void *ctx) {
  struct exec *e = ctx;
  if (e == NULL)
    return;
  for (size_t k = 0; k < e->config.parallel; k++) {
    struct slot *s = &e->slots[k];
    if (s->pid == 0)
      continue;
    kill(-s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    rmq_role_consume_message_left(e->config.source.role, s->item->ticket);
    release(s);
  }
  warren_outlet_leave_all(&e->config.source);
  free(e->slots);
  free(e);
}

bool warren_exec_open(const struct warren_exec_config *config,
                      struct warren_outlet *ret_outlet, struct rmq_error *err) {
  struct exec *e = calloc(1, sizeof(*e));
  struct slot *slots = calloc(config->parallel, sizeof(*slots));
  if (e == NULL || slots == NULL) {
    rmq_error_set(err, "no memory");
    free(e);
    free(slots);
    return false;
  }
  e->config = *config;
  e->slots = slots;
  for (size_t k = 0; k < config->parallel; k++)
    slots[k].input = -1;
  *ret_outlet = (struct warren_outlet){.ctx = e,
                                       .work = work,
                                       .wait_for = wait_for,
                                       .is_idle = is_idle,
                                       .failed = failed,
                                       .stop = stop,
                                       .free = free_exec};
  return true;
}
