/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/utf8.h"

size_t rmq_utf8_decode(const char *bytes, size_t len, uint32_t *ret_char) {
  static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
  if (len == 0)
    return 0;
  const unsigned char *b = (const unsigned char *)bytes;
  size_t n = b[0] < 0x80             ? 1
             : (b[0] & 0xe0) == 0xc0 ? 2
             : (b[0] & 0xf0) == 0xe0 ? 3
             : (b[0] & 0xf8) == 0xf0 ? 4
                                     : 0;
  if (n == 0 || n > len)
    return 0;
  uint32_t c = n == 1 ? b[0] : b[0] & (0x7fu >> n);
  for (size_t i = 1; i < n; i++) {
    if ((b[i] & 0xc0) != 0x80)
      return 0;
    c = c << 6 | (b[i] & 0x3fu);
  }
  if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
    return 0;
  if (ret_char != NULL)
    *ret_char = c;
  return n;
}

bool rmq_utf8_is_valid(const char *bytes, size_t len) {
  size_t at = 0;
  while (at < len) {
    size_t n = rmq_utf8_decode(bytes + at, len - at, NULL);
    if (n == 0)
      return false;
    at += n;
  }
  return true;
}

size_t rmq_utf8_cut(const char *bytes, size_t len, size_t max) {
  if (max >= len)
    return len;
  /* The character across max, if there is one, starts at most 3 before it. */
  for (size_t back = 1; back <= 3 && back <= max; back++) {
    size_t n = rmq_utf8_decode(bytes + max - back, len - (max - back), NULL);
    if (n > back)
      return max - back;
    if (n != 0)
      break;
  }
  return max;
}

bool rmq_utf8_is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f);
}
