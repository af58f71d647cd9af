/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/trust_options.h"

#include "common/base/filter.h"
#include "common/role/consume_filter.h"

#include <string.h>

const char *const rmq_trust_mixed_words[] = {"take", "reject", NULL};

const char *rmq_on_mixed_to_str(enum rmq_on_mixed m) {
  switch (m) {
  case RMQ_MIXED_TAKE:
    return rmq_trust_mixed_words[RMQ_MIXED_TAKE];
  case RMQ_MIXED_REJECT:
    return rmq_trust_mixed_words[RMQ_MIXED_REJECT];
  }
  return "unknown";
}

/* AMQP's limit for the name of a header. */
enum { HEADER_NAME_MAX = 255 };

static int check_header(const char *name, struct rmq_buf *errors) {
  size_t length = name == NULL ? 1 : strlen(name);
  if (length > 0 && length <= HEADER_NAME_MAX)
    return 0;
  rmq_buf_appendf(
      errors,
      "option HostFromHeader: allowed is the name of a header, of 1 "
      "to %d bytes\n",
      HEADER_NAME_MAX);
  return -1;
}

int rmq_trust_options_check(const struct rmq_trust_options *o,
                            struct rmq_buf *errors) {
  int rc = rmq_filter_check("AllowHost", &o->allow_host, errors);
  rc |= rmq_filter_check("AllowPlugin", &o->allow_plugin, errors);
  rc |= check_header(o->host_from_header, errors);
  struct rmq_error why = {""};
  if (o->rewrite_host != NULL &&
      rmq_consume_filter_check_template(o->rewrite_host, &why) != 0) {
    rmq_buf_appendf(errors, "option RewriteHost: %s\n", why.text);
    rc = -1;
  }
  return rc;
}
