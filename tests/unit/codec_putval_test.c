/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include "tests/testing.h"

#include "tests/alloc.h"
#include "tests/fake/sample_text.h"

#include <math.h>
#include <string.h>

#define T INT64_C(1700000000123000000)
#define GAUGE(v)                                                               \
  {                                                                            \
    .name = "value", .kind = RMQ_GAUGE, .value = {.gauge = (v) }               \
  }
#define STRING(k, v)                                                           \
  {                                                                            \
    .key = (k), .type = RMQ_META_STRING, .value = {.string = (v) }             \
  }

static const struct rmq_identity short_id = {"h", "p", "", "gauge", ""};

/* Encoding ---------------------------------------------------------------- */

struct encode_row {
  const char *name;
  struct rmq_identity id; /* short_id where host is NULL */
  int64_t time_ns;        /* T where 0 */
  int64_t interval_ns;
  struct rmq_datum values[4];
  struct rmq_meta meta[3];
  const char *want; /* NULL: refused */
};

static const struct encode_row encode_rows[] = {
    {
        .name = "as collectd prints it",
        .id = {"host.example", "cpu", "0", "gauge", "idle"},
        .interval_ns = 10 * RMQ_NS_PER_S,
        .values = {GAUGE(99.5)},
        .want = "PUTVAL host.example/cpu-0/gauge-idle interval=10.000 "
                "1700000000.123:99.5",
    },
    {
        .name = "no instances, no interval",
        .values = {GAUGE(1)},
        .want = "PUTVAL h/p/gauge 1700000000.123:1",
    },
    {
        .name = "all kinds at their limits",
        .id = {"h", "p", "", "mixed", ""},
        .values =
            {{.name = "g", .kind = RMQ_GAUGE, .value = {.gauge = NAN}},
             {.name = "d", .kind = RMQ_DERIVE, .value = {.derive = INT64_MIN}},
             {.name = "c",
              .kind = RMQ_COUNTER,
              .value = {.counter = UINT64_MAX}},
             {.name = "a", .kind = RMQ_ABSOLUTE, .value = {.absolute = 0}}},
        .want = "PUTVAL h/p/mixed 1700000000.123:nan:-9223372036854775808:"
                "18446744073709551615:0",
    },
    {
        .name = "infinities keep their sign",
        .id = {"h", "p", "", "load", ""},
        .values = {GAUGE(INFINITY), GAUGE(-INFINITY), GAUGE(-0.0)},
        .want = "PUTVAL h/p/load 1700000000.123:inf:-inf:-0.0",
    },
    {
        .name = "space, quote and backslash are quoted",
        .id = {"h", "df", "C:\\a \"b\"", "gauge", "x"},
        .values = {GAUGE(1)},
        .want = "PUTVAL \"h/df-C:\\\\a \\\"b\\\"/gauge-x\" 1700000000.123:1",
    },
    {
        .name = "UTF-8 stays",
        .id = {"h", "df", "m\xc3\xbcll", "gauge", "\xf0\x9f\x90\xb0"},
        .values = {GAUGE(1)},
        .want = "PUTVAL h/df-m\xc3\xbcll/gauge-\xf0\x9f\x90\xb0 "
                "1700000000.123:1",
    },
    {
        .name = "times are rounded to milliseconds",
        .time_ns = INT64_C(1700000000999999999),
        .interval_ns = INT64_C(10000400000),
        .values = {GAUGE(1)},
        .want = "PUTVAL h/p/gauge interval=10.000 1700000001.000:1",
    },
    {
        .name = "string meta data as collectd 5.11 reads them",
        .values = {GAUGE(1)},
        .meta = {STRING("network:received", "a \"b\" \\c"), STRING("e", "")},
        .want = "PUTVAL h/p/gauge meta:network:received=\"\\\"a \\\"b\\\" "
                "\\\\c\\\"\" meta:e=\"\\\"\\\"\" 1700000000.123:1",
    },
    {
        .name = "meta data that no reader takes are left out",
        .values = {GAUGE(1)},
        .meta = {{.key = "n",
                  .type = RMQ_META_SIGNED,
                  .value = {.signed_int = 1}},
                 STRING("a.b", "x"),
                 STRING("k", "two\nlines")},
        .want = "PUTVAL h/p/gauge 1700000000.123:1",
    },
    {.name = "a slash in a name",
     .id = {"h", "a/b", "", "gauge", ""},
     .values = {GAUGE(1)}},
    {.name = "a newline in a name",
     .id = {"h", "p", "a\nPUTVAL x/y/z 1:1", "gauge", ""},
     .values = {GAUGE(1)}},
    {.name = "Latin-1 in a name",
     .id = {"h", "p", "m\xfcll", "gauge", ""},
     .values = {GAUGE(1)}},
    {.name = "an empty plugin",
     .id = {"h", "", "", "gauge", ""},
     .values = {GAUGE(1)}},
    {.name = "a type with a dash",
     .id = {"h", "p", "", "ga-uge", ""},
     .values = {GAUGE(1)}},
    {.name = "no values"},
    {.name = "no time", .time_ns = 1, .values = {GAUGE(1)}},
    {.name = "a time behind all times",
     .time_ns = INT64_MAX,
     .values = {GAUGE(1)}},
};

