/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_types.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct type {
  const char *name;
  struct rmq_datum *sources;
  size_t count;
};

struct rmq_host_types {
  char *text; /* the file; names point into it */
  struct type *types;
  size_t count, capacity;
};

static int read_file(const char *path, char **ret_text, struct rmq_error *err) {
  FILE *f = fopen(path, "re");
  char *text = f != NULL ? malloc(RMQ_HOST_TYPES_BYTES + 1) : NULL;
  char why[128];
  if (text == NULL) {
    const char *reason = strerror_r(errno, why, sizeof(why));
    if (f != NULL)
      fclose(f);
    return rmq_error_set(err, "%s: %s", path, reason);
  }
  size_t len = fread(text, 1, RMQ_HOST_TYPES_BYTES + 1, f);
  bool is_bad = ferror(f) != 0 || len > RMQ_HOST_TYPES_BYTES;
  fclose(f);
  if (is_bad) {
    free(text);
    return rmq_error_set(err, "%s: cannot be read, or is over 1 MiB", path);
  }
  text[len] = '\0';
  *ret_text = text;
  return 0;
}

/* The next word of *at, which is advanced; NULL at its end. */
static char *next_word(char **at) {
  *at += strspn(*at, " \t\r,");
  if (**at == '\0')
    return NULL;
  char *word = *at;
  *at += strcspn(*at, " \t\r,");
  if (**at != '\0')
    *(*at)++ = '\0';
  return word;
}

/* "value:GAUGE:0:U"; the range is nothing that matters here. */
static int read_source(char *word, struct rmq_datum *ret_source) {
  char *kind = strchr(word, ':');
  if (kind == NULL || kind == word)
    return -1;
  *kind++ = '\0';
  ret_source->name = word;
  return rmq_kind_from_str(kind, strcspn(kind, ":"), &ret_source->kind);
}

/* -1: the line is none, or there is no memory. */
static int read_sources(char *line, struct type *type) {
  struct rmq_datum sources[RMQ_SAMPLE_VALUES_MAX];
  memset(sources, 0, sizeof(sources));
  char *word;
  while ((word = next_word(&line)) != NULL) {
    if (type->count == RMQ_SAMPLE_VALUES_MAX ||
        read_source(word, &sources[type->count]) != 0)
      return -1;
    type->count++;
  }
  if (type->count == 0)
    return -1;
  type->sources = calloc(type->count, sizeof(*type->sources));
  if (type->sources == NULL)
    return -1;
  memcpy(type->sources, sources, type->count * sizeof(*sources));
  return 0;
}

static int grow(struct rmq_host_types *t) {
  if (t->count < t->capacity)
    return 0;
  size_t capacity = t->capacity == 0 ? 256 : 2 * t->capacity;
  struct type *types = reallocarray(t->types, capacity, sizeof(*types));
  if (types == NULL)
    return -1;
  t->types = types;
  t->capacity = capacity;
  return 0;
}

static int read_line(struct rmq_host_types *t, char *line) {
  char *name = next_word(&line);
  if (name == NULL || name[0] == '#')
    return 0;
  struct type type = {.name = name};
  if (grow(t) != 0 || read_sources(line, &type) != 0)
    return -1;
  t->types[t->count++] = type;
  return 0;
}

static int read_lines(struct rmq_host_types *t, const char *path,
                      struct rmq_error *err) {
  char *next = t->text;
  for (int number = 1; next != NULL; number++) {
    char *line = next;
    next = strchr(line, '\n');
    if (next != NULL)
      *next++ = '\0';
    if (read_line(t, line) != 0)
      return rmq_error_set(err, "%s: line %d is not TYPE SOURCE:KIND:MIN:MAX",
                           path, number);
  }
  return 0;
}

struct rmq_host_types *rmq_host_types_new(const char *path,
                                          struct rmq_error *err) {
  struct rmq_host_types *t = calloc(1, sizeof(*t));
  if (t == NULL) {
    rmq_error_set(err, "no memory");
    return NULL;
  }
  if (read_file(path, &t->text, err) == 0 && read_lines(t, path, err) == 0)
    return t;
  rmq_host_types_free(t);
  return NULL;
}

void rmq_host_types_free(struct rmq_host_types *t) {
  if (t == NULL)
    return;
  for (size_t i = 0; i < t->count; i++)
    free(t->types[i].sources);
  free(t->types);
  free(t->text);
  free(t);
}

static int get(void *ctx, const char *type, struct rmq_datum *ret_sources,
               size_t max) {
  const struct rmq_host_types *t = ctx;
  for (size_t i = t == NULL ? 0 : t->count; i > 0; i--) {
    const struct type *found = &t->types[i - 1];
    if (strcmp(found->name, type) != 0)
      continue;
    size_t count = found->count < max ? found->count : max;
    memcpy(ret_sources, found->sources, count * sizeof(*ret_sources));
    return (int)count;
  }
  return -1;
}

struct rmq_types rmq_host_types_get(struct rmq_host_types *t) {
  return (struct rmq_types){.ctx = t, .get = get};
}
