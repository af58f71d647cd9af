/* SPDX-License-Identifier: MIT */
/*
 * Asks the Prometheus plugin of every node of a cluster, all at the same time:
 * /metrics first, and the management API's list of nodes with it where there is
 * one, then the queues of those that answered. A node that does not answer
 * costs its own part, and so does one without a URL that the last list named.
 */
#ifndef RMQ_BROKER_SCRAPE_H
#define RMQ_BROKER_SCRAPE_H

#include "common/base/options.h"
#include "common/broker/detail.h"
#include "common/broker/http.h"
#include "common/broker/listed.h"
#include "common/broker/metrics.h"

enum {
  RMQ_SCRAPE_BODY_MAX = 64 * 1024 * 1024, /* read as it arrives, not kept */
  RMQ_SCRAPE_NODES_MAX = RMQ_SNAPSHOT_NODES_MAX,
  RMQ_SCRAPE_SILENT_MAX = 3 /* polls; then a node is taken for down, where no
                               list of nodes says otherwise */
};

struct rmq_scrape_target; /* what is known of one URL */

struct rmq_scrape {
  const struct rmq_strings *urls; /* of /metrics, one per node */
  struct rmq_dur timeout;         /* of one request */
  struct rmq_http http;
  void *clock_ctx;
  struct rmq_mono (*mono)(void *ctx);
  struct rmq_wall (*wall)(void *ctx);
  /* Whether a queue is wanted, see metrics.h. */
  bool (*want)(void *ctx, const char *vhost, const char *name);
  void *want_ctx;
  struct rmq_buf *body;            /* borrowed, for the list of nodes */
  const struct rmq_listed *listed; /* borrowed: the nodes of the last list */
  struct rmq_detail *detail; /* borrowed: how much is asked for of queues */
  size_t top_queues;         /* that are kept where that is the longest only */
  struct rmq_mono start;     /* of the poll */
  struct rmq_scrape_target
      *targets; /* owned; one per URL, from the first run */
  struct rmq_http_request *requests; /* owned */
  bool has_many;                     /* queues, as of the last run */
};

struct rmq_scrape_result {
  bool is_cancelled;
  bool is_refused;    /* who tells counters, or the list, refused user,
                         password or token */
  int status;         /* HTTP's, where no node told its counters and one
                         refused, which error is about then; else 0 */
  size_t answered;    /* nodes that told their counters */
  size_t with_queues; /* ... and their queues */
  const char *url;    /* of the first that answered, or of the first */
  bool has_list;      /* of nodes, by the management API */
  double bytes;
  double queue_seconds; /* NaN = no queues were asked for */
  double wasted; /* seconds: none of the others was waited for any more */
  struct rmq_error list_error;   /* why there is no list */
  struct rmq_error error;        /* why a node's part is missing */
  struct rmq_error twice;        /* which node answers at two URLs, where the
                                    list says that none is missing for it */
  struct rmq_error queues_error; /* why queues are missing */
  /* Why this source is not enough for the whole cluster; "" = it is. */
  struct rmq_error lacks;
};

/* Zeroes what is the scrape's own; the caller sets the rest. */
void rmq_scrape_init(struct rmq_scrape *x);
void rmq_scrape_fini(struct rmq_scrape *x);
/* Fills the snapshot, which is empty, before the deadline. management = a base
 * URL to ask for the list of nodes, or NULL. */
void rmq_scrape_run(struct rmq_scrape *x, const char *management,
                    struct rmq_mono deadline, struct rmq_snapshot *s,
                    struct rmq_scrape_result *ret_result);

#endif
