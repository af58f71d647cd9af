/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd_lines.h"

#include <string.h>

enum { READ_SIZE = 64 << 10, NAME_SIZE = 256 };

const char *rmq_execd_split_to_str(enum rmq_execd_split s) {
  switch (s) {
  case RMQ_EXECD_BY_LINE:
    return "by line";
  case RMQ_EXECD_BY_NUL:
    return "by NUL";
  case RMQ_EXECD_WHOLE:
    return "whole";
  }
  return "unknown";
}

void rmq_execd_lines_init(struct rmq_execd_lines *l, enum rmq_execd_split split,
                          size_t max) {
  *l = (struct rmq_execd_lines){.split = split, .max = max};
  rmq_buf_init(&l->bytes, max + 2 * READ_SIZE);
}

void rmq_execd_lines_fini(struct rmq_execd_lines *l) {
  rmq_buf_fini(&l->bytes);
}

char *rmq_execd_lines_room(struct rmq_execd_lines *l, size_t *ret_size) {
  *ret_size = READ_SIZE;
  return rmq_buf_reserve(&l->bytes, READ_SIZE);
}

void rmq_execd_lines_fill(struct rmq_execd_lines *l, size_t n) {
  rmq_buf_commit(&l->bytes, n);
}

size_t rmq_execd_lines_rest(const struct rmq_execd_lines *l) {
  return l->bytes.len - l->used;
}

static void drop_used(struct rmq_execd_lines *l) {
  rmq_buf_consume(&l->bytes, l->used);
  l->used = l->scanned = 0;
}

/* Of the record without its separator, which is at its end. */
static bool give(struct rmq_execd_lines *l, size_t len, size_t used,
                 const char **ret_record, size_t *ret_len) {
  l->used = used;
  if (l->is_skipping || len > l->max) {
    l->too_long += l->is_skipping ? 0 : 1;
    l->is_skipping = false;
    return false;
  }
  *ret_record = len == 0 ? "" : rmq_buf_bytes(&l->bytes);
  *ret_len = len;
  return true;
}

/* Nothing ends here: what is longer than a record may be is forgotten. */
static void skip_if_long(struct rmq_execd_lines *l) {
  l->scanned = l->bytes.len;
  if (l->bytes.len <= l->max && !l->is_skipping)
    return;
  l->too_long += l->is_skipping ? 0 : 1;
  l->is_skipping = true;
  l->used = l->bytes.len;
  drop_used(l);
}

static const char *find_end(const struct rmq_execd_lines *l) {
  if (l->split == RMQ_EXECD_WHOLE || l->bytes.len == l->scanned)
    return NULL;
  return memchr(rmq_buf_bytes(&l->bytes) + l->scanned,
                l->split == RMQ_EXECD_BY_NUL ? '\0' : '\n',
                l->bytes.len - l->scanned);
}

/* The one that has no separator behind it. */
static bool give_last(struct rmq_execd_lines *l, const char **ret_record,
                      size_t *ret_len) {
  bool is_there =
      l->bytes.len > 0 || (l->split == RMQ_EXECD_WHOLE && !l->is_skipping);
  if (l->is_over || !is_there)
    return false;
  l->is_over = true;
  return give(l, l->bytes.len, l->bytes.len, ret_record, ret_len);
}

bool rmq_execd_lines_next(struct rmq_execd_lines *l, bool is_end,
                          const char **ret_record, size_t *ret_len) {
  const char *end;
  drop_used(l);
  while ((end = find_end(l)) != NULL) {
    size_t len = (size_t)(end - rmq_buf_bytes(&l->bytes));
    if (give(l, len, len + 1, ret_record, ret_len))
      return true;
    drop_used(l);
  }
  skip_if_long(l);
  return is_end && give_last(l, ret_record, ret_len);
}

/* ------------------------------------------------------------------------
 * Line protocol */

/* A name up to one of the characters in ends, which a backslash makes part of
 * it; what is too long is cut. */
static const char *take_name(const char *at, const char *end, const char *ends,
                             char ret_name[NAME_SIZE]) {
  size_t n = 0;
  while (at < end && strchr(ends, *at) == NULL && *at != '\0') {
    if (*at == '\\' && at + 1 < end && strchr(", =", at[1]) != NULL)
      at++;
    if (n < NAME_SIZE - 1)
      ret_name[n++] = *at;
    at++;
  }
  ret_name[n] = '\0';
  return at;
}

/* The value of the tag "host", or "". */
static void find_host(const char *at, const char *end, char host[NAME_SIZE]) {
  char name[NAME_SIZE];
  while (at < end && *at == ',') {
    at = take_name(at + 1, end, "=, ", name);
    if (at >= end || *at != '=')
      break;
    at = take_name(at + 1, end, ", ", host);
    if (strcmp(name, "host") == 0)
      return;
  }
  host[0] = '\0';
}

void rmq_execd_lines_key(const char *line, size_t len, const char *template,
                         char ret_key[RMQ_RKEY_MAX + 1]) {
  char measurement[NAME_SIZE], host[NAME_SIZE];
  const char *end = line + len;
  find_host(take_name(line, end, ", ", measurement), end, host);
  const struct rmq_identity id = {host, measurement, "", "", ""};
  rmq_rkey_from_sample(template == NULL ? "%{plugin}" : template, &id, ret_key);
}
