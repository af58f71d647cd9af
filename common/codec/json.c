/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/json.h"

#include "common/base/utf8.h"

#include <stdint.h>
#include <string.h>

const char *rmq_json_kind_to_str(enum rmq_json_kind k) {
  switch (k) {
  case RMQ_JSON_NULL:
    return "null";
  case RMQ_JSON_FALSE:
    return "false";
  case RMQ_JSON_TRUE:
    return "true";
  case RMQ_JSON_INTEGER:
    return "integer";
  case RMQ_JSON_REAL:
    return "real";
  case RMQ_JSON_STRING:
    return "string";
  case RMQ_JSON_ARRAY:
    return "array";
  case RMQ_JSON_OBJECT:
    return "object";
  }
  return "unknown";
}

void rmq_json_init(struct rmq_json *j, char *text, size_t len,
                   struct rmq_error *err) {
  *j = (struct rmq_json){
      .start = text, .at = text, .end = text + len, .err = err};
}

static int fail(struct rmq_json *j, const char *why) {
  return rmq_error_set(j->err, "not JSON: %s, byte %zu",
                       j->at == j->end ? "it ends too early" : why,
                       (size_t)(j->at - j->start));
}

char rmq_json_peek(struct rmq_json *j) {
  while (j->at < j->end &&
         (*j->at == ' ' || *j->at == '\n' || *j->at == '\t' || *j->at == '\r'))
    j->at++;
  return j->at == j->end ? '\0' : *j->at;
}

int rmq_json_end(struct rmq_json *j) {
  rmq_json_peek(j);
  return j->at == j->end ? 0 : fail(j, "something follows its end");
}

/* Strings ----------------------------------------------------------------- */

static bool is_plain(char c) {
  return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' &&
         c != '\\';
}

/* 0 to 0xffff, or -1. */
static int32_t hex4(const char *text, const char *end) {
  int32_t v = 0;
  if (end - text < 4)
    return -1;
  for (int i = 0; i < 4; i++) {
    char c = text[i];
    int digit = c >= '0' && c <= '9'   ? c - '0'
                : c >= 'a' && c <= 'f' ? c - 'a' + 10
                : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                       : -1;
    if (digit < 0)
      return -1;
    v = v * 16 + digit;
  }
  return v;
}

static size_t put_utf8(char *to, uint32_t c) {
  if (c < 0x80) {
    to[0] = (char)c;
    return 1;
  }
  size_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = n - 1; i > 0; i--, c >>= 6)
    to[i] = (char)(0x80 | (c & 0x3f));
  to[0] = (char)(0xf00 >> n | c);
  return n;
}

/* \uXXXX at j->at, one or a pair; bytes written to to, 0 when it is none. They
 * are never more than were read. */
static size_t take_unicode(struct rmq_json *j, char *to) {
  int32_t c = hex4(j->at + 2, j->end);
  if (c < 0 || (c >= 0xdc00 && c <= 0xdfff))
    return 0;
  if (c < 0xd800 || c > 0xdbff) {
    j->at += 6;
    return put_utf8(to, (uint32_t)c);
  }
  bool has_low = j->end - j->at >= 12 && j->at[6] == '\\' && j->at[7] == 'u';
  int32_t low = has_low ? hex4(j->at + 8, j->end) : -1;
  if (low < 0xdc00 || low > 0xdfff)
    return 0;
  j->at += 12;
  return put_utf8(to, 0x10000 + ((uint32_t)(c - 0xd800) << 10) +
                          (uint32_t)(low - 0xdc00));
}

static size_t take_escape(struct rmq_json *j, char *to) {
  static const char letters[] = "\"\\/bfnrt";
  static const char meanings[] = "\"\\/\b\f\n\r\t";
  if (j->end - j->at < 2)
    return 0;
  if (j->at[1] == 'u')
    return take_unicode(j, to);
  const char *letter = j->at[1] == '\0' ? NULL : strchr(letters, j->at[1]);
  if (letter == NULL)
    return 0;
  *to = meanings[letter - letters];
  j->at += 2;
  return 1;
}

static size_t take_utf8(struct rmq_json *j, char *to) {
  size_t n = (unsigned char)*j->at < 0x80
                 ? 0
                 : rmq_utf8_decode(j->at, (size_t)(j->end - j->at), NULL);
  memmove(to, j->at, n);
  j->at += n;
  return n;
}

static int read_string(struct rmq_json *j, struct rmq_json_value *ret_value) {
  char *text = ++j->at;
  char *to = text;
  for (;;) {
    char *run = j->at;
    while (j->at < j->end && is_plain(*j->at))
      j->at++;
    size_t n = (size_t)(j->at - run);
    if (to != run)
      memmove(to, run, n);
    to += n;
    if (j->at < j->end && *j->at == '"')
      break;
    n = j->at == j->end  ? 0
        : *j->at == '\\' ? take_escape(j, to)
                         : take_utf8(j, to);
    if (n == 0)
      return fail(j, "a string has a bad character or escape");
    to += n;
  }
  j->at++;
  *to = '\0';
  *ret_value =
      (struct rmq_json_value){RMQ_JSON_STRING, text, (size_t)(to - text)};
  return 0;
}

