/* SPDX-License-Identifier: MIT */
/*
 * Reads Prometheus' text exposition format as it arrives, piece by piece and
 * without allocation: one call back per sample of a family that is wanted. What
 * cannot be read is one line, which is counted and left out; nothing that a
 * server sends ends the reading or grows memory. One thread.
 *
 * prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4. HELP,
 * TYPE and timestamps are read over.
 */
#ifndef RMQ_CODEC_EXPOSITION_H
#define RMQ_CODEC_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  RMQ_EXPOSITION_LINE_MAX = 8192, /* longer ones are left out */
  RMQ_EXPOSITION_LABELS_MAX = 16,
  RMQ_EXPOSITION_NAME_MAX = 200 /* of a family */
};

/* Not NUL-terminated; any byte may be in it. */
struct rmq_exposition_text {
  const char *bytes;
  size_t len;
};

struct rmq_exposition_label {
  struct rmq_exposition_text name, value; /* without quotes and escapes */
};

/* All borrowed, for the call only. No two labels have the same name. */
struct rmq_exposition_sample {
  int family; /* what find returned */
  const struct rmq_exposition_label *labels;
  size_t labels_count;
  double value; /* may be NaN or infinite */
};

/* What becomes of the samples. */
struct rmq_exposition_sink {
  void *ctx;
  /* A number of the sink's own for a family, negative = not wanted. Asked when
   * the name differs from that of the line before. */
  int (*find)(void *ctx, struct rmq_exposition_text name);
  void (*take)(void *ctx, const struct rmq_exposition_sample *sample);
};

struct rmq_exposition {
  struct rmq_exposition_sink sink;
  /* RabbitMQ before 3.11 writes names into labels as they are, quotes and
   * backslashes included; a value then ends where the next label begins, or the
   * last brace of the line is. */
  bool is_raw;
  uint64_t taken, malformed; /* lines; taken counts what sink.take got */
  /* Below: for the functions only. */
  bool is_too_long; /* the line that is being left out */
  size_t line_len;  /* the beginning of a line whose end has not come */
  char line[RMQ_EXPOSITION_LINE_MAX];
  char scratch[RMQ_EXPOSITION_LINE_MAX]; /* values without their escapes */
  char name[RMQ_EXPOSITION_NAME_MAX];    /* of the line before */
  size_t name_len;
  int family;
};

/* The sink is copied. Also begins anew with another body. */
void rmq_exposition_init(struct rmq_exposition *x,
                         const struct rmq_exposition_sink *sink, bool is_raw);
/* The next piece of the body, cut anywhere. */
void rmq_exposition_feed(struct rmq_exposition *x, const char *bytes,
                         size_t len);
/* The body is over: its last line may lack a line feed. */
void rmq_exposition_end(struct rmq_exposition *x);

/* The value of a label, or NULL. */
const struct rmq_exposition_text *
rmq_exposition_label(const struct rmq_exposition_sample *sample,
                     const char *name);

#endif
