/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/link.h"

#include <errno.h>
#include <stdlib.h>

void disclose_begin(struct link_disclosing *disclosing) {
	disclosing->look = true;
	disclosing->behind = false;
	disclosing->again_ms = disclosing->full_ms = 0;
	disclosing->n_flights = disclosing->n_aside = disclosing->n_answers = 0;
}

void disclose_done(struct link_disclosing *disclosing) {
	free(disclosing->answers);
}

static bool same(const struct disclosure *a, const struct disclosure *b) {
	return a->oplog == b->oplog && a->index == b->index;
}

static bool is_out(const struct link_disclosing *disclosing, const struct disclosure *what) {
	for (size_t i = 0; i < disclosing->n_flights; i++)
		if (same(&disclosing->flights[i], what))
			return true;
	for (size_t i = 0; i < disclosing->n_aside; i++)
		if (same(&disclosing->aside[i].what, what))
			return true;
	return false;
}

static const struct link_oplog *oplog_of(const struct link *link, uint32_t number) {
	for (size_t i = 0; i < link->n_oplogs; i++)
		if (link->oplogs[i].held->number == number)
			return &link->oplogs[i];
	return NULL;
}

/* 0, STORE_NOT_FOUND (it is not here in full) or -errno. */
static int send_one(struct link *link, const struct link_io *io, struct txn *txn, const struct oplog_id *id,
	const struct disclosure *what, uint8_t *frame) {
	struct link_disclosing *disclosing = &link->disclosing;
	struct disclose disclose = { *id, what->index, { NULL, 0 } };
	struct oplog oplog;
	uint64_t arrival;
	struct leaf leaf;
	struct writer w;
	int r;

	r = oplog_load(txn, id, &oplog);
	if (!r)
		r = oplog_leaf(txn, &oplog, what->index, &leaf, &arrival);
	if (r || leaf.withheld)
		return r < 0 ? r : STORE_NOT_FOUND;
	disclose.record = leaf.bytes;
	writer_init(&w, frame, MESSAGE_MAX);
	message_write_disclose(&w, &disclose);
	r = link_say(link, io, &w);
	disclosing->flights[disclosing->n_flights++] = *what;
	disclosing->sent_ms = io->now_ms;
	return r;
}

/* Time has passed: what was set aside for a while, or not answered at all, is offered again. */
static void offer_again(struct link_disclosing *disclosing, uint64_t now_ms) {
	size_t n = 0;

	if (disclosing->again_ms && now_ms >= disclosing->again_ms) {
		for (size_t i = 0; i < disclosing->n_aside; i++)
			if (!disclosing->aside[i].later)
				disclosing->aside[n++] = disclosing->aside[i];
		disclosing->n_aside = n;
		disclosing->again_ms = 0;
		disclosing->look = true;
	}
	if (disclosing->n_flights > 0 && now_ms >= disclosing->sent_ms + LINK_SILENCE_MAX_MS) {
		disclosing->n_flights = 0;
		disclosing->look = true;
	}
}

static bool may_send(const struct link_disclosing *disclosing, uint64_t now_ms) {
	return disclosing->look && disclosing->n_flights < DISCLOSE_WINDOW &&
		disclosing->n_aside < DISCLOSE_ASIDE_MAX && now_ms >= disclosing->full_ms;
}

int disclose_pump(struct link *link, struct link_io *io, struct txn *txn, uint8_t *frame) {
	struct link_disclosing *disclosing = &link->disclosing;
	struct disclosure at = { 0, 0 };
	const struct link_oplog *oplog = NULL;
	unsigned sent = 0;
	int r = 0;

	offer_again(disclosing, io->now_ms);
	while (r == 0 && may_send(disclosing, io->now_ms) && sent < DISCLOSE_PUMP_MAX && !link->blocked) {
		r = disclosures_next(txn, &link->neighbour, &at, &at);
		if (r == STORE_NOT_FOUND)
			disclosing->look = false;
		if (r)
			break;
		if (!oplog || oplog->held->number != at.oplog)
			oplog = oplog_of(link, at.oplog);
		if (!oplog || at.index >= oplog->acked || at.index >= oplog->held->size) {
			/* and so is all that follows of this oplog */
			disclosing->behind |= oplog != NULL;
			at = (struct disclosure){ at.oplog + 1, 0 };
			continue;
		}
		if (!is_out(disclosing, &at)) {
			r = send_one(link, io, txn, &oplog->held->id, &at, frame);
			sent += r == 0;
		}
		r = r == STORE_NOT_FOUND ? 0 : r;
		at.index++;
	}
	return r < 0 ? r : 0;
}

