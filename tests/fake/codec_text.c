/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/codec.h"
#include "tests/fake/signatures.h"

#define WHY_SIZE 200

/* A text in a test that cannot be read: the test is wrong, say where. */
static _Noreturn void bad_text(const char *what, const char *at) {
  fprintf(stderr, "fake broker: bad field text (%s) at: %s\n", what, at);
  abort();
}

static void skip_space(const char **text) {
  while (isspace((unsigned char)**text))
    (*text)++;
}

static bool take_char(const char **text, char c) {
  skip_space(text);
  if (**text != c)
    return false;
  (*text)++;
  return true;
}

static uint8_t parse_escape(const char **text) {
  char c = *(*text)++;
  if (c != 'x')
    return (uint8_t)c;
  char hex[3] = "", *end;
  strncpy(hex, *text, 2);
  unsigned long octet = strtoul(hex, &end, 16);
  if (end != hex + 2)
    bad_text("\\x wants two hex digits", *text);
  *text += 2;
  return (uint8_t)octet;
}

/* A bare word ends at space, comma or closing bracket. */
static void parse_string(const char **text, struct fake_bytes *out) {
  skip_space(text);
  if (**text != '\'') {
    size_t len = strcspn(*text, " \n\t,]}");
    fake_bytes_put(out, *text, len);
    *text += len;
    return;
  }
  (*text)++;
  while (**text != '\'') {
    if (**text == '\0')
      bad_text("quote not closed", *text);
    uint8_t octet = (uint8_t) * (*text)++;
    if (octet == '\\')
      octet = parse_escape(text);
    fake_bytes_put(out, &octet, 1);
  }
  (*text)++;
}

static uint64_t parse_number(const char **text) {
  skip_space(text);
  char *end;
  bool is_negative = **text == '-';
  uint64_t value = is_negative ? (uint64_t)strtoll(*text, &end, 0)
                               : (uint64_t)strtoull(*text, &end, 0);
  if (end == *text)
    bad_text("number wanted", *text);
  *text = end;
  return value;
}

/* `size` octets of length before what `inner` holds. */
static void put_sized(struct fake_bytes *out, size_t size,
                      struct fake_bytes *inner) {
  if (size == 1 && inner->len > 255)
    bad_text("short string over 255 bytes", "");
  fake_bytes_put_uint(out, inner->len, size);
  fake_bytes_put(out, inner->data, inner->len);
  fake_bytes_fini(inner);
}

static void parse_table(const char **text, struct fake_bytes *out);

static void parse_value(const char **text, struct fake_bytes *out) {
  skip_space(text);
  char type = *(*text)++;
  fake_bytes_put(out, &type, 1);
  if (!take_char(text, ':'))
    bad_text("TYPE:value wanted", *text);
  struct fake_bytes inner = {0};
  static const char *const widths[] = {"tbB", "su", "Ii", "lT"};
  for (size_t i = 0; i < 4; i++)
    if (strchr(widths[i], type) != NULL) {
      fake_bytes_put_uint(out, parse_number(text), (size_t)1 << i);
      return;
    }
  switch (type) {
  case 'V':
    return;
  case 'S':
  case 'x':
    parse_string(text, &inner);
    break;
  case 'f':
  case 'd':
  case 'D': /* as raw octets in hex: enough for what tests need */
    fake_bytes_put_uint(out, parse_number(text),
                        type == 'f' ? 4 : (type == 'd' ? 8 : 5));
    return;
  case 'F':
    parse_table(text, &inner);
    break;
  case 'A':
    if (!take_char(text, '['))
      bad_text("[ wanted", *text);
    while (!take_char(text, ']')) {
      parse_value(text, &inner);
      take_char(text, ',');
    }
    break;
  default:
    bad_text("unknown value type", *text - 2);
  }
  put_sized(out, 4, &inner);
}

static void parse_key(const char **text, const char *stop,
                      struct fake_bytes *out) {
  skip_space(text);
  if (**text == '\'') {
    parse_string(text, out);
    return;
  }
  size_t len = strcspn(*text, stop);
  fake_bytes_put(out, *text, len);
  *text += len;
}

