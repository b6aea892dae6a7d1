/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/enrol.h"

#include <assert.h>
#include <errno.h>

enum {
	FILE_FIELDS = 2,    /* what is signed, and the signature */
	CONTENT_FIELDS = 2, /* address, chain */
	FRAMING_MAX = 128,  /* what a file has beside what is signed */
	DOMAIN_MAX = 32,
	OFFICE_PARTS = 3,   /* of the chain: body, former terms, former parents */
};

/* What is signed begins with its kind, so that no signature serves twice. */
static const char request_domain[] = "lienthong request 1\n";
static const char answer_domain[] = "lienthong answer 1\n";

/* Ed25519 wants its message in one piece. Returns its length. */
static size_t join(const char *domain, struct span content,
	uint8_t ret_text[DOMAIN_MAX + ENROL_FILE_MAX]) {
	size_t len = strlen(domain);

	assert(len <= DOMAIN_MAX && content.len <= ENROL_FILE_MAX);
	memcpy(ret_text, domain, len);
	memcpy(ret_text + len, content.data, content.len);
	return len + content.len;
}

/* @key is what the reader will verify with: a keyfile may have been exchanged for another. */
static int write_signed(const char *domain, const struct writer *content, struct signer *signer,
	const uint8_t key[SIGN_PUBLIC_LEN], struct writer *w) {
	uint8_t text[DOMAIN_MAX + ENROL_FILE_MAX];
	uint8_t signature[SIGN_SIGNATURE_LEN];
	uint8_t own[SIGN_PUBLIC_LEN];
	size_t len;
	int r;

	if (!writer_ok(content))
		return -EMSGSIZE;
	signer_public(signer, own);
	if (memcmp(own, key, sizeof(own)) != 0)
		return -EKEYREJECTED;
	len = join(domain, writer_span(content), text);
	r = signer_sign(signer, (struct span){ text, len }, signature);
	if (r)
		return r;
	write_array(w, FILE_FIELDS);
	write_bin(w, writer_span(content));
	write_bin(w, (struct span){ signature, sizeof(signature) });
	return writer_ok(w) ? 0 : -ENOMEM;
}

/* 0 or ENROL_MALFORMED. */
static int read_signed(struct span file, struct span *ret_content, struct span *ret_signature) {
	struct span content, signature;
	struct reader r;

	if (file.len > ENROL_FILE_MAX)
		return ENROL_MALFORMED;
	reader_init(&r, file);
	read_array(&r, FILE_FIELDS, FILE_FIELDS);
	content = read_bin(&r, 1, ENROL_FILE_MAX);
	signature = read_bin(&r, SIGN_SIGNATURE_LEN, SIGN_SIGNATURE_LEN);
	read_end(&r);
	if (reader_done(&r) != 0)
		return ENROL_MALFORMED;
	*ret_content = content;
	*ret_signature = signature;
	return 0;
}

/* 0, ENROL_BAD_SIGNATURE or -errno. */
static int check_signed(const char *domain, struct span content, struct span signature,
	const uint8_t key[SIGN_PUBLIC_LEN]) {
	_cleanup_(verifier_freep) struct verifier *verifier = NULL;
	uint8_t text[DOMAIN_MAX + ENROL_FILE_MAX];
	size_t len = join(domain, content, text);
	int r;

	r = verifier_new(key, &verifier);
	if (r == 0)
		r = verifier_check(verifier, (struct span){ text, len }, signature.data);
	return r > 0 ? ENROL_BAD_SIGNATURE : r; /* a key that none can sign with included */
}

static int write_office(struct writer *w, const struct enrol_office *entry) {
	uint8_t body[OFFICE_BODY_MAX];
	struct writer office;

	writer_init(&office, body, sizeof(body));
	office_encode(&entry->office, &office);
	write_array(w, OFFICE_PARTS);
	write_bin(w, writer_span(&office));
	office_former_write(w, &entry->former);
	office_parents_write(w, &entry->parents);
	return writer_ok(&office) ? 0 : -EMSGSIZE;
}

