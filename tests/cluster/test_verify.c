/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What somebody writes into a copy of a store who has all of its tables, and no office's key, or one that counts no
 * more there: verify --root, which trusts the fingerprint of the topmost office alone, finds all of it.
 */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/kinds/petition.h"
#include "proto/record.h"
#include "store/offices.h"
#include "tests/cluster/cli.h"
#include "tests/cluster/tree.h"

struct stage {
	struct proc sound;    /* a commune that is down; only its home is there */
	struct office commune, district;
	char root[32];        /* the district's fingerprint */
	struct signer *thief, *own; /* the commune's */
	uint8_t key[SIGN_PUBLIC_LEN];
};

static void copy_home(const char *from, char ret_to[64]) {
	char command[256];

	proc_directory(ret_to);
	snprintf(command, sizeof(command), "cp -R '%s/store' '%s/'", from, ret_to);
	cr_assert_eq(system(command), 0);
}

static void find_root(struct stage *stage) {
	json_t *rows = cli_json(stage->sound.home, (const char *const[]){ "office", "list", "--json", NULL }), *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (json_is_null(json_object_get(row, "parent")))
			snprintf(stage->root, sizeof(stage->root), "%s",
				json_string_value(json_object_get(row, "root_fingerprint")));
	json_decref(rows);
}

static void stage_init(struct stage *stage) {
	struct tree tree = { 0 };

	*stage = (struct stage){ 0 };
	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	tree_open(&tree);
	cr_assert(tree_wait(&tree, 30000));
	tree_close(&tree);
	proc_stop(tree.procs[1]);
	copy_home(tree.procs[1]->home, stage->sound.home);
	stage->district = tree.procs[0]->office;
	stage->commune = tree.procs[1]->office;
	stage->commune.parent = stage->district.id;
	cr_assert_eq(signer_new(tree.procs[1]->keys.seed, &stage->own), 0);
	tree_done(&tree);
	find_root(stage);
	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ 99 }, &stage->thief), 0);
	signer_public(stage->thief, stage->key);
}

static void stage_done(struct stage *stage) {
	signer_free(stage->thief);
	signer_free(stage->own);
	proc_remove(stage->sound.home);
}

/* One oplog of a store that is being forged. */
struct forged {
	const struct stage *stage;
	struct store *store;
	struct txn *txn;
	struct oplog oplog;
};

static void open_oplog(struct forged *forged, const struct id *office, uint32_t epoch) {
	const struct oplog_id id = { *office, epoch, LANE_URGENT };

	cr_assert_eq(oplog_load_or_create(forged->txn, &id, &forged->oplog), 0);
}

static void append(struct forged *forged, struct record *rec) {
	uint8_t bytes[1024];
	struct leaf leaf = { 0 };
	struct hash hash;
	struct writer w;
	uint64_t arrival;

	rec->time_ms = proc_wall_ms();
	record_make_id(rec->time_ms, (const uint8_t[10]){ (uint8_t)forged->oplog.frontier.size }, &rec->id);
	writer_init(&w, bytes, sizeof(bytes));
	cr_assert_eq(record_encode(rec, NULL, 0, &w), 0);
	leaf.bytes = writer_span(&w);
	leaf.reach = record_reach(leaf.bytes);
	leaf_hash(&leaf, &hash);
	cr_assert_eq(oplog_append(forged->txn, &forged->oplog, &leaf, &hash, &arrival), 0);
}

static void append_petition(struct forged *forged) {
	struct petition petition = { .legal_kind = LEGAL_PETITION, .category = CATEGORY_LAND, .channel = CHANNEL_LETTER,
		.people = 5000, .text = span_str("Bịa đặt") };
	uint8_t body[512];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	petition_encode(&petition, &w);
	append(forged, &(struct record){ .kind = KIND_PETITION, .body = writer_span(&w) });
}

static void append_office(struct forged *forged, const struct office *said) {
	uint8_t body[512];
	struct writer w;

	writer_init(&w, body, sizeof(body));
	office_encode(said, &w);
	append(forged, &(struct record){ .kind = KIND_OFFICE, .body = writer_span(&w) });
}

/* All so far. */
static void sign_with(struct forged *forged, struct signer *signer) {
	struct head head = { .size = forged->oplog.frontier.size };

	frontier_root(&forged->oplog.frontier, &head.root);
	cr_assert_eq(head_sign(signer, &forged->oplog.id, &head), 0);
	cr_assert_eq(oplog_put_head(forged->txn, &forged->oplog, &head, true), 0);
	cr_assert_eq(oplog_flush(forged->txn, &forged->oplog), 0);
}

static void sign(struct forged *forged) {
	sign_with(forged, forged->stage->thief);
}

/* What the commune's oplogs have. */
static struct office_end sizes_of(const struct forged *forged) {
	struct office_end end = { .epoch = 1 };

	for (unsigned lane = 0; lane < LANE_N; lane++) {
		const struct oplog_id id = { forged->stage->commune.id, 1, (uint8_t)lane };
		struct oplog oplog;

		end.sizes[lane] = oplog_load(forged->txn, &id, &oplog) == 0 ? oplog.frontier.size : 0;
	}
	return end;
}

