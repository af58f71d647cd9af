/* SPDX-License-Identifier: MIT */
/*
 * fill: puts into a queue what rabbitmq_publish would make of loadgen's values,
 * as fast as the broker takes it, for consumers to drain.
 *
 *   fill HOST PORT VHOST QUEUE FORMAT VALUES BATCH [SOURCE]
 *
 * Value i is loadgen.example.org/SOURCE-s<i % 1000>/gauge-n with value i and a
 * time that moves by 10 ms in each series, up to now. SOURCE is "loadgen".
 * BATCH values to a message, persistent, confirmed, with the properties of
 * rabbitmq_publish's messages. Prints one JSON object.
 */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/bench/plain.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { SERIES = 1000, STEP_MS = 10, WINDOW = 500, BODY_MAX = 16 << 20 };

struct source {
  const char *plugin;
  struct rmq_wall end; /* no value is younger */
  uint64_t values, next;
};

static int encode_next(struct source *s, const struct rmq_codec *codec,
                       struct rmq_buf *out) {
  char instance[16];
  uint64_t i = s->next++;
  int64_t rounds_left = (int64_t)((s->values - i) / SERIES);
  struct rmq_datum value = {
      .name = "value", .kind = RMQ_GAUGE, .value = {.gauge = (double)i}};
  struct rmq_sample sample = {
      .id = {"loadgen.example.org", s->plugin, instance, "gauge", "n"},
      .time = {s->end.ns - rounds_left * STEP_MS * RMQ_NS_PER_MS},
      .interval = rmq_s(10),
      .values = &value,
      .values_count = 1};
  snprintf(instance, sizeof(instance), "s%d", (int)(i % SERIES));
  return codec->encode(&sample, &rmq_codec_style_default, out);
}

/* One message of at most batch values. */
static int encode(struct source *s, const struct rmq_codec *codec, int batch,
                  struct rmq_buf *out) {
  rmq_buf_clear(out);
  rmq_buf_append_text(out, codec->open);
  for (int n = 0; n < batch && s->next < s->values; n++) {
    if (n > 0)
      rmq_buf_append_text(out, codec->separator);
    if (encode_next(s, codec, out) != 0)
      return -1;
  }
  rmq_buf_append_text(out, codec->close);
  return out->failed ? -1 : 0;
}

static int publish(struct plain *p, const char *queue, struct source *s,
                   const struct rmq_codec *codec, int batch) {
  struct rmq_buf body;
  rmq_buf_init(&body, BODY_MAX);
  uint64_t bytes = 0;
  int rc = 0;
  while (rc == 0 && s->next < s->values) {
    rc = encode(s, codec, batch, &body);
    while (rc == 0 && !plain_has_room(p))
      rc = plain_wait(p, -1);
    if (rc == 0)
      rc = plain_publish(p, PLAIN_FULL, queue, rmq_buf_bytes(&body), body.len);
    bytes += body.len;
  }
  while (rc == 0 && plain_confirmed(p) < plain_published(p))
    rc = plain_wait(p, -1);
  rmq_buf_fini(&body);
  if (rc == 0)
    printf("{\"messages\": %" PRIu64 ", \"bytes\": %" PRIu64
           ", \"values\": %" PRIu64 "}\n",
           plain_published(p), bytes, s->values);
  return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
  const struct rmq_codec *codec = argc > 5 ? rmq_codec_by_name(argv[5]) : NULL;
  struct source s = {.plugin = argc == 9 ? argv[8] : "loadgen"};
  int batch = argc > 7 ? atoi(argv[7]) : 0;
  if ((argc != 8 && argc != 9) || codec == NULL || batch < 1) {
    fputs("usage: fill HOST PORT VHOST QUEUE FORMAT VALUES BATCH [SOURCE]\n",
          stderr);
    return 2;
  }
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  s.end.ns = (int64_t)now.tv_sec * RMQ_NS_PER_S;
  s.values = strtoull(argv[6], NULL, 10);
  struct plain *p = plain_new(argv[1], atoi(argv[2]), argv[3], WINDOW);
  if (p == NULL)
    return 1;
  plain_set_content_type(p, codec->content_type);
  int rc = publish(p, argv[4], &s, codec, batch);
  plain_free(p);
  return rc;
}
