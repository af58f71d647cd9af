/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/metrics_family.h"

#include <string.h>

int rmq_metrics_family_find(const struct rmq_metrics_family *table,
                            size_t count, const char *prefix,
                            struct rmq_exposition_text name) {
  size_t prefix_len = strlen(prefix);
  if (name.len < prefix_len || memcmp(name.bytes, prefix, prefix_len) != 0)
    return -1;
  const char *rest = name.bytes + prefix_len;
  size_t rest_len = name.len - prefix_len;
  for (size_t i = 0; i < count; i++)
    if (strlen(table[i].name) == rest_len &&
        memcmp(table[i].name, rest, rest_len) == 0)
      return (int)i;
  return -1;
}

bool rmq_metrics_text_is(const char *a, struct rmq_exposition_text b) {
  return strlen(a) == b.len && memcmp(a, b.bytes, b.len) == 0;
}

bool rmq_metrics_text_copy(struct rmq_exposition_text text, char *to,
                           size_t size) {
  if (text.len >= size || memchr(text.bytes, '\0', text.len) != NULL)
    return false;
  memcpy(to, text.bytes, text.len);
  to[text.len] = '\0';
  return true;
}
