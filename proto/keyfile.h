/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * keyfile - an office's private keys on disk: one file, 0600, written whole or not at all
 *
 * The only I/O in proto, since both the node and the tools need it. Text of three lines:
 * "lienthong keys 1", the signing seed and the CURVE secret key in hexadecimal.
 */
#include "proto/sign.h"

enum {
	KEYFILE_MISSING = 1,
	KEYFILE_MALFORMED = 2,
	KEYFILE_EXPOSED = 3, /* others can read it (change it, if it is a directory), or it belongs to another user */
};

struct keyfile {
	uint8_t seed[SIGN_SEED_LEN];
	uint8_t curve_secret[32];
};

/* The file's bytes, in both directions. Decoding: 0 or KEYFILE_MALFORMED. */
enum {
	KEYFILE_LEN = 17 + 2 * 65,
};
void keyfile_encode(const struct keyfile *keys, char ret_text[KEYFILE_LEN]);
int keyfile_decode(struct span text, struct keyfile *ret_keys);

/* First thing in a program: what it has of keys and names in its memory is for no other process and no core dump. */
void keyfile_forbid_dumps(void);
/* That nobody else can exchange what is in the directory. 0, KEYFILE_EXPOSED or -errno. */
int keyfile_check_folder(const char *path);
/* All of it, not synced. 0 or -errno. */
int keyfile_write_all(int fd, struct span bytes);
/* The name in the directory must survive a power cut as well as what is at @path. 0 or -errno. */
int keyfile_sync_folder(const char *path);
/* Writes @path, synced, whole or not at all. 0 or -errno (-EEXIST: there is one). */
int keyfile_write(const char *path, const struct keyfile *keys);
/* The same of another secret than an office's keys. */
int keyfile_write_text(const char *path, const char *text, size_t len);
/* Puts the keys at @next in the place of those at @path, for good. 0 or -errno. */
int keyfile_replace(const char *path, const char *next);
/* 0, an outcome or -errno. */
int keyfile_read(const char *path, struct keyfile *ret_keys);
