/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/fold_offices.h"

#include <errno.h>

#include "proto/kinds/fork.h"
#include "proto/kinds/office.h"

enum {
	LEVELS_MAX = 64, /* a register that says otherwise has a ring in it */
	BELOW_MAX = 8192, /* the whole country has 3,321 communes in 34 provinces */
	SHARE_LEVELS = 3,
};

/* How many offices there can be below one at @depth: an eighth of what its parent can have, so that it leaves room. */
static uint32_t room_below(unsigned depth) {
	return depth == 0 ? UINT32_MAX : BELOW_MAX >> 3 * ((depth < SHARE_LEVELS ? depth : SHARE_LEVELS) - 1);
}

/* How many levels are above an office, or LEVELS_MAX. 0 or -errno. */
static int depth_of(struct txn *txn, const struct id *office, unsigned *ret_depth) {
	struct office_row row = { .office.parent = *office };
	unsigned levels = 0;

	for (; levels < LEVELS_MAX; levels++) {
		const struct id id = row.office.parent;
		int r = offices_get(txn, &id, &row);

		if (r < 0)
			return r;
		if (r)
			break;
	}
	*ret_depth = levels > 0 ? levels - 1 : LEVELS_MAX;
	return 0;
}

/* Counts one more below @parent and all that are above that (@add), or asks whether there is room. */
static int count_below(struct txn *txn, const struct id *parent, bool add) {
	struct office_row row = { .office.parent = *parent };
	unsigned depth;
	int r = depth_of(txn, parent, &depth);

	if (r == 0 && depth >= LEVELS_MAX)
		return FOLD_SET_ASIDE;
	for (; r == 0 && depth < LEVELS_MAX; depth--) {
		const struct id id = row.office.parent;

		r = offices_get(txn, &id, &row);
		if (r == 0 && row.below >= room_below(depth))
			return FOLD_SET_ASIDE;
		row.below++;
		if (r == 0 && add)
			r = offices_replace(txn, &row);
	}
	return r > 0 ? -EIO : r;
}

int fold_has_room(struct txn *txn, const struct id *parent) {
	int r = count_below(txn, parent, false);

	return r < 0 ? r : r == 0;
}

/* An office says that its next term begins. Its other oplogs may have brought what that term signed before. */
static int begin_term(const struct oplog_id *origin, uint64_t index, const struct office *said,
	struct office_row *row) {
	struct office_former *former = &row->former;
	const struct office_term *last = former->n ? &former->terms[former->n - 1] : NULL;

	if (!office_may_end_term(said, row->office.sign_key, origin, index) || former->n == OFFICE_FORMER_MAX ||
		(last && (office_end_compare(&last->end, &said->end) > 0 || said->end.epoch < last->next_epoch)))
		return FOLD_SET_ASIDE;
	former->terms[former->n] = (struct office_term){ .end = said->end, .next_epoch = origin->epoch };
	memcpy(former->terms[former->n++].sign_key, row->office.sign_key, SIGN_PUBLIC_LEN);
	memcpy(row->office.sign_key, said->sign_key, SIGN_PUBLIC_LEN);
	return 0;
}

/* What counts of what its parent says of an office: not its keys, which are its own to change. */
static void relabel(struct office_row *row, const struct office *said) {
	struct office *office = &row->office;

	memmove(row->level, said->level.data, said->level.len);
	memmove(row->name, said->name.data, said->name.len);
	office->level.len = said->level.len;
	office->name.len = said->name.len;
	office_row_fix(row);
	office->code = said->code;
	office->code_digits = said->code_digits;
	office->valid_from_ms = said->valid_from_ms;
	office->state = said->state;
	office->tenure = said->tenure;
	office->has_end = said->has_end;
	office->end = said->end;
}

static int find_word(struct txn *txn, const struct id *office, const struct id *speaker, uint8_t tenure, bool moves,
	struct office *ret_said) {
	return offices_get_word(txn, &(struct office_word){ *office, *speaker, tenure, moves }, ret_said);
}

/* Who speaks of an office: its parent; of the topmost, itself. */
static const struct id *speaker_of(const struct office *office) {
	return id_is_nil(&office->parent) ? &office->id : &office->parent;
}

/* To another parent: until that one has spoken, the office is nobody's neighbour. */
static int pass_on(struct office_row *row, const struct id *to) {
	if (row->parents.n == OFFICE_PARENTS_MAX)
		return STORE_NOT_FOUND;
	office_add_parent(&row->parents, &row->office.parent, row->office.tenure);
	row->office.parent = *to;
	row->office.tenure = office_next_tenure(&row->parents, to);
	row->office.state = OFFICE_MOVING;
	row->office.has_end = false;
	return 0;
}

