/* SPDX-License-Identifier: MIT */
/*
 * One field of a configuration struct, as one row of an option table says: the
 * part of options.h that knows the types.
 */
#ifndef RMQ_BASE_OPTION_FIELD_H
#define RMQ_BASE_OPTION_FIELD_H

#include "common/base/options.h"

/* Not set: NULL, false, 0, no entries. */
void rmq_option_field_init(const struct rmq_option *o, void *field);
/* Frees what the field owns, wipes a secret, and leaves it not set. */
void rmq_option_field_fini(const struct rmq_option *o, void *field);
/* See rmq_options_set; -1 with the field unchanged. */
int rmq_option_field_set(const struct rmq_option *o, void *field,
                         const struct rmq_option_value *values, size_t count,
                         rmq_getenv env, struct rmq_error *err);

#endif
