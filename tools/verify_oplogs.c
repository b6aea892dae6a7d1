/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Each oplog against the heads that its office signed, and the register against the records that enrol offices. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "tools/verify.h"

static const struct column oplog_columns[] = {
	{ .key = "office", .title = N_("Office") },
	{ .key = "office_id" },
	{ .key = "epoch", .title = N_("Epoch"), .right = true },
	{ .key = "lane", .title = N_("Lane") },
	{ .key = "records", .title = N_("Records"), .right = true },
	{ .key = "withheld", .title = N_("Withheld"), .right = true },
	{ .key = "heads", .title = N_("Heads"), .right = true },
	{ .key = "ok" },
	{ .key = "fault", .title = N_("Result") },
};

void verify_oplogs_init(struct checking *checking) {
	listing_init(&checking->oplogs, oplog_columns, N_ELEMENTS(oplog_columns));
}

/* One oplog on its way to a verdict: only the first fault is kept. */
struct oplog_check {
	struct checking *checking;
	const struct oplog *oplog;
	const struct office_row *row; /* of its office; NULL: unknown */
	struct verifier *key;         /* the one that was needed last */
	uint8_t key_bytes[SIGN_PUBLIC_LEN];
	bool beyond;                  /* there are leaves beyond the oplog's end */
	struct frontier frontier;
	uint64_t proved; /* so many are as the last head that fits says */
	uint64_t bytes;
	uint64_t withheld;
	uint64_t heads;
	char fault[FAULT_MAX];
};

__attribute__((format(printf, 2, 3))) static void blame(struct oplog_check *check,
	const char *format, ...) {
	va_list args;

	if (check->fault[0])
		return;
	va_start(args, format);
	vsnprintf(check->fault, sizeof(check->fault), for_reader(check->checking->tool->json, format), args);
	va_end(args);
}

static bool same_office(const struct office *a, const struct office *b) {
	uint8_t left[OFFICE_NAME_MAX + OFFICE_LEVEL_MAX + 256];
	uint8_t right[sizeof(left)];
	struct writer w, v;

	writer_init(&w, left, sizeof(left));
	writer_init(&v, right, sizeof(right));
	office_encode(a, &w);
	office_encode(b, &v);
	return writer_ok(&w) && writer_ok(&v) && span_eq(writer_span(&w), writer_span(&v));
}

/*
 * One that the register does not have was set aside. Whether the key until now signed it, the head says that
 * stands right behind it.
 */
static void note_term(struct oplog_check *check, uint64_t index, const struct office *said) {
	const struct office_row *row = check->row;
	struct head head;

	if (oplog_next_head(check->checking->home->txn, check->oplog, index, &head) ||
		(said->end.epoch == check->oplog->id.epoch && head.size != said->end.sizes[LANE_URGENT]))
		return;
	for (size_t i = 0; i < row->former.n; i++) {
		const struct office_term *term = &row->former.terms[i];
		const uint8_t *next = office_term_key(&row->office, &row->former, i + 1);

		if (office_end_compare(&term->end, &said->end) == 0 && term->next_epoch == check->oplog->id.epoch &&
			office_may_end_term(said, term->sign_key, &check->oplog->id, index) &&
			memcmp(said->sign_key, next, SIGN_PUBLIC_LEN) == 0)
			check->checking->enrolments[row - check->checking->home->offices].terms |= UINT32_C(1) << i;
	}
}

static bool has_first_keys(const struct office_row *row, const struct office *said) {
	return memcmp(office_term_key(&row->office, &row->former, 0), said->sign_key, SIGN_PUBLIC_LEN) == 0 &&
		memcmp(row->office.curve_key, said->curve_key, OFFICE_CURVE_LEN) == 0;
}

/* Whether a record counts in place of the one that did: a later one, but nothing comes after the end. */
static bool counts_over(const struct enrolment *held, bool revokes, uint64_t arrival) {
	if (held->revoked || revokes)
		return revokes && (!held->revoked || arrival < held->arrival);
	return arrival > held->arrival;
}

