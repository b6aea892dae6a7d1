/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * link - replication with one neighbour: a pure state machine, the same for both directions
 *
 *   DOWN       nothing agreed              -- HELLO --------->  GREETING
 *   GREETING   waiting for their heads     -- HEADS, last --->  STREAMING
 *   STREAMING  up to LINK_WINDOW unacked   -- no ack in time ->  GREETING (child) or DOWN (parent)
 *   any        the transport is lost, or they say NO_SESSION, OUT_OF_STEP ---->  DOWN
 *
 * The child begins; the parent answers its HELLO with one of its own. Then each tells its HEADS
 * and pushes, in the order of lanes, what the other lacks and may see. Nothing is marked as sent
 * in the store: the neighbour's ACK moves the cursor, and a new session begins there.
 * Owns no socket, no clock, no randomness. What it is given borrows from the caller.
 */
#include "node/register.h"
#include "proto/compress.h"
#include "proto/message.h"
#include "store/oplog.h"

enum {
	LINK_WINDOW = 64,                /* batches under way */
	LINK_ACK_TIMEOUT_MS = 60000,     /* without any word from them */
	LINK_IDLE_MS = 10000,            /* then we say we are alive */
	LINK_WHY_MAX = 200,
};

enum link_state {
	LINK_DOWN,
	LINK_GREETING,
	LINK_STREAMING,
};

/* What the neighbour holds of one oplog that we push, and what is under way. */
struct link_oplog {
	struct oplog_id id;
	uint32_t number;
	uint16_t distance; /* levels between its origin and us */
	bool aside;        /* refused in this session: not offered again before the next */
	uint64_t acked;    /* they hold so many */
	uint64_t sent;     /* sent in this session */
	uint64_t size;     /* we hold so many, as far as we know */
};

struct link {
	struct id neighbour;
	bool up; /* the neighbour is our parent */
	enum link_state state;
	uint64_t since_ms;          /* wall clock: when the state began */
	uint64_t last_progress_ms;  /* wall clock: last batch taken or acknowledged */
	uint64_t last_heard_ms;     /* monotonic */
	uint64_t last_said_ms;      /* monotonic */
	uint64_t session;
	uint64_t out_sequence;
	uint64_t in_sequence;
	int64_t clock_skew_ms;
	char why[LINK_WHY_MAX];     /* it does not stream: a sentence for people */
	struct link_oplog *oplogs;  /* sorted by lane, distance, id: the order of sending */
	size_t n_oplogs;
	size_t cap_oplogs;
	size_t n_under_way;         /* batches sent and not yet acknowledged */
	struct compressor *out;
	struct decompressor *in;
};
