/* SPDX-License-Identifier: MIT */
/*
 * What the parts of a Graphite path mean, in words with dots between them:
 *   host plugin plugin_instance type type_instance ds   that part of the name
 *   _                                                   nothing
 * The last word may end in '*' and then takes all parts that are left. Where
 * there is no word plugin_instance, a plugin is cut in two at its first '-', as
 * is a type where there is no word type_instance. ds, the name of a data
 * source, is the last one and may be missing in a path. A template without type
 * makes every value a gauge.
 */
#ifndef RMQ_CODEC_GRAPHITE_TEMPLATE_H
#define RMQ_CODEC_GRAPHITE_TEMPLATE_H

#include "common/base/error.h"
#include "common/base/sample.h"

#include <stdbool.h>
#include <stddef.h>

/* Reads what codec_graphite.c and collectd's amqp write without options. */
#define RMQ_GRAPHITE_TEMPLATE_DEFAULT "host.plugin.type.ds"

enum { RMQ_GRAPHITE_WORDS_MAX = 16 };

enum rmq_graphite_word {
  RMQ_GRAPHITE_HOST,
  RMQ_GRAPHITE_PLUGIN,
  RMQ_GRAPHITE_PLUGIN_INSTANCE,
  RMQ_GRAPHITE_TYPE,
  RMQ_GRAPHITE_TYPE_INSTANCE,
  RMQ_GRAPHITE_DS,
  RMQ_GRAPHITE_NOTHING /* last: how many have a meaning */
};
/* "host", ..., "_" */
const char *rmq_graphite_word_to_str(enum rmq_graphite_word w);

struct rmq_graphite_template {
  enum rmq_graphite_word words[RMQ_GRAPHITE_WORDS_MAX];
  size_t count;
  bool takes_rest;
  bool has[RMQ_GRAPHITE_NOTHING];
};

/* 0, or -1 with what is wrong with text. */
int rmq_graphite_template_parse(const char *text,
                                struct rmq_graphite_template *ret_template,
                                struct rmq_error *err);

/* Takes path apart in place. A part that the template does not name is "", but
 * the type is then "gauge"; ret_ds is NULL where there is none. -1: path has
 * not the template's form. */
int rmq_graphite_template_apply(const struct rmq_graphite_template *t,
                                char *path, struct rmq_identity *ret_id,
                                const char **ret_ds, struct rmq_error *err);

#endif