/* What a former parent says, which may have it again: that it enrolled it, or, the last of them, that it handed it over. */
static void note_former(struct enrolment *enrolment, const struct office_row *row, const struct id *origin,
	const struct office *said) {
	const struct office_parents *parents = &row->parents;

	if (!office_had_parent(parents, origin))
		return;
	if (id_eq(&said->parent, origin) && has_first_keys(row, said))
		enrolment->former = *origin;
	if (!id_eq(&said->parent, origin) && id_eq(&said->parent, &row->office.parent) &&
		id_eq(&parents->list[parents->n - 1].id, origin) && parents->list[parents->n - 1].tenure == said->tenure)
		enrolment->moved = true;
}

/* Only an office's parent, or the topmost itself, may say who it is; its keys are its own to change. */
static void note_enrolment(struct oplog_check *check, uint64_t index, struct span body, uint64_t arrival) {
	const struct checking *checking = check->checking;
	const struct id *origin = &check->oplog->id.office;
	const struct office_row *row;
	struct enrolment *enrolment;
	struct office office;

	if (office_decode(body, &office))
		return;
	row = home_office_by_id(checking->home, &office.id);
	if (!row)
		return;
	if (id_eq(origin, &office.id) && office.has_end) {
		note_term(check, index, &office);
		return;
	}
	enrolment = &checking->enrolments[row - checking->home->offices];
	if (!id_eq(origin, id_is_nil(&office.parent) ? &office.id : &office.parent) ||
		!id_eq(&row->office.parent, &office.parent) || office.tenure != row->office.tenure) {
		note_former(enrolment, row, origin, &office);
		return;
	}
	if (!enrolment->found || arrival < enrolment->first_arrival) {
		enrolment->first_arrival = arrival;
		enrolment->same_keys = has_first_keys(row, &office);
	}
	if (enrolment->found && !counts_over(enrolment, office.state == OFFICE_REVOKED, arrival))
		return;
	enrolment->found = true;
	enrolment->revoked = office.state == OFFICE_REVOKED;
	memcpy(office.sign_key, row->office.sign_key, sizeof(office.sign_key));
	memcpy(office.curve_key, row->office.curve_key, sizeof(office.curve_key));
	enrolment->equal = same_office(&row->office, &office);
	enrolment->arrival = arrival;
}

/* A subtree that is kept must be that of its leaves, of which @hash is the last. 0 or -errno. */
static int check_subtree(struct oplog_check *check, const struct hash *hash) {
	struct hash root, kept;
	int r;

	if (!frontier_completes(&check->frontier, OPLOG_SUBTREE_LEVEL, hash, &root))
		return 0;
	r = oplog_subtree(check->checking->home->txn, check->oplog,
		check->frontier.size >> OPLOG_SUBTREE_LEVEL, &kept);
	if (r == STORE_NOT_FOUND || (r == 0 && memcmp(root.b, kept.b, sizeof(root.b)) != 0))
		blame(check, N_("the subtree that ends with %llu is not that of its records"),
			(unsigned long long)check->frontier.size);
	return r < 0 ? r : 0;
}

/* Whether what an office says in it of offices is believed. Beyond its end it says nothing to who has but the root. */
static bool counts(const struct oplog_check *check, uint64_t index) {
	const struct office_row *row = check->row;

	return row && (!check->checking->root || index < office_limit(&row->office, &row->former, &check->oplog->id));
}

static int check_leaf(struct oplog_check *check, uint64_t index, const struct leaf *leaf, uint64_t arrival) {
	struct record record;
	struct hash hash;
	int r;

	leaf_hash(leaf, &hash);
	check->withheld += leaf->withheld;
	if (!leaf->withheld && counts(check, index) && record_kind(leaf->bytes) == KIND_OFFICE &&
		record_decode(leaf->bytes, &record) == 0)
		note_enrolment(check, index, record.body, arrival);
	check->bytes += leaf_weight(leaf);
	r = check_subtree(check, &hash);
	frontier_append(&check->frontier, &hash);
	return r;
}

/* Whether a key of the office signed a head. 0 (no), 1 or -errno. */
static int is_signed_with(struct oplog_check *check, const uint8_t key[SIGN_PUBLIC_LEN], const struct head *head) {
	int r;

	if (check->key && memcmp(check->key_bytes, key, SIGN_PUBLIC_LEN) != 0)
		verifier_free(TAKE(check->key));
	r = check->key ? 0 : verifier_new(key, &check->key);
	memcpy(check->key_bytes, key, SIGN_PUBLIC_LEN);
	if (r == 0)
		r = head_verify(check->key, &check->oplog->id, head);
	return r < 0 ? r : r == 0;
}

