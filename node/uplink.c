/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/uplink.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "proto/text.h"

enum {
	DOUBLINGS_MAX = 5, /* of the first pause: a minute at the default of 2 seconds */
	PAUSE_MAX_MS = 600000,
	CONNECT_TIMEOUT_MS = 15000,
	HANDSHAKE_MS = 30000,
	TRYING_MS = CONNECT_TIMEOUT_MS + HANDSHAKE_MS + 15000, /* a name may have to be looked up */
	GREETING_MS = 60000,               /* CONNECTED, before the first word */
	DEAF_MS = 2 * LINK_SILENCE_MAX_MS, /* CONNECTED, since the last: they say they live */
	/* Batches under way and the acknowledgements between them; the link's window is the limit. */
	SEND_FRAMES = 2 * LINK_WINDOW,
	SEND_BUFFER = 128 * 1024, /* what is in the kernel cannot be overtaken by an urgent record */
	EVENTS = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
		 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
		 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL,
};

void uplink_init(struct uplink *uplink, void *context, struct core *core,
	const struct config *config, const struct keyfile *keys, struct log *log) {
	*uplink = (struct uplink){
		.context = context,
		.core = core,
		.config = config,
		.keys = keys,
		.log = log,
		.deadline_ms = UINT64_MAX,
		.renew = core_parent_address(core)[0] != '\0',
	};
}

static void close_sockets(struct uplink *uplink) {
	if (uplink->socket) {
		/* first the monitor: libzmq's thread would wait for a reader of its events */
		(void)zmq_socket_monitor(uplink->socket, NULL, 0);
		(void)zmq_close(TAKE(uplink->socket));
	}
	if (uplink->monitor)
		(void)zmq_close(TAKE(uplink->monitor));
	outbox_clear(&uplink->outbox);
	uplink->blocked = uplink->broken = false;
}

void uplink_done(struct uplink *uplink) {
	close_sockets(uplink);
}

void uplink_renew(struct uplink *uplink) {
	uplink->renew = true;
}

/* Full jitter: children that lost their parent together must not come back together. */
static uint64_t random_below(uint64_t limit) {
	uint64_t value = 0;

	(void)random_bytes(&value, sizeof(value)); /* without it, at once */
	return limit ? value % limit : 0;
}

/* Tells the log and the supervisor how it stands. */
__attribute__((format(printf, 3, 4))) static void tell(struct uplink *uplink, int priority,
	const char *format, ...) {
	char line[TROUBLE_TEXT_MAX + 128];
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	log_cause(uplink->log, priority, "%s", line);
	(void)sd_notifyf(0, "STATUS=%s", line);
}

/* Tells the core why there is no line, if that is news; the sentence is then in @ret_text. */
static bool parted(struct uplink *uplink, const struct trouble *trouble, char ret_text[TROUBLE_TEXT_MAX]) {
	if (trouble_eq(trouble, &uplink->trouble))
		return false;
	uplink->trouble = *trouble;
	trouble_text(trouble, ret_text);
	core_link_lost(uplink->core, &uplink->parent, trouble);
	return true;
}

/* Tells the core, and the log where it is news, why there is no line. */
static void lost(struct uplink *uplink, enum trouble_code code, uint32_t reason) {
	const struct trouble trouble =
		trouble_of(code, reason, code == TROUBLE_MOVED ? "" : uplink->address);
	char text[TROUBLE_TEXT_MAX];

	if (parted(uplink, &trouble, text))
		tell(uplink, LOG_WARNING, _("the parent cannot be reached: %s"), text);
}

/* This office wants the line closed, for this reason. */
static void hold(struct uplink *uplink, enum trouble_code why) {
	const struct trouble trouble = trouble_of(why, 0, "");
	char text[TROUBLE_TEXT_MAX];

	close_sockets(uplink);
	uplink->state = UPLINK_HELD;
	uplink->deadline_ms = UINT64_MAX;
	if (parted(uplink, &trouble, text))
		tell(uplink, LOG_INFO, _("the line to the parent is closed: %s"), text);
}

