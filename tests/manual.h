/* SPDX-License-Identifier: MIT */
/*
 * Checks that manual pages and samples say what the tables say. Files are found
 * through $top_srcdir. With UPDATE_MANUALS=1 in the environment the generated
 * appendix is written into the page instead of compared.
 */
#ifndef RMQ_TESTS_MANUAL_H
#define RMQ_TESTS_MANUAL_H

#include "common/base/options.h"
#include "common/base/series.h"

/* A file of the sources as one text, the caller's to free. */
char *manual_read(const char *name);

/* The page has an "=item B<NAME>" for every row and for nothing else between
 * "=for warren WHAT begin" and "=for warren WHAT end", and every default is
 * named there as "Default: B<TEXT>", or "Default: empty". WHAT is "options", or
 * that and the name of a block within the block. */
void manual_has_options(const char *page, const char *what,
                        const struct rmq_option *table);
/* Each of those paragraphs names the range, "Range: 1 to 65535 messages", the
 * choices, B<WORD>, and the alias, B<NAME>, of its option. */
void manual_has_ranges(const char *page, const char *what,
                       const struct rmq_option *table);
/* Between "=for warren states begin" and "... end" the page has the states of
 * a session (common/base/session.h). */
void manual_has_states(const char *page);
/* The sample names every option and no other; what it has behind '#' without a
 * space is the default, or an example where there is none. Blocks within the
 * block hold some of their options, and no other. */
void sample_has_options(const char *sample, const struct rmq_option *table,
                        const char *plugin, const char *block);
/* Between "=for warren series begin" and "... end" the page has the table. */
void manual_has_series(const char *page, const char *plugin,
                       const struct rmq_series *table);

#endif
