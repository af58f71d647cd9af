/* SPDX-License-Identifier: MIT */
/* write(2) until all is written. */
#ifndef RMQ_HOST_WRITE_ALL_H
#define RMQ_HOST_WRITE_ALL_H

#include <stddef.h>

/* 0, or -1 with errno; then some of the bytes may have been written. Waits
 * where the descriptor does; a signal does not end it. */
int rmq_write_all(int fd, const char *bytes, size_t len);

#endif
