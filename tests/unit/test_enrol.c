/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <errno.h>

#include "proto/enrol.h"

enum {
	LEVELS = 3, /* province, district, commune */
};

/* An office and the key it signs with. */
struct node {
	struct signer *signer;
	struct office office;
};

static void node_done(struct node *node) {
	signer_free(node->signer);
}

static struct node make_node(uint8_t number) {
	static const char *const levels[LEVELS] = { "province", "district", "commune" };
	static const char *const names[LEVELS] = { "Đà Nẵng", "Hòa Vang", "Hòa Bắc" };
	static const uint8_t digits[LEVELS] = { 2, 3, 5 };
	uint8_t seed[SIGN_SEED_LEN] = { number + 1 };
	struct node node = { .office = {
		.id = { { 0x01, 0x8f, [15] = number + 1 } },
		.code = 48 + number,
		.code_digits = digits[number % LEVELS],
		.state = OFFICE_ACTIVE,
		.valid_from_ms = 1714545600000,
		.level = span_str(levels[number % LEVELS]),
		.name = span_str(names[number % LEVELS]),
	} };

	cr_assert_eq(signer_new(seed, &node.signer), 0);
	signer_public(node.signer, node.office.sign_key);
	memset(node.office.curve_key, number + 1, sizeof(node.office.curve_key));
	return node;
}

static bool office_eq(const struct office *a, const struct office *b) {
	return id_eq(&a->id, &b->id) && id_eq(&a->parent, &b->parent) && a->code == b->code &&
		a->code_digits == b->code_digits && a->state == b->state &&
		a->valid_from_ms == b->valid_from_ms && span_eq(a->level, b->level) &&
		span_eq(a->name, b->name) && memcmp(a->sign_key, b->sign_key, sizeof(a->sign_key)) == 0 &&
		memcmp(a->curve_key, b->curve_key, sizeof(a->curve_key)) == 0;
}

/* A chain of @n offices; the last but one signs. */
static struct enrol_answer make_answer(size_t n, struct node *ret_parent) {
	struct enrol_answer answer = { .address = span_str("tcp://10.0.0.1:7401"), .n_chain = n };

	for (size_t i = 0; i < n; i++) {
		struct node node = make_node(i);

		answer.chain[i].office = node.office;
		if (i > 0)
			answer.chain[i].office.parent = answer.chain[i - 1].office.id;
		if (i == n - 2)
			*ret_parent = node;
		else
			node_done(&node);
	}
	return answer;
}

/* Signs @content as a file, as the module does, so that a well-signed wrong content can be made. */
static struct span sign_file(struct signer *signer, const char *domain, struct span content,
	struct writer *w) {
	uint8_t text[2 * ENROL_FILE_MAX], signature[SIGN_SIGNATURE_LEN];
	size_t len = strlen(domain);

	memcpy(text, domain, len);
	memcpy(text + len, content.data, content.len);
	cr_assert_eq(signer_sign(signer, (struct span){ text, len + content.len }, signature), 0);
	write_array(w, 2);
	write_bin(w, content);
	write_bin(w, (struct span){ signature, sizeof(signature) });
	cr_assert(writer_ok(w));
	return writer_span(w);
}

static struct span answer_content(const struct enrol_answer *answer, struct writer *w) {
	write_array(w, 2);
	write_str(w, answer->address);
	write_array(w, answer->n_chain);
	for (size_t i = 0; i < answer->n_chain; i++) {
		uint8_t body[1024];
		struct writer office;

		writer_init(&office, body, sizeof(body));
		office_encode(&answer->chain[i].office, &office);
		write_array(w, 3);
		write_bin(w, writer_span(&office));
		office_former_write(w, &answer->chain[i].former);
		office_parents_write(w, &answer->chain[i].parents);
	}
	cr_assert(writer_ok(w));
	return writer_span(w);
}

Test(enrol, a_request_is_read_as_it_is_written) {
	_cleanup_(node_done) struct node node = make_node(2);
	uint8_t file[ENROL_FILE_MAX];
	struct office office;
	struct writer w;

	writer_init(&w, file, sizeof(file));
	cr_assert_eq(enrol_request_write(&node.office, node.signer, &w), 0);
	cr_assert_eq(enrol_request_read(writer_span(&w), &office), 0);
	cr_expect(office_eq(&office, &node.office));
}

Test(enrol, an_answer_is_read_as_it_is_written) {
	for (size_t n = 2; n <= ENROL_CHAIN_MAX; n++) {
		_cleanup_(node_done) struct node parent = { 0 };
		struct enrol_answer answer = make_answer(n, &parent), again;
		uint8_t file[ENROL_FILE_MAX];
		struct writer w;

		writer_init(&w, file, sizeof(file));
		cr_assert_eq(enrol_answer_write(&answer, parent.signer, &w), 0);
		cr_assert_eq(enrol_answer_read(writer_span(&w), &again), 0, "%zu levels", n);
		cr_expect(span_eq(again.address, answer.address));
		cr_assert_eq(again.n_chain, n);
		for (size_t i = 0; i < n; i++)
			cr_expect(office_eq(&again.chain[i].office, &answer.chain[i].office), "office %zu", i);
	}
}

