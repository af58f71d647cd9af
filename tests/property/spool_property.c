/* SPDX-License-Identifier: MIT */
/*
 * Random puts, fetches, settlements, restarts, kills (the files as they lie at
 * a random moment) and disks that fill up, against a model that knows of every
 * message where it has to be: what was told as stored comes back once and in
 * order, every loss is told, and the files keep to their bound.
 */
#include "rmq_config.h"

#include "tests/prop.h"
#include "tests/testing.h"

#include "tests/fake/host.h"

#include "common/amqp/thread.h"
#include "common/spool/spool.h"
#include "common/spool/spool_private.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEQUENCES = 20, MESSAGES_MAX = 20000, LANES_MAX = 4, KEYS = 12 };

enum state {
  NOWHERE, /* never put, ended, or given back */
  PENDING,
  UNREAD,
  HANDED,
  SETTLED /* ended, perhaps still on the disk */
};

struct row {
  enum state state;
  unsigned key;
  size_t size;
  uint32_t values;
};

struct lane {
  struct world *world;
  unsigned number;
  uint64_t through; /* cursor of the lane */
};

struct world {
  struct prop *p;
  char root[64], dir[96];
  unsigned generation; /* of dir */
  struct rmq_spool_config config;
  struct rmq_spool *spool;
  const struct rmq_store *store;
  struct lane lanes[LANES_MAX];
  struct row rows[MESSAGES_MAX + 1]; /* by seq */
  uint64_t first_seq, next_seq;      /* first: of this process */
  uint64_t recovered, lost_pending, lost_pending_values;
  bool is_disk_full;
  unsigned stored_count, fetched_count, lost_count, failed_count;
};

static struct fake_host host;
static struct world world;

static void limit_files(rlim_t bytes) {
  struct rlimit l;
  getrlimit(RLIMIT_FSIZE, &l);
  l.rlim_cur = bytes == RLIM_INFINITY ? l.rlim_max : bytes;
  setrlimit(RLIMIT_FSIZE, &l);
}

static void die(const char *what, uint64_t seq) {
  limit_files(RLIM_INFINITY);
  for (size_t i = 0; i < host.lines_count; i++)
    printf("# log: %s\n", host.lines[i].message);
  fail_msg("%s (seq %" PRIu64 ")", what, seq);
}

#define CHECK(condition, seq)                                                  \
  do {                                                                         \
    if (!(condition))                                                          \
      die(#condition, seq);                                                    \
  } while (0)

static void key_text(unsigned key, char text[16]) {
  snprintf(text, 16, "key.%u", key);
}

static unsigned lane_of(const struct world *w, const struct row *r) {
  char key[16];
  key_text(r->key, key);
  return rmq_store_lane_of(rmq_store_key_hash(key), w->config.lanes);
}

static struct rmq_message *message_of(struct rmq_node *n) {
  return RMQ_ELEMENT(n, struct rmq_message, node);
}

/* The lane's oldest unread row; 0 when there is none. */
static uint64_t oldest_unread(const struct world *w, unsigned lane) {
  for (uint64_t seq = 1; seq < w->next_seq; seq++)
    if (w->rows[seq].state == UNREAD && lane_of(w, &w->rows[seq]) == lane)
      return seq;
  return 0;
}

/* ------------------------------------------------------------------------
 * The lanes' side */

static void check_content(const struct world *w, const struct rmq_message *m) {
  const struct row *r = &w->rows[m->seq];
  char key[16], id[32];
  key_text(r->key, key);
  snprintf(id, sizeof(id), "id:%" PRIu64, m->seq);
  CHECK(strcmp(m->key, key) == 0, m->seq);
  CHECK(strcmp(m->id, id) == 0, m->seq);
  CHECK(m->body_len == r->size && m->values == r->values, m->seq);
  for (size_t i = 0; i < m->body_len; i++)
    CHECK(m->body[i] == (char)('a' + m->seq % 26), m->seq);
}

static void stored(void *ctx, struct rmq_list *messages) {
  struct lane *l = ctx;
  struct world *w = l->world;
  bool may_take = oldest_unread(w, l->number) == 0 && prop_chance(w->p, 50);
  size_t take = may_take ? prop_below(w->p, messages->count + 1) : 0;
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    uint64_t seq = message_of(n)->seq;
    CHECK(w->rows[seq].state == PENDING, seq);
    CHECK(message_of(n)->is_stored, seq);
    w->rows[seq].state = UNREAD;
    w->stored_count++;
  }
  for (; take > 0; take--) {
    struct rmq_message *m = message_of(rmq_list_pop_front(messages));
    w->rows[m->seq].state = HANDED;
    l->through = m->seq;
    rmq_message_free(m);
  }
}

