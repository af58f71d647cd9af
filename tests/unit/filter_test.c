/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/filter.h"

#include "tests/testing.h"

#include <string.h>

static struct rmq_strings strings(char **items) {
  struct rmq_strings s = {.items = items};
  while (s.count < 2 && items[s.count] != NULL)
    s.count++;
  return s;
}

static void includes_and_excludes_decide_together(void **state) {
  (void)state;
  static const struct {
    const char *include[2], *exclude[2], *name;
    bool want;
  } rows[] = {
      {{NULL}, {NULL}, "any", true},
      {{"in"}, {NULL}, "in", true},
      {{"in"}, {NULL}, "into", false},
      {{"/in/"}, {NULL}, "main", true},
      {{"/^in$/"}, {NULL}, "main", false},
      {{"a", "/b/"}, {NULL}, "abc", true},
      {{NULL}, {"/^tmp\\./"}, "tmp.1", false},
      {{NULL}, {"/^tmp\\./"}, "tmpx1", true},
      {{"/x/"}, {"x1"}, "x1", false},
      {{"/x/"}, {"x1"}, "x2", true},
      {{"/"}, {NULL}, "/", true}, /* the default vhost, not a regex */
      {{"/"}, {NULL}, "a/b", false},
      {{"//"}, {NULL}, "anything", true},
      {{"/na\xc3\xafve/"}, {NULL}, "na\xc3\xafve q", true},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].name);
    char *include[2], *exclude[2];
    memcpy(include, rows[i].include, sizeof(include));
    memcpy(exclude, rows[i].exclude, sizeof(exclude));
    struct rmq_strings in = strings(include), ex = strings(exclude);
    struct rmq_error err = {.text = ""};
    struct rmq_filter *f = rmq_filter_new(&in, &ex, &err);
    assert_non_null(f);
    assert_int_equal(rmq_filter_wants(f, rows[i].name), rows[i].want);
    rmq_filter_free(f);
  }
}

static void a_wrong_expression_is_named_with_its_reason(void **state) {
  (void)state;
  char bad[] = "/a(/", good[] = "b";
  char *items[2] = {good, bad}, *none[2] = {NULL, NULL};
  struct rmq_strings in = strings(none), ex = strings(items);
  struct rmq_error err = {.text = ""};
  assert_null(rmq_filter_new(&in, &ex, &err));
  assert_non_null(strstr(err.text, "\"/a(/\" is not a regular expression"));
  struct rmq_buf errors;
  rmq_buf_init(&errors, 4096);
  assert_int_equal(rmq_filter_check("AllowHost", &in, &errors), 0);
  assert_int_equal(errors.len, 0);
  assert_int_equal(rmq_filter_check("AllowHost", &ex, &errors), -1);
  assert_non_null(
      strstr(rmq_buf_text(&errors), "option AllowHost: \"/a(/\" is not a"));
  rmq_buf_fini(&errors);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(includes_and_excludes_decide_together),
      cmocka_unit_test(a_wrong_expression_is_named_with_its_reason),
  };
  return run_all(tests);
}
