/* SPDX-License-Identifier: MIT */
/* The server on a local socket in a private directory. What it is asked is a
 * path; what the handler does with it says `on_request` below. */
#include "rmq_config.h"

#include "common/host/http_listen.h"

#include "tests/testing.h"

#include "common/host/host_clock.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
  BODY_MAX = 1000,
  ANSWER_MAX = 65536,
  LARGE = 8 << 20,
  CONNECTIONS_MAX = 20,
  MOMENT_MS = 200, /* enough for a thread to wake */
  PATIENCE_MS = 60000,
  STEP_S = 60, /* what a client has for each step */
  IDLE_S = 600 /* later than any test's end */
};

struct fixture {
  struct rmq_host host;
  _Atomic int64_t ahead_ns; /* its clock before the machine's */
  char dir[64], path[80], address[100];
  struct rmq_http_listen_config config;
  struct rmq_http_listen *server;
  pthread_mutex_t lock;
  pthread_cond_t arrived;
  struct rmq_http_request *kept[8]; /* for an answer later */
  size_t kept_count;
  char headers[2000]; /* of the last request */
};

static void no_log(void *ctx, const struct rmq_log_record *record) {
  (void)ctx, (void)record;
}

static struct rmq_mono mono(void *ctx) {
  struct fixture *f = ctx;
  struct rmq_dur ahead = {atomic_load(&f->ahead_ns)};
  return rmq_mono_add(rmq_host_mono(NULL), ahead);
}

static struct rmq_http_answer say(int status, const char *text) {
  return (struct rmq_http_answer){.status = status,
                                  .content_type = "text/plain",
                                  .body = text,
                                  .body_len = strlen(text)};
}

static void note_header(void *ctx, const char *name, const char *value) {
  struct fixture *f = ctx;
  size_t n = strlen(f->headers);
  snprintf(f->headers + n, sizeof(f->headers) - n, "%s=%s;", name, value);
}

static void keep(struct fixture *f, struct rmq_http_request *q) {
  pthread_mutex_lock(&f->lock);
  f->kept[f->kept_count++] = q;
  pthread_cond_broadcast(&f->arrived);
  pthread_mutex_unlock(&f->lock);
}

/* /later is kept; /soon is kept with a deadline that has passed; /in-a-moment
 * with one that comes; /large is answered with more than a socket takes, all
 * else with method, target and body. */
static void on_request(void *ctx, struct rmq_http_request *q) {
  struct fixture *f = ctx;
  char text[2 * BODY_MAX];
  size_t len;
  f->headers[0] = '\0';
  rmq_http_request_headers(q, note_header, f);
  if (strcmp(rmq_http_request_target(q), "/later") == 0) {
    rmq_http_request_forget_body(q);
    keep(f, q);
    return;
  }
  if (strcmp(rmq_http_request_target(q), "/soon") == 0) {
    const struct rmq_http_answer late = say(504, "too late");
    rmq_http_request_expire(q, rmq_host_mono(NULL), &late);
    keep(f, q);
    return;
  }
  if (strcmp(rmq_http_request_target(q), "/in-a-moment") == 0) {
    const struct rmq_http_answer late = say(504, "nothing is known");
    rmq_http_request_expire(
        q, rmq_mono_add(rmq_host_mono(NULL), rmq_ms(MOMENT_MS)), &late);
    keep(f, q);
    return;
  }
  if (strcmp(rmq_http_request_target(q), "/large") == 0) {
    static char large[LARGE];
    memset(large, 'l', sizeof(large));
    rmq_http_request_answer(
        q, &(struct rmq_http_answer){
               .status = 200, .body = large, .body_len = sizeof(large)});
    return;
  }
  const char *body = rmq_http_request_body(q, &len);
  snprintf(text, sizeof(text), "%s %s %.*s", rmq_http_request_method(q),
           rmq_http_request_target(q), (int)len, body);
  struct rmq_http_answer a = say(200, text);
  a.headers[0] = (struct rmq_http_header){"X-Kind", "echo"};
  rmq_http_request_answer(q, &a);
}

