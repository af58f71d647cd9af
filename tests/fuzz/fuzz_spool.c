/* SPDX-License-Identifier: MIT */
/*
 * A .spool file that somebody or the disk has changed is opened, read, written
 * and closed: it is survived, and every message has one answer. The input says
 * what is changed in files that are made at the start, in a directory of its
 * own under TMPDIR, and what is done then:
 *
 *   0      bit 0: with its log, as a crash leaves it; bit 1: rows have an age
 *          limit; bit 2: the file ends early, bit 3: the log does
 *   1, 2   where, in 65536ths of the whole
 *   3      how many changes of the file (upper half) and the log (lower half)
 *   then   4 bytes a change: where (24 bits, modulo the size), what
 *   then   a byte for each thing done, see act()
 */
#include "rmq_config.h"

#include "common/spool/spool.h"
#include "common/spool/spool_private.h"
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ACTS_MAX = 40, ROWS = 24, PATH_SIZE = 256 };

struct bytes {
  const uint8_t *data;
  size_t size;
};

/* A whole file; what is changed is a copy. */
struct image {
  uint8_t *data;
  size_t size;
};

static char dir[PATH_SIZE / 2], db_path[PATH_SIZE], log_path[PATH_SIZE];
static struct image whole, crashed, crashed_log;
static int64_t now_ns = 1000 * RMQ_NS_PER_S;

/* One lane's account: what it has not been told yet. */
static struct rmq_spool *spool;
static uint64_t pending, unread, through, next_seq;

/* ------------------------------------------------------------------------
 * The host and the lane */

static struct rmq_mono mono(void *ctx) {
  (void)ctx;
  return (struct rmq_mono){now_ns};
}
static struct rmq_wall wall(void *ctx) {
  (void)ctx;
  return (struct rmq_wall){1700000000 * RMQ_NS_PER_S + now_ns};
}
static void no_log(void *ctx, const struct rmq_log_record *record) {
  (void)ctx;
  (void)record;
}
static const struct rmq_host host = {
    .service = "fuzz", .mono = mono, .wall = wall, .log = no_log};

static int no_thread(pthread_t *ret_thread, bool is_detached, const char *name,
                     void *(*run)(void *), void *arg, struct rmq_error *err) {
  (void)ret_thread, (void)is_detached, (void)name, (void)run, (void)arg;
  return rmq_error_set(err, "the fuzzer does the turns itself");
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  m->content_type = "text/collectd";
  m->is_prepared = true;
}

static void free_all(struct rmq_list *messages) {
  struct rmq_node *n;
  while ((n = rmq_list_pop_front(messages)) != NULL)
    rmq_message_free(RMQ_ELEMENT(n, struct rmq_message, node));
}

static void less(uint64_t *account, uint64_t count) {
  fuzz_must(*account >= count);
  *account -= count;
}

static void stored(void *ctx, struct rmq_list *messages) {
  (void)ctx;
  less(&pending, messages->count);
  unread += messages->count;
}

/* What a publisher would read of it. */
static void look_at(const struct rmq_message *m) {
  unsigned sum = 0;
  fuzz_must(strlen(m->key) == m->key_len && strlen(m->id) < sizeof(m->id));
  fuzz_must(m->content_type != NULL && m->is_stored);
  for (size_t i = 0; i < m->body_len; i++)
    sum += (unsigned char)m->body[i];
  fuzz_must(m->body_len > 0 || sum == 0);
}

static void fetched(void *ctx, struct rmq_list *messages, uint64_t until) {
  const struct rmq_store *store = rmq_spool_store(spool);
  (void)ctx;
  less(&unread, messages->count);
  through = until > through ? until : through;
  for (struct rmq_node *n = rmq_list_first(messages); n != NULL;
       n = rmq_list_next(messages, n)) {
    const struct rmq_message *m = RMQ_ELEMENT(n, struct rmq_message, node);
    look_at(m);
    store->settle(store->ctx, m->seq);
  }
  free_all(messages);
}

static void failed(void *ctx, struct rmq_list *messages) {
  (void)ctx;
  less(&pending, messages->count);
  free_all(messages);
}
static void lost(void *ctx, const struct rmq_store_lost *l) {
  (void)ctx;
  less(l->message != NULL ? &pending : &unread, l->tally.messages);
}
static void recovered(void *ctx, struct rmq_store_tally rows) {
  (void)ctx;
  unread += rows.messages;
}

/* ------------------------------------------------------------------------
 * The spool */

static void open_spool(bool has_max_age) {
  struct rmq_error err = {""};
  struct rmq_spool_config c = {.dir = dir,
                               .plugin = "p",
                               .block = "b",
                               .max_bytes = 2 << 20,
                               .policy = RMQ_DROP_OLDEST,
                               .lanes = 1,
                               .pending_bytes_max = 64 << 20,
                               .host = &host,
                               .prepare = prepare,
                               .start_thread = no_thread,
                               .max_age = rmq_s(has_max_age ? 3600 : 0)};
  struct rmq_store_handlers h = {NULL,   stored, fetched,
                                 failed, lost,   recovered};
  pending = unread = through = 0;
  spool = rmq_spool_new(&c, &err);
  fuzz_must(spool != NULL);
  rmq_spool_attach(spool, 0, &h);
  rmq_spool_open(spool, &next_seq);
}

