/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/options.h"

#include "tests/alloc.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>

enum order { ORDERED, RANDOM };

struct config {
  char *vhost, *password, *empty;
  bool confirm;
  int64_t window, limit, any;
  double share;
  struct rmq_dur heartbeat;
  int selection, sync;
  struct rmq_strings hosts, bindings;
  struct rmq_arguments arguments;
};

static const char *const selections[] = {"ordered", "random", NULL};
static const char *const syncs[] = {"off", "1.2", "always", NULL};

#define ROW(n, t, f, ...)                                                      \
  { .name = n, .type = t, .offset = offsetof(struct config, f), __VA_ARGS__ }
static const struct rmq_option table[] = {
    ROW("VHost", RMQ_OPT_STRING, vhost, .default_value = "/"),
    ROW("Empty", RMQ_OPT_STRING, empty, .default_value = NULL),
    ROW("Password", RMQ_OPT_SECRET, password, .default_value = "guest"),
    ROW("Confirm", RMQ_OPT_BOOLEAN, confirm, .default_value = "true"),
    ROW("ConfirmWindow", RMQ_OPT_INTEGER, window, .default_value = "256",
        .min = 1, .max = 65535, .unit = "messages"),
    ROW("Any", RMQ_OPT_INTEGER, any, .min = -9.3e18, .max = 9.3e18),
    ROW("Share", RMQ_OPT_NUMBER, share, .max = 100, .unit = "percent"),
    ROW("SendQueueBytes", RMQ_OPT_BYTES, limit, .default_value = "64MiB",
        .min = 1024),
    ROW("Heartbeat", RMQ_OPT_DURATION, heartbeat, .alias = "KeepAlive",
        .default_value = "30s", .max = 3600),
    ROW("HostSelection", RMQ_OPT_ENUM, selection, .default_value = "random",
        .choices = selections),
    ROW("SpoolSync", RMQ_OPT_ENUM, sync, .choices = syncs),
    ROW("Host", RMQ_OPT_LIST, hosts, .default_value = "localhost"),
    ROW("RoutingKey", RMQ_OPT_LIST, bindings, .default_value = NULL),
    ROW("QueueArgument", RMQ_OPT_ARGUMENTS, arguments, .default_value = NULL),
    RMQ_OPTIONS_END,
};

static const char *fake_env(const char *name) {
  if (strcmp(name, "PORT") == 0)
    return "17";
  if (strcmp(name, "PW") == 0)
    return "s3cret";
  return NULL;
}

#define STR(s)                                                                 \
  { .kind = RMQ_VALUE_STRING, .string = s }
#define NUM(n)                                                                 \
  { .kind = RMQ_VALUE_NUMBER, .number = n }
#define BOOL(b)                                                                \
  { .kind = RMQ_VALUE_BOOLEAN, .boolean = b }

static int setup(void **state) {
  static struct config c;
  memset(&c, 0xa5, sizeof(c)); /* init must not read what was there */
  struct rmq_error err = {.text = ""};
  *state = &c;
  return rmq_options_init(table, &c, &err);
}
static int teardown(void **state) {
  rmq_options_fini(table, *state);
  return 0;
}

static int set(struct config *c, const char *name, struct rmq_option_value v,
               struct rmq_error *err) {
  return rmq_options_set(table, c, name, &v, 1, fake_env, err);
}
#define SET(c, name, ...)                                                      \
  set(c, name, (struct rmq_option_value)__VA_ARGS__, NULL)

static void defaults_are_those_of_the_table(void **state) {
  struct config *c = *state;
  assert_string_equal(c->vhost, "/");
  assert_null(c->empty);
  assert_string_equal(c->password, "guest");
  assert_true(c->confirm);
  assert_true(c->window == 256);
  assert_true(c->any == 0);
  assert_true(isnan(c->share));
  assert_true(c->limit == 64 * 1024 * 1024);
  assert_true(c->heartbeat.ns == 30 * RMQ_NS_PER_S);
  assert_int_equal(c->selection, RANDOM);
  assert_int_equal(c->sync, 0);
  assert_int_equal(c->hosts.count, 1);
  assert_string_equal(c->hosts.items[0], "localhost");
  assert_int_equal(c->bindings.count, 0);
  assert_int_equal(c->arguments.count, 0);
}

