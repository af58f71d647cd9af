/* SPDX-License-Identifier: MIT */
/*
 * The spool on real SQLite in a temporary directory. Most tests do the thread's
 * turns themselves; rmq_spool_start has its own.
 */
#include "rmq_config.h"

#include "tests/testing.h"

#include "tests/fake/host.h"

#include "common/amqp/thread.h"
#include "common/host/host_clock.h"
#include "common/spool/spool.h"
#include "common/spool/spool_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LANES_MAX = 4, GOT_MAX = 20000 };

/* One lane's side of the store. */
struct lane {
  size_t keep;         /* of every list that stored brings, from the front */
  struct rmq_list got; /* taken from stored and fetched */
  struct rmq_list given_back;
  uint64_t stored, through, fetches;
  struct rmq_store_tally lost[RMQ_STORE_LOSSES_COUNT], lost_pending, recovered;
};

struct rig {
  char root[64], dir[128], path[160];
  struct rmq_spool_config config;
  struct rmq_spool *spool;
  const struct rmq_store *store;
  struct lane lanes[LANES_MAX];
  uint64_t next_seq;
  bool is_open;
};

static struct fake_host host;

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

static void move(struct rmq_list *to, struct rmq_list *from, size_t count) {
  while (count-- > 0 && !rmq_list_is_empty(from))
    rmq_list_push_back(to, rmq_list_pop_front(from));
}

static void free_messages(struct rmq_list *l) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(l)) != NULL)
    rmq_message_free(message_of(n));
}

static void stored(void *ctx, struct rmq_list *messages) {
  struct lane *l = ctx;
  l->stored += messages->count;
  move(&l->got, messages, l->keep);
}
static void fetched(void *ctx, struct rmq_list *messages, uint64_t through) {
  struct lane *l = ctx;
  l->fetches++;
  l->through = through;
  move(&l->got, messages, messages->count);
}
static void failed(void *ctx, struct rmq_list *messages) {
  struct lane *l = ctx;
  move(&l->given_back, messages, messages->count);
}
static void lost(void *ctx, enum rmq_store_loss why, bool was_pending,
                 struct rmq_store_tally t) {
  struct lane *l = ctx;
  struct rmq_store_tally *sum = was_pending ? &l->lost_pending : &l->lost[why];
  sum->messages += t.messages;
  sum->values += t.values;
}
static void recovered(void *ctx, struct rmq_store_tally t) {
  struct lane *l = ctx;
  l->recovered = t;
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  snprintf(m->id, sizeof(m->id), "id:%" PRIu64, m->seq);
  m->content_type = "text/collectd";
  m->is_prepared = true;
}

static void set_up(struct rig *r) {
  memset(r, 0, sizeof(*r));
  fake_host_init(&host);
  snprintf(r->root, sizeof(r->root), "/tmp/spool_test.XXXXXX");
  assert_non_null(mkdtemp(r->root));
  snprintf(r->dir, sizeof(r->dir), "%s/spool", r->root);
  snprintf(r->path, sizeof(r->path), "%s/b.spool", r->dir);
  r->config = (struct rmq_spool_config){.dir = r->dir,
                                        .plugin = "rabbitmq_publish",
                                        .block = "b",
                                        .max_bytes = 4 << 20,
                                        .sync = RMQ_SPOOL_SYNC_NONE,
                                        .policy = RMQ_DROP_OLDEST,
                                        .lanes = 1,
                                        .pending_bytes_max = 64 << 20,
                                        .host = &host.host,
                                        .prepare = prepare,
                                        .start_thread = rmq_thread_start};
  for (size_t i = 0; i < LANES_MAX; i++) {
    rmq_list_init(&r->lanes[i].got);
    rmq_list_init(&r->lanes[i].given_back);
  }
}

static void open_spool(struct rig *r) {
  struct rmq_error err = {""};
  r->spool = rmq_spool_new(&r->config, &err);
  assert_non_null(r->spool);
  r->store = rmq_spool_store(r->spool);
  for (unsigned i = 0; i < r->config.lanes; i++) {
    struct rmq_store_handlers h = {&r->lanes[i], stored, fetched,
                                   failed,       lost,   recovered};
    rmq_spool_attach(r->spool, i, &h);
  }
  r->is_open = rmq_spool_open(r->spool, &r->next_seq);
}

/* As at the daemon's end: what waits is written. */
static void close_spool(struct rig *r) {
  rmq_spool_stop(r->spool, rmq_mono_add(host.now, rmq_s(5)));
  while (!rmq_spool_turn(r->spool))
    continue;
  rmq_spool_end(r->spool);
  rmq_spool_free(r->spool);
  r->spool = NULL;
}

static void forget(struct rig *r) {
  for (size_t i = 0; i < LANES_MAX; i++) {
    free_messages(&r->lanes[i].got);
    free_messages(&r->lanes[i].given_back);
    memset(&r->lanes[i], 0, sizeof(r->lanes[i]));
    rmq_list_init(&r->lanes[i].got);
    rmq_list_init(&r->lanes[i].given_back);
  }
}

