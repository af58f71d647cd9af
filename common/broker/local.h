/* SPDX-License-Identifier: MIT */
/*
 * What Linux knows about a broker's process and its host, for nodes that run on
 * this one: the management API has no CPU time, and its memory is the VM's own
 * account. Reads /proc; nothing is asked of the broker.
 *
 * A node is taken for a local one when its pid names a beam.smp that is as old
 * as the node says it is up; a pid of another host or container names something
 * else, or nothing. Where several nodes fit one process (containers, or virtual
 * machines, of one image have the same pids), it is that of the node named
 * after this host.
 */
#ifndef RMQ_BROKER_LOCAL_H
#define RMQ_BROKER_LOCAL_H

#include "common/broker/snapshot.h"

/* Of /proc/PID/stat (proc(5)). */
struct rmq_local_stat {
  char name[32];
  int64_t cpu_ticks;   /* in user and kernel mode, all threads */
  int64_t start_ticks; /* after boot */
  int64_t rss_pages;
};
/* False, with nothing filled, when text is not one. */
bool rmq_local_stat_parse(const char *text, struct rmq_local_stat *ret);
/* Number of CPUs in the line Cpus_allowed_list of /proc/PID/status; 0 = there
 * is no such line. */
unsigned rmq_local_cpus_parse(const char *text);
/* Of /proc/meminfo: 100 (MemTotal - MemAvailable) / MemTotal; NaN = absent. */
double rmq_local_memory_parse(const char *text);

enum { RMQ_LOCAL_NODES_MAX = 16 };

struct rmq_local {
  const char *proc;    /* borrowed: "/proc" */
  int64_t ticks_per_s; /* sysconf(_SC_CLK_TCK) */
  int64_t page_bytes;  /* sysconf(_SC_PAGESIZE) */
  struct {
    int64_t pid, start_ticks, cpu_ticks; /* pid 0 = free */
    struct rmq_mono at;
  } nodes[RMQ_LOCAL_NODES_MAX]; /* as they were at the last poll */
};

void rmq_local_init(struct rmq_local *l, const char *proc);
/* Our own: seconds of CPU time that the calling thread has used so far, and
 * bytes of resident memory of the process; NaN = not known. */
double rmq_local_own_cpu(void);
double rmq_local_own_memory(const struct rmq_local *l);

/* Fills cpu, memory_rss and host_memory of the nodes of s that run here. CPU
 * time is known from the second poll on: the share, in percent, of the time of
 * the CPUs that the process may use since the poll before. The poll's thread.
 */
void rmq_local_measure(struct rmq_local *l, struct rmq_snapshot *s,
                       struct rmq_mono now);

#endif
