/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/core_internal.h"
#include "tests/unit/cases.h"

#include "proto/kinds/private.h"
#include "store/private.h"

Test(core, a_petition_reaches_the_district_whole_and_the_province_as_a_hash_and_a_count, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	uint64_t withheld, n;

	cores_take_petitions(commune, 0, 50);
	cores_settle(cores);
	n = cores_leaves(commune, commune, LANE_NORMAL, &withheld);
	cr_assert_eq(n, 100, "50 petitions and as many tallies, not %lu", (unsigned long)n);
	cr_assert_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), n);
	cr_assert_eq(withheld, 0);
	cr_assert_eq(cores_leaves(province, commune, LANE_NORMAL, &withheld), n);
	cr_assert_eq(withheld, 50);
	cr_assert_eq(cores_count(province, commune, MEASURE_RECEIVED), 50);
	cr_assert_eq(cores_count(province, commune, MEASURE_PEOPLE), 150);
	cr_assert_gt(province->n_published, 0);
}

Test(core, what_was_taken_in_while_the_parent_was_down_arrives_once_when_it_is_up, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	uint64_t withheld;

	cores_down(district);
	cores_take_petitions(commune, 0, 300);
	cores_settle(cores);
	cr_assert_eq(cores_count(province, commune, MEASURE_RECEIVED), 0);
	cores_up(district);
	cores_connect(cores, 1);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_assert_eq(cores_count(province, commune, MEASURE_RECEIVED), 300);
	cr_assert_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), 600);
}

/* Frames are lost at random on their way, again and again. */
static void lose_some(struct cores *cores, struct cores_frame *frame) {
	uint8_t dice;

	cores_random(&cores->nodes[0], &dice, 1);
	if (dice < 40)
		frame->len = 0; /* what is left is not a message */
}

Test(core, frames_lost_on_the_way_lose_no_record_and_count_none_twice, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];

	cores->on_frame = lose_some;
	for (unsigned i = 0; i < 20; i++) {
		cores_take_petitions(commune, i * 10, 10);
		cores_settle(cores);
		cores->now_ms += 2000;
	}
	cores->on_frame = NULL;
	for (unsigned i = 0; i < 40; i++) {
		cores->now_ms += 2000;
		cores_settle(cores);
	}
	cores->now_ms += 70000; /* what was lost without a word is missed after the silence */
	for (unsigned i = 0; i < 5; i++) {
		cores_settle(cores);
		cores->now_ms += 2000;
	}
	cr_assert_eq(cores_count(province, commune, MEASURE_RECEIVED), 200);
}

static void alter_batches(struct cores *cores, struct cores_frame *frame) {
	if (frame->len > 150 && frame->data[1] == MESSAGE_BATCH)
		frame->data[frame->len / 2] ^= 1;
}

Test(core, a_batch_altered_by_one_byte_is_refused_and_the_link_goes_on, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	struct control_status status;
	struct answer answer;
	uint8_t buf[64];
	struct writer w;
	uint64_t refused = 0, withheld;

	cores->on_frame = alter_batches;
	cores_take_petitions(district, 0, 5);
	cores_settle(cores);
	cr_assert_eq(cores_leaves(province, district, LANE_NORMAL, &withheld), 0);
	writer_init(&w, buf, sizeof(buf));
	control_write_status(&w, 3);
	answer = cores_ask(province, writer_span(&w));
	cr_assert_eq(control_status_read(&answer, &status), 0);
	for (unsigned i = 0; i < REFUSAL_N; i++)
		refused += status.refusals[i];
	cr_assert_gt(refused, 0);
	cores->on_frame = NULL;
	for (unsigned i = 0; i < 5; i++) {
		cores->now_ms += 301000;
		cores_settle(cores);
	}
	cr_assert_eq(cores_count(province, district, MEASURE_RECEIVED), 5);
}

