/* SPDX-License-Identifier: MIT */
/*
 * The options that every block with an AMQP connection has, and what they mean
 * to the room below. The option tables of the roles include the rows.
 */
#ifndef RMQ_ROLE_CONNECTION_OPTIONS_H
#define RMQ_ROLE_CONNECTION_OPTIONS_H

#include "common/amqp/connection.h"
#include "common/amqp/link.h"
#include "common/base/log.h"
#include "common/base/options.h"

struct rmq_connection_options {
  struct rmq_strings hosts;
  int64_t port; /* 0 = by TLS */
  int host_selection;
  struct rmq_dur failback_interval, blocked_timeout;
  char *vhost, *user, *password, *password_file;
  int auth_method;
  bool tls_enabled, tls_verify_peer, tls_verify_host;
  char *tls_ca, *tls_cert, *tls_key;
  char *tls_key_password, *tls_key_password_file;
  int tls_min_version;
  struct rmq_dur connect_timeout, rpc_timeout, heartbeat;
  int64_t frame_max;
  struct rmq_dur retry_delay, retry_delay_max, auth_retry_delay;
  char *connection_name;
  int log_format;
  char *log_file;
  bool report_stats;
  struct rmq_dur shutdown_timeout;
};

extern const char *const rmq_host_selection_words[];
extern const char *const rmq_auth_words[];
extern const char *const rmq_tls_version_words[];
extern const char *const rmq_log_format_words[];

/* Rows for a table of struct T with a member `connection`. */
#define RMQ_CONNECTION_OPTIONS(T)                                              \
  {.name = "Host",                                                             \
   .type = RMQ_OPT_LIST,                                                       \
   .offset = offsetof(T, connection.hosts),                                    \
   .default_value = "localhost",                                               \
   .help = "Brokers, in order of preference: HOST, HOST:PORT or [V6]:PORT."},  \
      {.name = "Port",                                                         \
       .type = RMQ_OPT_INTEGER,                                                \
       .offset = offsetof(T, connection.port),                                 \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 65535,                                                           \
       .help = "Port of hosts that name none; 0 means 5672, or 5671 with "     \
               "TLS."},                                                        \
      {.name = "HostSelection",                                                \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, connection.host_selection),                       \
       .default_value = "ordered",                                             \
       .choices = rmq_host_selection_words,                                    \
       .help = "The order in which hosts are tried."},                         \
      {.name = "FailbackInterval",                                             \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.failback_interval),                    \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 86400,                                                           \
       .unit = "seconds",                                                      \
       .help = "At another host than the first: how often it is looked "       \
               "whether a better one listens, to go back to it; 0 = never."},  \
      {.name = "BlockedTimeout",                                               \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.blocked_timeout),                      \
       .default_value = "0",                                                   \
       .min = 0,                                                               \
       .max = 86400,                                                           \
       .unit = "seconds",                                                      \
       .help = "A broker with an alarm for longer is left for another host; "  \
               "0 = stay."},                                                   \
      {.name = "VHost",                                                        \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.vhost),                                \
       .default_value = "/",                                                   \
       .help = "Virtual host."},                                               \
      {.name = "User",                                                         \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.user),                                 \
       .default_value = "guest",                                               \
       .help = "User name."},                                                  \
      {.name = "Password",                                                     \
       .type = RMQ_OPT_SECRET,                                                 \
       .offset = offsetof(T, connection.password),                             \
       .default_value = "guest",                                               \
       .help = "Password; better ${VAR} or PasswordFile."},                    \
      {.name = "PasswordFile",                                                 \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.password_file),                        \
       .help = "File whose first line is the password, read at every login; "  \
               "takes precedence over Password."},                             \
      {.name = "AuthMethod",                                                   \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, connection.auth_method),                          \
       .default_value = "plain",                                               \
       .choices = rmq_auth_words,                                              \
       .help = "SASL mechanism; external takes the user from the client "      \
               "certificate."},                                                \
      {.name = "TLSEnabled",                                                   \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, connection.tls_enabled),                          \
       .default_value = "false",                                               \
       .help = "Connect by TLS."},                                             \
      {.name = "TLSVerifyPeer",                                                \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, connection.tls_verify_peer),                      \
       .default_value = "true",                                                \
       .help = "Refuse a server without a certificate of a trusted CA."},      \
      {.name = "TLSVerifyHostName",                                            \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, connection.tls_verify_host),                      \
       .default_value = "true",                                                \
       .help = "Refuse a certificate that does not carry the host's name or "  \
               "address."},                                                    \
      {.name = "TLSCACert",                                                    \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.tls_ca),                               \
       .help = "PEM file with trusted CAs; without it the system's."},         \
      {.name = "TLSClientCert",                                                \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.tls_cert),                             \
       .help = "PEM file with the client's certificate chain."},               \
      {.name = "TLSClientKey",                                                 \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.tls_key),                              \
       .help = "PEM file with the client's key; without it TLSClientCert."},   \
      {.name = "TLSClientKeyPassword",                                         \
       .type = RMQ_OPT_SECRET,                                                 \
       .offset = offsetof(T, connection.tls_key_password),                     \
       .help = "Password of an encrypted TLSClientKey."},                      \
      {.name = "TLSClientKeyPasswordFile",                                     \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.tls_key_password_file),                \
       .help = "File whose first line is that password, read for every "       \
               "connection; takes precedence."},                               \
      {.name = "TLSMinVersion",                                                \
       .type = RMQ_OPT_ENUM,                                                   \
       .offset = offsetof(T, connection.tls_min_version),                      \
       .default_value = "1.2",                                                 \
       .choices = rmq_tls_version_words,                                       \
       .help = "Oldest TLS version that is accepted."},                        \
      {.name = "ConnectTimeout",                                               \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.connect_timeout),                      \
       .default_value = "5",                                                   \
       .min = 0.1,                                                             \
       .max = 300,                                                             \
       .unit = "seconds",                                                      \
       .help = "For resolving the name, TCP and TLS together."},               \
      {.name = "RPCTimeout",                                                   \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.rpc_timeout),                          \
       .default_value = "10",                                                  \
       .min = 0.1,                                                             \
       .max = 300,                                                             \
       .unit = "seconds",                                                      \
       .help = "For each answer of the broker while logging in and "           \
               "declaring."},                                                  \
      {.name = "Heartbeat",                                                    \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.heartbeat),                            \
       .default_value = "30",                                                  \
       .min = 0,                                                               \
       .max = 65535,                                                           \
       .unit = "seconds",                                                      \
       .help = "Interval of heartbeats, whole seconds; a broker silent for "   \
               "two of them is given up. 0 = none."},                          \
      {.name = "FrameMax",                                                     \
       .type = RMQ_OPT_BYTES,                                                  \
       .offset = offsetof(T, connection.frame_max),                            \
       .default_value = "131072",                                              \
       .min = 8192,                                                            \
       .max = RMQ_WIRE_FRAME_MAX,                                              \
       .unit = "bytes",                                                        \
       .help = "Largest frame; the broker may ask for smaller ones."},         \
      {.name = "RetryDelay",                                                   \
       .alias = "ConnectionRetryDelay",                                        \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.retry_delay),                          \
       .default_value = "1",                                                   \
       .min = 0.01,                                                            \
       .max = 3600,                                                            \
       .unit = "seconds",                                                      \
       .help = "Shortest wait after a round of failed attempts; grows "        \
               "exponentially with full jitter."},                             \
      {.name = "RetryDelayMax",                                                \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.retry_delay_max),                      \
       .default_value = "60",                                                  \
       .min = 0.01,                                                            \
       .max = 86400,                                                           \
       .unit = "seconds",                                                      \
       .help = "Longest wait after a round of failed attempts."},              \
      {.name = "AuthRetryDelay",                                               \
       .type = RMQ_OPT_DURATION,                                               \
       .offset = offsetof(T, connection.auth_retry_delay),                     \
       .default_value = "60",                                                  \
       .min = 0.1,                                                             \
       .max = 86400,                                                           \
       .unit = "seconds",                                                      \
       .help = "Longest wait after a refused login or a topology error."},     \
  {                                                                            \
    .name = "ConnectionName", .type = RMQ_OPT_STRING,                          \
    .offset = offsetof(T, connection.connection_name),                         \
    .help = "Name in the broker's list of connections; without it "            \
            "SERVICE/HOST/BLOCK."                                              \
  }

