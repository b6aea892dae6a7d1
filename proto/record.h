/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * record - one immutable fact, encoded once by its origin
 *
 * A msgpack array [kind, id, time_ms, organisation, audience, body, commitment...]. From then on
 * the record is those bytes: stored, hashed and forwarded as they are. The seventh element is a
 * commitment to a private part kept elsewhere: absent, or SHA-256(salt || private bytes); nil where
 * elements follow that this version does not know. The last element is never nil beyond the sixth, so a
 * record has one encoding. Kinds and elements that are not known are kept and forwarded.
 */
#include "proto/codec.h"

enum {
	RECORD_MAX = 16 * 1024,   /* bytes of a whole record */
	RECORD_BODY_MAX = RECORD_MAX - 128, /* of a body, so that the rest fits with one office named */
	RECORD_AUDIENCE_MAX = 32, /* offices named */
	RECORD_FIELDS = 6,        /* elements that every record has */
};

enum {
	RECORD_MALFORMED = 1, /* decode: not a record */
	RECORD_TOO_LONG,      /* encode: more than RECORD_MAX bytes, or than the writer takes */
};

/*
 * The numbers are on the wire, up to 255: never change one, never use one again. 0 is none. The number says how
 * far a record of that kind travels in full, also to a version that does not know it.
 */
enum kind {
	KIND_PETITION = 1,
	KIND_STEP = 2,
	KIND_MEETING = 3,
	KIND_ACCESS = 4,
	KIND_REQUEST = 5,
	KIND_REPLY = 6,
	KIND_TALLY = 128,
	KIND_ESCALATION = 129,
	KIND_RECEIPT = 130,
	KIND_CARRIED = 131,
	KIND_OFFICE = 192,
	KIND_FORK = 193,
};

/* How far records travel in full whatever else is the rule; the numbers are in their leaves. */
enum reach {
	REACH_RULE = 0, /* kinds below 128: as the rule of the kind says, else as their hash */
	REACH_UP = 1,   /* below 192: to every office above */
	REACH_ALL = 2,  /* to every office above and below */
	REACH_N,
};

/* The Front and the five organisations, and the Party's mass-mobilisation board. */
enum organisation {
	ORGANISATION_NONE = 0,
	ORGANISATION_FRONT = 1,
	ORGANISATION_WOMEN = 2,
	ORGANISATION_YOUTH = 3,
	ORGANISATION_FARMERS = 4,
	ORGANISATION_VETERANS = 5,
	ORGANISATION_LABOUR = 6,
	ORGANISATION_BOARD = 7,
	ORGANISATION_N,
};

struct record {
	uint8_t kind;
	uint8_t organisation;
	bool has_commitment;
	uint8_t n_audience;
	uint64_t time_ms;   /* the origin's wall clock, since 1970: shown, never used for order */
	struct id id;
	struct span audience; /* n_audience encoded ids: see record_audience() */
	struct span body;     /* one msgpack value; its shape depends on the kind */
	struct hash commitment;
};

/*
 * Writes @rec. The audience is given apart, as ids: offices whose whole subtree may read a record
 * that travels down. 0 or RECORD_TOO_LONG; @w may then hold part of it.
 */
int record_encode(const struct record *rec, const struct id *audience, size_t n_audience,
	struct writer *w);
/*
 * 0 or RECORD_MALFORMED. Spans borrow from @in. The body is checked as msgpack, but neither as its
 * kind nor are its texts: that is done where it is decoded.
 */
int record_decode(struct span in, struct record *ret_rec);
/* Office @i of the audience, @i < n_audience. */
void record_audience(const struct record *rec, size_t i, struct id *ret_office);
/* Only the kind, for a filter: 0 if @in does not begin as a record does. */
uint8_t record_kind(struct span in);
/* By the kind; what does not begin as a record has REACH_RULE. */
enum reach record_reach(struct span in);
/* A UUIDv7 (RFC 9562, 5.7) of @time_ms and the ten random bytes. */
void record_make_id(uint64_t time_ms, const uint8_t random[10], struct id *ret_id);
