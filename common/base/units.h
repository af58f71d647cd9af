/* SPDX-License-Identifier: MIT */
/*
 * Numbers as people write them: whole, with a unit of size, with a unit of
 * time. Independent of the locale; no sign but '-' of a whole number, no
 * exponent, no hexadecimal. Every function returns 0, or -1 with ret untouched
 * when the text is anything else or the number does not fit.
 */
#ifndef RMQ_BASE_UNITS_H
#define RMQ_BASE_UNITS_H

#include "common/base/rmqtime.h"

#include <stdint.h>

int rmq_units_parse_integer(const char *text, int64_t *ret_value);
/* 12, 1.5, .5 */
int rmq_units_parse_number(const char *text, double *ret_value);
/* 512, 64KiB, 10MiB, 1.5GiB, 1TiB (powers of 1024); 10kB, 10MB, 1GB, 1TB
 * (powers of 1000); case is ignored; a fraction of a byte is dropped. A bare K
 * or M is refused: it means either. */
int rmq_units_parse_bytes(const char *text, int64_t *ret_bytes);
/* Seconds, or with a unit: 500ms, 30s, 5m, 2h, 1d; fractions allowed. */
int rmq_units_parse_duration(const char *text, struct rmq_dur *ret_duration);

/* From a number that is already one (NaN and overflow fail). */
int rmq_units_integer_from_double(double value, int64_t *ret_value);
int rmq_units_duration_from_double(double seconds,
                                   struct rmq_dur *ret_duration);

#endif
