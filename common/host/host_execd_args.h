/* SPDX-License-Identifier: MIT */
/*
 * Command lines from option tables: --url URL, --url=URL, --verify-peer or
 * --verify-peer=false, spelled as the module's options in kebab-case, and the
 * --help that the same rows give.
 */
#ifndef RMQ_HOST_EXECD_ARGS_H
#define RMQ_HOST_EXECD_ARGS_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/options.h"

/* One table with the struct that it fills. */
struct rmq_execd_options {
  const char *title; /* of its part of --help */
  const struct rmq_option *table;
  void *object;
};

/* Secrets are never taken from an argument, since every user of the machine
 * can read those; nor are the rows in not_here (NULL-terminated names), which
 * make no sense on a command line. */
struct rmq_execd_args {
  const char *usage;                       /* first line of --help */
  const char *description;                 /* what stands below it */
  const struct rmq_execd_options *options; /* ends with a NULL table */
  const char *const *not_here;
  bool has_blocks;      /* a block is an argument: see host_execd_block.h */
  const char *epilogue; /* last part of --help */
};

/* Sets what the arguments say; argv[0] is not looked at. 0, or -1 with err. */
int rmq_execd_parse(const struct rmq_execd_args *args, int argc,
                    char *const *argv, struct rmq_error *err);
void rmq_execd_help(const struct rmq_execd_args *args, struct rmq_buf *out);

#endif