static void parse_table(const char **text, struct fake_bytes *out) {
  if (!take_char(text, '{'))
    bad_text("{ wanted", *text);
  while (!take_char(text, '}')) {
    struct fake_bytes key = {0};
    parse_key(text, "= ,}", &key);
    put_sized(out, 1, &key);
    if (!take_char(text, '='))
      bad_text("= wanted", *text);
    parse_value(text, out);
    take_char(text, ',');
  }
}

/* What a field of `type` carries, without the length in front. */
static void parse_field(const char **text, enum fake_type type,
                        struct fake_bytes *out) {
  static const size_t sizes[] = {
      [FAKE_BIT] = 1,  [FAKE_OCTET] = 1,    [FAKE_SHORT] = 2,
      [FAKE_LONG] = 4, [FAKE_LONGLONG] = 8,
  };
  switch (type) {
  case FAKE_NONE:
    break;
  case FAKE_BIT:
  case FAKE_OCTET:
  case FAKE_SHORT:
  case FAKE_LONG:
  case FAKE_LONGLONG:
    fake_bytes_put_uint(out, parse_number(text), sizes[type]);
    break;
  case FAKE_SHORTSTR:
  case FAKE_LONGSTR:
    parse_string(text, out);
    break;
  case FAKE_TABLE:
    parse_table(text, out);
    break;
  }
}

enum relation { REL_EQUAL, REL_CONTAINS, REL_ABSENT };

/* One `name=value`, `name>={...}` or `!name`; false at the end of the text. */
static bool parse_item(const char **text, const struct fake_arg *args,
                       size_t args_count, enum relation *ret_relation,
                       size_t *ret_index, struct fake_bytes *ret_value) {
  skip_space(text);
  if (**text == '\0')
    return false;
  const char *start = *text;
  *ret_relation = take_char(text, '!') ? REL_ABSENT : REL_EQUAL;
  size_t len = strcspn(*text, "=> \n\t"), index = 0;
  while (index < args_count && args[index].name != NULL &&
         (strlen(args[index].name) != len ||
          memcmp(args[index].name, *text, len) != 0))
    index++;
  if (index == args_count || args[index].name == NULL)
    bad_text("no such field", start);
  *text += len;
  *ret_index = index;
  if (*ret_relation == REL_ABSENT)
    return true;
  if (take_char(text, '>'))
    *ret_relation = REL_CONTAINS;
  if (!take_char(text, '='))
    bad_text("= wanted", *text);
  ret_value->len = 0;
  parse_field(text, args[index].type, ret_value);
  return true;
}

static void put_field(struct fake_bytes *out, enum fake_type type,
                      struct fake_bytes *value) {
  static const size_t sizes[] = {
      [FAKE_OCTET] = 1,    [FAKE_SHORT] = 2,    [FAKE_LONG] = 4,
      [FAKE_LONGLONG] = 8, [FAKE_SHORTSTR] = 1, [FAKE_LONGSTR] = 4,
      [FAKE_TABLE] = 4,
  };
  if (type == FAKE_SHORTSTR || type == FAKE_LONGSTR || type == FAKE_TABLE)
    put_sized(out, sizes[type], value);
  else if (value->len > 0)
    fake_bytes_put(out, value->data, value->len);
  else
    fake_bytes_put_uint(out, 0, sizes[type]);
  fake_bytes_fini(value);
}

static void parse_all(const char *fields, const struct fake_arg *args,
                      struct fake_bytes *values, bool *is_present) {
  enum relation relation;
  size_t index;
  struct fake_bytes value = {0};
  const char *text = fields != NULL ? fields : "";
  while (parse_item(&text, args, FAKE_FIELDS_MAX, &relation, &index, &value)) {
    if (relation != REL_EQUAL)
      bad_text("only name=value is for sending", fields);
    values[index].len = 0;
    fake_bytes_put(&values[index], value.data, value.len);
    is_present[index] = true;
  }
  fake_bytes_fini(&value);
}