static void read_office(struct reader *r, struct enrol_office *ret_entry) {
	read_array(r, OFFICE_PARTS, OFFICE_PARTS);
	if (office_decode(read_bin(r, 1, ENROL_FILE_MAX), &ret_entry->office) != 0 ||
		!curve_public_ok(ret_entry->office.curve_key))
		reader_fail(r);
	office_former_read(r, &ret_entry->former);
	office_parents_read(r, &ret_entry->parents);
	read_end(r);
}

int enrol_request_write(const struct office *office, struct signer *own, struct writer *w) {
	uint8_t body[OFFICE_BODY_MAX];
	struct writer content;

	writer_init(&content, body, sizeof(body));
	office_encode(office, &content);
	return write_signed(request_domain, &content, own, office->sign_key, w);
}

int enrol_request_read(struct span file, struct office *ret_office) {
	struct span body, signature;
	struct office office;
	int r;

	r = read_signed(file, &body, &signature);
	if (r)
		return r;
	if (office_decode(body, &office) != 0 || !id_is_nil(&office.parent) || !curve_public_ok(office.curve_key))
		return ENROL_MALFORMED;
	r = check_signed(request_domain, body, signature, office.sign_key);
	if (r)
		return r;
	*ret_office = office;
	return 0;
}

int enrol_answer_write(const struct enrol_answer *answer, struct signer *parent, struct writer *w) {
	uint8_t buf[ENROL_FILE_MAX - FRAMING_MAX];
	struct writer content;

	assert(answer->n_chain >= 2 && answer->n_chain <= ENROL_CHAIN_MAX);
	writer_init(&content, buf, sizeof(buf));
	write_array(&content, CONTENT_FIELDS);
	write_str(&content, answer->address);
	write_array(&content, answer->n_chain);
	for (size_t i = 0; i < answer->n_chain; i++) {
		int r = write_office(&content, &answer->chain[i]);

		if (r)
			return r;
	}
	return write_signed(answer_domain, &content, parent,
		answer->chain[answer->n_chain - 2].office.sign_key, w);
}

/* Each office under the one before it, the first under none, and none twice. */
static bool is_chain(const struct enrol_answer *answer) {
	static const struct id nil;
	const struct id *above = &nil;

	for (size_t i = 0; i < answer->n_chain; i++) {
		const struct office *office = &answer->chain[i].office;

		if (id_is_nil(&office->id) || !id_eq(&office->parent, above))
			return false;
		for (size_t j = 0; j < i; j++)
			if (id_eq(&office->id, &answer->chain[j].office.id))
				return false;
		above = &office->id;
	}
	return true;
}

/* 0 or ENROL_MALFORMED. */
static int read_content(struct span content, struct enrol_answer *ret_answer) {
	struct reader r;

	reader_init(&r, content);
	read_array(&r, CONTENT_FIELDS, CONTENT_FIELDS);
	ret_answer->address = read_line(&r, 1, ENROL_ADDRESS_MAX);
	ret_answer->n_chain = read_array(&r, 2, ENROL_CHAIN_MAX);
	for (size_t i = 0; i < ret_answer->n_chain && !r.failed; i++)
		read_office(&r, &ret_answer->chain[i]);
	read_end(&r);
	read_end(&r);
	return reader_done(&r) != 0 || !is_chain(ret_answer) ? ENROL_MALFORMED : 0;
}

int enrol_answer_read(struct span file, struct enrol_answer *ret_answer) {
	struct span content, signature;
	int r;

	r = read_signed(file, &content, &signature);
	if (r)
		return r;
	r = read_content(content, ret_answer);
	if (r)
		return r;
	return check_signed(answer_domain, content, signature,
		ret_answer->chain[ret_answer->n_chain - 2].office.sign_key);
}
