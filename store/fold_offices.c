/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/fold_offices.h"

#include <errno.h>

#include "proto/kinds/fork.h"
#include "proto/kinds/office.h"

enum {
	LEVELS_MAX = 64, /* a register that says otherwise has a ring in it */
};

/* An office says that its next term begins. Its other oplogs may have brought what that term signed before. */
static int begin_term(const struct oplog_id *origin, const struct office *said, struct office_row *row) {
	struct office_former *former = &row->former;
	const struct office_term *last = former->n ? &former->terms[former->n - 1] : NULL;

	if (origin->lane != LANE_URGENT || said->end.epoch > origin->epoch || former->n == OFFICE_FORMER_MAX ||
		(last && (office_end_compare(&last->end, &said->end) > 0 || said->end.epoch < last->next_epoch)))
		return FOLD_SET_ASIDE;
	former->terms[former->n] = (struct office_term){ .end = said->end, .next_epoch = origin->epoch };
	memcpy(former->terms[former->n++].sign_key, row->office.sign_key, SIGN_PUBLIC_LEN);
	memcpy(row->office.sign_key, said->sign_key, SIGN_PUBLIC_LEN);
	return 0;
}

/*
 * The parent of an office (for the topmost, itself) says who it is. It is not taken over by another parent's
 * word, does not come back once it was revoked, and its keys are not its parent's to change.
 */
static int relabel(const struct id *origin, const struct office *said, bool known, struct office_row *row) {
	if (!id_eq(origin, id_is_nil(&said->parent) ? &said->id : &said->parent) ||
		said->has_end != (said->state == OFFICE_REVOKED))
		return FOLD_SET_ASIDE;
	if (known && (!id_eq(&row->office.parent, &said->parent) || row->office.state == OFFICE_REVOKED))
		return FOLD_SET_ASIDE;
	if (known) {
		struct office office = *said;

		memcpy(office.sign_key, row->office.sign_key, sizeof(office.sign_key));
		memcpy(office.curve_key, row->office.curve_key, sizeof(office.curve_key));
		row->office = office;
	} else {
		row->office = *said;
		row->former.n = 0;
	}
	return 0;
}

/* Whether an office would come to be below itself. 0 (no), 1 or -errno. */
static int makes_ring(struct txn *txn, const struct id *office, const struct id *parent) {
	struct office_row above = { .office.parent = *parent };

	for (unsigned level = 0; level < LEVELS_MAX; level++) {
		struct id id = above.office.parent;
		int r;

		if (id_eq(&id, office))
			return 1;
		r = offices_get(txn, &id, &above);
		if (r)
			return r < 0 ? r : 0;
	}
	return 1;
}

enum {
	CLAIM_LOOK_MAX = 4096, /* leaves: what a parent says of a moved office is among the newest, or is said again */
};

/* The newest record of a parent that says who an office is, or hands it on. */
struct claim {
	struct txn *records;
	const struct id *office;
	struct oplog oplog; /* the parent's newest urgent one; number 0: none */
	bool found;
	struct office said; /* borrowed from the store */
};

static int find_urgent(void *userdata, const struct oplog *oplog) {
	struct claim *claim = userdata;

	if (oplog->id.lane == LANE_URGENT)
		claim->oplog = *oplog;
	return 0;
}

