/* SPDX-License-Identifier: MIT */
/*
 * The spool on real SQLite in a temporary directory. Most tests do the thread's
 * turns themselves; rmq_spool_start has its own.
 */
#include "rmq_config.h"

#include "tests/testing.h"

#include "tests/fake/host.h"

#include "common/amqp/thread.h"
#include "common/base/envelope.h"
#include "common/host/host_clock.h"
#include "common/spool/spool.h"
#include "common/spool/spool_db_private.h"
#include "common/spool/spool_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
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
static void lost(void *ctx, const struct rmq_store_lost *what) {
  struct lane *l = ctx;
  struct rmq_store_tally *sum =
      what->message != NULL ? &l->lost_pending : &l->lost[what->why];
  sum->messages += what->tally.messages;
  sum->values += what->tally.values;
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

static void keep_as_it_is(void *ctx, struct rmq_message *m) {
  (void)ctx;
  (void)m;
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

static struct rmq_message *make_opaque(struct rig *r) {
  char name[] = "tenant", value[] = "blue";
  const struct rmq_argument header = {
      .name = name, .type = RMQ_ARG_STRING, .string = value};
  const struct rmq_envelope e = {.type = "order",
                                 .correlation_id = "c-1",
                                 .reply_to = "answers",
                                 .expiration_ms = 60000,
                                 .priority = 3,
                                 .headers = &header,
                                 .headers_count = 1};
  struct rmq_buf packed;
  rmq_buf_init(&packed, RMQ_ENVELOPE_BYTES_MAX);
  assert_int_equal(rmq_envelope_pack(&e, &packed), 0);
  static char id[201];
  memset(id, 'i', sizeof(id) - 1);
  const struct rmq_message_parts parts = {.key = "k",
                                          .exchange = "events",
                                          .id = id,
                                          .envelope = rmq_buf_bytes(&packed),
                                          .envelope_len = packed.len,
                                          .body = "\0\1",
                                          .body_len = 2};
  struct rmq_message *m = rmq_message_build(&parts);
  assert_non_null(m);
  rmq_buf_fini(&packed);
  m->is_prepared = true;
  m->seq = r->next_seq++;
  m->time = host.wall;
  return m;
}

static void what_the_giver_chose_survives_the_process(void **state) {
  struct rig r;
  struct rmq_envelope_view v;
  (void)state;
  set_up(&r);
  r.config.prepare = keep_as_it_is;
  open_spool(&r);
  assert_int_equal(r.store->put(r.store->ctx, 0, make_opaque(&r)),
                   RMQ_STORE_TOOK);
  turn(&r);
  close_spool(&r);
  forget(&r);
  open_spool(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_got(&r, 0, 1, 1);
  const struct rmq_message *m = message_of(rmq_list_first(&r.lanes[0].got));
  assert_int_equal(strlen(rmq_message_id(m)), 200);
  assert_string_equal(rmq_message_exchange(m, "block"), "events");
  assert_null(m->content_type);
  assert_memory_equal(m->body, "\0\1", 2);
  assert_int_equal(
      rmq_envelope_unpack(m->extras->envelope, m->extras->envelope_len, &v), 0);
  assert_string_equal(v.envelope.type, "order");
  assert_string_equal(v.envelope.correlation_id, "c-1");
  assert_string_equal(v.envelope.reply_to, "answers");
  assert_int_equal(v.envelope.expiration_ms, 60000);
  assert_int_equal(v.envelope.priority, 3);
  assert_int_equal(v.envelope.headers_count, 1);
  assert_string_equal(v.headers[0].name, "tenant");
  assert_string_equal(v.headers[0].string, "blue");
  tear_down(&r);
}

/* As version 0.1 made it before messages had an exchange of their own. */
static void make_format_1(struct rig *r) {
  static const char text[] =
      "DROP TABLE messages; CREATE TABLE messages (seq INTEGER PRIMARY KEY,"
      " key_hash INTEGER NOT NULL, value_count INTEGER NOT NULL, accepted_ms"
      " INTEGER NOT NULL, message_id TEXT NOT NULL, routing_key TEXT NOT NULL,"
      " content_type TEXT NOT NULL, content_encoding TEXT, body BLOB NOT NULL);"
      " INSERT INTO messages VALUES (7, 0, 3, 1000, 'id:7', 'k',"
      " 'text/collectd', NULL, x'6162'); PRAGMA user_version=1";
  struct rmq_error err = {""};
  struct rmq_spool_db *db = NULL;
  open_spool(r);
  close_spool(r);
  assert_int_equal(rmq_spool_db_open(r->path, false, r->config.max_bytes,
                                     r->config.sync, &db, &err),
                   RMQ_SPOOL_FINE);
  assert_int_equal(rmq_spool_db_execute(db, text, &err), RMQ_SPOOL_FINE);
  rmq_spool_db_close(db, true);
}

static void a_file_of_the_previous_format_is_taken_over(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  make_format_1(&r);
  open_spool(&r);
  assert_true(r.is_open);
  assert_int_equal(r.next_seq, 8);
  assert_int_equal(r.lanes[0].recovered.messages, 1);
  r.config.prepare = keep_as_it_is;
  assert_int_equal(r.store->put(r.store->ctx, 0, make_opaque(&r)),
                   RMQ_STORE_TOOK);
  turn(&r);
  close_spool(&r);
  forget(&r);
  open_spool(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_got(&r, 0, 7, 8);
  const struct rmq_message *m = message_of(rmq_list_first(&r.lanes[0].got));
  assert_string_equal(rmq_message_id(m), "id:7");
  assert_string_equal(m->body, "ab");
  assert_null(m->extras);
  tear_down(&r);
}

static void a_row_with_a_broken_envelope_is_lost_alone(void **state) {
  struct rig r;
  struct rmq_error err = {""};
  (void)state;
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 3; i++)
    put(&r, "k", 100);
  turn(&r);
  assert_int_equal(
      rmq_spool_db_execute(
          r.spool->db, "UPDATE messages SET envelope=x'71' WHERE seq=2", &err),
      RMQ_SPOOL_FINE);
  fetch(&r, 0, 10, 1 << 20);
  assert_int_equal(r.lanes[0].got.count, 2);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_DAMAGED].messages, 1);
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

static void what_stored_takes_is_not_fetched(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.lanes[0].keep = 4;
  open_spool(&r);
  for (int i = 0; i < 10; i++)
    put(&r, "k", 300);
  turn(&r);
  assert_got(&r, 0, 1, 4);
  r.lanes[0].through = 4;
  fetch(&r, 0, 1000, 1 << 30);
  assert_got(&r, 0, 1, 10);
  assert_int_equal(r.lanes[0].through, 10);
  tear_down(&r);
}

static void fetch_keeps_to_its_bounds_but_always_brings_one(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 10; i++)
    put(&r, "k", 1000);
  turn(&r);
  fetch(&r, 0, 3, 1 << 30);
  assert_got(&r, 0, 1, 3);
  fetch(&r, 0, 100, 2 * (1000 + 1 + RMQ_MESSAGE_OVERHEAD));
  assert_got(&r, 0, 1, 5);
  fetch(&r, 0, 100, 2 * (1000 + 1 + RMQ_MESSAGE_OVERHEAD) - 1);
  assert_got(&r, 0, 1, 6);
  fetch(&r, 0, 100, 1);
  assert_got(&r, 0, 1, 7);
  fetch(&r, 0, 100, 1 << 20);
  assert_got(&r, 0, 1, 10);
  fetch(&r, 0, 100, 1 << 20);
  assert_int_equal(r.lanes[0].fetches, 6);
  assert_int_equal(r.lanes[0].through, 10);
  tear_down(&r);
}

/* A key of each lane. */
static const char *key_of(unsigned lane, unsigned lanes) {
  static char keys[LANES_MAX][16];
  char *key = keys[lane];
  for (int i = 0;; i++) {
    snprintf(key, sizeof(keys[0]), "k%d", i);
    if (rmq_store_lane_of(rmq_store_key_hash(key), lanes) == lane)
      return key;
  }
}

static void lanes_get_their_own_rows_only(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.lanes = 3;
  open_spool(&r);
  for (unsigned i = 0; i < 30; i++)
    put(&r, key_of(i % 3, 3), 300);
  turn(&r);
  for (unsigned lane = 0; lane < 3; lane++) {
    fetch(&r, lane, 100, 1 << 20);
    assert_int_equal(r.lanes[lane].got.count, 10);
    uint64_t seq = lane + 1;
    for (struct rmq_node *n = rmq_list_first(&r.lanes[lane].got); n != NULL;
         n = rmq_list_next(&r.lanes[lane].got, n), seq += 3)
      assert_int_equal(message_of(n)->seq, seq);
  }
  close_spool(&r);
  forget(&r);
  r.config.lanes = 1; /* the number of lanes may change */
  open_spool(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 30);
  fetch(&r, 0, 100, 1 << 20);
  assert_got(&r, 0, 1, 30);
  tear_down(&r);
}

/* More than one request looks at, so that others get their turn. */
static void lane_with_one_row_behind_many_gets_it(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.lanes = 2;
  r.config.max_bytes = 64 << 20;
  open_spool(&r);
  const char *many = key_of(0, 2), *one = key_of(1, 2);
  for (int i = 0; i < GOT_MAX + 10; i++)
    put(&r, many, 1);
  put(&r, one, 1);
  while (r.lanes[0].stored + r.lanes[1].stored < GOT_MAX + 11)
    turn(&r);
  fetch(&r, 1, 1, 1 << 20);
  assert_int_equal(r.lanes[1].got.count, 0);
  assert_in_range(r.lanes[1].through, 1, GOT_MAX);
  fetch(&r, 1, 1, 1 << 20);
  assert_int_equal(r.lanes[1].got.count, 1);
  tear_down(&r);
}

static void cursor_never_passes_a_row_that_is_committed_later(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.lanes = 2;
  open_spool(&r);
  put(&r, key_of(0, 2), 100);
  struct rmq_message *slow = make(&r, key_of(0, 2), 100); /* seq 2 */
  put(&r, key_of(1, 2), 100);
  turn(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_int_equal(r.lanes[0].through, 1);
  fetch(&r, 1, 10, 1 << 20);
  assert_int_equal(r.lanes[1].through, 3);
  r.store->put(r.store->ctx, 0, slow);
  turn(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_got(&r, 0, 1, 2);
  tear_down(&r);
}

static void settling_a_range_spares_rows_of_other_lanes(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.lanes = 2;
  r.lanes[0].keep = 100;
  open_spool(&r);
  for (unsigned i = 0; i < 20; i++)
    put(&r, key_of(i % 2, 2), 300);
  turn(&r);
  for (uint64_t seq = 1; seq < 20; seq += 2)
    r.store->settle(r.store->ctx, seq);
  tick(&r);
  assert_int_equal(rows(&r), 10);
  fetch(&r, 1, 100, 1 << 20);
  assert_int_equal(r.lanes[1].got.count, 10);
  tear_down(&r);
}

static void what_waits_is_bounded(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.pending_bytes_max = 3000;
  open_spool(&r);
  put(&r, "k", 10000); /* one may always wait */
  struct rmq_message *m = make(&r, "k", 10);
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_BUSY);
  turn(&r);
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_TOOK);
  turn(&r);
  assert_int_equal(r.lanes[0].stored, 2);
  tear_down(&r);
}

static void at_the_end_all_that_ram_held_may_wait(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.pending_bytes_max = 3000;
  open_spool(&r);
  for (int i = 0; i < 100; i++)
    assert_int_equal(r.store->keep(r.store->ctx, 0, make(&r, "k", 1000)),
                     RMQ_STORE_TOOK);
  rmq_spool_stop(r.spool, rmq_mono_add(host.now, rmq_s(5)));
  while (!rmq_spool_turn(r.spool))
    continue;
  assert_int_equal(r.lanes[0].stored, 100);
  tear_down(&r);
}

/* ------------------------------------------------------------------------
 * Full */

static uint64_t bytes_on_disk(struct rig *r) {
  struct stat st;
  char wal[200];
  uint64_t bytes = stat(r->path, &st) == 0 ? (uint64_t)st.st_size : 0;
  snprintf(wal, sizeof(wal), "%s-wal", r->path);
  return bytes + (stat(wal, &st) == 0 ? (uint64_t)st.st_size : 0);
}

/* Returns the number of messages put. */
static unsigned fill(struct rig *r, size_t size, uint64_t total) {
  unsigned n = 0;
  for (uint64_t bytes = 0; bytes < total; bytes += size, n++) {
    put(r, "k", size);
    while (r->spool->pending.count + r->spool->batch.count > 0) {
      turn(r);
      assert_true(bytes_on_disk(r) <= r->config.max_bytes);
    }
  }
  return n;
}

static void full_drop_oldest_keeps_the_newest(void **state) {
  static const struct {
    size_t size;
    uint64_t max_bytes;
  } cases[] = {
      {100, 1 << 20}, {3000, 1 << 20}, {16000, 1 << 20}, {200000, 4 << 20}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(cases); i++) {
    struct rig r;
    size_t size = cases[i].size;
    SHOW_ROW("%zu", size);
    set_up(&r);
    r.config.max_bytes = cases[i].max_bytes;
    open_spool(&r);
    unsigned n = fill(&r, size, 2 * r.config.max_bytes);
    uint64_t dropped = r.lanes[0].lost[RMQ_STORE_FULL].messages;
    assert_true(dropped > 0);
    assert_int_equal(r.lanes[0].lost[RMQ_STORE_FULL].values, 3 * dropped);
    assert_int_equal(rows(&r), n - dropped);
    assert_true((n - dropped) * (size + 300) > r.config.max_bytes / 2);
    while (r.lanes[0].got.count < n - dropped)
      fetch(&r, 0, 1000, 1 << 20);
    assert_got(&r, 0, dropped + 1, n);
    tear_down(&r);
  }
}

static size_t lines_of(const char *event) {
  size_t n = 0;
  for (size_t i = 0; i < host.lines_count; i++)
    n += strcmp(host.lines[i].event, event) == 0;
  return n;
}

static void loss_for_want_of_room_is_said_but_not_each(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  fill(&r, 16000, 2 << 20);
  assert_int_equal(lines_of("spool_full"), 0);
  fill(&r, 16000, 6 << 20);
  assert_int_equal(lines_of("spool_full"), 1);
  fake_host_advance(&host, rmq_s(3600));
  fill(&r, 16000, 6 << 20);
  assert_int_equal(lines_of("spool_full"), 2);
  const char *text = host.lines[host.lines_count - 1].message;
  assert_non_null(strstr(text, r.path));
  assert_non_null(strstr(text, "SpoolMaxBytes"));
  tear_down(&r);
}

static void full_drop_newest_keeps_the_oldest(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.policy = RMQ_DROP_NEWEST;
  open_spool(&r);
  unsigned n = fill(&r, 16000, 10 << 20);
  uint64_t dropped = r.lanes[0].lost_pending.messages;
  assert_true(dropped > 0);
  assert_int_equal(r.lanes[0].lost_pending.values, 3 * dropped);
  assert_int_equal(r.lanes[0].stored, n - dropped);
  while (r.lanes[0].got.count < n - dropped)
    fetch(&r, 0, 1000, 1 << 20);
  assert_got(&r, 0, 1, n - dropped);
  for (uint64_t seq = 1; seq <= n - dropped; seq++)
    r.store->settle(r.store->ctx, seq);
  tick(&r);
  put(&r, "k", 16000); /* there is room again */
  turn(&r);
  assert_int_equal(r.lanes[0].lost_pending.messages, dropped);
  tear_down(&r);
}

/* Its row would be the next to go. */
static void what_is_older_than_all_rows_is_itself_the_oldest(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  struct rmq_message *old = make(&r, "k", 16000);
  fill(&r, 16000, 10 << 20);
  uint64_t dropped = r.lanes[0].lost[RMQ_STORE_FULL].messages;
  uint64_t had = rows(&r);
  assert_int_equal(r.store->keep(r.store->ctx, 0, old), RMQ_STORE_TOOK);
  turn(&r);
  assert_int_equal(r.lanes[0].lost_pending.messages, 1);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_FULL].messages, dropped);
  assert_int_equal(rows(&r), had);
  tear_down(&r);
}

