/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * bundle - what would travel on a link, in a file that somebody carries
 *
 *   file   = title, from id, to id, 32 random bytes, chunk...
 *   chunk  = u8 1 for the last, else 0; u32 length; so many bytes, sealed (sign.h)
 *   sealed = [message, ...], each as a bin
 *
 * The key is one that only the two offices can make, of their CURVE keys and of all that stands before the first
 * chunk; a chunk is sealed under its number and whether it is the last. So only these two read a bundle or make
 * one, and none can be cut off, put together of several, or sent back to whom it came from, without being found out.
 */
#include "proto/sign.h"

enum {
	BUNDLE_TITLE_LEN = 19,
	BUNDLE_HEADER_LEN = BUNDLE_TITLE_LEN + 16 + 16 + 32,
	BUNDLE_MESSAGES_MAX = 64,        /* in one chunk */
	BUNDLE_PLAIN_MAX = 1024 * 1024,  /* bytes of a chunk before it is sealed */
	BUNDLE_CHUNK_HEADER_LEN = 5,
	BUNDLE_CHUNK_MAX = BUNDLE_CHUNK_HEADER_LEN + BUNDLE_PLAIN_MAX + SEAL_OVERHEAD,
};

enum {
	BUNDLE_MALFORMED = 1, /* no bundle, or of another version */
	BUNDLE_ALTERED = 2,   /* not as it was made, or between other offices */
	BUNDLE_BAD_KEY = 3,   /* the other office's key is none */
};

struct bundle {
	struct id from, to;
	uint8_t header[BUNDLE_HEADER_LEN]; /* what the file begins with */
	uint8_t key[SEAL_KEY_LEN];
	uint64_t n_chunks; /* so far */
};

struct bundle_chunk {
	bool last;
	size_t len; /* of what is sealed, which follows */
};

/* A new one; @secret is of the office that makes it, @public of the other. 0, BAD_KEY or -errno. */
int bundle_begin(const struct id *from, const struct id *to, const uint8_t secret[BOX_KEY_LEN],
	const uint8_t public[BOX_KEY_LEN], struct bundle *ret_bundle);
/* One that is read; then bundle_unlock(). 0 or MALFORMED. */
int bundle_read(const uint8_t header[BUNDLE_HEADER_LEN], struct bundle *ret_bundle);
int bundle_unlock(struct bundle *bundle, const uint8_t secret[BOX_KEY_LEN], const uint8_t public[BOX_KEY_LEN]);

/* The next chunk, of at most BUNDLE_PLAIN_MAX bytes; @ret_chunk has room for BUNDLE_CHUNK_MAX. 0 or -errno. */
int bundle_seal(struct bundle *bundle, bool last, struct span plain, uint8_t *ret_chunk, size_t *ret_len);
/* 0 or MALFORMED. */
int bundle_chunk_read(const uint8_t header[BUNDLE_CHUNK_HEADER_LEN], struct bundle_chunk *ret_chunk);
/* The next chunk; @ret_plain has room for BUNDLE_PLAIN_MAX. 0, ALTERED or -errno. */
int bundle_open(struct bundle *bundle, const struct bundle_chunk *chunk, const uint8_t *sealed, uint8_t *ret_plain,
	size_t *ret_len);