/* The register: the commune's key changed to the thief's, @end being where; and its own record that says so. */
static struct office change_key(struct forged *forged, const struct office_end *end, uint32_t next_epoch,
	const uint8_t key[SIGN_PUBLIC_LEN]) {
	struct office_row row;

	cr_assert_eq(offices_get(forged->txn, &forged->stage->commune.id, &row), 0);
	row.former.terms[row.former.n] = (struct office_term){ .end = *end, .next_epoch = next_epoch };
	memcpy(row.former.terms[row.former.n++].sign_key, row.office.sign_key, SIGN_PUBLIC_LEN);
	memcpy(row.office.sign_key, key, SIGN_PUBLIC_LEN);
	cr_assert_eq(offices_replace(forged->txn, &row), 0);
	row.office = forged->stage->commune;
	memcpy(row.office.sign_key, key, SIGN_PUBLIC_LEN);
	row.office.has_end = true;
	row.office.end = *end;
	return row.office;
}

/* An end that was long before the record that says so. */
static void end_before_it(struct forged *forged) {
	struct office_end end = sizes_of(forged);
	struct office said = change_key(forged, &end, 1, forged->stage->key);

	open_oplog(forged, &said.id, 1);
	append_petition(forged);
	append_office(forged, &said);
	sign(forged);
}

/* An end that covers what was forged, under a head of the key that begins there. */
static void end_covers_it(struct forged *forged) {
	struct office_end end = sizes_of(forged);
	struct office said;

	end.sizes[LANE_URGENT] += 2;
	said = change_key(forged, &end, 1, forged->stage->key);
	open_oplog(forged, &said.id, 1);
	append_petition(forged);
	append_office(forged, &said);
	sign(forged);
}

/* The same without a head where the key ends: one beyond it covers all. */
static void no_head_at_the_end(struct forged *forged) {
	struct office_end end = sizes_of(forged);
	struct office said;

	end.sizes[LANE_URGENT]++;
	said = change_key(forged, &end, 1, forged->stage->key);
	open_oplog(forged, &said.id, 1);
	append_office(forged, &said);
	append_petition(forged);
	sign(forged);
}

/* The first record of another life, which brings another key with it. */
static void another_life(struct forged *forged) {
	struct office_end end = sizes_of(forged);
	struct office said = change_key(forged, &end, 2, forged->stage->key);

	open_oplog(forged, &said.id, 2);
	append_office(forged, &said);
	append_petition(forged);
	sign(forged);
}

/* What @office writes: a petition, and who @said is. */
static void let_write(struct forged *forged, const struct office *office, const struct office *said) {
	open_oplog(forged, &office->id, 1);
	append_petition(forged);
	append_office(forged, said);
	sign(forged);
}

static struct office add_office(struct forged *forged, uint8_t id, const struct id *parent) {
	struct office office = { .id = { { id, [6] = 0x70, [8] = 0x80 } }, .parent = *parent, .code = id, .code_digits = 5,
		.state = OFFICE_ACTIVE, .level = span_str("commune"), .name = span_str("Không ai") };
	uint32_t number;

	memcpy(office.sign_key, forged->stage->key, SIGN_PUBLIC_LEN);
	office.curve_key[0] = id;
	cr_assert_eq(offices_put(forged->txn, &office, &(struct office_former){ 0 }, &number), 0);
	return office;
}

/* The office has changed its key; the register has another one than it says. */
static void another_key(struct forged *forged) {
	struct office_end end = sizes_of(forged);
	struct office said;

	end.sizes[LANE_URGENT]++;
	said = change_key(forged, &end, 1, forged->stage->key);
	memset(said.sign_key, 7, sizeof(said.sign_key));
	open_oplog(forged, &said.id, 1);
	append_office(forged, &said);
	sign_with(forged, forged->stage->own);
	append_petition(forged);
	sign(forged);
}

/* An office is enrolled beyond the end of a life, where nothing counts; by whoever has the key by now. */
static void beyond_the_end(struct forged *forged) {
	struct office_end end = sizes_of(forged);
	struct office said = change_key(forged, &end, 2, forged->stage->commune.sign_key);
	struct office office = add_office(forged, 0x5a, &said.id);

	open_oplog(forged, &said.id, 2);
	append_office(forged, &said);
	sign_with(forged, forged->stage->own);
	open_oplog(forged, &said.id, 1);
	append_office(forged, &office);
	sign_with(forged, forged->stage->own);
}

/* An office that is its own parent, and says so. */
static void ring(struct forged *forged) {
	struct office office = add_office(forged, 0x5a, &(struct id){ { 0x5a, [6] = 0x70, [8] = 0x80 } });

	let_write(forged, &office, &office);
}

/* An office that nobody enrolled says that the district did. */
static void own_word(struct forged *forged) {
	struct office office = add_office(forged, 0x5a, &forged->stage->district.id);

	let_write(forged, &office, &office);
}

