/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/link_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct rmq_tls {
  SSL_CTX *ctx;
  SSL *ssl;
  enum rmq_tls_want want;
  const char *remedy;
};

const char *rmq_tls_version_to_str(enum rmq_tls_version v) {
  switch (v) {
  case RMQ_TLS_1_2:
    return "1.2";
  case RMQ_TLS_1_3:
    return "1.3";
  }
  return "unknown";
}

const char *rmq_tls_want_to_str(enum rmq_tls_want w) {
  switch (w) {
  case RMQ_TLS_NOTHING:
    return "nothing";
  case RMQ_TLS_READ:
    return "read";
  case RMQ_TLS_WRITE:
    return "write";
  }
  return "unknown";
}

static int protocol(enum rmq_tls_version v) {
  switch (v) {
  case RMQ_TLS_1_2:
    return TLS1_2_VERSION;
  case RMQ_TLS_1_3:
    return TLS1_3_VERSION;
  }
  return TLS1_3_VERSION;
}

/* The oldest entry of this thread's error queue, which is emptied. For errors
 * of the system OpenSSL 3 has no text. Valid until the thread's next call. */
static const char *openssl_reason(void) {
  static _Thread_local char of_system[96];
  unsigned long code = ERR_get_error();
  const char *text = ERR_reason_error_string(code);
  ERR_clear_error();
  if (text == NULL && ERR_GET_LIB(code) == ERR_LIB_SYS)
    text = strerror_r(ERR_GET_REASON(code), of_system, sizeof(of_system));
  return text != NULL ? text : "unknown reason";
}

static int load_ca(SSL_CTX *ctx, const struct rmq_tls_config *config,
                   struct rmq_error *err) {
  if (config->ca_file == NULL) {
    if (SSL_CTX_set_default_verify_paths(ctx) == 1)
      return 0;
    return rmq_error_set(err, "cannot load the system's CA certificates: %s",
                         openssl_reason());
  }
  if (SSL_CTX_load_verify_locations(ctx, config->ca_file, NULL) == 1)
    return 0;
  return rmq_error_set(err, "cannot read TLSCACert \"%s\": %s", config->ca_file,
                       openssl_reason());
}

/* Never asks on a terminal: without a password an encrypted key is an error. */
static int give_password(char *buf, int size, int rwflag, void *ctx) {
  (void)rwflag;
  const char *password = ctx;
  size_t len = password == NULL ? 0 : strlen(password);
  if (size < 0 || len > (size_t)size)
    return -1;
  memcpy(buf, password == NULL ? "" : password, len);
  return (int)len;
}

static int load_client(SSL_CTX *ctx, const struct rmq_tls_config *config,
                       struct rmq_error *err) {
  if (config->client_cert == NULL)
    return 0;
  const char *key =
      config->client_key != NULL ? config->client_key : config->client_cert;
  union {
    const char *in;
    void *out;
  } password = {.in = config->client_key_password};
  SSL_CTX_set_default_passwd_cb(ctx, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(ctx, password.out);
  if (SSL_CTX_use_certificate_chain_file(ctx, config->client_cert) != 1)
    return rmq_error_set(err, "cannot read TLSClientCert \"%s\": %s",
                         config->client_cert, openssl_reason());
  if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
    return rmq_error_set(err, "cannot read TLSClientKey \"%s\": %s", key,
                         openssl_reason());
  if (SSL_CTX_check_private_key(ctx) != 1)
    return rmq_error_set(err, "TLSClientKey does not belong to TLSClientCert");
  return 0;
}

/* rabbitmq-c compares names only; a certificate for an IP address is checked
 * as such. SNI carries names only. */
static int expect_host(SSL *ssl, const char *host) {
  struct in6_addr address;
  bool is_ip = inet_pton(AF_INET, host, &address) == 1 ||
               inet_pton(AF_INET6, host, &address) == 1;
  if (is_ip)
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host);
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, host);
}

static void send_name(SSL *ssl, const char *host) {
  struct in6_addr address;
  /* OpenSSL's macro casts to void *, and only reads. */
  union {
    const char *in;
    char *out;
  } name = {.in = host};
  if (inet_pton(AF_INET, host, &address) != 1 &&
      inet_pton(AF_INET6, host, &address) != 1)
    SSL_set_tlsext_host_name(ssl, name.out);
}

