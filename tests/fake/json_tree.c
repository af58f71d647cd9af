/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/json_tree.h"

#include "common/codec/number.h"
#include "common/codec/samples.h"
#include "tests/fake/sample_text.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
  DEPTH_MAX = 8,          /* collectd's form has 3: array, object, values */
  BIG_INTEGER_DIGITS = 19 /* from here on an integer may exceed an int64 */
};

/* jansson's integers end at INT64_MAX, counters do not. An integer that might
 * be larger is handed to it as an array of one string, which stands nowhere
 * else in a sample. */
#define BIG_OPEN "[\""
#define BIG_CLOSE "\"]"

/* A look at the text before the parser allocates for it ------------------- */

struct scan {
  size_t depth, deepest;
  bool in_string;
};

/* Bytes of the number at text, and whether it is a big integer. */
static size_t number_span(const char *text, size_t len, bool *ret_is_big) {
  size_t digits = 0;
  size_t others = 0;
  size_t n = 0;
  for (; n < len; n++) {
    if (text[n] >= '0' && text[n] <= '9')
      digits++;
    else if (strchr("+-.eE", text[n]) != NULL && text[n] != '\0')
      others += n > 0 || text[n] != '-';
    else
      break;
  }
  *ret_is_big = digits >= BIG_INTEGER_DIGITS && others == 0 &&
                text[text[0] == '-'] != '0'; /* which JSON does not allow */
  return n;
}

/* Takes one character, or one escape in a string; how many bytes. */
static size_t scan_char(struct scan *s, const char *text, size_t len) {
  char c = text[0];
  if (s->in_string) {
    if (c == '"')
      s->in_string = false;
    return c == '\\' && len > 1 ? 2 : 1;
  }
  if (c == '"')
    s->in_string = true;
  else if ((c == '[' || c == '{') && ++s->depth > s->deepest)
    s->deepest = s->depth;
  else if ((c == ']' || c == '}') && s->depth > 0)
    s->depth--;
  return 1;
}

/* Copies bytes to out with big integers marked. out may be NULL: then only
 * looks. Returns whether there are any; ret_deepest is the nesting. */
static bool mark_big_integers(const char *bytes, size_t len,
                              struct rmq_buf *out, size_t *ret_deepest) {
  struct scan s = {0};
  bool found = false;
  for (size_t at = 0; at < len;) {
    const char *text = bytes + at;
    bool is_big = false;
    size_t n = s.in_string ? 0 : number_span(text, len - at, &is_big);
    found = found || is_big;
    if (n == 0)
      n = scan_char(&s, text, len - at);
    at += n;
    if (out == NULL)
      continue;
    if (is_big)
      rmq_buf_append_text(out, BIG_OPEN);
    rmq_buf_append(out, text, n);
    if (is_big)
      rmq_buf_append_text(out, BIG_CLOSE);
  }
  *ret_deepest = s.deepest;
  return found;
}

static json_t *load(const char *bytes, size_t len, struct rmq_error *err) {
  json_error_t why;
  json_t *root = json_loadb(bytes, len, JSON_REJECT_DUPLICATES, &why);
  if (root == NULL)
    rmq_error_set(err, "not JSON: %s, byte %d", why.text, why.position);
  return root;
}

static json_t *load_marked(const char *bytes, size_t len,
                           struct rmq_error *err) {
  struct rmq_buf marked;
  size_t deepest = 0;
  json_t *root = NULL;
  rmq_buf_init(&marked, len + len / BIG_INTEGER_DIGITS * 4 + 4);
  mark_big_integers(bytes, len, &marked, &deepest);
  if (marked.failed)
    rmq_error_set(err, "out of memory");
  else
    root = load(rmq_buf_bytes(&marked), marked.len, err);
  rmq_buf_fini(&marked);
  return root;
}

static json_t *load_message(const char *bytes, size_t len,
                            struct rmq_error *err) {
  size_t deepest = 0;
  bool has_big = mark_big_integers(bytes, len, NULL, &deepest);
  if (deepest > DEPTH_MAX) {
    rmq_error_set(err, "JSON nested deeper than %d", DEPTH_MAX);
    return NULL;
  }
  return has_big ? load_marked(bytes, len, err) : load(bytes, len, err);
}

/* The digits of a marked integer, or NULL. */
static const char *big_digits(const json_t *v, size_t *ret_len) {
  if (json_array_size(v) != 1)
    return NULL;
  const json_t *text = json_array_get(v, 0);
  *ret_len = json_string_length(text);
  return *ret_len < BIG_INTEGER_DIGITS ? NULL : json_string_value(text);
}

