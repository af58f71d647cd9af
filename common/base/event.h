/* SPDX-License-Identifier: MIT */
/*
 * Events that outlive the call that made them: a notification is dispatched by
 * another thread than the one that saw its cause.
 */
#ifndef RMQ_BASE_EVENT_H
#define RMQ_BASE_EVENT_H

#include "common/base/sample.h"

/* A copy with all its texts in one allocation; free() it. NULL without
 * memory. */
struct rmq_event *rmq_event_clone(const struct rmq_event *event);

#endif