static int set_up(void **state) {
  struct fixture *f = calloc(1, sizeof(*f));
  struct rmq_error err = {.text = ""};
  assert_non_null(f);
  snprintf(f->dir, sizeof(f->dir), "/tmp/warren-http-XXXXXX");
  assert_non_null(mkdtemp(f->dir));
  snprintf(f->path, sizeof(f->path), "%s/s", f->dir);
  snprintf(f->address, sizeof(f->address), "unix:%s", f->path);
  pthread_mutex_init(&f->lock, NULL);
  pthread_cond_init(&f->arrived, NULL);
  f->host = (struct rmq_host){.ctx = f,
                              .service = "warren",
                              .log = no_log,
                              .mono = mono,
                              .wall = rmq_host_wall};
  f->config =
      (struct rmq_http_listen_config){.host = &f->host,
                                      .plugin = "test",
                                      .address = f->address,
                                      .socket_mode = 0600,
                                      .connections_max = CONNECTIONS_MAX,
                                      .body_max = BODY_MAX,
                                      .bodies_max = 3 * BODY_MAX,
                                      .idle_timeout = rmq_s(IDLE_S),
                                      .counted = "/soon",
                                      .ctx = f,
                                      .request = on_request};
  f->server = rmq_http_listen_new(&f->config, &err);
  if (f->server == NULL)
    SHOW_ROW("%s", err.text);
  assert_non_null(f->server);
  assert_int_equal(rmq_http_listen_start(f->server, &err), 0);
  *state = f;
  return 0;
}

static void stop(struct fixture *f, struct rmq_dur patience) {
  rmq_http_listen_stop(f->server, rmq_mono_add(rmq_host_mono(NULL), patience));
  rmq_http_listen_join(f->server);
}

static int tear_down(void **state) {
  struct fixture *f = *state;
  stop(f, rmq_s(0));
  rmq_http_listen_free(f->server);
  rmdir(f->dir);
  free(f);
  return 0;
}

/* ---- a client ---- */

static int dial(const struct fixture *f) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  memcpy(name.sun_path, f->path, strlen(f->path) + 1);
  assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
  return fd;
}

static void tell(int fd, const char *text) {
  assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* What comes until the server closes or a whole answer is there. */
static const char *hear(int fd) {
  static char text[ANSWER_MAX];
  size_t len = 0;
  for (;;) {
    struct pollfd input = {.fd = fd, .events = POLLIN};
    text[len] = '\0';
    const char *end = strstr(text, "\r\n\r\n");
    const char *length = strstr(text, "Content-Length: ");
    if (end != NULL && length != NULL &&
        len >= (size_t)(end + 4 - text) + strtoul(length + 16, NULL, 10))
      return text;
    assert_int_equal(poll(&input, 1, PATIENCE_MS), 1);
    ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, 0);
    if (n <= 0)
      return text;
    len += (size_t)n;
  }
}

static int status_of(const char *answer) {
  int status = 0;
  sscanf(answer, "HTTP/1.1 %d ", &status);
  return status;
}

static const char *body_of(const char *answer) {
  const char *end = strstr(answer, "\r\n\r\n");
  return end == NULL ? "" : end + 4;
}

/* One request on a connection of its own. */
static const char *ask(const struct fixture *f, const char *request) {
  int fd = dial(f);
  tell(fd, request);
  const char *answer = hear(fd);
  close(fd);
  return answer;
}

static struct rmq_http_request *wait_kept(struct fixture *f, size_t which) {
  pthread_mutex_lock(&f->lock);
  while (f->kept_count <= which)
    pthread_cond_wait(&f->arrived, &f->lock);
  struct rmq_http_request *q = f->kept[which];
  pthread_mutex_unlock(&f->lock);
  return q;
}

static struct rmq_http_listen_stats stats_of(const struct fixture *f) {
  struct rmq_http_listen_stats s;
  rmq_http_listen_stats(f->server, &s);
  return s;
}