static void handed_rows_are_never_dropped(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.lanes[0].keep = SIZE_MAX;
  open_spool(&r);
  unsigned n = fill(&r, 16000, 10 << 20);
  /* Everything stored was taken at once, so there is nothing to drop for the
   * later ones but themselves. */
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_FULL].messages, 0);
  assert_int_equal(r.lanes[0].got.count + r.lanes[0].lost_pending.messages, n);
  assert_int_equal(rows(&r), r.lanes[0].got.count);
  tear_down(&r);
}

static void message_larger_than_everything_is_lost_alone(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  put(&r, "k", 100);
  put(&r, "k", 4 << 20);
  put(&r, "k", 100);
  turn(&r);
  assert_int_equal(r.lanes[0].stored, 2);
  assert_int_equal(r.lanes[0].lost_pending.messages, 1);
  put(&r, "k", rmq_spool_body_max(r.config.max_bytes));
  turn(&r);
  assert_int_equal(r.lanes[0].stored, 3);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_FULL].messages, 0);
  tear_down(&r);
}

static void file_gives_its_room_back_when_it_has_run_empty(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.max_bytes = 16 << 20;
  r.lanes[0].keep = SIZE_MAX;
  open_spool(&r);
  unsigned n = fill(&r, 16000, 10 << 20);
  tick(&r);
  assert_true(bytes_on_disk(&r) > 10 << 20);
  for (uint64_t seq = 1; seq <= n; seq++)
    r.store->settle(r.store->ctx, seq);
  tick(&r);
  while (rows(&r) > 0)
    turn(&r);
  tick(&r);
  assert_true(bytes_on_disk(&r) < 5 << 20); /* the log stays */
  put(&r, "k", 100);
  turn(&r);
  assert_int_equal(rows(&r), 1);
  tear_down(&r);
}

