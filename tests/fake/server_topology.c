/* SPDX-License-Identifier: MIT */
/* Exchanges, queues and bindings of the fake server. */
#include "rmq_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/server_impl.h"

struct fake_named *fake_named_find(struct fake_named *list, size_t count,
                                   const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(list[i].name, name) == 0)
      return &list[i];
  return NULL;
}

static struct fake_named *add(struct fake_named *list, size_t *count,
                              const char *name, const char *type) {
  struct fake_named *n = fake_named_find(list, *count, name);
  if (n != NULL)
    return n;
  if (*count == FAKE_NAMES_MAX)
    abort();
  n = &list[(*count)++];
  *n = (struct fake_named){.properties = {0}};
  snprintf(n->name, sizeof(n->name), "%s", name);
  snprintf(n->type, sizeof(n->type), "%s", type);
  return n;
}

void fake_server_exchange(struct fake_server *s, const char *name,
                          const char *type) {
  add(s->state->exchanges, &s->state->exchanges_count, name, type);
}

void fake_server_queue(struct fake_server *s, const char *name) {
  add(s->state->queues, &s->state->queues_count, name, "");
}

void fake_server_bind(struct fake_server *s, const char *queue,
                      const char *exchange, const char *key) {
  struct fake_server_state *st = s->state;
  if (st->bounds_count == FAKE_NAMES_MAX)
    return;
  struct fake_bound *b = &st->bounds[st->bounds_count++];
  snprintf(b->queue, sizeof(b->queue), "%s", queue);
  snprintf(b->exchange, sizeof(b->exchange), "%s", exchange);
  snprintf(b->key, sizeof(b->key), "%s", key);
}

/* Words separated by dots; * is one word, # any number. */
static bool topic_matches(const char *pattern, const char *key) {
  size_t word = strcspn(pattern, "."), key_word = strcspn(key, ".");
  if (strcmp(pattern, "#") == 0)
    return true;
  if (pattern[0] == '#' && word == 1) {
    if (topic_matches(pattern + 2, key))
      return true;
    return key[key_word] == '.' && topic_matches(pattern, key + key_word + 1);
  }
  bool is_same = (word == 1 && pattern[0] == '*') ||
                 (word == key_word && strncmp(pattern, key, word) == 0);
  if (!is_same)
    return false;
  if (pattern[word] == '\0' || key[key_word] == '\0')
    return (pattern[word] == '\0' && key[key_word] == '\0') ||
           (key[key_word] == '\0' && strcmp(pattern + word, ".#") == 0);
  return topic_matches(pattern + word + 1, key + key_word + 1);
}

bool fake_server_routes(const struct fake_server *s, const struct fake_bound *b,
                        const char *exchange, const char *key) {
  struct fake_server_state *st = s->state;
  const struct fake_named *e =
      fake_named_find(st->exchanges, st->exchanges_count, exchange);
  if (e == NULL || strcmp(b->exchange, exchange) != 0)
    return false;
  if (strcmp(e->type, "fanout") == 0)
    return true;
  if (strcmp(e->type, "topic") == 0)
    return topic_matches(b->key, key);
  return strcmp(b->key, key) == 0;
}

/* Options and arguments of a declare, without passive and no-wait. */
static struct fake_bytes declared_properties(const struct fake_unit *u) {
  static const char *const names[] = {"type",     "durable",   "auto-delete",
                                      "internal", "exclusive", "arguments"};
  struct fake_bytes out = {0};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
    const struct fake_field *f = fake_fields_get(&u->fields, names[i]);
    if (f == NULL)
      continue;
    fake_bytes_put_uint(&out, f->number, 1);
    fake_bytes_put_uint(&out, f->len, 4);
    fake_bytes_put(&out, f->bytes, f->len);
  }
  return out;
}

