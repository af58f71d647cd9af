/* SPDX-License-Identifier: MIT */
/*
 * Growable byte buffer, born with its maximum. Bytes are appended at the end
 * and may be consumed at the front (a socket's output). Appending beyond the
 * maximum, or without memory, fails, changes nothing and marks the buffer as
 * failed, so that a sequence of appends needs one check at its end.
 */
#ifndef RMQ_BASE_BUF_H
#define RMQ_BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct rmq_buf {
  char *bytes;     /* allocation; content starts at bytes + start */
  size_t start;    /* consumed so far */
  size_t len;      /* content, without what was consumed */
  size_t capacity; /* of the allocation */
  size_t max;      /* len never exceeds this */
  bool failed;     /* an append did not fit since the last clear */
};

void rmq_buf_init(struct rmq_buf *b, size_t max);
void rmq_buf_fini(struct rmq_buf *b);
/* Empty and not failed; keeps the allocation. */
void rmq_buf_clear(struct rmq_buf *b);
/* Gives an idle buffer's memory back when it holds more than keep bytes. */
void rmq_buf_shrink(struct rmq_buf *b, size_t keep);

/* Borrowed; valid until the next call that appends. Not NUL-terminated. */
char *rmq_buf_bytes(const struct rmq_buf *b);
/* Borrowed, NUL-terminated behind the content; "" when empty or without
 * memory. */
const char *rmq_buf_text(struct rmq_buf *b);
/* Ownership of len bytes (plus a NUL) moves to the caller, who
 * free()s; the buffer is empty afterwards. NULL only when it is empty. */
char *rmq_buf_take(struct rmq_buf *b, size_t *ret_len);

/* 0, or -1 with nothing appended. */
int rmq_buf_append(struct rmq_buf *b, const void *bytes, size_t len);
int rmq_buf_append_text(struct rmq_buf *b, const char *text);
int rmq_buf_append_char(struct rmq_buf *b, char c);
int rmq_buf_appendf(struct rmq_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Room for len more bytes behind the content, or NULL; rmq_buf_commit makes
 * the first n of them content. */
char *rmq_buf_reserve(struct rmq_buf *b, size_t len);
void rmq_buf_commit(struct rmq_buf *b, size_t n);
/* Drops the first n bytes of content. */
void rmq_buf_consume(struct rmq_buf *b, size_t n);
/* Shortens the content to len bytes (a failed composite append is undone). */
void rmq_buf_truncate(struct rmq_buf *b, size_t len);

#endif
