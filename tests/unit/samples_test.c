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
     "BAD line 2: command \"x\" is not accepted, only PUTVAL\n" TEXT_A TEXT_B,
     NULL},
    {&rmq_codec_putval, false, "x\n\ny\n",
     "BAD line 1: command \"x\" is not accepted, only PUTVAL\n"
     "BAD line 3: command \"y\" is not accepted, only PUTVAL\n",
     "line 1: command \"x\" is not accepted, only PUTVAL"},
    {&rmq_codec_putval, false, "\n\n", "", "no PUTVAL in the message"},
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
  struct rmq_samples set;
  struct rmq_error err = {""};
  struct rmq_event events[] = {
      {.id = {.host = "a"}, .message = "1"},
      {.id = {.host = "b"}, .message = "2"},
      {.id = {.host = "c"}, .message = "3"},
  };
  rmq_buf_init(&heard, 1 << 16);
  rmq_samples_init(&set, &sink);
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_bad_record_does_not_void_the_others),
      cmocka_unit_test(without_a_way_to_say_so_it_voids_the_message),
      cmocka_unit_test(a_notification_is_asked_about_as_a_sample_is),
      cmocka_unit_test(a_message_has_so_many_records_and_no_more),
  };
  return run_all(tests);
}