/* ------------------------------------------------------------------------
 * Age */

static void rows_expire_by_age_unread_or_fetched(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.max_age = rmq_s(60);
  open_spool(&r);
  put(&r, "k", 100);
  turn(&r);
  fake_host_advance(&host, rmq_s(59));
  put(&r, "k", 100);
  turn(&r);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 0);
  tick(&r);
  tick(&r);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 1);
  assert_int_equal(rows(&r), 1);
  close_spool(&r);
  fake_host_advance(&host, rmq_s(100));
  forget(&r);
  open_spool(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 1);
  fetch(&r, 0, 10, 1 << 20);
  assert_int_equal(r.lanes[0].got.count, 0);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 1);
  assert_int_equal(r.lanes[0].through, 2);
  tick(&r);
  assert_int_equal(rows(&r), 0);
  tear_down(&r);
}

static void clock_that_jumps_expires_nothing_early_or_never(void **state) {
  static const int64_t jumps_s[] = {-86400, -10, 10, 86400};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(jumps_s); i++) {
    struct rig r;
    SHOW_ROW("%" PRId64 " s", jumps_s[i]);
    set_up(&r);
    host.wall = rmq_wall_from_ms(INT64_C(1700000000000));
    r.config.max_age = rmq_s(60);
    open_spool(&r);
    put(&r, "k", 100); /* before the jump */
    turn(&r);
    host.wall.ns += jumps_s[i] * RMQ_NS_PER_S;
    tick(&r);
    put(&r, "k", 100); /* after it */
    turn(&r);
    fake_host_advance(&host, rmq_s(57));
    tick(&r);
    assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 0);
    fake_host_advance(&host, rmq_s(5));
    tick(&r);
    assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 2);
    tear_down(&r);
  }
}

static void row_of_an_earlier_process_keeps_its_age(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  host.wall = rmq_wall_from_ms(INT64_C(1700000000000));
  open_spool(&r);
  put(&r, "k", 100);
  close_spool(&r);
  forget(&r);
  fake_host_advance(&host, rmq_s(50));
  open_spool(&r);
  host.wall.ns += 86400 * RMQ_NS_PER_S; /* the clock is set */
  fetch(&r, 0, 10, 1 << 20);
  const struct rmq_message *m = message_of(rmq_list_first(&r.lanes[0].got));
  assert_int_equal(host.now.ns - m->born.ns, 50 * RMQ_NS_PER_S);
  tear_down(&r);
}

static void rows_from_the_future_expire_in_their_time(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.max_age = rmq_s(60);
  host.wall = rmq_wall_from_ms(INT64_C(4000000000000));
  open_spool(&r);
  put(&r, "k", 100);
  close_spool(&r);
  forget(&r);
  host.wall = rmq_wall_from_ms(INT64_C(1700000000000));
  open_spool(&r);
  fake_host_advance(&host, rmq_s(58));
  tick(&r);
  assert_int_equal(rows(&r), 1);
  fake_host_advance(&host, rmq_s(5));
  tick(&r);
  assert_int_equal(rows(&r), 0);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 1);
  tear_down(&r);
}

/* ------------------------------------------------------------------------
 * Files that are not as they should be */

/* How many files there are whose names have part; ret_one is one of them. */
static size_t files_like(const char *dir, const char *part, char ret_one[512]) {
  DIR *d = opendir(dir);
  struct dirent *e;
  size_t count = 0;
  assert_non_null(d);
  while ((e = readdir(d)) != NULL)
    if (strstr(e->d_name, part) != NULL) {
      snprintf(ret_one, 512, "%s/%s", dir, e->d_name);
      count++;
    }
  closedir(d);
  return count;
}

