/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/http_listen.h"

#include "common/host/http_listen_private.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
  LISTEN_HEAD_BYTES = 32 * 1024, /* of a connection: request line, headers */
  LISTEN_LAST_MS = 250,          /* for the last answers to get out */
  LISTEN_STACK_BYTES = 1 << 20
};

/* ---- owners ---- */

static void listen_free(struct rmq_http_listen *l) {
  pthread_mutex_destroy(&l->lock);
  close(l->wake);
  free(l);
}

void rmq_http_listen_leave(struct rmq_http_listen *l) {
  bool is_last = --l->owners == 0;
  pthread_mutex_unlock(&l->lock);
  if (is_last)
    listen_free(l);
}

void rmq_http_listen_wake(struct rmq_http_listen *l) {
  static const uint64_t one = 1;
  ssize_t n = write(l->wake, &one, sizeof(one));
  (void)n; /* a counter that is full wakes as well */
}

/* ---- the thread ---- */

/* With the lock held: those whose deadline has come are answered, and the next
 * one is found. */
static void expire(struct rmq_http_listen *l, struct rmq_mono now) {
  if (!rmq_mono_reached(now, l->next_expiry))
    return;
  l->next_expiry = RMQ_NEVER;
  struct rmq_node *n = rmq_list_first(&l->waiting), *next;
  for (; n != NULL; n = next) {
    struct rmq_http_request *q = RMQ_ELEMENT(n, struct rmq_http_request, node);
    next = rmq_list_next(&l->waiting, n);
    if (!rmq_mono_reached(now, q->deadline)) {
      l->next_expiry = rmq_mono_min(l->next_expiry, q->deadline);
      continue;
    }
    q->is_answered = true;
    q->reply = q->expiry;
    q->expiry.response = NULL;
    l->stats.expired++;
    rmq_list_remove(&l->waiting, n);
    rmq_list_push_back(&l->ready, n);
  }
}

/* With the lock held: nobody waits any longer. */
static void give_up(struct rmq_http_listen *l) {
  for (struct rmq_node *n; (n = rmq_list_pop_front(&l->waiting)) != NULL;) {
    struct rmq_http_request *q = RMQ_ELEMENT(n, struct rmq_http_request, node);
    q->is_answered = true;
    q->reply = rmq_http_request_refusal(
        503, "the server stopped before this was decided");
    rmq_list_push_back(&l->ready, n);
  }
}

/* With the lock held. */
static void resume_ready(struct rmq_http_listen *l) {
  for (struct rmq_node *n; (n = rmq_list_pop_front(&l->ready)) != NULL;) {
    struct rmq_http_request *q = RMQ_ELEMENT(n, struct rmq_http_request, node);
    q->is_suspended = false;
    MHD_resume_connection(q->connection);
  }
}

/* One round of the library and of our lists. Returns when the next is due. */
static struct rmq_mono turn(struct rmq_http_listen *l, struct rmq_mono now) {
  MHD_UNSIGNED_LONG_LONG ms = 0;
  pthread_mutex_lock(&l->lock);
  expire(l, now);
  if (l->is_over)
    give_up(l);
  resume_ready(l);
  pthread_mutex_unlock(&l->lock);
  l->has_room = false;
  MHD_run(l->daemon);
  struct rmq_mono due = rmq_http_client_close_late(l, now);
  /* At a bound, of connections or of descriptors, the library looks at the
   * listening socket no more until the round after one has ended, and does not
   * say that this round is due. Not here: clients that come and go could keep
   * us from our lists for ever. */
  if (l->has_room)
    return now;
  if (MHD_get_timeout(l->daemon, &ms) == MHD_YES)
    due = rmq_mono_min(
        due, rmq_mono_add(now, rmq_ms(ms > 60000 ? 60000 : (int64_t)ms)));
  pthread_mutex_lock(&l->lock);
  due = rmq_mono_min(due, l->next_expiry);
  pthread_mutex_unlock(&l->lock);
  return due;
}

