/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/host_collectd_config.h"

#include "common/base/sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFIG_ERRORS_BYTES = 16384 };

/* Where the parser is, for its messages. */
struct place {
  const struct rmq_collectd_blocks *kind;
  const char *name;
  char inner[100]; /* ", <Probe>" within a block of a block, else "" */
  bool failed;
};

static void complain(struct place *p, const char *text) {
  p->failed = true;
  plugin_log(LOG_ERR, "%s plugin: block \"%s\"%s: %s", p->kind->plugin, p->name,
             p->inner, text);
}

static bool name_is_valid(const char *name) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "abcdefghijklmnopqrstuvwxyz0123456789_.";
  size_t len = strlen(name);
  return len > 0 && len <= RMQ_NAME_MAX && strspn(name, allowed) == len;
}

/* The NAME of a block, or NULL after logging what is wrong with it. */
static const char *block_name(const struct rmq_collectd_blocks *kind,
                              const oconfig_item_t *ci) {
  if (ci->values_num != 1 || ci->values[0].type != OCONFIG_TYPE_STRING) {
    plugin_log(LOG_ERR,
               "%s plugin: a <%s> block needs exactly one name in quotes, as "
               "in <%s \"main\">",
               kind->plugin, kind->block, kind->block);
    return NULL;
  }
  const char *name = ci->values[0].value.string;
  if (!name_is_valid(name)) {
    plugin_log(LOG_ERR,
               "%s plugin: \"%s\" cannot be the name of a <%s> block; allowed "
               "are letters, digits, '_' and '.', at most %d of them",
               kind->plugin, name, kind->block, RMQ_NAME_MAX);
    return NULL;
  }
  if (kind->is_taken(name)) {
    plugin_log(LOG_ERR,
               "%s plugin: there are two <%s \"%s\"> blocks; each needs a name "
               "of its own",
               kind->plugin, kind->block, name);
    return NULL;
  }
  return name;
}

static struct rmq_option_value to_value(const oconfig_value_t *v) {
  switch (v->type) {
  case OCONFIG_TYPE_NUMBER:
    return (struct rmq_option_value){.kind = RMQ_VALUE_NUMBER,
                                     .number = v->value.number};
  case OCONFIG_TYPE_BOOLEAN:
    return (struct rmq_option_value){.kind = RMQ_VALUE_BOOLEAN,
                                     .boolean = v->value.boolean != 0};
  }
  return (struct rmq_option_value){.kind = RMQ_VALUE_STRING,
                                   .string = v->value.string};
}

/* getenv with the signature that the options want. */
static const char *environment(const char *name) { return getenv(name); }

static void set_option(struct place *p, const struct rmq_option *table,
                       const oconfig_item_t *ci, const char *name,
                       void *object) {
  struct rmq_error err = {.text = ""};
  size_t count = (size_t)ci->values_num;
  struct rmq_option_value *values = calloc(count + 1, sizeof(*values));
  if (values == NULL) {
    complain(p, "out of memory");
    return;
  }
  for (size_t i = 0; i < count; i++)
    values[i] = to_value(&ci->values[i]);
  if (rmq_options_set(table, object, name, values, count, environment, &err) !=
      0)
    complain(p, err.text);
  free(values);
}

/* Errors are separated by newlines. */
static void check_whole(struct place *p,
                        int (*check)(const void *, struct rmq_buf *),
                        const void *object) {
  struct rmq_buf errors;
  rmq_buf_init(&errors, CONFIG_ERRORS_BYTES);
  if (check(object, &errors) != 0) {
    char *rest = rmq_buf_take(&errors, NULL);
    if (rest == NULL)
      complain(p, "the options do not fit together");
    char *line = rest;
    while (line != NULL && line[0] != '\0') {
      char *end = strchr(line, '\n');
      if (end != NULL)
        *end = '\0';
      complain(p, line);
      line = end == NULL ? NULL : end + 1;
    }
    free(rest);
  }
  rmq_buf_fini(&errors);
}

static void say_where(struct place *p, const oconfig_item_t *ci) {
  bool has_text =
      ci->values_num == 1 && ci->values[0].type == OCONFIG_TYPE_STRING;
  if (has_text)
    snprintf(p->inner, sizeof(p->inner), ", <%s \"%s\">", ci->key,
             ci->values[0].value.string);
  else
    snprintf(p->inner, sizeof(p->inner), ", <%s>", ci->key);
}

