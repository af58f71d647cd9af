/* SPDX-License-Identifier: MIT */
/*
 * What a sub-command says of itself on standard error: in its own words, or,
 * with --log-format json, as one object, so that whoever reads its log can read
 * all of it.
 */
#ifndef RMQ_PLUGINS_WARREN_VOICE_H
#define RMQ_PLUGINS_WARREN_VOICE_H

#include "common/host/host_execd.h"

/* All is borrowed. */
struct warren_voice {
  const char *command;           /* "warren publish", before its words */
  const char *plugin, *block;    /* of an object */
  const struct rmq_execd *execd; /* whose log it is */
};

/* One line; event is a fixed word per kind of line. Any thread. */
void warren_say(const struct warren_voice *v, enum rmq_level level,
                const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
