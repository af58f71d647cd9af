/* SPDX-License-Identifier: MIT */
/*
 * What the files of a verdict share: verdict.c judges, verdict_line.c says it.
 */
#ifndef RMQ_ROLE_VERDICT_PRIVATE_H
#define RMQ_ROLE_VERDICT_PRIVATE_H

#include "common/role/verdict.h"

#include "common/role/verdict_measure.h"

/* What was not seen and without which there is no OK; NULL = nothing. */
const struct rmq_verdict_measure *
rmq_verdict_lacks(const struct rmq_verdict *v);

/* The object and what is wrong with it: "node rabbit@a: is not running". */
void rmq_verdict_append_problem(struct rmq_buf *out,
                                const struct rmq_verdict_measure *m,
                                const struct rmq_sample *s, double value);
/* 'label'=value[UOM];[warning];[critical] and a space; object may be NULL. */
void rmq_verdict_append_perf(struct rmq_buf *out, const struct rmq_verdict *v,
                             size_t row, const struct rmq_verdict_measure *m,
                             const char *object, double value);

#endif
