/* SPDX-License-Identifier: MIT */
/*
 * What a broker is asked now and then, beside the polls: how many connections
 * are blocked, whether quorum queues are short of nodes or leaders, and how
 * long the certificates are valid that its listeners show. All requests of a
 * turn run at the same time; an answer holds until the next one, or until it is
 * twice as old as that would be. An endpoint that the broker does not have
 * (404) leaves its number absent. One thread.
 *
 * Versions: 3.8.10 and later, leaderless queues from 4.1.
 */
#ifndef RMQ_BROKER_CHECKS_H
#define RMQ_BROKER_CHECKS_H

#include "common/base/error.h"
#include "common/base/options.h"
#include "common/broker/checks_body.h"
#include "common/broker/http.h"
#include "common/broker/report.h"

enum {
  RMQ_CHECKS_EVERY = 5, /* polls */
  RMQ_CHECKS_CERTIFICATES_EVERY = 60,
  RMQ_CHECKS_CONNECTIONS_MAX = 10000, /* more are not listed: it costs both */
  RMQ_CHECKS_BODY_MAX = 4 * 1024 * 1024,
  RMQ_CHECKS_WHY_SIZE = 200
};

/* One number and its last answer. */
struct rmq_checks_value {
  double value; /* NaN = not known */
  unsigned age; /* polls since it was answered */
};

/* What one URL told of certificates, and whether it told anything. */
struct rmq_checks_target {
  struct rmq_checks_certificate certificate;
  unsigned age;
  /* It answered nothing in the last turn in which another URL did; then that is
   * the reason, and none of the errors below. */
  bool is_silent;
  const char *url; /* borrowed from the input; NULL until it was silent */
  char why[RMQ_CHECKS_WHY_SIZE];
};

struct rmq_checks {
  unsigned polls; /* since the last turn for certificates */
  bool is_due;    /* a poll failed: what was known is asked anew */
  /* Polls until that may be done once more: an API that answers every other
   * time is not to be asked every other time. */
  unsigned patience;
  unsigned connections_wait; /* polls until they may be listed again */
  struct rmq_checks_value blocked, critical, leaderless, vhosts_down;
  struct rmq_checks_target *targets; /* owned; one per URL, then MetricsURL */
  size_t targets_count;
  /* Why a number is missing, or not whole, as of its last turn. */
  struct rmq_error connections_error, queues_error, certificates_error;
  struct rmq_error vhosts_error;
};

/* Borrowed for the call. */
struct rmq_checks_input {
  const struct rmq_strings *urls; /* of the management API; NULL = not asked */
  size_t current;                 /* index of the one that answered last */
  const struct rmq_strings *metrics_urls;
  bool wants_vhosts; /* whether those that are down are asked for */
  const struct rmq_http *http;
  struct rmq_dur timeout; /* for all of it */
  double connections;     /* that are open; NaN = not known */
  size_t nodes_away;      /* not running: as many URLs may be silent */
};

struct rmq_checks_result {
  bool is_cancelled; /* stop, touch nothing */
  double bytes;
  /* That the slowest answer took; one that did not come is no cost. NaN =
   * nothing was answered. */
  double seconds;
};

void rmq_checks_init(struct rmq_checks *c);
void rmq_checks_fini(struct rmq_checks *c);

/* After each poll that was answered; asks what is due. The lists of URLs are
 * the same every time. */
void rmq_checks_run(struct rmq_checks *c, const struct rmq_checks_input *in,
                    struct rmq_checks_result *ret_result);
/* After each poll that was not: what the outage may have changed is unknown
 * until it is asked with the next one that is, or with the next turn where that
 * was done less than a turn ago. Connections are never listed more often than
 * every RMQ_CHECKS_EVERY polls. */
void rmq_checks_miss(struct rmq_checks *c);
/* What is known now. */
void rmq_checks_report(const struct rmq_checks *c, struct rmq_wall now,
                       struct rmq_report_cluster *r);
/* The certificate that expires first, or NULL; valid until the next run. */
const struct rmq_checks_certificate *
rmq_checks_soonest(const struct rmq_checks *c);

#endif
