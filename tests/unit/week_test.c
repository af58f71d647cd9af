/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/week.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { MINUTE = 60, HOUR = 3600, WEEK = 7 * 24 * HOUR };
/* Sunday, 2026-11-15 0:00 UTC, which is the time zone of these tests. */
static const int64_t SUNDAY = 1794700800;

static struct rmq_week week;
static int64_t now_s;
static size_t learned;

static struct rmq_wall at(int64_t s) {
  return (struct rmq_wall){s * RMQ_NS_PER_S};
}

static void begin(int64_t s) {
  rmq_week_init(&week);
  now_s = s;
  learned = 0;
}

/* A rate every 10 s for so long. */
static void run(int64_t seconds, double rate) {
  for (int64_t end = now_s + seconds; now_s < end; now_s += 10)
    learned += rmq_week_feed(&week, rate, at(now_s)) ? 1 : 0;
}

/* Weeks whose days are 100 from 8 to 18 o'clock, else 10. */
static void run_weeks(int weeks) {
  for (int hour = 0; hour < weeks * RMQ_WEEK_HOURS; hour++)
    run(HOUR, hour % 24 >= 8 && hour % 24 < 18 ? 100 : 10);
}

static double usual(int64_t s) { return rmq_week_get(&week, at(s)); }

static void an_hour_is_silent_until_it_was_seen_in_two_weeks(void **state) {
  (void)state;
  begin(SUNDAY);
  for (int64_t end = SUNDAY + 2 * WEEK; now_s < end; run(10, 50))
    assert_true(isnan(rmq_week_drop(&week, 0, at(now_s))));
  /* the hour before is over with the first rate of the next one */
  run(20, 50);
  assert_int_equal(learned, 2 * RMQ_WEEK_HOURS);
  for (int64_t s = now_s; s < now_s + WEEK; s += 10 * MINUTE)
    assert_true(usual(s) == 50);
}

static void night_is_no_drop_and_an_outage_by_day_is(void **state) {
  (void)state;
  begin(SUNDAY);
  run_weeks(2);
  run(10, 10);
  int64_t monday = SUNDAY + 2 * WEEK + 24 * HOUR;
  assert_true(rmq_week_drop(&week, 10, at(monday + 3 * HOUR)) == 0);
  assert_true(rmq_week_drop(&week, 10, at(monday + 12 * HOUR)) == 90);
  assert_true(rmq_week_drop(&week, 120, at(monday + 12 * HOUR)) == 0);
}

static void the_edges_of_the_day_are_no_drop(void **state) {
  (void)state;
  begin(SUNDAY);
  run_weeks(2);
  run(10, 10);
  int64_t monday = SUNDAY + 2 * WEEK + 24 * HOUR;
  /* from the lower neighbour to what is usual, and back */
  assert_true(usual(monday + 8 * HOUR + 29 * MINUTE) == 10);
  assert_true(usual(monday + 8 * HOUR + 30 * MINUTE) == 100);
  assert_true(usual(monday + 17 * HOUR + 29 * MINUTE) == 100);
  assert_true(usual(monday + 17 * HOUR + 30 * MINUTE) == 10);
  /* and across the ends of the week */
  assert_true(usual(SUNDAY + 2 * WEEK) == 10);
  assert_true(usual(SUNDAY + 3 * WEEK - 1) == 10);
}

static void one_bad_week_and_one_burst_do_not_move_it(void **state) {
  (void)state;
  begin(SUNDAY);
  run(2 * WEEK, 100);
  run(WEEK, 0);
  for (int hour = 0; hour < RMQ_WEEK_HOURS; hour++) {
    run(50 * MINUTE, 100);
    run(10 * MINUTE, 100000);
  }
  run(10, 100);
  for (int64_t s = now_s; s < now_s + WEEK; s += 10 * MINUTE)
    assert_true(usual(s) == 100);
}

