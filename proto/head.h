/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * head - the signed size and Merkle root of an oplog
 *
 * What is signed is the text of a C2SP tlog-checkpoint, so that public transparency-log tools can
 * check our logs: the origin line "lienthong/<office id>/<epoch>/<lane>", the size in decimal, the
 * root in base64, each ended by a newline. head_note() adds the signature line of a C2SP
 * signed-note (https://c2sp.org/signed-note), whose key name is the origin line.
 */
#include "proto/codec.h"
#include "proto/sign.h"

enum lane {
	LANE_URGENT,
	LANE_NORMAL,
	LANE_BULK,
	LANE_N,
};

enum {
	HEAD_MALFORMED = 1, /* not a note of an oplog's head, or not in its one encoding */
};

enum {
	EPOCH_MAX = 255, /* lives of one office: bounds the oplogs that it can make others keep */
};

/* One append-only log: of one office, in one life of its store, at one urgency. */
struct oplog_id {
	struct id office;
	uint32_t epoch;
	uint8_t lane;
};

struct head {
	uint64_t size; /* leaves under the root */
	struct hash root;
	uint8_t signature[SIGN_SIGNATURE_LEN];
};

enum {
	HEAD_TEXT_MAX = 192,
	HEAD_NOTE_MAX = 512,
	OFFICE_ID_TEXT_LEN = 32, /* lower-case hexadecimal */
};

void id_format(const struct id *id, char ret_text[OFFICE_ID_TEXT_LEN + 1]);
bool id_parse(struct span text, struct id *ret_id); /* 32 hexadecimal digits, lower case */

/* Writes the text that is signed; returns its length. It is not terminated by a zero. */
size_t head_text(const struct oplog_id *oplog, uint64_t size, const struct hash *root,
	char ret_text[HEAD_TEXT_MAX]);
/* Fills @head's signature from its size and root. 0 or -errno. */
int head_sign(struct signer *signer, const struct oplog_id *oplog, struct head *head);
/* 0, SIGN_BAD_SIGNATURE or -errno. */
int head_verify(struct verifier *key, const struct oplog_id *oplog, const struct head *head);
/* Office, epoch and lane: three elements of an array of the caller's. */
void oplog_id_write(struct writer *w, const struct oplog_id *oplog);
void oplog_id_read(struct reader *r, struct oplog_id *ret_oplog);
/* Size, root and signature: three elements of an array of the caller's. */
void head_write(struct writer *w, const struct head *head);
void head_read(struct reader *r, struct head *ret_head);
/* The whole signed note, terminated by a zero; returns its length. @key is the origin's key. */
size_t head_note(const struct oplog_id *oplog, const struct head *head,
	const uint8_t key[SIGN_PUBLIC_LEN], char ret_note[HEAD_NOTE_MAX]);
/*
 * Reads the note that @text begins with, which ends after its one signature; its length to @ret_len. Whose key
 * signed it is for the caller to check: head_verify(). 0 or HEAD_MALFORMED.
 */
int head_note_read(struct span text, struct oplog_id *ret_oplog, struct head *ret_head, size_t *ret_len);
/* The origin's key as a note's verifier wants it, terminated by a zero: "name+hash+base64". */
size_t head_vkey(const struct oplog_id *oplog, const uint8_t key[SIGN_PUBLIC_LEN],
	char ret_vkey[HEAD_NOTE_MAX]);

static inline bool oplog_id_eq(const struct oplog_id *a, const struct oplog_id *b) {
	return a->lane == b->lane && a->epoch == b->epoch && id_eq(&a->office, &b->office);
}
