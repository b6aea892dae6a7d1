/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * downlink - the lines to the offices below: one ROUTER, that only those whose keys are known reach
 *
 * Who speaks is what zap found out about the key (User-Id), never what a frame says. An office has
 * one session, the one in which it spoke last: a connection that was given up at the other end can
 * live on here for minutes.
 */
#include <zmq.h>

#include "node/core.h"
#include "node/log.h"
#include "node/outbox.h"

enum {
	DOWNLINK_ROUTING_MAX = 8, /* bytes; libzmq's own are 5 */
};

struct session {
	struct id office;
	uint8_t routing[DOWNLINK_ROUTING_MAX];
	size_t routing_len;
	bool gone;    /* cannot be reached; the core is told in the next turn */
	bool blocked; /* the core was told to wait */
	struct outbox outbox;
};

struct downlink {
	void *socket; /* NULL: this office listens nowhere */
	struct core *core;
	struct log *log;
	struct session *sessions; /* sorted by office */
	size_t n_sessions;
	size_t cap_sessions;
	size_t n_waiting; /* gone or blocked */
};

/* Listens at @address, unless that is empty. 0 or -errno of zmq_bind(). */
int downlink_init(struct downlink *downlink, void *context, struct core *core, const char *address,
	const uint8_t secret[32], struct log *log);
void downlink_done(struct downlink *downlink);
/* In a turn, before anything was received: frames that wait. */
void downlink_turn(struct downlink *downlink);
/* UINT64_MAX, or soon: libzmq does not tell when one peer of a ROUTER can take more. */
uint64_t downlink_wakeup_ms(const struct downlink *downlink, uint64_t now_ms);
void downlink_message(struct downlink *downlink, zmq_msg_t *parts, size_t n_parts);
/* As core_io.answer_guest(). */
void downlink_answer_guest(struct downlink *downlink, struct span client, struct span frame);
/* As core_io.send(). */
bool downlink_send(struct downlink *downlink, const struct id *office, struct span frame);
