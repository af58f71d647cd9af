/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_collectd.h"
#include "common/host/host_collectd_config.h"

#include "tests/fake/collectd.h"
#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static struct rmq_collectd_host host;

static void set_up(void) {
  fake_collectd_clear();
  rmq_collectd_host_init(&host, RMQ_LOG_TEXT, NULL);
}

/* ---- samples into collectd ---- */

static const struct rmq_datum gauge = {
    .name = "value", .kind = RMQ_GAUGE, .value.gauge = 1.5};

static struct rmq_sample sample(void) {
  return (struct rmq_sample){.id = {"h", "p", "pi", "gauge", "ti"},
                             .time = {INT64_C(1700000000500000000)},
                             .interval = rmq_s(10),
                             .values = &gauge,
                             .values_count = 1};
}

static void a_sample_becomes_a_value_list(void **state) {
  (void)state;
  set_up();
  const struct rmq_meta meta[] = {
      {"queue", RMQ_META_STRING, {.string = "a/b"}},
      {"n", RMQ_META_UNSIGNED, {.unsigned_int = 7}}};
  struct rmq_sample s = sample();
  s.meta = meta;
  s.meta_count = 2;
  struct rmq_collectd_tagger tagger = {.tag = 99};
  assert_int_equal(rmq_collectd_dispatch(&host, &s, &tagger),
                   RMQ_COLLECTD_ACCEPTED);
  const value_list_t *vl = &fake_collectd.vl;
  assert_string_equal(vl->host, "h");
  assert_string_equal(vl->plugin, "p");
  assert_string_equal(vl->plugin_instance, "pi");
  assert_string_equal(vl->type, "gauge");
  assert_string_equal(vl->type_instance, "ti");
  assert_int_equal(vl->values_len, 1);
  assert_true(vl->values[0].gauge == 1.5);
  assert_int_equal(vl->time, (UINT64_C(1700000000) << 30) + (1 << 29));
  assert_int_equal(vl->interval, UINT64_C(10) << 30);
  assert_string_equal(fake_collectd.meta,
                      "queue=a/b;n=7;rabbitmq_consume:tag=99;");
}

static void dispatch_tagged(struct rmq_collectd_tagger *t, uint64_t tag,
                            const struct rmq_sample *s, const char *want_meta) {
  rmq_collectd_tagger_set(t, tag);
  assert_int_equal(rmq_collectd_dispatch(&host, s, t), RMQ_COLLECTD_ACCEPTED);
  assert_string_equal(fake_collectd.meta, want_meta);
}

static void each_sample_carries_the_tag_of_its_delivery(void **state) {
  (void)state;
  set_up();
  const struct rmq_meta meta[] = {{"q", RMQ_META_STRING, {.string = "a"}}};
  const struct rmq_datum four[] = {{.name = "g", .kind = RMQ_GAUGE},
                                   {.name = "d", .kind = RMQ_DERIVE},
                                   {.name = "c", .kind = RMQ_COUNTER},
                                   {.name = "a", .kind = RMQ_ABSOLUTE}};
  struct rmq_sample plain = sample(), other = sample(), with_meta = sample();
  with_meta.meta = meta;
  with_meta.meta_count = 1;
  other.id.type = "four";
  other.values = four;
  other.values_count = COUNT_OF(four);
  struct rmq_collectd_tagger t = {0};
  dispatch_tagged(&t, 1, &plain, "rabbitmq_consume:tag=1;");
  dispatch_tagged(&t, 1, &with_meta, "q=a;rabbitmq_consume:tag=1;");
  dispatch_tagged(&t, 1, &other, "rabbitmq_consume:tag=1;");
  assert_int_equal(fake_collectd.vl.values_len, 4);
  dispatch_tagged(&t, 2, &with_meta, "q=a;rabbitmq_consume:tag=2;");
  dispatch_tagged(&t, 2, &plain, "rabbitmq_consume:tag=2;");
  dispatch_tagged(&t, 3, &plain, "rabbitmq_consume:tag=3;");
  rmq_collectd_tagger_fini(&t);
}

