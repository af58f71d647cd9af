/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/codec.h"
#include "tests/fake/signatures.h"

#define WHY_SIZE 200

void fake_bytes_put(struct fake_bytes *b, const void *data, size_t len) {
  if (b->len + len + 1 > b->cap) {
    b->cap = (b->len + len + 64) * 2;
    b->data = realloc(b->data, b->cap);
    if (b->data == NULL)
      abort();
  }
  if (len > 0)
    memcpy(b->data + b->len, data, len);
  b->len += len;
}

void fake_bytes_put_uint(struct fake_bytes *b, uint64_t value, size_t size) {
  for (size_t i = size; i-- > 0;) {
    uint8_t octet = (uint8_t)(value >> (8 * i));
    fake_bytes_put(b, &octet, 1);
  }
}

void fake_bytes_printf(struct fake_bytes *b, const char *format, ...) {
  char *text = NULL;
  va_list ap;
  va_start(ap, format);
  int len = vasprintf(&text, format, ap);
  va_end(ap);
  if (len < 0)
    abort();
  fake_bytes_put(b, text, (size_t)len);
  free(text);
}

const char *fake_bytes_text(struct fake_bytes *b) {
  fake_bytes_put(b, "", 0);
  b->data[b->len] = '\0';
  return (const char *)b->data;
}

void fake_bytes_drop(struct fake_bytes *b, size_t len) {
  if (len > 0)
    memmove(b->data, b->data + len, b->len - len);
  b->len -= len;
}

void fake_bytes_fini(struct fake_bytes *b) {
  free(b->data);
  *b = (struct fake_bytes){0};
}

const struct fake_signature *fake_signature_by_name(const char *name) {
  for (size_t i = 0; i < FAKE_SIGNATURES_COUNT; i++)
    if (strcmp(fake_signatures[i].name, name) == 0)
      return &fake_signatures[i];
  return NULL;
}

const struct fake_signature *fake_signature_by_id(uint16_t class_id,
                                                  uint16_t method_id) {
  for (size_t i = 0; i < FAKE_SIGNATURES_COUNT; i++)
    if (fake_signatures[i].class_id == class_id &&
        fake_signatures[i].method_id == method_id)
      return &fake_signatures[i];
  return NULL;
}

/* A cursor that fails once and then stays failed. */
struct reader {
  const uint8_t *at, *end;
  const char *trouble;
};

static uint64_t read_uint(struct reader *r, size_t size) {
  if ((size_t)(r->end - r->at) < size) {
    r->trouble = "ends too early";
    r->at = r->end;
    return 0;
  }
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | *r->at++;
  return value;
}

static const uint8_t *read_bytes(struct reader *r, size_t len) {
  const uint8_t *bytes = r->at;
  if ((size_t)(r->end - r->at) < len) {
    r->trouble = "has a length that points behind the end";
    r->at = r->end;
    return bytes;
  }
  r->at += len;
  return bytes;
}

static void check_table(struct reader *r, unsigned depth);

/* Sizes of the field value types that RabbitMQ knows; 0: not fixed. */
static int value_size(uint8_t type) {
  switch (type) {
  case 't':
  case 'b':
  case 'B':
    return 1;
  case 's':
  case 'u':
    return 2;
  case 'I':
  case 'i':
  case 'f':
    return 4;
  case 'D':
    return 5;
  case 'l':
  case 'd':
  case 'T':
    return 8;
  case 'V':
    return 0;
  default:
    return -1;
  }
}

uint64_t fake_be(const uint8_t *bytes, size_t size) {
  uint64_t value = 0;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | bytes[i];
  return value;
}

size_t fake_value_extent(const uint8_t *at) {
  int size = value_size(*at);
  return size >= 0 ? 1 + (size_t)size : 5 + (size_t)fake_be(at + 1, 4);
}

static void check_value(struct reader *r, unsigned depth) {
  uint8_t type = (uint8_t)read_uint(r, 1);
  if (r->trouble != NULL)
    return;
  int size = value_size(type);
  if (size >= 0) {
    const uint8_t *bytes = read_bytes(r, (size_t)size);
    if (type == 't' && r->trouble == NULL && *bytes > 1)
      r->trouble = "has a boolean that is neither 0 nor 1";
    return;
  }
  if (type != 'S' && type != 'x' && type != 'F' && type != 'A') {
    r->trouble = "has a value of a type that RabbitMQ does not know";
    return;
  }
  size_t len = read_uint(r, 4);
  struct reader inner = {.at = read_bytes(r, len)};
  if (r->trouble != NULL)
    return;
  inner.end = inner.at + len;
  if (type == 'F')
    check_table(&inner, depth + 1);
  while (type == 'A' && inner.trouble == NULL && inner.at < inner.end)
    check_value(&inner, depth + 1);
  r->trouble = inner.trouble;
}

static void check_table(struct reader *r, unsigned depth) {
  if (depth > 64) {
    r->trouble = "is nested deeper than 64";
    return;
  }
  while (r->trouble == NULL && r->at < r->end) {
    size_t len = read_uint(r, 1);
    read_bytes(r, len);
    if (r->trouble == NULL)
      check_value(r, depth);
  }
}

int fake_table_check(const uint8_t *bytes, size_t len, unsigned depth,
                     char *why) {
  struct reader r = {.at = bytes, .end = bytes + len};
  check_table(&r, depth);
  if (r.trouble == NULL)
    return 0;
  snprintf(why, WHY_SIZE, "table %s", r.trouble);
  return -1;
}

