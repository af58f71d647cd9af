/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/expand.h"

#include <stdbool.h>
#include <string.h>

enum { VARIABLE_NAME_MAX = 127 };

/* Where the expansion goes; bytes NULL = it is only measured. */
struct sink {
  char *bytes;
  size_t len;
};

static void put(struct sink *s, const char *bytes, size_t len) {
  if (s->bytes != NULL)
    memcpy(s->bytes + s->len, bytes, len);
  s->len += len;
}

static bool is_variable_char(char c, bool is_first) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' ||
         (!is_first && c >= '0' && c <= '9');
}

/* Puts the value of the variable whose "${" text points to; ret_end is behind
 * its "}". */
static int put_variable(const char *text, rmq_getenv env, struct sink *s,
                        const char **ret_end, struct rmq_error *err) {
  char name[VARIABLE_NAME_MAX + 1];
  size_t len = 0;
  const char *begin = text + strlen("${");
  while (len < VARIABLE_NAME_MAX && is_variable_char(begin[len], len == 0))
    len++;
  memcpy(name, begin, len);
  name[len] = '\0';
  const char *after = begin + len;
  const char *close = strchr(after, '}');
  if (len == 0 || close == NULL || (*after != ':' && *after != '}'))
    return rmq_error_set(err,
                         "\"%.40s\" is not a variable: write ${NAME} or "
                         "${NAME:default}, and $$ for a dollar sign",
                         text);
  const char *value = env == NULL ? NULL : env(name);
  if (value != NULL)
    put(s, value, strlen(value));
  else if (*after == ':')
    put(s, after + 1, (size_t)(close - after - 1));
  else
    return rmq_error_set(err,
                         "the environment variable %s is not set and has no "
                         "default (${%s:default})",
                         name, name);
  *ret_end = close + 1;
  return 0;
}

static int expand(const char *text, rmq_getenv env, struct sink *s,
                  struct rmq_error *err) {
  for (const char *dollar; (dollar = strchr(text, '$')) != NULL;) {
    put(s, text, (size_t)(dollar - text));
    if (dollar[1] == '{') {
      if (put_variable(dollar, env, s, &text, err) != 0)
        return -1;
      continue;
    }
    put(s, "$", 1);
    text = dollar + (dollar[1] == '$' ? 2 : 1);
  }
  put(s, text, strlen(text));
  return 0;
}

int rmq_expand(const char *text, rmq_getenv env, struct rmq_buf *out,
               struct rmq_error *err) {
  struct sink measured = {.bytes = NULL};
  if (expand(text, env, &measured, err) != 0)
    return -1;
  struct sink s = {.bytes = rmq_buf_reserve(out, measured.len)};
  if (s.bytes == NULL)
    return rmq_error_set(err, "the text is longer than %zu bytes", out->max);
  if (expand(text, env, &s, err) != 0)
    return -1;
  rmq_buf_commit(out, s.len);
  return 0;
}
