/* SPDX-License-Identifier: MIT */
/*
 * Numbers <-> text, for the codecs: independent of the locale's opinions on
 * digits and spaces, without allocation, and exact: what is written here reads
 * back as the same number. (Doubles that need it go through the C library,
 * which takes LC_NUMERIC "C" for granted, as collectd sets it.)
 */
#ifndef RMQ_CODEC_NUMBER_H
#define RMQ_CODEC_NUMBER_H

#include "common/base/rmqtime.h"

#include <stddef.h>
#include <stdint.h>

/* Room for the longest text that a put function writes. */
enum { RMQ_NUMBER_MAX = 32 };

/* Longest time that is read and that, rounded, can still be written: the year
 * 2262. */
#define RMQ_NUMBER_SECONDS_MAX INT64_C(9223372035)

/* Write without a NUL and return how many bytes they wrote. */
size_t rmq_number_put_u64(char *to, uint64_t v);
size_t rmq_number_put_i64(char *to, int64_t v);
/* v must be finite. The fewest digits where that is cheap to know, never more
 * than 17; "0", "-0.0", "0.1", "1e+300". A valid JSON number. */
size_t rmq_number_put_double(char *to, double v);
/* As printf's "%.15g" writes it, also what is not finite. */
size_t rmq_number_put_general(char *to, double v);
/* The same as rmq_number_put_double, or "nan", "inf", "-inf". */
size_t rmq_number_put_gauge(char *to, double v);
/* Seconds with three decimals, rounded to the nearest millisecond, as collectd
 * prints times. ns must not be negative. */
size_t rmq_number_put_seconds(char *to, int64_t ns);

/* Read all of text: 0, or -1 when it is not exactly one number of that form or
 * does not fit. Integers are decimal without leading zeros or '+' (collectd
 * itself would read 010 as eight). */
int rmq_number_get_u64(const char *text, size_t len, uint64_t *ret_v);
int rmq_number_get_i64(const char *text, size_t len, int64_t *ret_v);
/* [+-]digits[.digits][e[+-]digits], at least one digit before the exponent;
 * no words, no hexadecimal; -1 when it overflows; at most 400 bytes. */
int rmq_number_get_double(const char *text, size_t len, double *ret_v);
/* The same, or as collectd takes it "nan", "-nan", "U" (unknown), "inf",
 * "infinity" and these with a '-', whatever their case. */
int rmq_number_get_gauge(const char *text, size_t len, double *ret_v);
/* digits[.digits], exact to the nanosecond, further digits are cut off; at most
 * RMQ_NUMBER_SECONDS_MAX. */
int rmq_number_get_seconds(const char *text, size_t len, int64_t *ret_ns);

#endif
