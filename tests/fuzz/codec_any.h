/* SPDX-License-Identifier: MIT */
/*
 * What holds for any bytes that a decoder is given, whatever its format: what
 * is handed over has names and values that a host can take, comes after all
 * that was bad, and is the same where bad records are not allowed and there was
 * none.
 */
#ifndef RMQ_TESTS_FUZZ_CODEC_ANY_H
#define RMQ_TESTS_FUZZ_CODEC_ANY_H

#include "common/codec/samples.h"

#include "tests/fake/sample_text.h"
#include "tests/fuzz/codec_round.h"

struct codec_any {
  size_t checked, bad, samples, events;
  struct rmq_buf text;
};

static inline bool codec_any_check(void *ctx, struct rmq_sample *s,
                                   struct rmq_error *err) {
  struct codec_any *a = ctx;
  (void)err;
  MUST(rmq_samples_can_be_said(s));
  MUST(a->samples == 0 && a->events == 0);
  a->checked++;
  return true;
}

static inline void codec_any_bad(void *ctx, const struct rmq_error *err) {
  struct codec_any *a = ctx;
  MUST(rmq_error_is_set(err));
  MUST(a->samples == 0 && a->events == 0);
  a->bad++;
}

static inline void codec_any_sample(void *ctx, const struct rmq_sample *s) {
  struct codec_any *a = ctx;
  MUST(rmq_samples_can_be_said(s));
  fake_sample_text(s, &a->text);
  a->samples++;
}

static inline void codec_any_event(void *ctx, const struct rmq_event *e) {
  struct codec_any *a = ctx;
  const char *const names[] = {e->id.host, e->id.plugin, e->id.plugin_instance,
                               e->id.type, e->id.type_instance};
  for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
    MUST(rmq_samples_check_name("", names[i], strlen(names[i]), true, NULL) ==
         0);
  MUST(e->message[0] != '\0');
  MUST(rmq_samples_is_line(e->message, strlen(e->message)));
  MUST(e->time.ns >= RMQ_NS_PER_MS);
  for (size_t i = 0; i < e->meta_count; i++)
    MUST(rmq_samples_key_is_safe(e->meta[i].key, strlen(e->meta[i].key)));
  a->events++;
}

static inline void codec_any(const struct rmq_codec *codec,
                             const struct rmq_graphite_template *graphite,
                             const char *bytes, size_t len) {
  const struct rmq_codec_input in = {
      .bytes = bytes, .len = len, .types = &fake_types, .graphite = graphite};
  struct codec_any each = {.bad = 0};
  struct codec_any whole = {.bad = 0};
  struct rmq_error err = {""};
  struct rmq_codec_sink sink = {.ctx = &each,
                                .check = codec_any_check,
                                .bad = codec_any_bad,
                                .sample = codec_any_sample,
                                .event = codec_any_event};
  rmq_buf_init(&each.text, SIZE_MAX / 4);
  rmq_buf_init(&whole.text, SIZE_MAX / 4);
  int rc = codec->decode(&in, &sink, &err);
  MUST((rc == 0) == (each.samples + each.events > 0));
  MUST((rc == 0) == !rmq_error_is_set(&err));
  MUST(each.samples <= each.checked);
  sink.ctx = &whole;
  sink.bad = NULL;
  MUST((codec->decode(&in, &sink, NULL) == 0) == (rc == 0 && each.bad == 0));
  MUST(whole.samples == 0 ||
       (whole.samples == each.samples &&
        strcmp(rmq_buf_text(&whole.text), rmq_buf_text(&each.text)) == 0));
  rmq_buf_fini(&each.text);
  rmq_buf_fini(&whole.text);
}

#endif
