/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_putval_decode.h"

#include "common/codec/codec_putnotif_decode.h"
#include "common/codec/command.h"
#include "common/codec/number.h"
#include "common/codec/quote.h"
#include "common/codec/samples.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* What one PUTVAL has said so far. sample's values and meta point here. */
struct command {
  struct rmq_sample sample;
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
  size_t sources_count;
  size_t lists_count;
  bool has_interval;
};

/* host/plugin[-instance]/type[-instance] */
static int read_identifier(char *text, struct rmq_identity *ret_id,
                           struct rmq_error *err) {
  char *plugin = rmq_command_split(text, '/');
  char *type = plugin == NULL ? NULL : rmq_command_split(plugin, '/');
  if (type == NULL)
    return rmq_error_set(err, "identifier \"%.200s\" is not host/plugin/type",
                         text);
  const char *plugin_instance = rmq_command_split(plugin, '-');
  const char *type_instance = rmq_command_split(type, '-');
  *ret_id = (struct rmq_identity){
      .host = text,
      .plugin = plugin,
      .plugin_instance = plugin_instance == NULL ? "" : plugin_instance,
      .type = type,
      .type_instance = type_instance == NULL ? "" : type_instance,
  };
  return rmq_samples_check_identity(ret_id, false, err);
}

/* "interval": seconds, 0 = unknown. */
static int read_interval(struct command *c, const char *value,
                         struct rmq_error *err) {
  if (c->has_interval)
    return rmq_error_set(err, "option interval is given twice");
  c->has_interval = true;
  if (rmq_number_get_seconds(value, strlen(value), &c->sample.interval.ns) != 0)
    return rmq_error_set(err, "interval \"%.60s\" is not a number of seconds",
                         value);
  return 0;
}

/* "meta:KEY": a string, whose quotes are part of the field. */
static int read_meta(struct command *c, const char *key, char *value,
                     struct rmq_error *err) {
  size_t key_len = strlen(key);
  size_t len = strlen(value);
  if (!rmq_samples_key_is_safe(key, key_len))
    return rmq_error_set(err, "a meta key is empty or longer than %d bytes",
                         RMQ_NAME_MAX);
  if (len < 2 || value[0] != '"' || value[len - 1] != '"')
    return rmq_error_set(
        err, "meta:%s is not a quoted string (meta:key=\"\\\"value\\\"\")",
        key);
  if (!rmq_samples_is_line(value, len))
    return rmq_error_set(err, "meta:%s is not UTF-8 or has a control character",
                         key);
  if (c->sample.meta_count == RMQ_SAMPLE_META_MAX)
    return rmq_error_set(err, "more than %d meta data", RMQ_SAMPLE_META_MAX);
  for (size_t i = 0; i < c->sample.meta_count; i++)
    if (strcmp(c->meta[i].key, key) == 0)
      return rmq_error_set(err, "meta:%s is given twice", key);
  value[len - 1] = '\0';
  c->meta[c->sample.meta_count++] = (struct rmq_meta){
      .key = key, .type = RMQ_META_STRING, .value = {.string = value + 1}};
  return 0;
}

/* Bytes of the option key at the start of text, 0 when it is no option. */
static size_t option_key_len(const char *text) {
  size_t n = rmq_quote_option_key_span(text);
  return text[n] == '=' ? n : 0;
}

static int read_option(struct command *c, char *text, size_t key_len,
                       struct rmq_error *err) {
  char *value = text + key_len + 1;
  text[key_len] = '\0';
  if (c->lists_count > 0)
    return rmq_error_set(err, "option %.60s stands behind the values", text);
  if (strcasecmp(text, "interval") == 0)
    return read_interval(c, value, err);
  if (strncasecmp(text, "meta:", 5) == 0)
    return read_meta(c, text + 5, value, err);
  return rmq_error_set(err, "option %.60s is not known", text);
}

static int read_time(const char *text, struct rmq_wall *ret_time,
                     struct rmq_error *err) {
  struct rmq_wall t = {0};
  if (strcmp(text, "N") == 0)
    return rmq_error_set(err, "time N (now) is not accepted in a message");
  if (rmq_number_get_seconds(text, strlen(text), &t.ns) != 0 ||
      t.ns < RMQ_NS_PER_MS)
    return rmq_error_set(err, "time \"%.60s\" is not seconds since 1970", text);
  *ret_time = t;
  return 0;
}