/*
 * By the key of its term. What is beyond the end of the office, or of a life, was accepted with another of its keys;
 * so may be what it has said otherwise of since, which only a register that is trusted may have. 0 (no), 1 or -errno.
 */
static int is_signed(struct oplog_check *check, const struct head *head) {
	const struct office_row *row = check->row;
	const uint8_t *key = office_key_of(&row->office, &row->former, &check->oplog->id, head->size);
	int r = key ? is_signed_with(check, key, head) : 0;

	check->beyond |= !key;
	if (key && check->checking->root)
		return r;
	if (r == 0)
		r = is_signed_with(check, row->office.sign_key, head);
	for (size_t i = row->former.n; r == 0 && i > 0; i--)
		r = is_signed_with(check, row->former.terms[i - 1].sign_key, head);
	return r;
}

static int check_head(struct oplog_check *check, const struct head *head) {
	struct hash root;
	int r;

	frontier_root(&check->frontier, &root);
	check->heads++;
	if (memcmp(root.b, head->root.b, sizeof(root.b)) != 0) {
		blame(check, N_("one of the numbers %llu to %llu is not what its office signed"),
			(unsigned long long)check->proved, (unsigned long long)head->size - 1);
		return 0;
	}
	check->proved = head->size;
	r = check->row ? is_signed(check, head) : 1;
	if (r == 0)
		blame(check, N_("the head at %llu is not signed by its office"),
			(unsigned long long)head->size);
	return r < 0 ? r : 0;
}

/* The next kept head; size 0: there is none. */
static int next_head(struct oplog_check *check, uint64_t from, struct head *ret_head) {
	int r = oplog_next_head(check->checking->home->txn, check->oplog, from, ret_head);

	if (r == STORE_NOT_FOUND)
		ret_head->size = 0;
	return r < 0 ? r : 0;
}

static int walk_leaves(struct oplog_check *check) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	struct head head = { 0 };
	struct leaf leaf;
	uint64_t arrival;
	uint64_t index;
	int r;

	r = next_head(check, 0, &head);
	if (r == 0)
		r = oplog_walk_open(check->checking->home->txn, check->oplog, 0, &walk);
	while (r == 0) {
		r = oplog_walk_next(walk, &index, &leaf, &arrival);
		if (r)
			break;
		if (index != check->frontier.size) {
			blame(check, N_("number %llu is missing"), (unsigned long long)check->frontier.size);
			return 0;
		}
		r = check_leaf(check, index, &leaf, arrival);
		if (r == 0 && check->frontier.size == head.size) {
			r = check_head(check, &head);
			if (r == 0)
				r = next_head(check, head.size, &head);
		}
	}
	if (r == STORE_NOT_FOUND && head.size > 0)
		blame(check, N_("number %llu is missing: a head covers %llu"),
			(unsigned long long)check->frontier.size, (unsigned long long)head.size);
	return r == STORE_NOT_FOUND ? 0 : r;
}

static void check_row(struct oplog_check *check) {
	uint8_t made[FRONTIER_ENCODED_MAX];
	uint8_t kept[FRONTIER_ENCODED_MAX];
	const struct oplog *oplog = check->oplog;
	size_t made_len = frontier_encode(&check->frontier, made);
	size_t kept_len = frontier_encode(&oplog->frontier, kept);

	if (check->frontier.size != oplog->frontier.size)
		blame(check, N_("number %llu is missing: its row says %llu records"),
			(unsigned long long)check->frontier.size,
			(unsigned long long)oplog->frontier.size);
	if (!span_eq((struct span){ made, made_len }, (struct span){ kept, kept_len }))
		blame(check, N_("its kept tree differs from its records (first %llu)"),
			(unsigned long long)oplog->frontier.size);
	if (check->bytes != oplog->bytes)
		blame(check, N_("its row says %llu bytes, its records have %llu"),
			(unsigned long long)oplog->bytes, (unsigned long long)check->bytes);
	if (oplog->head.size != oplog->frontier.size)
		blame(check, N_("number %llu and those after it are not covered by a signed head"),
			(unsigned long long)oplog->head.size);
}