Test(core, an_urgent_petition_is_escalated_all_the_way_up, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[2];
	_cleanup_(store_abortp) struct txn *txn = NULL;
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, true);
	uint64_t n;

	cr_assert_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	cores_settle(cores);
	cr_assert_eq(cores_count(province, commune, MEASURE_ESCALATED), 1);
	cr_assert_eq(store_begin_read(province->store, &txn), 0);
	cr_assert_eq(txn_count(txn, TABLE_ESCALATIONS, &n), 0);
	cr_assert_eq(n, 1);
}

Test(core, what_nobody_accepted_in_time_is_escalated_once_however_many_there_are, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];

	cores_take_petitions(district, 0, 1200); /* more than one turn writes */
	cores_settle(cores);
	cr_assert_eq(cores_count(province, district, MEASURE_ESCALATED), 0);
	cores->now_ms += 13ull * 24 * 3600 * 1000; /* 9 working days */
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_assert_eq(cores_count(province, district, MEASURE_ESCALATED), 0);
	cores->now_ms += 4ull * 24 * 3600 * 1000;
	cores_connect(cores, 1);
	for (unsigned i = 0; i < 10; i++)
		cores_settle(cores);
	cr_assert_eq(cores_count(province, district, MEASURE_ESCALATED), 1200);
	cores->now_ms += 4ull * 24 * 3600 * 1000;
	cores_connect(cores, 1);
	for (unsigned i = 0; i < 10; i++)
		cores_settle(cores);
	cr_assert_eq(cores_count(province, district, MEASURE_ESCALATED), 1200);
}

static struct draft step_draft(uint8_t *buf, size_t len, const struct id *petition, uint8_t action) {
	struct step step = { .petition = *petition, .action = action, .date_ms = CORES_START_MS + 1000,
		.to = span_str(action == ACTION_FORWARDED ? "UBND huyện" : ""),
		.text = span_str("Đã xử lý xong.") };
	struct writer w;

	writer_init(&w, buf, len);
	step_encode(&step, &w);
	return (struct draft){ .kind = KIND_STEP, .lane = LANE_NORMAL,
		.organisation = ORGANISATION_FRONT, .body = writer_span(&w) };
}

Test(core, a_request_is_kept_whole_or_not_at_all, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t bodies[3][512];
	struct draft drafts[3];
	struct answer answer;

	drafts[0] = cores_petition(bodies[0], sizeof(bodies[0]), 1, false);
	drafts[1] = cores_petition(bodies[1], sizeof(bodies[1]), 2, false);
	drafts[2] = step_draft(bodies[2], sizeof(bodies[2]), &node->id, ACTION_ACCEPTED);
	answer = cores_submit(node, drafts, 3);
	cr_assert_eq(answer.result, CONTROL_NO_CASE);
	cr_assert_eq(answer.index, 2);
	cr_assert_eq(cores_count(node, node, MEASURE_RECEIVED), 0);
	cr_assert_eq(cores_submit(node, drafts, 2).result, CONTROL_OK);
	cr_assert_eq(cores_count(node, node, MEASURE_RECEIVED), 2);
}

Test(core, a_request_is_told_all_that_is_wrong_with_it, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t bodies[5][512];
	struct draft drafts[5];
	struct control_fault fault;
	struct answer answer;

	drafts[0] = cores_petition(bodies[0], sizeof(bodies[0]), 1, false);
	drafts[0].has_id = true;
	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &drafts[0].id);
	drafts[1] = step_draft(bodies[1], sizeof(bodies[1]), &node->id, ACTION_ACCEPTED);
	drafts[2] = step_draft(bodies[2], sizeof(bodies[2]), &drafts[0].id, ACTION_ANSWERED);
	drafts[3] = step_draft(bodies[3], sizeof(bodies[3]), &drafts[0].id, ACTION_CLOSED);
	drafts[4] = cores_petition(bodies[4], sizeof(bodies[4]), 2, false);
	drafts[4].organisation = ORGANISATION_N;
	answer = cores_submit(node, drafts, 5);
	cr_expect_eq(answer.result, CONTROL_NO_CASE);
	cr_expect_eq(answer.index, 1);
	cr_assert(control_fault_next(&answer, &fault));
	cr_expect_eq(fault.result, CONTROL_WRONG_STATE);
	cr_expect_eq(fault.index, 2, "and nothing is said of the step that depends on it");
	cr_assert(control_fault_next(&answer, &fault));
	cr_expect_eq(fault.result, CONTROL_BAD_FIELD);
	cr_expect_eq(fault.index, 4);
	cr_expect_not(control_fault_next(&answer, &fault));
}

