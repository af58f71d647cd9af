/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/secret.h"

#include "tests/testing.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/rmq_secret.XXXXXX";
static char path[64];

static void write_file(const char *bytes, size_t len) {
  FILE *f = fopen(path, "wb");
  assert_non_null(f);
  assert_int_equal(fwrite(bytes, 1, len, f), len);
  fclose(f);
}

static void the_first_line_is_the_secret(void **state) {
  (void)state;
  static const struct {
    const char *bytes;
    size_t len;
    const char *want; /* NULL = an error */
  } rows[] = {
      {"s3cret\n", 7, "s3cret"},
      {"s3cret", 6, "s3cret"},
      {"s3cret\r\nmore\n", 13, "s3cret"},
      {" with spaces \n", 14, " with spaces "},
      {"$x${y}\n", 7, "$x${y}"},
      {"", 0, NULL},
      {"\n", 1, NULL},
      {"\r\n", 2, NULL},
      {"nul\0inside\n", 11, NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    struct rmq_error err = {.text = ""};
    char *secret = NULL;
    write_file(rows[i].bytes, rows[i].len);
    int rc = rmq_secret_read(path, &secret, &err);
    assert_int_equal(rc, rows[i].want == NULL ? -1 : 0);
    assert_int_equal(rmq_error_is_set(&err), rc != 0);
    if (rows[i].want == NULL)
      assert_null(secret);
    else
      assert_string_equal(secret, rows[i].want);
    rmq_secret_free(secret);
  }
}

static void length_has_its_limit(void **state) {
  (void)state;
  static char bytes[5001];
  memset(bytes, 'x', sizeof(bytes));
  char *secret = NULL;
  struct rmq_error err = {.text = ""};
  write_file(bytes, 4096);
  assert_int_equal(rmq_secret_read(path, &secret, &err), 0);
  assert_int_equal(strlen(secret), 4096);
  rmq_secret_free(secret);
  secret = NULL;
  write_file(bytes, 5000);
  assert_int_equal(rmq_secret_read(path, &secret, &err), -1);
  assert_null(secret);
  assert_null(strstr(err.text, "xxx"));
}

static void what_cannot_be_read_is_named_with_its_reason(void **state) {
  (void)state;
  char *secret = NULL;
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_secret_read("/nonexistent/x", &secret, &err), -1);
  assert_string_equal(
      err.text,
      "the file \"/nonexistent/x\" cannot be read: No such file or directory");
  rmq_error_clear(&err);
  assert_int_equal(rmq_secret_read(dir, &secret, &err), -1);
  assert_non_null(strstr(err.text, "Is a directory"));
  rmq_secret_free(NULL);
}

static void a_fifo_without_a_writer_does_not_block(void **state) {
  (void)state;
  char *secret = NULL;
  struct rmq_error err = {.text = ""};
  unlink(path);
  assert_int_equal(mkfifo(path, 0600), 0);
  assert_int_equal(rmq_secret_read(path, &secret, &err), -1);
  unlink(path);
}

static int make_dir(void **state) {
  (void)state;
  if (mkdtemp(dir) == NULL)
    return -1;
  snprintf(path, sizeof(path), "%s/secret", dir);
  return 0;
}

static int remove_dir(void **state) {
  (void)state;
  unlink(path);
  return rmdir(dir);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_first_line_is_the_secret),
      cmocka_unit_test(length_has_its_limit),
      cmocka_unit_test(what_cannot_be_read_is_named_with_its_reason),
      cmocka_unit_test(a_fifo_without_a_writer_does_not_block),
  };
  cmocka_set_message_output(CM_OUTPUT_TAP);
  return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
