/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/host/http_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connections that wait to be accepted. */
enum { SOCKET_BACKLOG = 512 };

static const char allowed[] =
    "allowed are 127.0.0.1:PORT, [::1]:PORT and unix:PATH";

/* ---- the text ---- */

static int parse_port(const char *text, in_port_t *ret_port) {
  size_t digits = strspn(text, "0123456789");
  if (digits == 0 || digits > 5 || text[digits] != '\0')
    return -1;
  long port = strtol(text, NULL, 10);
  if (port > 65535)
    return -1;
  *ret_port = htons((uint16_t)port);
  return 0;
}

static int parse_path(const char *path, struct rmq_http_address *a,
                      struct rmq_error *err) {
  size_t len = strlen(path);
  if (len == 0 || len >= sizeof(a->name.local.sun_path))
    return rmq_error_set(err, "\"unix:%s\": the path has 1 to %zu bytes", path,
                         sizeof(a->name.local.sun_path) - 1);
  a->name.local.sun_family = AF_UNIX;
  memcpy(a->name.local.sun_path, path, len + 1);
  a->name_len = sizeof(a->name.local);
  a->is_loopback = true;
  return 0;
}

static bool parse_ipv4(const char *host, in_port_t port,
                       struct rmq_http_address *a) {
  if (inet_pton(AF_INET, host, &a->name.ipv4.sin_addr) != 1)
    return false;
  a->name.ipv4.sin_family = AF_INET;
  a->name.ipv4.sin_port = port;
  a->name_len = sizeof(a->name.ipv4);
  a->is_loopback = ntohl(a->name.ipv4.sin_addr.s_addr) >> 24 == 127;
  return true;
}

static bool parse_ipv6(char *host, in_port_t port, struct rmq_http_address *a) {
  size_t len = strlen(host);
  if (len < 2 || host[0] != '[' || host[len - 1] != ']')
    return false;
  host[len - 1] = '\0';
  if (inet_pton(AF_INET6, host + 1, &a->name.ipv6.sin6_addr) != 1)
    return false;
  a->name.ipv6.sin6_family = AF_INET6;
  a->name.ipv6.sin6_port = port;
  a->name_len = sizeof(a->name.ipv6);
  a->is_loopback = IN6_IS_ADDR_LOOPBACK(&a->name.ipv6.sin6_addr);
  return true;
}

int rmq_http_address_parse(const char *text,
                           struct rmq_http_address *ret_address,
                           struct rmq_error *err) {
  struct rmq_http_address a;
  memset(&a, 0, sizeof(a)); /* sin6_scope_id and all padding */
  if (strncmp(text, "unix:", 5) == 0) {
    if (parse_path(text + 5, &a, err) != 0)
      return -1;
    *ret_address = a;
    return 0;
  }
  char host[RMQ_HTTP_ADDRESS_MAX];
  const char *colon = strrchr(text, ':');
  in_port_t port;
  if (colon == NULL || (size_t)(colon - text) >= sizeof(host) ||
      parse_port(colon + 1, &port) != 0)
    return rmq_error_set(err, "\"%s\" is no address to listen on; %s", text,
                         allowed);
  memcpy(host, text, (size_t)(colon - text));
  host[colon - text] = '\0';
  if (!parse_ipv4(host, port, &a) && !parse_ipv6(host, port, &a))
    return rmq_error_set(err, "\"%s\" is no address to listen on; %s", text,
                         allowed);
  *ret_address = a;
  return 0;
}

/* ---- the socket ---- */

static int os_error(struct rmq_error *err, const char *what, const char *text) {
  char reason[128];
  int code = errno;
  return rmq_error_set(err, "cannot %s %s: %s", what, text,
                       strerror_r(code, reason, sizeof(reason)));
}

