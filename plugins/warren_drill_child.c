/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_drill_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif
#include <sys/wait.h>
#include <unistd.h>

enum {
  PATH_BYTES_MAX = 512,
  NOT_RUN = 127 /* exit status of the shell's, too */
};

/* In the child, between fork and exec: only what is safe there. */
static void become(const char *dir, char *const *env, const char *const *argv,
                   int in, int out, pid_t parent) {
  sigset_t none;
#ifdef __linux__
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
    _exit(NOT_RUN);
#endif
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  if (getppid() != parent || setsid() < 0 || chdir(dir) != 0 ||
      dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
      dup2(out, STDERR_FILENO) < 0)
    _exit(NOT_RUN);
  /* exec's prototype is older than const. */
  execvpe(argv[0], (char *const *)(uintptr_t)argv, env);
  _exit(NOT_RUN);
}

int warren_drill_child_start(const char *dir, char *const *env,
                             const char *const *argv, const char *output,
                             pid_t *ret_pid, struct rmq_error *err) {
  char path[PATH_BYTES_MAX], why[128];
  snprintf(path, sizeof(path), "%s/%s", dir, output);
  int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  pid_t parent = getpid(), pid = in >= 0 && out >= 0 ? fork() : -1;
  if (pid == 0)
    become(dir, env, argv, in, out, parent);
  if (pid < 0)
    rmq_error_set(err, "%s: %s", argv[0], strerror_r(errno, why, sizeof(why)));
  if (in >= 0)
    close(in);
  if (out >= 0)
    close(out);
  if (pid < 0)
    return -1;
  *ret_pid = pid;
  return 0;
}

void warren_drill_child_end(pid_t *pid) {
  if (*pid == 0)
    return;
  kill(-*pid, SIGKILL);
  kill(*pid, SIGKILL);
  while (waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
    ;
  *pid = 0;
}

bool warren_drill_child_has_ended(pid_t *pid, int *ret_status) {
  if (*pid != 0 && waitpid(*pid, ret_status, WNOHANG) == *pid)
    *pid = 0;
  return *pid == 0;
}
