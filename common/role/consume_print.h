/* SPDX-License-Identifier: MIT */
/*
 * Whole messages as what a command writes to standard output, or gives to
 * another one. One thread; no I/O.
 */
#ifndef RMQ_ROLE_CONSUME_PRINT_H
#define RMQ_ROLE_CONSUME_PRINT_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/role/role_consume.h"

enum rmq_print_form {
  RMQ_PRINT_RAW,    /* the body */
  RMQ_PRINT_INFLUX, /* its values, as line protocol */
  RMQ_PRINT_JSON    /* an object with all that is known, on one line */
};
const char *rmq_print_form_to_str(enum rmq_print_form f);
/* The words, NULL-terminated, for an option table. */
extern const char *const rmq_print_words[];

struct rmq_consume_print;
/* options and what types has are borrowed. NULL without memory. */
struct rmq_consume_print *
rmq_consume_print_new(const struct rmq_consume_options *options,
                      enum rmq_print_form form, const struct rmq_types *types);
void rmq_consume_print_free(struct rmq_consume_print *p);

/* Appends one message without a byte behind it, except that line protocol has
 * its newlines. Line protocol stays as it came, every line of it checked;
 * values in other formats become what rmq_codec_influx writes, and one that
 * cannot be read makes the message unreadable. 0, or -1: it is not readable
 * (err says why), or out->failed. */
int rmq_consume_print(struct rmq_consume_print *p, const struct rmq_delivery *d,
                      struct rmq_buf *out, struct rmq_error *err);

/* Appends NAME=VALUE with a NUL behind each: WARREN_EXCHANGE,
 * WARREN_ROUTING_KEY and so on, TRACEPARENT, and WARREN_HEADER_NAME for headers
 * whose names are letters, digits, '-' and '_'. Texts end at their first NUL.
 * -1 where out is full or without memory. */
int rmq_consume_print_environment(const struct rmq_delivery *d,
                                  struct rmq_buf *out);
/* "message ID with routing key "K"", to begin a line of the log with. */
void rmq_consume_print_name(const struct rmq_delivery *d, char *ret_text,
                            size_t size);

#endif
