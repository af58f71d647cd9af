/* SPDX-License-Identifier: MIT */
/*
 * collectd's JSON read through jansson's tree, as this project once did: slow,
 * and written by other people, which makes it a judge of our own reader.
 */
#ifndef RMQ_TESTS_FAKE_JSON_TREE_H
#define RMQ_TESTS_FAKE_JSON_TREE_H

#include <stdbool.h>
#include <stddef.h>

/* Both refuse the message, or both read the same from it. Ours may take what
 * the tree refuses for a key twice that means nothing, a number too large that
 * stands nowhere, or a NUL in such a place, and one object without an array.
 * False: standard error says where they differ. */
bool fake_json_tree_agrees(const char *bytes, size_t len);

#endif
