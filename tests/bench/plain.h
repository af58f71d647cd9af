/* SPDX-License-Identifier: MIT */
/*
 * AMQP by rabbitmq-c and nothing else: what a publisher or a consumer costs
 * that keeps no order, no account and no promise. Shared by bare.c,
 * bare_consume.c and rawlimit.c, so that all measure the same calls. One
 * thread; waits for the broker without limit.
 */
#ifndef TESTS_BENCH_PLAIN_H
#define TESTS_BENCH_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct plain;

/* Connects as guest, opens channel 1, and with window > 0 asks for confirms.
 * NULL with a line on standard error. */
struct plain *plain_new(const char *host, int port, const char *vhost,
                        size_t window);
void plain_free(struct plain *p);

/* What a message carries besides its body. */
enum plain_properties {
  PLAIN_FEW, /* content type, persistent */
  PLAIN_FULL /* the same properties as one of rabbitmq_publish's, and mandatory;
              * the broker pays for them, not the publisher */
};
/* Of all that is published from now on, borrowed; at first "text/plain". */
void plain_set_content_type(struct plain *p, const char *type);
/* Publishes through the default exchange; -1 when the connection broke. */
int plain_publish(struct plain *p, enum plain_properties properties,
                  const char *queue, const char *body, size_t size);
/* Whether the window has room for one more. */
bool plain_has_room(const struct plain *p);
/* Takes what the broker says next, waiting at most wait_ms, or for ever when
 * that is negative. -1 when the connection broke. */
int plain_wait(struct plain *p, int wait_ms);

uint64_t plain_published(const struct plain *p);
uint64_t plain_confirmed(const struct plain *p);

/* One delivery after the other; body is borrowed until the next call. */
struct plain_delivery {
  uint64_t tag;
  const char *message_id;
  size_t message_id_len;
  const char *body;
  size_t size;
};
int plain_consume(struct plain *p, const char *queue, int prefetch);
/* 1 with a delivery, 0 when there was none for wait_ms (negative: waits for
 * ever), -1 on an error. */
int plain_take(struct plain *p, int wait_ms, struct plain_delivery *ret);
/* All deliveries up to tag. */
int plain_ack(struct plain *p, uint64_t tag);

double plain_now_s(void); /* CLOCK_MONOTONIC */

#endif
