/* SPDX-License-Identifier: MIT */
/*
 * Samples as one line of text, so that tests compare and print them:
 *   host|plugin|instance|type|instance time=NS interval=NS name:gauge=0.5
 *   {key:string=text}
 * and a small types.db.
 */
#ifndef RMQ_TESTS_FAKE_SAMPLE_TEXT_H
#define RMQ_TESTS_FAKE_SAMPLE_TEXT_H

#include "common/base/buf.h"
#include "common/base/sample.h"
#include "common/codec/codec.h"

/* gauge (value), derive (value), counter (value), absolute (value), if_octets
 * (rx and tx, derive), load (shortterm, midterm, longterm, gauge), mixed (g, d,
 * c, a: one of each kind). */
extern const struct rmq_types fake_types;

/* Appends the line with a newline. NaN is "nan" whatever its bits. */
void fake_sample_text(const struct rmq_sample *s, struct rmq_buf *out);
/* The same for a struct rmq_codec_sink: ctx is the struct rmq_buf. */
void fake_sample_sink(void *ctx, const struct rmq_sample *s);

/* codec->decode with fake_types, all or nothing: sample is called for each
 * sample of a message without a bad record. */
int fake_decode(const struct rmq_codec *codec, const char *bytes, size_t len,
                void (*sample)(void *ctx, const struct rmq_sample *s),
                void *ctx, struct rmq_error *err);

#endif
