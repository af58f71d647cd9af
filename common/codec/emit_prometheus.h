/* SPDX-License-Identifier: MIT */
/*
 * Sets as a document in Prometheus' text format 0.0.4: the samples of a family
 * together under one HELP and one TYPE, the raw names as labels, no times. What
 * alerts have told stays in every later document: 0 okay, 1 warning, 2 failure.
 */
#ifndef RMQ_CODEC_EMIT_PROMETHEUS_H
#define RMQ_CODEC_EMIT_PROMETHEUS_H

#include "common/base/series.h"
#include "common/codec/emit.h"

/* Alerts that are remembered; further ones take the place of one that is over,
 * or are left out and counted. */
enum { RMQ_EMIT_ALERTS_MAX = 1000 };

#define RMQ_EMIT_PROMETHEUS_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct rmq_emit_prometheus; /* opaque: a buffer per family */

/* table says which families there are and is borrowed, and so is plugin
 * ("rabbitmq_monitor"). NULL without memory. */
struct rmq_emit_prometheus *
rmq_emit_prometheus_new(const char *plugin, const struct rmq_series *table);
void rmq_emit_prometheus_free(struct rmq_emit_prometheus *p);
/* Borrows p. */
struct rmq_emit rmq_emit_prometheus_emit(struct rmq_emit_prometheus *p);

#endif
