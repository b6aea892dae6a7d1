/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * An office begins another life, after a copy of its store was put back or it ran twice: those above it get all that
 * counts, once, and the lines are not kept busy for it.
 */
#include "store/cases.h"
#include "store/cursor.h"
#include "tests/lives.h"
#include "tests/unit/cases.h"
#include "tools/place.h"

/* An office that has run twice: the copy that stays has @ours petitions of its own, what its parent knows, others. */
static struct scratch run_twice(struct cores *cores, size_t child, unsigned ours) {
	struct cores_node *node = &cores->nodes[child], *parent = &cores->nodes[node->parent];
	struct scratch copy = keep_copy(node);

	cores_connect(cores, child);
	cores_take_petitions(node, 100, 10);
	cores_settle(cores);
	exchange(node, &copy);
	cores_take_petitions(node, 500, ours);
	reconnect(cores, child);
	cr_assert_eq(known(parent, node)->forks.found, 2);
	return copy;
}

/* Some time passes, and the lines stay up. */
static void wait_ms(struct cores *cores, uint64_t ms) {
	for (uint64_t step = 9500; ms > 0; ms -= step) {
		step = ms < step ? ms : step;
		cores->now_ms += step;
		cores_settle(cores);
	}
}

/* The new life ends the old one where no head of it was kept at its parent, and the province has not so much yet. */
Test(recovery, what_lies_before_the_end_of_an_old_life_goes_on_upward, .timeout = 120) {
	for (unsigned found = 0; found < 2; found++) {
		_cleanup_(cores_freep) struct cores *cores = cores_new(3);
		struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
				  *commune = &cores->nodes[2];
		struct case_row row;
		struct scratch copy;
		struct id id;
		uint64_t end;

		district->config.rules[0] = (struct rule){ .name = "seen", .cause = CAUSE_PEOPLE, .scope = RULE_SEEN,
			.at_least = 3, .lane = LANE_NORMAL };
		district->config.n_rules = 1;
		cores_take_petitions(commune, 0, 5);
		cores_settle(cores);
		district->cut = true;
		id = take_one(commune);
		cores_take_petitions(commune, 50, 4);
		cores_settle(cores);
		if (found) {
			copy = run_twice(cores, 2, 40);
			cr_assert_eq(unfork(district, commune), CONTROL_OK);
		} else { /* its parent never hears of the other history */
			copy = keep_copy(commune);
			cores_connect(cores, 2);
			cores_take_petitions(commune, 100, 10);
			cores_settle(cores);
			exchange(commune, &copy);
			commune->cut = true;
			cores_take_petitions(commune, 500, 40);
		}
		restart_restored(commune);
		reconnect(cores, 2);
		cr_assert_eq(epoch_of(commune), 2);
		end = known(commune, commune)->former.terms[0].end.sizes[LANE_NORMAL];
		cr_assert(end > 10 && leaves_of(district, commune, 1) > end);
		wait_ms(cores, 20000);
		cores_connect(cores, 1);
		wait_ms(cores, 20000);
		cr_expect_eq(leaves_of(province, commune, 1), end);
		cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 50);
		cr_expect(has_case(province, &id, &row), "the district found it to need those above");
		cr_expect_eq(province->core->refusals[REFUSAL_ENDED], 0);
		expect_rebuilt(province);
		expect_rebuilt(district);
		scratch_done(&copy);
	}
}

Test(recovery, what_is_settled_goes_on_while_the_line_is_up, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copy;

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = run_twice(cores, 2, 40);
	restart_restored(commune);
	reconnect(cores, 2);
	cr_assert_eq(epoch_of(commune), 2);
	cr_assert_eq(leaves_of(district, commune, 2), 0);
	cr_assert_eq(unfork(district, commune), CONTROL_OK);
	wait_ms(cores, 20000);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 45);
	scratch_done(&copy);
}