/* Other values ------------------------------------------------------------ */

static size_t skip_digits(struct rmq_json *j) {
  const char *from = j->at;
  while (j->at < j->end && *j->at >= '0' && *j->at <= '9')
    j->at++;
  return (size_t)(j->at - from);
}

static bool take(struct rmq_json *j, char c) {
  bool is_there = j->at < j->end && *j->at == c;
  j->at += is_there;
  return is_there;
}

static int read_number(struct rmq_json *j, struct rmq_json_value *ret_value) {
  char *text = j->at;
  enum rmq_json_kind kind = RMQ_JSON_INTEGER;
  take(j, '-');
  if (!take(j, '0') && skip_digits(j) == 0)
    return fail(j, "a value is expected");
  if (take(j, '.')) {
    kind = RMQ_JSON_REAL;
    if (skip_digits(j) == 0)
      return fail(j, "a number has no digit behind its point");
  }
  if (take(j, 'e') || take(j, 'E')) {
    kind = RMQ_JSON_REAL;
    if (!take(j, '-'))
      take(j, '+');
    if (skip_digits(j) == 0)
      return fail(j, "a number has no digit in its exponent");
  }
  *ret_value = (struct rmq_json_value){kind, text, (size_t)(j->at - text)};
  return 0;
}

static int read_word(struct rmq_json *j, const char *word,
                     enum rmq_json_kind kind,
                     struct rmq_json_value *ret_value) {
  size_t len = strlen(word);
  if ((size_t)(j->end - j->at) < len || memcmp(j->at, word, len) != 0)
    return fail(j, "a value is expected");
  *ret_value = (struct rmq_json_value){kind, j->at, len};
  j->at += len;
  return 0;
}

static int skip_elements(struct rmq_json *j, bool has_keys) {
  struct rmq_json_value ignored;
  int more = 0;
  while ((more = rmq_json_more(j)) == 1)
    if ((has_keys && rmq_json_key(j, &ignored) != 0) ||
        rmq_json_value(j, &ignored) != 0)
      return -1;
  return more;
}

/* Calls itself through skip_elements, at most RMQ_JSON_DEPTH_MAX deep. */
int rmq_json_value(struct rmq_json *j, struct rmq_json_value *ret_value) {
  char c = rmq_json_peek(j);
  switch (c) {
  case '"':
    return read_string(j, ret_value);
  case 'n':
    return read_word(j, "null", RMQ_JSON_NULL, ret_value);
  case 'f':
    return read_word(j, "false", RMQ_JSON_FALSE, ret_value);
  case 't':
    return read_word(j, "true", RMQ_JSON_TRUE, ret_value);
  case '[':
  case '{':
    *ret_value = (struct rmq_json_value){
        .kind = c == '{' ? RMQ_JSON_OBJECT : RMQ_JSON_ARRAY, .text = j->at};
    return rmq_json_open(j, c) == 0 ? skip_elements(j, c == '{') : -1;
  }
  return read_number(j, ret_value);
}

/* Arrays and objects ------------------------------------------------------ */

int rmq_json_open(struct rmq_json *j, char opening) {
  if (rmq_json_peek(j) != opening)
    return fail(j, "an array or object is expected");
  if (j->depth == RMQ_JSON_DEPTH_MAX)
    return rmq_error_set(j->err, "JSON nested deeper than %d",
                         RMQ_JSON_DEPTH_MAX);
  j->at++;
  j->levels[j->depth].closing = opening == '{' ? '}' : ']';
  j->levels[j->depth].has_element = false;
  j->depth++;
  return 0;
}

int rmq_json_more(struct rmq_json *j) {
  char closing = j->levels[j->depth - 1].closing;
  bool *has_element = &j->levels[j->depth - 1].has_element;
  char c = rmq_json_peek(j);
  if (c == closing && j->at < j->end) {
    j->at++;
    j->depth--;
    return 0;
  }
  if (*has_element && !take(j, ','))
    return fail(j, "a comma or a closing bracket is expected");
  *has_element = true;
  return 1;
}

int rmq_json_key(struct rmq_json *j, struct rmq_json_value *ret_key) {
  if (rmq_json_peek(j) != '"')
    return fail(j, "a key is expected");
  if (read_string(j, ret_key) != 0)
    return -1;
  if (rmq_json_peek(j) != ':')
    return fail(j, "a colon is expected");
  j->at++;
  return 0;
}
