/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Holds every example of proto/PROTOCOL.md against the code. An example is a fenced block after a
 * line "<!-- example: NAME -->": in hexadecimal, one element or the head of an array after the
 * other, each ended by a comment that begins with "#" and says what it is. Numbers and texts must
 * be in the comment of their element: the page cannot say one thing and its bytes another.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/compress.h"
#include "proto/control.h"
#include "proto/merkle.h"
#include "tests/kinds.h"
#include "tests/messages.h"
#include "tests/unit/hex.h"

enum {
	PAGE_MAX = 256 * 1024,
	EXAMPLE_MAX = 4096,
};

#define MARK "<!-- example: "

/* The page from example @name on; the caller frees @ret_page. */
static const char *find_example(const char *name, char **ret_page) {
	const char *root = getenv("SOURCE_ROOT"), *found;
	char path[4096], mark[128], *page = calloc(1, PAGE_MAX);
	FILE *file;

	snprintf(path, sizeof(path), "%s/proto/PROTOCOL.md", root ? root : ".");
	snprintf(mark, sizeof(mark), MARK "%s -->", name);
	file = fopen(path, "r");
	cr_assert(page && file, "%s", path);
	cr_assert(fread(page, 1, PAGE_MAX - 1, file) < PAGE_MAX - 1);
	fclose(file);
	found = strstr(page, mark);
	cr_assert(found, "the page has no example of %s", name);
	*ret_page = page;
	return found;
}

/* What @comment says of the element in @bytes, as far as it is a number or a text, must be true. */
static void check_comment(const char *name, struct span bytes, const char *comment) {
	char want[64];
	struct reader r;

	reader_init(&r, bytes);
	switch (reader_peek(&r)) {
	case VALUE_UINT:
		snprintf(want, sizeof(want), " %llu", (unsigned long long)read_uint(&r, UINT64_MAX));
		break;
	case VALUE_STR: {
		struct span text = read_str(&r, 0, SIZE_MAX);

		snprintf(want, sizeof(want), "\"%.*s\"", (int)text.len, (const char *)text.data);
		break;
	}
	default:
		return;
	}
	cr_expect_eq(reader_done(&r), 0, "%s: one element before %s", name, comment);
	cr_expect(strstr(comment, want), "%s: \"%s\" does not say %s", name, comment, want);
}

/* The bytes of the example @name, into @ret_bytes; returns their number. */
static size_t read_example(const char *name, uint8_t ret_bytes[EXAMPLE_MAX]) {
	char *page, *line, *lines;
	size_t n = 0, element = 0;

	line = strstr(find_example(name, &page), "\n```\n");
	cr_assert(line, "%s: no block follows", name);
	for (line = strtok_r(line + 5, "\n", &lines); line && strcmp(line, "```") != 0;
		line = strtok_r(NULL, "\n", &lines)) {
		unsigned byte;
		int len;

		while (sscanf(line, " %2x%n", &byte, &len) == 1) {
			cr_assert(n < EXAMPLE_MAX);
			ret_bytes[n++] = byte;
			line += len;
		}
		line += strspn(line, " ");
		cr_assert(*line == '#' || *line == '\0', "%s: \"%s\"", name, line);
		if (*line == '#') {
			check_comment(name, (struct span){ ret_bytes + element, n - element }, line);
			element = n;
		}
	}
	cr_expect_eq(element, n, "%s: the last element has no comment", name);
	free(page);
	return n;
}

/* The record that the page gives for a kind. */
static void write_record(uint8_t kind, struct writer *w) {
	struct record rec = {
		.kind = kind,
		.organisation = ORGANISATION_FRONT,
		.time_ms = 1717200000123,
		.id = SAMPLE_CASE,
	};
	uint8_t buf[EXAMPLE_MAX];
	struct writer body;

	if (kind != KIND_PETITION)
		rec.id.b[15] += kind;
	if (kind == KIND_PETITION) {
		rec.has_commitment = true;
		memset(rec.commitment.b, 0xc3, sizeof(rec.commitment.b));
	}
	writer_init(&body, buf, sizeof(buf));
	sample_body(kind, &body);
	rec.body = writer_span(&body);
	cr_assert_eq(record_encode(&rec, &SAMPLE_OFFICE, kind == KIND_STEP, w), 0);
}

static void check_record(struct span example, uint8_t kind) {
	uint8_t body[EXAMPLE_MAX], want[EXAMPLE_MAX];
	struct record rec;
	struct writer w;

	cr_assert_eq(record_decode(example, &rec), 0);
	cr_expect_eq(rec.kind, kind);
	writer_init(&w, body, sizeof(body));
	cr_assert(reencode_body(kind, rec.body, &w));
	cr_expect(span_eq(writer_span(&w), rec.body));
	writer_init(&w, want, sizeof(want));
	write_record(kind, &w);
	cr_expect(span_eq(writer_span(&w), example));
}

static void check_since(struct span example, uint8_t unused) {
	struct request request;
	uint8_t want[64];
	struct writer w;

	cr_assert_eq(control_request_decode(example, &request), 0);
	cr_expect_eq(request.command, COMMAND_SINCE);
	writer_init(&w, want, sizeof(want));
	control_write_since(&w, request.number, request.since, request.max);
	cr_expect(span_eq(writer_span(&w), example));
}

static void check_failure(struct span example, uint8_t unused) {
	struct answer answer;
	uint8_t want[64];
	struct writer w;

	cr_assert_eq(control_answer_decode(example, &answer), 0);
	cr_expect_eq(answer.result, CONTROL_BAD_FIELD);
	writer_init(&w, want, sizeof(want));
	control_write_failure(&w, answer.number, answer.result, answer.index, answer.detail);
	cr_expect(span_eq(writer_span(&w), example));
}