static int read_value(const char *text, struct rmq_datum *d,
                      struct rmq_error *err) {
  size_t len = strlen(text);
  int rc = -1;
  switch (d->kind) {
  case RMQ_GAUGE:
    rc = rmq_number_get_gauge(text, len, &d->value.gauge);
    break;
  case RMQ_DERIVE:
    rc = rmq_number_get_i64(text, len, &d->value.derive);
    break;
  case RMQ_COUNTER:
    rc = rmq_number_get_u64(text, len, &d->value.counter);
    break;
  case RMQ_ABSOLUTE:
    rc = rmq_number_get_u64(text, len, &d->value.absolute);
    break;
  }
  if (rc != 0)
    return rmq_error_set(err, "\"%.60s\" is not a value of kind %s", text,
                         rmq_kind_to_str(d->kind));
  return 0;
}

/* time:value[:value...] */
static int read_list(struct command *c, char *text, struct rmq_error *err) {
  char *rest = rmq_command_split(text, ':');
  if (rest == NULL)
    return rmq_error_set(err, "\"%.60s\" is not time:value", text);
  if (read_time(text, &c->sample.time, err) != 0)
    return -1;
  size_t count = 0;
  while (rest != NULL) {
    char *value = rest;
    rest = rmq_command_split(value, ':');
    if (count < c->sources_count && read_value(value, &c->values[count], err))
      return -1;
    count++;
  }
  if (count != c->sources_count)
    return rmq_error_set(err, "type \"%s\" has %zu values, %zu are given",
                         c->sample.id.type, c->sources_count, count);
  c->lists_count++;
  return 0;
}

static int push_list(struct command *c, struct rmq_samples *set,
                     struct rmq_error *err) {
  c->sample.values_count = c->sources_count;
  return rmq_samples_push(set, &c->sample, c->lists_count > 1, err);
}

static int read_rest(struct command *c, struct rmq_command_line *l,
                     struct rmq_samples *set, struct rmq_error *err) {
  char *text = NULL;
  int rc = 0;
  while ((rc = rmq_command_next(l, &text, err)) == 1) {
    size_t key_len = option_key_len(text);
    if (key_len > 0) {
      if (read_option(c, text, key_len, err) != 0)
        return -1;
    } else if (read_list(c, text, err) != 0 || push_list(c, set, err) != 0) {
      return -1;
    }
  }
  if (rc == 0 && c->lists_count == 0)
    return rmq_error_set(err, "no values");
  return rc;
}

static int read_putval(struct rmq_command_line *l,
                       const struct rmq_types *types, struct command *c,
                       struct rmq_samples *set, struct rmq_error *err) {
  char *text = NULL;
  c->sample = (struct rmq_sample){.values = c->values, .meta = c->meta};
  c->sources_count = 0;
  c->lists_count = 0;
  c->has_interval = false;
  int rc = rmq_command_next(l, &text, err);
  if (rc == 0)
    return rmq_error_set(err, "no identifier");
  if (rc < 0 || read_identifier(text, &c->sample.id, err) != 0 ||
      rmq_samples_find_type(set, types, c->sample.id.type, c->values,
                            &c->sources_count, err) != 0)
    return -1;
  return read_rest(c, l, set, err);
}

/* c is scratch of the caller. An empty line is nothing. */
static int read_line(struct rmq_command_line *l, const struct rmq_types *types,
                     struct command *c, struct rmq_samples *set,
                     struct rmq_error *err) {
  char *verb = NULL;
  int rc = rmq_command_next(l, &verb, err);
  if (rc != 1)
    return rc;
  if (strcasecmp(verb, "PUTVAL") == 0)
    return read_putval(l, types, c, set, err);
  if (strcasecmp(verb, "PUTNOTIF") == 0)
    return rmq_codec_putnotif_read(l, set, err);
  return rmq_error_set(
      err, "command \"%.40s\" is not accepted, only PUTVAL and PUTNOTIF", verb);
}

/* A line is one record: what is wrong with a part of it is wrong with all. */
static int read_lines(const struct rmq_codec_input *in, char *text,
                      struct rmq_samples *set, struct rmq_error *err) {
  struct command c;
  char *end = text + in->len;
  size_t number = 0;
  if (memchr(text, '\0', in->len) != NULL)
    return rmq_error_set(err, "the message has a NUL byte");
  while (text < end) {
    char *newline = memchr(text, '\n', (size_t)(end - text));
    struct rmq_command_line l = {.at = text,
                                 .end = newline == NULL ? end : newline};
    struct rmq_error why = {""};
    size_t count = set->entries_count;
    number++;
    if (read_line(&l, in->types, &c, set, &why) != 0) {
      rmq_samples_rewind(set, count);
      if (rmq_samples_refuse(set, "line", number, &why, err) != 0)
        return -1;
    }
    text = newline == NULL ? end : newline + 1;
  }
  return rmq_samples_hand_over(set, "no command in the message", err);
}

int rmq_codec_putval_decode(const struct rmq_codec_input *in,
                            const struct rmq_codec_sink *sink,
                            struct rmq_error *err) {
  return rmq_samples_read(in, sink, read_lines, err);
}
