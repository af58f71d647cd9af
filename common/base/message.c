/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/message.h"

#include <stdlib.h>
#include <string.h>

struct rmq_message *rmq_message_new(const char *key, const void *body,
                                    size_t body_len) {
  size_t key_len = strlen(key);
  size_t fixed = sizeof(struct rmq_message) + key_len + 1 + 1;
  if (body_len > SIZE_MAX - fixed)
    return NULL;
  struct rmq_message *m = malloc(fixed + body_len);
  if (m == NULL)
    return NULL;
  char *key_copy = (char *)(m + 1);
  char *body_copy = key_copy + key_len + 1;
  memcpy(key_copy, key, key_len + 1);
  if (body_len > 0)
    memcpy(body_copy, body, body_len);
  body_copy[body_len] = '\0';
  *m = (struct rmq_message){
      .key_len = key_len,
      .body_len = body_len,
      .key = key_copy,
      .body = body_copy,
  };
  return m;
}

void rmq_message_free(struct rmq_message *m) { free(m); }

size_t rmq_message_cost(const struct rmq_message *m) {
  return m->body_len + m->key_len + RMQ_MESSAGE_OVERHEAD;
}
