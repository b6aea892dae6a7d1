/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>

#include "proto/sign.h"
#include "tests/unit/hex.h"

/* RFC 8032, 7.1: tests 1 to 3 */
static const struct vector {
	const char *seed, *public, *message, *signature;
} vectors[] = {
	{ "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
		"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
		"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc6"
		"1e39701cf9b46bd25bf5f0595bbe24655141438e7a100b" },
	{ "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
		"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
		"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e45"
		"8f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00" },
	{ "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
		"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
		"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae"
		"67f760984dc6594a7c15e9716ed28dc027beceea1ec40a" },
};

/* A key and a message signed with it. */
struct signed_message {
	uint8_t public[SIGN_PUBLIC_LEN];
	uint8_t message[8];
	uint8_t signature[SIGN_SIGNATURE_LEN];
	struct span span;
};

static void read_vector(const struct vector *v, struct signed_message *ret) {
	from_hex(v->public, ret->public, sizeof(ret->public));
	from_hex(v->signature, ret->signature, sizeof(ret->signature));
	ret->span.len = from_hex(v->message, ret->message, sizeof(ret->message));
	ret->span.data = ret->message;
}

static int verify_once(const uint8_t *key, struct span bytes, const uint8_t *signature) {
	_cleanup_(verifier_freep) struct verifier *verifier = NULL;

	cr_assert_eq(verifier_new(key, &verifier), 0);
	return verifier_check(verifier, bytes, signature);
}

Test(sign, signs_and_verifies_as_rfc_8032_says) {
	for (size_t i = 0; i < N_ELEMENTS(vectors); i++) {
		_cleanup_(signer_freep) struct signer *signer = NULL;
		uint8_t seed[SIGN_SEED_LEN], public[SIGN_PUBLIC_LEN], signature[SIGN_SIGNATURE_LEN];
		struct signed_message want;

		read_vector(&vectors[i], &want);
		from_hex(vectors[i].seed, seed, sizeof(seed));
		cr_assert_eq(signer_new(seed, &signer), 0);
		signer_public(signer, public);
		cr_expect_arr_eq(public, want.public, sizeof(public), "vector %zu", i);
		for (int again = 0; again < 2; again++) {
			cr_assert_eq(signer_sign(signer, want.span, signature), 0);
			cr_expect_arr_eq(signature, want.signature, sizeof(signature), "vector %zu", i);
		}
		cr_expect_eq(verify_once(want.public, want.span, want.signature), 0, "vector %zu", i);
	}
}

Test(sign, a_verifier_serves_again_after_good_and_bad_signatures) {
	_cleanup_(verifier_freep) struct verifier *verifier = NULL;
	struct signed_message m;

	read_vector(&vectors[2], &m);
	cr_assert_eq(verifier_new(m.public, &verifier), 0);
	for (int i = 0; i < 3; i++) {
		cr_expect_eq(verifier_check(verifier, m.span, m.signature), 0);
		m.signature[i] ^= 1;
		cr_expect_eq(verifier_check(verifier, m.span, m.signature), SIGN_BAD_SIGNATURE);
		m.signature[i] ^= 1;
	}
}

Test(sign, every_changed_bit_is_a_bad_signature) {
	_cleanup_(verifier_freep) struct verifier *verifier = NULL;
	struct signed_message m;

	read_vector(&vectors[2], &m);
	cr_assert_eq(verifier_new(m.public, &verifier), 0);
	for (size_t i = 0; i < 8 * sizeof(m.signature); i++) {
		m.signature[i / 8] ^= 1 << i % 8;
		cr_expect_eq(verifier_check(verifier, m.span, m.signature), SIGN_BAD_SIGNATURE, "bit %zu", i);
		m.signature[i / 8] ^= 1 << i % 8;
	}
	for (size_t i = 0; i < 8 * m.span.len; i++) {
		m.message[i / 8] ^= 1 << i % 8;
		cr_expect_eq(verifier_check(verifier, m.span, m.signature), SIGN_BAD_SIGNATURE, "bit %zu", i);
		m.message[i / 8] ^= 1 << i % 8;
	}
}