static void a_bad_default_is_an_error_and_leaves_nothing(void **state) {
  (void)state;
  static const struct rmq_option bad[] = {
      ROW("VHost", RMQ_OPT_STRING, vhost, .default_value = "/"),
      ROW("ConfirmWindow", RMQ_OPT_INTEGER, window, .default_value = "0",
          .min = 1),
      RMQ_OPTIONS_END,
  };
  struct config c;
  struct rmq_error err = {.text = ""};
  assert_int_equal(rmq_options_init(bad, &c, &err), -1);
  assert_non_null(strstr(err.text, "ConfirmWindow"));
  assert_null(c.vhost);
}

static void
texts_take_what_the_configuration_language_makes_of_them(void **state) {
  struct config *c = *state;
  static const struct {
    const char *option;
    struct rmq_option_value value;
    const char *want; /* NULL = refused */
  } rows[] = {
      {"VHost", STR("a b"), "a b"},
      {"vhost", STR(""), ""},
      {"VHost", STR("v${PORT}${X:y}$$"), "v17y$"},
      {"VHost", NUM(12345), "12345"},
      {"VHost", NUM(-0.0), "0"},
      {"VHost", NUM(1.5), "1.5"},
      {"VHost", NUM(9007199254740992.0), "9007199254740992"},
      {"VHost", NUM(-9007199254740992.0), "-9007199254740992"},
      {"VHost", NUM(9007199254740994.0), NULL},
      {"VHost", NUM(-9007199254740994.0), NULL},
      {"VHost", NUM(1e300), NULL},
      {"VHost", NUM(NAN), NULL},
      {"VHost", BOOL(true), NULL},
      {"VHost", STR("${NONE}"), NULL},
      {"Password", STR("p w"), "p w"},
      {"Password", STR("${PW}!"), "s3cret!"},
      {"Password", NUM(12345), "12345"},
      {"Password", NUM(1.5), NULL},
      {"Password", NUM(18014398509481984.0), NULL},
      {"Password", BOOL(false), NULL},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char **field =
        strcasecmp(rows[i].option, "VHost") == 0 ? &c->vhost : &c->password;
    char *before = *field;
    struct rmq_error err = {.text = ""};
    SHOW_ROW("row %zu", i);
    assert_int_equal(set(c, rows[i].option, rows[i].value, &err),
                     rows[i].want == NULL ? -1 : 0);
    if (rows[i].want == NULL) {
      assert_ptr_equal(*field, before);
      assert_non_null(strstr(err.text, rows[i].option));
    } else {
      assert_string_equal(*field, rows[i].want);
    }
  }
}

static void nothing_of_a_secret_is_repeated(void **state) {
  struct config *c = *state;
  static const struct rmq_option_value secrets[] = {
      STR("hush${hush"), STR("hush${hush}"), STR("${hush!}hush"), NUM(0.777),
      BOOL(true)};
  for (size_t i = 0; i < COUNT_OF(secrets); i++) {
    struct rmq_error err = {.text = ""};
    assert_int_equal(set(c, "Password", secrets[i], &err), -1);
    SHOW_ROW("%s", err.text);
    assert_null(strstr(err.text, "hush"));
    assert_null(strstr(err.text, "777"));
    assert_null(strstr(err.text, "true"));
    assert_string_equal(c->password, "guest");
  }
  struct rmq_error err = {.text = ""};
  static const struct rmq_option_value two[] = {STR("hush"), STR("hush")};
  assert_int_equal(
      rmq_options_set(table, c, "Password", two, 2, fake_env, &err), -1);
  assert_null(strstr(err.text, "hush"));
}

static size_t secrets_freed;
/* "hush", or what is left of it when its first byte is wiped. */
static void look_for_secrets(const char *block, size_t size) {
  if (size > strlen("hush") && memcmp(block + 1, "ush", strlen("ush")) == 0)
    secrets_freed++;
}

