/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_basket.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ENVIRONMENT_BYTES = 64 * 1024 };

struct warren_item *warren_item_new(uint64_t ticket, size_t max) {
  struct warren_item *i = calloc(1, sizeof(*i));
  if (i == NULL)
    return NULL;
  i->ticket = ticket;
  rmq_buf_init(&i->bytes, max);
  rmq_buf_init(&i->environment, ENVIRONMENT_BYTES);
  return i;
}

void warren_item_free(struct warren_item *i) {
  if (i == NULL)
    return;
  rmq_buf_fini(&i->bytes);
  rmq_buf_fini(&i->environment);
  free(i);
}

int warren_basket_init(struct warren_basket *b, uint64_t most,
                       struct rmq_error *err) {
  *b = (struct warren_basket){.most = most};
  rmq_list_init(&b->items);
  b->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (b->wake_fd < 0)
    return rmq_error_set(err, "no file descriptor");
  if (pthread_mutex_init(&b->lock, NULL) == 0)
    return 0;
  close(b->wake_fd);
  return rmq_error_set(err, "no memory");
}

void warren_basket_fini(struct warren_basket *b) {
  struct warren_item *i;
  while ((i = warren_basket_pop(b)) != NULL)
    warren_item_free(i);
  pthread_mutex_destroy(&b->lock);
  close(b->wake_fd);
}

static bool is_open(const struct warren_basket *b) {
  return !b->is_closed && (b->most == 0 || b->put < b->most);
}

bool warren_basket_is_open(struct warren_basket *b) {
  pthread_mutex_lock(&b->lock);
  bool is = is_open(b);
  pthread_mutex_unlock(&b->lock);
  return is;
}

bool warren_basket_put(struct warren_basket *b, struct warren_item *i) {
  pthread_mutex_lock(&b->lock);
  bool takes = is_open(b);
  bool was_empty = b->items.count == 0;
  if (takes) {
    rmq_list_push_back(&b->items, &i->node);
    b->bytes += i->bytes.len;
    b->put++;
  }
  pthread_mutex_unlock(&b->lock);
  if (takes && was_empty)
    eventfd_write(b->wake_fd, 1);
  return takes;
}

bool warren_basket_is_full(struct warren_basket *b) {
  pthread_mutex_lock(&b->lock);
  bool is_full = b->bytes > WARREN_BASKET_BYTES;
  pthread_mutex_unlock(&b->lock);
  return is_full;
}

bool warren_basket_is_empty(struct warren_basket *b) {
  pthread_mutex_lock(&b->lock);
  bool is_empty = b->items.count == 0;
  pthread_mutex_unlock(&b->lock);
  return is_empty;
}

uint64_t warren_basket_put_count(struct warren_basket *b) {
  pthread_mutex_lock(&b->lock);
  uint64_t put = b->put;
  pthread_mutex_unlock(&b->lock);
  return put;
}

struct warren_item *warren_basket_pop(struct warren_basket *b) {
  pthread_mutex_lock(&b->lock);
  struct rmq_node *n = rmq_list_pop_front(&b->items);
  struct warren_item *i =
      n == NULL ? NULL : RMQ_ELEMENT(n, struct warren_item, node);
  if (i != NULL)
    b->bytes -= i->bytes.len;
  pthread_mutex_unlock(&b->lock);
  return i;
}

void warren_basket_close(struct warren_basket *b) {
  pthread_mutex_lock(&b->lock);
  b->is_closed = true;
  pthread_mutex_unlock(&b->lock);
}
