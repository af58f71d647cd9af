/* SPDX-License-Identifier: MIT */
/*
 * Why a poll brought nothing, in one clause for a command that asks a cluster
 * once: whether it was refused or nobody answered, by whom, and which option
 * of the command line mends it. collectd's log has words of its own
 * (monitor_log).
 *
 * Pure.
 */
#ifndef RMQ_ROLE_SILENCE_H
#define RMQ_ROLE_SILENCE_H

#include "common/base/error.h"
#include "common/broker/poll.h"
#include "common/role/role_monitor.h"

/* "refused: HTTP 401 (Login failed) from URL; REMEDY", "no answer: WHY", or ""
 * where there was an answer, "refused: WHY" where poll names no URL (a node's,
 * or the password could not be read). Of several URLs one that refused is told,
 * since that does not pass by itself. */
void rmq_silence_explain(const struct rmq_poll_result *poll,
                         const struct rmq_role_monitor_config *config,
                         struct rmq_error *ret_text);

#endif
