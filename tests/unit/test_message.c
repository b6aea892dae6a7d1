/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "proto/message.h"
#include "proto/record.h"

static const struct id office = { { 0x01, 0x8f, 0x3a, 0x5c, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 1 } };

static struct hello a_hello(void) {
	return (struct hello){ .version = MESSAGE_VERSION, .office = office, .session = 0x1122334455667788,
		.time_ms = 1714545600000, .software = span_str("lienthong 0.1.0") };
}

static struct batch a_batch(void) {
	struct batch batch = { .sequence = 3, .oplog = { office, 1, LANE_BULK }, .first = 40, .n = 2,
		.head = { .size = 42 }, .payload = span_str("payload") };

	memset(batch.head.root.b, 0xaa, sizeof(batch.head.root.b));
	memset(batch.head.signature, 0x55, sizeof(batch.head.signature));
	return batch;
}

static struct refuse a_refuse(void) {
	return (struct refuse){ .oplog = { office, 1, LANE_URGENT }, .size = 40, .reason = REFUSAL_GAP,
		.text = span_str("đang chờ từ số 40") };
}

/* Held so many that each of their numbers takes all the room it can. */
static void make_held(struct held *held, size_t n) {
	for (size_t i = 0; i < n; i++) {
		held[i] = (struct held){ .oplog = { office, EPOCH_MAX - i % 200, i % LANE_N },
			.size = UINT64_MAX - i };
		held[i].oplog.office.b[15] = i;
	}
}

static bool held_eq(const struct held *a, const struct held *b) {
	return oplog_id_eq(&a->oplog, &b->oplog) && a->size == b->size;
}

static void expect_held(struct message *m, const struct held *want, size_t n) {
	struct held held;

	cr_expect_eq(m->n_held, n);
	for (size_t i = 0; i < n; i++) {
		cr_assert(message_held_next(m, &held));
		cr_expect(held_eq(&held, &want[i]), "entry %zu", i);
	}
	cr_expect_not(message_held_next(m, &held));
	cr_expect_not(message_held_next(m, &held));
}

/* An exact copy on the heap, so that reading past it is seen. */
static int decode_copy(struct span in, struct message *ret_message) {
	uint8_t *copy = malloc(in.len ? in.len : 1);
	int r;

	cr_assert_not_null(copy);
	if (in.len > 0)
		memcpy(copy, in.data, in.len);
	r = message_decode((struct span){ copy, in.len }, ret_message);
	free(copy);
	return r;
}

Test(message, a_hello_is_read_as_it_is_written) {
	struct hello want = a_hello();
	uint8_t buf[MESSAGE_MAX];
	struct message m;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	message_write_hello(&w, &want);
	cr_assert(writer_ok(&w));
	cr_assert_eq(message_decode(writer_span(&w), &m), 0);
	cr_expect_eq(m.type, MESSAGE_HELLO);
	cr_expect_eq(m.hello.version, want.version);
	cr_expect(id_eq(&m.hello.office, &office));
	cr_expect_eq(m.hello.session, want.session);
	cr_expect_eq(m.hello.time_ms, want.time_ms);
	cr_expect(span_eq(m.hello.software, want.software));
}

Test(message, heads_and_acks_are_read_as_they_are_written) {
	static const size_t counts[] = { 0, 1, 15, 16, MESSAGE_HELD_MAX };
	struct held held[MESSAGE_HELD_MAX];
	uint8_t buf[MESSAGE_MAX];
	struct message m;
	struct writer w;

	make_held(held, MESSAGE_HELD_MAX);
	for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
		for (int more = 0; more <= 1; more++) {
			writer_init(&w, buf, sizeof(buf));
			message_write_heads(&w, more, held, counts[i]);
			cr_assert(writer_ok(&w), "the largest fits a message");
			cr_assert_eq(message_decode(writer_span(&w), &m), 0);
			cr_expect_eq(m.type, MESSAGE_HEADS);
			cr_expect_eq(m.more, more);
			expect_held(&m, held, counts[i]);
		}
		writer_init(&w, buf, sizeof(buf));
		message_write_ack(&w, held, counts[i]);
		cr_assert_eq(message_decode(writer_span(&w), &m), 0);
		cr_expect_eq(m.type, MESSAGE_ACK);
		expect_held(&m, held, counts[i]);
	}
}

