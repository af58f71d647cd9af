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

/* A copy at *at, which is moved behind it; NULL of NULL. */
static const char *put_text(char **at, const char *text) {
  if (text == NULL)
    return NULL;
  size_t size = strlen(text) + 1;
  const char *copy = memcpy(*at, text, size);
  *at += size;
  return copy;
}

static size_t size_of(const char *text) {
  return text == NULL ? 0 : strlen(text) + 1;
}

struct rmq_message *rmq_message_restore(const char *key,
                                        const char *content_type,
                                        const char *content_encoding,
                                        const void *body, size_t body_len) {
  const struct rmq_message_parts parts = {.key = key,
                                          .content_type = content_type,
                                          .content_encoding = content_encoding,
                                          .body = body,
                                          .body_len = body_len};
  return rmq_message_build(&parts);
}

static bool is_long_id(const char *id) {
  return id != NULL && strlen(id) >= RMQ_MESSAGE_ID_SIZE;
}

static bool needs_extras(const struct rmq_message_parts *p) {
  return p->exchange != NULL || p->envelope_len > 0 || is_long_id(p->id);
}

/* The struct last, where it is aligned; at is what all texts have been put
 * into. */
static void put_extras(struct rmq_message *m, char **at,
                       const struct rmq_message_parts *p) {
  struct rmq_message_extras e = {.envelope_len = p->envelope_len};
  const char *before = *at;
  e.exchange = put_text(at, p->exchange);
  if (is_long_id(p->id))
    e.id = put_text(at, p->id);
  if (p->envelope_len > 0) {
    e.envelope = memcpy(*at, p->envelope, p->envelope_len);
    *at += p->envelope_len;
  }
  e.in_all = (size_t)(*at - before);
  uintptr_t end = (uintptr_t)*at, align = _Alignof(struct rmq_message_extras);
  *at += (align - end % align) % align;
  m->extras = memcpy(*at, &e, sizeof(e));
  *at += sizeof(e);
}

struct rmq_message *rmq_message_build(const struct rmq_message_parts *p) {
  size_t texts = size_of(p->content_type) + size_of(p->content_encoding) + 1;
  if (needs_extras(p))
    texts += size_of(p->exchange) + size_of(p->id) + p->envelope_len +
             sizeof(struct rmq_message_extras) +
             _Alignof(struct rmq_message_extras);
  char *rest;
  if (p->body_len > SIZE_MAX - texts)
    return NULL;
  struct rmq_message *m = create(p->key, texts + p->body_len, &rest);
  if (m == NULL)
    return NULL;
  m->content_type = put_text(&rest, p->content_type);
  m->content_encoding = put_text(&rest, p->content_encoding);
  if (p->id != NULL && !is_long_id(p->id))
    memcpy(m->id, p->id, strlen(p->id) + 1);
  if (needs_extras(p))
    put_extras(m, &rest, p);
  copy_body(m, rest, p->body, p->body_len);
  return m;
}

const char *rmq_message_id(const struct rmq_message *m) {
  return m->extras != NULL && m->extras->id != NULL ? m->extras->id : m->id;
}

const char *rmq_message_exchange(const struct rmq_message *m,
                                 const char *block) {
  return m->extras != NULL && m->extras->exchange != NULL ? m->extras->exchange
                                                          : block;
}

size_t rmq_message_extras_len(const struct rmq_message *m) {
  return m->extras == NULL ? 0 : m->extras->in_all;
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
  return m->body_len + m->key_len + rmq_message_extras_len(m) +
         RMQ_MESSAGE_OVERHEAD;
}
