/* SPDX-License-Identifier: MIT */
/*
 * What the codecs have in common: which names may travel, what a type says
 * about its values, and the place where the records of one message wait until
 * all of them have been looked at.
 */
#ifndef RMQ_CODEC_SAMPLES_H
#define RMQ_CODEC_SAMPLES_H

#include "common/codec/codec.h"

#include <stdbool.h>
#include <stddef.h>

/* Both directions -------------------------------------------------------- */

/* True for a sample that any reader of the formats can take back: safe names
 * (host, plugin and type are needed), a time from 1 ms after 1970 to 2262, 1 to
 * RMQ_SAMPLE_VALUES_MAX values. */
bool rmq_samples_can_be_said(const struct rmq_sample *s);
/* Valid UTF-8 without a control character. */
bool rmq_samples_is_line(const char *text, size_t len);
/* The same, of 1 to RMQ_NAME_MAX bytes: the key of meta data. */
bool rmq_samples_key_is_safe(const char *key, size_t len);

/* A meta value as text; a string is returned itself, anything else is written
 * to scratch, RMQ_NUMBER_MAX bytes. */
const char *rmq_samples_meta_text(const struct rmq_meta *m, char *scratch);

/* Decoding --------------------------------------------------------------- */

/* field is for the error: 0, or -1 when name is not safe to be that part of an
 * identity. Plugin instance and type instance may be empty. */
int rmq_samples_check_name(const char *field, const char *name, size_t len,
                           bool may_be_empty, struct rmq_error *err);
/* The same for all of an identity. may_be_empty: of a notification, which needs
 * none of them. */
int rmq_samples_check_identity(const struct rmq_identity *id, bool may_be_empty,
                               struct rmq_error *err);
/* Puts a space in the place of every control character and of every byte that
 * is no UTF-8: for texts that people read, which may have any. */
void rmq_samples_clean_text(char *text, size_t len);

struct rmq_samples_entry;
struct rmq_samples_chunk;

/* Most records of one message, good and bad: each costs a host about a
 * kilobyte, or a line of explanation, and may be no longer than two bytes. As
 * many as the publisher's largest batch has. */
enum { RMQ_SAMPLES_MAX = 100000 };
/* Of each of its arrays, between messages. */
enum { RMQ_SAMPLES_KEPT_BYTES = 512 << 10 };

/* Values and meta data are copied, strings stay the caller's. One message at a
 * time; all zero = empty. */
struct rmq_samples {
  const struct rmq_codec_sink *sink;
  char *text; /* the message, for rmq_samples_read */
  size_t text_capacity;
  struct rmq_error first_bad;
  size_t records_count;
  bool gives_up; /* without memory, or with too many records */
  bool is_short; /* without memory */
  struct rmq_samples_entry *entries;
  size_t entries_count, entries_capacity;
  struct rmq_datum *values;
  size_t values_count, values_capacity;
  struct rmq_meta *meta;
  size_t meta_count, meta_capacity;
  struct rmq_samples_chunk *chunks; /* texts that a decoder made itself */
};

void rmq_samples_fini(struct rmq_samples *set);

/* Reads in one message: calls reader with a copy of it, which reader may change
 * and which has a NUL behind it, and with the empty set in which its records
 * are to wait. Returns what a decoder is to return: reader's result, or
 * RMQ_CODEC_NO_MEMORY. An empty message is an error. */
int rmq_samples_read(const struct rmq_codec_input *in,
                     const struct rmq_codec_sink *sink,
                     int (*reader)(const struct rmq_codec_input *in, char *text,
                                   struct rmq_samples *set,
                                   struct rmq_error *err),
                     struct rmq_error *err);
/* Says so in err; RMQ_CODEC_NO_MEMORY. */
int rmq_samples_no_memory(struct rmq_error *err);
/* The same while records are read: the message is given up, whatever becomes of
 * this record. -1. */
int rmq_samples_run_short(struct rmq_samples *set, struct rmq_error *err);

/* Names and kinds of the data sources of a type; 0, or -1 with an error that
 * names the type. ret_sources has room for RMQ_SAMPLE_VALUES_MAX. Quick where
 * the sample before is of the same type; their values are then its own. */
int rmq_samples_find_type(const struct rmq_samples *set,
                          const struct rmq_types *types, const char *type,
                          struct rmq_datum *ret_sources, size_t *ret_count,
                          struct rmq_error *err);
/* A copy of text that lives as long as set; NULL without memory. */
const char *rmq_samples_keep(struct rmq_samples *set, const char *text);
/* Asks sink->check and keeps the sample. shares_meta: the meta data are those
 * of the sample pushed before (several value lists of one PUTVAL), s->meta is
 * not looked at. -1 with set as it was: check does not want it, or there is no
 * memory. */
int rmq_samples_push(struct rmq_samples *set, struct rmq_sample *s,
                     bool shares_meta, struct rmq_error *err);
/* Asks sink->check_event and keeps the notification. -1: it or sink as such
 * takes none, or there is no memory. */
int rmq_samples_push_event(struct rmq_samples *set, struct rmq_event *e,
                           struct rmq_error *err);
/* The record was bad because of why. 0: the next one may be read; -1: the
 * message has to be given up, and err says "WHAT NUMBER: why". */
int rmq_samples_refuse(struct rmq_samples *set, const char *what, size_t number,
                       const struct rmq_error *why, struct rmq_error *err);
/* Forgets what was pushed since there were count entries: a record of several
 * samples turned out to be bad. */
void rmq_samples_rewind(struct rmq_samples *set, size_t count);
/* The message has been read: hands over in order what waits here. -1 when that
 * is nothing; err is then the first bad record, or nothing_text. */
int rmq_samples_hand_over(const struct rmq_samples *set,
                          const char *nothing_text, struct rmq_error *err);

#endif