static void list_oplog(const struct oplog_check *check) {
	struct listing *listing = &check->checking->oplogs;
	const struct oplog *oplog = check->oplog;
	const char *fine = check->row && office_is_quarantined(&check->row->forks, oplog->id.epoch) ?
		_("in order; its office forked: nothing more is accepted") :
		check->beyond ? _("in order; the last of it is kept, and does not count: another life of its office had begun") :
		_("in order");

	cell_office_id(listing, check->checking->home, &oplog->id.office);
	cell_id(listing, &oplog->id.office);
	cell_count(listing, oplog->id.epoch);
	cell_word(listing, &words_lane, oplog->id.lane);
	cell_count(listing, check->frontier.size);
	cell_count(listing, check->withheld);
	cell_count(listing, check->heads);
	cell_bool(listing, check->fault[0] == '\0');
	if (check->fault[0])
		cell_str(listing, check->fault);
	else
		cell(listing, json_null(), "%s", fine);
}

int verify_oplog(void *userdata, const struct oplog *oplog) {
	struct checking *checking = userdata;
	struct oplog_check check = { .checking = checking, .oplog = oplog };
	int r;

	frontier_init(&check.frontier);
	check.row = home_office_by_id(checking->home, &oplog->id.office);
	if (!check.row)
		blame(&check, N_("its office is not in the register"));
	r = walk_leaves(&check);
	if (r == -ENOMEM) {
		verifier_free(check.key);
		return r;
	}
	if (r < 0)
		blame(&check, N_("number %llu cannot be read: %s"),
			(unsigned long long)check.frontier.size, error_text(checking->tool->json, -r));
	check_row(&check);
	checking->records += check.frontier.size;
	checking->n_bad += check.fault[0] != '\0';
	list_oplog(&check);
	verifier_free(check.key);
	return 0;
}

/*
 * This office and those above it were pinned when it joined, perhaps with a newer answer than their records. With
 * the fingerprint of the topmost, that alone is pinned, and all else follows from records.
 */
static bool is_pinned(const struct checking *checking, const struct office_row *row) {
	if (checking->root)
		return id_is_nil(&row->office.parent);
	return home_is_within(checking->home, &checking->home->own->office.id, &row->office.id);
}

/* Whose word it is that an office is one: its parent's; a former parent's until that one has said so. */
static const struct id *vouches_for(const struct checking *checking, const struct office_row *row) {
	const struct enrolment *enrolment = &checking->enrolments[row - checking->home->offices];

	return !enrolment->found && !id_is_nil(&enrolment->former) ? &enrolment->former : &row->office.parent;
}

/* Whether the topmost office vouches for those who vouch for it. */
static bool goes_back_to_topmost(const struct checking *checking, const struct office_row *row) {
	const struct home *home = checking->home;

	for (size_t i = 0; row && i <= home->n_offices; i++) {
		if (id_is_nil(&row->office.parent))
			return true;
		row = home_office_by_id(home, vouches_for(checking, row));
	}
	return false;
}

void verify_register(struct checking *checking) {
	const struct home *home = checking->home;

	for (size_t i = 0; i < home->n_offices; i++) {
		const struct office_row *row = &home->offices[i];
		const struct enrolment *enrolment = &checking->enrolments[i];
		bool pinned = is_pinned(checking, row);
		bool found = enrolment->found || (enrolment->moved && !id_is_nil(&enrolment->former));
		char label[OFFICE_LABEL_MAX];

		office_label(row, label);
		if (checking->root && !goes_back_to_topmost(checking, row))
			verify_fault(checking, label, N_("stands in the register, and not below the topmost office"));
		if (!found && !pinned)
			verify_fault(checking, label, N_("stands in the register, and no record enrols it"));
		if (enrolment->terms != (UINT64_C(1) << row->former.n) - 1 && (!pinned || checking->root))
			verify_fault(checking, label, N_("the register says that its key changed, and no record of it does"));
		if (enrolment->found && !enrolment->equal)
			verify_fault(checking, label,
				N_("the register does not say what the newest record of its parent says"));
		if (enrolment->found && !enrolment->same_keys && !pinned)
			verify_fault(checking, label, N_("the register has other keys than the record that enrolled it"));
	}
}