Test(recovery, that_it_is_settled_may_come_together_with_the_new_life, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copy;

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = run_twice(cores, 2, 40);
	cr_assert_eq(known(province, commune)->forks.found, 2);
	district->cut = true;
	cr_assert_eq(unfork(district, commune), CONTROL_OK);
	restart_restored(commune);
	reconnect(cores, 2);
	cr_assert_eq(cores_count(district, commune, MEASURE_RECEIVED), 45);
	cores->now_ms += 100000;
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 45);
	cr_expect_eq(province->core->refusals[REFUSAL_QUARANTINED], 0);
	scratch_done(&copy);
}

static struct id watched;
static size_t n_watched;

static void count_leaves(struct cores *cores, struct cores_frame *frame) {
	struct message message;

	if (id_eq(&frame->from, &watched) && message_decode((struct span){ frame->data, frame->len }, &message) == 0 &&
		message.type == MESSAGE_BATCH)
		n_watched += message.batch.n;
}

Test(recovery, what_the_parent_has_is_not_sent_to_it_again, .timeout = 60) {
	for (unsigned old = 0; old < 2; old++) {
		_cleanup_(cores_freep) struct cores *cores = cores_new(2);
		struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
		struct scratch copy;

		watched = commune->id;
		cores->on_frame = count_leaves;
		cores_take_petitions(commune, 0, 50);
		cores_settle(cores);
		copy = keep_copy(commune);
		cores_connect(cores, 1);
		cores_take_petitions(commune, 100, 50 * old);
		cores_settle(cores);
		exchange(commune, &copy);
		n_watched = 0;
		restart_restored(commune);
		cores_connect(cores, 1);
		cores_settle(cores);
		cr_assert_eq(epoch_of(commune), 2);
		cr_expect_lt(n_watched, 10, "%zu leaves", n_watched);
		cr_expect_eq(leaves_of(district, commune, 1), 100 + 100 * old);
		cr_expect_eq(leaves_of(commune, commune, 1), 100 + 100 * old);
		scratch_done(&copy);
	}
}

/* The office above says so far it holds an oplog of the one below. True: it seems to have lost some. */
static bool say_held(struct cores_node *node, struct cores_node *above, bool heads, uint64_t size) {
	const struct held held = { { node->id, 1, LANE_NORMAL }, size };
	uint8_t frame[MESSAGE_MAX];
	struct writer w;
	bool went_back;

	writer_init(&w, frame, sizeof(frame));
	if (heads)
		message_write_heads(&w, false, &held, 1);
	else
		message_write_ack(&w, &held, 1);
	cores_begin(node);
	core_message(node->core, &above->id, writer_span(&w));
	went_back = core_find_link(node->core, &above->id)->went_back;
	cores_end(node);
	return went_back;
}

Test(recovery, a_parent_loses_something_once_in_a_session, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	for (unsigned heads = 0; heads < 2; heads++)
		for (uint64_t size = 10; size > 0; size -= 2) /* each time everything that it is to read would be looked at */
			cr_expect_not(say_held(commune, district, heads, size));
}

Test(recovery, an_old_copy_knows_that_it_is_one_after_a_restart, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct scratch copy;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 5);
	cores_settle(cores);
	exchange(commune, &copy);
	reconnect(cores, 1);
	cr_assert_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
	commune->cut = true; /* and there is no line that could tell it */
	for (unsigned i = 0; i < 2; i++) {
		cores_down(commune);
		cores_up(commune);
		cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
	}
	reconnect(cores, 1);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
	cr_expect_eq(known(district, commune)->forks.found, 0);
	restart_restored(commune); /* until it is put back */
	reconnect(cores, 1);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	commune->cut = true;
	cores_down(commune);
	cores_up(commune);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	scratch_done(&copy);
}

