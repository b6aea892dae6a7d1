/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/unit/scratch.h"

#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "proto/kinds/escalation.h"
#include "store/fold.h"

#define START_MS 1717200000000ull

/* A store of one office with a child; records are put into oplogs and folded, in any order. */
struct stage {
	struct scratch home;
	struct store *store;
	struct txn *txn;
	struct fold fold;
	struct id own, child;
	uint32_t own_number, child_number;
};

static struct office office_of(const struct id *id, const struct id *parent, uint32_t code) {
	return (struct office){ .id = *id, .parent = *parent, .code = code, .code_digits = 5,
		.state = OFFICE_ACTIVE, .level = span_str("commune"), .name = span_str("Xã") };
}

static void stage_init(struct stage *stage) {
	struct id nobody = { { 0 } };
	struct office office;

	*stage = (struct stage){ .own = { { 1 } }, .child = { { 2 } } };
	stage->home = scratch_new();
	stage->store = scratch_store(&stage->home);
	stage->txn = scratch_txn(stage->store);
	office = office_of(&stage->own, &nobody, 1);
	cr_assert_eq(offices_put(stage->txn, &office, &(struct office_former){ 0 }, &stage->own_number), 0);
	office = office_of(&stage->child, &stage->own, 2);
	cr_assert_eq(offices_put(stage->txn, &office, &(struct office_former){ 0 }, &stage->child_number), 0);
	cr_assert_eq(offices_set_own(stage->txn, &stage->own, 1), 0);
	cr_assert_eq(fold_init(&stage->fold, stage->txn, NULL), 0);
}

static void stage_done(struct stage *stage) {
	fold_done(&stage->fold);
	store_abort(stage->txn);
	store_close(stage->store);
	scratch_done(&stage->home);
}

static struct span encode(uint8_t kind, uint8_t n, struct span body, uint8_t buf[1024]) {
	const struct record rec = { .kind = kind, .id = { { 9, [15] = n } }, .time_ms = START_MS, .body = body };
	struct writer w;

	writer_init(&w, buf, 1024);
	cr_assert_eq(record_encode(&rec, NULL, 0, &w), 0);
	return writer_span(&w);
}

static int stage_apply_in(struct stage *stage, const struct oplog_id *id, uint32_t number, uint8_t kind,
	uint8_t n, struct span body) {
	struct record rec = { .kind = kind, .id = { { 9, [15] = n } }, .time_ms = START_MS, .body = body };
	uint8_t buf[1024];
	struct oplog oplog;
	struct leaf leaf = { 0 };
	struct hash hash;
	uint64_t arrival;

	leaf.bytes = encode(kind, n, body, buf);
	cr_assert_eq(oplog_load_or_create(stage->txn, id, &oplog), 0);
	leaf_hash(&leaf, &hash);
	cr_assert_eq(oplog_append(stage->txn, &oplog, &leaf, &hash, &arrival), 0);
	cr_assert_eq(oplog_flush(stage->txn, &oplog), 0);
	return fold_apply(&stage->fold, stage->txn, id, oplog.frontier.size - 1, number, arrival, &rec);
}

static int stage_apply(struct stage *stage, const struct id *origin, uint32_t number, uint8_t kind,
	uint8_t n, struct span body) {
	return stage_apply_in(stage, &(struct oplog_id){ *origin, 1, LANE_NORMAL }, number, kind, n, body);
}

static struct span petition_body(uint8_t n, uint8_t body[256]) {
	struct petition petition = { .legal_kind = LEGAL_PETITION, .category = CATEGORY_LAND,
		.channel = CHANNEL_LETTER, .people = 1, .received_ms = START_MS, .reference = n,
		.village = span_str("Thôn Đông"), .text = span_str("Đường hỏng") };
	struct writer w;

	writer_init(&w, body, 256);
	petition_encode(&petition, &w);
	return writer_span(&w);
}

static int apply_petition(struct stage *stage, const struct id *origin, uint32_t number, uint8_t n) {
	uint8_t body[256];

	return stage_apply(stage, origin, number, KIND_PETITION, n, petition_body(n, body));
}

