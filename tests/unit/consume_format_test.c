/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_format.h"

#include "tests/testing.h"

#include "common/codec/gzip.h"
#include "tests/fake/sample_text.h"

#include <string.h>

#define LINE "PUTVAL h/p/gauge 1:1\n"
#define SAMPLE "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"

static struct rmq_consume_format format_of(int word) {
  static char pattern[] = "_.host.plugin.type";
  struct rmq_consume_options o = {
      .format = word, .max_message_bytes = 1024, .graphite_template = pattern};
  struct rmq_consume_format f;
  rmq_consume_format_init(&f, &o);
  return f;
}

static struct rmq_delivery delivery(const char *type, const char *encoding,
                                    const char *body) {
  struct rmq_delivery d = {.body = {body, strlen(body)}};
  snprintf(d.content_type, sizeof(d.content_type), "%s", type);
  snprintf(d.content_encoding, sizeof(d.content_encoding), "%s", encoding);
  return d;
}

static const struct row {
  const char *type, *encoding;
  int format;
  const char *want; /* name of the codec, or NULL */
  enum rmq_rejection want_cause;
  const char *want_detail;
} rows[] = {
    {"text/collectd", "", 0, "Command", 0, ""},
    {"Text/Collectd; charset=utf-8", "UTF-8", 0, "Command", 0, ""},
    {"application/json", "gzip", 0, "JSON", 0, ""},
    {"application/json", "X-Gzip", 0, "JSON", 0, ""},
    {"application/json", "identity", 0, "JSON", 0, ""},
    {"application/json", "deflate", 0, NULL, RMQ_REJECTION_encoding, "deflate"},
    {"text/plain", "", 0, NULL, RMQ_REJECTION_content_type,
     "text/plain; the option Format may say what it is"},
    {"", "", 0, NULL, RMQ_REJECTION_content_type,
     "it has none; the option Format may say what it is"},
    {"text/influx", "", 0, "Influx", 0, ""},
    {"text/graphite", "gzip", 0, "Graphite", 0, ""},
    {"text/plain", "", 1, "Command", 0, ""},
    {"text/plain", "", 2, "JSON", 0, ""},
    {"text/plain", "", 3, "Graphite", 0, ""},
    {"text/plain", "", 4, "Influx", 0, ""},
    {"text/plain", "br", 2, NULL, RMQ_REJECTION_encoding, "br"},
};

static void a_delivery_says_how_it_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const struct row *row = &rows[i];
    struct rmq_consume_format f = format_of(row->format);
    struct rmq_delivery d = delivery(row->type, row->encoding, "x");
    enum rmq_rejection cause = 0;
    struct rmq_error detail = {""};
    SHOW_ROW("%zu %s", i, row->type);
    const struct rmq_codec *codec =
        rmq_consume_format_choose(&f, &d, &cause, &detail);
    assert_string_equal(codec == NULL ? "" : codec->name,
                        row->want == NULL ? "" : row->want);
    if (codec == NULL)
      assert_int_equal(cause, row->want_cause);
    assert_string_equal(detail.text, row->want_detail);
  }
}

static void only_accepted_content_types_are_read(void **state) {
  (void)state;
  static const struct {
    const char *accepted[2];
    const char *type;
    int format;
    const char *want_detail; /* "" = it is read */
  } cases[] = {
      {{NULL}, "application/json", 0, ""},
      {{"application/json"}, "application/json", 0, ""},
      {{"application/json"}, "Application/JSON ; charset=utf-8", 0, ""},
      {{"text/collectd", "application/json"}, "application/json", 0, ""},
      {{"application/json"},
       "text/collectd",
       0,
       "text/collectd; AcceptContentType does not have it"},
      {{"application/json"},
       "application/jso",
       0,
       "application/jso; AcceptContentType does not have it"},
      {{"application/json"},
       "",
       0,
       "it has none; AcceptContentType does not "
       "have it"},
      {{"text/plain"}, "text/plain", 4, ""},
      {{"text/plain"},
       "text/influx",
       4,
       "text/influx; AcceptContentType does not have it"},
      {{"", "text/plain"}, "", 4, ""},
      {{""}, "text/plain", 4, "text/plain; AcceptContentType does not have it"},
  };
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    char first[100], second[100], *items[] = {first, second};
    struct rmq_consume_format f = format_of(cases[i].format);
    struct rmq_delivery d = delivery(cases[i].type, "", "x");
    enum rmq_rejection cause = 0;
    struct rmq_error detail = {""};
    SHOW_ROW("%zu %s", i, cases[i].type);
    f.accepted.items = items;
    for (size_t k = 0; k < 2 && cases[i].accepted[k] != NULL; k++)
      snprintf(items[f.accepted.count++], sizeof(first), "%s",
               cases[i].accepted[k]);
    const struct rmq_codec *codec =
        rmq_consume_format_choose(&f, &d, &cause, &detail);
    assert_string_equal(detail.text, cases[i].want_detail);
    assert_true((codec != NULL) == (cases[i].want_detail[0] == '\0'));
    if (codec == NULL)
      assert_int_equal(cause, RMQ_REJECTION_content_type);
  }
}