static struct rmq_sample sample_of(const struct encode_row *r) {
  struct rmq_sample s = {.id = r->id.host == NULL ? short_id : r->id,
                         .time = {r->time_ns == 0 ? T : r->time_ns},
                         .interval = {r->interval_ns},
                         .values = r->values,
                         .meta = r->meta};
  while (s.values_count < COUNT_OF(r->values) &&
         r->values[s.values_count].name != NULL)
    s.values_count++;
  while (s.meta_count < COUNT_OF(r->meta) && r->meta[s.meta_count].key != NULL)
    s.meta_count++;
  return s;
}

static void samples_are_written_as_collectd_reads_them(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(encode_rows); i++) {
    const struct encode_row *r = &encode_rows[i];
    struct rmq_sample s = sample_of(r);
    struct rmq_buf out;
    rmq_buf_init(&out, 1000);
    SHOW_ROW("%s", r->name);
    assert_int_equal(
        rmq_codec_putval.encode(&s, &rmq_codec_style_default, &out),
        r->want == NULL ? -1 : 0);
    assert_string_equal(rmq_buf_text(&out), r->want == NULL ? "" : r->want);
    assert_false(out.failed);
    rmq_buf_fini(&out);
  }
}

static void a_full_buffer_keeps_what_it_had(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(encode_rows); i++) {
    const struct encode_row *r = &encode_rows[i];
    struct rmq_sample s = sample_of(r);
    size_t want_len = r->want == NULL ? 0 : strlen(r->want);
    for (size_t max = 3; max < 3 + want_len; max++) {
      struct rmq_buf out;
      rmq_buf_init(&out, max);
      rmq_buf_append_text(&out, "abc");
      assert_int_equal(
          rmq_codec_putval.encode(&s, &rmq_codec_style_default, &out), -1);
      assert_string_equal(rmq_buf_text(&out), "abc");
      assert_true(out.failed);
      rmq_buf_fini(&out);
    }
  }
}

/* Decoding ---------------------------------------------------------------- */

