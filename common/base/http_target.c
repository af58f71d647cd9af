/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/http_target.h"

#include "common/base/utf8.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

static int digit(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  if (c >= 'a' && c <= 'f')
    return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One piece, in place: never longer than it was. */
static int decode(char *piece, bool is_query, struct rmq_error *err) {
  char *to = piece;
  for (const char *from = piece; *from != '\0'; from++) {
    if (*from == '%') {
      int high = digit(from[1]), low = high < 0 ? -1 : digit(from[2]);
      if (low < 0)
        return rmq_error_set(err, "a %% in the path or the query is not "
                                  "followed by two hexadecimal digits");
      if (high + low == 0)
        return rmq_error_set(err, "the path or the query has a byte 0");
      *to++ = (char)(high * 16 + low);
      from += 2;
    } else {
      *to++ = is_query && *from == '+' ? ' ' : *from;
    }
  }
  *to = '\0';
  if (!rmq_utf8_is_valid(piece, (size_t)(to - piece)))
    return rmq_error_set(err, "the path or the query is not UTF-8");
  return 0;
}

static int add_segment(struct rmq_http_target *t, char *piece,
                       struct rmq_error *err) {
  if (t->segments_count == RMQ_HTTP_SEGMENTS_MAX)
    return rmq_error_set(err, "the path has more than %d parts",
                         RMQ_HTTP_SEGMENTS_MAX);
  t->segments[t->segments_count++] = piece;
  return decode(piece, false, err);
}

static int add_parameter(struct rmq_http_target *t, char *piece,
                         struct rmq_error *err) {
  char *value = strchr(piece, '=');
  if (value != NULL)
    *value++ = '\0';
  else
    value = piece + strlen(piece);
  if (decode(piece, true, err) != 0 || decode(value, true, err) != 0)
    return -1;
  if (rmq_http_target_parameter(t, piece) != NULL)
    return rmq_error_set(err, "the query has a parameter twice");
  if (t->parameters_count == RMQ_HTTP_PARAMETERS_MAX)
    return rmq_error_set(err, "the query has more than %d parameters",
                         RMQ_HTTP_PARAMETERS_MAX);
  t->parameters[t->parameters_count++] =
      (struct rmq_http_parameter){piece, value};
  return 0;
}

/* Calls add with every piece of list, which separator is cut out of. */
static int each_piece(struct rmq_http_target *t, char *list, char separator,
                      int (*add)(struct rmq_http_target *, char *,
                                 struct rmq_error *),
                      struct rmq_error *err) {
  for (char *next; list != NULL; list = next) {
    next = strchr(list, separator);
    if (next != NULL)
      *next++ = '\0';
    if (add(t, list, err) != 0)
      return -1;
  }
  return 0;
}

int rmq_http_target_parse(const char *bytes, struct rmq_http_target *ret_target,
                          struct rmq_error *err) {
  struct rmq_http_target *t = ret_target;
  size_t len = strlen(bytes);
  t->segments_count = t->parameters_count = 0;
  if (len > RMQ_HTTP_TARGET_MAX)
    return rmq_error_set(err, "the path is longer than %d bytes",
                         RMQ_HTTP_TARGET_MAX);
  if (bytes[0] != '/')
    return rmq_error_set(err, "the path does not begin with /");
  for (size_t i = 0; i < len; i++)
    if ((unsigned char)bytes[i] <= ' ' || bytes[i] == 0x7f || bytes[i] == '#')
      return rmq_error_set(err, "the path or the query has a character that "
                                "must be written as %%XX");
  memcpy(t->text, bytes, len + 1);
  char *query = strchr(t->text, '?');
  if (query != NULL)
    *query++ = '\0';
  if (each_piece(t, t->text + 1, '/', add_segment, err) != 0)
    return -1;
  if (query == NULL || query[0] == '\0')
    return 0;
  return each_piece(t, query, '&', add_parameter, err);
}

const char *rmq_http_target_parameter(const struct rmq_http_target *t,
                                      const char *name) {
  for (size_t i = 0; i < t->parameters_count; i++)
    if (strcmp(t->parameters[i].name, name) == 0)
      return t->parameters[i].value;
  return NULL;
}

bool rmq_http_method_reads(const char *method) {
  return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
}

bool rmq_http_host_is_own(const char *host) {
  static const char localhost[] = "localhost", digits[] = "0123456789";
  if (host == NULL)
    return true;
  size_t n;
  if (host[0] == '[') {
    n = 1 + strspn(host + 1, "0123456789abcdefABCDEF:.");
    if (host[n++] != ']')
      return false;
  } else if (strncasecmp(host, localhost, sizeof(localhost) - 1) == 0) {
    n = sizeof(localhost) - 1;
  } else {
    n = strspn(host, "0123456789.");
  }
  if (n > 0 && host[n] == ':')
    n += 1 + strspn(host + n + 1, digits);
  return n > 0 && host[n] == '\0';
}
