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
  int64_t interval_ns;
  struct rmq_datum values[4];
  struct rmq_meta meta[6];
  const char *want; /* NULL: refused */
};

#define TAIL                                                                   \
  "\"time\":1700000000.123,\"interval\":0.000,\"host\":\"h\",\"plugin\":"      \
  "\"p\",\"plugin_instance\":\"\",\"type\":\"gauge\",\"type_instance\":\"\""
#define ONE_GAUGE                                                              \
  "{\"values\":[1],\"dstypes\":[\"gauge\"],\"dsnames\":[\"value\"]," TAIL

static const struct encode_row encode_rows[] = {
    {
        .name = "as collectd prints it",
        .id = {"host.example", "interface", "eth0", "if_octets", "x"},
        .interval_ns = 10 * RMQ_NS_PER_S,
        .values = {{.name = "rx", .kind = RMQ_DERIVE, .value = {.derive = 1}},
                   {.name = "tx", .kind = RMQ_DERIVE, .value = {.derive = -2}}},
        .want = "{\"values\":[1,-2],\"dstypes\":[\"derive\",\"derive\"],"
                "\"dsnames\":[\"rx\",\"tx\"],\"time\":1700000000.123,"
                "\"interval\":10.000,\"host\":\"host.example\",\"plugin\":"
                "\"interface\",\"plugin_instance\":\"eth0\",\"type\":"
                "\"if_octets\",\"type_instance\":\"x\"}",
    },
    {
        .name = "no interval",
        .values = {GAUGE(1)},
        .want = ONE_GAUGE "}",
    },
    {
        .name = "all kinds at their limits",
        .values =
            {{.name = "g", .kind = RMQ_GAUGE, .value = {.gauge = 0.1}},
             {.name = "d", .kind = RMQ_DERIVE, .value = {.derive = INT64_MIN}},
             {.name = "c",
              .kind = RMQ_COUNTER,
              .value = {.counter = UINT64_MAX}},
             {.name = "a", .kind = RMQ_ABSOLUTE, .value = {.absolute = 0}}},
        .want = "{\"values\":[0.1,-9223372036854775808,18446744073709551615,0]"
                ",\"dstypes\":[\"gauge\",\"derive\",\"counter\",\"absolute\"],"
                "\"dsnames\":[\"g\",\"d\",\"c\",\"a\"]," TAIL "}",
    },
    {
        .name = "what is not finite is null",
        .values = {GAUGE(NAN), GAUGE(INFINITY), GAUGE(-INFINITY)},
        .want =
            "{\"values\":[null,null,null],\"dstypes\":[\"gauge\",\"gauge\","
            "\"gauge\"],\"dsnames\":[\"value\",\"value\",\"value\"]," TAIL "}",
    },
    {
        .name = "UTF-8 stays, quote and backslash are escaped",
        .id = {"h", "p", "m\xc3\xbcll \"C:\\\"", "gauge", ""},
        .values = {GAUGE(1)},
        .want = "{\"values\":[1],\"dstypes\":[\"gauge\"],\"dsnames\":"
                "[\"value\"],\"time\":1700000000.123,\"interval\":0.000,"
                "\"host\":\"h\",\"plugin\":\"p\",\"plugin_instance\":"
                "\"m\xc3\xbcll \\\"C:\\\\\\\"\",\"type\":\"gauge\","
                "\"type_instance\":\"\"}",
    },
    {
        .name = "meta data of all types",
        .values = {GAUGE(1)},
        .meta =
            {STRING("s", "two\nlines \x7f\xff"),
             {.key = "i", .type = RMQ_META_SIGNED, .value = {.signed_int = -1}},
             {.key = "u",
              .type = RMQ_META_UNSIGNED,
              .value = {.unsigned_int = UINT64_MAX}},
             {.key = "d", .type = RMQ_META_DOUBLE, .value = {.number = 5}},
             {.key = "e", .type = RMQ_META_DOUBLE, .value = {.number = 1e300}},
             {.key = "b",
              .type = RMQ_META_BOOLEAN,
              .value = {.boolean = true}}},
        .want = ONE_GAUGE ",\"meta\":{\"s\":\"two\\u000alines \x7f\xef\xbf\xbd"
                          "\",\"i\":-1,\"u\":18446744073709551615,\"d\":5.0,"
                          "\"e\":1e+300,\"b\":true}}",
    },
    {
        .name = "meta data that cannot be said are left out",
        .values = {GAUGE(1)},
        .meta = {STRING("", "x"),
                 STRING("a\nb", "x"),
                 {.key = "d",
                  .type = RMQ_META_DOUBLE,
                  .value = {.number = NAN}}},
        .want = ONE_GAUGE "}",
    },
    {
        .name = "a slash in a name",
        .id = {"h", "a/b", "", "gauge", ""},
        .values = {GAUGE(1)},
    },
    {
        .name = "Latin-1 in a name",
        .id = {"h", "p", "m\xfcll", "gauge", ""},
        .values = {GAUGE(1)},
    },
    {.name = "no values"},
};

