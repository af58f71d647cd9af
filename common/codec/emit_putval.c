/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/emit_putval.h"

#include "common/codec/codec.h"

/* Nothing of a line stays where its end does not fit. */
static int end_line(struct rmq_emit_putval *x, struct rmq_buf *out,
                    size_t before, int rc) {
  if (rc == 0)
    rc = rmq_buf_append_char(out, '\n');
  if (rc == 0)
    return 0;
  rmq_buf_truncate(out, before);
  x->unsayable_count++;
  return -1;
}

/* Names as they are, or not at all. */
static const struct rmq_codec_style style = {.graphite_prefix = "",
                                             .graphite_postfix = "",
                                             .graphite_escape = '_',
                                             .putval_exact_meta = true};

static int add_sample(void *ctx, const struct rmq_sample *s,
                      struct rmq_buf *out) {
  size_t before = out->len;
  int rc = rmq_codec_putval.encode(s, &style, out);
  return end_line(ctx, out, before, rc);
}

static int add_event(void *ctx, const struct rmq_event *e,
                     struct rmq_buf *out) {
  struct rmq_emit_putval *x = ctx;
  size_t before = out->len;
  struct rmq_event of_host = *e;
  if (e->id.host[0] == '\0')
    of_host.id.host = x->hostname;
  int rc = rmq_codec_putval.encode_event(&of_host, out);
  return end_line(x, out, before, rc);
}

static int end_set(void *ctx, struct rmq_buf *out) {
  (void)ctx;
  return out->failed ? -1 : 0;
}

static size_t left_out(const void *ctx) {
  const struct rmq_emit_putval *x = ctx;
  return x->unsayable_count;
}

struct rmq_emit rmq_emit_putval_emit(struct rmq_emit_putval *x) {
  return (struct rmq_emit){.ctx = x,
                           .sample = add_sample,
                           .event = add_event,
                           .end = end_set,
                           .left_out = left_out};
}
