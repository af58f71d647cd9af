/* SPDX-License-Identifier: MIT */
#include "rmq_config.h"

#include "tests/fake/signatures.h"

/* clang-format off */
#define BIT(name)      {name, FAKE_BIT}
#define OCTET(name)    {name, FAKE_OCTET}
#define SHORT(name)    {name, FAKE_SHORT}
#define LONG(name)     {name, FAKE_LONG}
#define LONGLONG(name) {name, FAKE_LONGLONG}
#define STR(name)      {name, FAKE_SHORTSTR}
#define LONGSTR(name)  {name, FAKE_LONGSTR}
#define TABLE(name)    {name, FAKE_TABLE}
#define TICKET         SHORT("reserved-1")
#define CLOSE          {SHORT("reply-code"), STR("reply-text"), \
                        SHORT("class-id"), SHORT("method-id")}

const struct fake_signature fake_signatures[] = {
  {10, 10, "connection.start", 'S', false,
   {OCTET("version-major"), OCTET("version-minor"),
    TABLE("server-properties"), LONGSTR("mechanisms"), LONGSTR("locales")}},
  {10, 11, "connection.start-ok", 'C', false,
   {TABLE("client-properties"), STR("mechanism"), LONGSTR("response"),
    STR("locale")}},
  {10, 20, "connection.secure", 'S', false, {LONGSTR("challenge")}},
  {10, 21, "connection.secure-ok", 'C', false, {LONGSTR("response")}},
  {10, 30, "connection.tune", 'S', false,
   {SHORT("channel-max"), LONG("frame-max"), SHORT("heartbeat")}},
  {10, 31, "connection.tune-ok", 'C', false,
   {SHORT("channel-max"), LONG("frame-max"), SHORT("heartbeat")}},
  /* pika sets reserved-2 (insist of 0-9); RabbitMQ reads neither. */
  {10, 40, "connection.open", 'C', false,
   {STR("virtual-host"), STR("reserved-1"), BIT("insist")}},
  {10, 41, "connection.open-ok", 'S', false, {STR("reserved-1")}},
  {10, 50, "connection.close", 'B', false, CLOSE},
  {10, 51, "connection.close-ok", 'B', false, {{0}}},
  {10, 60, "connection.blocked", 'S', false, {STR("reason")}},
  {10, 61, "connection.unblocked", 'S', false, {{0}}},

  {20, 10, "channel.open", 'C', false, {STR("reserved-1")}},
  {20, 11, "channel.open-ok", 'S', false, {LONGSTR("reserved-1")}},
  {20, 20, "channel.flow", 'B', false, {BIT("active")}},
  {20, 21, "channel.flow-ok", 'B', false, {BIT("active")}},
  {20, 40, "channel.close", 'B', false, CLOSE},
  {20, 41, "channel.close-ok", 'B', false, {{0}}},

  {40, 10, "exchange.declare", 'C', false,
   {TICKET, STR("exchange"), STR("type"), BIT("passive"), BIT("durable"),
    BIT("auto-delete"), BIT("internal"), BIT("no-wait"),
    TABLE("arguments")}},
  {40, 11, "exchange.declare-ok", 'S', false, {{0}}},
  {40, 20, "exchange.delete", 'C', false,
   {TICKET, STR("exchange"), BIT("if-unused"), BIT("no-wait")}},
  {40, 21, "exchange.delete-ok", 'S', false, {{0}}},
  {40, 30, "exchange.bind", 'C', false,
   {TICKET, STR("destination"), STR("source"), STR("routing-key"),
    BIT("no-wait"), TABLE("arguments")}},
  {40, 31, "exchange.bind-ok", 'S', false, {{0}}},

  {50, 10, "queue.declare", 'C', false,
   {TICKET, STR("queue"), BIT("passive"), BIT("durable"), BIT("exclusive"),
    BIT("auto-delete"), BIT("no-wait"), TABLE("arguments")}},
  {50, 11, "queue.declare-ok", 'S', false,
   {STR("queue"), LONG("message-count"), LONG("consumer-count")}},
  {50, 20, "queue.bind", 'C', false,
   {TICKET, STR("queue"), STR("exchange"), STR("routing-key"),
    BIT("no-wait"), TABLE("arguments")}},
  {50, 21, "queue.bind-ok", 'S', false, {{0}}},
  {50, 30, "queue.purge", 'C', false,
   {TICKET, STR("queue"), BIT("no-wait")}},
  {50, 31, "queue.purge-ok", 'S', false, {LONG("message-count")}},
  {50, 40, "queue.delete", 'C', false,
   {TICKET, STR("queue"), BIT("if-unused"), BIT("if-empty"),
    BIT("no-wait")}},
  {50, 41, "queue.delete-ok", 'S', false, {LONG("message-count")}},
  {50, 50, "queue.unbind", 'C', false,
   {TICKET, STR("queue"), STR("exchange"), STR("routing-key"),
    TABLE("arguments")}},
  {50, 51, "queue.unbind-ok", 'S', false, {{0}}},

  {60, 10, "basic.qos", 'C', false,
   {LONG("prefetch-size"), SHORT("prefetch-count"), BIT("global")}},
  {60, 11, "basic.qos-ok", 'S', false, {{0}}},
  {60, 20, "basic.consume", 'C', false,
   {TICKET, STR("queue"), STR("consumer-tag"), BIT("no-local"),
    BIT("no-ack"), BIT("exclusive"), BIT("no-wait"), TABLE("arguments")}},
  {60, 21, "basic.consume-ok", 'S', false, {STR("consumer-tag")}},
  {60, 30, "basic.cancel", 'B', false,
   {STR("consumer-tag"), BIT("no-wait")}},
  {60, 31, "basic.cancel-ok", 'B', false, {STR("consumer-tag")}},
  {60, 40, "basic.publish", 'C', true,
   {TICKET, STR("exchange"), STR("routing-key"), BIT("mandatory"),
    BIT("immediate")}},
  {60, 50, "basic.return", 'S', true,
   {SHORT("reply-code"), STR("reply-text"), STR("exchange"),
    STR("routing-key")}},
  {60, 60, "basic.deliver", 'S', true,
   {STR("consumer-tag"), LONGLONG("delivery-tag"), BIT("redelivered"),
    STR("exchange"), STR("routing-key")}},
  {60, 70, "basic.get", 'C', false,
   {TICKET, STR("queue"), BIT("no-ack")}},
  {60, 71, "basic.get-ok", 'S', true,
   {LONGLONG("delivery-tag"), BIT("redelivered"), STR("exchange"),
    STR("routing-key"), LONG("message-count")}},
  {60, 72, "basic.get-empty", 'S', false, {STR("reserved-1")}},
  {60, 80, "basic.ack", 'B', false,
   {LONGLONG("delivery-tag"), BIT("multiple")}},
  {60, 90, "basic.reject", 'C', false,
   {LONGLONG("delivery-tag"), BIT("requeue")}},
  {60, 110, "basic.recover", 'C', false, {BIT("requeue")}},
  {60, 111, "basic.recover-ok", 'S', false, {{0}}},
  {60, 120, "basic.nack", 'B', false,
   {LONGLONG("delivery-tag"), BIT("multiple"), BIT("requeue")}},

  {85, 10, "confirm.select", 'C', false, {BIT("no-wait")}},
  {85, 11, "confirm.select-ok", 'S', false, {{0}}},
};
const size_t fake_signatures_count =
    sizeof(fake_signatures) / sizeof(fake_signatures[0]);

/* In the order of their flags, from bit 15 down. */
const struct fake_arg fake_properties[FAKE_PROPERTIES_COUNT] = {
  STR("content-type"), STR("content-encoding"), TABLE("headers"),
  OCTET("delivery-mode"), OCTET("priority"), STR("correlation-id"),
  STR("reply-to"), STR("expiration"), STR("message-id"),
  LONGLONG("timestamp"), STR("type"), STR("user-id"), STR("app-id"),
  STR("reserved-cluster-id"),
};
/* clang-format on */
