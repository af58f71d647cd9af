/* SPDX-License-Identifier: MIT */
/*
 * The file that keeps what was learned of the hours of the week over a restart:
 * rabbitmq_monitor-NAME.week, written by rename once an hour. A file that
 * cannot be used is said once, and learning begins anew. One thread.
 */
#ifndef RMQ_ROLE_WEEK_FILE_H
#define RMQ_ROLE_WEEK_FILE_H

#include "common/base/complain.h"
#include "common/base/host.h"
#include "common/broker/week.h"

struct rmq_week_file {
  const struct rmq_host *host;
  const char *name;
  const char *directory;
  char *path, *temporary;
  struct rmq_complain complain;
};

/* Borrows host, directory and name, the cluster's; directory NULL = the current
 * one. -1 with err; fini is fine then. */
int rmq_week_file_init(struct rmq_week_file *f, const struct rmq_host *host,
                       const char *name, const char *directory,
                       struct rmq_error *err);
void rmq_week_file_fini(struct rmq_week_file *f);
/* At the start; w stays as it is where there is no file, or none of use. */
void rmq_week_file_load(struct rmq_week_file *f, struct rmq_week *w);
/* Complains when the directory is not there, or not to be written to: the first
 * store is an hour later. Writes nothing. */
void rmq_week_file_try(struct rmq_week_file *f);
/* Returns when it is on the disk. */
void rmq_week_file_store(struct rmq_week_file *f, const struct rmq_week *w);

#endif
