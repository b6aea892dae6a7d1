/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * bundle - offices without a line: what a carried file brings, twice, out of order, by both ways, damaged
 */
#include "node/core_internal.h"
#include "tests/cores.h"

enum {
	CHUNK_MAX = 128 * 1024, /* two batches at most */
	CHUNKS_MAX = 16,
};

struct stick {
	size_t n;
	struct {
		uint8_t *data;
		size_t len;
	} chunks[CHUNKS_MAX];
	uint64_t records;
};

static struct stick export_to(struct cores_node *from, const struct cores_node *to) {
	struct stick stick = { 0 };
	struct held at = { 0 };

	do {
		uint8_t command[256];
		struct answer answer;
		struct span messages;
		struct writer w;

		writer_init(&w, command, sizeof(command));
		control_write_export(&w, 3, &to->id, CHUNK_MAX, &at);
		answer = cores_ask(from, writer_span(&w));
		cr_assert_eq(answer.result, CONTROL_OK);
		messages = read_raw(&answer.values);
		cr_assert_leq(messages.len, CHUNK_MAX);
		stick.records += read_uint(&answer.values, UINT64_MAX);
		control_read_from(&answer.values, &at);
		cr_assert(!answer.values.failed && stick.n < CHUNKS_MAX);
		stick.chunks[stick.n].data = malloc(messages.len);
		memcpy(stick.chunks[stick.n].data, messages.data, messages.len);
		stick.chunks[stick.n++].len = messages.len;
	} while (!id_is_nil(&at.oplog.office));
	return stick;
}

static void stick_done(struct stick *stick) {
	for (size_t i = 0; i < stick->n; i++)
		free(stick->chunks[i].data);
}

struct taken {
	uint64_t result, records, n_refused, reason;
};

static struct taken import_chunk(struct cores_node *at, const struct cores_node *from, struct span messages) {
	static uint8_t command[2 * CHUNK_MAX];
	struct taken taken = { 0 };
	struct answer answer;
	struct writer w;

	writer_init(&w, command, sizeof(command));
	control_write_import(&w, 4, &from->id, messages);
	cr_assert(writer_ok(&w));
	answer = cores_ask(at, writer_span(&w));
	taken.result = answer.result;
	if (answer.result)
		return taken;
	taken.records = read_uint(&answer.values, UINT64_MAX);
	taken.n_refused = read_array(&answer.values, 0, UINT64_MAX);
	for (uint64_t i = 0; i < taken.n_refused; i++) {
		struct refuse refuse;

		control_read_refused(&answer.values, &refuse);
		taken.reason = refuse.reason;
	}
	read_end(&answer.values);
	cr_assert(!answer.values.failed);
	return taken;
}

static struct taken import_all(struct cores_node *at, const struct cores_node *from, const struct stick *stick) {
	struct taken all = { 0 };

	for (size_t i = 0; i < stick->n; i++) {
		struct taken one = import_chunk(at, from, (struct span){ stick->chunks[i].data, stick->chunks[i].len });

		cr_assert_eq(one.result, CONTROL_OK);
		all.records += one.records;
		all.n_refused += one.n_refused;
		all.reason = one.n_refused ? one.reason : all.reason;
	}
	return all;
}

/* Three levels, and no line between the lower two. */
static struct cores *without_line(void) {
	struct cores *cores = cores_new(3);

	cores->nodes[2].cut = true;
	cores_begin(&cores->nodes[2]);
	core_link_lost(cores->nodes[2].core, &cores->nodes[1].id, &(struct trouble){ .code = TROUBLE_SILENT });
	cores_end(&cores->nodes[2]);
	cores_settle(cores);
	return cores;
}

