/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/sample.h"

#include "tests/manual.h"
#include "tests/testing.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

enum { SAMPLE_VALUES_MAX = 8, SAMPLE_TEXT_MAX = 2000 };
enum { BLOCK_DEPTH = 2 }; /* in <Plugin ...>, in <BLOCK "NAME"> */

/* One option of the sample, its texts unquoted. */
struct sample_line {
  bool is_active;
  char name[80];
  char texts[SAMPLE_VALUES_MAX][200];
  struct rmq_option_value values[SAMPLE_VALUES_MAX];
  size_t count;
};

static bool is_word(const char *text, bool boolean) {
  static const char *const words[2][3] = {{"false", "no", "off"},
                                          {"true", "yes", "on"}};
  for (size_t i = 0; i < 3; i++)
    if (strcasecmp(text, words[boolean ? 1 : 0][i]) == 0)
      return true;
  return false;
}

/* What collectd's parser makes of a word without quotes. */
static struct rmq_option_value bare_value(const char *text) {
  char *end = NULL;
  double number = strtod(text, &end);
  if (*end == '\0')
    return (struct rmq_option_value){.kind = RMQ_VALUE_NUMBER,
                                     .number = number};
  if (is_word(text, true) || is_word(text, false))
    return (struct rmq_option_value){.kind = RMQ_VALUE_BOOLEAN,
                                     .boolean = is_word(text, true)};
  for (const char *c = text; *c != '\0'; c++)
    if (!isalnum((unsigned char)*c) && *c != '_')
      fail_msg("collectd wants quotes around %s", text);
  return (struct rmq_option_value){.kind = RMQ_VALUE_STRING, .string = text};
}

/* Reads one value at p; returns what is behind it. */
static const char *read_value(const char *p, struct sample_line *l) {
  assert_true(l->count < SAMPLE_VALUES_MAX);
  char *text = l->texts[l->count];
  size_t len = 0;
  bool is_quoted = *p == '"';
  p += is_quoted ? 1 : 0;
  while (*p != '\0' && (is_quoted ? *p != '"' : !isspace((unsigned char)*p))) {
    if (is_quoted && *p == '\\' && p[1] != '\0')
      p++;
    assert_true(len < sizeof(l->texts[0]) - 1);
    text[len++] = *p++;
  }
  text[len] = '\0';
  l->values[l->count++] =
      is_quoted
          ? (struct rmq_option_value){.kind = RMQ_VALUE_STRING, .string = text}
          : bare_value(text);
  if (is_quoted && *p != '"')
    fail_msg("a quote is missing behind %s", text);
  return is_quoted ? p + 1 : p;
}

/* False for anything but an option. */
static bool read_line(const char *text, struct sample_line *ret) {
  const char *p = text + strspn(text, " \t");
  *ret = (struct sample_line){.is_active = *p != '#'};
  p += *p == '#' ? 1 : 0;
  if (sscanf(p, "%79[A-Za-z0-9]", ret->name) != 1)
    return false;
  p += strlen(ret->name);
  while (*(p += strspn(p, " \t")) != '\0')
    p = read_value(p, ret);
  return true;
}

/* Comments that stand together, with the newest line appended. */
static void add_prose(const char *line, bool is_new, char *prose) {
  size_t used = is_new ? 0 : strlen(prose);
  snprintf(prose + used, SAMPLE_TEXT_MAX - used, "%s\n", line);
}

static void apply(const struct rmq_option *table, void *object,
                  const struct sample_line *l, const char *prose) {
  struct rmq_error err = {""};
  const struct rmq_option *o = rmq_options_find(table, l->name);
  if (o == NULL)
    fail_msg("\"%s\" is no option", l->name);
  if (rmq_options_set(table, object, l->name, l->values, l->count, NULL,
                      &err) != 0)
    fail_msg("%s", err.text);
  if (o->default_value == NULL && strstr(prose, "No default") == NULL)
    fail_msg("%s has no default, and the sample does not say so", l->name);
}

/* The options between <BLOCK "NAME"> and its end, without those of blocks that
 * it holds. What the sample shows "in place of" something that it has cannot be
 * there beside it; it is read into spare. */
static void apply_all(const char *text, const struct rmq_option *table,
                      void *object, void *spare, bool also_commented) {
  char *copy = strdup(text), *rest = copy, *line;
  char prose[SAMPLE_TEXT_MAX] = "";
  bool was_option = true;
  int depth = 0;
  while ((line = strsep(&rest, "\n")) != NULL) {
    struct sample_line l;
    const char *p = line + strspn(line, " \t");
    if (*p == '<')
      depth += p[1] == '/' ? -1 : 1;
    else if (p[0] == '#' && (p[1] == ' ' || p[1] == '\0')) {
      add_prose(p, was_option, prose);
      was_option = false;
    } else if (depth == BLOCK_DEPTH && read_line(line, &l)) {
      was_option = true;
      if (l.is_active || also_commented)
        apply(table, strstr(prose, "in place of") == NULL ? object : spare, &l,
              prose);
    }
  }
  free(copy);
}

void sample_is_valid(const char *sample, const struct rmq_option *table,
                     size_t size,
                     int (*check)(const void *, struct rmq_buf *)) {
  char *text = manual_read(sample);
  for (int all = 0; all < 2; all++) {
    struct rmq_error err = {""};
    struct rmq_buf errors;
    void *object = calloc(1, size), *spare = calloc(1, size);
    rmq_buf_init(&errors, 4096);
    SHOW_ROW("%s, %s", sample, all == 1 ? "uncommented" : "as it is");
    assert_true(object != NULL && spare != NULL);
    assert_int_equal(rmq_options_init(table, object, &err), 0);
    assert_int_equal(rmq_options_init(table, spare, &err), 0);
    apply_all(text, table, object, spare, all == 1);
    /* The files of TLS, which are examples, need it. */
    if (all == 1)
      rmq_options_set_text(table, object, "TLSEnabled", "true", NULL, &err);
    if (check(object, &errors) != 0)
      fail_msg("%s", rmq_buf_text(&errors));
    rmq_buf_fini(&errors);
    rmq_options_fini(table, object);
    rmq_options_fini(table, spare);
    free(object);
    free(spare);
  }
  free(text);
}