struct planned_step {
	uint32_t sequence;
	uint8_t action;
	uint8_t writer; /* 1 own, 2 child, 3 child that does not hand over to its parent */
	uint8_t n;      /* of its record's id */
	const struct planned_step *after; /* NULL: the petition */
};

static struct span step_body(const struct stage *stage, const struct planned_step *plan, uint8_t petition,
	uint8_t body[256]) {
	struct step step = { .petition = { { 9, [15] = petition } }, .sequence = plan->sequence,
		.action = plan->action, .date_ms = START_MS + plan->sequence * 1000,
		.due_ms = plan->action == ACTION_EXTENDED ? START_MS + 99999 : 0, .to = span_str("UBND"),
		.text = span_str("...") };
	uint8_t buf[1024], before[256];
	struct writer w;

	if (plan->after)
		leaf_hash_of(encode(KIND_STEP, plan->after->n, step_body(stage, plan->after, petition, before), buf),
			&step.follows);
	else
		leaf_hash_of(encode(KIND_PETITION, petition, petition_body(petition, before), buf), &step.follows);
	if (plan->action == ACTION_HANDED_OVER)
		step.office = plan->writer == 3 ? (struct id){ { 4 } } : stage->own;
	writer_init(&w, body, 256);
	step_encode(&step, &w);
	cr_assert(writer_ok(&w));
	return writer_span(&w);
}

static int apply_step(struct stage *stage, uint8_t petition, const struct planned_step *plan) {
	uint8_t body[256];

	return stage_apply(stage, plan->writer == 1 ? &stage->own : &stage->child,
		plan->writer == 1 ? stage->own_number : stage->child_number, KIND_STEP, plan->n,
		step_body(stage, plan, petition, body));
}

static int apply_overdue(struct stage *stage, uint8_t petition, uint32_t clock_step, uint8_t n) {
	struct escalation escalation = { .petition = { { 9, [15] = petition } }, .cause = CAUSE_OVERDUE,
		.rule = span_str("late"), .state = CASE_ACCEPTED, .clock_step = clock_step };
	uint8_t body[256];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	escalation_encode(&escalation, &w);
	return stage_apply(stage, &stage->own, stage->own_number, KIND_ESCALATION, n, writer_span(&w));
}

/* The child takes it in, accepts, hands it over; the parent forwards, extends, resolves. */
static const struct planned_step course[] = {
	{ 1, ACTION_ACCEPTED, 2, 12, NULL },
	{ 2, ACTION_HANDED_OVER, 2, 13, &course[0] },
	{ 2, ACTION_HANDED_OVER, 3, 14, &course[0] }, /* a second one there: the lesser record id has it */
	{ 3, ACTION_FORWARDED, 1, 15, &course[1] },
	{ 3, ACTION_RESOLVED, 2, 16, &course[1] }, /* not the holder any more: kept, not applied */
	{ 4, ACTION_EXTENDED, 1, 17, &course[3] },
	{ 5, ACTION_RESOLVED, 1, 18, &course[5] },
	{ 5, ACTION_CLOSED, 1, 19, &course[5] },   /* nor where it could not be taken */
	{ 5, ACTION_WITHDRAWN, 1, 11, &course[3] }, /* nor where it does not follow what came before */
	{ 7, ACTION_ANSWERED, 1, 21, &course[6] },  /* the one before it never comes */
	{ STEP_SEQUENCE_MAX, ACTION_ACCEPTED, 2, 22, &course[0] }, /* cannot use the numbers up */
};

