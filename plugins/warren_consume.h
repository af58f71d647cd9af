/* SPDX-License-Identifier: MIT */
/*
 * The arguments of warren consume.
 */
#ifndef RMQ_PLUGINS_WARREN_CONSUME_H
#define RMQ_PLUGINS_WARREN_CONSUME_H

#include "common/role/consume_print.h"
#include "common/role/role_consume.h"

/* What only the command has. */
struct warren_consume_cli {
  char *name, *exec, *types_db;
  int output; /* enum rmq_print_form */
  bool null, sync, help;
  int64_t count, parallel; /* count 0 = any number */
  struct rmq_dur drain, timeout;
  struct rmq_dur give_up_after; /* 0 = never */
  int on_failure;               /* enum rmq_on_failure, not QUARANTINE */
};

struct warren_consume_args {
  struct warren_consume_cli cli;
  struct rmq_consume_options options;
  /* Of --exec with what stands behind "--", NULL-terminated and owned, its
   * texts borrowed; NULL without --exec. */
  char **command;
};

/* An exit status where one is due at once (--help, an error, which is on
 * standard error then), else -1. To be given to _fini in any case. */
int warren_consume_args_read(struct warren_consume_args *a, int argc,
                             char *const *argv);
void warren_consume_args_fini(struct warren_consume_args *a);

#endif