static bool has_file_like(const char *dir, const char *part) {
  char one[512];
  return files_like(dir, part, one) > 0;
}

static void write_at(const char *path, off_t at, const void *bytes,
                     size_t size) {
  int fd = open(path, O_WRONLY | O_CREAT, 0600);
  assert_true(fd >= 0);
  assert_int_equal(pwrite(fd, bytes, size, at), size);
  close(fd);
}

static bool logged(const char *event, enum rmq_level level, const char *part) {
  for (size_t i = 0; i < host.lines_count; i++)
    if (strcmp(host.lines[i].event, event) == 0 &&
        host.lines[i].level == level &&
        strstr(host.lines[i].message, part) != NULL)
      return true;
  return false;
}

static void make_file(struct rig *r) {
  open_spool(r);
  for (int i = 0; i < 3; i++)
    put(r, "k", 300);
  close_spool(r);
  forget(r);
}

static void file_is_for_us_only(void **state) {
  struct rig r;
  struct stat st;
  (void)state;
  set_up(&r);
  make_file(&r);
  assert_int_equal(stat(r.dir, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  assert_int_equal(stat(r.path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(chmod(r.path, 0644), 0);
  open_spool(&r);
  put(&r, "k", 10);
  turn(&r);
  assert_int_equal(stat(r.path, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  char wal[200];
  snprintf(wal, sizeof(wal), "%s-wal", r.path);
  assert_int_equal(stat(wal, &st), 0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_false(has_file_like(r.dir, "-shm"));
  tear_down(&r);
}

static void file_of_no_use_is_set_aside(void **state) {
  static const struct {
    const char *name;
    off_t at;
    const char *bytes;
    size_t size;
    const char *want_name;
  } rows_of[] = {
      {"no database", 0, "this is something else", 22, ".corrupt-"},
      {"tree of the first page", 100, "\xff\xff\xff\xff\xff\xff\xff\xff", 8,
       ".corrupt-"},
      {"tree of the table", 4096, "\xff\xff\xff\xff\xff\xff\xff\xff", 8,
       ".corrupt-"},
      {"newer", 60, "\0\0\0\3", 4, ".newer-"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows_of); i++) {
    struct rig r;
    SHOW_ROW("%s", rows_of[i].name);
    set_up(&r);
    make_file(&r);
    write_at(r.path, rows_of[i].at, rows_of[i].bytes, rows_of[i].size);
    open_spool(&r);
    assert_true(r.is_open);
    assert_true(logged("spool_set_aside", RMQ_LOG_ERROR, r.path));
    assert_true(has_file_like(r.dir, rows_of[i].want_name));
    assert_int_equal(r.lanes[0].recovered.messages, 0);
    put(&r, "k", 10);
    turn(&r);
    assert_int_equal(rows(&r), 1);
    tear_down(&r);
  }
}

static void truncated_file_is_set_aside(void **state) {
  static const off_t sizes[] = {1, 99, 4096, 5000};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); i++) {
    struct rig r;
    SHOW_ROW("%ld", (long)sizes[i]);
    set_up(&r);
    make_file(&r);
    assert_int_equal(truncate(r.path, sizes[i]), 0);
    open_spool(&r);
    assert_true(r.is_open);
    assert_true(has_file_like(r.dir, ".corrupt-"));
    put(&r, "k", 10);
    turn(&r);
    assert_int_equal(rows(&r), 1);
    tear_down(&r);
  }
}

/* What must not be touched, and what is said of it. */
static void refused(struct rig *r, const char *want_text) {
  host.lines_count = 0;
  open_spool(r);
  assert_false(r->is_open);
  assert_true(r->next_seq > UINT64_C(900000000));
  struct rmq_message *m = make(r, "k", 10);
  assert_int_equal(r->store->put(r->store->ctx, 0, m), RMQ_STORE_UNUSABLE);
  rmq_message_free(m);
  if (!logged("spool_unusable", RMQ_LOG_ERROR, want_text))
    fail_msg("logged was: %s", host.lines[0].message);
  assert_int_equal(host.lines_count, 1);
}

static void touch(const char *path) { write_at(path, 0, "", 0); }

static void files_set_aside_are_bounded_and_none_is_deleted(void **state) {
  struct rig r;
  char path[200], one[512];
  (void)state;
  set_up(&r);
  make_file(&r);
  for (int i = 0; i < RMQ_SPOOL_ASIDE_MAX; i++) {
    write_at(r.path, 0, "this is something else", 22);
    open_spool(&r);
    assert_true(r.is_open);
    put(&r, "k", 10);
    close_spool(&r);
    forget(&r);
  }
  assert_int_equal(files_like(r.dir, "b.spool.corrupt-2", one), 10);
  /* Neither the log of one, nor another block's, counts. */
  snprintf(path, sizeof(path), "%s.corrupt-x-wal", r.path);
  touch(path);
  snprintf(path, sizeof(path), "%s/c.spool.corrupt-x", r.dir);
  touch(path);

  write_at(r.path, 0, "this is something else", 22);
  refused(&r, "10 that were set aside");
  assert_int_equal(files_like(r.dir, "b.spool.corrupt-2", one), 10);

  /* One that is moved away makes room. */
  assert_int_equal(unlink(one), 0);
  fake_host_advance(&host, rmq_s(30));
  turn(&r);
  assert_true(logged("spool_usable", RMQ_LOG_NOTICE, r.path));
  assert_int_equal(files_like(r.dir, "b.spool.corrupt-2", one), 10);
  put(&r, "k", 10);
  turn(&r);
  assert_int_equal(rows(&r), 1);
  tear_down(&r);
}

static void database_of_another_program_is_left_alone(void **state) {
  struct rig r;
  struct stat before, after;
  (void)state;
  set_up(&r);
  make_file(&r);
  write_at(r.path, 68, "\0\0\0\0", 4);
  assert_int_equal(stat(r.path, &before), 0);
  refused(&r, "another program");
  assert_int_equal(stat(r.path, &after), 0);
  assert_int_equal(before.st_ino, after.st_ino);
  assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
  tear_down(&r);
}

static void link_is_not_followed(void **state) {
  struct rig r;
  struct stat st;
  char target[200];
  (void)state;
  set_up(&r);
  assert_int_equal(mkdir(r.dir, 0700), 0);
  snprintf(target, sizeof(target), "%s/target", r.root);
  assert_int_equal(symlink(target, r.path), 0);
  refused(&r, "symbolic link");
  assert_int_not_equal(stat(target, &st), 0);
  close_spool(&r);
  assert_int_equal(unlink(r.path), 0);
  write_at(target, 0, "", 0);
  assert_int_equal(link(target, r.path), 0);
  refused(&r, "second name");
  tear_down(&r);
}

static void fifo_does_not_hang_the_daemon(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  assert_int_equal(mkdir(r.dir, 0700), 0);
  assert_int_equal(mkfifo(r.path, 0600), 0);
  refused(&r, "not a file");
  tear_down(&r);
}

static void directory_must_be_ours_alone(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  assert_int_equal(mkdir(r.dir, 0700), 0);
  assert_int_equal(chmod(r.dir, 0777), 0);
  refused(&r, "chmod 0700");
  tear_down(&r);
}

static void missing_parent_is_said(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  snprintf(r.dir, sizeof(r.dir), "%s/no/spool", r.root);
  refused(&r, "directory above");
  tear_down(&r);
}

/* Both need to be two users, so they do nothing where the build is not root. */
static void file_of_another_user_is_left_alone(void **state) {
  struct rig r;
  (void)state;
  if (geteuid() != 0)
    return;
  set_up(&r);
  make_file(&r);
  assert_int_equal(chown(r.path, 1, 1), 0);
  refused(&r, "belongs to user id 1");
  close_spool(&r);
  assert_int_equal(chown(r.path, 0, 0), 0);
  assert_int_equal(chown(r.dir, 1, 1), 0);
  refused(&r, "belongs to user id 1");
  tear_down(&r);
}

static void directory_that_may_not_be_written_is_said(void **state) {
  struct rig r;
  bool is_root = geteuid() == 0;
  (void)state;
  set_up(&r);
  if (is_root) {
    assert_int_equal(chown(r.root, 65534, 65534), 0);
    assert_int_equal(seteuid(65534), 0);
  }
  assert_int_equal(mkdir(r.dir, 0500), 0);
  refused(&r, "must be allowed to write");
  assert_int_equal(chmod(r.dir, 0700), 0);
  close_spool(&r);
  if (is_root)
    assert_int_equal(seteuid(0), 0);
  tear_down(&r);
}

static void file_that_opens_later_brings_its_rows(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  make_file(&r);
  assert_int_equal(chmod(r.dir, 0777), 0);
  refused(&r, "chmod 0700");
  uint64_t first = r.next_seq;
  assert_int_equal(chmod(r.dir, 0700), 0);
  tick(&r); /* not yet */
  assert_int_equal(r.lanes[0].recovered.messages, 0);
  fake_host_advance(&host, rmq_s(30));
  turn(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 3);
  assert_true(logged("spool_usable", RMQ_LOG_NOTICE, r.path));
  put(&r, "k", 10);
  turn(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_int_equal(r.lanes[0].got.count, 4);
  assert_int_equal(message_of(rmq_list_last(&r.lanes[0].got))->seq, first);
  close_spool(&r);
  forget(&r);
  open_spool(&r);
  assert_int_equal(r.next_seq, first + 1);
  tear_down(&r);
}

static void locked_file_is_said_and_waited_for(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  make_file(&r);
  int ready[2], end[2];
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(end), 0);
  pid_t child = fork();
  if (child == 0) { /* another daemon */
    char c = 'x';
    close(end[1]);
    open_spool(&r);
    bool ok =
        r.is_open && write(ready[1], &c, 1) == 1 && read(end[0], &c, 1) == 0;
    rmq_spool_free(r.spool);
    _exit(ok ? 0 : 1);
  }
  char c;
  int status = 0;
  close(end[0]);
  assert_int_equal(read(ready[0], &c, 1), 1);
  refused(&r, "another process has it open");
  close(end[1]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  fake_host_advance(&host, rmq_s(30));
  turn(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 3);
  close(ready[0]);
  close(ready[1]);
  tear_down(&r);
}

static void copy_file(const char *from, const char *to) {
  char bytes[65536];
  ssize_t n;
  int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, 0600);
  while (in >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0)
    assert_int_equal(write(out, bytes, (size_t)n), n);
  close(in);
  close(out);
}

/* What lies on the disk at this moment is what the next process finds. */
static void kill_spool(struct rig *r) {
  char dir[sizeof(r->dir)], from[200], to[200];
  snprintf(dir, sizeof(dir), "%s/image", r->root);
  assert_int_equal(mkdir(dir, 0700), 0);
  for (int i = 0; i < 2; i++) {
    snprintf(from, sizeof(from), "%s%s", r->path, i == 0 ? "" : "-wal");
    snprintf(to, sizeof(to), "%s/b.spool%s", dir, i == 0 ? "" : "-wal");
    copy_file(from, to);
  }
  rmq_spool_free(r->spool);
  forget(r);
  memcpy(r->dir, dir, sizeof(r->dir));
}

static void kill_and_open(struct rig *r) {
  kill_spool(r);
  open_spool(r);
}

/* ------------------------------------------------------------------------
 * Trouble while running */

static void damaged_row_is_lost_alone(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 5; i++)
    put(&r, "k", 16000);
  close_spool(&r);
  forget(&r);
  /* The first overflow page of a row; what it points to does not exist. */
  struct stat st;
  assert_int_equal(stat(r.path, &st), 0);
  write_at(r.path, 2 * 4096, "\x7f\xff\xff\xff", 4);
  open_spool(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 5);
  fetch(&r, 0, 100, 1 << 20);
  assert_int_equal(r.lanes[0].got.count, 4);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_DAMAGED].messages, 1);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_DAMAGED].values, 3);
  assert_true(logged("spool_damaged", RMQ_LOG_ERROR, r.path));
  tear_down(&r);
}

