/* SPDX-License-Identifier: MIT */
/* A strict AMQP broker in memory: no socket, no thread, no clock. The test's
 * pump gives it what the client produced and takes from it what the client
 * shall read, whole, byte by byte or in random pieces.
 *
 * A test declares a script before the act: what it expects and what it says
 * or does then. Anything unexpected, out of AMQP's rules, or left over is a
 * failure: the first one is kept as a text with the step (file and line), the
 * conversation so far and a dump of the frame. After a failure the broker
 * answers nothing and closes.
 *
 *   struct fake_broker *b = fake_broker_new(FAKE_WHOLE, 0);
 *   fake_script_login(b, &(struct fake_login){.user = "u", ...});
 *   fake_script_channel(b);
 *   fake_expect_publish(b, .exchange = "x", .routing_key = "k");
 *   fake_send(b, "basic.ack", "delivery-tag=%d", 1);
 *   ... pump ...
 *   assert_null(fake_broker_finish(b));
 *
 * Methods of class connection travel on channel 0, all others on the channel
 * set by fake_on_channel (1 at first). Field texts: see codec.h. */
#ifndef TESTS_FAKE_BROKER_H
#define TESTS_FAKE_BROKER_H

#include "tests/fake/codec.h"
#include "tests/fake/intake.h"

#define FAKE_PRINTF(a, b_) __attribute__((format(printf, a, b_)))

enum fake_split { FAKE_WHOLE, FAKE_BYTE_BY_BYTE, FAKE_RANDOM };

struct fake_broker;

struct fake_broker *fake_broker_new(enum fake_split split, uint32_t seed);
void fake_broker_free(struct fake_broker *b);
void fake_broker_set_split(struct fake_broker *b, enum fake_split split);

/* ---- the pump's side ---- */

void fake_broker_input(struct fake_broker *b, const void *bytes, size_t len);
/* The next piece for the client, consumed by this call and valid until the
 * next one; false when there is nothing (now). */
bool fake_broker_output(struct fake_broker *b, const uint8_t **ret_bytes,
                        size_t *ret_len);
/* The broker closed or reset, and all that it said before was taken. */
bool fake_broker_is_eof(const struct fake_broker *b);
bool fake_broker_is_reset(const struct fake_broker *b);
void fake_broker_client_closed(struct fake_broker *b);
/* Go on after fake_pause or fake_expect_nothing. */
void fake_broker_resume(struct fake_broker *b);
/* Does the script wait for fake_broker_resume? */
bool fake_broker_is_paused(const struct fake_broker *b);

/* NULL, or what went wrong first. */
const char *fake_broker_failure(const struct fake_broker *b);
/* The same after the end: steps not reached, half a frame left, output that
 * nobody took are failures too. */
const char *fake_broker_finish(struct fake_broker *b);
/* Print a failure as TAP comments (cmocka cuts long messages); false when it
 * is NULL:  if (fake_tell(fake_broker_finish(b))) fail(); */
bool fake_tell(const char *failure);
/* For arithmetic in tests: frames and bytes read, frame-max agreed on. */
const struct fake_intake *fake_broker_intake(const struct fake_broker *b);
uint64_t fake_broker_heartbeats(const struct fake_broker *b);

/* ---- steps, declared before the act; each remembers file and line ---- */

#define FAKE_STRING_(x) #x
#define FAKE_STRING(x) FAKE_STRING_(x)
#define FAKE_HERE __FILE__ ":" FAKE_STRING(__LINE__)

/* Content: for expectations NULL and 0 mean "not checked" (is_empty wants an
 * empty body); for sending they mean empty. */
struct fake_content {
  const char *exchange, *routing_key;
  const char *fields; /* further arguments of the method, as text */
  const char *props;  /* as text */
  const char *body;
  size_t body_len; /* 0: strlen(body) */
  bool is_empty;
  unsigned frames;       /* wanted number of body frames; 0: any */
  size_t body_per_frame; /* sending: 0 = what a frame of 4096 holds */
  uint64_t announced;    /* sending: a lie in the header, 0 = the truth */
  bool announces_zero;
};

void fake_on_channel(struct fake_broker *b, unsigned channel);
/* Heartbeats of the client are counted and otherwise ignored. */
void fake_allow_heartbeats(struct fake_broker *b);

#define fake_expect_protocol(b) fake_expect_protocol_at(b, FAKE_HERE)
/* (b, name) or (b, name, "format", ...): method and wanted fields. */
#define fake_expect(b, name, ...)                                              \
  fake_expect_at(b, FAKE_HERE, name, " " __VA_ARGS__)
/* Read and drop units until this one. */
#define fake_skip_until(b, name, ...)                                          \
  fake_skip_until_at(b, FAKE_HERE, name, " " __VA_ARGS__)
/* (b, .exchange = ..., .body = ...) */
#define fake_expect_publish(b, ...)                                            \
  fake_expect_publish_at(b, FAKE_HERE, &(struct fake_content){__VA_ARGS__})
/* `count` publishes of any content. */
#define fake_expect_publishes(b, count)                                        \
  fake_expect_publishes_at(b, FAKE_HERE, count)
#define fake_expect_heartbeat(b) fake_expect_heartbeat_at(b, FAKE_HERE)
/* Input is a failure until fake_broker_resume. */
#define fake_expect_nothing(b) fake_expect_nothing_at(b, FAKE_HERE)
/* The client closes its end. */
#define fake_expect_eof(b) fake_expect_eof_at(b, FAKE_HERE)
/* Reads nothing until fake_broker_resume; input waits as in a socket. */
#define fake_pause(b) fake_pause_at(b, FAKE_HERE)

#define fake_send(b, name, ...)                                                \
  fake_send_at(b, FAKE_HERE, name, " " __VA_ARGS__)
