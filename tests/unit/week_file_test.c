/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/week_file.h"

#include "tests/fake/host.h"
#include "tests/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct fake_host fake;
static struct rmq_week week;
static struct rmq_week_file file;
static char directory[200], path[300];

static void set_up(void) {
  struct rmq_error err = {""};
  const char *tmp = getenv("TMPDIR");
  fake_host_init(&fake);
  fake.wall.ns = 1794700800 * RMQ_NS_PER_S;
  rmq_week_init(&week);
  snprintf(directory, sizeof(directory), "%s/week_file.XXXXXX",
           tmp == NULL ? "/tmp" : tmp);
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof(path), "%s/rabbitmq_monitor-main.week", directory);
  assert_int_equal(
      rmq_week_file_init(&file, &fake.host, "main", directory, &err), 0);
}

static void tear_down(void) {
  rmq_week_file_fini(&file);
  unlink(path);
  rmdir(directory);
}

/* So many weeks of a rate. */
static void learn(int weeks, double rate) {
  for (int minute = 0; minute <= weeks * RMQ_WEEK_HOURS * 60; minute++) {
    rmq_week_feed(&week, rate, fake.wall);
    fake_host_advance(&fake, rmq_s(60));
  }
}

static void what_was_learned_survives_a_restart(void **state) {
  (void)state;
  set_up();
  rmq_week_file_load(&file, &week); /* there is none yet: no complaint */
  learn(2, 70);
  rmq_week_file_store(&file, &week);
  assert_int_equal(access(path, R_OK), 0);
  rmq_week_init(&week);
  fake_host_advance(&fake, rmq_s(24 * 3600));
  rmq_week_file_load(&file, &week);
  assert_true(rmq_week_drop(&week, 35, fake.wall) == 50);
  assert_int_equal(fake.lines_count, 0);
  tear_down();
}

static void a_file_of_no_use_is_said_and_replaced(void **state) {
  (void)state;
  set_up();
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs("nonsense\n", f);
  fclose(f);
  rmq_week_file_load(&file, &week);
  assert_int_equal(fake_host_count(&fake, "week_error"), 1);
  assert_non_null(strstr(fake.lines[0].message, path));
  learn(2, 70);
  rmq_week_file_store(&file, &week);
  rmq_week_file_load(&file, &week);
  assert_int_equal(fake.lines_count, 1);
  tear_down();
}

static void
a_directory_that_is_away_is_said_once_and_its_return_too(void **state) {
  (void)state;
  set_up();
  assert_int_equal(rmdir(directory), 0);
  for (int i = 0; i < 3; i++)
    rmq_week_file_store(&file, &week);
  assert_int_equal(fake_host_count(&fake, "week_error"), 1);
  assert_non_null(strstr(fake.lines[0].message, "No such file"));
  assert_int_equal(mkdir(directory, 0700), 0);
  rmq_week_file_store(&file, &week);
  assert_int_equal(fake_host_count(&fake, "week_stored"), 1);
  tear_down();
}

static void a_directory_that_is_away_is_said_at_the_start(void **state) {
  (void)state;
  set_up();
  rmq_week_file_load(&file, &week);
  rmq_week_file_try(&file);
  assert_int_equal(fake.lines_count, 0);
  assert_int_equal(access(path, F_OK), -1); /* it writes nothing */
  assert_int_equal(rmdir(directory), 0);
  rmq_week_file_load(&file, &week);
  rmq_week_file_try(&file);
  rmq_week_file_store(&file, &week); /* the same again */
  assert_int_equal(fake_host_count(&fake, "week_error"), 1);
  assert_non_null(strstr(fake.lines[0].message, "cannot be written"));
  assert_int_equal(mkdir(directory, 0700), 0);
  rmq_week_file_store(&file, &week);
  assert_int_equal(fake_host_count(&fake, "week_stored"), 1);
  tear_down();
}

static void something_else_in_its_place_is_not_waited_for(void **state) {
  (void)state;
  set_up();
  assert_int_equal(mkfifo(path, 0600), 0);
  rmq_week_file_load(&file, &week);
  assert_int_equal(fake_host_count(&fake, "week_error"), 1);
  rmq_week_file_store(&file, &week); /* replaces it */
  struct stat st;
  assert_int_equal(lstat(path, &st), 0);
  assert_true(S_ISREG(st.st_mode));
  tear_down();
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_learned_survives_a_restart),
      cmocka_unit_test(a_file_of_no_use_is_said_and_replaced),
      cmocka_unit_test(
          a_directory_that_is_away_is_said_once_and_its_return_too),
      cmocka_unit_test(a_directory_that_is_away_is_said_at_the_start),
      cmocka_unit_test(something_else_in_its_place_is_not_waited_for),
  };
  setenv("TZ", "UTC0", 1);
  tzset();
  return run_all(tests);
}
