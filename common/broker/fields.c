/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/fields.h"

#include "common/broker/snapshot.h"
#include "common/codec/number.h"

#include <math.h>
#include <string.h>

/* ---- values ---- */

int rmq_field_gauge(struct rmq_json *j, void *to) {
  struct rmq_json_value v;
  double value = (double)NAN;
  if (rmq_json_value(j, &v) != 0)
    return -1;
  if (v.kind == RMQ_JSON_INTEGER || v.kind == RMQ_JSON_REAL)
    rmq_number_get_double(v.text, v.len, &value);
  *(double *)to = value;
  return 0;
}

int rmq_field_counter(struct rmq_json *j, void *to) {
  struct rmq_json_value v;
  int64_t value = RMQ_ABSENT;
  if (rmq_json_value(j, &v) != 0)
    return -1;
  if (v.kind == RMQ_JSON_INTEGER)
    rmq_number_get_i64(v.text, v.len, &value);
  *(int64_t *)to = value < 0 ? RMQ_ABSENT : value;
  return 0;
}

int rmq_field_boolean(struct rmq_json *j, void *to) {
  struct rmq_json_value v;
  if (rmq_json_value(j, &v) != 0)
    return -1;
  *(double *)to = v.kind == RMQ_JSON_TRUE    ? 1
                  : v.kind == RMQ_JSON_FALSE ? 0
                                             : (double)NAN;
  return 0;
}

static int skip(struct rmq_json *j, void *to) {
  struct rmq_json_value ignored;
  (void)to;
  return rmq_json_value(j, &ignored);
}

static int count_one(struct rmq_json *j, void *to) {
  ++*(double *)to;
  return skip(j, NULL);
}

int rmq_field_length(struct rmq_json *j, void *to) {
  bool is_array = rmq_json_peek(j) == '[';
  *(double *)to = is_array ? 0 : (double)NAN;
  return is_array ? rmq_fields_each(j, count_one, to) : skip(j, NULL);
}

int rmq_field_name(struct rmq_json *j, void *to) {
  struct rmq_json_value v;
  if (rmq_json_value(j, &v) != 0)
    return -1;
  bool is_name =
      v.kind == RMQ_JSON_STRING && v.len > 0 && strlen(v.text) == v.len;
  *(const char **)to = is_name ? v.text : NULL;
  return 0;
}

struct stats {
  int64_t of[RMQ_STATS_COUNT];
};

int rmq_field_stats(struct rmq_json *j, void *to) {
#define RMQ_X(name, word)                                                      \
  RMQ_FIELD(struct stats, of[RMQ_STAT_##name], word, rmq_field_counter),
  static const struct rmq_field fields[] = {RMQ_STATS(RMQ_X)};
#undef RMQ_X
  return rmq_fields_read(j, RMQ_FIELDS(fields), to);
}

/* ---- objects, arrays, bodies ---- */

int rmq_fields_read(struct rmq_json *j, const struct rmq_field *fields,
                    size_t count, void *to) {
  struct rmq_json_value key;
  int more = 0;
  if (rmq_json_peek(j) != '{')
    return skip(j, NULL);
  if (rmq_json_open(j, '{') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1) {
    size_t i = 0;
    if (rmq_json_key(j, &key) != 0)
      return -1;
    while (i < count && (fields[i].len != key.len ||
                         memcmp(fields[i].key, key.text, key.len) != 0))
      i++;
    if (i == count ? skip(j, NULL) != 0
                   : fields[i].read(j, (char *)to + fields[i].offset) != 0)
      return -1;
  }
  return more;
}

int rmq_fields_each(struct rmq_json *j, rmq_fields_reader item, void *to) {
  int more = 0;
  if (rmq_json_open(j, '[') != 0)
    return -1;
  while ((more = rmq_json_more(j)) == 1)
    if (item(j, to) != 0)
      return -1;
  return more;
}

int rmq_fields_body(char *bytes, size_t len, char opening, const char *what,
                    rmq_fields_reader read, void *to, struct rmq_error *err) {
  struct rmq_error cause = {.text = ""};
  struct rmq_json j;
  char nothing[] = "";
  rmq_json_init(&j, bytes == NULL ? nothing : bytes, len, &cause);
  bool is_form = rmq_json_peek(&j) == opening;
  if ((is_form ? read(&j, to) : skip(&j, NULL)) != 0 || rmq_json_end(&j) != 0)
    return rmq_error_set(err, "%s is %s", what, cause.text);
  if (!is_form)
    return rmq_error_set(
        err, "%s is JSON of another form than the management API's", what);
  return 0;
}