static struct rmq_sample sample_of(const struct encode_row *r) {
  struct rmq_sample s = {.id = r->id.host == NULL ? short_id : r->id,
                         .time = {T},
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

static void samples_are_written_in_collectd_s_form(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(encode_rows); i++) {
    const struct encode_row *r = &encode_rows[i];
    struct rmq_sample s = sample_of(r);
    struct rmq_buf out;
    rmq_buf_init(&out, 1000);
    SHOW_ROW("%s", r->name);
    assert_int_equal(rmq_codec_json.encode(&s, &rmq_codec_style_default, &out),
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
    for (size_t max = 1; max < 1 + want_len; max++) {
      struct rmq_buf out;
      rmq_buf_init(&out, max);
      rmq_buf_append_text(&out, "[");
      assert_int_equal(
          rmq_codec_json.encode(&s, &rmq_codec_style_default, &out), -1);
      assert_string_equal(rmq_buf_text(&out), "[");
      assert_true(out.failed);
      rmq_buf_fini(&out);
    }
  }
}

/* Decoding ---------------------------------------------------------------- */

static int decode(const char *text, struct rmq_buf *got,
                  struct rmq_error *err) {
  rmq_buf_init(got, 1 << 20);
  return fake_decode(&rmq_codec_json, text, strlen(text), fake_sample_sink, got,
                     err);
}

#define ID "\"host\":\"h\",\"plugin\":\"p\",\"type\":"
#define GOOD "{\"values\":[1],\"time\":1," ID "\"gauge\"}"

static const struct {
  const char *text, *want;
} good_rows[] = {
    {"[{\"values\":[1,-2],\"dstypes\":[\"derive\",\"derive\"],"
     "\"dsnames\":[\"rx\",\"tx\"],\"time\":1700000000.123,"
     "\"interval\":10.000,\"host\":\"host.example\",\"plugin\":"
     "\"interface\",\"plugin_instance\":\"eth0\",\"type\":"
     "\"if_octets\",\"type_instance\":\"x\"}]",
     "host.example|interface|eth0|if_octets|x time=1700000000123000000 "
     "interval=10000000000 rx:derive=1 tx:derive=-2\n"},
    {" [" GOOD " ,\n" GOOD "]\n",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    /* Keys that are not ours, in any order. */
    {"[{\"@version\":\"1\",\"deep\":{\"a\":[[{}]]}," ID "\"gauge\",\"time\":2,"
     "\"values\":[-0.5]}]",
     "h|p||gauge| time=2000000000 interval=0 value:gauge=-0.5\n"},
    {"[{\"values\":[null,-9223372036854775808,18446744073709551615,"
     "9223372036854775807],\"dstypes\":[\"GAUGE\",\"Derive\",\"counter\","
     "\"absolute\"],\"time\":1," ID "\"mixed\"}]",
     "h|p||mixed| time=1000000000 interval=0 g:gauge=nan "
     "d:derive=-9223372036854775808 c:counter=18446744073709551615 "
     "a:absolute=9223372036854775807\n"},
    {"[{\"values\":[99999999999999999999,1e300,12345678901234567890.5],"
     "\"time\":1," ID "\"load\"}]",
     "h|p||load| time=1000000000 interval=0 shortterm:gauge=1e+20 "
     "midterm:gauge=1.0000000000000001e+300 "
     "longterm:gauge=1.2345678901234567e+19\n"},
    /* Escapes and UTF-8. */
    {"[{\"values\":[1],\"time\":1,\"host\":\"m\xc3\xbcll\",\"plugin\":"
     "\"\\u00fc\\\"\\\\[{\",\"type\":\"gauge\"}]",
     "m\xc3\xbcll|\xc3\xbc\"\\[{||gauge| time=1000000000 interval=0 "
     "value:gauge=1\n"},
    {"[{\"values\":[1],\"time\":0.5,\"interval\":0.25," ID "\"gauge\"}]",
     "h|p||gauge| time=500000000 interval=250000000 value:gauge=1\n"},
    {"[{\"values\":[1],\"time\":1700000000.123456," ID "\"gauge\"}]",
     "h|p||gauge| time=1700000000123456000 interval=0 value:gauge=1\n"},
    {"[{\"values\":[1],\"time\":1.7e9," ID "\"gauge\"}]",
     "h|p||gauge| time=1700000000000000000 interval=0 value:gauge=1\n"},
    /* One object, without its array. */
    {" " GOOD "\n", "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    /* A key twice that means nothing to us. */
    {"{\"values\":[1],\"time\":1,\"x\":1,\"x\":2," ID "\"gauge\"}",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"},
    /* All escapes. */
    {"[{\"values\":[1],\"time\":1," ID "\"gauge\",\"meta\":{\"k\":"
     "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u20AC\\ud83d\\udc30.\"}}]",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1 "
     "{k:string=\"\\/\b\f\n\r\tA\xe2\x82\xac\xf0\x9f\x90\xb0.}\n"},
    /* Meta data; digits in a string stay a string, also beside a number that
     * needs 64 bits. */
    {"[{\"values\":[1],\"time\":1," ID "\"gauge\",\"meta\":{\"s\":\"\\n\","
     "\"i\":-1,\"small\":5,\"u\":18446744073709551615,\"edge\":"
     "9223372036854775807,\"d\":5.0,\"b\":false,\"text\":"
     "\"12345678901234567890\"}}]",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1 {s:string=\n} "
     "{i:signed=-1} {small:signed=5} {u:unsigned=18446744073709551615} "
     "{edge:signed=9223372036854775807} {d:double=5} {b:boolean=false} "
     "{text:string=12345678901234567890}\n"},
    {"[{\"values\":[1],\"time\":1," ID "\"gauge\",\"meta\":{}}]",
     "h|p||gauge| time=1000000000 interval=0 value:gauge=1\n"},
};

static void collectd_s_form_is_read(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {{0}};
    SHOW_ROW("row %zu", i);
    int rc = decode(good_rows[i].text, &got, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(rmq_buf_text(&got), good_rows[i].want);
    rmq_buf_fini(&got);
  }
}

#define BAD(values, rest) "[" GOOD ",{\"values\":" values "," rest "}]"
#define TIME "\"time\":1"

static const struct {
  const char *text;
  const char *want; /* a part of the error */
} bad_rows[] = {
    {"", "empty"},
    {" ", "not JSON"},
    {"PUTVAL h/p/gauge 1:1", "not JSON"},
    {"[]", "no sample in the array"},
    {"1", "not JSON: an array or object is expected, byte 0"},
    {"[1]", "sample 1: not an object"},
    {"[" GOOD "] x", "not JSON: something follows its end"},
    {"[" GOOD "][" GOOD "]", "not JSON: something follows its end"},
    {GOOD "," GOOD, "not JSON: something follows its end"},
    {"[" GOOD ",]", "not JSON"},
    {"[" GOOD, "not JSON"},
    {"[{\"time\":1,\"time\":2}]", "key \"time\" is given twice"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"k\":1,\"k\":2}"),
     "sample 2: meta \"k\" is given twice"},
    {"[[[[[[[[[1]]]]]]]]]", "nested deeper than 8"},
    {"[{\"\\\"[[[[[[[[[\":1}]",
     "sample 1: neither \"host\" nor \"values\": not collectd's JSON "
     "(Telegraf: data_format = \"influx\")"},
    {BAD("[null]", ID "\"derive\"," TIME),
     "sample 2: values[0] is not of kind derive but null (does the sender have "
     "StoreRates on?)"},
    {"[\"\xff\"]", "not JSON"},
    {"[\"\\u0000\"]", "sample 1: not an object"},
    {BAD("[1]", TIME ",\"host\":\"a\\u0000b\",\"plugin\":\"p\","
                     "\"type\":\"gauge\""),
     "is not a safe name"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"k\":\"\\u0000\"}"),
     "meta \"k\" is not"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"k\\u0000\":1}"), "a key of"},
    {"[\"\\ud800\"]", "not JSON"},
    /* Identity. */
    {BAD("[1]", TIME ",\"plugin\":\"p\",\"type\":\"gauge\""),
     "sample 2: \"host\" is not a string"},
    {BAD("[1]", TIME ",\"host\":1,\"plugin\":\"p\",\"type\":\"gauge\""),
     "\"host\" is not a string"},
    {BAD("[1]", TIME ",\"host\":\"\",\"plugin\":\"p\",\"type\":\"gauge\""),
     "host is empty"},
    {BAD("[1]", TIME ",\"host\":\"a/b\",\"plugin\":\"p\",\"type\":\"gauge\""),
     "host \"a/b\" is not a safe name"},
    {BAD("[1]", TIME ",\"host\":\"a\\nb\",\"plugin\":\"p\",\"type\":\"gauge\""),
     "is not a safe name"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"type_instance\":null"),
     "\"type_instance\" is not a string"},
    {BAD("[1]", TIME "," ID "\"nonsense\""), "type \"nonsense\" is not known"},
    /* Values. */
    {BAD("1", TIME "," ID "\"gauge\""), "no array \"values\""},
    {BAD("[]", TIME "," ID "\"gauge\""), "has 1 values, 0 are given"},
    {BAD("[1,2]", TIME "," ID "\"gauge\""), "has 1 values, 2 are given"},
    {BAD("[\"1\"]", TIME "," ID "\"gauge\""), "values[0] is not of kind gauge"},
    {BAD("[true]", TIME "," ID "\"gauge\""), "values[0] is not of kind gauge"},
    {BAD("[1e999]", TIME "," ID "\"gauge\""), "values[0] is not of kind gauge"},
    {BAD("[NaN]", TIME "," ID "\"gauge\""), "not JSON"},
    {BAD("[1.0,1]", TIME "," ID "\"if_octets\""),
     "values[0] is not of kind derive but a fraction (does the sender"},
    {BAD("[1,null]", TIME "," ID "\"if_octets\""),
     "values[1] is not of kind derive"},
    {BAD("[9223372036854775808]", TIME "," ID "\"derive\""), "of kind derive"},
    {BAD("[-1]", TIME "," ID "\"counter\""), "of kind counter"},
    {BAD("[18446744073709551616]", TIME "," ID "\"counter\""),
     "of kind counter"},
    {BAD("[00000000000000000000]", TIME "," ID "\"counter\""), "not JSON"},
    {BAD("[[\"1\"]]", TIME "," ID "\"counter\""), "of kind counter"},
    {BAD("[1]", "\"dstypes\":[\"derive\"]," TIME "," ID "\"gauge\""),
     "dstypes[0] is \"derive\", in type \"gauge\" it is \"gauge\""},
    {BAD("[1]", "\"dstypes\":\"gauge\"," TIME "," ID "\"gauge\""),
     "\"dstypes\" is not an array of 1"},
    {BAD("[1]", "\"dsnames\":[\"rx\"]," TIME "," ID "\"gauge\""),
     "dsnames[0] is \"rx\", in type \"gauge\" it is \"value\""},
    {BAD("[1]", "\"dsnames\":[1]," TIME "," ID "\"gauge\""), "dsnames[0]"},
    {BAD("[1]", "\"dsnames\":[]," TIME "," ID "\"gauge\""), "array of 1"},
    /* Times. */
    {BAD("[1]", ID "\"gauge\""), "\"time\" is not a number"},
    {BAD("[1]", "\"time\":\"1\"," ID "\"gauge\""), "\"time\" is not a number"},
    {BAD("[1]", "\"time\":0," ID "\"gauge\""), "\"time\" is 0"},
    {BAD("[1]", "\"time\":-1," ID "\"gauge\""), "\"time\" is out of range"},
    {BAD("[1]", "\"time\":1e10," ID "\"gauge\""), "\"time\" is out of range"},
    {BAD("[1]", "\"time\":99999999999999999999," ID "\"gauge\""),
     "\"time\" is out of range"},
    {BAD("[1]", TIME ",\"interval\":-1," ID "\"gauge\""),
     "\"interval\" is out of range"},
    /* Meta data. */
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":[]"), "\"meta\" is not an"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":null"), "\"meta\" is not an"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"k\":null}"),
     "meta \"k\" is not a string, number or boolean"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"k\":99999999999999999999}"),
     "meta \"k\" is not"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"\":1}"), "a key of"},
    {BAD("[1]", TIME "," ID "\"gauge\",\"meta\":{\"a\\nb\":1}"), "a key of"},
};

