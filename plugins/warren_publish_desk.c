/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "plugins/warren_publish_desk.h"

#include "common/role/publish_reply.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* How often forgotten places are looked for. */
#define DESK_SWEEP_INTERVAL rmq_s(1)

struct place {
  struct rmq_http_request *q; /* NULL = free */
  char *id;
  struct rmq_mono deadline;
  uint32_t generation; /* of its use, over 0: tags of earlier ones are void */
  uint32_t next_free;  /* index + 1 */
  bool wants_confirm;
  bool is_stored; /* its row is committed */
};

struct warren_desk {
  pthread_mutex_t lock;
  struct place *places;
  size_t count, max; /* places made, and how many there may be */
  uint32_t first_free;
  struct rmq_mono next_sweep;
};

struct warren_desk *warren_desk_new(size_t max) {
  struct warren_desk *d = calloc(1, sizeof(*d));
  if (d == NULL)
    return NULL;
  d->max = max;
  pthread_mutex_init(&d->lock, NULL);
  return d;
}

void warren_desk_free(struct warren_desk *d) {
  if (d == NULL)
    return;
  for (size_t i = 0; i < d->count; i++)
    free(d->places[i].id);
  free(d->places);
  pthread_mutex_destroy(&d->lock);
  free(d);
}

/* ---- places; with the lock held ---- */

static struct place *free_place(struct warren_desk *d) {
  if (d->first_free != 0) {
    struct place *p = &d->places[d->first_free - 1];
    d->first_free = p->next_free;
    return p;
  }
  if (d->count == d->max)
    return NULL;
  if ((d->count & (d->count - 1)) == 0) {
    size_t capacity = d->count == 0 ? 1 : 2 * d->count;
    struct place *places = realloc(d->places, capacity * sizeof(*places));
    if (places == NULL)
      return NULL;
    d->places = places;
  }
  struct place *p = &d->places[d->count++];
  *p = (struct place){.generation = 0};
  return p;
}

static uint64_t tag_of(const struct warren_desk *d, const struct place *p) {
  return (p->wants_confirm ? 0 : RMQ_TAG_UNTIL_STORED) |
         (uint64_t)p->generation << 32 | (uint64_t)(p - d->places);
}

/* NULL when nobody is there any more. */
static struct place *place_of(const struct warren_desk *d, uint64_t tag) {
  size_t index = tag & UINT32_MAX;
  if (index >= d->count)
    return NULL;
  struct place *p = &d->places[index];
  bool is_it = p->generation == (tag & ~RMQ_TAG_UNTIL_STORED) >> 32;
  return p->q != NULL && is_it ? p : NULL;
}

/* What the server is to answer when it is time. */
static void word_timeout(const struct place *p, bool is_first) {
  struct rmq_buf body;
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  struct rmq_http_answer a = {
      .status = rmq_publish_reply_timeout(p->is_stored, p->id, &body)};
  a.body = rmq_buf_bytes(&body);
  a.body_len = body.len;
  a.headers[0] = (struct rmq_http_header){"X-Message-Id", p->id};
  if (is_first)
    rmq_http_request_expire(p->q, p->deadline, &a);
  else
    rmq_http_request_reword(p->q, &a);
  rmq_buf_fini(&body);
}

/* Returns the id, which is the caller's to free. */
static char *clear_place(struct warren_desk *d, struct place *p) {
  char *id = p->id;
  p->q = NULL;
  p->id = NULL;
  p->next_free = d->first_free;
  d->first_free = (uint32_t)(p - d->places) + 1;
  return id;
}

/* ---- */

uint64_t warren_desk_take(struct warren_desk *d, struct rmq_http_request *q,
                          bool wants_confirm, const char *id,
                          struct rmq_mono deadline) {
  uint64_t tag = 0;
  char *copy = strdup(id);
  if (copy == NULL)
    return 0;
  pthread_mutex_lock(&d->lock);
  struct place *p = free_place(d);
  if (p != NULL) {
    p->q = q;
    p->id = copy;
    p->deadline = deadline;
    p->wants_confirm = wants_confirm;
    p->is_stored = false;
    p->generation = p->generation == INT32_MAX ? 1 : p->generation + 1;
    tag = tag_of(d, p);
    word_timeout(p, /* is_first = */ true);
  }
  pthread_mutex_unlock(&d->lock);
  if (tag == 0)
    free(copy);
  return tag;
}

void warren_desk_withdraw(struct warren_desk *d, uint64_t tag) {
  char *id = NULL;
  pthread_mutex_lock(&d->lock);
  struct place *p = place_of(d, tag);
  if (p != NULL)
    id = clear_place(d, p);
  pthread_mutex_unlock(&d->lock);
  free(id);
}

void warren_desk_answer(struct rmq_http_request *q, int status, const char *id,
                        struct rmq_buf *body) {
  struct rmq_http_answer a = {
      .status = status, .body = rmq_buf_bytes(body), .body_len = body->len};
  if (id != NULL)
    a.headers[0] = (struct rmq_http_header){"X-Message-Id", id};
  rmq_http_request_answer(q, &a);
  rmq_buf_fini(body);
}

void warren_desk_tell(void *ctx, const struct rmq_fate_report *report) {
  struct warren_desk *d = ctx;
  struct rmq_http_request *q = NULL;
  bool wants_confirm = false;
  char *id = NULL;
  pthread_mutex_lock(&d->lock);
  struct place *p = place_of(d, report->tag);
  if (p != NULL && rmq_publish_reply_is_due(report->fate, p->wants_confirm)) {
    q = p->q;
    wants_confirm = p->wants_confirm;
    id = clear_place(d, p);
  } else if (p != NULL) {
    p->is_stored = true;
    word_timeout(p, /* is_first = */ false); /* nobody answers it meanwhile */
  }
  pthread_mutex_unlock(&d->lock);
  if (q == NULL)
    return;
  struct rmq_buf body;
  rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
  int status = rmq_publish_reply_fate(report, wants_confirm, id, &body);
  warren_desk_answer(q, status, id, &body);
  free(id);
}

/* With the lock held: the next place after *index whose deadline has passed. */
static struct rmq_http_request *next_late(struct warren_desk *d,
                                          struct rmq_mono now, size_t *index,
                                          bool *ret_is_stored, char **ret_id) {
  for (; *index < d->count; (*index)++) {
    struct place *p = &d->places[*index];
    if (p->q == NULL || !rmq_mono_reached(now, p->deadline))
      continue;
    struct rmq_http_request *q = p->q;
    *ret_is_stored = p->is_stored;
    *ret_id = clear_place(d, p);
    return q;
  }
  return NULL;
}

void warren_desk_sweep(struct warren_desk *d, struct rmq_mono now) {
  size_t index = 0;
  pthread_mutex_lock(&d->lock);
  bool is_due = rmq_mono_reached(now, d->next_sweep);
  if (is_due)
    d->next_sweep = rmq_mono_add(now, DESK_SWEEP_INTERVAL);
  pthread_mutex_unlock(&d->lock);
  while (is_due) {
    char *id = NULL;
    bool is_stored = false;
    pthread_mutex_lock(&d->lock);
    struct rmq_http_request *q = next_late(d, now, &index, &is_stored, &id);
    pthread_mutex_unlock(&d->lock);
    if (q == NULL)
      return;
    struct rmq_buf body;
    rmq_buf_init(&body, RMQ_PUBLISH_REPLY_MAX);
    int status = rmq_publish_reply_timeout(is_stored, id, &body);
    warren_desk_answer(q, status, id, &body); /* for the case of a tie */
    free(id);
  }
}
