/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/amqp1.h"

#include <stdint.h>
#include <string.h>

/* Constructors, part 1.6. */
enum {
  DESCRIBED = 0x00,
  SMALL_ULONG = 0x53,
  ULONG = 0x80,
  BINARY_8 = 0xa0,
  STRING_8 = 0xa1,
  BINARY_32 = 0xb0,
  STRING_32 = 0xb1
};
/* Descriptors of sections, part 3.2. */
enum { DATA = 0x75, VALUE = 0x77 };

struct input {
  const unsigned char *at;
  size_t left;
};

/* size bytes, the highest first; 0 or -1. */
static int take_number(struct input *in, size_t size, uint64_t *ret_number) {
  uint64_t number = 0;
  if (in->left < size)
    return -1;
  for (size_t i = 0; i < size; i++)
    number = number << 8 | in->at[i];
  in->at += size;
  in->left -= size;
  *ret_number = number;
  return 0;
}

/* What the section is; 0 or -1. */
static int take_descriptor(struct input *in, uint64_t *ret_section) {
  uint64_t described = 0, type = 0;
  if (take_number(in, 1, &described) != 0 || described != DESCRIBED ||
      take_number(in, 1, &type) != 0)
    return -1;
  if (type == SMALL_ULONG)
    return take_number(in, 1, ret_section);
  return type == ULONG ? take_number(in, 8, ret_section) : -1;
}

/* The length of a binary or string that fills the rest; 0 or -1. */
static int take_length(struct input *in, struct rmq_error *err) {
  uint64_t type = 0, length = 0;
  if (take_number(in, 1, &type) != 0)
    return rmq_error_set(err, "AMQP 1.0: it ends too early");
  if (type != BINARY_8 && type != STRING_8 && type != BINARY_32 &&
      type != STRING_32)
    return rmq_error_set(err, "AMQP 1.0: it is neither binary nor string");
  size_t size = type == BINARY_8 || type == STRING_8 ? 1 : 4;
  if (take_number(in, size, &length) != 0 || length > in->left)
    return rmq_error_set(err, "AMQP 1.0: it ends too early");
  if (length < in->left)
    return rmq_error_set(err, "AMQP 1.0: it has more than one section");
  return 0;
}

int rmq_amqp1_unwrap(const char **bytes, size_t *len, struct rmq_error *err) {
  struct input in = {(const unsigned char *)*bytes, *len};
  uint64_t section = 0;
  if (take_descriptor(&in, &section) != 0 ||
      (section != DATA && section != VALUE))
    return rmq_error_set(err, "AMQP 1.0: it is not a section with a value");
  if (take_length(&in, err) != 0)
    return -1;
  *bytes = (const char *)in.at;
  *len = in.left;
  return 0;
}
