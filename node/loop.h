/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * loop - waits for the sockets, and turns what has arrived together into one turn of the core
 *
 * Everything that is there is received before the turn ends, up to a bound, since one commit costs
 * the same for all; but nothing is waited for once something is there. Frames stay where libzmq
 * put them, and are given back when the turn has ended.
 */
#include "node/node.h"

enum {
	LOOP_FRAMES_MAX = 4096, /* received in one turn */
};

/* Until SIGTERM or SIGINT, which must be blocked. 0 or -errno. */
int loop_run(struct node *node);