Test(sign, a_signature_has_no_second_form) {
	/* the order of the group, RFC 8032, 5.1: S + L satisfies the same equation as S */
	static const char order[] = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";
	struct signed_message m;
	uint8_t l[32];
	unsigned carry = 0;

	read_vector(&vectors[0], &m);
	from_hex(order, l, sizeof(l));
	for (size_t i = 0; i < sizeof(l); i++) {
		carry += m.signature[32 + i] + l[i];
		m.signature[32 + i] = carry;
		carry >>= 8;
	}
	cr_assert_eq(carry, 0);
	cr_expect_eq(verify_once(m.public, m.span, m.signature), SIGN_BAD_SIGNATURE);
}

/* The encodings of the eight points of small order, the ones that only a lax reader takes too. */
Test(sign, a_key_of_small_order_is_no_key) {
	static const char *const encodings[] = {
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0000000000000000000000000000000000000000000000000000000000000080",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000080",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	};

	for (size_t i = 0; i < N_ELEMENTS(encodings); i++) {
		struct verifier *verifier = NULL;
		uint8_t key[SIGN_PUBLIC_LEN];

		from_hex(encodings[i], key, sizeof(key));
		cr_expect_eq(verifier_new(key, &verifier), SIGN_BAD_KEY, "%s", encodings[i]);
		cr_expect_null(verifier);
	}
}

/* Of y = 0 to 63, computed apart with integers of another language: on the curve and of its large order. */
Test(sign, a_key_that_is_no_point_is_no_key) {
	static const char good[] = "0000000000000000000000000010000000000100000000000001001010000000";

	for (size_t y = 0; y < sizeof(good) - 1; y++) {
		_cleanup_(verifier_freep) struct verifier *verifier = NULL;
		uint8_t key[SIGN_PUBLIC_LEN] = { y };

		cr_expect_eq(verifier_new(key, &verifier), good[y] == '1' ? 0 : SIGN_BAD_KEY,
			"y = %zu", y);
	}
}

/* y + p for y = 2 to 18 still fits in 255 bits. */
Test(sign, a_key_has_no_second_encoding) {
	for (unsigned low = 0xed; low <= 0xff; low++) {
		struct verifier *verifier = NULL;
		uint8_t key[SIGN_PUBLIC_LEN];

		memset(key, 0xff, sizeof(key));
		key[0] = low;
		cr_expect_eq(verifier_new(key, &verifier), SIGN_BAD_KEY, "lowest byte %x", low);
		key[31] = 0x7f;
		cr_expect_eq(verifier_new(key, &verifier), SIGN_BAD_KEY, "lowest byte %x", low);
	}
}

Test(sign, every_generated_key_is_accepted) {
	for (unsigned i = 0; i < 200; i++) {
		_cleanup_(signer_freep) struct signer *signer = NULL;
		uint8_t seed[SIGN_SEED_LEN] = { i }, public[SIGN_PUBLIC_LEN];
		uint8_t signature[SIGN_SIGNATURE_LEN];

		cr_assert_eq(signer_new(seed, &signer), 0);
		signer_public(signer, public);
		cr_assert_eq(signer_sign(signer, span_str("a"), signature), 0);
		cr_expect_eq(verify_once(public, span_str("a"), signature), 0, "seed %u", i);
		cr_expect_eq(verify_once(public, span_str("b"), signature), SIGN_BAD_SIGNATURE);
	}
}

