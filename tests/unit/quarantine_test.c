/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/quarantine.h"
#include "tests/testing.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* 2023-11-14T22:13:20.123Z */
static const struct rmq_wall now = {INT64_C(1700000000123) * RMQ_NS_PER_MS};
#define STAMP "20231114T221320.123Z"

static char root[64];

static int make_root(void **state) {
  (void)state;
  snprintf(root, sizeof(root), "/tmp/quarantine.XXXXXX");
  return mkdtemp(root) == NULL ? -1 : 0;
}

static int remove_root(void **state) {
  (void)state;
  char command[128];
  snprintf(command, sizeof(command), "rm -rf %s", root);
  return system(command);
}

static const char *in_root(const char *name) {
  static char path[512];
  snprintf(path, sizeof(path), "%s/%s", root, name);
  return path;
}

static size_t read_file(const char *name, char *ret_text, size_t size) {
  FILE *f = fopen(in_root(name), "rb");
  assert_non_null(f);
  size_t n = fread(ret_text, 1, size - 1, f);
  ret_text[n] = '\0';
  fclose(f);
  return n;
}

static int count_files(const char *name) {
  DIR *d = opendir(in_root(name));
  assert_non_null(d);
  int count = 0;
  while (readdir(d) != NULL)
    count++;
  closedir(d);
  return count - 2;
}

static struct rmq_quarantine *opened(int64_t max_bytes) {
  static char dir[512];
  snprintf(dir, sizeof(dir), "%s", in_root("q"));
  struct rmq_error err = {""};
  struct rmq_quarantine *q = rmq_quarantine_new(dir, "block", max_bytes);
  assert_non_null(q);
  if (rmq_quarantine_open(q, &err) != 0)
    fail_msg("%s", err.text);
  return q;
}

static struct rmq_delivery delivery(const char *body, size_t len) {
  return (struct rmq_delivery){.tag = 5,
                               .body = {body, len},
                               .body_size = len,
                               .exchange = "x",
                               .routing_key = "a.b\x01",
                               .content_type = "text/collectd",
                               .message_id = "m-1",
                               .user_id = "alice",
                               .delivery_count = 2};
}

static enum rmq_quarantine_verdict put_at(struct rmq_quarantine *q,
                                          const struct rmq_delivery *d,
                                          int64_t s, const char **ret_name,
                                          struct rmq_error *err) {
  const struct rmq_quarantine_item item = {.delivery = d,
                                           .cause = "parse",
                                           .reason =
                                               "line 1: \"\xff\" is nothing",
                                           .now = now,
                                           .now_mono = {s * RMQ_NS_PER_S}};
  return rmq_quarantine_put(q, &item, ret_name, err);
}

static void a_message_becomes_two_files_that_only_we_can_read(void **state) {
  (void)state;
  struct rmq_quarantine *q = opened(1 << 20);
  const struct rmq_wire_header headers[] = {
      {.name = rmq_span_of("one"),
       .type = RMQ_HEADER_STRING,
       .string = {"a\0b", 3}},
      {.name = rmq_span_of("two"), .type = RMQ_HEADER_INTEGER, .integer = -7},
      {.name = rmq_span_of("three"), .type = RMQ_HEADER_OTHER},
  };
  struct rmq_kept kept = {
      .app_id = "maker", .priority = -1, .delivery_mode = 2, .is_cut = true};
  memcpy(kept.headers, headers, sizeof(headers));
  kept.headers_count = COUNT_OF(headers);
  struct rmq_delivery d = delivery("bad\0body\n", 9);
  d.kept = &kept;
  const char *name = "";
  struct rmq_error err = {""};
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FILED);
  assert_string_equal(name, STAMP "-000001-parse");
  char text[4096];
  assert_int_equal(
      read_file("q/block/" STAMP "-000001-parse.body", text, sizeof(text)), 9);
  assert_memory_equal(text, "bad\0body\n", 9);
  read_file("q/block/" STAMP "-000001-parse.json", text, sizeof(text));
  assert_string_equal(
      text, "{\n"
            "  \"time\": \"" STAMP "\",\n"
            "  \"block\": \"block\",\n"
            "  \"cause\": \"parse\",\n"
            "  \"reason\": \"line 1: \\\"\xef\xbf\xbd\\\" is nothing\",\n"
            "  \"exchange\": \"x\",\n"
            "  \"routing_key\": \"a.b\\u0001\",\n"
            "  \"redelivered\": false,\n"
            "  \"delivery_count\": 2,\n"
            "  \"size\": 9,\n"
            "  \"body\": \"" STAMP "-000001-parse.body\",\n"
            "  \"properties\": {\n"
            "    \"content_type\": \"text/collectd\",\n"
            "    \"message_id\": \"m-1\",\n"
            "    \"user_id\": \"alice\",\n"
            "    \"app_id\": \"maker\",\n"
            "    \"delivery_mode\": 2,\n"
            "    \"headers\": {\n"
            "      \"one\": \"a\xef\xbf\xbd"
            "b\",\n"
            "      \"two\": -7,\n"
            "      \"three\": null},\n"
            "    \"headers_note\": \"there were more, which are not kept\"}\n"
            "}\n");
  struct stat st;
  assert_int_equal(stat(in_root("q/block/" STAMP "-000001-parse.body"), &st),
                   0);
  assert_int_equal(st.st_mode & 0777, 0600);
  assert_int_equal(stat(in_root("q/block"), &st), 0);
  assert_int_equal(st.st_mode & 0777, 0700);
  rmq_quarantine_free(q);
}

