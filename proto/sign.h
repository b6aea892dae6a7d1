/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * sign - Ed25519 (RFC 8032), SHA-256 (FIPS 180-4), AES-256-GCM (NIST SP 800-38D), sealed boxes, random
 * bytes; the only door to libsodium and OpenSSL
 *
 * Keys are made once and kept: whether one is good is checked when it is made.
 */
#include "proto/base.h"

enum {
	SIGN_SEED_LEN = 32,
	SIGN_PUBLIC_LEN = 32,
	SIGN_SIGNATURE_LEN = 64,
	SEAL_KEY_LEN = 32,
	SEAL_OVERHEAD = 12 + 16, /* bytes by which what is sealed is longer: nonce, tag */
	BOX_KEY_LEN = 32,        /* both halves */
	BOX_OVERHEAD = 32 + 16,  /* a public key for once, tag */
};

enum {
	SIGN_BAD_KEY = 1,   /* not a point of the curve in its one encoding, or not of its large order */
	SIGN_BAD_SIGNATURE, /* not made by this key over these bytes */
	SIGN_BAD_SEAL,      /* not sealed with this key and for this owner, or altered */
};

struct signer;   /* a private key, ready to sign */
struct verifier; /* a public key, ready to verify */

/* Fills @ret with @len bytes from the system's generator. 0 or -errno. */
int random_bytes(void *ret, size_t len);

/* 0 or -errno. The seed is RFC 8032's private key; any 32 random bytes are one. */
int signer_new(const uint8_t seed[SIGN_SEED_LEN], struct signer **ret_signer);
struct signer *signer_free(struct signer *signer);
void signer_freep(struct signer **signer);
void signer_public(const struct signer *signer, uint8_t ret_public[SIGN_PUBLIC_LEN]);
int signer_sign(struct signer *signer, struct span bytes, uint8_t ret_sig[SIGN_SIGNATURE_LEN]);

/* 0, SIGN_BAD_KEY or -errno. */
int verifier_new(const uint8_t key[SIGN_PUBLIC_LEN], struct verifier **ret_verifier);
struct verifier *verifier_free(struct verifier *verifier);
void verifier_freep(struct verifier **verifier);
/* 0, SIGN_BAD_SIGNATURE or -errno. */
int verifier_check(struct verifier *verifier, struct span bytes, const uint8_t sig[SIGN_SIGNATURE_LEN]);

/* The public half of a CURVE (X25519) secret key. 0 or -errno. */
int curve_public(const uint8_t secret[32], uint8_t ret_public[32]);
/* Whether a secret can be shared with this public key: with one of small order all share the same. */
bool curve_public_ok(const uint8_t key[32]);

/*
 * A key that only two have, each from its own secret and the other's public half; @purpose says what for. 0,
 * SIGN_BAD_KEY (everybody would have it) or -errno.
 */
int pair_key(const uint8_t secret[BOX_KEY_LEN], const uint8_t public[BOX_KEY_LEN], struct span purpose,
	uint8_t ret_key[SEAL_KEY_LEN]);

/*
 * Seals @plain with a key of its own; @owner says whose it is, and must be the same to open it.
 * @ret_sealed has room for @plain.len + SEAL_OVERHEAD. 0 or -errno.
 */
int seal(const uint8_t key[SEAL_KEY_LEN], struct span owner, struct span plain, uint8_t *ret_sealed);
/* @ret_plain has room for @sealed.len - SEAL_OVERHEAD. 0, SIGN_BAD_SEAL or -errno. */
int unseal(const uint8_t key[SEAL_KEY_LEN], struct span owner, struct span sealed, uint8_t *ret_plain);

/*
 * Seals @plain so that only who has the secret half of @public opens it, not even who sealed it
 * (libsodium's sealed box: X25519, XSalsa20-Poly1305); never twice the same bytes. @ret_sealed has room
 * for @plain.len + BOX_OVERHEAD. 0, SIGN_BAD_KEY (nobody could open it, or everybody) or -errno.
 */
int box_seal(const uint8_t public[BOX_KEY_LEN], struct span plain, uint8_t *ret_sealed);
/* @ret_plain has room for @sealed.len - BOX_OVERHEAD. 0, SIGN_BAD_SEAL or -errno. */
int box_open(const uint8_t secret[BOX_KEY_LEN], struct span sealed, uint8_t *ret_plain);

void sha256(struct span bytes, struct hash *ret_hash);
/* SHA-256 over @prefix || @a || @b without joining them first; the Merkle tree's two shapes. */
void sha256_prefixed(uint8_t prefix, struct span a, struct span b, struct hash *ret_hash);

/* Standard base64 with padding; @ret_text has room for BASE64_MAX(bytes.len). Returns its length. */
#define BASE64_MAX(len) (((len) + 2) / 3 * 4 + 1) /* with the terminating zero */
size_t base64_encode(struct span bytes, char *ret_text);
enum {
	BASE64_DECODED_MAX = 128, /* bytes */
};
/* What base64_encode() writes, and nothing else. False: it is not, or not of @len bytes, at most BASE64_DECODED_MAX. */
bool base64_decode(struct span text, uint8_t *ret_bytes, size_t len);
/* base64url without padding (RFC 4648, 5); @ret_text has room as above. */
void base64url_encode(struct span bytes, char *ret_text);
/* Passes over spaces and line breaks. False: not base64url, or more than @max bytes. */
bool base64url_decode(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len);
