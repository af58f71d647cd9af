/* SPDX-License-Identifier: MIT */
/*
 * A line of collectd's text protocol taken apart in place: fields are split at
 * white space, "..." keeps it together, a backslash inside of quotes takes the
 * next character as it is; a second quoted string starts a new field.
 */
#ifndef RMQ_CODEC_COMMAND_H
#define RMQ_CODEC_COMMAND_H

#include "common/base/error.h"

/* One line of a private copy of the message. */
struct rmq_command_line {
  char *at;
  char *end; /* the newline, or the NUL behind the message */
};

/* 1 and the next field, 0 at the end of the line, -1: a quote has no end. */
int rmq_command_next(struct rmq_command_line *l, char **ret_text,
                     struct rmq_error *err);
/* Ends text at its first c; the rest, or NULL when there is no c. */
char *rmq_command_split(char *text, char c);

#endif
