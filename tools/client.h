/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * client - one tool's conversation with a running node over its control socket
 */
#include "proto/control.h"
#include "tools/tool.h"

enum {
	CLIENT_QUICK_MS = 5000, /* for what the node answers from memory */
	CLIENT_PATIENT_MS = 120000,
	CLIENT_BACK_MS = 10000, /* a node that is started again by systemd is back before */
};

enum {
	CLIENT_DOWN = 1,   /* nobody listens there */
	CLIENT_DENIED = 2, /* it belongs to another user */
	CLIENT_SILENT = 3, /* no answer in time */
	CLIENT_STRANGE = 4, /* an answer that cannot be read */
	CLIENT_GONE = 5,    /* the node ended while it worked on it: done or not */
};

struct client;

/* 0, CLIENT_DOWN, CLIENT_DENIED or -errno. */
int client_open(const struct tool *tool, struct client **ret_client);
struct client *client_close(struct client *client);
void client_closep(struct client **client);

/* The number to write into the next request. */
uint64_t client_number(struct client *client);
/*
 * Sends @request and waits for its answer, which is borrowed until the next call; on stderr it says
 * once that it waits, where that takes long. The node's own refusals are in @ret_answer. 0,
 * CLIENT_SILENT, CLIENT_GONE, CLIENT_STRANGE or -errno.
 */
int client_ask(struct client *client, const struct writer *request, unsigned timeout_ms,
	struct answer *ret_answer);
/*
 * As client_ask(), of what may be asked twice: where the node ended meanwhile, it is asked again as
 * soon as one is back, for so long as @back_ms says. CLIENT_GONE: none came back.
 */
int client_ask_again(struct client *client, const struct writer *request, unsigned timeout_ms,
	unsigned back_ms, struct answer *ret_answer);

/* Says why client_open() or client_ask() returned @r, which is not 0; returns the ending. */
int client_explain(const struct tool *tool, int r);
/* client_open() and client_ask() for those who only want it done: DONE, or an ending, having said why about @what. */
int client_reach(const struct tool *tool, struct client **ret_client);
int client_order(const struct tool *tool, struct client *client, const struct writer *request, const char *what,
	struct answer *ret_answer);
/* Says in a sentence what the node refused, about @what; returns the ending. */
int client_refused(const struct answer *answer, const char *what);