/* The parent was itself put back, and shows less than before: those further above know what it has forgotten. */
Test(recovery, an_old_copy_stays_one_though_its_parent_has_forgotten, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copies[2];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copies[0] = keep_copy(commune);
	copies[1] = keep_copy(district);
	cores_connect(cores, 1);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 5);
	cores_settle(cores);
	exchange(commune, &copies[0]);
	reconnect(cores, 2);
	cr_assert_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
	exchange(district, &copies[1]);
	restart_restored(district);
	reconnect_all(cores);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
	restart_restored(commune);
	reconnect_all(cores);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	reconnect_all(cores);
	cr_expect_eq(known(province, commune)->forks.found, 0);
	scratch_done(&copies[0]);
	scratch_done(&copies[1]);
}

/* Without anything that this office signed: it holds as long as it is said. */
Test(recovery, a_parents_word_alone_does_not_stop_an_office, .timeout = 60) {
	for (unsigned restarted = 0; restarted < 2; restarted++) {
		_cleanup_(cores_freep) struct cores *cores = cores_new(2);
		struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
		const struct held held = { { commune->id, 200, LANE_NORMAL }, 1 };
		uint8_t frame[MESSAGE_MAX], body[512];
		struct draft draft = cores_petition(body, sizeof(body), 1, false);
		struct batch batch = { .oplog = held.oplog, .n = 1, .head.size = 1 };
		struct writer w;

		writer_init(&w, frame, sizeof(frame));
		message_write_heads(&w, false, &held, 1);
		cores_begin(commune);
		core_message(commune->core, &district->id, writer_span(&w));
		batch.sequence = core_find_link(commune->core, &district->id)->in_sequence;
		cores_end(commune);
		cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
		batch.payload = (struct span){ (const uint8_t *)"\0\x91\xc4\x01x", 6 };
		writer_init(&w, frame, sizeof(frame));
		message_write_batch(&w, &batch); /* nor with what somebody else signed */
		cores_begin(commune);
		core_message(commune->core, &district->id, writer_span(&w));
		cores_end(commune);
		cr_expect_eq(commune->core->refusals[REFUSAL_NOT_YOURS], 1);
		cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
		if (restarted) {
			commune->cut = true;
			cores_down(commune);
			cores_up(commune);
		} else {
			reconnect(cores, 1);
		}
		cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK, "%u", restarted);
	}
}

/* HEADS of several messages, of which some are of a session that broke. */
Test(recovery, asks_for_all_that_the_parent_says_it_has, .timeout = 60) {
	static const uint64_t said[] = { 4, 9, 2 };
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct recovery *recovery;
	uint8_t frame[MESSAGE_MAX];
	struct writer w;

	restart_restored(commune);
	recovery = &commune->core->recovery;
	cores_begin(commune);
	core_link_open(commune->core, &district->id);
	cores_end(commune);
	core_find_link(commune->core, &district->id)->greeted = true;
	for (size_t i = 0; i < N_ELEMENTS(said); i++) {
		const struct held held = { { commune->id, 1, LANE_NORMAL }, said[i] };

		writer_init(&w, frame, sizeof(frame));
		message_write_heads(&w, true, &held, 1);
		cores_begin(commune);
		core_message(commune->core, &district->id, writer_span(&w));
		cr_assert_eq(recovery->n, 1);
		cr_expect_eq(recovery->oplogs[0].size, i == 0 ? 4 : 9);
		cores_end(commune);
	}
	reconnect(cores, 1);
	cr_expect_eq(epoch_of(commune), 2);
}

Test(recovery, says_when_no_other_life_can_follow, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);

	for (uint8_t i = 0; i < OFFICE_FORMER_MAX; i++)
		cr_assert_eq(rotate(commune, 100 + i), CONTROL_OK);
	cores_settle(cores);
	restart_restored(commune);
	reconnect(cores, 1);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_TOO_MANY);
	commune->next_seed = 100 + OFFICE_FORMER_MAX - 1;
}