/* ---- tests ---- */

static void a_request_reaches_its_handler_as_it_was_sent(void **state) {
  struct fixture *f = *state;
  const char *answer =
      ask(f, "POST /publish/e/a%2Fb?x=%20+ HTTP/1.1\r\nHost: any\r\n"
             "X-A: 1\r\nx-a: 2\r\nContent-Length: 5\r\n\r\nhello");
  assert_int_equal(status_of(answer), 200);
  assert_string_equal(body_of(answer), "POST /publish/e/a%2Fb?x=%20+ hello");
  assert_non_null(strstr(answer, "X-Kind: echo\r\n"));
  assert_non_null(strstr(f->headers, "X-A=1;x-a=2;"));
}

static void a_body_may_come_in_chunks(void **state) {
  struct fixture *f = *state;
  const char *answer =
      ask(f, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
             "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n");
  assert_int_equal(status_of(answer), 200);
  assert_string_equal(body_of(answer), "POST /x abcde");
}

static void a_connection_serves_one_request_after_the_other(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  for (int i = 0; i < 3; i++) {
    tell(fd, "GET /health HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_string_equal(body_of(hear(fd)), "GET /health ");
  }
  close(fd);
  assert_true(stats_of(f).accepted == 1);
}

static void heads_that_are_not_to_be_trusted_are_refused(void **state) {
  struct fixture *f = *state;
  static const struct {
    const char *headers;
    int want;
  } rows[] = {
      {"", 200},
      {"Sec-Fetch-Site: none\r\n", 200},
      {"Origin: http://evil.example\r\n", 403},
      {"Origin: null\r\n", 403},
      {"Sec-Fetch-Site: cross-site\r\n", 403},
      {"Content-Length: 0\r\nContent-Length: 0\r\n", 400},
      {"Content-Length: x\r\n", 400},
      {"Content-Length: -1\r\n", 400},
      {"Content-Length: 8000\r\n", 413},
      {"Content-Length: 99999999999999999999999\r\n", 413},
      {"Content-Length: 1001\r\nExpect: 100-continue\r\n", 413},
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    char request[300];
    SHOW_ROW("%s", rows[i].headers);
    snprintf(request, sizeof(request), "POST /x HTTP/1.1\r\nHost: a\r\n%s\r\n",
             rows[i].headers);
    assert_int_equal(status_of(ask(f, request)), rows[i].want);
  }
}

static void a_body_over_the_bound_gets_413_however_it_comes(void **state) {
  struct fixture *f = *state;
  static char request[3 * BODY_MAX];
  for (int chunked = 0; chunked < 2; chunked++)
    for (int over = 0; over < 2; over++) {
      char body[BODY_MAX + 2];
      int len = BODY_MAX + over;
      memset(body, 'b', sizeof(body));
      SHOW_ROW("%s %d", chunked ? "chunked" : "plain", len);
      if (chunked)
        snprintf(request, sizeof(request),
                 "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                 "chunked\r\n\r\n%x\r\n%.*s\r\n0\r\n\r\n",
                 (unsigned)len, len, body);
      else
        snprintf(request, sizeof(request),
                 "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: "
                 "%d\r\n\r\n%.*s",
                 len, len, body);
      const char *answer = ask(f, request);
      assert_int_equal(status_of(answer), over ? 413 : 200);
      if (over)
        assert_string_equal(body_of(answer),
                            "{\"error\":\"the body is too large\"}\n");
    }
  assert_true(stats_of(f).requests == 2);
  assert_true(stats_of(f).answers[200] == 2);
  assert_true(stats_of(f).answers[413] == 2);
}

/* Three bodies but for a byte fill the room for all; announcing them does not.
 */
static void bodies_together_are_bounded(void **state) {
  struct fixture *f = *state;
  int fd[3];
  static const char head[] =
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n"
      "Expect: 100-continue\r\n\r\n";
  for (int i = 0; i < 3; i++) {
    char text[64];
    fd[i] = dial(f);
    tell(fd[i], head);
    assert_true(recv(fd[i], text, sizeof(text), 0) > 0); /* 100 Continue */
    assert_memory_equal(text, "HTTP/1.1 100", 12);
  }
  assert_int_equal(status_of(ask(f, "POST /x HTTP/1.1\r\nHost: a\r\n"
                                    "Content-Length: 4\r\n\r\nbody")),
                   200);
  char body[BODY_MAX];
  memset(body, 'b', sizeof(body) - 1);
  body[sizeof(body) - 1] = '\0';
  for (int i = 0; i < 3; i++)
    tell(fd[i], body);
  const char *answer;
  int tries = 0;
  do /* the server may not have read them yet */
    answer = ask(f, "POST /x HTTP/1.1\r\nHost: a\r\n"
                    "Content-Length: 4\r\n\r\nbody");
  while (status_of(answer) == 200 && ++tries < 1000);
  assert_int_equal(status_of(answer), 503);
  assert_non_null(strstr(answer, "Retry-After: 1\r\n"));
  close(fd[0]);
  /* its room is free as soon as the server has seen that */
  int status;
  do
    status = status_of(ask(f, "POST /x HTTP/1.1\r\nHost: a\r\n"
                              "Content-Length: 1\r\n\r\nb"));
  while (status == 503);
  assert_int_equal(status, 200);
  close(fd[1]);
  close(fd[2]);
}

static void an_answer_may_come_later_and_from_another_thread(void **state) {
  struct fixture *f = *state;
  int fd[2];
  for (size_t i = 0; i < 2; i++) {
    fd[i] = dial(f);
    tell(fd[i], "POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: "
                "3\r\n\r\nabc");
    wait_kept(f, i);
  }
  /* nobody else waits for them */
  assert_int_equal(status_of(ask(f, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n")),
                   200);
  for (size_t i = 2; i-- > 0;) {
    const struct rmq_http_answer a = say(202, i == 0 ? "first" : "second");
    rmq_http_request_answer(f->kept[i], &a);
    const char *answer = hear(fd[i]);
    assert_int_equal(status_of(answer), 202);
    assert_string_equal(body_of(answer), i == 0 ? "first" : "second");
    close(fd[i]);
  }
}

static void a_client_that_is_gone_costs_nothing(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  tell(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  struct rmq_http_request *q = wait_kept(f, 0);
  close(fd);
  const struct rmq_http_answer a = say(200, "to nobody");
  rmq_http_request_answer(q, &a);
  assert_int_equal(status_of(ask(f, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n")),
                   200);
}

static void whoever_waits_at_the_bound_is_next_when_one_goes(void **state) {
  struct fixture *f = *state;
  static const char request[] = "GET /now HTTP/1.1\r\nHost: a\r\n\r\n";
  int fds[CONNECTIONS_MAX];
  for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
    fds[i] = dial(f);
    tell(fds[i], request);
    assert_int_equal(status_of(hear(fds[i])), 200);
  }
  struct pollfd next = {.fd = dial(f), .events = POLLIN};
  tell(next.fd, request);
  assert_int_equal(poll(&next, 1, 20), 0);
  assert_true(stats_of(f).at_bound == 1);
  close(fds[0]);
  assert_int_equal(poll(&next, 1, PATIENCE_MS), 1);
  assert_int_equal(status_of(hear(next.fd)), 200);
  close(next.fd);
  for (size_t i = 1; i < CONNECTIONS_MAX; i++)
    close(fds[i]);
}

/* Whoever answers: the handler, its deadline, or the server before both. */
static void answers_below_a_path_are_counted_apart(void **state) {
  struct fixture *f = *state;
  char request[BODY_MAX + 200], body[BODY_MAX + 2];
  memset(body, 'b', sizeof(body));
  assert_int_equal(status_of(ask(f, "GET /so HTTP/1.1\r\nHost: a\r\n\r\n")),
                   200);
  assert_true(stats_of(f).counted == 0);
  assert_int_equal(status_of(ask(f, "GET /soon/x HTTP/1.1\r\nHost: a\r\n\r\n")),
                   200);
  snprintf(request, sizeof(request),
           "POST /soon HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%.*s",
           BODY_MAX + 1, BODY_MAX + 1, body);
  assert_int_equal(status_of(ask(f, request)), 413);
  assert_true(stats_of(f).counted == 2 && stats_of(f).counted_failed == 0);
  assert_int_equal(status_of(ask(f, "GET /soon HTTP/1.1\r\nHost: a\r\n\r\n")),
                   504);
  const struct rmq_http_answer a = say(200, "later");
  rmq_http_request_answer(wait_kept(f, 0), &a);
  assert_true(stats_of(f).counted == 3 && stats_of(f).counted_failed == 1);
}

static void a_deadline_answers_and_what_comes_later_is_dropped(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  tell(fd, "GET /soon HTTP/1.1\r\nHost: a\r\n\r\n");
  const char *answer = hear(fd);
  assert_int_equal(status_of(answer), 504);
  assert_string_equal(body_of(answer), "too late");
  const struct rmq_http_answer a = say(200, "even later");
  rmq_http_request_answer(wait_kept(f, 0), &a);
  assert_true(stats_of(f).expired == 1);
  assert_true(stats_of(f).late == 1);
  assert_true(stats_of(f).answers[504] == 1);
  tell(fd, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n");
  assert_string_equal(body_of(hear(fd)), "GET /now ");
  close(fd);
}

struct crowd {
  const struct fixture *f;
  atomic_bool is_over;
};

/* Requests that are answered at once, each on a connection that is closed. */
static void *come_and_go(void *arg) {
  struct crowd *c = arg;
  while (!atomic_load(&c->is_over)) {
    char text[256];
    int fd = dial(c->f);
    tell(fd, "GET /now HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    while (recv(fd, text, sizeof(text), 0) > 0)
      continue;
    close(fd);
  }
  return NULL;
}

static void a_crowd_delays_no_deadline(void **state) {
  struct crowd crowd = {.f = *state};
  pthread_t clients[100];
  atomic_init(&crowd.is_over, false);
  int fd = dial(crowd.f);
  for (size_t i = 0; i < COUNT_OF(clients); i++)
    assert_int_equal(pthread_create(&clients[i], NULL, come_and_go, &crowd), 0);
  tell(fd, "GET /in-a-moment HTTP/1.1\r\nHost: a\r\n\r\n");
  struct pollfd answer = {.fd = fd, .events = POLLIN};
  int is_there = poll(&answer, 1, 2000);
  atomic_store(&crowd.is_over, true);
  for (size_t i = 0; i < COUNT_OF(clients); i++)
    pthread_join(clients[i], NULL);
  assert_int_equal(is_there, 1);
  assert_int_equal(status_of(hear(fd)), 504);
  const struct rmq_http_answer late = say(200, "done");
  rmq_http_request_answer(wait_kept(*state, 0), &late);
  close(fd);
}

static void a_deadline_says_what_is_known_by_then(void **state) {
  struct fixture *f = *state;
  const struct rmq_http_answer known = say(504, "half of it is done");
  const struct rmq_http_answer late = say(200, "done");
  int fd = dial(f);
  tell(fd, "GET /in-a-moment HTTP/1.1\r\nHost: a\r\n\r\n");
  struct rmq_http_request *q = wait_kept(f, 0);
  rmq_http_request_reword(q, &known);
  const char *answer = hear(fd);
  assert_int_equal(status_of(answer), 504);
  assert_string_equal(body_of(answer), "half of it is done");
  rmq_http_request_reword(q, &late); /* too late, and no harm */
  rmq_http_request_answer(q, &late);
  assert_true(stats_of(f).late == 1);
  close(fd);
}

static void the_end_waits_for_answers(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  tell(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  struct rmq_http_request *q = wait_kept(f, 0);
  rmq_http_listen_stop(f->server, rmq_mono_add(rmq_host_mono(NULL), rmq_s(20)));
  const struct rmq_http_answer a = say(200, "in time");
  rmq_http_request_answer(q, &a);
  rmq_http_listen_join(f->server);
  assert_string_equal(body_of(hear(fd)), "in time");
  close(fd);
  assert_int_equal(access(f->path, F_OK), -1);
}

static void the_end_does_not_wait_for_ever(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  tell(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  struct rmq_http_request *q = wait_kept(f, 0);
  stop(f, rmq_s(0));
  assert_int_equal(status_of(hear(fd)), 503);
  close(fd);
  const struct rmq_http_answer a = say(200, "to nobody");
  rmq_http_request_answer(q, &a);
}

static void a_request_may_outlive_its_server(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  tell(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  struct rmq_http_request *q = wait_kept(f, 0);
  stop(f, rmq_s(0));
  rmq_http_listen_free(f->server);
  const struct rmq_http_answer a = say(200, "to nobody");
  rmq_http_request_answer(q, &a);
  close(fd);
  struct rmq_error err = {.text = ""};
  f->server = rmq_http_listen_new(&f->config, &err);
  assert_non_null(f->server);
}

/* ---- clients that take their time ---- */

/* The server's clock is moved, and it looks at it. */
static void advance(struct fixture *f, struct rmq_dur d) {
  atomic_fetch_add(&f->ahead_ns, d.ns);
  assert_int_equal(status_of(ask(f, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n")),
                   200);
}

/* Reads until the server closes, and returns how much there was. */
static size_t drain(int fd) {
  static char bytes[ANSWER_MAX];
  struct pollfd input = {.fd = fd, .events = POLLIN};
  for (size_t len = 0;;) {
    assert_int_equal(poll(&input, 1, PATIENCE_MS), 1);
    ssize_t n = recv(fd, bytes, sizeof(bytes), 0);
    if (n <= 0)
      return len;
    len += (size_t)n;
  }
}

/* A byte of each now and then, which the library's own bound allows for ever.
 */
static void a_request_that_drips_costs_its_place(void **state) {
  struct fixture *f = *state;
  static const char *const rows[] = {
      "",
      "G",
      "GET /now HTTP/1.1\r\nX: ",
      "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nb",
      "POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0",
      ("POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
       "0\r\nX: "),
  };
  for (size_t i = 0; i < COUNT_OF(rows); i++) {
    SHOW_ROW("%s", rows[i]);
    int fd = dial(f);
    tell(fd, rows[i]);
    for (int byte = 0; byte < 5; byte++) {
      advance(f, rmq_s(STEP_S / 2));
      send(fd, "0", 1, MSG_NOSIGNAL);
    }
    assert_int_equal(drain(fd), 0);
    close(fd);
  }
}

static void an_answer_that_nobody_takes_costs_its_place(void **state) {
  struct fixture *f = *state;
  struct pollfd input = {.fd = dial(f), .events = POLLIN};
  tell(input.fd, "GET /large HTTP/1.1\r\nHost: a\r\n\r\n");
  assert_int_equal(poll(&input, 1, PATIENCE_MS), 1);
  advance(f, rmq_s(STEP_S + 1));
  assert_in_range(drain(input.fd), 1, LARGE - 1);
  close(input.fd);
}

static void each_request_of_a_connection_has_its_own_time(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  for (int i = 0; i < 4; i++) {
    advance(f, rmq_s(STEP_S * 2 / 3));
    tell(fd, "POST /now HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n"
             "Expect: 100-continue\r\n\r\n");
    char text[64];
    assert_true(recv(fd, text, sizeof(text), 0) > 0); /* 100 Continue */
    advance(f, rmq_s(STEP_S * 2 / 3));
    tell(fd, "abc");
    assert_string_equal(body_of(hear(fd)), "POST /now abc");
  }
  close(fd);
}

/* How long that is says the deadline that its handler gave it. */
static void who_waits_for_us_is_never_late(void **state) {
  struct fixture *f = *state;
  int fd = dial(f);
  tell(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
  struct rmq_http_request *q = wait_kept(f, 0);
  advance(f, rmq_s(10 * STEP_S));
  const struct rmq_http_answer a = say(200, "at last");
  rmq_http_request_answer(q, &a);
  assert_string_equal(body_of(hear(fd)), "at last");
  close(fd);
}

static void what_others_can_reach_has_to_be_allowed(void **state) {
  struct fixture *f = *state;
  struct rmq_http_listen_config config = f->config;
  struct rmq_error err = {.text = ""};
  config.address = "0.0.0.0:0";
  assert_null(rmq_http_listen_new(&config, &err));
  assert_non_null(strstr(err.text, "can be reached from other hosts"));
}

/* Bytes that are no request, cut anywhere: the next client is served. */
static void garbage_is_survived(void **state) {
  struct fixture *f = *state;
  static const char *const garbage[] = {
      "\r\n\r\n\r\n",
      "GET\r\n\r\n",
      "GET / HTTP/9.9\r\n\r\n",
      "\x16\x03\x01\x02\x01\x01\x01\xfc\x03\x03",
      "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
      ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
       "Content-Length: 3\r\n\r\nabc"),
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc",
      "GET /x HTTP/1.1\r\n: \r\n\r\n",
      "GET /x HTTP/1.1\r\nHost: a\r\n broken: fold\r\n\r\n",
  };
  for (size_t i = 0; i < COUNT_OF(garbage); i++)
    for (size_t cut = 1; cut <= strlen(garbage[i]); cut += 7) {
      int fd = dial(f);
      assert_int_equal(send(fd, garbage[i], cut, MSG_NOSIGNAL), cut);
      close(fd);
    }
  static char long_head[100000] = "GET /x HTTP/1.1\r\nHost: a\r\nX: ";
  memset(long_head + strlen(long_head), 'y',
         sizeof(long_head) - strlen(long_head) - 1);
  int fd = dial(f);
  send(fd, long_head, strlen(long_head), MSG_NOSIGNAL);
  int status = status_of(hear(fd));
  assert_true(status == 431 || status == 413 || status == 0);
  close(fd);
  assert_int_equal(status_of(ask(f, "GET /now HTTP/1.1\r\nHost: a\r\n\r\n")),
                   200);
}

#define WITH_SERVER(test)                                                      \
  cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_SERVER(a_request_reaches_its_handler_as_it_was_sent),
      WITH_SERVER(a_body_may_come_in_chunks),
      WITH_SERVER(a_connection_serves_one_request_after_the_other),
      WITH_SERVER(heads_that_are_not_to_be_trusted_are_refused),
      WITH_SERVER(a_body_over_the_bound_gets_413_however_it_comes),
      WITH_SERVER(bodies_together_are_bounded),
      WITH_SERVER(an_answer_may_come_later_and_from_another_thread),
      WITH_SERVER(a_client_that_is_gone_costs_nothing),
      WITH_SERVER(whoever_waits_at_the_bound_is_next_when_one_goes),
      WITH_SERVER(answers_below_a_path_are_counted_apart),
      WITH_SERVER(a_deadline_answers_and_what_comes_later_is_dropped),
      WITH_SERVER(a_crowd_delays_no_deadline),
      WITH_SERVER(a_deadline_says_what_is_known_by_then),
      WITH_SERVER(the_end_waits_for_answers),
      WITH_SERVER(the_end_does_not_wait_for_ever),
      WITH_SERVER(a_request_may_outlive_its_server),
      WITH_SERVER(a_request_that_drips_costs_its_place),
      WITH_SERVER(an_answer_that_nobody_takes_costs_its_place),
      WITH_SERVER(each_request_of_a_connection_has_its_own_time),
      WITH_SERVER(who_waits_for_us_is_never_late),
      WITH_SERVER(what_others_can_reach_has_to_be_allowed),
      WITH_SERVER(garbage_is_survived),
  };
  return run_all(tests);
}
