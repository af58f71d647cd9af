/* SPDX-License-Identifier: MIT */
/*
 * Names of broker objects made fit for a metric identity: percent-encoded as in
 * RabbitMQ's own URLs, and shortened where they are too long, so that different
 * names stay different (contract.md, Series).
 */
#ifndef RMQ_BASE_NAMES_H
#define RMQ_BASE_NAMES_H

#include "common/base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 64-bit FNV-1a (offset basis 14695981039346656037, prime 1099511628211). */
uint64_t rmq_fnv1a(const void *bytes, size_t len);
#define RMQ_FNV1A_BASIS UINT64_C(14695981039346656037)
/* The same over several pieces: begin with RMQ_FNV1A_BASIS. */
uint64_t rmq_fnv1a_more(uint64_t hash, const void *bytes, size_t len);

/* Appends name with every byte but [A-Za-z0-9_.~-] as %XX; also_dash encodes
 * '-' as %2D as well (for a vhost, so that the first '-' ends it). 0, or -1
 * with nothing appended. */
int rmq_names_encode(struct rmq_buf *out, const char *name, bool also_dash);

/* Writes name into ret_name, shortened to at most RMQ_NAME_MAX bytes: the first
 * 110, '~', 16 hex digits of the FNV-1a of the whole; never cut inside a %XX or
 * a UTF-8 character. A name that fits stays as it is, so shortening twice is
 * shortening once. ret_size must be at least RMQ_NAME_MAX + 1. */
void rmq_names_shorten(const char *name, char *ret_name, size_t ret_size);

/* True for a name that collectd and its writers can carry: 1 to RMQ_NAME_MAX
 * bytes of valid UTF-8, no control character, no '/', no leading '.'. Such
 * names are rejected, never repaired. */
bool rmq_names_are_safe(const char *name, size_t len);

#endif
