/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/private.h"

#include <errno.h>

enum {
	ROW_KEPT = 0,   /* the first byte of a row: what is sealed follows the key's number */
	ROW_ERASED = 1, /* nothing follows it */
	ROW_HEAD = 1 + 4,
	PLAIN_MAX = PRIVATE_SALT_LEN + PRIVATE_MAX,
};

static const char next_key[] = "private-next"; /* name in TABLE_META: the first key not used yet */

static struct span id_span(const struct id *id) {
	return (struct span){ id->b, sizeof(id->b) };
}

void private_commit(const uint8_t salt[PRIVATE_SALT_LEN], struct span part, struct hash *ret_commitment) {
	uint8_t plain[PLAIN_MAX];

	memcpy(plain, salt, PRIVATE_SALT_LEN);
	if (part.len > 0)
		memcpy(plain + PRIVATE_SALT_LEN, part.data, part.len);
	sha256((struct span){ plain, PRIVATE_SALT_LEN + part.len }, ret_commitment);
	explicit_bzero(plain, sizeof(plain));
}

/* A key that nothing was sealed with. */
static int take_key(struct txn *txn, struct keyring *keyring, uint32_t *ret_number,
	uint8_t ret_key[SEAL_KEY_LEN]) {
	uint32_t number = 0;
	struct span value;
	uint8_t next[4];
	int r;

	r = meta_get(txn, next_key, &value);
	if (r < 0 || (r == 0 && value.len != sizeof(next)))
		return r < 0 ? r : -EIO;
	if (r == 0)
		number = get_be32(value.data);
	do { /* past keys that were destroyed: the store may be an older copy than the keys */
		r = keyring_make(keyring, number);
		if (!r)
			r = keyring_get(keyring, number, ret_key);
	} while (r == KEYRING_ERASED && number++ < UINT32_MAX - 1);
	if (r)
		return r < 0 ? r : -EIO;
	put_be32(next, number + 1);
	*ret_number = number;
	return meta_put(txn, next_key, (struct span){ next, sizeof(next) });
}

int private_put(struct txn *txn, struct keyring *keyring, const struct id *record,
	const uint8_t salt[PRIVATE_SALT_LEN], struct span part) {
	uint8_t key[SEAL_KEY_LEN], plain[PLAIN_MAX], row[ROW_HEAD + PLAIN_MAX + SEAL_OVERHEAD];
	const size_t len = PRIVATE_SALT_LEN + part.len;
	uint32_t number;
	int r;

	if (part.len > PRIVATE_MAX)
		return -EINVAL;
	r = take_key(txn, keyring, &number, key);
	if (r)
		return r;
	memcpy(plain, salt, PRIVATE_SALT_LEN);
	if (part.len > 0)
		memcpy(plain + PRIVATE_SALT_LEN, part.data, part.len);
	row[0] = ROW_KEPT;
	put_be32(row + 1, number);
	r = seal(key, id_span(record), (struct span){ plain, len }, row + ROW_HEAD);
	if (!r)
		r = txn_put(txn, TABLE_PRIVATE, id_span(record),
			(struct span){ row, ROW_HEAD + len + SEAL_OVERHEAD });
	explicit_bzero(key, sizeof(key));
	explicit_bzero(plain, sizeof(plain));
	return r;
}

/* 0, STORE_NOT_FOUND, PRIVATE_ERASED (with its key's number) or -errno. */
static int find(struct txn *txn, const struct id *record, uint32_t *ret_number, struct span *ret_sealed) {
	struct span row;
	int r;

	r = txn_get(txn, TABLE_PRIVATE, id_span(record), &row);
	if (r)
		return r;
	if (row.len < ROW_HEAD || row.data[0] > ROW_ERASED)
		return -EIO;
	*ret_number = get_be32(row.data + 1);
	*ret_sealed = (struct span){ row.data + ROW_HEAD, row.len - ROW_HEAD };
	return row.data[0] == ROW_ERASED ? PRIVATE_ERASED : 0;
}

int private_state(struct txn *txn, const struct id *record) {
	struct span sealed;
	uint32_t number;

	return find(txn, record, &number, &sealed);
}

int private_get(struct txn *txn, struct keyring *keyring, const struct id *record,
	uint8_t ret_salt[PRIVATE_SALT_LEN], uint8_t *ret_part, size_t *ret_len) {
	uint8_t key[SEAL_KEY_LEN], plain[PLAIN_MAX];
	struct span sealed;
	uint32_t number;
	int r;

	r = find(txn, record, &number, &sealed);
	if (r)
		return r;
	if (sealed.len < SEAL_OVERHEAD + PRIVATE_SALT_LEN || sealed.len > PLAIN_MAX + SEAL_OVERHEAD)
		return -EIO;
	r = keyring_get(keyring, number, key);
	if (r)
		return r < 0 ? r : r == KEYRING_ERASED ? PRIVATE_ERASED : PRIVATE_LOST;
	r = unseal(key, id_span(record), sealed, plain);
	if (r == 0) {
		memcpy(ret_salt, plain, PRIVATE_SALT_LEN);
		*ret_len = sealed.len - SEAL_OVERHEAD - PRIVATE_SALT_LEN;
		memcpy(ret_part, plain + PRIVATE_SALT_LEN, *ret_len);
	}
	explicit_bzero(key, sizeof(key));
	explicit_bzero(plain, sizeof(plain));
	return r == SIGN_BAD_SEAL ? PRIVATE_LOST : r;
}

int private_erase(struct txn *txn, const struct id *record, uint32_t *ret_key) {
	uint8_t row[ROW_HEAD];
	struct span sealed;
	int r;

	r = find(txn, record, ret_key, &sealed);
	if (r)
		return r;
	row[0] = ROW_ERASED;
	put_be32(row + 1, *ret_key);
	return txn_put(txn, TABLE_PRIVATE, id_span(record), (struct span){ row, sizeof(row) });
}

int private_settle(struct txn *txn, struct keyring *keyring) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct span key, row;
	int r;

	r = scan_open(txn, TABLE_PRIVATE, (struct span){ 0 }, &scan);
	while (r == 0 && (r = scan_next(scan, &key, &row)) == 0) {
		uint8_t bytes[SEAL_KEY_LEN];

		if (row.len < ROW_HEAD)
			return -EIO;
		if (row.data[0] != ROW_ERASED)
			continue;
		r = keyring_get(keyring, get_be32(row.data + 1), bytes);
		if (r == 0)
			r = keyring_erase(keyring, get_be32(row.data + 1));
		explicit_bzero(bytes, sizeof(bytes));
		r = r < 0 && r != -ENOSPC ? r : 0; /* a file system that copies what is written anew may be full */
	}
	return r == STORE_NOT_FOUND ? 0 : r;
}
