/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * sign - the only door to libsodium and OpenSSL
 *
 * Ed25519 is libsodium's: it signs and verifies twice as fast as OpenSSL (60,000 and 21,000 a second
 * against 28,000 and 9,800), and it can tell whether a key is a good one. SHA-256 is OpenSSL's, which
 * uses the processor's own instructions for it, and so is AES-256-GCM.
 *
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
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/random.h>

_Static_assert(SIGN_SEED_LEN == crypto_sign_SEEDBYTES && SIGN_PUBLIC_LEN == crypto_sign_PUBLICKEYBYTES &&
		SIGN_SIGNATURE_LEN == crypto_sign_BYTES, "RFC 8032");

struct signer {
	uint8_t secret[crypto_sign_SECRETKEYBYTES]; /* the seed, then the public key */
};

struct verifier {
	uint8_t key[SIGN_PUBLIC_LEN];
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

int signer_new(const uint8_t seed[SIGN_SEED_LEN], struct signer **ret_signer) {
	uint8_t public[SIGN_PUBLIC_LEN];
	struct signer *signer;

	if (sodium_init() < 0)
		return -EIO;
	signer = calloc(1, sizeof(*signer));
	if (!signer)
		return -ENOMEM;
	(void)crypto_sign_seed_keypair(public, signer->secret, seed); /* cannot fail */
	*ret_signer = signer;
	return 0;
}

struct signer *signer_free(struct signer *signer) {
	if (signer)
		sodium_memzero(signer->secret, sizeof(signer->secret));
	free(signer);
	return NULL;
}

void signer_freep(struct signer **signer) {
	*signer = signer_free(*signer);
}

void signer_public(const struct signer *signer, uint8_t ret_public[SIGN_PUBLIC_LEN]) {
	memcpy(ret_public, signer->secret + SIGN_SEED_LEN, SIGN_PUBLIC_LEN);
}

int signer_sign(struct signer *signer, struct span bytes, uint8_t ret_sig[SIGN_SIGNATURE_LEN]) {
	return crypto_sign_detached(ret_sig, NULL, bytes.data, bytes.len, signer->secret) == 0 ? 0 : -EIO;
}

int verifier_new(const uint8_t key[SIGN_PUBLIC_LEN], struct verifier **ret_verifier) {
	struct verifier *verifier;

	if (sodium_init() < 0)
		return -EIO;
	/*
	 * In its one encoding, on the curve, and of the large order: under a key of small order one
	 * signature can fit many messages. See Chalkias, Garillot, Nikolaenko, "Taming the many
	 * EdDSAs" (2020).
	 */
	if (crypto_core_ed25519_is_valid_point(key) != 1)
		return SIGN_BAD_KEY;
	verifier = calloc(1, sizeof(*verifier));
	if (!verifier)
		return -ENOMEM;
	memcpy(verifier->key, key, sizeof(verifier->key));
	*ret_verifier = verifier;
	return 0;
}

struct verifier *verifier_free(struct verifier *verifier) {
	free(verifier);
	return NULL;
}

void verifier_freep(struct verifier **verifier) {
	*verifier = verifier_free(*verifier);
}

int verifier_check(
	struct verifier *verifier, struct span bytes, const uint8_t sig[SIGN_SIGNATURE_LEN]) {
	return crypto_sign_verify_detached(sig, bytes.data, bytes.len, verifier->key) == 0
		? 0 : SIGN_BAD_SIGNATURE;
}

int curve_public(const uint8_t secret[32], uint8_t ret_public[32]) {
	return crypto_scalarmult_base(ret_public, secret) == 0 ? 0 : -EIO;
}

bool curve_public_ok(const uint8_t key[32]) {
	static const uint8_t any[32] = { 1 };
	uint8_t shared[32];

	return crypto_scalarmult(shared, any, key) == 0;
}

int pair_key(const uint8_t secret[BOX_KEY_LEN], const uint8_t public[BOX_KEY_LEN], struct span purpose,
	uint8_t ret_key[SEAL_KEY_LEN]) {
	uint8_t shared[crypto_scalarmult_BYTES];
	SHA256_CTX ctx;

	if (sodium_init() < 0)
		return -EIO;
	if (crypto_scalarmult(shared, secret, public) != 0)
		return SIGN_BAD_KEY;
	SHA256_Init(&ctx);
	SHA256_Update(&ctx, shared, sizeof(shared));
	SHA256_Update(&ctx, purpose.data, purpose.len);
	SHA256_Final(ret_key, &ctx);
	sodium_memzero(shared, sizeof(shared));
	sodium_memzero(&ctx, sizeof(ctx));
	return 0;
}

enum {
	NONCE_LEN = 12,
	TAG_LEN = 16,
};
_Static_assert(SEAL_OVERHEAD == NONCE_LEN + TAG_LEN, "what stands before and behind");

static void cipher_freep(EVP_CIPHER_CTX **ctx) {
	EVP_CIPHER_CTX_free(*ctx);
}

int seal(const uint8_t key[SEAL_KEY_LEN], struct span owner, struct span plain, uint8_t *ret_sealed) {
	_cleanup_(cipher_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t *sealed = ret_sealed + NONCE_LEN;
	int len, r;

	assert(plain.len <= INT_MAX / 2 && owner.len <= INT_MAX / 2);
	if (!ctx)
		return -ENOMEM;
	r = random_bytes(ret_sealed, NONCE_LEN);
	if (r)
		return r;
	if (EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, ret_sealed) != 1 ||
		EVP_EncryptUpdate(ctx, NULL, &len, owner.data, (int)owner.len) != 1 ||
		EVP_EncryptUpdate(ctx, sealed, &len, plain.data, (int)plain.len) != 1 ||
		EVP_EncryptFinal_ex(ctx, sealed + plain.len, &len) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_LEN, sealed + plain.len) != 1)
		return -EIO;
	return 0;
}