static int find_claim(struct claim *claim, const struct id *parent) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	uint64_t index, arrival, size;
	struct leaf leaf;
	int r;

	claim->oplog.number = 0;
	claim->found = false;
	r = oplog_each_of(claim->records, parent, find_urgent, claim);
	if (r || claim->oplog.number == 0)
		return r;
	size = claim->oplog.frontier.size;
	r = oplog_walk_open(claim->records, &claim->oplog, size > CLAIM_LOOK_MAX ? size - CLAIM_LOOK_MAX : 0, &walk);
	while (r == 0 && (r = oplog_walk_next(walk, &index, &leaf, &arrival)) == 0) {
		struct office office;
		struct record rec;

		if (leaf.withheld || record_kind(leaf.bytes) != KIND_OFFICE || record_decode(leaf.bytes, &rec) ||
			office_decode(rec.body, &office) || !id_eq(&office.id, claim->office) || office.has_end)
			continue;
		claim->said = office;
		claim->found = true;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/*
 * An office's parent hands it over to another. What that one has said of it counts from then on; until it has,
 * the office is nobody's neighbour.
 */
static int move(struct fold *fold, struct txn *txn, const struct office *said, struct office_row *row) {
	struct claim claim = { .records = fold->records ? fold->records : txn, .office = &said->id, .said = *said };
	bool moved = false;
	int r;

	for (unsigned turn = 0; turn < OFFICE_PARENTS_MAX; turn++) {
		const struct id to = claim.said.parent;

		r = makes_ring(txn, &said->id, &to);
		if (r < 0 || (r > 0 && !moved) || (row->parents.n == OFFICE_PARENTS_MAX && !moved))
			return r < 0 ? r : FOLD_SET_ASIDE;
		if (r > 0 || row->parents.n == OFFICE_PARENTS_MAX)
			return 0;
		office_add_parent(&row->parents, &row->office.parent);
		row->office.parent = to;
		row->office.valid_from_ms = claim.said.valid_from_ms;
		row->office.state = OFFICE_MOVING;
		moved = true;
		r = find_claim(&claim, &to);
		if (r || !claim.found)
			return r;
		if (id_eq(&claim.said.parent, &to))
			return relabel(&to, &claim.said, true, row) < 0 ? -EIO : 0;
	}
	return 0;
}

static bool is_move(const struct id *origin, const struct office *said, const struct office_row *row) {
	return id_eq(origin, &row->office.parent) && !id_is_nil(&said->parent) && !id_eq(origin, &said->parent) &&
		row->office.state != OFFICE_REVOKED && !said->has_end;
}

int fold_office(struct fold *fold, struct txn *txn, const struct oplog_id *origin,
	const struct record *rec) {
	struct office_row row;
	struct office office;
	bool known;
	int r;

	if (office_decode(rec->body, &office))
		return FOLD_SET_ASIDE;
	r = offices_get(txn, &office.id, &row);
	if (r < 0)
		return r;
	known = r == 0;
	if (known && office.has_end && id_eq(&origin->office, &office.id))
		r = begin_term(origin, &office, &row);
	else if (known && is_move(&origin->office, &office, &row))
		r = move(fold, txn, &office, &row);
	else
		r = relabel(&origin->office, &office, known, &row);
	if (!r && known)
		r = offices_replace(txn, &row);
	else if (!r)
		r = offices_put(txn, &row.office, &row.former, &row.number);
	if (!r && fold->sink)
		r = fold->sink->office_changed(fold->sink->userdata, &row.office, row.number);
	return r;
}

/* The key of @row's office that verifies an oplog's head of @size leaves; NULL: none. 0 or -errno. */
static int key_for(const struct office_row *row, const struct oplog_id *oplog, uint64_t size,
	struct verifier **ret_key) {
	int term = office_term_of(&row->office, &row->former, oplog, size);
	int r = term == OFFICE_ENDED ? 0
				     : verifier_new(office_term_key(&row->office, &row->former, (size_t)term), ret_key);

	return r < 0 ? r : 0;
}

int fold_check_fork(const struct office_row *row, const struct fork *fork) {
	_cleanup_(verifier_freep) struct verifier *small = NULL, *large = NULL;
	int r = key_for(row, &fork->oplog, fork->small.size, &small);

	if (!r)
		r = key_for(row, &fork->oplog, fork->large.size, &large);
	return r ? r : fork_check(fork, (struct verifier *[]){ small, large });
}

/* Whoever finds a fork proves it; only the office's parent settles it. */
int fold_fork(struct fold *fold, struct txn *txn, const struct id *origin, const struct record *rec) {
	struct office_row row;
	struct fork fork;
	uint32_t mark;
	int r;

	if (fork_decode(rec->body, &fork))
		return FOLD_SET_ASIDE;
	mark = fork.oplog.epoch + 1;
	r = offices_get(txn, &fork.oplog.office, &row);
	if (r)
		return r < 0 ? r : FOLD_SET_ASIDE;
	if (fork.state == FORK_FOUND) {
		r = fold_check_fork(&row, &fork);
		row.forks.found = row.forks.found > mark ? row.forks.found : mark;
	} else if (fork.state == FORK_SETTLED && id_eq(origin, &row.office.parent)) {
		row.forks.settled = row.forks.settled > mark ? row.forks.settled : mark;
	} else {
		r = FOLD_SET_ASIDE;
	}
	if (r)
		return r < 0 ? r : FOLD_SET_ASIDE;
	r = offices_replace(txn, &row);
	if (!r && fold->sink)
		r = fold->sink->office_changed(fold->sink->userdata, &row.office, row.number);
	return r;
}
