/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/testing.h"

#include "tests/fake/host.h"

#include "common/amqp/thread.h"
#include "common/role/role_spool.h"
#include "common/spool/spool.h"
#include "common/spool/spool_private.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fake_host host;
static char dir[64], path[96];
static char out[1 << 16], complaints[4096];

static int keep(void *ctx, const char *bytes, size_t len) {
  size_t used = strlen(out);
  (void)ctx;
  assert_true(used + len < sizeof(out));
  memcpy(out + used, bytes, len);
  out[used + len] = '\0';
  return 0;
}
static int refuse(void *ctx, const char *bytes, size_t len) {
  (void)ctx;
  (void)bytes;
  (void)len;
  out[0]++;
  return -1;
}
static void complain(void *ctx, const char *text) {
  size_t used = strlen(complaints);
  (void)ctx;
  snprintf(complaints + used, sizeof(complaints) - used, "%s\n", text);
}
static const struct rmq_role_spool_sink sink = {NULL, keep, complain};

static void give_all_back(void *ctx, struct rmq_list *l) {
  struct rmq_node *n;
  (void)ctx;
  while ((n = rmq_list_pop_front(l)) != NULL)
    rmq_message_free(RMQ_ELEMENT(n, struct rmq_message, node));
}
static void take_nothing(void *ctx, struct rmq_list *l) {
  (void)ctx;
  (void)l;
}
static void ignore_fetched(void *ctx, struct rmq_list *l, uint64_t through) {
  (void)through;
  give_all_back(ctx, l);
}
static void ignore_lost(void *ctx, const struct rmq_store_lost *l) {
  (void)ctx;
  (void)l;
}
static void ignore_recovered(void *ctx, struct rmq_store_tally t) {
  (void)ctx;
  (void)t;
}

static void prepare(void *ctx, struct rmq_message *m) {
  (void)ctx;
  snprintf(m->id, sizeof(m->id), "id:%" PRIu64, m->seq);
  m->content_type = "text/collectd";
}

static struct rmq_spool *open_spool(void) {
  struct rmq_error err = {""};
  uint64_t next;
  struct rmq_spool_config config = {.dir = dir,
                                    .plugin = "rabbitmq_publish",
                                    .block = "main",
                                    .max_bytes = 4 << 20,
                                    .lanes = 1,
                                    .pending_bytes_max = 1 << 20,
                                    .host = &host.host,
                                    .prepare = prepare,
                                    .start_thread = rmq_thread_start};
  struct rmq_store_handlers h = {NULL,          take_nothing, ignore_fetched,
                                 give_all_back, ignore_lost,  ignore_recovered};
  struct rmq_spool *s = rmq_spool_new(&config, &err);
  assert_non_null(s);
  rmq_spool_attach(s, 0, &h);
  assert_true(rmq_spool_open(s, &next));
  return s;
}

static void put(struct rmq_spool *s, uint64_t seq, const char *key,
                const char *encoding, const char *body, size_t len) {
  struct rmq_message *m = rmq_message_new(key, body, len);
  m->seq = seq;
  m->values = 2;
  m->content_encoding = encoding;
  m->time = rmq_wall_from_ms(INT64_C(1700000000000) + (int64_t)seq * 1000);
  const struct rmq_store *store = rmq_spool_store(s);
  assert_int_equal(store->put(store->ctx, 0, m), RMQ_STORE_TOOK);
}

static void fill(struct rmq_spool *s) {
  put(s, 1, "a.key", NULL, "PUTVAL \"x\"\n", 11);
  put(s, 2, "a.key", "gzip", "\x1f\x8b\x00\xff", 4);
  put(s, 3, "b", NULL, "\xff", 1);
  put(s, 4, "c", NULL, "", 0);
  put(s, 5, "d", NULL, "a\0b", 3);
  put(s, 6, "e", NULL, "\xc3\xa9", 2);
  rmq_spool_turn(s);
}

