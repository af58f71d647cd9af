/* SPDX-License-Identifier: MIT */
/*
 * A secret that lies in a file of its own, so that it is in no configuration
 * that others may read.
 */
#ifndef RMQ_ROLE_SECRET_H
#define RMQ_ROLE_SECRET_H

#include "common/base/error.h"

/* The file's first line without its end, on the heap: rmq_secret_free it. -1
 * with err (which names the file, never its content) when the file cannot be
 * read, is empty, or its line is longer than 4096 bytes. */
int rmq_secret_read(const char *path, char **ret_secret, struct rmq_error *err);
/* Wiped first. NULL is fine. */
void rmq_secret_free(char *secret);

#endif
