/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/rkey.h"

#include "common/base/names.h"
#include "common/base/utf8.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { RKEY_KEPT = 238 };

/* A key being written: its beginning is kept; one that is too long is hashed as
 * a whole. */
struct key {
  char *bytes;   /* RMQ_RKEY_MAX + 1 */
  size_t len;    /* of the whole, also where it is not kept */
  uint64_t hash; /* of the whole, once it is too long */
};

static void add(struct key *k, const char *bytes, size_t len) {
  size_t room = k->len < RMQ_RKEY_MAX ? RMQ_RKEY_MAX - k->len : 0;
  size_t kept = len < room ? len : room;
  bool was_short = k->len <= RMQ_RKEY_MAX;
  if (kept > 0)
    memcpy(k->bytes + k->len, bytes, kept);
  k->len += len;
  if (k->len <= RMQ_RKEY_MAX)
    return;
  if (was_short)
    k->hash = rmq_fnv1a(k->bytes, RMQ_RKEY_MAX);
  k->hash = rmq_fnv1a_more(k->hash, bytes + kept, len - kept);
}

/* '.' separates words for the broker, '/' is what collectd forbids in names. */
static void add_name(struct key *k, const char *name) {
  char swapped[RMQ_NAME_MAX];
  while (*name != '\0') {
    size_t n = 0;
    for (; n < sizeof(swapped) && name[n] != '\0'; n++)
      swapped[n] = name[n] == '.' ? '/' : name[n] == '/' ? '.' : name[n];
    add(k, swapped, n);
    name += n;
  }
}

static void finish(struct key *k) {
  if (k->len <= RMQ_RKEY_MAX) {
    k->bytes[k->len] = '\0';
    return;
  }
  size_t kept = rmq_utf8_cut(k->bytes, RMQ_RKEY_MAX, RKEY_KEPT);
  snprintf(k->bytes + kept, RMQ_RKEY_MAX + 1 - kept, "~%016" PRIx64, k->hash);
}

struct field {
  const char *name;
  const char *value;
};
enum { FIELDS_MAX = 7 };

static const struct field *find(const struct field *fields, const char *name,
                                size_t len) {
  for (; fields->name != NULL; fields++)
    if (strlen(fields->name) == len && memcmp(fields->name, name, len) == 0)
      return fields;
  return NULL;
}

/* The next "%{NAME}" at or behind text: where it begins, or NULL. ret_end is
 * behind the '}', or NULL where that is missing. */
static const char *next_field(const char *text, const char **ret_end) {
  const char *begin = strstr(text, "%{");
  if (begin != NULL) {
    const char *brace = strchr(begin, '}');
    *ret_end = brace == NULL ? NULL : brace + 1;
  }
  return begin;
}

static void add_template(struct key *k, const char *template,
                         const struct field *fields) {
  const char *end = NULL;
  for (const char *begin; (begin = next_field(template, &end)) != NULL;) {
    if (end == NULL)
      break;
    add(k, template, (size_t)(begin - template));
    const struct field *f =
        find(fields, begin + 2, (size_t)(end - begin) - strlen("%{}"));
    if (f != NULL)
      add_name(k, f->value);
    else
      add(k, begin, (size_t)(end - begin));
    template = end;
  }
  add(k, template, strlen(template));
}

static void fields_of(const struct rmq_identity *id, const char *severity,
                      struct field ret_fields[FIELDS_MAX]) {
  const struct field all[FIELDS_MAX] = {
      {"host", id->host},
      {"plugin", id->plugin},
      {"plugin_instance", id->plugin_instance},
      {"type", id->type},
      {"type_instance", id->type_instance},
      {severity == NULL ? NULL : "severity", severity},
      {NULL, NULL}};
  memcpy(ret_fields, all, sizeof(all));
}

void rmq_rkey_from_sample(const char *template, const struct rmq_identity *id,
                          char ret_key[RMQ_RKEY_MAX + 1]) {
  struct key k = {.bytes = ret_key};
  struct field fields[FIELDS_MAX];
  fields_of(id, NULL, fields);
  if (template != NULL) {
    add_template(&k, template, fields);
  } else {
    add(&k, "collectd", strlen("collectd"));
    for (const struct field *f = fields; f->name != NULL; f++) {
      add(&k, ".", 1);
      add_name(&k, f->value);
    }
  }
  finish(&k);
}

void rmq_rkey_from_event(const char *template, const struct rmq_event *event,
                         char ret_key[RMQ_RKEY_MAX + 1]) {
  struct key k = {.bytes = ret_key};
  struct field fields[FIELDS_MAX];
  fields_of(&event->id, rmq_severity_to_str(event->severity), fields);
  if (template == NULL)
    template = "collectd.notification.%{severity}.%{host}";
  add_template(&k, template, fields);
  finish(&k);
}

bool rmq_rkey_is_fixed(const char *template) {
  return template != NULL && strstr(template, "%{") == NULL;
}

bool rmq_rkey_is_per_series(const char *template) {
  return template == NULL || (strstr(template, "%{plugin_instance}") != NULL &&
                              strstr(template, "%{type_instance}") != NULL);
}

static int check(const char *template, const struct field *fields,
                 const char *allowed, struct rmq_error *err) {
  const char *end = NULL;
  for (const char *begin; (begin = next_field(template, &end)) != NULL;) {
    if (end == NULL)
      return rmq_error_set(err, "routing key \"%s\": \"%%{\" without \"}\"",
                           template);
    size_t len = (size_t)(end - begin);
    if (find(fields, begin + 2, len - strlen("%{}")) == NULL)
      return rmq_error_set(
          err, "routing key: there is no field \"%.*s\"; allowed: %s",
          (int)(len > 64 ? 64 : len), begin, allowed);
    template = end;
  }
  return 0;
}

#define ID_FIELDS                                                              \
  "%{host}, %{plugin}, %{plugin_instance}, %{type}, %{type_instance}"

int rmq_rkey_check(const char *template, struct rmq_error *err) {
  static const struct rmq_identity none = {"", "", "", "", ""};
  struct field fields[FIELDS_MAX];
  fields_of(&none, NULL, fields);
  return check(template, fields, ID_FIELDS, err);
}

int rmq_rkey_check_event(const char *template, struct rmq_error *err) {
  static const struct rmq_identity none = {"", "", "", "", ""};
  struct field fields[FIELDS_MAX];
  fields_of(&none, "", fields);
  return check(template, fields, ID_FIELDS ", %{severity}", err);
}
