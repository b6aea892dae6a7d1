/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/requests.h"

#include <errno.h>

#include "proto/kinds/step.h"
#include "proto/reference.h"
#include "store/offices.h"
#include "store/oplog.h"

enum {
	REQUEST_KEY_LEN = 16 + 4 + 16,
	GRANT_PREFIX_LEN = 16 + 4,
	GRANT_KEY_LEN = GRANT_PREFIX_LEN + 16,
	LEVELS_MAX = 64, /* a register that says otherwise has a ring in it */
};

static void make_key(const struct id *first, uint32_t office, const struct id *record,
	uint8_t ret_key[REQUEST_KEY_LEN]) {
	memcpy(ret_key, first->b, 16);
	put_be32(ret_key + 16, office);
	memcpy(ret_key + 20, record->b, 16);
}

static int put(struct txn *txn, enum table table, const struct id *first, uint32_t office,
	const struct id *record, uint64_t arrival) {
	uint8_t key[REQUEST_KEY_LEN], value[8];

	make_key(first, office, record, key);
	put_be64(value, arrival);
	return txn_put(txn, table, (struct span){ key, sizeof(key) }, (struct span){ value, sizeof(value) });
}

int requests_put(struct txn *txn, const struct request_row *row) {
	return put(txn, TABLE_REQUESTS, &row->request, row->office, &row->record, row->arrival);
}