static void what_is_not_said_is_collectds(void **state) {
  (void)state;
  set_up();
  struct rmq_sample s = sample();
  s.id.host = s.id.plugin_instance = s.id.type_instance = "";
  s.time.ns = 0;
  s.interval.ns = 0;
  plugin_set_ctx((plugin_ctx_t){.interval = 0}); /* a thread of our own */
  assert_int_equal(rmq_collectd_dispatch(&host, &s, NULL),
                   RMQ_COLLECTD_ACCEPTED);
  assert_int_equal(plugin_get_ctx().interval, 0); /* and stays so */
  plugin_set_ctx((plugin_ctx_t){.interval = 7});
  assert_string_equal(fake_collectd.vl.host, "fake.example.org");
  assert_int_equal(fake_collectd.vl.time, 0);
  assert_int_equal(fake_collectd.vl.interval, 7);
  assert_int_equal(fake_collectd.context_interval, 7);
  assert_string_equal(fake_collectd.meta, "");
}

static void what_collectd_would_drop_silently_is_refused(void **state) {
  (void)state;
  static char long_name[200];
  static const struct rmq_datum derive = {
      .name = "value", .kind = RMQ_DERIVE, .value.derive = 1};
  static const struct {
    const char *plugin, *type, *type_instance;
    const struct rmq_datum *values;
    size_t count;
    enum rmq_collectd_verdict want;
  } rows[] = {
      {"p", "unheard_of", "", &gauge, 1, RMQ_COLLECTD_UNKNOWN_TYPE},
      {"p", "gauge", "", &gauge, 0, RMQ_COLLECTD_WRONG_VALUES},
      {"p", "four", "", &gauge, 1, RMQ_COLLECTD_WRONG_VALUES},
      {"p", "gauge", "", &derive, 1, RMQ_COLLECTD_WRONG_VALUES},
      {"", "gauge", "", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
      {"p", "", "", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
      {"p", "gauge", "a/b", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
      {"p", "gauge", "a\nb", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
      {"..", "gauge", "", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
      {"p", "gauge", "\xff", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
      {long_name, "gauge", "", &gauge, 1, RMQ_COLLECTD_BAD_NAME},
  };
  memset(long_name, 'x', 128);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%zu", i);
    set_up();
    struct rmq_sample s = sample();
    s.id.plugin = rows[i].plugin;
    s.id.type = rows[i].type;
    s.id.type_instance = rows[i].type_instance;
    s.values = rows[i].values;
    s.values_count = rows[i].count;
    assert_string_equal(
        rmq_collectd_verdict_to_str(rmq_collectd_dispatch(&host, &s, NULL)),
        rmq_collectd_verdict_to_str(rows[i].want));
    assert_int_equal(fake_collectd.dispatched, 0);
    assert_int_equal(host.host.sample(host.host.ctx, &s), -1);
  }
}

static void what_collectd_refuses_has_failed(void **state) {
  (void)state;
  set_up();
  fake_collectd.dispatch_result = -1;
  struct rmq_sample s = sample();
  assert_int_equal(rmq_collectd_dispatch(&host, &s, NULL), RMQ_COLLECTD_FAILED);
}

/* ---- value lists out of collectd ---- */

static void a_value_list_is_seen_as_a_sample(void **state) {
  (void)state;
  set_up();
  value_t values[4] = {{.gauge = (double)NAN},
                       {.derive = -3},
                       {.counter = UINT64_MAX},
                       {.absolute = 5}};
  value_list_t vl = {.values = values,
                     .values_len = 4,
                     .time = UINT64_C(3) << 29,
                     .interval = UINT64_C(10) << 30,
                     .host = "h",
                     .plugin = "p",
                     .type = "four"};
  vl.meta = meta_data_create();
  meta_data_add_string(vl.meta, "s", "text");
  meta_data_add_unsigned_int(vl.meta, RMQ_COLLECTD_TAG_KEY, 8);
  meta_data_add_boolean(vl.meta, "b", true);
  meta_data_add_double(vl.meta, "d", 0.5);
  meta_data_add_signed_int(vl.meta, "i", -1);
  struct rmq_collectd_view v;
  assert_int_equal(rmq_collectd_view_init(&v, plugin_get_ds("four"), &vl), 0);
  assert_ptr_equal(v.sample.id.host, vl.host);
  assert_string_equal(v.sample.id.type_instance, "");
  assert_int_equal(v.sample.time.ns, 1500000000);
  assert_int_equal(v.sample.interval.ns, rmq_s(10).ns);
  assert_int_equal(v.sample.values_count, 4);
  assert_string_equal(v.sample.values[1].name, "d");
  assert_true(isnan(v.sample.values[0].value.gauge));
  assert_int_equal(v.sample.values[1].value.derive, -3);
  assert_int_equal(v.sample.values[2].kind, RMQ_COUNTER);
  assert_true(v.sample.values[2].value.counter == UINT64_MAX);
  assert_int_equal(v.sample.values[3].value.absolute, 5);
  assert_int_equal(v.sample.meta_count, 4); /* without our tag */
  assert_string_equal(v.sample.meta[0].value.string, "text");
  assert_true(v.sample.meta[1].value.boolean);
  assert_int_equal(v.sample.meta[3].value.signed_int, -1);
  rmq_collectd_view_fini(&v);
  uint64_t tag = 0;
  assert_true(rmq_collectd_tag(&vl, &tag));
  assert_int_equal(tag, 8);
  meta_data_destroy(vl.meta);
  vl.meta = NULL;
  assert_false(rmq_collectd_tag(&vl, &tag));
  assert_int_equal(rmq_collectd_view_init(&v, plugin_get_ds("gauge"), &vl), -1);
}

static void rates_come_from_collectd_s_cache_or_are_unknown(void **state) {
  (void)state;
  set_up();
  value_t values[4] = {
      {.gauge = 1}, {.derive = 2}, {.counter = 3}, {.absolute = 4}};
  value_list_t vl = {.values = values,
                     .values_len = 4,
                     .time = UINT64_C(3) << 29,
                     .host = "h",
                     .plugin = "p",
                     .type = "four"};
  const data_set_t *ds = plugin_get_ds("four");
  const gauge_t rates[4] = {1, 2.5, (double)NAN, 0};
  struct rmq_collectd_view v;
  assert_int_equal(rmq_collectd_view_init(&v, ds, &vl), 0);
  assert_null(v.sample.rates);
  fake_collectd.rates = rates;
  rmq_collectd_view_add_rates(&v, ds, &vl);
  assert_true(v.sample.rates[1] == 2.5);
  assert_true(isnan(v.sample.rates[2]));
  assert_true(v.sample.rates[3] == 0);
  fake_collectd.rates = NULL;
  rmq_collectd_view_add_rates(&v, ds, &vl);
  for (int i = 0; i < 4; i++)
    assert_true(isnan(v.sample.rates[i]));
  rmq_collectd_view_fini(&v);
}

static void types_are_those_of_collectd(void **state) {
  (void)state;
  set_up();
  struct rmq_types types = rmq_collectd_types();
  struct rmq_datum sources[4];
  assert_int_equal(types.get(types.ctx, "four", sources, 4), 4);
  assert_string_equal(sources[2].name, "c");
  assert_int_equal(sources[2].kind, RMQ_COUNTER);
  assert_int_equal(types.get(types.ctx, "four", sources, 3), -1);
  assert_int_equal(types.get(types.ctx, "unheard_of", sources, 4), -1);
}

/* ---- notifications and log ---- */

static void an_event_becomes_a_notification_and_back(void **state) {
  (void)state;
  set_up();
  static char message[400];
  memset(message, 'm', sizeof(message) - 1);
  const struct rmq_meta meta[] = {{"s", RMQ_META_STRING, {.string = "text"}},
                                  {"n", RMQ_META_DOUBLE, {.number = 1}}};
  const struct rmq_event e = {.severity = RMQ_WARNING,
                              .time = {INT64_C(1500000000)},
                              .id = {"", "p", "pi", "t", ""},
                              .message = message,
                              .meta = meta,
                              .meta_count = 2};
  host.host.event(host.host.ctx, &e);
  const notification_t *n = &fake_collectd.notification;
  assert_int_equal(n->severity, NOTIF_WARNING);
  assert_int_equal(n->time, UINT64_C(3) << 29);
  assert_string_equal(n->host, "fake.example.org");
  assert_int_equal(strlen(n->message), NOTIF_MAX_MSG_LEN - 1);
  assert_string_equal(fake_collectd.notification_meta, "s:0;n:3;");
  notification_t with_meta = *n;
  notification_meta_t m = {
      .name = "k", .type = NM_TYPE_BOOLEAN, .nm_value.nm_boolean = true};
  with_meta.meta = &m;
  struct rmq_collectd_notice back;
  rmq_collectd_notice_init(&back, &with_meta);
  assert_int_equal(back.event.severity, RMQ_WARNING);
  assert_int_equal(back.event.time.ns, 1500000000);
  assert_string_equal(back.event.id.plugin, "p");
  assert_int_equal(back.event.meta_count, 1);
  assert_true(back.event.meta[0].value.boolean);
}

static void lines_go_to_the_log_or_to_their_file(void **state) {
  (void)state;
  char path[] = "/tmp/rmq_log.XXXXXX", text[600] = "";
  int fd = mkstemp(path);
  const struct rmq_log_record r = {.level = RMQ_LOG_WARNING,
                                   .plugin = "p",
                                   .block = "b",
                                   .message = "100% hello"};
  set_up();
  host.host.log(host.host.ctx, &r);
  assert_string_equal(fake_collectd.lines[0],
                      "p plugin: block \"b\": 100% hello");
  assert_int_equal(fake_collectd.levels[0], LOG_WARNING);
  fake_collectd_clear();
  rmq_collectd_host_init(&host, RMQ_LOG_JSON, path);
  host.host.log(host.host.ctx, &r);
  assert_int_equal(fake_collectd.lines_count, 0);
  assert_true(read(fd, text, sizeof(text) - 1) > 0);
  assert_non_null(strstr(text, "\"service\":\"collectd\""));
  assert_int_equal(text[strlen(text) - 1], '\n');
  close(fd);
  unlink(path);
  rmq_collectd_host_init(&host, RMQ_LOG_TEXT, "/nonexistent/log");
  host.host.log(host.host.ctx, &r);
  host.host.log(host.host.ctx, &r);
  assert_int_equal(fake_collectd.lines_count, 3); /* one more: why */
  assert_true(fake_collectd_said("LogFile \"/nonexistent/log\""));
}

/* ---- configuration ---- */

struct inner {
  char *kind;
  int64_t limit;
};
static void prepare_inner(void *object) {
  struct inner *x = object;
  x->limit = x->kind[0] == 'e' ? 8 : x->limit;
}
static int check_inner(const void *object, struct rmq_buf *errors) {
  const struct inner *x = object;
  if (x->limit != 13)
    return 0;
  rmq_buf_append_text(errors, "thirteen is unlucky\n");
  return -1;
}
static const struct rmq_option inner_table[] = {
    {.name = "Kind",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct inner, kind),
     .help = "k"},
    {.name = "Limit",
     .type = RMQ_OPT_INTEGER,
     .offset = offsetof(struct inner, limit),
     .default_value = "2",
     .min = 0,
     .max = 20,
     .help = "l"},
    RMQ_OPTIONS_END};
static const struct rmq_option_block alert_block = {
    inner_table, sizeof(struct inner), "Kind", 2, prepare_inner, check_inner};
static const struct rmq_option_block quiet_block = {
    inner_table, sizeof(struct inner), NULL, 1, NULL, NULL};

struct config {
  int64_t number;
  char *text;
  struct rmq_blocks alerts, quiets;
};
static const struct rmq_option table[] = {
    {.name = "Number",
     .type = RMQ_OPT_INTEGER,
     .offset = offsetof(struct config, number),
     .default_value = "5",
     .min = 0,
     .max = 10,
     .help = "n"},
    {.name = "Text",
     .type = RMQ_OPT_STRING,
     .offset = offsetof(struct config, text),
     .help = "t"},
    {.name = "Alert",
     .type = RMQ_OPT_BLOCKS,
     .offset = offsetof(struct config, alerts),
     .block = &alert_block,
     .help = "a"},
    {.name = "Quiet",
     .type = RMQ_OPT_BLOCKS,
     .offset = offsetof(struct config, quiets),
     .block = &quiet_block,
     .help = "q"},
    RMQ_OPTIONS_END};

static char added[200]; /* NAME=NUMBER; of every block */

static int check(const void *config, struct rmq_buf *errors) {
  const struct config *c = config;
  if (c->number != 7)
    return 0;
  rmq_buf_append_text(errors, "seven is right out\nand so is 7\n");
  return -1;
}

static bool is_taken(const char *name) {
  char want[100];
  snprintf(want, sizeof(want), "%s=", name);
  return strstr(added, want) != NULL;
}

static int add(char *name, void *config);
static const struct rmq_collectd_blocks kind = {.plugin = "fake",
                                                .block = "Block",
                                                .table = table,
                                                .config_size =
                                                    sizeof(struct config),
                                                .check = check,
                                                .is_taken = is_taken,
                                                .add = add};

static int add(char *name, void *config) {
  const struct config *c = config;
  size_t used = strlen(added);
  snprintf(added + used, sizeof(added) - used, "%s=%d%s;", name, (int)c->number,
           c->text == NULL ? "" : c->text);
  for (size_t i = 0; i < c->alerts.count; i++) {
    const struct inner *x = c->alerts.items[i];
    used = strlen(added);
    snprintf(added + used, sizeof(added) - used, "%s:%d;", x->kind,
             (int)x->limit);
  }
  free(name);
  rmq_collectd_config_free(&kind, config);
  return 0;
}

/* A tree of at most three levels, in static storage. */
static oconfig_item_t items[64];
static oconfig_value_t all_values[64];
static size_t items_count, values_count;

static oconfig_value_t text_value(const char *text) {
  return (oconfig_value_t){.type = OCONFIG_TYPE_STRING,
                           .value.string = (char *)(uintptr_t)text};
}

static oconfig_value_t number_value(double number) {
  return (oconfig_value_t){.type = OCONFIG_TYPE_NUMBER, .value.number = number};
}

static oconfig_item_t item(const char *key, oconfig_value_t value) {
  all_values[values_count] = value;
  return (oconfig_item_t){.key = (char *)(uintptr_t)key,
                          .values = &all_values[values_count++],
                          .values_num = 1};
}

static oconfig_item_t block(const char *name, const oconfig_item_t *options,
                            size_t count) {
  oconfig_item_t b = item("Block", text_value(name));
  b.children = &items[items_count];
  b.children_num = (int)count;
  for (size_t i = 0; i < count; i++)
    b.children[i] = options[i];
  items_count += count;
  return b;
}

static int configure(oconfig_item_t *blocks, size_t count) {
  oconfig_item_t plugin = {.children = blocks, .children_num = (int)count};
  set_up();
  added[0] = '\0';
  return rmq_collectd_config(&kind, &plugin);
}

static void blocks_are_added_with_their_options(void **state) {
  (void)state;
  items_count = values_count = 0;
  const oconfig_item_t options[] = {item("number", number_value(3)),
                                    item("Text", text_value("x"))};
  oconfig_item_t blocks[] = {block("a", options, 2), block("b.c_1", NULL, 0)};
  assert_int_equal(configure(blocks, 2), 0);
  assert_string_equal(added, "a=3x;b.c_1=5;");
  assert_int_equal(fake_collectd.lines_count, 0);
}

/* <KEY "TEXT"> with one option, or none, inside. */
static oconfig_item_t inner_block(const char *key, const char *text,
                                  oconfig_item_t *option) {
  oconfig_item_t b = item(key, text_value(text));
  b.values_num = text[0] == '\0' ? 0 : 1;
  b.children = option;
  b.children_num = option == NULL ? 0 : 1;
  return b;
}

static void blocks_within_a_block_are_its_own(void **state) {
  (void)state;
  items_count = values_count = 0;
  oconfig_item_t limit = item("limit", number_value(7));
  const oconfig_item_t options[] = {inner_block("Alert", "backlog", &limit),
                                    inner_block("alert", "delay", NULL),
                                    inner_block("Quiet", "", &limit)};
  oconfig_item_t blocks[] = {block("a", options, 3)};
  assert_int_equal(configure(blocks, 1), 0);
  assert_string_equal(added, "a=5;backlog:7;delay:2;");
}

static void defaults_of_a_block_may_depend_on_its_argument(void **state) {
  (void)state;
  items_count = values_count = 0;
  oconfig_item_t limit = item("limit", number_value(7));
  const oconfig_item_t options[] = {inner_block("Alert", "errors", NULL),
                                    inner_block("Alert", "each", &limit)};
  oconfig_item_t blocks[] = {block("a", options, 2)};
  assert_int_equal(configure(blocks, 1), 0);
  assert_string_equal(added, "a=5;errors:8;each:7;");
}

static void errors_of_a_block_within_a_block_say_where(void **state) {
  (void)state;
  items_count = values_count = 0;
  oconfig_item_t far = item("Limit", number_value(21));
  oconfig_item_t unlucky = item("Limit", number_value(13));
  oconfig_item_t deep = inner_block("Limit", "x", &far);
  const oconfig_item_t options[] = {
      inner_block("Alert", "one", &far),   inner_block("Alert", "", &unlucky),
      inner_block("Alert", "three", NULL), inner_block("Quiet", "text", &deep),
      item("Number", number_value(11)),
  };
  const oconfig_item_t pair[] = {inner_block("Alert", "x", &unlucky)};
  oconfig_item_t blocks[] = {block("a", options, 5), block("b", pair, 1)};
  assert_int_equal(configure(blocks, 2), -1);
  static const char *const want[] = {
      "block \"a\", <Alert \"one\">: option \"Limit\": the value \"21\"",
      "block \"a\", <Alert>: option \"Kind\": 0 values given",
      "block \"a\", <Alert \"three\">: too many <Alert> blocks; at most 2",
      "block \"a\", <Quiet \"text\">: nothing may stand behind its name",
      "block \"a\", <Quiet \"text\">: there is no block inside this one",
      "block \"a\": option \"Number\": the value \"11\"",
      "block \"b\", <Alert \"x\">: thirteen is unlucky"};
  for (size_t i = 0; i < COUNT_OF(want); i++)
    if (!fake_collectd_said(want[i]))
      fail_msg("the log lacks: %s", want[i]);
  assert_string_equal(added, "");
}

static void every_error_of_every_block_is_logged(void **state) {
  (void)state;
  items_count = values_count = 0;
  oconfig_item_t nested = item("Number", number_value(1));
  oconfig_item_t inner = item("Probe", text_value("x"));
  inner.children = &nested;
  inner.children_num = 1;
  const oconfig_item_t wrong[] = {item("Number", number_value(11)),
                                  item("Tekst", text_value("x")), inner};
  const oconfig_item_t seven[] = {item("Number", number_value(7))};
  oconfig_item_t nameless = block("x", NULL, 0);
  nameless.values_num = 0;
  oconfig_item_t numeric = block("x", NULL, 0);
  numeric.values[0] = number_value(1);
  oconfig_item_t blocks[] = {block("a", wrong, 3),
                             block("b", seven, 1),
                             block("c/d", wrong, 1),
                             block("twice", NULL, 0),
                             block("twice", NULL, 0),
                             nameless,
                             numeric,
                             block("", NULL, 0),
                             item("Blok", text_value("x")),
                             block("good", NULL, 0)};
  assert_int_equal(configure(blocks, COUNT_OF(blocks)), -1);
  static const char *const want[] = {
      "fake plugin: block \"a\": option \"Number\": the value \"11\"",
      ("fake plugin: block \"a\": option \"Tekst\" is not known here; did you "
       "mean \"Text\"?"),
      "fake plugin: block \"a\": there is no block <Probe> inside <Block>",
      "fake plugin: block \"b\": seven is right out",
      "fake plugin: block \"b\": and so is 7",
      "fake plugin: \"c/d\" cannot be the name of a <Block> block",
      "fake plugin: block \"?\": option \"Number\"",
      "fake plugin: there are two <Block \"twice\"> blocks",
      "needs exactly one name in quotes",
      "\"\" cannot be the name",
      "fake plugin: \"Blok\" is not known here; allowed are <Block \"NAME\">"};
  for (size_t i = 0; i < COUNT_OF(want); i++)
    if (!fake_collectd_said(want[i]))
      fail_msg("the log lacks: %s", want[i]);
  assert_string_equal(added, "twice=5;good=5;");
}

static void keep_instance(void *ctx, const char *instance) {
  char *all = ctx;
  snprintf(all + strlen(all), 100 - strlen(all), "%s;", instance);
}

static void what_other_modules_reported_is_recalled(void **state) {
  (void)state;
#define OURS "fake.example.org/rabbitmq_publish-"
  static const struct fake_cached cache[] = {
      {OURS "a/total_events-nack", {.derive = 7}},
      {OURS "a/latency-x", {.gauge = 0.5}},
      {OURS "a/latency-unknown", {.gauge = NAN}},
      {OURS "a/bool-connected", {.gauge = 1}},
      {OURS "b.c/bool-connected", {.gauge = 0}},
      {"other/rabbitmq_publish-d/bool-connected", {.gauge = 1}},
      {"fake.example.org/rabbitmq_consume-e/bool-connected", {.gauge = 1}},
      {OURS "/bool-connected", {.gauge = 1}},
      {"x", {.gauge = 1}},
      {NULL, {.gauge = 0}}};
  static const struct {
    const char *instance, *type, *type_instance;
    enum rmq_kind kind;
    bool want;
  } rows[] = {{"a", "total_events", "nack", RMQ_DERIVE, true},
              {"a", "latency", "x", RMQ_GAUGE, true},
              {"a", "latency", "unknown", RMQ_GAUGE, false},
              {"b", "total_events", "nack", RMQ_DERIVE, false}};
  struct rmq_collectd_host h;
  char all[100] = "";
  fake_collectd_clear();
  fake_collectd.cache = cache;
  rmq_collectd_host_init(&h, RMQ_LOG_TEXT, NULL);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s-%s", rows[i].type, rows[i].type_instance);
    const struct rmq_identity id = {.host = h.host.hostname,
                                    .plugin = "rabbitmq_publish",
                                    .plugin_instance = rows[i].instance,
                                    .type = rows[i].type,
                                    .type_instance = rows[i].type_instance};
    union rmq_value value = {.derive = -9};
    int rc = h.host.recall(h.host.ctx, &id, rows[i].kind, &value);
    assert_int_equal(rc, rows[i].want ? 0 : -1);
    if (!rows[i].want)
      assert_int_equal(value.derive, -9);
    else if (rows[i].kind == RMQ_DERIVE)
      assert_int_equal(value.derive, 7);
    else
      assert_true(value.gauge == 0.5);
  }
  h.host.instances(h.host.ctx, "rabbitmq_publish", "bool", "connected",
                   keep_instance, all);
  assert_string_equal(all, "a;b.c;");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_other_modules_reported_is_recalled),
      cmocka_unit_test(a_sample_becomes_a_value_list),
      cmocka_unit_test(each_sample_carries_the_tag_of_its_delivery),
      cmocka_unit_test(what_is_not_said_is_collectds),
      cmocka_unit_test(what_collectd_would_drop_silently_is_refused),
      cmocka_unit_test(what_collectd_refuses_has_failed),
      cmocka_unit_test(a_value_list_is_seen_as_a_sample),
      cmocka_unit_test(rates_come_from_collectd_s_cache_or_are_unknown),
      cmocka_unit_test(types_are_those_of_collectd),
      cmocka_unit_test(an_event_becomes_a_notification_and_back),
      cmocka_unit_test(lines_go_to_the_log_or_to_their_file),
      cmocka_unit_test(blocks_are_added_with_their_options),
      cmocka_unit_test(blocks_within_a_block_are_its_own),
      cmocka_unit_test(defaults_of_a_block_may_depend_on_its_argument),
      cmocka_unit_test(errors_of_a_block_within_a_block_say_where),
      cmocka_unit_test(every_error_of_every_block_is_logged),
  };
  return run_all(tests);
}