/* Values ------------------------------------------------------------------ */

static int get_gauge(const json_t *v, double *ret_v) {
  size_t len = 0;
  const char *digits = big_digits(v, &len);
  if (digits != NULL)
    return rmq_number_get_double(digits, len, ret_v);
  if (!json_is_number(v) && !json_is_null(v))
    return -1;
  *ret_v = json_is_null(v) ? NAN : json_number_value(v);
  return 0;
}

static int get_signed(const json_t *v, int64_t *ret_v) {
  size_t len = 0;
  const char *digits = big_digits(v, &len);
  if (digits != NULL)
    return rmq_number_get_i64(digits, len, ret_v);
  if (!json_is_integer(v))
    return -1;
  *ret_v = json_integer_value(v);
  return 0;
}

static int get_unsigned(const json_t *v, uint64_t *ret_v) {
  size_t len = 0;
  const char *digits = big_digits(v, &len);
  if (digits != NULL)
    return rmq_number_get_u64(digits, len, ret_v);
  if (!json_is_integer(v) || json_integer_value(v) < 0)
    return -1;
  *ret_v = (uint64_t)json_integer_value(v);
  return 0;
}

static int get_value(const json_t *v, struct rmq_datum *d) {
  switch (d->kind) {
  case RMQ_GAUGE:
    return get_gauge(v, &d->value.gauge);
  case RMQ_DERIVE:
    return get_signed(v, &d->value.derive);
  case RMQ_COUNTER:
    return get_unsigned(v, &d->value.counter);
  case RMQ_ABSOLUTE:
    return get_unsigned(v, &d->value.absolute);
  }
  return -1;
}

static int read_values(const json_t *o, const char *type,
                       struct rmq_datum *sources, size_t count,
                       struct rmq_error *err) {
  const json_t *values = json_object_get(o, "values");
  if (!json_is_array(values))
    return rmq_error_set(err, "no array \"values\"");
  if (json_array_size(values) != count)
    return rmq_error_set(err, "type \"%s\" has %zu values, %zu are given", type,
                         count, json_array_size(values));
  for (size_t i = 0; i < count; i++)
    if (get_value(json_array_get(values, i), &sources[i]) != 0)
      return rmq_error_set(
          err, "values[%zu] is not of kind %s%s", i,
          rmq_kind_to_str(sources[i].kind),
          json_is_real(json_array_get(values, i))
              ? " but a fraction (does the sender have StoreRates on?)"
              : "");
  return 0;
}

/* "dstypes" and "dsnames", where given, say what the type says. */
static int check_sources(const json_t *o, const char *key, const char *type,
                         const struct rmq_datum *sources, size_t count,
                         struct rmq_error *err) {
  bool are_kinds = strcmp(key, "dstypes") == 0;
  const json_t *words = json_object_get(o, key);
  if (words == NULL)
    return 0;
  if (!json_is_array(words) || json_array_size(words) != count)
    return rmq_error_set(err, "\"%s\" is not an array of %zu, as type \"%s\"",
                         key, count, type);
  for (size_t i = 0; i < count; i++) {
    const char *word = json_string_value(json_array_get(words, i));
    const char *want =
        are_kinds ? rmq_kind_to_str(sources[i].kind) : sources[i].name;
    if (word == NULL ||
        (are_kinds ? strcasecmp(word, want) : strcmp(word, want)) != 0)
      return rmq_error_set(err,
                           "%s[%zu] is \"%.60s\", in type \"%s\" it is \"%s\"",
                           key, i, word == NULL ? "" : word, type, want);
  }
  return 0;
}

/* Rounded to the microsecond: the nearest double to 1700000000.123 is not
 * exactly that, but within half a microsecond of it (until the year 2242). */
static int read_seconds(const json_t *o, const char *key, int64_t *ret_ns,
                        struct rmq_error *err) {
  const json_t *v = json_object_get(o, key);
  double seconds = json_number_value(v);
  if (!json_is_number(v))
    return rmq_error_set(err, "\"%s\" is not a number", key);
  if (!(seconds >= 0 && seconds <= (double)RMQ_NUMBER_SECONDS_MAX))
    return rmq_error_set(err, "\"%s\" is out of range", key);
  double whole = floor(seconds);
  *ret_ns = (int64_t)whole * RMQ_NS_PER_S +
            (int64_t)((seconds - whole) * 1e6 + 0.5) * 1000;
  return 0;
}