static void number_that_leaves_no_room_to_count_on_is_damage(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  put(&r, "k", 10);
  r.next_seq = INT64_MAX;
  put(&r, "k", 10);
  close_spool(&r);
  forget(&r);
  open_spool(&r);
  assert_int_equal(r.next_seq, 1);
  assert_true(logged("spool_set_aside", RMQ_LOG_ERROR, "not in order"));
  put(&r, "k", 10);
  turn(&r);
  fetch(&r, 0, 10, 1000);
  assert_got(&r, 0, 1, 1);
  tear_down(&r);
}

/* As a damaged tree may do while rows are deleted from it. */
static void rows_that_were_not_counted_are_damage(void **state) {
  (void)state;
  for (int is_read = 0; is_read <= 1; is_read++) {
    struct rig r;
    SHOW_ROW("%d", is_read);
    set_up(&r);
    r.config.max_age = rmq_s(60);
    open_spool(&r);
    for (int i = 0; i < 5; i++)
      put(&r, "k", 10);
    turn(&r);
    r.spool->lanes[0].unread = (struct rmq_store_tally){2, 6};
    if (is_read) {
      fetch(&r, 0, 10, 1 << 20);
      assert_got(&r, 0, 1, 2);
    } else {
      fake_host_advance(&host, rmq_s(100));
      turn(&r);
      const struct rmq_store_tally *lost = r.lanes[0].lost;
      assert_int_equal(lost[RMQ_STORE_EXPIRED].messages +
                           lost[RMQ_STORE_DAMAGED].messages,
                       2);
    }
    assert_true(logged("spool_set_aside", RMQ_LOG_ERROR, "than were counted"));
    assert_int_equal(r.spool->lanes[0].unread.messages, 0);
    tear_down(&r);
  }
}

static void row_from_before_1970_is_old(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  struct rmq_message *m = make(&r, "k", 10);
  m->time.ns = INT64_MIN;
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_TOOK);
  close_spool(&r);
  forget(&r);
  r.config.max_age = rmq_s(60);
  open_spool(&r);
  fetch(&r, 0, 10, 1000);
  assert_int_equal(r.lanes[0].lost[RMQ_STORE_EXPIRED].messages, 1);
  tear_down(&r);
}

