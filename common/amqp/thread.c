/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "common/amqp/thread.h"

#include <signal.h>
#include <string.h>

/* rabbitmq-c and libc's resolver recurse and keep large frames. */
enum { STACK_BYTES = 8 << 20 };

static int create(pthread_t *ret_thread, bool is_detached, void *(*run)(void *),
                  void *arg) {
  pthread_attr_t attr;
  int rc = pthread_attr_init(&attr);
  if (rc != 0)
    return rc;
  pthread_attr_setstacksize(&attr, STACK_BYTES);
  if (is_detached)
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  rc = pthread_create(ret_thread, &attr, run, arg);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  pthread_attr_destroy(&attr);
  return rc;
}

int rmq_thread_start(pthread_t *ret_thread, bool is_detached, const char *name,
                     void *(*run)(void *), void *arg, struct rmq_error *err) {
  pthread_t thread;
  int rc = create(&thread, is_detached, run, arg);
  if (rc != 0)
    return rmq_error_set(err, "cannot start a thread (error %d)", rc);
  /* Of a detached thread only it itself may still use the handle. */
  if (!is_detached) {
    pthread_setname_np(thread, name);
    *ret_thread = thread;
  }
  return 0;
}