/* Whether a record that was not taken can be taken later in this session. */
static bool passes(uint64_t outcome) {
	return outcome == REFUSAL_GAP || outcome == REFUSAL_FULL || outcome == REFUSAL_UNKNOWN_OFFICE ||
		outcome == REFUSAL_QUARANTINED;
}

static void set_aside(struct link *link, const struct link_io *io, const struct disclosure *what,
	uint64_t outcome) {
	struct link_disclosing *disclosing = &link->disclosing;

	if (disclosing->n_aside < DISCLOSE_ASIDE_MAX)
		disclosing->aside[disclosing->n_aside++] = (struct disclose_aside){ *what, passes(outcome) };
	if (passes(outcome) && !disclosing->again_ms)
		disclosing->again_ms = io->now_ms + LINK_ASIDE_MS;
	if (outcome == REFUSAL_FULL)
		disclosing->full_ms = io->now_ms + LINK_ASIDE_MS;
	else if (!passes(outcome))
		link->trouble = trouble_of(TROUBLE_REFUSED, outcome < REFUSAL_N ? (uint32_t)outcome : 0, "");
}

int disclose_answered(struct link *link, const struct link_io *io, struct txn *txn, struct message *message) {
	struct link_disclosing *disclosing = &link->disclosing;
	struct disclosed said;

	while (message_disclosed_next(message, &said)) {
		size_t i = 0;
		struct disclosure what;
		const struct link_oplog *oplog = NULL;

		for (; i < disclosing->n_flights; i++) {
			oplog = oplog_of(link, disclosing->flights[i].oplog);
			if (oplog && disclosing->flights[i].index == said.index &&
				oplog_id_eq(&oplog->held->id, &said.oplog))
				break;
		}
		if (i == disclosing->n_flights)
			continue; /* of a session that is over, or of nothing */
		what = disclosing->flights[i];
		disclosing->flights[i] = disclosing->flights[--disclosing->n_flights];
		if (said.outcome == 0) {
			int r = disclosures_delete(txn, &link->neighbour, &what);

			if (r < 0)
				return r;
			link->last_progress_ms = io->wall_ms;
		} else {
			set_aside(link, io, &what, said.outcome);
		}
	}
	return 0;
}

int disclose_answer(struct link_disclosing *disclosing, const struct disclose *disclose, uint64_t outcome) {
	if (disclosing->n_answers == disclosing->cap_answers) {
		size_t cap = disclosing->cap_answers ? 2 * disclosing->cap_answers : 16;
		struct disclosed *answers = realloc(disclosing->answers, cap * sizeof(*answers));

		if (!answers)
			return -ENOMEM;
		disclosing->answers = answers;
		disclosing->cap_answers = cap;
	}
	disclosing->answers[disclosing->n_answers++] =
		(struct disclosed){ disclose->oplog, disclose->index, outcome };
	return 0;
}

int disclose_say(struct link *link, const struct link_io *io, uint8_t *frame) {
	struct link_disclosing *disclosing = &link->disclosing;
	struct writer w;
	int r = 0;

	for (size_t at = 0; r == 0 && at < disclosing->n_answers; at += MESSAGE_HELD_MAX) {
		size_t n = disclosing->n_answers - at;

		writer_init(&w, frame, MESSAGE_MAX);
		message_write_disclosed(&w, disclosing->answers + at, n < MESSAGE_HELD_MAX ? n : MESSAGE_HELD_MAX);
		r = link_say(link, io, &w);
	}
	disclosing->n_answers = 0;
	return r;
}

bool disclose_busy(const struct link_disclosing *disclosing, uint64_t now_ms) {
	return may_send(disclosing, now_ms);
}

uint64_t disclose_wakeup_ms(const struct link_disclosing *disclosing) {
	uint64_t at = UINT64_MAX;

	if (disclosing->again_ms)
		at = disclosing->again_ms;
	if (disclosing->n_flights > 0 && disclosing->sent_ms + LINK_SILENCE_MAX_MS < at)
		at = disclosing->sent_ms + LINK_SILENCE_MAX_MS;
	return at;
}
