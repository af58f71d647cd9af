/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_publish_listen.h"

#include "plugins/warren.h"
#include "plugins/warren_publish_desk.h"
#include "plugins/warren_publish_input.h"

#include "common/base/uuid.h"
#include "common/host/http_listen.h"
#include "common/role/publish_reply.h"
#include "common/role/publish_request.h"
#include "common/role/publish_spool.h"

#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum {
  LISTEN_IDLE_S = 60,
  LISTEN_WAITING_MAX = 1 << 20 /* requests; more are refused */
};

#define FIELD(member)                                                          \
  .offset = offsetof(struct warren_publish_listen_options, member)

const struct rmq_option warren_publish_listen_table[] = {
    {.name = "Listen",
     .type = RMQ_OPT_STRING,
     FIELD(listen),
     .help =
         "Take messages by HTTP on 127.0.0.1:PORT, [::1]:PORT or unix:PATH, "
         "not from standard input."},
    {.name = "ListenAnywhere",
     .type = RMQ_OPT_BOOLEAN,
     FIELD(anywhere),
     .default_value = "false",
     .help = "Allow an address that other hosts reach; there is no password."},
    {.name = "ListenSocketMode",
     .type = RMQ_OPT_STRING,
     FIELD(socket_mode),
     .default_value = "0660",
     .help = "Permissions of the socket of unix:PATH, in octal."},
    {.name = "ListenConnections",
     .type = RMQ_OPT_INTEGER,
     FIELD(connections_max),
     .default_value = "512",
     .min = 1,
     .max = 10000,
     .unit = "connections",
     .help = "Most clients at a time; others wait to be accepted."},
    {.name = "ListenTimeout",
     .type = RMQ_OPT_DURATION,
     FIELD(timeout),
     .default_value = "30",
     .min = 1,
     .max = 600,
     .unit = "seconds",
     .help =
         "How long a request waits for its answer, unless it says timeout=."},
    {.name = "ListenMaxBytes",
     .type = RMQ_OPT_BYTES,
     FIELD(message_max),
     .default_value = "1MiB",
     .min = 1,
     .max = 128 << 20,
     .unit = "bytes",
     .help = "Largest message that is taken by HTTP."},
    RMQ_OPTIONS_END};

static int socket_mode(const struct warren_publish_listen_options *o,
                       mode_t *ret_mode) {
  size_t digits = strspn(o->socket_mode, "01234567");
  if (digits < 3 || digits > 4 || o->socket_mode[digits] != '\0')
    return -1;
  *ret_mode = (mode_t)strtoul(o->socket_mode, NULL, 8) & 0777;
  return 0;
}

static bool promises_the_disk(const struct rmq_publish_options *publish) {
  return rmq_publish_spool_mode(publish) == RMQ_SPOOL_ALWAYS;
}

int warren_publish_listen_check(const struct warren_publish_listen_options *o,
                                const struct rmq_publish_options *publish,
                                struct rmq_buf *errors) {
  mode_t mode;
  size_t before = errors->len;
  if (o->listen == NULL)
    return 0;
  if (socket_mode(o, &mode) != 0)
    rmq_buf_appendf(errors,
                    "--listen-socket-mode \"%s\": three or four octal "
                    "digits are allowed, such as 0660\n",
                    o->socket_mode);
  if (publish->spool_dir != NULL && !promises_the_disk(publish))
    rmq_buf_append_text(errors,
                        "--listen with --spool-dir needs --spool-mode always: "
                        "the answer 202 says that the message is on the "
                        "disk\n");
  if (!publish->confirm)
    rmq_buf_append_text(errors, "--listen needs confirms: without them no "
                                "answer could be given\n");
  return errors->len == before ? 0 : -1;
}

struct session {
  const struct warren_publish_listen_options *options;
  struct rmq_role_publish *role;
  const struct rmq_host *host;
  const struct warren_voice *voice;
  struct warren_publish_page *page;
  bool has_spool;
  struct warren_desk *desk;
  struct rmq_http_listen *server;
  /* The server's thread. */
  struct rmq_publish_request request;
  struct rmq_error header_err;
  struct rmq_uuid instance;
  uint64_t ids_count;
};

/* ---- a message ---- */

static void refuse(struct rmq_http_request *q, int status, const char *reason) {
  struct rmq_buf body;
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  rmq_publish_reply_error(status, reason, &body);
  warren_desk_answer(q, status, NULL, &body);
}

static void on_header(void *ctx, const char *name, const char *value) {
  struct session *s = ctx;
  if (!rmq_error_is_set(&s->header_err))
    rmq_publish_request_header(&s->request, name, value, &s->header_err);
}

static int read_headers(struct session *s, const struct rmq_http_request *q) {
  s->header_err = (struct rmq_error){.text = ""};
  rmq_http_request_headers(q, on_header, s);
  if (rmq_error_is_set(&s->header_err))
    return -1;
  return rmq_publish_request_end(&s->request, &s->header_err);
}

