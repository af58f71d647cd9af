/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/samples.h"

#include "tests/testing.h"

#include "tests/fake/sample_text.h"

#include <stdlib.h>
#include <string.h>

#define GOOD_A "PUTVAL a/p/gauge 1:1\n"
#define GOOD_B "PUTVAL b/p/gauge 2:2\n"
#define TEXT_A                                                                 \
  "a|p||gauge| time=1000000000 interval=0 "                                    \
  "value:gauge=1\n"
#define TEXT_B                                                                 \
  "b|p||gauge| time=2000000000 interval=0 "                                    \
  "value:gauge=2\n"
#define JSON(host, n)                                                          \
  "{\"values\":[" n "],\"time\":" n ",\"host\":\"" host                        \
  "\",\"plugin\":\"p\",\"type\":\"gauge\"}"

/* What the sink heard, in order. */
static struct rmq_buf heard;

static void hear_sample(void *ctx, const struct rmq_sample *s) {
  (void)ctx;
  fake_sample_text(s, &heard);
}

static void hear_bad(void *ctx, const struct rmq_error *err) {
  (void)ctx;
  rmq_buf_appendf(&heard, "BAD %s\n", err->text);
}

static void hear_whole_event(void *ctx, const struct rmq_event *e) {
  (void)ctx;
  rmq_buf_appendf(&heard, "EVENT %s %lld %s|%s|%s|%s|%s %s",
                  rmq_severity_to_str(e->severity), (long long)e->time.ns,
                  e->id.host, e->id.plugin, e->id.plugin_instance, e->id.type,
                  e->id.type_instance, e->message);
  for (size_t i = 0; i < e->meta_count; i++)
    if (e->meta[i].type == RMQ_META_STRING)
      rmq_buf_appendf(&heard, " %s=%s", e->meta[i].key,
                      e->meta[i].value.string);
    else
      rmq_buf_appendf(&heard, " %s:%g", e->meta[i].key,
                      e->meta[i].value.number);
  rmq_buf_append_char(&heard, '\n');
}

/* Host b is not wanted, host c is called c2. */
static bool check_host(void *ctx, struct rmq_sample *s, struct rmq_error *err) {
  static const char renamed[] = "c2";
  (void)ctx;
  if (strcmp(s->id.host, "c") == 0)
    s->id.host = renamed;
  if (strcmp(s->id.host, "b") != 0)
    return true;
  rmq_error_set(err, "host b");
  return false;
}

static int decode(const struct rmq_codec *codec, const char *text,
                  const struct rmq_codec_sink *sink, struct rmq_error *err) {
  const struct rmq_codec_input in = {
      .bytes = text, .len = strlen(text), .types = &fake_types};
  rmq_buf_init(&heard, 1 << 16);
  return codec->decode(&in, sink, err);
}

struct row {
  const struct rmq_codec *codec;
  bool has_check;
  const char *text;
  const char *want_heard;
  const char *want_error; /* NULL: taken */
};

static const struct row rows[] = {
    {&rmq_codec_putval, false, GOOD_A "x\n" GOOD_B,
     "BAD line 2: command \"x\" is not accepted, only PUTVAL and "
     "PUTNOTIF\n" TEXT_A TEXT_B,
     NULL},
    {&rmq_codec_putval, false, "x\n\ny\n",
     "BAD line 1: command \"x\" is not accepted, only PUTVAL and PUTNOTIF\n"
     "BAD line 3: command \"y\" is not accepted, only PUTVAL and PUTNOTIF\n",
     "line 1: command \"x\" is not accepted, only PUTVAL and PUTNOTIF"},
    {&rmq_codec_putval, false, "\n\n", "", "no command in the message"},
    /* The line is the record: its first list goes with the second. */
    {&rmq_codec_putval, false,
     "PUTVAL a/p/gauge meta:k=\"\\\"v\\\"\" 1:1 z\n" GOOD_B,
     "BAD line 1: \"z\" is not time:value\n" TEXT_B, NULL},
    {&rmq_codec_putval, true, GOOD_A GOOD_B "PUTVAL c/p/gauge 1:1",
     "BAD line 2: host b\n" TEXT_A
     "c2|p||gauge| time=1000000000 interval=0 value:gauge=1\n",
     NULL},
    {&rmq_codec_putval, true, GOOD_B, "BAD line 1: host b\n", "line 1: host b"},
    {&rmq_codec_json, false, "[" JSON("a", "1") ",7," JSON("b", "2") "]",
     "BAD sample 2: not an object\n" TEXT_A TEXT_B, NULL},
    {&rmq_codec_json, false, "[7]", "BAD sample 1: not an object\n",
     "sample 1: not an object"},
    {&rmq_codec_json, false, "[]", "", "no sample in the array"},
    {&rmq_codec_json, true, "[" JSON("b", "2") "," JSON("a", "1") "]",
     "BAD sample 1: host b\n" TEXT_A, NULL},
};

