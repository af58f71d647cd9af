/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/option_field.h"

#include "common/base/option_text.h"
#include "common/base/units.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static void wipe(char *secret) {
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  free(secret);
}

static void strings_clear(struct rmq_strings *s) {
  for (size_t i = 0; i < s->count; i++)
    free(s->items[i]);
  free(s->items);
  *s = (struct rmq_strings){.items = NULL};
}

static void argument_fini(struct rmq_argument *a) {
  free(a->name);
  free(a->string);
}

static void arguments_clear(struct rmq_arguments *a) {
  for (size_t i = 0; i < a->count; i++)
    argument_fini(&a->items[i]);
  free(a->items);
  *a = (struct rmq_arguments){.items = NULL};
}

static void blocks_clear(const struct rmq_option_block *block,
                         struct rmq_blocks *b) {
  for (size_t i = 0; i < b->count; i++) {
    rmq_options_fini(block->table, b->items[i]);
    free(b->items[i]);
  }
  free(b->items);
}

void rmq_option_field_init(const struct rmq_option *o, void *field) {
  switch (o->type) {
  case RMQ_OPT_STRING:
  case RMQ_OPT_SECRET:
    *(char **)field = NULL;
    break;
  case RMQ_OPT_BOOLEAN:
    *(bool *)field = false;
    break;
  case RMQ_OPT_INTEGER:
  case RMQ_OPT_BYTES:
    *(int64_t *)field = 0;
    break;
  case RMQ_OPT_NUMBER:
    *(double *)field = (double)NAN;
    break;
  case RMQ_OPT_DURATION:
    *(struct rmq_dur *)field = (struct rmq_dur){0};
    break;
  case RMQ_OPT_ENUM:
    *(int *)field = 0;
    break;
  case RMQ_OPT_LIST:
    *(struct rmq_strings *)field = (struct rmq_strings){.items = NULL};
    break;
  case RMQ_OPT_ARGUMENTS:
    *(struct rmq_arguments *)field = (struct rmq_arguments){.items = NULL};
    break;
  case RMQ_OPT_BLOCKS:
    *(struct rmq_blocks *)field = (struct rmq_blocks){.items = NULL};
    break;
  }
}

void rmq_option_field_fini(const struct rmq_option *o, void *field) {
  if (o->type == RMQ_OPT_STRING)
    free(*(char **)field);
  else if (o->type == RMQ_OPT_SECRET)
    wipe(*(char **)field);
  else if (o->type == RMQ_OPT_LIST)
    strings_clear(field);
  else if (o->type == RMQ_OPT_ARGUMENTS)
    arguments_clear(field);
  else if (o->type == RMQ_OPT_BLOCKS)
    blocks_clear(o->block, field);
  rmq_option_field_init(o, field);
}

/* Values of one field each; the text is already expanded */

static int parse_boolean(const char *text, bool *ret_value) {
  static const char *const words[2][3] = {{"false", "no", "off"},
                                          {"true", "yes", "on"}};
  for (size_t truth = 0; truth < 2; truth++)
    for (size_t i = 0; i < 3; i++)
      if (strcasecmp(text, words[truth][i]) == 0) {
        *ret_value = truth == 1;
        return 0;
      }
  return -1;
}

static bool in_range(const struct rmq_option *o, double value) {
  return value >= o->min && (o->max == 0 || value <= o->max);
}

static int parse_enum(const struct rmq_option *o, const char *text, int *ret) {
  for (int i = 0; o->choices[i] != NULL; i++)
    if (strcasecmp(o->choices[i], text) == 0) {
      *ret = i;
      return 0;
    }
  return -1;
}

static int set_double(const struct rmq_option *o, void *field, int rc,
                      double value) {
  if (rc != 0 || !isfinite(value) || !in_range(o, value))
    return -1;
  *(double *)field = value;
  return 0;
}

static int set_number(const struct rmq_option *o, void *field, int rc,
                      int64_t value) {
  if (rc != 0 || !in_range(o, (double)value))
    return -1;
  *(int64_t *)field = value;
  return 0;
}

static int set_duration(const struct rmq_option *o, void *field, int rc,
                        struct rmq_dur value) {
  if (rc != 0 || !in_range(o, rmq_dur_seconds(value)))
    return -1;
  *(struct rmq_dur *)field = value;
  return 0;
}