Test(message, a_batch_is_read_as_it_is_written) {
	struct batch want = a_batch();
	uint8_t buf[MESSAGE_MAX];
	struct message m;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	message_write_batch(&w, &want);
	cr_assert_eq(message_decode(writer_span(&w), &m), 0);
	cr_expect_eq(m.type, MESSAGE_BATCH);
	cr_expect_eq(m.batch.sequence, want.sequence);
	cr_expect(oplog_id_eq(&m.batch.oplog, &want.oplog));
	cr_expect_eq(m.batch.first, want.first);
	cr_expect_eq(m.batch.n, want.n);
	cr_expect_eq(m.batch.head.size, want.first + want.n);
	cr_expect_arr_eq(m.batch.head.root.b, want.head.root.b, sizeof(want.head.root.b));
	cr_expect_arr_eq(m.batch.head.signature, want.head.signature, sizeof(want.head.signature));
	cr_expect(span_eq(m.batch.payload, want.payload));
}

Test(message, a_refusal_is_read_as_it_is_written) {
	struct refuse want = a_refuse();
	uint8_t buf[MESSAGE_MAX];
	struct message m;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	message_write_refuse(&w, &want);
	cr_assert_eq(message_decode(writer_span(&w), &m), 0);
	cr_expect_eq(m.type, MESSAGE_REFUSE);
	cr_expect(oplog_id_eq(&m.refuse.oplog, &want.oplog));
	cr_expect_eq(m.refuse.size, want.size);
	cr_expect_eq(m.refuse.reason, want.reason);
	cr_expect(span_eq(m.refuse.text, want.text));
}

static void write_kind(struct writer *w, enum message_type type) {
	struct hello hello = a_hello();
	struct batch batch = a_batch();
	struct refuse refuse = a_refuse();
	struct held held[2];
	const struct disclosed disclosed[2] = { { batch.oplog, 41, 0 }, { batch.oplog, UINT64_MAX, REFUSAL_ROOT } };

	make_held(held, N_ELEMENTS(held));
	switch (type) {
	case MESSAGE_HELLO:
		message_write_hello(w, &hello);
		break;
	case MESSAGE_HEADS:
		message_write_heads(w, true, held, N_ELEMENTS(held));
		break;
	case MESSAGE_BATCH:
		message_write_batch(w, &batch);
		break;
	case MESSAGE_ACK:
		message_write_ack(w, held, N_ELEMENTS(held));
		break;
	case MESSAGE_REFUSE:
		message_write_refuse(w, &refuse);
		break;
	case MESSAGE_JOIN:
		message_write_join(w, span_str("a request"));
		break;
	case MESSAGE_ENROL:
		message_write_enrol(w, ENROL_OUTCOME_ENROLLED, span_str("an answer"));
		break;
	case MESSAGE_DISCLOSE:
		message_write_disclose(w, &(struct disclose){ batch.oplog, 41, span_str("a record") });
		break;
	case MESSAGE_DISCLOSED:
		message_write_disclosed(w, disclosed, N_ELEMENTS(disclosed));
		break;
	}
}

Test(message, every_cut_and_every_byte_too_many_is_malformed) {
	for (enum message_type type = MESSAGE_HELLO; type <= MESSAGE_TYPE_LAST; type++) {
		uint8_t buf[1024];
		struct message m;
		struct writer w;

		writer_init(&w, buf, sizeof(buf) - 1);
		write_kind(&w, type);
		cr_assert(writer_ok(&w));
		cr_expect_eq(decode_copy(writer_span(&w), &m), 0);
		for (size_t cut = 0; cut < w.len; cut++)
			cr_expect_eq(decode_copy((struct span){ buf, cut }, &m), MESSAGE_MALFORMED,
				"type %d cut at %zu", type, cut);
		buf[w.len] = 0xc0;
		cr_expect_eq(decode_copy((struct span){ buf, w.len + 1 }, &m), MESSAGE_MALFORMED);
	}
}

