/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/prepare.h"

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
}

void rmq_prepare_fini(struct rmq_prepare *p) {
  rmq_gzip_free(p->gzip);
  p->gzip = NULL;
}

static void compress_body(struct rmq_prepare *p, struct rmq_message *m) {
  if (p->gzip == NULL)
    p->gzip = rmq_gzip_new();
  if (p->gzip == NULL)
    return;
  struct rmq_buf packed;
  rmq_buf_init(&packed, m->body_len);
  if (rmq_gzip_pack(p->gzip, m->body, m->body_len, &packed) == 0) {
    rmq_message_set_body(m, &packed);
    m->content_encoding = rmq_encoding_to_str(RMQ_ENCODING_GZIP);
  }
  rmq_buf_fini(&packed);
}

void rmq_prepare_message(struct rmq_prepare *p, struct rmq_message *m) {
  if (m->is_prepared)
    return;
  if (m->id[0] == '\0')
    rmq_uuid_message_id(p->instance, m->seq, m->id);
  if (p->encoding == RMQ_ENCODING_GZIP && m->content_encoding == NULL)
    compress_body(p, m);
  m->is_prepared = true;
}