Test(bundle, carries_both_ways_and_its_answer_lets_go) {
	_cleanup_(cores_freep) struct cores *cores = without_line();
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct stick up, down, newer, again;
	struct taken taken;
	uint64_t withheld, own;

	cores_take_petitions(commune, 0, 300);
	own = cores_leaves(commune, commune, LANE_NORMAL, &withheld);
	up = export_to(commune, district);
	cr_assert_geq(up.records, 300);
	again = export_to(commune, district);
	cr_expect_eq(again.records, up.records, "it waits until it is acknowledged");
	stick_done(&again);
	taken = import_all(district, commune, &up);
	cr_expect_eq(taken.records, up.records);
	cr_expect_eq(taken.n_refused, 0);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), own);
	cr_expect_eq(withheld, 0);
	taken = import_all(district, commune, &up);
	cr_expect_eq(taken.records + taken.n_refused, 0, "twice is once");

	down = export_to(district, commune);
	cr_expect_eq(import_all(commune, district, &down).n_refused, 0);
	again = export_to(commune, district);
	cr_expect_eq(again.records, 0, "%llu wait still", (unsigned long long)again.records);
	cores_settle(cores);
	cr_expect_eq(cores_leaves(&cores->nodes[0], commune, LANE_NORMAL, &withheld), own);
	cr_expect_eq(withheld, 300, "the province has the hashes");

	/* an old acknowledgement takes nothing back */
	cores_take_petitions(commune, 300, 5);
	stick_done(&again);
	again = export_to(commune, district);
	cr_expect_eq(import_all(district, commune, &again).records, again.records);
	newer = export_to(district, commune);
	cr_expect_eq(import_all(commune, district, &newer).n_refused, 0);
	cr_expect_eq(import_all(commune, district, &down).records, 0);
	stick_done(&newer);
	stick_done(&again);
	again = export_to(commune, district);
	cr_expect_eq(again.records, 0, "%llu wait again", (unsigned long long)again.records);
	stick_done(&again);
	stick_done(&up);
	stick_done(&down);
}

Test(bundle, and_the_line_are_one) {
	_cleanup_(cores_freep) struct cores *cores = without_line();
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct stick first, second;
	uint64_t withheld;

	cores_take_petitions(commune, 0, 100);
	first = export_to(commune, district);
	cores_take_petitions(commune, 100, 100);
	second = export_to(commune, district);
	cr_expect_eq(import_all(district, commune, &second).n_refused, 0);
	cr_expect_eq(import_all(district, commune, &first).records, 0, "out of order");
	cores_take_petitions(commune, 200, 100);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld),
		cores_leaves(commune, commune, LANE_NORMAL, &withheld));
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 300);
	stick_done(&first);
	first = export_to(commune, district);
	cr_expect_eq(first.records, 0, "acknowledged by the line");
	stick_done(&first);
	stick_done(&second);
	expect_rebuilt(district);
}

Test(bundle, is_no_way_around_what_a_line_allows) {
	_cleanup_(cores_freep) struct cores *cores = without_line();
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	uint8_t command[256];
	struct stick up;
	struct writer w;
	uint64_t withheld;

	writer_init(&w, command, sizeof(command));
	control_write_export(&w, 3, &commune->id, CHUNK_MAX, &(struct held){ 0 });
	cr_expect_eq(cores_ask(province, writer_span(&w)).result, CONTROL_NOT_NEIGHBOUR);
	cores_take_petitions(commune, 0, 10);
	up = export_to(commune, district);
	cr_expect_eq(import_chunk(province, commune, (struct span){ up.chunks[0].data, up.chunks[0].len }).result,
		CONTROL_NOT_NEIGHBOUR);
	/* as if from the district's parent, which has no business with the commune's oplog */
	cr_expect_eq(import_all(district, province, &up).reason, REFUSAL_NOT_YOURS);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), 0);

	commune->config.detail = DETAIL_ESCALATED;
	stick_done(&up);
	up = export_to(commune, district);
	cr_expect_eq(import_all(district, commune, &up).n_refused, 0);
	cr_expect_geq(cores_leaves(district, commune, LANE_NORMAL, &withheld), 10);
	cr_expect_eq(withheld, 10);
	stick_done(&up);
}

Test(bundle, what_is_altered_brings_nothing_in) {
	_cleanup_(cores_freep) struct cores *cores = without_line();
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct stick up;
	uint64_t withheld, n, own;

	cores_take_petitions(commune, 0, 20);
	own = cores_leaves(commune, commune, LANE_NORMAL, &withheld);
	up = export_to(commune, district);
	for (size_t i = 0; i < up.chunks[0].len; i++) {
		up.chunks[0].data[i] ^= 1 << i % 8;
		(void)import_chunk(district, commune, (struct span){ up.chunks[0].data, up.chunks[0].len });
		up.chunks[0].data[i] ^= 1 << i % 8;
	}
	n = cores_leaves(district, commune, LANE_NORMAL, &withheld);
	cr_expect(n == 0 || n == own, "whole batches alone: %llu", (unsigned long long)n);
	cr_expect_eq(import_all(district, commune, &up).n_refused, 0);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), own);
	stick_done(&up);
	expect_rebuilt(district);
}

