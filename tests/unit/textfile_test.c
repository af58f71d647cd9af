/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/textfile.h"

#include "tests/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct fixture {
  char directory[64];
  char path[128], temporary[128];
};

static void set_up(struct fixture *f) {
  snprintf(f->directory, sizeof(f->directory), "/tmp/textfile_test.XXXXXX");
  assert_non_null(mkdtemp(f->directory));
  snprintf(f->path, sizeof(f->path), "%s/a.prom", f->directory);
  snprintf(f->temporary, sizeof(f->temporary), "%s/a.prom.tmp", f->directory);
}

static void tear_down(struct fixture *f) {
  unlink(f->path);
  assert_int_equal(rmdir(f->directory), 0); /* nothing else is left */
}

static void read_back(const struct fixture *f, char *text, size_t size) {
  FILE *file = fopen(f->path, "re");
  assert_non_null(file);
  size_t n = fread(text, 1, size - 1, file);
  text[n] = '\0';
  fclose(file);
}

static void the_file_is_replaced_and_everybody_may_read_it(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  char text[64];
  struct stat st;
  set_up(&f);
  mode_t before = umask(077);
  assert_int_equal(rmq_textfile_write(f.path, "a longer one\n", 13, &err), 0);
  assert_int_equal(rmq_textfile_write(f.path, "two\n", 4, &err), 0);
  umask(before);
  read_back(&f, text, sizeof(text));
  assert_string_equal(text, "two\n");
  assert_int_equal(stat(f.path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0644);
  tear_down(&f);
}

static void what_a_killed_process_left_is_in_nobodys_way(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  char text[64];
  set_up(&f);
  assert_int_equal(symlink("/nonexistent/file", f.temporary), 0);
  assert_int_equal(rmq_textfile_write(f.path, "x\n", 2, &err), 0);
  read_back(&f, text, sizeof(text));
  assert_string_equal(text, "x\n");
  tear_down(&f);
}

static void
a_file_that_cannot_be_written_is_an_error_with_its_name(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_error err = {.text = ""};
  set_up(&f);
  assert_int_equal(mkdir(f.path, 0700), 0); /* a directory of that name */
  assert_int_equal(rmq_textfile_write(f.path, "x\n", 2, &err), -1);
  assert_non_null(strstr(err.text, "a.prom"));
  assert_int_equal(access(f.temporary, F_OK), -1);
  assert_int_equal(rmdir(f.path), 0);
  err.text[0] = '\0';
  assert_int_equal(rmq_textfile_write("/nonexistent/a", "x", 1, &err), -1);
  assert_non_null(strstr(err.text, "No such file"));
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_file_is_replaced_and_everybody_may_read_it),
      cmocka_unit_test(what_a_killed_process_left_is_in_nobodys_way),
      cmocka_unit_test(a_file_that_cannot_be_written_is_an_error_with_its_name),
  };
  return run_all(tests);
}