Test(fold, a_case_comes_out_the_same_whatever_the_order_of_arrival, .timeout = 60) {
	uint8_t first[256];
	size_t first_len = 0;
	unsigned seed = 7;

	for (unsigned round = 0; round < 40; round++) {
		struct id id = { { 9, [15] = 1 } };
		struct stage stage;
		struct case_row row;
		struct span bytes;
		uint8_t order[N_ELEMENTS(course) + 2]; /* and the petition, and an escalation */

		for (uint8_t i = 0; i < N_ELEMENTS(order); i++)
			order[i] = i;
		for (size_t i = N_ELEMENTS(order) - 1; round > 0 && i > 0; i--) {
			size_t k = (seed = seed * 1103515245 + 12345) / 65536 % (i + 1);
			uint8_t swap = order[i];

			order[i] = order[k];
			order[k] = swap;
		}
		stage_init(&stage);
		for (size_t i = 0; i < N_ELEMENTS(order); i++) {
			int r = order[i] == 0 ? apply_petition(&stage, &stage.child, stage.child_number, 1)
				: order[i] == 1 ? apply_overdue(&stage, 1, 1, 100)
						: apply_step(&stage, 1, &course[order[i] - 2]);
			cr_assert_eq(r, 0);
		}
		cr_assert_eq(cases_get(stage.txn, &id, &row), 0);
		row.arrival = row.last = 0; /* where it stands in the store is all that may differ */
		cr_expect_eq(row.state, CASE_RESOLVED);
		cr_expect(id_eq(&row.handed_to, &stage.own));
		cr_expect_eq(row.n_steps, 5);
		cr_expect(row.escalated);
		cr_expect_not(row.overdue, "the clock that was overdue runs no more");
		cr_assert_eq(cases_put(stage.txn, &id, &row), 0);
		cr_assert_eq(txn_get(stage.txn, TABLE_CASES, (struct span){ id.b, sizeof(id.b) }, &bytes), 0);
		if (round == 0) {
			memcpy(first, bytes.data, bytes.len);
			first_len = bytes.len;
		}
		cr_expect(span_eq(bytes, (struct span){ first, first_len }), "round %u", round);
		stage_done(&stage);
	}
}

/* What only a forged node writes: many steps for one place, and two records of one id. */
Test(fold, a_forged_holder_cannot_make_the_order_of_arrival_matter) {
	const struct planned_step accepted = { 1, ACTION_ACCEPTED, 2, 50, NULL };
	const struct planned_step answered = { 2, ACTION_ANSWERED, 2, 60, &accepted };

	for (unsigned which = 0; which < 2; which++) {
		struct case_row rows[2];

		for (unsigned backward = 0; backward < 2; backward++) {
			/* closed cannot be taken there */
			struct planned_step plan = { 1, which ? ACTION_WITHDRAWN : ACTION_CLOSED, 2, 0, NULL };
			struct id id = { { 9, [15] = 1 } };
			struct stage stage;

			stage_init(&stage);
			if (!backward)
				cr_assert_eq(apply_petition(&stage, &stage.child, stage.child_number, 1), 0);
			if (backward)
				cr_assert_eq(apply_step(&stage, 1, &accepted), 0);
			for (plan.n = which ? 50 : 20; plan.n <= (which ? 50 : 40); plan.n++)
				cr_assert_eq(apply_step(&stage, 1, &plan), 0);
			if (!backward)
				cr_assert_eq(apply_step(&stage, 1, &accepted), 0);
			cr_assert_eq(apply_step(&stage, 1, &answered), 0);
			if (backward)
				cr_assert_eq(apply_petition(&stage, &stage.child, stage.child_number, 1), 0);
			cr_assert_eq(cases_get(stage.txn, &id, &rows[backward]), 0);
			stage_done(&stage);
		}
		cr_expect_eq(rows[0].state, rows[1].state, "%u: %u and %u", which, rows[0].state, rows[1].state);
		cr_expect_eq(rows[0].n_steps, rows[1].n_steps);
		cr_expect_eq(rows[0].n_steps == 0, which == 0);
	}
}

/*
 * Whoever had the case may write its past anew; whoever has it now goes on from there, and what it did before
 * is not in its way.
 */
