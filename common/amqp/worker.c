/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/worker.h"

#include "common/amqp/ahead.h"
#include "common/amqp/thread.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
  READ_BYTES = 128 << 10,
  READS_PER_TURN = 8, /* then sending and the job get their turn */
  NOT_STOPPING = -1
};

struct rmq_worker {
  const char *name;
  const struct rmq_host *host;
  struct rmq_connection *connection;
  struct rmq_link_config link_config;
  struct rmq_worker_job job;
  int wake_fd;
  atomic_bool is_woken;
  _Atomic int64_t stop_ns; /* deadline of the stop, or NOT_STOPPING */
  pthread_t thread;
  pthread_mutex_t ended_lock;
  pthread_cond_t ended;
  bool has_ended; /* under ended_lock */
  /* The thread's own. */
  struct rmq_link *link;
  bool link_is_up;
  bool may_read; /* poll said so, or bytes may wait inside TLS */
  uint64_t link_number;
  struct rmq_link *probe; /* see rmq_connection_probe_wish */
  uint64_t probe_number;
  bool is_draining, is_closing;
  char *input;
  struct rmq_span input_left; /* of it, not yet taken in */
  struct rmq_ahead ahead;     /* what has come behind that, while held */
};

/* CLOCK_MONOTONIC for the timed wait, as the host's deadlines are. */
static int init_ended(struct rmq_worker *w) {
  pthread_condattr_t attr;
  if (pthread_condattr_init(&attr) != 0)
    return -1;
  pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
  int rc = pthread_cond_init(&w->ended, &attr);
  pthread_condattr_destroy(&attr);
  return rc == 0 && pthread_mutex_init(&w->ended_lock, NULL) == 0 ? 0 : -1;
}

struct rmq_worker *rmq_worker_new(const char *name, const struct rmq_host *host,
                                  struct rmq_connection *connection,
                                  const struct rmq_link_config *link,
                                  const struct rmq_worker_job *job,
                                  struct rmq_error *err) {
  struct rmq_worker *w = calloc(1, sizeof(*w));
  char *input = malloc(READ_BYTES);
  if (w == NULL || input == NULL || init_ended(w) != 0) {
    rmq_error_set(err, "no memory for a worker");
    free(w);
    free(input);
    return NULL;
  }
  w->name = name;
  w->host = host;
  w->connection = connection;
  w->link_config = *link;
  w->job = *job;
  w->input = input;
  rmq_ahead_init(&w->ahead, host->mono(host->ctx));
  atomic_init(&w->stop_ns, NOT_STOPPING);
  w->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (w->wake_fd >= 0)
    return w;
  rmq_error_set(err, "no file descriptor for a worker");
  rmq_worker_free(w);
  return NULL;
}

void rmq_worker_free(struct rmq_worker *w) {
  if (w == NULL)
    return;
  rmq_link_close(w->link);
  rmq_link_close(w->probe);
  if (w->wake_fd >= 0)
    close(w->wake_fd);
  pthread_cond_destroy(&w->ended);
  pthread_mutex_destroy(&w->ended_lock);
  free(w->input);
  rmq_ahead_clear(&w->ahead, (struct rmq_mono){0});
  free(w);
}

void rmq_worker_wake(struct rmq_worker *w) {
  if (!atomic_exchange(&w->is_woken, true))
    eventfd_write(w->wake_fd, 1);
}

void rmq_worker_stop(struct rmq_worker *w, struct rmq_mono deadline) {
  atomic_store(&w->stop_ns, deadline.ns);
  rmq_worker_wake(w);
}

/* ------------------------------------------------------------------------
 * The thread */

static struct rmq_mono clock_now(const struct rmq_worker *w) {
  return w->host->mono(w->host->ctx);
}

static void link_broke(struct rmq_worker *w, const struct rmq_error *err,
                       struct rmq_mono now) {
  const char *remedy = rmq_link_remedy(w->link);
  if (remedy[0] != '\0')
    rmq_connection_link_refused(w->connection, err->text, remedy, now);
  else
    rmq_connection_link_down(w->connection, err->text, now);
}