static void what_changed_for_good_is_usual_after_three_weeks(void **state) {
  (void)state;
  begin(SUNDAY);
  run(6 * WEEK, 100);
  run(2 * WEEK, 40);
  run(10, 40);
  assert_true(rmq_week_drop(&week, 40, at(now_s + 12 * HOUR)) == 60);
  run(WEEK, 40);
  assert_true(rmq_week_drop(&week, 40, at(now_s + 12 * HOUR)) == 0);
}

static void an_hour_that_was_hardly_measured_is_not_learned(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t first, seconds, step;
    size_t want_learned;
  } rows[] = {
      {"29 minutes", 0, 29 * MINUTE, 10, 0},
      {"31 minutes", 0, 31 * MINUTE, 10, 1},
      {"the last 29", 31 * MINUTE, 29 * MINUTE, 10, 0},
      {"four polls", 0, HOUR, 900, 1},
      {"two polls", 0, HOUR, 1800, 0},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    begin(SUNDAY);
    for (int64_t s = 0; s < rows[i].seconds; s += rows[i].step)
      rmq_week_feed(&week, 5, at(SUNDAY + rows[i].first + s));
    assert_int_equal(rmq_week_feed(&week, 5, at(SUNDAY + HOUR)),
                     rows[i].want_learned);
  }
}

static void hours_are_those_of_the_local_time(void **state) {
  (void)state;
  setenv("TZ", "XYZ-5:30", 1); /* UTC+5:30: its hours begin at half past */
  tzset();
  int64_t midnight = SUNDAY - 5 * HOUR - 30 * MINUTE;
  begin(midnight);
  run_weeks(2);
  run(10, 10);
  assert_true(usual(midnight + 2 * WEEK + 12 * HOUR) == 100);
  assert_true(usual(midnight + 2 * WEEK + 20 * HOUR) == 10);
  assert_int_equal(learned, 2 * RMQ_WEEK_HOURS);
  setenv("TZ", "UTC0", 1);
  tzset();
}

static void what_is_not_known_is_not_learned(void **state) {
  (void)state;
  begin(SUNDAY);
  run(HOUR, (double)NAN);
  run(10, 5);
  assert_int_equal(learned, 0);
  run_weeks(2);
  assert_true(isnan(rmq_week_drop(&week, (double)NAN, at(now_s + HOUR))));
}

static void a_clock_that_is_put_right_learns_nothing_wrong(void **state) {
  (void)state;
  begin(0);
  run(10 * MINUTE, 5); /* 1970, until the network is there */
  now_s = SUNDAY + 10 * MINUTE;
  run(20 * MINUTE, 5);
  now_s = SUNDAY; /* and back */
  run(5 * MINUTE, 5);
  now_s = SUNDAY + WEEK + 10 * MINUTE;
  run(HOUR, 5);
  assert_int_equal(learned, 1);
}

/* ---- text ---- */

static void write_and_read(struct rmq_week *into, int64_t later) {
  struct rmq_buf buf;
  struct rmq_error err = {""};
  rmq_buf_init(&buf, RMQ_WEEK_TEXT_MAX);
  assert_int_equal(rmq_week_write(&week, &buf, "main", at(now_s)), 0);
  rmq_week_init(into);
  if (rmq_week_read(into, rmq_buf_bytes(&buf), buf.len, "main",
                    at(now_s + later), &err) != 0)
    fail_msg("%s", err.text);
  rmq_buf_fini(&buf);
}