Test(message, only_a_hello_may_have_elements_of_a_later_version) {
	for (enum message_type type = MESSAGE_HELLO; type <= MESSAGE_TYPE_LAST; type++) {
		int want = type == MESSAGE_HELLO ? 0 : MESSAGE_MALFORMED;
		uint8_t buf[1024];
		struct message m = { 0 };
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		write_kind(&w, type);
		buf[0]++; /* one element more in the array, which has fewer than 15 */
		write_array(&w, 2);
		write_uint(&w, 1000);
		write_nil(&w);
		cr_assert(writer_ok(&w));
		cr_expect_eq(message_decode(writer_span(&w), &m), want, "type %d", type);
		cr_expect(want != 0 || m.hello.session == a_hello().session);
	}
}

Test(message, a_type_we_do_not_know_is_malformed) {
	static const uint64_t types[] = { 0, 6, 127, 256 + MESSAGE_HELLO, UINT64_MAX };

	for (size_t i = 0; i < N_ELEMENTS(types); i++) {
		struct message m;
		uint8_t buf[64];
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		write_array(&w, 2);
		write_uint(&w, types[i]);
		write_array(&w, 0);
		cr_expect_eq(message_decode(writer_span(&w), &m), MESSAGE_MALFORMED);
	}
}

Test(message, a_batch_keeps_to_its_limits) {
	static const struct {
		uint64_t first, n;
		uint8_t lane;
		size_t payload;
		int want;
	} steps[] = {
		{ 0, 1, 0, 1, 0 },
		{ 0, 0, 0, 1, MESSAGE_MALFORMED },
		{ 0, BATCH_LEAVES_MAX, 0, 1, 0 },
		{ 0, BATCH_LEAVES_MAX + 1, 0, 1, MESSAGE_MALFORMED },
		{ UINT64_MAX - 1, 1, 0, 1, 0 },
		{ UINT64_MAX, 1, 0, 1, MESSAGE_MALFORMED },
		{ UINT64_MAX - 4, 5, 0, 1, MESSAGE_MALFORMED },
		{ 0, 1, LANE_N - 1, 1, 0 },
		{ 0, 1, LANE_N, 1, MESSAGE_MALFORMED },
		{ 0, 1, 0, 0, MESSAGE_MALFORMED },
		{ 0, 1, 0, BATCH_PLAIN_MAX + 1, 0 },
		{ 0, 1, 0, MESSAGE_MAX, MESSAGE_MALFORMED },
	};
	static const uint8_t payload[MESSAGE_MAX];

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		static uint8_t buf[2 * MESSAGE_MAX];
		struct batch batch = a_batch();
		struct message m;
		struct writer w;

		batch.first = steps[i].first;
		batch.n = steps[i].n;
		batch.oplog.lane = steps[i].lane;
		batch.payload = (struct span){ payload, steps[i].payload };
		writer_init(&w, buf, sizeof(buf));
		message_write_batch(&w, &batch);
		cr_assert(writer_ok(&w));
		cr_expect_eq(message_decode(writer_span(&w), &m), steps[i].want, "step %zu", i);
	}
}

Test(message, a_list_keeps_to_its_limits) {
	static uint8_t buf[2 * MESSAGE_MAX];
	struct message m;

	for (size_t n = MESSAGE_HELD_MAX; n <= MESSAGE_HELD_MAX + 1; n++) {
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		write_array(&w, 2);
		write_uint(&w, MESSAGE_ACK);
		write_array(&w, n);
		for (size_t i = 0; i < n; i++) {
			write_array(&w, 4);
			write_id(&w, &office);
			write_uint(&w, 1);
			write_uint(&w, 0);
			write_uint(&w, i);
		}
		cr_assert(writer_ok(&w));
		cr_expect_eq(message_decode(writer_span(&w), &m),
			n <= MESSAGE_HELD_MAX ? 0 : MESSAGE_MALFORMED);
	}
}

