/* SPDX-License-Identifier: MIT */
/* The page on a local socket; its clock is the machine's and what a test puts
 * in front of it. */
#include "rmq_config.h"

#include "plugins/warren_monitor_serve.h"

#include "tests/testing.h"

#include "common/host/host_clock.h"

#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 4096, MAX_AGE_S = 30 };

struct fixture {
  struct rmq_host host;
  _Atomic int64_t ahead_ns;
  char dir[64], path[80], address[100];
  struct warren_serve *serve;
};

static void no_log(void *ctx, const struct rmq_log_record *record) {
  (void)ctx, (void)record;
}

static struct rmq_mono mono(void *ctx) {
  struct fixture *f = ctx;
  struct rmq_dur ahead = {atomic_load(&f->ahead_ns)};
  return rmq_mono_add(rmq_host_mono(NULL), ahead);
}

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof(*f));
  struct rmq_error err = {.text = ""};
  assert_non_null(f);
  snprintf(f->dir, sizeof(f->dir), "/tmp/warren-page-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
  snprintf(f->address, sizeof(f->address), "unix:%s", f->path);
  f->host = (struct rmq_host){.ctx = f,
                              .service = "warren",
                              .log = no_log,
                              .mono = mono,
                              .wall = rmq_host_wall};
  f->serve =
      warren_serve_new(&f->host, f->address, false, rmq_s(MAX_AGE_S), &err);
  if (f->serve == NULL)
    SHOW_ROW("%s", err.text);
  assert_non_null(f->serve);
  *state = f;
  return 0;
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  warren_serve_free(f->serve);
  assert_int_equal(rmdir(f->dir), 0);
  free(f);
  return 0;
}

static void advance(struct fixture *f, struct rmq_dur d) {
  atomic_fetch_add(&f->ahead_ns, d.ns);
}

static void put(struct fixture *f, const char *text) {
  assert_int_equal(warren_serve_put(f->serve, text, strlen(text)), 0);
}

/* The answer to one request, until the server closes. */
static const char *ask(const struct fixture *f, const char *line) {
  static char text[ANSWER_MAX];
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  size_t len = 0;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  memcpy(name.sun_path, f->path, strlen(f->path) + 1);
  assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
  dprintf(fd, "%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
          line);
  for (;;) {
    struct pollfd input = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&input, 1, 60000), 1);
    ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
    if (n <= 0)
      break;
    len += (size_t)n;
  }
  text[len] = '\0';
  close(fd);
  return text;
}

static int status_of(const char *answer) {
  int status = 0;
  assert_int_equal(sscanf(answer, "HTTP/1.1 %d ", &status), 1);
  return status;
}

static void before_the_first_set_there_is_no_page(void **state) {
  const char *answer = ask(*state, "GET /metrics");
  assert_int_equal(status_of(answer), 503);
  assert_non_null(strstr(answer, "\r\nRetry-After: 1\r\n"));
}

static void the_last_set_is_handed_out(void **state) {
  put(*state, "first 1\n");
  put(*state, "second 2\n");
  const char *answer = ask(*state, "GET /metrics");
  assert_int_equal(status_of(answer), 200);
  assert_non_null(strstr(answer, "text/plain; version=0.0.4"));
  assert_non_null(strstr(answer, "\r\n\r\nsecond 2\n"));
  assert_null(strstr(answer, "first"));
}

static void a_head_gets_the_page_without_its_body(void **state) {
  put(*state, "queue 1\n");
  const char *answer = ask(*state, "HEAD /metrics");
  assert_int_equal(status_of(answer), 200);
  assert_non_null(strstr(answer, "\r\nContent-Length: 8\r\n"));
  assert_null(strstr(answer, "queue"));
}

static void an_old_set_is_not_handed_out(void **state) {
  struct fixture *f = *state;
  put(f, "queue 1\n");
  advance(f, rmq_s(MAX_AGE_S - 5));
  assert_int_equal(status_of(ask(f, "GET /metrics")), 200);
  advance(f, rmq_s(6));
  const char *answer = ask(f, "GET /metrics");
  assert_int_equal(status_of(answer), 503);
  assert_null(strstr(answer, "queue"));
  put(f, "queue 2\n");
  assert_int_equal(status_of(ask(f, "GET /metrics")), 200);
}

static void what_is_not_the_page_is_refused(void **state) {
  static const struct {
    const char *line;
    int want_status;
  } rows[] = {{"GET /metrics?name[]=up", 200},
              {"GET /metricsx", 404},
              {"GET /", 404},
              {"GET /metrics/", 404},
              {"POST /metrics", 405},
              {"DELETE /metrics", 405}};
  put(*state, "queue 1\n");
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i].line);
    const char *answer = ask(*state, rows[i].line);
    assert_int_equal(status_of(answer), rows[i].want_status);
    assert_true((strstr(answer, "\r\nAllow: GET, HEAD\r\n") != NULL) ==
                (rows[i].want_status == 405));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(before_the_first_set_there_is_no_page,
                                      set_up, tear_down),
      cmocka_unit_test_setup_teardown(the_last_set_is_handed_out, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(a_head_gets_the_page_without_its_body,
                                      set_up, tear_down),
      cmocka_unit_test_setup_teardown(an_old_set_is_not_handed_out, set_up,
                                      tear_down),
      cmocka_unit_test_setup_teardown(what_is_not_the_page_is_refused, set_up,
                                      tear_down),
  };
  return run_all(tests);
}
