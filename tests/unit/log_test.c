/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/log.h"

#include "tests/testing.h"

#include "common/base/prng.h"
#include "common/base/utf8.h"

#include <string.h>

static void levels_and_formats_have_texts(void **state) {
  (void)state;
  assert_string_equal(rmq_level_to_str(RMQ_LOG_ERROR), "error");
  assert_string_equal(rmq_level_to_str(RMQ_LOG_WARNING), "warning");
  assert_string_equal(rmq_level_to_str(RMQ_LOG_NOTICE), "notice");
  assert_string_equal(rmq_level_to_str(RMQ_LOG_INFO), "info");
  assert_string_equal(rmq_level_to_str(RMQ_LOG_DEBUG), "debug");
  assert_string_equal(rmq_level_to_str((enum rmq_level)77), "unknown");
  assert_string_equal(rmq_log_format_to_str(RMQ_LOG_TEXT), "text");
  assert_string_equal(rmq_log_format_to_str(RMQ_LOG_JSON), "json");
  assert_string_equal(rmq_log_format_to_str((enum rmq_log_format)77),
                      "unknown");
}

static const struct rmq_log_record full = {
    .level = RMQ_LOG_WARNING,
    .time = {INT64_C(1700000000123456789)},
    .service = "collectd",
    .plugin = "rabbitmq_publish",
    .block = "main",
    .event = "returned",
    .state = "open",
    .trace_id = "4bf92f3577b34da6a3ce929d0e0e4736",
    .message_id = "abc:17",
    .delivery_tag = 3,
    .seqno = UINT64_MAX,
    .reply_code = 312,
    .message = "the broker returned a message: NO_ROUTE",
};

static void each_form_is_as_the_contract_says(void **state) {
  (void)state;
  static const struct rmq_log_record bare = {.level = RMQ_LOG_INFO,
                                             .message = "hello"};
  static const struct rmq_log_record event = {.level = RMQ_LOG_INFO,
                                              .plugin = "warren",
                                              .event = "started",
                                              .state = ""};
  static const struct rmq_log_record hostile = {
      .level = RMQ_LOG_ERROR,
      .block = "a\" b",
      .message_id = "x] [state=open",
      .message = "say \"no\\\"\n\x1b[0m \xff\xc3\xa9 \xc2\x85!"};
  static const struct {
    enum rmq_log_format format;
    const struct rmq_log_record *record;
    const char *want;
  } rows[] = {
      {RMQ_LOG_TEXT, &bare, "hello"},
      {RMQ_LOG_JSON, &bare, "{\"level\":\"info\",\"message\":\"hello\"}"},
      {RMQ_LOG_TEXT, &event, "warren plugin: started"},
      {RMQ_LOG_JSON, &event,
       "{\"level\":\"info\",\"plugin\":\"warren\",\"event\":\"started\"}"},
      {RMQ_LOG_TEXT, &full,
       "rabbitmq_publish plugin: block \"main\": the broker returned a "
       "message: NO_ROUTE [state=open "
       "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 message_id=abc:17 "
       "delivery_tag=3 seqno=18446744073709551615 reply_code=312]"},
      {RMQ_LOG_JSON, &full,
       "{\"timestamp\":1700000000123,\"level\":\"warning\","
       "\"service\":\"collectd\",\"plugin\":\"rabbitmq_publish\","
       "\"block\":\"main\",\"event\":\"returned\",\"state\":\"open\","
       "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\","
       "\"message_id\":\"abc:17\",\"delivery_tag\":3,"
       "\"seqno\":18446744073709551615,\"reply_code\":312,"
       "\"message\":\"the broker returned a message: NO_ROUTE\"}"},
      {RMQ_LOG_TEXT, &hostile,
       "block \"a\\x22\\x20b\": say \"no\\\"\\x0a\\x1b[0m \\xff\xc3\xa9 "
       "\\xc2\\x85! [message_id=x\\x5d\\x20\\x5bstate\\x3dopen]"},
      {RMQ_LOG_JSON, &hostile,
       "{\"level\":\"error\",\"block\":\"a\\\" b\",\"message_id\":\"x] "
       "[state=open\",\"message\":\"say \\\"no\\\\\\\"\\u000a\\u001b[0m "
       "\\u00ff\xc3\xa9 \\u0085!\"}"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 4096);
    rmq_log_render(rows[i].format, rows[i].record, &out);
    assert_string_equal(rmq_buf_text(&out), rows[i].want);
    rmq_buf_fini(&out);
  }
}

/* One JSON string from p; behind its closing quote, or NULL. */
static const char *skip_string(const char *p) {
  if (*p++ != '"')
    return NULL;
  while (*p != '"') {
    if ((unsigned char)*p < 0x20)
      return NULL;
    if (*p == '\\') {
      p++;
      if (*p == 'u') {
        for (int i = 0; i < 4; i++)
          if (strchr("0123456789abcdef", *++p) == NULL || *p == '\0')
            return NULL;
      } else if (*p != '"' && *p != '\\') {
        return NULL;
      }
    }
    p++;
  }
  return p + 1;
}

