/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* What becomes of an office after it was enrolled, in three levels of cores. */
#include "proto/enrol.h"
#include "proto/kinds/fork.h"
#include "proto/kinds/receipt.h"
#include "tests/lives.h"

Test(lifecycle, an_office_changes_its_key_and_everybody_goes_on_believing_it, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];

	commune->cut = true;
	for (uint8_t round = 0; round < 4; round++) { /* all of it while cut off: a backlog under five keys */
		cores_take_petitions(commune, round * 100, 60);
		cr_assert_eq(rotate(commune, 100 + round), CONTROL_OK);
	}
	cores_take_petitions(commune, 1000, 60);
	cores_connect(cores, 2);
	cores_settle(cores);
	cr_assert_eq(rotate(district, 99), CONTROL_OK); /* and one that has both above and below it */
	cores_take_petitions(district, 0, 5);
	cores_settle(cores);
	for (size_t i = 0; i < 2; i++) {
		cr_expect_eq(known(&cores->nodes[i], commune)->former.n, 4);
		expect_all(&cores->nodes[i], commune);
		cr_expect_eq(cores_count(&cores->nodes[i], commune, MEASURE_RECEIVED), 300);
	}
	expect_all(province, district);
	expect_all(commune, district);
	cr_expect_eq(known(commune, district)->former.n, 1);
	cr_expect_eq(province->core->refusals[REFUSAL_SIGNATURE], 0);
	cr_expect_eq(district->core->refusals[REFUSAL_SIGNATURE], 0);
}

Test(lifecycle, a_node_that_is_started_again_signs_with_its_last_key, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];

	cr_assert_eq(rotate(commune, 100), CONTROL_OK);
	cores_down(commune);
	cores_up(commune);
	cores_take_petitions(commune, 0, 5);
	cores_connect(cores, 2);
	cores_settle(cores);
	expect_all(district, commune);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 5);
}

Test(lifecycle, a_key_is_changed_only_to_another_one_and_not_without_end, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *commune = &cores->nodes[1];

	cr_expect_eq(rotate(commune, 0), CONTROL_BAD_FILE);
	for (uint8_t i = 0; i < OFFICE_FORMER_MAX; i++)
		cr_assert_eq(rotate(commune, 100 + i), CONTROL_OK);
	cr_expect_eq(rotate(commune, 200), CONTROL_TOO_MANY);
	commune->next_seed = 100 + OFFICE_FORMER_MAX - 1;
	cores_settle(cores);
	cr_expect_eq(known(&cores->nodes[0], commune)->former.n, OFFICE_FORMER_MAX);
	expect_all(&cores->nodes[0], commune);
}

Test(lifecycle, an_old_key_signs_nothing_more, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct signer *old;
	uint64_t before, withheld;

	cr_assert_eq(rotate(commune, 100), CONTROL_OK);
	cores_settle(cores);
	before = cores_leaves(district, commune, LANE_NORMAL, &withheld);
	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ 3 }, &old), 0); /* as cores_add() made it */
	commune->core->author.signer = old;
	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), before);
	cr_expect_gt(district->core->refusals[REFUSAL_SIGNATURE], 0);
	commune->core->author.signer = commune->core->signer;
	signer_free(old);
}

Test(lifecycle, what_a_revoked_office_says_is_not_accepted_anywhere, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	uint64_t withheld, before;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	before = cores_leaves(district, commune, LANE_NORMAL, &withheld);
	cr_assert_eq(change(province, commune, NULL, OFFICE_REVOKED), CONTROL_NOT_BELOW);
	cr_assert_eq(change(district, commune, NULL, OFFICE_REVOKED), CONTROL_OK);
	cores_take_petitions(commune, 100, 10);
	cores_settle(cores);
	cr_expect_null(core_child_by_curve(district->core, known(district, commune)->office.curve_key));
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), before);
	cr_expect_eq(known(province, commune)->office.state, OFFICE_REVOKED);
	cr_expect_eq(known(province, commune)->office.end.sizes[LANE_NORMAL], before);
	cr_expect_eq(change(district, commune, NULL, OFFICE_ACTIVE), CONTROL_REVOKED);

	/* also by another way than its parent: the province is told the number */
	enum refusal why;
	cr_expect_not_null(register_key(register_find(&province->core->reg, &commune->id),
		&(struct oplog_id){ commune->id, 1, LANE_NORMAL }, before, &why));
	cr_expect_null(register_key(register_find(&province->core->reg, &commune->id),
		&(struct oplog_id){ commune->id, 1, LANE_NORMAL }, before + 1, &why));
	cr_expect_eq(why, REFUSAL_ENDED);

	cores_down(district); /* and so it stays */
	cores_up(district);
	cr_expect_null(core_child_by_curve(district->core, known(district, commune)->office.curve_key));
}

