/* SPDX-License-Identifier: MIT */
/*
 * What the sub-commands share that ask a cluster in the monitor's way: its
 * options on the command line, beside a table of their own, and the password
 * from the environment.
 */
#ifndef RMQ_PLUGINS_WARREN_ASK_H
#define RMQ_PLUGINS_WARREN_ASK_H

#include "common/host/host_execd_args.h"
#include "common/role/role_monitor.h"

/* A sub-command with its own options; all is borrowed. */
struct warren_ask {
  const char *name;        /* "warren monitor", before each complaint */
  const char *usage;       /* first line of --help */
  const char *description; /* below it */
  const char *epilogue;    /* last part of --help */
  const struct rmq_option *table;
  void *object;           /* what the table fills */
  const bool *wants_help; /* in object */
  bool has_probe;         /* takes --probe */
  bool has_blocks;        /* takes --probe, --alert and --baseline */
  int usage_status;       /* exit status after wrong arguments */
};

/* Fills object and config, whose tables' options are initialized here; both are
 * the caller's to rmq_options_fini, whatever is returned. The interval is 0
 * unless it is given. An exit status where one is due at once (--help, an
 * error, which is on standard error then), else -1. */
int warren_ask_read(const struct warren_ask *ask,
                    struct rmq_role_monitor_config *config, int argc,
                    char *const *argv);

/* What runs beside the samples of a short-lived command: begins the probe and
 * waits for its verdict. 0, or -1 with the error on standard error. */
int warren_ask_start(const struct warren_ask *ask,
                     struct rmq_role_monitor *role);
/* Ends it and frees role. A thread that does not end takes the process with it,
 * which then exits with status. */
void warren_ask_stop(struct rmq_role_monitor *role, int status);

/* A host with this machine's clocks whose log and samples go to ctx. Nobody
 * hears its events: a short-lived command has no Alert blocks. */
struct rmq_host
warren_ask_host(void *ctx,
                void (*log)(void *ctx, const struct rmq_log_record *record),
                int (*sample)(void *ctx, const struct rmq_sample *sample));

/* The record as a line on standard error, in the form that config asks for. */
void warren_ask_print(const struct rmq_role_monitor_config *config,
                      const struct rmq_log_record *record);

/* A line on standard error. */
void warren_ask_complain(const struct warren_ask *ask, const char *text);

#endif