static void mistakes_are_named_and_nothing_is_delivered(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {{0}};
    SHOW_ROW("%zu %s", i, bad_rows[i].want);
    int rc = decode(bad_rows[i].text, &got, &err);
    assert_int_equal(rc, -1);
    assert_int_equal(got.len, 0);
    if (strstr(err.text, bad_rows[i].want) == NULL)
      fail_msg("\"%s\", want \"%s\"", err.text, bad_rows[i].want);
    rmq_buf_fini(&got);
  }
}

static void a_nul_byte_is_refused(void **state) {
  (void)state;
  static const char text[] = "[" GOOD "]\0";
  struct rmq_error err = {{0}};
  struct rmq_buf got;
  rmq_buf_init(&got, 100);
  assert_int_equal(fake_decode(&rmq_codec_json, text, sizeof(text) - 1,
                               fake_sample_sink, &got, &err),
                   -1);
  assert_int_equal(got.len, 0);
  assert_non_null(strstr(err.text, "not JSON"));
}

static void meta_data_are_bounded(void **state) {
  (void)state;
  for (int count = RMQ_SAMPLE_META_MAX; count <= RMQ_SAMPLE_META_MAX + 1;
       count++) {
    struct rmq_buf text, got;
    struct rmq_error err = {{0}};
    rmq_buf_init(&text, 10000);
    rmq_buf_append_text(&text, "[{\"values\":[1],\"time\":1," ID
                               "\"gauge\",\"meta\":{\"k\":0");
    for (int i = 1; i < count; i++)
      rmq_buf_appendf(&text, ",\"k%d\":%d", i, i);
    rmq_buf_append_text(&text, "}}]");
    assert_int_equal(decode(rmq_buf_text(&text), &got, &err),
                     count > RMQ_SAMPLE_META_MAX ? -1 : 0);
    rmq_buf_fini(&got);
    rmq_buf_fini(&text);
  }
}