Test(lifecycle, an_office_gets_another_name_and_is_closed_by_its_parent_alone, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 1, false);

	cr_assert_eq(rotate(commune, 100), CONTROL_OK); /* its parent's word leaves its keys alone */
	cr_assert_eq(change(district, commune, "Phường Mới", OFFICE_ACTIVE), CONTROL_OK);
	cores_settle(cores);
	for (size_t i = 0; i < 3; i++) {
		cr_expect(span_eq(known(&cores->nodes[i], commune)->office.name, span_str("Phường Mới")));
		cr_expect_eq(known(&cores->nodes[i], commune)->former.n, 1);
	}
	cr_assert_eq(change(district, commune, NULL, OFFICE_CLOSED), CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_CLOSED);
	cr_assert_eq(change(district, commune, NULL, OFFICE_ACTIVE), CONTROL_OK);
	cores_settle(cores);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	cr_expect_eq(change(commune, commune, "Tự đặt", OFFICE_ACTIVE), CONTROL_NOT_BELOW);
	cr_expect_eq(change(province, province, "Tỉnh Mới", OFFICE_ACTIVE), CONTROL_OK);
	cores_settle(cores);
	cr_expect(span_eq(known(commune, province)->office.name, span_str("Tỉnh Mới")));
}

Test(lifecycle, an_office_that_runs_twice_is_found_proved_and_set_aside, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	struct scratch copy;
	uint64_t withheld, before;

	cores_take_petitions(commune, 0, 50);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 300); /* the one goes on */
	cores_settle(cores);
	before = cores_leaves(district, commune, LANE_NORMAL, &withheld);
	exchange(commune, &copy);
	cores_take_petitions(commune, 500, 400); /* the other too, for longer: they part far below its end */
	reconnect(cores, 2);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), before);
	cr_expect_eq(known(district, commune)->forks.found, 2, "of epoch 1");
	cr_expect_eq(known(province, commune)->forks.found, 2, "the proof convinces whoever has the key");
	cr_expect_eq(known(commune, commune)->forks.found, 2, "and whom it is about");
	exchange(commune, &copy);
	cores_take_petitions(commune, 1000, 5); /* nor is the first believed, until a person has looked */
	reconnect(cores, 2);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), before);
	cr_expect_gt(district->core->refusals[REFUSAL_QUARANTINED], 0);

	cr_expect_eq(unfork(province, commune), CONTROL_NOT_BELOW);
	cr_expect_eq(unfork(district, commune), CONTROL_OK);
	cr_expect_eq(unfork(district, commune), CONTROL_NOT_FORKED);
	cores_settle(cores);
	cr_expect_eq(known(province, commune)->forks.settled, 2);
	cores_take_petitions(commune, 2000, 5); /* without a new life: the old one is in doubt for ever */
	reconnect(cores, 2);
	cr_expect_eq(cores_leaves(district, commune, LANE_NORMAL, &withheld), before);
	scratch_done(&copy);
}

Test(lifecycle, whom_a_relay_makes_look_forked_is_not, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct fork fork = { .oplog = { commune->id, 1, LANE_NORMAL }, .state = FORK_FOUND };

	cores_take_petitions(commune, 0, 5);
	cores_settle(cores);
	fork.small.size = fork.large.size = 1;
	fork.small.root.b[0] = 1;
	cores_begin(district);
	cr_expect_eq(core_write_fork(district->core, &fork), 0); /* a record that proves nothing */
	fork.state = FORK_SETTLED;
	cr_expect_eq(core_write_fork(district->core, &fork), 0);
	cores_end(district);
	cores_settle(cores);
	for (size_t i = 0; i < 3; i++)
		cr_expect_eq(known(&cores->nodes[i], commune)->forks.found, 0);
}

struct references {
	uint64_t list[1000];
	size_t n;
};

static int look_at_reference(void *userdata, const struct id *id, const struct case_row *row) {
	struct references *references = userdata;

	for (size_t i = 0; i < references->n; i++)
		cr_expect_neq(references->list[i], row->reference);
	references->list[references->n++] = row->reference;
	return 0;
}

