/* SPDX-License-Identifier: MIT */
/*
 * Routing keys. Without a template the key is collectd's amqp plugin's:
 * "collectd.HOST.PLUGIN.PLUGIN_INSTANCE.TYPE.TYPE_INSTANCE", in which '.' and
 * '/' of the names are swapped so that a binding pattern sees the parts.
 */
#ifndef RMQ_BASE_RKEY_H
#define RMQ_BASE_RKEY_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/sample.h"

#include <stdbool.h>

/* AMQP's short string. */
enum { RMQ_RKEY_MAX = 255 };

/* Writes the key, NUL-terminated. template NULL = collectd's scheme; else the
 * text with %{host} %{plugin} %{plugin_instance} %{type} %{type_instance}
 * replaced by the names, '.' and '/' swapped in them as well; other text stays
 * as it is. A key over 255 bytes becomes its first 238 bytes (no half UTF-8
 * character), '~' and 16 hex digits of the FNV-1a of the whole. */
void rmq_rkey_from_sample(const char *template, const struct rmq_identity *id,
                          char ret_key[RMQ_RKEY_MAX + 1]);
/* The same for a notification, with %{severity} besides; without a template
 * "collectd.notification.SEVERITY.HOST". */
void rmq_rkey_from_event(const char *template, const struct rmq_event *event,
                         char ret_key[RMQ_RKEY_MAX + 1]);
/* True when the key is the same for every sample. */
bool rmq_rkey_is_fixed(const char *template);
/* True when there are about as many keys as there are series, as in collectd's
 * scheme: then messages with many samples of one key hardly come about. */
bool rmq_rkey_is_per_series(const char *template);
/* 0, or -1 when a template names a field that does not exist. */
int rmq_rkey_check(const char *template, struct rmq_error *err);
int rmq_rkey_check_event(const char *template, struct rmq_error *err);

#endif