static void fetched(void *ctx, struct rmq_list *messages, uint64_t through) {
  struct lane *l = ctx;
  struct world *w = l->world;
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL) {
    struct rmq_message *m = message_of(n);
    CHECK(m->seq == oldest_unread(w, l->number), m->seq);
    CHECK(m->seq > l->through && m->seq <= through, m->seq);
    check_content(w, m);
    w->rows[m->seq].state = HANDED;
    w->fetched_count++;
    rmq_message_free(m);
  }
  CHECK(through >= l->through, through);
  l->through = through;
  uint64_t next = oldest_unread(w, l->number);
  CHECK(next == 0 || next > through, next);
}

static void failed(void *ctx, struct rmq_list *messages) {
  struct lane *l = ctx;
  struct world *w = l->world;
  struct rmq_node *n;
  uint64_t before = 0;
  while ((n = rmq_list_pop_front(messages)) != NULL) {
    struct rmq_message *m = message_of(n);
    CHECK(w->rows[m->seq].state == PENDING && m->seq > before, m->seq);
    CHECK(w->is_disk_full, m->seq);
    before = m->seq;
    w->rows[m->seq].state = NOWHERE;
    w->failed_count++;
    rmq_message_free(m);
  }
}

static void lost(void *ctx, const struct rmq_store_lost *what) {
  struct lane *l = ctx;
  struct world *w = l->world;
  enum rmq_store_loss why = what->why;
  struct rmq_store_tally t = what->tally;
  uint64_t first = what->first;
  CHECK(why != RMQ_STORE_DAMAGED, 0);
  w->lost_count += (unsigned)t.messages;
  if (what->message != NULL) {
    CHECK(t.messages == 1 && first == what->last, what->message->seq);
    w->lost_pending += t.messages;
    w->lost_pending_values += t.values;
    return;
  }
  PROP_TRACE(w->p, "lane %u lost %" PRIu64 ": %s", l->number, t.messages,
             rmq_store_loss_to_str(why));
  for (; t.messages > 0; t.messages--) { /* the oldest, always */
    uint64_t seq = oldest_unread(w, l->number);
    CHECK(seq > 0 && t.values >= w->rows[seq].values, seq);
    CHECK(first == 0 || seq == first, seq);
    CHECK(t.messages > 1 || seq == what->last, seq);
    first = 0;
    t.values -= w->rows[seq].values;
    /* What has expired when it was to be handed over goes with the next
     * transaction. */
    w->rows[seq].state = why == RMQ_STORE_EXPIRED ? SETTLED : NOWHERE;
  }
  CHECK(t.values == 0, 0);
}

static void recovered(void *ctx, struct rmq_store_tally t) {
  struct lane *l = ctx;
  l->world->recovered += t.messages;
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  snprintf(m->id, sizeof(m->id), "id:%" PRIu64, m->seq);
  m->content_type = "application/json";
  m->is_prepared = true;
}

/* ------------------------------------------------------------------------
 * Processes that come and go */

/* A settled row is there again when its deletion had not been committed. */
static void look_at_file(struct world *w) {
  struct rmq_error err = {""};
  struct rmq_spool_row row;
  bool has = true;
  uint64_t rows = 0, before = 0;
  rmq_spool_db_scan(w->spool->db, 0, INT64_MAX, &err);
  for (uint64_t seq = 1; seq < w->next_seq; seq++) {
    struct row *r = &w->rows[seq];
    CHECK(r->state != PENDING, seq);
    if (has && before < seq)
      CHECK(rmq_spool_db_scan_next(w->spool->db, &row, &has, &err) ==
                RMQ_SPOOL_FINE,
            seq);
    bool is_there = has && row.seq == seq;
    before = has ? row.seq : UINT64_MAX;
    CHECK(is_there || r->state == NOWHERE || r->state == SETTLED, seq);
    CHECK(!is_there || r->state != NOWHERE, seq);
    r->state = is_there ? UNREAD : NOWHERE;
    rows += is_there;
  }
  rmq_spool_db_scan_end(w->spool->db);
  CHECK(w->recovered == rows, rows);
}

static void open_spool(struct world *w) {
  struct rmq_error err = {""};
  uint64_t next = 0;
  w->config.dir = w->dir;
  w->config.lanes = 1 + (unsigned)prop_below(w->p, LANES_MAX);
  w->spool = rmq_spool_new(&w->config, &err);
  w->store = rmq_spool_store(w->spool);
  w->recovered = 0;
  for (unsigned i = 0; i < w->config.lanes; i++) {
    struct rmq_store_handlers h = {&w->lanes[i], stored, fetched,
                                   failed,       lost,   recovered};
    w->lanes[i] = (struct lane){.world = w, .number = i};
    rmq_spool_attach(w->spool, i, &h);
  }
  CHECK(rmq_spool_open(w->spool, &next), 0);
  CHECK(next <= w->next_seq, next);
  look_at_file(w);
  w->first_seq = w->next_seq;
  PROP_TRACE(w->p, "open: %u lanes, %" PRIu64 " rows", w->config.lanes,
             w->recovered);
}