/* Messages: @type is theirs. */
static void check_message(struct span example, uint8_t type) {
	uint8_t want[EXAMPLE_MAX];
	struct message m;
	struct writer w;

	cr_assert_eq(message_decode(example, &m), 0);
	cr_expect_eq(m.type, type);
	writer_init(&w, want, sizeof(want));
	reencode_message(&m, &w);
	cr_expect(span_eq(writer_span(&w), example));
}

static const struct example {
	const char *name;
	void (*check)(struct span example, uint8_t kind); /* decodes, checks, encodes, compares */
	uint8_t kind;                                     /* of a record, or type of a message */
} examples[] = {
	{ "petition", check_record, KIND_PETITION },
	{ "step", check_record, KIND_STEP },
	{ "meeting", check_record, KIND_MEETING },
	{ "tally", check_record, KIND_TALLY },
	{ "office", check_record, KIND_OFFICE },
	{ "escalation", check_record, KIND_ESCALATION },
	{ "access", check_record, KIND_ACCESS },
	{ "fork", check_record, KIND_FORK },
	{ "request", check_record, KIND_REQUEST },
	{ "reply", check_record, KIND_REPLY },
	{ "receipt", check_record, KIND_RECEIPT },
	{ "carried", check_record, KIND_CARRIED },
	{ "since", check_since, 0 },
	{ "failure", check_failure, 0 },
	{ "hello", check_message, MESSAGE_HELLO },
	{ "heads", check_message, MESSAGE_HEADS },
	{ "batch", check_message, MESSAGE_BATCH },
	{ "ack", check_message, MESSAGE_ACK },
	{ "refuse", check_message, MESSAGE_REFUSE },
	{ "join", check_message, MESSAGE_JOIN },
	{ "enrol", check_message, MESSAGE_ENROL },
	{ "disclose", check_message, MESSAGE_DISCLOSE },
	{ "disclosed", check_message, MESSAGE_DISCLOSED },
};

Test(protocol_page, says_what_the_code_does) {
	for (size_t i = 0; i < N_ELEMENTS(examples); i++) {
		uint8_t bytes[EXAMPLE_MAX];
		size_t n = read_example(examples[i].name, bytes);

		cr_log_info("%s: %zu bytes", examples[i].name, n);
		examples[i].check((struct span){ bytes, n }, examples[i].kind);
	}
}

/* The head that the page's batch ends at, and the key it names, which is that of RFC 8032. */
Test(protocol_page, the_batch_and_the_checkpoint_are_of_one_signed_head) {
	_cleanup_(verifier_freep) struct verifier *verifier = NULL;
	uint8_t bytes[EXAMPLE_MAX], record[EXAMPLE_MAX], key[SIGN_PUBLIC_LEN];
	struct span petition, step, plain;
	struct hash hashes[2], petition_hash, root;
	struct decompressor *unpacker;
	struct compress_work *work;
	char note[HEAD_NOTE_MAX];
	struct frontier f;
	struct message m;
	struct reader r;
	char *page, *text;

	petition = (struct span){ record, read_example("petition", record) };
	leaf_hash_of(petition, &hashes[0]);
	sha256(petition, &petition_hash);
	step = (struct span){ record, read_example("step", record) };
	leaf_hash_of(step, &hashes[1]);
	cr_assert_eq(message_decode((struct span){ bytes, read_example("batch", bytes) }, &m), 0);
	cr_assert_eq(m.batch.n, N_ELEMENTS(hashes));

	cr_assert_eq(compress_work_new(3, &work), 0);
	cr_assert_eq(decompressor_new(work, BATCH_PLAIN_MAX, &unpacker), 0);
	cr_assert_eq(decompressor_run(unpacker, m.batch.payload, &plain), 0);
	reader_init(&r, plain);
	read_array(&r, m.batch.n, m.batch.n);
	frontier_init(&f);
	for (size_t i = 0; i < N_ELEMENTS(hashes); i++) {
		struct leaf leaf;

		leaf_read(&r, &leaf);
		cr_expect_eq(leaf.withheld, i == 0);
		if (leaf.withheld)
			cr_expect_arr_eq(leaf.hash.b, petition_hash.b, sizeof(leaf.hash.b));
		else
			cr_expect(span_eq(leaf.bytes, step));
		frontier_append(&f, &hashes[i]);
	}
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);
	decompressor_free(unpacker);
	compress_work_free(work);

	frontier_root(&f, &root);
	cr_expect_arr_eq(root.b, m.batch.head.root.b, sizeof(root.b));
	from_hex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", key, sizeof(key));
	cr_assert_eq(verifier_new(key, &verifier), 0);
	cr_expect_eq(head_verify(verifier, &m.batch.oplog, &m.batch.head), 0);

	head_note(&m.batch.oplog, &m.batch.head, key, note);
	text = strstr(find_example("checkpoint", &page), "\n```\n");
	cr_assert(text);
	cr_expect_eq(strncmp(text + 5, note, strlen(note)), 0);
	cr_expect_eq(strncmp(text + 5 + strlen(note), "```\n", 4), 0);
	free(page);
}

Test(protocol_page, has_no_example_that_nothing_checks) {
	char *page;
	const char *mark = find_example(examples[0].name, &page);

	for (mark = page; (mark = strstr(mark, MARK)); mark++) {
		bool known = strncmp(mark + strlen(MARK), "checkpoint -->", 14) == 0; /* is not hexadecimal */

		for (size_t i = 0; i < N_ELEMENTS(examples); i++) {
			size_t len = strlen(examples[i].name);

			known |= strncmp(mark + strlen(MARK), examples[i].name, len) == 0 &&
				strncmp(mark + strlen(MARK) + len, " -->", 4) == 0;
		}
		cr_expect(known, "%.60s", mark);
	}
	free(page);
}
