/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sign - the only door to OpenSSL
 *
 * A key's context is kept beside it and begun anew for each operation: Ed25519 is one-shot, and
 * a second operation without an init is undefined across OpenSSL's versions. OpenSSL's results are
 * compared with 1 only, since its failures are 0 as well as negative.
 */
/*
 * SHA256_Init() and its like are deprecated since 3.0, which would have every hash go through EVP.
 * For a leaf of 300 bytes (x86-64 with SHA extensions, OpenSSL 3.0): 5.2 million/s here, 4.6 with
 * a kept EVP context, for which the plain functions below have no owner, 2.5 with EVP's one-shot.
 * For a node of 65 bytes it is 10.7 against 8.5 with a kept context.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proto/sign.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <sys/random.h>

/* One key, private or public, and the context of its operations. */
struct key {
	EVP_PKEY *pkey;
	EVP_MD_CTX *ctx;
};

struct signer {
	struct key key;
	uint8_t public[SIGN_PUBLIC_LEN];
};

struct verifier {
	struct key key;
};

int random_bytes(void *ret, size_t len) {
	uint8_t *pos = ret;

	while (len > 0) {
		ssize_t n = getrandom(pos, len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		pos += n;
		len -= n;
	}
	return 0;
}

static void key_done(struct key *key) {
	EVP_MD_CTX_free(key->ctx);
	EVP_PKEY_free(key->pkey); /* wipes a private key */
}

/* Takes @pkey, which may be NULL: what OpenSSL refuses to make of 32 bytes is a lack of memory. */
static int key_init(struct key *key, EVP_PKEY *pkey) {
	key->pkey = pkey;
	key->ctx = EVP_MD_CTX_new();
	return key->pkey && key->ctx ? 0 : -ENOMEM;
}

int signer_new(const uint8_t seed[SIGN_SEED_LEN], struct signer **ret_signer) {
	_cleanup_(signer_freep) struct signer *signer = NULL;
	size_t len = SIGN_PUBLIC_LEN;
	int r;

	signer = calloc(1, sizeof(*signer));
	if (!signer)
		return -ENOMEM;
	r = key_init(&signer->key,
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, SIGN_SEED_LEN));
	if (r)
		return r;
	if (EVP_PKEY_get_raw_public_key(signer->key.pkey, signer->public, &len) != 1)
		return -EIO;
	*ret_signer = TAKE(signer);
	return 0;
}

struct signer *signer_free(struct signer *signer) {
	if (signer)
		key_done(&signer->key);
	free(signer);
	return NULL;
}

void signer_freep(struct signer **signer) {
	*signer = signer_free(*signer);
}

void signer_public(const struct signer *signer, uint8_t ret_public[SIGN_PUBLIC_LEN]) {
	memcpy(ret_public, signer->public, SIGN_PUBLIC_LEN);
}

int signer_sign(struct signer *signer, struct span bytes, uint8_t ret_sig[SIGN_SIGNATURE_LEN]) {
	struct key *key = &signer->key;
	uint8_t sig[SIGN_SIGNATURE_LEN];
	size_t len = sizeof(sig);

	EVP_MD_CTX_reset(key->ctx);
	if (EVP_DigestSignInit(key->ctx, NULL, NULL, NULL, key->pkey) != 1 ||
		EVP_DigestSign(key->ctx, sig, &len, bytes.data, bytes.len) != 1 ||
		len != sizeof(sig))
		return -EIO;
	memcpy(ret_sig, sig, sizeof(sig));
	return 0;
}

/* p = 2^255 - 19 is, from the least significant byte on, 0xed, thirty times 0xff, 0x7f. */
static bool is_below_p(const uint8_t y[SIGN_PUBLIC_LEN]) {
	if (y[0] < 0xed || y[SIGN_PUBLIC_LEN - 1] != 0x7f)
		return true;
	for (size_t i = 1; i < SIGN_PUBLIC_LEN - 1; i++)
		if (y[i] != 0xff)
			return true;
	return false;
}

/*
 * The y of the eight points whose order divides the cofactor, little-endian, in their only
 * encodings below p; each with either sign of x. Under such a key one signature can fit many
 * messages. See Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020), which lists the
 * encodings at or beyond p too: those is_below_p() has refused already.
 */
static const uint8_t small_order[][SIGN_PUBLIC_LEN] = {
	{ 0x00 }, /* order 4 */
	{ 0x01 }, /* order 1 */
	{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0x7f }, /* p - 1: order 2 */
	{ 0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
		0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d,
		0x53, 0xfc, 0x05 }, /* order 8 */
	{ 0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
		0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92,
		0xac, 0x03, 0x7a }, /* order 8 */
};

/* d = -121665 / 121666 mod p, RFC 8032, 5.1, least significant byte first. */
static const uint8_t curve_d[SIGN_PUBLIC_LEN] = { 0xa3, 0x78, 0x59, 0x13, 0xca, 0x4d, 0xeb, 0x75,
	0xab, 0xd8, 0x41, 0x41, 0x4d, 0x0a, 0x70, 0x00, 0x98, 0xe8, 0x79, 0x77, 0x79, 0x40, 0xc7,
	0x8c, 0x73, 0xfe, 0x6f, 0x2b, 0xee, 0x6c, 0x03, 0x52 };

