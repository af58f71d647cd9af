/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_influx_decode.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include "tests/fake/sample_text.h"

#include <string.h>

#define NS " 1700000000123456789"
#define T " time=1700000000123456789 interval=0 "
#define LONG                                                                   \
  "0123456789012345678901234567890123456789012345678901234567890123456789"     \
  "0123456789012345678901234567890123456789"
#define X20 "xxxxxxxxxxxxxxxxxxxx"

static int decode(const char *text, struct rmq_buf *got,
                  struct rmq_error *err) {
  rmq_buf_init(got, 1 << 20);
  return fake_decode(&rmq_codec_influx, text, strlen(text), fake_sample_sink,
                     got, err);
}

static const struct {
  const char *text, *want;
} good_rows[] = {
    /* collectd's own shape. */
    {"cpu,host=h,instance=0,type=gauge,type_instance=idle value=99.5" NS "\n",
     "h|cpu|0|gauge|idle" T "value:gauge=99.5\n"},
    {"interface,host=h,instance=eth0,type=if_octets "
     "rx_total=-9223372036854775808i,tx_total=2i" NS,
     "h|interface|eth0|if_octets|" T
     "rx:derive=-9223372036854775808 tx:derive=2\n"},
    {"p,host=h,type=mixed g=1,d_total=1i,c_total=18446744073709551615u,"
     "a_total=5i" NS,
     "h|p||mixed|" T
     "g:gauge=1 d:derive=1 c:counter=18446744073709551615 a:absolute=5\n"},
    /* ... as write_influxdb_udp writes it, in any order, with an integer for a
     * gauge; a gauge that is not there was NaN. */
    {"interface,type=if_octets,host=h tx=2i,rx=1i" NS,
     "h|interface||if_octets|" T "rx:derive=1 tx:derive=2\n"},
    {"load,host=h,type=load midterm=5i" NS,
     "h|load||load|" T "shortterm:gauge=nan midterm:gauge=5 "
     "longterm:gauge=nan\n"},
    {"p\\ q\\,r=s,host=h.x\\ y,instance=i\\ j\\,k\\=l,type=gauge,"
     "type_instance=\"m\\n value=1" NS,
     "h.x y|p q,r=s|i j,k=l|gauge|\"m\\n" T "value:gauge=1\n"},
    /* Telegraf's. */
    {"cpu,host=a,cpu=cpu0 usage_idle=98.2,usage_user=1i" NS,
     "a|cpu|cpu0|gauge|usage_idle" T "value:gauge=98.200000000000003\n"
     "a|cpu|cpu0|gauge|usage_user" T "value:gauge=1\n"},
    {"mem,host=a used=18446744073709551615u,ok=true,no=F,name=\"a, "
     "b=\\\"c\"" NS,
     "a|mem||gauge|used" T "value:gauge=1.8446744073709552e+19\n"
     "a|mem||gauge|ok" T "value:gauge=1\n"
     "a|mem||gauge|no" T "value:gauge=0\n"},
    {"disk,path=/,host=a,device=sda1,fstype=ext4 free=1" NS,
     "a|disk|sda1-ext4-%2F|gauge|free" T "value:gauge=1\n"},
    /* A type that is none, a type with other fields. */
    {"disk,host=a,type=ext4 free=1" NS,
     "a|disk|ext4|gauge|free" T "value:gauge=1\n"},
    {"disk,host=a,type=gauge free=1" NS,
     "a|disk|gauge|gauge|free" T "value:gauge=1\n"},
    /* Names that are too long are shortened to different ones. */
    {"m,host=a,t=" LONG X20 " f=1" NS,
     "a|m|" LONG "~60a9ae13f043ec4a|gauge|f" T "value:gauge=1\n"},
};