/* "127.0.0.1:41235" of what the kernel made of it. */
static void to_text(const struct rmq_http_address *a, char *text, size_t size) {
  char host[INET6_ADDRSTRLEN] = "";
  if (a->name.any.sa_family == AF_UNIX) {
    snprintf(text, size, "unix:%s", a->name.local.sun_path);
  } else if (a->name.any.sa_family == AF_INET) {
    inet_ntop(AF_INET, &a->name.ipv4.sin_addr, host, sizeof(host));
    snprintf(text, size, "%s:%u", host, ntohs(a->name.ipv4.sin_port));
  } else {
    inet_ntop(AF_INET6, &a->name.ipv6.sin6_addr, host, sizeof(host));
    snprintf(text, size, "[%s]:%u", host, ntohs(a->name.ipv6.sin6_port));
  }
}

/* A file that nobody listens on is what a killed process left. */
static int clear_path(const struct rmq_http_address *a, struct rmq_error *err) {
  const char *path = a->name.local.sun_path;
  struct stat st;
  if (lstat(path, &st) != 0)
    return errno == ENOENT ? 0 : os_error(err, "look at", path);
  if (!S_ISSOCK(st.st_mode))
    return rmq_error_set(err, "%s is there already and is not a socket", path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return os_error(err, "open a socket for", path);
  int rc = connect(fd, &a->name.any, a->name_len);
  int code = errno;
  close(fd);
  if (rc == 0 || code == EAGAIN)
    return rmq_error_set(err, "%s is in use: somebody listens there", path);
  if (code != ECONNREFUSED) {
    errno = code;
    return os_error(err, "ask who listens on", path);
  }
  if (unlink(path) != 0)
    return os_error(err, "remove the stale socket", path);
  return 0;
}

/* Nobody can connect before listen, so the mode is in time. */
static int keep_path(struct rmq_http_socket *s, const char *path, mode_t mode,
                     struct rmq_error *err) {
  struct stat st;
  if (chmod(path, mode) != 0 || lstat(path, &st) != 0) {
    os_error(err, "set the mode of", path);
    unlink(path);
    return -1;
  }
  memcpy(s->path, path, strlen(path) + 1);
  s->device = st.st_dev;
  s->inode = st.st_ino;
  s->changed = st.st_ctim;
  return 0;
}

static int bind_and_listen(const struct rmq_http_address *wanted, mode_t mode,
                           struct rmq_http_socket *s, struct rmq_error *err) {
  struct rmq_http_address bound = *wanted;
  socklen_t len = sizeof(bound.name);
  bool is_local = wanted->name.any.sa_family == AF_UNIX;
  if (bind(s->fd, &wanted->name.any, wanted->name_len) != 0)
    return os_error(err, "listen on", s->text);
  if (is_local && keep_path(s, wanted->name.local.sun_path, mode, err) != 0)
    return -1;
  if (listen(s->fd, SOCKET_BACKLOG) != 0) {
    os_error(err, "listen on", s->text);
    rmq_http_socket_remove(s);
    return -1;
  }
  if (!is_local && getsockname(s->fd, &bound.name.any, &len) == 0)
    to_text(&bound, s->text, sizeof(s->text));
  return 0;
}

int rmq_http_socket_open(const struct rmq_http_address *address, mode_t mode,
                         struct rmq_http_socket *ret_socket,
                         struct rmq_error *err) {
  static const int on = 1;
  struct rmq_http_socket s;
  memset(&s, 0, sizeof(s));
  to_text(address, s.text, sizeof(s.text));
  if (address->name.any.sa_family == AF_UNIX && clear_path(address, err) != 0)
    return -1;
  s.fd = socket(address->name.any.sa_family,
                SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (s.fd < 0)
    return os_error(err, "open a socket for", s.text);
  if (address->name.any.sa_family != AF_UNIX)
    setsockopt(s.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind_and_listen(address, mode, &s, err) != 0) {
    close(s.fd);
    return -1;
  }
  *ret_socket = s;
  return 0;
}

void rmq_http_socket_remove(const struct rmq_http_socket *s) {
  struct stat st;
  if (s->path[0] != '\0' && lstat(s->path, &st) == 0 &&
      st.st_dev == s->device && st.st_ino == s->inode &&
      st.st_ctim.tv_sec == s->changed.tv_sec &&
      st.st_ctim.tv_nsec == s->changed.tv_nsec)
    unlink(s->path);
}
