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

enum { KEY_PASSWORD_MAX = 4096 };

struct key_password {
  struct rmq_buf text;
  bool was_asked; /* the key is encrypted */
};

/* Never asks on a terminal: without a password an encrypted key is an error. */
static int give_password(char *buf, int size, int rwflag, void *ctx) {
  (void)rwflag;
  struct key_password *password = ctx;
  size_t len = password->text.len;
  password->was_asked = true;
  if (size < 0 || len > (size_t)size)
    return -1;
  if (len > 0)
    memcpy(buf, rmq_buf_bytes(&password->text), len);
  return (int)len;
}

static int cannot_read(const char *option, const char *path,
                       const char **ret_remedy, struct rmq_error *err) {
  *ret_remedy = "make what it names a PEM file that this process can read";
  return rmq_error_set(err, "cannot read %s \"%s\": %s", option, path,
                       openssl_reason());
}

static int load_ca(SSL_CTX *ctx, const struct rmq_tls_config *config,
                   const char **ret_remedy, struct rmq_error *err) {
  if (config->ca_file != NULL) {
    if (SSL_CTX_load_verify_locations(ctx, config->ca_file, NULL) == 1)
      return 0;
    return cannot_read("TLSCACert", config->ca_file, ret_remedy, err);
  }
  if (SSL_CTX_set_default_verify_paths(ctx) == 1)
    return 0;
  *ret_remedy = "install the system's CA certificates, or set TLSCACert";
  return rmq_error_set(err, "cannot load the system's CA certificates: %s",
                       openssl_reason());
}

static int cannot_decrypt(const char *path, const struct key_password *password,
                          const char **ret_remedy, struct rmq_error *err) {
  ERR_clear_error();
  if (password->text.len == 0) {
    *ret_remedy = "set TLSClientKeyPassword or TLSClientKeyPasswordFile, or "
                  "give it a key that is not encrypted";
    return rmq_error_set(err,
                         "TLSClientKey \"%s\" is encrypted, and there is "
                         "no password for it",
                         path);
  }
  *ret_remedy = "correct TLSClientKeyPassword or TLSClientKeyPasswordFile";
  return rmq_error_set(err,
                       "TLSClientKey \"%s\" cannot be decrypted: the "
                       "password is wrong, or the file is damaged",
                       path);
}

static int load_pair(SSL_CTX *ctx, const struct rmq_tls_config *config,
                     struct key_password *password, const char **ret_remedy,
                     struct rmq_error *err) {
  const char *key =
      config->client_key != NULL ? config->client_key : config->client_cert;
  SSL_CTX_set_default_passwd_cb(ctx, give_password);
  SSL_CTX_set_default_passwd_cb_userdata(ctx, password);
  if (SSL_CTX_use_certificate_chain_file(ctx, config->client_cert) != 1)
    return cannot_read("TLSClientCert", config->client_cert, ret_remedy, err);
  if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
    return password->was_asked
               ? cannot_decrypt(key, password, ret_remedy, err)
               : cannot_read("TLSClientKey", key, ret_remedy, err);
  if (SSL_CTX_check_private_key(ctx) == 1)
    return 0;
  *ret_remedy = "give it the key that the certificate was made for";
  return rmq_error_set(err,
                       "TLSClientKey \"%s\" does not belong to "
                       "TLSClientCert \"%s\"",
                       key, config->client_cert);
}