static void expect_references_differ(struct cores_node *node) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct references references = { .n = 0 };

	cr_assert_eq(store_begin_read(node->store, &txn), 0);
	cr_assert_eq(cases_each(txn, look_at_reference, &references), 0);
}

Test(lifecycle, what_only_the_copy_has_goes_into_the_new_life, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copy;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	commune->cut = true;
	cores_take_petitions(commune, 100, 5);
	copy = keep_copy(commune);
	mark_restored(&copy);
	exchange(commune, &copy);
	reconnect(cores, 1);
	cr_expect_eq(leaves_of(district, commune, 1), 20, "where the parent's copy ends, the old life ends");
	cr_expect_eq(cases_at(district), 15);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 15);
	expect_rebuilt(district);
	expect_rebuilt(commune);
	scratch_done(&copy);
}

Test(lifecycle, a_store_that_is_put_back_takes_what_its_parent_has_and_begins_a_new_life, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	uint8_t body[512];
	struct draft draft = cores_petition(body, sizeof(body), 7, false);
	struct scratch copy;

	cores_take_petitions(commune, 0, 50);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 300);
	cores_settle(cores);
	commune->cut = true;
	cores_take_petitions(commune, 500, 5); /* never sent: lost with the disk */
	mark_restored(&copy);
	exchange(commune, &copy);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_RESTORING);
	reconnect(cores, 2);
	cr_expect_eq(epoch_of(commune), 2);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK);
	cores_settle(cores);
	for (size_t i = 0; i < 3; i++) {
		cr_expect_eq(cores_count(&cores->nodes[i], commune, MEASURE_RECEIVED), 351, "node %zu", i);
		cr_expect_eq(leaves_of(&cores->nodes[i], commune, 1), 700);
		cr_expect_eq(known(&cores->nodes[i], commune)->former.n, 1);
		cr_expect_eq(known(&cores->nodes[i], commune)->forks.found, 0);
		expect_rebuilt(&cores->nodes[i]);
	}
	expect_references_differ(commune);
	cores_down(commune);
	cores_up(commune);
	reconnect(cores, 2);
	cr_expect_eq(epoch_of(commune), 2);
	cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), 351);

	/* the old disk is found again, and begins where it ended */
	exchange(commune, &copy);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OK, "it cannot know yet");
	reconnect(cores, 2);
	cr_expect_eq(cores_submit(commune, &draft, 1).result, CONTROL_OLD_COPY);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 351, "nothing of it is accepted");
	cores_down(commune);
	mark_restored(&commune->home); /* told so, it gives what it alone has in a third life */
	cores_up(commune);
	reconnect(cores, 2);
	cr_expect_eq(epoch_of(commune), 3);
	for (size_t i = 0; i < 2; i++) {
		cr_expect_eq(known(&cores->nodes[i], commune)->former.n, 2);
		expect_rebuilt(&cores->nodes[i]);
	}
	scratch_done(&copy);
}

Test(lifecycle, a_store_that_is_put_back_twice_from_one_copy_uses_no_number_twice, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copies[2];

	cores_take_petitions(commune, 0, 20);
	cores_settle(cores);
	copies[0] = keep_copy(commune);
	copies[1] = keep_copy(commune);
	for (unsigned i = 0; i < 2; i++) {
		mark_restored(&copies[i]);
		exchange(commune, &copies[i]);
		reconnect(cores, 1);
		cr_expect_eq(epoch_of(commune), 2 + i);
		cores_take_petitions(commune, 100 + 10 * i, 10);
		cores_settle(cores);
	}
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 40);
	cr_expect_eq(cores_count(commune, commune, MEASURE_RECEIVED), 40);
	cr_expect_eq(known(district, commune)->forks.found, 0);
	expect_rebuilt(district);
	expect_rebuilt(commune);
	scratch_done(&copies[0]);
	scratch_done(&copies[1]);
}

