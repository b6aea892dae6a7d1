/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/register.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/sign.h"

enum {
	DEPTH_MAX = 64, /* a register that says otherwise has a ring in it */
};

static void keys_free(struct register_entry *entry) {
	for (size_t i = 0; i < N_ELEMENTS(entry->keys); i++)
		entry->keys[i] = verifier_free(entry->keys[i]);
}

static struct register_entry *entry_free(struct register_entry *entry) {
	if (!entry)
		return NULL;
	keys_free(entry);
	free(entry);
	return NULL;
}

/* The place of @id, or where it belongs. */
static size_t place(const struct office_register *reg, const struct id *id) {
	size_t low = 0, high = reg->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(reg->entries[mid]->row.office.id.b, id->b, sizeof(id->b)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct register_entry *register_find(const struct office_register *reg, const struct id *id) {
	size_t at = place(reg, id);

	return at < reg->n && id_eq(&reg->entries[at]->row.office.id, id) ? reg->entries[at] : NULL;
}

static int make_room(struct office_register *reg) {
	size_t cap = reg->cap ? 2 * reg->cap : 32;
	struct register_entry **entries;

	if (reg->n < reg->cap)
		return 0;
	entries = realloc(reg->entries, cap * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	reg->entries = entries;
	entries = realloc(reg->numbered, cap * sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	reg->numbered = entries;
	reg->cap = cap;
	return 0;
}

static int entry_set(struct office_register *reg, const struct office_row *row) {
	struct register_entry *entry = register_find(reg, &row->office.id);
	size_t at;
	int r;

	if (!entry) {
		if (row->number != reg->n + 1)
			return -EIO; /* the store numbers offices one by one */
		r = make_room(reg);
		if (r)
			return r;
		entry = calloc(1, sizeof(*entry));
		if (!entry)
			return -ENOMEM;
		at = place(reg, &row->office.id);
		memmove(reg->entries + at + 1, reg->entries + at, (reg->n - at) * sizeof(*reg->entries));
		reg->entries[at] = entry;
		reg->numbered[reg->n++] = entry;
	}
	entry->row = *row;
	office_row_fix(&entry->row);
	keys_free(entry);
	r = verifier_new(row->office.sign_key, &entry->keys[row->former.n]);
	for (size_t i = 0; r >= 0 && i < row->former.n; i++)
		r = verifier_new(row->former.terms[i].sign_key, &entry->keys[i]);
	return r < 0 ? r : 0;
}

static int load_row(void *userdata, const struct office_row *row) {
	return entry_set(userdata, row);
}

int register_init(struct office_register *reg, struct txn *txn) {
	struct office_row own;
	uint32_t epoch;
	int r;

	memset(reg, 0, sizeof(*reg));
	r = offices_own(txn, &own, &epoch);
	if (!r)
		r = offices_each(txn, load_row, reg);
	if (!r)
		reg->own = register_find(reg, &own.office.id);
	return r ? r : reg->own ? 0 : -EIO;
}

void register_done(struct office_register *reg) {
	for (size_t i = 0; i < reg->n; i++)
		entry_free(reg->entries[i]);
	free(reg->entries);
	free(reg->numbered);
	memset(reg, 0, sizeof(*reg));
}

int register_refresh(struct office_register *reg, struct txn *txn, const struct id *id) {
	struct office_row row;
	int r;

	r = offices_get(txn, id, &row);
	return r ? r : entry_set(reg, &row);
}

struct verifier *register_key(const struct register_entry *entry, const struct oplog_id *oplog, uint64_t size,
	enum refusal *ret_why) {
	int term = office_term_of(&entry->row.office, &entry->row.former, oplog, size);

	*ret_why = term == OFFICE_ENDED ? REFUSAL_ENDED : REFUSAL_SIGNATURE;
	return term == OFFICE_ENDED ? NULL : entry->keys[term];
}

uint64_t register_limit(const struct office_register *reg, const struct oplog_id *oplog) {
	const struct register_entry *entry = register_find(reg, &oplog->office);

	return entry ? office_limit(&entry->row.office, &entry->row.former, oplog) : UINT64_MAX;
}

bool register_would_prove(const struct office_register *reg, const struct oplog *held, uint64_t size) {
	const struct register_entry *entry = register_find(reg, &held->id.office);
	uint64_t limit = register_limit(reg, &held->id);
	uint64_t last = held->head.size < limit ? held->head.size : limit;

	return entry && entry->row.forks.found <= held->id.epoch &&
		office_answers_for(&entry->row.office, &entry->row.former, &held->id, size) &&
		office_answers_for(&entry->row.office, &entry->row.former, &held->id, last);
}

bool register_is_quarantined(const struct office_register *reg, const struct oplog_id *oplog) {
	const struct register_entry *entry = register_find(reg, &oplog->office);

	/* once a later life has said where this one ends, what lies before that is in no doubt */
	return entry && office_is_quarantined(&entry->row.forks, oplog->epoch) &&
		!(entry->row.forks.settled >= entry->row.forks.found && register_limit(reg, oplog) != UINT64_MAX);
}

bool register_head_stays(const struct office_register *reg, const struct oplog *oplog) {
	const struct register_entry *entry = register_find(reg, &oplog->id.office);

	return entry && oplog->head.size > 0 &&
		office_next_end(&entry->row.former, &oplog->id, oplog->head.size - 1) == oplog->head.size;
}

struct register_entry *register_by_number(const struct office_register *reg, uint32_t number) {
	return number > 0 && number <= reg->n ? reg->numbered[number - 1] : NULL;
}

int register_depth(const struct office_register *reg, const struct id *office,
	const struct id *above) {
	const struct register_entry *entry = register_find(reg, office);

	for (int depth = 0; entry && depth < DEPTH_MAX; depth++) {
		if (id_eq(&entry->row.office.id, above))
			return depth;
		entry = register_find(reg, &entry->row.office.parent);
	}
	return -1;
}

bool register_is_within(const struct office_register *reg, const struct id *office,
	const struct id *above) {
	return register_depth(reg, office, above) >= 0;
}

struct register_entry *register_parent(const struct office_register *reg) {
	return register_find(reg, &reg->own->row.office.parent);
}

struct register_entry *register_child_by_curve(const struct office_register *reg,
	const uint8_t key[OFFICE_CURVE_LEN]) {
	for (size_t i = 0; i < reg->n; i++) {
		const struct office *office = &reg->entries[i]->row.office;

		if (office->state != OFFICE_REVOKED && office->state != OFFICE_MOVING &&
			id_eq(&office->parent, &reg->own->row.office.id) &&
			memcmp(office->curve_key, key, OFFICE_CURVE_LEN) == 0)
			return reg->entries[i];
	}
	return NULL;
}
