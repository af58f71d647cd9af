/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_json_decode.h"

#include "common/codec/codec_json_alert.h"
#include "common/codec/json_record.h"
#include "common/codec/number.h"
#include "common/codec/samples.h"

#include <math.h>
#include <string.h>
#include <strings.h>

static bool is_number(const struct rmq_json_value *v) {
  return v->kind == RMQ_JSON_INTEGER || v->kind == RMQ_JSON_REAL;
}

/* Values ------------------------------------------------------------------ */

static int get_gauge(const struct rmq_json_value *v, double *ret_v) {
  if (is_number(v))
    return rmq_number_get_double(v->text, v->len, ret_v);
  if (v->kind != RMQ_JSON_NULL)
    return -1;
  *ret_v = NAN;
  return 0;
}

/* -0 is an integer, too. */
static int get_unsigned(const struct rmq_json_value *v, uint64_t *ret_v) {
  bool is_negative_zero = v->len == 2 && memcmp(v->text, "-0", 2) == 0;
  if (v->kind != RMQ_JSON_INTEGER)
    return -1;
  return rmq_number_get_u64(v->text + is_negative_zero,
                            v->len - is_negative_zero, ret_v);
}

static int get_value(const struct rmq_json_value *v, struct rmq_datum *d) {
  bool is_integer = v->kind == RMQ_JSON_INTEGER;
  switch (d->kind) {
  case RMQ_GAUGE:
    return get_gauge(v, &d->value.gauge);
  case RMQ_DERIVE:
    return is_integer ? rmq_number_get_i64(v->text, v->len, &d->value.derive)
                      : -1;
  case RMQ_COUNTER:
    return get_unsigned(v, &d->value.counter);
  case RMQ_ABSOLUTE:
    return get_unsigned(v, &d->value.absolute);
  }
  return -1;
}

static bool has(const struct rmq_json_record *r, enum rmq_json_slot s,
                enum rmq_json_kind kind) {
  return r->is_given[s] && r->values[s].kind == kind;
}

/* A value that is no count, where the type wants one. */
static const char *rate_hint(enum rmq_json_kind given, enum rmq_kind wanted) {
  if (wanted == RMQ_GAUGE)
    return "";
  if (given == RMQ_JSON_REAL)
    return " but a fraction (does the sender have StoreRates on?)";
  if (given == RMQ_JSON_NULL)
    return " but null (does the sender have StoreRates on?)";
  return "";
}

static int read_values(const struct rmq_json_record *r, const char *type,
                       struct rmq_datum *sources, size_t count,
                       struct rmq_error *err) {
  const struct rmq_json_list *values = &r->lists[RMQ_JSON_VALUES];
  if (!has(r, RMQ_JSON_VALUES, RMQ_JSON_ARRAY))
    return rmq_error_set(err, "no array \"values\"");
  if (values->count != count)
    return rmq_error_set(err, "type \"%s\" has %zu values, %zu are given", type,
                         count, values->count);
  for (size_t i = 0; i < count; i++)
    if (get_value(&values->items[i], &sources[i]) != 0)
      return rmq_error_set(err, "values[%zu] is not of kind %s%s", i,
                           rmq_kind_to_str(sources[i].kind),
                           rate_hint(values->items[i].kind, sources[i].kind));
  return 0;
}

/* "dstypes" and "dsnames", where given, say what the type says. */
static int check_sources(const struct rmq_json_record *r,
                         enum rmq_json_slot slot, const char *type,
                         const struct rmq_datum *sources, size_t count,
                         struct rmq_error *err) {
  const struct rmq_json_list *words = &r->lists[slot];
  const char *key = rmq_json_slot_to_str(slot);
  bool are_kinds = slot == RMQ_JSON_DSTYPES;
  if (!r->is_given[slot])
    return 0;
  if (r->values[slot].kind != RMQ_JSON_ARRAY || words->count != count)
    return rmq_error_set(err, "\"%s\" is not an array of %zu, as type \"%s\"",
                         key, count, type);
  for (size_t i = 0; i < count; i++) {
    const struct rmq_json_value *v = &words->items[i];
    const char *word = v->kind == RMQ_JSON_STRING ? v->text : "";
    const char *want =
        are_kinds ? rmq_kind_to_str(sources[i].kind) : sources[i].name;
    if ((are_kinds ? strcasecmp(word, want) : strcmp(word, want)) != 0)
      return rmq_error_set(err,
                           "%s[%zu] is \"%.60s\", in type \"%s\" it is \"%s\"",
                           key, i, word, type, want);
  }
  return 0;
}

/* Times ------------------------------------------------------------------- */

