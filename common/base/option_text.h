/* SPDX-License-Identifier: MIT */
/*
 * What an option's value reads as, and what is said when it will not do: the
 * part of options.h that meets the configuration language. Errors are complete
 * sentences; the value of a secret is in none of them.
 */
#ifndef RMQ_BASE_OPTION_TEXT_H
#define RMQ_BASE_OPTION_TEXT_H

#include "common/base/options.h"

/* The value as owned text, expanded; NULL with err. */
char *rmq_option_text(const struct rmq_option *o,
                      const struct rmq_option_value *v, rmq_getenv env,
                      struct rmq_error *err);
/* The choice of an ENUM that the configuration language took for a boolean
 * ("off", "yes"), or NULL. */
const char *rmq_option_choice_of_boolean(const struct rmq_option *o,
                                         bool boolean);

/* Both return -1. shown NULL = the value is not repeated. */
int rmq_option_not_allowed(const struct rmq_option *o, const char *shown,
                           struct rmq_error *err);
#ifdef __clang_analyzer__
/* As in error.h. */
#define rmq_option_not_allowed(...) (rmq_option_not_allowed(__VA_ARGS__), -1)
#endif
int rmq_option_no_memory(const struct rmq_option *o, struct rmq_error *err);

#endif
