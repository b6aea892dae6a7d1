/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/tallies.h"

#include <errno.h>

enum {
	TALLIES_VALUE_LEN = 20, /* n, epoch, carried */
};

void tallies_key(uint32_t office, const struct tally_row *row, uint8_t ret_key[TALLIES_KEY_LEN]) {
	put_be32(ret_key, office);
	put_be32(ret_key + 4, row->period);
	ret_key[8] = row->category;
	ret_key[9] = row->organisation;
	ret_key[10] = row->measure;
}

static void read_value(const uint8_t *value, struct tally_entry *entry) {
	entry->row.n = get_be64(value);
	entry->epoch = get_be32(value + 8);
	entry->carried = get_be64(value + 12);
}

int tallies_get(struct txn *txn, struct tally_entry *entry) {
	uint8_t key[TALLIES_KEY_LEN];
	struct span value;
	int r;

	tallies_key(entry->office, &entry->row, key);
	r = txn_get(txn, TABLE_TALLIES, (struct span){ key, sizeof(key) }, &value);
	if (r)
		return r;
	if (value.len != TALLIES_VALUE_LEN)
		return -EIO;
	read_value(value.data, entry);
	return 0;
}

int tallies_put(struct txn *txn, const struct tally_entry *entry) {
	uint8_t key[TALLIES_KEY_LEN], value[TALLIES_VALUE_LEN];
	struct tally_entry held = *entry;
	int r;

	r = tallies_get(txn, &held);
	if (r < 0)
		return r;
	if (r == 0 && held.epoch > entry->epoch)
		return 0;
	tallies_key(entry->office, &entry->row, key);
	put_be64(value, entry->row.n);
	put_be32(value + 8, entry->epoch);
	put_be64(value + 12, entry->carried);
	return txn_put(txn, TABLE_TALLIES, (struct span){ key, sizeof(key) },
		(struct span){ value, sizeof(value) });
}

/* @office: 0, or the one whose rows stand where the walk begins. */
static int walk(struct txn *txn, struct span after, uint32_t office, tally_fn fn, void *userdata) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_TALLIES, after, &scan);
	if (r)
		return r;
	while ((r = scan_next(scan, &key, &value)) == 0) {
		struct tally_entry entry;

		if (span_eq(key, after))
			continue;
		if (key.len != TALLIES_KEY_LEN || value.len != TALLIES_VALUE_LEN)
			return -EIO;
		entry.office = get_be32(key.data);
		entry.row.period = get_be32(key.data + 4);
		entry.row.category = key.data[8];
		entry.row.organisation = key.data[9];
		entry.row.measure = key.data[10];
		read_value(value.data, &entry);
		if (office && entry.office != office)
			return 0;
		r = fn(userdata, &entry);
		if (r)
			return r;
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}

int tallies_after(struct txn *txn, struct span after, tally_fn fn, void *userdata) {
	return walk(txn, after, 0, fn, userdata);
}

int tallies_each(struct txn *txn, tally_fn fn, void *userdata) {
	return walk(txn, (struct span){ 0 }, 0, fn, userdata);
}

int tallies_of(struct txn *txn, uint32_t office, tally_fn fn, void *userdata) {
	uint8_t prefix[4];

	put_be32(prefix, office);
	return walk(txn, (struct span){ prefix, sizeof(prefix) }, office, fn, userdata);
}
