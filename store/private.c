/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "store/private.h"

#include <errno.h>

enum {
	ROW_KEPT = 0,   /* the first byte of a row: what is sealed follows the key's place */
	ROW_ERASED = 1, /* nothing follows it */
	KEY_LEN = 8 + 4,
	ROW_HEAD = 1 + KEY_LEN,
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

static void put_key(uint8_t bytes[KEY_LEN], const struct keyring_key *key) {
	put_be64(bytes, key->file);
	put_be32(bytes + 8, key->number);
}

static struct keyring_key get_key(const uint8_t bytes[KEY_LEN]) {
	return (struct keyring_key){ get_be64(bytes), get_be32(bytes + 8) };
}

/*
 * Where the next key is: in another file where the store was put back, or where the file is not here or an older
 * copy. To go on with that would make it differ from the one that may be put back.
 */
static int next_place(struct txn *txn, struct keyring *keyring, struct keyring_key *ret_key) {
	struct keyring_key next = { 0 };
	struct span value;
	uint32_t n = 0;
	int r = meta_get(txn, next_key, &value);

	if (r < 0 || (r == 0 && value.len != KEY_LEN))
		return r < 0 ? r : -EIO;
	if (r == 0) {
		next = get_key(value.data);
		r = keyring_size(keyring, next.file, &n);
		r = r == 0 && n < next.number ? KEYRING_NO_KEY : r;
	}
	if (r > 0) {
		next.number = 0;
		r = keyring_begin(keyring, next.file, &next.file);
	}
	*ret_key = next;
	return r;
}

/* A key that nothing was sealed with. */
static int take_key(struct txn *txn, struct keyring *keyring, struct keyring_key *ret_place,
	uint8_t ret_key[SEAL_KEY_LEN]) {
	struct keyring_key next;
	uint8_t bytes[KEY_LEN];
	int r = next_place(txn, keyring, &next);

	if (r)
		return r;
	do { /* past keys that were destroyed: the store may be an older copy than the keys */
		r = keyring_make(keyring, &next);
		if (!r)
			r = keyring_get(keyring, &next, ret_key);
	} while (r == KEYRING_ERASED && next.number++ < UINT32_MAX - 1);
	if (r)
		return r < 0 ? r : -EIO;
	*ret_place = next;
	next.number++;
	put_key(bytes, &next);
	return meta_put(txn, next_key, (struct span){ bytes, sizeof(bytes) });
}

int private_leave_keys(struct txn *txn) {
	int r = meta_delete(txn, next_key);

	return r < 0 ? r : 0;
}

int private_put(struct txn *txn, struct keyring *keyring, const struct id *record,
	const uint8_t salt[PRIVATE_SALT_LEN], struct span part) {
	uint8_t key[SEAL_KEY_LEN], plain[PLAIN_MAX], row[ROW_HEAD + PLAIN_MAX + SEAL_OVERHEAD];
	const size_t len = PRIVATE_SALT_LEN + part.len;
	struct keyring_key place;
	int r;

	if (part.len > PRIVATE_MAX)
		return -EINVAL;
	r = take_key(txn, keyring, &place, key);
	if (r)
		return r;
	memcpy(plain, salt, PRIVATE_SALT_LEN);
	if (part.len > 0)
		memcpy(plain + PRIVATE_SALT_LEN, part.data, part.len);
	row[0] = ROW_KEPT;
	put_key(row + 1, &place);
	r = seal(key, id_span(record), (struct span){ plain, len }, row + ROW_HEAD);
	if (!r)
		r = txn_put(txn, TABLE_PRIVATE, id_span(record),
			(struct span){ row, ROW_HEAD + len + SEAL_OVERHEAD });
	explicit_bzero(key, sizeof(key));
	explicit_bzero(plain, sizeof(plain));
	return r;
}

/* 0, STORE_NOT_FOUND, PRIVATE_ERASED (with its key's place) or -errno. */
static int find(struct txn *txn, const struct id *record, struct keyring_key *ret_key, struct span *ret_sealed) {
	struct span row;
	int r;

	r = txn_get(txn, TABLE_PRIVATE, id_span(record), &row);
	if (r)
		return r;
	if (row.len < ROW_HEAD || row.data[0] > ROW_ERASED)
		return -EIO;
	*ret_key = get_key(row.data + 1);
	*ret_sealed = (struct span){ row.data + ROW_HEAD, row.len - ROW_HEAD };
	return row.data[0] == ROW_ERASED ? PRIVATE_ERASED : 0;
}

int private_state(struct txn *txn, const struct id *record, struct keyring_key *ret_key) {
	struct keyring_key key = { 0 };
	struct span sealed;
	int r = find(txn, record, &key, &sealed);

	if (ret_key)
		*ret_key = key;
	return r;
}

int private_get(struct txn *txn, struct keyring *keyring, const struct id *record,
	uint8_t ret_salt[PRIVATE_SALT_LEN], uint8_t *ret_part, size_t *ret_len) {
	uint8_t key[SEAL_KEY_LEN], plain[PLAIN_MAX];
	struct keyring_key place;
	struct span sealed;
	int r;

	r = find(txn, record, &place, &sealed);
	if (r)
		return r;
	if (sealed.len < SEAL_OVERHEAD + PRIVATE_SALT_LEN || sealed.len > PLAIN_MAX + SEAL_OVERHEAD)
		return -EIO;
	r = keyring_get(keyring, &place, key);
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

int private_erase(struct txn *txn, const struct id *record, struct keyring_key *ret_key) {
	uint8_t row[ROW_HEAD];
	struct span sealed;
	int r;

	r = find(txn, record, ret_key, &sealed);
	if (r)
		return r;
	row[0] = ROW_ERASED;
	put_key(row + 1, ret_key);
	return txn_put(txn, TABLE_PRIVATE, id_span(record), (struct span){ row, sizeof(row) });
}

bool private_key_is_left(struct keyring *keyring, const struct keyring_key *key) {
	uint8_t bytes[SEAL_KEY_LEN];
	int r = keyring_get(keyring, key, bytes);

	explicit_bzero(bytes, sizeof(bytes));
	return r != KEYRING_ERASED && r != KEYRING_NO_KEY;
}

/* Whether the key of a part that is kept is not here. 0, 1 or -errno. */
static int is_shut(struct keyring *keyring, const struct keyring_key *key) {
	uint32_t n = 0;
	int r = keyring_size(keyring, key->file, &n);

	return r < 0 ? r : r > 0 || key->number >= n;
}

int private_settle(struct txn *txn, struct keyring *keyring, struct private_shut *ret_shut) {
	_cleanup_(scan_closep) struct scan *scan = NULL;
	struct private_shut shut = { 0 };
	struct span key, row;
	int r;

	r = scan_open(txn, TABLE_PRIVATE, (struct span){ 0 }, &scan);
	while (r == 0 && (r = scan_next(scan, &key, &row)) == 0) {
		struct keyring_key at;

		if (row.len < ROW_HEAD)
			return -EIO;
		at = get_key(row.data + 1);
		if (row.data[0] == ROW_ERASED) {
			if (private_key_is_left(keyring, &at))
				r = keyring_erase(keyring, &at);
			r = r < 0 && r != -ENOSPC ? r : 0; /* a file system that copies what is written anew may be full */
			continue;
		}
		r = is_shut(keyring, &at);
		if (r > 0 && shut.n++ == 0)
			shut.file = at.file;
		r = r < 0 ? r : 0;
	}
	*ret_shut = shut;
	return r == STORE_NOT_FOUND ? 0 : r;
}
