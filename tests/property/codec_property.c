/* SPDX-License-Identifier: MIT */
/*
 * decode(encode(x)) = x, for random samples that the format can say, alone and
 * several to a message. What a format cannot say is in the unit tests.
 */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/testing.h"

#include "common/base/prng.h"
#include "common/codec/number.h"
#include "tests/fake/json_tree.h"
#include "tests/fake/sample_text.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 20000, SAMPLES_MAX = 5, META_MAX = 3, TEXT_SIZE = 64 };

static struct rmq_prng prng;

static uint64_t below(uint64_t bound) { return rmq_prng_below(&prng, bound); }

/* Storage of one random sample. */
struct random_sample {
  struct rmq_sample sample;
  struct rmq_datum values[4];
  struct rmq_meta meta[META_MAX];
  char host[TEXT_SIZE], plugin[TEXT_SIZE], plugin_instance[TEXT_SIZE],
      type_instance[TEXT_SIZE];
  char keys[META_MAX][TEXT_SIZE], texts[META_MAX][TEXT_SIZE];
};

static const char *random_piece(bool may_have_dash) {
  static const char rabbit[] = "\xf0\x9f\x90\xb0";
  static const char *const pieces[] = {
      "a", "Z", "7", " ", "\"",  "\\", ".", "=", ":",    ",",    "\xc3\xbc",
      "{", "}", "'", "]", "%2F", "U",  "#", "$", rabbit, "meta", "-"};
  return pieces[below(COUNT_OF(pieces) - (may_have_dash ? 0 : 1))];
}

/* A safe name of up to pieces_max pieces; empty only where least is 0. */
static void random_name(char *to, uint64_t least, bool may_have_dash) {
  uint64_t pieces = least + below(10);
  to[0] = '\0';
  for (uint64_t i = 0; i < pieces; i++) {
    const char *piece = random_piece(may_have_dash);
    if (i == 0 && piece[0] == '.')
      piece = "x";
    strcat(to, piece);
  }
}

static double random_double(void) {
  uint64_t bits = rmq_prng_next(&prng);
  double v = 0;
  switch (below(6)) {
  case 0:
    return NAN;
  case 1:
    return (double)(int64_t)bits / 1000;
  case 2:
    return (double)below(100000) / 100;
  case 3:
    return (double)bits / 18446744073709551616.0;
  case 4:
    return -0.0;
  default:
    memcpy(&v, &bits, sizeof(v));
    return isfinite(v) ? v : 0.1;
  }
}

static uint64_t random_integer(void) {
  static const uint64_t edges[] = {0, 1, INT64_MAX, UINT64_C(1) << 63,
                                   UINT64_MAX};
  return below(4) == 0 ? edges[below(COUNT_OF(edges))]
                       : rmq_prng_next(&prng) >> below(64);
}

static void random_values(struct random_sample *r) {
  static const char *const types[] = {
      "gauge", "derive", "counter", "absolute", "if_octets", "load", "mixed"};
  r->sample.id.type = types[below(COUNT_OF(types))];
  int n = fake_types.get(NULL, r->sample.id.type, r->values, 4);
  for (int i = 0; i < n; i++)
    switch (r->values[i].kind) {
    case RMQ_GAUGE:
      r->values[i].value.gauge = random_double();
      break;
    case RMQ_DERIVE:
      r->values[i].value.derive = (int64_t)random_integer();
      break;
    case RMQ_COUNTER:
      r->values[i].value.counter = random_integer();
      break;
    case RMQ_ABSOLUTE:
      r->values[i].value.absolute = random_integer();
      break;
    }
  r->sample.values = r->values;
  r->sample.values_count = (size_t)n;
}

/* JSON: any type; unsigned numbers only where they cannot be signed ones. */
static void random_meta_value(struct rmq_meta *m) {
  m->type = (enum rmq_meta_type)(1 + below(4));
  switch (m->type) {
  case RMQ_META_STRING:
    break;
  case RMQ_META_SIGNED:
    m->value.signed_int = (int64_t)random_integer();
    break;
  case RMQ_META_UNSIGNED:
    m->value.unsigned_int = UINT64_C(1) << 63 | rmq_prng_next(&prng);
    break;
  case RMQ_META_DOUBLE:
    m->value.number = random_double();
    if (isnan(m->value.number))
      m->value.number = 1e300;
    break;
  case RMQ_META_BOOLEAN:
    m->value.boolean = below(2) == 0;
    break;
  }
}

