/* SPDX-License-Identifier: MIT */
/*
 * A broker for one drill: RabbitMQ from its package, on loopback and free
 * ports, with an epmd and a password of its own, all its files in a private
 * directory. It dies with this process, whatever way that ends. One thread.
 */
#ifndef RMQ_PLUGINS_WARREN_DRILL_BROKER_H
#define RMQ_PLUGINS_WARREN_DRILL_BROKER_H

#include "common/role/drill.h"

struct warren_drill_broker;

/* Returns when it can be used: after some 10 seconds. bin is the directory of
 * rabbitmq-server. NULL with err, and then nothing is left. */
struct warren_drill_broker *
warren_drill_broker_start(const char *bin,
                          const volatile sig_atomic_t *is_stopping,
                          struct rmq_error *err);
/* Kills it and removes its files. NULL is fine. */
void warren_drill_broker_end(struct warren_drill_broker *b);

/* Where it is and who may ask it; borrowed. */
struct warren_drill_access {
  char url[64], metrics_url[64], amqp[64], user[16], password[40];
};
const struct warren_drill_access *
warren_drill_broker_get(const struct warren_drill_broker *b);
/* Who makes its faults; valid as long as b. */
struct rmq_drill_owner warren_drill_broker_owner(struct warren_drill_broker *b);

#endif
