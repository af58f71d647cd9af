/* SPDX-License-Identifier: MIT */
/*
 * What other programs really send (tests/fixtures/codec/captured, README.md) is
 * read, or refused with a word that helps.
 */
#include "rmq_config.h"

#include "common/role/consume_format.h"

#include "tests/testing.h"

#include "tests/fake/sample_text.h"

#include <string.h>

enum { BODY_SIZE = 8192 };

struct message {
  char body[BODY_SIZE];
  struct rmq_delivery delivery;
};

static FILE *open_file(const char *name, const char *suffix) {
  const char *top = getenv("top_srcdir");
  char path[1000];
  snprintf(path, sizeof(path), "%s/tests/fixtures/codec/captured/%s.%s",
           top == NULL ? "." : top, name, suffix);
  return fopen(path, "r");
}

static bool get_property(const char *line, const char *name, char *ret_value,
                         size_t size) {
  size_t n = strlen(name);
  if (strncmp(line, name, n) != 0 || line[n] != ' ')
    return false;
  snprintf(ret_value, size, "%.*s", (int)strcspn(line + n + 1, "\n"),
           line + n + 1);
  return true;
}

/* write_kafka's have none. */
static void read_properties(const char *name, struct rmq_delivery *d) {
  FILE *f = open_file(name, "properties");
  char line[1000], type[100];
  while (f != NULL && fgets(line, sizeof(line), f) != NULL) {
    get_property(line, "content_type", d->content_type,
                 sizeof(d->content_type));
    get_property(line, "content_encoding", d->content_encoding,
                 sizeof(d->content_encoding));
    if (get_property(line, "type", type, sizeof(type)))
      d->is_amqp1 = strcmp(type, "amqp-1.0") == 0;
  }
  if (f != NULL)
    fclose(f);
}

static void read_message(const char *name, struct message *ret) {
  FILE *f = open_file(name, "body");
  if (f == NULL)
    fail_msg("cannot open %s", name);
  ret->delivery = (struct rmq_delivery){.tag = 1};
  size_t len = fread(ret->body, 1, sizeof(ret->body), f);
  fclose(f);
  assert_true(len > 0 && len < sizeof(ret->body));
  ret->delivery.body = (struct rmq_span){ret->body, len};
  read_properties(name, &ret->delivery);
}

/* The option Format's index; 0 is auto. */
static int format_index(const char *name) {
  for (int i = 0; rmq_codec_at(i) != NULL; i++)
    if (strcmp(rmq_codec_at(i)->name, name) == 0)
      return i + 1;
  return 0;
}

#define NOW(s) "time=170000000" s "000000000 "
#define EACH_10S "interval=10000000000 "
#define ANY_TIME "interval=0 "
#define OCTETS "rx:derive=1 tx:derive=2\n"
#define ETH0 "h.example.org|interface|eth0|if_octets| " NOW("1") EACH_10S OCTETS
#define ETH0_GRAPHITE                                                          \
  "h_example_org|interface|eth0|if_octets| " NOW("1") ANY_TIME OCTETS
#define ALL_THREE                                                              \
  "h.example.org|cpu|0|gauge|idle time=1700000000123000000 " EACH_10S          \
  "value:gauge=99.5\n" ETH0 "h.example.org|p||gauge|nan " NOW("2") EACH_10S    \
      "value:gauge=nan\n"
/* A number above INT64_MAX is the largest there is, in Telegraf already. */
#define TELEGRAF                                                               \
  "t.example.org|cpu|cpu0|gauge|usage_idle " NOW("0") ANY_TIME                 \
      "value:gauge=98.25\n"                                                    \
      "t.example.org|cpu|cpu0|gauge|usage_user " NOW("0") ANY_TIME             \
      "value:gauge=1.5\n"                                                      \
      "t.example.org|disk|rw-%2F|gauge|used " NOW("1") ANY_TIME                \
      "value:gauge=123456789\n"                                                \
      "t.example.org|disk|rw-%2F|gauge|full " NOW("1") ANY_TIME                \
      "value:gauge=0\n"                                                        \
      "t.example.org|kernel||gauge|boot_time " NOW("3") ANY_TIME               \
      "value:gauge=9.2233720368547758e+18\n"
#define TELEGRAF_GRAPHITE                                                      \
  "t_example_org|cpu0||gauge|cpu.usage_idle " NOW("0") ANY_TIME                \
      "value:gauge=98.25\n"                                                    \
      "t_example_org|cpu0||gauge|cpu.usage_user " NOW("0") ANY_TIME            \
      "value:gauge=1.5\n"                                                      \
      "t_example_org|rw||gauge|-.disk.used " NOW("1") ANY_TIME                 \
      "value:gauge=123456789\n"                                                \
      "t_example_org|rw||gauge|-.disk.full " NOW("1") ANY_TIME                 \
      "value:gauge=0\n"                                                        \
      "t_example_org|kernel||gauge|boot_time " NOW("3") ANY_TIME               \
      "value:gauge=1.8446744073709552e+19\n"
#define NO_TYPE "it has none; the option Format may say what it is"
#define PLAIN "text/plain; the option Format may say what it is"
#define TELEGRAF_JSON                                                          \
  "sample 1: neither \"host\" nor \"values\": not collectd's JSON (Telegraf: " \
  "data_format = \"influx\")"

