/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/disclosures.h"

#include <errno.h>

enum {
	KEY_LEN = 16 + 4 + 8,
};

static void make_key(const struct id *neighbour, const struct disclosure *due, uint8_t ret_key[KEY_LEN]) {
	memcpy(ret_key, neighbour->b, 16);
	put_be32(ret_key + 16, due->oplog);
	put_be64(ret_key + 20, due->index);
}

int disclosures_put(struct txn *txn, const struct id *neighbour, const struct disclosure *due) {
	uint8_t key[KEY_LEN];

	make_key(neighbour, due, key);
	return txn_put(txn, TABLE_DISCLOSURES, (struct span){ key, sizeof(key) }, (struct span){ 0 });
}

int disclosures_delete(struct txn *txn, const struct id *neighbour, const struct disclosure *due) {
	uint8_t key[KEY_LEN];

	make_key(neighbour, due, key);
	return txn_delete(txn, TABLE_DISCLOSURES, (struct span){ key, sizeof(key) });
}

int disclosures_next(struct txn *txn, const struct id *neighbour, const struct disclosure *due,
	struct disclosure *ret_due) {
	uint8_t from[KEY_LEN];
	struct span key, value;
	int r;

	make_key(neighbour, due, from);
	r = scan_ceiling(txn, TABLE_DISCLOSURES, (struct span){ from, sizeof(from) }, &key, &value);
	if (r)
		return r;
	if (key.len != KEY_LEN)
		return -EIO;
	if (memcmp(key.data, neighbour->b, 16) != 0)
		return STORE_NOT_FOUND;
	*ret_due = (struct disclosure){ get_be32(key.data + 16), get_be64(key.data + 20) };
	return 0;
}

int disclosures_has(struct txn *txn, const struct id *neighbour, const struct disclosure *due) {
	uint8_t key[KEY_LEN];
	struct span value;
	int r;

	make_key(neighbour, due, key);
	r = txn_get(txn, TABLE_DISCLOSURES, (struct span){ key, sizeof(key) }, &value);
	return r < 0 ? r : r == 0;
}

int disclosures_clear(struct txn *txn) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, value;
	int r;

	r = scan_open(txn, TABLE_DISCLOSURES, (struct span){ 0 }, &scan);
	while (r == 0) {
		uint8_t copy[KEY_LEN];

		r = scan_next(scan, &key, &value);
		if (r)
			break;
		if (key.len != KEY_LEN)
			return -EIO;
		memcpy(copy, key.data, KEY_LEN);
		r = txn_delete(txn, TABLE_DISCLOSURES, (struct span){ copy, sizeof(copy) });
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}
