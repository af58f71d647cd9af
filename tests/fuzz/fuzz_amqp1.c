/* SPDX-License-Identifier: MIT */
/* Any bytes are refused with a reason, or hold what stands at their end; what
 * was wrapped comes back. */
#include "rmq_config.h"

#include "common/codec/amqp1.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

/* An amqp-value section with a binary of these bytes, NULL without memory. */
static char *wrap(const uint8_t *data, size_t size, size_t *ret_len) {
  static const char head[] = {0x00, 0x53, 0x77, (char)0xb0};
  char *out = malloc(sizeof(head) + 4 + size);
  if (out == NULL)
    return NULL;
  memcpy(out, head, sizeof(head));
  for (size_t i = 0; i < 4; i++)
    out[sizeof(head) + i] = (char)(size >> (24 - 8 * i) & 0xff);
  if (size > 0)
    memcpy(out + sizeof(head) + 4, data, size);
  *ret_len = sizeof(head) + 4 + size;
  return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  const char *bytes = (const char *)data;
  size_t len = size;
  struct rmq_error err = {""};
  int rc = rmq_amqp1_unwrap(&bytes, &len, &err);
  fuzz_must((rc == 0) == !rmq_error_is_set(&err));
  if (rc != 0)
    fuzz_must(bytes == (const char *)data && len == size);
  else
    fuzz_must(len + 5 <= size && bytes + len == (const char *)data + size);

  char *wrapped = wrap(data, size, &len);
  bytes = wrapped;
  if (wrapped == NULL)
    return 0;
  fuzz_must(rmq_amqp1_unwrap(&bytes, &len, NULL) == 0);
  fuzz_must(len == size && (size == 0 || memcmp(bytes, data, size) == 0));
  free(wrapped);
  return 0;
}