/* collectd's own buffers end at 8 KiB. */
static void a_message_may_be_of_any_length(void **state) {
  (void)state;
  enum { SAMPLES = 3000 };
  struct rmq_buf text, got, want;
  rmq_buf_init(&text, 1 << 20);
  rmq_buf_init(&want, 1 << 20);
  for (int i = 1; i <= SAMPLES; i++) {
    rmq_buf_appendf(&text, "%s{\"values\":[%d],\"time\":%d," ID "\"gauge\"}",
                    i == 1 ? "[" : ",", i, i);
    rmq_buf_appendf(&want,
                    "h|p||gauge| time=%d000000000 interval=0 value:gauge=%d\n",
                    i, i);
  }
  rmq_buf_append_text(&text, "]");
  assert_int_equal(decode(rmq_buf_text(&text), &got, NULL), 0);
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
      "[" GOOD ",{\"values\":[18446744073709551615],"
      "\"time\":1," ID "\"counter\",\"meta\":{\"k\":\"v\"}}]";
  size_t n = 1;
  for (;; n++) {
    size_t delivered = 0;
    struct rmq_error err = {{0}};
    alloc_fail_at(n);
    int rc = fake_decode(&rmq_codec_json, text, sizeof(text) - 1, count_sample,
                         &delivered, &err);
    if (!alloc_works_again()) {
      assert_int_equal(rc, 0);
      assert_int_equal(delivered, 2);
      break;
    }
    assert_int_equal(rc, RMQ_CODEC_NO_MEMORY);
    assert_int_equal(delivered, 0);
    assert_true(rmq_error_is_set(&err));
  }
  assert_true(n > 3);
}

