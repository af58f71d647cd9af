/* SPDX-License-Identifier: MIT */
/* Bytes to the text that codec_text.c reads, and dumps for people. */
#include "rmq_config.h"

#include <stdio.h>
#include <string.h>

#include "tests/fake/codec.h"

#define WHY_SIZE 200
#define DUMP_MAX 512

static void print_string(const uint8_t *bytes, size_t len,
                         struct fake_bytes *out) {
  fake_bytes_put(out, "'", 1);
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] == '\'' || bytes[i] == '\\')
      fake_bytes_printf(out, "\\%c", bytes[i]);
    else if (bytes[i] < 0x20 || bytes[i] > 0x7e)
      fake_bytes_printf(out, "\\x%02x", bytes[i]);
    else
      fake_bytes_put(out, &bytes[i], 1);
  }
  fake_bytes_put(out, "'", 1);
}

static void print_table(const uint8_t *at, size_t len, struct fake_bytes *out);

/* The bytes were checked by fake_table_check; returns the size taken. */
static size_t print_value(const uint8_t *at, struct fake_bytes *out) {
  uint8_t type = *at++;
  size_t len = 0;
  fake_bytes_printf(out, "%c:", type);
  switch (type) {
  case 'S':
  case 'x':
    len = (size_t)fake_be(at, 4);
    print_string(at + 4, len, out);
    return 5 + len;
  case 'F':
    len = (size_t)fake_be(at, 4);
    print_table(at + 4, len, out);
    return 5 + len;
  case 'A':
    len = (size_t)fake_be(at, 4);
    fake_bytes_put(out, "[", 1);
    for (size_t i = 0; i < len;) {
      i += print_value(at + 4 + i, out);
      if (i < len)
        fake_bytes_put(out, ",", 1);
    }
    fake_bytes_put(out, "]", 1);
    return 5 + len;
  case 'V':
    return 1;
  default:
    len = strchr("lTd", type) != NULL ? 8
          : type == 'D'               ? 5
          : strchr("Iif", type)       ? 4
          : strchr("su", type)        ? 2
                                      : 1;
    fake_bytes_printf(out, "%llu", (unsigned long long)fake_be(at, len));
    return 1 + len;
  }
}

static void print_table(const uint8_t *at, size_t len, struct fake_bytes *out) {
  fake_bytes_put(out, "{", 1);
  for (const uint8_t *end = at + len; at < end;) {
    print_string(at + 1, *at, out);
    at += 1 + *at;
    fake_bytes_put(out, "=", 1);
    at += print_value(at, out);
    if (at < end)
      fake_bytes_put(out, ",", 1);
  }
  fake_bytes_put(out, "}", 1);
}

static void print_field(const struct fake_field *f, struct fake_bytes *out) {
  fake_bytes_printf(out, "%s=", f->arg->name);
  switch (f->arg->type) {
  case FAKE_SHORTSTR:
  case FAKE_LONGSTR:
    print_string(f->bytes, f->len, out);
    break;
  case FAKE_TABLE:
    print_table(f->bytes, f->len, out);
    break;
  case FAKE_NONE:
  case FAKE_BIT:
  case FAKE_OCTET:
  case FAKE_SHORT:
  case FAKE_LONG:
  case FAKE_LONGLONG:
    fake_bytes_printf(out, "%llu", (unsigned long long)f->number);
    break;
  }
}

void fake_fields_to_text(const struct fake_fields *fields,
                         struct fake_bytes *out) {
  const char *space = "";
  for (size_t i = 0; i < fields->count; i++) {
    if (!fields->item[i].is_present)
      continue;
    fake_bytes_printf(out, "%s", space);
    print_field(&fields->item[i], out);
    space = " ";
  }
}

void fake_hex_dump(const uint8_t *bytes, size_t len, struct fake_bytes *out) {
  size_t shown = len < DUMP_MAX ? len : DUMP_MAX;
  for (size_t i = 0; i < shown; i += 16) {
    fake_bytes_printf(out, "    %04zx ", i);
    for (size_t k = i; k < i + 16; k++)
      if (k < shown)
        fake_bytes_printf(out, " %02x", bytes[k]);
      else
        fake_bytes_printf(out, "   ");
    fake_bytes_printf(out, "  ");
    for (size_t k = i; k < i + 16 && k < shown; k++)
      fake_bytes_printf(out, "%c",
                        bytes[k] >= 0x20 && bytes[k] < 0x7f ? bytes[k] : '.');
    fake_bytes_printf(out, "\n");
  }
  if (shown < len)
    fake_bytes_printf(out, "    ... %zu more bytes\n", len - shown);
}

void fake_frame_dump(const uint8_t *frame, size_t len, struct fake_bytes *out) {
  char why[WHY_SIZE];
  const struct fake_signature *s;
  struct fake_fields fields;
  if (len < FAKE_FRAME_OVERHEAD || memcmp(frame, "AMQP", 4) == 0) {
    fake_bytes_printf(out, "  %zu bytes\n", len);
  } else {
    fake_bytes_printf(out, "  frame type %u, channel %u, %zu bytes: ", frame[0],
                      (unsigned)fake_be(frame + 1, 2), len);
    if (frame[0] == FAKE_FRAME_METHOD &&
        fake_method_decode(frame + 7, len - FAKE_FRAME_OVERHEAD, &s, &fields,
                           why) == 0) {
      fake_bytes_printf(out, "%s ", s->name);
      fake_fields_to_text(&fields, out);
    } else if (frame[0] == FAKE_FRAME_HEADER && len >= 22 &&
               fake_props_decode(frame + 19, len - 20, &fields, why) == 0) {
      fake_bytes_printf(out, "header of %llu body bytes ",
                        (unsigned long long)fake_be(frame + 11, 8));
      fake_fields_to_text(&fields, out);
    }
    fake_bytes_printf(out, "\n");
  }
  fake_hex_dump(frame, len, out);
}
