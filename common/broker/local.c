/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/broker/local.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  FILE_BYTES = 8192,
  AGE_SLACK_S = 30 /* the VM counts from when it is up, and polls take time */
};
static const char beam[] = "beam.smp";

/* ---- texts of /proc ---- */

/* Field n of "PID (NAME) STATE ...", where the fields behind NAME, which may
 * hold anything, count from 3. */
static bool field_of(const char *behind_name, unsigned n, int64_t *ret) {
  const char *at = behind_name;
  for (unsigned i = 3; i < n && at != NULL; i++) {
    at = strchr(at, ' ');
    at = at == NULL ? NULL : at + 1;
  }
  char *end = NULL;
  int64_t value = at == NULL ? 0 : strtoll(at, &end, 10);
  if (at == NULL || end == at || value < 0)
    return false;
  *ret = value;
  return true;
}

bool rmq_local_stat_parse(const char *text, struct rmq_local_stat *ret) {
  struct rmq_local_stat s = {{0}, 0, 0, 0};
  int64_t user = 0, kernel = 0;
  const char *open = strchr(text, '('), *close = strrchr(text, ')');
  if (open == NULL || close == NULL || close < open || close[1] != ' ')
    return false;
  snprintf(s.name, sizeof(s.name), "%.*s", (int)(close - open - 1), open + 1);
  const char *rest = close + 2;
  if (!field_of(rest, 14, &user) || !field_of(rest, 15, &kernel) ||
      !field_of(rest, 22, &s.start_ticks) || !field_of(rest, 24, &s.rss_pages))
    return false;
  s.cpu_ticks = user + kernel;
  *ret = s;
  return true;
}

unsigned rmq_local_cpus_parse(const char *text) {
  static const char key[] = "\nCpus_allowed_list:";
  const char *at = strstr(text, key);
  unsigned count = 0;
  if (at == NULL)
    return 0;
  at += strlen(key);
  for (;;) { /* "0-3,8" */
    char *end = NULL;
    unsigned long first = strtoul(at, &end, 10), last = first;
    if (end == at)
      return count;
    if (*end == '-') {
      at = end + 1;
      last = strtoul(at, &end, 10);
    }
    if (last < first || last - first > 65535)
      return 0;
    count += (unsigned)(last - first) + 1;
    if (*end != ',')
      return count;
    at = end + 1;
  }
}

static double kilobytes_of(const char *text, const char *key) {
  const char *at = strstr(text, key);
  return at == NULL ? (double)NAN : strtod(at + strlen(key), NULL);
}

double rmq_local_memory_parse(const char *text) {
  double total = kilobytes_of(text, "MemTotal:");
  double available = kilobytes_of(text, "MemAvailable:");
  if (!(total > 0) || !(available >= 0) || available > total)
    return (double)NAN;
  return 100 * (total - available) / total;
}

/* ---- files of /proc ---- */

/* pid 0 = of the system. False when there is no such file. */
static bool read_file(const struct rmq_local *l, int64_t pid, const char *name,
                      char ret_text[FILE_BYTES]) {
  char path[256];
  if (pid > 0)
    snprintf(path, sizeof(path), "%s/%" PRId64 "/%s", l->proc, pid, name);
  else
    snprintf(path, sizeof(path), "%s/%s", l->proc, name);
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return false;
  ssize_t len = read(fd, ret_text, FILE_BYTES - 1);
  close(fd);
  ret_text[len > 0 ? len : 0] = '\0';
  return len > 0;
}

void rmq_local_init(struct rmq_local *l, const char *proc) {
  *l = (struct rmq_local){.proc = proc,
                          .ticks_per_s = sysconf(_SC_CLK_TCK),
                          .page_bytes = sysconf(_SC_PAGESIZE)};
}

