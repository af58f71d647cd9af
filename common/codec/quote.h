/* SPDX-License-Identifier: MIT */
/*
 * Strings inside a format's quotes. 0, or -1 with out full: then the caller
 * undoes what was appended.
 */
#ifndef RMQ_CODEC_QUOTE_H
#define RMQ_CODEC_QUOTE_H

#include "common/base/buf.h"

#include <stdbool.h>

/* As collectd's text protocol reads it: a backslash before each quote and
 * backslash. Without the quotes around it. */
int rmq_quote_escape(struct rmq_buf *out, const char *text);
/* A JSON string with its quotes, always valid: UTF-8 stays as it is, bytes that
 * are none become U+FFFD. */
int rmq_quote_json(struct rmq_buf *out, const char *text);
/* RFC 4648 with padding, without quotes. Always ASCII. */
int rmq_quote_base64(struct rmq_buf *out, const void *bytes, size_t len);

/* Bytes at the start of text that collectd's text protocol takes for the name
 * of an option: [A-Za-z0-9_:] */
size_t rmq_quote_option_key_span(const char *text);
bool rmq_quote_is_option_key(const char *key);

#endif