static void a_bad_record_does_not_void_the_others(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {""};
    struct rmq_codec_sink sink = {.bad = hear_bad, .sample = hear_sample};
    if (rows[i].has_check)
      sink.check = check_host;
    SHOW_ROW("%zu %s", i, rows[i].text);
    int rc = decode(rows[i].codec, rows[i].text, &sink, &err);
    assert_string_equal(rmq_buf_text(&heard), rows[i].want_heard);
    assert_int_equal(rc, rows[i].want_error == NULL ? 0 : -1);
    assert_string_equal(err.text,
                        rows[i].want_error == NULL ? "" : rows[i].want_error);
    rmq_buf_fini(&heard);
  }
}

static void without_a_way_to_say_so_it_voids_the_message(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {""};
    struct rmq_codec_sink sink = {.sample = hear_sample};
    if (rows[i].has_check)
      sink.check = check_host;
    SHOW_ROW("%zu %s", i, rows[i].text);
    assert_int_equal(decode(rows[i].codec, rows[i].text, &sink, &err), -1);
    assert_int_equal(heard.len, 0);
    assert_true(rmq_error_is_set(&err));
    rmq_buf_fini(&heard);
  }
}

/* Each message twice, all of them with the same memory. */
static void memory_is_all_that_is_kept_between_messages(void **state) {
  (void)state;
  struct rmq_samples set = {.sink = NULL};
  for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
    const struct row *row = &rows[i / 2];
    const struct rmq_codec_input in = {.bytes = row->text,
                                       .len = strlen(row->text),
                                       .types = &fake_types,
                                       .samples = &set};
    struct rmq_error err = {""};
    struct rmq_codec_sink sink = {.bad = hear_bad, .sample = hear_sample};
    if (row->has_check)
      sink.check = check_host;
    SHOW_ROW("%zu %s", i, row->text);
    rmq_buf_init(&heard, 1 << 16);
    int rc = row->codec->decode(&in, &sink, &err);
    assert_string_equal(rmq_buf_text(&heard), row->want_heard);
    assert_int_equal(rc, row->want_error == NULL ? 0 : -1);
    assert_true(set.text_capacity >= in.len);
    rmq_buf_fini(&heard);
  }
  rmq_samples_fini(&set);
}

static bool check_event_host(void *ctx, struct rmq_event *e,
                             struct rmq_error *err) {
  struct rmq_sample s = {.id = e->id};
  bool is_wanted = check_host(ctx, &s, err);
  e->id = s.id;
  return is_wanted;
}

static void hear_event(void *ctx, const struct rmq_event *e) {
  (void)ctx;
  rmq_buf_appendf(&heard, "EVENT %s %s\n", e->id.host, e->message);
}

static void a_notification_is_asked_about_as_a_sample_is(void **state) {
  (void)state;
  const struct rmq_codec_sink sink = {.check_event = check_event_host,
                                      .event = hear_event};
  struct rmq_samples set = {.sink = &sink};
  struct rmq_error err = {""};
  struct rmq_event events[] = {
      {.id = {.host = "a"}, .message = "1"},
      {.id = {.host = "b"}, .message = "2"},
      {.id = {.host = "c"}, .message = "3"},
  };
  rmq_buf_init(&heard, 1 << 16);
  assert_int_equal(rmq_samples_push_event(&set, &events[0], &err), 0);
  assert_int_equal(rmq_samples_push_event(&set, &events[1], &err), -1);
  assert_string_equal(err.text, "host b");
  assert_int_equal(rmq_samples_push_event(&set, &events[2], &err), 0);
  assert_int_equal(rmq_samples_hand_over(&set, "nothing", &err), 0);
  assert_string_equal(rmq_buf_text(&heard), "EVENT a 1\nEVENT c2 3\n");
  rmq_samples_fini(&set);
  rmq_buf_fini(&heard);
}