static int read_times(const json_t *o, struct rmq_sample *s,
                      struct rmq_error *err) {
  if (read_seconds(o, "time", &s->time.ns, err) != 0)
    return -1;
  if (s->time.ns < RMQ_NS_PER_MS)
    return rmq_error_set(err, "\"time\" is 0");
  if (json_object_get(o, "interval") == NULL)
    return 0;
  return read_seconds(o, "interval", &s->interval.ns, err);
}

/* Meta data --------------------------------------------------------------- */

static int get_big_meta(const char *digits, size_t len, struct rmq_meta *m) {
  if (rmq_number_get_i64(digits, len, &m->value.signed_int) == 0) {
    m->type = RMQ_META_SIGNED;
    return 0;
  }
  m->type = RMQ_META_UNSIGNED;
  return rmq_number_get_u64(digits, len, &m->value.unsigned_int);
}

static int get_meta(const json_t *v, struct rmq_meta *m) {
  size_t len = 0;
  const char *digits = big_digits(v, &len);
  if (digits != NULL)
    return get_big_meta(digits, len, m);
  switch (json_typeof(v)) {
  case JSON_STRING:
    m->type = RMQ_META_STRING;
    m->value.string = json_string_value(v);
    return 0;
  case JSON_INTEGER:
    m->type = RMQ_META_SIGNED;
    m->value.signed_int = json_integer_value(v);
    return 0;
  case JSON_REAL:
    m->type = RMQ_META_DOUBLE;
    m->value.number = json_real_value(v);
    return 0;
  case JSON_TRUE:
  case JSON_FALSE:
    m->type = RMQ_META_BOOLEAN;
    m->value.boolean = json_is_true(v);
    return 0;
  case JSON_NULL:
  case JSON_ARRAY:
  case JSON_OBJECT:
    return -1;
  }
  return -1;
}

static int read_meta(json_t *o, struct rmq_meta *meta, size_t *ret_count,
                     struct rmq_error *err) {
  json_t *all = json_object_get(o, "meta");
  const char *key = NULL;
  json_t *value = NULL;
  size_t count = 0;
  if (all == NULL)
    return 0;
  if (!json_is_object(all) || json_object_size(all) > RMQ_SAMPLE_META_MAX)
    return rmq_error_set(err, "\"meta\" is not an object of at most %d",
                         RMQ_SAMPLE_META_MAX);
  json_object_foreach(all, key, value) {
    if (!rmq_samples_key_is_safe(key, strlen(key)))
      return rmq_error_set(err,
                           "a key of \"meta\" is empty, longer than %d bytes "
                           "or has a control character",
                           RMQ_NAME_MAX);
    meta[count].key = key;
    if (get_meta(value, &meta[count]) != 0)
      return rmq_error_set(
          err, "meta \"%s\" is not a string, number or boolean", key);
    count++;
  }
  *ret_count = count;
  return 0;
}

/* Samples ----------------------------------------------------------------- */

static int read_name(const json_t *o, const char *key, bool may_be_empty,
                     const char **ret_name, struct rmq_error *err) {
  const json_t *v = json_object_get(o, key);
  if (v == NULL && may_be_empty) {
    *ret_name = "";
    return 0;
  }
  if (!json_is_string(v))
    return rmq_error_set(err, "\"%s\" is not a string", key);
  *ret_name = json_string_value(v);
  return rmq_samples_check_name(key, *ret_name, json_string_length(v),
                                may_be_empty, err);
}

static int read_identity(const json_t *o, struct rmq_identity *id,
                         struct rmq_error *err) {
  if (read_name(o, "host", false, &id->host, err) != 0 ||
      read_name(o, "plugin", false, &id->plugin, err) != 0 ||
      read_name(o, "plugin_instance", true, &id->plugin_instance, err) != 0 ||
      read_name(o, "type", false, &id->type, err) != 0)
    return -1;
  return read_name(o, "type_instance", true, &id->type_instance, err);
}

static int read_sample(json_t *o, const struct rmq_types *types,
                       struct rmq_samples *set, struct rmq_error *err) {
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
  struct rmq_sample s = {.values = values, .meta = meta};
  if (!json_is_object(o))
    return rmq_error_set(err, "not an object");
  if (read_identity(o, &s.id, err) != 0 ||
      rmq_samples_find_type(set, types, s.id.type, values, &s.values_count,
                            err) != 0 ||
      read_values(o, s.id.type, values, s.values_count, err) != 0 ||
      check_sources(o, "dstypes", s.id.type, values, s.values_count, err) !=
          0 ||
      check_sources(o, "dsnames", s.id.type, values, s.values_count, err) !=
          0 ||
      read_times(o, &s, err) != 0 ||
      read_meta(o, meta, &s.meta_count, err) != 0)
    return -1;
  return rmq_samples_push(set, &s, false, err);
}

