/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * uplink - the line to the parent: one DEALER, watched, and made anew whenever it fails
 *
 *   IDLE       no parent is known                      -- joined ---------->  TRYING
 *   TRYING     a socket connects, once                 -- handshake done -->  CONNECTED
 *   CONNECTED  frames flow
 *   PAUSING    closed: a random pause, longer each time  -- time ---------->  TRYING
 *   HELD       closed, as this office wants it (core_line_closed())  -- not any more -->  TRYING
 *   any  -- this office wants it closed ---------------------------------------->  HELD
 *   TRYING, CONNECTED  -- failed, refused, lost, no word in time ---------->  PAUSING
 *
 * libzmq could reconnect by itself, but its children would do so in step, and after a refused key
 * or an answer that is not ZMTP it gives up for good, silently. So each attempt gets a new socket,
 * and a watchdog. The socket is a wire: what is in it when it is closed will be sent again.
 */
#include <zmq.h>

#include "node/core.h"
#include "node/log.h"
#include "node/outbox.h"
#include "proto/keyfile.h"

enum uplink_state {
	UPLINK_IDLE,
	UPLINK_TRYING,
	UPLINK_CONNECTED,
	UPLINK_PAUSING,
	UPLINK_HELD,
};

struct uplink {
	void *context;
	struct core *core;
	struct log *log;
	const struct config *config;
	const struct keyfile *keys;
	enum uplink_state state;
	void *socket;          /* NULL: IDLE, PAUSING, HELD */
	void *monitor;         /* its events */
	uint64_t n_sockets;    /* made so far */
	uint64_t deadline_ms;  /* PAUSING: try again; otherwise no word came: make it anew */
	unsigned n_failures;   /* since a word came: the pause grows */
	bool renew;            /* where the parent listens has changed */
	bool blocked;          /* the core was told to wait */
	bool broken;           /* a frame was lost here: the next turn makes the connection anew */
	struct outbox outbox;
	struct id parent;
	char address[CONFIG_ADDRESS_MAX + 1];
	struct trouble trouble; /* it is not connected; none: it is, or there is no parent */
};

/* All but @uplink are borrowed until uplink_done(). */
void uplink_init(struct uplink *uplink, void *context, struct core *core,
	const struct config *config, const struct keyfile *keys, struct log *log);
void uplink_done(struct uplink *uplink);
/* The parent is known, or listens elsewhere: connects in the next turn. */
void uplink_renew(struct uplink *uplink);
/* In a turn, before anything was received: timers, frames that wait. */
void uplink_turn(struct uplink *uplink, uint64_t now_ms);
/* When uplink_turn() must be called, if nothing else happens. */
uint64_t uplink_wakeup_ms(const struct uplink *uplink);
void uplink_event(struct uplink *uplink, zmq_msg_t *parts, size_t n_parts, uint64_t now_ms);
void uplink_message(struct uplink *uplink, zmq_msg_t *parts, size_t n_parts, uint64_t now_ms);
/* As core_io.send(). */
bool uplink_send(struct uplink *uplink, struct span frame);
