/* SPDX-License-Identifier: MIT */
/*
 * What collectd itself wrote (tests/fixtures/codec, recorded by capture.py) is
 * read, and said again it is the same to the byte, with the exceptions named
 * here. What we write for collectd's amqp plugin is in ours.txt, which
 * tests/integration/test_codec_peers.py gives to it.
 */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/testing.h"

#include "tests/fake/sample_text.h"

#include <math.h>
#include <string.h>

#define GAUGE(v)                                                               \
  {                                                                            \
    .name = "value", .kind = RMQ_GAUGE, .value = {.gauge = (v) }               \
  }
#define STRING(k, v)                                                           \
  {                                                                            \
    .key = (k), .type = RMQ_META_STRING, .value = {.string = (v) }             \
  }

enum { LINES_MAX = 32, LINE_SIZE = 2000 };

struct lines {
  char text[LINES_MAX][LINE_SIZE];
  size_t count;
};

static void read_lines(const char *name, struct lines *ret) {
  const char *top = getenv("top_srcdir");
  char path[1000];
  snprintf(path, sizeof(path), "%s/tests/fixtures/codec/%s",
           top == NULL ? "." : top, name);
  FILE *f = fopen(path, "r");
  if (f == NULL)
    fail_msg("cannot open %s", path);
  ret->count = 0;
  while (ret->count < LINES_MAX &&
         fgets(ret->text[ret->count], LINE_SIZE, f) != NULL) {
    char *line = ret->text[ret->count++];
    line[strcspn(line, "\n")] = '\0';
  }
  fclose(f);
  assert_true(ret->count > 0);
}

/* Reading ----------------------------------------------------------------- */

#define AT(s) "time=17000000" s " interval=10000000000 "
#define DF AT("08000000000") "value:gauge=1"
#define PAB "h|p|a-b|gauge|c-d " AT("09000000000") "value:gauge=1"

static const struct {
  const char *want;       /* beginning of what both say */
  const char *want_json;  /* where JSON says something else */
  bool is_said_otherwise; /* our digits are others than %.15g's */
} rows[] = {
    {.want = "host.example.org|cpu|0|gauge|idle " AT(
         "00123000000") "value:gauge=99.5\n"},
    {.want = "h|p||derive|min " AT(
         "00000000000") "value:derive=-9223372036854775808\n"},
    {.want = "h|p||counter|max time=1700000001500000000 interval=500000000 "
             "value:counter=18446744073709551615\n"},
    {.want = "h|p||absolute| " AT("02000000000") "value:absolute=0\n"},
    {.want = "h|interface|eth0|if_octets| " AT(
         "03000000000") "rx:derive=1 tx:derive=2\n"},
    {.want = "h|load||load| " AT(
         "04000000000") "shortterm:gauge=0.10000000000000001 "
                        "midterm:gauge=-1.4999999999999999e-07 "
                        "longterm:gauge=1.0000000000000001e+300\n",
     .is_said_otherwise = true},
    {.want = "h|p||gauge|nan " AT("05000000000") "value:gauge=nan\n"},
    {.want = "h|p||gauge|inf " AT("06000000000") "value:gauge=-inf\n",
     .want_json = "h|p||gauge|inf " AT("06000000000") "value:gauge=nan\n"},
    {.want = "h|df|C:\\a \"b\"|gauge|a b " AT("07000000000") "value:gauge=1\n"},
    {.want = "h|df|m\xc3\xbcll|gauge|\xe2\x82\xac " DF "\n",
     .want_json = "h|df|m\?\?ll|gauge|\?\?\? " DF "\n"},
    {.want = PAB "\n", .want_json = PAB " {key:string=v \\\"w\\\"}\n"},
    {.want = "rig.example.org|load||load| time="},
    {.want = "rig.example.org|interface|"},
};

/* A sink that says a sample again and writes it down as text. */
struct again {
  const struct rmq_codec *codec;
  struct rmq_buf text, said;
};

static void again_sink(void *ctx, const struct rmq_sample *s) {
  struct again *a = ctx;
  fake_sample_text(s, &a->text);
  rmq_buf_append_text(&a->said, a->codec->open);
  assert_int_equal(a->codec->encode(s, &rmq_codec_style_default, &a->said), 0);
  rmq_buf_append_text(&a->said, a->codec->close);
}

static void check_line(const struct rmq_codec *codec, const char *line,
                       const char *want, bool is_said_otherwise) {
  struct again a = {.codec = codec};
  struct rmq_error err = {{0}};
  rmq_buf_init(&a.text, 10000);
  rmq_buf_init(&a.said, 10000);
  SHOW_ROW("%s", line);
  int rc = fake_decode(codec, line, strlen(line), again_sink, &a, &err);
  assert_string_equal(err.text, "");
  assert_int_equal(rc, 0);
  if (strncmp(rmq_buf_text(&a.text), want, strlen(want)) != 0)
    fail_msg("read as %s, want %s", rmq_buf_text(&a.text), want);
  if (!is_said_otherwise)
    assert_string_equal(rmq_buf_text(&a.said), line);
  rmq_buf_fini(&a.text);
  rmq_buf_fini(&a.said);
}

