/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * keyring - a key for each private part, in a file where a key can be destroyed
 *
 * LMDB never overwrites a page in place: what was deleted stays readable in free pages. So what must
 * be forgotten is sealed (proto/sign.h), each with a key of its own, and the keys stand here: a title
 * of 32 bytes, then 32 bytes a key. To forget is to overwrite the key, synced; every copy of what
 * was sealed with it, in free pages and backups of the store, is then noise. A file system that writes
 * in place is needed (ext4, xfs); what a flash disk keeps beneath it is beyond our reach.
 */
#include "proto/sign.h"

struct keyring;

enum {
	KEYRING_EXPOSED = 1,   /* others can read it, or it belongs to another user */
	KEYRING_MALFORMED = 2, /* not a keyring */
	KEYRING_ERASED = 3,    /* this key was destroyed */
	KEYRING_NO_KEY = 4,    /* no such key */
};

/* Opens @path, or makes it, 0600. 0, EXPOSED, MALFORMED or -errno. */
int keyring_open(const char *path, struct keyring **ret_keyring);
struct keyring *keyring_close(struct keyring *keyring);
void keyring_closep(struct keyring **keyring);

/* Makes random keys up to @number, synced, so that it may be sealed with. 0 or -errno. */
int keyring_make(struct keyring *keyring, uint32_t number);
/* 0, ERASED, NO_KEY or -errno. The caller wipes what it was given. */
int keyring_get(struct keyring *keyring, uint32_t number, uint8_t ret_key[SEAL_KEY_LEN]);
/* Destroys a key: synced when this returns 0. A key that is not there is none. */
int keyring_erase(struct keyring *keyring, uint32_t number);
