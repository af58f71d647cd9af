/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/codec/codec.h"

#include <string.h>
#include <strings.h>

/* The same order twice: an option's value is an index into both. */
static const struct rmq_codec *const codecs[] = {
    &rmq_codec_putval, &rmq_codec_json, &rmq_codec_graphite, &rmq_codec_influx};
const char *const rmq_codec_names[] = {"Command", "JSON", "Graphite", "Influx",
                                       NULL};
const struct rmq_codec_style rmq_codec_style_default = {
    .graphite_prefix = "", .graphite_postfix = "", .graphite_escape = '_'};
enum { CODECS_COUNT = sizeof(codecs) / sizeof(codecs[0]) };

const struct rmq_codec *rmq_codec_at(int index) {
  return index >= 0 && index < CODECS_COUNT ? codecs[index] : NULL;
}

const struct rmq_codec *rmq_codec_by_name(const char *name) {
  for (int i = 0; i < CODECS_COUNT; i++)
    if (strcasecmp(codecs[i]->name, name) == 0)
      return codecs[i];
  return NULL;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

bool rmq_codec_content_type_is(const char *type, size_t len, const char *name) {
  const char *semicolon = memchr(type, ';', len);
  if (semicolon != NULL)
    len = (size_t)(semicolon - type);
  while (len > 0 && is_blank(type[len - 1]))
    len--;
  while (len > 0 && is_blank(type[0]))
    type++, len--;
  return strlen(name) == len && strncasecmp(name, type, len) == 0;
}

const struct rmq_codec *rmq_codec_by_content_type(const char *type,
                                                  size_t len) {
  for (int i = 0; i < CODECS_COUNT; i++)
    if (codecs[i]->decode != NULL &&
        rmq_codec_content_type_is(type, len, codecs[i]->content_type))
      return codecs[i];
  return NULL;
}