static void what_amqp_writes_as_command_is_read(void **state) {
  (void)state;
  static struct lines l;
  read_lines("command.txt", &l);
  assert_int_equal(l.count, COUNT_OF(rows));
  for (size_t i = 0; i < l.count; i++)
    check_line(&rmq_codec_putval, l.text[i], rows[i].want,
               rows[i].is_said_otherwise);
}

static void what_amqp_writes_as_json_is_read(void **state) {
  (void)state;
  static struct lines l;
  read_lines("json.txt", &l);
  assert_int_equal(l.count, COUNT_OF(rows));
  for (size_t i = 0; i < l.count; i++)
    check_line(&rmq_codec_json, l.text[i],
               rows[i].want_json == NULL ? rows[i].want : rows[i].want_json,
               rows[i].is_said_otherwise);
}

static void rates_are_not_taken_for_counts(void **state) {
  (void)state;
  static struct lines l;
  read_lines("json_rates.txt", &l);
  for (size_t i = 0; i < l.count; i++) {
    struct rmq_error err = {{0}};
    assert_int_equal(fake_decode(&rmq_codec_json, l.text[i], strlen(l.text[i]),
                                 fake_sample_sink, NULL, &err),
                     -1);
    assert_non_null(strstr(err.text, "StoreRates"));
  }
}

/* Writing ----------------------------------------------------------------- */

/* One body of Graphite's, with its line ends as the fixtures have them. */
struct graphite {
  const struct rmq_codec_style *style;
  char line[LINE_SIZE];
};

static void say_in_graphite(void *ctx, const struct rmq_sample *s) {
  struct graphite *g = ctx;
  struct rmq_buf out;
  rmq_buf_init(&out, LINE_SIZE);
  assert_int_equal(rmq_codec_graphite.encode(s, g->style, &out), 0);
  size_t n = 0;
  for (const char *at = rmq_buf_text(&out); *at != '\0'; at++) {
    bool is_end = *at == '\r' || *at == '\n';
    if (is_end)
      g->line[n++] = '\\';
    g->line[n++] = *at == '\r' ? 'r' : *at == '\n' ? 'n' : *at;
    assert_true(n < sizeof(g->line) - 2);
  }
  g->line[n] = '\0';
  rmq_buf_fini(&out);
}

/* The same values as Command, read, are said in Graphite as amqp says them. */
static void check_graphite(const char *name,
                           const struct rmq_codec_style *style) {
  static struct lines command, want;
  struct graphite g = {.style = style};
  read_lines("command.txt", &command);
  read_lines(name, &want);
  assert_true(want.count <= command.count);
  for (size_t i = 0; i < want.count; i++) {
    struct rmq_error err = {{0}};
    SHOW_ROW("%s", command.text[i]);
    assert_int_equal(fake_decode(&rmq_codec_putval, command.text[i],
                                 strlen(command.text[i]), say_in_graphite, &g,
                                 &err),
                     0);
    assert_string_equal(g.line, want.text[i]);
  }
}

static void graphite_is_what_amqp_writes(void **state) {
  (void)state;
  static const struct rmq_codec_style all = {
      .graphite_prefix = "pre.fix (1) ",
      .graphite_postfix = ".post/fix",
      .graphite_escape = '#',
      .graphite_separate_instances = true,
      .graphite_always_append_ds = true,
      .graphite_preserve_separator = true};
  check_graphite("graphite.txt", &rmq_codec_style_default);
  check_graphite("graphite_options.txt", &all);
}

/* "\\r\\n" back into what they stand for. */
static void unescape(char *line) {
  char *to = line;
  for (; *line != '\0'; line++)
    if (line[0] == '\\' && (line[1] == 'r' || line[1] == 'n'))
      *to++ = *++line == 'r' ? '\r' : '\n';
    else
      *to++ = *line;
  *to = '\0';
}

/* What Graphite does not carry is gone: dots of a host, quotes and blanks,
 * meta data, the interval, parts of a second. */