Test(lifecycle, after_a_fork_nothing_is_lost_that_either_machine_acknowledged, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1],
			  *commune = &cores->nodes[2];
	struct scratch copy;

	cores_take_petitions(commune, 0, 50);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 30);
	cores_settle(cores);
	exchange(commune, &copy); /* the clone; it is the one that stays */
	cores_take_petitions(commune, 500, 400);
	reconnect(cores, 2);
	cr_assert_eq(known(district, commune)->forks.found, 2);
	cr_assert_eq(unfork(district, commune), CONTROL_OK);
	cores_settle(cores);
	cores_down(commune);
	mark_restored(&commune->home);
	cores_up(commune);
	reconnect(cores, 2);
	reconnect(cores, 2);
	cr_expect_eq(epoch_of(commune), 2);
	cr_expect_eq(cores_count(commune, commune, MEASURE_RECEIVED), 450);
	for (size_t i = 0; i < 2; i++) {
		cr_expect_eq(cores_count(&cores->nodes[i], commune, MEASURE_RECEIVED), 450);
		expect_rebuilt(&cores->nodes[i]);
	}
	cr_expect_eq(leaves_of(district, commune, 1), 160, "the evidence stays");
	cr_expect_eq(cases_at(district), 480, "and the petitions of both can be read");
	cr_expect_eq(province->core->refusals[REFUSAL_SIGNATURE], 0);
	scratch_done(&copy);
}

Test(lifecycle, a_key_may_change_in_the_midst_of_a_turn, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];

	cores_take_petitions(commune, 0, 1); /* what follows arrives together with it */
	cr_assert_eq(rotate(commune, 100), CONTROL_OK);
	cores_take_petitions(commune, 1, 1);
	cores_settle(cores);
	expect_all(district, commune);
	cr_expect_eq(district->core->refusals[REFUSAL_SIGNATURE], 0);
}

static struct cores_node *full_node;
static unsigned n_full;

static void be_full_once(struct cores *cores, struct cores_frame *frame) {
	if (id_eq(&frame->to, &full_node->id) && full_node->core) {
		full_node->core->full = n_full > 0;
		n_full -= n_full > 0;
	}
}

Test(lifecycle, what_names_the_key_may_be_late, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];

	full_node = district;
	n_full = 1;
	cores->on_frame = be_full_once;
	cr_assert_eq(rotate(commune, 100), CONTROL_OK); /* there is no room for this one */
	cores_settle(cores);
	cores_take_petitions(commune, 1, 1); /* but for the next there is */
	cores_settle(cores);
	for (unsigned i = 0; i < 6; i++) {
		cores->now_ms += 5000;
		cores_settle(cores);
	}
	expect_all(district, commune);
}

/* The request of an office that is made up. */
static struct span add_office(struct cores *cores, uint8_t n, uint8_t buf[8192]) {
	uint8_t seed[SIGN_SEED_LEN] = { n }, file[4096];
	struct office office = cores_office(cores, 0);
	struct signer *signer;
	struct writer f, w;

	cr_assert_eq(signer_new(seed, &signer), 0);
	memset(office.id.b + 9, n, 7);
	memset(office.curve_key, n, sizeof(office.curve_key));
	signer_public(signer, office.sign_key);
	office.code = 9000 + n;
	office.code_digits = 5;
	writer_init(&f, file, sizeof(file));
	cr_assert_eq(enrol_request_write(&office, signer, &f), 0);
	signer_free(signer);
	writer_init(&w, buf, 8192);
	control_write_add_office(&w, 1, writer_span(&f), span_str("tcp://127.0.0.1:7400"));
	return writer_span(&w);
}

Test(lifecycle, an_office_is_enrolled_in_the_turn_in_which_its_parent_changes_its_key, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(1);
	struct cores_node *node = &cores->nodes[0];
	uint8_t rotation[64], command[8192], file[ENROL_FILE_MAX];
	struct enrol_answer read;
	struct answer answer;
	struct span bytes;
	struct writer w;

	node->next_seed = 100;
	writer_init(&w, rotation, sizeof(rotation));
	control_write_rotate(&w, 1);
	cores_begin(node);
	core_request(node->core, span_str("a"), writer_span(&w));
	core_request(node->core, span_str("b"), add_office(cores, 77, command));
	cores_end(node);
	cr_assert_eq(control_answer_decode((struct span){ node->answer, node->answer_len }, &answer), 0);
	cr_assert_eq(answer.result, CONTROL_OK);
	bytes = read_bin(&answer.values, 1, sizeof(file));
	cr_expect_eq(enrol_answer_read(bytes, &read), 0, "signed by the key that is in it");
	cr_expect_eq(read.chain[0].former.n, 1);
}

