/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/graphite_template.h"

#include <string.h>

const char *rmq_graphite_word_to_str(enum rmq_graphite_word w) {
  switch (w) {
  case RMQ_GRAPHITE_HOST:
    return "host";
  case RMQ_GRAPHITE_PLUGIN:
    return "plugin";
  case RMQ_GRAPHITE_PLUGIN_INSTANCE:
    return "plugin_instance";
  case RMQ_GRAPHITE_TYPE:
    return "type";
  case RMQ_GRAPHITE_TYPE_INSTANCE:
    return "type_instance";
  case RMQ_GRAPHITE_DS:
    return "ds";
  case RMQ_GRAPHITE_NOTHING:
    return "_";
  }
  return "unknown";
}

static int get_word(const char *text, size_t len,
                    enum rmq_graphite_word *ret_word) {
  for (int i = 0; i <= RMQ_GRAPHITE_NOTHING; i++) {
    const char *word = rmq_graphite_word_to_str((enum rmq_graphite_word)i);
    if (strlen(word) == len && memcmp(word, text, len) == 0) {
      *ret_word = (enum rmq_graphite_word)i;
      return 0;
    }
  }
  return -1;
}

static int add_word(struct rmq_graphite_template *t, const char *text,
                    size_t len, struct rmq_error *err) {
  enum rmq_graphite_word word = RMQ_GRAPHITE_NOTHING;
  if (t->count == RMQ_GRAPHITE_WORDS_MAX)
    return rmq_error_set(err, "more than %d words", RMQ_GRAPHITE_WORDS_MAX);
  if (t->has[RMQ_GRAPHITE_DS])
    return rmq_error_set(err, "\"ds\" must be the last word");
  if (get_word(text, len, &word) != 0)
    return rmq_error_set(err,
                         "\"%.*s\" is no word; allowed are host, plugin, "
                         "plugin_instance, type, type_instance, ds and _",
                         (int)len, text);
  if (word != RMQ_GRAPHITE_NOTHING) {
    if (t->has[word])
      return rmq_error_set(err, "\"%.*s\" is there twice", (int)len, text);
    t->has[word] = true;
  }
  t->words[t->count++] = word;
  return 0;
}

int rmq_graphite_template_parse(const char *text,
                                struct rmq_graphite_template *ret_template,
                                struct rmq_error *err) {
  struct rmq_graphite_template t = {.count = 0};
  size_t len = strlen(text);
  t.takes_rest = len > 0 && text[len - 1] == '*';
  const char *end = text + len - t.takes_rest;
  for (const char *at = text; at <= end;) {
    const char *dot = memchr(at, '.', (size_t)(end - at));
    const char *word_end = dot == NULL ? end : dot;
    if (add_word(&t, at, (size_t)(word_end - at), err) != 0)
      return -1;
    at = word_end + 1;
  }
  if (!t.has[RMQ_GRAPHITE_HOST] || !t.has[RMQ_GRAPHITE_PLUGIN])
    return rmq_error_set(err, "the words host and plugin are needed");
  if (t.has[RMQ_GRAPHITE_DS] && (t.takes_rest || !t.has[RMQ_GRAPHITE_TYPE]))
    return rmq_error_set(err, "\"ds\" needs a type and takes one part");
  *ret_template = t;
  return 0;
}

/* Ends text at its first c; the rest, or NULL when there is no c. */
static char *split(char *text, char c) {
  char *at = strchr(text, c);
  if (at == NULL)
    return NULL;
  *at = '\0';
  return at + 1;
}

/* Gives each word its part; the number of words that got one. */
static size_t take_apart(const struct rmq_graphite_template *t, char *path,
                         char **ret_parts, char **ret_rest) {
  size_t given = 0;
  while (path != NULL && given < t->count) {
    bool is_rest = t->takes_rest && given + 1 == t->count;
    char *next = is_rest ? NULL : split(path, '.');
    ret_parts[t->words[given++]] = path;
    path = next;
  }
  *ret_rest = path;
  return given;
}

static void cut_in_two(char **whole, char **instance) {
  *instance = *whole == NULL ? NULL : split(*whole, '-');
}

static const char *or_empty(const char *text) {
  return text == NULL ? "" : text;
}

int rmq_graphite_template_apply(const struct rmq_graphite_template *t,
                                char *path, struct rmq_identity *ret_id,
                                const char **ret_ds, struct rmq_error *err) {
  char *parts[RMQ_GRAPHITE_NOTHING + 1] = {NULL};
  char *rest = NULL;
  size_t given = take_apart(t, path, parts, &rest);
  size_t needed = t->count - t->has[RMQ_GRAPHITE_DS];
  if (given < needed || rest != NULL)
    return rmq_error_set(err, "its path has %s parts than the template",
                         rest != NULL ? "more" : "fewer");
  if (!t->has[RMQ_GRAPHITE_PLUGIN_INSTANCE])
    cut_in_two(&parts[RMQ_GRAPHITE_PLUGIN],
               &parts[RMQ_GRAPHITE_PLUGIN_INSTANCE]);
  if (!t->has[RMQ_GRAPHITE_TYPE_INSTANCE])
    cut_in_two(&parts[RMQ_GRAPHITE_TYPE], &parts[RMQ_GRAPHITE_TYPE_INSTANCE]);
  *ret_id = (struct rmq_identity){
      .host = or_empty(parts[RMQ_GRAPHITE_HOST]),
      .plugin = or_empty(parts[RMQ_GRAPHITE_PLUGIN]),
      .plugin_instance = or_empty(parts[RMQ_GRAPHITE_PLUGIN_INSTANCE]),
      .type = t->has[RMQ_GRAPHITE_TYPE] ? parts[RMQ_GRAPHITE_TYPE] : "gauge",
      .type_instance = or_empty(parts[RMQ_GRAPHITE_TYPE_INSTANCE])};
  *ret_ds = parts[RMQ_GRAPHITE_DS];
  return 0;
}
