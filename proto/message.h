/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * message - what travels on a link between two offices
 *
 *   HELLO   [1, version, office, session, time_ms, software, urgent]
 *   HEADS   [2, more, [[office, epoch, lane, size], ...]]     how far I hold what you would push
 *   BATCH   [3, sequence, office, epoch, lane, first, n, root, signature, payload]
 *   ACK     [4, [[office, epoch, lane, size], ...]]           my durable sizes; empty: I am alive
 *   REFUSE  [5, office, epoch, lane, size, reason, text]      set aside; office nil: the session
 *   JOIN    [6, request file]                                 of who was invited (invite.h), to be enrolled
 *   ENROL   [7, outcome, answer file]                         how that stands; the file where it was done
 *   DISCLOSE  [8, office, epoch, lane, index, record]         the bytes of what went as its hash
 *   DISCLOSED [9, [[office, epoch, lane, index, outcome], ...]]  on my disk (0), or why not
 *
 * The payload is compressed (compress.h); plain, it is an array of n leaves, each the record's
 * bytes (bin) or, where they are withheld, its reach and hash (leaf.h). A batch ends at a head. One
 * message is one ZeroMQ frame of at most MESSAGE_MAX bytes.
 */
#include "proto/codec.h"
#include "proto/head.h"
#include "proto/leaf.h"

enum {
	MESSAGE_VERSION = 1,
	MESSAGE_MAX = 64 * 1024,
	MESSAGE_HELD_MAX = 1024,           /* entries in one HEADS, ACK or DISCLOSED */
	MESSAGE_SOFTWARE_MAX = 64,
	MESSAGE_TEXT_MAX = 256,
	MESSAGE_FILE_MAX = 16 * 1024,      /* of JOIN and ENROL */
	BATCH_BYTES_MAX = 32000,           /* of leaves, before compression, without their framing */
	BATCH_LEAVES_MAX = 4096,
	BATCH_PLAIN_MAX = BATCH_BYTES_MAX + 5 * BATCH_LEAVES_MAX + 8, /* with their framing */
};

enum {
	MESSAGE_MALFORMED = 1,
};

enum message_type {
	MESSAGE_HELLO = 1,
	MESSAGE_HEADS = 2,
	MESSAGE_BATCH = 3,
	MESSAGE_ACK = 4,
	MESSAGE_REFUSE = 5,
	MESSAGE_JOIN = 6,
	MESSAGE_ENROL = 7,
	MESSAGE_DISCLOSE = 8,
	MESSAGE_DISCLOSED = 9,
	MESSAGE_TYPE_LAST = MESSAGE_DISCLOSED,
};

/* What became of a JOIN. The numbers are on the wire. */
enum enrol_outcome {
	ENROL_OUTCOME_ENROLLED = 0,
	ENROL_OUTCOME_WAITING = 1,     /* a person has to decide: ask again */
	ENROL_OUTCOME_REFUSED = 2,
	ENROL_OUTCOME_EXPIRED = 3,
	ENROL_OUTCOME_USED = 4,        /* another computer has asked with this invitation */
	ENROL_OUTCOME_NOT_INVITED = 5, /* the request is for another office than the invitation */
	ENROL_OUTCOME_LATER = 6,       /* there is no room now: ask again */
};