static int set_up(void **state) {
  (void)state;
  fake_host_init(&host);
  memset(out, 0, sizeof(out));
  memset(complaints, 0, sizeof(complaints));
  snprintf(dir, sizeof(dir), "/tmp/role_spool_test.XXXXXX");
  if (mkdtemp(dir) == NULL)
    return -1;
  snprintf(path, sizeof(path), "%s/main.spool", dir);
  return 0;
}

static int tear_down(void **state) {
  static const char *const names[] = {"main.spool", "main.spool-wal",
                                      "other.spool", "notes.txt"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(names); i++) {
    char name[96];
    snprintf(name, sizeof(name), "%s/%s", dir, names[i]);
    unlink(name);
  }
  return rmdir(dir);
}

static const char want_export[] =
    "{\"seq\":1,\"block\":\"main\",\"message_id\":\"id:1\",\"routing_key\":"
    "\"a.key\",\"content_type\":\"text/collectd\",\"values\":2,"
    "\"timestamp_in_ms\":1700000001000,\"body\":\"PUTVAL \\\"x\\\"\\u000a\"}\n"
    "{\"seq\":2,\"block\":\"main\",\"message_id\":\"id:2\",\"routing_key\":"
    "\"a.key\",\"content_type\":\"text/collectd\",\"content_encoding\":"
    "\"gzip\",\"values\":2,\"timestamp_in_ms\":1700000002000,"
    "\"body_base64\":\"H4sA/w==\"}\n"
    "{\"seq\":3,\"block\":\"main\",\"message_id\":\"id:3\",\"routing_key\":"
    "\"b\",\"content_type\":\"text/collectd\",\"values\":2,"
    "\"timestamp_in_ms\":1700000003000,\"body_base64\":\"/w==\"}\n"
    "{\"seq\":4,\"block\":\"main\",\"message_id\":\"id:4\",\"routing_key\":"
    "\"c\",\"content_type\":\"text/collectd\",\"values\":2,"
    "\"timestamp_in_ms\":1700000004000,\"body\":\"\"}\n"
    "{\"seq\":5,\"block\":\"main\",\"message_id\":\"id:5\",\"routing_key\":"
    "\"d\",\"content_type\":\"text/collectd\",\"values\":2,"
    "\"timestamp_in_ms\":1700000005000,\"body_base64\":\"YQBi\"}\n"
    "{\"seq\":6,\"block\":\"main\",\"message_id\":\"id:6\",\"routing_key\":"
    "\"e\",\"content_type\":\"text/collectd\",\"values\":2,"
    "\"timestamp_in_ms\":1700000006000,\"body\":\"\xc3\xa9\"}\n";

static void export_is_every_message_as_a_line(void **state) {
  (void)state;
  struct rmq_spool *s = open_spool();
  fill(s);
  rmq_spool_free(s);
  assert_int_equal(rmq_role_spool_export(dir, &sink), RMQ_ROLE_SPOOL_DONE);
  assert_string_equal(out, want_export);
  assert_string_equal(complaints, "");
}

static void list_is_a_line_per_file(void **state) {
  char want[512];
  struct stat st;
  (void)state;
  struct rmq_spool *s = open_spool();
  fill(s);
  rmq_spool_free(s);
  assert_int_equal(stat(path, &st), 0);
  assert_int_equal(rmq_role_spool_list(path, &sink), RMQ_ROLE_SPOOL_DONE);
  snprintf(want, sizeof(want),
           "         6          12  %7.1f KiB  2023-11-14T22:13:21Z  "
           "2023-11-14T22:13:26Z  main.spool  \"a.key\" 2, \"b\" 1, \"c\" 1, "
           "2 more\n",
           (double)st.st_size / 1024);
  assert_string_equal(strchr(out, '\n') + 1, want);
}

static uint64_t size_of(const char *name) {
  struct stat st;
  return stat(name, &st) == 0 ? (uint64_t)st.st_size : UINT64_MAX;
}