static void what_is_written_is_read_again(void **state) {
  (void)state;
  static struct rmq_week again;
  begin(SUNDAY);
  for (int i = 0; i < 7 * RMQ_WEEK_HOURS + 3; i++) /* the rings go round */
    run(HOUR, i * 1.25);
  run(10, 1); /* the running hour is not in the file */
  write_and_read(&again, WEEK);
  for (int64_t s = now_s; s < now_s + WEEK; s += 10 * MINUTE)
    assert_true(rmq_week_get(&again, at(s)) == usual(s));
  /* and the next to go is the oldest */
  struct rmq_week *both[] = {&week, &again};
  for (size_t i = 0; i < COUNT_OF(both); i++)
    for (int64_t s = 0; s < WEEK; s += MINUTE)
      rmq_week_feed(both[i], 1, at(now_s + s));
  for (int64_t s = now_s; s < now_s + WEEK; s += 10 * MINUTE)
    assert_true(rmq_week_get(&again, at(s)) == usual(s));
}

static void a_full_week_of_the_largest_rates_fits_into_its_file(void **state) {
  (void)state;
  static struct rmq_week again;
  begin(SUNDAY);
  run(5 * WEEK, 1e300);
  run(10, 1e300);
  write_and_read(&again, 0);
  assert_true(rmq_week_get(&again, at(now_s + HOUR)) == 1e12);
}

static void a_file_that_is_no_such_file_changes_nothing(void **state) {
  (void)state;
  static const struct {
    const char *text, *want;
  } rows[] = {
      {"", "does not begin"},
      {"warren hours of the week 2 1794700800 main\n", "does not begin"},
      {"warren hours of the week 1 1794700800", "does not begin"},
      {"warren hours of the week 1 99999999999999999999 main\n", "not begin"},
      {"warren hours of the week 1 1794700800 other\n", "another cluster"},
      {"warren hours of the week 1 1794700800 mainly\n", "another cluster"},
      {"warren hours of the week 1 1791000000 main\n", "five weeks old"},
      {"warren hours of the week 1 1794700800 main\n168 5\n", "no hour"},
      {"warren hours of the week 1 1794700800 main\n3 -5\n", "no hour"},
      {"warren hours of the week 1 1794700800 main\n3\n", "no hour"},
      {"warren hours of the week 1 1794700800 main\n3 5", "no hour"},
      {"warren hours of the week 1 1794700800 main\n3  5\n", "no hour"},
      {"warren hours of the week 1 1794700800 main\n3 5\n3 5\n", "no hour"},
      {"warren hours of the week 1 1794700800 main\n3 1 2 3 4 5 6\n",
       "no hour"},
      {"warren hours of the week 1 1794700800 main\n3 1000000000000001\n",
       "no hour"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {""};
    SHOW_ROW("%s", rows[i].want);
    begin(SUNDAY);
    run_weeks(2);
    run(10, 10);
    assert_int_equal(rmq_week_read(&week, rows[i].text, strlen(rows[i].text),
                                   "main", at(SUNDAY + WEEK), &err),
                     -1);
    if (strstr(err.text, rows[i].want) == NULL)
      fail_msg("%s", err.text);
    assert_true(usual(SUNDAY + 2 * WEEK + 12 * HOUR) == 100);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_hour_is_silent_until_it_was_seen_in_two_weeks),
      cmocka_unit_test(night_is_no_drop_and_an_outage_by_day_is),
      cmocka_unit_test(the_edges_of_the_day_are_no_drop),
      cmocka_unit_test(one_bad_week_and_one_burst_do_not_move_it),
      cmocka_unit_test(what_changed_for_good_is_usual_after_three_weeks),
      cmocka_unit_test(an_hour_that_was_hardly_measured_is_not_learned),
      cmocka_unit_test(hours_are_those_of_the_local_time),
      cmocka_unit_test(what_is_not_known_is_not_learned),
      cmocka_unit_test(a_clock_that_is_put_right_learns_nothing_wrong),
      cmocka_unit_test(what_is_written_is_read_again),
      cmocka_unit_test(a_full_week_of_the_largest_rates_fits_into_its_file),
      cmocka_unit_test(a_file_that_is_no_such_file_changes_nothing),
  };
  setenv("TZ", "UTC0", 1);
  tzset();
  return run_all(tests);
}