Test(message, an_entry_that_is_not_one_spoils_the_list) {
	static const struct {
		size_t n_fields;
		uint64_t epoch, lane;
		int want;
	} steps[] = {
		{ 4, EPOCH_MAX, LANE_N - 1, 0 },
		{ 4, EPOCH_MAX + 1, 0, MESSAGE_MALFORMED },
		{ 4, 1, LANE_N, MESSAGE_MALFORMED },
		{ 4, 1, 256, MESSAGE_MALFORMED },
		{ 3, 1, 0, MESSAGE_MALFORMED },
		{ 5, 1, 0, MESSAGE_MALFORMED },
	};

	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		struct message m;
		uint8_t buf[128];
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		write_array(&w, 3);
		write_uint(&w, MESSAGE_HEADS);
		write_bool(&w, false);
		write_array(&w, 2);
		write_array(&w, 4);
		write_id(&w, &office);
		for (int j = 0; j < 3; j++)
			write_uint(&w, 1);
		write_array(&w, steps[i].n_fields);
		write_id(&w, &office);
		write_uint(&w, steps[i].epoch);
		write_uint(&w, steps[i].lane);
		for (size_t j = 3; j < steps[i].n_fields; j++)
			write_uint(&w, 7);
		cr_expect_eq(message_decode(writer_span(&w), &m), steps[i].want, "step %zu", i);
	}
}

Test(message, what_people_read_commands_no_terminal_and_has_an_end) {
	static const struct {
		const char *text;
		int want;
	} steps[] = {
		{ "", 0 },
		{ "đầy đĩa", 0 },
		{ "\x1b[2J", MESSAGE_MALFORMED },
		{ "two\nlines", MESSAGE_MALFORMED },
		{ "\xc2\x9b" "2J", MESSAGE_MALFORMED },
		{ "\xff", MESSAGE_MALFORMED },
	};
	char text[MESSAGE_TEXT_MAX + 1];
	uint8_t buf[1024];
	struct message m;
	struct writer w;

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < N_ELEMENTS(steps); i++) {
		struct refuse refuse = a_refuse();
		struct hello hello = a_hello();

		refuse.text = hello.software = span_str(steps[i].text);
		writer_init(&w, buf, sizeof(buf));
		message_write_refuse(&w, &refuse);
		cr_expect_eq(message_decode(writer_span(&w), &m), steps[i].want, "step %zu", i);
		writer_init(&w, buf, sizeof(buf));
		message_write_hello(&w, &hello);
		cr_expect_eq(message_decode(writer_span(&w), &m), steps[i].want, "step %zu", i);
	}
	for (size_t more = 0; more <= 1; more++) {
		int want = more ? MESSAGE_MALFORMED : 0;
		struct refuse refuse = a_refuse();
		struct hello hello = a_hello();

		refuse.text = (struct span){ (uint8_t *)text, MESSAGE_TEXT_MAX + more };
		hello.software = (struct span){ (uint8_t *)text, MESSAGE_SOFTWARE_MAX + more };
		writer_init(&w, buf, sizeof(buf));
		message_write_refuse(&w, &refuse);
		cr_expect_eq(message_decode(writer_span(&w), &m), want);
		writer_init(&w, buf, sizeof(buf));
		message_write_hello(&w, &hello);
		cr_expect_eq(message_decode(writer_span(&w), &m), want);
	}
}

Test(message, more_than_a_message_may_be_is_not_looked_at) {
	static uint8_t buf[MESSAGE_MAX + 64];
	struct hello hello = a_hello();
	struct message m;

	for (size_t len = MESSAGE_MAX; len <= MESSAGE_MAX + 1; len++) {
		static const uint8_t filler[MESSAGE_MAX];
		struct writer w;

		writer_init(&w, buf, sizeof(buf));
		message_write_hello(&w, &hello);
		buf[0]++;
		write_bin(&w, (struct span){ filler, len - w.len - 3 });
		cr_assert(writer_ok(&w) && w.len == len);
		cr_expect_eq(message_decode(writer_span(&w), &m),
			len <= MESSAGE_MAX ? 0 : MESSAGE_MALFORMED);
	}
}

