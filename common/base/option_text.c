/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/base/option_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int rmq_option_no_memory(const struct rmq_option *o, struct rmq_error *err) {
  return rmq_error_set(err, "option \"%s\": out of memory", o->name);
}

/* Says what is allowed; shown is the value as it was written, or NULL where it
 * must not be repeated. */
int(rmq_option_not_allowed)(const struct rmq_option *o, const char *shown,
                            struct rmq_error *err) {
  struct rmq_buf allowed;
  rmq_buf_init(&allowed, 256);
  rmq_option_allowed(o, &allowed);
  if (shown == NULL)
    rmq_error_set(err, "option \"%s\": this value is not allowed; allowed: %s",
                  o->name, rmq_buf_text(&allowed));
  else
    rmq_error_set(err,
                  "option \"%s\": the value \"%.*s\"%s is not allowed; "
                  "allowed: %s",
                  o->name, 80, shown, strlen(shown) > 80 ? "..." : "",
                  rmq_buf_text(&allowed));
  rmq_buf_fini(&allowed);
  return -1;
}

/* A number as it was most likely written; "" when that is anyone's guess. */
static void number_text(double number, bool is_secret, char ret_text[32]) {
  const double exact_max = 9007199254740992.0; /* 2^53 */
  bool is_exact = number >= -exact_max && number <= exact_max;
  ret_text[0] = '\0';
  if (is_exact && (double)(int64_t)number == number)
    snprintf(ret_text, 32, "%lld", (long long)number);
  else if (is_exact && !is_secret)
    snprintf(ret_text, 32, "%.15g", number);
}

/* The word among the choices that a boolean was written as, or NULL. */
const char *rmq_option_choice_of_boolean(const struct rmq_option *o,
                                         bool boolean) {
  static const char *const words[2][3] = {{"off", "no", "false"},
                                          {"on", "yes", "true"}};
  for (const char *const *c = o->choices; c != NULL && *c != NULL; c++)
    for (size_t i = 0; i < 3; i++)
      if (strcasecmp(*c, words[boolean ? 1 : 0][i]) == 0)
        return *c;
  return NULL;
}

static char *expanded(const struct rmq_option *o, const char *text,
                      rmq_getenv env, struct rmq_error *err) {
  bool is_secret = o->type == RMQ_OPT_SECRET;
  struct rmq_error why = {.text = ""};
  struct rmq_buf out;
  rmq_buf_init(&out, RMQ_OPTION_TEXT_MAX);
  char *copy = NULL;
  if (rmq_expand(text, env, &out, &why) == 0) {
    copy = strdup(rmq_buf_text(&out));
    if (copy == NULL)
      rmq_option_no_memory(o, err);
  } else if (is_secret) {
    rmq_error_set(err,
                  "option \"%s\": it names an environment variable that is not "
                  "set, or is too long (write $$ for a dollar sign)",
                  o->name);
  } else {
    rmq_error_set(err, "option \"%s\": %s", o->name, why.text);
  }
  if (is_secret && out.bytes != NULL)
    explicit_bzero(out.bytes, out.capacity);
  rmq_buf_fini(&out);
  return copy;
}

/* Owned text of a value, expanded; NULL with err. */
char *rmq_option_text(const struct rmq_option *o,
                      const struct rmq_option_value *v, rmq_getenv env,
                      struct rmq_error *err) {
  bool is_secret = o->type == RMQ_OPT_SECRET;
  char digits[32] = "";
  const char *text = NULL;
  switch (v->kind) {
  case RMQ_VALUE_STRING:
    return expanded(o, v->string, env, err);
  case RMQ_VALUE_NUMBER:
    number_text(v->number, is_secret, digits);
    text = digits[0] == '\0' ? NULL : digits;
    break;
  case RMQ_VALUE_BOOLEAN:
    text = rmq_option_choice_of_boolean(o, v->boolean);
    break;
  }
  char *copy = text == NULL ? NULL : strdup(text);
  explicit_bzero(digits, sizeof(digits));
  if (text == NULL)
    rmq_error_set(err, "option \"%s\": write the value in quotes", o->name);
  else if (copy == NULL)
    rmq_option_no_memory(o, err);
  return copy;
}
