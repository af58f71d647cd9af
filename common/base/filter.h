/* SPDX-License-Identifier: MIT */
/*
 * Which names are wanted. A pattern between slashes is an extended regular
 * expression that may match anywhere in the name, any other is the whole name.
 * A name is wanted when an include pattern matches, or there is none, and no
 * exclude pattern matches.
 */
#ifndef RMQ_BASE_FILTER_H
#define RMQ_BASE_FILTER_H

#include "common/base/error.h"
#include "common/base/options.h"

#include <stdbool.h>

struct rmq_filter; /* opaque: holds compiled expressions */

/* NULL with err when an expression is not valid, or without memory. The
 * patterns are borrowed. */
struct rmq_filter *rmq_filter_new(const struct rmq_strings *include,
                                  const struct rmq_strings *exclude,
                                  struct rmq_error *err);
void rmq_filter_free(struct rmq_filter *f);
bool rmq_filter_wants(const struct rmq_filter *f, const char *name);
/* For an option's check: 0, or -1 and a line for each text that is not a
 * pattern. */
int rmq_filter_check(const char *option, const struct rmq_strings *texts,
                     struct rmq_buf *errors);

#endif