static bool is_json_object(const char *p) {
  if (*p++ != '{')
    return false;
  for (;;) {
    p = skip_string(p);
    if (p == NULL || *p++ != ':')
      return false;
    if (*p == '"')
      p = skip_string(p);
    else
      p += strspn(p, "-0123456789");
    if (p == NULL)
      return false;
    if (*p == '}')
      return p[1] == '\0';
    if (*p++ != ',')
      return false;
  }
}

static char *random_text(struct rmq_prng *r, char *text, size_t size) {
  /* Few lengths, many kinds of bytes: quotes, controls, halves of UTF-8. */
  static const char *const bits[] = {"\"",       "\\",       "\x01",
                                     "\xff",     "\xc3\xa9", "\xf0\x9f\x90\x87",
                                     "\xe2\x82", "a b",      "xyzxyzxyzxyz",
                                     "\xc2\x80", "]"};
  size_t len = rmq_prng_below(r, size);
  size_t at = 0;
  text[0] = '\0';
  for (;;) {
    const char *bit = bits[rmq_prng_below(r, COUNT_OF(bits))];
    if (at + strlen(bit) >= len)
      return text;
    memcpy(text + at, bit, strlen(bit) + 1);
    at += strlen(bit);
  }
}

static void no_line_is_too_long_or_broken_whatever_is_in_it(void **state) {
  (void)state;
  struct rmq_prng r = {property_seed(1)};
  static char texts[8][3000];
  struct rmq_buf out;
  rmq_buf_init(&out, RMQ_LOG_LINE_MAX);
  for (int turn = 0; turn < 4000; turn++) {
    struct rmq_log_record record = full;
    const char **fields[] = {
        &record.service, &record.plugin,   &record.block,      &record.event,
        &record.state,   &record.trace_id, &record.message_id, &record.message};
    for (size_t i = 0; i < COUNT_OF(fields); i++)
      if (rmq_prng_below(&r, 4) != 0)
        *fields[i] = random_text(
            &r, texts[i], (size_t[]){20, 120, 3000}[rmq_prng_below(&r, 3)]);
    record.delivery_tag = UINT64_MAX;
    record.reply_code = INT32_MIN;
    for (int format = RMQ_LOG_TEXT; format <= RMQ_LOG_JSON; format++) {
      rmq_buf_clear(&out);
      rmq_log_render((enum rmq_log_format)format, &record, &out);
      assert_false(out.failed);
      assert_in_range(out.len, 1, RMQ_LOG_LINE_MAX);
      const char *line = rmq_buf_text(&out);
      assert_true(rmq_utf8_is_valid(line, out.len));
      assert_null(strpbrk(line, "\n\x01\x7f"));
      if (format == RMQ_LOG_JSON)
        assert_true(is_json_object(line));
      else
        assert_int_equal(line[out.len - 1], ']');
    }
  }
  rmq_buf_fini(&out);
}

static void a_long_message_is_shortened_and_says_so(void **state) {
  (void)state;
  char message[3000];
  memset(message, 'm', sizeof(message) - 1);
  message[sizeof(message) - 1] = '\0';
  struct rmq_log_record record = full;
  record.message = message;
  struct rmq_buf out;
  rmq_buf_init(&out, 4096);
  rmq_log_render(RMQ_LOG_JSON, &record, &out);
  assert_int_equal(out.len, RMQ_LOG_LINE_MAX);
  assert_non_null(strstr(rmq_buf_text(&out), "mmm...\"}"));
  rmq_buf_clear(&out);
  rmq_log_render(RMQ_LOG_TEXT, &record, &out);
  assert_int_equal(out.len, RMQ_LOG_LINE_MAX);
  assert_non_null(strstr(rmq_buf_text(&out), "mmm... [state=open "));
  /* What fits exactly is left alone. */
  record = (struct rmq_log_record){.message = message};
  message[RMQ_LOG_LINE_MAX] = '\0';
  rmq_buf_clear(&out);
  rmq_log_render(RMQ_LOG_TEXT, &record, &out);
  assert_string_equal(rmq_buf_text(&out), message);
  /* One byte more does not. */
  message[RMQ_LOG_LINE_MAX] = 'm';
  message[RMQ_LOG_LINE_MAX + 1] = '\0';
  rmq_buf_clear(&out);
  rmq_log_render(RMQ_LOG_TEXT, &record, &out);
  assert_int_equal(out.len, RMQ_LOG_LINE_MAX);
  assert_string_equal(rmq_buf_text(&out) + RMQ_LOG_LINE_MAX - 4, "m...");
  rmq_buf_fini(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(levels_and_formats_have_texts),
      cmocka_unit_test(each_form_is_as_the_contract_says),
      cmocka_unit_test(no_line_is_too_long_or_broken_whatever_is_in_it),
      cmocka_unit_test(a_long_message_is_shortened_and_says_so),
  };
  return run_all(tests);
}
