/* SPDX-License-Identifier: MIT */
/*
 * Ranges as Nagios plugins take them: [@][START:]END. A value outside START to
 * END alerts; behind an '@' one inside, ends included. START is 0 where it is
 * missing and "~" without a bound, an empty END is without one, too.
 *
 * "10" = below 0 or above 10; "10:" = below 10; "~:10" = above 10;
 * "@10:20" = 10 to 20. (monitoring-plugins.org, Development Guidelines,
 * Threshold and Ranges)
 */
#ifndef RMQ_ROLE_RANGE_H
#define RMQ_ROLE_RANGE_H

#include "common/base/error.h"

#include <stdbool.h>

struct rmq_range {
  double start, end;
  bool alerts_inside;
};

/* 0, or -1 with err saying what is allowed; ret_range is untouched then. */
int rmq_range_parse(const char *text, struct rmq_error *err,
                    struct rmq_range *ret_range);
/* NaN never alerts. */
bool rmq_range_alerts(const struct rmq_range *r, double value);

#endif