static struct rmq_spool *volatile held; /* by the child, to its end */

/* A daemon that was killed leaves its log; reading it changes nothing. */
static void log_of_a_killed_daemon_is_read_and_stays(void **state) {
  char log[128];
  int status;
  (void)state;
  snprintf(log, sizeof(log), "%s-wal", path);
  pid_t child = fork();
  if (child == 0) {
    held = open_spool();
    fill(held);
    _exit(0);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  uint64_t bytes = size_of(path), log_bytes = size_of(log);
  assert_true(log_bytes > 0 && log_bytes != UINT64_MAX);
  assert_int_equal(rmq_role_spool_export(path, &sink), RMQ_ROLE_SPOOL_DONE);
  assert_string_equal(out, want_export);
  assert_int_equal(size_of(path), bytes);
  assert_int_equal(size_of(log), log_bytes);
}

static void file_of_a_running_daemon_is_said_to_be_locked(void **state) {
  int ready[2], end[2], status = 0;
  char c = 'x';
  (void)state;
  assert_int_equal(pipe(ready), 0);
  assert_int_equal(pipe(end), 0);
  pid_t child = fork();
  if (child == 0) {
    close(end[1]);
    held = open_spool();
    fill(held);
    _exit(write(ready[1], &c, 1) == 1 && read(end[0], &c, 1) == 0 ? 0 : 1);
  }
  close(end[0]);
  assert_int_equal(read(ready[0], &c, 1), 1);
  assert_int_equal(rmq_role_spool_list(dir, &sink), RMQ_ROLE_SPOOL_LOCKED);
  assert_non_null(strstr(complaints, "main.spool: locked by a running daemon"));
  close(end[1]);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  close(ready[0]);
  close(ready[1]);
}

static void write_file(const char *name, const char *text) {
  char full[96];
  snprintf(full, sizeof(full), "%s/%s", dir, name);
  int fd = open(full, O_WRONLY | O_CREAT, 0600);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  close(fd);
}

static void what_is_no_spool_is_said_and_the_others_are_read(void **state) {
  (void)state;
  struct rmq_spool *s = open_spool();
  fill(s);
  rmq_spool_free(s);
  write_file("notes.txt", "not asked for");
  write_file("other.spool", "no database");
  assert_int_equal(rmq_role_spool_export(dir, &sink), RMQ_ROLE_SPOOL_FAILED);
  assert_string_equal(out, want_export);
  assert_non_null(strstr(complaints, "other.spool: this is no spool"));
  assert_null(strstr(complaints, "notes"));
}

static void nothing_there_is_an_error(void **state) {
  (void)state;
  assert_int_equal(rmq_role_spool_list(dir, &sink), RMQ_ROLE_SPOOL_FAILED);
  assert_non_null(strstr(complaints, "no spool lies here"));
  assert_string_equal(out, ""); /* no head of a table without rows */
  assert_int_equal(rmq_role_spool_export(path, &sink), RMQ_ROLE_SPOOL_FAILED);
  assert_non_null(strstr(complaints, "main.spool: No such file"));
}

static void reader_that_goes_away_ends_it(void **state) {
  const struct rmq_role_spool_sink gone = {NULL, refuse, complain};
  (void)state;
  struct rmq_spool *s = open_spool();
  fill(s);
  rmq_spool_free(s);
  assert_int_equal(rmq_role_spool_export(dir, &gone), RMQ_ROLE_SPOOL_FAILED);
  assert_int_equal(out[0], 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(export_is_every_message_as_a_line),
      TEST(list_is_a_line_per_file),
      TEST(log_of_a_killed_daemon_is_read_and_stays),
      TEST(file_of_a_running_daemon_is_said_to_be_locked),
      TEST(what_is_no_spool_is_said_and_the_others_are_read),
      TEST(nothing_there_is_an_error),
      TEST(reader_that_goes_away_ends_it),
  };
  return run_all(tests);
}