/* count times text between before and after. */
static char *repeated(const char *before, const char *text, size_t count,
                      const char *after) {
  struct rmq_buf b;
  rmq_buf_init(&b, 64 << 20);
  rmq_buf_append_text(&b, before);
  while (count-- > 0)
    rmq_buf_append_text(&b, text);
  rmq_buf_append_text(&b, after);
  char *copy = strdup(rmq_buf_text(&b));
  rmq_buf_fini(&b);
  return copy;
}

static size_t samples_count, bad_count;
static void count_sample(void *ctx, const struct rmq_sample *s) {
  (void)ctx;
  (void)s;
  samples_count++;
}
static void count_bad(void *ctx, const struct rmq_error *err) {
  (void)ctx;
  (void)err;
  bad_count++;
}

/* Short records cost much more than their bytes; good and bad ones count. */
static void a_message_has_so_many_records_and_no_more(void **state) {
  static const struct {
    const struct rmq_codec *codec;
    const char *before, *text, *after;
    bool has_check;
    const char *want_error; /* of one more than there may be */
  } cases[] = {
      {&rmq_codec_putval, "", "PUTVAL a/p/gauge 1:1\n", "", false,
       "line 100001: more than 100000 records in one message"},
      {&rmq_codec_putval, "PUTVAL a/p/gauge", " 1:1", "\n", false,
       "line 1: more than 100000 records in one message"},
      {&rmq_codec_putval, "", "x\n", "", false,
       "line 100001: more than 100000 records in one message"},
      {&rmq_codec_putval, "", "PUTVAL b/p/gauge 1:1\n", "", true,
       "line 100001: more than 100000 records in one message"},
      {&rmq_codec_json, "[7", ",7", "]", false,
       "sample 100001: more than 100000 records in one message"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct rmq_codec_sink sink = {.bad = count_bad, .sample = count_sample};
    SHOW_ROW("%zu %s", i, cases[i].text);
    if (cases[i].has_check)
      sink.check = check_host;
    size_t has_one = cases[i].before[0] == '[' ? 1 : 0;
    for (size_t more = 0; more < 2; more++) {
      struct rmq_error err = {""};
      char *text = repeated(cases[i].before, cases[i].text,
                            RMQ_SAMPLES_MAX - has_one + more, cases[i].after);
      samples_count = bad_count = 0;
      int rc = decode(cases[i].codec, text, &sink, &err);
      bool is_too_many = strcmp(err.text, cases[i].want_error) == 0;
      assert_int_equal(is_too_many, more);
      assert_true(rc == 0 || more > 0 || bad_count == RMQ_SAMPLES_MAX);
      assert_int_equal(samples_count, rc == 0 ? RMQ_SAMPLES_MAX : 0);
      assert_true(bad_count <= RMQ_SAMPLES_MAX);
      rmq_buf_fini(&heard);
      free(text);
    }
  }
}

static void what_is_not_usual_is_not_kept(void **state) {
  (void)state;
  static const char line[] = "PUTVAL a/p/gauge 1:1\n";
  static const struct {
    size_t lines;
    bool want_text, want_entries;
  } cases[] = {{1, true, true},
               {RMQ_SAMPLES_KEPT_BYTES / (sizeof(line) - 1) - 1, true, false},
               {RMQ_SAMPLES_KEPT_BYTES / (sizeof(line) - 1) + 1, false, false}};
  const struct rmq_codec_sink sink = {.sample = count_sample};
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct rmq_samples set = {.sink = NULL};
    char *text = repeated("", line, cases[i].lines, "");
    const struct rmq_codec_input in = {.bytes = text,
                                       .len = strlen(text),
                                       .types = &fake_types,
                                       .samples = &set};
    SHOW_ROW("%zu lines", cases[i].lines);
    assert_int_equal(rmq_codec_putval.decode(&in, &sink, NULL), 0);
    assert_int_equal(set.text_capacity > 0, cases[i].want_text);
    assert_int_equal(set.entries_capacity > 0, cases[i].want_entries);
    assert_int_equal(set.entries_count, 0);
    rmq_samples_fini(&set);
    free(text);
  }
}

static size_t types_asked_for;
static int count_types(void *ctx, const char *type,
                       struct rmq_datum *ret_sources, size_t max) {
  types_asked_for++;
  return fake_types.get(ctx, type, ret_sources, max);
}

