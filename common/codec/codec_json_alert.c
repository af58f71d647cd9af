/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec_json_alert.h"

#include "common/codec/number.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#define NAME_PREFIX "collectd_"

/* What one alert says. name is what alertname says behind its prefix; plugin
 * and type are cut out of it. */
struct alert {
  struct rmq_event event;
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
  char *name;
  bool has_severity;
};

static bool is_known(const struct rmq_types *types, const char *type) {
  struct rmq_datum sources[RMQ_SAMPLE_VALUES_MAX];
  return types->get(types->ctx, type, sources, RMQ_SAMPLE_VALUES_MAX) > 0;
}

/* Where the type begins in name, or NULL: it has none. */
static const char *find_type(const char *name, const char *plugin,
                             const struct rmq_types *types) {
  size_t n = strlen(plugin);
  if (is_known(types, name) && strncmp(name, plugin, n) == 0)
    return name;
  if (n > 0)
    return strncmp(name, plugin, n) == 0 && name[n] == '_' ? name + n + 1
                                                           : NULL;
  for (const char *at = strchr(name, '_'); at != NULL; at = strchr(at, '_'))
    if (is_known(types, ++at))
      return at;
  return NULL;
}

/* Cuts name into plugin and type, where the plugin is not known already. */
static void split_name(struct alert *a, const struct rmq_types *types) {
  struct rmq_identity *id = &a->event.id;
  const char *type = find_type(a->name, id->plugin, types);
  if (type != NULL)
    id->type = type;
  if (id->plugin[0] != '\0')
    return;
  id->plugin = a->name;
  if (type != NULL && type != a->name)
    a->name[type - a->name - 1] = '\0';
}

static int read_alertname(struct alert *a, char *text, struct rmq_error *err) {
  size_t prefix = sizeof(NAME_PREFIX) - 1;
  if (strncmp(text, NAME_PREFIX, prefix) != 0)
    return rmq_error_set(err, "alertname \"%.60s\" is none of collectd's",
                         text);
  a->name = text + prefix;
  return 0;
}

static int read_severity(struct alert *a, const char *text,
                         struct rmq_error *err) {
  static const enum rmq_severity all[] = {RMQ_OKAY, RMQ_WARNING, RMQ_FAILURE};
  for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
    if (strcasecmp(text, rmq_severity_to_str(all[i])) == 0) {
      a->event.severity = all[i];
      a->has_severity = true;
      return 0;
    }
  return rmq_error_set(err, "severity \"%.60s\" is not known", text);
}

static int read_label(struct alert *a, const char *key, char *text,
                      struct rmq_error *err) {
  struct rmq_identity *id = &a->event.id;
  if (strcmp(key, "alertname") == 0)
    return read_alertname(a, text, err);
  if (strcmp(key, "severity") == 0)
    return read_severity(a, text, err);
  if (strcmp(key, "instance") == 0)
    id->host = text;
  else if (strcmp(key, "type") == 0)
    id->type_instance = text;
  else if (strcmp(key, "service") != 0) {
    if (id->plugin[0] != '\0')
      return rmq_error_set(err, "label \"%.60s\" is none of collectd's", key);
    id->plugin = key;
    id->plugin_instance = text;
  }
  return 0;
}

/* The text of a pair, or NULL with an error. */
static char *text_of(const struct rmq_json_pairs *pairs, size_t i,
                     struct rmq_error *err) {
  const struct rmq_json_value *key = &pairs->keys[i];
  const struct rmq_json_value *v = &pairs->items[i];
  if (rmq_samples_key_is_safe(key->text, key->len) &&
      v->kind == RMQ_JSON_STRING && memchr(v->text, '\0', v->len) == NULL)
    return v->text;
  rmq_error_set(err, "a label or annotation of an alert is not a text");
  return NULL;
}

static int read_labels(struct alert *a, const struct rmq_json_pairs *labels,
                       struct rmq_error *err) {
  for (size_t i = 0; i < labels->count; i++) {
    char *text = text_of(labels, i, err);
    if (text == NULL || read_label(a, labels->keys[i].text, text, err) != 0)
      return -1;
  }
  if (a->name == NULL || !a->has_severity)
    return rmq_error_set(err, "an alert without alertname or severity");
  return 0;
}

static int read_annotations(struct alert *a, struct rmq_json_pairs *all,
                            struct rmq_error *err) {
  for (size_t i = 0; i < all->count; i++) {
    char *text = text_of(all, i, err);
    if (text == NULL)
      return -1;
    rmq_samples_clean_text(text, strlen(text));
    if (strcmp(all->keys[i].text, "summary") == 0)
      a->event.message = text;
    else
      a->meta[a->event.meta_count++] = (struct rmq_meta){
          all->keys[i].text, RMQ_META_STRING, {.string = text}};
  }
  return a->event.message[0] == '\0'
             ? rmq_error_set(err, "an alert without a summary")
             : 0;
}

