/* SPDX-License-Identifier: MIT */
/*
 * Environment variables in configuration text: ${VAR} and ${VAR:default} when
 * they are set or have a default, "$$" for a dollar sign. A '$' before anything
 * else is itself. The default ends at the first '}' and is taken literally; a
 * variable that is set to nothing is set.
 */
#ifndef RMQ_BASE_EXPAND_H
#define RMQ_BASE_EXPAND_H

#include "common/base/buf.h"
#include "common/base/error.h"

/* Reads one environment variable; NULL when it is not set. */
typedef const char *(*rmq_getenv)(const char *name);

/* Appends text expanded; env NULL = no variable is set. -1 with nothing
 * appended when a variable is neither set nor has a default, is not written as
 * one, or the result does not fit into out. The error repeats the part of text
 * that is wrong: pass err NULL where that may be a secret. Memory is taken once
 * for the whole, so that wiping out's allocation wipes every copy. */
int rmq_expand(const char *text, rmq_getenv env, struct rmq_buf *out,
               struct rmq_error *err);

#endif
