/* SPDX-License-Identifier: MIT */
/*
 * Reading collectd's text protocol, as its own parser does (utils/cmds and
 * parse_identifier of 5.12): fields as command.h has them; plugin and type end
 * at their first '-'. One PUTVAL may have several value lists; PUTNOTIF lines
 * are in codec_putnotif_decode.h. Stricter where collectd lets
 * mistakes pass: a message is a list of lines and no line reaches into the
 * next; options stand before the values; no option twice, none unknown; as many
 * values as the type has; numbers are decimal and nothing follows them; the
 * time is a number ("N", now, is nobody's time on a network).
 */
#ifndef RMQ_CODEC_CODEC_PUTVAL_DECODE_H
#define RMQ_CODEC_CODEC_PUTVAL_DECODE_H

#include "common/codec/codec.h"

/* struct rmq_codec's decode. Takes at most about 40 times len of memory. */
int rmq_codec_putval_decode(const struct rmq_codec_input *in,
                            const struct rmq_codec_sink *sink,
                            struct rmq_error *err);

#endif