static void of_a_run_of_one_type_one_is_asked_for(void **state) {
  (void)state;
  static const char text[] = "PUTVAL a/p/gauge 1:1\nPUTVAL b/p/gauge 2:2\n"
                             "PUTVAL a/p/if_octets 1:1:2\nx\n"
                             "PUTVAL b/p/if_octets 1:3:4\n"
                             "PUTVAL b/p/load 1:3:4\n" /* has three */
                             "PUTVAL a/p/gauge 1:1\n";
  const struct rmq_types types = {NULL, count_types};
  const struct rmq_codec_input in = {
      .bytes = text, .len = strlen(text), .types = &types};
  const struct rmq_codec_sink sink = {.bad = count_bad, .sample = hear_sample};
  rmq_buf_init(&heard, 1 << 16);
  types_asked_for = 0;
  assert_int_equal(rmq_codec_putval.decode(&in, &sink, NULL), 0);
  assert_string_equal(rmq_buf_text(&heard), TEXT_A TEXT_B
                      "a|p||if_octets| time=1000000000 interval=0 "
                      "rx:derive=1 tx:derive=2\n"
                      "b|p||if_octets| time=1000000000 interval=0 "
                      "rx:derive=3 tx:derive=4\n" TEXT_A);
  assert_int_equal(types_asked_for, 4);
  rmq_buf_fini(&heard);
}

#define LABELS                                                                 \
  "\"instance\":\"h\",\"severity\":\"FAILURE\",\"service\":\"collectd\""
#define REST                                                                   \
  "\"annotations\":{\"summary\":\"m\"},\"startsAt\":\"2023-11-14T22:13:20Z\"}"
#define ALERT(name, more)                                                      \
  "{\"labels\":{\"alertname\":\"" name "\"," LABELS more "}," REST
#define EVENT "EVENT failure 1700000000000000000 h|"
#define LONG_NAME                                                              \
  "0123456789012345678901234567890123456789012345678901234567890123456789"     \
  "0123456789012345678901234567890123456789012345678901234567"