Test(fold, a_past_that_is_written_anew_does_not_stop_the_present_holder) {
	const struct planned_step accepted = { 1, ACTION_ACCEPTED, 2, 40, NULL };
	const struct planned_step handed = { 2, ACTION_HANDED_OVER, 2, 41, &accepted };
	const struct planned_step resolved = { 3, ACTION_RESOLVED, 1, 42, &handed };
	const struct planned_step answered = { 4, ACTION_ANSWERED, 1, 43, &resolved };
	const struct planned_step extended = { 2, ACTION_EXTENDED, 2, 30, &accepted }; /* the new past */
	const struct planned_step handed_again = { 3, ACTION_HANDED_OVER, 2, 44, &extended };
	const struct planned_step forwarded = { 4, ACTION_FORWARDED, 1, 45, &handed_again };
	const struct planned_step *const all[] = { &accepted, &handed, &resolved, &answered, &extended, &handed_again,
		&forwarded };
	struct id id = { { 9, [15] = 1 } };
	struct case_row row;
	struct stage stage;

	stage_init(&stage);
	cr_assert_eq(apply_petition(&stage, &stage.child, stage.child_number, 1), 0);
	for (size_t i = 0; i < N_ELEMENTS(all); i++)
		cr_assert_eq(apply_step(&stage, 1, all[i]), 0);
	cr_assert_eq(cases_get(stage.txn, &id, &row), 0);
	cr_expect_eq(row.n_steps, 4);
	cr_expect_eq(row.state, CASE_FORWARDED);
	stage_done(&stage);
}

/* What was handed over and not acted upon is its office's again; whoever has it and acts comes first. */
Test(fold, a_case_may_be_taken_back_until_somebody_acts_on_it) {
	const struct planned_step handed = { 1, ACTION_HANDED_OVER, 2, 40, NULL };
	const struct planned_step withdrawn = { 2, ACTION_WITHDRAWN, 2, 41, &handed };
	const struct planned_step accepted = { 2, ACTION_ACCEPTED, 1, 42, &handed };
	const struct planned_step *const all[] = { &handed, &withdrawn, &accepted };
	static const uint8_t orders[][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 2, 0 }, { 2, 1, 0 } };
	const struct id id = { { 9, [15] = 1 } };

	for (size_t i = 0; i < N_ELEMENTS(orders); i++) {
		for (unsigned n = 2; n <= 3; n++) {
			struct case_row row;
			struct stage stage;

			stage_init(&stage);
			cr_assert_eq(apply_petition(&stage, &stage.child, stage.child_number, 1), 0);
			for (unsigned k = 0; k < 3; k++)
				if (orders[i][k] < n)
					cr_assert_eq(apply_step(&stage, 1, all[orders[i][k]]), 0);
			cr_assert_eq(cases_get(stage.txn, &id, &row), 0);
			cr_expect_eq(row.n_steps, 2);
			cr_expect_eq(row.state, n == 2 ? CASE_WITHDRAWN : CASE_ACCEPTED, "order %zu", i);
			cr_expect_eq(id_is_nil(&row.handed_to), n == 2);
			stage_done(&stage);
		}
	}
}

Test(fold, one_petition_under_two_numbers_is_one_case) {
	struct stage stage;
	const struct tally_entry *rows;
	uint64_t received = 0;
	size_t n;

	stage_init(&stage);
	cr_expect_eq(apply_petition(&stage, &stage.own, stage.own_number, 1), 0);
	cr_expect_eq(apply_petition(&stage, &stage.own, stage.own_number, 1), FOLD_HELD);
	cr_expect_eq(fold_finish(&stage.fold, stage.txn, &rows, &n), 0);
	for (size_t i = 0; i < n; i++)
		if (rows[i].row.measure == MEASURE_RECEIVED)
			received += rows[i].row.n;
	cr_expect_eq(received, 1);
	stage_done(&stage);
}

/* Its own, which comes back to an office that was put back, may come after what others did of it. */
Test(fold, what_was_found_of_an_own_petition_before_it_came_back_counts) {
	struct id id = { { 9, [15] = 1 } };
	struct case_row row;
	struct stage stage;

	stage_init(&stage);
	cr_assert_eq(apply_overdue(&stage, 1, 0, 30), 0);
	cr_assert_eq(apply_petition(&stage, &stage.own, stage.own_number, 1), 0);
	cr_assert_eq(cases_get(stage.txn, &id, &row), 0);
	cr_expect(row.escalated && row.overdue);
	stage_done(&stage);
}

