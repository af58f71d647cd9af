/* SPDX-License-Identifier: MIT */
/*
 * world: preloaded into a daemon, it makes the world go wrong while the daemon
 * runs: the clock on the wall jumps, a disk is slow or refuses.
 *
 *   LD_PRELOAD=.../world.so WARREN_WORLD=FILE WARREN_WORLD_DISK=DIR collectd
 * ...
 *
 * FILE holds struct world, which the test writes whenever it likes; only files
 * under DIR meet the disk's faults. The monotonic clock goes on as it does.
 */
#include "rmq_config.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* As tests/rig/world.py writes it. */
struct world {
  _Atomic int64_t wall_offset_ms; /* added to the time of day */
  _Atomic int64_t sync_delay_ms;  /* how long fsync and fdatasync take */
  _Atomic int64_t write_errno;    /* what writing fails with; 0: it works */
  _Atomic int64_t sync_errno;     /* likewise */
};

static struct world calm;
static struct world *world = &calm;
static const char *disk = "";

__attribute__((constructor)) static void world_open(void) {
  const char *path = getenv("WARREN_WORLD");
  const char *directory = getenv("WARREN_WORLD_DISK");
  int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (directory != NULL)
    disk = directory;
  if (fd < 0)
    return;
  void *at = mmap(NULL, sizeof(*world), PROT_READ, MAP_SHARED, fd, 0);
  if (at != MAP_FAILED)
    world = at;
  close(fd);
}

static bool is_on_disk(int fd) {
  char link[64], path[PATH_MAX];
  snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof(path) - 1);
  size_t length = strlen(disk);
  return length > 0 && n > 0 && (size_t)n >= length &&
         memcmp(path, disk, length) == 0;
}

/* Fails with code when it is one and fd is under the directory. */
static bool fails(int fd, int64_t code) {
  if (code == 0 || !is_on_disk(fd))
    return false;
  errno = (int)code;
  return true;
}

static void sleep_ms(int64_t ms) {
  struct timespec t = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};
  nanosleep(&t, NULL);
}

#pragma GCC visibility push(default) /* all that follows is for the daemon */

/* ------------------------------------------------------------------------
 * The clock on the wall. System calls, not libc's functions: those are ours. */

static void shift(struct timespec *t, int64_t ms) {
  int64_t ns = t->tv_nsec + ms % 1000 * 1000000;
  t->tv_sec += ms / 1000;
  if (ns < 0)
    t->tv_sec--, ns += 1000000000;
  else if (ns >= 1000000000)
    t->tv_sec++, ns -= 1000000000;
  t->tv_nsec = ns;
}

int clock_gettime(clockid_t clock, struct timespec *ret) {
  long rc = syscall(SYS_clock_gettime, clock, ret);
  if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
    shift(ret, world->wall_offset_ms);
  return (int)rc;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone) {
  struct timespec t;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &t) != 0)
    return -1;
  *ret = (struct timeval){.tv_sec = t.tv_sec, .tv_usec = t.tv_nsec / 1000};
  return 0;
}

time_t time(time_t *ret) {
  struct timespec t;
  if (clock_gettime(CLOCK_REALTIME, &t) != 0)
    return -1;
  if (ret != NULL)
    *ret = t.tv_sec;
  return t.tv_sec;
}

typedef int timedwait(pthread_cond_t *, pthread_mutex_t *,
                      const struct timespec *);

static timedwait *real_timedwait(void) {
  static timedwait *found;
  if (found == NULL) {
    /* x86-64 has an older one by the same name. */
    void *at = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (at == NULL)
      at = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    memcpy(&found, &at, sizeof(found));
  }
  return found;
}

static bool is_before(const struct timespec *a, const struct timespec *b) {
  return a->tv_sec < b->tv_sec ||
         (a->tv_sec == b->tv_sec && a->tv_nsec < b->tv_nsec);
}

/* A deadline on the wall, as the kernel's clock has it. Who waits for it wakes
 * up now and then without a reason, as is allowed, because the clock may have
 * jumped. Deadlines of the monotonic clock, which is decades away, stay. */
int pthread_cond_timedwait(pthread_cond_t *restrict cond,
                           pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict until) {
  struct timespec end = *until, look;
  if (end.tv_sec < 500000000)
    return real_timedwait()(cond, mutex, until);
  shift(&end, -world->wall_offset_ms);
  syscall(SYS_clock_gettime, CLOCK_REALTIME, &look);
  shift(&look, 100);
  if (is_before(&end, &look))
    return real_timedwait()(cond, mutex, &end);
  int rc = real_timedwait()(cond, mutex, &look);
  return rc == ETIMEDOUT ? 0 : rc;
}

/* ------------------------------------------------------------------------
 * The disk */

ssize_t write(int fd, const void *data, size_t size) {
  return fails(fd, world->write_errno) ? -1
                                       : syscall(SYS_write, fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at) {
  return fails(fd, world->write_errno)
             ? -1
             : syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at) {
  return pwrite64(fd, data, size, at);
}

static int sync_slowly(long call, int fd) {
  if (world->sync_delay_ms > 0 && is_on_disk(fd))
    sleep_ms(world->sync_delay_ms);
  return fails(fd, world->sync_errno) ? -1 : (int)syscall(call, fd);
}

int fsync(int fd) { return sync_slowly(SYS_fsync, fd); }
int fdatasync(int fd) { return sync_slowly(SYS_fdatasync, fd); }

#pragma GCC visibility pop