static const struct {
  const struct rmq_codec *codec;
  const char *text, *want; /* what is heard, or an error where it is "!..." */
} event_rows[] = {
    {&rmq_codec_putval,
     "PUTNOTIF severity=warning time=1700000000.500 host=\"h\" "
     "plugin=\"rabbitmq_monitor\" plugin_instance=\"main cluster\" "
     "type=\"queue_length\" message=\"queue \\\"C:\\\\x\\\" is long\" "
     "s:indicator=\"a \\\"b\\\"\" n:value=0.5",
     "EVENT warning 1700000000500000000 h|rabbitmq_monitor|main cluster|"
     "queue_length| queue \"C:\\x\" is long indicator=a \"b\" value:0.5\n"},
    {&rmq_codec_putval, "putnotif Message=x Time=1 SEVERITY=Okay",
     "EVENT okay 1000000000 |||| x\n"},
    {&rmq_codec_putval,
     "PUTNOTIF message=\"a\tb\x01\xff\" time=1 severity=okay",
     "EVENT okay 1000000000 |||| a b  \n"},
    {&rmq_codec_putval, "PUTNOTIF time=1 severity=okay",
     "!line 1: PUTNOTIF needs severity, time and message"},
    {&rmq_codec_putval, "PUTNOTIF message=x severity=okay", "!needs severity"},
    {&rmq_codec_putval, "PUTNOTIF message=x time=1", "!needs severity"},
    {&rmq_codec_putval, "PUTNOTIF message=x time=1 severity=bad",
     "!severity \"bad\" is not known"},
    {&rmq_codec_putval, "PUTNOTIF message=x time=N severity=okay",
     "!time \"N\" is not seconds"},
    {&rmq_codec_putval, "PUTNOTIF time=1 time=2", "!time is given twice"},
    {&rmq_codec_putval, "PUTNOTIF host=a host=b", "!host is given twice"},
    {&rmq_codec_putval, "PUTNOTIF s:a=b n:a=1", "!n:a is given twice"},
    {&rmq_codec_putval, "PUTNOTIF n:a=b", "!n:a \"b\" is not a number"},
    {&rmq_codec_putval, "PUTNOTIF s:=b", "!a meta key is empty"},
    {&rmq_codec_putval, "PUTNOTIF x=b", "!option x is not known"},
    {&rmq_codec_putval, "PUTNOTIF x", "!\"x\" is not option=value"},
    {&rmq_codec_putval, "PUTNOTIF message=x time=1 severity=okay host=a/b",
     "!host \"a/b\" is not a safe name"},
    {&rmq_codec_putval,
     "PUTNOTIF message=x time=1 severity=okay type=" LONG_NAME,
     "!type has 128 bytes, 127 are allowed"},

    {&rmq_codec_json, "[" ALERT("collectd_p_gauge", ",\"p\":\"0\"") "]",
     EVENT "p|0|gauge| m\n"},
    {&rmq_codec_json,
     ALERT("collectd_load", ",\"load\":\"0\",\"type\":\"wait\""),
     EVENT "load|0|load|wait m\n"},
    {&rmq_codec_json, ALERT("collectd_if_if_octets", ",\"if\":\"eth0\""),
     EVENT "if|eth0|if_octets| m\n"},
    {&rmq_codec_json, ALERT("collectd_if_octets", ",\"if\":\"eth0\""),
     EVENT "if|eth0|if_octets| m\n"},
    {&rmq_codec_json, ALERT("collectd_a_b_if_octets", ""),
     EVENT "a_b||if_octets| m\n"},
    {&rmq_codec_json, ALERT("collectd_load", ""), EVENT "load||load| m\n"},
    {&rmq_codec_json, ALERT("collectd_x_y", ""), EVENT "x_y||| m\n"},
    {&rmq_codec_json, ALERT("collectd_x_y", ",\"x\":\"0\""),
     EVENT "x|0|y| m\n"},
    {&rmq_codec_json, ALERT("collectd_x_y", ",\"z\":\"0\""), EVENT "z|0|| m\n"},
    {&rmq_codec_json,
     "{\"labels\":{\"alertname\":\"collectd_\",\"severity\":\"okay\"},"
     "\"annotations\":{\"k\":\"v\\u0000\"},"
     "\"startsAt\":\"2023-11-14T22:13:20Z\"}",
     "!a label or annotation of an alert is not a text"},
    {&rmq_codec_json,
     "{\"labels\":{\"alertname\":\"collectd_\",\"severity\":\"okay\"},"
     "\"annotations\":{\"summary\":\"a\\nb\",\"k\":\"v\"},"
     "\"startsAt\":\"2024-02-29T23:59:59.123456789123+01:30\"}",
     "EVENT okay 1709245799123456789 |||| a b k=v\n"},
    {&rmq_codec_json, ALERT("HighLoad", ""),
     "!\"HighLoad\" is none of collectd's"},
    {&rmq_codec_json, ALERT("collectd_x", ",\"a\":\"1\",\"b\":\"2\""),
     "!label \"b\" is none of collectd's"},
    {&rmq_codec_json, ALERT("collectd_x", ",\"a\":1"), "!is not a text"},
    {&rmq_codec_json, ALERT("collectd_x", ",\"type\":\"a/b\""),
     "!type_instance \"a/b\" is not a safe name"},
    {&rmq_codec_json, "{\"labels\":[]}", "!are not objects"},
    {&rmq_codec_json, "{\"labels\":{}}", "!are not objects"},
    {&rmq_codec_json, "{\"labels\":{}," REST, "!without alertname or severity"},
    {&rmq_codec_json,
     "{\"labels\":{\"alertname\":\"collectd_x\",\"severity\":\"huge\"}," REST,
     "!severity \"huge\" is not known"},
    {&rmq_codec_json,
     "{\"labels\":{\"alertname\":\"collectd_x\"," LABELS
     "},\"annotations\":{}}",
     "!an alert without a summary"},
};

static void notifications_are_read(void **state) {
  (void)state;
  const struct rmq_codec_sink sink = {.sample = hear_sample,
                                      .event = hear_whole_event};
  for (size_t i = 0; i < COUNT_OF(event_rows); i++) {
    struct rmq_error err = {""};
    bool is_bad = event_rows[i].want[0] == '!';
    SHOW_ROW("%zu %s", i, event_rows[i].text);
    int rc = decode(event_rows[i].codec, event_rows[i].text, &sink, &err);
    if (!is_bad)
      assert_string_equal(err.text, "");
    assert_int_equal(rc, is_bad ? -1 : 0);
    if (is_bad && strstr(err.text, event_rows[i].want + 1) == NULL)
      fail_msg("%s", err.text);
    assert_string_equal(rmq_buf_text(&heard), is_bad ? "" : event_rows[i].want);
    rmq_buf_fini(&heard);
  }
}