/* A number with an exponent goes through a double, rounded to the microsecond:
 * that is what a double of our times can carry (until the year 2242). */
static int get_rounded_seconds(const struct rmq_json_value *v,
                               int64_t *ret_ns) {
  double seconds = 0;
  if (rmq_number_get_double(v->text, v->len, &seconds) != 0 ||
      !(seconds >= 0 && seconds <= (double)RMQ_NUMBER_SECONDS_MAX))
    return -1;
  double whole = floor(seconds);
  *ret_ns = (int64_t)whole * RMQ_NS_PER_S +
            (int64_t)((seconds - whole) * 1e6 + 0.5) * 1000;
  return 0;
}

static int read_seconds(const struct rmq_json_record *r,
                        enum rmq_json_slot slot, int64_t *ret_ns,
                        struct rmq_error *err) {
  const struct rmq_json_value *v = &r->values[slot];
  const char *key = rmq_json_slot_to_str(slot);
  if (!r->is_given[slot] || !is_number(v))
    return rmq_error_set(err, "\"%s\" is not a number", key);
  if (rmq_number_get_seconds(v->text, v->len, ret_ns) != 0 &&
      get_rounded_seconds(v, ret_ns) != 0)
    return rmq_error_set(err, "\"%s\" is out of range", key);
  return 0;
}

static int read_times(const struct rmq_json_record *r, struct rmq_sample *s,
                      struct rmq_error *err) {
  if (read_seconds(r, RMQ_JSON_TIME, &s->time.ns, err) != 0)
    return -1;
  if (s->time.ns < RMQ_NS_PER_MS)
    return rmq_error_set(err, "\"time\" is 0");
  if (!r->is_given[RMQ_JSON_INTERVAL])
    return 0;
  return read_seconds(r, RMQ_JSON_INTERVAL, &s->interval.ns, err);
}

/* Meta data --------------------------------------------------------------- */

static int get_meta(const struct rmq_json_value *v, struct rmq_meta *m) {
  switch (v->kind) {
  case RMQ_JSON_STRING:
    m->type = RMQ_META_STRING;
    m->value.string = v->text;
    return memchr(v->text, '\0', v->len) == NULL ? 0 : -1;
  case RMQ_JSON_INTEGER:
    m->type = RMQ_META_SIGNED;
    if (rmq_number_get_i64(v->text, v->len, &m->value.signed_int) == 0)
      return 0;
    m->type = RMQ_META_UNSIGNED;
    return rmq_number_get_u64(v->text, v->len, &m->value.unsigned_int);
  case RMQ_JSON_REAL:
    m->type = RMQ_META_DOUBLE;
    return rmq_number_get_double(v->text, v->len, &m->value.number);
  case RMQ_JSON_TRUE:
  case RMQ_JSON_FALSE:
    m->type = RMQ_META_BOOLEAN;
    m->value.boolean = v->kind == RMQ_JSON_TRUE;
    return 0;
  case RMQ_JSON_NULL:
  case RMQ_JSON_ARRAY:
  case RMQ_JSON_OBJECT:
    return -1;
  }
  return -1;
}

static bool is_twice(const struct rmq_meta *meta, size_t count,
                     const char *key) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(meta[i].key, key) == 0)
      return true;
  return false;
}

static int read_meta(const struct rmq_json_record *r, struct rmq_meta *meta,
                     size_t *ret_count, struct rmq_error *err) {
  const struct rmq_json_pairs *all = &r->meta;
  if (!r->is_given[RMQ_JSON_META])
    return 0;
  if (r->values[RMQ_JSON_META].kind != RMQ_JSON_OBJECT ||
      all->count > RMQ_SAMPLE_META_MAX)
    return rmq_error_set(err, "\"meta\" is not an object of at most %d",
                         RMQ_SAMPLE_META_MAX);
  for (size_t i = 0; i < all->count; i++) {
    const struct rmq_json_value *key = &all->keys[i];
    if (!rmq_samples_key_is_safe(key->text, key->len))
      return rmq_error_set(err,
                           "a key of \"meta\" is empty, longer than %d bytes "
                           "or has a control character",
                           RMQ_NAME_MAX);
    if (is_twice(meta, i, key->text))
      return rmq_error_set(err, "meta \"%s\" is given twice", key->text);
    meta[i].key = key->text;
    if (get_meta(&all->items[i], &meta[i]) != 0)
      return rmq_error_set(
          err, "meta \"%s\" is not a string, number or boolean", key->text);
  }
  *ret_count = all->count;
  return 0;
}

/* Samples ----------------------------------------------------------------- */

