/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/exposition.h"

#include "common/codec/number.h"

#include <math.h>
#include <string.h>
#include <strings.h>

/* Begins as one that no line can have, so that the first is asked for. */
void rmq_exposition_init(struct rmq_exposition *x,
                         const struct rmq_exposition_sink *sink, bool is_raw) {
  x->sink = *sink;
  x->is_raw = is_raw;
  x->taken = x->malformed = 0;
  x->is_too_long = false;
  x->line_len = 0;
  x->name_len = 0;
  x->family = -1;
}

/* A line while it is read. */
struct cursor {
  const char *at, *end;
  char *scratch;
  const char *last_brace; /* of a raw line; else NULL */
};

/* One comparison for nearly every byte: half of all text is names. */
static bool is_letter(char c) {
  return (unsigned)((c | 0x20) - 'a') < 26 || c == '_' || c == ':';
}

static bool is_digit(char c) { return (unsigned)(c - '0') < 10; }

static void skip_blanks(struct cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\t'))
    c->at++;
}

static bool skip_char(struct cursor *c, char wanted) {
  if (c->at >= c->end || *c->at != wanted)
    return false;
  c->at++;
  return true;
}

/* Empty when there is none. */
static struct rmq_exposition_text read_name(struct cursor *c) {
  const char *start = c->at;
  const char *at = start;
  if (at < c->end && is_letter(*at))
    while (at < c->end && (is_letter(*at) || is_digit(*at)))
      at++;
  c->at = at;
  return (struct rmq_exposition_text){start, (size_t)(c->at - start)};
}

/* Behind the opening quote. Only the escapes of the format mean anything. */
static bool read_value(struct cursor *c, struct rmq_exposition_text *ret) {
  const char *start = c->at;
  while (c->at < c->end && *c->at != '"' && *c->at != '\\')
    c->at++;
  if (c->at < c->end && *c->at == '"') {
    *ret = (struct rmq_exposition_text){start, (size_t)(c->at++ - start)};
    return true;
  }
  /* The scratch is as long as a line, and this never makes a line longer. */
  char *to = c->scratch;
  memcpy(to, start, (size_t)(c->at - start));
  to += c->at - start;
  for (; c->at < c->end && *c->at != '"'; c->at++) {
    char next = c->at + 1 < c->end ? c->at[1] : '\0';
    bool is_escape =
        *c->at == '\\' && (next == '\\' || next == '"' || next == 'n');
    if (is_escape)
      c->at++;
    *to++ = is_escape && next == 'n' ? '\n' : *c->at;
  }
  if (c->at >= c->end)
    return false;
  c->at++;
  *ret = (struct rmq_exposition_text){c->scratch, (size_t)(to - c->scratch)};
  c->scratch = to;
  return true;
}

/* Whether a raw value ends before this quote. */
static bool ends_raw(const struct cursor *c, const char *quote) {
  struct cursor next = {.at = quote + 1, .end = c->end};
  if (next.at == c->last_brace)
    return true;
  return skip_char(&next, ',') && read_name(&next).len > 0 &&
         skip_char(&next, '=') && skip_char(&next, '"');
}

static bool read_raw_value(struct cursor *c, struct rmq_exposition_text *ret) {
  const char *start = c->at;
  for (; c->at < c->end; c->at++)
    if (*c->at == '"' && ends_raw(c, c->at)) {
      *ret = (struct rmq_exposition_text){start, (size_t)(c->at++ - start)};
      return true;
    }
  return false;
}

static bool is_same(struct rmq_exposition_text a,
                    struct rmq_exposition_text b) {
  return a.len == b.len && memcmp(a.bytes, b.bytes, a.len) == 0;
}

static bool has_label(const struct rmq_exposition_label *labels, size_t count,
                      struct rmq_exposition_text name) {
  for (size_t i = 0; i < count; i++)
    if (is_same(labels[i].name, name))
      return true;
  return false;
}

/* name="value" */
static bool read_label(struct cursor *c, struct rmq_exposition_label *ret) {
  ret->name = read_name(c);
  skip_blanks(c);
  if (ret->name.len == 0 || !skip_char(c, '='))
    return false;
  skip_blanks(c);
  if (!skip_char(c, '"'))
    return false;
  return c->last_brace != NULL ? read_raw_value(c, &ret->value)
                               : read_value(c, &ret->value);
}

/* {label,label,} or nothing at all. */
static bool read_labels(struct cursor *c, struct rmq_exposition_label *labels,
                        size_t *ret_count) {
  size_t count = 0;
  skip_blanks(c);
  if (!skip_char(c, '{')) {
    *ret_count = 0;
    return true;
  }
  skip_blanks(c);
  while (!skip_char(c, '}')) {
    struct rmq_exposition_label label;
    if (count == RMQ_EXPOSITION_LABELS_MAX || !read_label(c, &label) ||
        has_label(labels, count, label.name))
      return false;
    labels[count++] = label;
    skip_blanks(c);
    bool is_more = skip_char(c, ',');
    skip_blanks(c);
    if (!is_more && (c->at >= c->end || *c->at != '}'))
      return false;
  }
  *ret_count = count;
  return true;
}