/* Two that nobody enrolled were each other's parent, and handed each other over to the district. */
static void two_hand_each_other_over(struct forged *forged) {
	struct office offices[2];

	for (uint8_t i = 0; i < 2; i++)
		offices[i] = add_office(forged, (uint8_t)(0x50 + i), &forged->stage->district.id);
	for (unsigned i = 0; i < 2; i++) {
		struct office said = offices[!i];
		struct office_row row;

		said.parent = offices[i].id;
		let_write(forged, &offices[i], &said);
		let_write(forged, &offices[i], &offices[!i]);
		cr_assert_eq(offices_get(forged->txn, &offices[!i].id, &row), 0);
		office_add_parent(&row.parents, &offices[i].id, 0);
		cr_assert_eq(offices_replace(forged->txn, &row), 0);
	}
}

/* A second office with none above it. */
static void two_topmost(struct forged *forged) {
	struct office office = add_office(forged, 0x5a, &(struct id){ { 0 } });

	let_write(forged, &office, &office);
}

/* A copy in which that was written. */
static struct proc forge_copy(const struct stage *stage, void (*forge)(struct forged *forged)) {
	struct forged forged = { .stage = stage };
	struct proc copy = { 0 };

	copy_home(stage->sound.home, copy.home);
	forged.store = proc_store(&copy, STORE_WRITE);
	cr_assert_eq(store_begin_write(forged.store, &forged.txn), 0);
	forge(&forged);
	cr_assert_eq(store_commit(forged.txn), 0);
	store_close(forged.store);
	return copy;
}

/* What is said of it. */
static void expect_found(const struct stage *stage, void (*forge)(struct forged *forged), const char *words) {
	struct proc copy = forge_copy(stage, forge);
	struct cli cli;

	cr_expect_eq(CLI(&cli, copy.home, "verify", "--quick", "--root", stage->root), 1, "%s: %s%s", words, cli.out,
		cli.err);
	cr_expect(strstr(cli.out, words), "\"%s\" is not in: %s%s", words, cli.out, cli.err);
	cli_done(&cli);
	proc_remove(copy.home);
}

Test(verify, who_has_no_key_adds_nothing_to_a_copy_unseen, .timeout = 120) {
	struct stage stage;
	struct cli cli;

	stage_init(&stage);
	cr_expect_eq(CLI(&cli, stage.sound.home, "verify", "--quick", "--root", stage.root), 0, "%s%s", cli.out, cli.err);
	cli_done(&cli);
	expect_found(&stage, end_before_it, "its key changed, and no record of it does");
	expect_found(&stage, end_covers_it, "is not signed by its office");
	expect_found(&stage, no_head_at_the_end, "its key changed, and no record of it does");
	expect_found(&stage, another_life, "its key changed, and no record of it does");
	expect_found(&stage, another_key, "its key changed, and no record of it does");
	expect_found(&stage, beyond_the_end, "no record enrols it");
	expect_found(&stage, ring, "not below the topmost office");
	expect_found(&stage, own_word, "no record enrols it");
	expect_found(&stage, two_hand_each_other_over, "not below the topmost office");
	expect_found(&stage, two_topmost, "there are 2");
	stage_done(&stage);
}

Test(verify, a_key_that_names_itself_proves_nothing, .timeout = 60) {
	struct proc copy;
	struct stage stage;
	struct cli cli;

	stage_init(&stage);
	copy = forge_copy(&stage, end_before_it);
	cr_expect_eq(CLI(&cli, copy.home, "prove", "09163/1/urgent/0", "--out", "/nowhere/proof"), 3, "%d: %s", cli.status,
		cli.err);
	cr_expect(strstr(cli.err, "a key that it says only there"), "%s", cli.err);
	cli_done(&cli);
	proc_remove(copy.home);
	stage_done(&stage);
}

Test(verify, a_store_without_a_topmost_office_has_nothing_to_compare, .timeout = 60) {
	struct stage stage = { 0 };
	struct forged forged = { .stage = &stage };
	struct proc lone = { 0 };
	struct office office;
	char path[96];
	struct cli cli;

	cr_assert_eq(signer_new((const uint8_t[SIGN_SEED_LEN]){ 99 }, &stage.thief), 0);
	signer_public(stage.thief, stage.key);
	proc_directory(lone.home);
	snprintf(path, sizeof(path), "%s/store", lone.home);
	cr_assert_eq(store_create(path, PROC_MAP), 0);
	forged.store = proc_store(&lone, STORE_WRITE);
	cr_assert_eq(store_begin_write(forged.store, &forged.txn), 0);
	office = add_office(&forged, 0x5a, &(struct id){ { 0x5a, [6] = 0x70, [8] = 0x80 } });
	let_write(&forged, &office, &office);
	cr_assert_eq(offices_set_own(forged.txn, &office.id, 1), 0);
	cr_assert_eq(store_commit(forged.txn), 0);
	store_close(forged.store);
	cr_expect_eq(CLI(&cli, lone.home, "verify", "--quick", "--root", "0123 4567 89ab cdef 0123"), 1, "%s", cli.out);
	cr_expect(strstr(cli.out, "there are 0"), "%s%s", cli.out, cli.err);
	cli_done(&cli);
	signer_free(stage.thief);
	proc_remove(lone.home);
}