static void remove_tree(const char *dir) {
  DIR *d = opendir(dir);
  struct dirent *e;
  while (d != NULL && (e = readdir(d)) != NULL) {
    char path[512];
    if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
      continue;
    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
    if (unlink(path) != 0)
      remove_tree(path);
  }
  if (d != NULL)
    closedir(d);
  rmdir(dir);
}

static void tear_down(struct rig *r) {
  if (r->spool != NULL)
    close_spool(r);
  forget(r);
  remove_tree(r->root);
}

static struct rmq_message *make(struct rig *r, const char *key, size_t size) {
  char *body = malloc(size + 1);
  memset(body, 'a' + (int)(r->next_seq % 26), size + 1);
  struct rmq_message *m = rmq_message_new(key, body, size);
  free(body);
  m->seq = r->next_seq++;
  m->values = 3;
  m->time = host.wall;
  return m;
}

static void put(struct rig *r, const char *key, size_t size) {
  struct rmq_message *m = make(r, key, size);
  unsigned lane = rmq_store_lane_of(rmq_store_key_hash(key), r->config.lanes);
  assert_int_equal(r->store->put(r->store->ctx, lane, m), RMQ_STORE_TOOK);
}

static void turn(struct rig *r) { assert_false(rmq_spool_turn(r->spool)); }

static void tick(struct rig *r) {
  fake_host_advance(&host, rmq_s(1));
  turn(r);
}

static void fetch(struct rig *r, unsigned lane, size_t messages, size_t bytes) {
  r->store->fetch(r->store->ctx, lane, r->lanes[lane].through, messages, bytes);
  turn(r);
}

static uint64_t rows(struct rig *r) {
  struct rmq_store_stats st;
  r->store->stats(r->store->ctx, &st);
  return st.rows;
}

#define assert_got(r, lane, from, to)                                          \
  do {                                                                         \
    struct rmq_list *l_ = &(r)->lanes[lane].got;                               \
    assert_int_equal(l_->count, (to) - (from) + 1);                            \
    uint64_t seq_ = (from);                                                    \
    for (struct rmq_node *n_ = rmq_list_first(l_); n_ != NULL;                 \
         n_ = rmq_list_next(l_, n_))                                           \
      assert_int_equal(message_of(n_)->seq, seq_++);                           \
  } while (0)

/* ------------------------------------------------------------------------ */

static void what_was_put_is_fetched_as_it_was(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  assert_true(r.is_open);
  assert_int_equal(r.next_seq, 1);
  put(&r, "some.key", 5000);
  put(&r, "some.key", 0);
  turn(&r);
  assert_int_equal(r.lanes[0].stored, 2);
  assert_int_equal(rows(&r), 2);
  fetch(&r, 0, 10, 1 << 20);
  assert_got(&r, 0, 1, 2);
  const struct rmq_message *m = message_of(rmq_list_first(&r.lanes[0].got));
  assert_string_equal(m->id, "id:1");
  assert_string_equal(m->key, "some.key");
  assert_string_equal(m->content_type, "text/collectd");
  assert_null(m->content_encoding);
  assert_int_equal(m->values, 3);
  assert_int_equal(rmq_wall_ms(m->time), rmq_wall_ms(host.wall));
  assert_true(m->is_stored && m->is_prepared);
  assert_int_equal(m->body_len, 5000);
  for (size_t i = 0; i < 5000; i++)
    assert_int_equal(m->body[i], 'b');
  tear_down(&r);
}

static void rows_survive_the_process_and_go_on_counting(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 100; i++)
    put(&r, "k", 300);
  close_spool(&r);
  forget(&r);
  open_spool(&r);
  assert_int_equal(r.next_seq, 101);
  assert_int_equal(r.lanes[0].recovered.messages, 100);
  assert_int_equal(r.lanes[0].recovered.values, 300);
  fetch(&r, 0, 1000, 1 << 30);
  assert_got(&r, 0, 1, 100);
  tear_down(&r);
}

static void settled_rows_are_gone(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.lanes[0].keep = 1000;
  open_spool(&r);
  for (int i = 0; i < 50; i++)
    put(&r, "k", 300);
  turn(&r);
  assert_got(&r, 0, 1, 50);
  for (uint64_t seq = 1; seq <= 50; seq++)
    if (seq != 7)
      r.store->settle(r.store->ctx, seq);
  tick(&r);
  assert_int_equal(rows(&r), 1);
  close_spool(&r);
  forget(&r);
  open_spool(&r);
  fetch(&r, 0, 1000, 1 << 30);
  assert_got(&r, 0, 7, 7);
  tear_down(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_put_is_fetched_as_it_was),
      cmocka_unit_test(rows_survive_the_process_and_go_on_counting),
      cmocka_unit_test(settled_rows_are_gone),
  };
  return run_all(tests);
}