static void a_secret_is_wiped_before_its_memory_is_freed(void **state) {
  struct config *c = *state;
  secrets_freed = 0;
  alloc_on_free = look_for_secrets;
  assert_int_equal(SET(c, "Password", STR("hush${PORT}")), 0);
  assert_string_equal(c->password, "hush17");
  assert_int_equal(SET(c, "Password", STR("${NONE:hush}hush")), 0);
  assert_int_equal(SET(c, "Password", STR("hush${NONE}")), -1);
  rmq_options_fini(table, c);
  assert_null(c->password);
  assert_int_equal(secrets_freed, 0);
  /* Others are not, and are seen. */
  assert_int_equal(SET(c, "VHost", STR("hush")), 0);
  rmq_options_fini(table, c);
  alloc_on_free = NULL;
  assert_in_range(secrets_freed, 1, 2);
}

static void integers_are_whole_and_in_range(void **state) {
  struct config *c = *state;
  static const struct {
    const char *option;
    struct rmq_option_value value;
    int want_rc;
    int64_t want;
  } rows[] = {
      {"ConfirmWindow", NUM(1), 0, 1},
      {"ConfirmWindow", NUM(65535), 0, 65535},
      {"ConfirmWindow", STR("77"), 0, 77},
      {"ConfirmWindow", STR("${PORT}"), 0, 17},
      {"ConfirmWindow", STR("${NONE:18}"), 0, 18},
      {"ConfirmWindow", NUM(0), -1, 4},
      {"ConfirmWindow", NUM(65536), -1, 4},
      {"ConfirmWindow", NUM(-1), -1, 4},
      {"ConfirmWindow", NUM(1.5), -1, 4},
      {"ConfirmWindow", NUM(NAN), -1, 4},
      {"ConfirmWindow", NUM(INFINITY), -1, 4},
      {"ConfirmWindow", NUM(1e30), -1, 4},
      {"ConfirmWindow", STR("1.5"), -1, 4},
      {"ConfirmWindow", STR("ten"), -1, 4},
      {"ConfirmWindow", STR(""), -1, 4},
      {"ConfirmWindow", STR("99999999999999999999"), -1, 4},
      {"ConfirmWindow", BOOL(true), -1, 4},
      {"Any", STR("9223372036854775807"), 0, INT64_MAX},
      {"Any", STR("-9223372036854775808"), 0, INT64_MIN},
      {"Any", NUM(9223372036854775808.0), -1, 4},
      {"SendQueueBytes", STR("10MB"), 0, 10000000},
      {"SendQueueBytes", STR("64KiB"), 0, 65536},
      {"SendQueueBytes", NUM(1048576), 0, 1048576},
      {"SendQueueBytes", NUM(1024), 0, 1024},
      {"SendQueueBytes", NUM(1023), -1, 4},
      {"SendQueueBytes", NUM(2000.5), -1, 4},
      {"SendQueueBytes", NUM(NAN), -1, 4},
      {"SendQueueBytes", STR("64K"), -1, 4},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    int64_t *field = strcmp(rows[i].option, "ConfirmWindow") == 0 ? &c->window
                     : strcmp(rows[i].option, "Any") == 0         ? &c->any
                                                                  : &c->limit;
    struct rmq_error err = {.text = ""};
    *field = 4;
    SHOW_ROW("row %zu", i);
    assert_int_equal(set(c, rows[i].option, rows[i].value, &err),
                     rows[i].want_rc);
    assert_true(*field == rows[i].want);
    assert_int_equal(rmq_error_is_set(&err), rows[i].want_rc != 0);
  }
}

static void numbers_may_have_a_fraction(void **state) {
  struct config *c = *state;
  static const struct {
    struct rmq_option_value value;
    int want_rc;
    double want;
  } rows[] = {
      {NUM(0), 0, 0},          {NUM(99.5), 0, 99.5}, {STR("0.5"), 0, 0.5},
      {STR("${PORT}"), 0, 17}, {NUM(100), 0, 100},   {NUM(100.5), -1, 4},
      {NUM(-1), -1, 4},        {NUM(NAN), -1, 4},    {NUM(INFINITY), -1, 4},
      {STR("1e1"), -1, 4},     {STR("5 %"), -1, 4},  {STR(""), -1, 4},
      {STR("-1"), -1, 4},      {BOOL(true), -1, 4},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {.text = ""};
    c->share = 4;
    SHOW_ROW("row %zu", i);
    assert_int_equal(set(c, "Share", rows[i].value, &err), rows[i].want_rc);
    assert_true(c->share == rows[i].want);
    if (rows[i].want_rc != 0)
      assert_non_null(strstr(err.text, "allowed: 0 to 100 percent"));
  }
}