/* A clerk may be given a file by anybody. */
Test(lifecycle, no_answer_file_makes_a_known_office_another, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *province = &cores->nodes[0], *commune = &cores->nodes[1];
	struct enrol_answer answer = { .address = span_str("tcp://127.0.0.1:666"), .n_chain = 2 };
	uint8_t file[ENROL_FILE_MAX], command[ENROL_FILE_MAX + 64], seed[SIGN_SEED_LEN] = { 66 };
	struct enrol_office true_parent = { .office = known(commune, province)->office };
	struct signer *thief;
	struct writer f, w;

	cr_assert_eq(signer_new(seed, &thief), 0);
	answer.chain[0] = true_parent; /* as if the key that is known had been changed */
	answer.chain[0].former.n = 1;
	memcpy(answer.chain[0].former.terms[0].sign_key, true_parent.office.sign_key, SIGN_PUBLIC_LEN);
	answer.chain[0].former.terms[0].next_epoch = 1;
	signer_public(thief, answer.chain[0].office.sign_key);
	answer.chain[1].office = known(commune, commune)->office;
	writer_init(&f, file, sizeof(file));
	cr_assert_eq(enrol_answer_write(&answer, thief, &f), 0);
	signer_free(thief);
	writer_init(&w, command, sizeof(command));
	control_write_join(&w, 2, writer_span(&f));
	cr_expect_eq(cores_ask(commune, writer_span(&w)).result, CONTROL_ALREADY);

	/* an older one of the true parent: it says where that listens, not what this office is by now */
	cr_assert_eq(change(province, commune, "Phường Mới", OFFICE_CLOSED), CONTROL_OK);
	cores_settle(cores);
	answer.chain[0] = true_parent;
	writer_init(&f, file, sizeof(file));
	cr_assert_eq(enrol_answer_write(&answer, province->keys.signer, &f), 0);
	writer_init(&w, command, sizeof(command));
	control_write_join(&w, 2, writer_span(&f));
	cr_expect_eq(cores_ask(commune, writer_span(&w)).result, CONTROL_OK);
	cr_expect_str_eq(core_parent_address(commune->core), "tcp://127.0.0.1:666");
	cr_expect_eq(known(commune, commune)->office.state, OFFICE_CLOSED);
	cr_expect(span_eq(known(commune, commune)->office.name, span_str("Phường Mới")));
}

/* The copy has what came from above, and nothing that its office wrote. */
Test(lifecycle, a_copy_from_before_the_first_record_gets_all_of_them_back, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copy;
	uint64_t withheld;

	cr_assert_gt(cores_leaves(commune, district, LANE_URGENT, &withheld), 0);
	cr_assert_eq(leaves_of(commune, commune, 1), 0);
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	mark_restored(&copy);
	exchange(commune, &copy);
	reconnect(cores, 2);
	cr_expect_eq(epoch_of(commune), 2);
	cr_expect_eq(cases_at(commune), 10);
	expect_rebuilt(commune);
	scratch_done(&copy);
}

Test(lifecycle, a_key_may_be_changed_right_before_a_store_is_put_back, .timeout = 60) {
	for (unsigned cut = 0; cut < 2; cut++) {
		_cleanup_(cores_freep) struct cores *cores = cores_new(2);
		struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];

		cores_take_petitions(commune, 0, 10);
		cores_settle(cores);
		commune->cut = cut;
		cr_assert_eq(rotate(commune, 100), CONTROL_OK);
		cores_take_petitions(commune, 20, 10 * cut);
		cores_settle(cores);
		restart_restored(commune);
		reconnect(cores, 1);
		cr_expect_eq(epoch_of(commune), 2);
		cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 10 + 10 * cut);
		cr_expect_eq(cases_at(district), 10 + 10 * cut);
		cr_expect_eq(district->core->refusals[REFUSAL_ENDED], 0);
	}
}

Test(lifecycle, nobody_is_made_an_offices_child_without_its_own_word, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct office fake = known(commune, district)->office; /* with its key, which a commune knows */
	const struct office *who;

	fake.id = (struct id){ { 0x01, 0x80, [6] = 0x70, [8] = 0x80, [15] = 9 } };
	fake.parent = commune->id;
	fake.code = 9999;
	fake.code_digits = 5;
	say_office(commune, &fake);
	fake.parent = province->id;
	say_office(commune, &fake);
	cores_settle(cores);
	who = core_child_by_curve(province->core, known(commune, district)->office.curve_key);
	cr_assert_not_null(who);
	cr_expect(id_eq(&who->id, &district->id));
	cr_expect_eq(province->core->n_links, 1);
}

