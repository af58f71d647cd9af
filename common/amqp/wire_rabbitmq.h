/* SPDX-License-Identifier: MIT */
/*
 * rabbitmq-c's headers in either place (they moved in 0.12); included by the
 * wire*.c files only.
 */
#ifndef RMQ_AMQP_WIRE_RABBITMQ_H
#define RMQ_AMQP_WIRE_RABBITMQ_H

#ifdef HAVE_RABBITMQ_C_AMQP_H
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#endif
