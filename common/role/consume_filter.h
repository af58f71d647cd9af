/* SPDX-License-Identifier: MIT */
/*
 * Whom a consuming block trusts: which users' messages, which hosts' and
 * plugins' values, of what age, and under which host name. Pure; one thread.
 */
#ifndef RMQ_ROLE_CONSUME_FILTER_H
#define RMQ_ROLE_CONSUME_FILTER_H

#include "common/amqp/connection.h"
#include "common/base/error.h"
#include "common/base/sample.h"
#include "common/role/role_consume.h"

struct rmq_consume_filter;
/* Borrows options for its life. NULL with err for what the options' check
 * would have refused, or without memory. */
struct rmq_consume_filter *
rmq_consume_filter_new(const struct rmq_trust_options *options,
                       struct rmq_error *err);
void rmq_consume_filter_free(struct rmq_consume_filter *f);

/* 0, or -1 when text is not a template: %{host} and %{user_id}, %% for a
 * percent sign. */
int rmq_consume_filter_check_template(const char *text, struct rmq_error *err);

/* Whether messages of that user are taken; "" = the message names none.
 * Without memory and clock: the broker checks the property itself. */
bool rmq_consume_filter_takes_user(const struct rmq_consume_filter *f,
                                   const char *user_id);

/* A message begins; d is borrowed until the next one. */
void rmq_consume_filter_begin(struct rmq_consume_filter *f,
                              const struct rmq_delivery *d,
                              struct rmq_wall now);
/* Whether a sample of the message is taken: RMQ_REFUSAL_none, or why not and
 * err in words. A time of 0 is now. */
enum rmq_refusal rmq_consume_filter_check(struct rmq_consume_filter *f,
                                          const struct rmq_identity *id,
                                          struct rmq_wall time,
                                          struct rmq_error *err);
/* The host that an identity gets which passed; host itself, or valid until the
 * next call with another host. */
const char *rmq_consume_filter_host(struct rmq_consume_filter *f,
                                    const char *host);

#endif
