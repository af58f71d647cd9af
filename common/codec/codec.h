/* SPDX-License-Identifier: MIT */
/*
 * Samples <-> bytes. A codec is a row in a table: adding a format adds a file
 * and a row. Pure: no I/O, no clock.
 */
#ifndef RMQ_CODEC_CODEC_H
#define RMQ_CODEC_CODEC_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/sample.h"

/* How a format is written where it leaves a choice; all zero but the escape is
 * what collectd's amqp plugin does without options. Borrowed. */
struct rmq_codec_style {
  const char *graphite_prefix, *graphite_postfix; /* around the host; "" */
  char graphite_escape; /* in place of what a path may not contain; '_' */
  bool graphite_separate_instances; /* a '.' before them, not a '-' */
  bool graphite_always_append_ds;   /* also where there is only one */
  bool graphite_preserve_separator; /* a '.' in a name stays */
  /* Of Command: meta data are written with their control characters, and one
   * that has a line break or is no UTF-8 is an error; without, such ones are
   * left out, since other readers of messages refuse them. */
  bool putval_exact_meta;
};
extern const struct rmq_codec_style rmq_codec_style_default;

struct rmq_graphite_template;
struct rmq_samples;

/* A message that is to be read; nothing of it is trusted. Borrowed. */
struct rmq_codec_input {
  const char *bytes; /* not NUL-terminated; may hold anything */
  size_t len;
  const struct rmq_types *types; /* what get returns stays valid meanwhile */
  const struct rmq_graphite_template *graphite; /* NULL: the default one */
  /* Memory for the work, which is kept for the next message up to
   * RMQ_SAMPLES_KEPT_BYTES (samples.h); NULL: none is kept. */
  struct rmq_samples *samples;
};

/* What a decoder hands over; everything is borrowed for the call. All of
 * check, check_event and bad come before the first of sample and event. */
struct rmq_codec_sink {
  void *ctx;
  /* A sample has been read; nothing of the message has been handed over yet.
   * False: it is not wanted, err says why. It may point id.host at a text of
   * its own that lives until the decoder returns. NULL = all are wanted. */
  bool (*check)(void *ctx, struct rmq_sample *s, struct rmq_error *err);
  /* The same for a notification. */
  bool (*check_event)(void *ctx, struct rmq_event *e, struct rmq_error *err);
  /* One record (value list, line) could not be read, or check refused it; the
   * others go on. NULL: one bad record makes the whole message unreadable. */
  void (*bad)(void *ctx, const struct rmq_error *err);
  void (*sample)(void *ctx, const struct rmq_sample *s);
  /* NULL: a notification is a bad record. */
  void (*event)(void *ctx, const struct rmq_event *e);
};

/* What decode returns when memory was short: it says nothing about the message,
 * which may be read another time. */
enum { RMQ_CODEC_NO_MEMORY = -2 };

struct rmq_codec {
  const char *name;         /* as the option Format spells it: "Command" */
  const char *content_type; /* "text/collectd" */
  const char *event_content_type; /* of what encode_event writes */
  /* Appends what one message needs around its samples, and between them:
   * open + sample { + separator + sample } + close. Never NULL. */
  const char *open, *separator, *close;
  /* Appends one sample, or nothing where the format has nothing to say of it
   * (all values are NaN); 0, or -1 with the content of out as it was. Then
   * out->failed says that out is full or without memory, and another buffer may
   * help; otherwise this sample cannot be said in this format (a name that no
   * reader would take back, no value, no time), and no buffer helps. Meta data
   * that the format cannot carry are left out, as are those beyond
   * RMQ_SAMPLE_META_MAX. Times are written to the millisecond. */
  int (*encode)(const struct rmq_sample *s, const struct rmq_codec_style *style,
                struct rmq_buf *out);
  /* Appends one notification as a whole message. Fails as encode does. */
  int (*encode_event)(const struct rmq_event *e, struct rmq_buf *out);
  /* Decodes a whole message. 0: sample or event was called for every good
   * record, in order. -1: nothing was handed over, and err says what is wrong
   * and where: the message cannot be read as a whole, has no record, has a bad
   * one and sink->bad is NULL, or has only bad ones (then err is the first of
   * them, and bad was called for each). err may quote bytes from the wire.
   * RMQ_CODEC_NO_MEMORY: nothing was handed over, bad may have been called.
   * NULL: a format that is written only. */
  int (*decode)(const struct rmq_codec_input *in,
                const struct rmq_codec_sink *sink, struct rmq_error *err);
};

/* "Command", collectd's text protocol. collectd itself (5.12's amqp plugin)
 * takes a message for one command, so it reads only messages of one sample. Of
 * meta data it carries strings with a key of [A-Za-z0-9_:]+ and no control
 * character in the value, which collectd reads since 5.11; an older one refuses
 * a line that has any. A '-' in the name of a plugin moves into its instance,
 * as in every identifier of collectd. */
extern const struct rmq_codec rmq_codec_putval;
/* "JSON", collectd's array form. What is not finite is null, and so NaN when it
 * is read. Meta data keep their types, except that an unsigned number up to
 * INT64_MAX is read as a signed one. */
extern const struct rmq_codec rmq_codec_json;

/* "Graphite", plaintext protocol, "PATH VALUE SECONDS\r\n" for each value, byte
 * for byte as collectd's amqp plugin writes it: gauges with 15 digits, NaN as
 * "nan"; see codec_graphite_decode.h for how it is read. */
extern const struct rmq_codec rmq_codec_graphite;
/* "Influx", line protocol in the shape that collectd's write_influxdb_udp,
 * Telegraf's collectd parser and InfluxDB's collectd input share: measurement
 * PLUGIN, tags host, instance, type, type_instance (empty ones left out), a
 * field for each data source, nanoseconds; but counters have fields of their
 * own, ending in "_total", because a field of InfluxDB has one type. How it and
 * other lines are read is in codec_influx_decode.h. */
extern const struct rmq_codec rmq_codec_influx;

/* By the option's word, without regard to case; NULL when unknown. */
const struct rmq_codec *rmq_codec_by_name(const char *name);
/* Whether a message's content type is name; parameters after ';' and case are
 * ignored. */
bool rmq_codec_content_type_is(const char *type, size_t len, const char *name);
/* By a message's content type, of those that can be decoded; NULL when
 * unknown. */
const struct rmq_codec *rmq_codec_by_content_type(const char *type, size_t len);
/* The words that rmq_codec_by_name knows, NULL-terminated, for the option
 * table; the index is that of rmq_codec_at. */
extern const char *const rmq_codec_names[];
const struct rmq_codec *rmq_codec_at(int index);

#endif
