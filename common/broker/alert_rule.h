/* SPDX-License-Identifier: MIT */
/*
 * One <Alert "kind"> block: what its options say, and which objects it is for.
 * Of several blocks of a kind, the first that matches an object decides.
 */
#ifndef RMQ_BROKER_ALERT_RULE_H
#define RMQ_BROKER_ALERT_RULE_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/options.h"
#include "common/broker/alert_kind.h"
#include "common/broker/alert_state.h"

enum { RMQ_ALERT_RULES_MAX = 64 };

/* What the options fill. */
struct rmq_alert_config {
  int kind;                  /* enum rmq_alert_kind */
  double warning, failure;   /* NaN = the quantity's own, 0 = no such level */
  double clear;              /* percent of the limit */
  struct rmq_dur hold;       /* negative = not given: the kind's own */
  struct rmq_dur clear_hold; /* likewise: hold if that is given */
  int priority;              /* enum rmq_alert_priority */
  struct rmq_strings queues, vhosts, nodes, resources;
};

/* For the option tables: gives a config whose kind is set that kind's priority,
 * and holds that are not given. */
void rmq_alert_config_prepare(void *config);
/* What no single option can say. Appends a line per error and returns -1, or
 * returns 0. */
int rmq_alert_config_check(const void *config, struct rmq_buf *errors);
/* Whether queues are looked at for it. */
bool rmq_alert_config_is_of_queues(const struct rmq_alert_config *c);
/* ... and of nothing else. */
bool rmq_alert_config_needs_queues(const struct rmq_alert_config *c);

/* How often there are values. */
struct rmq_alert_pace {
  struct rmq_dur poll;
  struct rmq_dur probe; /* between two of its messages; 0 = there is none */
};

struct rmq_alert_rule; /* opaque: compiled patterns */

/* The config is borrowed. NULL with err. */
struct rmq_alert_rule *rmq_alert_rule_new(const struct rmq_alert_config *c,
                                          const struct rmq_alert_pace *pace,
                                          struct rmq_error *err);
void rmq_alert_rule_free(struct rmq_alert_rule *r);

/* Names of which the scope has no use are ignored. */
bool rmq_alert_rule_matches(const struct rmq_alert_rule *r,
                            const struct rmq_alert_quantity *q,
                            const char *node, const char *vhost,
                            const char *queue);
enum rmq_alert_priority rmq_alert_rule_priority(const struct rmq_alert_rule *r);
enum rmq_alert_kind rmq_alert_rule_kind(const struct rmq_alert_rule *r);
/* The limits that the rule has for a quantity of its kind. */
struct rmq_alert_limits
rmq_alert_rule_limits(const struct rmq_alert_rule *r,
                      const struct rmq_alert_quantity *q);

#endif