static void what_amqp_writes_as_graphite_is_read(void **state) {
  (void)state;
#define NOW(s) "time=170000000" s "000000000 interval=0 "
  static const char *const want[] = {
      "host_example_org|cpu|0|gauge|idle " NOW("0") "value:gauge=99.5\n",
      "h|p||derive|min " NOW("0") "value:derive=-9223372036854775808\n",
      "h|p||counter|max " NOW("2") "value:counter=18446744073709551615\n",
      "h|p||absolute| " NOW("2") "value:absolute=0\n",
      "h|interface|eth0|if_octets| " NOW("3") "rx:derive=1 tx:derive=2\n",
      "h|load||load| " NOW("4") "shortterm:gauge=0.10000000000000001 "
                                "midterm:gauge=-1.4999999999999999e-07 "
                                "longterm:gauge=1.0000000000000001e+300\n",
      "h|p||gauge|nan " NOW("5") "value:gauge=nan\n",
      "h|p||gauge|inf " NOW("6") "value:gauge=-inf\n",
      "h|df|C__a__b_|gauge|a_b " NOW("7") "value:gauge=1\n",
      "h|df|m\xc3\xbcll|gauge|\xe2\x82\xac " NOW("8") "value:gauge=1\n",
      "h|p|a-b|gauge|c-d " NOW("9") "value:gauge=1\n",
  };
  static struct lines l;
  read_lines("graphite.txt", &l);
  assert_int_equal(l.count, COUNT_OF(want));
  for (size_t i = 0; i < l.count; i++) {
    struct rmq_buf got;
    struct rmq_error err = {""};
    SHOW_ROW("%s", l.text[i]);
    rmq_buf_init(&got, 10000);
    unescape(l.text[i]);
    fake_decode(&rmq_codec_graphite, l.text[i], strlen(l.text[i]),
                fake_sample_sink, &got, &err);
    assert_string_equal(err.text, "");
    assert_string_equal(rmq_buf_text(&got), want[i]);
    rmq_buf_fini(&got);
  }
}

static void rates_in_graphite_are_what_amqp_writes(void **state) {
  (void)state;
  static struct lines want;
  static const double rates[] = {(double)NAN, 2.5};
  read_lines("graphite_rates.txt", &want);
  assert_int_equal(want.count, COUNT_OF(rates));
  for (size_t i = 0; i < want.count; i++) {
    const struct rmq_datum d = {"value", RMQ_DERIVE, {.derive = 100}};
    const struct rmq_sample s = {
        .id = {"h", "p", "", "derive", "rate"},
        .time = {(INT64_C(1700000000) + (int64_t)i * 10) * RMQ_NS_PER_S},
        .values = &d,
        .values_count = 1,
        .rates = &rates[i]};
    struct graphite g = {.style = &rmq_codec_style_default};
    say_in_graphite(&g, &s);
    assert_string_equal(g.line, want.text[i]);
  }
}

static void hear_event(void *ctx, const struct rmq_event *e) {
  rmq_buf_appendf(ctx, "%s|%s|%s|%s|%s %s %lld %s %s=%s", e->id.host,
                  e->id.plugin, e->id.plugin_instance, e->id.type,
                  e->id.type_instance, rmq_severity_to_str(e->severity),
                  (long long)e->time.ns, e->message, e->meta[0].key,
                  e->meta[0].value.string);
}

/* As if this daemon's types.db had cpu, as every one has. */
static int get_cpu(void *ctx, const char *type, struct rmq_datum *ret_sources,
                   size_t max) {
  (void)ctx;
  return fake_types.get(NULL, strcmp(type, "cpu") == 0 ? "derive" : type,
                        ret_sources, max);
}

static void an_alert_of_write_http_is_read(void **state) {
  (void)state;
  static struct lines l;
  static const struct rmq_types types = {.get = get_cpu};
  struct rmq_buf got;
  struct rmq_error err = {""};
  read_lines("alert.txt", &l);
  rmq_buf_init(&got, 1000);
  const struct rmq_codec_input in = {
      .bytes = l.text[0], .len = strlen(l.text[0]), .types = &types};
  const struct rmq_codec_sink sink = {.ctx = &got, .event = hear_event};
  rmq_codec_json.decode(&in, &sink, &err);
  assert_string_equal(err.text, "");
  assert_string_equal(rmq_buf_text(&got),
                      "h|cpu|0|cpu|wait failure 1700000000500000000 it is "
                      "\"full\" indicator=a \"b\" \\c");
  rmq_buf_fini(&got);
}

static void an_alert_is_what_write_http_sends(void **state) {
  (void)state;
  static const struct rmq_meta meta[] = {STRING("indicator", "a \"b\" \\c")};
  const struct rmq_event e = {
      .severity = RMQ_FAILURE,
      .time = {INT64_C(1700000000500000000)},
      .id = {"h", "cpu", "0", "cpu", "wait"},
      .message = "it is \"full\"",
      .meta = meta,
      .meta_count = 1,
  };
  static struct lines l;
  struct rmq_buf out;
  read_lines("alert.txt", &l);
  rmq_buf_init(&out, 1000);
  assert_int_equal(rmq_codec_json.encode_event(&e, &out), 0);
  assert_string_equal(rmq_buf_text(&out), l.text[0]);
  rmq_buf_fini(&out);
}