/* The present parent has said nothing, and the one before has spoken again: it took the office back. As pass_on(). */
static int take_back(struct txn *txn, struct office_row *row) {
	const struct office_parents *parents = &row->parents;
	struct office said;
	struct id before;
	int r;

	if (parents->n == 0)
		return STORE_NOT_FOUND;
	before = parents->list[parents->n - 1].id;
	r = find_word(txn, &row->office.id, &before, office_next_tenure(parents, &before), false, &said);
	return r ? r : pass_on(row, &before);
}

/*
 * Follows an office from the first parent that is known of it to whomever what each says of its own tenure leads.
 * It is always the whole way, so that it does not matter in which order the words came.
 */
static int follow(struct txn *txn, struct office_row *row) {
	struct office *office = &row->office;
	struct office_parents *parents = &row->parents;
	struct office said;
	int r = 0;

	if (parents->n > parents->told) {
		office->parent = parents->list[parents->told].id;
		office->tenure = parents->list[parents->told].tenure;
		parents->n = parents->told;
	}
	while (r == 0) {
		int spoken = find_word(txn, &office->id, speaker_of(office), office->tenure, false, &said);

		if (spoken < 0)
			return spoken;
		if (spoken == 0)
			relabel(row, &said);
		r = spoken ? take_back(txn, row)
			   : find_word(txn, &office->id, speaker_of(office), office->tenure, true, &said);
		if (r == 0 && !spoken) {
			r = pass_on(row, &said.parent);
			office->valid_from_ms = said.valid_from_ms;
		}
	}
	return r < 0 ? r : 0;
}

static bool hands_over(const struct id *speaker, const struct office *said) {
	return !id_is_nil(&said->parent) && !id_eq(speaker, &said->parent) && !id_eq(speaker, &said->id) &&
		!id_eq(&said->parent, &said->id) && !said->has_end;
}

/*
 * Of what an office says in one tenure the newest counts, but nothing after it revoked the office, or handed it
 * over; and it hands over only what it said it has. 0, FOLD_SET_ASIDE or -errno.
 */
static int keep_word(struct txn *txn, const struct id *speaker, const struct office *said, struct span body) {
	bool moves = hands_over(speaker, said);
	struct office held;
	int r;

	if (!moves && (!id_eq(speaker, speaker_of(said)) || said->has_end != (said->state == OFFICE_REVOKED)))
		return FOLD_SET_ASIDE;
	r = find_word(txn, &said->id, speaker, said->tenure, true, &held);
	if (r != STORE_NOT_FOUND)
		return r < 0 ? r : FOLD_SET_ASIDE;
	r = find_word(txn, &said->id, speaker, said->tenure, false, &held);
	if (r < 0 || (r == 0 ? held.state == OFFICE_REVOKED : moves))
		return r < 0 ? r : FOLD_SET_ASIDE;
	return offices_put_word(txn, &(struct office_word){ said->id, *speaker, said->tenure, moves }, body);
}

static bool is_of(const struct office_row *row, const struct id *parent, uint8_t tenure) {
	return id_eq(&row->office.parent, parent) && row->office.tenure == tenure;
}

/* The parent of an office says who it is, or hands it over: what is no parent's word now may be one later. */
static int hear(struct txn *txn, const struct id *speaker, const struct office *said, struct span body,
	struct office_row *row, bool *ret_moved) {
	const struct id parent = row->office.parent;
	const uint8_t tenure = row->office.tenure;
	int r = keep_word(txn, speaker, said, body);

	if (r == 0)
		r = follow(txn, row);
	*ret_moved = !is_of(row, &parent, tenure);
	return r || *ret_moved || (id_eq(speaker, speaker_of(&row->office)) && said->tenure == tenure) ? r : FOLD_SET_ASIDE;
}

/* The first that is heard of an office; its record does nothing where there is no room for one more. */
static int enrol(struct txn *txn, const struct id *speaker, const struct office *said, struct span body,
	struct office_row *ret_row) {
	int r = count_below(txn, speaker, false);

	if (r == 0)
		r = keep_word(txn, speaker, said, body);
	if (r == 0)
		r = count_below(txn, speaker, true);
	if (r)
		return r;
	*ret_row = (struct office_row){ .office = *said };
	relabel(ret_row, said);
	r = offices_put(txn, &ret_row->office, &ret_row->former, &ret_row->number);
	return r ? r : follow(txn, ret_row);
}

