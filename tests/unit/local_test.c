/* SPDX-License-Identifier: MIT */
/* A /proc of our own making: a node of this host among others. */
#include "rmq_config.h"

#include "common/broker/local.h"

#include "tests/testing.h"

#include <math.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PID = 4711, STARTED_S = 1000 };

struct proc {
  char dir[64];
  struct rmq_local local;
  struct rmq_snapshot snapshot;
};

static void put(const struct proc *p, const char *name, const char *text) {
  char path[256];
  snprintf(path, sizeof(path), "%s/%s", p->dir, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  fputs(text, f);
  fclose(f);
}

/* 2 CPUs, half of the memory in use, and a process that began STARTED_S after
 * boot and has used so many seconds of CPU time. */
static void put_process(const struct proc *p, const char *name, double cpu_s,
                        double uptime_s) {
  char text[512];
  long hz = (long)p->local.ticks_per_s;
  snprintf(text, sizeof(text),
           "4711 (%s) S 1 2 3 0 -1 4 5 6 7 8 %ld %ld 0 0 20 0 25 0 %ld "
           "999 300 18446744073709551615 1\n",
           name, (long)(cpu_s * (double)hz) - hz, hz, STARTED_S * hz);
  put(p, "4711/stat", text);
  snprintf(text, sizeof(text), "%.2f 5.00\n", STARTED_S + uptime_s);
  put(p, "uptime", text);
}

static void begin(struct proc *p) {
  char path[128];
  snprintf(p->dir, sizeof(p->dir), "/tmp/local_test.XXXXXX");
  assert_non_null(mkdtemp(p->dir));
  snprintf(path, sizeof(path), "%s/4711", p->dir);
  assert_int_equal(mkdir(path, 0700), 0);
  rmq_local_init(&p->local, p->dir);
  rmq_snapshot_init(&p->snapshot, 10);
  put(p, "meminfo",
      "MemTotal:        8000 kB\nMemFree:  1 kB\nMemAvailable:    4000 kB\n");
  snprintf(path, sizeof(path), "%s/sys", p->dir);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, sizeof(path), "%s/sys/kernel", p->dir);
  assert_int_equal(mkdir(path, 0700), 0);
  put(p, "sys/kernel/hostname", "here\n");
  put(p, "4711/status",
      "Name:\tbeam.smp\nCpus_allowed:\t5\nCpus_allowed_list:\t0,2\n");
}

static void end(struct proc *p) {
  static const char *const names[] = {
      "4711/stat", "4711/status", "sys/kernel/hostname", "meminfo",
      "uptime",    "4711",        "sys/kernel",          "sys"};
  char path[256];
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
    remove(path);
  }
  rmdir(p->dir);
  rmq_snapshot_fini(&p->snapshot);
}

/* One poll at second `at`, of a node that is up for so long. */
static const struct rmq_snapshot_node *poll(struct proc *p, int64_t pid,
                                            double uptime, int64_t at) {
  rmq_snapshot_clear(&p->snapshot);
  struct rmq_snapshot_node *n =
      rmq_snapshot_add_node(&p->snapshot, "rabbit@here");
  assert_non_null(n);
  n->os_pid = pid;
  n->uptime = uptime;
  rmq_local_measure(&p->local, &p->snapshot,
                    (struct rmq_mono){at * RMQ_NS_PER_S});
  return n;
}

static void cpu_is_the_share_of_its_cpus_since_the_poll_before(void **state) {
  (void)state;
  struct proc p;
  begin(&p);
  put_process(&p, "beam.smp", 50, 100);
  const struct rmq_snapshot_node *n = poll(&p, PID, 100, 10);
  assert_true(isnan(n->cpu)); /* nothing to compare with */
  assert_true(n->memory_rss == 300.0 * (double)p.local.page_bytes);
  assert_true(n->host_memory == 50);
  put_process(&p, "beam.smp", 55, 110);
  n = poll(&p, PID, 110, 20);
  assert_true(fabs(n->cpu - 25) < 0.01); /* 5 s of 10 s on two CPUs */
  put_process(&p, "beam.smp", 95, 120);  /* more than there are: ticks */
  assert_true(poll(&p, PID, 120, 30)->cpu == 100);
  end(&p);
}

static void what_is_not_the_node_s_process_is_not_measured(void **state) {
  (void)state;
  static const struct {
    const char *name;
    int64_t pid;
    double uptime;
  } rows[] = {
      {"bash", PID, 100},            /* another program has the pid here */
      {"beam.smp", 4712, 100},       /* there is no such process */
      {"beam.smp", RMQ_ABSENT, 100}, /* the node did not say */
      {"beam.smp", PID, 5000},       /* another Erlang of another container */
      {"beam.smp", PID, (double)NAN},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct proc p;
    begin(&p);
    for (int64_t at = 10; at <= 20; at += 10) {
      put_process(&p, rows[i].name, (double)at, 100);
      const struct rmq_snapshot_node *n =
          poll(&p, rows[i].pid, rows[i].uptime, at);
      assert_true(isnan(n->cpu) && isnan(n->memory_rss) &&
                  isnan(n->host_memory));
    }
    end(&p);
  }
}

/* Containers of one image, or virtual machines, that were started together:
 * each node's process has the same number in its own. */
