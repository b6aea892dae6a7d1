/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * keyring - a key for each private part, in files where a key can be destroyed
 *
 * LMDB never overwrites a page in place: what was deleted stays readable in free pages. So what must
 * be forgotten is sealed (proto/sign.h), each with a key of its own, and the keys stand here: a title
 * of 32 bytes, then 32 bytes a key. To forget is to overwrite the key, synced; every copy of what
 * was sealed with it, in free pages and backups of the store, is then noise. A file system that writes
 * in place is needed (ext4, xfs); what a flash disk keeps beneath it is beyond our reach.
 *
 * A file is called after the number that is drawn when it is begun, and a store that was put back begins
 * another one. So of two copies of a file one is the beginning of the other but for destroyed keys, and
 * a copy that is put back takes no other file's place.
 */
#include "proto/sign.h"

struct keyring;

/* Which key, of which file. */
struct keyring_key {
	uint64_t file;
	uint32_t number;
};

enum {
	KEYRING_NAME_MAX = sizeof("private-0123456789abcdef.keys"),
};

enum {
	KEYRING_EXPOSED = 1,   /* others can read the file, or it belongs to another user */
	KEYRING_MALFORMED = 2, /* it is none of these files, or not the one that it is called after */
	KEYRING_ERASED = 3,    /* this key was destroyed */
	KEYRING_NO_KEY = 4,    /* there is no such file, or no such key in it */
};

/* The keys in a directory. 0 or -errno. */
int keyring_open(const char *folder, struct keyring **ret_keyring);
struct keyring *keyring_close(struct keyring *keyring);
void keyring_closep(struct keyring **keyring);

void keyring_name(uint64_t file, char ret_name[KEYRING_NAME_MAX]);
bool keyring_name_parse(const char *name, uint64_t *ret_file);
/* Every file by its name; @fn may return non-zero to end it, which is returned. -errno. */
int keyring_each(struct keyring *keyring, int (*fn)(void *userdata, uint64_t file), void *userdata);
/* Keys in a file, destroyed ones too. 0, EXPOSED, MALFORMED, NO_KEY or -errno. */
int keyring_size(struct keyring *keyring, uint64_t file, uint32_t *ret_n);

/* A file, 0600, that nothing was sealed with and that is not @but; made, or the last that was. 0 or -errno. */
int keyring_begin(struct keyring *keyring, uint64_t but, uint64_t *ret_file);
/* Makes random keys up to @key, synced, so that it may be sealed with. 0, as keyring_size(), or -errno. */
int keyring_make(struct keyring *keyring, const struct keyring_key *key);
/* 0, an outcome or -errno. The caller wipes what it was given. */
int keyring_get(struct keyring *keyring, const struct keyring_key *key, uint8_t ret_key[SEAL_KEY_LEN]);
/* Destroys a key: synced when this returns 0. 0, EXPOSED, MALFORMED, NO_KEY or -errno. */
int keyring_erase(struct keyring *keyring, const struct keyring_key *key);
