/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * link - replication with one neighbour: a pure state machine, the same for both directions
 *
 *   DOWN       nothing agreed              -- HELLO --------->  GREETING
 *   GREETING   waiting for their heads     -- HEADS, last --->  STREAMING
 *   STREAMING  up to a window unacked      -- no ack in time ->  GREETING (child) or DOWN (parent)
 *   any        the transport is lost, or they say NO_SESSION, OUT_OF_STEP ---->  DOWN
 *
 * The child begins; the parent answers its HELLO with one of its own. Then each tells its HEADS
 * and pushes, in the order of lanes, what the other lacks and may see. Nothing is marked as sent
 * in the store: the neighbour's ACK moves the cursor, and a new session begins there.
 * Owns no socket, no clock, no randomness. What it is given borrows from the caller.
 */
#include "node/disclose.h"
#include "node/register.h"
#include "proto/compress.h"
#include "proto/message.h"
#include "proto/trouble.h"
#include "store/oplog.h"

enum {
	LINK_WINDOW = 64,              /* batches under way, at most */
	LINK_WINDOW_START = 2,
	LINK_FRAME_BYTES = 128,        /* around a frame: what ZMTP, CURVE, TCP and IP add, and their acknowledgement */
	LINK_OPEN_BYTES = 2048,        /* to connect */
	LINK_FLIGHT_MS = 1000,         /* longer than that no batch should be under way: fewer are sent then */
	LINK_PUMP_MAX = 16,            /* batches pushed in one turn, so that others get theirs */
	LINK_SILENCE_MAX_MS = 60000,   /* without any word from them the session ends */
	LINK_IDLE_MS = 10000,          /* then we say we are alive */
	LINK_GREET_AGAIN_MS = 1000,
	LINK_GREETING_MS = 10000,      /* one that has said nothing for so long while it greets keeps nobody else out */
	LINK_LATER_MAX_MS = 60000,     /* that they are to wait, where they are told to come again later */
	LINK_MOVED_MS = 300000,        /* after one that passes once they have heard that an office moved */
	LINK_ASIDE_MS = 10000,         /* after a refusal that may pass: no room, not yet enrolled, a key not yet known */
};

enum link_state {
	LINK_DOWN,
	LINK_GREETING,
	LINK_STREAMING,
};

/* An oplog as it stands in this node, shared by the links; the core keeps it in step. */
struct held_oplog {
	struct oplog_id id;
	uint64_t size; /* as far as it is passed on */
	uint64_t full; /* and as far as it is here */
	uint32_t number; /* its short name in the store */
	/* Of an office below, its bulk lane, where its receipts are: */
	uint64_t shown_from; /* the first that names what is not here yet, or where those begin that were not looked at */
	uint64_t shown_to;   /* how far they were looked at */
};

/* What the neighbour holds of an oplog that we push, and what is under way. */
struct link_oplog {
	struct held_oplog *held;
	int distance;            /* levels between its origin and us */
	uint64_t acked;          /* they hold so many */
	uint64_t sent;           /* sent in this session */
	uint64_t aside_until_ms; /* refused: not offered again before; UINT64_MAX: in this session */
	bool probing;            /* refused: one batch at a time, until they hold more than */
	uint64_t probed_from;    /* this, where they refused it */
	bool named;              /* in the HEADS of this session, or left out of them */
	uint64_t theirs;         /* they say that they hold so many: beyond ours, perhaps of another history */
	uint64_t given;          /* of their own, they were given in full what had been disclosed, so far */
	bool told_end;           /* they have more than was to be: they were sent the head where it ended */
};

struct link_flight {
	const struct held_oplog *held;
	uint64_t end;
	uint64_t sent_ms; /* monotonic */
};

struct link {
	struct id neighbour;
	bool up;                    /* the neighbour is our parent */
	bool open;                  /* the transport carries frames */
	bool blocked;               /* the transport takes no more for now */
	enum link_state state;
	bool say_hello, say_heads;  /* at the end of this turn */
	bool urgent;                /* in this session only the urgent lane is sent */
	bool greeted;               /* they have said HELLO in this session */
	uint64_t since_ms;          /* wall clock: when the state began */
	uint64_t last_progress_ms;  /* wall clock: last batch taken or acknowledged */
	uint64_t last_heard_ms;     /* monotonic, as the next two */
	uint64_t last_said_ms;
	uint64_t greet_at_ms;       /* child: when to say HELLO again */
	uint64_t session;
	uint64_t n_bytes;           /* of frames, both ways, and what surrounds them; the core takes them from here */
	uint64_t out_sequence;
	uint64_t in_sequence;
	int64_t clock_skew_ms;
	struct trouble trouble;     /* why nothing moves */
	struct trouble shown;       /* what offices beyond it were shown has not come: see receipts.c */
	struct link_oplog *oplogs;  /* by lane, then distance: the order of sending */
	size_t n_oplogs, cap_oplogs;
	struct link_flight flights[LINK_WINDOW];
	size_t n_flights;
	unsigned window;            /* batches that may be, but for the urgent lane; as the line is found to be */
	uint64_t narrowed_ms;       /* monotonic: when it was last made smaller */
	struct oplog_id *acks;      /* oplogs of which something came in this turn */
	size_t n_acks, cap_acks;
	struct oplog_id suspect;    /* asked for again from suspect_from; what was under way does not count */
	uint64_t suspect_from;      /* UINT64_MAX: none is */
	struct refuse *refusals;    /* of this turn */
	size_t n_refusals, cap_refusals;
	struct link_disclosing disclosing;
	bool went_back;             /* they hold less than they once acknowledged: a store of theirs was lost */
	struct compressor *out;
	struct decompressor *in;
};