/* One of the types that own no memory; -1 = not allowed. */
static int set_plain_text(const struct rmq_option *o, void *field,
                          const char *text) {
  int64_t number = 0;
  double real = 0;
  struct rmq_dur duration = {0};
  int rc;
  switch (o->type) {
  case RMQ_OPT_BOOLEAN:
    return parse_boolean(text, field);
  case RMQ_OPT_INTEGER:
    rc = rmq_units_parse_integer(text, &number);
    return set_number(o, field, rc, number);
  case RMQ_OPT_NUMBER:
    rc = rmq_units_parse_number(text, &real);
    return set_double(o, field, rc, real);
  case RMQ_OPT_BYTES:
    rc = rmq_units_parse_bytes(text, &number);
    return set_number(o, field, rc, number);
  case RMQ_OPT_DURATION:
    rc = rmq_units_parse_duration(text, &duration);
    return set_duration(o, field, rc, duration);
  case RMQ_OPT_ENUM:
    return parse_enum(o, text, field);
  case RMQ_OPT_STRING:
  case RMQ_OPT_SECRET:
  case RMQ_OPT_LIST:
  case RMQ_OPT_ARGUMENTS:
  case RMQ_OPT_BLOCKS:
    break;
  }
  return -1;
}

static int set_plain_number(const struct rmq_option *o, void *field,
                            double number) {
  int64_t whole = 0;
  struct rmq_dur duration = {0};
  int rc;
  if (o->type == RMQ_OPT_NUMBER)
    return set_double(o, field, 0, number);
  if (o->type == RMQ_OPT_DURATION) {
    rc = rmq_units_duration_from_double(number, &duration);
    return set_duration(o, field, rc, duration);
  }
  rc = rmq_units_integer_from_double(number, &whole);
  return set_number(o, field, rc, whole);
}

static bool is_numeric(enum rmq_option_type t) {
  return t == RMQ_OPT_INTEGER || t == RMQ_OPT_NUMBER || t == RMQ_OPT_BYTES ||
         t == RMQ_OPT_DURATION;
}

static int set_plain(const struct rmq_option *o, void *field,
                     const struct rmq_option_value *v, rmq_getenv env,
                     struct rmq_error *err) {
  char shown[128];
  if (v->kind == RMQ_VALUE_NUMBER) {
    snprintf(shown, sizeof(shown), "%.15g", v->number);
    if (is_numeric(o->type))
      return set_plain_number(o, field, v->number) == 0
                 ? 0
                 : rmq_option_not_allowed(o, shown, err);
  } else if (v->kind == RMQ_VALUE_BOOLEAN) {
    snprintf(shown, sizeof(shown), "%s", v->boolean ? "true" : "false");
    if (o->type == RMQ_OPT_BOOLEAN) {
      *(bool *)field = v->boolean;
      return 0;
    }
    if (rmq_option_choice_of_boolean(o, v->boolean) == NULL)
      return rmq_option_not_allowed(o, shown, err);
  }
  char *text = rmq_option_text(o, v, env, err);
  if (text == NULL)
    return -1;
  int rc = set_plain_text(o, field, text);
  if (rc != 0)
    rmq_option_not_allowed(o, text, err);
  free(text);
  return rc;
}

/* Fields that own memory */

static int set_string(const struct rmq_option *o, char **field,
                      const struct rmq_option_value *v, rmq_getenv env,
                      struct rmq_error *err) {
  char *text = rmq_option_text(o, v, env, err);
  if (text == NULL)
    return -1;
  if (o->type == RMQ_OPT_SECRET)
    wipe(*field);
  else
    free(*field);
  *field = text;
  return 0;
}

static int too_many(const struct rmq_option *o, struct rmq_error *err) {
  return rmq_error_set(err, "option \"%s\": more than %d entries", o->name,
                       RMQ_OPTION_ITEMS_MAX);
}

static int append_strings(const struct rmq_option *o, struct rmq_strings *list,
                          const struct rmq_option_value *values, size_t count,
                          rmq_getenv env, struct rmq_error *err) {
  size_t kept = list->is_default ? 0 : list->count;
  if (count > RMQ_OPTION_ITEMS_MAX || kept + count > RMQ_OPTION_ITEMS_MAX)
    return too_many(o, err);
  struct rmq_strings all = {.items = calloc(kept + count, sizeof(char *)),
                            .count = kept};
  if (all.items == NULL)
    return rmq_option_no_memory(o, err);
  for (size_t i = 0; i < count; i++) {
    all.items[all.count] = rmq_option_text(o, &values[i], env, err);
    if (all.items[all.count] == NULL) {
      for (size_t j = kept; j < all.count; j++)
        free(all.items[j]);
      free(all.items);
      return -1;
    }
    all.count++;
  }
  if (kept > 0) {
    memcpy(all.items, list->items, kept * sizeof(char *));
    free(list->items);
  } else {
    strings_clear(list);
  }
  *list = all;
  return 0;
}

