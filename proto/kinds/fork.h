/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * fork - that an office signed two histories of one oplog, and that this was settled
 *
 * Body: [office, epoch, lane, state, head, head, root, [hash, ...]]; settled: [office, epoch, 0, state]. A head is
 * [size, root, signature], the smaller first. The root and the hashes prove (RFC 9162, 2.1.4) what the history of
 * the second had when it was as long as the first: something else. So the record proves what it says to whoever
 * has the key that the office signs with now: a machine was cloned, a store put back that is older than what was sent
 * from it, or the office tells its neighbours different things.
 */
#include "proto/codec.h"
#include "proto/head.h"
#include "proto/merkle.h"

enum fork_state {
	FORK_FOUND = 1,
	FORK_SETTLED = 2, /* by the office's parent: oplogs of later epochs are accepted again */
};

enum {
	FORK_FIELDS = 4, /* and four more where it was found */
	FORK_BODY_MAX = 8192,
};

enum {
	FORK_MALFORMED = 1,
	FORK_NOT_PROVED = 2,
};

struct fork {
	struct oplog_id oplog;
	uint8_t state;
	struct head small, large;  /* small.size <= large.size */
	struct hash other;         /* root of the first small.size leaves in the history of large */
	struct merkle_proof path;  /* from there to large */
};

void fork_encode(const struct fork *fork, struct writer *w);
int fork_decode(struct span body, struct fork *ret_fork); /* 0 or FORK_MALFORMED */
/* Whether it proves what it says, with the key that is to have signed both heads. 0, FORK_NOT_PROVED or -errno. */
int fork_check(const struct fork *fork, struct verifier *key);
