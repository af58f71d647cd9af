/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/options.h"

#include "common/base/option_field.h"
#include "common/base/units.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *rmq_option_type_to_str(enum rmq_option_type t) {
  switch (t) {
  case RMQ_OPT_STRING:
    return "string";
  case RMQ_OPT_SECRET:
    return "secret";
  case RMQ_OPT_BOOLEAN:
    return "boolean";
  case RMQ_OPT_INTEGER:
    return "integer";
  case RMQ_OPT_NUMBER:
    return "number";
  case RMQ_OPT_BYTES:
    return "bytes";
  case RMQ_OPT_DURATION:
    return "duration";
  case RMQ_OPT_ENUM:
    return "enum";
  case RMQ_OPT_LIST:
    return "list";
  case RMQ_OPT_ARGUMENTS:
    return "arguments";
  case RMQ_OPT_BLOCKS:
    return "blocks";
  }
  return "unknown";
}

const char *rmq_argument_type_to_str(enum rmq_argument_type t) {
  switch (t) {
  case RMQ_ARG_STRING:
    return "string";
  case RMQ_ARG_INTEGER:
    return "integer";
  case RMQ_ARG_BOOLEAN:
    return "boolean";
  case RMQ_ARG_TIMESTAMP:
    return "timestamp";
  }
  return "unknown";
}

static void *field_of(const struct rmq_option *o, void *object) {
  return (char *)object + o->offset;
}

int rmq_options_init(const struct rmq_option *table, void *object,
                     struct rmq_error *err) {
  const struct rmq_option *o;
  for (o = table; o->name != NULL; o++)
    rmq_option_field_init(o, field_of(o, object));
  for (o = table; o->name != NULL; o++) {
    if (o->default_value == NULL)
      continue;
    if (rmq_options_set_text(table, object, o->name, o->default_value, NULL,
                             err) != 0) {
      rmq_options_fini(table, object);
      return -1;
    }
    if (o->type == RMQ_OPT_LIST)
      ((struct rmq_strings *)field_of(o, object))->is_default = true;
  }
  return 0;
}

void rmq_options_fini(const struct rmq_option *table, void *object) {
  for (const struct rmq_option *o = table; o->name != NULL; o++)
    rmq_option_field_fini(o, field_of(o, object));
}