/* A receipt of @by, as of who has that key, that @of had @size leaves of its first life, and others. */
static void say_another_history(struct cores_node *by, const struct cores_node *of, uint8_t key, uint64_t size) {
	struct receipt_entry entry = { { of->id, 1, LANE_NORMAL }, { .size = size } };
	struct record rec = { .kind = KIND_RECEIPT, .time_ms = CORES_START_MS, .id = scratch_id(1) };
	_cleanup_(signer_freep) struct signer *signer = NULL;
	uint8_t body[512];
	struct writer w;

	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ key }, &signer), 0);
	memset(entry.head.root.b, 0x55, sizeof(entry.head.root.b));
	cr_assert_eq(head_sign(signer, &entry.oplog, &entry.head), 0);
	writer_init(&w, body, sizeof(body));
	receipt_encode(&entry, 1, &w);
	rec.body = writer_span(&w);
	cores_begin(by);
	cr_assert_eq(core_write(by->core, LANE_BULK, &rec, NULL, 0), 0);
	cores_end(by);
}

/* A record of @by that proves it, as far as who has that key can. */
static void accuse(struct cores_node *by, const struct cores_node *of, uint8_t key, uint64_t size, uint64_t large) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	_cleanup_(signer_freep) struct signer *signer = NULL;
	struct record rec = { .kind = KIND_FORK, .time_ms = CORES_START_MS, .id = scratch_id(2) };
	struct fork fork = { .oplog = { of->id, 1, LANE_NORMAL }, .state = FORK_FOUND, .small = { .size = size } };
	uint8_t body[FORK_BODY_MAX];
	struct oplog_leaves leaves;
	struct oplog oplog;
	struct writer w;

	cr_assert_eq(store_begin_read(by->store, &txn), 0);
	cr_assert_eq(oplog_load(txn, &fork.oplog, &oplog), 0);
	cr_assert_eq(oplog_next_head(txn, &oplog, large - 1, &fork.large), 0);
	cr_assert_eq(fork.large.size, large);
	leaves = (struct oplog_leaves){ txn, &oplog };
	cr_assert_eq(oplog_root(txn, &oplog, size, &fork.other), 0);
	cr_assert_eq(merkle_consistency_prove(size, large, oplog_leaf_hash, &leaves, &fork.path), 0);
	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ key }, &signer), 0);
	memset(fork.small.root.b, 0x55, sizeof(fork.small.root.b));
	cr_assert_eq(head_sign(signer, &fork.oplog, &fork.small), 0);
	txn = store_abort(txn);
	writer_init(&w, body, sizeof(body));
	fork_encode(&fork, &w);
	rec.body = writer_span(&w);
	cores_begin(by);
	cr_assert_eq(core_write(by->core, LANE_URGENT, &rec, NULL, 0), 0);
	cores_end(by);
}

static void pass_receipt_periods(struct cores *cores) {
	for (unsigned i = 0; i < 14; i++) {
		cores->now_ms += 100000;
		for (size_t k = 1; k < cores->n; k++)
			cores_connect(cores, k);
		cores_settle(cores);
	}
}

/* It was stolen; who has it, or an office that is told what it signs, says that there are two histories. */
Test(lifecycle, who_has_a_key_that_was_changed_cannot_make_its_office_look_forked, .timeout = 60) {
	for (unsigned rotated = 0; rotated < 2; rotated++) {
		_cleanup_(cores_freep) struct cores *cores = cores_new(4);
		struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2],
				  *village = &cores->nodes[3];
		uint64_t size, withheld;

		cores_take_petitions(commune, 0, 5);
		cores_settle(cores);
		size = cores_leaves(province, commune, LANE_NORMAL, &withheld);
		if (rotated)
			cr_assert_eq(rotate(commune, 77), CONTROL_OK);
		cores_take_petitions(commune, 10, 5);
		pass_receipt_periods(cores);
		for (unsigned i = 0; i < 2; i++) { /* by an office below, and by one above */
			say_another_history(i ? district : village, commune, 3, 3);
			pass_receipt_periods(cores);
			if (rotated)
				cr_expect_eq(known(province, commune)->forks.found, 0, "said by %u", i);
		}
		if (rotated) /* where the term ended is a head, signed with that key too */
			accuse(district, commune, 3, 3, size);
		accuse(district, commune, 3, 3, cores_leaves(province, commune, LANE_NORMAL, &withheld));
		cores_settle(cores);
		for (size_t i = 0; i < 4; i++)
			cr_expect_eq(known(&cores->nodes[i], commune)->forks.found, rotated ? 0 : 2, "%u, node %zu", rotated,
				i);
		cores_take_petitions(commune, 20, 1);
		cores_settle(cores);
		cr_expect_eq(cores_count(province, commune, MEASURE_RECEIVED), rotated ? 11 : 10);
	}
}

