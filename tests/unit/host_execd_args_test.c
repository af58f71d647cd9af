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
  int64_t max_queues, max_bytes;
  double share;
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
     .help = "How many."},
    {.name = "MaxBytes",
     .type = RMQ_OPT_BYTES,
     .offset = offsetof(struct two, max_bytes),
     .default_value = "1KiB",
     .min = 1,
     .max = 4096,
     .help = "How large"},
    {.name = "Share",
     .type = RMQ_OPT_NUMBER,
     .offset = offsetof(struct two, share),
     .default_value = "3",
     .min = 0.5,
     .max = 100,
     .unit = "percent",
     .help = "How much"},
    {.name = "LogFile",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct two, log_file),
     .help = "Nowhere"},
    RMQ_OPTIONS_END};
static const char *const not_here[] = {"LogFile", NULL};

/* A table with blocks. */
struct inner {
  char *kind, *password;
  struct rmq_strings queues;
  int64_t limit;
  bool whole;
};
struct three {
  struct rmq_blocks alerts, probes;
};

static const struct rmq_option inner_table[] = {
    {.name = "Kind",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct inner, kind),
     .help = "What"},
    {.name = "Password",
     .type = RMQ_OPT_SECRET,
     .offset = offsetof(struct inner, password),
     .help = "Hush"},
    {.name = "Queue",
     .type = RMQ_OPT_LIST,
     .offset = offsetof(struct inner, queues),
     .help = "Whose"},
    {.name = "TheLimit",
     .type = RMQ_OPT_INTEGER,
     .offset = offsetof(struct inner, limit),
     .min = 1,
     .max = 100,
     .help = "From where"},
    {.name = "Whole",
     .type = RMQ_OPT_BOOLEAN,
     .offset = offsetof(struct inner, whole),
     .help = "Whether"},
    RMQ_OPTIONS_END};

static void prepare(void *object) { ((struct inner *)object)->limit = 7; }

static int check_limit(const void *object, struct rmq_buf *errors) {
  if (((const struct inner *)object)->limit != 13)
    return 0;
  rmq_buf_append_text(errors, "option TheLimit: not 13\nsecond line\n");
  return -1;
}

static const struct rmq_option_block alert_block = {.table = inner_table,
                                                    .size =
                                                        sizeof(struct inner),
                                                    .argument = "Kind",
                                                    .max = 2,
                                                    .prepare = prepare,
                                                    .check = check_limit};
static const struct rmq_option_block probe_block = {
    .table = inner_table, .size = sizeof(struct inner), .max = 1};
static const struct rmq_option table_three[] = {
    {.name = "Alert",
     .type = RMQ_OPT_BLOCKS,
     .offset = offsetof(struct three, alerts),
     .block = &alert_block,
     .help = "When"},
    {.name = "Probe",
     .type = RMQ_OPT_BLOCKS,
     .offset = offsetof(struct three, probes),
     .block = &probe_block,
     .help = "How"},
    RMQ_OPTIONS_END};

struct fixture {
  struct one one;
  struct two two;
  struct three three;
  struct rmq_execd_options options[4];
  struct rmq_execd_args args;
  struct rmq_error err;
};

static void set_up(struct fixture *f) {
  memset(f, 0, sizeof(*f));
  assert_int_equal(rmq_options_init(table_one, &f->one, NULL), 0);
  assert_int_equal(rmq_options_init(table_two, &f->two, NULL), 0);
  assert_int_equal(rmq_options_init(table_three, &f->three, NULL), 0);
  f->options[2] = (struct rmq_execd_options){"Three:", table_three, &f->three};
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
  rmq_options_fini(table_three, &f->three);
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

static void a_block_is_one_argument(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  f.args.has_blocks = true;
  assert_int_equal(parse(&f,
                         "--alert "
                         "backlog:queue=/a{1\\,2}/,queue=b=c,the-limit=9,whole "
                         "--probe --alert=lag --max-queues 7"),
                   0);
  assert_int_equal(f.three.alerts.count, 2);
  const struct inner *first = f.three.alerts.items[0];
  const struct inner *second = f.three.alerts.items[1];
  assert_string_equal(first->kind, "backlog");
  assert_int_equal(first->queues.count, 2);
  assert_string_equal(first->queues.items[0], "/a{1,2}/");
  assert_string_equal(first->queues.items[1], "b=c");
  assert_int_equal(first->limit, 9);
  assert_true(first->whole);
  assert_string_equal(second->kind, "lag");
  assert_int_equal(second->limit, 7); /* prepared */
  assert_int_equal(f.three.probes.count, 1);
  assert_int_equal(f.two.max_queues, 7);
  tear_down(&f);
}

static void what_is_wrong_in_a_block_is_named(void **state) {
  (void)state;
  static const struct {
    const char *line, *want;
  } rows[] = {
      {"--alert", "--alert needs a value"},
      {"--alert x:limit=3", "there is no \"limit\""},
      {"--alert x:the-limit=101", "1 to 100"},
      {"--alert x:password=y", "password is not taken from an argument"},
      {"--alert x:the-limit=13", "Alert \"x:the-limit=13\": option TheLimit: "
                                 "not 13"},
      {"--alert x:queue=u:p@h,the-limit=13", "block Alert: option TheLimit: "
                                             "not 13"},
      {"--alert x --alert y --alert z", "at most 2"},
      {"--probe whole=perhaps", "Whole"},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].line);
    struct fixture f;
    set_up(&f);
    f.args.has_blocks = true;
    assert_int_equal(parse(&f, rows[i].line), -1);
    if (strstr(f.err.text, rows[i].want) == NULL)
      fail_msg("%s", f.err.text);
    assert_null(strchr(f.err.text, '\n'));
    tear_down(&f);
  }
}

/* What is wrong may be before it, it, behind it, or a separator. */
static void a_secret_in_a_block_is_not_repeated(void **state) {
  (void)state;
  static const char *const rows[] = {
      "--probe whole=perhaps,password=hunter2", "--probe password=hunter2",
      "--probe password=hunter2,whole=perhaps", "--probe Password=hunter2",
      "--probe the-limit=1:password=hunter2"};
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i]);
    struct fixture f;
    set_up(&f);
    f.args.has_blocks = true;
    assert_int_equal(parse(&f, rows[i]), -1);
    assert_null(strstr(f.err.text, "hunter2"));
    assert_non_null(strstr(f.err.text, "block Probe: password is not taken"));
    tear_down(&f);
  }
}

static void blocks_are_for_those_who_want_them(void **state) {
  (void)state;
  struct fixture f;
  set_up(&f);
  assert_int_equal(parse(&f, "--probe"), -1);
  assert_non_null(strstr(f.err.text, "no option --probe"));
  tear_down(&f);
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
  assert_non_null(strstr(text, "How large; 1 to 4096 bytes, also as"));
  assert_non_null(strstr(text, "How much; 0.5 to 100 percent [3]\n"));
  assert_null(strstr(text, "--password"));
  assert_null(strstr(text, "--log-file"));
  rmq_buf_fini(&b);
  tear_down(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(options_of_all_tables_are_taken),
      cmocka_unit_test(what_is_wrong_is_named),
      cmocka_unit_test(a_block_is_one_argument),
      cmocka_unit_test(what_is_wrong_in_a_block_is_named),
      cmocka_unit_test(a_secret_in_a_block_is_not_repeated),
      cmocka_unit_test(blocks_are_for_those_who_want_them),
      cmocka_unit_test(help_is_what_the_tables_say),
  };
  return run_all(tests);
}