/* Hostile --------------------------------------------------------------------
 */

/* before, then times text, then after. */
static const struct {
  const char *name, *before, *text, *after;
  size_t times;
  const char *want; /* a part of the error; NULL: taken */
} hostile_rows[] = {
    {"arrays 100,000 deep", "", "[", "", 100000, "nested deeper than 8"},
    {"objects 100,000 deep", "[", "{\"a\":", "", 100000,
     "nested deeper than 8"},
    {"100,000 deep in a key that is ignored", "[{\"x\":", "[", "", 100000,
     "nested deeper than 8"},
    {"a name of 10 MB", "[{" TIME ",\"values\":[1],\"host\":\"", "x",
     "\",\"plugin\":\"p\",\"type\":\"gauge\"}]", 10 << 20,
     "host has 10485760 bytes, 127 are allowed"},
    {"a string of 10 MB that is ignored",
     "[{" TIME ",\"values\":[1]," ID "\"gauge\",\"x\":\"", "x", "\"}]",
     10 << 20, NULL},
    {"a string without an end", "[{\"host\":\"", "x", "", 10 << 20,
     "not JSON: it ends too early"},
    {"1,000,000 values", "[{" TIME "," ID "\"gauge\",\"values\":[1", ",1",
     "]}]", 999999, "has 1 values, 1000000 are given"},
    {"1,000,000 meta data",
     "[{" TIME ",\"values\":[1]," ID "\"gauge\",\"meta\":{\"a\":1", ",\"b\":1",
     "}}]", 999999, "\"meta\" is not an object of at most 32"},
    {"1,000,000 keys", "[{" TIME ",\"values\":[1]," ID "\"gauge\"", ",\"b\":1",
     "}]", 1000000, NULL},
    {"a number of a million digits", "[{" TIME "," ID "\"gauge\",\"values\":[1",
     "0", "]}]", 1000000, "values[0] is not of kind gauge"},
    {"the year 9999",
     "[{\"values\":[1],\"time\":253402300799," ID "\"gauge\"}]", "", "", 0,
     "\"time\" is out of range"},
    {"empty objects", "[{}", ",{}", "]", 1000,
     "neither \"host\" nor \"values\""},
};