Test(sign, what_is_sealed_opens_with_its_key_for_its_owner_and_unaltered) {
	static const char text[] = "Nguyễn Văn A, 0900 000 000";
	const struct span owner = span_str("one record"), plain = span_str(text);
	uint8_t key[SEAL_KEY_LEN] = { 1 }, other_key[SEAL_KEY_LEN] = { 2 };
	uint8_t sealed[sizeof(text) + SEAL_OVERHEAD], again[sizeof(sealed)], opened[sizeof(text)];
	const struct span bytes = { sealed, plain.len + SEAL_OVERHEAD };

	cr_assert_eq(seal(key, owner, plain, sealed), 0);
	cr_expect_eq(unseal(key, owner, bytes, opened), 0);
	cr_expect_arr_eq(opened, text, plain.len);
	cr_expect_null(memmem(sealed, bytes.len, text, 6));
	cr_expect_eq(unseal(other_key, owner, bytes, opened), SIGN_BAD_SEAL);
	cr_expect_eq(unseal(key, span_str("another"), bytes, opened), SIGN_BAD_SEAL);
	for (size_t i = 0; i < bytes.len; i++) {
		sealed[i] ^= 1;
		cr_expect_eq(unseal(key, owner, bytes, opened), SIGN_BAD_SEAL, "byte %zu", i);
		sealed[i] ^= 1;
	}
	for (size_t len = 0; len < bytes.len; len++)
		cr_expect_eq(unseal(key, owner, (struct span){ sealed, len }, opened), SIGN_BAD_SEAL);
	cr_assert_eq(seal(key, owner, plain, again), 0);
	cr_expect_arr_neq(sealed, again, bytes.len, "no two seals are the same");
	cr_assert_eq(seal(key, owner, (struct span){ 0 }, sealed), 0);
	cr_expect_eq(unseal(key, owner, (struct span){ sealed, SEAL_OVERHEAD }, opened), 0);
}

/* Test case 16 of the GCM specification (McGrew, Viega), which NIST's document refers to. */
Test(sign, opens_what_the_specification_sealed) {
	uint8_t key[SEAL_KEY_LEN], owner[20], plain[60], sealed[60 + SEAL_OVERHEAD], opened[60];

	from_hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", key, sizeof(key));
	from_hex("feedfacedeadbeeffeedfacedeadbeefabaddad2", owner, sizeof(owner));
	from_hex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e"
		 "2449a6b525b16aedf5aa0de657ba637b39", plain, sizeof(plain));
	from_hex("cafebabefacedbaddecaf888"
		 "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b"
		 "1056828838c5f61e6393ba7a0abcc9f662"
		 "76fc6ece0f4e1768cddf8853bb2d551b", sealed, sizeof(sealed));
	cr_assert_eq(unseal(key, (struct span){ owner, sizeof(owner) },
			(struct span){ sealed, sizeof(sealed) }, opened), 0);
	cr_expect_arr_eq(opened, plain, sizeof(plain));
}

Test(sign, hashes_as_fips_180_4_says) {
	static const struct {
		const char *text, *want;
	} steps[] = {
		{ "", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
		{ "abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
		{ "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
			"248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
	};

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		struct span whole = span_str(steps[i].text);
		struct hash hash, want;

		from_hex(steps[i].want, want.b, sizeof(want.b));
		sha256(whole, &hash);
		cr_expect_arr_eq(hash.b, want.b, sizeof(hash.b), "%zu", i);
		for (size_t cut = 1; cut <= whole.len; cut++) {
			struct span a = { whole.data + 1, cut - 1 };
			struct span b = { whole.data + cut, whole.len - cut };

			sha256_prefixed(whole.data[0], a, b, &hash);
			cr_expect_arr_eq(hash.b, want.b, sizeof(hash.b), "%zu cut at %zu", i, cut);
		}
	}
}

Test(sign, base64_is_that_of_rfc_4648) {
	static const char *const steps[][2] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" },
		{ "foobar", "Zm9vYmFy" }, { "\xfb\xff", "+/8=" } };

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		struct span bytes = span_str(steps[i][0]);
		char text[BASE64_MAX(6)];

		cr_assert(BASE64_MAX(bytes.len) <= sizeof(text));
		cr_expect_eq(base64_encode(bytes, text), strlen(steps[i][1]));
		cr_expect_str_eq(text, steps[i][1]);
	}
}

Test(sign, random_bytes_differ_and_fill_all_that_is_asked) {
	static const uint8_t zeroes[64];
	uint8_t a[1000], b[1000];

	cr_assert_eq(random_bytes(a, sizeof(a)), 0);
	cr_assert_eq(random_bytes(b, sizeof(b)), 0);
	cr_expect_arr_neq(a, b, sizeof(a));
	for (size_t i = 0; i + sizeof(zeroes) <= sizeof(a); i += sizeof(zeroes))
		cr_expect_arr_neq(a + i, zeroes, sizeof(zeroes));
	cr_expect_eq(random_bytes(NULL, 0), 0);
}
