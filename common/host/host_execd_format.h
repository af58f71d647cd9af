/* SPDX-License-Identifier: MIT */
/*
 * The forms of output of struct rmq_execd by name, and who owns what each
 * needs.
 */
#ifndef RMQ_HOST_EXECD_FORMAT_H
#define RMQ_HOST_EXECD_FORMAT_H

#include "common/base/series.h"
#include "common/codec/emit_json.h"
#include "common/codec/emit_prometheus.h"
#include "common/codec/emit_putval.h"
#include "common/host/host_execd.h"

/* In the order of the words. */
enum rmq_execd_output {
  RMQ_EXECD_INFLUX,
  RMQ_EXECD_JSON,
  RMQ_EXECD_PROMETHEUS,
  RMQ_EXECD_PUTVAL
};
/* "influx", "json", "prometheus", "putval". */
const char *rmq_execd_output_to_str(enum rmq_execd_output o);
/* The same, NULL-terminated, for an option table. */
extern const char *const rmq_execd_output_words[];

/* All zero = none. */
struct rmq_execd_format {
  struct rmq_emit_prometheus *prometheus;
  struct rmq_emit_json *json;
  struct rmq_emit_putval putval;
};

/* Has e write so; plugin, table and hostname are borrowed. -1 without memory.
 * fini after that of e. */
int rmq_execd_format_init(struct rmq_execd_format *f, struct rmq_execd *e,
                          enum rmq_execd_output output, const char *plugin,
                          const struct rmq_series *table, const char *hostname);
void rmq_execd_format_fini(struct rmq_execd_format *f);

#endif
