/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above
 * U+10FFFF. Whatever comes from the wire or a file is judged here.
 */
#ifndef RMQ_BASE_UTF8_H
#define RMQ_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes (1 to 4) of the character that starts at bytes, 0 when the first of
 * the len bytes do not form one. ret_char may be NULL. */
size_t rmq_utf8_decode(const char *bytes, size_t len, uint32_t *ret_char);
bool rmq_utf8_is_valid(const char *bytes, size_t len);
/* The largest n <= max (and <= len) such that bytes[0..n) does not end inside
 * a character; n = max where the bytes around it are not valid. */
size_t rmq_utf8_cut(const char *bytes, size_t len, size_t max);
/* A C0 or C1 control character or DEL. */
bool rmq_utf8_is_control(uint32_t c);

#endif