static void read_field(struct reader *r, struct fake_field *f) {
  switch (f->arg->type) {
  case FAKE_NONE:
  case FAKE_BIT: /* its octet is shared: read_arguments */
    break;
  case FAKE_OCTET:
    f->number = read_uint(r, 1);
    break;
  case FAKE_SHORT:
    f->number = read_uint(r, 2);
    break;
  case FAKE_LONG:
    f->number = read_uint(r, 4);
    break;
  case FAKE_LONGLONG:
    f->number = read_uint(r, 8);
    break;
  case FAKE_SHORTSTR:
    f->len = read_uint(r, 1);
    f->bytes = read_bytes(r, f->len);
    break;
  case FAKE_LONGSTR:
    f->len = read_uint(r, 4);
    f->bytes = read_bytes(r, f->len);
    break;
  case FAKE_TABLE:
    f->len = read_uint(r, 4);
    f->bytes = read_bytes(r, f->len);
    if (r->trouble == NULL) {
      struct reader table = {.at = f->bytes, .end = f->bytes + f->len};
      check_table(&table, 0);
      r->trouble = table.trouble;
    }
    break;
  }
}

/* Bits share an octet with their neighbours, the first in its lowest bit. */
static void read_arguments(struct reader *r, const struct fake_signature *s,
                           struct fake_fields *fields) {
  unsigned bits = 0, bit = 0;
  for (size_t i = 0; i < FAKE_FIELDS_MAX && s->args[i].name != NULL; i++) {
    struct fake_field *f = &fields->item[fields->count++];
    *f = (struct fake_field){.arg = &s->args[i], .is_present = true};
    if (f->arg->type == FAKE_BIT) {
      if (bit == 0)
        bits = (unsigned)read_uint(r, 1);
      f->number = bits >> bit & 1;
      bits &= ~(1U << bit);
      bit = (bit + 1) % 8;
    }
    bool is_last_bit = bit > 0 && (i + 1 == FAKE_FIELDS_MAX ||
                                   s->args[i + 1].type != FAKE_BIT);
    if (is_last_bit) {
      bit = 0;
      if (bits != 0 && r->trouble == NULL)
        r->trouble = "sets bits that have no meaning";
    }
    read_field(r, f);
  }
}

static bool is_reserved_and_set(const struct fake_field *f) {
  return strncmp(f->arg->name, "reserved", 8) == 0 &&
         (f->number != 0 || f->len != 0);
}

int fake_method_decode(const uint8_t *payload, size_t len,
                       const struct fake_signature **ret_signature,
                       struct fake_fields *ret_fields, char *why) {
  struct reader r = {.at = payload, .end = payload + len};
  unsigned class_id = (unsigned)read_uint(&r, 2);
  unsigned method_id = (unsigned)read_uint(&r, 2);
  const struct fake_signature *s =
      fake_signature_by_id((uint16_t)class_id, (uint16_t)method_id);
  if (r.trouble != NULL || s == NULL) {
    snprintf(why, WHY_SIZE, "unknown method %u.%u in %zu bytes", class_id,
             method_id, len);
    return -1;
  }
  struct fake_fields fields = {.count = 0};
  read_arguments(&r, s, &fields);
  if (r.trouble == NULL && r.at != r.end)
    r.trouble = "has bytes behind its last argument";
  for (size_t i = 0; i < fields.count && r.trouble == NULL; i++)
    if (is_reserved_and_set(&fields.item[i]))
      r.trouble = "sets a reserved argument";
  if (r.trouble != NULL) {
    snprintf(why, WHY_SIZE, "%s %s", s->name, r.trouble);
    return -1;
  }
  *ret_signature = s;
  *ret_fields = fields;
  return 0;
}

int fake_props_decode(const uint8_t *bytes, size_t len,
                      struct fake_fields *ret_fields, char *why) {
  struct reader r = {.at = bytes, .end = bytes + len};
  unsigned flags = (unsigned)read_uint(&r, 2);
  if (r.trouble == NULL && (flags & 3) != 0)
    r.trouble = "have a flag set that has no property";
  struct fake_fields fields = {.count = 0};
  for (unsigned i = 0; i < FAKE_PROPERTIES_COUNT; i++) {
    struct fake_field *f = &fields.item[fields.count++];
    *f = (struct fake_field){.arg = &fake_properties[i]};
    f->is_present = flags >> (15 - i) & 1;
    if (f->is_present)
      read_field(&r, f);
  }
  if (r.trouble == NULL && r.at != r.end)
    r.trouble = "are followed by bytes";
  if (r.trouble != NULL) {
    snprintf(why, WHY_SIZE, "properties %s", r.trouble);
    return -1;
  }
  *ret_fields = fields;
  return 0;
}

const struct fake_field *fake_fields_get(const struct fake_fields *fields,
                                         const char *name) {
  for (size_t i = 0; i < fields->count; i++)
    if (strcmp(fields->item[i].arg->name, name) == 0)
      return fields->item[i].is_present ? &fields->item[i] : NULL;
  return NULL;
}

uint64_t fake_fields_number(const struct fake_fields *fields,
                            const char *name) {
  const struct fake_field *f = fake_fields_get(fields, name);
  return f != NULL ? f->number : 0;
}

bool fake_fields_equal(const struct fake_fields *fields, const char *name,
                       const char *text) {
  const struct fake_field *f = fake_fields_get(fields, name);
  size_t len = strlen(text);
  return f != NULL && f->len == len &&
         (len == 0 || memcmp(f->bytes, text, len) == 0);
}

void fake_frame_encode(struct fake_bytes *out, unsigned type, unsigned channel,
                       const void *payload, size_t len) {
  fake_bytes_put_uint(out, type, 1);
  fake_bytes_put_uint(out, channel, 2);
  fake_bytes_put_uint(out, len, 4);
  fake_bytes_put(out, payload, len);
  fake_bytes_put_uint(out, FAKE_FRAME_END, 1);
}
