/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/command.h"

#include <stdbool.h>
#include <string.h>

static bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Where the first byte is that ends a field or opens a string; nearly every one
 * does neither. */
static char *skip_plain(char *at, const char *end) {
  while (at < end && *at != '"' && ((unsigned char)*at > ' ' || !is_space(*at)))
    at++;
  return at;
}

/* Un-escapes the field that starts here in place and ends it with a NUL. */
static int take_field(struct rmq_command_line *l, struct rmq_error *err) {
  bool in_quotes = false;
  l->at = skip_plain(l->at, l->end);
  char *to = l->at;
  for (; l->at < l->end; l->at++) {
    if (*l->at == '"') {
      if (in_quotes) {
        in_quotes = false;
        l->at++;
        break;
      }
      in_quotes = true;
      continue;
    }
    if (!in_quotes && is_space(*l->at)) {
      l->at++;
      break;
    }
    if (in_quotes && *l->at == '\\' && ++l->at == l->end)
      return rmq_error_set(err, "a backslash ends the line");
    *to++ = *l->at;
  }
  if (in_quotes)
    return rmq_error_set(err, "a quoted string has no end");
  *to = '\0';
  return 0;
}

int rmq_command_next(struct rmq_command_line *l, char **ret_text,
                     struct rmq_error *err) {
  while (l->at < l->end && is_space(*l->at))
    l->at++;
  if (l->at == l->end)
    return 0;
  char *text = l->at;
  if (take_field(l, err) != 0)
    return -1;
  *ret_text = text;
  return 1;
}

char *rmq_command_split(char *text, char c) {
  char *at = strchr(text, c);
  if (at == NULL)
    return NULL;
  *at = '\0';
  return at + 1;
}