Test(core, a_request_that_is_only_checked_keeps_nothing, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t body[512], buf[1024];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct answer answer;
	struct writer w;
	uint64_t withheld;

	writer_init(&w, buf, sizeof(buf));
	control_write_submit(&w, 7, true, 1);
	control_write_draft(&w, &draft);
	answer = cores_ask(node, writer_span(&w));
	cr_assert_eq(answer.result, CONTROL_OK);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	cr_expect_eq(read_uint(&answer.values, OUTCOME_HELD), OUTCOME_ADDED);
	cr_expect_eq(cores_leaves(node, node, LANE_NORMAL, &withheld), 0);
	cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
	cr_expect_eq(cores_count(node, node, MEASURE_RECEIVED), 1);
}

Test(core, a_draft_with_an_id_counts_once_however_often_it_is_sent, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t bodies[5][512];
	struct draft drafts[5];
	struct answer answer;
	static const uint8_t actions[] = { ACTION_ACCEPTED, ACTION_FORWARDED, ACTION_RESOLVED,
		ACTION_ANSWERED };

	drafts[0] = cores_petition(bodies[0], sizeof(bodies[0]), 1, false);
	drafts[0].has_id = true;
	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &drafts[0].id);
	for (unsigned i = 0; i < 4; i++) {
		drafts[i + 1] = step_draft(bodies[i + 1], sizeof(bodies[i + 1]), &drafts[0].id, actions[i]);
		drafts[i + 1].has_id = true;
		record_make_id(CORES_START_MS + i, (const uint8_t *)"0123456789", &drafts[i + 1].id);
		drafts[i + 1].id.b[15] = (uint8_t)i;
	}
	for (unsigned round = 0; round < 3; round++) {
		answer = cores_submit(node, drafts, 5);
		cr_assert_eq(answer.result, CONTROL_OK, "round %u: %d at %d", round, (int)answer.result,
			(int)answer.index);
		cr_assert_eq(read_array(&answer.values, 0, 5), 5);
		for (unsigned i = 0; i < 5; i++) {
			read_array(&answer.values, 3, 3);
			cr_assert_eq(read_uint(&answer.values, 1), round ? OUTCOME_HELD : OUTCOME_ADDED);
			read_end(&answer.values);
		}
	}
	cr_assert_eq(cores_count(node, node, MEASURE_RECEIVED), 1);
	cr_assert_eq(cores_count(node, node, MEASURE_FORWARDED), 1);
	cr_assert_eq(cores_count(node, node, MEASURE_RESOLVED), 1);
	cr_assert_eq(cores_count(node, node, MEASURE_ANSWERED), 1);
	drafts[0] = cores_petition(bodies[0], sizeof(bodies[0]), 2, false);
	drafts[0].has_id = true;
	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &drafts[0].id);
	cr_assert_eq(cores_submit(node, drafts, 1).result, CONTROL_CONFLICT);
}

/* A petition with its petitioner; its id, and the reference that it got. */
static struct id submit_private(struct cores_node *node, struct id *id) {
	uint8_t body[512], part[128];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct answer answer;
	struct id kept;
	struct writer w;

	writer_init(&w, part, sizeof(part));
	private_encode(&(struct private_part){ .name = span_str("Trần Thị Mộng Điệp"),
		.contact = span_str("0900 123 456") }, &w);
	draft.private = writer_span(&w);
	draft.has_id = id != NULL;
	if (id)
		draft.id = *id;
	answer = cores_submit(node, &draft, 1);
	cr_assert_eq(answer.result, CONTROL_OK);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	(void)read_uint(&answer.values, OUTCOME_HELD);
	read_id(&answer.values, &kept);
	return kept;
}

