/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/kept_file.h"

#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/kept_file_test.XXXXXX";
static char name[128], temporary[128];

static int make_directory(void **state) {
  (void)state;
  if (mkdtemp(directory) == NULL)
    return -1;
  snprintf(name, sizeof(name), "%s/kept", directory);
  snprintf(temporary, sizeof(temporary), "%s/kept.new", directory);
  return 0;
}

static int remove_files(void **state) {
  (void)state;
  unlink(name);
  unlink(temporary);
  return 0;
}

static int remove_directory(void **state) {
  (void)state;
  return rmdir(directory);
}

static int replace(const char *text) {
  const struct rmq_kept_place place = {.directory = AT_FDCWD,
                                       .name = name,
                                       .temporary = temporary,
                                       .mode = 0600,
                                       .sync = RMQ_KEPT_SYNC_BEFORE};
  return rmq_kept_file_replace(&place, text, strlen(text));
}

static void must_hold(const char *want) {
  struct rmq_error err = {""};
  struct rmq_buf buf;
  rmq_buf_init(&buf, 64);
  assert_int_equal(rmq_kept_file_read(name, 64, &buf, &err), 0);
  assert_string_equal(rmq_buf_text(&buf), want);
  rmq_buf_fini(&buf);
}

static void what_was_written_is_read_and_replaced(void **state) {
  (void)state;
  struct stat st;
  assert_int_equal(replace("first, and longer"), 0);
  assert_int_equal(replace("second"), 0);
  must_hold("second");
  assert_int_equal(stat(name, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(access(temporary, F_OK), -1);
}

static void what_a_killed_process_left_is_in_nobodys_way(void **state) {
  (void)state;
  int fd = open(temporary, O_CREAT | O_WRONLY, 0600);
  assert_int_equal(write(fd, "half of something that was longer", 33), 33);
  close(fd);
  assert_int_equal(replace("whole"), 0);
  must_hold("whole");
}

static void no_link_is_followed(void **state) {
  (void)state;
  struct rmq_error err = {""};
  struct rmq_buf buf;
  char target[160];
  snprintf(target, sizeof(target), "%s/not-ours", directory);
  assert_int_equal(symlink(target, temporary), 0);
  assert_int_equal(replace("ours"), 0);
  assert_int_equal(access(target, F_OK), -1);
  must_hold("ours");
  assert_int_equal(unlink(name), 0);
  assert_int_equal(symlink("/etc/hostname", name), 0);
  rmq_buf_init(&buf, 64);
  assert_int_equal(rmq_kept_file_read(name, 64, &buf, &err), -1);
  assert_int_equal(buf.len, 0);
  rmq_buf_fini(&buf);
}

static void what_was_stays_when_the_new_cannot_be_written(void **state) {
  (void)state;
  assert_int_equal(replace("old"), 0);
  assert_int_equal(mkdir(temporary, 0700), 0); /* no file of that name */
  assert_int_equal(replace("new"), -1);
  assert_int_equal(errno, EEXIST);
  must_hold("old");
  assert_int_equal(rmdir(temporary), 0);
}

static void file_that_is_not_there_is_no_error(void **state) {
  (void)state;
  struct rmq_error err = {""};
  struct rmq_buf buf;
  rmq_buf_init(&buf, 64);
  assert_int_equal(rmq_kept_file_read(name, 64, &buf, &err), 1);
  assert_string_equal(err.text, "");
  rmq_buf_fini(&buf);
}

static void no_more_is_read_than_was_said(void **state) {
  (void)state;
  struct rmq_error err = {""};
  struct rmq_buf buf;
  assert_int_equal(replace("0123456789"), 0);
  rmq_buf_init(&buf, 64);
  assert_int_equal(rmq_kept_file_read(name, 4, &buf, &err), 0);
  assert_string_equal(rmq_buf_text(&buf), "0123");
  rmq_buf_fini(&buf);
}

static void pipe_in_its_place_is_not_waited_for(void **state) {
  (void)state;
  struct rmq_error err = {""};
  struct rmq_buf buf;
  assert_int_equal(mkfifo(name, 0600), 0);
  rmq_buf_init(&buf, 64);
  assert_int_equal(rmq_kept_file_read(name, 64, &buf, &err), 0);
  assert_int_equal(buf.len, 0);
  rmq_buf_fini(&buf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(what_was_written_is_read_and_replaced,
                                remove_files),
      cmocka_unit_test_teardown(what_a_killed_process_left_is_in_nobodys_way,
                                remove_files),
      cmocka_unit_test_teardown(no_link_is_followed, remove_files),
      cmocka_unit_test_teardown(what_was_stays_when_the_new_cannot_be_written,
                                remove_files),
      cmocka_unit_test_teardown(file_that_is_not_there_is_no_error,
                                remove_files),
      cmocka_unit_test_teardown(no_more_is_read_than_was_said, remove_files),
      cmocka_unit_test_teardown(pipe_in_its_place_is_not_waited_for,
                                remove_files),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