static void file_that_turns_corrupt_is_set_aside_with_an_account(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  r.config.max_bytes = 32 << 20;
  r.config.lanes = 2;
  r.lanes[0].keep = 10;
  open_spool(&r);
  const char *key = key_of(0, 2);
  for (int i = 0; i < 1500; i++) { /* more than the cache holds */
    put(&r, key, 3000);
    if (i == 9) {
      turn(&r);
      r.lanes[0].keep = 0;
    }
  }
  put(&r, key_of(1, 2), 3000);
  while (r.spool->pending.count + r.spool->batch.count > 0)
    turn(&r);
  struct rmq_error err = {""};
  assert_int_equal(rmq_spool_db_checkpoint(r.spool->db, &err), RMQ_SPOOL_FINE);
  uint64_t handed = r.lanes[0].got.count;
  char ff[4096];
  memset(ff, 0xff, sizeof(ff));
  for (off_t page = 1; page < 700; page++)
    write_at(r.path, page * 4096, ff, sizeof(ff));
  r.lanes[0].through = handed;
  fetch(&r, 0, 5000, 32 << 20);
  assert_int_equal(
      r.lanes[0].got.count + r.lanes[0].lost[RMQ_STORE_DAMAGED].messages, 1500);
  assert_int_equal(r.lanes[1].lost[RMQ_STORE_DAMAGED].messages, 1);
  assert_true(logged("spool_set_aside", RMQ_LOG_ERROR, r.path));
  assert_true(has_file_like(r.dir, ".corrupt-"));
  assert_int_equal(rows(&r), 0);
  put(&r, key, 100);
  turn(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_int_equal(message_of(rmq_list_last(&r.lanes[0].got))->seq,
                   r.next_seq - 1);
  tear_down(&r);
}

static void limit_files(rlim_t bytes) {
  struct rlimit l;
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
  l.rlim_cur = bytes;
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void full_disk_gives_messages_back_and_is_forgotten(void **state) {
  struct rig r;
  struct rlimit before;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  set_up(&r);
  open_spool(&r);
  put(&r, "k", 1000);
  turn(&r);
  limit_files(64 << 10);
  for (int i = 0; i < 10; i++)
    put(&r, "k", 10000);
  turn(&r);
  limit_files(before.rlim_cur);
  assert_int_equal(r.lanes[0].stored, 1);
  assert_int_equal(r.lanes[0].given_back.count, 10);
  uint64_t seq = 2;
  for (struct rmq_node *n = rmq_list_first(&r.lanes[0].given_back); n != NULL;
       n = rmq_list_next(&r.lanes[0].given_back, n))
    assert_int_equal(message_of(n)->seq, seq++);
  assert_true(logged("spool_unusable", RMQ_LOG_ERROR, r.path));
  struct rmq_message *m = make(&r, "k", 10);
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_UNUSABLE);
  fetch(&r, 0, 10, 1 << 20); /* reading goes on */
  assert_got(&r, 0, 1, 1);
  fake_host_advance(&host, rmq_s(30));
  turn(&r);
  assert_true(logged("spool_usable", RMQ_LOG_NOTICE, r.path));
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_TOOK);
  turn(&r);
  assert_int_equal(r.lanes[0].stored, 2);
  tear_down(&r);
}

/* The log cannot be moved into the database, but read. */
static void rows_are_delivered_after_a_kill_on_a_full_disk(void **state) {
  struct rig r;
  struct rlimit before;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 20; i++)
    put(&r, "k", 10000);
  turn(&r);
  kill_spool(&r);
  limit_files(8 << 10);
  open_spool(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 20);
  fetch(&r, 0, 1000, 1 << 20);
  assert_got(&r, 0, 1, 20);
  assert_int_equal(fake_host_count(&host, "spool_unusable"), 1);
  assert_int_equal(fake_host_count(&host, "spool_usable"), 0);
  struct rmq_message *m = make(&r, "k", 10);
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_UNUSABLE);
  for (uint64_t seq = 1; seq <= 20; seq++)
    r.store->settle(r.store->ctx, seq);
  turn(&r);
  assert_int_equal(rows(&r), 20); /* nothing can be deleted */
  limit_files(before.rlim_cur);
  fake_host_advance(&host, rmq_s(30));
  turn(&r);
  turn(&r);
  assert_int_equal(rows(&r), 0);
  assert_int_equal(fake_host_count(&host, "spool_usable"), 1);
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_TOOK);
  turn(&r);
  assert_int_equal(r.lanes[0].stored, 1);
  tear_down(&r);
}

static void repeated_failures_do_not_flood_the_log(void **state) {
  struct rig r;
  struct rlimit before;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  set_up(&r);
  open_spool(&r);
  put(&r, "k", 100);
  limit_files(4 << 10);
  for (int i = 0; i < 100; i++) {
    turn(&r);
    fake_host_advance(&host, rmq_s(30));
  }
  limit_files(before.rlim_cur);
  assert_true(fake_host_count(&host, "spool_unusable") < 10);
  fake_host_advance(&host, rmq_s(30));
  turn(&r);
  assert_int_equal(fake_host_count(&host, "spool_usable"), 1);
  tear_down(&r);
}

static void remove_suffix(const struct rig *r, const char *suffix) {
  char path[200];
  snprintf(path, sizeof(path), "%s%s", r->path, suffix);
  assert_int_equal(unlink(path), 0);
}

/* Everything, the file alone, its log alone. */
static void what_vanished_is_made_anew_with_all_rows(void **state) {
  (void)state;
  for (int i = 0; i < 3; i++) {
    struct rig r;
    SHOW_ROW("%d", i);
    set_up(&r);
    open_spool(&r);
    for (int j = 0; j < 100; j++)
      put(&r, "k", 5000);
    turn(&r);
    if (i == 0)
      remove_tree(r.dir);
    else
      remove_suffix(&r, i == 1 ? "" : "-wal");
    tick(&r);
    assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "made anew with all"));
    put(&r, "k", 5000);
    turn(&r);
    tick(&r);
    assert_int_equal(fake_host_count(&host, "spool_vanished"), 1);
    kill_and_open(&r);
    assert_int_equal(r.lanes[0].recovered.messages, 101);
    fetch(&r, 0, 1000, 1 << 20);
    assert_got(&r, 0, 1, 101);
    tear_down(&r);
  }
}

static void vanished_file_that_cannot_be_made_anew_goes_on(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  put(&r, "k", 100);
  turn(&r);
  remove_tree(r.dir);
  write_at(r.dir, 0, "in the way", 10);
  for (int i = 0; i < 100; i++)
    tick(&r);
  assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "cannot be made anew"));
  assert_true(fake_host_count(&host, "spool_vanished") < 5);
  put(&r, "k", 100);
  turn(&r);
  fetch(&r, 0, 10, 1 << 20);
  assert_got(&r, 0, 1, 2);
  assert_int_equal(unlink(r.dir), 0);
  tick(&r);
  assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "made anew with all"));
  tear_down(&r);
}

static struct rmq_store_stats stats_of(const struct rig *r) {
  struct rmq_store_stats st;
  r->store->stats(r->store->ctx, &st);
  return st;
}

/* What is put then is lost with this process: nobody may be told that it is
 * safe. */
