/* SPDX-License-Identifier: MIT */
/* Checks that series are what collectd's own types.db allows. */
#ifndef RMQ_TESTS_STOCK_H
#define RMQ_TESTS_STOCK_H

#include "common/base/series.h"

/* Every row is of a stock type and inside its range, no two have one name, and
 * with minimum, typical and absurd values only what the type allows is sent. */
void stock_types_only(const struct rmq_series *table, const char *plugin);

#endif