static void send_output(struct rmq_worker *w, struct rmq_mono now) {
  struct rmq_buf *out = rmq_connection_output(w->connection);
  if (!w->link_is_up || out->len == 0)
    return;
  struct rmq_error err = {""};
  if (rmq_link_send(w->link, out, &err) < 0)
    link_broke(w, &err, now);
}

static void drop_link(struct rmq_worker *w, struct rmq_mono now) {
  if (w->link_is_up) { /* a last close-ok, if the socket takes it */
    struct rmq_error ignored = {""};
    rmq_link_send(w->link, rmq_connection_output(w->connection), &ignored);
  }
  rmq_link_close(w->link);
  w->link = NULL;
  w->link_is_up = w->may_read = false;
  w->input_left.len = 0;
  rmq_ahead_clear(&w->ahead, now);
}

/* Makes the link what the machine wants it to be. */
static void follow_wish(struct rmq_worker *w, struct rmq_mono now) {
  struct rmq_link_wish wish = rmq_connection_link_wish(w->connection);
  if (wish.number == w->link_number)
    return;
  w->link_number = wish.number;
  drop_link(w, now);
  if (wish.endpoint == NULL)
    return;
  struct rmq_error err = {""};
  w->link = rmq_link_open(&w->link_config, wish.endpoint->host,
                          wish.endpoint->port, w->wake_fd, now, &err);
  if (w->link == NULL)
    rmq_connection_link_down(w->connection, err.text, now);
}

static void advance_link(struct rmq_worker *w, struct rmq_mono now) {
  if (w->link == NULL || w->link_is_up)
    return;
  struct rmq_error err = {""};
  int rc = rmq_link_advance(w->link, now, &err);
  if (rc > 0) {
    w->link_is_up = w->may_read = true;
    rmq_connection_link_up(w->connection, now);
  } else if (rc < 0) {
    rmq_connection_link_refused(w->connection, err.text,
                                rmq_link_remedy(w->link), now);
  }
}

/* ---- the look at a better host: TCP only, at once closed again ---- */

static void drop_probe(struct rmq_worker *w) {
  rmq_link_close(w->probe);
  w->probe = NULL;
}

static void open_probe(struct rmq_worker *w, const struct rmq_endpoint *e,
                       struct rmq_mono now) {
  struct rmq_link_config plain = w->link_config;
  struct rmq_error ignored = {""};
  plain.tls = NULL;
  w->probe = rmq_link_open(&plain, e->host, e->port, w->wake_fd, now, &ignored);
  if (w->probe == NULL)
    rmq_connection_probed(w->connection, false, now);
}

static void follow_probe(struct rmq_worker *w, struct rmq_mono now) {
  struct rmq_link_wish wish = rmq_connection_probe_wish(w->connection);
  if (wish.number != w->probe_number) {
    w->probe_number = wish.number;
    drop_probe(w);
    if (wish.endpoint != NULL)
      open_probe(w, wish.endpoint, now);
  }
  struct rmq_error ignored = {""};
  int rc = w->probe == NULL ? 0 : rmq_link_advance(w->probe, now, &ignored);
  if (rc == 0)
    return;
  drop_probe(w);
  rmq_connection_probed(w->connection, rc > 0, now);
}

static bool link_is_wanted(const struct rmq_worker *w) {
  return rmq_connection_link_wish(w->connection).number == w->link_number;
}

static bool is_held(const struct rmq_worker *w) {
  return rmq_connection_is_held(w->connection);
}

/* Of what was read already. */
static bool has_input(const struct rmq_worker *w) {
  return w->input_left.len > 0 || !rmq_ahead_is_empty(&w->ahead);
}

/* From the socket, unless something is left. False: nothing has come. */
static bool fill_input(struct rmq_worker *w, struct rmq_mono now) {
  if (w->input_left.len > 0)
    return true;
  struct rmq_error err = {""};
  long n = (long)rmq_ahead_take(&w->ahead, w->input);
  if (n == 0)
    n = rmq_link_recv(w->link, w->input, READ_BYTES, &err);
  if (n < 0)
    link_broke(w, &err, now);
  if (n == 0)
    rmq_ahead_pause(&w->ahead, now);
  if (n > 0)
    w->input_left = (struct rmq_span){w->input, (size_t)n};
  return n > 0;
}