int fold_office(struct fold *fold, struct txn *txn, const struct oplog_id *origin, uint64_t index,
	const struct record *rec) {
	struct office_row row;
	struct office office;
	bool moved = false;
	int r;

	if (office_decode(rec->body, &office))
		return FOLD_SET_ASIDE;
	r = offices_get(txn, &office.id, &row);
	if (r < 0)
		return r;
	if (r == STORE_NOT_FOUND)
		r = enrol(txn, &origin->office, &office, rec->body, &row);
	else if (office.has_end && id_eq(&origin->office, &office.id))
		r = begin_term(origin, index, &office, &row);
	else
		r = hear(txn, &origin->office, &office, rec->body, &row, &moved);
	if (!r)
		r = offices_replace(txn, &row);
	fold->moved |= !r && moved;
	if (!r && fold->sink)
		r = fold->sink->office_changed(fold->sink->userdata, &row.office, row.number);
	return r;
}

/* Whether the path that was told goes on from where an office is known to be. */
static bool goes_on(const struct office_row *row, const struct office_parents *told) {
	for (size_t i = 0; i < told->n; i++)
		if (is_of(row, &told->list[i].id, told->list[i].tenure))
			return true;
	return false;
}

/* What was told leads elsewhere than the records that are here: those that led there may never come. */
static void be_told(struct office_row *row, const struct office *said, const struct office_parents *told) {
	if (goes_on(row, told))
		row->parents = *told;
	else if (!id_is_nil(&row->office.parent))
		office_add_parent(&row->parents, &row->office.parent, row->office.tenure);
	row->parents.told = row->parents.n;
	row->office.parent = said->parent;
	row->office.tenure = said->tenure;
	row->office.state = said->state;
}

static int tell_word(struct txn *txn, const struct office *said) {
	const struct office_word word = { said->id, *speaker_of(said), said->tenure, false };
	uint8_t body[OFFICE_BODY_MAX];
	struct office held;
	struct writer w;
	int r = offices_get_word(txn, &word, &held);

	if (r != STORE_NOT_FOUND || said->state == OFFICE_MOVING)
		return r < 0 ? r : 0; /* a record says more than an answer */
	writer_init(&w, body, sizeof(body));
	office_encode(said, &w);
	return writer_ok(&w) ? offices_put_word(txn, &word, writer_span(&w)) : -EINVAL;
}

bool fold_is_older(struct txn *txn, const struct office_row *row, const struct office *said) {
	bool listed = false;
	struct office held;

	for (size_t i = 0; i < row->parents.n; i++) {
		if (!id_eq(&row->parents.list[i].id, &said->parent) || row->parents.list[i].tenure != said->tenure)
			continue;
		/* one that had said nothing before the office was taken back has now */
		listed = i < row->parents.told ||
			find_word(txn, &said->id, &said->parent, said->tenure, false, &held) != STORE_NOT_FOUND ||
			find_word(txn, &said->id, &said->parent, said->tenure, true, &held) != STORE_NOT_FOUND;
	}
	return listed;
}

int fold_told(struct txn *txn, const struct enrol_office *told) {
	const struct office *said = &told->office;
	struct office_row row;
	int r = offices_get(txn, &said->id, &row);

	if (r == STORE_NOT_FOUND) {
		row = (struct office_row){ .office = *said, .former = told->former, .parents = told->parents };
		relabel(&row, said);
		row.parents.told = row.parents.n;
		r = offices_put(txn, said, &told->former, &row.number);
	}
	if (r == 0)
		r = tell_word(txn, said);
	if (r == 0)
		r = follow(txn, &row);
	if (r == 0 && !is_of(&row, &said->parent, said->tenure)) {
		be_told(&row, said, &told->parents);
		r = follow(txn, &row);
	}
	return r ? r : offices_replace(txn, &row);
}

int fold_check_fork(const struct office_row *row, const struct fork *fork) {
	_cleanup_(verifier_freep) struct verifier *key = NULL;
	int r;

	if (!office_answers_for(&row->office, &row->former, &fork->oplog, fork->small.size) ||
		!office_answers_for(&row->office, &row->former, &fork->oplog, fork->large.size))
		return FORK_NOT_PROVED;
	r = verifier_new(row->office.sign_key, &key);
	if (r)
		return r < 0 ? r : FORK_NOT_PROVED;
	return fork_check(fork, key);
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