static void hostile_messages_are_refused_with_a_reason(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(hostile_rows); i++) {
    struct rmq_buf text, got;
    struct rmq_error err = {""};
    SHOW_ROW("%s", hostile_rows[i].name);
    rmq_buf_init(&text, 1 << 26);
    rmq_buf_append_text(&text, hostile_rows[i].before);
    for (size_t k = 0; k < hostile_rows[i].times; k++)
      rmq_buf_append_text(&text, hostile_rows[i].text);
    rmq_buf_append_text(&text, hostile_rows[i].after);
    int rc = decode(rmq_buf_text(&text), &got, &err);
    assert_int_equal(rc, hostile_rows[i].want == NULL ? 0 : -1);
    if (rc != 0 && strstr(err.text, hostile_rows[i].want) == NULL)
      fail_msg("%s", err.text);
    rmq_buf_fini(&text);
    rmq_buf_fini(&got);
  }
}

/* Notifications ----------------------------------------------------------- */

static const struct rmq_meta event_meta[] = {
    STRING("indicator", "queue \"x\""),
    {.key = "value", .type = RMQ_META_DOUBLE, .value = {.number = 0.5}},
    {.key = "up", .type = RMQ_META_BOOLEAN, .value = {.boolean = true}},
    STRING("summary", "not this one"),
};

