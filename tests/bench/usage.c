/* SPDX-License-Identifier: MIT */
/*
 * usage OUT COMMAND...: runs a command with its standard output in a file and
 * prints what it took as one JSON object. A program of its own, since a process
 * inherits the largest size of the one that it was forked from.
 */
#include "rmq_config.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_s(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double to_ms(struct timeval t) {
  return (double)t.tv_sec * 1e3 + (double)t.tv_usec * 1e-3;
}

static void run(const char *out, char *const *command) {
  int fd = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
  if (fd < 0 || dup2(fd, STDOUT_FILENO) < 0)
    _exit(126);
  close(fd);
  execv(command[0], command);
  _exit(127);
}

int main(int argc, char **argv) {
  struct rusage used;
  int status = 0;
  if (argc < 3)
    return 2;
  double began = now_s();
  pid_t pid = fork();
  if (pid == 0)
    run(argv[1], argv + 2);
  if (pid < 0 || wait4(pid, &status, 0, &used) != pid)
    return 1;
  printf("{\"seconds\": %.6f, \"cpu_ms\": %.3f, \"rss_kb\": %ld, "
         "\"status\": %d}\n",
         now_s() - began, to_ms(used.ru_utime) + to_ms(used.ru_stime),
         used.ru_maxrss, WIFEXITED(status) ? WEXITSTATUS(status) : -1);
  return 0;
}
