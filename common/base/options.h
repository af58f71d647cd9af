/* SPDX-License-Identifier: MIT */
/*
 * Options are a table. The collectd parser, the command line, --help, the
 * manual check and the sample files read the same rows; an unknown option or a
 * bad value is an error that names option, value and what is allowed.
 *
 * Texts expand ${VAR} and ${VAR:default} when they are set, for every type of
 * option (see expand.h); in the table's defaults no variable is set.
 */
#ifndef RMQ_BASE_OPTIONS_H
#define RMQ_BASE_OPTIONS_H

#include "common/base/buf.h"
#include "common/base/error.h"
#include "common/base/expand.h"
#include "common/base/rmqtime.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum rmq_option_type {
  RMQ_OPT_STRING,    /* char *; NULL or the default until set */
  RMQ_OPT_SECRET,    /* char *; like STRING, never printed, wiped when freed */
  RMQ_OPT_BOOLEAN,   /* bool */
  RMQ_OPT_INTEGER,   /* int64_t */
  RMQ_OPT_NUMBER,    /* double, not negative; NaN until set */
  RMQ_OPT_BYTES,     /* int64_t; accepts 64KiB, 10MiB, 1GiB, 10MB ... */
  RMQ_OPT_DURATION,  /* struct rmq_dur; a number of seconds (fractions allowed),
                        or with a unit: 500ms, 30s, 5m, 2h, 1d */
  RMQ_OPT_ENUM,      /* int; index into choices */
  RMQ_OPT_LIST,      /* struct rmq_strings; each use appends its values, the
                        first one replaces the default */
  RMQ_OPT_ARGUMENTS, /* struct rmq_arguments; NAME VALUE, each use appends, the
                       same NAME replaces */
  RMQ_OPT_BLOCKS     /* struct rmq_blocks; not a value but a block of its own,
                       see rmq_options_add_block. A command line has none. */
};
const char *rmq_option_type_to_str(enum rmq_option_type t);

/* Owned strings. */
struct rmq_strings {
  char **items;
  size_t count;
  bool is_default; /* nobody has set it yet */
};

/* No configuration text becomes a TIMESTAMP (seconds since 1970, in integer).
 */
enum rmq_argument_type {
  RMQ_ARG_STRING,
  RMQ_ARG_INTEGER,
  RMQ_ARG_BOOLEAN,
  RMQ_ARG_TIMESTAMP
};
const char *rmq_argument_type_to_str(enum rmq_argument_type t);

/* One entry of an AMQP argument table, typed as it was written. */
struct rmq_argument {
  char *name;
  enum rmq_argument_type type;
  char *string;
  int64_t integer;
  bool boolean;
};
struct rmq_arguments {
  struct rmq_argument *items;
  size_t count;
};
/* Blocks within a block, in the order of the configuration: structs that the
 * row's block->table fills, owned. */
struct rmq_blocks {
  void **items;
  size_t count;
};

enum {
  RMQ_OPTION_ITEMS_MAX = 256, /* of one list or argument table */
  RMQ_OPTION_TEXT_MAX = 65536 /* bytes of one text, expanded */
};

struct rmq_option_block;
struct rmq_option {
  const char *name;  /* CamelCase, as in collectd's configuration */
  const char *alias; /* second accepted name, or NULL */
  enum rmq_option_type type;
  size_t offset;             /* of the field in the configuration struct */
  const char *default_value; /* text as a user would write it; NULL = unset */
  double min,
      max; /* INTEGER, NUMBER, BYTES, DURATION (seconds); max 0 = none */
  const char *const *choices; /* ENUM: NULL-terminated words */
  const char *unit;           /* "seconds", "bytes", "messages" or NULL */
  const struct rmq_option_block *block; /* BLOCKS */
  const char *help;                     /* one sentence */
};

/* What a block within a block is: <NAME> or <NAME "ARGUMENT">. */
struct rmq_option_block {
  const struct rmq_option *table;
  size_t size;          /* of the struct that the table fills */
  const char *argument; /* the option of the table that the text behind NAME
                           sets; NULL = there is no such text */
  size_t max;           /* most of them in one block */
  /* Called when the argument is set and nothing else yet: gives the defaults
   * that depend on it. Or NULL. */
  void (*prepare)(void *object);
  /* What no single option can say, or NULL. Appends one line per error and
   * returns -1; returns 0 when there is none. */
  int (*check)(const void *object, struct rmq_buf *errors);
};

/* A table ends with a row without a name. */
#define RMQ_OPTIONS_END                                                        \
  { .name = NULL }

/* A value as the configuration language has it. */
struct rmq_option_value {
  enum { RMQ_VALUE_STRING, RMQ_VALUE_NUMBER, RMQ_VALUE_BOOLEAN } kind;
  const char *string; /* borrowed */
  double number;
  bool boolean;
};

/* Fills object with the defaults of the table: memory that the options own is
 * allocated. -1 without memory or when a default is not valid (a bug). */
int rmq_options_init(const struct rmq_option *table, void *object,
                     struct rmq_error *err);
/* Frees (and for secrets wipes) everything that the options own. */
void rmq_options_fini(const struct rmq_option *table, void *object);

/* Sets one option from its values. Names are matched without regard to case.
 * The configuration language makes a number of `Password 12345` and a boolean
 * of `SpoolMode off`: a number is taken where a text is wanted (for a secret
 * only when its digits are certain), a boolean where a choice is; "true", "yes"
 * and "on" in quotes are booleans too.
 * On error object is unchanged and err says option, value, what is allowed;
 * nothing of a secret is repeated, not even the name of its variable. */
int rmq_options_set(const struct rmq_option *table, void *object,
                    const char *name, const struct rmq_option_value *values,
                    size_t count, rmq_getenv env, struct rmq_error *err);
/* The same from one text, as a command line gives it: NAME=VALUE for an entry
 * of an argument table, typed by its looks. NULL is an option without a value:
 * true for a boolean, an error for others. */
int rmq_options_set_text(const struct rmq_option *table, void *object,
                         const char *name, const char *text, rmq_getenv env,
                         struct rmq_error *err);

/* Adds a block with its defaults to the field of a BLOCKS row; object is the
 * struct that has the field, and owns the block. NULL with err: there are max
 * of them already, or no memory. */
void *rmq_options_add_block(const struct rmq_option *row, void *object,
                            struct rmq_error *err);

/* The row with that name or alias, or NULL. */
const struct rmq_option *rmq_options_find(const struct rmq_option *table,
                                          const char *name);
/* The same for a command line's spelling, "confirm-window". */
const struct rmq_option *rmq_options_find_kebab(const struct rmq_option *table,
                                                const char *kebab);
/* "ordered, random" or "1 to 65535" or "yes or no"; for messages and help. */
void rmq_option_allowed(const struct rmq_option *o, struct rmq_buf *out);
/* "ConfirmWindow" -> "confirm-window", "TLSCACert" -> "tls-ca-cert",
 * "VHost" -> "vhost", "URL" -> "url". */
void rmq_option_kebab(const char *name, struct rmq_buf *out);

#endif
