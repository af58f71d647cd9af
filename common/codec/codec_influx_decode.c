/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_influx_decode.h"

#include "common/base/names.h"
#include "common/codec/influx_line.h"
#include "common/codec/samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define INTEGER_SUFFIX "_total"

struct decoding {
  const struct rmq_types *types;
  struct rmq_samples *set;
  struct rmq_error why; /* what is wrong with this line */
  struct rmq_influx_line line;
};

/* collectd's own shape ---------------------------------------------------- */

/* True when there is no tag that collectd does not write. */
static bool get_own_identity(const struct rmq_influx_line *line,
                             struct rmq_identity *ret_id) {
  *ret_id = (struct rmq_identity){"", line->measurement, "", "", ""};
  for (size_t i = 0; i < line->tags_count; i++) {
    const char *key = line->tags[i].key;
    const char **to = strcmp(key, "host") == 0       ? &ret_id->host
                      : strcmp(key, "instance") == 0 ? &ret_id->plugin_instance
                      : strcmp(key, "type") == 0     ? &ret_id->type
                      : strcmp(key, "type_instance") == 0
                          ? &ret_id->type_instance
                          : NULL;
    if (to == NULL || *to[0] != '\0')
      return false;
    *to = line->tags[i].value;
  }
  return ret_id->host[0] != '\0' && ret_id->type[0] != '\0';
}

/* The data source that a field is the value of, or count. */
static size_t find_source(const struct rmq_influx_value *field,
                          const struct rmq_datum *sources, size_t count) {
  for (size_t i = 0; i < count; i++) {
    size_t n = strlen(sources[i].name);
    if (strncmp(field->key, sources[i].name, n) == 0 &&
        (field->key[n] == '\0' ||
         (sources[i].kind != RMQ_GAUGE &&
          strcmp(field->key + n, INTEGER_SUFFIX) == 0)))
      return i;
  }
  return count;
}

static double number_of(const struct rmq_influx_value *field) {
  switch (field->type) {
  case RMQ_INFLUX_FLOAT:
    return field->value.number;
  case RMQ_INFLUX_SIGNED:
    return (double)field->value.signed_int;
  case RMQ_INFLUX_UNSIGNED:
    return (double)field->value.unsigned_int;
  case RMQ_INFLUX_BOOLEAN:
    return field->value.boolean ? 1 : 0;
  case RMQ_INFLUX_TEXT:
    return NAN;
  }
  return NAN;
}

/* Counters from 2^63 on have the suffix u, all others i. */
static int get_unsigned(const struct rmq_influx_value *field, uint64_t *ret_v) {
  if (field->type == RMQ_INFLUX_SIGNED && field->value.signed_int < 0)
    return -1;
  *ret_v = field->type == RMQ_INFLUX_SIGNED ? (uint64_t)field->value.signed_int
                                            : field->value.unsigned_int;
  return 0;
}

static int get_datum(const struct rmq_influx_value *field,
                     struct rmq_datum *d) {
  bool is_integer =
      field->type == RMQ_INFLUX_SIGNED || field->type == RMQ_INFLUX_UNSIGNED;
  if (d->kind != RMQ_GAUGE && !is_integer)
    return -1;
  switch (d->kind) {
  case RMQ_GAUGE:
    d->value.gauge = number_of(field);
    return field->type == RMQ_INFLUX_TEXT ? -1 : 0;
  case RMQ_DERIVE:
    d->value.derive = field->value.signed_int;
    return field->type == RMQ_INFLUX_SIGNED ? 0 : -1;
  case RMQ_COUNTER:
    return get_unsigned(field, &d->value.counter);
  case RMQ_ABSOLUTE:
    return get_unsigned(field, &d->value.absolute);
  }
  return -1;
}

static bool fields_are_sources(const struct rmq_influx_line *line,
                               const struct rmq_datum *sources, size_t count) {
  for (size_t i = 0; i < line->fields_count; i++)
    if (find_source(&line->fields[i], sources, count) == count)
      return false;
  return true;
}