double rmq_local_own_cpu(void) {
  struct rusage u;
  if (getrusage(RUSAGE_THREAD, &u) != 0)
    return (double)NAN;
  return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
         (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

double rmq_local_own_memory(const struct rmq_local *l) {
  char text[FILE_BYTES];
  long long all = 0, resident = 0;
  if (!read_file(l, 0, "self/statm", text) ||
      sscanf(text, "%lld %lld", &all, &resident) != 2 || resident < 0)
    return (double)NAN;
  return (double)resident * (double)l->page_bytes;
}

static bool is_as_old(const struct rmq_snapshot_node *n, double age) {
  return fabs(age - n->uptime) < AGE_SLACK_S;
}

/* The process of n, when one runs here that may be it, and its age. */
static bool find(const struct rmq_local *l, const struct rmq_snapshot_node *n,
                 struct rmq_local_stat *ret, double *ret_age) {
  char text[FILE_BYTES];
  struct rmq_local_stat stat;
  if (n->os_pid <= 0 || !read_file(l, n->os_pid, "stat", text) ||
      !rmq_local_stat_parse(text, &stat) || strcmp(stat.name, beam) != 0 ||
      !read_file(l, 0, "uptime", text))
    return false;
  double age =
      strtod(text, NULL) - (double)stat.start_ticks / (double)l->ticks_per_s;
  if (!is_as_old(n, age))
    return false;
  *ret = stat;
  *ret_age = age;
  return true;
}

/* Whether a node is named after this host; where one of the two names is short,
 * the other's domain does not count. */
static bool is_named_after(const struct rmq_snapshot_node *n,
                           const char *host) {
  const char *at = strchr(n->name, '@');
  const char *name = at == NULL ? "" : at + 1;
  size_t len = strcspn(name, "."), host_len = strcspn(host, ".");
  if (name[len] == '.' && host[host_len] == '.')
    return strcasecmp(name, host) == 0;
  return len > 0 && len == host_len && strncasecmp(name, host, len) == 0;
}

/* Whether a process of this age is that of n, which find() took it for. Nodes
 * of containers or virtual machines that were started together may all have its
 * pid: then the one that alone is named after this host, or none. */
static bool is_its_own(const struct rmq_local *l, const struct rmq_snapshot *s,
                       const struct rmq_snapshot_node *n, double age) {
  char host[FILE_BYTES] = "";
  size_t others = 0, named = 0;
  for (size_t i = 0; i < s->nodes_count; i++)
    if (&s->nodes[i] != n && s->nodes[i].os_pid == n->os_pid &&
        is_as_old(&s->nodes[i], age)) {
      if (others++ == 0 && !read_file(l, 0, "sys/kernel/hostname", host))
        return false;
      host[strcspn(host, "\n")] = '\0';
      named += is_named_after(&s->nodes[i], host);
    }
  return others == 0 || (named == 0 && is_named_after(n, host));
}

/* Where the last poll's figures of this process are, or a place for the first
 * ones; RMQ_LOCAL_NODES_MAX when all are taken. */
static size_t place_of(const struct rmq_local *l, int64_t pid) {
  size_t place = RMQ_LOCAL_NODES_MAX;
  for (size_t i = RMQ_LOCAL_NODES_MAX; i-- > 0;) {
    if (l->nodes[i].pid == pid)
      return i;
    if (l->nodes[i].pid == 0)
      place = i;
  }
  return place;
}

static double cpu_since(const struct rmq_local *l, size_t place,
                        const struct rmq_local_stat *now, struct rmq_mono at,
                        unsigned cpus) {
  double s = rmq_dur_seconds(rmq_mono_since(at, l->nodes[place].at));
  double ticks = (double)(now->cpu_ticks - l->nodes[place].cpu_ticks);
  if (!(s > 0) || ticks < 0 || cpus == 0)
    return (double)NAN;
  double percent = 100 * ticks / ((double)l->ticks_per_s * s * cpus);
  return percent > 100 ? 100 : percent;
}

static void measure_node(struct rmq_local *l, const struct rmq_snapshot *s,
                         struct rmq_snapshot_node *n, bool *seen,
                         struct rmq_mono now) {
  char text[FILE_BYTES];
  struct rmq_local_stat stat;
  double age = 0;
  if (!find(l, n, &stat, &age) || !is_its_own(l, s, n, age))
    return;
  n->memory_rss = (double)(stat.rss_pages * l->page_bytes);
  if (read_file(l, 0, "meminfo", text))
    n->host_memory = rmq_local_memory_parse(text);
  size_t place = place_of(l, n->os_pid);
  if (place == RMQ_LOCAL_NODES_MAX || !read_file(l, n->os_pid, "status", text))
    return;
  if (l->nodes[place].pid != 0 &&
      l->nodes[place].start_ticks == stat.start_ticks)
    n->cpu = cpu_since(l, place, &stat, now, rmq_local_cpus_parse(text));
  l->nodes[place].pid = n->os_pid;
  l->nodes[place].start_ticks = stat.start_ticks;
  l->nodes[place].cpu_ticks = stat.cpu_ticks;
  l->nodes[place].at = now;
  seen[place] = true;
}

void rmq_local_measure(struct rmq_local *l, struct rmq_snapshot *s,
                       struct rmq_mono now) {
  bool seen[RMQ_LOCAL_NODES_MAX] = {false};
  for (size_t i = 0; i < s->nodes_count; i++)
    measure_node(l, s, &s->nodes[i], seen, now);
  for (size_t i = 0; i < RMQ_LOCAL_NODES_MAX; i++)
    if (!seen[i])
      l->nodes[i].pid = 0;
}
