/* SPDX-License-Identifier: MIT */
/*
 * A file that others read whenever they like: it is replaced as a whole, or
 * not at all.
 */
#ifndef RMQ_HOST_TEXTFILE_H
#define RMQ_HOST_TEXTFILE_H

#include "common/base/error.h"

#include <stddef.h>

/* By way of "PATH.tmp" beside it, which is on the disk before it gets the name;
 * mode 0644. 0, or -1 with err: then the file is what it was. */
int rmq_textfile_write(const char *path, const char *bytes, size_t len,
                       struct rmq_error *err);

#endif