/* Nobody else has heard of the key, which signed what parts from what they have. */
Test(recovery, says_that_a_key_was_changed_on_one_side_of_a_fork, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);
	struct scratch copy;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 5);
	cores_settle(cores);
	exchange(commune, &copy);
	commune->cut = true;
	cores_take_petitions(commune, 500, 10);
	cr_assert_eq(rotate(commune, 100), CONTROL_OK);
	reconnect(cores, 1);
	cr_expect_eq(known(district, commune)->forks.found, 0, "the key was changed: it may have been stolen");
	cr_expect_eq(commune->core->links[0]->trouble.code, TROUBLE_REFUSED);
	restart_restored(commune);
	reconnect(cores, 1);
	cr_expect_eq(epoch_of(commune), 1);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OTHER_KEY);
	scratch_done(&copy);
}

static uint64_t reference_of(struct cores_node *node, const struct id *id) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct case_row row;

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_get(txn, id, &row), 0);
	return row.reference;
}

Test(recovery, no_reference_is_given_twice_though_only_hashes_come_back, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];
	struct scratch copy;
	uint64_t last = 0;
	struct id id;

	commune->config.detail = DETAIL_ESCALATED;
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	for (unsigned i = 0; i < 3; i++) {
		id = take_one(commune);
		last = reference_of(commune, &id);
	}
	cores_settle(cores);
	exchange(commune, &copy);
	restart_restored(commune);
	reconnect(cores, 1);
	cr_assert_eq(epoch_of(commune), 2);
	id = take_one(commune);
	cr_expect_gt(reference_of(commune, &id), last);
	scratch_done(&copy);
}

/* Its reference leads to where those above have it. */
Test(recovery, what_was_written_again_is_found_in_the_new_life, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];
	const struct tool tool = { .home = commune->home.dir };
	struct place place;
	struct home home;
	struct id id;

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	commune->cut = true;
	id = take_one(commune);
	cr_assert_eq(reference_of(commune, &id), 1002602400000006);
	restart_restored(commune);
	reconnect(cores, 1);
	cr_assert_eq(epoch_of(commune), 2);
	cores_down(commune);
	cr_assert_eq(home_open(&tool, &home), DONE);
	cr_expect_eq(place_find(&home, "260-24-00006-86", &place), DONE);
	cr_expect_eq(place.oplog.epoch, 2);
	cr_expect_eq(place_find(&home, "260/1/normal/10", &place), DONE);
	cr_expect_eq(place.oplog.epoch, 2);
	cr_expect_eq(place_find(&home, "260/1/normal/9", &place), DONE);
	cr_expect_eq(place.oplog.epoch, 1);
	home_close(&home);
	cores_up(commune);
}

static void take_of(struct cores_node *node, enum category category, unsigned n, enum lane lane) {
	for (unsigned i = 0; i < n; i++) {
		const struct petition petition = { .legal_kind = LEGAL_PETITION, .category = category,
			.channel = CHANNEL_LETTER, .people = 3, .received_ms = CORES_START_MS,
			.village = span_str("Dương Húc"), .text = span_str("Đường hỏng"), .asked_of = span_str("UBND xã") };
		struct draft draft = { .kind = KIND_PETITION, .organisation = ORGANISATION_FRONT, .lane = lane };
		uint8_t body[512];
		struct writer w;

		writer_init(&w, body, sizeof(body));
		petition_encode(&petition, &w);
		draft.body = writer_span(&w);
		cr_assert_eq(cores_submit(node, &draft, 1).result, CONTROL_OK);
	}
}

/* What the machine that went took in is entered again on the one that stays, under another category. */
Test(recovery, where_histories_parted_those_above_count_what_the_office_counts, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *commune = &cores->nodes[2];
	struct scratch copy;

	take_of(commune, CATEGORY_LAND, 4, LANE_NORMAL);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	take_of(commune, CATEGORY_FACILITIES, 5, LANE_NORMAL);
	cores_settle(cores);
	exchange(commune, &copy);
	take_of(commune, CATEGORY_LAND, 2, LANE_NORMAL);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	take_of(commune, CATEGORY_DAILY_LIFE, 5, LANE_NORMAL);
	cores_settle(cores);
	cr_expect_eq(cores_count(commune, commune, MEASURE_RECEIVED), 11);
	for (size_t i = 0; i < 2; i++) {
		cr_expect_eq(cores_count(&cores->nodes[i], commune, MEASURE_RECEIVED), 11, "%zu", i);
		expect_rebuilt(&cores->nodes[i]);
	}
	scratch_done(&copy);
}