Test(enrol, the_largest_answer_fits_a_file) {
	_cleanup_(node_done) struct node parent = { 0 };
	struct enrol_answer answer = make_answer(ENROL_CHAIN_MAX, &parent), again;
	char text[ENROL_ADDRESS_MAX];
	uint8_t file[ENROL_FILE_MAX];
	struct writer w;

	memset(text, 'a', sizeof(text));
	answer.address = (struct span){ (uint8_t *)text, ENROL_ADDRESS_MAX };
	for (size_t i = 0; i < ENROL_CHAIN_MAX; i++) {
		answer.chain[i].office.level = (struct span){ (uint8_t *)text, OFFICE_LEVEL_MAX };
		answer.chain[i].office.name = (struct span){ (uint8_t *)text, OFFICE_NAME_MAX };
		answer.chain[i].office.valid_from_ms = TIME_MAX_MS;
	}
	writer_init(&w, file, sizeof(file));
	cr_assert_eq(enrol_answer_write(&answer, parent.signer, &w), 0);
	cr_expect_eq(enrol_answer_read(writer_span(&w), &again), 0);
}

/* Whatever is changed or cut off, the file is no longer one. */
Test(enrol, every_changed_byte_is_refused) {
	_cleanup_(node_done) struct node node = make_node(2), parent = { 0 };
	struct enrol_answer answer = make_answer(LEVELS, &parent), again;
	struct office office;

	for (int is_answer = 0; is_answer <= 1; is_answer++) {
		uint8_t file[ENROL_FILE_MAX];
		struct writer w;

		writer_init(&w, file, sizeof(file) - 1);
		cr_assert_eq(is_answer ? enrol_answer_write(&answer, parent.signer, &w)
				       : enrol_request_write(&node.office, node.signer, &w), 0);
		for (size_t i = 0; i < w.len; i++) {
			int r;

			file[i] ^= 1 << i % 8;
			r = is_answer ? enrol_answer_read(writer_span(&w), &again)
				      : enrol_request_read(writer_span(&w), &office);
			cr_expect(r == ENROL_MALFORMED || r == ENROL_BAD_SIGNATURE, "byte %zu: %d", i, r);
			file[i] ^= 1 << i % 8;
			r = is_answer ? enrol_answer_read((struct span){ file, i }, &again)
				      : enrol_request_read((struct span){ file, i }, &office);
			cr_expect_eq(r, ENROL_MALFORMED, "cut at %zu", i);
		}
		file[w.len] = 0;
		cr_expect_eq(is_answer ? enrol_answer_read((struct span){ file, w.len + 1 }, &again)
				       : enrol_request_read((struct span){ file, w.len + 1 }, &office),
			ENROL_MALFORMED);
	}
}

Test(enrol, one_kind_of_file_does_not_serve_as_the_other) {
	_cleanup_(node_done) struct node node = make_node(2);
	uint8_t body[1024], file[ENROL_FILE_MAX];
	struct writer content, w;
	struct office office;

	writer_init(&content, body, sizeof(body));
	office_encode(&node.office, &content);
	writer_init(&w, file, sizeof(file));
	cr_expect_eq(enrol_request_read(sign_file(node.signer, "lienthong request 1\n",
		writer_span(&content), &w), &office), 0);
	writer_init(&w, file, sizeof(file));
	cr_expect_eq(enrol_request_read(sign_file(node.signer, "lienthong answer 1\n",
		writer_span(&content), &w), &office), ENROL_BAD_SIGNATURE);
	writer_init(&w, file, sizeof(file));
	cr_expect_eq(enrol_request_read(sign_file(node.signer, "", writer_span(&content), &w), &office),
		ENROL_BAD_SIGNATURE);
}

Test(enrol, a_request_names_its_office_and_no_parent) {
	_cleanup_(node_done) struct node node = make_node(2);
	uint8_t file[ENROL_FILE_MAX];
	struct office office;
	struct writer w;

	node.office.parent = (struct id){ { 7 } };
	writer_init(&w, file, sizeof(file));
	cr_assert_eq(enrol_request_write(&node.office, node.signer, &w), 0);
	cr_expect_eq(enrol_request_read(writer_span(&w), &office), ENROL_MALFORMED);
	node.office.parent = node.office.id = (struct id){ { 0 } };
	writer_init(&w, file, sizeof(file));
	cr_assert_eq(enrol_request_write(&node.office, node.signer, &w), 0);
	cr_expect_eq(enrol_request_read(writer_span(&w), &office), ENROL_MALFORMED);
}