Test(message, leaves_are_read_as_they_are_written) {
	static const uint8_t record[RECORD_MAX];
	struct leaf leaves[] = {
		{ .bytes = { record, 1 } },
		{ .withheld = true, .reach = REACH_UP },
		{ .bytes = { record, RECORD_MAX } },
		{ .bytes = { record, 300 } },
	};
	static uint8_t buf[BATCH_PLAIN_MAX];
	struct writer w;
	struct reader r;

	memset(leaves[1].hash.b, 0x77, sizeof(leaves[1].hash.b));
	writer_init(&w, buf, sizeof(buf));
	write_array(&w, N_ELEMENTS(leaves));
	for (size_t i = 0; i < N_ELEMENTS(leaves); i++)
		leaf_write(&w, &leaves[i]);
	cr_assert(writer_ok(&w));

	reader_init(&r, writer_span(&w));
	cr_expect_eq(read_array(&r, 1, BATCH_LEAVES_MAX), N_ELEMENTS(leaves));
	for (size_t i = 0; i < N_ELEMENTS(leaves); i++) {
		struct leaf leaf;

		leaf_read(&r, &leaf);
		cr_expect_eq(leaf.withheld, leaves[i].withheld, "leaf %zu", i);
		cr_expect_eq(leaf.reach, leaves[i].reach, "leaf %zu", i);
		cr_expect(span_eq(leaf.bytes, leaves[i].bytes), "leaf %zu", i);
		cr_expect_arr_eq(leaf.hash.b, leaves[i].hash.b, sizeof(leaf.hash.b), "leaf %zu", i);
	}
	read_end(&r);
	cr_expect_eq(reader_done(&r), 0);
}

Test(message, a_full_batch_has_room_in_its_plain_form) {
	static uint8_t buf[BATCH_PLAIN_MAX];
	static const uint8_t record[BATCH_BYTES_MAX / BATCH_LEAVES_MAX + 1];
	struct writer w;

	/* As many leaves as may be, and the longest framing: of those that are withheld. */
	writer_init(&w, buf, sizeof(buf));
	write_array(&w, BATCH_BYTES_MAX / 32);
	for (size_t i = 0; i < BATCH_BYTES_MAX / 32; i++)
		leaf_write(&w, &(struct leaf){ .withheld = true });
	cr_expect(writer_ok(&w));

	writer_init(&w, buf, sizeof(buf));
	write_array(&w, BATCH_LEAVES_MAX);
	for (size_t i = 0; i < BATCH_LEAVES_MAX; i++)
		leaf_write(&w, &(struct leaf){ .bytes = { record, BATCH_BYTES_MAX / BATCH_LEAVES_MAX } });
	cr_expect(writer_ok(&w));
}

Test(message, what_is_no_leaf_fails_the_reader) {
	static const uint8_t record[RECORD_MAX + 1];

	for (int i = 0; i < 5; i++) {
		static uint8_t buf[RECORD_MAX + 64];
		struct leaf leaf;
		struct writer w;
		struct reader r;

		writer_init(&w, buf, sizeof(buf));
		write_array(&w, 1);
		switch (i) {
		case 0:
			write_bin(&w, (struct span){ 0 });
			break;
		case 1:
			write_bin(&w, (struct span){ record, RECORD_MAX + 1 });
			break;
		case 2:
			write_uint(&w, 1);
			break;
		case 3:
			write_array(&w, 1);
			write_bin(&w, (struct span){ record, 31 });
			break;
		case 4:
			write_array(&w, 2);
			write_bin(&w, (struct span){ record, 32 });
			write_nil(&w);
			break;
		}
		cr_assert(writer_ok(&w));
		reader_init(&r, writer_span(&w));
		read_array(&r, 1, 1);
		leaf_read(&r, &leaf);
		cr_expect(r.failed, "case %d", i);
	}
}

