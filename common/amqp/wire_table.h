/* SPDX-License-Identifier: MIT */
/*
 * Field tables looked at before rabbitmq-c decodes them: every length inside
 * its container, known types only, nesting at most RMQ_WIRE_TABLE_DEPTH.
 */
#ifndef RMQ_AMQP_WIRE_TABLE_H
#define RMQ_AMQP_WIRE_TABLE_H

#include <stdbool.h>
#include <stddef.h>

/* bytes begins with a table (32-bit length first); what follows is ignored. */
bool rmq_wire_table_is_sane(const char *bytes, size_t len);
/* bytes is the property flags and list of a basic content header. */
bool rmq_wire_properties_are_sane(const char *bytes, size_t len);

#endif