/* The file itself: only these two offices, in this direction, whole. */
struct file {
	struct bundle bundle;
	uint8_t data[4096];
	size_t len;
};

static const uint8_t secrets[3][BOX_KEY_LEN] = { { 8, 1 }, { 8, 2 }, { 8, 3 } };
static const struct id one = { { 1 } }, two = { { 2 } };

static void file_make(struct file *file) {
	uint8_t public[BOX_KEY_LEN], chunk[BUNDLE_CHUNK_MAX];
	size_t len;

	cr_assert_eq(curve_public(secrets[1], public), 0);
	cr_assert_eq(bundle_begin(&one, &two, secrets[0], public, &file->bundle), 0);
	memcpy(file->data, file->bundle.header, BUNDLE_HEADER_LEN);
	file->len = BUNDLE_HEADER_LEN;
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(bundle_seal(&file->bundle, i == 2, span_str("batches"), chunk, &len), 0);
		memcpy(file->data + file->len, chunk, len);
		file->len += len;
	}
}

/* Chunks that open; the file is whole if @ret_whole. */
static unsigned file_read_with(const uint8_t *data, size_t len, const uint8_t *secret, const uint8_t *other, bool *ret_whole) {
	static uint8_t plain[BUNDLE_PLAIN_MAX];
	uint8_t public[BOX_KEY_LEN];
	struct bundle bundle;
	struct bundle_chunk chunk = { 0 };
	size_t at = BUNDLE_HEADER_LEN, n;

	*ret_whole = false;
	cr_assert_eq(curve_public(other, public), 0);
	if (len < BUNDLE_HEADER_LEN || bundle_read(data, &bundle) || bundle_unlock(&bundle, secret, public))
		return 0;
	while (!chunk.last) {
		if (len - at < BUNDLE_CHUNK_HEADER_LEN || bundle_chunk_read(data + at, &chunk) ||
			len - at - BUNDLE_CHUNK_HEADER_LEN < chunk.len ||
			bundle_open(&bundle, &chunk, data + at + BUNDLE_CHUNK_HEADER_LEN, plain, &n))
			return (unsigned)bundle.n_chunks;
		cr_assert(span_eq((struct span){ plain, n }, span_str("batches")));
		at += BUNDLE_CHUNK_HEADER_LEN + chunk.len;
	}
	*ret_whole = at == len;
	return (unsigned)bundle.n_chunks;
}

Test(bundle, file_is_for_one_office_and_whole) {
	struct file file;
	bool whole;

	file_make(&file);
	cr_expect_eq(file_read_with(file.data, file.len, secrets[1], secrets[0], &whole), 3);
	cr_expect(whole);
	cr_expect_eq(file_read_with(file.data, file.len, secrets[2], secrets[0], &whole), 0, "a stranger");
	cr_expect_eq(file_read_with(file.data, file.len, secrets[1], secrets[2], &whole), 0, "of another");
	for (size_t len = 0; len < file.len; len++) {
		(void)file_read_with(file.data, len, secrets[1], secrets[0], &whole);
		cr_expect(!whole, "cut off at %zu", len);
	}
	for (size_t i = 0; i < 8 * file.len; i++) {
		file.data[i / 8] ^= 1 << i % 8;
		cr_expect_lt(file_read_with(file.data, file.len, secrets[1], secrets[0], &whole), 3, "bit %zu", i);
		cr_expect(!whole, "bit %zu", i);
		file.data[i / 8] ^= 1 << i % 8;
	}
	for (int i = 0; i < 16; i++) { /* turned round: from and to change places */
		uint8_t byte = file.data[BUNDLE_TITLE_LEN + i];

		file.data[BUNDLE_TITLE_LEN + i] = file.data[BUNDLE_TITLE_LEN + 16 + i];
		file.data[BUNDLE_TITLE_LEN + 16 + i] = byte;
	}
	cr_expect_eq(file_read_with(file.data, file.len, secrets[0], secrets[1], &whole), 0);
}