/* Why something was refused. The numbers are on the wire. */
enum refusal {
	REFUSAL_MALFORMED = 1,     /* not a message, or a payload that does not unpack */
	REFUSAL_VERSION = 2,       /* no version in common */
	REFUSAL_STRANGER = 3,      /* the office is not the one whose key this is, or not a neighbour */
	REFUSAL_NO_SESSION = 4,    /* say HELLO first */
	REFUSAL_OUT_OF_STEP = 5,   /* a batch was lost on the way: begin the session again */
	REFUSAL_UNKNOWN_OFFICE = 6, /* an oplog of an office not (yet) enrolled */
	REFUSAL_GAP = 7,           /* the batch begins beyond our size */
	REFUSAL_ROOT = 8,          /* the leaves do not give the head's root, or a record not its leaf's hash */
	REFUSAL_SIGNATURE = 9,     /* the head is not signed by the origin's key */
	REFUSAL_FORK = 10,         /* another record is already held under this number */
	REFUSAL_NOT_YOURS = 11,    /* an oplog that this neighbour has no business to send */
	REFUSAL_FULL = 12,         /* no room: later */
	REFUSAL_QUARANTINED = 13,  /* the oplog was set aside earlier */
	REFUSAL_ENDED = 14,        /* the oplog goes no further: its office was revoked, or began another life */
	REFUSAL_INVITATION = 15,   /* of a guest: late, used, too often, or not as invited; counted, not sent */
	REFUSAL_WITHHELD = 16,     /* a hash in place of a record that travels in full */
	REFUSAL_BUSY = 17,         /* of a HELLO: too many greet at once; size: say it again within so many milliseconds */
	REFUSAL_N,
};

struct hello {
	uint64_t version;
	struct id office;
	uint64_t session; /* the child's choice; the parent's HELLO repeats it */
	uint64_t time_ms;
	struct span software;
	bool urgent; /* in this session only the urgent lane is sent, both ways */
};

struct held {
	struct oplog_id oplog;
	uint64_t size;
};

struct batch {
	uint64_t sequence; /* 0 for the first of a session, per direction */
	struct oplog_id oplog;
	uint64_t first;
	uint64_t n;
	struct head head; /* size = first + n */
	struct span payload;
};

struct refuse {
	struct oplog_id oplog;
	uint64_t size;
	uint64_t reason;
	struct span text; /* for people, may be empty */
};

/* A record of a leaf that the receiver has only the hash of. */
struct disclose {
	struct oplog_id oplog;
	uint64_t index;
	struct span record;
};

/* What became of one. */
struct disclosed {
	struct oplog_id oplog;
	uint64_t index;
	uint64_t outcome; /* 0: it is on disk; else why not: a refusal */
};

struct message {
	enum message_type type;
	bool more;             /* HEADS: another one follows */
	uint64_t n_held;       /* HEADS, ACK, DISCLOSED */
	struct reader held;    /* of these: see message_held_next(), message_disclosed_next() */
	union {
		struct hello hello;
		struct batch batch;
		struct refuse refuse;
		struct disclose disclose;
		struct {
			uint64_t outcome; /* ENROL */
			struct span file; /* JOIN, ENROL */
		};
	};
};

/* 0 or MESSAGE_MALFORMED, all of it checked. Spans borrow from @in. */
int message_decode(struct span in, struct message *ret_message);
/* Whether @in begins as a HELLO does: for the transport, which decodes nothing. */
bool message_is_hello(struct span in);
/* The next of a HEADS or ACK; false at the end. */
bool message_held_next(struct message *message, struct held *ret_held);
/* The next of a DISCLOSED. */
bool message_disclosed_next(struct message *message, struct disclosed *ret_disclosed);

/* All of these leave the sticky state of @w to be checked by the caller. */
void message_write_hello(struct writer *w, const struct hello *hello);
void message_write_heads(struct writer *w, bool more, const struct held *held, size_t n);
void message_write_batch(struct writer *w, const struct batch *batch);
void message_write_ack(struct writer *w, const struct held *held, size_t n);
void message_write_refuse(struct writer *w, const struct refuse *refuse);
void message_write_join(struct writer *w, struct span request);
void message_write_enrol(struct writer *w, enum enrol_outcome outcome, struct span answer);
void message_write_disclose(struct writer *w, const struct disclose *disclose);
void message_write_disclosed(struct writer *w, const struct disclosed *disclosed, size_t n);

/* English, to be translated where it is shown, such as "bad signature"; never NULL. */
const char *refusal_name(uint64_t reason);
