/* SPDX-License-Identifier: MIT */
/*
 * A block within a block as one argument of a command line:
 *   --alert backlog:failure=50000,hold=5m,queue=/^in/
 *   --probe host=rabbit1,timeout=2s     --probe
 * The text that stands behind the block's name comes first, where it has one;
 * then its options in kebab-case. A backslash takes a comma into a value.
 */
#ifndef RMQ_HOST_EXECD_BLOCK_H
#define RMQ_HOST_EXECD_BLOCK_H

#include "common/base/error.h"
#include "common/base/options.h"

/* Adds the block that text says to the field of row, a BLOCKS row, in object.
 * 0, or -1 with err; secrets are refused, which every user of the machine could
 * read. */
int rmq_execd_block_add(const struct rmq_option *row, void *object,
                        const char *text, struct rmq_error *err);

#endif