static int fill_own_values(struct decoding *d, struct rmq_datum *values,
                           size_t count) {
  bool is_given[RMQ_SAMPLE_VALUES_MAX] = {false};
  for (size_t i = 0; i < d->line.fields_count; i++) {
    const struct rmq_influx_value *field = &d->line.fields[i];
    size_t at = find_source(field, values, count);
    if (is_given[at])
      return rmq_error_set(&d->why, "field \"%s\" is given twice", field->key);
    is_given[at] = true;
    if (get_datum(field, &values[at]) != 0)
      return rmq_error_set(
          &d->why, "field \"%s\" is not of kind %s%s", field->key,
          rmq_kind_to_str(values[at].kind),
          field->type == RMQ_INFLUX_FLOAT
              ? " but a fraction (does the sender have StoreRates on?)"
              : "");
  }
  for (size_t i = 0; i < count; i++)
    if (!is_given[i] && values[i].kind == RMQ_GAUGE)
      values[i].value.gauge = NAN;
    else if (!is_given[i])
      return rmq_error_set(&d->why, "no field \"%s" INTEGER_SUFFIX "\"",
                           values[i].name);
  return 0;
}

static int push_own(struct decoding *d, const struct rmq_identity *id,
                    struct rmq_datum *values, size_t count) {
  struct rmq_sample s = {.id = *id,
                         .time = {d->line.time_ns},
                         .values = values,
                         .values_count = count};
  if (rmq_samples_check_identity(id, false, &d->why) != 0 ||
      fill_own_values(d, values, count) != 0)
    return -1;
  return rmq_samples_push(d->set, &s, false, &d->why);
}

/* Anybody's --------------------------------------------------------------- */

/* The values of all tags but host, in the order of their keys. */
static void join_tags(struct rmq_influx_line *line, struct rmq_buf *out) {
  for (size_t done = 0; done < line->tags_count; done++) {
    size_t first = done;
    for (size_t i = done + 1; i < line->tags_count; i++)
      if (strcmp(line->tags[i].key, line->tags[first].key) < 0)
        first = i;
    const char *key = line->tags[first].key;
    const char *value = line->tags[first].value;
    line->tags[first] = line->tags[done];
    line->tags[done].key = key;
    line->tags[done].value = value;
    if (strcmp(key, "host") == 0 || value[0] == '\0')
      continue;
    if (out->len > 0)
      rmq_buf_append_char(out, '-');
    rmq_buf_append_text(out, value);
  }
}

static const char *find_host(const struct rmq_influx_line *line) {
  for (size_t i = 0; i < line->tags_count; i++)
    if (strcmp(line->tags[i].key, "host") == 0)
      return line->tags[i].value;
  return "";
}

/* name where collectd can carry it, else a text of set that stands for it; NULL
 * with an error. */
static const char *carried(struct decoding *d, const char *what,
                           const char *name) {
  char fit[RMQ_NAME_MAX + 1];
  struct rmq_buf encoded;
  if (rmq_names_are_safe(name, strlen(name)))
    return name;
  rmq_buf_init(&encoded, SIZE_MAX / 4);
  int rc = rmq_names_encode(&encoded, name, false);
  if (rc == 0)
    rmq_names_shorten(rmq_buf_text(&encoded), fit, sizeof(fit));
  rmq_buf_fini(&encoded);
  if (rc == 0 &&
      rmq_samples_check_name(what, fit, strlen(fit), false, &d->why) != 0)
    return NULL;
  const char *kept = rc == 0 ? rmq_samples_keep(d->set, fit) : NULL;
  if (kept == NULL)
    rmq_samples_run_short(d->set, &d->why);
  return kept;
}

