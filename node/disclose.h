/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * disclose - the part of a link that sends in full what went as its hash, and answers what comes so
 *
 * What is due stands in the store (disclosures.h) until the neighbour has said that it is on its disk, so
 * a session that ends loses nothing and begins with what was not answered. A record is sent only once the
 * neighbour holds its leaf; what it cannot take yet is offered again after LINK_ASIDE_MS, what it refuses
 * in the next session. The memory of a session is bounded: who refuses more than that gets no more in it.
 */
#include "proto/message.h"
#include "store/disclosures.h"

struct link;
struct link_io;

enum {
	DISCLOSE_WINDOW = 32,    /* records under way */
	DISCLOSE_PUMP_MAX = 16,  /* sent in one turn */
	DISCLOSE_ASIDE_MAX = 256, /* not taken by the neighbour, and not offered for now */
};

struct disclose_aside {
	struct disclosure what;
	bool later; /* offered again at again_ms; otherwise in the next session */
};

struct link_disclosing {
	bool look;          /* the store may have what was not sent in this session */
	bool behind;        /* some of it is beyond what the neighbour holds */
	uint64_t again_ms;  /* monotonic: when what was set aside is offered again; 0: nothing was */
	uint64_t full_ms;   /* monotonic: they have no room until then */
	uint64_t sent_ms;   /* monotonic: the last of those under way */
	struct disclosure flights[DISCLOSE_WINDOW];
	size_t n_flights;
	struct disclose_aside aside[DISCLOSE_ASIDE_MAX];
	size_t n_aside;
	struct disclosed *answers; /* of this turn */
	size_t n_answers, cap_answers;
};

/* A session begins: nothing is under way. */
void disclose_begin(struct link_disclosing *disclosing);
void disclose_done(struct link_disclosing *disclosing);
/* Sends what is due and was not sent, as much as a turn may. 0 or -errno. */
int disclose_pump(struct link *link, struct link_io *io, struct txn *txn, uint8_t *frame);
/* They said what became of it. @txn is a write transaction. 0 or -errno. */
int disclose_answered(struct link *link, const struct link_io *io, struct txn *txn, struct message *message);
/* Notes what became of a record of theirs; disclose_say() tells them. 0 or -errno. */
int disclose_answer(struct link_disclosing *disclosing, const struct disclose *disclose, uint64_t outcome);
int disclose_say(struct link *link, const struct link_io *io, uint8_t *frame);
bool disclose_busy(const struct link_disclosing *disclosing, uint64_t now_ms);
/* When something must be done though nothing comes: on the monotonic clock. */
uint64_t disclose_wakeup_ms(const struct link_disclosing *disclosing);
