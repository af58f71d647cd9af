/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/wire_table.h"

#include "common/amqp/wire.h"

/* A position in bytes that never runs past the end. */
struct cursor {
  const unsigned char *at;
  size_t left;
};

static bool skip(struct cursor *c, size_t n) {
  if (n > c->left)
    return false;
  c->at += n;
  c->left -= n;
  return true;
}

static bool take_u8(struct cursor *c, unsigned *ret_value) {
  if (c->left < 1)
    return false;
  *ret_value = c->at[0];
  return skip(c, 1);
}

static bool take_u16(struct cursor *c, unsigned *ret_value) {
  unsigned high = 0, low = 0;
  if (!take_u8(c, &high) || !take_u8(c, &low))
    return false;
  *ret_value = high << 8 | low;
  return true;
}

static bool take_u32(struct cursor *c, size_t *ret_value) {
  unsigned high = 0, low = 0;
  if (!take_u16(c, &high) || !take_u16(c, &low))
    return false;
  *ret_value = (size_t)high << 16 | low;
  return true;
}

/* A 32-bit length and as many bytes, as a cursor of their own. */
static bool take_block(struct cursor *c, struct cursor *ret_block) {
  size_t len = 0;
  if (!take_u32(c, &len) || len > c->left)
    return false;
  *ret_block = (struct cursor){c->at, len};
  return skip(c, len);
}

static bool skip_short_string(struct cursor *c) {
  unsigned len = 0;
  return take_u8(c, &len) && skip(c, len);
}

static bool check_table(struct cursor *c, int depth);
static bool check_array(struct cursor *c, int depth);

static bool check_value(struct cursor *c, int depth) {
  unsigned type = 0;
  struct cursor block;
  if (!take_u8(c, &type))
    return false;
  switch (type) {
  case 'V':
    return true;
  case 't':
  case 'b':
  case 'B':
    return skip(c, 1);
  case 's':
  case 'u':
    return skip(c, 2);
  case 'I':
  case 'i':
  case 'f':
    return skip(c, 4);
  case 'D':
    return skip(c, 5);
  case 'l':
  case 'L':
  case 'd':
  case 'T':
    return skip(c, 8);
  case 'S':
  case 'x':
    return take_block(c, &block);
  case 'A':
    return check_array(c, depth + 1);
  case 'F':
    return check_table(c, depth + 1);
  }
  return false;
}

static bool check_array(struct cursor *c, int depth) {
  struct cursor block;
  if (depth > RMQ_WIRE_TABLE_DEPTH || !take_block(c, &block))
    return false;
  while (block.left > 0)
    if (!check_value(&block, depth))
      return false;
  return true;
}

static bool check_table(struct cursor *c, int depth) {
  struct cursor block;
  if (depth > RMQ_WIRE_TABLE_DEPTH || !take_block(c, &block))
    return false;
  while (block.left > 0)
    if (!skip_short_string(&block) || !check_value(&block, depth))
      return false;
  return true;
}

bool rmq_wire_table_is_sane(const char *bytes, size_t len) {
  struct cursor c = {(const unsigned char *)bytes, len};
  return check_table(&c, 1);
}

/* Property flags of class basic, highest bit first: content-type,
 * content-encoding, headers, delivery-mode, priority, correlation-id, reply-to,
 * expiration, message-id, timestamp, type, user-id, app-id, cluster-id. */
bool rmq_wire_properties_are_sane(const char *bytes, size_t len) {
  /* s: short string, F: table, o: octet, T: 64-bit timestamp */
  static const char kinds[] = "ssFoossssTssss";
  struct cursor c = {(const unsigned char *)bytes, len};
  unsigned flags = 0;
  if (!take_u16(&c, &flags) || (flags & 0x3) != 0)
    return false; /* the class has no second word of flags */
  for (int i = 0; kinds[i] != '\0'; i++) {
    if ((flags & (0x8000u >> i)) == 0)
      continue;
    bool ok = kinds[i] == 's'   ? skip_short_string(&c)
              : kinds[i] == 'F' ? check_table(&c, 1)
              : kinds[i] == 'o' ? skip(&c, 1)
                                : skip(&c, 8);
    if (!ok)
      return false;
  }
  return true;
}
