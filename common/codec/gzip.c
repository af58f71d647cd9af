/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/gzip.h"

#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

/* zlib's default effort; a window of 2^15, +16 for gzip's frame. */
enum { LEVEL = 6, WINDOW = 15 + 16, MEMORY = 8 };

struct rmq_gzip {
  z_stream stream;
};

struct rmq_gzip *rmq_gzip_new(void) {
  struct rmq_gzip *g = calloc(1, sizeof(*g));
  if (g != NULL && deflateInit2(&g->stream, LEVEL, Z_DEFLATED, WINDOW, MEMORY,
                                Z_DEFAULT_STRATEGY) == Z_OK)
    return g;
  free(g);
  return NULL;
}

void rmq_gzip_free(struct rmq_gzip *g) {
  if (g == NULL)
    return;
  deflateEnd(&g->stream);
  free(g);
}

int rmq_gzip_pack(struct rmq_gzip *g, const void *bytes, size_t len,
                  struct rmq_buf *out) {
  if (len < 2 || len > UINT_MAX || deflateReset(&g->stream) != Z_OK)
    return -1;
  /* One byte less than came in: what does not fit there does not pay. */
  char *room = rmq_buf_reserve(out, len - 1);
  if (room == NULL)
    return -1;
  g->stream.next_in = bytes;
  g->stream.avail_in = (uInt)len;
  g->stream.next_out = (Bytef *)room;
  g->stream.avail_out = (uInt)(len - 1);
  if (deflate(&g->stream, Z_FINISH) != Z_STREAM_END)
    return -1;
  rmq_buf_commit(out, len - 1 - g->stream.avail_out);
  return 0;
}