static void hand_over(struct session *s, struct rmq_http_request *q) {
  struct rmq_outgoing *m = &s->request.message;
  struct rmq_mono now = s->host->mono(s->host->ctx);
  struct rmq_mono deadline = rmq_mono_add(now, s->request.timeout);
  struct rmq_error err = {.text = ""};
  char own_id[RMQ_MESSAGE_ID_SIZE];
  if (m->message_id == NULL) {
    rmq_uuid_message_id(s->instance, ++s->ids_count, own_id);
    m->message_id = own_id;
  }
  /* Whoever waits is told at once, and decides. */
  m->max_attempts = s->request.wants_confirm ? 1 : 0;
  m->body = rmq_http_request_body(q, &m->body_len);
  warren_desk_sweep(s->desk, now);
  m->tag = warren_desk_take(s->desk, q, s->request.wants_confirm, m->message_id,
                            deadline);
  if (m->tag == 0) {
    refuse(q, 503, "too many requests wait for an answer");
    return;
  }
  enum rmq_publish_answer answer = rmq_role_publish_message(s->role, m, &err);
  rmq_http_request_forget_body(q);
  if (answer == RMQ_PUBLISH_TAKEN)
    return;
  struct rmq_buf body;
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  int status = rmq_publish_reply_refusal(answer, err.text, &body);
  warren_desk_withdraw(s->desk, m->tag);
  warren_desk_answer(q, status, NULL, &body);
}

static void publish(struct session *s, struct rmq_http_request *q) {
  bool needs_spool = !s->request.wants_confirm;
  if (needs_spool && !s->has_spool)
    refuse(q, 400,
           "there is no --spool-dir to keep the message in: ask with "
           "?wait=confirm");
  else if (needs_spool && !rmq_role_publish_can_spool(s->role))
    refuse(q, 503,
           "the spool cannot be written now (the log says why), and the "
           "message was not taken: ask with ?wait=confirm, or later");
  else if (read_headers(s, q) != 0)
    refuse(q, 400, s->header_err.text);
  else
    hand_over(s, q);
}

/* ---- everything else ---- */

/* Whether every message would be taken, as far as that is known. */
static void health(struct session *s, struct rmq_http_request *q) {
  struct rmq_publish_totals t;
  struct rmq_buf body;
  rmq_role_publish_totals(s->role, &t);
  bool can_spool = rmq_role_publish_can_spool(s->role);
  bool is_fine = s->has_spool ? can_spool : t.is_connected;
  const char *trouble =
      s->has_spool ? "the spool cannot be written" : "no broker and no spool";
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  rmq_buf_appendf(&body,
                  "{\"status\":\"%s\",\"connected\":%s,\"can_spool\":%s,"
                  "\"waiting\":%" PRIu64 ",\"spooled\":%" PRIu64 "}\n",
                  is_fine ? "ok" : trouble, t.is_connected ? "true" : "false",
                  can_spool ? "true" : "false", t.waiting, t.spooled);
  warren_desk_answer(q, is_fine ? 200 : 503, NULL, &body);
}

static void metrics(struct session *s, struct rmq_http_request *q) {
  struct rmq_http_listen_stats stats;
  rmq_http_listen_stats(s->server, &stats);
  const struct rmq_buf *page =
      warren_publish_page_make(s->page, s->role, &stats);
  if (page == NULL) {
    refuse(q, 503, "there is no memory for the page");
    return;
  }
  const struct rmq_http_answer a = {.status = 200,
                                    .content_type =
                                        warren_publish_page_content_type(),
                                    .body = rmq_buf_bytes(page),
                                    .body_len = page->len};
  rmq_http_request_answer(q, &a);
}

static void on_request(void *ctx, struct rmq_http_request *q) {
  struct session *s = ctx;
  struct rmq_error err = {.text = ""};
  const char *target = rmq_http_request_target(q);
  switch (rmq_publish_request_begin(&s->request, rmq_http_request_method(q),
                                    target, s->options->timeout, &err)) {
  case RMQ_PUBLISH_WISH_MESSAGE:
    publish(s, q);
    return;
  case RMQ_PUBLISH_WISH_HEALTH:
    health(s, q);
    return;
  case RMQ_PUBLISH_WISH_METRICS:
    metrics(s, q);
    return;
  case RMQ_PUBLISH_WISH_UNKNOWN:
    refuse(q, 404,
           "there is /publish/EXCHANGE/ROUTING-KEY, /health and /metrics");
    return;
  case RMQ_PUBLISH_WISH_METHOD:
    rmq_http_request_wrong_method(
        q, strncmp(target, "/publish", 8) == 0 ? "POST, PUT" : "GET, HEAD");
    return;
  case RMQ_PUBLISH_WISH_BAD:
    break;
  }
  refuse(q, 400, err.text);
}

