/* SPDX-License-Identifier: MIT */
/*
 * Reading a PUTNOTIF line as collectd does: KEY=VALUE with the keys severity
 * (okay, warning, failure), time and message, which are needed, host, plugin,
 * plugin_instance, type and type_instance, s:NAME for meta data that are text
 * and n:NAME for those that are numbers. No key twice, none unknown; no time
 * "N". Control characters of texts become spaces.
 */
#ifndef RMQ_CODEC_CODEC_PUTNOTIF_DECODE_H
#define RMQ_CODEC_CODEC_PUTNOTIF_DECODE_H

#include "common/codec/command.h"
#include "common/codec/samples.h"

/* Pushes the notification of the line, behind its first word; -1: it cannot be
 * read, or sink takes none. */
int rmq_codec_putnotif_read(struct rmq_command_line *l, struct rmq_samples *set,
                            struct rmq_error *err);

#endif
