/* SPDX-License-Identifier: MIT */
/*
 * The sub-commands of warren. Each gets its own arguments (argv[0] is its name)
 * and returns the exit status of the process.
 */
#ifndef RMQ_PLUGINS_WARREN_H
#define RMQ_PLUGINS_WARREN_H

enum warren_exit {
  WARREN_EXIT_OK = 0,        /* end of standard input, or done */
  WARREN_EXIT_FAILED = 1,    /* could not start, or standard output is gone */
  WARREN_EXIT_USAGE = 2,     /* wrong arguments */
  WARREN_EXIT_NO_ANSWER = 3, /* --once: the cluster did not answer */
  WARREN_EXIT_LOCKED = 3     /* spool: a running daemon has the file */
};

/* Its statuses are those of Nagios plugins: 0 to 3, enum rmq_verdict_state. */
int warren_check(int argc, char *const *argv);
int warren_consume(int argc, char *const *argv);
int warren_drill(int argc, char *const *argv);
int warren_monitor(int argc, char *const *argv);
int warren_publish(int argc, char *const *argv);
int warren_spool(int argc, char *const *argv);
/* Its statuses are those of warren_check. */
int warren_status(int argc, char *const *argv);

#endif
