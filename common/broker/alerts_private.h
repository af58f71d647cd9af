/* SPDX-License-Identifier: MIT */
/*
 * What the files of the alerts share: alerts.c judges, alerts_watch.c keeps the
 * objects, alerts_voice.c says what changed.
 */
#ifndef RMQ_BROKER_ALERTS_PRIVATE_H
#define RMQ_BROKER_ALERTS_PRIVATE_H

#include "common/broker/alerts.h"

#include "common/broker/alert_state.h"

/* One quantity of one object, and what was said about it. */
struct rmq_alerts_concern {
  struct rmq_alert_state state;
  struct rmq_mono raised_at;
  uint8_t rule;                /* index + 1; 0 = none is for this object */
  bool is_grouped;             /* raised within the alert of the many */
  enum rmq_severity announced; /* what was said last */
};

/* One object. The names are its own. */
struct rmq_alerts_watch {
  const char *node, *vhost, *queue;
  int missed;
  bool is_held; /* it went missing while that said nothing */
  struct rmq_alerts_concern alerts[];
};

/* The quantities of one scope. */
struct rmq_alerts_range {
  size_t first, count; /* in rmq_alert_quantities */
};

/* What was and is being said about one quantity. */
struct rmq_alerts_tally {
  struct rmq_mono window; /* since when raised_count counts */
  size_t raised_count;
  size_t said_count; /* in this poll */
  enum rmq_severity group_announced;
  struct rmq_mono group_at;
  /* of the objects without a voice of their own, in this poll */
  size_t group_count;
  enum rmq_severity group_worst;
  enum rmq_alert_priority group_priority;
};

struct rmq_alerts {
  const char *name;
  struct rmq_alert_rule **rules;
  size_t rules_count;
  bool has_kind[RMQ_ALERT_KINDS_COUNT];
  struct rmq_alerts_tally tallies[RMQ_ALERT_QUANTITIES_COUNT];
  double nodes_down; /* at the last poll that told; NaN = none did */
  struct rmq_alerts_watch *cluster;
  struct rmq_alerts_watch **nodes,
      **queues; /* queues sorted by vhost and name */
  size_t nodes_count, queues_count;
};

/* One poll, as the functions below see it. */
struct rmq_alerts_turn {
  struct rmq_alerts *a;
  const struct rmq_alerts_input *in;
  void (*emit)(void *ctx, const struct rmq_alert_event *event);
  void *ctx;
  /* causes that the rules of their objects report, or are about to */
  bool has_node_down, has_alarm, has_partition;
  bool has_nodes_changed;
};

/* ---- alerts_watch.c ---- */

/* Names are copied; those that the scope has not are NULL. NULL without
 * memory. */
struct rmq_alerts_watch *
rmq_alerts_watch_new(const struct rmq_alerts *a, struct rmq_alerts_range range,
                     const char *node, const char *vhost, const char *queue);
void rmq_alerts_watches_free(struct rmq_alerts_watch **watches, size_t count);

/* ---- alerts_voice.c ---- */

const struct rmq_alert_rule *
rmq_alerts_rule_of(const struct rmq_alerts_turn *t,
                   const struct rmq_alerts_concern *alert);
/* Before the first word of a poll. */
void rmq_alerts_begin_tallies(struct rmq_alerts *a);
/* Says by name what the object's quantity is now. */
void rmq_alerts_announce(const struct rmq_alerts_turn *t,
                         const struct rmq_alerts_watch *w,
                         struct rmq_alerts_concern *alert, size_t quantity,
                         double value, enum rmq_severity severity,
                         bool is_gone);
/* Says a change of its state, if there is one: by name, among the many, or with
 * a later poll. */
void rmq_alerts_say(const struct rmq_alerts_turn *t,
                    const struct rmq_alerts_watch *w,
                    struct rmq_alerts_concern *alert, size_t quantity,
                    double value);
void rmq_alerts_count_grouped(const struct rmq_alerts_turn *t,
                              const struct rmq_alerts_concern *alert,
                              size_t quantity);
/* Says a change of the many, after all objects. */
void rmq_alerts_say_group(const struct rmq_alerts_turn *t, size_t quantity);

#endif