static void what_cannot_have_a_format_is_refused_first(void **state) {
  (void)state;
  struct rmq_consume_format f = format_of(1);
  enum rmq_rejection cause = 0;
  struct rmq_delivery d = delivery("text/collectd", "", "x");
  d.is_oversized = true;
  assert_null(rmq_consume_format_choose(&f, &d, &cause, NULL));
  assert_int_equal(cause, RMQ_REJECTION_oversized);
  d = delivery("text/collectd", "", "x");
  d.is_malformed = true;
  assert_null(rmq_consume_format_choose(&f, &d, &cause, NULL));
  assert_int_equal(cause, RMQ_REJECTION_malformed);
  d = delivery("text/collectd", "", "");
  assert_null(rmq_consume_format_choose(&f, &d, &cause, NULL));
  assert_int_equal(cause, RMQ_REJECTION_empty);
}

static int decode(struct rmq_consume_format *f, const struct rmq_delivery *d,
                  struct rmq_buf *got, struct rmq_error *err) {
  const struct rmq_codec_sink sink = {.ctx = got, .sample = fake_sample_sink};
  rmq_buf_init(got, 1 << 24);
  return rmq_consume_format_decode(f, &rmq_codec_putval, d, &fake_types, &sink,
                                   err);
}

static void gzip_is_expanded_up_to_its_bound(void **state) {
  (void)state;
  /* 1024 bytes allowed in a message, so 16384 expanded: 780 lines. */
  static const struct {
    int lines;
    bool want_taken;
  } counts[] = {{1, true}, {780, true}, {781, false}};
  for (size_t i = 0; i < COUNT_OF(counts); i++) {
    struct rmq_consume_format f = format_of(0);
    struct rmq_buf plain, packed, got;
    struct rmq_error err = {""};
    SHOW_ROW("%d lines", counts[i].lines);
    rmq_buf_init(&plain, 1 << 20);
    rmq_buf_init(&packed, 1 << 20);
    for (int line = 0; line < counts[i].lines; line++)
      rmq_buf_append_text(&plain, LINE);
    rmq_buf_append_text(&plain, "                        "); /* so it pays */
    rmq_buf_truncate(&plain, plain.len - (counts[i].lines > 1 ? 24 : 0));
    struct rmq_gzip *g = rmq_gzip_new();
    assert_int_equal(
        rmq_gzip_pack(g, rmq_buf_bytes(&plain), plain.len, &packed), 0);
    rmq_gzip_free(g);
    struct rmq_delivery d = delivery("text/collectd", "gzip", "");
    d.body.bytes = rmq_buf_bytes(&packed);
    d.body.len = packed.len;
    int rc = decode(&f, &d, &got, &err);
    assert_int_equal(rc, counts[i].want_taken ? 0 : -1);
    assert_string_equal(err.text,
                        counts[i].want_taken
                            ? ""
                            : "gzip: it expands to more than 16384 bytes");
    assert_int_equal(got.len, counts[i].want_taken ? (size_t)counts[i].lines *
                                                         (sizeof(SAMPLE) - 1)
                                                   : 0);
    rmq_consume_format_fini(&f);
    rmq_buf_fini(&plain);
    rmq_buf_fini(&packed);
    rmq_buf_fini(&got);
  }
}

