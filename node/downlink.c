/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/downlink.h"

#include <errno.h>
#include <stdlib.h>

#include "node/zap.h"
#include "proto/text.h"

enum {
	/*
	 * Frames queued per office and direction. Memory is offices x frames x bytes, so they are
	 * few; yet one office alone must be able to fill a turn while the last one commits.
	 */
	RECEIVE_FRAMES = 32,
	SEND_FRAMES = 16,
	SEND_BUFFER = 128 * 1024,
	RETRY_MS = 5,
};

static bool set(void *socket, int option, int value) {
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

int downlink_init(struct downlink *downlink, void *context, struct core *core, const char *address,
	const uint8_t secret[32], struct log *log) {
	void *socket;

	*downlink = (struct downlink){ .core = core, .log = log };
	if (!address[0])
		return 0;
	downlink->socket = socket = zmq_socket(context, ZMQ_ROUTER);
	if (!socket || zap_secure(socket, secret) != 0 ||
		!set(socket, ZMQ_ROUTER_MANDATORY, 1) || !set(socket, ZMQ_ROUTER_HANDOVER, 0) ||
		!set(socket, ZMQ_IPV6, address[strcspn(address, "[")] == '[') ||
		!set(socket, ZMQ_BACKLOG, 1024) || !set(socket, ZMQ_RCVHWM, RECEIVE_FRAMES) ||
		!set(socket, ZMQ_SNDHWM, SEND_FRAMES) || !set(socket, ZMQ_SNDBUF, SEND_BUFFER) ||
		!set(socket, ZMQ_HANDSHAKE_IVL, 30000) || !set(socket, ZMQ_TCP_KEEPALIVE, 1) ||
		!set(socket, ZMQ_TCP_KEEPALIVE_IDLE, 60) ||
		!set(socket, ZMQ_TCP_KEEPALIVE_INTVL, 15) ||
		!set(socket, ZMQ_TCP_KEEPALIVE_CNT, 4) || !set(socket, ZMQ_TCP_MAXRT, 120000) ||
		zmq_setsockopt(socket, ZMQ_MAXMSGSIZE, &(int64_t){ MESSAGE_MAX + 1024 },
			sizeof(int64_t)) < 0 ||
		zmq_bind(socket, address) < 0)
		return -errno;
	return 0;
}

void downlink_done(struct downlink *downlink) {
	if (downlink->socket)
		(void)zmq_close(TAKE(downlink->socket));
	for (size_t i = 0; i < downlink->n_sessions; i++)
		outbox_clear(&downlink->sessions[i].outbox);
	free(TAKE(downlink->sessions));
	downlink->n_sessions = downlink->cap_sessions = 0;
}

/* The place of @office among the sessions: where it is, or where it would be. */
static size_t place_of(const struct downlink *downlink, const struct id *office) {
	size_t low = 0, high = downlink->n_sessions;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (memcmp(&downlink->sessions[middle].office, office, sizeof(*office)) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct session *find(const struct downlink *downlink, const struct id *office) {
	size_t place = place_of(downlink, office);

	if (place < downlink->n_sessions && id_eq(&downlink->sessions[place].office, office))
		return &downlink->sessions[place];
	return NULL;
}

/* NULL: no memory. There are at most as many sessions as offices may connect. */
static struct session *add(struct downlink *downlink, const struct id *office) {
	size_t place = place_of(downlink, office);
	struct session *session;

	if (downlink->n_sessions == downlink->cap_sessions) {
		size_t cap = downlink->cap_sessions ? 2 * downlink->cap_sessions : 16;
		struct session *sessions =
			reallocarray(downlink->sessions, cap, sizeof(*sessions));

		if (!sessions)
			return NULL;
		downlink->sessions = sessions;
		downlink->cap_sessions = cap;
	}
	session = &downlink->sessions[place];
	memmove(session + 1, session, (downlink->n_sessions - place) * sizeof(*session));
	*session = (struct session){ .office = *office };
	downlink->n_sessions++;
	return session;
}

static void set_waiting(struct downlink *downlink, struct session *session, bool gone,
	bool blocked) {
	downlink->n_waiting -= session->gone || session->blocked;
	session->gone = gone;
	session->blocked = blocked;
	downlink->n_waiting += gone || blocked;
}

static void lose(struct downlink *downlink, struct session *session, enum trouble_code why) {
	outbox_clear(&session->outbox);
	set_waiting(downlink, session, false, false);
	session->routing_len = 0;
	core_link_lost(downlink->core, &session->office, &(struct trouble){ .code = why });
}

void downlink_turn(struct downlink *downlink) {
	for (size_t i = 0; i < downlink->n_sessions && downlink->n_waiting > 0; i++) {
		struct session *session = &downlink->sessions[i];
		int r = OUTBOX_GONE;

		if (!session->gone && !session->blocked)
			continue;
		if (!session->gone)
			r = outbox_flush(&session->outbox, downlink->socket,
				(struct span){ session->routing, session->routing_len });
		if (r == OUTBOX_GONE) {
			lose(downlink, session, TROUBLE_DISCONNECTED);
		} else if (r == 0) {
			set_waiting(downlink, session, false, false);
			core_link_ready(downlink->core, &session->office);
		}
	}
}

uint64_t downlink_wakeup_ms(const struct downlink *downlink, uint64_t now_ms) {
	return downlink->n_waiting > 0 ? now_ms + RETRY_MS : UINT64_MAX;
}

/* Makes this connection the office's session. */
static void open_session(struct downlink *downlink, struct session *session, struct span routing) {
	if (session->routing_len > 0)
		lose(downlink, session, TROUBLE_CONNECTED_AGAIN);
	memcpy(session->routing, routing.data, routing.len);
	session->routing_len = routing.len;
	core_link_open(downlink->core, &session->office);
}

void downlink_message(struct downlink *downlink, zmq_msg_t *parts, size_t n_parts) {
	struct span routing = { zmq_msg_data(&parts[0]), zmq_msg_size(&parts[0]) };
	struct span frame = { NULL, 0 }; /* not one frame: the core refuses it as malformed */
	const char *user = NULL;
	struct session *session;
	struct id office;

	/* from the body: libzmq may have lost it on the routing frame */
	if (n_parts >= 2)
		user = zmq_msg_gets(&parts[1], "User-Id");
	if (user && strncmp(user, ZAP_GUEST, sizeof(ZAP_GUEST) - 1) == 0 && n_parts == 2 &&
		id_parse(span_str(user + sizeof(ZAP_GUEST) - 1), &office)) {
		core_guest(downlink->core, routing, &office,
			(struct span){ zmq_msg_data(&parts[1]), zmq_msg_size(&parts[1]) });
		return;
	}
	if (!user || !id_parse(span_str(user), &office) || routing.len == 0 ||
		routing.len > DOWNLINK_ROUTING_MAX) {
		log_cause(downlink->log, LOG_WARNING, _("a message of nobody we know was dropped"));
		return;
	}
	if (n_parts == 2)
		frame = (struct span){ zmq_msg_data(&parts[1]), zmq_msg_size(&parts[1]) };

	session = find(downlink, &office);
	if (!session)
		session = add(downlink, &office);
	if (!session) {
		log_cause(downlink->log, LOG_WARNING, _("no memory for another connection"));
		return; /* they will say HELLO again */
	}
	if (!span_eq(routing, (struct span){ session->routing, session->routing_len })) {
		/* what an old connection left behind must not take the session back from a new one */
		if (session->routing_len > 0 && !message_is_hello(frame))
			return;
		open_session(downlink, session, routing);
	}
	core_message(downlink->core, &office, frame);
}

bool downlink_send(struct downlink *downlink, const struct id *office, struct span frame) {
	struct session *session = downlink->socket ? find(downlink, office) : NULL;
	int r;

	if (!session || session->routing_len == 0 || session->gone)
		return true; /* the core has been told, or will be */
	r = outbox_send(&session->outbox, downlink->socket,
		(struct span){ session->routing, session->routing_len }, frame);
	if (r)
		set_waiting(downlink, session, r == OUTBOX_GONE, true);
	return r == 0;
}

void downlink_answer_guest(struct downlink *downlink, struct span client, struct span frame) {
	/* if it has gone, or does not read, it will ask again */
	if (zmq_send(downlink->socket, client.data, client.len, ZMQ_DONTWAIT | ZMQ_SNDMORE) >= 0)
		(void)zmq_send(downlink->socket, frame.data, frame.len, ZMQ_DONTWAIT);
}