/* RFC 3339 ---------------------------------------------------------------- */

/* Two digits at text, or more than any part of a time. */
static int two(const char *text) {
  bool are_digits =
      text[0] >= '0' && text[0] <= '9' && text[1] >= '0' && text[1] <= '9';
  return are_digits ? (text[0] - '0') * 10 + text[1] - '0' : 1000;
}

static bool has_form(const char *text, size_t len) {
  static const char form[] = "0000-00-00T00:00:00";
  if (len < sizeof(form)) /* and a zone */
    return false;
  for (size_t i = 0; form[i] != '\0'; i++)
    if (form[i] == '0' ? text[i] < '0' || text[i] > '9' : text[i] != form[i])
      return false;
  return true;
}

/* Z, +01:00 or -01:00 as seconds east of Greenwich. */
static int get_zone(const char *text, size_t len, int64_t *ret_s) {
  if (len == 1 && text[0] == 'Z') {
    *ret_s = 0;
    return 0;
  }
  if (len != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':' ||
      two(text + 1) > 23 || two(text + 4) > 59)
    return -1;
  int64_t s = two(text + 1) * 3600 + two(text + 4) * 60;
  *ret_s = text[0] == '-' ? -s : s;
  return 0;
}

/* Further digits than nine are cut off. Returns the bytes taken. */
static size_t get_fraction(const char *text, int64_t *ret_ns) {
  int64_t unit = RMQ_NS_PER_S;
  size_t at = 1;
  *ret_ns = 0;
  if (text[0] != '.')
    return 0;
  for (; text[at] >= '0' && text[at] <= '9'; at++) {
    unit /= 10;
    *ret_ns += unit * (text[at] - '0');
  }
  return at;
}

static int get_time(const char *text, size_t len, struct rmq_wall *ret_time) {
  if (!has_form(text, len))
    return -1;
  struct tm tm = {.tm_year = two(text) * 100 + two(text + 2) - 1900,
                  .tm_mon = two(text + 5) - 1,
                  .tm_mday = two(text + 8),
                  .tm_hour = two(text + 11),
                  .tm_min = two(text + 14),
                  .tm_sec = two(text + 17)};
  int64_t fraction = 0;
  int64_t zone = 0;
  size_t at = 19 + get_fraction(text + 19, &fraction);
  if (tm.tm_mon < 0 || tm.tm_mon > 11 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
      tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 ||
      get_zone(text + at, len - at, &zone) != 0)
    return -1;
  int64_t seconds = (int64_t)timegm(&tm) - zone;
  if (seconds < 1 || seconds >= RMQ_NUMBER_SECONDS_MAX)
    return -1;
  ret_time->ns = seconds * RMQ_NS_PER_S + fraction;
  return 0;
}

static int read_time(struct alert *a, const struct rmq_json_record *r,
                     struct rmq_error *err) {
  const struct rmq_json_value *v = &r->values[RMQ_JSON_STARTS_AT];
  if (!r->is_given[RMQ_JSON_STARTS_AT] || v->kind != RMQ_JSON_STRING ||
      get_time(v->text, v->len, &a->event.time) != 0)
    return rmq_error_set(err, "\"startsAt\" is not a time of RFC 3339");
  return 0;
}

/* ------------------------------------------------------------------------- */

static bool is_object(const struct rmq_json_record *r, enum rmq_json_slot s,
                      size_t count) {
  return r->is_given[s] && r->values[s].kind == RMQ_JSON_OBJECT &&
         count <= RMQ_SAMPLE_META_MAX;
}

int rmq_codec_json_alert_read(struct rmq_json_record *r,
                              const struct rmq_types *types,
                              struct rmq_samples *set, struct rmq_error *err) {
  struct alert a = {
      .event = {.id = {"", "", "", "", ""}, .message = "", .meta = a.meta}};
  if (set->sink->event == NULL)
    return rmq_samples_push_event(set, &a.event, err);
  if (!is_object(r, RMQ_JSON_LABELS, r->labels.count) ||
      !is_object(r, RMQ_JSON_ANNOTATIONS, r->annotations.count))
    return rmq_error_set(err,
                         "\"labels\" and \"annotations\" are not objects of "
                         "at most %d",
                         RMQ_SAMPLE_META_MAX);
  if (read_labels(&a, &r->labels, err) != 0 ||
      read_annotations(&a, &r->annotations, err) != 0 ||
      read_time(&a, r, err) != 0)
    return -1;
  split_name(&a, types);
  return rmq_samples_check_identity(&a.event.id, true, err) == 0
             ? rmq_samples_push_event(set, &a.event, err)
             : -1;
}