static void put(size_t size) {
  static char body[8192];
  const struct rmq_store *store = rmq_spool_store(spool);
  char key[16];
  snprintf(key, sizeof(key), "k%zu", size % 7);
  struct rmq_message *m = rmq_message_new(key, body, size);
  fuzz_must(m != NULL);
  m->seq = next_seq++;
  m->values = 2;
  m->time = wall(NULL);
  if (store->put(store->ctx, 0, m) == RMQ_STORE_TOOK)
    pending++;
  else
    rmq_message_free(m);
}

/* Ends by itself, and whatever was put has been answered. */
static void close_spool(void) {
  rmq_spool_stop(spool, (struct rmq_mono){now_ns + 5 * RMQ_NS_PER_S});
  for (int i = 0; !rmq_spool_turn(spool); i++) {
    fuzz_must(i < 100000);
    now_ns += RMQ_NS_PER_S / 100;
  }
  rmq_spool_end(spool);
  fuzz_must(pending == 0);
  rmq_spool_free(spool);
}

static void act(uint8_t what) {
  static const size_t sizes[] = {0, 5, 300, 5000};
  const struct rmq_store *store = rmq_spool_store(spool);
  if ((what & 1) != 0)
    put(sizes[what >> 6]);
  if ((what & 2) != 0)
    store->fetch(store->ctx, 0, through, 1 + (what >> 3 & 15), 1 << 20);
  now_ns += (what & 4) != 0 ? RMQ_NS_PER_S : RMQ_NS_PER_S / 1000;
  if (what == 0xff) /* longer than the pause after a failure */
    now_ns += 60 * RMQ_NS_PER_S;
  rmq_spool_turn(spool);
}

/* ------------------------------------------------------------------------
 * Files */

static struct image read_image(const char *path) {
  struct image image = {NULL, 0};
  FILE *f = fopen(path, "rb");
  fuzz_must(f != NULL && fseek(f, 0, SEEK_END) == 0);
  long size = ftell(f);
  fuzz_must(size > 0 && (image.data = malloc((size_t)size)) != NULL);
  rewind(f);
  image.size = fread(image.data, 1, (size_t)size, f);
  fclose(f);
  return image;
}

static uint8_t take(struct bytes *in) {
  if (in->size == 0)
    return 0;
  in->size--;
  return *in->data++;
}

static void write_changed(const char *path, const struct image *from,
                          size_t size, unsigned changes, struct bytes *in) {
  uint8_t *copy = malloc(from->size);
  fuzz_must(copy != NULL);
  memcpy(copy, from->data, from->size);
  for (unsigned i = 0; i < changes; i++) {
    size_t at = (size_t)take(in) << 16;
    at |= (size_t)take(in) << 8;
    at |= take(in);
    copy[at % from->size] = take(in);
  }
  int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);
  fuzz_must(fd >= 0 && write(fd, copy, size) == (ssize_t)size);
  close(fd);
  free(copy);
}

static void empty_dir(void) {
  DIR *d = opendir(dir);
  char path[PATH_SIZE * 2];
  fuzz_must(d != NULL);
  for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
    snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
    if (e->d_name[0] != '.')
      unlink(path);
  }
  closedir(d);
}

static void clean_up(void) {
  empty_dir();
  rmdir(dir);
  free(whole.data);
  free(crashed.data);
  free(crashed_log.data);
}

/* A file with rows as a crash leaves it, and as a good end does. */
static void make_images(void) {
  static const size_t sizes[] = {0, 5, 300, 5000, 60};
  const char *tmp = getenv("TMPDIR");
  snprintf(dir, sizeof(dir), "%s/fuzz_spool.XXXXXX",
           tmp == NULL || strlen(tmp) > 80 ? "/tmp" : tmp);
  fuzz_must(mkdtemp(dir) != NULL);
  snprintf(db_path, sizeof(db_path), "%s/b.spool", dir);
  snprintf(log_path, sizeof(log_path), "%s/b.spool-wal", dir);
  open_spool(false);
  for (int i = 0; i < ROWS; i++)
    put(sizes[i % 5]);
  rmq_spool_turn(spool);
  crashed = read_image(db_path);
  crashed_log = read_image(log_path);
  close_spool();
  whole = read_image(db_path);
  atexit(clean_up);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct bytes in = {data, size};
  if (whole.data == NULL)
    make_images();
  uint8_t how = take(&in);
  size_t part = (size_t)take(&in) << 8;
  part |= take(&in);
  uint8_t changes = take(&in);
  const struct image *db = (how & 1) != 0 ? &crashed : &whole;
  size_t db_size = (how & 4) != 0 ? db->size * part >> 16 : db->size;
  empty_dir();
  write_changed(db_path, db, db_size, changes >> 4, &in);
  if ((how & 1) != 0)
    write_changed(log_path, &crashed_log,
                  (how & 8) != 0 ? crashed_log.size * part >> 16
                                 : crashed_log.size,
                  changes & 15, &in);
  open_spool((how & 2) != 0);
  for (int i = 0; i < ACTS_MAX && in.size > 0; i++)
    act(take(&in));
  close_spool();
  return 0;
}
