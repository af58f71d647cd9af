/* SPDX-License-Identifier: MIT */
/*
 * What to ask a broker, and of whom.
 *
 * Management: overview, queues page by page, nodes last (members.h says why).
 * The URL that answered last is asked first; when it does not answer, the
 * others are tried in turn, each within half of the time that is left (the last
 * one within all of it), so that one that hangs hides none behind it.
 *
 * Prometheus: scrape.h. AUTO takes it when every running node that the
 * management API names answers at a MetricsURL, and finds that out in the first
 * poll, after an upgrade, when the source it took stops answering, and some
 * minutes after it had to give it up. Without a MetricsURL it has no choice.
 * Without an answer of the management API the last list of nodes counts: a part
 * of the cluster is never taken for all of it.
 *
 * How much is asked of queues: detail.h, one for each source. A poll that turns
 * out to take too long while pages are read begins again at a lower level.
 */
#ifndef RMQ_BROKER_POLL_H
#define RMQ_BROKER_POLL_H

#include "common/base/filter.h"
#include "common/base/options.h"
#include "common/broker/detail.h"
#include "common/broker/http.h"
#include "common/broker/scrape.h"
#include "common/broker/snapshot.h"

enum {
  RMQ_POLL_PAGE = 500, /* the management API's largest */
  RMQ_POLL_BODY_MAX = 32 * 1024 * 1024,
  RMQ_POLL_PROBE_S = 300, /* until a source that failed is tried again */
  RMQ_POLL_PATIENCE = 3   /* polls in which it lacks a part */
};

/* Whom to ask; the order is that of the option's words. */
enum rmq_source {
  RMQ_SOURCE_AUTO,
  RMQ_SOURCE_MANAGEMENT,
  RMQ_SOURCE_PROMETHEUS
};
/* "auto", "management", "prometheus". */
const char *rmq_source_to_str(enum rmq_source s);

/* What the caller may do next. */
enum rmq_poll_outcome {
  RMQ_POLL_ANSWERED,    /* use the snapshot; parts may be missing */
  RMQ_POLL_UNREACHABLE, /* no URL gave an overview: try again later */
  RMQ_POLL_REFUSED,     /* a broker refused user or password: read them anew */
  RMQ_POLL_CANCELLED    /* stop, touch nothing */
};
const char *rmq_poll_outcome_to_str(enum rmq_poll_outcome o);

struct rmq_poll {
  const struct rmq_strings *urls; /* without a '/' at the end, at least one */
  struct rmq_dur timeout;         /* of one request */
  const struct rmq_filter *vhosts, *queues;
  struct rmq_http http;
  void *clock_ctx;
  struct rmq_mono (*mono)(void *ctx);
  struct rmq_wall (*wall)(void *ctx);
  enum rmq_source source;
  const struct rmq_strings *metrics_urls; /* NULL or empty = none */
  struct rmq_dur budget; /* of a poll; 0 = as long as its deadline */
  size_t top_queues;     /* of which more is asked for than lengths */
  size_t page_size;      /* queues in a page; 0 = RMQ_POLL_PAGE, the most */
  double report_seconds; /* that handing over the last result took */
  double extra_seconds;  /* of what is asked now and then, after polls */
  struct rmq_detail details[2]; /* of the management API; of the nodes */
  size_t current;               /* index of the URL to ask first; after an
                                   answer the one that gave it */
  struct rmq_buf body;
  struct rmq_scrape scrape;
  struct rmq_listed listed;
  /* What AUTO took; AUTO = nothing yet. */
  enum rmq_source taken;
  char version[32];           /* of the broker then */
  struct rmq_mono probe_at;   /* when the other one is tried again */
  struct rmq_mono streams_at; /* when stream consumers are asked for again */
  unsigned lacking;           /* polls in a row in which a part was missing */
};

/* An answer that was not what was asked for. */
struct rmq_poll_refusal {
  int status;       /* HTTP's; 0 = nobody answered */
  const char *url;  /* borrowed; NULL = the error names it */
  char reason[128]; /* the broker's words, or "" */
};

struct rmq_poll_result {
  enum rmq_poll_outcome outcome;
  const char *url;        /* that answered; borrowed */
  enum rmq_source source; /* that it was asked through */
  bool is_user_refused;   /* a part of the answer, where others need no user */
  bool is_switched;       /* this poll took another source; reason says why */
  struct rmq_error reason;
  double seconds, bytes;
  const struct rmq_detail *detail; /* of the source; the poll's */
  /* why no URL answered: the first one's reason, of nodes rather that of one
   * that refused */
  struct rmq_error error;
  struct rmq_poll_refusal refusal; /* the user's, else the first one */
  /* why a part is missing */
  struct rmq_error nodes_error, queues_error, vhosts_error, streams_error,
      metrics_error, statistics_error;
  struct rmq_error twice; /* which node answers at two of the metrics_urls */
};

/* Sets what is the poll's own; the caller sets the rest before. */
void rmq_poll_init(struct rmq_poll *p);
void rmq_poll_fini(struct rmq_poll *p);
/* Fills the snapshot (cleared first) before deadline, however many requests
 * that takes. Only ANSWERED leaves something to use in it. */
void rmq_poll_run(struct rmq_poll *p, struct rmq_mono deadline,
                  struct rmq_snapshot *s, struct rmq_poll_result *ret_result);

#endif
