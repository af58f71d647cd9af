/* SPDX-License-Identifier: MIT */
/*
 * Messages to a descriptor. A pipe that poll calls writable takes PIPE_BUF
 * bytes without blocking, so it is written in such pieces; that leaves the
 * reader's own flags of the pipe alone.
 */
#include "rmq_config.h"

#include "plugins/warren_outlet.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TOGETHER_BYTES = 64 * 1024 };

struct writer {
  struct warren_writer_config config;
  size_t piece;            /* bytes of one write */
  struct rmq_list writing; /* items of which bytes may have been written */
  struct rmq_buf bytes;    /* theirs, the rest of them */
};

void warren_outlet_leave_all(const struct warren_source *source) {
  struct warren_item *i;
  while ((i = warren_basket_pop(source->basket)) != NULL) {
    rmq_role_consume_message_left(source->role, i->ticket);
    warren_item_free(i);
  }
}

static int complain(const struct writer *w, const char *what, int error) {
  char why[128];
  warren_say(w->config.source.voice, RMQ_LOG_ERROR, "output_failed",
             "standard output cannot be %s: %s", what,
             strerror_r(error, why, sizeof(why)));
  return -1;
}

/* As many as are worth one go. -1 without memory for the first. */
static int gather(struct writer *w) {
  const struct warren_source *from = &w->config.source;
  while (w->bytes.len < TOGETHER_BYTES) {
    struct warren_item *i = warren_basket_pop(from->basket);
    if (i == NULL)
      return 0;
    int rc = rmq_buf_append(&w->bytes, rmq_buf_bytes(&i->bytes), i->bytes.len);
    rmq_buf_fini(&i->bytes);
    rmq_list_push_back(&w->writing, &i->node);
    if (rc != 0)
      return complain(w, "written", ENOMEM);
  }
  return 0;
}

static bool takes_more(const struct writer *w) {
  struct pollfd out = {.fd = w->config.fd, .events = POLLOUT};
  return poll(&out, 1, 0) > 0;
}

/* 1: all is written; 0: the reader has to read first; -1: nobody reads. */
static int write_bytes(struct writer *w) {
  while (w->bytes.len > 0) {
    if (!takes_more(w))
      return 0;
    size_t len = w->bytes.len < w->piece ? w->bytes.len : w->piece;
    ssize_t n = write(w->config.fd, rmq_buf_bytes(&w->bytes), len);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
      return 0;
    if (n < 0)
      return complain(w, "written", errno);
    rmq_buf_consume(&w->bytes, (size_t)n);
  }
  return 1;
}

static int settle(struct writer *w) {
  struct rmq_node *n;
  if (w->config.syncs && fdatasync(w->config.fd) != 0)
    return complain(w, "synchronized", errno);
  while ((n = rmq_list_pop_front(&w->writing)) != NULL) {
    struct warren_item *i = RMQ_ELEMENT(n, struct warren_item, node);
    rmq_role_consume_written(w->config.source.role, i->ticket);
    warren_item_free(i);
  }
  rmq_buf_clear(&w->bytes);
  return 0;
}

static int work(void *ctx, struct rmq_mono now) {
  struct writer *w = ctx;
  (void)now;
  struct pollfd out = {.fd = w->config.fd};
  if (poll(&out, 1, 0) > 0 && (out.revents & (POLLERR | POLLNVAL)) != 0)
    return complain(w, "written", EPIPE);
  for (;;) {
    if (w->writing.count == 0 && gather(w) != 0)
      return -1;
    if (w->writing.count == 0)
      return 0;
    int rc = write_bytes(w);
    if (rc <= 0)
      return rc;
    if (settle(w) != 0)
      return -1;
  }
}

static size_t wait_for(void *ctx, struct pollfd *fds, size_t max,
                       struct rmq_mono *due) {
  const struct writer *w = ctx;
  (void)due;
  if (max == 0)
    return 0;
  short events = w->bytes.len > 0 ? POLLOUT : 0;
  fds[0] = (struct pollfd){.fd = w->config.fd, .events = events};
  return 1;
}

static bool is_idle(const void *ctx) {
  const struct writer *w = ctx;
  return w->writing.count == 0;
}

/* What is in hand is written as long as there is time. */
static void stop(void *ctx) { (void)ctx; }

static void free_writer(void *ctx) {
  struct writer *w = ctx;
  struct rmq_node *n;
  if (w == NULL)
    return;
  while ((n = rmq_list_pop_front(&w->writing)) != NULL) {
    struct warren_item *i = RMQ_ELEMENT(n, struct warren_item, node);
    rmq_role_consume_message_left(w->config.source.role, i->ticket);
    warren_item_free(i);
  }
  warren_outlet_leave_all(&w->config.source);
  rmq_buf_fini(&w->bytes);
  free(w);
}

bool warren_writer_open(const struct warren_writer_config *config,
                        struct warren_outlet *ret_outlet,
                        struct rmq_error *err) {
  struct stat st;
  struct writer *w = calloc(1, sizeof(*w));
  if (w == NULL || fstat(config->fd, &st) != 0) {
    rmq_error_set(err, "standard output is not open, or no memory");
    free(w);
    return false;
  }
  if (config->syncs && !S_ISREG(st.st_mode)) {
    rmq_error_set(err, "--sync is for standard output that is a file");
    free(w);
    return false;
  }
  w->config = *config;
  w->piece = S_ISREG(st.st_mode) ? TOGETHER_BYTES : PIPE_BUF;
  rmq_list_init(&w->writing);
  rmq_buf_init(&w->bytes, SIZE_MAX / 4); /* one item beyond TOGETHER_BYTES */
  *ret_outlet = (struct warren_outlet){.ctx = w,
                                       .work = work,
                                       .wait_for = wait_for,
                                       .is_idle = is_idle,
                                       .stop = stop,
                                       .free = free_writer};
  return true;
}