#define fake_send_deliver(b, ...)                                              \
  fake_send_content_at(b, FAKE_HERE, "basic.deliver",                          \
                       &(struct fake_content){__VA_ARGS__})
#define fake_send_return(b, ...)                                               \
  fake_send_content_at(b, FAKE_HERE, "basic.return",                           \
                       &(struct fake_content){__VA_ARGS__})
#define fake_send_raw(b, bytes, len) fake_send_raw_at(b, FAKE_HERE, bytes, len)
#define fake_send_frame(b, type, channel, payload, len)                        \
  fake_send_frame_at(b, FAKE_HERE, type, channel, payload, len)
#define fake_send_heartbeat(b)                                                 \
  fake_send_frame_at(b, FAKE_HERE, FAKE_FRAME_HEARTBEAT, 0, "", 0)
/* The bytes declared last `count` times in all (floods). */
#define fake_repeat(b, count) fake_repeat_last(b, count)
/* Damage the bytes declared last: one bit, or all but the first bytes. */
#define fake_flip(b, bit) fake_flip_last(b, bit)
#define fake_cut(b, len) fake_cut_last(b, len)
/* Of what follows only `len` bytes go out, until fake_release is reached. */
#define fake_hold(b, len) fake_hold_at(b, FAKE_HERE, len)
#define fake_release(b) fake_release_at(b, FAKE_HERE)
/* Close behind the output, or reset and lose the output. */
#define fake_close(b) fake_close_at(b, FAKE_HERE)
#define fake_reset(b) fake_reset_at(b, FAKE_HERE)
/* Read everything, check nothing, say nothing; the last step of a script. */
#define fake_silence(b) fake_silence_at(b, FAKE_HERE)

/* ---- scripts that many tests begin with ---- */

struct fake_login {
  const char *user, *password, *vhost; /* NULL: guest, guest, / */
  const char *mechanism;               /* NULL: PLAIN */
  const char *mechanisms;              /* offered; NULL: "PLAIN AMQPLAIN" */
  unsigned channel_max, frame_max, heartbeat; /* offered; 0: 2047, 131072, 60 */
  bool offers_no_heartbeat;
  const char *capabilities; /* wanted of the client, as a table's text;
                               NULL: the five of the architecture */
  const char *tune_ok;      /* wanted fields; NULL: none */
};

/* Protocol header to connection.open-ok; heartbeats are allowed afterwards
 * only if the test says so. */
#define fake_script_login(b, ...)                                              \
  fake_script_login_at(b, FAKE_HERE, 0, __VA_ARGS__)
/* Only the first `steps` of it (1 ... FAKE_LOGIN_STEPS - 1). */
#define fake_script_login_part(b, steps, ...)                                  \
  fake_script_login_at(b, FAKE_HERE, steps, __VA_ARGS__)
#define FAKE_LOGIN_STEPS 7
/* channel.open and its answer; also after a channel.close. */
#define fake_script_channel(b) fake_script_channel_at(b, FAKE_HERE)
#define fake_script_confirm(b) fake_rpc(b, "confirm.select", "no-wait=0", "")
/* A method with its -ok: (b, name, wanted fields, answer's fields). */
#define fake_rpc(b, name, want, reply)                                         \
  fake_rpc_at(b, FAKE_HERE, name, want, reply)
/* connection.close by the client, answered, then EOF. */
#define fake_script_bye(b) fake_script_bye_at(b, FAKE_HERE)
/* What RabbitMQ 3.10.8 says of itself in connection.start. */
extern const char fake_server_properties[];

/* ---- what the macros call ---- */

void fake_expect_protocol_at(struct fake_broker *b, const char *where);
void fake_expect_at(struct fake_broker *b, const char *where, const char *name,
                    const char *format, ...) FAKE_PRINTF(4, 5);
void fake_skip_until_at(struct fake_broker *b, const char *where,
                        const char *name, const char *format, ...)
    FAKE_PRINTF(4, 5);
void fake_expect_publish_at(struct fake_broker *b, const char *where,
                            const struct fake_content *want);
void fake_expect_publishes_at(struct fake_broker *b, const char *where,
                              size_t count);
void fake_expect_heartbeat_at(struct fake_broker *b, const char *where);
void fake_expect_nothing_at(struct fake_broker *b, const char *where);
void fake_expect_eof_at(struct fake_broker *b, const char *where);
void fake_pause_at(struct fake_broker *b, const char *where);
void fake_send_at(struct fake_broker *b, const char *where, const char *name,
                  const char *format, ...) FAKE_PRINTF(4, 5);
void fake_send_content_at(struct fake_broker *b, const char *where,
                          const char *name, const struct fake_content *c);
void fake_send_raw_at(struct fake_broker *b, const char *where,
                      const void *bytes, size_t len);
void fake_send_frame_at(struct fake_broker *b, const char *where, unsigned type,
                        unsigned channel, const void *payload, size_t len);
void fake_repeat_last(struct fake_broker *b, size_t count);
void fake_flip_last(struct fake_broker *b, size_t bit);
void fake_cut_last(struct fake_broker *b, size_t len);
void fake_hold_at(struct fake_broker *b, const char *where, size_t len);
void fake_release_at(struct fake_broker *b, const char *where);
void fake_close_at(struct fake_broker *b, const char *where);
void fake_reset_at(struct fake_broker *b, const char *where);
void fake_silence_at(struct fake_broker *b, const char *where);
void fake_script_login_at(struct fake_broker *b, const char *where, int steps,
                          const struct fake_login *login);
void fake_script_channel_at(struct fake_broker *b, const char *where);
void fake_rpc_at(struct fake_broker *b, const char *where, const char *name,
                 const char *want, const char *reply);
void fake_script_bye_at(struct fake_broker *b, const char *where);

#endif
