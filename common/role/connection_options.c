/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/role/connection_options.h"

#include "common/role/secret.h"

#include <stdlib.h>
#include <string.h>

enum { PORT_AMQP = 5672, PORT_AMQPS = 5671 };

const char *const rmq_host_selection_words[] = {"ordered", "random", NULL};
const char *const rmq_auth_words[] = {"plain", "external", NULL};
const char *const rmq_tls_version_words[] = {"1.2", "1.3", NULL};
const char *const rmq_log_format_words[] = {"text", "json", NULL};

/* HOST, HOST:PORT, [V6], [V6]:PORT or a bare V6 address. *ret_len bytes from
 * *ret_host are the host. False when the port is not one. */
static bool split_host(const char *text, const char **ret_host, size_t *ret_len,
                       const char **ret_port) {
  const char *end = NULL;
  *ret_host = text;
  *ret_port = NULL;
  if (text[0] == '[') {
    end = strchr(text, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
      return false;
    *ret_host = text + 1;
    *ret_len = (size_t)(end - text - 1);
    *ret_port = end[1] == ':' ? end + 2 : NULL;
    return *ret_len > 0;
  }
  end = strchr(text, ':');
  if (end == NULL || strchr(end + 1, ':') != NULL) {
    *ret_len = strlen(text);
    return *ret_len > 0;
  }
  *ret_len = (size_t)(end - text);
  *ret_port = end + 1;
  return *ret_len > 0;
}

static bool parse_port(const char *text, uint16_t *ret_port) {
  size_t len = strlen(text);
  if (len == 0 || len > 5 || strspn(text, "0123456789") != len)
    return false;
  long n = strtol(text, NULL, 10);
  if (n < 1 || n > 65535)
    return false;
  *ret_port = (uint16_t)n;
  return true;
}

static bool host_is_valid(const char *text) {
  const char *host, *port;
  size_t len = 0;
  uint16_t number = 0;
  return split_host(text, &host, &len, &port) &&
         (port == NULL || parse_port(port, &number));
}

static int complain(struct rmq_buf *errors, const char *line) {
  rmq_buf_append_text(errors, line);
  rmq_buf_append_char(errors, '\n');
  return -1;
}

static bool has_control(const char *text) {
  for (; text != NULL && *text != '\0'; text++)
    if ((unsigned char)*text < ' ')
      return true;
  return false;
}

static int check_host(const char *host, struct rmq_buf *errors) {
  /* Before it is repeated: it may hold a password. */
  if (strchr(host, '@') != NULL)
    return complain(errors, "option Host: a user or password inside it is not "
                            "allowed, since hosts are logged; use User and "
                            "PasswordFile");
  if (host_is_valid(host) && !has_control(host))
    return 0;
  rmq_buf_appendf(errors,
                  "option Host: \"%s\" is not valid; allowed are HOST, "
                  "HOST:PORT, [V6] and [V6]:PORT\n",
                  host);
  return -1;
}

int rmq_connection_options_check(const struct rmq_connection_options *o,
                                 struct rmq_buf *errors) {
  int rc = 0;
  for (size_t i = 0; i < o->hosts.count; i++)
    if (check_host(o->hosts.items[i], errors) != 0)
      rc = -1;
  if (o->failback_interval.ns > 0 && o->host_selection == 1)
    rc = complain(errors, "option FailbackInterval: needs HostSelection "
                          "ordered; random prefers no host");
  if (strlen(o->vhost) > 255)
    rc = complain(errors, "option VHost: longer than 255 bytes");
  if (o->retry_delay_max.ns < o->retry_delay.ns)
    rc = complain(errors,
                  "option RetryDelayMax: must not be less than RetryDelay");
  if (o->auth_method == RMQ_AUTH_EXTERNAL &&
      (!o->tls_enabled || o->tls_cert == NULL))
    rc = complain(errors, "option AuthMethod: external needs TLSEnabled true "
                          "and TLSClientCert");
  if (o->tls_key != NULL && o->tls_cert == NULL)
    rc = complain(errors, "option TLSClientKey: needs TLSClientCert");
  if ((o->tls_key_password != NULL || o->tls_key_password_file != NULL) &&
      o->tls_cert == NULL)
    rc = complain(errors, "option TLSClientKeyPassword: needs TLSClientCert");
  if (!o->tls_enabled && (o->tls_ca != NULL || o->tls_cert != NULL))
    rc = complain(errors, "option TLSEnabled: false, but TLSCACert or "
                          "TLSClientCert is set; remove them or enable TLS");
  return rc;
}

/* ------------------------------------------------------------------------ */

static int append_secret_of(const char *option, const char *path,
                            struct rmq_buf *out, struct rmq_error *err) {
  char *secret = NULL;
  struct rmq_error why = {""};
  if (rmq_secret_read(path, &secret, &why) != 0)
    return rmq_error_set(err, "%s: %s", option, why.text);
  int rc = rmq_buf_append_text(out, secret);
  rmq_secret_free(secret);
  return rc == 0 ? 0
                 : rmq_error_set(err, "%s: \"%s\" is too long", option, path);
}

static int append_secret(const char *option, const char *text,
                         struct rmq_buf *out, struct rmq_error *err) {
  if (text != NULL && rmq_buf_append_text(out, text) != 0)
    return rmq_error_set(err, "%s is too long", option);
  return 0;
}

static int give_password(void *ctx, struct rmq_buf *ret_password,
                         struct rmq_error *err) {
  const struct rmq_connection_options *o = ctx;
  if (o->password_file != NULL)
    return append_secret_of("PasswordFile", o->password_file, ret_password,
                            err);
  return append_secret("Password", o->password, ret_password, err);
}

static int give_key_password(void *ctx, struct rmq_buf *ret_password,
                             struct rmq_error *err) {
  const struct rmq_connection_options *o = ctx;
  if (o->tls_key_password_file != NULL)
    return append_secret_of("TLSClientKeyPasswordFile",
                            o->tls_key_password_file, ret_password, err);
  return append_secret("TLSClientKeyPassword", o->tls_key_password,
                       ret_password, err);
}

/* A callback's context is not const; ours only read it. */
static void *context_of(const struct rmq_connection_options *o) {
  union {
    const struct rmq_connection_options *in;
    void *out;
  } options = {.in = o};
  return options.out;
}

static void fill_endpoints(struct rmq_connection_setup *s) {
  const struct rmq_connection_options *o = s->options;
  char *at = s->endpoint_names;
  for (size_t i = 0; i < o->hosts.count; i++) {
    const char *host = NULL, *port = NULL;
    size_t len = 0;
    split_host(o->hosts.items[i], &host, &len, &port);
    memcpy(at, host, len);
    at[len] = '\0';
    s->endpoints[i].host = at;
    at += len + 1;
    s->endpoints[i].port = (uint16_t)(o->port != 0     ? o->port
                                      : o->tls_enabled ? PORT_AMQPS
                                                       : PORT_AMQP);
    if (port != NULL)
      parse_port(port, &s->endpoints[i].port);
  }
}

static int alloc_endpoints(struct rmq_connection_setup *s) {
  const struct rmq_strings *hosts = &s->options->hosts;
  size_t bytes = 1;
  for (size_t i = 0; i < hosts->count; i++)
    bytes += strlen(hosts->items[i]) + 1;
  s->endpoints = calloc(hosts->count, sizeof(*s->endpoints));
  s->endpoint_names = malloc(bytes);
  return s->endpoints != NULL && s->endpoint_names != NULL ? 0 : -1;
}

static char *name_connection(const struct rmq_connection_options *o,
                             const char *service, const char *hostname,
                             const char *block) {
  if (o->connection_name != NULL)
    return strdup(o->connection_name);
  struct rmq_buf b;
  rmq_buf_init(&b, 1024);
  rmq_buf_appendf(&b, "%s/%s/%s", service, hostname, block);
  char *name = rmq_buf_take(&b, NULL);
  rmq_buf_fini(&b);
  return name;
}

static void fill_tls(struct rmq_connection_setup *s) {
  const struct rmq_connection_options *o = s->options;
  s->tls = (struct rmq_tls_config){
      .verify_peer = o->tls_verify_peer,
      .verify_host = o->tls_verify_host,
      .ca_file = o->tls_ca,
      .client_cert = o->tls_cert,
      .client_key = o->tls_key,
      .key_password = give_key_password,
      .key_password_ctx = context_of(o),
      .min_version = (enum rmq_tls_version)o->tls_min_version};
  s->link = (struct rmq_link_config){
      .tls = o->tls_enabled ? &s->tls : NULL,
      /* A black-holed first address must leave time for the second. */
      .address_timeout = {o->connect_timeout.ns / 2},
      .user_timeout = {o->heartbeat.ns * 2}};
}

static void fill_config(const struct rmq_connection_setup *s,
                        struct rmq_connection_config *c) {
  const struct rmq_connection_options *o = s->options;
  c->endpoints = s->endpoints;
  c->endpoints_count = o->hosts.count;
  c->is_random_order = o->host_selection == 1;
  c->failback_interval = o->failback_interval;
  c->blocked_timeout = o->blocked_timeout;
  c->vhost = o->vhost;
  c->auth = (enum rmq_auth)o->auth_method;
  c->user = o->user;
  c->password = give_password;
  c->password_ctx = context_of(o);
  c->connection_name = s->connection_name;
  c->product = "Warren";
  c->version = RMQ_VERSION;
  c->heartbeat = o->heartbeat;
  c->connect_timeout = o->connect_timeout;
  c->rpc_timeout = o->rpc_timeout;
  c->frame_max = (uint32_t)o->frame_max;
  c->retry_min = o->retry_delay;
  c->retry_max = o->retry_delay_max;
  c->refused_delay = o->auth_retry_delay;
}

int rmq_connection_setup_init(struct rmq_connection_setup *s,
                              const struct rmq_connection_options *o,
                              const char *service, const char *hostname,
                              const char *block,
                              struct rmq_connection_config *ret_config,
                              struct rmq_error *err) {
  *s = (struct rmq_connection_setup){.options = o};
  s->connection_name = name_connection(o, service, hostname, block);
  if (s->connection_name == NULL || alloc_endpoints(s) != 0) {
    rmq_connection_setup_fini(s);
    return rmq_error_set(err, "no memory for the connection of \"%s\"", block);
  }
  fill_endpoints(s);
  fill_tls(s);
  fill_config(s, ret_config);
  return 0;
}

void rmq_connection_setup_fini(struct rmq_connection_setup *s) {
  free(s->endpoints);
  free(s->endpoint_names);
  free(s->connection_name);
  *s = (struct rmq_connection_setup){0};
}
