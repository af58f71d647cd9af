/* SPDX-License-Identifier: MIT */
/*
 * collectd as a host: its log, its clock, its write queue and its notifications
 * behind struct rmq_host. One per block, in storage that stays where it is.
 *
 * Any thread may call log, mono, wall and random, and so may the role's own
 * thread call sample and event: collectd's plugin context is set around each
 * call. Nothing here may be used before the init callback, when collectd has
 * read its types and knows its host name.
 */
#ifndef RMQ_HOST_COLLECTD_H
#define RMQ_HOST_COLLECTD_H

#include "common/host/collectd_api.h"

#include "common/base/host.h"

#include <stdatomic.h>

/* Rides on every value list that rabbitmq_consume dispatches: an unsigned
 * number that comes back with the value in our own write callback. */
#define RMQ_COLLECTD_TAG_KEY "rabbitmq_consume:tag"

struct rmq_collectd_host {
  struct rmq_host host; /* what a role gets; host.ctx is this struct */
  plugin_ctx_t ctx;     /* collectd's, of the thread that called init */
  enum rmq_log_format log_format;
  const char *log_file; /* borrowed; NULL = collectd's own log */
  atomic_bool log_file_failed;
};

/* In the init callback. log_file is borrowed for the life of h. */
void rmq_collectd_host_init(struct rmq_collectd_host *h,
                            enum rmq_log_format log_format,
                            const char *log_file);

/* What became of a sample; all but ACCEPTED mean that nothing was dispatched
 * and that trying again cannot help, except for FAILED. */
enum rmq_collectd_verdict {
  RMQ_COLLECTD_ACCEPTED,
  RMQ_COLLECTD_UNKNOWN_TYPE, /* not in any types.db */
  RMQ_COLLECTD_WRONG_VALUES, /* number or kinds differ from types.db */
  RMQ_COLLECTD_BAD_NAME,     /* empty where needed, too long, not UTF-8 ... */
  RMQ_COLLECTD_FAILED        /* no memory, or collectd refused it */
};
/* "accepted", "unknown_type", "wrong_values", "bad_name", "failed". */
const char *rmq_collectd_verdict_to_str(enum rmq_collectd_verdict v);

/* What samples of one delivery have in common, made once for all of them:
 * collectd copies it for each. One thread at a time. All zero = no tag yet. */
struct rmq_collectd_tagger {
  uint64_t tag;
  meta_data_t *meta;    /* the tag alone; NULL until it is needed */
  const data_set_t *ds; /* of the sample before; NULL = none */
};
/* The delivery whose samples come next. */
void rmq_collectd_tagger_set(struct rmq_collectd_tagger *t, uint64_t tag);
void rmq_collectd_tagger_fini(struct rmq_collectd_tagger *t);

/* Checks the sample against types.db and queues a copy for collectd's writers.
 * An empty host is replaced by ours, a time or interval of 0 by collectd's now
 * and the block's interval. tagger NULL = no tag. */
enum rmq_collectd_verdict
rmq_collectd_dispatch(const struct rmq_collectd_host *h,
                      const struct rmq_sample *sample,
                      struct rmq_collectd_tagger *tagger);

/* True when the value list carries our tag. */
bool rmq_collectd_tag(const value_list_t *vl, uint64_t *ret_tag);

/* Types as collectd knows them. */
struct rmq_types rmq_collectd_types(void);

/* A value list as a sample, pointing into it; only meta data is copied. */
struct rmq_collectd_view {
  struct rmq_sample sample;
  struct rmq_datum values[RMQ_SAMPLE_VALUES_MAX];
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
  double rates[RMQ_SAMPLE_VALUES_MAX];
};
/* -1 when the value list has more values than a sample may have or does not
 * fit its data set; then there is nothing to fini. Meta data beyond
 * RMQ_SAMPLE_META_MAX and our tag are left out. ret_view stays where it is. */
int rmq_collectd_view_init(struct rmq_collectd_view *v, const data_set_t *ds,
                           const value_list_t *vl);
/* Gives the view the rates that collectd's cache knows; they are NaN where it
 * does not, as for the first value of a series. In a write callback only. */
void rmq_collectd_view_add_rates(struct rmq_collectd_view *v,
                                 const data_set_t *ds, const value_list_t *vl);
void rmq_collectd_view_fini(struct rmq_collectd_view *v);

/* A notification as an event, pointing into it, meta data too. */
struct rmq_collectd_notice {
  struct rmq_event event;
  struct rmq_meta meta[RMQ_SAMPLE_META_MAX];
};
void rmq_collectd_notice_init(struct rmq_collectd_notice *e,
                              const notification_t *n);

struct rmq_wall rmq_collectd_wall(cdtime_t t);
struct rmq_dur rmq_collectd_dur(cdtime_t t);
cdtime_t rmq_collectd_cdtime(int64_t ns);

#endif
