/* SPDX-License-Identifier: MIT */
/*
 * warren publish --listen: messages from HTTP requests instead of standard
 * input.
 */
#ifndef RMQ_PLUGINS_WARREN_PUBLISH_LISTEN_H
#define RMQ_PLUGINS_WARREN_PUBLISH_LISTEN_H

#include "common/base/host.h"
#include "common/role/role_publish.h"
#include "plugins/warren_publish_page.h"
#include "plugins/warren_voice.h"

struct warren_publish_listen_options {
  char *listen; /* NULL = from standard input */
  char *socket_mode;
  bool anywhere;
  int64_t connections_max, message_max;
  struct rmq_dur timeout;
};

/* Rows for struct warren_publish_listen_options. */
extern const struct rmq_option warren_publish_listen_table[];
/* What no row can say; appends one line per error. */
int warren_publish_listen_check(const struct warren_publish_listen_options *o,
                                const struct rmq_publish_options *publish,
                                struct rmq_buf *errors);

/* Starts the role, which is new and whose host gives its samples to page, and
 * serves until SIGTERM, SIGINT, or SIGHUP unless that is ignored; then it has
 * patience for what is under way. The exit status; ret_is_joined says whether
 * the role may be freed. */
int warren_publish_listen_run(const struct warren_publish_listen_options *o,
                              const struct rmq_publish_options *publish,
                              struct rmq_role_publish *role,
                              const struct rmq_host *host,
                              const struct warren_voice *voice,
                              struct warren_publish_page *page,
                              struct rmq_dur patience, bool *ret_is_joined);

#endif
