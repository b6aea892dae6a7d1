/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * fork - that an office signed two histories under the same numbers, and that this was settled
 *
 * Body: [office, epoch, lane, index, state, side, side]; settled: [office, epoch, 0, 0, state]. A side is
 * [size, root, signature, leaf, [hash, ...]]: a head that the office signed, and the inclusion path of the
 * leaf at index in it. The two leaves differ, so that the record proves what it says to whoever has the
 * office's key: a machine was cloned, or a store put back that is older than what was sent from it.
 */
#include "proto/codec.h"
#include "proto/head.h"
#include "proto/merkle.h"

enum fork_state {
	FORK_FOUND = 1,
	FORK_SETTLED = 2, /* by the office's parent: oplogs of later epochs are accepted again */
};

enum {
	FORK_FIELDS = 5, /* and two sides where it was found */
	FORK_BODY_MAX = 8192,
};

enum {
	FORK_MALFORMED = 1,
	FORK_NOT_PROVED = 2,
};

struct fork_side {
	struct head head;
	struct hash leaf;
	struct merkle_proof path;
};

struct fork {
	struct oplog_id oplog;
	uint64_t index; /* of the first leaf that is two */
	uint8_t state;
	struct fork_side sides[2]; /* found: what was held, what came */
};

void fork_encode(const struct fork *fork, struct writer *w);
int fork_decode(struct span body, struct fork *ret_fork); /* 0 or FORK_MALFORMED */
/* Whether the sides prove it; @keys: what verifies each head. 0, FORK_NOT_PROVED or -errno. */
int fork_check(const struct fork *fork, struct verifier *const keys[2]);