Test(fold, of_two_petitions_under_one_id_the_own_one_makes_the_case) {
	for (unsigned own_first = 0; own_first < 2; own_first++) {
		struct id id = { { 9, [15] = 1 } };
		const struct tally_entry *rows;
		struct case_row row;
		struct stage stage;
		size_t n;

		stage_init(&stage);
		for (unsigned i = 0; i < 2; i++) {
			bool own = own_first == (i == 0);

			cr_expect_eq(apply_petition(&stage, own ? &stage.own : &stage.child,
					     own ? stage.own_number : stage.child_number, 1), i && !own ? FOLD_HELD : 0);
		}
		cr_assert_eq(cases_get(stage.txn, &id, &row), 0);
		cr_expect_eq(row.origin, stage.own_number);
		cr_assert_eq(fold_finish(&stage.fold, stage.txn, &rows, &n), 0);
		cr_assert_eq(n, 2, "received, people");
		cr_expect(rows[0].row.n == 1 && rows[1].row.n == 1);
		stage_done(&stage);
	}
}

Test(fold, an_extension_that_does_not_say_until_when_takes_no_due_time_away) {
	struct case_row row = { .kind = KIND_PETITION, .legal_kind = LEGAL_DATA_REQUEST, .state = CASE_ACCEPTED,
		.origin = 1, .due_ms = START_MS + 1000 };
	const struct id office = { { 1 } };
	struct step step = { .sequence = 1, .action = ACTION_EXTENDED, .date_ms = START_MS };

	cr_assert_eq(fold_step(&row, &step, 1, &office), 0);
	cr_expect_eq(row.due_ms, START_MS + 1000);
	step.sequence = 2;
	step.due_ms = START_MS + 2000;
	cr_assert_eq(fold_step(&row, &step, 1, &office), 0);
	cr_expect_eq(row.due_ms, START_MS + 2000);
}

static void apply_rows(struct stage *stage, const struct id *office, uint32_t number, uint32_t epoch, uint8_t kind,
	const struct tally_row *rows, size_t n) {
	struct oplog_id id = { *office, epoch, LANE_NORMAL };
	struct record rec = { .kind = kind, .id = { { 9 } }, .time_ms = START_MS };
	uint8_t body[512];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	tally_encode(rows, n, &w);
	rec.body = writer_span(&w);
	cr_expect_eq(fold_apply(&stage->fold, stage->txn, &id, 0, number, 1, &rec), 0);
}

static void apply_counts(struct stage *stage, uint32_t epoch, const struct tally_row *rows, size_t n) {
	apply_rows(stage, &stage->child, stage->child_number, epoch, KIND_TALLY, rows, n);
}

static uint64_t count_of(struct stage *stage, const struct tally_row *row) {
	struct tally_entry entry = { .office = stage->child_number, .row = *row };

	return tallies_get(stage->txn, &entry) ? UINT64_MAX : entry.row.n;
}

static int note_count(void *userdata, const struct tally_entry *entry) {
	unsigned *n_told = userdata;

	++*n_told;
	return 0;
}