Test(core, who_asked_does_not_stay_in_the_request, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	uint8_t body[512], part[PRIVATE_MAX], request[2048];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct writer w;

	writer_init(&w, part, sizeof(part));
	private_encode(&(struct private_part){ .name = span_str("Trần Thị Mộng Điệp") }, &w);
	draft.private = writer_span(&w);
	writer_init(&w, request, sizeof(request));
	control_write_submit(&w, 7, false, 1);
	control_write_draft(&w, &draft);
	cr_expect_eq(cores_ask(&cores->nodes[0], writer_span(&w)).result, CONTROL_OK);
	cr_expect_null(memmem(w.data, w.len, "Mộng", strlen("Mộng")));
	cr_expect_not_null(memmem(w.data, w.len, "Đường", strlen("Đường")), "the petition itself is no secret");
}

static struct answer ask_private(struct cores_node *node, enum command command, const struct id *id) {
	uint8_t buf[512];
	struct writer w;

	writer_init(&w, buf, sizeof(buf));
	control_write_private(&w, 9, command, id, span_str("lan"), span_str("Báo kết quả"));
	return cores_ask(node, writer_span(&w));
}

Test(core, who_brought_a_petition_stays_in_the_office_and_can_be_forgotten, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1];
	struct id id = { { 0 } }, petition;
	struct private_part part;
	struct answer answer;
	uint64_t withheld;
	struct span bytes;

	record_make_id(CORES_START_MS, (const uint8_t *)"0123456789", &id);
	petition = submit_private(district, &id);
	cores_settle(cores);
	cr_expect(store_has(district, "Đường thôn hư hỏng"), "the test can find what is there");
	for (size_t i = 0; i < cores->n; i++) {
		cr_expect_not(store_has(&cores->nodes[i], "Mộng Điệp"), "node %zu", i);
		cr_expect_not(store_has(&cores->nodes[i], "0900 123"), "node %zu", i);
	}
	answer = ask_private(province, COMMAND_READ, &petition);
	cr_expect_eq(answer.result, CONTROL_NO_PRIVATE, "nor does its parent have it");

	answer = ask_private(district, COMMAND_READ, &petition);
	cr_assert_eq(answer.result, CONTROL_OK);
	bytes = read_bin(&answer.values, 1, 2048);
	cr_assert_eq(private_decode(bytes, &part), 0);
	cr_expect(span_eq(part.name, span_str("Trần Thị Mộng Điệp")));
	cr_expect_eq(cores_leaves(district, district, LANE_BULK, &withheld), 1, "who asked is written down");
	cores_settle(cores);
	cr_expect_eq(cores_leaves(province, district, LANE_BULK, &withheld), 1);
	cr_expect_eq(withheld, 1, "and nobody above may read it");

	cr_expect_eq(ask_private(district, COMMAND_ERASE, &petition).result, CONTROL_OK);
	cr_expect_eq(ask_private(district, COMMAND_READ, &petition).result, CONTROL_ERASED);
	cr_expect_eq(ask_private(district, COMMAND_ERASE, &petition).result, CONTROL_ERASED);
	cores_down(district);
	cores_up(district);
	cores_connect(cores, 1);
	cr_expect_eq(ask_private(district, COMMAND_READ, &petition).result, CONTROL_ERASED);
	petition = submit_private(district, &id); /* the same register again */
	cr_expect_eq(ask_private(district, COMMAND_READ, &petition).result, CONTROL_ERASED,
		"what was forgotten does not come back");
	cr_expect_eq(cores_count(district, district, MEASURE_RECEIVED), 1);
}

static int note_file(void *userdata, uint64_t file) {
	*(uint64_t *)userdata = file;
	return 0;
}