static int load_client(SSL_CTX *ctx, const struct rmq_tls_config *config,
                       const char **ret_remedy, struct rmq_error *err) {
  if (config->client_cert == NULL)
    return 0;
  struct key_password password = {.was_asked = false};
  int rc = 0;
  rmq_buf_init(&password.text, KEY_PASSWORD_MAX);
  if (config->key_password != NULL)
    rc = config->key_password(config->key_password_ctx, &password.text, err);
  if (rc != 0)
    *ret_remedy = "make the password readable";
  else
    rc = load_pair(ctx, config, &password, ret_remedy, err);
  SSL_CTX_set_default_passwd_cb_userdata(ctx, NULL);
  SSL_CTX_set_default_passwd_cb(ctx, NULL);
  if (password.text.bytes != NULL)
    explicit_bzero(password.text.bytes, password.text.capacity);
  rmq_buf_fini(&password.text);
  return rc;
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
                   int fd, const char *host, const char **ret_remedy,
                   struct rmq_error *err) {
  t->ctx = SSL_CTX_new(TLS_client_method());
  if (t->ctx == NULL)
    return rmq_error_set(err, "cannot begin TLS: %s", openssl_reason());
  SSL_CTX_set_min_proto_version(t->ctx, protocol(config->min_version));
  SSL_CTX_set_mode(t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE |
                               SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_verify(
      t->ctx, config->verify_peer ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, NULL);
  if ((config->verify_peer && load_ca(t->ctx, config, ret_remedy, err) != 0) ||
      load_client(t->ctx, config, ret_remedy, err) != 0)
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
                            const char *host, const char **ret_remedy,
                            struct rmq_error *err) {
  *ret_remedy = "";
  struct rmq_tls *t = calloc(1, sizeof(*t));
  if (t == NULL) {
    rmq_error_set(err, "no memory for TLS");
    return NULL;
  }
  ERR_clear_error();
  if (prepare(t, config, fd, host, ret_remedy, err) == 0)
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

/* ------------------------------------------------------------------------
 * What went wrong, for people */

struct diagnosis {
  long code;
  const char *text, *remedy;
};

#define UNTRUSTED                                                              \
  "no CA that is trusted here has signed it",                                  \
      "set TLSCACert to the CA that signed the server's certificate"

/* Of the server's certificate. */
static const struct diagnosis verify_failures[] = {
    {X509_V_ERR_CERT_HAS_EXPIRED, "it, or one of its CA, has expired",
     "renew the certificate on the server, or set this host's clock"},
    {X509_V_ERR_CERT_NOT_YET_VALID, "it is not valid yet",
     "set the clocks of this host and of the one that made the certificate"},
    {X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT, UNTRUSTED},
    {X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN, UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY, UNTRUSTED},
    {X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE, UNTRUSTED},
    {X509_V_ERR_CERT_SIGNATURE_FAILURE, UNTRUSTED},
    {X509_V_ERR_HOSTNAME_MISMATCH, "it is for another host name",
     "name the broker in Host as its certificate does, or renew the "
     "certificate"},
    {X509_V_ERR_IP_ADDRESS_MISMATCH, "it is not for this IP address",
     "name the broker in Host as its certificate does, or renew the "
     "certificate with the address as an IP subject alternative name"},
    {X509_V_ERR_INVALID_PURPOSE, "it is not for a server",
     "give the server a certificate for TLS servers"},
};

/* Of our own certificate, and of the conversation. */
static const struct diagnosis tls_failures[] = {
    {SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
     "the server says that TLSClientCert has expired", "renew TLSClientCert"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
     "the server says that TLSClientCert is revoked", "renew TLSClientCert"},
    {SSL_R_TLSV1_ALERT_UNKNOWN_CA,
     "the server does not trust the CA of TLSClientCert",
     "use a certificate of a CA in the server's ssl_options.cacertfile"},
    {SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, "the server refuses TLSClientCert",
     "see the broker's log"},
    {SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, "the server refuses TLSClientCert",
     "see the broker's log"},
    {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED,
     "the server wants a client certificate",
     "set TLSClientCert and TLSClientKey"},
    {SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE, "the server found no common ground",
     "check TLSMinVersion, and the client certificate that the server may "
     "want"},
    {SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,
     "the server does not speak a version of TLS that is allowed here",
     "check TLSMinVersion and the server's ssl_options.versions"},
    {SSL_R_UNSUPPORTED_PROTOCOL,
     "the server does not speak a version of TLS that is allowed here",
     "check TLSMinVersion and the server's ssl_options.versions"},
    {SSL_R_WRONG_VERSION_NUMBER, "this port does not speak TLS",
     "check Port and TLSEnabled; RabbitMQ's TLS listener is usually 5671"},
};

static const struct diagnosis *find(const struct diagnosis *all, size_t count,
                                    long code) {
  for (size_t i = 0; i < count; i++)
    if (all[i].code == code)
      return &all[i];
  return NULL;
}
#define FIND(table, code) find(table, sizeof(table) / sizeof(table[0]), code)

static void explain_verify(struct rmq_tls *t, long verify,
                           struct rmq_error *err) {
  const struct diagnosis *d = FIND(verify_failures, verify);
  t->remedy =
      d != NULL ? d->remedy : "check TLSCACert and the server's certificate";
  rmq_error_set(err, "the server's certificate was refused: %s",
                d != NULL ? d->text : X509_verify_cert_error_string(verify));
}

/* After the handshake only what is certainly about us is worth a remedy. */
static void explain_tls(struct rmq_tls *t, const char *doing,
                        struct rmq_error *err) {
  unsigned long code = ERR_peek_error();
  bool is_tls = ERR_GET_LIB(code) == ERR_LIB_SSL;
  const struct diagnosis *d =
      is_tls ? FIND(tls_failures, ERR_GET_REASON(code)) : NULL;
  if (d != NULL) {
    t->remedy = d->remedy;
    rmq_error_set(err, "TLS failed while %s: %s (%s)", doing, d->text,
                  openssl_reason());
    return;
  }
  if (SSL_in_init(t->ssl))
    t->remedy = "check that this port speaks TLS, TLSMinVersion, and the "
                "client certificate that the server asks for";
  rmq_error_set(err, "TLS failed while %s: %s", doing, openssl_reason());
}

static bool is_eof(int code, int rc, int saved_errno) {
#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
  if (code == SSL_ERROR_SSL &&
      ERR_GET_REASON(ERR_peek_error()) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
    return true;
#endif
  return code == SSL_ERROR_ZERO_RETURN ||
         (code == SSL_ERROR_SYSCALL && (rc == 0 || saved_errno == 0));
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
  /* Known also when nobody asked for it, and then it is not the reason; nor is
   * it once it has been accepted. */
  bool is_checked = (SSL_get_verify_mode(t->ssl) & SSL_VERIFY_PEER) != 0;
  long verify = is_checked ? SSL_get_verify_result(t->ssl) : X509_V_OK;
  t->remedy = "";
  if (verify != X509_V_OK)
    explain_verify(t, verify, err);
  else if (is_eof(code, rc, saved_errno))
    rmq_error_set(err, "the server closed the connection while %s", doing);
  else if (code == SSL_ERROR_SYSCALL)
    rmq_error_set(err, "TLS broke while %s (errno %d)", doing, saved_errno);
  else
    explain_tls(t, doing, err);
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