/* It says all that it counts when another life begins: nothing of the one before is added to that. */
Test(fold, an_office_counts_by_one_life_alone) {
	static const struct tally_row land = { 202406, CATEGORY_LAND, 1, MEASURE_RECEIVED, 4 };
	static const struct tally_row facilities = { 202406, CATEGORY_FACILITIES, 1, MEASURE_RECEIVED, 5 };
	const struct tally_row before[] = { land, facilities };
	struct tally_row after = land;
	unsigned n_told = 0;
	const struct fold_sink sink = { .userdata = &n_told, .tally_changed = note_count };
	struct stage stage;

	stage_init(&stage);
	stage.fold.sink = &sink;
	apply_counts(&stage, 1, before, 2);
	cr_expect_eq(n_told, 2);
	after.n = 6;
	apply_counts(&stage, 2, &after, 1);
	cr_expect_eq(n_told, 5, "both are gone, and one is there again");
	cr_expect_eq(count_of(&stage, &land), 6);
	cr_expect_eq(count_of(&stage, &facilities), 0);
	apply_counts(&stage, 1, before, 2); /* by another lane, late */
	cr_expect_eq(n_told, 5);
	cr_expect_eq(count_of(&stage, &facilities), 0);
	after = facilities;
	apply_counts(&stage, 2, &after, 1);
	cr_expect_eq(count_of(&stage, &land), 6, "within a life what a record does not say stays");
	cr_expect_eq(count_of(&stage, &facilities), 5);
	apply_counts(&stage, 3, NULL, 0);
	cr_expect(count_of(&stage, &land) == 0 && count_of(&stage, &facilities) == 0, "it says that there are none");
	stage_done(&stage);
}

Test(fold, a_record_whose_body_is_not_of_its_kind_is_set_aside) {
	struct stage stage;
	static const uint8_t nonsense[] = { 0x91, 0x01 };
	static const uint8_t folded[] = { KIND_PETITION, KIND_STEP, KIND_MEETING, KIND_REQUEST, KIND_REPLY, KIND_TALLY,
		KIND_ESCALATION, KIND_OFFICE, KIND_FORK };

	stage_init(&stage);
	for (size_t i = 0; i < N_ELEMENTS(folded); i++)
		cr_expect_eq(stage_apply(&stage, &stage.child, stage.child_number, folded[i], i + 1,
				     (struct span){ nonsense, sizeof(nonsense) }), FOLD_SET_ASIDE, "kind %u", folded[i]);
	cr_expect_eq(stage_apply(&stage, &stage.child, stage.child_number, 250, 50,
			     (struct span){ nonsense, sizeof(nonsense) }), 0, "a newer version's kind");
	stage_done(&stage);
}

Test(fold, only_its_parent_may_say_who_an_office_is) {
	struct stage stage;
	struct id grandchild = { { 3 } }, stranger = { { 4 } };
	uint8_t body[512];
	struct office_row row;
	struct office office;
	struct writer w;

	stage_init(&stage);
	office = office_of(&grandchild, &stranger, 7);
	writer_init(&w, body, sizeof(body));
	office_encode(&office, &w);
	cr_expect_eq(stage_apply(&stage, &stage.child, stage.child_number, KIND_OFFICE, 1, writer_span(&w)),
		FOLD_SET_ASIDE);
	office = office_of(&stage.own, &stage.child, 7);
	writer_init(&w, body, sizeof(body));
	office_encode(&office, &w);
	cr_expect_eq(stage_apply(&stage, &stage.child, stage.child_number, KIND_OFFICE, 2, writer_span(&w)),
		FOLD_SET_ASIDE, "a child cannot become its parent's parent");
	office = office_of(&grandchild, &stage.child, 7);
	writer_init(&w, body, sizeof(body));
	office_encode(&office, &w);
	cr_expect_eq(stage_apply(&stage, &stage.child, stage.child_number, KIND_OFFICE, 3, writer_span(&w)), 0);
	cr_expect_eq(offices_get(stage.txn, &grandchild, &row), 0);
	cr_expect_eq(row.office.code, 7);
	stage_done(&stage);
}

/* The child says in its urgent lane that another term begins, with a key of @key all over. */
static int end_term(struct stage *stage, uint32_t epoch, uint8_t key, struct office_end end) {
	struct office office = office_of(&stage->child, &stage->own, 2);
	uint8_t body[256];
	struct writer w;

	memset(office.sign_key, key, sizeof(office.sign_key));
	office.has_end = true;
	office.end = end;
	writer_init(&w, body, sizeof(body));
	office_encode(&office, &w);
	return stage_apply_in(stage, &(struct oplog_id){ stage->child, epoch, LANE_URGENT }, stage->child_number,
		KIND_OFFICE, 1, writer_span(&w));
}

