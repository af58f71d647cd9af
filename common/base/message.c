/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/message.h"

#include <stdlib.h>
#include <string.h>

/* A message followed by room for extra bytes, of which the key is the first;
 * *ret_rest is what follows the key. */
static struct rmq_message *create(const char *key, size_t extra,
                                  char **ret_rest) {
  size_t key_len = strlen(key);
  size_t fixed = sizeof(struct rmq_message) + key_len + 1;
  if (extra > SIZE_MAX - fixed)
    return NULL;
  struct rmq_message *m = malloc(fixed + extra);
  if (m == NULL)
    return NULL;
  char *key_copy = (char *)(m + 1);
  memcpy(key_copy, key, key_len + 1);
  *m = (struct rmq_message){.key_len = key_len, .key = key_copy};
  *ret_rest = key_copy + key_len + 1;
  return m;
}

static void copy_body(struct rmq_message *m, char *to, const void *body,
                      size_t body_len) {
  if (body_len > 0)
    memcpy(to, body, body_len);
  to[body_len] = '\0';
  m->body = to;
  m->body_len = body_len;
}

struct rmq_message *rmq_message_new(const char *key, const void *body,
                                    size_t body_len) {
  char *rest;
  if (body_len == SIZE_MAX)
    return NULL;
  struct rmq_message *m = create(key, body_len + 1, &rest);
  if (m != NULL)
    copy_body(m, rest, body, body_len);
  return m;
}

struct rmq_message *rmq_message_take(const char *key, struct rmq_buf *body) {
  char *rest;
  struct rmq_message *m = create(key, 1, &rest);
  if (m == NULL)
    return NULL;
  copy_body(m, rest, NULL, 0);
  rmq_message_set_body(m, body);
  return m;
}

static const char *put_text(char **at, const char *text, size_t size) {
  const char *copy = memcpy(*at, text, size);
  *at += size;
  return copy;
}

struct rmq_message *rmq_message_restore(const char *key,
                                        const char *content_type,
                                        const char *content_encoding,
                                        const void *body, size_t body_len) {
  size_t type_size = strlen(content_type) + 1;
  size_t encoding_size =
      content_encoding == NULL ? 0 : strlen(content_encoding) + 1;
  size_t texts = type_size + encoding_size + 1;
  char *rest;
  if (body_len > SIZE_MAX - texts)
    return NULL;
  struct rmq_message *m = create(key, texts + body_len, &rest);
  if (m == NULL)
    return NULL;
  m->content_type = put_text(&rest, content_type, type_size);
  if (content_encoding != NULL)
    m->content_encoding = put_text(&rest, content_encoding, encoding_size);
  copy_body(m, rest, body, body_len);
  return m;
}

void rmq_message_set_body(struct rmq_message *m, struct rmq_buf *body) {
  size_t len = 0;
  char *bytes = rmq_buf_take(body, &len);
  free(m->owned_body);
  m->owned_body = bytes;
  m->body = bytes == NULL ? "" : bytes;
  m->body_len = len;
}

void rmq_message_free(struct rmq_message *m) {
  if (m == NULL)
    return;
  free(m->owned_body);
  free(m);
}

size_t rmq_message_cost(const struct rmq_message *m) {
  return m->body_len + m->key_len + RMQ_MESSAGE_OVERHEAD;
}
