/* SPDX-License-Identifier: MIT */
/* The options of warren publish, and what its files share. */
#ifndef RMQ_PLUGINS_WARREN_PUBLISH_H
#define RMQ_PLUGINS_WARREN_PUBLISH_H

#include "common/base/options.h"
#include "common/role/role_publish.h"
#include "plugins/warren_publish_listen.h"

enum warren_publish_format { WARREN_PUBLISH_RAW, WARREN_PUBLISH_INFLUX };

/* What only the command has. */
struct warren_publish_cli {
  char *name;
  int format; /* enum warren_publish_format */
  bool whole, null, wait, verbose, help;
  struct rmq_dur timeout;
  char *content_type, *message_id, *correlation_id, *reply_to, *type;
};
extern const struct rmq_option warren_publish_cli_table[];

struct warren_publish_options {
  struct warren_publish_cli cli;
  struct warren_publish_listen_options listen;
  struct rmq_publish_options publish;
};

/* Fills o, which is the caller's to fini whatever is returned: an exit status
 * where one is due at once, else -1. */
int warren_publish_read_args(struct warren_publish_options *o, int argc,
                             char *const *argv);
void warren_publish_options_fini(struct warren_publish_options *o);

#endif