static void bn_ctx_freep(BN_CTX **ctx) {
	BN_CTX_free(*ctx);
}

/*
 * Whether y is that of a point: x^2 = (y^2 - 1) / (d y^2 + 1) needs a root, which is so when the
 * product of the two has one. OpenSSL finds out only when it verifies. Returns 0, SIGN_BAD_KEY or
 * -ENOMEM. Its numbers come from a BN_CTX and are freed with it.
 */
static int check_on_curve(const uint8_t y_bytes[SIGN_PUBLIC_LEN]) {
	_cleanup_(bn_ctx_freep) BN_CTX *ctx = BN_CTX_new();
	BIGNUM *p, *d, *y2, *u, *v;
	int root;

	if (!ctx)
		return -ENOMEM;
	BN_CTX_start(ctx);
	p = BN_CTX_get(ctx);
	d = BN_CTX_get(ctx);
	y2 = BN_CTX_get(ctx);
	u = BN_CTX_get(ctx);
	v = BN_CTX_get(ctx); /* NULL if any of them is */
	if (!v || !BN_set_bit(p, 255) || !BN_sub_word(p, 19) ||
		!BN_lebin2bn(curve_d, sizeof(curve_d), d) ||
		!BN_lebin2bn(y_bytes, SIGN_PUBLIC_LEN, y2) || !BN_mod_sqr(y2, y2, p, ctx) ||
		!BN_copy(u, y2) || !BN_sub_word(u, 1) || !BN_mod_mul(v, d, y2, p, ctx) ||
		!BN_add_word(v, 1) || !BN_mod_mul(u, u, v, p, ctx))
		return -ENOMEM;
	root = BN_kronecker(u, p, ctx); /* 1: two roots, 0: one, -1: none, -2: no memory */
	if (root == -2)
		return -ENOMEM;
	return root < 0 ? SIGN_BAD_KEY : 0;
}

static int check_public(const uint8_t key[SIGN_PUBLIC_LEN]) {
	uint8_t y[SIGN_PUBLIC_LEN];

	memcpy(y, key, sizeof(y));
	y[SIGN_PUBLIC_LEN - 1] &= 0x7f; /* the bit above is the sign of x */
	if (!is_below_p(y))
		return SIGN_BAD_KEY;
	for (size_t i = 0; i < N_ELEMENTS(small_order); i++)
		if (memcmp(y, small_order[i], sizeof(y)) == 0)
			return SIGN_BAD_KEY;
	return check_on_curve(y);
}

int verifier_new(const uint8_t key[SIGN_PUBLIC_LEN], struct verifier **ret_verifier) {
	_cleanup_(verifier_freep) struct verifier *verifier = NULL;
	int r;

	r = check_public(key);
	if (r)
		return r;
	verifier = calloc(1, sizeof(*verifier));
	if (!verifier)
		return -ENOMEM;
	r = key_init(&verifier->key,
		EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, key, SIGN_PUBLIC_LEN));
	if (r)
		return r;
	*ret_verifier = TAKE(verifier);
	return 0;
}

struct verifier *verifier_free(struct verifier *verifier) {
	if (verifier)
		key_done(&verifier->key);
	free(verifier);
	return NULL;
}

void verifier_freep(struct verifier **verifier) {
	*verifier = verifier_free(*verifier);
}

int verifier_check(
	struct verifier *verifier, struct span bytes, const uint8_t sig[SIGN_SIGNATURE_LEN]) {
	struct key *key = &verifier->key;

	EVP_MD_CTX_reset(key->ctx);
	if (EVP_DigestVerifyInit(key->ctx, NULL, NULL, NULL, key->pkey) != 1)
		return -EIO;
	if (EVP_DigestVerify(key->ctx, sig, SIGN_SIGNATURE_LEN, bytes.data, bytes.len) != 1)
		return SIGN_BAD_SIGNATURE;
	return 0;
}

void sha256(struct span bytes, struct hash *ret_hash) {
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, bytes.data, bytes.len);
	SHA256_Final(ret_hash->b, &ctx);
}

void sha256_prefixed(uint8_t prefix, struct span a, struct span b, struct hash *ret_hash) {
	SHA256_CTX ctx;

	SHA256_Init(&ctx);
	SHA256_Update(&ctx, &prefix, sizeof(prefix));
	SHA256_Update(&ctx, a.data, a.len);
	SHA256_Update(&ctx, b.data, b.len);
	SHA256_Final(ret_hash->b, &ctx);
}

size_t base64_encode(struct span bytes, char *ret_text) {
	assert(bytes.len <= INT_MAX / 2);
	return EVP_EncodeBlock((unsigned char *)ret_text, bytes.data, bytes.len);
}