static int read_array(const struct rmq_codec_input *in, const json_t *root,
                      struct rmq_samples *set, struct rmq_error *err) {
  if (!json_is_array(root))
    return rmq_error_set(err, "not an array of samples");
  for (size_t i = 0; i < json_array_size(root); i++) {
    struct rmq_error why = {""};
    if (read_sample(json_array_get(root, i), in->types, set, &why) != 0 &&
        rmq_samples_refuse(set, "sample", i + 1, &why, err) != 0)
      return -1;
  }
  return rmq_samples_hand_over(set, "no sample in the array", err);
}

static int read_tree(const struct rmq_codec_input *in, char *text,
                     struct rmq_samples *set, struct rmq_error *err) {
  json_t *root = load_message(text, in->len, err);
  if (root == NULL)
    return -1;
  int rc = read_array(in, root, set, err);
  json_decref(root);
  return rc;
}

static int tree_decode(const struct rmq_codec_input *in,
                       const struct rmq_codec_sink *sink,
                       struct rmq_error *err) {
  return rmq_samples_read(in, sink, read_tree, err);
}

/* Comparing --------------------------------------------------------------- */

enum { SAMPLES_MAX = 1000 };

/* What one of the two said; times apart, since a tree holds them as doubles. */
struct said {
  struct rmq_buf text;
  struct rmq_error err;
  size_t count;
  int64_t times[2 * SAMPLES_MAX];
};

static void hear(void *ctx, const struct rmq_sample *s) {
  struct said *said = ctx;
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_sample timeless = *s;
  timeless.time.ns = timeless.interval.ns = 0;
  timeless.values = values;
  memcpy(values, s->values, s->values_count * sizeof(*values));
  for (size_t i = 0; i < s->values_count; i++) /* its integer -0 has no sign */
    if (values[i].kind == RMQ_GAUGE && values[i].value.gauge == 0)
      values[i].value.gauge = 0;
  fake_sample_text(&timeless, &said->text);
  if (said->count < SAMPLES_MAX) {
    said->times[2 * said->count] = s->time.ns;
    said->times[2 * said->count + 1] = s->interval.ns;
  }
  said->count++;
}

/* What a tree refuses and we do not have to. */
static bool is_pardoned(const char *why) {
  static const char *const parts[] = {
      "duplicate object key",    "real number overflow", "\\u0000",
      "not an array of samples", "too big integer",      "too big negative",
      "NUL byte in object key"};
  for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
    if (strstr(why, parts[i]) != NULL)
      return true;
  return false;
}

static bool are_same(struct said *a, struct said *b) {
  if (strcmp(rmq_buf_text(&a->text), rmq_buf_text(&b->text)) != 0)
    return false;
  for (size_t i = 0; i < 2 * a->count && i < 2 * SAMPLES_MAX; i++)
    if (llabs(a->times[i] - b->times[i]) > RMQ_NS_PER_MS / 500)
      return false;
  return true;
}

bool fake_json_tree_agrees(const char *bytes, size_t len) {
  static struct said ours, theirs;
  const struct rmq_codec_input in = {
      .bytes = bytes, .len = len, .types = &fake_types};
  const struct rmq_codec_sink to_us = {.ctx = &ours, .sample = hear};
  const struct rmq_codec_sink to_them = {.ctx = &theirs, .sample = hear};
  memset(&ours, 0, sizeof(ours));
  memset(&theirs, 0, sizeof(theirs));
  rmq_buf_init(&ours.text, SIZE_MAX / 4);
  rmq_buf_init(&theirs.text, SIZE_MAX / 4);
  int our_rc = len == 0 ? -1 : rmq_codec_json.decode(&in, &to_us, &ours.err);
  int their_rc = len == 0 ? -1 : tree_decode(&in, &to_them, &theirs.err);
  if (our_rc != 0 && len > 0 && memchr(bytes, '\0', len) != NULL)
    their_rc = our_rc; /* jansson 2.14 reads over a NUL behind a number */
  bool agrees = our_rc == their_rc
                    ? our_rc != 0 || are_same(&ours, &theirs)
                    : our_rc == 0 && is_pardoned(theirs.err.text);
  if (!agrees)
    fprintf(stderr, "message %.*s\nwe: %d %s\n%s\njansson: %d %s\n%s\n",
            (int)len, bytes, our_rc, ours.err.text, rmq_buf_text(&ours.text),
            their_rc, theirs.err.text, rmq_buf_text(&theirs.text));
  rmq_buf_fini(&ours.text);
  rmq_buf_fini(&theirs.text);
  return agrees;
}
