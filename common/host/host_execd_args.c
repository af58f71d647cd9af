/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd_args.h"

#include "common/host/host_execd_block.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *environment(const char *name) { return getenv(name); }

static bool is_here(const struct rmq_execd_args *args,
                    const struct rmq_option *row) {
  for (const char *const *n = args->not_here; *n != NULL; n++)
    if (strcasecmp(*n, row->name) == 0)
      return false;
  return row->type != RMQ_OPT_BLOCKS || args->has_blocks;
}

static const struct rmq_option *find(const struct rmq_execd_args *args,
                                     const char *kebab, void **ret_object,
                                     const struct rmq_option **ret_table) {
  for (const struct rmq_execd_options *o = args->options; o->table != NULL;
       o++) {
    const struct rmq_option *row = rmq_options_find_kebab(o->table, kebab);
    if (row == NULL || !is_here(args, row))
      continue;
    *ret_object = o->object;
    *ret_table = o->table;
    return row;
  }
  return NULL;
}

/* A block that needs no text, where no text follows. */
static bool may_stand_alone(const struct rmq_option *row, const char *next) {
  return row->type == RMQ_OPT_BLOCKS && row->block->argument == NULL &&
         (next == NULL || strncmp(next, "--", 2) == 0);
}

/* The argument at *index, and its value if that stands alone. */
static int parse_one(const struct rmq_execd_args *args, int argc,
                     char *const *argv, int *index, struct rmq_error *err) {
  const char *text = argv[*index];
  if (strncmp(text, "--", 2) != 0 || text[2] == '\0')
    return rmq_error_set(err,
                         "\"%.80s\" is not an option; options begin with "
                         "--, and --help lists them",
                         text);
  const char *equals = strchr(text, '=');
  size_t len = equals == NULL ? strlen(text) : (size_t)(equals - text);
  char name[80];
  if (len - 2 >= sizeof(name))
    return rmq_error_set(err, "there is no such option; --help lists them");
  memcpy(name, text + 2, len - 2);
  name[len - 2] = '\0';
  void *object = NULL;
  const struct rmq_option *table = NULL;
  const struct rmq_option *row = find(args, name, &object, &table);
  if (row == NULL)
    return rmq_error_set(err, "there is no option --%s; --help lists them",
                         name);
  if (row->type == RMQ_OPT_SECRET)
    return rmq_error_set(
        err,
        "--%s is not taken from an argument, which every user of the "
        "machine can read; use a file or the environment",
        name);
  const char *value = equals == NULL ? NULL : equals + 1;
  if (value == NULL && row->type == RMQ_OPT_BOOLEAN)
    value = "true";
  if (value == NULL &&
      may_stand_alone(row, *index + 1 < argc ? argv[*index + 1] : NULL))
    value = "";
  if (value == NULL && *index + 1 < argc)
    value = argv[++*index];
  if (value == NULL)
    return rmq_error_set(err, "--%s needs a value", name);
  if (row->type == RMQ_OPT_BLOCKS)
    return rmq_execd_block_add(row, object, value, err);
  return rmq_options_set_text(table, object, row->name, value, environment,
                              err);
}

int rmq_execd_parse(const struct rmq_execd_args *args, int argc,
                    char *const *argv, struct rmq_error *err) {
  for (int i = 1; i < argc; i++)
    if (parse_one(args, argc, argv, &i, err) != 0)
      return -1;
  return 0;
}

static const char *value_word(const struct rmq_option *row) {
  switch (row->type) {
  case RMQ_OPT_STRING:
  case RMQ_OPT_SECRET:
    return " TEXT";
  case RMQ_OPT_BOOLEAN:
    return "";
  case RMQ_OPT_INTEGER:
  case RMQ_OPT_NUMBER:
  case RMQ_OPT_BYTES:
    return " NUMBER";
  case RMQ_OPT_DURATION:
    return " TIME";
  case RMQ_OPT_ENUM:
    return " WORD";
  case RMQ_OPT_LIST:
    return " TEXT";
  case RMQ_OPT_ARGUMENTS:
    return " NAME=VALUE";
  case RMQ_OPT_BLOCKS:
    return row->block->argument == NULL ? " [NAME=VALUE,...]"
                                        : " WORD[:NAME=VALUE,...]";
  }
  return "";
}

/* Whether there is more to say than what every option of its type takes. */
static bool has_bounds(const struct rmq_option *row) {
  return row->type == RMQ_OPT_ENUM || row->type == RMQ_OPT_INTEGER ||
         row->type == RMQ_OPT_DURATION ||
         ((row->type == RMQ_OPT_NUMBER || row->type == RMQ_OPT_BYTES) &&
          row->max > 0);
}

static void help_row(const struct rmq_option *row, struct rmq_buf *out) {
  rmq_buf_append_text(out, "  --");
  rmq_option_kebab(row->name, out);
  size_t len = strlen(row->help);
  int help_len = (int)(row->help[len - 1] == '.' ? len - 1 : len);
  rmq_buf_appendf(out, "%s\n      %.*s", value_word(row), help_len, row->help);
  if (has_bounds(row)) {
    rmq_buf_append_text(out, "; ");
    rmq_option_allowed(row, out);
  }
  if (row->type == RMQ_OPT_LIST)
    rmq_buf_append_text(out, "; may be given several times");
  if (row->default_value != NULL)
    rmq_buf_appendf(out, " [%s]", row->default_value);
  rmq_buf_append_char(out, '\n');
}

void rmq_execd_help(const struct rmq_execd_args *args, struct rmq_buf *out) {
  rmq_buf_appendf(out, "usage: %s\n\n%s\n", args->usage, args->description);
  for (const struct rmq_execd_options *o = args->options; o->table != NULL;
       o++) {
    rmq_buf_appendf(out, "\n%s\n", o->title);
    for (const struct rmq_option *row = o->table; row->name != NULL; row++)
      if (is_here(args, row) && row->type != RMQ_OPT_SECRET)
        help_row(row, out);
  }
  rmq_buf_appendf(out, "\n%s\n", args->epilogue);
}