static void durations_are_seconds_or_have_a_unit(void **state) {
  struct config *c = *state;
  static const struct {
    struct rmq_option_value value;
    int want_rc;
    int64_t want_ms;
  } rows[] = {
      {NUM(0), 0, 0},         {NUM(1.5), 0, 1500},     {STR("1.5"), 0, 1500},
      {STR("500ms"), 0, 500}, {STR("1h"), 0, 3600000}, {NUM(3600), 0, 3600000},
      {NUM(3601), -1, 4},     {NUM(-1), -1, 4},        {NUM(NAN), -1, 4},
      {NUM(1e300), -1, 4},    {STR("soon"), -1, 4},    {BOOL(true), -1, 4},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    c->heartbeat = rmq_ms(4);
    SHOW_ROW("row %zu", i);
    assert_int_equal(
        set(c, i % 2 == 0 ? "Heartbeat" : "keepalive", rows[i].value, NULL),
        rows[i].want_rc);
    assert_true(c->heartbeat.ns == rmq_ms(rows[i].want_ms).ns);
  }
}

static void booleans_may_be_in_quotes(void **state) {
  struct config *c = *state;
  static const struct {
    struct rmq_option_value value;
    int want; /* -1 = refused */
  } rows[] = {
      {BOOL(true), 1}, {BOOL(false), 0},  {STR("true"), 1}, {STR("YES"), 1},
      {STR("on"), 1},  {STR("false"), 0}, {STR("No"), 0},   {STR("off"), 0},
      {STR("1"), -1},  {STR(""), -1},     {NUM(1), -1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++)
    for (int before = 0; before < 2; before++) {
      c->confirm = before == 1;
      SHOW_ROW("row %zu", i);
      assert_int_equal(set(c, "Confirm", rows[i].value, NULL),
                       rows[i].want < 0 ? -1 : 0);
      assert_int_equal(c->confirm, rows[i].want < 0 ? before : rows[i].want);
    }
}

static void choices_are_words_even_where_they_look_like_others(void **state) {
  struct config *c = *state;
  assert_int_equal(SET(c, "HostSelection", STR("Ordered")), 0);
  assert_int_equal(c->selection, ORDERED);
  assert_int_equal(SET(c, "HostSelection", BOOL(true)), -1);
  assert_int_equal(SET(c, "HostSelection", NUM(1)), -1);
  assert_int_equal(SET(c, "HostSelection", STR("order")), -1);
  assert_int_equal(c->selection, ORDERED);
  assert_int_equal(SET(c, "SpoolSync", NUM(1.2)), 0);
  assert_int_equal(c->sync, 1);
  assert_int_equal(SET(c, "SpoolSync", BOOL(false)), 0);
  assert_int_equal(c->sync, 0);
  assert_int_equal(SET(c, "SpoolSync", BOOL(true)), -1);
}

static void the_first_use_of_a_list_replaces_its_default(void **state) {
  struct config *c = *state;
  static const struct rmq_option_value two[] = {STR("a"), STR("${PORT}")};
  assert_int_equal(rmq_options_set(table, c, "Host", two, 2, fake_env, NULL),
                   0);
  assert_int_equal(SET(c, "Host", NUM(7)), 0);
  assert_int_equal(c->hosts.count, 3);
  assert_string_equal(c->hosts.items[0], "a");
  assert_string_equal(c->hosts.items[1], "17");
  assert_string_equal(c->hosts.items[2], "7");
}

static void a_list_that_fails_is_as_it_was(void **state) {
  struct config *c = *state;
  static const struct rmq_option_value bad[] = {STR("a"), STR("${NONE}")};
  assert_int_equal(rmq_options_set(table, c, "Host", bad, 2, fake_env, NULL),
                   -1);
  assert_int_equal(rmq_options_set(table, c, "Host", bad, 0, fake_env, NULL),
                   -1);
  assert_int_equal(c->hosts.count, 1);
  assert_string_equal(c->hosts.items[0], "localhost");
  for (int i = 0; i < RMQ_OPTION_ITEMS_MAX; i++)
    assert_int_equal(SET(c, "RoutingKey", STR("k")), 0);
  struct rmq_error err = {.text = ""};
  struct rmq_option_value one_more = STR("k");
  assert_int_equal(set(c, "RoutingKey", one_more, &err), -1);
  assert_non_null(strstr(err.text, "more than 256"));
  assert_int_equal(c->bindings.count, RMQ_OPTION_ITEMS_MAX);
}

static void arguments_keep_the_type_they_were_written_with(void **state) {
  struct config *c = *state;
  static const struct rmq_option_value uses[][2] = {
      {STR("x-queue-type"), STR("quorum")},
      {STR("x-max-length"), NUM(1000)},
      {STR("x-single-active-consumer"), BOOL(true)},
      {STR("x-number-as-text"), STR("1000")},
      {STR("x-queue-type"), STR("${T:stream}")}, /* replaces the first */
  };
  for (size_t i = 0; i < COUNT_OF(uses); i++)
    assert_int_equal(
        rmq_options_set(table, c, "QueueArgument", uses[i], 2, fake_env, NULL),
        0);
  const struct rmq_argument *a = c->arguments.items;
  assert_int_equal(c->arguments.count, 4);
  assert_string_equal(a[0].name, "x-queue-type");
  assert_int_equal(a[0].type, RMQ_ARG_STRING);
  assert_string_equal(a[0].string, "stream");
  assert_int_equal(a[1].type, RMQ_ARG_INTEGER);
  assert_true(a[1].integer == 1000);
  assert_int_equal(a[2].type, RMQ_ARG_BOOLEAN);
  assert_true(a[2].boolean);
  assert_int_equal(a[3].type, RMQ_ARG_STRING);
  assert_string_equal(a[3].string, "1000");

  static const struct rmq_option_value bad[][2] = {
      {NUM(1), NUM(1)},           {STR(""), NUM(1)},
      {STR("x"), NUM(1.5)},       {STR("x"), NUM(NAN)},
      {STR("x"), STR("${NONE}")}, {STR("${NONE}"), STR("x")},
  };
  for (size_t i = 0; i < COUNT_OF(bad); i++) {
    SHOW_ROW("bad %zu", i);
    assert_int_equal(
        rmq_options_set(table, c, "QueueArgument", bad[i], 2, fake_env, NULL),
        -1);
  }
  assert_int_equal(
      rmq_options_set(table, c, "QueueArgument", uses[0], 1, fake_env, NULL),
      -1);
  assert_int_equal(c->arguments.count, 4);
}

static void
arguments_from_a_command_line_are_typed_by_their_looks(void **state) {
  struct config *c = *state;
  static const char *const texts[] = {"a=12", "b=true", "c=12x", "d=x=y",
                                      "e=9007199254740993"};
  for (size_t i = 0; i < COUNT_OF(texts); i++)
    assert_int_equal(rmq_options_set_text(table, c, "QueueArgument", texts[i],
                                          fake_env, NULL),
                     0);
  const struct rmq_argument *a = c->arguments.items;
  assert_int_equal(c->arguments.count, 5);
  assert_true(a[0].type == RMQ_ARG_INTEGER && a[0].integer == 12);
  assert_true(a[1].type == RMQ_ARG_BOOLEAN && a[1].boolean);
  assert_string_equal(a[2].string, "12x");
  assert_string_equal(a[3].string, "x=y");
  assert_string_equal(a[4].string, "9007199254740993");
  assert_int_equal(
      rmq_options_set_text(table, c, "QueueArgument", "a", fake_env, NULL), -1);
  assert_int_equal(
      rmq_options_set_text(table, c, "QueueArgument", "=1", fake_env, NULL),
      -1);
}

static void an_option_without_a_value_is_a_flag(void **state) {
  struct config *c = *state;
  c->confirm = false;
  assert_int_equal(
      rmq_options_set_text(table, c, "Confirm", NULL, fake_env, NULL), 0);
  assert_true(c->confirm);
  assert_int_equal(
      rmq_options_set_text(table, c, "VHost", NULL, fake_env, NULL), -1);
}

static void errors_name_the_option_the_value_and_what_is_allowed(void **state) {
  struct config *c = *state;
  static const struct {
    const char *option, *text, *want;
  } rows[] = {
      {"ConfirmWindow", "70000",
       "option \"ConfirmWindow\": the value \"70000\" is not allowed; "
       "allowed: 1 to 65535 messages"},
      {"HostSelection", "fastest",
       "option \"HostSelection\": the value \"fastest\" is not allowed; "
       "allowed: ordered, random"},
      {"Confirm", "maybe",
       "option \"Confirm\": the value \"maybe\" is not allowed; "
       "allowed: yes or no"},
      {"KeepAlive", "2h",
       "option \"Heartbeat\": the value \"2h\" is not allowed; "
       "allowed: 0 to 3600 seconds, also as 500ms, 30s, 5m, 2h, 1d"},
      {"SendQueueBytes", "1",
       "option \"SendQueueBytes\": the value \"1\" is not allowed; "
       "allowed: 1024 or more bytes, also as 64KiB, 10MiB, 1GiB, 10MB"},
      {"ConfirmWindwo", "1",
       "option \"ConfirmWindwo\" is not known here; did you mean "
       "\"ConfirmWindow\"?"},
      {"Colour", "1",
       "option \"Colour\" is not known here; the manual page lists those that "
       "are"},
      {"VHost", "${NONE}",
       "option \"VHost\": the environment variable NONE is not set and has no "
       "default (${NONE:default})"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {.text = ""};
    assert_int_equal(rmq_options_set_text(table, c, rows[i].option,
                                          rows[i].text, fake_env, &err),
                     -1);
    assert_string_equal(err.text, rows[i].want);
  }
  struct rmq_error err = {.text = ""};
  static const struct rmq_option_value two[] = {NUM(1), NUM(2)};
  assert_int_equal(
      rmq_options_set(table, c, "ConfirmWindow", two, 2, fake_env, &err), -1);
  assert_string_equal(err.text, "option \"ConfirmWindow\": 2 values given; "
                                "allowed: 1 to 65535 messages");
}

/* Fails the first, second, third... allocation of one use of each option that
 * owns memory, until it succeeds. */
static void without_memory_an_option_stays_as_it_was(void **state) {
  struct config *c = *state;
  static const struct rmq_option_value args[] = {STR("new"), STR("${PORT}")};
  static const struct {
    const char *option;
    size_t count;
  } uses[] = {{"VHost", 1},
              {"Password", 1},
              {"Host", 2},
              {"QueueArgument", 2},
              {"QueueArgument", 2}};
  for (size_t i = 0; i < COUNT_OF(uses); i++)
    for (size_t n = 1;; n++) {
      const struct config before = *c;
      struct rmq_error err = {.text = ""};
      alloc_fail_at(n);
      int rc = rmq_options_set(table, c, uses[i].option, args, uses[i].count,
                               fake_env, &err);
      bool has_failed = alloc_works_again();
      SHOW_ROW("%s, allocation %zu: %s", uses[i].option, n, err.text);
      if (!has_failed) {
        assert_int_equal(rc, 0);
        break;
      }
      assert_int_equal(rc, -1);
      assert_true(rmq_error_is_set(&err));
      assert_memory_equal(c, &before, sizeof(before));
      assert_in_range(n, 1, 20);
    }
  assert_string_equal(c->vhost, "new");
  assert_string_equal(c->hosts.items[1], "17");
  assert_int_equal(c->arguments.count, 1);
}

static void without_memory_there_are_no_defaults_and_no_leak(void **state) {
  (void)state;
  size_t n = 1;
  for (;; n++) {
    struct config c;
    struct rmq_error err = {.text = ""};
    alloc_fail_at(n);
    int rc = rmq_options_init(table, &c, &err);
    if (!alloc_works_again()) {
      assert_int_equal(rc, 0);
      rmq_options_fini(table, &c);
      break;
    }
    assert_int_equal(rc, -1);
    assert_true(rmq_error_is_set(&err));
  }
  assert_in_range(n, 5, 100);
}

static void every_type_says_what_it_allows(void **state) {
  (void)state;
  for (const struct rmq_option *o = table; o->name != NULL; o++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 256);
    rmq_option_allowed(o, &out);
    assert_true(out.len > 0);
    rmq_buf_fini(&out);
  }
}

static void names_become_kebab_case(void **state) {
  (void)state;
  static const struct {
    const char *name, *want;
  } rows[] = {
      {"ConfirmWindow", "confirm-window"},
      {"TLSCACert", "tls-ca-cert"},
      {"TLSEnabled", "tls-enabled"},
      {"TLSVerifyHostName", "tls-verify-host-name"},
      {"TLSMinVersion", "tls-min-version"},
      {"VHost", "vhost"},
      {"ExcludeVHost", "exclude-vhost"},
      {"MaxVHosts", "max-vhosts"},
      {"URL", "url"},
      {"MetricsURL", "metrics-url"},
      {"RPCTimeout", "rpc-timeout"},
      {"MessageTTL", "message-ttl"},
      {"CACert", "ca-cert"},
      {"XDeath", "x-death"},
      {"AppId", "app-id"},
      {"User", "user"},
      {"", ""},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_buf out;
    rmq_buf_init(&out, 256);
    rmq_option_kebab(rows[i].name, &out);
    assert_string_equal(rmq_buf_text(&out), rows[i].want);
    rmq_buf_fini(&out);
  }
}

static void rows_are_found_by_name_alias_and_kebab(void **state) {
  (void)state;
  assert_string_equal(rmq_options_find(table, "vhost")->name, "VHost");
  assert_string_equal(rmq_options_find(table, "KEEPALIVE")->name, "Heartbeat");
  assert_null(rmq_options_find(table, "confirm-window"));
  assert_null(rmq_options_find(table, ""));
  assert_string_equal(rmq_options_find_kebab(table, "confirm-window")->name,
                      "ConfirmWindow");
  assert_string_equal(rmq_options_find_kebab(table, "keep-alive")->name,
                      "Heartbeat");
  assert_null(rmq_options_find_kebab(table, "ConfirmWindow"));
  assert_null(rmq_options_find_kebab(table, ""));
}

static void every_type_has_its_text(void **state) {
  (void)state;
  static const char *const want[] = {
      "string",   "secret", "boolean", "integer",   "number", "bytes",
      "duration", "enum",   "list",    "arguments", "blocks"};
  for (int t = RMQ_OPT_STRING; t <= RMQ_OPT_BLOCKS; t++)
    assert_string_equal(rmq_option_type_to_str((enum rmq_option_type)t),
                        want[t]);
  assert_string_equal(rmq_option_type_to_str((enum rmq_option_type)77),
                      "unknown");
  assert_string_equal(rmq_argument_type_to_str(RMQ_ARG_STRING), "string");
  assert_string_equal(rmq_argument_type_to_str(RMQ_ARG_INTEGER), "integer");
  assert_string_equal(rmq_argument_type_to_str(RMQ_ARG_BOOLEAN), "boolean");
  assert_string_equal(rmq_argument_type_to_str((enum rmq_argument_type)77),
                      "unknown");
}

#define CONFIG_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      CONFIG_TEST(defaults_are_those_of_the_table),
      cmocka_unit_test(a_bad_default_is_an_error_and_leaves_nothing),
      CONFIG_TEST(texts_take_what_the_configuration_language_makes_of_them),
      CONFIG_TEST(nothing_of_a_secret_is_repeated),
      CONFIG_TEST(a_secret_is_wiped_before_its_memory_is_freed),
      CONFIG_TEST(integers_are_whole_and_in_range),
      CONFIG_TEST(numbers_may_have_a_fraction),
      CONFIG_TEST(durations_are_seconds_or_have_a_unit),
      CONFIG_TEST(booleans_may_be_in_quotes),
      CONFIG_TEST(choices_are_words_even_where_they_look_like_others),
      CONFIG_TEST(the_first_use_of_a_list_replaces_its_default),
      CONFIG_TEST(a_list_that_fails_is_as_it_was),
      CONFIG_TEST(arguments_keep_the_type_they_were_written_with),
      CONFIG_TEST(arguments_from_a_command_line_are_typed_by_their_looks),
      CONFIG_TEST(an_option_without_a_value_is_a_flag),
      CONFIG_TEST(errors_name_the_option_the_value_and_what_is_allowed),
      CONFIG_TEST(without_memory_an_option_stays_as_it_was),
      cmocka_unit_test(without_memory_there_are_no_defaults_and_no_leak),
      cmocka_unit_test(every_type_says_what_it_allows),
      cmocka_unit_test(names_become_kebab_case),
      cmocka_unit_test(rows_are_found_by_name_alias_and_kebab),
      cmocka_unit_test(every_type_has_its_text),
  };
  return run_all(tests);
}
