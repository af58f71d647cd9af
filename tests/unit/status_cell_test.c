/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/status_cell.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

static void a_text_fits_its_columns_and_shows_no_control(void **state) {
  static const struct {
    const char *text;
    size_t columns;
    bool is_utf8;
    const char *want;
  } rows[] = {{"orders", 0, true, "orders"},
              {"orders", 6, true, "orders"},
              {"orders", 5, true, "orde\u2026"},
              {"orders", 5, false, "or..."},
              {"orders", 2, false, ""},
              {"", 3, true, ""},
              {"k\u00f6nig", 5, true, "k\u00f6nig"},
              {"k\u00f6nig", 5, false, "k?nig"},
              /* Clearing the screen, C0 and as C1; a bell, DEL, a new line. */
              {"a\033[2Jb", 0, true, "a?[2Jb"},
              {"a\xc2\x9b"
               "2Jb",
               0, true, "a?2Jb"},
              {"\a\x7f\n\r", 0, true, "????"},
              /* From right to left; no width; not UTF-8. */
              {"x\u202egpj.exe", 0, true, "x?gpj.exe"},
              {"x\u200by", 0, true, "x?y"},
              {"\xff\xfe", 0, true, "??"},
              {"\xed\xa0\x80", 0, true, "???"},
              /* Two columns each. */
              {"\u961f\u5217\u4e00", 5, true, "\u961f\u5217\u2026"},
              {"\u961f\u5217\u4e00", 4, true, "\u961f\u2026"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 4096);
    size_t used = rmq_status_cell_text(&out, rows[i].text, rows[i].columns,
                                       rows[i].is_utf8);
    assert_string_equal(rmq_buf_text(&out), rows[i].want);
    assert_int_equal(used, rmq_status_cell_width(rows[i].want, true));
    assert_true(rows[i].columns == 0 || used <= rows[i].columns);
    rmq_buf_fini(&out);
  }
}

static void cells_are_padded_to_their_columns(void **state) {
  struct rmq_buf out;
  (void)state;
  rmq_buf_init(&out, 4096);
  rmq_status_cell_left(&out, "\u961f", 4, true);
  rmq_buf_append_char(&out, '|');
  rmq_status_cell_right(&out, "12", 4);
  rmq_buf_append_char(&out, '|');
  rmq_status_cell_right(&out, "12345", 4);
  assert_string_equal(rmq_buf_text(&out), "\u961f  |  12|12345");
  rmq_buf_fini(&out);
}

static void figures_are_short_and_unknown_is_a_dash(void **state) {
  static const struct {
    char kind;
    double value;
    const char *want;
  } rows[] = {{'n', NAN, "-"},           {'n', 0, "0"},
              {'n', 61234, "61234"},     {'n', 999999, "999999"},
              {'n', 1e6, "1M"},          {'n', 12345678, "12.3M"},
              {'n', 5e9, "5G"},          {'n', 1e30, "1e+12E"},
              {'c', NAN, "-"},           {'c', 0, "0"},
              {'c', -0.4, "0"},          {'c', 12, "+12"},
              {'c', -1200, "-1200"},     {'c', -2.5e6, "-2.5M"},
              {'t', NAN, "-"},           {'t', 0.4, "0 s"},
              {'t', 599, "599 s"},       {'t', 600, "10 min"},
              {'t', 7200, "2 h"},        {'t', 172800, "2 d"},
              {'t', 1e12, "1.2e+07 d"},  {'b', NAN, "-"},
              {'b', 12, "12 B"},         {'b', 1536, "1.5 KiB"},
              {'b', 1 << 30, "1.0 GiB"}, {'b', 20.0 * (1 << 30), "20 GiB"},
              {'p', 41.4, "41 %"},       {'p', NAN, "-"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char text[RMQ_STATUS_FIGURE_SIZE];
    switch (rows[i].kind) {
    case 'n':
      rmq_status_cell_count(rows[i].value, false, text);
      break;
    case 'c':
      rmq_status_cell_count(rows[i].value, true, text);
      break;
    case 't':
      rmq_status_cell_time(rows[i].value, text);
      break;
    case 'b':
      rmq_status_cell_bytes(rows[i].value, text);
      break;
    default:
      rmq_status_cell_percent(rows[i].value, text);
    }
    assert_string_equal(text, rows[i].want);
  }
}

static void a_sparkline_shows_the_last_ones_from_zero(void **state) {
  static const double values[] = {900, 0, 1, NAN, 7, INFINITY, -3};
  struct rmq_buf out;
  (void)state;
  rmq_buf_init(&out, 4096);
  rmq_status_cell_sparkline(&out, values, COUNT_OF(values), 6, true);
  assert_string_equal(rmq_buf_text(&out), "\u2581\u2582 \u2588 \u2581");
  rmq_buf_clear(&out);
  rmq_status_cell_sparkline(&out, values, COUNT_OF(values), 6, false);
  assert_string_equal(rmq_buf_text(&out), "_. # _");
  rmq_buf_clear(&out);
  rmq_status_cell_sparkline(&out, values + 1, 2, 4, false);
  assert_string_equal(rmq_buf_text(&out), "  _#");
  rmq_buf_clear(&out);
  rmq_status_cell_sparkline(&out, values, 0, 3, true);
  assert_string_equal(rmq_buf_text(&out), "   ");
  rmq_buf_fini(&out);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_text_fits_its_columns_and_shows_no_control),
      cmocka_unit_test(cells_are_padded_to_their_columns),
      cmocka_unit_test(figures_are_short_and_unknown_is_a_dash),
      cmocka_unit_test(a_sparkline_shows_the_last_ones_from_zero)};
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
