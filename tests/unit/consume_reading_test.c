/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/samples.h"
#include "common/role/consume_reading.h"
#include "tests/testing.h"

#include <string.h>

#define NOW_NS (INT64_C(1700000000) * RMQ_NS_PER_S)

/* A format of one letter for a record: a, b: a sample of that host; o: an old
 * one; x: one that cannot be read; n: a notification; ! the message ends in the
 * middle; $: the memory does. */
static int read_letter(char letter, struct rmq_samples *set,
                       struct rmq_error *err) {
  static const struct rmq_datum value = {
      .name = "value", .kind = RMQ_GAUGE, .value = {.gauge = 1}};
  const struct rmq_identity id = {.host = letter == 'b' ? "b" : "a",
                                  .plugin = "p",
                                  .plugin_instance = "",
                                  .type = "gauge",
                                  .type_instance = ""};
  const struct rmq_wall time = {letter == 'o' ? RMQ_NS_PER_S : NOW_NS};
  if (letter == 'n') {
    struct rmq_event e = {.id = id, .time = time, .message = "m"};
    return rmq_samples_push_event(set, &e, err);
  }
  if (letter == 'x')
    return rmq_error_set(err, "an x");
  struct rmq_sample s = {
      .id = id, .time = time, .values = &value, .values_count = 1};
  return rmq_samples_push(set, &s, false, err);
}

static int read_letters(const struct rmq_codec_input *in, char *text,
                        struct rmq_samples *set, struct rmq_error *err) {
  int rc = 0;
  for (size_t i = 0; rc == 0 && i < in->len; i++) {
    struct rmq_error why = {""};
    if (text[i] == '!')
      rc = rmq_error_set(err, "not letters");
    else if (text[i] == '$')
      rc = rmq_samples_run_short(set, err);
    else if (read_letter(text[i], set, &why) != 0)
      rc = rmq_samples_refuse(set, "letter", i + 1, &why, err);
  }
  return rc == 0 ? rmq_samples_hand_over(set, "nothing", err) : rc;
}

static int decode_letters(const struct rmq_codec_input *in,
                          const struct rmq_codec_sink *sink,
                          struct rmq_error *err) {
  return rmq_samples_read(in, sink, read_letters, err);
}

static const struct rmq_codec letters = {.name = "Letters",
                                         .decode = decode_letters};

static struct rmq_buf heard;

static void hear_sample(void *ctx, const struct rmq_sample *s) {
  (void)ctx;
  rmq_buf_appendf(&heard, "%s ", s->id.host);
}
static void hear_event(void *ctx, const struct rmq_event *e) {
  (void)ctx;
  rmq_buf_appendf(&heard, "%s:%s ", e->id.host, e->message);
}

static int run(const char *text, const struct rmq_trust_options *o,
               struct rmq_reading *ret_reading) {
  struct rmq_consume_format format = {.codec = NULL};
  const struct rmq_delivery d = {.body = rmq_span_of(text)};
  const struct rmq_reading_message message = {.delivery = &d,
                                              .codec = &letters};
  const struct rmq_reading_sink sink = {.sample = hear_sample,
                                        .event = hear_event};
  struct rmq_error err = {""};
  struct rmq_consume_filter *f = rmq_consume_filter_new(o, &err);
  assert_non_null(f);
  rmq_consume_filter_begin(f, &d, (struct rmq_wall){NOW_NS});
  rmq_buf_init(&heard, 4096);
  int rc = rmq_reading_run(&format, &message, o, f, &sink, ret_reading);
  rmq_consume_format_fini(&format);
  rmq_consume_filter_free(f);
  return rc;
}

static uint64_t refused(const struct rmq_reading *r, enum rmq_refusal why) {
  return r->refused[why - 1];
}