Test(enrol, a_key_that_none_can_sign_with_is_a_bad_signature) {
	_cleanup_(node_done) struct node node = make_node(2);
	uint8_t body[1024], file[ENROL_FILE_MAX];
	struct writer content, w;
	struct office office;

	memset(node.office.sign_key, 0, sizeof(node.office.sign_key)); /* of order 4 */
	writer_init(&content, body, sizeof(body));
	office_encode(&node.office, &content);
	writer_init(&w, file, sizeof(file));
	cr_expect_eq(enrol_request_read(sign_file(node.signer, "lienthong request 1\n",
		writer_span(&content), &w), &office), ENROL_BAD_SIGNATURE);
}

Test(enrol, a_key_with_which_all_share_one_secret_is_malformed) {
	_cleanup_(node_done) struct node node = make_node(2);
	uint8_t file[ENROL_FILE_MAX];
	struct office office;
	struct writer w;

	for (uint8_t n = 0; n < 2; n++) { /* of orders 2 and 4 */
		memset(node.office.curve_key, 0, sizeof(node.office.curve_key));
		node.office.curve_key[0] = n;
		writer_init(&w, file, sizeof(file));
		cr_assert_eq(enrol_request_write(&node.office, node.signer, &w), 0);
		cr_expect_eq(enrol_request_read(writer_span(&w), &office), ENROL_MALFORMED);
	}
}

enum fault {
	NO_FAULT,
	PARENT_SKIPPED,
	TOPMOST_HAS_PARENT,
	OFFICE_TWICE,
	OFFICE_NIL,
	ADDRESS_EMPTY,
	ADDRESS_LONG,
	ADDRESS_TERMINAL,
	TOO_SHORT,
	KEY_OF_SMALL_ORDER,
	FOLLOWED_BY_MORE,
	SIGNED_BY_CHILD,
	SIGNED_BY_TOPMOST,
	FAULT_N,
};

Test(enrol, a_well_signed_answer_must_also_be_a_chain) {
	static const int wants[FAULT_N] = { [NO_FAULT] = 0, [PARENT_SKIPPED ... FOLLOWED_BY_MORE] = ENROL_MALFORMED,
		[SIGNED_BY_CHILD ... SIGNED_BY_TOPMOST] = ENROL_BAD_SIGNATURE };

	for (enum fault fault = NO_FAULT; fault < FAULT_N; fault++) {
		_cleanup_(node_done) struct node parent = { 0 }, child = make_node(LEVELS - 1),
						 topmost = make_node(0);
		struct enrol_answer answer = make_answer(LEVELS, &parent), again;
		struct signer *signer = parent.signer;
		uint8_t buf[ENROL_FILE_MAX], file[ENROL_FILE_MAX];
		char address[ENROL_ADDRESS_MAX + 1];
		struct writer content, w;

		memset(address, 'a', sizeof(address));
		switch (fault) {
		case NO_FAULT:
		case FOLLOWED_BY_MORE:
		case FAULT_N:
			break;
		case PARENT_SKIPPED:
			answer.chain[2].office.parent = answer.chain[0].office.id;
			break;
		case TOPMOST_HAS_PARENT:
			answer.chain[0].office.parent = (struct id){ { 9 } };
			break;
		case OFFICE_TWICE:
			answer.chain[2].office.id = answer.chain[0].office.id;
			break;
		case OFFICE_NIL:
			answer.chain[2].office.id = (struct id){ { 0 } };
			break;
		case ADDRESS_EMPTY:
			answer.address.len = 0;
			break;
		case ADDRESS_LONG:
			answer.address = (struct span){ (uint8_t *)address, sizeof(address) };
			break;
		case ADDRESS_TERMINAL:
			answer.address = span_str("tcp://\x1b[2J");
			break;
		case TOO_SHORT:
			answer.n_chain = 1;
			break;
		case KEY_OF_SMALL_ORDER:
			memset(answer.chain[LEVELS - 2].office.curve_key, 0, OFFICE_CURVE_LEN);
			break;
		case SIGNED_BY_CHILD:
			signer = child.signer;
			break;
		case SIGNED_BY_TOPMOST:
			signer = topmost.signer;
			break;
		}
		writer_init(&content, buf, sizeof(buf));
		answer_content(&answer, &content);
		if (fault == FOLLOWED_BY_MORE)
			write_nil(&content);
		writer_init(&w, file, sizeof(file));
		cr_expect_eq(enrol_answer_read(sign_file(signer, "lienthong answer 1\n",
			writer_span(&content), &w), &again), wants[fault], "fault %d", fault);
	}
}

Test(enrol, a_file_that_could_not_be_read_back_is_not_written) {
	_cleanup_(node_done) struct node node = make_node(2), parent = { 0 };
	struct enrol_answer answer = make_answer(LEVELS, &parent);
	uint8_t file[ENROL_FILE_MAX];
	struct writer w;

	writer_init(&w, file, sizeof(file));
	cr_expect_eq(enrol_request_write(&node.office, parent.signer, &w), -EKEYREJECTED);
	cr_expect_eq(enrol_answer_write(&answer, node.signer, &w), -EKEYREJECTED);
	cr_expect_eq(w.len, 0);
	writer_init(&w, file, 100);
	cr_expect_eq(enrol_request_write(&node.office, node.signer, &w), -ENOMEM);
}