void *rmq_options_add_block(const struct rmq_option *row, void *object,
                            struct rmq_error *err) {
  struct rmq_blocks *blocks = field_of(row, object);
  if (blocks->count >= row->block->max) {
    rmq_error_set(err, "too many <%s> blocks; at most %zu are allowed",
                  row->name, row->block->max);
    return NULL;
  }
  void **items =
      realloc(blocks->items, (blocks->count + 1) * sizeof(*blocks->items));
  if (items != NULL)
    blocks->items = items;
  void *block = items == NULL ? NULL : calloc(1, row->block->size);
  if (block == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  if (rmq_options_init(row->block->table, block, err) != 0) {
    free(block);
    return NULL;
  }
  blocks->items[blocks->count++] = block;
  return block;
}

/* Finding a row */

const struct rmq_option *rmq_options_find(const struct rmq_option *table,
                                          const char *name) {
  for (const struct rmq_option *o = table; o->name != NULL; o++)
    if (strcasecmp(o->name, name) == 0 ||
        (o->alias != NULL && strcasecmp(o->alias, name) == 0))
      return o;
  return NULL;
}

static bool is_kebab_of(const char *name, const char *kebab) {
  struct rmq_buf text;
  rmq_buf_init(&text, 256);
  rmq_option_kebab(name, &text);
  bool is_same = strcmp(rmq_buf_text(&text), kebab) == 0;
  rmq_buf_fini(&text);
  return is_same;
}

const struct rmq_option *rmq_options_find_kebab(const struct rmq_option *table,
                                                const char *kebab) {
  for (const struct rmq_option *o = table; o->name != NULL; o++)
    if (is_kebab_of(o->name, kebab) ||
        (o->alias != NULL && is_kebab_of(o->alias, kebab)))
      return o;
  return NULL;
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Insertions, deletions and replacements between two words, case ignored; or
 * more than any real distance when a word is too long to be a misspelling. */
static size_t distance(const char *a, const char *b) {
  enum { WORD_MAX = 40 };
  size_t row[WORD_MAX + 1];
  size_t b_len = strlen(b);
  if (strlen(a) > WORD_MAX || b_len > WORD_MAX)
    return 2 * WORD_MAX;
  for (size_t j = 0; j <= b_len; j++)
    row[j] = j;
  for (size_t i = 1; a[i - 1] != '\0'; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b_len; j++) {
      size_t best = diagonal + (lower(a[i - 1]) != lower(b[j - 1]) ? 1 : 0);
      if (row[j] + 1 < best)
        best = row[j] + 1;
      if (row[j - 1] + 1 < best)
        best = row[j - 1] + 1;
      diagonal = row[j];
      row[j] = best;
    }
  }
  return row[b_len];
}

static int unknown_option(const struct rmq_option *table, const char *name,
                          struct rmq_error *err) {
  const struct rmq_option *nearest = NULL;
  size_t smallest = 3; /* farther away is another word */
  for (const struct rmq_option *o = table; o->name != NULL; o++) {
    size_t d = distance(name, o->name);
    if (d < smallest) {
      smallest = d;
      nearest = o;
    }
  }
  if (nearest == NULL)
    return rmq_error_set(err,
                         "option \"%.80s\" is not known here; the manual page "
                         "lists those that are",
                         name);
  return rmq_error_set(
      err, "option \"%.80s\" is not known here; did you mean \"%s\"?", name,
      nearest->name);
}

/* Setting */

int rmq_options_set(const struct rmq_option *table, void *object,
                    const char *name, const struct rmq_option_value *values,
                    size_t count, rmq_getenv env, struct rmq_error *err) {
  const struct rmq_option *o = rmq_options_find(table, name);
  if (o == NULL)
    return unknown_option(table, name, err);
  if (o->type == RMQ_OPT_BLOCKS)
    return rmq_error_set(err, "\"%s\" is a block here, as in <%s>...</%s>",
                         o->name, o->name, o->name);
  return rmq_option_field_set(o, field_of(o, object), values, count, env, err);
}

/* What text looks like; whole numbers beyond a double's stay text. */
static struct rmq_option_value guess(const char *text) {
  const int64_t exact_max = INT64_C(1) << 53;
  int64_t number;
  if (rmq_units_parse_integer(text, &number) == 0 && number <= exact_max &&
      number >= -exact_max)
    return (struct rmq_option_value){.kind = RMQ_VALUE_NUMBER,
                                     .number = (double)number};
  if (strcasecmp(text, "true") == 0 || strcasecmp(text, "false") == 0)
    return (struct rmq_option_value){.kind = RMQ_VALUE_BOOLEAN,
                                     .boolean = lower(*text) == 't'};
  return (struct rmq_option_value){.kind = RMQ_VALUE_STRING, .string = text};
}

static int set_argument_text(const struct rmq_option *table, void *object,
                             const char *option, const char *text,
                             rmq_getenv env, struct rmq_error *err) {
  const char *equals = strchr(text, '=');
  if (equals == NULL)
    return rmq_error_set(err, "option \"%s\": \"%.80s\" is not NAME=VALUE",
                         option, text);
  char *name = strndup(text, (size_t)(equals - text));
  if (name == NULL)
    return rmq_error_set(err, "option \"%s\": out of memory", option);
  const struct rmq_option_value values[2] = {
      {.kind = RMQ_VALUE_STRING, .string = name}, guess(equals + 1)};
  int rc = rmq_options_set(table, object, option, values, 2, env, err);
  free(name);
  return rc;
}

int rmq_options_set_text(const struct rmq_option *table, void *object,
                         const char *name, const char *text, rmq_getenv env,
                         struct rmq_error *err) {
  const struct rmq_option *o = rmq_options_find(table, name);
  if (o == NULL)
    return unknown_option(table, name, err);
  if (text == NULL && o->type == RMQ_OPT_BOOLEAN)
    text = "true";
  if (text != NULL && o->type == RMQ_OPT_ARGUMENTS)
    return set_argument_text(table, object, name, text, env, err);
  const struct rmq_option_value value = {.kind = RMQ_VALUE_STRING,
                                         .string = text};
  return rmq_options_set(table, object, name, &value, text == NULL ? 0 : 1, env,
                         err);
}

/* Texts about a row */

static void append_range(const struct rmq_option *o, struct rmq_buf *out) {
  if (o->max == 0)
    rmq_buf_appendf(out, "%.15g or more", o->min);
  else
    rmq_buf_appendf(out, "%.15g to %.15g", o->min, o->max);
  if (o->type == RMQ_OPT_DURATION)
    rmq_buf_append_text(out, " seconds");
  else if (o->type == RMQ_OPT_BYTES)
    rmq_buf_append_text(out, " bytes");
  else if (o->unit != NULL)
    rmq_buf_appendf(out, " %s", o->unit);
}

void rmq_option_allowed(const struct rmq_option *o, struct rmq_buf *out) {
  switch (o->type) {
  case RMQ_OPT_STRING:
  case RMQ_OPT_SECRET:
    rmq_buf_append_text(out, "one text");
    break;
  case RMQ_OPT_BOOLEAN:
    rmq_buf_append_text(out, "yes or no");
    break;
  case RMQ_OPT_INTEGER:
  case RMQ_OPT_NUMBER:
    append_range(o, out);
    break;
  case RMQ_OPT_BYTES:
    append_range(o, out);
    rmq_buf_append_text(out, ", also as 64KiB, 10MiB, 1GiB, 10MB");
    break;
  case RMQ_OPT_DURATION:
    append_range(o, out);
    rmq_buf_append_text(out, ", also as 500ms, 30s, 5m, 2h, 1d");
    break;
  case RMQ_OPT_ENUM:
    for (const char *const *c = o->choices; *c != NULL; c++)
      rmq_buf_appendf(out, "%s%s", c == o->choices ? "" : ", ", *c);
    break;
  case RMQ_OPT_LIST:
    rmq_buf_append_text(out, "one or more texts");
    break;
  case RMQ_OPT_ARGUMENTS:
    rmq_buf_append_text(out, "a name and a text, whole number or boolean");
    break;
  case RMQ_OPT_BLOCKS:
    rmq_buf_append_text(out, "a block");
    break;
  }
}

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }

/* Length of the word that name begins with. */
static size_t word_len(const char *name) {
  /* Written in a way that no rule finds the end of. */
  static const char *const special[] = {"TLS", "VHosts", "VHost"};
  for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
    if (strncmp(name, special[i], strlen(special[i])) == 0)
      return strlen(special[i]);
  size_t n = 0;
  while (is_upper(name[n]))
    n++;
  if (n > 1 && name[n] != '\0')
    return n - 1; /* the last capital begins the next word */
  while (name[n] != '\0' && !is_upper(name[n]))
    n++;
  return n;
}

void rmq_option_kebab(const char *name, struct rmq_buf *out) {
  bool is_first = true;
  while (*name != '\0') {
    if (!is_first)
      rmq_buf_append_char(out, '-');
    is_first = false;
    for (size_t n = word_len(name); n > 0; n--)
      rmq_buf_append_char(out, lower(*name++));
  }
}
