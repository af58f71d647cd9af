/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/prepare.h"

#include <stdbool.h>

const char *rmq_encoding_to_str(enum rmq_encoding e) {
  switch (e) {
  case RMQ_ENCODING_IDENTITY:
    return "identity";
  case RMQ_ENCODING_GZIP:
    return "gzip";
  }
  return "unknown";
}

void rmq_prepare_init(struct rmq_prepare *p, struct rmq_uuid instance,
                      enum rmq_encoding encoding) {
  *p = (struct rmq_prepare){.instance = instance, .encoding = encoding};
  pthread_mutex_init(&p->lock, NULL);
}

void rmq_prepare_fini(struct rmq_prepare *p) {
  while (p->idle_count > 0)
    rmq_gzip_free(p->idle[--p->idle_count]);
  pthread_mutex_destroy(&p->lock);
}

/* NULL without memory. */
static struct rmq_gzip *take_gzip(struct rmq_prepare *p) {
  pthread_mutex_lock(&p->lock);
  struct rmq_gzip *g = p->idle_count > 0 ? p->idle[--p->idle_count] : NULL;
  pthread_mutex_unlock(&p->lock);
  return g != NULL ? g : rmq_gzip_new();
}

static void put_gzip(struct rmq_prepare *p, struct rmq_gzip *g) {
  pthread_mutex_lock(&p->lock);
  bool is_kept = p->idle_count < RMQ_PREPARE_IDLE_MAX;
  if (is_kept)
    p->idle[p->idle_count++] = g;
  pthread_mutex_unlock(&p->lock);
  if (!is_kept)
    rmq_gzip_free(g);
}

static void compress_body(struct rmq_prepare *p, struct rmq_message *m) {
  struct rmq_gzip *g = take_gzip(p);
  if (g == NULL)
    return;
  struct rmq_buf packed;
  rmq_buf_init(&packed, m->body_len);
  if (rmq_gzip_pack(g, m->body, m->body_len, &packed) == 0) {
    rmq_message_set_body(m, &packed);
    m->content_encoding = rmq_encoding_to_str(RMQ_ENCODING_GZIP);
  }
  rmq_buf_fini(&packed);
  put_gzip(p, g);
}

void rmq_prepare_message(struct rmq_prepare *p, struct rmq_message *m) {
  if (m->is_prepared)
    return;
  if (rmq_message_id(m)[0] == '\0')
    rmq_uuid_message_id(p->instance, m->seq, m->id);
  if (p->encoding == RMQ_ENCODING_GZIP && m->content_encoding == NULL)
    compress_body(p, m);
  m->is_prepared = true;
}
