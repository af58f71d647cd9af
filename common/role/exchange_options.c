/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/exchange_options.h"

#include <string.h>

enum { SHORT_MAX = 255 };

int rmq_check_short(const char *option, const char *text,
                    struct rmq_buf *errors) {
  if (text == NULL || strlen(text) <= SHORT_MAX)
    return 0;
  rmq_buf_appendf(errors, "option %s: longer than %d bytes\n", option,
                  SHORT_MAX);
  return -1;
}

static int check_alternate(const struct rmq_exchange_options *o,
                           struct rmq_buf *errors) {
  if (o->alternate == NULL)
    return 0;
  if (o->alternate[0] == '\0') {
    rmq_buf_append_text(errors, "option AlternateExchange: the default "
                                "exchange (\"\") cannot be one\n");
    return -1;
  }
  for (size_t i = 0; i < o->arguments.count; i++)
    if (strcmp(o->arguments.items[i].name, "alternate-exchange") == 0) {
      rmq_buf_append_text(errors,
                          "option AlternateExchange: ExchangeArgument "
                          "\"alternate-exchange\" says it, too; remove one\n");
      return -1;
    }
  return rmq_check_short("AlternateExchange", o->alternate, errors);
}

int rmq_exchange_options_check(const struct rmq_exchange_options *o,
                               struct rmq_buf *errors) {
  int rc = rmq_check_short("Exchange", o->name, errors);
  rc |= rmq_check_short("ExchangeType", o->type, errors);
  rc |= check_alternate(o, errors);
  if (o->type == NULL || (o->name != NULL && o->name[0] != '\0'))
    return rc;
  rmq_buf_append_text(errors, "option ExchangeType: the default exchange "
                              "(Exchange \"\") cannot be declared\n");
  return -1;
}

const struct rmq_wire_exchange *
rmq_exchange_options_declare(const struct rmq_exchange_options *o,
                             struct rmq_wire_exchange *e) {
  if (o->name == NULL || o->name[0] == '\0')
    return NULL;
  bool is_passive = o->passive || o->type == NULL;
  *e = (struct rmq_wire_exchange){.name = o->name,
                                  .type = o->type != NULL ? o->type : "",
                                  .is_passive = is_passive,
                                  .is_durable = o->durable,
                                  .is_auto_delete = o->auto_delete,
                                  .alternate = is_passive ? NULL : o->alternate,
                                  .arguments = &o->arguments};
  return e;
}