static void vanished_file_is_of_no_use_until_it_is_back(void **state) {
  struct rig r;
  char away[200];
  (void)state;
  set_up(&r);
  open_spool(&r);
  put(&r, "k", 100);
  turn(&r);
  assert_true(stats_of(&r).is_usable);
  snprintf(away, sizeof(away), "%s.away", r.dir);
  assert_int_equal(rename(r.dir, away), 0);
  write_at(r.dir, 0, "in the way", 10);
  tick(&r);
  assert_false(stats_of(&r).is_usable);
  assert_int_equal(unlink(r.dir), 0);
  assert_int_equal(rename(away, r.dir), 0);
  tick(&r);
  assert_true(stats_of(&r).is_usable);
  assert_true(logged("spool_usable", RMQ_LOG_NOTICE, "back in its place"));
  tick(&r);
  assert_int_equal(fake_host_count(&host, "spool_usable"), 1);
  kill_and_open(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 1);
  tear_down(&r);
}

/* The file lies in its place; what is put goes to a log without a name. */
static void vanished_log_is_of_no_use_until_it_is_back(void **state) {
  struct rig r;
  struct rlimit before;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 100; i++)
    put(&r, "k", 5000);
  while (r.spool->pending.count + r.spool->batch.count > 0)
    turn(&r);
  uint64_t failures = stats_of(&r).failures;
  remove_suffix(&r, "-wal");
  limit_files(100 << 10); /* the log cannot be moved into the file */
  int usable = 0;
  for (int i = 0; i < 3; i++) {
    tick(&r);
    usable += stats_of(&r).is_usable ? 1 : 0;
  }
  limit_files(before.rlim_cur);
  assert_int_equal(usable, 0);
  assert_int_equal(stats_of(&r).failures, failures + 1);
  assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "cannot be made anew"));
  tick(&r);
  assert_true(stats_of(&r).is_usable);
  assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "made anew with all"));
  kill_and_open(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 100);
  tear_down(&r);
}

static void copy_that_failed_is_not_in_the_way_of_the_next(void **state) {
  struct rig r;
  struct rlimit before;
  (void)state;
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 100; i++)
    put(&r, "k", 5000);
  while (r.spool->pending.count + r.spool->batch.count > 0)
    turn(&r);
  remove_tree(r.dir);
  limit_files(100 << 10);
  tick(&r);
  limit_files(before.rlim_cur);
  assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "cannot be made anew"));
  tick(&r);
  assert_true(logged("spool_vanished", RMQ_LOG_ERROR, "made anew with all"));
  kill_and_open(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 100);
  tear_down(&r);
}

/* ------------------------------------------------------------------------
 * Lifecycle */

static void what_is_not_written_by_the_deadline_has_failed(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  assert_int_equal(chmod(r.dir, 0700), 0);
  for (int i = 0; i < 1000; i++)
    put(&r, "k", 16000);
  rmq_spool_stop(r.spool, host.now);
  while (!rmq_spool_turn(r.spool))
    continue;
  rmq_spool_end(r.spool);
  assert_true(r.lanes[0].given_back.count > 0);
  assert_int_equal(r.lanes[0].stored + r.lanes[0].given_back.count, 1000);
  struct rmq_message *m = make(&r, "k", 1);
  assert_int_equal(r.store->put(r.store->ctx, 0, m), RMQ_STORE_UNUSABLE);
  rmq_message_free(m);
  rmq_spool_free(r.spool);
  r.spool = NULL;
  tear_down(&r);
}

static void committed_rows_survive_a_kill(void **state) {
  struct rig r;
  (void)state;
  set_up(&r);
  open_spool(&r);
  for (int i = 0; i < 200; i++) {
    put(&r, "k", 3000);
    if (i % 10 == 9)
      turn(&r);
  }
  kill_and_open(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 200);
  fetch(&r, 0, 1000, 1 << 20);
  assert_got(&r, 0, 1, 200);
  tear_down(&r);
}

static struct {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  uint64_t stored;
} seen = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0};

static void stored_in_thread(void *ctx, struct rmq_list *messages) {
  (void)ctx;
  pthread_mutex_lock(&seen.lock);
  seen.stored += messages->count;
  pthread_cond_signal(&seen.changed);
  pthread_mutex_unlock(&seen.lock);
}

static void thread_writes_what_many_threads_put(void **state) {
  struct rig r;
  struct rmq_error err = {""};
  struct rmq_host real = {.service = "collectd", .log = NULL};
  (void)state;
  set_up(&r);
  real = host.host;
  real.mono = rmq_host_mono;
  r.config.host = &real;
  open_spool(&r);
  struct rmq_store_handlers h = {&r.lanes[0], stored_in_thread, fetched, failed,
                                 lost,        recovered};
  rmq_spool_attach(r.spool, 0, &h);
  assert_int_equal(rmq_spool_start(r.spool, &err), 0);
  for (int i = 0; i < 1000; i++)
    put(&r, "k", 300);
  pthread_mutex_lock(&seen.lock);
  while (seen.stored < 1000)
    pthread_cond_wait(&seen.changed, &seen.lock);
  pthread_mutex_unlock(&seen.lock);
  for (int i = 0; i < 500; i++)
    put(&r, "k", 300);
  struct rmq_mono deadline = rmq_mono_add(rmq_host_mono(NULL), rmq_s(60));
  rmq_spool_stop(r.spool, deadline);
  assert_true(rmq_spool_join(r.spool, deadline));
  assert_int_equal(seen.stored, 1500);
  rmq_spool_free(r.spool);
  r.spool = NULL;
  r.config.host = &host.host;
  open_spool(&r);
  assert_int_equal(r.lanes[0].recovered.messages, 1500);
  tear_down(&r);
}

static int told_fd; /* the child's pipe: a seq per committed message */

static void tell_parent(void *ctx, struct rmq_list *messages) {
  (void)ctx;
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    uint64_t seq = message_of(n)->seq;
    if (write(told_fd, &seq, sizeof(seq)) != sizeof(seq))
      _exit(1);
  }
  pthread_mutex_lock(&seen.lock);
  seen.stored += messages->count;
  pthread_cond_signal(&seen.changed);
  pthread_mutex_unlock(&seen.lock);
}

/* Until it is killed. */
static void put_for_ever(struct rig *r) {
  struct rmq_error err = {""};
  struct rmq_host real = host.host;
  struct rmq_store_handlers h = {&r->lanes[0], tell_parent, fetched,
                                 failed,       lost,        recovered};
  real.mono = rmq_host_mono;
  r->config.host = &real;
  r->config.pending_bytes_max = 1 << 20;
  open_spool(r);
  rmq_spool_attach(r->spool, 0, &h);
  if (rmq_spool_start(r->spool, &err) != 0)
    _exit(1);
  for (;;) {
    struct rmq_message *m = make(r, "k", 100 + r->next_seq % 5000);
    pthread_mutex_lock(&seen.lock);
    uint64_t stored_before = seen.stored;
    pthread_mutex_unlock(&seen.lock);
    while (r->store->put(r->store->ctx, 0, m) != RMQ_STORE_TOOK) {
      pthread_mutex_lock(&seen.lock);
      while (seen.stored == stored_before)
        pthread_cond_wait(&seen.changed, &seen.lock);
      stored_before = seen.stored;
      pthread_mutex_unlock(&seen.lock);
    }
  }
}

