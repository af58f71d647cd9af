/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/filter.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

struct pattern {
  const char *exact; /* borrowed; NULL = regex */
  regex_t regex;
};

struct rmq_filter {
  struct pattern *items; /* include first, then exclude */
  size_t include_count, count;
};

static void free_pattern(struct pattern *p) {
  if (p->exact == NULL)
    regfree(&p->regex);
}

static int compile(struct pattern *p, const char *text, struct rmq_error *err) {
  size_t len = strlen(text);
  if (len < 2 || text[0] != '/' || text[len - 1] != '/') {
    p->exact = text;
    return 0;
  }
  char *body = strndup(text + 1, len - 2);
  if (body == NULL)
    return rmq_error_set(err, "out of memory");
  int rc = regcomp(&p->regex, body, REG_EXTENDED | REG_NOSUB);
  free(body);
  if (rc == 0)
    return 0;
  char reason[128];
  regerror(rc, &p->regex, reason, sizeof(reason));
  return rmq_error_set(err, "\"%s\" is not a regular expression: %s", text,
                       reason);
}

static int compile_all(struct rmq_filter *f, const struct rmq_strings *texts,
                       struct rmq_error *err) {
  for (size_t i = 0; i < texts->count; i++) {
    if (compile(&f->items[f->count], texts->items[i], err) != 0)
      return -1;
    f->count++;
  }
  return 0;
}

struct rmq_filter *rmq_filter_new(const struct rmq_strings *include,
                                  const struct rmq_strings *exclude,
                                  struct rmq_error *err) {
  struct rmq_filter *f = calloc(1, sizeof(*f));
  if (f != NULL)
    f->items = calloc(include->count + exclude->count + 1, sizeof(*f->items));
  if (f == NULL || f->items == NULL) {
    rmq_error_set(err, "out of memory");
    rmq_filter_free(f);
    return NULL;
  }
  f->include_count = include->count;
  if (compile_all(f, include, err) == 0 && compile_all(f, exclude, err) == 0)
    return f;
  rmq_filter_free(f);
  return NULL;
}

void rmq_filter_free(struct rmq_filter *f) {
  if (f == NULL)
    return;
  for (size_t i = 0; i < f->count; i++)
    free_pattern(&f->items[i]);
  free(f->items);
  free(f);
}

static bool matches(const struct pattern *p, const char *name) {
  if (p->exact != NULL)
    return strcmp(p->exact, name) == 0;
  return regexec(&p->regex, name, 0, NULL, 0) == 0;
}

bool rmq_filter_wants(const struct rmq_filter *f, const char *name) {
  bool is_included = f->include_count == 0;
  for (size_t i = 0; !is_included && i < f->include_count; i++)
    is_included = matches(&f->items[i], name);
  for (size_t i = f->include_count; is_included && i < f->count; i++)
    is_included = !matches(&f->items[i], name);
  return is_included;
}

int rmq_filter_check(const char *option, const struct rmq_strings *texts,
                     struct rmq_buf *errors) {
  const struct rmq_strings none = {.count = 0};
  int rc = 0;
  for (size_t i = 0; i < texts->count; i++) {
    const struct rmq_strings one = {.items = &texts->items[i], .count = 1};
    struct rmq_error why = {""};
    struct rmq_filter *f = rmq_filter_new(&one, &none, &why);
    if (f == NULL) {
      rmq_buf_appendf(errors, "option %s: %s\n", option, why.text);
      rc = -1;
    }
    rmq_filter_free(f);
  }
  return rc;
}