static bool is_word(const char *text, size_t len, const char *word) {
  return len == strlen(word) && strncasecmp(text, word, len) == 0;
}

static bool read_number(const char *text, size_t len, double *ret_value) {
  bool is_signed = len > 0 && (text[0] == '+' || text[0] == '-');
  const char *word = text + is_signed;
  size_t word_len = len - is_signed;
  if (is_word(word, word_len, "nan")) {
    *ret_value = (double)NAN;
    return true;
  }
  if (is_word(word, word_len, "inf") || is_word(word, word_len, "infinity")) {
    *ret_value = text[0] == '-' ? -(double)INFINITY : (double)INFINITY;
    return true;
  }
  return rmq_number_get_double(text, len, ret_value) == 0;
}

static struct rmq_exposition_text read_word(struct cursor *c) {
  skip_blanks(c);
  const char *start = c->at;
  while (c->at < c->end && *c->at != ' ' && *c->at != '\t')
    c->at++;
  return (struct rmq_exposition_text){start, (size_t)(c->at - start)};
}

/* value [timestamp] */
static bool read_values(struct cursor *c, double *ret_value) {
  struct rmq_exposition_text value = read_word(c);
  struct rmq_exposition_text timestamp = read_word(c);
  int64_t ignored;
  if (!read_number(value.bytes, value.len, ret_value))
    return false;
  if (timestamp.len > 0 &&
      rmq_number_get_i64(timestamp.bytes, timestamp.len, &ignored) != 0)
    return false;
  return read_word(c).len == 0;
}

/* The sink is asked again when the name is another than before, or is longer
 * than what is remembered. */
static int find_family(struct rmq_exposition *x,
                       struct rmq_exposition_text name) {
  const struct rmq_exposition_text before = {x->name, x->name_len};
  if (is_same(name, before))
    return x->family;
  x->name_len = name.len < sizeof(x->name) ? name.len : 0;
  memcpy(x->name, name.bytes, x->name_len);
  x->family = x->sink.find(x->sink.ctx, name);
  return x->family;
}

static const char *find_last_brace(const char *at, const char *end) {
  while (end > at)
    if (*--end == '}')
      return end;
  return NULL;
}

/* False when the line means nothing. */
static bool read_line(struct rmq_exposition *x, struct cursor *c) {
  struct rmq_exposition_label labels[RMQ_EXPOSITION_LABELS_MAX];
  struct rmq_exposition_sample sample = {.labels = labels};
  skip_blanks(c);
  if (c->at == c->end || *c->at == '#')
    return true;
  struct rmq_exposition_text name = read_name(c);
  if (name.len == 0)
    return false;
  sample.family = find_family(x, name);
  if (sample.family < 0)
    return true;
  if (x->is_raw)
    c->last_brace = find_last_brace(c->at, c->end);
  if (!read_labels(c, labels, &sample.labels_count) ||
      !read_values(c, &sample.value))
    return false;
  x->taken++;
  x->sink.take(x->sink.ctx, &sample);
  return true;
}

static void take_line(struct rmq_exposition *x, const char *bytes, size_t len) {
  if (len > 0 && bytes[len - 1] == '\r')
    len--;
  struct cursor c = {.at = bytes, .end = bytes + len, .scratch = x->scratch};
  if (!read_line(x, &c))
    x->malformed++;
}

/* The beginning of a line whose end is to come. */
static void keep(struct rmq_exposition *x, const char *bytes, size_t len) {
  if (x->is_too_long)
    return;
  if (len > sizeof(x->line) - x->line_len) {
    x->is_too_long = true;
    x->malformed++;
    return;
  }
  memcpy(x->line + x->line_len, bytes, len);
  x->line_len += len;
}

/* A line has ended with these bytes; most lines come in one piece. */
static void finish(struct rmq_exposition *x, const char *bytes, size_t len) {
  bool is_whole = x->line_len == 0 && !x->is_too_long;
  if (is_whole && len <= sizeof(x->line)) {
    take_line(x, bytes, len);
    return;
  }
  keep(x, bytes, len);
  if (!x->is_too_long)
    take_line(x, x->line, x->line_len);
  x->line_len = 0;
  x->is_too_long = false;
}

void rmq_exposition_feed(struct rmq_exposition *x, const char *bytes,
                         size_t len) {
  while (len > 0) {
    const char *feed = memchr(bytes, '\n', len);
    if (feed == NULL) {
      keep(x, bytes, len);
      return;
    }
    size_t line = (size_t)(feed - bytes);
    finish(x, bytes, line);
    bytes += line + 1;
    len -= line + 1;
  }
}

void rmq_exposition_end(struct rmq_exposition *x) { finish(x, "", 0); }

const struct rmq_exposition_text *
rmq_exposition_label(const struct rmq_exposition_sample *sample,
                     const char *name) {
  const struct rmq_exposition_text wanted = {name, strlen(name)};
  for (size_t i = 0; i < sample->labels_count; i++)
    if (is_same(sample->labels[i].name, wanted))
      return &sample->labels[i].value;
  return NULL;
}
