/* SPDX-License-Identifier: MIT */
/*
 * JSON text (RFC 8259) taken apart in place, value by value, without a tree and
 * without memory: what a message says is wanted once, and a hostile one must
 * not choose how much is taken for it. Strict: no comment, no comma too many,
 * valid UTF-8 only, no half of a surrogate pair; nesting is bounded. Where
 * texts, keys or numbers make sense is the caller's business, and so is a key
 * that comes twice.
 *
 *   rmq_json_open(j, '[')
 *   while ((more = rmq_json_more(j)) == 1)
 *     rmq_json_value(j, &value)
 *
 * Every function returns -1 when the text is not JSON; then err says why and
 * where, and nothing more can be read.
 */
#ifndef RMQ_CODEC_JSON_H
#define RMQ_CODEC_JSON_H

#include "common/base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* collectd's form has 3: array, object, values. */
enum { RMQ_JSON_DEPTH_MAX = 8 };

enum rmq_json_kind {
  RMQ_JSON_NULL,
  RMQ_JSON_FALSE,
  RMQ_JSON_TRUE,
  RMQ_JSON_INTEGER, /* no fraction and no exponent; of any size */
  RMQ_JSON_REAL,
  RMQ_JSON_STRING,
  RMQ_JSON_ARRAY,
  RMQ_JSON_OBJECT
};
const char *rmq_json_kind_to_str(enum rmq_json_kind k);

/* Points into the text. A number is its digits, without a NUL behind them; a
 * string is what it means, with a NUL behind it, and may have others in it; the
 * reader may change it. Array and object have no text: len is 0. */
struct rmq_json_value {
  enum rmq_json_kind kind;
  char *text;
  size_t len;
};

struct rmq_json {
  char *start, *at, *end;
  struct rmq_error *err;
  size_t depth;
  struct {
    char closing;
    bool has_element;
  } levels[RMQ_JSON_DEPTH_MAX];
};

/* text is written to and outlives what is read. */
void rmq_json_init(struct rmq_json *j, char *text, size_t len,
                   struct rmq_error *err);
/* The next character that is not white space, '\0' at the end of the text. */
char rmq_json_peek(struct rmq_json *j);
/* Reads any value; arrays and objects are skipped. */
int rmq_json_value(struct rmq_json *j, struct rmq_json_value *ret_value);
/* Enters the array ('[') or object ('{') that starts here. */
int rmq_json_open(struct rmq_json *j, char opening);
/* 1: another element of the array or object entered last has to be read, 0: it
 * has been left. */
int rmq_json_more(struct rmq_json *j);
/* The key of an object's next element. */
int rmq_json_key(struct rmq_json *j, struct rmq_json_value *ret_key);
/* 0 when nothing but white space is left. */
int rmq_json_end(struct rmq_json *j);

#endif
