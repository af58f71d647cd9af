/* SPDX-License-Identifier: MIT */
/*
 * Reads a sample of conf.d as collectd would, with and without the '#' before
 * its options. "#Name value" is an option, "# text" is prose.
 */
#ifndef RMQ_TESTS_SAMPLE_H
#define RMQ_TESTS_SAMPLE_H

#include "common/base/options.h"

/* As it is, and with every '#' before an option removed, the sample is a valid
 * configuration. Options without a default stand below the words "No default",
 * what cannot be there at the same time below "in place of".
 * size is that of the configuration struct, check the module's. */
void sample_is_valid(const char *sample, const struct rmq_option *table,
                     size_t size, int (*check)(const void *, struct rmq_buf *));

#endif
