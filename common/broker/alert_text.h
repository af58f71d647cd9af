/* SPDX-License-Identifier: MIT */
/*
 * What an alert says to people: one sentence with object, value and limit.
 * Names come from the broker: what is not printable becomes '?', what is long
 * is shortened.
 */
#ifndef RMQ_BROKER_ALERT_TEXT_H
#define RMQ_BROKER_ALERT_TEXT_H

#include "common/broker/alerts.h"

struct rmq_alert_text {
  const struct rmq_alert_event *event; /* message is not looked at */
  const char *cluster;
  struct rmq_dur raised_for; /* for the end of an alert */
  bool is_gone;              /* it ends because its object does */
  bool is_refused;           /* the broker answered, but not us */
  size_t group_count;        /* objects that a group stands for */
};

/* A name made printable: control characters and what is not UTF-8 become '?',
 * so that a queue's name adds no line to what a handler reads. Of one over max
 * bytes the first ones and "..."; out has no room = shortened. */
void rmq_alert_text_name(struct rmq_buf *out, const char *name, size_t max);

/* Written whole or shortened at a character's end. */
void rmq_alert_text(const struct rmq_alert_text *t,
                    char ret_text[RMQ_ALERTS_TEXT_SIZE]);

#endif