static int read_name(const struct rmq_json_record *r, enum rmq_json_slot slot,
                     bool may_be_empty, const char **ret_name,
                     struct rmq_error *err) {
  const char *key = rmq_json_slot_to_str(slot);
  if (!r->is_given[slot] && may_be_empty) {
    *ret_name = "";
    return 0;
  }
  if (!has(r, slot, RMQ_JSON_STRING))
    return rmq_error_set(err, "\"%s\" is not a string", key);
  *ret_name = r->values[slot].text;
  return rmq_samples_check_name(key, *ret_name, r->values[slot].len,
                                may_be_empty, err);
}

static int read_identity(const struct rmq_json_record *r,
                         struct rmq_identity *id, struct rmq_error *err) {
  if (read_name(r, RMQ_JSON_HOST, false, &id->host, err) != 0 ||
      read_name(r, RMQ_JSON_PLUGIN, false, &id->plugin, err) != 0 ||
      read_name(r, RMQ_JSON_PLUGIN_INSTANCE, true, &id->plugin_instance, err) ||
      read_name(r, RMQ_JSON_TYPE, false, &id->type, err) != 0)
    return -1;
  return read_name(r, RMQ_JSON_TYPE_INSTANCE, true, &id->type_instance, err);
}

static int read_sample(const struct rmq_json_record *r,
                       const struct rmq_types *types, struct rmq_samples *set,
                       struct rmq_error *err) {
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
  struct rmq_sample s = {.values = values, .meta = meta};
  if (read_identity(r, &s.id, err) != 0 ||
      rmq_samples_find_type(set, types, s.id.type, values, &s.values_count,
                            err) != 0 ||
      read_values(r, s.id.type, values, s.values_count, err) != 0 ||
      check_sources(r, RMQ_JSON_DSTYPES, s.id.type, values, s.values_count,
                    err) != 0 ||
      check_sources(r, RMQ_JSON_DSNAMES, s.id.type, values, s.values_count,
                    err) != 0 ||
      read_times(r, &s, err) != 0 ||
      read_meta(r, meta, &s.meta_count, err) != 0)
    return -1;
  return rmq_samples_push(set, &s, false, err);
}

static int read_record(struct rmq_json_record *r, const struct rmq_types *types,
                       struct rmq_samples *set, struct rmq_error *err) {
  if (r->twice != RMQ_JSON_SLOTS)
    return rmq_error_set(err, "key \"%s\" is given twice",
                         rmq_json_slot_to_str((enum rmq_json_slot)r->twice));
  if (r->is_given[RMQ_JSON_LABELS] && !r->is_given[RMQ_JSON_HOST])
    return rmq_codec_json_alert_read(r, types, set, err);
  if (!r->is_given[RMQ_JSON_HOST] && !r->is_given[RMQ_JSON_VALUES])
    return rmq_error_set(err, "neither \"host\" nor \"values\": not collectd's "
                              "JSON (Telegraf: data_format = \"influx\")");
  return read_sample(r, types, set, err);
}

/* The next element; -1 only when the message has to be given up. */
static int read_element(struct rmq_json *j, size_t number,
                        const struct rmq_types *types, struct rmq_samples *set,
                        struct rmq_error *err) {
  struct rmq_json_record r;
  struct rmq_error why = {""};
  struct rmq_json_value other;
  int rc = -1;
  if (rmq_json_peek(j) != '{') {
    if (rmq_json_value(j, &other) != 0)
      return -1;
    rmq_error_set(&why, "not an object");
  } else {
    if (rmq_json_record_read(j, &r) != 0)
      return -1;
    rc = read_record(&r, types, set, &why);
  }
  return rc == 0 ? 0 : rmq_samples_refuse(set, "sample", number, &why, err);
}

static int read_message(const struct rmq_codec_input *in, char *text,
                        struct rmq_samples *set, struct rmq_error *err) {
  struct rmq_json j;
  size_t number = 0;
  int more = 0;
  rmq_json_init(&j, text, in->len, err);
  if (rmq_json_peek(&j) == '{')
    more = read_element(&j, 1, in->types, set, err);
  else if (rmq_json_open(&j, '[') != 0)
    return -1;
  else
    while ((more = rmq_json_more(&j)) == 1)
      if (read_element(&j, ++number, in->types, set, err) != 0)
        return -1;
  if (more != 0 || rmq_json_end(&j) != 0)
    return -1;
  return rmq_samples_hand_over(set, "no sample in the array", err);
}

int rmq_codec_json_decode(const struct rmq_codec_input *in,
                          const struct rmq_codec_sink *sink,
                          struct rmq_error *err) {
  return rmq_samples_read(in, sink, read_message, err);
}