static void of_nodes_with_one_pid_the_one_of_this_host_is_measured(void **st) {
  (void)st;
  enum { NODES = 3, NONE = -1 };
  static const struct {
    const char *host, *nodes[NODES];
    double uptimes[NODES];
    int want;
  } rows[] = {
      {"b\n", {"rabbit@a", "rabbit@b", "rabbit@c"}, {100, 101, 99}, 1},
      {"b.x.org\n", {"rabbit@a", "rabbit@b", "rabbit@c"}, {100, 101, 99}, 1},
      {"B\n", {"r@b.x.org", "r@a.x.org", "r@c.x.org"}, {100, 101, 99}, 0},
      {"b.x.org", {"r@b.y.org", "r@a.x.org", "r@b.x.org"}, {99, 99, 99}, 2},
      /* this host is not among them, or more than one goes by its name */
      {"d\n", {"rabbit@a", "rabbit@b", "rabbit@c"}, {100, 101, 99}, NONE},
      {"bb\n", {"rabbit@a", "rabbit@b", "rabbit@bbb"}, {99, 99, 99}, NONE},
      {"b\n", {"r@b.x.org", "r@b.y.org", "r@c"}, {100, 101, 99}, NONE},
      {"b\n", {"r@b", "s@b", "r@c"}, {100, 101, 99}, NONE},
      {"", {"r@", "r@.x", "b"}, {100, 101, 99}, NONE},
      /* one alone fits, whatever a name that may be an alias says */
      {"d\n", {"rabbit@a", "rabbit@b", "rabbit@c"}, {5000, 100, NAN}, 1},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    struct proc p;
    begin(&p);
    put(&p, "sys/kernel/hostname", rows[i].host);
    for (int at = 0; at <= 10; at += 10) {
      put_process(&p, "beam.smp", 50 + at / 2.0, 100);
      rmq_snapshot_clear(&p.snapshot);
      for (int n = 0; n < NODES; n++) {
        struct rmq_snapshot_node *node =
            rmq_snapshot_add_node(&p.snapshot, rows[i].nodes[n]);
        assert_non_null(node);
        node->os_pid = PID;
        node->uptime = rows[i].uptimes[n];
      }
      rmq_local_measure(&p.local, &p.snapshot,
                        (struct rmq_mono){at * RMQ_NS_PER_S});
      for (int n = 0; n < NODES; n++) {
        const struct rmq_snapshot_node *node = &p.snapshot.nodes[n];
        assert_int_equal(isnan(node->memory_rss), n != rows[i].want);
        assert_int_equal(isnan(node->host_memory), n != rows[i].want);
        assert_int_equal(isnan(node->cpu), n != rows[i].want || at == 0);
      }
    }
    end(&p);
  }
}

static void a_node_that_was_away_begins_anew(void **state) {
  (void)state;
  struct proc p;
  begin(&p);
  put_process(&p, "beam.smp", 50, 100);
  poll(&p, PID, 100, 10);
  poll(&p, RMQ_ABSENT, 100, 20);
  put_process(&p, "beam.smp", 70, 120);
  assert_true(isnan(poll(&p, PID, 120, 30)->cpu));
  end(&p);
}

static void texts_of_proc_are_read_whatever_they_hold(void **state) {
  (void)state;
  struct rmq_local_stat s;
  assert_true(rmq_local_stat_parse(
      "1 (a) b (c)) R 1 2 3 0 -1 4 5 6 7 8 11 22 0 0 20 0 1 0 33 1 44", &s));
  assert_string_equal(s.name, "a) b (c)");
  assert_int_equal(s.cpu_ticks, 33);
  assert_int_equal(s.start_ticks, 33);
  assert_int_equal(s.rss_pages, 44);
  static const char *const bad[] = {
      "",    "1 beam.smp S", "1 (x)", "1 )x( S 1 2", "1 (x) S 1 2 3",
      ") (", "1 (x) S"};
  for (size_t i = 0; i < COUNT_OF(bad); i++)
    assert_false(rmq_local_stat_parse(bad[i], &s));
  static const struct {
    const char *list;
    unsigned want;
  } lists[] = {{"0", 1},        {"0-3", 4}, {"0-1,4,6-7", 5},
               {"0-63\nX", 64}, {"", 0},    {"3-1", 0}};
  for (size_t i = 0; i < COUNT_OF(lists); i++) {
    char text[100];
    snprintf(text, sizeof(text), "Name: x\nCpus_allowed_list:\t%s",
             lists[i].list);
    assert_int_equal(rmq_local_cpus_parse(text), lists[i].want);
  }
  assert_true(isnan(rmq_local_memory_parse("MemTotal: 100 kB\n")));
  assert_true(isnan(rmq_local_memory_parse("MemTotal: 0\nMemAvailable: 0")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(cpu_is_the_share_of_its_cpus_since_the_poll_before),
      cmocka_unit_test(what_is_not_the_node_s_process_is_not_measured),
      cmocka_unit_test(of_nodes_with_one_pid_the_one_of_this_host_is_measured),
      cmocka_unit_test(a_node_that_was_away_begins_anew),
      cmocka_unit_test(texts_of_proc_are_read_whatever_they_hold),
  };
  return run_all(tests);
}