static int prepare(struct rmq_tls *t, const struct rmq_tls_config *config,
                   int fd, const char *host, struct rmq_error *err) {
  t->ctx = SSL_CTX_new(TLS_client_method());
  if (t->ctx == NULL)
    return rmq_error_set(err, "cannot begin TLS: %s", openssl_reason());
  SSL_CTX_set_min_proto_version(t->ctx, protocol(config->min_version));
  SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(
      t->ctx, config->verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
  if ((config->verify_peer && load_ca(t->ctx, config, err) != 0) ||
      load_client(t->ctx, config, err) != 0)
    return -1;
  t->ssl = SSL_new(t->ctx);
  if (t->ssl == NULL || SSL_set_fd(t->ssl, fd) != 1)
    return rmq_error_set(err, "cannot begin TLS: %s", openssl_reason());
  send_name(t->ssl, host);
  if (config->verify_peer && config->verify_host &&
      expect_host(t->ssl, host) != 1)
    return rmq_error_set(err, "cannot check a certificate for \"%s\"", host);
  SSL_set_connect_state(t->ssl);
  return 0;
}

struct rmq_tls *rmq_tls_new(const struct rmq_tls_config *config, int fd,
                            const char *host, struct rmq_error *err) {
  struct rmq_tls *t = calloc(1, sizeof(*t));
  if (t == NULL) {
    rmq_error_set(err, "no memory for TLS");
    return NULL;
  }
  ERR_clear_error();
  if (prepare(t, config, fd, host, err) == 0)
    return t;
  rmq_tls_free(t);
  return NULL;
}

void rmq_tls_free(struct rmq_tls *t) {
  if (t == NULL)
    return;
  SSL_free(t->ssl);
  SSL_CTX_free(t->ctx);
  free(t);
}

enum rmq_tls_want rmq_tls_want(const struct rmq_tls *t) { return t->want; }

const char *rmq_tls_remedy(const struct rmq_tls *t) {
  return t->remedy == NULL ? "" : t->remedy;
}

/* What an OpenSSL call that did not succeed means. */
static long failed(struct rmq_tls *t, int rc, const char *doing,
                   struct rmq_error *err) {
  int saved_errno = errno;
  int code = SSL_get_error(t->ssl, rc);
  if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
    t->want = code == SSL_ERROR_WANT_READ ? RMQ_TLS_READ : RMQ_TLS_WRITE;
    return 0;
  }
  /* Known also when nobody asked for it, and then it is not the reason. */
  bool is_checked = (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER) != 0;
  long verify = is_checked ? SSL_get_verify_result(t->ssl) : X509_V_OK;
  t->remedy = verify != X509_V_OK ? "check TLSCACert, the name in Host and the "
                                    "server's certificate"
              : code == SSL_ERROR_SSL
                  ? "check that this port speaks TLS, TLSMinVersion, and the "
                    "client certificate that the server asks for"
                  : "";
  if (verify != X509_V_OK)
    rmq_error_set(err, "the server's certificate was refused: %s",
                  X509_verify_cert_error_string(verify));
  else if (code == SSL_ERROR_ZERO_RETURN ||
           (code == SSL_ERROR_SYSCALL && (rc == 0 || saved_errno == 0)))
    rmq_error_set(err, "the server closed the connection while %s", doing);
  else if (code == SSL_ERROR_SYSCALL)
    rmq_error_set(err, "TLS broke while %s (errno %d)", doing, saved_errno);
  else
    rmq_error_set(err, "TLS failed while %s: %s", doing, openssl_reason());
  ERR_clear_error();
  return -1;
}

int rmq_tls_handshake(struct rmq_tls *t, struct rmq_error *err) {
  t->want = RMQ_TLS_NOTHING;
  ERR_clear_error();
  errno = 0;
  int rc = SSL_do_handshake(t->ssl);
  return rc == 1 ? 1 : (int)failed(t, rc, "shaking hands", err);
}

static int clamp(size_t len) { return len > INT_MAX ? INT_MAX : (int)len; }

long rmq_tls_send(struct rmq_tls *t, const char *bytes, size_t len,
                  struct rmq_error *err) {
  t->want = RMQ_TLS_NOTHING;
  ERR_clear_error();
  errno = 0;
  int rc = SSL_write(t->ssl, bytes, clamp(len));
  return rc > 0 ? rc : failed(t, rc, "sending", err);
}

long rmq_tls_recv(struct rmq_tls *t, char *bytes, size_t size,
                  struct rmq_error *err) {
  ERR_clear_error();
  errno = 0;
  int rc = SSL_read(t->ssl, bytes, clamp(size));
  if (rc > 0)
    return rc;
  enum rmq_tls_want before = t->want;
  long result = failed(t, rc, "receiving", err);
  /* A read that waits to read is the rule; poll always asks for that. */
  if (t->want == RMQ_TLS_READ)
    t->want = before;
  return result;
}
