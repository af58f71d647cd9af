/* SPDX-License-Identifier: MIT */
/*
 * Records from a stream of bytes, such as standard input: lines, texts that end
 * with a NUL, or all of it as one. Bounded: a record that is too long is
 * skipped and counted. Reads nothing itself.
 *
 *   char *room = rmq_execd_lines_room(&l, &size);  n = read(fd, room, size);
 *   rmq_execd_lines_fill(&l, n);
 *   while (rmq_execd_lines_next(&l, is_end, &record, &len)) ...
 */
#ifndef RMQ_HOST_EXECD_LINES_H
#define RMQ_HOST_EXECD_LINES_H

#include "common/base/buf.h"
#include "common/base/rkey.h"

#include <stdint.h>

enum rmq_execd_split {
  RMQ_EXECD_BY_LINE, /* the newline is not part of it */
  RMQ_EXECD_BY_NUL,
  RMQ_EXECD_WHOLE /* all, at the end; also when it is empty */
};
const char *rmq_execd_split_to_str(enum rmq_execd_split s);

struct rmq_execd_lines {
  enum rmq_execd_split split;
  size_t max; /* bytes of a record */
  struct rmq_buf bytes;
  size_t scanned; /* of bytes: no separator in them */
  size_t used;    /* of bytes: the record that was given last */
  bool is_skipping, is_over;
  uint64_t too_long; /* records that were skipped */
};

void rmq_execd_lines_init(struct rmq_execd_lines *l, enum rmq_execd_split split,
                          size_t max);
void rmq_execd_lines_fini(struct rmq_execd_lines *l);
/* Where to read into; NULL without memory. Only when next has said false. */
char *rmq_execd_lines_room(struct rmq_execd_lines *l, size_t *ret_size);
void rmq_execd_lines_fill(struct rmq_execd_lines *l, size_t n);
/* The next record, borrowed until the next call; false when more input is
 * needed. is_end: none will come, and what is there is the last record. */
bool rmq_execd_lines_next(struct rmq_execd_lines *l, bool is_end,
                          const char **ret_record, size_t *ret_len);
/* Bytes of a record that has not ended. */
size_t rmq_execd_lines_rest(const struct rmq_execd_lines *l);

/* The routing key of a line of line protocol: template (see rkey.h) with its
 * measurement as plugin and its tag "host" as host; NULL = the measurement. */
void rmq_execd_lines_key(const char *line, size_t len, const char *template,
                         char ret_key[RMQ_RKEY_MAX + 1]);

#endif
