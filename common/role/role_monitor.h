/* SPDX-License-Identifier: MIT */
/*
 * The monitor: asks a cluster's management API, or the Prometheus plugin of its
 * nodes, in a thread of its own and hands the last result over when the host
 * reads. A broker that does not answer is a state that is reported, never an
 * error of the host.
 *
 * host->log is called from the thread, host->sample and host->event from
 * whoever reads.
 */
#ifndef RMQ_ROLE_MONITOR_H
#define RMQ_ROLE_MONITOR_H

#include "common/base/host.h"
#include "common/base/options.h"
#include "common/base/series.h"
#include "common/broker/http.h"

/* What rmq_role_monitor_options fills. */
struct rmq_role_monitor_config {
  struct rmq_strings urls, metrics_urls;
  int source; /* enum rmq_source */
  char *user, *password, *password_file, *bearer_token_file;
  struct rmq_dur interval, timeout, connect_timeout;
  bool verify_peer, verify_host;
  char *ca_cert, *client_cert, *client_key;
  struct rmq_strings include_queue, exclude_queue;
  struct rmq_strings include_vhost, exclude_vhost;
  struct rmq_strings queue_types; /* words; none = all */
  bool exclude_exclusive;
  struct rmq_strings health_checks; /* words */
  int64_t page_size;
  bool collect_connections;
  int64_t max_queues, max_vhosts, top_queues;
  struct rmq_dur time_budget; /* 0 = half the interval */
  struct rmq_strings publishers, consumers;
  /* No option: it is the only cluster of the process, which whoever makes the
   * roles says. */
  bool is_alone;
  /* Not an option: blocked connections, quorum queues and certificates are not
   * asked for. */
  bool has_no_checks;
  struct rmq_blocks probes;    /* of struct rmq_probe_options, at most one */
  struct rmq_blocks alerts;    /* of struct rmq_alert_config */
  struct rmq_blocks baselines; /* of struct rmq_baseline_options, at most one */
  int log_format;              /* enum rmq_log_format */
  char *log_file;
  struct rmq_dur shutdown_timeout;
};
extern const struct rmq_option rmq_role_monitor_options[];

/* What no single option can say; the signature is that of rmq_collectd_blocks.
 * Appends a line per error and returns -1, or returns 0. */
int rmq_role_monitor_check(const void *config, struct rmq_buf *errors);

/* Rows for all that it reports. */
const struct rmq_series *rmq_role_monitor_series(void);

struct rmq_role_monitor; /* opaque: locks, thread, memory of the last poll */

/* In the init callback or later; starts nothing. host, name and config (which
 * must have passed the check) are borrowed until free. http NULL = libcurl;
 * else it is borrowed too, for tests. NULL with err. */
struct rmq_role_monitor *
rmq_role_monitor_new(const struct rmq_host *host, const char *name,
                     const struct rmq_role_monitor_config *config,
                     const struct rmq_http *http, struct rmq_error *err);
/* After a stop that returned 0, or without a start. Left-behind threads keep
 * their memory: then nothing is freed, and what was borrowed must stay. */
void rmq_role_monitor_free(struct rmq_role_monitor *m);

/* The thread; polls at once, then every Interval. 0, or -1 with err. */
int rmq_role_monitor_start(struct rmq_role_monitor *m, struct rmq_error *err);
/* Hands the last result's samples to host->sample, each result once, and the
 * notifications of alerts to host->event; waits for no poll. How many samples
 * were sent. One thread at a time. */
size_t rmq_role_monitor_read(struct rmq_role_monitor *m);

/* Without a start: begins what runs beside sample, the probe and the file of
 * the hours of the week; to be stopped as a start is. 0, or -1 with err. */
int rmq_role_monitor_start_beside(struct rmq_role_monitor *m,
                                  struct rmq_error *err);
/* After that: waits for the probe's first verdict, which its Timeout bounds.
 * Without one it returns at once. */
void rmq_role_monitor_await_probe(struct rmq_role_monitor *m);
/* Without a start: polls in the calling thread, at most Interval long, then
 * hands over as read does. 0 when the poll was cancelled. */
size_t rmq_role_monitor_sample(struct rmq_role_monitor *m);
/* Before the first sample: one is cancelled, as by tell_stop, as soon as there
 * is something to read from this descriptor, which is borrowed and never read.
 */
void rmq_role_monitor_set_end(struct rmq_role_monitor *m, int fd);
/* Whether the last poll was answered; from the thread that samples. */
bool rmq_role_monitor_is_reachable(const struct rmq_role_monitor *m);
/* Why it was not, for whoever gave the options on a command line (silence.h);
 * "" when it was. Borrowed until the next sample. */
const char *rmq_role_monitor_silence(const struct rmq_role_monitor *m);

/* Interrupts whatever the thread waits for and returns at once. */
void rmq_role_monitor_tell_stop(struct rmq_role_monitor *m);
/* After tell_stop. 0 when the thread has ended (or was never started); -1 when
 * it was left behind at the deadline, on CLOCK_MONOTONIC. */
int rmq_role_monitor_await_stop(struct rmq_role_monitor *m,
                                struct rmq_mono deadline);

#endif