Test(message, every_refusal_has_a_name_of_its_own) {
	for (uint64_t i = 1; i < REFUSAL_N; i++) {
		cr_expect_str_neq(refusal_name(i), refusal_name(0), "%u", (unsigned)i);
		for (uint64_t j = 1; j < i; j++)
			cr_expect_str_neq(refusal_name(i), refusal_name(j));
	}
	cr_expect_str_eq(refusal_name(REFUSAL_SIGNATURE), "bad signature");
	cr_expect_not_null(refusal_name(REFUSAL_N));
	cr_expect_not_null(refusal_name(UINT64_MAX));
}

Test(message, a_join_and_its_answer_are_read_as_they_are_written) {
	uint8_t buf[MESSAGE_MAX];
	struct message m;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	message_write_join(&w, span_str("a request"));
	cr_assert_eq(message_decode(writer_span(&w), &m), 0);
	cr_expect_eq(m.type, MESSAGE_JOIN);
	cr_expect(span_eq(m.file, span_str("a request")));
	writer_init(&w, buf, sizeof(buf));
	message_write_enrol(&w, ENROL_OUTCOME_USED, span_str(""));
	cr_assert_eq(message_decode(writer_span(&w), &m), 0);
	cr_expect_eq(m.type, MESSAGE_ENROL);
	cr_expect_eq(m.outcome, ENROL_OUTCOME_USED);
	cr_expect_eq(m.file.len, 0);
}

Test(message, a_disclosure_and_what_became_of_it_are_read_as_they_are_written) {
	static const size_t counts[] = { 0, 1, 15, 16, MESSAGE_HELD_MAX };
	static uint8_t record[RECORD_MAX], buf[MESSAGE_MAX];
	const struct disclose want = { { office, EPOCH_MAX, LANE_BULK }, UINT64_MAX, { record, sizeof(record) } };
	struct disclosed said[MESSAGE_HELD_MAX], got;
	struct message m;
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	message_write_disclose(&w, &want);
	cr_assert(writer_ok(&w), "the largest fits a message");
	cr_assert_eq(message_decode(writer_span(&w), &m), 0);
	cr_expect_eq(m.type, MESSAGE_DISCLOSE);
	cr_expect(oplog_id_eq(&m.disclose.oplog, &want.oplog));
	cr_expect_eq(m.disclose.index, want.index);
	cr_expect(span_eq(m.disclose.record, want.record));
	for (size_t i = 0; i < MESSAGE_HELD_MAX; i++)
		said[i] = (struct disclosed){ { office, EPOCH_MAX, LANE_BULK }, UINT64_MAX - i, UINT64_MAX };
	for (size_t i = 0; i < N_ELEMENTS(counts); i++) {
		writer_init(&w, buf, sizeof(buf));
		message_write_disclosed(&w, said, counts[i]);
		cr_assert(writer_ok(&w), "the largest fits a message");
		cr_assert_eq(message_decode(writer_span(&w), &m), 0);
		cr_expect_eq(m.type, MESSAGE_DISCLOSED);
		cr_expect_eq(m.n_held, counts[i]);
		for (size_t k = 0; k < counts[i]; k++) {
			cr_assert(message_disclosed_next(&m, &got));
			cr_expect_eq(got.index, said[k].index);
			cr_expect_eq(got.outcome, UINT64_MAX);
		}
		cr_expect_not(message_disclosed_next(&m, &got));
	}
}

Test(message, a_disclosure_of_nothing_or_of_more_than_a_record_is_malformed) {
	static const size_t lengths[] = { 0, 1, RECORD_MAX, RECORD_MAX + 1 };
	static uint8_t record[RECORD_MAX + 1], buf[MESSAGE_MAX];
	struct message m;
	struct writer w;

	for (size_t i = 0; i < N_ELEMENTS(lengths); i++) {
		writer_init(&w, buf, sizeof(buf));
		message_write_disclose(&w, &(struct disclose){ { office, 1, 0 }, 0, { record, lengths[i] } });
		cr_assert(writer_ok(&w));
		cr_expect_eq(message_decode(writer_span(&w), &m), i == 1 || i == 2 ? 0 : MESSAGE_MALFORMED,
			"%zu bytes", lengths[i]);
	}
}
