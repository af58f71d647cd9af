/* SPDX-License-Identifier: MIT */
/*
 * What warren consume does with messages: writes them to standard output, or
 * hands each to a command. Both are driven by the main thread, which waits for
 * their descriptors and never in them.
 */
#ifndef RMQ_PLUGINS_WARREN_OUTLET_H
#define RMQ_PLUGINS_WARREN_OUTLET_H

#include "plugins/warren_basket.h"
#include "plugins/warren_voice.h"

#include "common/base/rmqtime.h"
#include "common/role/role_consume.h"

#include <poll.h>
#include <signal.h>

/* Where messages come from and their ends go to; all is borrowed. */
struct warren_source {
  struct warren_basket *basket;
  struct rmq_role_consume *role;
  const struct warren_voice *voice;
};

struct warren_outlet {
  void *ctx;
  /* Does what can be done without waiting. -1: it cannot go on, and has said
   * why on standard error; what is not done stays unsettled. */
  int (*work)(void *ctx, struct rmq_mono now);
  /* Descriptors that are worth a call of work, at most max, and by when it is
   * due in any case. */
  size_t (*wait_for)(void *ctx, struct pollfd *fds, size_t max,
                     struct rmq_mono *due);
  /* Whether nothing is in hand. */
  bool (*is_idle)(const void *ctx);
  /* Commands that have failed. NULL = there are none. */
  uint64_t (*failed)(const void *ctx);
  /* Nothing new is begun; what was not begun goes back. */
  void (*stop)(void *ctx);
  /* The end: what is still in hand goes back. NULL ctx is fine. */
  void (*free)(void *ctx);
};

enum { WARREN_OUTLET_FDS = 1024 };

struct warren_writer_config {
  struct warren_source source;
  int fd;
  bool syncs; /* the file, before a message counts as written */
};
/* False with err. */
bool warren_writer_open(const struct warren_writer_config *config,
                        struct warren_outlet *ret_outlet,
                        struct rmq_error *err);

struct warren_exec_config {
  struct warren_source source;
  char *const *argv; /* of the command, NULL-terminated */
  size_t parallel;
  struct rmq_dur timeout; /* 0 = none */
  enum rmq_on_failure on_failure;
  sigset_t mask; /* of the command: ours before it was changed */
};
bool warren_exec_open(const struct warren_exec_config *config,
                      struct warren_outlet *ret_outlet, struct rmq_error *err);

/* Everything that waits in the basket goes back to its queue. */
void warren_outlet_leave_all(const struct warren_source *source);

#endif