static void read_input(struct rmq_worker *w, struct rmq_mono now) {
  for (int i = 0; i < READS_PER_TURN && !is_held(w); i++) {
    if (!w->may_read && !has_input(w))
      return;
    w->may_read = fill_input(w, now);
    if (!w->may_read)
      return;
    struct rmq_span *in = &w->input_left;
    size_t left = rmq_connection_input(w->connection, in->bytes, in->len, now);
    in->bytes += in->len - left;
    in->len = left;
    w->may_read = link_is_wanted(w);
    if (!w->may_read)
      return;
  }
}

/* What comes has to wait: we are held, or others wait before it. */
static bool input_waits(const struct rmq_worker *w) {
  return w->link_is_up && (is_held(w) || has_input(w));
}

static void read_on(struct rmq_worker *w, struct rmq_mono now) {
  struct rmq_error err = {""};
  if (!rmq_ahead_step(&w->ahead, input_waits(w), now))
    return;
  for (int i = 0; i < READS_PER_TURN && w->may_read; i++) {
    size_t room = 0;
    char *to = rmq_ahead_reserve(&w->ahead, &room);
    if (to == NULL) {
      rmq_ahead_pause(&w->ahead, now);
      return;
    }
    long n = rmq_link_recv(w->link, to, room, &err);
    if (n > 0)
      rmq_ahead_commit(&w->ahead, (size_t)n, now);
    else
      w->may_read = false;
    if (n < 0)
      link_broke(w, &err, now);
  }
}

/* Poll's milliseconds until deadline, rounded up. */
static int timeout_ms(struct rmq_mono now, struct rmq_mono deadline) {
  if (rmq_mono_is_never(deadline))
    return -1;
  if (rmq_mono_reached(now, deadline))
    return 0;
  int64_t ms = (deadline.ns - now.ns + RMQ_NS_PER_MS - 1) / RMQ_NS_PER_MS;
  return ms > INT_MAX ? INT_MAX : (int)ms;
}

/* Sleeps until something happens. */
static void sleep_until(struct rmq_worker *w, struct rmq_mono now,
                        struct rmq_mono deadline) {
  bool has_output = rmq_connection_output(w->connection)->len > 0;
  struct pollfd fds[3] = {
      {.fd = w->wake_fd, .events = POLLIN}, {.fd = -1}, {.fd = -1}};
  bool reads = !w->link_is_up || !is_held(w) || w->ahead.is_on;
  bool goes_on = w->may_read ? reads : has_input(w) && !is_held(w);
  if (w->link != NULL) {
    fds[1].fd = rmq_link_fd(w->link);
    fds[1].events = rmq_link_events(w->link, has_output);
    if (!reads)
      fds[1].events = has_output ? fds[1].events & POLLOUT : 0;
    deadline = rmq_mono_min(deadline, rmq_link_deadline(w->link));
    deadline =
        rmq_mono_min(deadline, rmq_ahead_deadline(&w->ahead, input_waits(w)));
  }
  if (w->probe != NULL) {
    fds[2].fd = rmq_link_fd(w->probe);
    fds[2].events = rmq_link_events(w->probe, false);
    deadline = rmq_mono_min(deadline, rmq_link_deadline(w->probe));
  }
  int timeout = goes_on ? 0 : timeout_ms(now, deadline);
  if (poll(fds, 3, timeout) <= 0)
    return;
  if (fds[0].revents != 0) {
    eventfd_t ignored;
    eventfd_read(w->wake_fd, &ignored);
  }
  /* Without output it is reading (TLS) that waits for POLLOUT. */
  int readable = POLLIN | POLLERR | POLLHUP | (has_output ? 0 : POLLOUT);
  if (w->link_is_up && (fds[1].revents & readable) != 0) {
    if (!w->may_read && !input_waits(w)) /* it was empty while we slept */
      rmq_ahead_pause(&w->ahead, clock_now(w));
    w->may_read = true;
  }
  if (!reads && (fds[1].revents & (POLLERR | POLLHUP)) != 0)
    rmq_connection_fail(w->connection,
                        "the link broke while nothing was read from it", now);
}

