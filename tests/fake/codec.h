/* SPDX-License-Identifier: MIT */
/* The fake broker's own AMQP 0-9-1 codec, written by hand from the
 * specification's XML and RabbitMQ's errata, so that a misunderstanding in
 * Warren's encoder is not mirrored here. It shares no line with common/ and
 * does not use rabbitmq-c.
 *
 * Methods and properties are written as text in tests:
 *
 *   "queue=q durable=1 arguments={x-max-length=I:1000,x-mode=S:lazy}"
 *
 * Values are bare words, 'quoted' (\' \\ \xNN inside), numbers, or tables of
 * key=TYPE:value with the type letters of RabbitMQ's errata. The same text is
 * what a dump prints. A mistake in such a text is a mistake in the test and
 * aborts with a message. */
#ifndef TESTS_FAKE_CODEC_H
#define TESTS_FAKE_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_FIELDS_MAX 16
#define FAKE_FRAME_END 0xce
#define FAKE_FRAME_OVERHEAD 8

enum fake_frame_type {
  FAKE_FRAME_METHOD = 1,
  FAKE_FRAME_HEADER = 2,
  FAKE_FRAME_BODY = 3,
  FAKE_FRAME_HEARTBEAT = 8,
};

/* Growable bytes; running out of memory ends the test program. */
struct fake_bytes {
  uint8_t *data;
  size_t len, cap;
};

void fake_bytes_put(struct fake_bytes *b, const void *data, size_t len);
void fake_bytes_put_uint(struct fake_bytes *b, uint64_t value, size_t size);
void fake_bytes_printf(struct fake_bytes *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* As a C string that lives until the next change. */
const char *fake_bytes_text(struct fake_bytes *b);
void fake_bytes_drop(struct fake_bytes *b, size_t len);
void fake_bytes_fini(struct fake_bytes *b);

enum fake_type {
  FAKE_NONE,
  FAKE_BIT,
  FAKE_OCTET,
  FAKE_SHORT,
  FAKE_LONG,
  FAKE_LONGLONG,
  FAKE_SHORTSTR,
  FAKE_LONGSTR,
  FAKE_TABLE,
};

struct fake_arg {
  const char *name; /* "reserved..." must be zero or empty */
  enum fake_type type;
};

struct fake_signature {
  uint16_t class_id, method_id;
  const char *name;
  char from; /* 'C' client, 'S' server, 'B' both */
  bool has_content;
  struct fake_arg args[FAKE_FIELDS_MAX];
};

/* NULL when the name or the ids are unknown. */
const struct fake_signature *fake_signature_by_name(const char *name);
const struct fake_signature *fake_signature_by_id(uint16_t class_id,
                                                  uint16_t method_id);

/* One decoded argument or property; bytes point into the payload, for
 * strings and tables behind their length. */
struct fake_field {
  const struct fake_arg *arg;
  bool is_present;
  uint64_t number;
  const uint8_t *bytes;
  size_t len;
};

struct fake_fields {
  struct fake_field item[FAKE_FIELDS_MAX];
  size_t count;
};

/* Payload of a method frame (ids and arguments). Strict: lengths, table
 * types, reserved arguments, unused bits, bytes behind the last argument.
 * Return 0, or -1 with a sentence in `why` (at least 200 bytes). */
int fake_method_decode(const uint8_t *payload, size_t len,
                       const struct fake_signature **ret_signature,
                       struct fake_fields *ret_fields, char *why);
/* Basic properties: flags and what follows them. */
int fake_props_decode(const uint8_t *bytes, size_t len,
                      struct fake_fields *ret_fields, char *why);
int fake_table_check(const uint8_t *bytes, size_t len, unsigned depth,
                     char *why);

/* Big-endian, as everything on the wire. */
uint64_t fake_be(const uint8_t *bytes, size_t size);
/* Bytes of a well-formed field value, from its type letter on. */
size_t fake_value_extent(const uint8_t *at);

/* NULL when absent or unknown. */
const struct fake_field *fake_fields_get(const struct fake_fields *fields,
                                         const char *name);
/* Absent counts as 0. */
uint64_t fake_fields_number(const struct fake_fields *fields, const char *name);
bool fake_fields_equal(const struct fake_fields *fields, const char *name,
                       const char *text);

/* Text to bytes. Arguments not named are zero or empty; properties not named
 * are absent. */
void fake_method_encode(struct fake_bytes *out, const char *name,
                        const char *fields);
void fake_props_encode(struct fake_bytes *out, const char *fields);
void fake_frame_encode(struct fake_bytes *out, unsigned type, unsigned channel,
                       const void *payload, size_t len);

/* Bytes to text, the form that the encoders read. */
void fake_fields_to_text(const struct fake_fields *fields,
                         struct fake_bytes *out);
/* A frame as readable lines: what it is, then a hex dump (cut at 512). */
void fake_frame_dump(const uint8_t *frame, size_t len, struct fake_bytes *out);
void fake_hex_dump(const uint8_t *bytes, size_t len, struct fake_bytes *out);

/* Does each field named in `want` have that value? `name=value` compares
 * whole, `name>={...}` wants these keys among others in a table, `!name`
 * wants the property absent (or the argument zero or empty). Returns false
 * with a sentence in `why`. */
bool fake_fields_match(const struct fake_fields *fields, const char *want,
                       char *why);

#endif