/* The copy has nothing that would count, and only the machine that went ever had. */
Test(recovery, whoever_begins_again_with_nothing_says_so, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct step step = { .petition = scratch_id(7), .action = ACTION_ACCEPTED, .date_ms = CORES_START_MS };
	struct record rec = { .kind = KIND_STEP, .time_ms = CORES_START_MS, .id = scratch_id(8) };
	uint8_t body[256];
	struct scratch copy;
	struct writer w;

	copy = keep_copy(commune);
	cores_connect(cores, 1);
	take_of(commune, CATEGORY_LAND, 4, LANE_NORMAL);
	cores_settle(cores);
	exchange(commune, &copy);
	step.sequence = 1;
	writer_init(&w, body, sizeof(body));
	step_encode(&step, &w);
	rec.body = writer_span(&w);
	cores_begin(commune); /* another history from the first leaf on, which counts nothing */
	cr_assert_eq(core_write(commune->core, LANE_NORMAL, &rec, NULL, 0), 0);
	cores_end(commune);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	cr_expect_eq(cores_count(commune, commune, MEASURE_RECEIVED), 0);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 0);
	scratch_done(&copy);
}

static struct id take_urgent(struct cores_node *node, unsigned n) {
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), n, true);

	return submit_id(node, &draft);
}

/* An office that tells those above only what it escalates. */
Test(recovery, what_the_parent_has_in_full_comes_back_in_full, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct id ids[20], hidden;
	struct case_row row;
	struct scratch copy;

	commune->config.detail = DETAIL_ESCALATED;
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	for (unsigned i = 0; i < N_ELEMENTS(ids); i++) {
		ids[i] = take_urgent(commune, i);
		hidden = take_petition(commune, 100 + i);
		take_step(commune, &ids[i], ACTION_ACCEPTED, "Đã nhận.");
	}
	cores_settle(cores);
	cr_assert_eq(cases_at(district), N_ELEMENTS(ids));
	exchange(commune, &copy);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	cr_expect_eq(cases_at(district), N_ELEMENTS(ids));
	for (unsigned i = 0; i < N_ELEMENTS(ids); i++)
		cr_expect(has_case(commune, &ids[i], &row) && row.state == CASE_ACCEPTED && row.escalated, "%u", i);
	cr_expect_not(has_case(commune, &hidden, &row));
	cr_expect_null(commune->core->recovery.given);
	take_step(commune, &ids[0], ACTION_FORWARDED, "Chuyển.");
	cores_settle(cores);
	cr_expect(has_case(district, &ids[0], &row) && row.state == CASE_FORWARDED);
	expect_rebuilt(commune);
	expect_rebuilt(district);
	scratch_done(&copy);
}

/* Both of them and what is made again from their oplogs say so. */
static void expect_count(struct cores_node *parent, struct cores_node *node, uint64_t n) {
	cr_expect_eq(cores_count(node, node, MEASURE_RECEIVED), n, "here %d", (int)cores_count(node, node, MEASURE_RECEIVED));
	cr_expect_eq(cores_count(parent, node, MEASURE_RECEIVED), n, "above %d", (int)cores_count(parent, node, MEASURE_RECEIVED));
	expect_rebuilt(node);
	expect_rebuilt(parent);
}