/* To collectd's unixsock, in the integration test. */
static void a_notification_is_what_was_shown_to_collectd(void **state) {
  (void)state;
  static const struct rmq_meta meta[] = {
      STRING("indicator", "a \"b\" \\c"),
      {.key = "value", .type = RMQ_META_DOUBLE, .value = {.number = 0.5}}};
  const struct rmq_event e = {
      .severity = RMQ_WARNING,
      .time = {INT64_C(1700000000500000000)},
      .id = {"h", "rabbitmq_monitor", "main cluster", "queue_length", ""},
      .message = "queue \"C:\\x\" is\nlong, m\xc3\xbcll",
      .meta = meta,
      .meta_count = COUNT_OF(meta),
  };
  static struct lines l;
  struct rmq_buf out;
  read_lines("ours_putnotif.txt", &l);
  rmq_buf_init(&out, 1000);
  assert_int_equal(rmq_codec_putval.encode_event(&e, &out), 0);
  assert_string_equal(rmq_buf_text(&out), l.text[0]);
  rmq_buf_fini(&out);
}

#define NAME_127                                                               \
  "0123456789012345678901234567890123456789012345678901234567890123"           \
  "012345678901234567890123456789012345678901234567890123456789012"

struct our_row {
  struct rmq_identity id;
  struct rmq_datum values[4];
  struct rmq_meta meta[2];
};

static const struct our_row our_rows[] = {
    {{"h", "p", "one", "gauge", "two"}, {GAUGE(99.5)}, {{0}}},
    {{"h", "df", "C:\\a \"b\"", "gauge", "a b"}, {GAUGE(1)}, {{0}}},
    {{"h", "df", "m\xc3\xbcll", "gauge", "\xe2\x82\xac"}, {GAUGE(1)}, {{0}}},
    {{"h", "p", "nan", "gauge", ""}, {GAUGE(NAN)}, {{0}}},
    {{"h", "p", "inf", "gauge", ""}, {GAUGE(-INFINITY)}, {{0}}},
    {{"h", "load", "", "load", ""},
     {{.name = "shortterm", .value = {.gauge = 0.30000000000000004}},
      {.name = "midterm", .value = {.gauge = 1.5e-7}},
      {.name = "longterm", .value = {.gauge = 1e300}}},
     {{0}}},
    {{"h", "p", "min", "derive", ""},
     {{.name = "value", .kind = RMQ_DERIVE, .value = {.derive = INT64_MIN}}},
     {{0}}},
    {{"h", "p", "max", "counter", ""},
     {{.name = "value", .kind = RMQ_COUNTER, .value = {.counter = UINT64_MAX}}},
     {{0}}},
    {{"h", "p", NAME_127, "gauge", NAME_127}, {GAUGE(1)}, {{0}}},
    {{"h", "p", "meta", "gauge", ""},
     {GAUGE(1)},
     {STRING("a:b", "x \"y\" \\z \xc3\xbc"), STRING("empty", "")}},
};

static void what_we_write_is_what_was_shown_to_collectd(void **state) {
  (void)state;
  static struct lines l;
  read_lines("ours.txt", &l);
  assert_int_equal(l.count, COUNT_OF(our_rows));
  for (size_t i = 0; i < COUNT_OF(our_rows); i++) {
    const struct our_row *r = &our_rows[i];
    struct rmq_sample s = {
        .id = r->id,
        .time = {INT64_C(1700000000123000000) + (int64_t)i * RMQ_NS_PER_S},
        .interval = rmq_s(10),
        .values = r->values,
        .meta = r->meta};
    while (s.values_count < 4 && r->values[s.values_count].name != NULL)
      s.values_count++;
    while (s.meta_count < 2 && r->meta[s.meta_count].key != NULL)
      s.meta_count++;
    struct rmq_buf out;
    rmq_buf_init(&out, LINE_SIZE);
    assert_int_equal(
        rmq_codec_putval.encode(&s, &rmq_codec_style_default, &out), 0);
    assert_string_equal(rmq_buf_text(&out), l.text[i]);
    rmq_buf_fini(&out);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_amqp_writes_as_command_is_read),
      cmocka_unit_test(what_amqp_writes_as_json_is_read),
      cmocka_unit_test(rates_are_not_taken_for_counts),
      cmocka_unit_test(graphite_is_what_amqp_writes),
      cmocka_unit_test(rates_in_graphite_are_what_amqp_writes),
      cmocka_unit_test(what_amqp_writes_as_graphite_is_read),
      cmocka_unit_test(an_alert_is_what_write_http_sends),
      cmocka_unit_test(an_alert_of_write_http_is_read),
      cmocka_unit_test(a_notification_is_what_was_shown_to_collectd),
      cmocka_unit_test(what_we_write_is_what_was_shown_to_collectd),
  };
  return run_all(tests);
}
