/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * control - the socket that the tools of this machine talk to: a ROUTER at HOME/control.sock
 *
 * A message is one frame of proto/control.h. Who may use it is a matter of the file's permissions:
 * never others, the group if the umask lets it.
 */
#include <zmq.h>

#include "node/core.h"
#include "node/log.h"

enum {
	/* Requests that a client may have sent and had no answer to; beyond, answers may be dropped. */
	CONTROL_UNDER_WAY_MAX = 10000,
};

struct control {
	void *socket;
	struct core *core;
	struct log *log;
};

/* @home is shorter than a socket's path may be, by the name of ours. 0 or -errno. */
int control_init(struct control *control, void *context, struct core *core, const char *home,
	struct log *log);
void control_done(struct control *control);
void control_message(struct control *control, zmq_msg_t *parts, size_t n_parts);
/* As core_io.answer(). */
void control_answer(struct control *control, struct span client, struct span frame);
