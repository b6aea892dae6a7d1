/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * reply - what an office that was asked for a case (inquiry.h) says: it discloses it, or why not
 *
 * Body: [request, case or nil, outcome, who, reason]. It travels up to the asker, and down to the office whose
 * case it is.
 */
#include "proto/codec.h"

enum reply_outcome {
	REPLY_GRANTED = 1, /* the case is disclosed, also what comes later */
	REPLY_REFUSED = 2,
	REPLY_N,
};

enum {
	REPLY_WHO_MAX = 64,
	REPLY_REASON_MAX = 512,
	REPLY_FIELDS = 5,
};

enum {
	REPLY_MALFORMED = 1,
};

struct reply {
	struct id request;  /* the record that asked */
	struct id petition; /* the case that it meant; never nil where it is granted */
	uint8_t outcome;
	struct span who;    /* the user of the machine */
	struct span reason; /* may be empty where it is granted */
};

void reply_encode(const struct reply *reply, struct writer *w);
int reply_decode(struct span body, struct reply *ret_reply); /* 0 or REPLY_MALFORMED */