Test(lifecycle, nothing_is_written_by_a_node_that_knows_it_is_an_old_copy, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct id id = take_one(commune);
	struct scratch copy;
	uint64_t before, withheld;

	cr_assert_eq(step_to(commune, &id, ACTION_ACCEPTED, NULL), CONTROL_OK);
	cr_assert_eq(step_to(commune, &id, ACTION_HANDED_OVER, &district->id), CONTROL_OK);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 20);
	cores_settle(cores);
	exchange(commune, &copy);
	reconnect(cores, 1);
	before = cores_leaves(commune, commune, LANE_NORMAL, &withheld);
	cr_assert_eq(step_to(district, &id, ACTION_RESOLVED, NULL), CONTROL_OK); /* changes a count of the commune */
	reconnect(cores, 1);
	cr_expect_eq(cores_leaves(commune, commune, LANE_NORMAL, &withheld), before);
	cr_expect_eq(known(district, commune)->forks.found, 0);
	scratch_done(&copy);
}

Test(lifecycle, nothing_is_written_by_a_node_that_is_being_put_back, .timeout = 120) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copies[2];
	uint64_t before, withheld;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copies[0] = keep_copy(commune);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 20);
	cores_settle(cores);
	copies[1] = keep_copy(district);
	cores_connect(cores, 1);
	cores_connect(cores, 2);
	cr_assert_eq(change(district, commune, "Xã A", OFFICE_ACTIVE), CONTROL_OK); /* urgent, and known above */
	cores_settle(cores);
	mark_restored(&copies[1]);
	district->cut = true;
	exchange(district, &copies[1]);
	exchange(commune, &copies[0]); /* shows it a fork, of which it may not write */
	cores_take_petitions(commune, 500, 40);
	before = cores_leaves(district, district, LANE_URGENT, &withheld);
	reconnect(cores, 2);
	cr_expect_eq(cores_leaves(district, district, LANE_URGENT, &withheld), before);
	district->cut = false;
	reconnect_all(cores);
	cr_expect_eq(epoch_of(district), 2);
	cr_expect(span_eq(known(district, commune)->office.name, span_str("Xã A")), "what is above has come back");
	cr_expect_eq(known(district, commune)->forks.found, 2, "and the fork was found again");
	scratch_done(&copies[0]);
	scratch_done(&copies[1]);
}

Test(lifecycle, a_parent_that_is_put_back_gets_the_old_life_again, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct scratch copy;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copy = keep_copy(district);
	cores_connect(cores, 1);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 20);
	cores_settle(cores);
	commune->cut = true;
	cores_take_petitions(commune, 200, 5);
	restart_restored(commune);
	reconnect(cores, 2);
	cr_assert_eq(epoch_of(commune), 2);
	mark_restored(&copy);
	exchange(district, &copy);
	reconnect_all(cores);
	cr_expect_eq(cases_at(district), 35);
	expect_rebuilt(district);
	scratch_done(&copy);
}

/* Of an office that began another life: two heads of the old one, below where that ended, by who holds more of it. */
Test(lifecycle, two_histories_before_the_end_of_a_life_are_evidence, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	const struct office_term *term;
	struct scratch copy;

	cores_take_petitions(district, 0, 4);
	cores_settle(cores);
	copy = keep_copy(district);
	cores_connect(cores, 1);
	cores_connect(cores, 2);
	cores_take_petitions(district, 100, 5);
	cores_settle(cores);
	exchange(district, &copy);
	cores_take_petitions(district, 200, 2);
	restart_restored(district);
	reconnect_all(cores);
	cr_assert_eq(epoch_of(district), 2);
	term = &known(province, district)->former.terms[0];
	cr_assert_lt(term->end.sizes[LANE_NORMAL], leaves_of(province, district, 1), "it holds more than counts");
	cr_assert_eq(known(province, district)->forks.found, 0);
	say_another_history(commune, district, 2, 3);
	pass_receipt_periods(cores);
	cr_expect_eq(known(province, district)->forks.found, 2);
	scratch_done(&copy);
}