int unseal(const uint8_t key[SEAL_KEY_LEN], struct span owner, struct span sealed, uint8_t *ret_plain) {
	_cleanup_(cipher_freep) EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	uint8_t tag[TAG_LEN];
	int n, len;

	if (!ctx)
		return -ENOMEM;
	if (sealed.len < SEAL_OVERHEAD || sealed.len > INT_MAX / 2)
		return SIGN_BAD_SEAL;
	n = (int)(sealed.len - SEAL_OVERHEAD);
	memcpy(tag, sealed.data + NONCE_LEN + n, TAG_LEN);
	if (EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed.data) != 1 ||
		EVP_DecryptUpdate(ctx, NULL, &len, owner.data, (int)owner.len) != 1 ||
		EVP_DecryptUpdate(ctx, ret_plain, &len, sealed.data + NONCE_LEN, n) != 1 ||
		EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_LEN, tag) != 1)
		return -EIO;
	if (EVP_DecryptFinal_ex(ctx, ret_plain + n, &len) == 1)
		return 0;
	sodium_memzero(ret_plain, (size_t)n); /* what did not verify is not to be looked at */
	return SIGN_BAD_SEAL;
}

_Static_assert(BOX_KEY_LEN == crypto_box_PUBLICKEYBYTES && BOX_KEY_LEN == crypto_box_SECRETKEYBYTES &&
		BOX_OVERHEAD == crypto_box_SEALBYTES, "X25519");

int box_seal(const uint8_t public[BOX_KEY_LEN], struct span plain, uint8_t *ret_sealed) {
	if (sodium_init() < 0)
		return -EIO;
	return crypto_box_seal(ret_sealed, plain.data, plain.len, public) == 0 ? 0 : SIGN_BAD_KEY;
}

int box_open(const uint8_t secret[BOX_KEY_LEN], struct span sealed, uint8_t *ret_plain) {
	uint8_t public[BOX_KEY_LEN];

	if (sodium_init() < 0)
		return -EIO;
	if (sealed.len < BOX_OVERHEAD || crypto_scalarmult_base(public, secret) != 0)
		return SIGN_BAD_SEAL;
	return crypto_box_seal_open(ret_plain, sealed.data, sealed.len, public, secret) == 0 ? 0 : SIGN_BAD_SEAL;
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

bool base64_decode(struct span text, uint8_t *ret_bytes, size_t len) {
	char again[BASE64_MAX(BASE64_DECODED_MAX)];
	size_t n;

	assert(len <= BASE64_DECODED_MAX);
	/* libsodium also takes letters with their highest bit set: what it read must be what is written of it */
	return sodium_base642bin(ret_bytes, len, (const char *)text.data, text.len, NULL, &n, NULL,
		       sodium_base64_VARIANT_ORIGINAL) == 0 && n == len &&
		base64_encode((struct span){ ret_bytes, len }, again) == text.len &&
		memcmp(again, text.data, text.len) == 0;
}

size_t base64_encode(struct span bytes, char *ret_text) {
	assert(bytes.len <= INT_MAX / 2);
	return EVP_EncodeBlock((unsigned char *)ret_text, bytes.data, bytes.len);
}

void base64url_encode(struct span bytes, char *ret_text) {
	(void)sodium_bin2base64(ret_text, sodium_base64_encoded_len(bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING),
		bytes.data, bytes.len, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

bool base64url_decode(struct span text, uint8_t *ret_bytes, size_t max, size_t *ret_len) {
	const char *end;

	return sodium_base642bin(ret_bytes, max, (const char *)text.data, text.len, " \t\r\n", ret_len, &end,
		       sodium_base64_VARIANT_URLSAFE_NO_PADDING) == 0 &&
		end == (const char *)text.data + text.len;
}
