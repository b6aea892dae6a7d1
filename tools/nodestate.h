/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * nodestate - what a running node says of itself and its links; or that it is not running
 */
#include "tools/client.h"
#include "tools/home.h"

struct nodestate {
	struct client *client; /* owns the spans below */
	int down;              /* 0: it answered; else why not, as client_explain() takes it */
	struct control_status status;
};

/* Asks; that the node is down is no failure. */
void nodestate_init(struct nodestate *state, const struct tool *tool);
void nodestate_done(struct nodestate *state);
bool nodestate_link(const struct nodestate *state, const struct id *office,
	struct link_report *ret_link);
/* That the node is down, in a sentence, to be translated. */
const char *nodestate_down(const struct nodestate *state);
/*
 * Why nothing of @lane moves, in two cells: a sentence for people, a word for programs; and for programs only
 * what belongs to the word. Both empty: all is well.
 */
void cell_why(struct listing *listing, const struct nodestate *state, const struct id *office, enum lane lane);
