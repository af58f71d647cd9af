/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/buf.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST_CAPACITY = 256 };

void rmq_buf_init(struct rmq_buf *b, size_t max) {
  *b = (struct rmq_buf){.max = max};
}

void rmq_buf_fini(struct rmq_buf *b) {
  free(b->bytes);
  rmq_buf_init(b, b->max);
}

void rmq_buf_clear(struct rmq_buf *b) {
  b->start = 0;
  b->len = 0;
  b->failed = false;
}

void rmq_buf_shrink(struct rmq_buf *b, size_t keep) {
  if (b->len == 0 && b->capacity > keep)
    rmq_buf_fini(b);
}

char *rmq_buf_bytes(const struct rmq_buf *b) {
  return b->bytes == NULL ? NULL : b->bytes + b->start;
}

static void move_to_front(struct rmq_buf *b) {
  if (b->start == 0)
    return;
  memmove(b->bytes, b->bytes + b->start, b->len);
  b->start = 0;
}

/* Makes room for extra bytes and a NUL behind the content. */
static int grow(struct rmq_buf *b, size_t extra) {
  if (b->capacity > b->start + b->len &&
      extra < b->capacity - b->start - b->len) /* nearly always */
    return 0;
  if (extra > SIZE_MAX / 4 - b->len)
    return -1;
  size_t need = b->len + extra + 1;
  /* Moving is amortised: only when at least half of the allocation is free. */
  if (need <= b->capacity && b->start >= b->capacity / 2) {
    move_to_front(b);
    return 0;
  }
  size_t capacity =
      b->capacity < BUF_FIRST_CAPACITY ? BUF_FIRST_CAPACITY : b->capacity * 2;
  if (capacity < need)
    capacity = need;
  move_to_front(b);
  char *bytes = realloc(b->bytes, capacity);
  if (bytes == NULL)
    return -1;
  b->bytes = bytes;
  b->capacity = capacity;
  return 0;
}

char *rmq_buf_reserve(struct rmq_buf *b, size_t len) {
  if (len > b->max || b->len > b->max - len || grow(b, len) != 0) {
    b->failed = true;
    return NULL;
  }
  return b->bytes + b->start + b->len;
}

void rmq_buf_commit(struct rmq_buf *b, size_t n) {
  assert(b->start + b->len + n <= b->capacity);
  b->len += n;
}

int rmq_buf_append(struct rmq_buf *b, const void *bytes, size_t len) {
  if (len == 0)
    return 0;
  char *room = rmq_buf_reserve(b, len);
  if (room == NULL)
    return -1;
  memcpy(room, bytes, len);
  b->len += len;
  return 0;
}

int rmq_buf_append_text(struct rmq_buf *b, const char *text) {
  return rmq_buf_append(b, text, strlen(text));
}

int rmq_buf_append_char(struct rmq_buf *b, char c) {
  return rmq_buf_append(b, &c, 1);
}

int rmq_buf_appendf(struct rmq_buf *b, const char *format, ...) {
  va_list args, again;
  va_start(args, format);
  va_copy(again, args);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  int rc = -1;
  char *room = NULL;
  if (n < 0)
    b->failed = true;
  else
    room = rmq_buf_reserve(b, (size_t)n);
  if (room != NULL) {
    vsnprintf(room, (size_t)n + 1, format, again);
    b->len += (size_t)n;
    rc = 0;
  }
  va_end(again);
  return rc;
}

const char *rmq_buf_text(struct rmq_buf *b) {
  if (b->len == 0 || grow(b, 0) != 0)
    return "";
  b->bytes[b->start + b->len] = '\0';
  return b->bytes + b->start;
}

char *rmq_buf_take(struct rmq_buf *b, size_t *ret_len) {
  if (b->len == 0)
    return NULL;
  assert(b->start + b->len < b->capacity); /* grow counts the NUL */
  move_to_front(b);
  char *bytes = realloc(b->bytes, b->len + 1);
  if (bytes == NULL) /* not even smaller: it goes as it is */
    bytes = b->bytes;
  bytes[b->len] = '\0';
  if (ret_len != NULL)
    *ret_len = b->len;
  rmq_buf_init(b, b->max);
  return bytes;
}

void rmq_buf_consume(struct rmq_buf *b, size_t n) {
  assert(n <= b->len);
  b->start += n;
  b->len -= n;
  if (b->len == 0)
    b->start = 0;
}

void rmq_buf_truncate(struct rmq_buf *b, size_t len) {
  if (len < b->len)
    b->len = len;
}