/* The option's words, and the index that choosing by them goes by. */
static void
what_only_says_that_it_came_by_amqp1_is_read_as_it_is(void **state) {
  (void)state;
  static const char section[] = "\0\x53\x77\xa1\x15" LINE;
  static const struct {
    const char *body;
    size_t len;
    int want;
  } bodies[] = {{section, sizeof(section) - 1, 0},
                {LINE, sizeof(LINE) - 1, 0},
                {section, 5, -1},
                {"\0" LINE, sizeof(LINE), -1}};
  for (size_t i = 0; i < COUNT_OF(bodies); i++) {
    struct rmq_consume_format f = format_of(1);
    struct rmq_delivery d = {.body = {bodies[i].body, bodies[i].len},
                             .is_amqp1 = true};
    struct rmq_error err = {.text = ""};
    struct rmq_buf got;
    SHOW_ROW("%zu", i);
    assert_int_equal(decode(&f, &d, &got, &err), bodies[i].want);
    assert_string_equal(rmq_buf_text(&got), bodies[i].want == 0 ? SAMPLE : "");
    rmq_buf_fini(&got);
    rmq_consume_format_fini(&f);
  }
}

static void the_words_are_the_codecs(void **state) {
  (void)state;
  const struct rmq_option *o = rmq_consume_option_table;
  while (strcmp(o->name, "Format") != 0)
    o++;
  assert_string_equal(o->choices[0], "auto");
  for (int i = 0; o->choices[i + 1] != NULL || rmq_codec_at(i) != NULL; i++)
    assert_string_equal(o->choices[i + 1], rmq_codec_at(i)->name);
}

static void a_template_reaches_the_decoder(void **state) {
  (void)state;
  struct rmq_consume_format f = format_of(3);
  struct rmq_delivery d = delivery("", "", "collectd.h.p.gauge 1 1\n");
  struct rmq_buf got;
  const struct rmq_codec_sink sink = {.ctx = &got, .sample = fake_sample_sink};
  rmq_buf_init(&got, 1000);
  assert_int_equal(
      rmq_consume_format_decode(&f, f.codec, &d, &fake_types, &sink, NULL), 0);
  assert_string_equal(rmq_buf_text(&got), SAMPLE);
  rmq_consume_format_fini(&f);
  rmq_buf_fini(&got);
}

static void what_is_not_gzip_says_so(void **state) {
  (void)state;
  struct rmq_consume_format f = format_of(0);
  struct rmq_delivery d = delivery("text/collectd", "gzip", LINE);
  struct rmq_error err = {""};
  struct rmq_buf got;
  assert_int_equal(decode(&f, &d, &got, &err), -1);
  assert_string_equal(err.text, "gzip: incorrect header check");
  rmq_consume_format_fini(&f);
  rmq_buf_fini(&got);
}

static void the_bound_has_a_bound(void **state) {
  (void)state;
  static const struct {
    int64_t max_message_bytes;
    size_t want;
  } bounds[] = {{1024, 16384},
                {1 << 20, 16 << 20},
                {4 << 20, 64 << 20},
                {64 << 20, 64 << 20},
                {512 << 20, 512 << 20}};
  for (size_t i = 0; i < COUNT_OF(bounds); i++) {
    char pattern[] = RMQ_GRAPHITE_TEMPLATE_DEFAULT;
    struct rmq_consume_options o = {.max_message_bytes =
                                        bounds[i].max_message_bytes,
                                    .graphite_template = pattern};
    struct rmq_consume_format f;
    rmq_consume_format_init(&f, &o);
    assert_int_equal(f.expanded.max, bounds[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_delivery_says_how_it_is_read),
      cmocka_unit_test(only_accepted_content_types_are_read),
      cmocka_unit_test(what_cannot_have_a_format_is_refused_first),
      cmocka_unit_test(gzip_is_expanded_up_to_its_bound),
      cmocka_unit_test(what_only_says_that_it_came_by_amqp1_is_read_as_it_is),
      cmocka_unit_test(the_words_are_the_codecs),
      cmocka_unit_test(a_template_reaches_the_decoder),
      cmocka_unit_test(what_is_not_gzip_says_so),
      cmocka_unit_test(the_bound_has_a_bound),
  };
  return run_all(tests);
}
