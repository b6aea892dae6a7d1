/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * inquiry - an office asks the one directly below it for the records of a case of which it has only hashes
 *
 * Body: [asked, case or nil, reference, office or nil, epoch, lane, index, who, reason]. What is meant is said
 * by the id of the case, by its reference (0: none) or by where a record of it stands, as far as the
 * asker knows them: at least one of them. It travels down, to the office whose case it is.
 */
#include "proto/codec.h"
#include "proto/head.h"

enum {
	INQUIRY_WHO_MAX = 64,
	INQUIRY_REASON_MAX = 512,
	INQUIRY_FIELDS = 9,
};

enum {
	INQUIRY_MALFORMED = 1,
};

struct inquiry {
	struct id asked;     /* the office directly below the asker, which can disclose it */
	struct id petition;  /* the case; nil: not known */
	uint64_t reference;  /* 0: not known */
	struct oplog_id oplog; /* of a record; office nil: not known, and the rest is 0 */
	uint64_t index;
	struct span who;     /* the user of the asker's machine */
	struct span reason;  /* not empty */
};

/* Whether both ask for the same in the same way: what is asked twice is one request. */
bool inquiry_same(const struct inquiry *a, const struct inquiry *b);
void inquiry_encode(const struct inquiry *inquiry, struct writer *w);
int inquiry_decode(struct span body, struct inquiry *ret_inquiry); /* 0 or INQUIRY_MALFORMED */
