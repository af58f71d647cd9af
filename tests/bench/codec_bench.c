/* SPDX-License-Identifier: MIT */
/*
 * How much processor time the codecs take, in nanoseconds a sample (value
 * list), for messages of 200 samples as a host's own plugins make them.
 * Reported, not judged: tests/check_speed.sh judges instructions.
 *
 * usage: codec_bench [ROUNDS [FORMAT]]
 */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/fake/sample_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SAMPLES = 200, TYPES = 4 };

static struct rmq_sample samples[SAMPLES];
static struct rmq_datum values[SAMPLES][3];

static const struct rmq_identity ids[TYPES] = {
    {"host.example.org", "cpu", "0", "gauge", "idle"},
    {"host.example.org", "interface", "eth0", "if_octets", ""},
    {"host.example.org", "load", "", "load", ""},
    {"host.example.org", "df", "var-lib-rabbitmq", "gauge", "free"},
};

static void make_samples(void) {
  for (int i = 0; i < SAMPLES; i++) {
    struct rmq_sample *s = &samples[i];
    s->id = ids[i % TYPES];
    s->time.ns = INT64_C(1700000000123000000) + i * RMQ_NS_PER_MS;
    s->interval = rmq_s(10);
    s->values_count = (size_t)fake_types.get(NULL, s->id.type, values[i], 3);
    for (size_t v = 0; v < s->values_count; v++)
      if (values[i][v].kind == RMQ_DERIVE)
        values[i][v].value.derive = INT64_C(8123456789) * (i + 1);
      else if (i % TYPES == 0)
        values[i][v].value.gauge = 100.0 * i / 7; /* all 17 digits */
      else
        values[i][v].value.gauge = (double)i / 100 + (double)v;
    s->values = values[i];
  }
}

static double now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void encode(const struct rmq_codec *c, struct rmq_buf *out) {
  rmq_buf_clear(out);
  rmq_buf_append_text(out, c->open);
  for (int i = 0; i < SAMPLES; i++) {
    if (i > 0)
      rmq_buf_append_text(out, c->separator);
    if (c->encode(&samples[i], &rmq_codec_style_default, out) != 0)
      abort();
  }
  rmq_buf_append_text(out, c->close);
}

static void count(void *ctx, const struct rmq_sample *s) {
  *(size_t *)ctx += s->values_count;
}

static void decode(const struct rmq_codec *c, const struct rmq_buf *in) {
  size_t n = 0;
  if (fake_decode(c, rmq_buf_bytes(in), in->len, count, &n, NULL) != 0)
    abort();
}

/* Functions of their own, since valgrind counts what happens inside of them. */
__attribute__((noinline)) static void
encode_rounds(const struct rmq_codec *c, struct rmq_buf *out, int rounds) {
  for (int i = 0; i < rounds; i++)
    encode(c, out);
}

__attribute__((noinline)) static void
decode_rounds(const struct rmq_codec *c, const struct rmq_buf *in, int rounds) {
  for (int i = 0; i < rounds && c->decode != NULL; i++)
    decode(c, in);
}

static void measure(const struct rmq_codec *c, int rounds) {
  struct rmq_buf out;
  rmq_buf_init(&out, 1 << 20);
  encode(c, &out);
  double start = now_ns();
  encode_rounds(c, &out, rounds);
  double middle = now_ns();
  decode_rounds(c, &out, rounds);
  double end = now_ns();
  double all = (double)rounds * SAMPLES;
  printf("%-8s encode %5.0f ns, decode %5.0f ns a sample of %zu bytes\n",
         c->name, (middle - start) / all, (end - middle) / all,
         out.len / SAMPLES);
  rmq_buf_fini(&out);
}

int main(int argc, char **argv) {
  int rounds = argc > 1 ? atoi(argv[1]) : 2000;
  make_samples();
  for (int i = 0; rmq_codec_at(i) != NULL; i++)
    if (argc < 3 || strcmp(argv[2], rmq_codec_at(i)->name) == 0)
      measure(rmq_codec_at(i), rounds > 0 ? rounds : 1);
  return 0;
}