/* <Probe> or <Alert "backlog"> within p's block, which owns it. */
static void parse_inner(struct place *p, const struct rmq_option *row,
                        const oconfig_item_t *ci, void *object) {
  const struct rmq_option_block *b = row->block;
  struct rmq_error err = {.text = ""};
  bool had_failed = p->failed;
  say_where(p, ci);
  p->failed = false;
  void *block = rmq_options_add_block(row, object, &err);
  if (block == NULL)
    complain(p, err.text);
  else if (b->argument != NULL)
    set_option(p, b->table, ci, b->argument, block);
  else if (ci->values_num > 0)
    complain(p, "nothing may stand behind its name");
  if (!p->failed && b->prepare != NULL)
    b->prepare(block);
  for (int i = 0; block != NULL && i < ci->children_num; i++) {
    const oconfig_item_t *child = &ci->children[i];
    if (child->children_num > 0)
      complain(p, "there is no block inside this one");
    else
      set_option(p, b->table, child, child->key, block);
  }
  if (!p->failed && b->check != NULL)
    check_whole(p, b->check, block);
  p->failed |= had_failed;
  p->inner[0] = '\0';
}

static void parse_item(struct place *p, const oconfig_item_t *ci,
                       void *config) {
  struct rmq_error err = {.text = ""};
  const struct rmq_option *row = rmq_options_find(p->kind->table, ci->key);
  if (row != NULL && row->type == RMQ_OPT_BLOCKS) {
    parse_inner(p, row, ci, config);
    return;
  }
  if (ci->children_num == 0) {
    set_option(p, p->kind->table, ci, ci->key, config);
    return;
  }
  rmq_error_set(&err, "there is no block <%s> inside <%s>", ci->key,
                p->kind->block);
  complain(p, err.text);
}

void rmq_collectd_config_free(const struct rmq_collectd_blocks *kind,
                              void *config) {
  if (config == NULL)
    return;
  rmq_options_fini(kind->table, config);
  free(config);
}

/* NULL after logging every error of the block. */
static void *parse_block(struct place *p, const oconfig_item_t *ci) {
  struct rmq_error err = {.text = ""};
  void *config = calloc(1, p->kind->config_size);
  if (config == NULL) {
    complain(p, "out of memory");
    return NULL;
  }
  if (rmq_options_init(p->kind->table, config, &err) != 0) {
    complain(p, err.text);
    free(config);
    return NULL;
  }
  for (int i = 0; i < ci->children_num; i++)
    parse_item(p, &ci->children[i], config);
  if (!p->failed && p->kind->check != NULL)
    check_whole(p, p->kind->check, config);
  if (!p->failed)
    return config;
  rmq_collectd_config_free(p->kind, config);
  return NULL;
}

static int add_block(const struct rmq_collectd_blocks *kind,
                     const oconfig_item_t *ci) {
  const char *name = block_name(kind, ci);
  /* Its options are checked even when its name is wrong: all errors at once. */
  struct place place = {.kind = kind, .name = name == NULL ? "?" : name};
  void *config = parse_block(&place, ci);
  if (config == NULL)
    return -1;
  char *copy = name == NULL ? NULL : strdup(name);
  if (copy == NULL) {
    rmq_collectd_config_free(kind, config);
    return -1;
  }
  if (kind->add(copy, config) == 0)
    return 0;
  complain(&place, "out of memory");
  return -1;
}

int rmq_collectd_config(const struct rmq_collectd_blocks *kind,
                        const oconfig_item_t *ci) {
  int rc = 0;
  for (int i = 0; i < ci->children_num; i++) {
    const oconfig_item_t *child = &ci->children[i];
    if (strcasecmp(child->key, kind->block) == 0) {
      if (add_block(kind, child) != 0)
        rc = -1;
      continue;
    }
    plugin_log(LOG_ERR,
               "%s plugin: \"%s\" is not known here; allowed are "
               "<%s \"NAME\"> blocks",
               kind->plugin, child->key, kind->block);
    rc = -1;
  }
  return rc;
}
