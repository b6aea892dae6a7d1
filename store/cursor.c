/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/cursor.h"

#include <errno.h>

#include "store/oplog.h"

enum {
	CURSOR_KEY_LEN = 16 + OPLOG_KEY_LEN,
};

static void cursor_key(const struct id *neighbour, const struct oplog_id *oplog,
	uint8_t ret_key[CURSOR_KEY_LEN]) {
	memcpy(ret_key, neighbour->b, 16);
	oplog_key(oplog, ret_key + 16);
}

int cursor_get(struct txn *txn, const struct id *neighbour, const struct oplog_id *oplog,
	uint64_t *ret_size) {
	uint8_t key[CURSOR_KEY_LEN];
	struct span value;
	int r;

	cursor_key(neighbour, oplog, key);
	r = txn_get(txn, TABLE_CURSORS, (struct span){ key, sizeof(key) }, &value);
	if (r < 0)
		return r;
	if (r == 0 && value.len != 8)
		return -EIO;
	*ret_size = r == STORE_NOT_FOUND ? 0 : get_be64(value.data);
	return 0;
}

int cursor_put(struct txn *txn, const struct id *neighbour, const struct oplog_id *oplog,
	uint64_t size) {
	uint8_t key[CURSOR_KEY_LEN], value[8];

	cursor_key(neighbour, oplog, key);
	put_be64(value, size);
	return txn_put(txn, TABLE_CURSORS, (struct span){ key, sizeof(key) },
		(struct span){ value, sizeof(value) });
}
