/* SPDX-License-Identifier: MIT */
/*
 * The command warren: the same jobs as collectd's modules, behind standard
 * input and output.
 */
#include "rmq_config.h"

#include "plugins/warren.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct command {
  const char *name;
  int (*run)(int argc, char *const *argv);
  const char *help;
};

static const struct command commands[] = {
    {"check", warren_check,
     "one indicator as a plugin for Nagios and Icinga: line and exit status"},
    {"consume", warren_consume,
     "messages to standard output or to commands, acknowledged when done"},
    {"drill", warren_drill,
     "one fault on purpose: whether indicator and alert come and go"},
    {"monitor", warren_monitor,
     "what a RabbitMQ cluster says about itself, for agents and scripts"},
    {"publish", warren_publish,
     "standard input to RabbitMQ, line by line, with confirms"},
    {"spool", warren_spool,
     "what waits on the disk for a stopped daemon: list it, export it"},
    {"status", warren_status,
     "what is wrong with a cluster, for a person: once, or again and again"},
    {NULL, NULL, NULL}};

static void print_usage(FILE *to) {
  fprintf(to, "usage: warren COMMAND [OPTIONS]\n"
              "       warren COMMAND --help\n"
              "       warren --version\n\ncommands:\n");
  for (const struct command *c = commands; c->name != NULL; c++)
    fprintf(to, "  %-10s %s\n", c->name, c->help);
}

/* A reader that goes away is an error of write, not a death. */
static void ignore_broken_pipes(void) {
  struct sigaction ignore = {.sa_handler = SIG_IGN};
  sigemptyset(&ignore.sa_mask);
  sigaction(SIGPIPE, &ignore, NULL);
}

/* What is opened later would else take the place of a standard descriptor that
 * is closed, and get, or be read as, somebody's messages. Opened the wrong way
 * round, so that using it is an error. */
static int fill_closed_descriptors(void) {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
    int way = fd == STDIN_FILENO ? O_WRONLY : O_RDONLY;
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", way) != fd)
      return -1;
  }
  return 0;
}

int main(int argc, char **argv) {
  const char *name = argc > 1 ? argv[1] : "";
  if (fill_closed_descriptors() != 0)
    return WARREN_EXIT_FAILED;
  ignore_broken_pipes();
  if (strcmp(name, "--version") == 0) {
    printf("warren %s\n", RMQ_VERSION);
    return WARREN_EXIT_OK;
  }
  if (strcmp(name, "--help") == 0) {
    print_usage(stdout);
    return WARREN_EXIT_OK;
  }
  for (const struct command *c = commands; c->name != NULL; c++)
    if (strcmp(c->name, name) == 0)
      return c->run(argc - 1, argv + 1);
  if (name[0] != '\0')
    fprintf(stderr, "E! warren: there is no command \"%s\"\n", name);
  print_usage(stderr);
  return WARREN_EXIT_USAGE;
}