static unsigned n_batches;
static struct id batches_from;

static void count_batches(struct cores *cores, struct cores_frame *frame) {
	struct message message;

	n_batches += message_decode((struct span){ frame->data, frame->len }, &message) == 0 &&
		message.type == MESSAGE_BATCH && id_eq(&frame->from, &batches_from);
}

/* A fork waits for a person: meanwhile the line is for what is taken. */
Test(lifecycle, what_is_quarantined_is_not_sent_over_and_over, .timeout = 100) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];
	struct scratch copy;

	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 1);
	cores_take_petitions(commune, 100, 10);
	cores_settle(cores);
	exchange(commune, &copy);
	cores_take_petitions(commune, 500, 5000);
	reconnect(cores, 1);
	cr_assert_eq(known(district, commune)->forks.found, 2);
	batches_from = commune->id;
	cores->on_frame = count_batches;
	for (unsigned i = 0; i < 13; i++) { /* two minutes, and another session */
		cores->now_ms += 9500;
		if (i == 6)
			cores_connect(cores, 1);
		cores_settle(cores);
	}
	cr_expect_gt(n_batches, 0, "it is tried");
	cr_expect_lt(n_batches, 40, "%u batches", n_batches);
	scratch_done(&copy);
}

/* What was refused until now goes as fast as ever once it is taken. */
Test(lifecycle, what_was_refused_goes_on_in_full_once_it_is_taken, .timeout = 100) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(2);
	struct cores_node *district = &cores->nodes[0], *commune = &cores->nodes[1];

	commune->cut = true;
	cores_take_petitions(commune, 0, 3000);
	full_node = district;
	n_full = 200;
	cores->on_frame = be_full_once;
	cores_connect(cores, 1);
	for (unsigned i = 0; n_full > 0 && i < 300; i++) {
		cores->now_ms += 5000;
		cores_settle(cores);
	}
	cores->now_ms += 11000;
	cores_settle(cores);
	cr_expect_eq(cores_count(district, commune, MEASURE_RECEIVED), 3000);
	for (size_t i = 0; i < commune->core->links[0]->n_oplogs; i++)
		cr_expect_not(commune->core->links[0]->oplogs[i].probing);
}

/* Batches of the first life from that office are lost on the way. */
static struct id silent_from;

static void lose_the_first_life(struct cores *cores, struct cores_frame *frame) {
	struct message message;
	uint8_t ack[64];
	struct writer w;

	if (!id_eq(&frame->from, &silent_from) || message_decode((struct span){ frame->data, frame->len }, &message) ||
		message.type != MESSAGE_BATCH || message.batch.oplog.epoch > 1)
		return;
	writer_init(&w, ack, sizeof(ack));
	message_write_ack(&w, NULL, 0);
	memcpy(frame->data, ack, w.len);
	frame->len = w.len;
}

/* The district holds more of the old life than counts, and no head where that ended: it cannot pass on what counts. */
Test(lifecycle, an_oplog_without_the_head_where_it_ended_says_why_it_waits, .timeout = 60) {
	_cleanup_(cores_freep) struct cores *cores = cores_new(3);
	struct cores_node *province = &cores->nodes[0], *district = &cores->nodes[1], *commune = &cores->nodes[2];
	struct link *up = core_find_link(district->core, &province->id);
	struct scratch copy;

	district->cut = true;
	cores_take_petitions(commune, 0, 10);
	cores_settle(cores);
	copy = keep_copy(commune);
	cores_connect(cores, 2);
	cores_take_petitions(commune, 100, 10);
	cores_settle(cores);
	exchange(commune, &copy);
	cores_take_petitions(commune, 200, 2);
	restart_restored(commune);
	silent_from = commune->id;
	cores->on_frame = lose_the_first_life;
	reconnect(cores, 2);
	cr_assert_eq(epoch_of(commune), 2);
	cores_connect(cores, 1);
	cores_settle(cores);
	cr_expect_eq(leaves_of(province, commune, 1), 0);
	cr_expect_eq(up->trouble.code, TROUBLE_NO_END, "%s", trouble_name(up->trouble.code));
	cores->on_frame = NULL;
	reconnect_all(cores);
	cr_expect_eq(leaves_of(province, commune, 1), 20);
	cr_expect_eq(up->trouble.code, TROUBLE_NONE);
	scratch_done(&copy);
}
