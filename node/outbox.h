/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * outbox - the few frames that a socket would not take at once, in their order
 *
 * The core stops giving frames when it is told so, and what is here is never the only copy: an
 * outbox that is lost costs a session, not a record.
 */
#include "proto/base.h"

enum {
	OUTBOX_MAX = 256, /* frames; who is behind so far does not read */
};

enum {
	OUTBOX_WAITING = 1, /* kept: call outbox_flush() when the socket may take it */
	OUTBOX_GONE = 2,    /* no such peer, or no room: the frame is lost */
};

struct outbox_frame;

struct outbox {
	struct outbox_frame *first;
	struct outbox_frame *last;
	size_t n;
};

/* @routing: the peer of a ROUTER, sent in front; empty: the only peer of @socket. 0 or an outcome. */
int outbox_send(struct outbox *outbox, void *socket, struct span routing, struct span frame);
int outbox_flush(struct outbox *outbox, void *socket, struct span routing);
void outbox_clear(struct outbox *outbox);