static void sleep_until(struct rmq_http_listen *l, struct rmq_mono due) {
  const union MHD_DaemonInfo *info =
      MHD_get_daemon_info(l->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  const struct rmq_host *host = l->config.host;
  struct pollfd fds[2] = {{.fd = info->epoll_fd, .events = POLLIN},
                          {.fd = l->wake, .events = POLLIN}};
  int64_t ns = rmq_mono_since(due, host->mono(host->ctx)).ns;
  int timeout = -1;
  if (!rmq_mono_is_never(due))
    timeout = ns <= 0 ? 0 : (int)((ns - 1) / RMQ_NS_PER_MS + 1);
  poll(fds, 2, timeout);
  uint64_t times;
  if ((fds[1].revents & POLLIN) != 0 &&
      read(l->wake, &times, sizeof(times)) < 0)
    return; /* read before: there is nothing to be reset */
}

static void stop_accepting(struct rmq_http_listen *l) {
  rmq_http_socket_remove(&l->socket);
  int fd = MHD_quiesce_daemon(l->daemon);
  if (fd >= 0)
    close(fd);
}

/* Whoever still waits at stop_at is answered in at least one more turn: the
 * library does not end with a connection suspended. */
static void *serve(void *arg) {
  struct rmq_http_listen *l = arg;
  const struct rmq_host *host = l->config.host;
  struct rmq_mono end = RMQ_NEVER;
  bool is_stopping = false;
  for (;;) {
    struct rmq_mono now = host->mono(host->ctx);
    pthread_mutex_lock(&l->lock);
    struct rmq_mono stop_at = l->stop_at;
    pthread_mutex_unlock(&l->lock);
    if (!is_stopping && !rmq_mono_is_never(stop_at)) {
      is_stopping = true;
      stop_accepting(l);
    }
    if (!l->is_over && rmq_mono_reached(now, stop_at)) {
      l->is_over = true;
      end = rmq_mono_add(now, rmq_ms(LISTEN_LAST_MS));
    }
    if ((is_stopping && l->active == 0) || rmq_mono_reached(now, end))
      return NULL;
    struct rmq_mono due = turn(l, now);
    sleep_until(l, rmq_mono_min(due, l->is_over ? end : stop_at));
  }
}

/* ---- what the library asks ---- */

static void on_connection(void *ctx, struct MHD_Connection *connection,
                          void **own,
                          enum MHD_ConnectionNotificationCode code) {
  struct rmq_http_listen *l = ctx;
  if (code == MHD_CONNECTION_NOTIFY_STARTED)
    *own = rmq_http_client_new(l, connection);
  else
    rmq_http_client_free(l, *own);
  pthread_mutex_lock(&l->lock);
  if (code == MHD_CONNECTION_NOTIFY_STARTED) {
    l->stats.accepted++;
    if (++l->stats.connections == l->config.connections_max)
      l->stats.at_bound++;
  } else {
    l->stats.connections--;
    l->has_room = true;
  }
  pthread_mutex_unlock(&l->lock);
}

/* Targets are decoded piece by piece, by whoever takes them apart. */
static size_t leave_escaped(void *ctx, struct MHD_Connection *connection,
                            char *text) {
  (void)ctx, (void)connection;
  return strlen(text);
}

/* ---- lifecycle ---- */

static void say_listening(const struct rmq_http_listen *l, bool is_loopback) {
  const struct rmq_host *host = l->config.host;
  struct rmq_buf text;
  rmq_buf_init(&text, 512);
  rmq_buf_appendf(&text, "listens on %s%s", l->socket.text,
                  is_loopback ? ""
                              : ", which other hosts can reach: whoever does "
                                "is served, there is no password");
  const struct rmq_log_record record = {.level = is_loopback ? RMQ_LOG_INFO
                                                             : RMQ_LOG_WARNING,
                                        .time = host->wall(host->ctx),
                                        .service = host->service,
                                        .plugin = l->config.plugin,
                                        .event = "listening",
                                        .message = rmq_buf_text(&text)};
  host->log(host->ctx, &record);
  rmq_buf_fini(&text);
}

static struct rmq_http_listen *
make_listen(const struct rmq_http_listen_config *config,
            struct rmq_error *err) {
  struct rmq_http_listen *l = calloc(1, sizeof(*l));
  if (l == NULL) {
    rmq_error_set(err, "out of memory");
    return NULL;
  }
  l->config = *config;
  l->owners = 1;
  l->next_expiry = l->stop_at = RMQ_NEVER;
  rmq_list_init(&l->waiting);
  rmq_list_init(&l->ready);
  rmq_list_init(&l->clients);
  pthread_mutex_init(&l->lock, NULL);
  l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (l->wake < 0) {
    rmq_error_set(err, "no descriptor is left for the HTTP server");
    listen_free(l);
    return NULL;
  }
  return l;
}

struct rmq_http_listen *
rmq_http_listen_new(const struct rmq_http_listen_config *config,
                    struct rmq_error *err) {
  struct rmq_http_address address;
  if (rmq_http_address_parse(config->address, &address, err) != 0)
    return NULL;
  if (!address.is_loopback && !config->is_anywhere_allowed) {
    rmq_error_set(err,
                  "%s can be reached from other hosts, and whoever reaches it "
                  "is served; allowed are 127.0.0.1:PORT, [::1]:PORT and "
                  "unix:PATH",
                  config->address);
    return NULL;
  }
  struct rmq_http_listen *l = make_listen(config, err);
  if (l == NULL)
    return NULL;
  if (rmq_http_socket_open(&address, config->socket_mode, &l->socket, err) !=
      0) {
    listen_free(l);
    return NULL;
  }
  l->has_own_names = address.is_loopback && l->socket.path[0] == '\0';
  say_listening(l, address.is_loopback);
  return l;
}

const char *rmq_http_listen_address(const struct rmq_http_listen *l) {
  return l->socket.text;
}

static struct MHD_Daemon *start_daemon(struct rmq_http_listen *l) {
  return MHD_start_daemon(
      MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
      rmq_http_request_on_part, l, MHD_OPTION_LISTEN_SOCKET, l->socket.fd,
      MHD_OPTION_CONNECTION_LIMIT, (unsigned)l->config.connections_max,
      MHD_OPTION_CONNECTION_TIMEOUT,
      (unsigned)(l->config.idle_timeout.ns / RMQ_NS_PER_S),
      MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)LISTEN_HEAD_BYTES,
      MHD_OPTION_URI_LOG_CALLBACK, rmq_http_request_on_target, l,
      MHD_OPTION_UNESCAPE_CALLBACK, leave_escaped, NULL,
      MHD_OPTION_NOTIFY_COMPLETED, rmq_http_request_on_end, l,
      MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
      MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
}

static int start_thread(struct rmq_http_listen *l) {
  pthread_attr_t attr;
  sigset_t all, before;
  if (pthread_attr_init(&attr) != 0)
    return -1;
  pthread_attr_setstacksize(&attr, LISTEN_STACK_BYTES);
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  int rc = pthread_create(&l->thread, &attr, serve, l);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  if (rc != 0)
    return -1;
  pthread_setname_np(l->thread, "warren http");
  return 0;
}

int rmq_http_listen_start(struct rmq_http_listen *l, struct rmq_error *err) {
  l->daemon = start_daemon(l);
  if (l->daemon == NULL)
    return rmq_error_set(err, "libmicrohttpd does not start");
  if (start_thread(l) != 0) {
    MHD_stop_daemon(l->daemon); /* closes the socket, too */
    return rmq_error_set(err, "cannot start a thread");
  }
  l->is_started = true;
  return 0;
}

void rmq_http_listen_stop(struct rmq_http_listen *l, struct rmq_mono deadline) {
  pthread_mutex_lock(&l->lock);
  l->stop_at = rmq_mono_min(l->stop_at, deadline);
  pthread_mutex_unlock(&l->lock);
  rmq_http_listen_wake(l);
}

void rmq_http_listen_join(struct rmq_http_listen *l) {
  if (!l->is_started)
    return;
  pthread_join(l->thread, NULL);
  MHD_stop_daemon(l->daemon);
  l->is_started = false;
}

void rmq_http_listen_stats(struct rmq_http_listen *l,
                           struct rmq_http_listen_stats *ret_stats) {
  pthread_mutex_lock(&l->lock);
  *ret_stats = l->stats;
  ret_stats->waiting = l->waiting.count;
  pthread_mutex_unlock(&l->lock);
}

void rmq_http_listen_free(struct rmq_http_listen *l) {
  if (l == NULL)
    return;
  if (l->daemon == NULL) {
    rmq_http_socket_remove(&l->socket);
    close(l->socket.fd);
  }
  pthread_mutex_lock(&l->lock);
  rmq_http_listen_leave(l);
}