Test(fold, a_key_ends_with_the_record_that_says_so_and_not_before) {
	struct office_row row;
	struct stage stage;

	stage_init(&stage);
	cr_expect_eq(end_term(&stage, 1, 7, (struct office_end){ 1, { 0, 0, 0 } }), FOLD_SET_ASIDE);
	cr_expect_eq(end_term(&stage, 1, 7, (struct office_end){ 1, { 1, 9, 9 } }), FOLD_SET_ASIDE);
	cr_expect_eq(end_term(&stage, 1, 7, (struct office_end){ 1, { 4, 9, 9 } }), FOLD_SET_ASIDE, "nor later");
	cr_expect_eq(end_term(&stage, 1, 7, (struct office_end){ 1, { 4, 9, 9 } }), 0);
	cr_expect_eq(end_term(&stage, 2, 8, (struct office_end){ 1, { 4, 9, 9 } }), FOLD_SET_ASIDE, "a life keeps its key");
	cr_expect_eq(end_term(&stage, 2, 7, (struct office_end){ 1, { 4, 9, 9 } }), FOLD_SET_ASIDE, "it begins with it");
	cr_expect_eq(end_term(&stage, 3, 7, (struct office_end){ 1, { 4, 9, 9 } }), 0);
	cr_assert_eq(offices_get(stage.txn, &stage.child, &row), 0);
	cr_expect_eq(row.former.n, 2);
	cr_expect_eq(row.office.sign_key[0], 7);
	stage_done(&stage);
}

Test(fold, the_month_of_a_time_is_that_of_the_province) {
	static const struct {
		uint64_t time_ms;
		uint32_t period;
	} cases[] = {
		{ 0, 197001 },
		{ 1704041999999, 202312 }, /* 23:59:59.999 on 31 December 2023 in Asia/Ho_Chi_Minh */
		{ 1704042000000, 202401 },
		{ 1709225999999, 202402 }, /* the 29th */
		{ 1709226000000, 202403 },
		{ 4102444800000, 210001 },
	};

	for (size_t i = 0; i < N_ELEMENTS(cases); i++)
		cr_expect_eq(fold_period(cases[i].time_ms), cases[i].period, "case %zu: %u", i,
			fold_period(cases[i].time_ms));
}

/* A later life says how much of a row it carries, in the place of an earlier one; with what can be read it is a sum. */
Test(fold, what_is_carried_is_what_the_last_life_says) {
	const struct tally_row land = { fold_period(START_MS), CATEGORY_LAND, 0, MEASURE_RECEIVED, 0 };
	static const uint8_t orders[][3] = { { 2, 3, 4 }, { 4, 3, 2 }, { 3, 4, 2 } };
	static const uint64_t said[] = { [2] = 7, [3] = 0, [4] = 3 };

	for (unsigned finish = 0; finish < 2; finish++)
		for (size_t i = 0; i < N_ELEMENTS(orders); i++) {
			struct tally_entry entry;
			const struct tally_entry *rows;
			struct stage stage;
			size_t n;

			stage_init(&stage);
			for (size_t k = 0; k < N_ELEMENTS(orders[i]); k++) {
				const uint8_t epoch = orders[i][k];
				struct tally_row row = land;

				row.n = said[epoch];
				apply_rows(&stage, &stage.own, stage.own_number, epoch, KIND_CARRIED, &row, 1);
				cr_assert_eq(finish ? fold_finish(&stage.fold, stage.txn, &rows, &n) : 0, 0);
			}
			cr_assert_eq(apply_petition(&stage, &stage.own, stage.own_number, 1), 0);
			cr_assert_eq(fold_finish(&stage.fold, stage.txn, &rows, &n), 0);
			entry = (struct tally_entry){ .office = stage.own_number, .row = land };
			cr_assert_eq(tallies_get(stage.txn, &entry), 0);
			cr_expect(entry.row.n == 4 && entry.carried == 3 && entry.epoch == 4, "order %zu: %lu", i, entry.row.n);
			stage_done(&stage);
		}
}
