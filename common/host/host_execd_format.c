/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd_format.h"

const char *const rmq_execd_output_words[] = {"influx", "json", "prometheus",
                                              "putval", NULL};

const char *rmq_execd_output_to_str(enum rmq_execd_output o) {
  return o <= RMQ_EXECD_PUTVAL ? rmq_execd_output_words[o] : "unknown";
}

int rmq_execd_format_init(struct rmq_execd_format *f, struct rmq_execd *e,
                          enum rmq_execd_output output, const char *plugin,
                          const struct rmq_series *table,
                          const char *hostname) {
  struct rmq_emit emit = e->emit;
  switch (output) {
  case RMQ_EXECD_INFLUX:
    break;
  case RMQ_EXECD_JSON:
    f->json = rmq_emit_json_new(table);
    if (f->json == NULL)
      return -1;
    emit = rmq_emit_json_emit(f->json);
    break;
  case RMQ_EXECD_PROMETHEUS:
    f->prometheus = rmq_emit_prometheus_new(plugin, table);
    if (f->prometheus == NULL)
      return -1;
    emit = rmq_emit_prometheus_emit(f->prometheus);
    break;
  case RMQ_EXECD_PUTVAL:
    f->putval.hostname = hostname;
    e->host.hostname = hostname;
    emit = rmq_emit_putval_emit(&f->putval);
    break;
  }
  rmq_execd_set_emit(e, &emit);
  return 0;
}

void rmq_execd_format_fini(struct rmq_execd_format *f) {
  rmq_emit_prometheus_free(f->prometheus);
  rmq_emit_json_free(f->json);
}
