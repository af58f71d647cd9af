/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/exposition.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>

/* Writes down what it is told: "family{label=value;}number\n", families being
 * the names that begin with 'w'. */
struct book {
  char text[4000];
  size_t len;
  char families[10][RMQ_EXPOSITION_LINE_MAX + 1];
  int families_count, asked;
};

static struct book book;
static struct rmq_exposition x;

__attribute__((format(printf, 1, 2))) static void note(const char *format,
                                                       ...) {
  va_list args;
  va_start(args, format);
  book.len += (size_t)vsnprintf(book.text + book.len,
                                sizeof(book.text) - book.len, format, args);
  va_end(args);
  assert_true(book.len < sizeof(book.text));
}

static int find(void *ctx, struct rmq_exposition_text name) {
  assert_ptr_equal(ctx, &book);
  book.asked++;
  if (name.bytes[0] != 'w')
    return -1;
  assert_true(book.families_count < 10);
  memcpy(book.families[book.families_count], name.bytes, name.len);
  book.families[book.families_count][name.len] = '\0';
  return book.families_count++;
}

static void take(void *ctx, const struct rmq_exposition_sample *s) {
  assert_ptr_equal(ctx, &book);
  note("%s{", book.families[s->family]);
  for (size_t i = 0; i < s->labels_count; i++)
    note("%.*s=%.*s;", (int)s->labels[i].name.len, s->labels[i].name.bytes,
         (int)s->labels[i].value.len, s->labels[i].value.bytes);
  if (isnan(s->value))
    note("}nan\n");
  else
    note("}%g\n", s->value);
}

static void begin(bool is_raw) {
  const struct rmq_exposition_sink sink = {&book, find, take};
  memset(&book, 0, sizeof(book));
  rmq_exposition_init(&x, &sink, is_raw);
}

static void read_all(bool is_raw, const char *text) {
  begin(is_raw);
  rmq_exposition_feed(&x, text, strlen(text));
  rmq_exposition_end(&x);
}

struct line_row {
  const char *name, *text, *want;
  unsigned want_malformed;
};

static void check(const struct line_row *rows, size_t count, bool is_raw) {
  for (size_t i = 0; i < count; i++) {
    SHOW_ROW("%s", rows[i].name);
    read_all(is_raw, rows[i].text);
    assert_string_equal(book.text, rows[i].want);
    assert_int_equal(x.malformed, rows[i].want_malformed);
    /* in one byte pieces it is the same */
    begin(is_raw);
    for (const char *at = rows[i].text; *at != '\0'; at++)
      rmq_exposition_feed(&x, at, 1);
    rmq_exposition_end(&x);
    assert_string_equal(book.text, rows[i].want);
    assert_int_equal(x.malformed, rows[i].want_malformed);
  }
}

static void a_line_is_a_sample_or_nothing(void **state) {
  (void)state;
  static const struct line_row rows[] = {
      {"nothing", "", "", 0},
      {"bare", "w 5\n", "w{}5\n", 0},
      {"no line feed at the end", "w 5\nw 6", "w{}5\nw{}6\n", 0},
      {"labels", "w{a=\"1\",b=\"x y\"} 1.35e-4\n", "w{a=1;b=x y;}0.000135\n",
       0},
      {"no labels in braces", "w{} 1\n", "w{}1\n", 0},
      {"comma at the end", "w{a=\"1\",} 1\n", "w{a=1;}1\n", 0},
      {"blanks", " w { a = \"1\" , b=\"\" }\t2 \r\n", "w{a=1;b=;}2\n", 0},
      {"timestamp", "w 5 1700000000000\nw 6 -1\n", "w{}5\nw{}6\n", 0},
      {"escapes", "w{a=\"q\\\"b\\\\n\\n.\\x\"} 1\n", "w{a=q\"b\\n\n.\\x;}1\n",
       0},
      {"braces in a value", "w{a=\"}{\",b=\"},\"} 1\n", "w{a=}{;b=},;}1\n", 0},
      {"comments",
       "# HELP w text {a=\"1\"} 5\n# TYPE w counter\n#\n# EOF\n\nw 1\n",
       "w{}1\n", 0},
      {"not wanted", "other{a=\"1\"} 5\nw 1\nx 5\n", "w{}1\n", 0},
      {"not wanted and broken", "other{a= 5\n", "", 0},
      {"no number", "w\nw \nw{a=\"1\"}\n", "", 3},
      {"hexadecimal, words, two numbers", "w 0x5\nw true\nw U\nw 5 6 7\n", "",
       4},
      {"timestamp that is none", "w 5 now\nw 5 1.5\n", "", 2},
      {"value without its end", "w{a=\"1} 5\n", "", 1},
      {"escape at the end", "w{a=\"1\\", "", 1},
      {"no name", "{a=\"1\"} 5\n5 5\n", "", 2},
      {"label without a name", "w{=\"1\"} 5\n", "", 1},
      {"label without quotes", "w{a=1} 5\n", "", 1},
      {"no comma", "w{a=\"1\"b=\"2\"} 5\n", "", 1},
      {"the same label twice", "w{a=\"1\",a=\"2\"} 5\n", "", 1},
      {"glued", "w{a=\"1\"}5\n", "w{a=1;}5\n", 0},
      {"one bad line is one line", "w{ 5\nw 1\n", "w{}1\n", 1},
  };
  check(rows, COUNT_OF(rows), false);
}