static const struct {
  const char *name, *format; /* the option Format */
  const char *template;      /* the option GraphiteTemplate; NULL: default */
  const char *want;          /* the beginning, of so many lines */
  size_t want_count;
  const char *want_error; /* of decoding */
  const char *want_auto;  /* the error of Format auto */
} rows[] = {
    {"write_http-json", "JSON", NULL, ALL_THREE, 3, "", ""},
    {"write_http-command", "Command", NULL, ALL_THREE, 3, "", PLAIN},
    {"write_kafka-json", "JSON", NULL, ETH0, 1, "", NO_TYPE},
    {"write_kafka-command", "Command", NULL, ETH0, 1, "", NO_TYPE},
    /* its default: StoreRates true */
    {"write_kafka-json-rates", "JSON", NULL, "", 0,
     "sample 1: values[0] is not of kind derive but null (does the sender have "
     "StoreRates on?)",
     NO_TYPE},
    {"write_kafka-graphite", "Graphite", NULL, ETH0_GRAPHITE, 1, "", NO_TYPE},
    /* its default: dots of a host stay */
    {"write_kafka-graphite-dots", "Graphite", NULL, "", 0,
     "line 1: its path has more parts than the template", NO_TYPE},
    {"amqp1-json", "JSON", NULL, ETH0, 1, "", NO_TYPE},
    {"amqp1-3.10-json", "JSON", NULL, ETH0, 1, "", NO_TYPE},
    {"amqp1-command", "Command", NULL, ETH0, 1, "", NO_TYPE},
    {"amqp1-graphite", "Graphite", NULL, ETH0_GRAPHITE, 1, "", NO_TYPE},
    {"amqp1-notification", "JSON", NULL,
     "event h.example.org|interface|eth0|if_octets| failure "
     "1700000003500000000 it is \"full\"\n",
     1, "", NO_TYPE},
    {"telegraf-influx", "Influx", NULL, TELEGRAF, 5, "", PLAIN},
    {"telegraf-influx-headers", "Influx", NULL, TELEGRAF, 5, "", PLAIN},
    {"telegraf-influx-gzip", "Influx", NULL, TELEGRAF, 5, "", PLAIN},
    {"telegraf-own", "Influx", NULL,
     "t.example.org|internal_write|cpu-1.37.2|gauge|startup_errors ", 92, "",
     PLAIN},
    {"telegraf-graphite", "Graphite", "host.plugin.type_instance*",
     TELEGRAF_GRAPHITE, 5, "", PLAIN},
    {"telegraf-json", "JSON", NULL, "", 0, TELEGRAF_JSON, PLAIN},
    {"telegraf-json-batch", "JSON", NULL, "", 0, TELEGRAF_JSON, PLAIN},
};

static void hear_event(void *ctx, const struct rmq_event *e) {
  rmq_buf_appendf(ctx, "event %s|%s|%s|%s|%s %s %" PRId64 " %s\n", e->id.host,
                  e->id.plugin, e->id.plugin_instance, e->id.type,
                  e->id.type_instance, rmq_severity_to_str(e->severity),
                  e->time.ns, e->message);
}

static struct rmq_consume_format format_of(const char *word,
                                           const char *graphite) {
  char template[100];
  snprintf(template, sizeof(template), "%s",
           graphite == NULL ? RMQ_GRAPHITE_TEMPLATE_DEFAULT : graphite);
  const struct rmq_consume_options o = {.format = format_index(word),
                                        .max_message_bytes = 1 << 20,
                                        .graphite_template = template};
  struct rmq_consume_format f;
  rmq_consume_format_init(&f, &o);
  return f;
}

static size_t count_lines(const char *text) {
  size_t n = 0;
  for (; *text != '\0'; text++)
    n += *text == '\n';
  return n;
}

static void what_others_send_is_read_or_explained(void **state) {
  (void)state;
  static struct message m;
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_consume_format f = format_of(rows[i].format, rows[i].template);
    struct rmq_error err = {""};
    struct rmq_buf got;
    enum rmq_rejection cause = 0;
    SHOW_ROW("%s", rows[i].name);
    read_message(rows[i].name, &m);
    const struct rmq_codec *codec =
        rmq_consume_format_choose(&f, &m.delivery, &cause, &err);
    assert_non_null(codec);
    rmq_buf_init(&got, 1 << 20);
    const struct rmq_codec_sink sink = {
        .ctx = &got, .sample = fake_sample_sink, .event = hear_event};
    int rc = rmq_consume_format_decode(&f, codec, &m.delivery, &fake_types,
                                       &sink, &err);
    assert_string_equal(err.text, rows[i].want_error);
    assert_int_equal(rc, rows[i].want_error[0] == '\0' ? 0 : -1);
    const char *text = rmq_buf_text(&got);
    if (strncmp(text, rows[i].want, strlen(rows[i].want)) != 0)
      fail_msg("read as %s, want %s", text, rows[i].want);
    assert_int_equal(count_lines(text), rows[i].want_count);
    rmq_buf_fini(&got);
    rmq_consume_format_fini(&f);
  }
}

/* Only write_http's JSON has a content type that says what it is. */
static void what_the_option_format_is_for(void **state) {
  (void)state;
  static struct message m;
  struct rmq_consume_format f = format_of("auto", NULL);
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct rmq_error err = {""};
    enum rmq_rejection cause = 0;
    SHOW_ROW("%s", rows[i].name);
    read_message(rows[i].name, &m);
    const struct rmq_codec *codec =
        rmq_consume_format_choose(&f, &m.delivery, &cause, &err);
    assert_string_equal(err.text, rows[i].want_auto);
    if (codec == NULL)
      assert_int_equal(cause, RMQ_REJECTION_content_type);
    else
      assert_string_equal(codec->name, rows[i].format);
  }
  rmq_consume_format_fini(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_others_send_is_read_or_explained),
      cmocka_unit_test(what_the_option_format_is_for),
  };
  return run_all(tests);
}
