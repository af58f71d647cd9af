/* SPDX-License-Identifier: MIT */
/*
 * A listening socket for HTTP on this host: "127.0.0.1:9100", "[::1]:9100" or
 * "unix:/run/warren.sock". Another address is taken only where the caller says
 * so: there is no password in front of what listens.
 */
#ifndef RMQ_HOST_HTTP_SOCKET_H
#define RMQ_HOST_HTTP_SOCKET_H

#include "common/base/error.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>
#include <time.h>

enum { RMQ_HTTP_ADDRESS_MAX = 128 };

struct rmq_http_address {
  union {
    struct sockaddr any;
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    struct sockaddr_un local;
  } name;
  socklen_t name_len;
  bool is_loopback; /* a local socket is, too */
};

/* -1 with err, which says what is allowed. Port 0 is any that is free. */
int rmq_http_address_parse(const char *text,
                           struct rmq_http_address *ret_address,
                           struct rmq_error *err);

struct rmq_http_socket {
  int fd;                          /* closed by whoever listens on it */
  char text[RMQ_HTTP_ADDRESS_MAX]; /* as bound: with the port that it got */
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)]; /* "" = none */
  /* Of the file at path. A number of an inode is soon used again. */
  dev_t device;
  ino_t inode;
  struct timespec changed;
};

/* Binds and listens; the file of a local socket has that mode from before the
 * first connection. One that is there already is replaced when nobody listens
 * on it, and is an error otherwise. -1 with err. */
int rmq_http_socket_open(const struct rmq_http_address *address, mode_t mode,
                         struct rmq_http_socket *ret_socket,
                         struct rmq_error *err);
/* Removes the file of a local socket, if it is still the one that was made.
 * Does not close fd. */
void rmq_http_socket_remove(const struct rmq_http_socket *s);

#endif