static void chmod_keys(struct cores_node *node, mode_t mode) {
	char name[KEYRING_NAME_MAX], path[PATH_MAX];
	uint64_t file = 0;

	cr_assert_eq(keyring_each(node->keys.keyring, note_file, &file), 0);
	keyring_name(file, name);
	snprintf(path, sizeof(path), "%s/%s", node->home.dir, name);
	cr_assert_eq(chmod(path, mode), 0);
}

Test(core, says_that_who_asked_is_erased_only_when_the_key_is_gone, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	struct id petition = submit_private(node, NULL);
	struct keyring_key key = { 0 };
	uint8_t bytes[SEAL_KEY_LEN];
	struct answer answer;

	cr_assert_eq(keyring_each(node->keys.keyring, note_file, &key.file), 0);
	chmod_keys(node, 0640); /* it may not be used so, whoever did that */
	answer = ask_private(node, COMMAND_ERASE, &petition);
	cr_expect_eq(answer.result, CONTROL_KEY_LEFT);
	cr_expect(memmem(answer.detail.data, answer.detail.len, "private-", 8), "it is said in which file");
	cr_expect_eq(ask_private(node, COMMAND_ERASE, &petition).result, CONTROL_KEY_LEFT);
	cr_expect_eq(ask_private(node, COMMAND_READ, &petition).result, CONTROL_KEY_LEFT);
	chmod_keys(node, 0600);
	cr_expect_eq(keyring_get(node->keys.keyring, &key, bytes), 0, "it is there still");
	cores_settle(cores);
	cr_expect_eq(keyring_get(node->keys.keyring, &key, bytes), KEYRING_ERASED, "tried again by itself");
	cr_expect_eq(ask_private(node, COMMAND_ERASE, &petition).result, CONTROL_ERASED);
	cr_expect_eq(ask_private(node, COMMAND_READ, &petition).result, CONTROL_ERASED);
}

Test(core, a_record_says_what_its_private_part_hashes_to_and_no_more, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct cores_node *node = &cores->nodes[0];
	uint8_t salt[PRIVATE_SALT_LEN], part[PRIVATE_MAX];
	struct id petition = submit_private(node, NULL);
	struct case_row row;
	struct record rec;
	struct hash want;
	struct leaf leaf;
	size_t len;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_get(txn, &petition, &row), 0);
	cr_assert_eq(oplog_leaf_at(txn, row.arrival, &leaf), 0);
	cr_assert_eq(record_decode(leaf.bytes, &rec), 0);
	cr_assert(rec.has_commitment);
	cr_assert_eq(private_get(txn, node->keys.keyring, &petition, salt, part, &len), 0);
	private_commit(salt, (struct span){ part, len }, &want);
	cr_expect_arr_eq(rec.commitment.b, want.b, sizeof(want.b));
}

Test(core, derived_rows_can_be_made_again_from_the_oplogs_with_the_same_bytes, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	static const enum table tables[] = { TABLE_CASES, TABLE_STEPS, TABLE_ESCALATIONS, TABLE_WAITING,
		TABLE_TALLIES };
	uint8_t body[512], step[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, true);
	struct answer answer;
	struct id petition;

	answer = cores_submit(&cores->nodes[2], &draft, 1);
	read_array(&answer.values, 1, 1);
	read_array(&answer.values, 3, 3);
	read_uint(&answer.values, 1);
	read_id(&answer.values, &petition);
	draft = step_draft(step, sizeof(step), &petition, ACTION_RETURNED); /* a count that falls to 0 */
	cr_assert_eq(cores_submit(&cores->nodes[2], &draft, 1).result, CONTROL_OK);
	draft = step_draft(step, sizeof(step), &petition, ACTION_ACCEPTED);
	cr_assert_eq(cores_submit(&cores->nodes[2], &draft, 1).result, CONTROL_OK);
	cores_take_petitions(&cores->nodes[2], 2, 30);
	cores_settle(cores);
	for (size_t i = 0; i < cores->n; i++) {
		struct scratch again = scratch_new();
		struct store *into = scratch_store(&again);
		struct txn *a, *b;

		cr_assert_eq(store_begin_read(cores->nodes[i].store, &a), 0);
		cr_assert_eq(fold_rebuild(a, into), 0);
		cr_assert_eq(store_begin_read(into, &b), 0);
		for (size_t t = 0; t < N_ELEMENTS(tables); t++) {
			struct scan *sa, *sb;
			struct span ka, va, kb, vb;
			int ra, rb;

			cr_assert_eq(scan_open(a, tables[t], (struct span){ NULL, 0 }, &sa), 0);
			cr_assert_eq(scan_open(b, tables[t], (struct span){ NULL, 0 }, &sb), 0);
			do {
				ra = scan_next(sa, &ka, &va);
				rb = scan_next(sb, &kb, &vb);
				cr_assert_eq(ra, rb, "node %zu table %zu: rows differ in number", i, t);
				cr_assert(ra || (span_eq(ka, kb) && span_eq(va, vb)), "node %zu table %zu", i, t);
			} while (ra == 0);
			scan_close(sa);
			scan_close(sb);
		}
		store_abort(a);
		store_abort(b);
		store_close(into);
		scratch_done(&again);
	}
}

