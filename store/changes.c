/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/changes.h"

#include <errno.h>

enum {
	TALLY_FIELDS = 8,
	ESCALATION_CHANGE_FIELDS = 12,
};

void change_encode(const struct change *change, struct writer *w) {
	const struct escalation *escalation = &change->escalation;
	const struct tally_row *tally = &change->tally;

	write_array(w, change->type == CHANGE_TALLY ? TALLY_FIELDS : ESCALATION_CHANGE_FIELDS);
	write_uint(w, change->type);
	write_uint(w, change->time_ms);
	write_id(w, &change->office);
	if (change->type == CHANGE_TALLY) {
		write_uint(w, tally->period);
		write_uint(w, tally->category);
		write_uint(w, tally->organisation);
		write_uint(w, tally->measure);
		write_uint(w, tally->n);
		return;
	}
	write_id(w, &escalation->petition);
	write_uint(w, escalation->reference);
	write_uint(w, escalation->cause);
	write_str(w, escalation->rule);
	write_uint(w, escalation->state);
	write_uint(w, escalation->measured);
	write_uint(w, escalation->threshold);
	write_uint(w, escalation->people);
	write_uint(w, escalation->category);
}

int change_decode(struct span row, struct change *ret_change) {
	struct change change = { 0 };
	struct escalation *escalation = &change.escalation;
	struct tally_row *tally = &change.tally;
	struct reader r;
	uint64_t n;

	reader_init(&r, row);
	n = read_array(&r, TALLY_FIELDS, ESCALATION_CHANGE_FIELDS);
	change.type = read_uint(&r, UINT8_MAX);
	change.time_ms = read_uint(&r, UINT64_MAX);
	read_id(&r, &change.office);
	if (change.type == CHANGE_TALLY && n == TALLY_FIELDS) {
		tally->period = read_uint(&r, UINT32_MAX);
		tally->category = read_uint(&r, UINT8_MAX);
		tally->organisation = read_uint(&r, UINT8_MAX);
		tally->measure = read_uint(&r, UINT8_MAX);
		tally->n = read_uint(&r, UINT64_MAX);
	} else if (change.type == CHANGE_ESCALATION && n == ESCALATION_CHANGE_FIELDS) {
		read_id(&r, &escalation->petition);
		escalation->reference = read_uint(&r, UINT64_MAX);
		escalation->cause = read_uint(&r, UINT8_MAX);
		escalation->rule = read_line(&r, 0, ESCALATION_RULE_MAX);
		escalation->state = read_uint(&r, UINT8_MAX);
		escalation->measured = read_uint(&r, UINT64_MAX);
		escalation->threshold = read_uint(&r, UINT64_MAX);
		escalation->people = read_uint(&r, UINT32_MAX);
		escalation->category = read_uint(&r, UINT8_MAX);
	} else {
		reader_fail(&r);
	}
	read_end(&r);
	if (reader_done(&r) != 0)
		return CHANGE_MALFORMED;
	*ret_change = change;
	return 0;
}

int changes_last(struct txn *txn, uint64_t *ret_number) {
	struct span key, value;
	int r;

	r = scan_last(txn, TABLE_CHANGES, &key, &value);
	if (r < 0)
		return r;
	if (r == 0 && key.len != 8)
		return -EIO;
	*ret_number = r == STORE_NOT_FOUND ? 0 : get_be64(key.data);
	return 0;
}

int changes_append(struct txn *txn, struct span row, uint64_t *ret_number) {
	uint64_t number;
	uint8_t key[8];
	int r;

	r = txn_next(txn, TABLE_CHANGES, &number);
	if (r)
		return r;
	put_be64(key, number);
	r = txn_put(txn, TABLE_CHANGES, (struct span){ key, sizeof(key) }, row);
	if (!r)
		*ret_number = number;
	return r;
}

int changes_jump(struct txn *txn) {
	uint64_t last;
	int r = changes_last(txn, &last);

	if (!r)
		txn_skip_to(txn, TABLE_CHANGES, last + CHANGES_JUMP);
	return r;
}

int changes_each(struct txn *txn, uint64_t since, change_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	uint64_t expected;
	uint8_t from[8];
	int r;

	if (since == UINT64_MAX)
		return 0;
	put_be64(from, since + 1);
	r = scan_open(txn, TABLE_CHANGES, (struct span){ from, sizeof(from) }, &scan);
	if (r)
		return r;
	for (expected = since + 1; (r = scan_next(scan, &key, &value)) == 0; expected++) {
		if (key.len != 8)
			return -EIO;
		if (get_be64(key.data) != expected) /* only rows at the beginning ever go, but for a jump */
			return CHANGES_FORGOTTEN;
		r = fn(userdata, expected, value);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

int changes_forget(struct txn *txn, uint64_t before_ms, unsigned max) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	uint64_t last;
	int r;

	r = changes_last(txn, &last);
	if (!r)
		r = scan_open(txn, TABLE_CHANGES, (struct span){ 0 }, &scan);
	for (unsigned i = 0; i < max && !r; i++) {
		struct change change;
		uint8_t oldest[8];

		r = scan_next(scan, &key, &value);
		if (r || (key.len == 8 && get_be64(key.data) == last))
			break;
		if (key.len != 8 || change_decode(value, &change) != 0)
			return -EIO;
		if (change.time_ms >= before_ms)
			break;
		memcpy(oldest, key.data, sizeof(oldest)); /* the borrowed one is in the page */
		r = txn_delete(txn, TABLE_CHANGES, (struct span){ oldest, sizeof(oldest) });
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}
