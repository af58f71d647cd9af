/* SPDX-License-Identifier: MIT */
/*
 * Packed: for each text a letter, the text and a NUL; for numbers their decimal
 * text; for a header 'h', its name and a NUL, a letter for its type, its value
 * as text and a NUL.
 */
#include "rmq_config.h"

#include "common/base/envelope.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
  KIND_TYPE = 't',
  KIND_CORRELATION = 'c',
  KIND_REPLY = 'r',
  KIND_TRACE = 'w',
  KIND_EXPIRATION = 'e',
  KIND_PRIORITY = 'p',
  KIND_HEADER = 'h'
};

/* In the order of enum rmq_argument_type. */
static const char type_letters[] = "SIBT";

bool rmq_envelope_is_empty(const struct rmq_envelope *e) {
  return e->type == NULL && e->correlation_id == NULL && e->reply_to == NULL &&
         e->traceparent == NULL && e->expiration_ms <= 0 && e->priority == 0 &&
         e->headers_count == 0;
}

/* ------------------------------------------------------------------------
 * Packing */

static bool fits(const char *text) {
  return text == NULL || strlen(text) <= RMQ_ENVELOPE_TEXT_MAX;
}

static size_t size_of_value(const struct rmq_argument *a) {
  return a->string == NULL ? sizeof(int64_t) : strlen(a->string);
}

static bool headers_fit(const struct rmq_envelope *e) {
  size_t bytes = 0;
  if (e->headers_count > RMQ_ENVELOPE_HEADERS_MAX)
    return false;
  for (size_t i = 0; i < e->headers_count; i++) {
    const struct rmq_argument *a = &e->headers[i];
    if (a->name == NULL || !fits(a->name) ||
        (a->type == RMQ_ARG_STRING && a->string == NULL))
      return false;
    bytes += strlen(a->name) + size_of_value(a);
  }
  return bytes <= RMQ_ENVELOPE_HEADERS_BYTES;
}

static void put_text(struct rmq_buf *out, int kind, const char *text) {
  if (text == NULL)
    return;
  rmq_buf_append_char(out, (char)kind);
  rmq_buf_append(out, text, strlen(text) + 1);
}

static void put_number(struct rmq_buf *out, int kind, int64_t number) {
  rmq_buf_appendf(out, "%c%" PRId64, kind, number);
  rmq_buf_append_char(out, '\0');
}

static void put_header(struct rmq_buf *out, const struct rmq_argument *a) {
  put_text(out, KIND_HEADER, a->name);
  switch (a->type) {
  case RMQ_ARG_STRING:
    put_text(out, type_letters[a->type], a->string);
    return;
  case RMQ_ARG_INTEGER:
  case RMQ_ARG_TIMESTAMP:
    put_number(out, type_letters[a->type], a->integer);
    return;
  case RMQ_ARG_BOOLEAN:
    put_number(out, type_letters[a->type], a->boolean ? 1 : 0);
    return;
  }
}

int rmq_envelope_pack(const struct rmq_envelope *e, struct rmq_buf *out) {
  size_t before = out->len;
  if (!fits(e->type) || !fits(e->correlation_id) || !fits(e->reply_to) ||
      !fits(e->traceparent) || !headers_fit(e))
    return -1;
  put_text(out, KIND_TYPE, e->type);
  put_text(out, KIND_CORRELATION, e->correlation_id);
  put_text(out, KIND_REPLY, e->reply_to);
  put_text(out, KIND_TRACE, e->traceparent);
  if (e->expiration_ms > 0)
    put_number(out, KIND_EXPIRATION, e->expiration_ms);
  if (e->priority > 0)
    put_number(out, KIND_PRIORITY, e->priority);
  for (size_t i = 0; i < e->headers_count; i++)
    put_header(out, &e->headers[i]);
  if (!out->failed)
    return 0;
  rmq_buf_truncate(out, before);
  return -1;
}

/* ------------------------------------------------------------------------
 * Unpacking: the bytes may come from a damaged file. */

struct cursor {
  const char *at, *end;
};

/* A letter and a text that ends with a NUL. */
static bool take(struct cursor *c, int *ret_kind, const char **ret_text) {
  if (c->at == c->end)
    return false;
  *ret_kind = *c->at++;
  const char *nul = memchr(c->at, '\0', (size_t)(c->end - c->at));
  if (nul == NULL)
    return false;
  *ret_text = c->at;
  c->at = nul + 1;
  return true;
}

static bool to_number(const char *text, int64_t *ret_number) {
  char *end = NULL;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  if (end == text || *end != '\0' || errno != 0)
    return false;
  *ret_number = number;
  return true;
}

/* struct rmq_argument owns its texts elsewhere; here nobody frees or writes
 * them. */
static char *borrowed(const char *text) {
  union {
    const char *in;
    char *out;
  } u = {.in = text};
  return u.out;
}

static bool take_header(struct cursor *c, const char *name,
                        struct rmq_argument *ret) {
  int letter = 0;
  const char *text = NULL;
  if (!take(c, &letter, &text) || letter == '\0')
    return false;
  const char *at = strchr(type_letters, letter);
  if (at == NULL)
    return false;
  *ret = (struct rmq_argument){.name = borrowed(name),
                               .type =
                                   (enum rmq_argument_type)(at - type_letters)};
  if (ret->type == RMQ_ARG_STRING) {
    ret->string = borrowed(text);
    return true;
  }
  if (!to_number(text, &ret->integer))
    return false;
  ret->boolean = ret->integer != 0;
  return true;
}

static bool take_priority(const char *text, struct rmq_envelope *e) {
  int64_t number = 0;
  if (!to_number(text, &number) || number < 1 || number > UINT8_MAX)
    return false;
  e->priority = (uint8_t)number;
  return true;
}

static bool take_one(struct cursor *c, struct rmq_envelope_view *v) {
  struct rmq_envelope *e = &v->envelope;
  int kind = 0;
  const char *text = NULL;
  if (!take(c, &kind, &text))
    return false;
  switch (kind) {
  case KIND_TYPE:
    e->type = text;
    return true;
  case KIND_CORRELATION:
    e->correlation_id = text;
    return true;
  case KIND_REPLY:
    e->reply_to = text;
    return true;
  case KIND_TRACE:
    e->traceparent = text;
    return true;
  case KIND_EXPIRATION:
    return to_number(text, &e->expiration_ms) && e->expiration_ms > 0;
  case KIND_PRIORITY:
    return take_priority(text, e);
  case KIND_HEADER:
    return e->headers_count < RMQ_ENVELOPE_HEADERS_MAX &&
           take_header(c, text, &v->headers[e->headers_count++]);
  }
  return false;
}

int rmq_envelope_unpack(const void *bytes, size_t len,
                        struct rmq_envelope_view *ret_view) {
  struct cursor c = {bytes, len == 0 ? bytes : (const char *)bytes + len};
  struct rmq_envelope *e = &ret_view->envelope;
  *e = (struct rmq_envelope){.headers = ret_view->headers};
  while (c.at != c.end)
    if (!take_one(&c, ret_view))
      return -1;
  return fits(e->type) && fits(e->correlation_id) && fits(e->reply_to) &&
                 fits(e->traceparent) && headers_fit(e)
             ? 0
             : -1;
}