/* Where those above are told no more than what is escalated, the rest comes back as hashes. */
Test(recovery, what_was_counted_goes_on_being_counted, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copies[3];

	commune->config.detail = DETAIL_ESCALATED;
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copies[0] = keep_copy(commune);
	copies[1] = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 3);
	(void)take_urgent(commune, 200); /* is escalated, and comes back */
	cores_settle(cores);
	exchange(commune, &copies[0]);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	cr_expect_eq(cases_at(commune), 6);
	expect_count(district, commune, 9);
	cores_take_petitions(commune, 300, 2);
	cores_settle(cores);
	expect_count(district, commune, 11);

	exchange(commune, &copies[1]); /* the same copy: what was carried comes back, and what came after it as hashes */
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 3);
	expect_count(district, commune, 11);

	commune->cut = true; /* nothing of the life that begins goes up before the copy is made */
	cores_take_petitions(commune, 400, 1);
	copies[2] = keep_copy(commune);
	exchange(commune, &copies[2]);
	restart_restored(commune);
	reconnect(cores, 1);
	cr_assert_eq(epoch_of(commune), 4);
	expect_count(district, commune, 12);
	for (size_t i = 0; i < N_ELEMENTS(copies); i++)
		scratch_done(&copies[i]);
}

static struct oplog_id lost;

/* Batches of one oplog are lost on the way. */
static void lose(struct cores *cores, struct cores_frame *frame) {
	struct message message;
	struct writer w;

	if (message_decode((struct span){ frame->data, frame->len }, &message) || message.type != MESSAGE_BATCH ||
		!id_eq(&message.batch.oplog.office, &lost.office) || message.batch.oplog.epoch != lost.epoch ||
		(lost.lane != LANE_N && message.batch.oplog.lane != lost.lane))
		return;
	writer_init(&w, frame->data, frame->len);
	message_write_ack(&w, NULL, 0);
	frame->len = w.len;
}

/* Its life was begun, carries something, and nobody has heard of it when it is put back once more. */
Test(recovery, what_is_carried_counts_once_though_a_life_is_begun_twice, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copy;

	commune->config.detail = DETAIL_ESCALATED;
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 3);
	cores_settle(cores);
	exchange(commune, &copy);
	lost = (struct oplog_id){ commune->id, 2, LANE_N };
	cores->on_frame = lose;
	restart_restored(commune);
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_assert_eq(epoch_of(commune), 2);
	cr_assert_eq(leaves_of(district, commune, 2), 0);
	cores->on_frame = NULL;
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 3);
	expect_count(district, commune, 8);
	scratch_done(&copy);
}

/* Its case is here and open: the step is taken again. */
Test(recovery, a_step_that_came_back_as_a_hash_does_not_count, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copy;
	struct id id;

	commune->config.detail = DETAIL_ESCALATED;
	id = take_petition(commune, 1);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	take_step(commune, &id, ACTION_ACCEPTED, "Đã nhận.");
	cores_settle(cores);
	exchange(commune, &copy);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	cr_expect_eq(cores_count(district, commune, MEASURE_ACCEPTED), 0);
	take_step(commune, &id, ACTION_ACCEPTED, "Đã nhận.");
	cores_settle(cores);
	cr_expect_eq(cores_count(district, commune, MEASURE_ACCEPTED), 1);
	expect_count(district, commune, 1);
	scratch_done(&copy);
}

/* They were counted above before they went up, and are lost: whoever has them on paper enters them again. */
Test(recovery, what_never_went_up_is_not_counted, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copy;

	commune->config.detail = DETAIL_ESCALATED;
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 1);
	lost = (struct oplog_id){ commune->id, 1, LANE_BULK };
	cores->on_frame = lose;
	for (unsigned i = 0; i < 20; i++) {
		uint8_t body[512];
		struct draft draft = cores_petition(body, sizeof(body), 200 + i, false);

		draft.lane = LANE_BULK;
		cr_assert_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	}
	cores_settle(cores);
	cr_assert_eq(cores_count(district, commune, MEASURE_RECEIVED), 26);
	exchange(commune, &copy);
	cores->on_frame = NULL;
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	expect_count(district, commune, 5);
	scratch_done(&copy);
}

