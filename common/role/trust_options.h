/* SPDX-License-Identifier: MIT */
/*
 * The options that say whom a consuming block trusts, and what becomes of what
 * it does not take. The consumer's option table includes the rows.
 */
#ifndef RMQ_ROLE_TRUST_OPTIONS_H
#define RMQ_ROLE_TRUST_OPTIONS_H

#include "common/base/options.h"

enum rmq_on_mixed { RMQ_MIXED_TAKE, RMQ_MIXED_REJECT };
const char *rmq_on_mixed_to_str(enum rmq_on_mixed m);

struct rmq_trust_options {
  struct rmq_strings allow_host, allow_plugin, require_user_id;
  char *host_from_header, *rewrite_host;  /* NULL = none */
  struct rmq_dur max_age, max_clock_skew; /* 0 = any */
  int on_mixed_message;                   /* enum rmq_on_mixed */
  char *quarantine_dir;                   /* NULL = none */
  int64_t quarantine_max_bytes;
  bool notifications;
  int64_t notification_rate; /* per second */
};

extern const char *const rmq_trust_mixed_words[];

/* Rows for a table of struct T with a member `trust`. */
#define RMQ_TRUST_OPTIONS(T)                                                   \
  {.name = "AllowHost",                                                        \
   .type = RMQ_OPT_LIST,                                                       \
   .offset = offsetof(T, trust.allow_host),                                    \
   .help = "Hosts whose values are taken: names or /expressions/; without it " \
           "all."},                                                            \
      {.name = "AllowPlugin",                                                  \
       .type = RMQ_OPT_LIST,                                                   \
       .offset = offsetof(T, trust.allow_plugin),                              \
       .help = "Plugins whose values are taken: names or /expressions/; "      \
               "without it all."},                                             \
      {.name = "HostFromHeader",                                               \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, trust.host_from_header),                          \
       .help = "Header of the message that names the host of its values, in "  \
               "place of their own."},                                         \
      {.name = "RewriteHost",                                                  \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, trust.rewrite_host),                              \
       .help = "The host that values get; %{host} is their own, %{user_id} "   \
               "the user who published them."},                                \
      {.name = "RequireUserId",                                                \
       .type = RMQ_OPT_LIST,                                                   \
       .offset = offsetof(T, trust.require_user_id),                           \
       .help = "Only messages whose property user_id, which the broker "       \
               "checks, is one of these."},                                    \
      {.name = "MaxAge",                                                       \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, trust.max_age),                                   \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 3e8,                                                             \
       .unit = "seconds",                                                      \
       .help = "Older values are refused; 0 = none is too old."},              \
      {.name = "MaxClockSkew",                                                 \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, trust.max_clock_skew),                            \
       .default_value = "300",                                                 \
       .min = 0,                                                               \
       .max = 3e8,                                                             \
       .unit = "seconds",                                                      \
       .help = "Values from further in the future are refused; 0 = none "      \
               "is."},                                                         \
      {.name = "OnMixedMessage",                                               \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, trust.on_mixed_message),                          \
       .default_value = "take",                                                \
       .choices = rmq_trust_mixed_words,                                       \
       .help = "What happens to the good values of a message that also has "   \
               "bad ones; reject: OnParseError for the whole message."},       \
      {.name = "QuarantineDir",                                                \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, trust.quarantine_dir),                            \
       .help = "Directory where rejected messages are filed, with their "      \
               "properties and the reason."},                                  \
      {.name = "QuarantineMaxBytes",                                           \
       .type = RMQ_OPT_BYTES,                                                  \
       .offset = offsetof(T, trust.quarantine_max_bytes),                      \
       .default_value = "64MiB",                                               \
       .min = 65536,                                                           \
       .max = 1e12,                                                            \
       .unit = "bytes",                                                        \
       .help = "Most bytes in this block's part of QuarantineDir."},           \
      {.name = "Notifications",                                                \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, trust.notifications),                             \
       .default_value = "false",                                               \
       .help = "Take notifications from messages; they start what this "       \
               "daemon's configuration starts for its own."},                  \
  {                                                                            \
    .name = "NotificationRate", .type = RMQ_OPT_INTEGER,                       \
    .offset = offsetof(T, trust.notification_rate), .default_value = "10",     \
    .min = 1, .max = 10000, .unit = "per second",                              \
    .help = "Most notifications taken in a second; what is above is dropped."  \
  }

/* What no single row can say; appends one line per error. */
int rmq_trust_options_check(const struct rmq_trust_options *o,
                            struct rmq_buf *errors);

#endif