/* Drains, then closes. True when the thread may end. */
static bool stop_step(struct rmq_worker *w, struct rmq_mono now) {
  int64_t stop_ns = atomic_load(&w->stop_ns);
  if (stop_ns == NOT_STOPPING)
    return false;
  if (!w->is_draining) {
    w->is_draining = true;
    rmq_connection_stay(w->connection);
    w->job.drain(w->job.ctx, now);
  }
  bool is_late = now.ns >= stop_ns;
  if (!w->is_closing && (is_late || w->job.is_drained(w->job.ctx))) {
    w->is_closing = true;
    rmq_connection_stop(w->connection, now);
    send_output(w, now);
    follow_wish(w, now);
  }
  return is_late || rmq_connection_state(w->connection) == RMQ_SESSION_STOPPED;
}

static struct rmq_mono next_deadline(struct rmq_worker *w,
                                     struct rmq_mono job_deadline) {
  struct rmq_mono next =
      rmq_mono_min(job_deadline, rmq_connection_next_deadline(w->connection));
  int64_t stop_ns = atomic_load(&w->stop_ns);
  if (stop_ns != NOT_STOPPING)
    next = rmq_mono_min(next, (struct rmq_mono){stop_ns});
  return next;
}

/* True when the thread may end. */
static bool turn(struct rmq_worker *w) {
  struct rmq_mono now = clock_now(w);
  atomic_store(&w->is_woken, false);
  read_input(w, now);
  read_on(w, now);
  follow_wish(w, now);
  rmq_connection_tick(w->connection, now);
  follow_wish(w, now);
  advance_link(w, now);
  follow_probe(w, now);
  struct rmq_mono job_deadline = w->job.step(w->job.ctx, now);
  bool was_full = !rmq_connection_can_publish(w->connection);
  send_output(w, now);
  if (was_full && rmq_connection_can_publish(w->connection))
    job_deadline = now; /* there is room again for what the job held back */
  if (stop_step(w, now))
    return true;
  follow_wish(w, now);
  sleep_until(w, now, next_deadline(w, job_deadline));
  return false;
}

static void *run(void *arg) {
  struct rmq_worker *w = arg;
  rmq_connection_start(w->connection, clock_now(w));
  while (!turn(w))
    continue;
  drop_link(w, clock_now(w));
  drop_probe(w);
  pthread_mutex_lock(&w->ended_lock);
  w->has_ended = true;
  pthread_cond_signal(&w->ended);
  pthread_mutex_unlock(&w->ended_lock);
  return NULL;
}

/* ------------------------------------------------------------------------ */

int rmq_worker_start(struct rmq_worker *w, struct rmq_error *err) {
  return rmq_thread_start(&w->thread, /* is_detached = */ false, w->name, run,
                          w, err);
}

bool rmq_worker_await(struct rmq_worker *w, struct rmq_mono deadline) {
  struct timespec until = {.tv_sec = deadline.ns / RMQ_NS_PER_S,
                           .tv_nsec = deadline.ns % RMQ_NS_PER_S};
  int rc = 0;
  pthread_mutex_lock(&w->ended_lock);
  while (!w->has_ended && rc == 0)
    rc = pthread_cond_timedwait(&w->ended, &w->ended_lock, &until);
  bool has_ended = w->has_ended;
  pthread_mutex_unlock(&w->ended_lock);
  return has_ended;
}

bool rmq_worker_join(struct rmq_worker *w, struct rmq_mono deadline) {
  bool has_ended = rmq_worker_await(w, deadline);
  if (has_ended)
    pthread_join(w->thread, NULL);
  else
    pthread_detach(w->thread);
  return has_ended;
}
