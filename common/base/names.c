/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/names.h"

#include "common/base/sample.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

uint64_t rmq_fnv1a_more(uint64_t hash, const void *bytes, size_t len) {
  const unsigned char *b = bytes;
  for (size_t i = 0; i < len; i++)
    hash = (hash ^ b[i]) * UINT64_C(1099511628211);
  return hash;
}

uint64_t rmq_fnv1a(const void *bytes, size_t len) {
  return rmq_fnv1a_more(RMQ_FNV1A_BASIS, bytes, len);
}

/* Not isalnum: a locale must not change a series' name. */
static bool is_unreserved(unsigned char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
         (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '~' || c == '-';
}

int rmq_names_encode(struct rmq_buf *out, const char *name, bool also_dash) {
  static const char hex[] = "0123456789ABCDEF";
  size_t before = out->len;
  for (const char *p = name; *p != '\0'; p++) {
    unsigned char c = (unsigned char)*p;
    int rc;
    if (is_unreserved(c) && !(also_dash && c == '-'))
      rc = rmq_buf_append_char(out, *p);
    else
      rc = rmq_buf_append(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
    if (rc != 0) {
      rmq_buf_truncate(out, before);
      return -1;
    }
  }
  return 0;
}

void rmq_names_shorten(const char *name, char *ret_name, size_t ret_size) {
  enum { KEPT = 110 };
  size_t len = strlen(name);
  if (len <= RMQ_NAME_MAX) {
    size_t fits = len < ret_size ? len : ret_size - 1;
    memcpy(ret_name, name, fits);
    ret_name[fits] = '\0';
    return;
  }
  size_t kept = rmq_utf8_cut(name, len, KEPT);
  if (name[kept - 1] == '%')
    kept -= 1;
  else if (name[kept - 2] == '%')
    kept -= 2;
  snprintf(ret_name, ret_size, "%.*s~%016" PRIx64, (int)kept, name,
           rmq_fnv1a(name, len));
}

bool rmq_names_are_safe(const char *name, size_t len) {
  if (len == 0 || len > RMQ_NAME_MAX || name[0] == '.')
    return false;
  for (size_t at = 0; at < len;) {
    unsigned char byte = (unsigned char)name[at];
    if (byte >= 0x20 && byte < 0x7f && byte != '/') { /* nearly every one */
      at++;
      continue;
    }
    if (byte < 0x80)
      return false;
    uint32_t c = 0;
    size_t n = rmq_utf8_decode(name + at, len - at, &c);
    if (n == 0 || rmq_utf8_is_control(c))
      return false;
    at += n;
  }
  return true;
}