/* ---- lifecycle ---- */

static int complain(const struct session *s, const char *text) {
  warren_say(s->voice, RMQ_LOG_ERROR, "not_started", "%s", text);
  return -1;
}

static struct rmq_http_listen *
open_server(struct session *s,
            const struct rmq_publish_options *publish_options,
            struct rmq_error *err) {
  uint64_t body_max = rmq_role_publish_body_max(s->role);
  struct rmq_http_listen_config config = {
      .host = s->host,
      .plugin = "rabbitmq_publish",
      .address = s->options->listen,
      .is_anywhere_allowed = s->options->anywhere,
      .connections_max = (size_t)s->options->connections_max,
      .body_max = (size_t)s->options->message_max,
      .bodies_max = (size_t)publish_options->send_queue_bytes,
      .idle_timeout = rmq_s(LISTEN_IDLE_S),
      .counted = "/publish/",
      .ctx = s,
      .request = on_request};
  if (config.body_max > body_max)
    config.body_max = (size_t)body_max;
  if (config.bodies_max < config.body_max)
    config.bodies_max = config.body_max;
  if (socket_mode(s->options, &config.socket_mode) != 0)
    config.socket_mode = 0600;
  return rmq_http_listen_new(&config, err);
}

/* ret_is_joined: whether none of the role's threads runs after a failure. */
static int start(struct session *s,
                 const struct rmq_publish_options *publish_options,
                 bool *ret_is_joined) {
  struct rmq_error err = {.text = ""};
  s->desk = warren_desk_new(LISTEN_WAITING_MAX);
  if (s->desk == NULL)
    return complain(s, "out of memory");
  const struct rmq_fate_sink sink = {s->desk, warren_desk_tell};
  rmq_role_publish_on_fate(s->role, &sink);
  s->server = open_server(s, publish_options, &err);
  if (s->server != NULL && rmq_role_publish_start(s->role, &err) == 0) {
    if (rmq_http_listen_start(s->server, &err) == 0)
      return 0;
    struct rmq_mono now = s->host->mono(s->host->ctx);
    rmq_role_publish_stop(s->role, now);
    rmq_role_publish_join(s->role, rmq_mono_add(now, rmq_s(1)));
  }
  *ret_is_joined = !rmq_role_publish_is_left_behind(s->role);
  return complain(s, err.text);
}

static uint64_t dropped(const struct session *s) {
  struct rmq_publish_totals t;
  rmq_role_publish_totals(s->role, &t);
  return t.dropped;
}

/* The server first, so that nothing new comes; the role's end gives every
 * message its fate, and so every request its answer. */
static bool stop(struct session *s, struct rmq_dur patience) {
  struct rmq_mono deadline =
      rmq_mono_add(s->host->mono(s->host->ctx), patience);
  rmq_http_listen_stop(s->server, rmq_mono_add(deadline, rmq_s(1)));
  rmq_role_publish_stop(s->role, deadline);
  bool is_joined =
      rmq_role_publish_join(s->role, rmq_mono_add(deadline, rmq_ms(500)));
  rmq_http_listen_join(s->server);
  return is_joined;
}

int warren_publish_listen_run(const struct warren_publish_listen_options *o,
                              const struct rmq_publish_options *publish_options,
                              struct rmq_role_publish *role,
                              const struct rmq_host *host,
                              const struct warren_voice *voice,
                              struct warren_publish_page *page,
                              struct rmq_dur patience, bool *ret_is_joined) {
  sigset_t ends;
  int signal_number;
  struct session *s = calloc(1, sizeof(*s));
  *ret_is_joined = true;
  if (s == NULL)
    return WARREN_EXIT_FAILED;
  s->options = o;
  s->role = role;
  s->host = host;
  s->voice = voice;
  s->page = page;
  s->has_spool = promises_the_disk(publish_options);
  s->instance =
      rmq_uuid_from_bits(host->random(host->ctx), host->random(host->ctx));
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  if (!warren_publish_outlives_hangup())
    sigaddset(&ends, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &ends, NULL);
  int status = start(s, publish_options, ret_is_joined) == 0
                   ? WARREN_EXIT_OK
                   : WARREN_EXIT_FAILED;
  if (status == WARREN_EXIT_OK) {
    sigwait(&ends, &signal_number);
    uint64_t before = dropped(s);
    *ret_is_joined = stop(s, patience);
    status = *ret_is_joined && dropped(s) == before ? WARREN_EXIT_OK
                                                    : WARREN_EXIT_FAILED;
  }
  rmq_http_listen_free(s->server);
  if (*ret_is_joined) { /* else its threads still use them */
    warren_desk_free(s->desk);
    free(s);
  }
  return status;
}
