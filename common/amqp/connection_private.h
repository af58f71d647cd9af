/* SPDX-License-Identifier: MIT */
/* Shared by connection.c, connection_tick.c, login.c, channel.c, content.c,
 * failback.c and idle.c, nobody else. */
#ifndef RMQ_AMQP_CONNECTION_PRIVATE_H
#define RMQ_AMQP_CONNECTION_PRIVATE_H

#include "common/amqp/connection.h"
#include "common/base/hosts.h"
#include "common/base/prng.h"

/* What the channel's set-up has to do, in this order; a step that the
 * configuration does not need is skipped. */
enum rmq_setup {
  RMQ_SETUP_OPEN,
  RMQ_SETUP_ALTERNATE,
  RMQ_SETUP_EXCHANGE,
  RMQ_SETUP_QUEUE,
  RMQ_SETUP_BIND,
  RMQ_SETUP_CONFIRM,
  RMQ_SETUP_QOS,
  RMQ_SETUP_CONSUME,
  RMQ_SETUP_DONE
};

/* A basic.deliver or basic.return whose header or body is still to come. */
struct rmq_content {
  enum { RMQ_CONTENT_NONE, RMQ_CONTENT_HEADER, RMQ_CONTENT_BODY } want;
  bool is_return;
  struct rmq_delivery delivery;
  struct rmq_returned returned;
  uint64_t left;         /* body bytes still to come */
  struct rmq_buf body;   /* assembled from several frames */
  struct rmq_kept *kept; /* when keeps_properties is set */
  struct rmq_buf kept_texts;
};

/* The way back to a better host. */
struct rmq_failback {
  enum {
    RMQ_FAILBACK_RESTING,
    RMQ_FAILBACK_PROBING,  /* does the candidate listen? */
    RMQ_FAILBACK_DRAINING, /* nothing new is begun; what is open is finished */
    RMQ_FAILBACK_LEAVING   /* connection.close was sent */
  } phase;
  size_t candidate;
  uint64_t probe_number;
  struct rmq_mono deadline; /* of the phase */
  struct rmq_mono poll_at;  /* DRAINING: when to look again */
};

/* Connected, but consuming? */
struct rmq_idle {
  struct rmq_mono at; /* the next question, or the end of waiting for it */
  bool is_asking;     /* queue.declare-ok is awaited */
  bool is_suspect;    /* messages waited at the last answer */
  bool was_delivered; /* since the question */
  uint64_t restarts;
};

struct rmq_connection {
  struct rmq_connection_config config;
  struct rmq_connection_handlers handlers;
  struct rmq_prng prng;
  struct rmq_wire_decoder *decoder;
  struct rmq_buf out;

  enum rmq_session_state state; /* written by set_state() only */
  struct rmq_mono state_since;
  struct rmq_mono deadline;    /* of the state: retry, answer, reopen, close */
  struct rmq_mono reopen_at;   /* end of the delay while REOPENING */
  struct rmq_backoff retry;    /* between rounds of attempts */
  struct rmq_backoff topology; /* between attempts to set the channel up */
  bool has_progress;           /* since the channel became ready */

  struct rmq_hosts hosts;
  struct rmq_failback failback;
  struct rmq_idle idle;
  struct rmq_dur leave_delay; /* before the next host, of LEAVE and LEFT */
  unsigned blocked_moves;     /* since the last progress */
  uint64_t link_number;
  bool wants_link;
  uint64_t opened;

  uint32_t frame_max;
  struct rmq_dur heartbeat; /* negotiated; 0 = none */
  struct rmq_mono heard_at, sent_at;
  bool is_started; /* login: connection.start was answered */
  bool is_tuned;   /* login: connection.tune was answered */
  bool is_blocked; /* connection.blocked, not yet unblocked */

  enum rmq_setup setup;
  size_t binding;         /* being bound */
  bool awaits_close_ok;   /* we closed the channel */
  bool has_unsent;        /* an ack or reject did not fit the output */
  bool is_cancelling;     /* we cancelled our consumer */
  bool wants_hold;        /* the owner has no room */
  char queue[256];        /* its name, also when the server chose it */
  char consumer_tag[256]; /* as the server confirmed it */
  uint64_t epoch;
  struct rmq_content content;