static void what_was_told_as_stored_survives_sigkill(void **state) {
  (void)state;
  for (int i = 0; i < 6; i++) {
    struct rig r;
    int told[2];
    set_up(&r);
    r.config.max_bytes = 64 << 20;
    r.config.sync = (enum rmq_spool_sync)(i % 3);
    seen.stored = 0;
    assert_int_equal(pipe(told), 0);
    pid_t child = fork();
    if (child == 0) {
      close(told[0]);
      told_fd = told[1];
      put_for_ever(&r);
    }
    close(told[1]);
    uint64_t seq = 0, last = 0;
    uint64_t enough = 50 + (uint64_t)i * 977;
    while (last < enough &&
           read(told[0], &seq, sizeof(seq)) == (ssize_t)sizeof(seq))
      last = seq;
    assert_int_equal(kill(child, SIGKILL), 0);
    while (read(told[0], &seq, sizeof(seq)) == (ssize_t)sizeof(seq))
      last = seq;
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(told[0]);
    open_spool(&r);
    SHOW_ROW("told %" PRIu64 ", found %" PRIu64, last,
             r.lanes[0].recovered.messages);
    assert_true(last >= enough && r.next_seq > last);
    assert_int_equal(r.lanes[0].recovered.messages, r.next_seq - 1);
    uint64_t count = r.next_seq - 1;
    while (r.lanes[0].got.count < count)
      fetch(&r, 0, 10000, 64 << 20);
    assert_got(&r, 0, 1, count);
    tear_down(&r);
  }
}

static void *never_ends(void *arg) { return arg; }

/* A thread that does not come to its end, as one in a hung disk. */
static int start_hung(pthread_t *ret_thread, bool is_detached, const char *name,
                      void *(*run)(void *), void *arg, struct rmq_error *err) {
  (void)run;
  return rmq_thread_start(ret_thread, is_detached, name, never_ends, arg, err);
}

static void hung_disk_does_not_hold_the_daemon(void **state) {
  struct rig r;
  struct rmq_error err = {""};
  (void)state;
  set_up(&r);
  r.config.start_thread = start_hung;
  open_spool(&r);
  assert_int_equal(rmq_spool_start(r.spool, &err), 0);
  rmq_spool_stop(r.spool, rmq_host_mono(NULL));
  assert_false(rmq_spool_join(r.spool, rmq_host_mono(NULL)));
  rmq_spool_free(r.spool); /* only here: the thread has ended after all */
  r.spool = NULL;
  tear_down(&r);
}

static void stats_tell_bytes_rows_and_age(void **state) {
  struct rig r;
  struct rmq_store_stats st;
  (void)state;
  set_up(&r);
  open_spool(&r);
  r.store->stats(r.store->ctx, &st);
  assert_int_equal(st.rows, 0);
  assert_true(st.oldest_age.ns < 0);
  assert_true(st.is_usable);
  put(&r, "k", 100);
  turn(&r);
  fake_host_advance(&host, rmq_s(7));
  put(&r, "k", 100);
  turn(&r);
  r.store->stats(r.store->ctx, &st);
  assert_int_equal(st.rows, 2);
  assert_int_equal(st.bytes, bytes_on_disk(&r));
  assert_int_equal(st.oldest_age.ns, rmq_s(7).ns);
  assert_int_equal(st.failures, 0);
  tear_down(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_put_is_fetched_as_it_was),
      cmocka_unit_test(what_the_giver_chose_survives_the_process),
      cmocka_unit_test(a_file_of_the_previous_format_is_taken_over),
      cmocka_unit_test(a_row_with_a_broken_envelope_is_lost_alone),
      cmocka_unit_test(rows_survive_the_process_and_go_on_counting),
      cmocka_unit_test(settled_rows_are_gone),
      cmocka_unit_test(what_stored_takes_is_not_fetched),
      cmocka_unit_test(fetch_keeps_to_its_bounds_but_always_brings_one),
      cmocka_unit_test(lanes_get_their_own_rows_only),
      cmocka_unit_test(lane_with_one_row_behind_many_gets_it),
      cmocka_unit_test(cursor_never_passes_a_row_that_is_committed_later),
      cmocka_unit_test(settling_a_range_spares_rows_of_other_lanes),
      cmocka_unit_test(what_waits_is_bounded),
      cmocka_unit_test(at_the_end_all_that_ram_held_may_wait),
      cmocka_unit_test(full_drop_oldest_keeps_the_newest),
      cmocka_unit_test(loss_for_want_of_room_is_said_but_not_each),
      cmocka_unit_test(full_drop_newest_keeps_the_oldest),
      cmocka_unit_test(what_is_older_than_all_rows_is_itself_the_oldest),
      cmocka_unit_test(handed_rows_are_never_dropped),
      cmocka_unit_test(message_larger_than_everything_is_lost_alone),
      cmocka_unit_test(file_gives_its_room_back_when_it_has_run_empty),
      cmocka_unit_test(rows_expire_by_age_unread_or_fetched),
      cmocka_unit_test(clock_that_jumps_expires_nothing_early_or_never),
      cmocka_unit_test(row_of_an_earlier_process_keeps_its_age),
      cmocka_unit_test(rows_from_the_future_expire_in_their_time),
      cmocka_unit_test(file_is_for_us_only),
      cmocka_unit_test(file_of_no_use_is_set_aside),
      cmocka_unit_test(truncated_file_is_set_aside),
      cmocka_unit_test(files_set_aside_are_bounded_and_none_is_deleted),
      cmocka_unit_test(database_of_another_program_is_left_alone),
      cmocka_unit_test(link_is_not_followed),
      cmocka_unit_test(fifo_does_not_hang_the_daemon),
      cmocka_unit_test(directory_must_be_ours_alone),
      cmocka_unit_test(missing_parent_is_said),
      cmocka_unit_test(file_of_another_user_is_left_alone),
      cmocka_unit_test(directory_that_may_not_be_written_is_said),
      cmocka_unit_test(file_that_opens_later_brings_its_rows),
      cmocka_unit_test(locked_file_is_said_and_waited_for),
      cmocka_unit_test(damaged_row_is_lost_alone),
      cmocka_unit_test(number_that_leaves_no_room_to_count_on_is_damage),
      cmocka_unit_test(rows_that_were_not_counted_are_damage),
      cmocka_unit_test(row_from_before_1970_is_old),
      cmocka_unit_test(file_that_turns_corrupt_is_set_aside_with_an_account),
      cmocka_unit_test(full_disk_gives_messages_back_and_is_forgotten),
      cmocka_unit_test(rows_are_delivered_after_a_kill_on_a_full_disk),
      cmocka_unit_test(repeated_failures_do_not_flood_the_log),
      cmocka_unit_test(what_vanished_is_made_anew_with_all_rows),
      cmocka_unit_test(vanished_file_that_cannot_be_made_anew_goes_on),
      cmocka_unit_test(vanished_file_is_of_no_use_until_it_is_back),
      cmocka_unit_test(vanished_log_is_of_no_use_until_it_is_back),
      cmocka_unit_test(copy_that_failed_is_not_in_the_way_of_the_next),
      cmocka_unit_test(what_is_not_written_by_the_deadline_has_failed),
      cmocka_unit_test(committed_rows_survive_a_kill),
      cmocka_unit_test(thread_writes_what_many_threads_put),
      cmocka_unit_test(what_was_told_as_stored_survives_sigkill),
      cmocka_unit_test(hung_disk_does_not_hold_the_daemon),
      cmocka_unit_test(stats_tell_bytes_rows_and_age),
  };
  return run_all(tests);
}
