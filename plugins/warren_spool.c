/* SPDX-License-Identifier: MIT */
/*
 * warren spool: what waits on the disk for a stopped daemon.
 */
#include "rmq_config.h"

#include "plugins/warren.h"

#include "common/role/role_spool.h"

#include <stdio.h>
#include <string.h>

static const char usage[] = "usage: warren spool ls DIRECTORY|FILE\n"
                            "       warren spool export DIRECTORY|FILE\n"
                            "       warren spool --help\n";

static const char help[] =
    "\nShows what rabbitmq_publish has left in its SpoolDir, of one file or "
    "of\n"
    "all in a directory. The daemon must be stopped; nothing is changed.\n\n"
    "  ls      one line per file: messages, values, bytes of the files, times\n"
    "          (UTC) at which the oldest and the newest message were "
    "accepted,\n"
    "          name, the routing keys with the most messages\n"
    "  export  every message, oldest first, as one JSON object per line; a\n"
    "          body that is compressed or no text is in body_base64\n\n"
    "Exit status: 0 all was read, 1 something could not be read or standard\n"
    "output is gone, 2 wrong arguments, 3 a running daemon has a file "
    "locked.\n";

static int write_stdout(void *ctx, const char *bytes, size_t len) {
  (void)ctx;
  return fwrite(bytes, 1, len, stdout) == len ? 0 : -1;
}

static void complain(void *ctx, const char *text) {
  (void)ctx;
  fflush(stdout); /* in the order in which it happened */
  fprintf(stderr, "E! warren spool: %s\n", text);
}

static int status_of(enum rmq_role_spool_result result) {
  if (fflush(stdout) != 0)
    return WARREN_EXIT_FAILED;
  switch (result) {
  case RMQ_ROLE_SPOOL_DONE:
    return WARREN_EXIT_OK;
  case RMQ_ROLE_SPOOL_LOCKED:
    return WARREN_EXIT_LOCKED;
  case RMQ_ROLE_SPOOL_FAILED:
    return WARREN_EXIT_FAILED;
  }
  return WARREN_EXIT_FAILED;
}

int warren_spool(int argc, char *const *argv) {
  const struct rmq_role_spool_sink sink = {NULL, write_stdout, complain};
  for (int i = 1; i < argc; i++)
    if (strcmp(argv[i], "--help") == 0) {
      printf("%s%s", usage, help);
      return WARREN_EXIT_OK;
    }
  if (argc == 3 && argv[2][0] != '-' && strcmp(argv[1], "ls") == 0)
    return status_of(rmq_role_spool_list(argv[2], &sink));
  if (argc == 3 && argv[2][0] != '-' && strcmp(argv[1], "export") == 0)
    return status_of(rmq_role_spool_export(argv[2], &sink));
  fputs(usage, stderr);
  return WARREN_EXIT_USAGE;
}
