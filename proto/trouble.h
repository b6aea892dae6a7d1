/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * trouble - why nothing moves on a link: a code, and what only the node knows of it
 *
 * The node says the code over the control socket, so that whoever asks reads a sentence in a
 * language of their own.
 */
#include "proto/message.h"

/* The numbers are on the control socket. */
enum trouble_code {
	TROUBLE_NONE = 0,
	TROUBLE_NOT_YET = 1,         /* no connection since the node started */
	TROUBLE_SILENT = 2,          /* no word from them for a minute */
	TROUBLE_ENDED_BY_THEM = 3,   /* the session; reason: enum refusal */
	TROUBLE_ENDED_BY_US = 4,     /* likewise */
	TROUBLE_REFUSED = 5,         /* they refuse an oplog; reason: enum refusal */
	TROUBLE_FAR_HEADS = 6,       /* an oplog is held back: more lies between two heads than a batch carries */
	TROUBLE_NO_ANSWER = 7,       /* detail: the address, as in all that follow */
	TROUBLE_DEAF = 8,            /* it accepts connections and says nothing */
	TROUBLE_KEY_REFUSED = 9,
	TROUBLE_LOST = 10,           /* the connection */
	TROUBLE_NOT_A_NODE = 11,     /* or not our parent's */
	TROUBLE_BAD_ADDRESS = 12,    /* reason: errno */
	TROUBLE_MOVED = 13,          /* the parent listens elsewhere now; no detail, as in the next two */
	TROUBLE_DISCONNECTED = 14,   /* the office below did, or does not read */
	TROUBLE_CONNECTED_AGAIN = 15,
	TROUBLE_NO_END = 16,         /* an oplog is held back: the head where a life of its office ended is not here */
	TROUBLE_SHOWN_BELOW = 17,    /* offices below were shown what has not come here; detail: by whom, and who */
	TROUBLE_HANDED_OVER = 18,    /* this office, to the one above it from now on, which has yet to say where it listens */
	TROUBLE_PAUSED = 19,         /* this office keeps the line to its parent closed: somebody here said so */
	TROUBLE_HOURS = 20,          /* likewise, but for what is urgent: it is not one of the hours that are set */
	TROUBLE_BUDGET = 21,         /* likewise: today's bytes are used up */
};

enum {
	TROUBLE_DETAIL_MAX = 256,
	TROUBLE_TEXT_MAX = 512, /* bytes of a sentence, with the terminating zero */
};

struct trouble {
	uint8_t code;
	uint32_t reason;
	char detail[TROUBLE_DETAIL_MAX + 1];
};

struct trouble trouble_of(enum trouble_code code, uint32_t reason, const char *detail);
bool trouble_eq(const struct trouble *a, const struct trouble *b);
/* A word for programs, the same in every language and version; NULL where there is no trouble. */
const char *trouble_name(uint8_t code);
/* What belongs to the word: the address, or the name of a refusal, untranslated; NULL: nothing. */
const char *trouble_detail(const struct trouble *trouble);
/* The sentence in the user's language (gettext); empty where there is no trouble. */
void trouble_text(const struct trouble *trouble, char ret_text[TROUBLE_TEXT_MAX]);
