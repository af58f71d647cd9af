/* SPDX-License-Identifier: MIT */
/*
 * The options of <Alert "kind">, which fill a struct rmq_alert_config.
 */
#ifndef RMQ_ROLE_ALERT_OPTIONS_H
#define RMQ_ROLE_ALERT_OPTIONS_H

#include "common/base/options.h"

extern const struct rmq_option rmq_alert_option_table[];
/* For the row of the options that the block stands in. */
extern const struct rmq_option_block rmq_alert_option_block;

#endif