static void an_oversized_body_is_not_kept_and_the_file_says_so(void **state) {
  (void)state;
  struct rmq_quarantine *q = opened(1 << 20);
  struct rmq_delivery d = delivery(NULL, 0);
  d.is_oversized = true;
  d.body_size = UINT64_C(1) << 40;
  const char *name = "";
  struct rmq_error err = {""};
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FILED);
  assert_int_equal(count_files("q/block"), 1);
  char text[4096];
  read_file("q/block/" STAMP "-000001-parse.json", text, sizeof(text));
  assert_non_null(strstr(text, "\"size\": 1099511627776,\n  \"body\": null,\n"
                               "  \"body_note\": \"larger than"));
  rmq_quarantine_free(q);
}

#define BLOCKS(n) ((int64_t)(n)*4096)

static void it_is_bounded_and_what_is_taken_out_makes_room(void **state) {
  (void)state;
  static char body[1000];
  memset(body, 'b', sizeof(body));
  struct rmq_quarantine *q = opened(BLOCKS(5));
  /* Two with their descriptions, each file a block. */
  struct rmq_delivery d = delivery(body, sizeof(body));
  const char *name = "untouched";
  struct rmq_error err = {""};
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FILED);
  assert_int_equal(put_at(q, &d, 2, &name, &err), RMQ_QUARANTINE_FILED);
  name = "untouched";
  assert_int_equal(put_at(q, &d, 3, &name, &err), RMQ_QUARANTINE_FULL);
  assert_string_equal(name, "untouched");
  assert_int_equal(count_files("q/block"), 4);
  assert_int_equal(unlink(in_root("q/block/" STAMP "-000001-parse.body")), 0);
  assert_int_equal(put_at(q, &d, 32, &name, &err), RMQ_QUARANTINE_FULL);
  assert_int_equal(put_at(q, &d, 33, &name, &err), RMQ_QUARANTINE_FILED);
  rmq_quarantine_free(q);
  /* Another life finds what is there, and gives no name twice. */
  q = opened(100000);
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FILED);
  assert_int_equal(count_files("q/block"), 7);
  rmq_quarantine_free(q);
  q = opened(BLOCKS(9) - 1); /* seven are there, and two would come */
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FULL);
  rmq_quarantine_free(q);
  q = opened(BLOCKS(9));
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FILED);
  rmq_quarantine_free(q);
}

static void half_a_file_of_another_life_is_removed(void **state) {
  (void)state;
  rmq_quarantine_free(opened(1 << 20));
  int fd = open(in_root("q/block/." STAMP "-000001-parse.body.tmp"),
                O_CREAT | O_WRONLY, 0600);
  assert_true(fd >= 0);
  close(fd);
  assert_int_equal(count_files("q/block"), 1);
  rmq_quarantine_free(opened(1 << 20));
  assert_int_equal(count_files("q/block"), 0);
}

static void must_not_open(const char *dir, const char *block,
                          const char *want) {
  struct rmq_error err = {""};
  struct rmq_quarantine *q = rmq_quarantine_new(dir, block, 1 << 20);
  assert_int_equal(rmq_quarantine_open(q, &err), -1);
  if (strstr(err.text, want) == NULL)
    fail_msg("\"%s\" does not say \"%s\"", err.text, want);
  rmq_quarantine_free(q);
}

static void a_directory_that_others_control_is_refused(void **state) {
  (void)state;
  char dir[512];
  must_not_open(in_root("missing/q"), "b", "create the directory above it");
  must_not_open(in_root("q"), "..", "begins with '.'");
  snprintf(dir, sizeof(dir), "%s", in_root("open"));
  assert_int_equal(mkdir(dir, 0700), 0);
  assert_int_equal(chmod(dir, 0777), 0);
  must_not_open(dir, "b", "others may write to");
  assert_int_equal(chmod(dir, 0700), 0);
  assert_int_equal(symlink("/tmp", in_root("open/b")), 0);
  must_not_open(dir, "b", "no link to one");
}

static void a_lost_directory_is_an_error_and_its_return_is_found(void **state) {
  (void)state;
  struct rmq_quarantine *q = opened(1 << 20);
  struct rmq_delivery d = delivery("b", 1);
  const char *name = "";
  struct rmq_error err = {""};
  assert_int_equal(rmdir(in_root("q/block")), 0);
  assert_int_equal(put_at(q, &d, 1, &name, &err), RMQ_QUARANTINE_FAILED);
  assert_non_null(strstr(err.text, "cannot write to"));
  rmq_error_clear(&err);
  assert_int_equal(put_at(q, &d, 30, &name, &err), RMQ_QUARANTINE_FAILED);
  assert_non_null(strstr(err.text, "cannot write to"));
  assert_int_equal(put_at(q, &d, 31, &name, &err), RMQ_QUARANTINE_FILED);
  rmq_quarantine_free(q);
}

#define IN_ROOT(test)                                                          \
  cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void) {
  const struct CMUnitTest tests[] = {
      IN_ROOT(a_message_becomes_two_files_that_only_we_can_read),
      IN_ROOT(an_oversized_body_is_not_kept_and_the_file_says_so),
      IN_ROOT(it_is_bounded_and_what_is_taken_out_makes_room),
      IN_ROOT(half_a_file_of_another_life_is_removed),
      IN_ROOT(a_directory_that_others_control_is_refused),
      IN_ROOT(a_lost_directory_is_an_error_and_its_return_is_found),
  };
  return run_all(tests);
}
