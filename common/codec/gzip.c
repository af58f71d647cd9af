/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/gzip.h"

#include "common/codec/codec.h"

#include <limits.h>
#include <stdlib.h>

#define ZLIB_CONST
#include <zlib.h>

/* zlib's default effort; a window of 2^15, +16 for gzip's frame. */
enum { LEVEL = 6, WINDOW = 15 + 16, MEMORY = 8 };
enum { FIRST_ROOM = 4096 };

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

/* How much to let out next; 0 when out is full. */
static size_t next_room(const z_stream *z, const struct rmq_buf *out) {
  size_t left = out->max - out->len;
  size_t want = FIRST_ROOM + 4 * (size_t)z->avail_in;
  return want < left ? want : left;
}

static int no_memory(struct rmq_error *err) {
  rmq_error_set(err, "out of memory");
  return RMQ_CODEC_NO_MEMORY;
}

/* One step; 0: go on, 1: all is out; or the failure. */
static int expand_some(z_stream *z, struct rmq_buf *out,
                       struct rmq_error *err) {
  Bytef spare = 0;
  size_t room = next_room(z, out);
  char *to = room == 0 ? (char *)&spare : rmq_buf_reserve(out, room);
  if (to == NULL)
    return no_memory(err);
  z->next_out = (Bytef *)to;
  z->avail_out = room == 0 ? 1 : (uInt)room;
  int rc = inflate(z, Z_NO_FLUSH);
  if (room == 0 && z->avail_out == 0)
    return rmq_error_set(err, "gzip: it expands to more than %zu bytes",
                         out->max);
  if (room > 0)
    rmq_buf_commit(out, room - z->avail_out);
  if (rc == Z_STREAM_END)
    return z->avail_in == 0 ? 1 : inflateReset(z) == Z_OK ? 0 : -1;
  if (rc == Z_MEM_ERROR)
    return no_memory(err);
  if (rc == Z_BUF_ERROR || (rc == Z_OK && z->avail_in == 0 && z->avail_out > 0))
    return rmq_error_set(err, "gzip: it ends too early");
  if (rc != Z_OK)
    return rmq_error_set(err, "gzip: %s",
                         z->msg != NULL ? z->msg : "not compressed with it");
  return 0;
}

int rmq_gzip_expand(const void *bytes, size_t len, struct rmq_buf *out,
                    struct rmq_error *err) {
  size_t before = out->len;
  z_stream z = {.next_in = bytes, .avail_in = (uInt)len};
  if (len > UINT_MAX / 8 || out->max > UINT_MAX)
    return rmq_error_set(err, "gzip: it is too large");
  if (inflateInit2(&z, WINDOW) != Z_OK)
    return no_memory(err);
  int rc = 0;
  while (rc == 0)
    rc = expand_some(&z, out, err);
  inflateEnd(&z);
  if (rc < 0)
    rmq_buf_truncate(out, before);
  return rc < 0 ? rc : 0;
}
