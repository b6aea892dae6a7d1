/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

struct outbox_frame {
	struct outbox_frame *next;
	size_t len;
	uint8_t bytes[];
};

/* A ROUTER that takes the routing frame takes the rest: it holds a pipe that has room. */
static int try_send(void *socket, struct span routing, struct span frame) {
	if (routing.len > 0 &&
		zmq_send(socket, routing.data, routing.len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0)
		return errno == EAGAIN ? OUTBOX_WAITING : OUTBOX_GONE;
	if (zmq_send(socket, frame.data, frame.len, ZMQ_DONTWAIT) < 0)
		return errno == EAGAIN ? OUTBOX_WAITING : OUTBOX_GONE;
	return 0;
}

int outbox_send(struct outbox *outbox, void *socket, struct span routing, struct span frame) {
	struct outbox_frame *kept;
	int r;

	if (!outbox->first) {
		r = try_send(socket, routing, frame);
		if (r != OUTBOX_WAITING)
			return r;
	}
	if (outbox->n == OUTBOX_MAX)
		return OUTBOX_GONE;
	kept = malloc(sizeof(*kept) + frame.len);
	if (!kept)
		return OUTBOX_GONE;
	*kept = (struct outbox_frame){ .len = frame.len };
	memcpy(kept->bytes, frame.data, frame.len);
	if (outbox->last)
		outbox->last->next = kept;
	else
		outbox->first = kept;
	outbox->last = kept;
	outbox->n++;
	return OUTBOX_WAITING;
}

static void drop_first(struct outbox *outbox) {
	struct outbox_frame *frame = outbox->first;

	outbox->first = frame->next;
	if (!outbox->first)
		outbox->last = NULL;
	outbox->n--;
	free(frame);
}

int outbox_flush(struct outbox *outbox, void *socket, struct span routing) {
	while (outbox->first) {
		int r = try_send(socket, routing,
			(struct span){ outbox->first->bytes, outbox->first->len });

		if (r)
			return r;
		drop_first(outbox);
	}
	return 0;
}

void outbox_clear(struct outbox *outbox) {
	while (outbox->first)
		drop_first(outbox);
}