/* NULL when it was refused. */
static const struct fake_named *declare(struct fake_server *s,
                                        const struct fake_unit *u,
                                        struct fake_named *list, size_t *count,
                                        const char *name, const char *type) {
  struct fake_named *n = fake_named_find(list, *count, name);
  bool is_passive = fake_fields_number(&u->fields, "passive") != 0;
  if (is_passive && n == NULL) {
    fake_server_refuse(s, u, 404,
                       "NOT_FOUND - no such queue or exchange in vhost");
    return NULL;
  }
  struct fake_bytes properties = declared_properties(u);
  if (n == NULL) {
    n = add(list, count, name, type);
    n->properties = properties;
    return n;
  }
  bool is_same =
      n->properties.len == 0 ||
      (n->properties.len == properties.len &&
       memcmp(n->properties.data, properties.data, properties.len) == 0);
  fake_bytes_fini(&properties);
  if (!is_passive && !is_same) {
    fake_server_refuse(s, u, 406, "PRECONDITION_FAILED - inequivalent arg");
    return NULL;
  }
  return n;
}

void fake_server_on_exchange_declare(struct fake_server *s,
                                     struct fake_unit *u) {
  struct fake_server_state *st = s->state;
  char name[256], type[32];
  fake_field_to(&u->fields, "exchange", name, sizeof(name));
  fake_field_to(&u->fields, "type", type, sizeof(type));
  if (declare(s, u, st->exchanges, &st->exchanges_count, name, type) != NULL)
    fake_server_say(s, u->channel, "exchange.declare-ok", "%s", "");
}

void fake_server_on_queue_declare(struct fake_server *s, struct fake_unit *u) {
  struct fake_server_state *st = s->state;
  char name[256];
  struct fake_bytes quoted = {0};
  fake_field_to(&u->fields, "queue", name, sizeof(name));
  if (name[0] == '\0')
    snprintf(name, sizeof(name), "amq.gen-%u", ++st->names_given);
  if (declare(s, u, st->queues, &st->queues_count, name, "") == NULL)
    return;
  fake_quote(name, &quoted);
  fake_server_say(s, u->channel, "queue.declare-ok",
                  "queue=%s message-count=%zu", fake_bytes_text(&quoted),
                  fake_server_count(s, name, FAKE_READY));
  fake_bytes_fini(&quoted);
}

void fake_server_on_queue_bind(struct fake_server *s, struct fake_unit *u) {
  struct fake_server_state *st = s->state;
  char queue[256], exchange[256], key[256];
  fake_field_to(&u->fields, "queue", queue, sizeof(queue));
  fake_field_to(&u->fields, "exchange", exchange, sizeof(exchange));
  fake_field_to(&u->fields, "routing-key", key, sizeof(key));
  if (fake_named_find(st->queues, st->queues_count, queue) == NULL ||
      fake_named_find(st->exchanges, st->exchanges_count, exchange) == NULL) {
    fake_server_refuse(s, u, 404, "NOT_FOUND - no queue or exchange to bind");
    return;
  }
  for (size_t i = 0; i < st->bounds_count; i++)
    if (strcmp(st->bounds[i].queue, queue) == 0 &&
        strcmp(st->bounds[i].exchange, exchange) == 0 &&
        strcmp(st->bounds[i].key, key) == 0) {
      fake_server_say(s, u->channel, "queue.bind-ok", "%s", "");
      return;
    }
  fake_server_bind(s, queue, exchange, key);
  fake_server_say(s, u->channel, "queue.bind-ok", "%s", "");
}

void fake_server_on_queue_delete(struct fake_server *s, struct fake_unit *u) {
  struct fake_server_state *st = s->state;
  char name[256];
  fake_field_to(&u->fields, "queue", name, sizeof(name));
  struct fake_named *n = fake_named_find(st->queues, st->queues_count, name);
  size_t count = fake_server_count(s, name, FAKE_READY);
  if (n != NULL) {
    fake_bytes_fini(&n->properties);
    *n = st->queues[--st->queues_count];
  }
  for (size_t i = 0; i < s->stored_count; i++)
    if (s->stored[i].state == FAKE_READY &&
        strcmp(s->stored[i].queue, name) == 0)
      s->stored[i].state = FAKE_DROPPED;
  fake_server_say(s, u->channel, "queue.delete-ok", "message-count=%zu", count);
}