void fake_method_encode(struct fake_bytes *out, const char *name,
                        const char *fields) {
  const struct fake_signature *s = fake_signature_by_name(name);
  if (s == NULL)
    bad_text("unknown method", name);
  struct fake_bytes values[FAKE_FIELDS_MAX] = {{0}};
  bool is_present[FAKE_FIELDS_MAX] = {false};
  parse_all(fields, s->args, values, is_present);
  fake_bytes_put_uint(out, s->class_id, 2);
  fake_bytes_put_uint(out, s->method_id, 2);
  unsigned bits = 0, bit = 0;
  for (size_t i = 0; i < FAKE_FIELDS_MAX; i++) {
    bool is_bit = s->args[i].type == FAKE_BIT;
    if (!is_bit && bit > 0) {
      fake_bytes_put_uint(out, bits, 1);
      bits = bit = 0;
    }
    if (s->args[i].name == NULL)
      break;
    if (is_bit) {
      bits |= (values[i].len > 0 && values[i].data[0] != 0) ? 1U << bit : 0;
      bit++;
      fake_bytes_fini(&values[i]);
    } else {
      put_field(out, s->args[i].type, &values[i]);
    }
  }
}

/* parse_all walks FAKE_FIELDS_MAX entries: give it that many. */
void fake_props_encode(struct fake_bytes *out, const char *fields) {
  struct fake_arg args[FAKE_FIELDS_MAX] = {{0}};
  memcpy(args, fake_properties, sizeof(fake_properties));
  struct fake_bytes values[FAKE_FIELDS_MAX] = {{0}};
  bool is_present[FAKE_FIELDS_MAX] = {false};
  parse_all(fields, args, values, is_present);
  unsigned flags = 0;
  for (unsigned i = 0; i < FAKE_PROPERTIES_COUNT; i++)
    flags |= is_present[i] ? 1U << (15 - i) : 0;
  fake_bytes_put_uint(out, flags, 2);
  for (unsigned i = 0; i < FAKE_PROPERTIES_COUNT; i++)
    if (is_present[i])
      put_field(out, args[i].type, &values[i]);
}

/* Tables are well-formed from here on: they were decoded. */
static const uint8_t *table_find(const uint8_t *at, size_t len,
                                 const uint8_t *key) {
  for (const uint8_t *end = at + len; at < end;) {
    const uint8_t *value = at + 1 + *at;
    if (*at == *key && memcmp(at + 1, key + 1, *key) == 0)
      return value;
    at = value + fake_value_extent(value);
  }
  return NULL;
}

static bool table_contains(const uint8_t *table, size_t len,
                           const uint8_t *want, size_t want_len) {
  for (const uint8_t *end = want + want_len; want < end;) {
    const uint8_t *want_value = want + 1 + *want;
    size_t extent = fake_value_extent(want_value);
    const uint8_t *value = table_find(table, len, want);
    if (value == NULL || *value != *want_value)
      return false;
    bool is_same = *value == 'F'
                       ? table_contains(value + 5, fake_be(value + 1, 4),
                                        want_value + 5, extent - 5)
                       : fake_value_extent(value) == extent &&
                             memcmp(value, want_value, extent) == 0;
    if (!is_same)
      return false;
    want = want_value + extent;
  }
  return true;
}

static bool field_matches(const struct fake_field *f, enum relation relation,
                          const struct fake_bytes *value) {
  if (relation == REL_ABSENT)
    return !f->is_present || (f->number == 0 && f->len == 0);
  if (!f->is_present)
    return false;
  if (f->arg->type == FAKE_TABLE && relation == REL_CONTAINS)
    return table_contains(f->bytes, f->len, value->data, value->len);
  if (f->arg->type >= FAKE_SHORTSTR)
    return f->len == value->len &&
           (f->len == 0 || memcmp(f->bytes, value->data, f->len) == 0);
  return f->number == fake_be(value->data, value->len);
}

bool fake_fields_match(const struct fake_fields *fields, const char *want,
                       char *why) {
  struct fake_arg args[FAKE_FIELDS_MAX] = {{0}};
  for (size_t i = 0; i < fields->count; i++)
    args[i] = *fields->item[i].arg;
  enum relation relation;
  size_t index;
  struct fake_bytes value = {0};
  bool is_match = true;
  const char *text = want != NULL ? want : "", *start = text;
  while (is_match &&
         parse_item(&text, args, FAKE_FIELDS_MAX, &relation, &index, &value)) {
    is_match = field_matches(&fields->item[index], relation, &value);
    if (!is_match)
      snprintf(why, WHY_SIZE, "field differs, wanted %.*s", (int)(text - start),
               start);
    start = text;
  }
  fake_bytes_fini(&value);
  return is_match;
}