static void names_without_escapes_are_read_where_they_are_usual(void **state) {
  (void)state;
  static const struct line_row rows[] = {
      {"plain", "w{v=\"/\",q=\"a\"} 1\n", "w{v=/;q=a;}1\n", 0},
      {"bare", "w 5\n", "w{}5\n", 0},
      {"quotes", "w{v=\"/\",q=\"say \"hi\"\"} 1\n", "w{v=/;q=say \"hi\";}1\n",
       0},
      {"backslashes stay", "w{v=\"\\n\",q=\"a\\\"} 1\n", "w{v=\\n;q=a\\;}1\n",
       0},
      {"a brace", "w{v=\"/\",q=\"a\"} 7\"} 1\n", "w{v=/;q=a\"} 7;}1\n", 0},
      {"a comma", "w{v=\"/\",q=\"a\",b\"} 1\n", "w{v=/;q=a\",b;}1\n", 0},
      {"what looks like another label", "w{v=\"/\",q=\"a\",q=\"b\"} 1\n", "",
       1},
      {"vhost that looks like a queue", "w{v=\"x\",q=\"y\",q=\"z\"} 1\n", "",
       1},
      {"no brace at the end", "w{v=\"/\" 1\n", "", 1},
  };
  check(rows, COUNT_OF(rows), true);
}

static void every_number_of_the_format_is_read(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
  } rows[] = {
      {"0", "0"},          {"-1.5", "-1.5"},    {"+3", "3"},    {"1e3", "1000"},
      {"5.0e10", "5e+10"}, {"NaN", "nan"},      {"nan", "nan"}, {"+Inf", "inf"},
      {"-Inf", "-inf"},    {"Infinity", "inf"}, {".5", "0.5"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char text[60], want[60];
    SHOW_ROW("%s", rows[i].text);
    snprintf(text, sizeof(text), "w %s\n", rows[i].text);
    snprintf(want, sizeof(want), "w{}%s\n", rows[i].want);
    read_all(false, text);
    assert_string_equal(book.text, want);
  }
}

static void a_family_is_asked_for_once_in_a_row(void **state) {
  (void)state;
  read_all(false, "w 1\nw{a=\"1\"} 2\n# x\nw 3\nother 1\nother 2\nw 4\n");
  assert_int_equal(book.asked, 3);
  assert_string_equal(book.text, "w{}1\nw{a=1;}2\nw{}3\nw{}4\n");
  assert_int_equal(x.taken, 4);
}

static void a_name_longer_than_what_is_remembered_is_read(void **state) {
  (void)state;
  char text[2 * RMQ_EXPOSITION_NAME_MAX + 20] = {0};
  memset(text, 'w', RMQ_EXPOSITION_NAME_MAX);
  snprintf(text + RMQ_EXPOSITION_NAME_MAX, 20, " 1\nw 2\n");
  read_all(false, text);
  assert_int_equal(x.taken, 2);
  assert_int_equal(book.asked, 2);
}

static void lines_up_to_the_maximum_are_read_and_no_longer_ones(void **state) {
  (void)state;
  static char text[3 * RMQ_EXPOSITION_LINE_MAX];
  for (size_t piece = 1; piece < 20000; piece *= 7) {
    for (size_t over = 0; over < 2; over++) {
      /* a value as long as the line allows, and one byte more */
      size_t value = RMQ_EXPOSITION_LINE_MAX - strlen("other{a=\"\"} 1") + over;
      size_t len = (size_t)snprintf(text, sizeof(text), "other{a=\"");
      memset(text + len, '\\', value);
      len += value;
      len += (size_t)snprintf(text + len, sizeof(text) - len, "\"} 1\nw 2\n");
      begin(false);
      for (size_t at = 0; at < len; at += piece)
        rmq_exposition_feed(&x, text + at, len - at < piece ? len - at : piece);
      rmq_exposition_end(&x);
      assert_string_equal(book.text, "w{}2\n");
      assert_int_equal(x.malformed, over);
    }
  }
}

static void more_labels_than_the_maximum_are_refused(void **state) {
  (void)state;
  for (size_t n = RMQ_EXPOSITION_LABELS_MAX; n < RMQ_EXPOSITION_LABELS_MAX + 2;
       n++) {
    char text[600] = "w{";
    for (size_t i = 0; i < n; i++)
      snprintf(text + strlen(text), 20, "l%zu=\"\",", i);
    strcat(text, "} 1\n");
    read_all(false, text);
    assert_int_equal(x.taken, n == RMQ_EXPOSITION_LABELS_MAX);
    assert_int_equal(x.malformed, n > RMQ_EXPOSITION_LABELS_MAX);
  }
}

static void a_label_is_found_by_its_whole_name(void **state) {
  (void)state;
  const struct rmq_exposition_label labels[] = {{{"queue2", 6}, {"no", 2}},
                                                {{"queue", 5}, {"yes", 3}}};
  const struct rmq_exposition_sample s = {.labels = labels, .labels_count = 2};
  assert_ptr_equal(rmq_exposition_label(&s, "queue"), &labels[1].value);
  assert_null(rmq_exposition_label(&s, "que"));
  assert_null(rmq_exposition_label(&s, "vhost"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_line_is_a_sample_or_nothing),
      cmocka_unit_test(names_without_escapes_are_read_where_they_are_usual),
      cmocka_unit_test(every_number_of_the_format_is_read),
      cmocka_unit_test(a_family_is_asked_for_once_in_a_row),
      cmocka_unit_test(a_name_longer_than_what_is_remembered_is_read),
      cmocka_unit_test(lines_up_to_the_maximum_are_read_and_no_longer_ones),
      cmocka_unit_test(more_labels_than_the_maximum_are_refused),
      cmocka_unit_test(a_label_is_found_by_its_whole_name),
  };
  return run_all(tests);
}
