/* SPDX-License-Identifier: MIT */
/*
 * What the management API is told to do: a virtual host of our own, and what
 * happens in it. Blocking; one thread. Every function: 0, or -1 with err saying
 * what the broker answered.
 */
#ifndef RMQ_BROKER_ADMIN_H
#define RMQ_BROKER_ADMIN_H

#include "common/broker/http.h"

struct rmq_admin {
  struct rmq_http http;
  const char *url; /* borrowed */
  struct rmq_dur timeout;
  struct rmq_buf body; /* the last answer */
  int status;          /* of it, 0 = none came */
};

void rmq_admin_init(struct rmq_admin *a, const struct rmq_http *http,
                    const char *url, struct rmq_dur timeout);
void rmq_admin_fini(struct rmq_admin *a);

/* Appends it. */
int rmq_admin_cluster_name(struct rmq_admin *a, struct rmq_buf *out,
                           struct rmq_error *err);
/* With all permissions for the user who asks. */
int rmq_admin_create_vhost(struct rmq_admin *a, const char *vhost,
                           struct rmq_error *err);
/* 0 also where there is none of that name. */
int rmq_admin_delete_vhost(struct rmq_admin *a, const char *vhost,
                           struct rmq_error *err);
/* Those whose name begins with prefix. */
int rmq_admin_find_vhosts(struct rmq_admin *a, const char *prefix,
                          void (*found)(void *ctx, const char *name), void *ctx,
                          struct rmq_error *err);
/* With max_length messages it is full and rejects further ones; 0 = never. */
int rmq_admin_create_queue(struct rmq_admin *a, const char *vhost,
                           const char *queue, unsigned max_length,
                           struct rmq_error *err);
int rmq_admin_purge(struct rmq_admin *a, const char *vhost, const char *queue,
                    struct rmq_error *err);
/* Through the default exchange, mandatory, with a confirm; that it was returned
 * or rejected is no error. */
int rmq_admin_publish(struct rmq_admin *a, const char *vhost, const char *key,
                      const char *payload, struct rmq_error *err);
/* Takes up to count messages and puts them back. */
int rmq_admin_requeue(struct rmq_admin *a, const char *vhost, const char *queue,
                      unsigned count, struct rmq_error *err);
/* All in the virtual host; ret_count = how many there were. */
int rmq_admin_close_connections(struct rmq_admin *a, const char *vhost,
                                size_t *ret_count, struct rmq_error *err);

#endif