int requests_each(struct txn *txn, const struct id *request, request_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	const struct span from = request ? (struct span){ request->b, sizeof(request->b) } : (struct span){ 0 };
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_REQUESTS, from, &scan);
	while (r == 0 && (r = scan_next(scan, &key, &value)) == 0) {
		struct request_row row;

		if (key.len != REQUEST_KEY_LEN || value.len != 8)
			return -EIO;
		memcpy(row.request.b, key.data, 16);
		row.office = get_be32(key.data + 16);
		memcpy(row.record.b, key.data + 20, 16);
		row.arrival = get_be64(value.data);
		if (request && !id_eq(&row.request, request))
			return 0;
		r = fn(userdata, &row);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

int grants_put(struct txn *txn, const struct id *petition, uint32_t office, const struct id *record, uint64_t arrival) {
	return put(txn, TABLE_GRANTS, petition, office, record, arrival);
}

static int read_record(struct txn *txn, uint64_t arrival, struct record *ret_rec) {
	struct leaf leaf;
	int r = oplog_leaf_at(txn, arrival, &leaf);

	if (r)
		return r < 0 ? r : -EIO;
	return leaf.withheld || record_decode(leaf.bytes, ret_rec) ? -EIO : 0; /* its row was made from it */
}

/* Whether the answer at @arrival is to a request of @asker. 0 (no), 1 or -errno. */
static int answers(struct txn *txn, uint64_t arrival, uint32_t asker) {
	uint8_t key[REQUEST_KEY_LEN];
	struct reply reply;
	struct record rec;
	struct span value;
	int r = read_record(txn, arrival, &rec);

	if (r)
		return r;
	if (reply_decode(rec.body, &reply))
		return -EIO;
	make_key(&reply.request, asker, &reply.request, key);
	r = txn_get(txn, TABLE_REQUESTS, (struct span){ key, sizeof(key) }, &value);
	return r < 0 ? r : r == 0;
}

int grants_to(struct txn *txn, const struct id *petition, uint32_t office, uint32_t asker) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	uint8_t from[REQUEST_KEY_LEN];
	struct span key, value;
	int r;

	make_key(petition, office, &(struct id){ { 0 } }, from);
	r = scan_open(txn, TABLE_GRANTS, (struct span){ from, GRANT_PREFIX_LEN }, &scan);
	while (r == 0 && (r = scan_next(scan, &key, &value)) == 0) {
		if (key.len != GRANT_KEY_LEN || value.len != 8)
			return -EIO;
		if (memcmp(key.data, from, GRANT_PREFIX_LEN) != 0)
			return 0;
		r = answers(txn, get_be64(value.data), asker);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

int grants_each(struct txn *txn, grant_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_GRANTS, (struct span){ 0 }, &scan);
	while (r == 0 && (r = scan_next(scan, &key, &value)) == 0) {
		struct id petition;

		if (key.len != GRANT_KEY_LEN)
			return -EIO;
		memcpy(petition.b, key.data, 16);
		r = fn(userdata, &petition, get_be32(key.data + 16));
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

/* Reading one */

struct looking {
	struct txn *txn;
	struct request_state *state;
	uint32_t asked; /* the number of the office that was asked; 0: find the request itself */
	bool found;
};

static int look_at_row(void *userdata, const struct request_row *row) {
	struct looking *looking = userdata;
	struct request_state *state = looking->state;
	struct record rec;
	int r;

	if (row->office != (looking->asked ? looking->asked : state->asker))
		return 0;
	r = read_record(looking->txn, row->arrival, &rec);
	if (r)
		return r;
	if (!looking->asked && rec.kind == KIND_REQUEST && id_eq(&row->record, &row->request)) {
		state->time_ms = rec.time_ms;
		looking->found = inquiry_decode(rec.body, &state->inquiry) == 0;
		return 1;
	}
	if (!looking->asked || rec.kind != KIND_REPLY || reply_decode(rec.body, &state->reply))
		return 0;
	state->outcome = state->reply.outcome;
	state->answered_ms = rec.time_ms;
	return 1;
}

int requests_look(struct txn *txn, const struct id *request, uint32_t office, struct request_state *ret_state) {
	struct request_state state = { .id = *request, .asker = office };
	struct looking looking = { .txn = txn, .state = &state };
	struct office_row asked;
	int r;

	r = requests_each(txn, request, look_at_row, &looking);
	if (r >= 0 && !looking.found)
		return STORE_NOT_FOUND;
	if (r >= 0)
		r = offices_get(txn, &state.inquiry.asked, &asked);
	if (r == 0) {
		looking.asked = asked.number;
		r = requests_each(txn, request, look_at_row, &looking);
	}
	if (r < 0)
		return r;
	*ret_state = state;
	return 0;
}

/* Finding what is meant */

/* 0 (no), 1 or -errno. */
static int has_reference(struct txn *txn, const struct case_row *row, uint64_t reference) {
	struct office_row origin;
	int r;

	if (row->reference != reference)
		return 0;
	r = offices_by_number(txn, row->origin, &origin);
	if (r)
		return r < 0 ? r : -EIO;
	return reference_is_of(reference, origin.office.code, origin.office.code_digits);
}

struct reference_search {
	struct txn *txn;
	uint64_t reference;
	struct id found;
	size_t n;
};

static int look_at_reference(void *userdata, const struct id *id, const struct case_row *row) {
	struct reference_search *search = userdata;
	int r = has_reference(search->txn, row, search->reference);

	if (r <= 0)
		return r;
	search->found = *id;
	return ++search->n > 1;
}

static int case_by_reference(struct txn *txn, uint64_t reference, struct id *ret_id) {
	struct reference_search search = { .txn = txn, .reference = reference };
	int r = cases_each(txn, look_at_reference, &search);

	if (r < 0)
		return r;
	*ret_id = search.found;
	return search.n == 1 ? 0 : search.n ? REQUESTS_SEVERAL : STORE_NOT_FOUND;
}

/* The case that the record at the place says it is of. */
static int case_at(struct txn *txn, const struct inquiry *inquiry, struct id *ret_id) {
	struct oplog oplog;
	struct record rec;
	struct step step;
	struct leaf leaf;
	uint64_t arrival;
	int r = oplog_load(txn, &inquiry->oplog, &oplog);

	if (r == 0 && inquiry->index < oplog.frontier.size)
		r = oplog_leaf(txn, &oplog, inquiry->index, &leaf, &arrival);
	else if (r == 0)
		r = STORE_NOT_FOUND;
	if (r || leaf.withheld || record_decode(leaf.bytes, &rec))
		return r < 0 ? r : STORE_NOT_FOUND;
	*ret_id = rec.id;
	if (rec.kind == KIND_STEP && step_decode(rec.body, &step) == 0)
		*ret_id = step.petition;
	return 0;
}

/* Whether @office is the origin of the case, or above it. 0 (no), 1 or -errno. */
static int can_hold(struct txn *txn, const struct id *office, const struct case_row *row) {
	struct office_row at;
	int r = offices_by_number(txn, row->origin, &at);

	for (unsigned level = 0; r == 0 && level < LEVELS_MAX; level++) {
		const struct id parent = at.office.parent;

		if (id_eq(&at.office.id, office))
			return 1;
		r = offices_get(txn, &parent, &at);
	}
	return r < 0 ? r : 0;
}

int requests_find_case(struct txn *txn, const struct inquiry *inquiry, struct id *ret_id, struct case_row *ret_row) {
	const bool placed = !id_is_nil(&inquiry->oplog.office);
	struct id id = inquiry->petition, at = { { 0 } };
	struct case_row row;
	int r = placed ? case_at(txn, inquiry, &at) : 0;

	if (!r && id_is_nil(&id) && placed)
		id = at;
	else if (!r && id_is_nil(&id))
		r = case_by_reference(txn, inquiry->reference, &id);
	if (!r)
		r = cases_get(txn, &id, &row);
	if (r)
		return r;
	r = 1;
	if (placed)
		r = id_eq(&at, &id) ? can_hold(txn, &inquiry->oplog.office, &row) : 0;
	if (r > 0 && inquiry->reference)
		r = has_reference(txn, &row, inquiry->reference);
	if (r <= 0)
		return r < 0 ? r : STORE_NOT_FOUND;
	*ret_id = id;
	*ret_row = row;
	return 0;
}