static enum control_result extend(struct cores_node *node, const struct id *petition, uint64_t due_ms) {
	const struct step step = { .petition = *petition, .action = ACTION_EXTENDED, .date_ms = node->cores->now_ms,
		.due_ms = due_ms, .text = span_str("Cần xác minh thêm.") };
	struct draft draft = { .kind = KIND_STEP, .lane = LANE_NORMAL };
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	draft.body = writer_span(&w);
	return cores_submit(node, &draft, 1).result;
}

/* Taken in on a Saturday: due when Tuesday ends, whatever was done about it. */
Test(core, a_data_request_that_is_not_answered_in_two_working_days_is_found_once_for_each_step, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];
	const uint64_t due_ms = CORES_START_MS + UINT64_C(3) * 24 * 3600000 + 17 * 3600000 - 1;
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct case_row row;
	struct id petition;

	body[1] = LEGAL_DATA_REQUEST;
	petition = submit_id(commune, &draft);
	cores->now_ms += 24 * 3600000;
	take_step(commune, &petition, ACTION_ACCEPTED, "");
	cr_assert(has_case(commune, &petition, &row));
	cr_expect_eq(row.legal_kind, LEGAL_DATA_REQUEST);
	cr_expect_eq(row.due_ms, due_ms, "the step does not move it");
	cr_expect_eq(extend(commune, &petition, due_ms - 86400000), CONTROL_BAD_FIELD, "no extension takes time away");
	cr_expect_eq(extend(commune, &petition, due_ms), CONTROL_BAD_FIELD);
	cores->now_ms = due_ms - 1000;
	cores_settle(cores);
	cr_assert(has_case(commune, &petition, &row));
	cr_expect_not(row.overdue);
	cores->now_ms = due_ms + 301000;
	cores_settle(cores);
	cr_assert(has_case(commune, &petition, &row));
	cr_expect(row.overdue);
	cr_expect(row.escalated);
	take_step(commune, &petition, ACTION_RESOLVED, "Đã đính chính.");
	cores->now_ms += 301000;
	cores_settle(cores);
	cr_assert(has_case(commune, &petition, &row));
	cr_expect(row.overdue, "it is resolved, and not answered");
	cr_expect_eq(row.due_ms, due_ms);
	take_step(commune, &petition, ACTION_ANSWERED, "Đã báo người hỏi.");
	cores->now_ms += 301000;
	cores_settle(cores);
	cr_assert(has_case(commune, &petition, &row));
	cr_expect_not(row.overdue);
}

/* A line on which each batch takes two seconds, and what is urgent comes up in the middle of a backlog. */
static struct {
	unsigned n_batches, n_at_most, submitted, arrived;
	struct id urgent;
} slow;