static int make_argument(const struct rmq_option *o,
                         const struct rmq_option_value *values, rmq_getenv env,
                         struct rmq_argument *ret_argument,
                         struct rmq_error *err) {
  const struct rmq_option_value *v = &values[1];
  struct rmq_argument a = {.name = NULL};
  if (values[0].kind != RMQ_VALUE_STRING || values[0].string[0] == '\0')
    return rmq_option_not_allowed(o, NULL, err);
  switch (v->kind) {
  case RMQ_VALUE_STRING:
    a.type = RMQ_ARG_STRING;
    a.string = rmq_option_text(o, v, env, err);
    if (a.string == NULL)
      return -1;
    break;
  case RMQ_VALUE_NUMBER:
    a.type = RMQ_ARG_INTEGER;
    if (rmq_units_integer_from_double(v->number, &a.integer) != 0)
      return rmq_option_not_allowed(o, values[0].string, err);
    break;
  case RMQ_VALUE_BOOLEAN:
    a.type = RMQ_ARG_BOOLEAN;
    a.boolean = v->boolean;
    break;
  }
  a.name = rmq_option_text(o, &values[0], env, err);
  if (a.name == NULL) {
    free(a.string);
    return -1;
  }
  *ret_argument = a;
  return 0;
}

static int add_argument(const struct rmq_option *o, struct rmq_arguments *table,
                        const struct rmq_option_value *values, rmq_getenv env,
                        struct rmq_error *err) {
  struct rmq_argument a;
  if (make_argument(o, values, env, &a, err) != 0)
    return -1;
  for (size_t i = 0; i < table->count; i++)
    if (strcmp(table->items[i].name, a.name) == 0) {
      argument_fini(&table->items[i]);
      table->items[i] = a;
      return 0;
    }
  struct rmq_argument *items = NULL;
  if (table->count == RMQ_OPTION_ITEMS_MAX)
    too_many(o, err);
  else if ((items = realloc(table->items, (table->count + 1) * sizeof(a))) ==
           NULL)
    rmq_option_no_memory(o, err);
  if (items == NULL) {
    argument_fini(&a);
    return -1;
  }
  items[table->count] = a;
  table->items = items;
  table->count++;
  return 0;
}

static int check_count(const struct rmq_option *o, size_t count,
                       struct rmq_error *err) {
  if (o->type == RMQ_OPT_LIST && count > 0)
    return 0;
  size_t want = o->type == RMQ_OPT_ARGUMENTS ? 2 : 1;
  if (count == want)
    return 0;
  struct rmq_buf allowed;
  rmq_buf_init(&allowed, 256);
  rmq_option_allowed(o, &allowed);
  rmq_error_set(err, "option \"%s\": %zu values given; allowed: %s", o->name,
                count, rmq_buf_text(&allowed));
  rmq_buf_fini(&allowed);
  return -1;
}

int rmq_option_field_set(const struct rmq_option *o, void *field,
                         const struct rmq_option_value *values, size_t count,
                         rmq_getenv env, struct rmq_error *err) {
  if (check_count(o, count, err) != 0)
    return -1;
  switch (o->type) {
  case RMQ_OPT_STRING:
  case RMQ_OPT_SECRET:
    return set_string(o, field, values, env, err);
  case RMQ_OPT_LIST:
    return append_strings(o, field, values, count, env, err);
  case RMQ_OPT_ARGUMENTS:
    return add_argument(o, field, values, env, err);
  case RMQ_OPT_BOOLEAN:
  case RMQ_OPT_INTEGER:
  case RMQ_OPT_NUMBER:
  case RMQ_OPT_BYTES:
  case RMQ_OPT_DURATION:
  case RMQ_OPT_ENUM:
    return set_plain(o, field, values, env, err);
  case RMQ_OPT_BLOCKS:
    break; /* has no value: rmq_options_add_block */
  }
  return -1;
}