static void random_meta(struct random_sample *r, bool only_strings) {
  r->sample.meta_count = below(META_MAX + 1);
  for (size_t i = 0; i < r->sample.meta_count; i++) {
    snprintf(r->keys[i], TEXT_SIZE, "k%zu:%" PRIu64, i, below(100));
    r->meta[i].key = r->keys[i];
    if (!only_strings && below(2) == 0) {
      random_meta_value(&r->meta[i]);
      continue;
    }
    random_name(r->texts[i], 0, true);
    r->meta[i].type = RMQ_META_STRING;
    r->meta[i].value.string = r->texts[i];
  }
  r->sample.meta = r->meta;
}

static void random_sample(struct random_sample *r, bool is_putval) {
  *r = (struct random_sample){0};
  random_name(r->host, 1, true);
  random_name(r->plugin, 1, !is_putval);
  random_name(r->plugin_instance, 0, true);
  random_name(r->type_instance, 0, true);
  r->sample.id = (struct rmq_identity){.host = r->host,
                                       .plugin = r->plugin,
                                       .plugin_instance = r->plugin_instance,
                                       .type_instance = r->type_instance};
  random_values(r);
  random_meta(r, is_putval);
  /* Up to the year 2242, to the millisecond: what both formats carry. */
  r->sample.time.ns =
      (int64_t)(1 + below(UINT64_C(8589934592000))) * RMQ_NS_PER_MS;
  r->sample.interval.ns = (int64_t)below(100000) * RMQ_NS_PER_MS;
}

static void check_round(const struct rmq_codec *codec) {
  struct random_sample samples[SAMPLES_MAX];
  struct rmq_buf message, want, got;
  rmq_buf_init(&message, 1 << 20);
  rmq_buf_init(&want, 1 << 20);
  rmq_buf_init(&got, 1 << 20);
  uint64_t count = 1 + below(SAMPLES_MAX);
  rmq_buf_append_text(&message, codec->open);
  for (uint64_t i = 0; i < count; i++) {
    random_sample(&samples[i], codec == &rmq_codec_putval);
    fake_sample_text(&samples[i].sample, &want);
    if (i > 0)
      rmq_buf_append_text(&message, codec->separator);
    if (codec->encode(&samples[i].sample, &rmq_codec_style_default, &message) !=
        0)
      fail_msg("refused: %s", rmq_buf_text(&want));
  }
  rmq_buf_append_text(&message, codec->close);
  struct rmq_error err = {{0}};
  int rc = fake_decode(codec, rmq_buf_bytes(&message), message.len,
                       fake_sample_sink, &got, &err);
  if (rc != 0 || strcmp(rmq_buf_text(&got), rmq_buf_text(&want)) != 0) {
    fprintf(stderr, "message %s\nwant %s\ngot  %s\n", rmq_buf_text(&message),
            rmq_buf_text(&want), rmq_buf_text(&got));
    fail_msg("%s does not give back what it took: %s", codec->name, err.text);
  }
  rmq_buf_fini(&message);
  rmq_buf_fini(&want);
  rmq_buf_fini(&got);
}

static void what_is_written_reads_back_the_same(void **state) {
  (void)state;
  prng.state = property_seed(20240229);
  for (unsigned i = property_rounds(ROUNDS); i > 0; i--) {
    check_round(&rmq_codec_putval);
    check_round(&rmq_codec_json);
  }
}

/* What the other formats carry of a sample: no meta data, no interval; Influx
 * has no word for what is not finite, and calls all counters below 2^63 signed;
 * Graphite has whole seconds, 15 digits and names without '.' and white space.
 */
static void reduce(struct random_sample *r, bool is_graphite) {
  struct rmq_sample *s = &r->sample;
  char *const names[] = {r->host, r->plugin, r->plugin_instance,
                         r->type_instance};
  s->meta_count = 0;
  s->interval.ns = 0;
  if (is_graphite && s->time.ns < RMQ_NS_PER_S)
    s->time.ns = RMQ_NS_PER_S;
  if (is_graphite)
    s->time.ns -= s->time.ns % RMQ_NS_PER_S;
  for (size_t i = 0; i < s->values_count; i++)
    if (r->values[i].kind == RMQ_GAUGE && is_graphite)
      r->values[i].value.gauge = (double)below(1000000) / 64;
  for (size_t n = 0; n < COUNT_OF(names); n++)
    for (char *c = names[n]; *c != '\0'; c++)
      if (is_graphite ? strchr(" \"\\:!,/().", *c) != NULL
                      : *c == '\\' || *c == '#')
        *c = '_';
}

/* False when not one value can be said. */
static bool has_value(const struct rmq_sample *s) {
  for (size_t i = 0; i < s->values_count; i++)
    if (s->values[i].kind != RMQ_GAUGE || isfinite(s->values[i].value.gauge))
      return true;
  return false;
}

