/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/influx_line.h"

#include "common/codec/number.h"

#include <string.h>

const char *rmq_influx_type_to_str(enum rmq_influx_type t) {
  switch (t) {
  case RMQ_INFLUX_FLOAT:
    return "float";
  case RMQ_INFLUX_SIGNED:
    return "signed";
  case RMQ_INFLUX_UNSIGNED:
    return "unsigned";
  case RMQ_INFLUX_BOOLEAN:
    return "boolean";
  case RMQ_INFLUX_TEXT:
    return "text";
  }
  return "unknown";
}

/* Un-escapes a name up to the first of stops, which is taken as well and
 * returned; '\n' at the end of the line. */
static char take_name(struct rmq_influx_text *t, const char *stops,
                      const char *escapable, char **ret_name) {
  char *to = t->at;
  char stop = '\n';
  *ret_name = to;
  for (; t->at < t->end; t->at++) {
    char c = *t->at;
    if (c == '\n' || (c != '\0' && strchr(stops, c) != NULL)) {
      stop = c;
      t->at++;
      break;
    }
    if (c == '\\' && t->end - t->at > 1 && t->at[1] != '\0' &&
        strchr(escapable, t->at[1]) != NULL)
      c = *++t->at;
    *to++ = c;
  }
  t->is_line_over = stop == '\n';
  *to = '\0';
  return stop;
}

static void skip_spaces(struct rmq_influx_text *t) {
  while (t->at < t->end && *t->at == ' ')
    t->at++;
}

static int read_measurement(struct rmq_influx_text *t,
                            struct rmq_influx_line *line,
                            struct rmq_error *err) {
  char *name = NULL;
  char stop = take_name(t, ", ", ", ", &name);
  line->measurement = name;
  line->tags_count = 0;
  while (stop == ',') {
    char *value = NULL;
    if (line->tags_count == RMQ_INFLUX_TAGS_MAX)
      return rmq_error_set(err, "more than %d tags", RMQ_INFLUX_TAGS_MAX);
    if (take_name(t, "=, ", ",= ", &name) != '=')
      return rmq_error_set(err, "tag \"%.60s\" has no value", name);
    stop = take_name(t, ", ", ",= ", &value);
    line->tags[line->tags_count].key = name;
    line->tags[line->tags_count++].value = value;
  }
  return stop == ' ' ? 0 : rmq_error_set(err, "no field");
}

/* A text's end is where its closing quote is; it may span lines. */
static int read_text(struct rmq_influx_text *t, struct rmq_error *err) {
  for (t->at++; t->at < t->end; t->at++) {
    if (*t->at == '"') {
      t->at++;
      return 0;
    }
    if (*t->at == '\\' && t->end - t->at > 1)
      t->at++;
  }
  return rmq_error_set(err, "a text has no end");
}

static bool is_word(const char *text, const char *const *words) {
  for (; *words != NULL; words++)
    if (strcmp(text, *words) == 0)
      return true;
  return false;
}

static int get_value(const char *text, struct rmq_influx_value *v) {
  static const char *const yes[] = {"t", "T", "true", "True", "TRUE", NULL};
  static const char *const no[] = {"f", "F", "false", "False", "FALSE", NULL};
  size_t len = strlen(text);
  char last = len == 0 ? '\0' : text[len - 1];
  v->type = RMQ_INFLUX_BOOLEAN;
  v->value.boolean = is_word(text, yes);
  if (v->value.boolean || is_word(text, no))
    return 0;
  v->type = last == 'i'   ? RMQ_INFLUX_SIGNED
            : last == 'u' ? RMQ_INFLUX_UNSIGNED
                          : RMQ_INFLUX_FLOAT;
  if (last == 'i')
    return rmq_number_get_i64(text, len - 1, &v->value.signed_int);
  if (last == 'u')
    return rmq_number_get_u64(text, len - 1, &v->value.unsigned_int);
  return rmq_number_get_double(text, len, &v->value.number);
}

/* What stands behind the value is taken and returned, or '\0' with err. */
static char read_field_value(struct rmq_influx_text *t,
                             struct rmq_influx_value *v,
                             struct rmq_error *err) {
  char *text = NULL;
  bool is_text = t->at < t->end && *t->at == '"';
  v->type = RMQ_INFLUX_TEXT;
  if (is_text && read_text(t, err) != 0)
    return '\0';
  char stop = take_name(t, ", \r", "", &text);
  if (is_text ? text[0] != '\0' : get_value(text, v) != 0) {
    rmq_error_set(err, "field \"%.60s\" has no valid value", v->key);
    return '\0';
  }
  return stop;
}

static int read_fields(struct rmq_influx_text *t, struct rmq_influx_line *line,
                       struct rmq_error *err) {
  char stop = ',';
  line->fields_count = 0;
  skip_spaces(t);
  while (stop == ',') {
    char *key = NULL;
    struct rmq_influx_value *v = &line->fields[line->fields_count];
    if (line->fields_count == RMQ_INFLUX_FIELDS_MAX)
      return rmq_error_set(err, "more than %d fields", RMQ_INFLUX_FIELDS_MAX);
    if (take_name(t, "=, ", ",= ", &key) != '=' || key[0] == '\0')
      return rmq_error_set(err, "field \"%.60s\" has no value", key);
    v->key = key;
    stop = read_field_value(t, v, err);
    if (stop == '\0')
      return -1;
    line->fields_count++;
  }
  return stop == ' ' ? 0 : rmq_error_set(err, "no time");
}

static int read_time(struct rmq_influx_text *t, struct rmq_influx_line *line,
                     struct rmq_error *err) {
  char *text = NULL;
  skip_spaces(t);
  char stop = take_name(t, " \r", "", &text);
  if (text[0] == '\0')
    return rmq_error_set(err, "no time");
  if (rmq_number_get_i64(text, strlen(text), &line->time_ns) != 0 ||
      line->time_ns < RMQ_NS_PER_MS ||
      line->time_ns > RMQ_NUMBER_SECONDS_MAX * RMQ_NS_PER_S)
    return rmq_error_set(err, "time \"%.60s\" is not nanoseconds since 1970",
                         text);
  if (stop != '\n') {
    stop = take_name(t, "", "", &text);
    if (text[strspn(text, " \r")] != '\0')
      return rmq_error_set(err, "something follows the time");
  }
  return 0;
}

int rmq_influx_line_read(struct rmq_influx_text *t,
                         struct rmq_influx_line *ret_line,
                         struct rmq_error *err) {
  char *rest = NULL;
  int rc = 0;
  t->is_line_over = false;
  skip_spaces(t);
  char first = t->at < t->end ? *t->at : '\n';
  if (first != '\n' && first != '\r' && first != '#')
    rc = read_measurement(t, ret_line, err) == 0 &&
                 read_fields(t, ret_line, err) == 0 &&
                 read_time(t, ret_line, err) == 0
             ? 1
             : -1;
  if (!t->is_line_over)
    take_name(t, "", "", &rest);
  return rc;
}
