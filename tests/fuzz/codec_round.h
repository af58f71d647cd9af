/* SPDX-License-Identifier: MIT */
/*
 * What holds for any bytes that a codec is given: they are refused whole and
 * with a reason, or what they say can be said again, and says the same again.
 */
#ifndef RMQ_TESTS_FUZZ_CODEC_ROUND_H
#define RMQ_TESTS_FUZZ_CODEC_ROUND_H

#include "common/codec/codec.h"

#include "tests/fake/sample_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MUST(condition)                                                        \
  do {                                                                         \
    if (!(condition)) {                                                        \
      fprintf(stderr, "does not hold: %s\n", #condition);                      \
      abort();                                                                 \
    }                                                                          \
  } while (0)

struct codec_round {
  const struct rmq_codec *codec;
  struct rmq_buf out;
  size_t count;
};

static inline void codec_round_sink(void *ctx, const struct rmq_sample *s) {
  struct codec_round *r = ctx;
  rmq_buf_append_text(&r->out,
                      r->count == 0 ? r->codec->open : r->codec->separator);
  MUST(r->codec->encode(s, &rmq_codec_style_default, &r->out) == 0);
  r->count++;
}

/* bytes, decoded and encoded again; 0, or -1 when they were refused. */
static inline int codec_round_once(struct codec_round *r, const char *bytes,
                                   size_t len) {
  struct rmq_error err = {{0}};
  int rc = fake_decode(r->codec, bytes, len, codec_round_sink, r, &err);
  MUST((rc == 0) == (r->count > 0));
  MUST((rc == 0) == !rmq_error_is_set(&err));
  rmq_buf_append_text(&r->out, r->codec->close);
  return rc;
}

static inline void codec_round(const struct rmq_codec *codec,
                               const uint8_t *data, size_t size) {
  struct codec_round first = {.codec = codec};
  struct codec_round second = {.codec = codec};
  rmq_buf_init(&first.out, SIZE_MAX / 4);
  rmq_buf_init(&second.out, SIZE_MAX / 4);
  if (codec_round_once(&first, (const char *)data, size) == 0) {
    MUST(codec_round_once(&second, rmq_buf_bytes(&first.out), first.out.len) ==
         0);
    MUST(second.count == first.count);
    MUST(strcmp(rmq_buf_text(&first.out), rmq_buf_text(&second.out)) == 0);
  }
  rmq_buf_fini(&first.out);
  rmq_buf_fini(&second.out);
}

#endif
