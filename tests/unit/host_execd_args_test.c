/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd_args.h"

#include "tests/testing.h"

#include <string.h>

struct one {
  struct rmq_strings urls;
  char *password;
  bool verify;
  struct rmq_dur interval;
};
struct two {
  int64_t max_queues;
  char *log_file;
};

static const struct rmq_option table_one[] = {
    {.name = "URL",
     .type = RMQ_OPT_LIST,
     .offset = offsetof(struct one, urls),
     .default_value = "http://localhost:15672",
     .help = "Where"},
    {.name = "Password",
     .type = RMQ_OPT_SECRET,
     .offset = offsetof(struct one, password),
     .help = "Hush"},
    {.name = "VerifyPeer",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct one, verify),
     .default_value = "true",
     .help = "Whether"},
    {.name = "Interval",
     .type = RMQ_OPT_DURATION,
     .offset = offsetof(struct one, interval),
     .default_value = "10",
     .min = 1,
     .max = 100,
     .help = "When"},
    RMQ_OPTIONS_END};
static const struct rmq_option table_two[] = {
    {.name = "MaxQueues",
     .type = RMQ_OPT_INTEGER,
     .offset = offsetof(struct two, max_queues),
     .default_value = "5000",
     .min = 0,
     .max = 10000,
     .help = "How many"},
    {.name = "LogFile",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct two, log_file),
     .help = "Nowhere"},
    RMQ_OPTIONS_END};
static const char *const not_here[] = {"LogFile", NULL};

struct fixture {
  struct one one;
  struct two two;
  struct rmq_execd_options options[3];
  struct rmq_execd_args args;
  struct rmq_error err;
};

static void set_up(struct fixture *f) {
  memset(f, 0, sizeof(*f));
  assert_int_equal(rmq_options_init(table_one, &f->one, NULL), 0);
  assert_int_equal(rmq_options_init(table_two, &f->two, NULL), 0);
  f->options[0] = (struct rmq_execd_options){"One:", table_one, &f->one};
  f->options[1] = (struct rmq_execd_options){"Two:", table_two, &f->two};
  f->args = (struct rmq_execd_args){.usage = "x",
                                    .description = "y",
                                    .options = f->options,
                                    .not_here = not_here,
                                    .epilogue = "z"};
}

static void tear_down(struct fixture *f) {
  rmq_options_fini(table_one, &f->one);
  rmq_options_fini(table_two, &f->two);
}

/* Words of one line as arguments. */
static int parse(struct fixture *f, const char *line) {
  static char text[400];
  char *argv[20], *rest = text, *word;
  int argc = 0;
  snprintf(text, sizeof(text), "monitor %s", line);
  while ((word = strsep(&rest, " ")) != NULL)
    if (word[0] != '\0')
      argv[argc++] = word;
  return rmq_execd_parse(&f->args, argc, argv, &f->err);
}

static void options_of_all_tables_are_taken(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  assert_int_equal(parse(&f, "--url http://a --max-queues 7 --url=http://b=c "
                             "--verify-peer=false --interval 5s"),
                   0);
  assert_int_equal(f.one.urls.count, 2);
  assert_string_equal(f.one.urls.items[0], "http://a");
  assert_string_equal(f.one.urls.items[1], "http://b=c");
  assert_false(f.one.verify);
  assert_int_equal(f.one.interval.ns, rmq_s(5).ns);
  assert_int_equal(f.two.max_queues, 7);
  assert_int_equal(parse(&f, "--verify-peer"), 0);
  assert_true(f.one.verify);
  tear_down(&f);
}

static void what_is_wrong_is_named(void **state) {
  (void)state;
  static const struct {
    const char *line, *want;
  } rows[] = {
      {"http://a", "\"http://a\" is not an option"},
      {"-u", "\"-u\" is not an option"},
      {"--", "\"--\" is not an option"},
      {"--urls x", "no option --urls"},
      {"--url", "--url needs a value"},
      {"--max-queues many", "MaxQueues"},
      {"--max-queues 10001", "0 to 10000"},
      {"--password x", "--password is not taken from an argument"},
      {"--password=x", "--password is not taken from an argument"},
      {"--log-file x", "no option --log-file"},
      {"--verify-peer=perhaps", "VerifyPeer"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].line);
    struct fixture f;
    set_up(&f);
    assert_int_equal(parse(&f, rows[i].line), -1);
    if (strstr(f.err.text, rows[i].want) == NULL)
      fail_msg("%s", f.err.text);
    tear_down(&f);
  }
}

static void help_is_what_the_tables_say(void **state) {
  (void)state;
  struct fixture f;
  struct rmq_buf b;
  set_up(&f);
  rmq_buf_init(&b, 10000);
  rmq_execd_help(&f.args, &b);
  const char *text = rmq_buf_text(&b);
  assert_ptr_equal(strstr(text, "usage: x\n\ny\n\nOne:\n  --url TEXT\n"), text);
  assert_non_null(strstr(text, "[http://localhost:15672]"));
  assert_non_null(strstr(text, "  --max-queues NUMBER\n      How many; 0 to "
                               "10000 [5000]\n"));
  assert_null(strstr(text, "--password"));
  assert_null(strstr(text, "--log-file"));
  rmq_buf_fini(&b);
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_of_all_tables_are_taken),
      cmocka_unit_test(what_is_wrong_is_named),
      cmocka_unit_test(help_is_what_the_tables_say),
  };
  return run_all(tests);
}