static int push_fields(struct decoding *d, struct rmq_identity *id) {
  struct rmq_datum value[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_sample s = {.time = {d->line.time_ns}, .values = value};
  size_t before = d->set->entries_count;
  if (rmq_samples_find_type(d->set, d->types, id->type, value, &s.values_count,
                            &d->why) != 0)
    return -1;
  for (size_t i = 0; i < d->line.fields_count; i++) {
    const struct rmq_influx_value *field = &d->line.fields[i];
    if (field->type == RMQ_INFLUX_TEXT)
      continue;
    id->type_instance = carried(d, "field", field->key);
    if (id->type_instance == NULL)
      return -1;
    s.id = *id;
    value[0].value.gauge = number_of(field);
    if (rmq_samples_push(d->set, &s, false, &d->why) != 0)
      return -1;
  }
  return d->set->entries_count > before
             ? 0
             : rmq_error_set(&d->why, "no field that is a number");
}

static int push_foreign(struct decoding *d) {
  struct rmq_buf joined;
  struct rmq_identity id = {.host = find_host(&d->line), .type = "gauge"};
  rmq_buf_init(&joined, SIZE_MAX / 4);
  join_tags(&d->line, &joined);
  bool is_short_of_memory = joined.failed;
  if (!is_short_of_memory && joined.len > 0)
    id.plugin_instance = rmq_samples_keep(d->set, rmq_buf_text(&joined));
  else
    id.plugin_instance = "";
  rmq_buf_fini(&joined);
  if (is_short_of_memory || id.plugin_instance == NULL)
    return rmq_samples_run_short(d->set, &d->why);
  if (id.host[0] == '\0')
    return rmq_error_set(&d->why, "no tag host");
  id.host = carried(d, "host", id.host);
  id.plugin = carried(d, "measurement", d->line.measurement);
  if (id.plugin_instance[0] != '\0')
    id.plugin_instance = carried(d, "tags", id.plugin_instance);
  if (id.host == NULL || id.plugin == NULL || id.plugin_instance == NULL)
    return -1;
  return push_fields(d, &id);
}

/* ------------------------------------------------------------------------- */

static int push_line(struct decoding *d) {
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_identity id;
  if (get_own_identity(&d->line, &id)) {
    int n =
        d->types->get(d->types->ctx, id.type, values, RMQ_SAMPLE_VALUES_MAX);
    if (n > 0 && fields_are_sources(&d->line, values, (size_t)n))
      return push_own(d, &id, values, (size_t)n);
  }
  return push_foreign(d);
}

static int read_lines(struct decoding *d, struct rmq_influx_text *text,
                      struct rmq_error *err) {
  for (size_t number = 1; text->at < text->end; number++) {
    size_t count = d->set->entries_count;
    rmq_error_clear(&d->why);
    int rc = rmq_influx_line_read(text, &d->line, &d->why);
    if (rc == 1)
      rc = push_line(d);
    if (rc < 0) {
      rmq_samples_rewind(d->set, count);
      if (rmq_samples_refuse(d->set, "line", number, &d->why, err) != 0)
        return -1;
    }
  }
  return rmq_samples_hand_over(d->set, "no line in the message", err);
}

static int read_message(const struct rmq_codec_input *in, char *text,
                        struct rmq_samples *set, struct rmq_error *err) {
  if (memchr(text, '\0', in->len) != NULL)
    return rmq_error_set(err, "the message has a NUL byte");
  struct decoding *d = malloc(sizeof(*d));
  if (d == NULL)
    return rmq_samples_no_memory(err);
  d->types = in->types;
  d->set = set;
  int rc = read_lines(
      d, &(struct rmq_influx_text){.at = text, .end = text + in->len}, err);
  free(d);
  return rc;
}

int rmq_codec_influx_decode(const struct rmq_codec_input *in,
                            const struct rmq_codec_sink *sink,
                            struct rmq_error *err) {
  return rmq_samples_read(in, sink, read_message, err);
}