static void startsAt_is_a_time_of_rfc_3339(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int64_t want_ns; /* 0: refused */
  } times[] = {
      {"2023-11-14T22:13:20Z", INT64_C(1700000000000000000)},
      {"2023-11-14T23:13:20+01:00", INT64_C(1700000000000000000)},
      {"2023-11-14T16:43:20.5-05:30", INT64_C(1700000000500000000)},
      {"2023-11-14T22:13:20.000000001Z", INT64_C(1700000000000000001)},
      {"1970-01-01T00:00:01Z", INT64_C(1000000000)},
      {"1970-01-01T00:00:00Z", 0},
      {"1969-12-31T23:59:59Z", 0},
      {"9999-12-31T23:59:59Z", 0},
      {"2023-11-14T22:13:20", 0},
      {"2023-11-14 22:13:20Z", 0},
      {"2023-13-14T22:13:20Z", 0},
      {"2023-00-14T22:13:20Z", 0},
      {"2023-11-32T22:13:20Z", 0},
      {"2023-11-14T24:13:20Z", 0},
      {"2023-11-14T22:13:20+24:00", 0},
      {"2023-11-14T22:13:20Zx", 0},
      {"2023-11-14T22:13:2xZ", 0},
      {"", 0},
  };
  const struct rmq_codec_sink sink = {.event = hear_whole_event};
  for (size_t i = 0; i < COUNT_OF(times); i++) {
    char text[400], want[100] = "";
    SHOW_ROW("%s", times[i].text);
    snprintf(text, sizeof(text),
             "{\"labels\":{\"alertname\":\"collectd_x\"," LABELS
             "},\"annotations\":{\"summary\":\"m\"},\"startsAt\":\"%s\"}",
             times[i].text);
    if (times[i].want_ns != 0)
      snprintf(want, sizeof(want), "EVENT failure %lld h|x||| m\n",
               (long long)times[i].want_ns);
    struct rmq_error err = {""};
    assert_int_equal(decode(&rmq_codec_json, text, &sink, &err),
                     times[i].want_ns == 0 ? -1 : 0);
    assert_string_equal(rmq_buf_text(&heard), want);
    if (times[i].want_ns == 0)
      assert_non_null(strstr(err.text, "startsAt"));
    rmq_buf_fini(&heard);
  }
}

/* Our own writers' notifications come back. */
static void what_we_say_of_a_change_is_understood(void **state) {
  (void)state;
  static const struct rmq_meta meta[] = {
      {"indicator", RMQ_META_STRING, {.string = "a \"b\" \\c"}}};
  const struct rmq_event e = {.severity = RMQ_FAILURE,
                              .time = {INT64_C(1700000000500000000)},
                              .id = {"h", "if", "eth0", "if_octets", "x"},
                              .message = "it is \"full\"",
                              .meta = meta,
                              .meta_count = 1};
  static const struct rmq_codec *const codecs[] = {&rmq_codec_putval,
                                                   &rmq_codec_json};
  const struct rmq_codec_sink sink = {.event = hear_whole_event};
  for (size_t i = 0; i < COUNT_OF(codecs); i++) {
    struct rmq_buf text;
    rmq_buf_init(&text, 10000);
    assert_int_equal(codecs[i]->encode_event(&e, &text), 0);
    assert_int_equal(decode(codecs[i], rmq_buf_text(&text), &sink, NULL), 0);
    assert_string_equal(rmq_buf_text(&heard),
                        "EVENT failure 1700000000500000000 h|if|eth0|"
                        "if_octets|x it is \"full\" indicator=a \"b\" \\c\n");
    rmq_buf_fini(&heard);
    rmq_buf_fini(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bad_record_does_not_void_the_others),
      cmocka_unit_test(without_a_way_to_say_so_it_voids_the_message),
      cmocka_unit_test(memory_is_all_that_is_kept_between_messages),
      cmocka_unit_test(what_is_not_usual_is_not_kept),
      cmocka_unit_test(of_a_run_of_one_type_one_is_asked_for),
      cmocka_unit_test(notifications_are_read),
      cmocka_unit_test(startsAt_is_a_time_of_rfc_3339),
      cmocka_unit_test(what_we_say_of_a_change_is_understood),
      cmocka_unit_test(a_notification_is_asked_about_as_a_sample_is),
      cmocka_unit_test(a_message_has_so_many_records_and_no_more),
  };
  return run_all(tests);
}