static void pause_a_while(struct uplink *uplink, uint64_t now_ms) {
	uint64_t most = (uint64_t)uplink->config->reconnect_ms << uplink->n_failures;

	close_sockets(uplink);
	if (most > PAUSE_MAX_MS)
		most = PAUSE_MAX_MS;
	if (uplink->n_failures < DOUBLINGS_MAX)
		uplink->n_failures++;
	uplink->state = UPLINK_PAUSING;
	uplink->deadline_ms = now_ms + random_below(most);
}

static bool set(void *socket, int option, int value) {
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

static bool set_options(struct uplink *uplink, const struct office *parent) {
	char text[41], own[41];
	bool ok;

	ok = zmq_z85_encode(text, uplink->keys->curve_secret, 32) && zmq_curve_public(own, text) == 0 &&
	     zmq_setsockopt(uplink->socket, ZMQ_CURVE_SECRETKEY, text, 41) == 0 &&
	     zmq_setsockopt(uplink->socket, ZMQ_CURVE_PUBLICKEY, own, 41) == 0 &&
	     zmq_setsockopt(uplink->socket, ZMQ_CURVE_SERVERKEY, parent->curve_key, 32) == 0;
	explicit_bzero(text, sizeof(text));
	return ok && set(uplink->socket, ZMQ_IMMEDIATE, 1) &&
	       set(uplink->socket, ZMQ_IPV6, uplink->address[strcspn(uplink->address, "[")] == '[') &&
	       set(uplink->socket, ZMQ_SNDHWM, SEND_FRAMES) &&
	       set(uplink->socket, ZMQ_RCVHWM, LINK_WINDOW) &&
	       set(uplink->socket, ZMQ_SNDBUF, SEND_BUFFER) &&
	       set(uplink->socket, ZMQ_RECONNECT_IVL, -1) && /* that is ours to do */
	       set(uplink->socket, ZMQ_CONNECT_TIMEOUT, CONNECT_TIMEOUT_MS) &&
	       set(uplink->socket, ZMQ_HANDSHAKE_IVL, HANDSHAKE_MS) &&
	       set(uplink->socket, ZMQ_TCP_KEEPALIVE, 1) &&
	       set(uplink->socket, ZMQ_TCP_KEEPALIVE_IDLE, 60) &&
	       set(uplink->socket, ZMQ_TCP_KEEPALIVE_INTVL, 15) &&
	       set(uplink->socket, ZMQ_TCP_KEEPALIVE_CNT, 4) &&
	       set(uplink->socket, ZMQ_TCP_MAXRT, 120000) &&
	       zmq_setsockopt(uplink->socket, ZMQ_MAXMSGSIZE, &(int64_t){ MESSAGE_MAX + 1024 },
		       sizeof(int64_t)) == 0;
}

/* 0 or -errno of libzmq, which then has no sockets or memory left, or cannot read the address. */
static int open_sockets(struct uplink *uplink, const struct office *parent) {
	char events[64];

	/* a new name each time: the old one is given back only when libzmq's thread gets to it */
	(void)snprintf(events, sizeof(events), "inproc://uplink-events-%llu",
		(unsigned long long)uplink->n_sockets++);
	uplink->socket = zmq_socket(uplink->context, ZMQ_DEALER);
	uplink->monitor = zmq_socket(uplink->context, ZMQ_PAIR);
	if (!uplink->socket || !uplink->monitor || !set_options(uplink, parent) ||
		zmq_socket_monitor(uplink->socket, events, EVENTS) < 0 ||
		zmq_connect(uplink->monitor, events) < 0 ||
		zmq_connect(uplink->socket, uplink->address) < 0)
		return -errno;
	return 0;
}

static void try_parent(struct uplink *uplink, uint64_t now_ms) {
	const struct office *parent = core_parent(uplink->core);
	const char *address = core_parent_address(uplink->core);
	int r;

	close_sockets(uplink);
	uplink->renew = false;
	if (!parent || !address[0] || strlen(address) >= sizeof(uplink->address)) {
		uplink->state = UPLINK_IDLE;
		uplink->deadline_ms = UINT64_MAX;
		return;
	}
	uplink->parent = parent->id;
	memcpy(uplink->address, address, strlen(address) + 1);
	r = open_sockets(uplink, parent);
	if (r) {
		lost(uplink, TROUBLE_BAD_ADDRESS, -r);
		pause_a_while(uplink, now_ms);
		return;
	}
	uplink->state = UPLINK_TRYING;
	uplink->deadline_ms = now_ms + TRYING_MS;
}

static void flush(struct uplink *uplink) {
	int r;

	if (!uplink->blocked || !uplink->socket)
		return;
	r = outbox_flush(&uplink->outbox, uplink->socket, (struct span){ NULL, 0 });
	uplink->broken = r == OUTBOX_GONE;
	if (r)
		return;
	uplink->blocked = false;
	core_link_ready(uplink->core, &uplink->parent);
}

void uplink_turn(struct uplink *uplink, uint64_t now_ms) {
	struct line_report closed;

	if (core_line_closed(uplink->core, &closed)) {
		hold(uplink, closed.why);
	} else if (uplink->state == UPLINK_HELD) {
		uplink->n_failures = 0;
		try_parent(uplink, now_ms);
	} else if (uplink->renew) {
		if (uplink->state == UPLINK_CONNECTED)
			lost(uplink, TROUBLE_MOVED, 0);
		uplink->n_failures = 0;
		try_parent(uplink, now_ms);
	} else if (uplink->broken) {
		lost(uplink, TROUBLE_LOST, 0);
		pause_a_while(uplink, now_ms);
	} else if (now_ms >= uplink->deadline_ms) {
		if (uplink->state == UPLINK_PAUSING) {
			try_parent(uplink, now_ms);
		} else {
			lost(uplink,
				uplink->state == UPLINK_CONNECTED ? TROUBLE_DEAF : TROUBLE_NO_ANSWER, 0);
			pause_a_while(uplink, now_ms);
		}
	}
	flush(uplink);
}

uint64_t uplink_wakeup_ms(const struct uplink *uplink) {
	bool held = uplink->state == UPLINK_HELD;

	if (core_line_closed(uplink->core, NULL) != held)
		return 0;
	return !held && (uplink->renew || uplink->broken) ? 0 : uplink->deadline_ms;
}

static void connected(struct uplink *uplink, uint64_t now_ms) {
	tell(uplink, LOG_INFO, _("connected to the parent at %s"), uplink->address);
	uplink->state = UPLINK_CONNECTED;
	uplink->deadline_ms = now_ms + GREETING_MS;
	uplink->trouble = trouble_of(TROUBLE_NONE, 0, "");
	core_link_open(uplink->core, &uplink->parent);
}

void uplink_event(struct uplink *uplink, zmq_msg_t *parts, size_t n_parts, uint64_t now_ms) {
	uint16_t event;

	if (zmq_msg_size(&parts[0]) < sizeof(event))
		return;
	memcpy(&event, zmq_msg_data(&parts[0]), sizeof(event)); /* then its value: nothing new */

	switch (event) {
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		connected(uplink, now_ms);
		return;
	case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
		lost(uplink, TROUBLE_KEY_REFUSED, 0);
		break;
	case ZMQ_EVENT_CLOSED:
		lost(uplink, TROUBLE_NO_ANSWER, 0);
		break;
	default:
		lost(uplink,
			uplink->state == UPLINK_CONNECTED ? TROUBLE_LOST : TROUBLE_NOT_A_NODE, 0);
	}
	pause_a_while(uplink, now_ms);
}

void uplink_message(struct uplink *uplink, zmq_msg_t *parts, size_t n_parts, uint64_t now_ms) {
	struct span frame = { NULL, 0 }; /* not one frame: the core refuses it as malformed */

	if (n_parts == 1)
		frame = (struct span){ zmq_msg_data(&parts[0]), zmq_msg_size(&parts[0]) };
	if (uplink->state == UPLINK_CONNECTED) {
		uplink->n_failures = 0;
		uplink->deadline_ms = now_ms + DEAF_MS;
	}
	core_message(uplink->core, &uplink->parent, frame);
}

bool uplink_send(struct uplink *uplink, struct span frame) {
	int r;

	if (uplink->state != UPLINK_CONNECTED || uplink->broken)
		return true; /* the core has been told, or will be: it begins again from the cursor */
	r = outbox_send(&uplink->outbox, uplink->socket, (struct span){ NULL, 0 }, frame);
	uplink->blocked = r != 0;
	uplink->broken = r == OUTBOX_GONE;
	return !uplink->blocked;
}