static void a_message_is_taken_as_far_as_the_options_say(void **state) {
  (void)state;
  enum { TAKEN = -1 };
  static const struct {
    const char *text;
    bool rejects_mixed, takes_events;
    int want; /* enum rmq_rejection, or TAKEN */
    const char *want_heard, *want_error;
    uint64_t unreadable, old, not_allowed, notifications;
  } rows[] = {
      {"aa", false, false, TAKEN, "x-a x-a ", "", 0, 0, 0, 0},
      {"axa", false, false, TAKEN, "x-a x-a ", "letter 2: an x", 1, 0, 0, 0},
      {"axa", true, false, RMQ_REJECTION_mixed, "", "letter 2: an x", 1, 0, 0,
       0},
      {"aa", true, false, TAKEN, "x-a x-a ", "", 0, 0, 0, 0},
      {"aob", false, false, TAKEN, "x-a ",
       "letter 2: a time 1699999899 s older than MaxAge allows", 0, 1, 1, 0},
      {"xx", false, false, RMQ_REJECTION_parse, "", "letter 1: an x", 2, 0, 0,
       0},
      {"ox", false, false, RMQ_REJECTION_parse, "",
       "letter 1: a time 1699999899 s older than MaxAge allows", 1, 1, 0, 0},
      {"bo", false, false, RMQ_REJECTION_refused, "",
       "letter 1: AllowHost does not have the host \"b\"", 0, 1, 1, 0},
      {"n", false, false, RMQ_REJECTION_refused, "",
       "letter 1: a notification, and Notifications is off", 0, 0, 0, 1},
      {"na", false, false, TAKEN, "x-a ",
       "letter 1: a notification, and Notifications is off", 0, 0, 0, 1},
      {"na", true, false, RMQ_REJECTION_mixed, "",
       "letter 1: a notification, and Notifications is off", 0, 0, 0, 1},
      {"na", false, true, TAKEN, "x-a:m x-a ", "", 0, 0, 0, 0},
      {"nnx", true, true, RMQ_REJECTION_mixed, "", "letter 3: an x", 1, 0, 0,
       0},
      {"a!", false, false, RMQ_REJECTION_parse, "", "not letters", 0, 0, 0, 0},
      {"", false, false, RMQ_REJECTION_parse, "", "the message is empty", 0, 0,
       0, 0},
      /* it comes again, and its bad records are counted then */
      {"axo$", false, false, RMQ_REJECTION_memory, "", "letter 2: an x", 0, 0,
       0, 0},
  };
  char host[] = "a", template[] = "x-%{host}";
  char *hosts[] = {host};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    const struct rmq_trust_options o = {
        .allow_host = {.items = hosts, .count = 1},
        .rewrite_host = template,
        .max_age = rmq_s(100),
        .notifications = rows[i].takes_events,
        .on_mixed_message =
            rows[i].rejects_mixed ? RMQ_MIXED_REJECT : RMQ_MIXED_TAKE};
    struct rmq_reading r;
    SHOW_ROW("%zu %s", i, rows[i].text);
    int rc = run(rows[i].text, &o, &r);
    assert_int_equal(rc, rows[i].want == TAKEN ? 0 : -1);
    if (rc != 0)
      assert_int_equal(r.cause, rows[i].want);
    assert_string_equal(rmq_buf_text(&heard), rows[i].want_heard);
    assert_string_equal(r.err.text, rows[i].want_error);
    assert_int_equal(refused(&r, RMQ_REFUSAL_parse), rows[i].unreadable);
    assert_int_equal(refused(&r, RMQ_REFUSAL_too_old), rows[i].old);
    assert_int_equal(refused(&r, RMQ_REFUSAL_not_allowed), rows[i].not_allowed);
    assert_int_equal(refused(&r, RMQ_REFUSAL_notification),
                     rows[i].notifications);
    assert_int_equal(r.bad, rows[i].unreadable + rows[i].old +
                                rows[i].not_allowed + rows[i].notifications);
    rmq_buf_fini(&heard);
  }
}

static void only_a_message_of_a_listed_user_is_read(void **state) {
  (void)state;
  char alice[] = "alice";
  char *users[] = {alice};
  const struct rmq_trust_options o = {
      .require_user_id = {.items = users, .count = 1}};
  const struct rmq_consume_format format = {.codec = &letters};
  static const struct {
    const char *user, *body;
    int want; /* enum rmq_rejection; -1 = is read */
    const char *want_detail;
  } rows[] = {
      {"alice", "a", -1, ""},
      {"bob", "a", RMQ_REJECTION_user_id, "bob"},
      {"", "a", RMQ_REJECTION_user_id, "it has none"},
      {"bob", "", RMQ_REJECTION_empty, ""},
  };
  struct rmq_error err = {""};
  struct rmq_consume_filter *f = rmq_consume_filter_new(&o, &err);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_delivery d = {.body = rmq_span_of(rows[i].body)};
    struct rmq_error detail = {""};
    enum rmq_rejection cause = RMQ_REJECTION_timeout;
    SHOW_ROW("%zu %s", i, rows[i].user);
    snprintf(d.user_id, sizeof(d.user_id), "%s", rows[i].user);
    const struct rmq_codec *codec =
        rmq_reading_choose(&format, f, &d, &cause, &detail);
    assert_true((codec == &letters) == (rows[i].want == -1));
    if (codec == NULL)
      assert_int_equal(cause, rows[i].want);
    assert_string_equal(detail.text, rows[i].want_detail);
  }
  rmq_consume_filter_free(f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_message_is_taken_as_far_as_the_options_say),
      cmocka_unit_test(only_a_message_of_a_listed_user_is_read),
  };
  return run_all(tests);
}