static void next_dir(struct world *w) {
  snprintf(w->dir, sizeof(w->dir), "%s/%u", w->root, ++w->generation);
}

static void path_in(const struct world *w, const char *suffix, char path[160]) {
  snprintf(path, 160, "%s/b.spool%s", w->dir, suffix);
}

static void copy_file(const char *from, const char *to) {
  static char bytes[1 << 16];
  ssize_t n;
  int in = open(from, O_RDONLY);
  int out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
  while (in >= 0 && (n = read(in, bytes, sizeof(bytes))) > 0)
    if (write(out, bytes, (size_t)n) != n)
      abort();
  close(in);
  close(out);
}

static void remove_files(const struct world *w) {
  char path[160];
  path_in(w, "", path);
  unlink(path);
  path_in(w, "-wal", path);
  unlink(path);
  rmdir(w->dir);
}

static void forget_pending(struct world *w) {
  for (uint64_t seq = 1; seq < w->next_seq; seq++)
    if (w->rows[seq].state == PENDING)
      w->rows[seq].state = NOWHERE;
}

/* What a SIGKILL at this moment leaves. */
static void kill_process(struct world *w) {
  char from[2][160], to[2][160];
  struct world old = *w;
  for (int i = 0; i < 2; i++)
    path_in(w, i == 0 ? "" : "-wal", from[i]);
  next_dir(w);
  if (mkdir(w->dir, 0700) != 0)
    abort();
  for (int i = 0; i < 2; i++) {
    path_in(w, i == 0 ? "" : "-wal", to[i]);
    copy_file(from[i], to[i]);
  }
  rmq_spool_free(w->spool);
  remove_files(&old);
  PROP_TRACE(w->p, "killed");
  forget_pending(w);
  open_spool(w);
}

static void settle_turns(struct world *w) {
  for (int i = 0; i < 1000; i++) {
    CHECK(!rmq_spool_turn(w->spool), 0);
    if (w->spool->pending.count + w->spool->batch.count == 0)
      return;
  }
  die("the queue does not end", 0);
}

/* Pending ones that are neither stored nor failed are the ones lost. */
static void account_pending(struct world *w) {
  for (uint64_t seq = 1; seq < w->next_seq; seq++) {
    if (w->rows[seq].state != PENDING)
      continue;
    w->rows[seq].state = NOWHERE;
    CHECK(w->lost_pending > 0, seq);
    w->lost_pending--;
    w->lost_pending_values -= w->rows[seq].values;
  }
  CHECK(w->lost_pending == 0 && w->lost_pending_values == 0, 0);
}

static void restart_process(struct world *w) {
  rmq_spool_stop(w->spool, rmq_mono_add(host.now, rmq_s(5)));
  while (!rmq_spool_turn(w->spool))
    continue;
  rmq_spool_end(w->spool);
  rmq_spool_free(w->spool);
  account_pending(w);
  PROP_TRACE(w->p, "stopped");
  open_spool(w);
}

/* ------------------------------------------------------------------------
 * Events */

static void put(struct world *w) {
  static char body[600000];
  if (w->next_seq > MESSAGES_MAX)
    return;
  uint64_t seq = w->next_seq;
  struct row *r = &w->rows[seq];
  *r = (struct row){.state = PENDING,
                    .key = (unsigned)prop_below(w->p, KEYS),
                    .values = (uint32_t)prop_below(w->p, 300)};
  size_t scale = (size_t)100 << prop_below(w->p, 10);
  r->size = prop_chance(w->p, 1) ? prop_below(w->p, sizeof(body))
                                 : prop_below(w->p, scale);
  memset(body, 'a' + (int)(seq % 26), r->size);
  char key[16];
  key_text(r->key, key);
  struct rmq_message *m = rmq_message_new(key, body, r->size);
  m->seq = seq;
  m->values = r->values;
  m->time = host.wall;
  enum rmq_store_put answer = w->store->put(w->store->ctx, lane_of(w, r), m);
  CHECK(answer != RMQ_STORE_BUSY, seq);
  CHECK(answer == RMQ_STORE_TOOK || w->is_disk_full, seq);
  if (answer == RMQ_STORE_TOOK) {
    w->next_seq++;
    return;
  }
  r->state = NOWHERE;
  rmq_message_free(m);
}

static void fetch(struct world *w) {
  unsigned lane = (unsigned)prop_below(w->p, w->config.lanes);
  w->store->fetch(w->store->ctx, lane, w->lanes[lane].through,
                  1 + prop_below(w->p, 100), prop_below(w->p, 200000));
}

