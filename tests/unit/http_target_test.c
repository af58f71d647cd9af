/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/http_target.h"

#include "tests/testing.h"

#include "common/base/prng.h"
#include "common/base/utf8.h"

#include <string.h>

/* Segments in <>, parameters as name=value;, "-" when it is refused. */
static void say(const char *bytes, char *text, size_t size) {
  static struct rmq_http_target t;
  struct rmq_error err = {.text = ""};
  if (rmq_http_target_parse(bytes, &t, &err) != 0) {
    assert_true(rmq_error_is_set(&err));
    snprintf(text, size, "-");
    return;
  }
  size_t n = 0;
  text[0] = '\0';
  for (size_t i = 0; i < t.segments_count; i++)
    n += (size_t)snprintf(text + n, size - n, "<%s>", t.segments[i]);
  for (size_t i = 0; i < t.parameters_count; i++)
    n += (size_t)snprintf(text + n, size - n, "%s=%s;", t.parameters[i].name,
                          t.parameters[i].value);
}

static void targets_are_taken_apart_and_nothing_is_repaired(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *want;
  } rows[] = {
      {"/", "<>"},
      {"/health", "<health>"},
      {"/publish/amq.topic/a.b?wait=confirm&timeout=5",
       "<publish><amq.topic><a.b>wait=confirm;timeout=5;"},
      {"/publish/e/a%2Fb%25%3F", "<publish><e><a/b%?>"},
      {"/publish/e/", "<publish><e><>"},
      {"/publish//k", "<publish><><k>"},
      {"/a%20b+c?d+e=f%2Bg", "<a b+c>d e=f+g;"},
      {"/x?", "<x>"},
      {"/x?a", "<x>a=;"},
      {"/x?a=b=c", "<x>a=b=c;"},
      {"/x?a%3Db=c", "<x>a=b=c;"},
      {"/\xc3\xa9/%C3%A9", "<\xc3\xa9><\xc3\xa9>"},
      {"/../%2e%2e", "<..><..>"},
      {"", "-"},
      {"x", "-"},
      {"*", "-"},
      {"http://h/x", "-"},
      {"/%", "-"},
      {"/%2", "-"},
      {"/%2g", "-"},
      {"/%-1", "-"},
      {"/%00", "-"},
      {"/x?a=%00", "-"},
      {"/%ff", "-"},
      {"/%c3/%a9", "-"},
      {"/a b", "-"},
      {"/a\nb", "-"},
      {"/a#b", "-"},
      {"/\x7f", "-"},
      {"/x?a=1&a=2", "-"},
      {"/x?a=1&%61=2", "-"},
      {"/1/2/3/4/5/6/7/8", "<1><2><3><4><5><6><7><8>"},
      {"/1/2/3/4/5/6/7/8/9", "-"},
      {"/x?1&2&3&4&5&6&7&8&9&a&b&c&d&e&f&g&h", "-"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char text[1000];
    SHOW_ROW("%s", rows[i].want);
    say(rows[i].bytes, text, sizeof(text));
    assert_string_equal(text, rows[i].want);
  }
}

static void a_target_is_as_long_as_it_may_be_and_no_longer(void **state) {
  (void)state;
  static char bytes[RMQ_HTTP_TARGET_MAX + 2];
  static struct rmq_http_target t;
  struct rmq_error err = {.text = ""};
  memset(bytes, 'x', sizeof(bytes) - 1);
  bytes[0] = '/';
  assert_int_equal(rmq_http_target_parse(bytes, &t, &err), -1);
  bytes[RMQ_HTTP_TARGET_MAX] = '\0';
  assert_int_equal(rmq_http_target_parse(bytes, &t, &err), 0);
  assert_int_equal(strlen(t.segments[0]), RMQ_HTTP_TARGET_MAX - 1);
}

static void a_parameter_that_is_not_there_is_null(void **state) {
  (void)state;
  static struct rmq_http_target t;
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_http_target_parse("/x?wait=confirm", &t, &err), 0);
  assert_string_equal(rmq_http_target_parameter(&t, "wait"), "confirm");
  assert_null(rmq_http_target_parameter(&t, "wai"));
  assert_null(rmq_http_target_parameter(&t, "timeout"));
}

/* Whatever comes: no byte beyond the text is touched, and what is handed out is
 * UTF-8 without a NUL in it. */
static void hostile_targets_are_survived(void **state) {
  (void)state;
  struct rmq_prng prng = {property_seed(20261123)};
  static const char alphabet[] = "//%%%?&=+0123456789abcdefABCDEF.\xc3\xa9\xff";
  for (unsigned round = 0; round < property_rounds(20000); round++) {
    char bytes[200] = "/";
    size_t len = 1 + rmq_prng_below(&prng, sizeof(bytes) - 2);
    for (size_t i = 1; i < len; i++)
      bytes[i] = alphabet[rmq_prng_below(&prng, sizeof(alphabet) - 1)];
    bytes[len] = '\0';
    struct rmq_http_target *t = malloc(sizeof(*t));
    struct rmq_error err = {.text = ""};
    assert_non_null(t);
    if (rmq_http_target_parse(bytes, t, &err) == 0) {
      size_t sum = 0;
      for (size_t i = 0; i < t->segments_count; i++) {
        sum += strlen(t->segments[i]);
        assert_true(rmq_utf8_is_valid(t->segments[i], strlen(t->segments[i])));
      }
      for (size_t i = 0; i < t->parameters_count; i++)
        sum += strlen(t->parameters[i].name) + strlen(t->parameters[i].value);
      assert_true(sum <= len);
    }
    free(t);
  }
}

static void only_names_of_this_host_are_its_own(void **state) {
  (void)state;
  static const struct {
    const char *host;
    bool want;
  } rows[] = {
      {NULL, true},
      {"localhost", true},
      {"LocalHost:8080", true},
      {"127.0.0.1", true},
      {"127.0.0.1:9100", true},
      {"192.168.1.2:9100", true},
      {"[::1]", true},
      {"[::1]:9100", true},
      {"", false},
      {":80", false},
      {"evil.example", false},
      {"evil.example:9100", false},
      {"localhost.evil.example", false},
      {"127.0.0.1.evil.example", false},
      {"[::1].evil.example", false},
      {"[::1", false},
      {"127.0.0.1:80:evil", false},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].host == NULL ? "(none)" : rows[i].host);
    assert_true(rmq_http_host_is_own(rows[i].host) == rows[i].want);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(targets_are_taken_apart_and_nothing_is_repaired),
      cmocka_unit_test(a_target_is_as_long_as_it_may_be_and_no_longer),
      cmocka_unit_test(a_parameter_that_is_not_there_is_null),
      cmocka_unit_test(hostile_targets_are_survived),
      cmocka_unit_test(only_names_of_this_host_are_its_own),
  };
  return run_all(tests);
}