  int reply_code; /* of the change that is under way */
  uint32_t refused_method;
  bool has_choosers; /* see rmq_connection_has_choosers */
  char reason[512];
  const char *remedy;
};

/* Records why, performs event. reason NULL keeps the recorded one. */
void rmq_connection_apply(struct rmq_connection *c,
                          enum rmq_session_event event, struct rmq_mono now);
void rmq_connection_because(struct rmq_connection *c, int reply_code,
                            const char *remedy, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The same for channel.close and connection.close, whose class and method the
 * change shall carry; call it after rmq_connection_because. */
void rmq_connection_blame(struct rmq_connection *c,
                          const struct rmq_wire_frame *close);
/* The peer broke the protocol: the link is given up. */
void rmq_connection_protocol_error(struct rmq_connection *c, const char *what,
                                   struct rmq_mono now);
/* False: so much output waits that a broker which made us answer was not
 * reading; the link is given up, because answers must not pile up. */
bool rmq_connection_may_answer(struct rmq_connection *c, struct rmq_mono now);
/* The largest frame that we offer. */
uint32_t rmq_connection_frame_max(const struct rmq_connection *c);
/* The broker's answer is awaited for rpc_timeout from now. */
void rmq_connection_await(struct rmq_connection *c, struct rmq_mono now);

/* When a broker that blocks us since now is left for another. */
struct rmq_mono rmq_connection_blocked_deadline(const struct rmq_connection *c,
                                                struct rmq_mono now);

/* failback.c */
void rmq_failback_ready(struct rmq_connection *c, struct rmq_mono now);
/* The channel is gone, or the owner stops. */
void rmq_failback_reset(struct rmq_connection *c);
/* The reason of the change that is to come. */
void rmq_failback_explain(struct rmq_connection *c);
void rmq_failback_tick(struct rmq_connection *c, struct rmq_mono now);
struct rmq_mono rmq_failback_deadline(const struct rmq_connection *c);

/* idle.c */
void rmq_idle_ready(struct rmq_connection *c, struct rmq_mono now);
void rmq_idle_reset(struct rmq_connection *c);
void rmq_idle_delivered(struct rmq_connection *c, struct rmq_mono now);
void rmq_idle_answered(struct rmq_connection *c, const struct rmq_wire_frame *f,
                       struct rmq_mono now);
void rmq_idle_tick(struct rmq_connection *c, struct rmq_mono now);

/* login.c: frames while the state is LOGIN. */
void rmq_login_method(struct rmq_connection *c, const struct rmq_wire_frame *f,
                      struct rmq_mono now);

/* channel.c */
void rmq_channel_open(struct rmq_connection *c, struct rmq_mono now);
/* connection.close that refuses the set-up of the channel. */
bool rmq_channel_is_refusal(const struct rmq_connection *c,
                            const struct rmq_wire_frame *f);
void rmq_channel_refused(struct rmq_connection *c,
                         const struct rmq_wire_frame *f, struct rmq_mono now);
/* Gives the channel up by our own will; call rmq_connection_because before. */
void rmq_channel_abandon(struct rmq_connection *c, const char *why,
                         struct rmq_mono now);
/* A method on the channel, with the channel being set up, up or closing. */
void rmq_channel_method(struct rmq_connection *c,
                        const struct rmq_wire_frame *f, struct rmq_mono now);

/* content.c; -1 without memory, to be finished all the same. */
int rmq_content_init(struct rmq_content *content,
                     const struct rmq_connection_config *config);
void rmq_content_fini(struct rmq_content *content);
void rmq_content_reset(struct rmq_content *content);
void rmq_content_begin(struct rmq_connection *c,
                       const struct rmq_wire_frame *f);
void rmq_content_header(struct rmq_connection *c,
                        const struct rmq_wire_frame *f, struct rmq_mono now);
void rmq_content_body(struct rmq_connection *c, const struct rmq_wire_frame *f,
                      struct rmq_mono now);

#endif
