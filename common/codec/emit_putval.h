/* SPDX-License-Identifier: MIT */
/*
 * Sets as collectd's plugin exec reads them: a PUTVAL line per sample with the
 * module's own identity, a PUTNOTIF line per event.
 */
#ifndef RMQ_CODEC_EMIT_PUTVAL_H
#define RMQ_CODEC_EMIT_PUTVAL_H

#include "common/codec/emit.h"

struct rmq_emit_putval {
  const char *hostname;   /* of events, which have none; borrowed */
  size_t unsayable_count; /* lines that the text protocol cannot express */
};

/* Borrows x. */
struct rmq_emit rmq_emit_putval_emit(struct rmq_emit_putval *x);

#endif
