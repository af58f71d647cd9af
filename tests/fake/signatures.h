/* SPDX-License-Identifier: MIT */
/* The methods of AMQP 0-9-1, argument by argument, as its specification lists
 * them, with what RabbitMQ adds or gives a meaning (exchange.declare's
 * auto-delete and internal, basic.nack, connection.blocked, confirm.select).
 */
#ifndef TESTS_FAKE_SIGNATURES_H
#define TESTS_FAKE_SIGNATURES_H

#include "tests/fake/codec.h"

extern const struct fake_signature fake_signatures[];
extern const size_t fake_signatures_count;
#define FAKE_SIGNATURES_COUNT fake_signatures_count

#define FAKE_PROPERTIES_COUNT 14
extern const struct fake_arg fake_properties[FAKE_PROPERTIES_COUNT];

#endif