/* A life took away what the one before said, of what never went up; a later one carries what was said last. */
Test(recovery, what_a_life_took_away_is_not_carried_later, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copies[2];

	commune->config.detail = DETAIL_ESCALATED;
	take_of(commune, CATEGORY_LAND, 5, LANE_NORMAL);
	cores_settle(cores);
	copies[0] = keep_copy(commune);
	copies[1] = keep_copy(commune);
	cores_connect(cores, 1);
	take_of(commune, CATEGORY_LAND, 1, LANE_NORMAL);
	lost = (struct oplog_id){ commune->id, 1, LANE_BULK };
	cores->on_frame = lose;
	take_of(commune, CATEGORY_FACILITIES, 20, LANE_BULK);
	cores_settle(cores);
	cr_assert_eq(cores_count(district, commune, MEASURE_RECEIVED), 26);
	exchange(commune, &copies[0]);
	cores->on_frame = NULL;
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	expect_count(district, commune, 5);
	take_of(commune, CATEGORY_DAILY_LIFE, 21, LANE_NORMAL); /* entered again, under what it really is */
	cores_settle(cores);
	expect_count(district, commune, 26);
	exchange(commune, &copies[1]);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 3);
	expect_count(district, commune, 26);
	for (size_t i = 0; i < N_ELEMENTS(copies); i++)
		scratch_done(&copies[i]);
}

/* A petition is missing, and beside it a step of one that is here. */
Test(recovery, a_step_that_is_taken_again_counts_once_though_a_petition_is_missing, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copy;
	struct id id;

	commune->config.detail = DETAIL_ESCALATED;
	id = take_petition(commune, 1);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	take_step(commune, &id, ACTION_ACCEPTED, "Đã nhận.");
	(void)take_petition(commune, 2);
	cores_settle(cores);
	exchange(commune, &copy);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 2);
	take_step(commune, &id, ACTION_ACCEPTED, "Đã nhận.");
	cores_settle(cores);
	cr_expect_eq(cores_count(commune, commune, MEASURE_ACCEPTED), 1);
	cr_expect_eq(cores_count(district, commune, MEASURE_ACCEPTED), 1);
	expect_count(district, commune, 2);
	scratch_done(&copy);
}

/* What the parent gives in full is lost on the way. */
static void lose_disclosed(struct cores *cores, struct cores_frame *frame) {
	struct message message;
	struct writer w;

	if (message_decode((struct span){ frame->data, frame->len }, &message) || message.type != MESSAGE_DISCLOSE ||
		!id_eq(&frame->to, &cores->nodes[1].id))
		return;
	writer_init(&w, frame->data, frame->len);
	message_write_ack(&w, NULL, 0);
	frame->len = w.len;
}

Test(recovery, what_was_carried_and_comes_in_full_later_counts_once, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copies[2], last;

	commune->config.detail = DETAIL_ESCALATED;
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	copies[0] = keep_copy(commune);
	copies[1] = keep_copy(commune);
	cores_connect(cores, 1);
	for (unsigned i = 0; i < 3; i++)
		(void)take_urgent(commune, 200 + i);
	(void)take_petition(commune, 300); /* never comes in full */
	cores_settle(cores);
	exchange(commune, &copies[0]);
	cores->on_frame = lose_disclosed;
	restart_restored(commune);
	reconnect_all(cores);
	cores->on_frame = NULL;
	cr_assert_eq(epoch_of(commune), 2);
	cr_expect_eq(cases_at(commune), 5);
	expect_count(district, commune, 9);
	exchange(commune, &copies[1]);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 3);
	cr_expect_eq(cases_at(commune), 8);
	expect_count(district, commune, 9);
	last = keep_copy(commune); /* as it is, with nothing missing */
	exchange(commune, &last);
	restart_restored(commune);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(commune), 4);
	expect_count(district, commune, 9);
	for (size_t i = 0; i < N_ELEMENTS(copies); i++)
		scratch_done(&copies[i]);
	scratch_done(&last);
}
