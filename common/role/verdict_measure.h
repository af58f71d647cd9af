/* SPDX-License-Identifier: MIT */
/*
 * What each indicator of a verdict is made of, as a table over the monitor's
 * series. Rows of one indicator stand together, the one that a user's ranges
 * are about first.
 */
#ifndef RMQ_ROLE_VERDICT_MEASURE_H
#define RMQ_ROLE_VERDICT_MEASURE_H

#include "common/base/series.h"
#include "common/role/verdict.h"

struct rmq_verdict_measure {
  enum rmq_verdict_indicator indicator;
  const char *name; /* --measure, and label of the performance data */
  enum rmq_series_scope scope;
  const char *type, *type_instance;
  /* Of a sum of two series of one object: the instance of the second, which
   * follows the first; NULL = there is one. */
  const char *plus;
  bool is_disk; /* the two are not added: what rmq_verdict_disk says of them */
  const char *uom;                /* "", "s", "%": of the performance data */
  const char *warning, *critical; /* ranges; NULL = none */
  /* "%s message{|s} ready", what is before the bar for one; or what is wrong */
  const char *says;
  bool is_quiet;  /* not said where all is well, unless it was asked about */
  bool is_needed; /* without it, or another such one, there is no OK */
  bool is_probe;  /* without it, where there is a probe */
  bool is_fact;   /* says is the whole text: no figure in it */
};

extern const struct rmq_verdict_measure rmq_verdict_measures_table[];
extern const size_t rmq_verdict_measures_count;

/* The rows of one indicator. */
struct rmq_verdict_rows {
  const struct rmq_verdict_measure *first;
  size_t count;
};
struct rmq_verdict_rows rmq_verdict_rows_of(enum rmq_verdict_indicator i);

/* The limit of free disk space in percent of what is free, at most 100, as the
 * alert counts it; NaN when either is not known. */
double rmq_verdict_disk(double free, double limit);

#endif
