/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/control.h"

#include <errno.h>
#include <stdio.h>

#include "proto/text.h"

enum {
	REQUESTS_MAX = 1000, /* queued, for each client, besides those of the turn */
};

static bool set(void *socket, int option, int value) {
	return zmq_setsockopt(socket, option, &value, sizeof(value)) == 0;
}

int control_init(struct control *control, void *context, struct core *core, const char *home,
	struct log *log) {
	char address[256];

	*control = (struct control){ .core = core, .log = log };
	if ((size_t)snprintf(address, sizeof(address), "ipc://%s/control.sock", home) >=
		sizeof(address))
		return -ENAMETOOLONG;
	control->socket = zmq_socket(context, ZMQ_ROUTER);
	if (!control->socket ||
		!set(control->socket, ZMQ_ROUTER_MANDATORY, 1) ||
		!set(control->socket, ZMQ_RCVHWM, REQUESTS_MAX) ||
		!set(control->socket, ZMQ_SNDHWM, CONTROL_UNDER_WAY_MAX) ||
		zmq_setsockopt(control->socket, ZMQ_MAXMSGSIZE, &(int64_t){ CONTROL_MAX },
			sizeof(int64_t)) < 0 ||
		zmq_bind(control->socket, address) < 0)
		return -errno;
	return 0;
}

void control_done(struct control *control) {
	if (control->socket)
		(void)zmq_close(TAKE(control->socket));
}

void control_message(struct control *control, zmq_msg_t *parts, size_t n_parts) {
	struct span client = { zmq_msg_data(&parts[0]), zmq_msg_size(&parts[0]) };
	struct span frame = { NULL, 0 }; /* not one frame: the core answers that it is no request */

	if (n_parts == 2)
		frame = (struct span){ zmq_msg_data(&parts[1]), zmq_msg_size(&parts[1]) };
	core_request(control->core, client, frame);
}

void control_answer(struct control *control, struct span client, struct span frame) {
	if (zmq_send(control->socket, client.data, client.len, ZMQ_DONTWAIT | ZMQ_SNDMORE) < 0 ||
		zmq_send(control->socket, frame.data, frame.len, ZMQ_DONTWAIT) < 0) {
		/* who asked has left (that is usual), or does not read: asking again is harmless */
		if (errno != EHOSTUNREACH)
			log_cause(control->log, LOG_WARNING,
				_("an answer on the control socket was dropped: %s"),
				zmq_strerror(errno));
	}
}