static const struct {
  const char *text, *want;
} good_rows[] = {
    {"PUTVAL h/p/gauge 1700000000.123:1",
     "h|p||gauge| time=1700000000123000000 interval=0 value:gauge=1\n"},
    {"PUTVAL host.example/cpu-0/gauge-idle interval=10.000 1700000000:99.5",
     "host.example|cpu|0|gauge|idle time=1700000000000000000 "
     "interval=10000000000 value:gauge=99.5\n"},
    /* Case, white space, line ends. */
    {"\n  putval\th/p/gauge\tInterval=1 2:3 \r\n\r\n",
     "h|p||gauge| time=2000000000 interval=1000000000 value:gauge=3\n"},
    {"PUTVAL h/p/gauge 1:1\nPUTVAL h/p/derive 2:-2\n",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"
     "h|p||derive| time=2000000000 interval=0 value:derive=-2\n"},
    /* The first dash ends plugin and type. */
    {"PUTVAL h-x/p-a-b/gauge-c-d 1:1",
     "h-x|p|a-b|gauge|c-d time=1000000000 interval=0 value:gauge=1\n"},
    {"PUTVAL h/p-/gauge- 1:1",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    /* Several value lists of one identifier. */
    {"PUTVAL h/p/gauge interval=5 meta:k=\"\\\"v\\\"\" 1:1 6:2 11:3",
     "h|p||gauge| time=1000000000 interval=5000000000 value:gauge=1 "
     "{k:string=v}\n"
     "h|p||gauge| time=6000000000 interval=5000000000 value:gauge=2 "
     "{k:string=v}\n"
     "h|p||gauge| time=11000000000 interval=5000000000 value:gauge=3 "
     "{k:string=v}\n"},
    /* Quotes as collectd splits them. */
    {"PUTVAL \"h/df-C:\\\\a \\\"b\\\"/gauge-x\" 1:1",
     "h|df|C:\\a \"b\"|gauge|x time=1000000000 interval=0 value:gauge=1\n"},
    {"PUTVAL h/\"my plugin/gauge\" 1:1",
     "h|my plugin||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    {"PUTVAL \"h/p/gauge\"\"1:1\"",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    {"PUTVAL h/a\\b/gauge 1:1",
     "h|a\\b||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    {"PUTVAL h/p/gauge meta:e=\"\\\"\\\"\" 1:1",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1 {e:string=}\n"},
    {"PUTVAL h/p/gauge meta:network:received=\"\\\"a \\\"b\\\" \\\\c\\\"\" 1:1",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1 "
     "{network:received:string=a \"b\" \\c}\n"},
    /* Values. */
    {"PUTVAL h/p/mixed 1:-1.5e3:-9223372036854775808:18446744073709551615:0",
     "h|p||mixed| time=1000000000 interval=0 g:gauge=-1500 "
     "d:derive=-9223372036854775808 c:counter=18446744073709551615 "
     "a:absolute=0\n"},
    {"PUTVAL h/p/load 1:U:nan:-nan",
     "h|p||load| time=1000000000 interval=0 shortterm:gauge=nan "
     "midterm:gauge=nan longterm:gauge=nan\n"},
    {"PUTVAL h/p/load 1:inf:-INF:Infinity",
     "h|p||load| time=1000000000 interval=0 shortterm:gauge=inf "
     "midterm:gauge=-inf longterm:gauge=inf\n"},
    /* Times. */
    {"PUTVAL h/p/gauge 1700000000.1234567890:1",
     "h|p||gauge| time=1700000000123456789 interval=0 value:gauge=1\n"},
    {"PUTVAL h/p/gauge interval=0.5 0.001:1",
     "h|p||gauge| time=1000000 interval=500000000 value:gauge=1\n"},
    {"PUTVAL h/m\xc3\xbcll/gauge 1:1",
     "h|m\xc3\xbcll||gauge| time=1000000000 interval=0 value:gauge=1\n"},
};

static void lines_are_read_as_collectd_reads_them(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {{0}};
    rmq_buf_init(&got, 10000);
    SHOW_ROW("row %zu", i);
    int rc =
        fake_decode(&rmq_codec_putval, good_rows[i].text,
                    strlen(good_rows[i].text), fake_sample_sink, &got, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(rmq_buf_text(&got), good_rows[i].want);
    rmq_buf_fini(&got);
  }
}

#define GOOD_LINE "PUTVAL h/p/gauge 1:1\n"
#define LONG_NAME                                                              \
  "0123456789012345678901234567890123456789012345678901234567890123"           \
  "0123456789012345678901234567890123456789012345678901234567890123"

static const struct {
  const char *text;
  const char *want; /* a part of the error */
} bad_rows[] = {
    {"", "empty"},
    {"\n \r\n", "no command in the message"},
    {GOOD_LINE "LISTVAL", "line 2: command \"LISTVAL\" is not accepted"},
    {GOOD_LINE "FLUSH plugin=csv", "line 2: command \"FLUSH\""},
    {"PUTNOTIF severity=okay time=1 message=x",
     "line 1: notifications are not taken"},
    {"# PUTVAL h/p/gauge 1:1", "command \"#\""},
    {GOOD_LINE "PUTVAL", "line 2: no identifier"},
    {"PUTVAL h/p/gauge", "no values"},
    {"PUTVAL h/p/gauge interval=10", "no values"},
    /* Identifiers. */
    {"PUTVAL h/p 1:1", "is not host/plugin/type"},
    {"PUTVAL p 1:1", "is not host/plugin/type"},
    {"PUTVAL /p/gauge 1:1", "host is empty"},
    {"PUTVAL h//gauge 1:1", "plugin is empty"},
    {"PUTVAL h/-x/gauge 1:1", "plugin is empty"},
    {"PUTVAL h/p/ 1:1", "type is empty"},
    {"PUTVAL \"\" 1:1", "is not host/plugin/type"},
    {"PUTVAL h/p/gauge-a/b 1:1", "type_instance \"a/b\" is not a safe name"},
    {"PUTVAL ../p/gauge 1:1", "host \"..\" is not a safe name"},
    {"PUTVAL h/p-" LONG_NAME "/gauge 1:1", "plugin_instance has 128 bytes"},
    {"PUTVAL h/p-\xff/gauge 1:1", "plugin_instance \"\xff\" is not a safe"},
    {"PUTVAL h/p-\x01/gauge 1:1", "is not a safe name"},
    {"PUTVAL \"h/p-a\tb/gauge\" 1:1", "is not a safe name"},
    {"PUTVAL h/p/nonsense 1:1", "type \"nonsense\" is not known"},
    /* Quotes. */
    {"PUTVAL \"h/p/gauge 1:1", "a quoted string has no end"},
    {"PUTVAL \"h/p\nx/gauge\" 1:1", "line 1: a quoted string has no end"},
    {"PUTVAL \"h/p/gauge\\", "a backslash ends the line"},
    /* Options. */
    {"PUTVAL h/p/gauge 1:1 interval=10", "interval stands behind the values"},
    {"PUTVAL h/p/gauge interval=1 interval=1 1:1", "interval is given twice"},
    {"PUTVAL h/p/gauge interval=abc 1:1", "interval \"abc\" is not"},
    {"PUTVAL h/p/gauge interval=-1 1:1", "interval \"-1\" is not"},
    {"PUTVAL h/p/gauge interval= 1:1", "interval \"\" is not"},
    {"PUTVAL h/p/gauge ttl=3 1:1", "option ttl is not known"},
    {"PUTVAL h/p/gauge meta:k=1 1:1", "meta:k is not a quoted string"},
    {"PUTVAL h/p/gauge meta:k=\"v\" 1:1", "meta:k is not a quoted string"},
    {"PUTVAL h/p/gauge meta:k=\"\\\"\" 1:1", "meta:k is not a quoted string"},
    {"PUTVAL h/p/gauge meta:=\"\\\"v\\\"\" 1:1", "a meta key is empty"},
    {"PUTVAL h/p/gauge meta:k=\"\\\"\xff\\\"\" 1:1", "meta:k is not UTF-8"},
    {"PUTVAL h/p/gauge meta:k=\"\\\"\x01\\\"\" 1:1", "a control character"},
    {"PUTVAL h/p/gauge meta:k=\"\\\"a\\\"\" meta:k=\"\\\"b\\\"\" 1:1",
     "meta:k is given twice"},
    {"PUTVAL h/p/gauge meta:a.b=\"\\\"v\\\"\" 1:1", "time \"meta\" is not"},
    /* Values. */
    {GOOD_LINE "PUTVAL h/p/gauge 1:1:1",
     "line 2: type \"gauge\" has 1 values, 2 are given"},
    {"PUTVAL h/p/load 1:1:1", "type \"load\" has 3 values, 2 are given"},
    {"PUTVAL h/p/gauge 1", "\"1\" is not time:value"},
    {"PUTVAL h/p/gauge 1:", "\"\" is not a value of kind gauge"},
    {"PUTVAL h/p/load 1:1::1", "\"\" is not a value of kind gauge"},
    {"PUTVAL h/p/gauge 1:1x", "\"1x\" is not a value of kind gauge"},
    {"PUTVAL h/p/gauge 1:0x10", "\"0x10\" is not a value of kind gauge"},
    {"PUTVAL h/p/gauge 1:1e999", "\"1e999\" is not a value of kind gauge"},
    {"PUTVAL h/p/gauge 1:1,5", "\"1,5\" is not a value of kind gauge"},
    {"PUTVAL h/p/derive 1:1.5", "\"1.5\" is not a value of kind derive"},
    {"PUTVAL h/p/derive 1:U", "\"U\" is not a value of kind derive"},
    {"PUTVAL h/p/derive 1:9223372036854775808", "of kind derive"},
    {"PUTVAL h/p/counter 1:-1", "\"-1\" is not a value of kind counter"},
    {"PUTVAL h/p/counter 1:18446744073709551616", "of kind counter"},
    {"PUTVAL h/p/absolute 1:010", "\"010\" is not a value of kind absolute"},
    /* Times. */
    {"PUTVAL h/p/gauge N:1", "time N (now) is not accepted"},
    {"PUTVAL h/p/gauge 0:1", "time \"0\" is not seconds"},
    {"PUTVAL h/p/gauge :1", "time \"\" is not seconds"},
    {"PUTVAL h/p/gauge -5:1", "time \"-5\" is not seconds"},
    {"PUTVAL h/p/gauge 1e9:1", "time \"1e9\" is not seconds"},
    {"PUTVAL h/p/gauge 99999999999:1", "time \"99999999999\" is not seconds"},
};

/* Not one sample of a message with a mistake gets through. */
static void mistakes_are_named_and_nothing_is_delivered(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {{0}};
    rmq_buf_init(&got, 10000);
    SHOW_ROW("%zu %s", i, bad_rows[i].want);
    int rc =
        fake_decode(&rmq_codec_putval, bad_rows[i].text,
                    strlen(bad_rows[i].text), fake_sample_sink, &got, &err);
    assert_int_equal(rc, -1);
    assert_int_equal(got.len, 0);
    if (strstr(err.text, bad_rows[i].want) == NULL)
      fail_msg("\"%s\", want \"%s\"", err.text, bad_rows[i].want);
    rmq_buf_fini(&got);
  }
}

static void a_nul_byte_is_refused(void **state) {
  (void)state;
  static const char text[] = GOOD_LINE "\0" GOOD_LINE;
  struct rmq_error err = {{0}};
  struct rmq_buf got;
  rmq_buf_init(&got, 100);
  assert_int_equal(fake_decode(&rmq_codec_putval, text, sizeof(text) - 1,
                               fake_sample_sink, &got, &err),
                   -1);
  assert_int_equal(got.len, 0);
  assert_non_null(strstr(err.text, "NUL"));
}

static void values_beyond_the_type_s_are_only_counted(void **state) {
  (void)state;
  struct rmq_buf text, got;
  struct rmq_error err = {{0}};
  rmq_buf_init(&text, 1 << 20);
  rmq_buf_init(&got, 100);
  rmq_buf_append_text(&text, "PUTVAL h/p/gauge 1");
  for (int i = 0; i < 50000; i++)
    rmq_buf_append_text(&text, ":1");
  assert_int_equal(fake_decode(&rmq_codec_putval, rmq_buf_bytes(&text),
                               text.len, fake_sample_sink, &got, &err),
                   -1);
  assert_string_equal(err.text,
                      "line 1: type \"gauge\" has 1 values, 50000 are given");
  assert_int_equal(got.len, 0);
  rmq_buf_fini(&text);
}

static void meta_data_are_bounded(void **state) {
  (void)state;
  for (int count = RMQ_SAMPLE_META_MAX; count <= RMQ_SAMPLE_META_MAX + 1;
       count++) {
    struct rmq_buf text;
    rmq_buf_init(&text, 10000);
    rmq_buf_append_text(&text, "PUTVAL h/p/gauge");
    for (int i = 0; i < count; i++)
      rmq_buf_appendf(&text, " meta:k%d=\"\\\"v\\\"\"", i);
    rmq_buf_append_text(&text, " 1:1");
    struct rmq_buf got;
    rmq_buf_init(&got, 10000);
    struct rmq_error err = {{0}};
    assert_int_equal(fake_decode(&rmq_codec_putval, rmq_buf_bytes(&text),
                                 text.len, fake_sample_sink, &got, &err),
                     count > RMQ_SAMPLE_META_MAX ? -1 : 0);
    rmq_buf_fini(&got);
    rmq_buf_fini(&text);
  }
}

/* collectd's own buffers end at 8 KiB. */
static void a_message_may_be_of_any_length(void **state) {
  (void)state;
  enum { LINES = 5000 };
  struct rmq_buf text, got, want;
  rmq_buf_init(&text, 1 << 20);
  rmq_buf_init(&got, 1 << 20);
  rmq_buf_init(&want, 1 << 20);
  for (int i = 1; i <= LINES; i++) {
    rmq_buf_appendf(&text, "PUTVAL h/p/gauge-%d %d:%d\n", i, i, i);
    rmq_buf_appendf(&want,
                    "h|p||gauge|%d time=%d000000000 interval=0 "
                    "value:gauge=%d\n",
                    i, i, i);
  }
  assert_int_equal(fake_decode(&rmq_codec_putval, rmq_buf_bytes(&text),
                               text.len, fake_sample_sink, &got, NULL),
                   0);
  assert_string_equal(rmq_buf_text(&got), rmq_buf_text(&want));
  rmq_buf_fini(&text);
  rmq_buf_fini(&got);
  rmq_buf_fini(&want);
}

/* Without memory --------------------------------------------------------------
 */

static void count_sample(void *ctx, const struct rmq_sample *s) {
  (void)s;
  (*(size_t *)ctx)++;
}

/* Each allocation of one decoding fails once: an error, and not one sample. */
static void without_memory_nothing_is_delivered(void **state) {
  (void)state;
  static const char text[] =
      GOOD_LINE "PUTVAL h/p/gauge meta:k=\"\\\"v\\\"\" 1:1";
  size_t n = 1;
  for (;; n++) {
    size_t delivered = 0;
    struct rmq_error err = {{0}};
    alloc_fail_at(n);
    int rc = fake_decode(&rmq_codec_putval, text, sizeof(text) - 1,
                         count_sample, &delivered, &err);
    if (!alloc_works_again()) {
      assert_int_equal(rc, 0);
      assert_int_equal(delivered, 2);
      break;
    }
    assert_int_equal(rc, RMQ_CODEC_NO_MEMORY);
    assert_int_equal(delivered, 0);
    assert_true(rmq_error_is_set(&err));
  }
  assert_true(n > 4);
}

/* Notifications ----------------------------------------------------------- */

static void notifications_are_putnotif_lines(void **state) {
  (void)state;
  static const struct rmq_meta meta[] = {
      STRING("indicator", "queue \"x\""),
      {.key = "value", .type = RMQ_META_DOUBLE, .value = {.number = 0.5}},
      {.key = "count", .type = RMQ_META_UNSIGNED, .value = {.unsigned_int = 7}},
      {.key = "up", .type = RMQ_META_BOOLEAN, .value = {.boolean = false}},
      STRING("not-a-key", "x"),
  };
  struct rmq_event e = {
      .severity = RMQ_FAILURE,
      .time = {T},
      .id = {"h", "rabbitmq_monitor", "", "", ""},
      .message = "disk \"C:\\\" is\nfull \xff",
      .meta = meta,
      .meta_count = COUNT_OF(meta),
  };
  struct rmq_buf out;
  rmq_buf_init(&out, 1000);
  assert_int_equal(rmq_codec_putval.encode_event(&e, &out), 0);
  assert_string_equal(
      rmq_buf_text(&out),
      "PUTNOTIF severity=failure time=1700000000.123 host=\"h\" "
      "plugin=\"rabbitmq_monitor\" "
      "message=\"disk \\\"C:\\\\\\\" is full ?\" "
      "s:indicator=\"queue \\\"x\\\"\" s:value=\"0.5\" s:count=\"7\" "
      "s:up=\"false\"");
  size_t len = out.len;
  rmq_buf_fini(&out);
  for (size_t max = 0; max < len; max++) {
    rmq_buf_init(&out, max);
    assert_int_equal(rmq_codec_putval.encode_event(&e, &out), -1);
    assert_int_equal(out.len, 0);
    rmq_buf_fini(&out);
  }
  e.message = "";
  rmq_buf_init(&out, 1000);
  assert_int_equal(rmq_codec_putval.encode_event(&e, &out), -1);
  assert_false(out.failed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_are_written_as_collectd_reads_them),
      cmocka_unit_test(a_full_buffer_keeps_what_it_had),
      cmocka_unit_test(lines_are_read_as_collectd_reads_them),
      cmocka_unit_test(mistakes_are_named_and_nothing_is_delivered),
      cmocka_unit_test(a_nul_byte_is_refused),
      cmocka_unit_test(values_beyond_the_type_s_are_only_counted),
      cmocka_unit_test(meta_data_are_bounded),
      cmocka_unit_test(a_message_may_be_of_any_length),
      cmocka_unit_test(without_memory_nothing_is_delivered),
      cmocka_unit_test(notifications_are_putnotif_lines),
  };
  return run_all(tests);
}
