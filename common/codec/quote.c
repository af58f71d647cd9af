/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/quote.h"

#include "common/base/utf8.h"

#include <stdint.h>
#include <string.h>

int rmq_quote_escape(struct rmq_buf *out, const char *text) {
  while (*text != '\0') {
    size_t plain = strcspn(text, "\"\\");
    if (rmq_buf_append(out, text, plain) != 0)
      return -1;
    text += plain;
    if (*text != '\0' && rmq_buf_append(out, (char[]){'\\', *text++}, 2) != 0)
      return -1;
  }
  return 0;
}

/* Bytes at the start of text that stand in a JSON string as they are. */
static size_t plain_span(const char *text, size_t len) {
  size_t at = 0;
  while (at < len) {
    unsigned char c = (unsigned char)text[at];
    if (c < 0x20 || c == '"' || c == '\\')
      break;
    size_t n = c < 0x80 ? 1 : rmq_utf8_decode(text + at, len - at, NULL);
    if (n == 0)
      break;
    at += n;
  }
  return at;
}

static int append_escape(struct rmq_buf *out, char c) {
  static const char hex[] = "0123456789abcdef";
  if (c == '"' || c == '\\')
    return rmq_buf_append(out, (char[]){'\\', c}, 2);
  if ((unsigned char)c >= 0x80)
    return rmq_buf_append_text(out, "\xef\xbf\xbd");
  char u[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
  return rmq_buf_append(out, u, sizeof(u));
}

int rmq_quote_json(struct rmq_buf *out, const char *text) {
  if (rmq_buf_append_char(out, '"') != 0)
    return -1;
  size_t len = strlen(text);
  for (size_t at = 0; at < len;) {
    size_t plain = plain_span(text + at, len - at);
    if (rmq_buf_append(out, text + at, plain) != 0)
      return -1;
    at += plain;
    if (at < len && append_escape(out, text[at++]) != 0)
      return -1;
  }
  return rmq_buf_append_char(out, '"');
}

int rmq_quote_base64(struct rmq_buf *out, const void *bytes, size_t len) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789+/";
  const unsigned char *from = bytes;
  for (size_t i = 0; i < len; i += 3) {
    uint32_t bits = (uint32_t)from[i] << 16;
    if (i + 1 < len)
      bits |= (uint32_t)from[i + 1] << 8;
    if (i + 2 < len)
      bits |= from[i + 2];
    char text[4] = {digits[bits >> 18], digits[bits >> 12 & 63],
                    i + 1 < len ? digits[bits >> 6 & 63] : '=',
                    i + 2 < len ? digits[bits & 63] : '='};
    if (rmq_buf_append(out, text, sizeof(text)) != 0)
      return -1;
  }
  return 0;
}

static bool is_key_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c >= '0' && c <= '9') || c == '_' || c == ':';
}

/* Not strspn, which prepares a table of 256 bytes for every call. */
size_t rmq_quote_option_key_span(const char *text) {
  size_t n = 0;
  while (is_key_char(text[n]))
    n++;
  return n;
}

bool rmq_quote_is_option_key(const char *key) {
  size_t n = rmq_quote_option_key_span(key);
  return n > 0 && key[n] == '\0';
}
