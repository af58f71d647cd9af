/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_execd_block.h"

#include <stdlib.h>
#include <string.h>

enum { BLOCK_ERRORS_BYTES = 4096, NAME_BYTES = 256 };

static const char *environment(const char *name) { return getenv(name); }

/* Ends the value at text in place, without its backslashes before commas.
 * Where the next begins, or NULL. */
static char *cut_value(char *text) {
  char *to = text;
  for (; *text != '\0' && *text != ','; text++) {
    if (text[0] == '\\' && text[1] == ',')
      text++;
    *to++ = *text;
  }
  char *next = *text == ',' ? text + 1 : NULL;
  *to = '\0';
  return next;
}

static int refuse_secret(const struct rmq_option *row, struct rmq_error *err) {
  struct rmq_buf name;
  rmq_buf_init(&name, NAME_BYTES);
  rmq_option_kebab(row->name, &name);
  rmq_error_set(err,
                "%s is not taken from an argument, which every user of the "
                "machine can read; use a file or the environment",
                rmq_buf_text(&name));
  rmq_buf_fini(&name);
  return -1;
}

/* The secret whose value may stand in text, or NULL. */
static const struct rmq_option *find_secret(const struct rmq_option *table,
                                            const char *text) {
  const struct rmq_option *found = NULL;
  for (const struct rmq_option *row = table; row->name != NULL; row++) {
    struct rmq_buf name;
    if (row->type != RMQ_OPT_SECRET)
      continue;
    rmq_buf_init(&name, NAME_BYTES);
    rmq_option_kebab(row->name, &name);
    rmq_buf_append_char(&name, '=');
    if (name.failed || strcasestr(text, rmq_buf_text(&name)) != NULL)
      found = row;
    rmq_buf_fini(&name);
  }
  return found;
}

/* NAME=VALUE, or NAME of a boolean. */
static int set_one(const struct rmq_option *table, void *block, char *text,
                   struct rmq_error *err) {
  char *value = strchr(text, '=');
  if (value != NULL)
    *value++ = '\0';
  const struct rmq_option *row = rmq_options_find_kebab(table, text);
  if (row == NULL)
    return rmq_error_set(err, "there is no \"%.80s\" in it", text);
  if (row->type == RMQ_OPT_SECRET)
    return refuse_secret(row, err);
  return rmq_options_set_text(table, block, row->name, value, environment, err);
}

static int check(const struct rmq_option_block *b, const void *block,
                 struct rmq_error *err) {
  struct rmq_buf errors;
  int rc = 0;
  rmq_buf_init(&errors, BLOCK_ERRORS_BYTES);
  if (b->check != NULL && b->check(block, &errors) != 0) {
    const char *text = rmq_buf_text(&errors);
    rc = rmq_error_set(err, "%.*s", (int)strcspn(text, "\n"), text);
  }
  rmq_buf_fini(&errors);
  return rc;
}

static int fill(const struct rmq_option_block *b, void *block, char *text,
                struct rmq_error *err) {
  char *options = text;
  if (b->argument != NULL) {
    options = strchr(text, ':');
    if (options != NULL)
      *options++ = '\0';
    if (rmq_options_set_text(b->table, block, b->argument, text, environment,
                             err) != 0)
      return -1;
  }
  if (b->prepare != NULL)
    b->prepare(block);
  while (options != NULL && options[0] != '\0') {
    char *next = cut_value(options);
    if (set_one(b->table, block, options, err) != 0)
      return -1;
    options = next;
  }
  return check(b, block, err);
}

/* Neither the text nor an error about a part of it is repeated where a secret
 * may stand in it: a separator that is wrong puts it anywhere. */
static int complain(const struct rmq_option *row, const char *text,
                    const struct rmq_error *why, struct rmq_error *err) {
  const struct rmq_option *secret = find_secret(row->block->table, text);
  struct rmq_error refusal = {.text = ""};
  if (secret == NULL && strchr(text, '@') != NULL) /* USER:PASSWORD@HOST */
    return rmq_error_set(err, "block %s: %s", row->name, why->text);
  if (secret == NULL)
    return rmq_error_set(err, "block %s \"%.80s\": %s", row->name, text,
                         why->text);
  refuse_secret(secret, &refusal);
  return rmq_error_set(err, "block %s: %s", row->name, refusal.text);
}

int rmq_execd_block_add(const struct rmq_option *row, void *object,
                        const char *text, struct rmq_error *err) {
  struct rmq_error inner = {.text = ""};
  void *block = rmq_options_add_block(row, object, &inner);
  char *copy = block == NULL ? NULL : strdup(text);
  if (block != NULL && copy == NULL)
    rmq_error_set(&inner, "out of memory");
  int rc = copy == NULL ? -1 : fill(row->block, block, copy, &inner);
  free(copy);
  return rc == 0 ? 0 : complain(row, text, &inner, err);
}