/* What a link needs of its surroundings to speak. */
struct link_io {
	void *userdata;
	bool (*send)(void *userdata, const struct id *neighbour, struct span frame);
	const struct office_register *reg;
	uint64_t wall_ms, now_ms;
	uint64_t random; /* for a session's number */
	bool withholds_own; /* the detail of this office, too, goes up as hashes */
	bool urgent; /* the line to the parent is for the urgent lane alone */
	bool asks; /* this office asks its parent for its own oplogs */
	unsigned batches; /* that may still be pushed in this turn, over all links */
};

/* @work is borrowed until link_free(). 0 or -errno. */
int link_new(const struct id *neighbour, bool up, struct compress_work *work, uint64_t wall_ms,
	struct link **ret_link);
struct link *link_free(struct link *link);

/* Offers an oplog to the neighbour from now on; @acked is its cursor. 0 or -errno. */
int link_offer(struct link *link, struct held_oplog *held, int distance, uint64_t acked);
void link_opened(struct link *link, const struct link_io *io);
/* A new link in place of one that was open: it greets at @at_ms. */
void link_reopen(struct link *link, uint64_t at_ms);
void link_lost(struct link *link, const struct link_io *io, const struct trouble *why);

/*
 * Messages other than BATCH. 0, a refusal with which to link_reset(), or -errno. @txn is a write
 * transaction: cursors move in it.
 */
int link_hello(struct link *link, const struct link_io *io, const struct hello *hello);
int link_held(struct link *link, const struct link_io *io, struct txn *txn, struct message *message);
void link_refused(struct link *link, const struct link_io *io, const struct refuse *refuse);
/* Before a batch is looked at: its place in the session, and its bytes. 0, a refusal, or -errno. */
int link_unpack(struct link *link, const struct link_io *io, const struct batch *batch,
	struct span *ret_plain);

/* Sends what was written, and is a message. 0 or -errno. */
int link_say(struct link *link, const struct link_io *io, const struct writer *w);

/* Notes for the end of the turn. 0 or -errno. */
int link_refuse(struct link *link, const struct oplog_id *oplog, uint64_t size, enum refusal why);
int link_ack(struct link *link, const struct oplog_id *oplog);
/* Ends the session, telling them why: they begin another, if @why is BUSY within @later_ms. 0 or -errno. */
int link_reset(struct link *link, const struct link_io *io, enum refusal why, uint64_t later_ms);

/*
 * After the commit: says what the turn decided, then pushes batches. @txn is a read transaction of
 * what was committed: nothing is ever sent that could still be lost here.
 */
int link_flush(struct link *link, struct link_io *io, struct txn *txn);
/* How far what is written for a bundle came. */
struct link_bundled {
	struct held next; /* where it goes on; office nil: that was all */
	uint64_t records;
};
/*
 * For a bundle, through @io->send until that takes no more: from the beginning (office nil) all that is held of what
 * they push, then from @from on what they have not acknowledged, each batch for itself. The link stays as it is.
 * 0 or -errno.
 */
int link_export(const struct link *link, struct compress_work *work, const struct link_io *io, struct txn *txn,
	const struct held *from, struct link_bundled *ret_bundled);
/* What they say in a bundle that they hold. 0 or -errno. */
int link_told(struct link *link, const struct link_io *io, struct txn *txn, struct message *message);
/* Unpacks a batch of a bundle, on a link that is for that alone. 0, REFUSAL_MALFORMED or -errno. */
int link_unpack_alone(struct link *link, const struct batch *batch, struct span *ret_plain);
/* Whether more could be pushed at once. */
bool link_busy(const struct link *link, uint64_t now_ms);
/* When something must be done though nothing comes: on the monotonic clock. */
uint64_t link_wakeup_ms(const struct link *link);
