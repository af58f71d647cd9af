/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/consume_format.h"

#include "common/codec/amqp1.h"
#include "common/codec/gzip.h"

#include <string.h>
#include <strings.h>

static size_t expanded_max(int64_t max_message_bytes) {
  int64_t most = max_message_bytes * RMQ_EXPANDED_TIMES;
  if (most > RMQ_EXPANDED_BYTES_MAX)
    most = RMQ_EXPANDED_BYTES_MAX;
  return (size_t)(most < max_message_bytes ? max_message_bytes : most);
}

void rmq_consume_format_init(struct rmq_consume_format *f,
                             const struct rmq_consume_options *options) {
  *f = (struct rmq_consume_format){.accepted = options->accept_content_type};
  rmq_buf_init(&f->expanded, expanded_max(options->max_message_bytes));
  if (options->format > 0) /* behind "auto" the words are the codecs' names */
    f->codec = rmq_codec_at(options->format - 1);
  rmq_graphite_template_parse(options->graphite_template, &f->graphite, NULL);
}

void rmq_consume_format_fini(struct rmq_consume_format *f) {
  rmq_samples_fini(&f->samples);
  rmq_buf_fini(&f->expanded);
}

static bool is_gzip(const char *encoding) {
  return strcasecmp(encoding, "gzip") == 0 ||
         strcasecmp(encoding, "x-gzip") == 0;
}

/* "utf-8" is no encoding, but is what some senders put there. */
static bool is_plain(const char *encoding) {
  return encoding[0] == '\0' || strcasecmp(encoding, "identity") == 0 ||
         strcasecmp(encoding, "utf-8") == 0;
}

/* "" in the list is a message without a content type. */
static bool is_accepted(const struct rmq_strings *list, const char *type) {
  for (size_t i = 0; i < list->count; i++)
    if (rmq_codec_content_type_is(type, strlen(type), list->items[i]))
      return true;
  return list->count == 0;
}

static const struct rmq_codec *by_content_type(const char *type,
                                               enum rmq_rejection *ret_cause,
                                               struct rmq_error *detail) {
  const struct rmq_codec *codec = rmq_codec_by_content_type(type, strlen(type));
  if (codec != NULL)
    return codec;
  *ret_cause = RMQ_REJECTION_content_type;
  rmq_error_set(detail, "%s; the option Format may say what it is",
                type[0] == '\0' ? "it has none" : type);
  return NULL;
}

const struct rmq_codec *rmq_consume_format_choose(
    const struct rmq_consume_format *f, const struct rmq_delivery *d,
    enum rmq_rejection *ret_cause, struct rmq_error *detail) {
  if (d->is_oversized)
    *ret_cause = RMQ_REJECTION_oversized;
  else if (d->is_malformed)
    *ret_cause = RMQ_REJECTION_malformed;
  else if (d->body.len == 0)
    *ret_cause = RMQ_REJECTION_empty;
  else if (!is_plain(d->content_encoding) && !is_gzip(d->content_encoding)) {
    *ret_cause = RMQ_REJECTION_encoding;
    rmq_error_set(detail, "%s", d->content_encoding);
  } else if (!is_accepted(&f->accepted, d->content_type)) {
    *ret_cause = RMQ_REJECTION_content_type;
    rmq_error_set(detail, "%s; AcceptContentType does not have it",
                  d->content_type[0] == '\0' ? "it has none" : d->content_type);
  } else if (f->codec != NULL)
    return f->codec;
  else
    return by_content_type(d->content_type, ret_cause, detail);
  return NULL;
}

int rmq_consume_format_decode(struct rmq_consume_format *f,
                              const struct rmq_codec *codec,
                              const struct rmq_delivery *d,
                              const struct rmq_types *types,
                              const struct rmq_codec_sink *sink,
                              struct rmq_error *err) {
  struct rmq_codec_input in = {.bytes = d->body.bytes,
                               .len = d->body.len,
                               .types = types,
                               .graphite = &f->graphite,
                               .samples = &f->samples};
  /* The property is the sender's to set: without a section's first byte the
   * body is what it is. */
  if (d->is_amqp1 && in.len > 0 && in.bytes[0] == '\0' &&
      rmq_amqp1_unwrap(&in.bytes, &in.len, err) != 0)
    return -1;
  if (!is_gzip(d->content_encoding))
    return codec->decode(&in, sink, err);
  int rc = rmq_gzip_expand(in.bytes, in.len, &f->expanded, err);
  if (rc == 0) {
    in.bytes = rmq_buf_bytes(&f->expanded);
    in.len = f->expanded.len;
    rc = codec->decode(&in, sink, err);
  }
  rmq_buf_clear(&f->expanded);
  rmq_buf_shrink(&f->expanded, RMQ_SAMPLES_KEPT_BYTES);
  return rc;
}