static void lines_become_samples(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(good_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {""};
    SHOW_ROW("%s", good_rows[i].text);
    int rc = decode(good_rows[i].text, &got, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(rc, 0);
    assert_string_equal(rmq_buf_text(&got), good_rows[i].want);
    rmq_buf_fini(&got);
  }
}

static void a_message_is_lines(void **state) {
  (void)state;
  struct rmq_buf got;
  struct rmq_error err = {""};
  assert_int_equal(decode("# c\n\n \r\nm,host=a f=1" NS
                          "\r\n  m,host=a  f=2,s=\"x\ny\"  2000000000 \n",
                          &got, &err),
                   0);
  assert_string_equal(rmq_buf_text(&got),
                      "a|m||gauge|f" T "value:gauge=1\n"
                      "a|m||gauge|f time=2000000000 interval=0 "
                      "value:gauge=2\n");
  rmq_buf_fini(&got);
}

static const struct {
  const char *text, *want; /* a part of the error */
} bad_rows[] = {
    {"", "empty"},
    {"\n# only a comment\n", "no line in the message"},
    {"PUTVAL h/p/gauge 1:1", "line 1: "},
    {"m", "line 1: no field"},
    {"m,host=a", "no field"},
    {"m,host f=1" NS, "tag \"host\" has no value"},
    {"m,host=a f" NS, "field \"f\" has no value"},
    {"m,host=a f=" NS, "field \"f\" has no valid value"},
    {"m,host=a f=x" NS, "field \"f\" has no valid value"},
    {"m,host=a f=1e999" NS, "field \"f\" has no valid value"},
    {"m,host=a f=nan" NS, "field \"f\" has no valid value"},
    {"m,host=a f=9223372036854775808i" NS, "field \"f\" has no valid value"},
    {"m,host=a f=\"x\"y" NS, "field \"f\" has no valid value"},
    {"m,host=a f=\"x" NS, "a text has no end"},
    {"m,host=a =1" NS, "field \"\" has no value"},
    {"m,host=a f=1", "no time"},
    {"m,host=a f=1 ", "no time"},
    {"m,host=a f=1 0", "is not nanoseconds"},
    {"m,host=a f=1 -5", "is not nanoseconds"},
    {"m,host=a f=1 9223372036854775807", "is not nanoseconds"},
    {"m,host=a f=1 1700000000.5", "is not nanoseconds"},
    {"m,host=a f=1" NS " x", "something follows the time"},
    {"m f=1" NS, "no tag host"},
    {"m,host= f=1" NS, "no tag host"},
    {"m,host=a s=\"x\"" NS, "no field that is a number"},
    {"m,host=.. f=1" NS, "host \"..\" is not a safe name"},
    {",host=a f=1" NS, "measurement is empty"},
    {"p,host=a/b,type=gauge value=1" NS, "host \"a/b\" is not a safe name"},
    {"p,host=h,type=derive value=1.5" NS, "StoreRates"},
    {"p,host=h,type=derive value=t" NS, "is not of kind derive"},
    {"p,host=h,type=counter value=-1i" NS, "is not of kind counter"},
    {"p,host=h,type=if_octets rx_total=1i" NS, "no field \"tx_total\""},
    {"p,host=h,type=derive value=1i,value_total=1i" NS, "given twice"},
};

static void mistakes_are_named_and_nothing_is_delivered(void **state) {
  (void)state;
  for (size_t i = 0; i < COUNT_OF(bad_rows); i++) {
    struct rmq_buf got;
    struct rmq_error err = {""};
    SHOW_ROW("%s", bad_rows[i].text);
    assert_int_equal(decode(bad_rows[i].text, &got, &err), -1);
    assert_int_equal(got.len, 0);
    if (strstr(err.text, bad_rows[i].want) == NULL)
      fail_msg("\"%s\" is not in \"%s\"", bad_rows[i].want, err.text);
    rmq_buf_fini(&got);
  }
}

static void hear_bad(void *ctx, const struct rmq_error *err) {
  rmq_buf_appendf(ctx, "BAD %s\n", err->text);
}

static void a_bad_line_does_not_void_the_others(void **state) {
  (void)state;
  static const char text[] =
      "m,host=a f=1 1000000000\nm,host\nm,host=a,t=\\\nm,host=a f=x 1\n"
      "m,host=a f=1,g/\xff=2 1\nm,host=a f=2 1000000000\n";
  struct rmq_buf got;
  rmq_buf_init(&got, 10000);
  const struct rmq_codec_input in = {
      .bytes = text, .len = sizeof(text) - 1, .types = &fake_types};
  const struct rmq_codec_sink sink = {
      .ctx = &got, .bad = hear_bad, .sample = fake_sample_sink};
  assert_int_equal(rmq_codec_influx_decode(&in, &sink, NULL), 0);
  assert_string_equal(
      rmq_buf_text(&got),
      "BAD line 2: tag \"host\" has no value\n"
      "BAD line 3: no field\n"
      "BAD line 4: field \"f\" has no valid value\n"
      "BAD line 5: time \"1\" is not nanoseconds since 1970\n"
      "a|m||gauge|f time=1000000000 interval=0 value:gauge=1\n"
      "a|m||gauge|f time=1000000000 interval=0 value:gauge=2\n");
  rmq_buf_fini(&got);
}

static void tags_and_fields_are_bounded(void **state) {
  (void)state;
  static const struct {
    int tags, fields;
    const char *want_error;
  } rows[] = {{31, 1024, NULL},
              {32, 1, "line 1: more than 32 tags"},
              {0, 1025, "line 1: more than 1024 fields"}};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf text, got;
    struct rmq_error err = {""};
    rmq_buf_init(&text, 1 << 20);
    rmq_buf_append_text(&text, "m,host=a");
    for (int k = 0; k < rows[i].tags; k++)
      rmq_buf_appendf(&text, ",t%d=%d", k, k);
    for (int k = 0; k < rows[i].fields; k++)
      rmq_buf_appendf(&text, "%cf%d=%d", k == 0 ? ' ' : ',', k, k);
    rmq_buf_append_text(&text, NS);
    int rc = decode(rmq_buf_text(&text), &got, &err);
    assert_int_equal(rc, rows[i].want_error == NULL ? 0 : -1);
    assert_string_equal(err.text,
                        rows[i].want_error == NULL ? "" : rows[i].want_error);
    rmq_buf_fini(&text);
    rmq_buf_fini(&got);
  }
}

static void count_sample(void *ctx, const struct rmq_sample *s) {
  (void)s;
  (*(size_t *)ctx)++;
}

static void without_memory_nothing_is_delivered(void **state) {
  (void)state;
  static const char text[] = "cpu,host=h,type=gauge value=1" NS "\n"
                             "disk,host=a,path=/ free=1,used=2" NS;
  size_t n = 1;
  for (;; n++) {
    size_t delivered = 0;
    struct rmq_error err = {""};
    alloc_fail_at(n);
    int rc = fake_decode(&rmq_codec_influx, text, sizeof(text) - 1,
                         count_sample, &delivered, &err);
    if (!alloc_works_again()) {
      assert_int_equal(rc, 0);
      assert_int_equal(delivered, 3);
      break;
    }
    assert_int_equal(rc, RMQ_CODEC_NO_MEMORY);
    assert_int_equal(delivered, 0);
    assert_true(rmq_error_is_set(&err));
  }
  assert_true(n > 5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lines_become_samples),
      cmocka_unit_test(a_message_is_lines),
      cmocka_unit_test(mistakes_are_named_and_nothing_is_delivered),
      cmocka_unit_test(a_bad_line_does_not_void_the_others),
      cmocka_unit_test(tags_and_fields_are_bounded),
      cmocka_unit_test(without_memory_nothing_is_delivered),
  };
  return run_all(tests);
}