static void check_reduced(const struct rmq_codec *codec) {
  bool is_graphite = codec == &rmq_codec_graphite;
  struct rmq_buf message, want, got;
  rmq_buf_init(&message, 1 << 20);
  rmq_buf_init(&want, 1 << 20);
  rmq_buf_init(&got, 1 << 20);
  for (uint64_t count = 1 + below(SAMPLES_MAX); count > 0; count--) {
    struct random_sample r;
    random_sample(&r, is_graphite);
    reduce(&r, is_graphite);
    if (!has_value(&r.sample))
      continue;
    fake_sample_text(&r.sample, &want);
    assert_int_equal(
        codec->encode(&r.sample, &rmq_codec_style_default, &message), 0);
  }
  struct rmq_error err = {{0}};
  int rc = fake_decode(codec, rmq_buf_bytes(&message), message.len,
                       fake_sample_sink, &got, &err);
  if ((rc != 0 && want.len > 0) ||
      strcmp(rmq_buf_text(&got), rmq_buf_text(&want)) != 0)
    fail_msg("%s: %s\nmessage %s\nwant %s\ngot  %s", codec->name, err.text,
             rmq_buf_text(&message), rmq_buf_text(&want), rmq_buf_text(&got));
  rmq_buf_fini(&message);
  rmq_buf_fini(&want);
  rmq_buf_fini(&got);
}

static void what_graphite_and_influx_carry_reads_back_the_same(void **state) {
  (void)state;
  prng.state = property_seed(20110612);
  for (unsigned i = property_rounds(ROUNDS); i > 0; i--) {
    check_reduced(&rmq_codec_graphite);
    check_reduced(&rmq_codec_influx);
  }
}

/* One byte or short piece put in, taken away or put in the place of others. */
static void spoil(struct rmq_buf *message) {
  static const char *const pieces[] = {
      "",        ",",   "[",    "]",         "{",
      "}",       "\"",  ":",    "-",         ".",
      "e9",      "0",   "null", "true",      "\\u00e4",
      "\\",      "1e5", "\xc3", " ",         "1e400",
      "\\ud83d", "{}",  "[1]",  "\"time\":", "99999999999999"};
  struct rmq_buf spoilt;
  rmq_buf_init(&spoilt, 1 << 20);
  size_t at = below(message->len);
  size_t gone = below(4);
  rmq_buf_append(&spoilt, rmq_buf_bytes(message), at);
  rmq_buf_append_text(&spoilt, pieces[below(COUNT_OF(pieces))]);
  if (at + gone < message->len)
    rmq_buf_append(&spoilt, rmq_buf_bytes(message) + at + gone,
                   message->len - at - gone);
  rmq_buf_fini(message);
  *message = spoilt;
}

static void json_is_read_as_jansson_reads_it(void **state) {
  (void)state;
  prng.state = property_seed(20010101);
  for (unsigned i = property_rounds(2 * ROUNDS); i > 0; i--) {
    struct random_sample samples[SAMPLES_MAX];
    struct rmq_buf message;
    rmq_buf_init(&message, 1 << 20);
    uint64_t count = 1 + below(SAMPLES_MAX);
    rmq_buf_append_text(&message, "[");
    for (uint64_t k = 0; k < count; k++) {
      random_sample(&samples[k], false);
      rmq_buf_append_text(&message, k > 0 ? "," : "");
      rmq_codec_json.encode(&samples[k].sample, &rmq_codec_style_default,
                            &message);
    }
    rmq_buf_append_text(&message, "]");
    for (uint64_t spoils = below(3); spoils > 0 && message.len > 0; spoils--)
      spoil(&message);
    if (!fake_json_tree_agrees(rmq_buf_bytes(&message), message.len))
      fail_msg("%u rounds from the end", i);
    rmq_buf_fini(&message);
  }
}

/* Doubles of all sizes, since the fast way of writing them is our own. */
static void every_double_reads_back_the_same(void **state) {
  (void)state;
  prng.state = property_seed(19850101);
  for (unsigned i = property_rounds(20 * ROUNDS); i > 0; i--) {
    double v = random_double();
    if (isnan(v))
      continue;
    char text[RMQ_NUMBER_MAX + 1];
    size_t n = rmq_number_put_double(text, v);
    double back = 0;
    text[n] = '\0';
    if (rmq_number_get_double(text, n, &back) != 0 ||
        memcmp(&v, &back, sizeof(v)) != 0 || strtod(text, NULL) != v)
      fail_msg("%.17g was written as %s and read as %.17g", v, text, back);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_reads_back_the_same),
      cmocka_unit_test(what_graphite_and_influx_carry_reads_back_the_same),
      cmocka_unit_test(json_is_read_as_jansson_reads_it),
      cmocka_unit_test(every_double_reads_back_the_same),
  };
  return run_all(tests);
}