static const struct {
  struct rmq_identity id;
  enum rmq_severity severity;
  const char *want_labels;
} event_rows[] = {
    {{"h", "cpu", "0", "cpu", "wait"},
     RMQ_FAILURE,
     "\"alertname\":\"collectd_cpu\",\"instance\":\"h\",\"cpu\":\"0\","
     "\"type\":\"wait\",\"severity\":\"FAILURE\",\"service\":\"collectd\""},
    {{"h", "rabbitmq_monitor", "", "queue_length", "ready"},
     RMQ_WARNING,
     "\"alertname\":\"collectd_rabbitmq_monitor_queue_length\","
     "\"instance\":\"h\",\"rabbitmq_monitor\":\"ready\","
     "\"severity\":\"WARNING\",\"service\":\"collectd\""},
    {{"", "", "", "", ""},
     RMQ_OKAY,
     "\"alertname\":\"collectd_\",\"instance\":\"\",\"severity\":\"OKAY\","
     "\"service\":\"collectd\""},
};

static void notifications_are_alerts(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(event_rows); i++) {
    const struct rmq_event e = {
        .severity = event_rows[i].severity,
        .time = {INT64_C(1700000000123456789)},
        .id = event_rows[i].id,
        .message = "disk \"C:\\\" is\nfull \xff",
        .meta = event_meta,
        .meta_count = COUNT_OF(event_meta),
    };
    char want[1000];
    snprintf(want, sizeof(want),
             "[{\"labels\":{%s},\"annotations\":{\"summary\":\"disk "
             "\\\"C:\\\\\\\" is\\u000afull \xef\xbf\xbd\",\"indicator\":"
             "\"queue \\\"x\\\"\",\"value\":\"0.5\",\"up\":\"true\"},"
             "\"startsAt\":\"2023-11-14T22:13:20.123456789Z\"}]",
             event_rows[i].want_labels);
    struct rmq_buf out;
    rmq_buf_init(&out, 1000);
    assert_int_equal(rmq_codec_json.encode_event(&e, &out), 0);
    assert_string_equal(rmq_buf_text(&out), want);
    rmq_buf_fini(&out);
    rmq_buf_init(&out, strlen(want) - 1);
    assert_int_equal(rmq_codec_json.encode_event(&e, &out), -1);
    assert_int_equal(out.len, 0);
    rmq_buf_fini(&out);
  }
}

/* An alert is no sample: a consumer rejects it with a reason. */
static void an_alert_is_not_taken_for_a_sample(void **state) {
  (void)state;
  struct rmq_buf got;
  struct rmq_error err = {{0}};
  assert_int_equal(decode("[{\"labels\":{\"severity\":\"OKAY\"}}]", &got, &err),
                   -1);
  assert_string_equal(err.text,
                      "sample 1: notifications are not taken from messages");
  rmq_buf_fini(&got);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(samples_are_written_in_collectd_s_form),
      cmocka_unit_test(a_full_buffer_keeps_what_it_had),
      cmocka_unit_test(collectd_s_form_is_read),
      cmocka_unit_test(mistakes_are_named_and_nothing_is_delivered),
      cmocka_unit_test(a_nul_byte_is_refused),
      cmocka_unit_test(meta_data_are_bounded),
      cmocka_unit_test(a_message_may_be_of_any_length),
      cmocka_unit_test(without_memory_nothing_is_delivered),
      cmocka_unit_test(hostile_messages_are_refused_with_a_reason),
      cmocka_unit_test(notifications_are_alerts),
      cmocka_unit_test(an_alert_is_not_taken_for_a_sample),
  };
  return run_all(tests);
}