static void settle(struct world *w) {
  unsigned percent = (unsigned)prop_below(w->p, 101);
  for (uint64_t seq = 1; seq < w->next_seq; seq++) {
    if (w->rows[seq].state != HANDED || !prop_chance(w->p, percent))
      continue;
    w->rows[seq].state = SETTLED;
    w->store->settle(w->store->ctx, seq);
  }
}

static void fill_or_clear_disk(struct world *w) {
  if (!w->is_disk_full) {
    limit_files(prop_below(w->p, (size_t)w->config.max_bytes));
    w->is_disk_full = true;
    PROP_TRACE(w->p, "disk full");
    return;
  }
  limit_files(RLIM_INFINITY);
  for (int i = 0; i < 2; i++) { /* the second brings what the first began */
    fake_host_advance(&host, rmq_s(30));
    settle_turns(w);
  }
  CHECK(w->spool->is_usable, 0);
  w->is_disk_full = false;
  PROP_TRACE(w->p, "disk has room");
}

static void check_bound(const struct world *w) {
  uint64_t bytes = rmq_spool_file_bytes(&w->spool->file);
  CHECK(bytes <= w->config.max_bytes, bytes);
}

static void check_tallies(const struct world *w) {
  struct rmq_store_tally unread[LANES_MAX] = {{0, 0}};
  uint64_t there = 0, perhaps = 0;
  for (uint64_t seq = 1; seq < w->next_seq; seq++) {
    const struct row *r = &w->rows[seq];
    there += r->state == UNREAD || r->state == HANDED;
    perhaps += r->state == SETTLED;
    if (r->state == UNREAD)
      rmq_spool_tally(&unread[lane_of(w, r)], r->values);
  }
  CHECK(w->spool->rows >= there && w->spool->rows <= there + perhaps, there);
  for (unsigned i = 0; i < w->config.lanes; i++) {
    CHECK(w->spool->lanes[i].unread.messages == unread[i].messages, i);
    CHECK(w->spool->lanes[i].unread.values == unread[i].values, i);
  }
}

static void event(struct world *w) {
  size_t dice = prop_below(w->p, 1000);
  if (dice < 700) {
    for (size_t n = 1 + prop_below(w->p, 20); n > 0; n--)
      put(w);
  } else if (dice < 850) {
    fetch(w);
  } else if (dice < 920) {
    settle(w);
  } else if (dice < 985) {
    fake_host_advance(&host, rmq_ms((int64_t)prop_below(w->p, 3000)));
  } else if (dice < 992 || w->is_disk_full) {
    fill_or_clear_disk(w);
  } else if (dice < 997) {
    kill_process(w);
  } else {
    restart_process(w);
  }
  if (!prop_chance(w->p, 60))
    return;
  settle_turns(w);
  account_pending(w);
  check_bound(w);
  check_tallies(w);
}

static void sequence(struct prop *p) {
  struct world *w = &world;
  memset(w, 0, sizeof(*w));
  fake_host_init(&host);
  w->p = p;
  w->next_seq = 1;
  snprintf(w->root, sizeof(w->root), "/tmp/spool_property.XXXXXX");
  if (mkdtemp(w->root) == NULL)
    abort();
  next_dir(w);
  w->config = (struct rmq_spool_config){
      .plugin = "rabbitmq_publish",
      .block = "b",
      .max_bytes = RMQ_SPOOL_BYTES_MIN << prop_below(p, 3),
      .sync = prop_chance(p, 80) ? RMQ_SPOOL_SYNC_NONE
                                 : (enum rmq_spool_sync)prop_below(p, 3),
      .max_age = prop_chance(p, 30) ? rmq_s(20) : rmq_s(0),
      .policy = prop_chance(p, 50) ? RMQ_DROP_OLDEST : RMQ_DROP_NEWEST,
      .pending_bytes_max = 1 << 30,
      .host = &host.host,
      .prepare = prepare,
      .start_thread = rmq_thread_start};
  open_spool(w);
  for (int i = 0; i < 400; i++)
    event(w);
  if (w->is_disk_full)
    fill_or_clear_disk(w);
  restart_process(w);
  printf("# stored %u, fetched %u, lost %u, failed %u\n", w->stored_count,
         w->fetched_count, w->lost_count, w->failed_count);
  rmq_spool_free(w->spool);
  remove_files(w);
  rmdir(w->root);
}

static void every_row_is_where_the_model_has_it(void **state) {
  (void)state;
  prop_run(SEQUENCES, sequence);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_row_is_where_the_model_has_it),
  };
  signal(SIGXFSZ, SIG_IGN);
  return run_all(tests);
}