static void cross_slowly(struct cores *cores, struct cores_frame *frame) {
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, true);
	struct message message;
	struct case_row row;

	if (message_decode((struct span){ frame->data, frame->len }, &message) || message.type != MESSAGE_BATCH ||
		!id_eq(&frame->from, &commune->id))
		return;
	cores->now_ms += 2000;
	slow.n_batches++;
	slow.n_at_most = commune->core->links[0]->n_flights > slow.n_at_most && slow.n_batches > 6
		? (unsigned)commune->core->links[0]->n_flights : slow.n_at_most;
	if (slow.n_batches == 8) {
		slow.urgent = submit_id(commune, &draft);
		slow.submitted = slow.n_batches;
	}
	if (slow.submitted && !slow.arrived && has_case(district, &slow.urgent, &row))
		slow.arrived = slow.n_batches;
}

Test(core, what_is_urgent_waits_on_a_slow_line_for_no_more_than_two_batches, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];

	commune->cut = true;
	for (unsigned i = 0; i < 40; i++) {
		uint8_t bodies[100][512];
		struct draft drafts[100];

		for (unsigned k = 0; k < 100; k++)
			drafts[k] = cores_petition(bodies[k], sizeof(bodies[k]), 100 * i + k, false);
		cr_assert_eq(cores_submit(commune, drafts, 100).result, CONTROL_OK);
	}
	cores_settle(cores);
	cores->on_frame = cross_slowly;
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_gt(slow.n_batches, 14);
	cr_expect_leq(slow.n_at_most, 2, "under way: %u", slow.n_at_most);
	cr_expect(slow.arrived && slow.arrived <= slow.submitted + 3, "%u to %u", slow.submitted, slow.arrived);
	cr_expect_eq(cores_count(&cores->nodes[0], commune, MEASURE_RECEIVED), 4001);
}

static void pass_an_hour(struct cores *cores) {
	for (unsigned i = 0; i < 36; i++) {
		cores->now_ms += 100000;
		for (size_t k = 1; k < cores->n; k++)
			cores_connect(cores, k);
		cores_settle(cores);
	}
}

Test(core, offices_give_receipts_for_what_they_hold_and_come_to_an_end, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	uint64_t withheld, n;

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	for (size_t i = 0; i < 2; i++)
		cr_expect_eq(cores_leaves(commune, &cores->nodes[i], LANE_BULK, &withheld), 0);
	pass_an_hour(cores);
	cr_expect_geq(cores_leaves(commune, district, LANE_BULK, &withheld), 1, "of the district, for the commune");
	cr_expect_leq(withheld, 1, "what it says of the province is for the province");
	cr_expect_geq(cores_leaves(commune, province, LANE_BULK, &withheld), 2, "of the province, for both");
	cr_expect_eq(withheld, 0, "whose district's may be read in all of it");
	cr_expect_geq(cores_leaves(province, commune, LANE_BULK, &withheld), 1, "of the commune, what it was shown");
	cr_expect_eq(withheld, 0);
	n = cores_leaves(province, commune, LANE_BULK, &withheld) + cores_leaves(commune, province, LANE_BULK, &withheld) +
		cores_leaves(commune, district, LANE_BULK, &withheld);
	pass_an_hour(cores);
	cr_expect_eq(cores_leaves(province, commune, LANE_BULK, &withheld) +
			cores_leaves(commune, province, LANE_BULK, &withheld) +
			cores_leaves(commune, district, LANE_BULK, &withheld), n, "nothing has grown but by receipts");
}

Test(core, a_node_that_may_not_write_waits_all_the_same, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0];

	cores_take_petitions(&cores->nodes[1], 0, 1);
	cores_settle(cores);
	district->core->barred = CONTROL_OLD_COPY;
	cores->now_ms += 700000; /* receipts are due, and clocks to be looked at */
	for (unsigned i = 0; i < 2; i++) {
		cores_begin(district);
		cores_end(district);
	}
	cr_expect_gt(core_wakeup_ms(district->core), district->core->now_ms);
	district->core->barred = 0;
}
