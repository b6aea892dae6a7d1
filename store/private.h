/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * private - what must not be in a record, because it must be forgotten when somebody asks for it
 *
 * Who brought a petition, and how to reach them. The record has only SHA-256(salt || part); the salt
 * and the part are sealed with a key of the keyring, here. What is erased leaves its row behind: that
 * there was something, and that it was erased; and its record and every proof as they were.
 */
#include "store/keyring.h"
#include "store/store.h"

enum {
	PRIVATE_MAX = 2048,  /* bytes of a part */
	PRIVATE_SALT_LEN = 32,
};

enum {
	PRIVATE_ERASED = 2,  /* private_get(): there was one; STORE_NOT_FOUND: there was none */
	PRIVATE_LOST = 3,    /* its key is not in the keyring, or the wrong one */
};

/* What a record says of a part. */
void private_commit(const uint8_t salt[PRIVATE_SALT_LEN], struct span part, struct hash *ret_commitment);
/* Keeps the part of @record, of at most PRIVATE_MAX bytes. 0 or -errno. */
int private_put(struct txn *txn, struct keyring *keyring, const struct id *record,
	const uint8_t salt[PRIVATE_SALT_LEN], struct span part);
/* @ret_part has room for PRIVATE_MAX. 0, STORE_NOT_FOUND, PRIVATE_ERASED, PRIVATE_LOST or -errno. */
int private_get(struct txn *txn, struct keyring *keyring, const struct id *record,
	uint8_t ret_salt[PRIVATE_SALT_LEN], uint8_t *ret_part, size_t *ret_len);
/* 0 if there is one, STORE_NOT_FOUND or PRIVATE_ERASED: for who has no keyring. @ret_key, if not NULL: its key. */
int private_state(struct txn *txn, const struct id *record, struct keyring_key *ret_key);
/*
 * Takes the part away; @ret_key is destroyed by keyring_erase() after the commit. 0,
 * STORE_NOT_FOUND, PRIVATE_ERASED (then @ret_key is to be destroyed again: it does no harm) or -errno.
 */
int private_erase(struct txn *txn, const struct id *record, struct keyring_key *ret_key);
/* Whether a key that is to be destroyed may still be here. */
bool private_key_is_left(struct keyring *keyring, const struct keyring_key *key);

/* Parts that cannot be opened, and the file with the key of the first of them. */
struct private_shut {
	uint64_t n;
	uint64_t file;
};
/* Destroys every key whose part was taken away: a power cut may have come between. 0 or -errno. */
int private_settle(struct txn *txn, struct keyring *keyring, struct private_shut *ret_shut);
/* What a node seals has its keys in a file that it begins: the store was put back. No node runs. 0 or -errno. */
int private_leave_keys(struct txn *txn);