/* Rows of a block that has a log and series of its own. */
#define RMQ_CONNECTION_BLOCK_OPTIONS(T)                                        \
  {.name = "LogFormat",                                                        \
   .type = RMQ_OPT_ENUM,                                                       \
   .offset = offsetof(T, connection.log_format),                               \
   .default_value = "text",                                                    \
   .choices = rmq_log_format_words,                                            \
   .help = "One sentence a line, or one JSON object a line."},                 \
      {.name = "LogFile",                                                      \
       .type = RMQ_OPT_STRING,                                                 \
       .offset = offsetof(T, connection.log_file),                             \
       .help = "File for this block's log lines; without it the host's log."}, \
      {.name = "ReportStats",                                                  \
       .type = RMQ_OPT_BOOLEAN,                                                \
       .offset = offsetof(T, connection.report_stats),                         \
       .default_value = "true",                                                \
       .help = "Dispatch the block's own series."},                            \
  {                                                                            \
    .name = "ShutdownTimeout", .type = RMQ_OPT_DURATION,                       \
    .offset = offsetof(T, connection.shutdown_timeout), .default_value = "5",  \
    .min = 0, .max = 600, .unit = "seconds",                                   \
    .help = "For finishing what is in hand when the daemon ends."              \
  }

/* What no single row can say; appends one line per error. */
int rmq_connection_options_check(const struct rmq_connection_options *o,
                                 struct rmq_buf *errors);

/* The options as the room below wants them; points into o. */
struct rmq_connection_setup {
  const struct rmq_connection_options *options;
  struct rmq_endpoint *endpoints;
  char *endpoint_names; /* what endpoints point into */
  struct rmq_tls_config tls;
  struct rmq_link_config link;
  char *connection_name;
};
/* Fills the setup, and of config what the connection options say. service,
 * hostname and block name the connection. -1 without memory. */
int rmq_connection_setup_init(struct rmq_connection_setup *s,
                              const struct rmq_connection_options *o,
                              const char *service, const char *hostname,
                              const char *block,
                              struct rmq_connection_config *ret_config,
                              struct rmq_error *err);
void rmq_connection_setup_fini(struct rmq_connection_setup *s);

#endif
