/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_types.h"

#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

static char path[] = "host_types_test.XXXXXX";

static void write_file(const char *text) {
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  assert_int_equal(fclose(f), 0);
}

static void sources_have_names_and_kinds(void **state) {
  (void)state;
  struct rmq_error err = {""};
  struct rmq_datum sources[RMQ_SAMPLE_VALUES_MAX];
  write_file("# types\n\nload\tshortterm:GAUGE:0:5000, midterm:GAUGE:0:U\n"
             "if_octets rx:DERIVE:0:U,tx:COUNTER:0:U\r\n"
             "twice a:GAUGE:U:U\ntwice b:ABSOLUTE:U:U");
  struct rmq_host_types *t = rmq_host_types_new(path, &err);
  assert_string_equal(err.text, "");
  struct rmq_types types = rmq_host_types_get(t);
  assert_int_equal(types.get(types.ctx, "load", sources, 64), 2);
  assert_string_equal(sources[1].name, "midterm");
  assert_int_equal(types.get(types.ctx, "if_octets", sources, 64), 2);
  assert_int_equal(sources[0].kind, RMQ_DERIVE);
  assert_int_equal(sources[1].kind, RMQ_COUNTER);
  assert_int_equal(types.get(types.ctx, "twice", sources, 64), 1);
  assert_string_equal(sources[0].name, "b");
  assert_int_equal(types.get(types.ctx, "load", sources, 1), 1);
  assert_int_equal(types.get(types.ctx, "nosuch", sources, 64), -1);
  rmq_host_types_free(t);
}

static void without_a_list_no_type_is_known(void **state) {
  (void)state;
  struct rmq_datum source;
  struct rmq_types types = rmq_host_types_get(NULL);
  assert_int_equal(types.get(types.ctx, "gauge", &source, 1), -1);
}

static void a_line_that_is_none_is_named(void **state) {
  (void)state;
  static const char *const lines[] = {"gauge", "gauge value", "gauge :GAUGE",
                                      "gauge value:FLOAT:0:U"};
  for (size_t i = 0; i < COUNT_OF(lines); i++) {
    char text[100];
    struct rmq_error err = {""};
    SHOW_ROW("%s", lines[i]);
    snprintf(text, sizeof(text), "a v:GAUGE:0:U\n%s\n", lines[i]);
    write_file(text);
    assert_null(rmq_host_types_new(path, &err));
    assert_non_null(strstr(err.text, ": line 2 is not"));
  }
}

static void a_file_that_is_missing_is_an_error(void **state) {
  (void)state;
  struct rmq_error err = {""};
  assert_null(rmq_host_types_new("/nonexistent/types.db", &err));
  assert_string_equal(err.text,
                      "/nonexistent/types.db: No such file or directory");
}

int main(void) {
  int fd = mkstemp(path);
  if (fd < 0)
    return 99;
  close(fd);
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(sources_have_names_and_kinds),
      cmocka_unit_test(without_a_list_no_type_is_known),
      cmocka_unit_test(a_line_that_is_none_is_named),
      cmocka_unit_test(a_file_that_is_missing_is_an_error),
  };
  int failed = run_all(tests);
  unlink(path);
  return failed;
}
