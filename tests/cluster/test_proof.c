/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a node proves is verified by a program that shares nothing with it: tests/independent/verify.py,
 * written from the specifications. And what was altered by one bit is not.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/kinds/petition.h"
#include "proto/proof.h"
#include "proto/record.h"
#include "tests/cluster/cli.h"
#include "tests/cluster/tree.h"

struct stage {
	struct tree tree;
	const struct proc *district, *commune;
	char dir[64];
	char reference[32];
};

static char *run(const struct proc *proc, int code, const char *const *args) {
	struct cli cli;
	char *out;

	cr_assert_eq(cli_run(&cli, proc ? proc->home : NULL, args), code, "%s: %s", args[0], cli.err);
	out = strdup(cli.out);
	cli_done(&cli);
	return out;
}
#define RUN(proc, code, ...) run(proc, code, (const char *const[]){ __VA_ARGS__, NULL })

static void add(struct stage *stage, unsigned n) {
	for (unsigned i = 0; i < n; i++) {
		char *out = RUN(stage->commune, 0, "petition", "add", "--category", "land", "--organisation",
			"front", "--text", "Đường hỏng", "--petitioner", "Nguyễn Văn Ba");

		snprintf(stage->reference, sizeof(stage->reference), "%.*s", (int)strcspn(out, "\n"), out);
		free(out);
	}
}

static void stage_init(struct stage *stage) {
	*stage = (struct stage){ 0 };
	tree_add(&stage->tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&stage->tree, "Đại Đồng", 9163, 5, 0, false);
	stage->district = stage->tree.procs[0];
	stage->commune = stage->tree.procs[1];
	proc_directory(stage->dir);
	add(stage, 5);
	tree_open(&stage->tree);
	cr_assert(tree_wait(&stage->tree, 30000));
	tree_close(&stage->tree);
}

static void stage_done(struct stage *stage) {
	proc_remove(stage->dir);
	tree_done(&stage->tree);
}

static void save(const struct stage *stage, const char *name, char *text) {
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", stage->dir, name);
	f = fopen(path, "w");
	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0);
	free(text);
}

/* What it says to a person, and that it ends with @code. */
static void expect_words(const struct proc *at, int code, const char *words, const char *const *args) {
	struct cli cli;

	cr_expect_eq(cli_run(&cli, at ? at->home : NULL, args), code, "%s %s: %s%s", args[0], args[1], cli.out, cli.err);
	cr_expect(strstr(cli.out, words) || strstr(cli.err, words), "\"%s\" is not in: %s%s", words, cli.out, cli.err);
	cr_expect_null(strstr(cli.out, "Keep a copy"));
	cli_done(&cli);
}
#define WORDS(at, code, words, ...) expect_words(at, code, words, (const char *const[]){ __VA_ARGS__, NULL })

/* The other program, with names of files in the stage's directory; whether it verifies. */
static bool other_verifies(const struct stage *stage, const char *words) {
	char command[1024];

	snprintf(command, sizeof(command), "cd '%s' && python3 '%s/tests/independent/verify.py' %s >said 2>&1",
		stage->dir, getenv("SOURCE_ROOT"), words);
	return system(command) == 0;
}

/* What it said. Heap. */
static char *said_by_other(const struct stage *stage) {
	char path[128], *text = calloc(1, 4096);
	FILE *f;

	snprintf(path, sizeof(path), "%s/said", stage->dir);
	f = fopen(path, "r");
	cr_assert(text && f && fread(text, 1, 4095, f) > 0 && fclose(f) == 0);
	return text;
}

/* What `verify FILE` says to a program; it must end with @code. */
static json_t *verified(const struct proc *at, int code, const char *path, const char *root) {
	char *text = root ? RUN(at, code, "verify", path, "--root", root, "--json") : RUN(at, code, "verify", path, "--json");
	json_t *said = json_loads(text, 0, NULL);

	cr_assert(said, "%s", text);
	free(text);
	return said;
}

static const char *text_at(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

Test(proof, heads_and_growth_are_verified_by_another_program, .timeout = 120) {
	struct stage stage;
	char *text;

	stage_init(&stage);
	save(&stage, "key", RUN(stage.commune, 0, "checkpoint", "--lane", "normal", "--key"));
	save(&stage, "old", RUN(stage.commune, 0, "checkpoint", "--lane", "normal"));
	cr_expect(other_verifies(&stage, "note key old"));
	save(&stage, "new", RUN(stage.commune, 0, "checkpoint", "--lane", "normal", "--since", "10"));
	cr_expect(other_verifies(&stage, "consistency key old new"), "it has not grown");
	add(&stage, 4);
	text = RUN(stage.commune, 0, "checkpoint", "--lane", "normal", "--since", "10"); /* 5 and their counts */
	save(&stage, "new", strdup(text));
	cr_expect(other_verifies(&stage, "consistency key old new"));
	cr_expect_not(other_verifies(&stage, "consistency key new old"));
	text[strlen(text) - 10] ^= 1;
	save(&stage, "new", text);
	cr_expect_not(other_verifies(&stage, "consistency key old new"));
	text = RUN(stage.commune, 0, "checkpoint", "--lane", "normal");
	text[strcspn(text, "\n") + 1] ^= 1; /* the size */
	save(&stage, "old", text);
	cr_expect_not(other_verifies(&stage, "note key old"));
	stage_done(&stage);
}

Test(proof, the_heads_of_an_office_are_verified_in_one_go, .timeout = 120) {
	struct stage stage;
	char *text;

	stage_init(&stage);
	free(RUN(stage.commune, 0, "key", "rotate")); /* it has something in its urgent lane now */
	text = RUN(stage.commune, 0, "checkpoint", "--key");
	cr_expect(!strstr(text, "\n\n") && strchr(text, '\n') != strrchr(text, '\n'), "%s", text);
	save(&stage, "keys", text);
	save(&stage, "old", RUN(stage.commune, 0, "checkpoint"));
	cr_expect(other_verifies(&stage, "note keys old"));
	save(&stage, "new", RUN(stage.commune, 0, "checkpoint", "--since", "1"));
	cr_expect(other_verifies(&stage, "note keys new"));
	save(&stage, "new", RUN(stage.commune, 0, "checkpoint"));
	cr_expect(other_verifies(&stage, "consistency keys old new"));
	stage_done(&stage);
}

/* Of the topmost office, as it says itself: of its present key, or for proofs. Heap. */
static char *fingerprint_of(const struct proc *topmost, const char *which) {
	json_t *rows = cli_json(topmost->home, (const char *const[]){ "office", "list", "--json", NULL });
	char *text = NULL;
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (json_is_true(json_object_get(row, "own")))
			text = strdup(json_string_value(json_object_get(row, which)));
	json_decref(rows);
	return text;
}

/* Until the office above has said that it holds a petition. */
static json_t *receipt_of(const struct stage *stage) {
	uint64_t until_ms = proc_now_ms() + 30000;

	for (;;) {
		json_t *rows = cli_json(stage->commune->home,
			(const char *const[]){ "receipt", stage->reference, "--json", NULL });
		json_t *row = json_incref(json_array_get(rows, 0));

		json_decref(rows);
		if (!json_is_null(json_object_get(row, "since")))
			return row;
		json_decref(row);
		cr_assert_lt(proc_now_ms(), until_ms, "there is no receipt");
		proc_pause_ms(200);
	}
}

Test(proof, the_office_above_gives_a_receipt_that_can_itself_be_proved, .timeout = 120) {
	char path[128], place[256], text[128];
	struct stage stage;
	json_t *row, *at;

	stage_init(&stage);
	proc_stop((struct proc *)stage.district);
	snprintf(text, sizeof(text), "listen: %s\nreceipt_seconds: 1\n", stage.district->listen);
	proc_configure(stage.district, text);
	proc_start((struct proc *)stage.district);
	row = receipt_of(&stage);
	cr_expect(json_is_true(json_object_get(row, "agrees")));
	at = json_object_get(row, "receipt");
	snprintf(place, sizeof(place), "%s/%lld/%s/%lld", json_string_value(json_object_get(row, "office_id")),
		json_integer_value(json_object_get(at, "epoch")), json_string_value(json_object_get(at, "lane")),
		json_integer_value(json_object_get(at, "number")));
	snprintf(path, sizeof(path), "%s/receipt", stage.dir);
	free(RUN(stage.commune, 0, "prove", place, "--out", path));
	free(RUN(stage.district, 0, "verify", path));
	snprintf(place, sizeof(place), "260/%lld/%s/%lld", json_integer_value(json_object_get(at, "epoch")),
		json_string_value(json_object_get(at, "lane")), json_integer_value(json_object_get(at, "number")));
	WORDS(stage.commune, 0, place, "receipt", stage.reference); /* as it can be typed */
	free(RUN(stage.commune, 0, "prove", place, "--out", path));
	snprintf(place, sizeof(place), "260/%lld/%s/ %lld", json_integer_value(json_object_get(at, "epoch")) + (1LL << 32),
		json_string_value(json_object_get(at, "lane")), json_integer_value(json_object_get(at, "number")));
	free(RUN(stage.commune, 3, "prove", place, "--out", path));
	free(RUN(stage.commune, 0, "verify"));
	free(RUN(stage.district, 0, "verify"));
	json_decref(row);
	stage_done(&stage);
}

Test(proof, what_cannot_be_proved_is_refused_in_words, .timeout = 120) {
	struct stage stage;
	char *fingerprint;
	char path[128];
	json_t *checked;
	char *text;

	stage_init(&stage);
	free(RUN(stage.commune, 3, "checkpoint", "--lane", "normal", "--since", "1000000"));
	free(RUN(stage.commune, 2, "checkpoint", "--lane", "normal", "--since", "-1"));
	free(RUN(stage.commune, 2, "checkpoint", "--lane", "normal", "--since", "0"));
	free(RUN(stage.commune, 1, "verify", "--root", "0123 4567 89ab cdef 0123"));
	fingerprint = fingerprint_of(stage.district, "root_fingerprint");
	free(RUN(stage.commune, 0, "verify", "--root", fingerprint));
	free(RUN(stage.district, 0, "verify", "--root", fingerprint));
	free(fingerprint);
	snprintf(path, sizeof(path), "%s/record", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", path));
	text = RUN(stage.district, 0, "verify", path, "--json");
	checked = json_loads(text, 0, NULL);
	cr_expect(json_is_true(json_object_get(checked, "ok")));
	cr_expect(json_is_false(json_object_get(checked, "root_known")), "nobody said which it is");
	json_decref(checked);
	free(text);
	stage_done(&stage);
}

Test(proof, a_record_is_verified_by_another_program_without_a_store, .timeout = 120) {
	char words[256], path[128];
	struct stage stage;
	char *root, *said;
	json_t *checked;

	stage_init(&stage);
	root = fingerprint_of(stage.district, "root_fingerprint");
	snprintf(path, sizeof(path), "%s/record", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", path));
	snprintf(words, sizeof(words), "proof record %s", root);
	cr_expect(other_verifies(&stage, words));
	free(RUN(stage.district, 0, "verify", path));
	said = said_by_other(&stage);
	checked = verified(stage.district, 0, path, NULL);
	snprintf(words, sizeof(words), "leaf hash %s\n", text_at(json_object_get(checked, "proved"), "hash"));
	cr_expect_eq(strncmp(said, words, strlen(words)), 0, "%s", said);
	free(said);
	json_decref(checked);
	WORDS(stage.district, 0, "Leaf hash", "verify", path);
	WORDS(stage.district, 2, "--quick", "verify", path, "--quick");
	cr_expect_not(other_verifies(&stage, "proof record 0123 4567 89ab cdef 0123"));
	said = said_by_other(&stage);
	cr_expect(strstr(said, root), "%s", said);
	free(said);
	free(root);
	stage_done(&stage);
}

Test(proof, an_erased_part_changes_no_proof, .timeout = 120) {
	char words[256], before[128], after[128];
	struct stage stage;
	char *root;

	stage_init(&stage);
	root = fingerprint_of(stage.district, "root_fingerprint");
	snprintf(before, sizeof(before), "%s/before", stage.dir);
	snprintf(after, sizeof(after), "%s/after", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", before));
	free(RUN(stage.commune, 0, "petition", "erase", stage.reference, "--reason", "bà yêu cầu"));
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", after));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(words, sizeof(words), "proof %s %s", i ? "after" : "before", root);
		cr_expect(other_verifies(&stage, words));
		free(RUN(stage.district, 0, "verify", i ? after : before));
	}
	free(root);
	stage_done(&stage);
}

Test(proof, nothing_of_it_can_be_changed, .timeout = 120) {
	static uint8_t bytes[PROOF_FILE_MAX];
	struct office offices[PROOF_LINKS_MAX];
	struct proof *proof = calloc(1, sizeof(*proof));
	struct stage stage;
	char path[128];
	size_t n, at, root;
	FILE *f;

	stage_init(&stage);
	snprintf(path, sizeof(path), "%s/record", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", path));
	f = fopen(path, "r");
	cr_assert(f);
	n = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	cr_assert_eq(proof_read((struct span){ bytes, n }, proof), 0);
	cr_assert_eq(proof_check(proof, offices, &at), 0);
	cr_expect_eq(proof->n_links, 2);
	cr_expect(id_eq(&offices[0].id, &stage.commune->office.id));
	root = n - 2 * (2 + 32); /* the root's keys: their fingerprint is compared by people */
	for (size_t i = 0; i < root; i++) {
		bytes[i] ^= 1 << i % 8;
		cr_expect(proof_read((struct span){ bytes, n }, proof) || proof_check(proof, offices, &at),
			"byte %zu of %zu", i, n);
		bytes[i] ^= 1 << i % 8;
	}
	for (size_t len = 0; len < n; len++)
		cr_expect_eq(proof_read((struct span){ bytes, len }, proof), PROOF_MALFORMED);
	free(proof);
	stage_done(&stage);
}

/* A link of one leaf; @bytes keeps the record. */
static void forge_link(struct signer *signer, const struct id *office, struct record *rec, uint8_t bytes[1024],
	struct proof_link *ret_link) {
	struct writer w;

	rec->time_ms = proc_wall_ms();
	record_make_id(rec->time_ms, (const uint8_t[10]){ 1 }, &rec->id);
	writer_init(&w, bytes, 1024);
	cr_assert_eq(record_encode(rec, NULL, 0, &w), 0);
	*ret_link = (struct proof_link){ .oplog = { *office, 1, LANE_NORMAL }, .leaf.bytes = writer_span(&w),
		.head.size = 1 };
	leaf_hash(&ret_link->leaf, &ret_link->head.root);
	cr_assert_eq(head_sign(signer, &ret_link->oplog, &ret_link->head), 0);
}

static const uint8_t a_seed[SIGN_SEED_LEN] = { 99 };

/* Behind a proof of the commune's: it enrols @victim with the key of @seed, with which something is written. */
static void forge(const struct stage *stage, const struct office *victim, const uint8_t seed[SIGN_SEED_LEN],
	const char *from, const char *to) {
	static uint8_t file[PROOF_FILE_MAX], bytes[2][1024], body[512];
	struct proof *held = calloc(1, sizeof(*held)), *made = calloc(1, sizeof(*made));
	struct petition petition = { .legal_kind = LEGAL_PETITION, .category = CATEGORY_LAND, .channel = CHANNEL_LETTER,
		.people = 1, .text = span_str("Bịa đặt") };
	struct record rec = { .kind = KIND_OFFICE };
	struct office said = *victim;
	struct signer *own, *thief;
	struct writer w;
	size_t n;
	FILE *f = fopen(from, "r");

	cr_assert(f && held && made);
	n = fread(file, 1, sizeof(file), f);
	fclose(f);
	cr_assert_eq(proof_read((struct span){ file, n }, held), 0);
	cr_assert_eq(signer_new(stage->commune->keys.seed, &own), 0);
	cr_assert_eq(signer_new(seed, &thief), 0);
	*made = *held;
	made->n_links = held->n_links + 1;
	memcpy(&made->links[1], &held->links[0], held->n_links * sizeof(held->links[0]));
	said.parent = stage->commune->office.id;
	signer_public(thief, said.sign_key);
	writer_init(&w, body, sizeof(body));
	office_encode(&said, &w);
	rec.body = writer_span(&w);
	forge_link(own, &stage->commune->office.id, &rec, bytes[0], &made->links[1]);
	writer_init(&w, body, sizeof(body));
	petition_encode(&petition, &w);
	rec = (struct record){ .kind = KIND_PETITION, .body = writer_span(&w) };
	forge_link(thief, &victim->id, &rec, bytes[1], &made->links[0]);
	writer_init_grow(&w);
	proof_write(made, &w);
	f = fopen(to, "w");
	cr_assert(f && fwrite(w.data, 1, w.len, f) == w.len && fclose(f) == 0);
	writer_done(&w);
	signer_free(own);
	signer_free(thief);
	free(held);
	free(made);
}

Test(proof, an_office_that_speaks_for_another_is_shown_and_a_register_knows_better, .timeout = 120) {
	char record[128], forged[128];
	struct office victim;
	struct stage stage;
	char *fingerprint;
	json_t *said, *chain;

	stage_init(&stage);
	tree_add(&stage.tree, "Hoàn Sơn", 9205, 5, 0, false);
	victim = stage.tree.procs[2]->office;
	snprintf(record, sizeof(record), "%s/record", stage.dir);
	snprintf(forged, sizeof(forged), "%s/forged", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", record));
	fingerprint = fingerprint_of(stage.district, "root_fingerprint");
	WORDS(stage.district, 0, "says the same", "verify", record, "--root", fingerprint);

	/* its sister: whoever has no register sees who says so, and the district's register says no */
	forge(&stage, &victim, a_seed, record, forged);
	WORDS(NULL, 0, "09163 Đại Đồng, by the topmost office", "verify", forged, "--root", fingerprint);
	WORDS(NULL, 0, "There is no office in", "verify", forged, "--root", fingerprint);
	WORDS(NULL, 0, "was revoked since", "verify", forged, "--root", fingerprint);
	said = verified(NULL, 0, forged, fingerprint);
	chain = json_object_get(json_object_get(said, "proved"), "chain");
	cr_expect_eq(json_array_size(chain), 3);
	cr_expect_str_eq(text_at(json_array_get(chain, 1), "office"), "09163 Đại Đồng");
	cr_expect_str_eq(text_at(json_array_get(chain, 2), "office"), "09205 Hoàn Sơn");
	cr_expect(json_is_null(json_object_get(said, "register")));
	json_decref(said);
	WORDS(stage.district, 1, "NOT PROVED for the register", "verify", forged, "--root", fingerprint);
	said = verified(stage.district, 1, forged, fingerprint);
	cr_expect(json_is_false(json_object_get(said, "ok")));
	cr_expect_str_eq(text_at(said, "register"), "another-key");
	json_decref(said);

	/* with the sister's own key, and signed by her: she never was below it */
	forge(&stage, &victim, stage.tree.procs[2]->keys.seed, record, forged);
	WORDS(stage.district, 1, "it does not have 09205 Hoàn Sơn below", "verify", forged, "--root", fingerprint);
	said = verified(stage.district, 1, forged, fingerprint);
	cr_expect_str_eq(text_at(said, "register"), "another-parent");
	json_decref(said);

	/* one that nobody has: it would have to be known to those above it, and is not */
	victim.id = (struct id){ { 1, [6] = 0x70, [8] = 0x80 } };
	forge(&stage, &victim, a_seed, record, forged);
	WORDS(stage.district, 1, "NOT PROVED for the register", "verify", forged, "--root", fingerprint);

	/* whoever is above it, it cannot name at all */
	forge(&stage, &stage.district->office, a_seed, record, forged);
	WORDS(NULL, 1, "do not enrol one another", "verify", forged, "--root", fingerprint);
	free(fingerprint);
	stage_done(&stage);
}

Test(proof, a_register_that_is_named_is_asked_and_says_how_an_office_is_called_by_now, .timeout = 120) {
	char record[128], renamed[128], store[96];
	struct proc damaged = { 0 };
	struct stage stage;
	json_t *said, *chain;
	FILE *f;

	stage_init(&stage);
	snprintf(record, sizeof(record), "%s/record", stage.dir);
	snprintf(renamed, sizeof(renamed), "%s/renamed", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", record));
	free(RUN(stage.district, 0, "office", "rename", "09163", "--name", "Phường Vũ Ninh"));
	WORDS(stage.district, 0, "09163 Đại Đồng (now 09163 Phường Vũ Ninh)", "verify", record);
	WORDS(stage.district, 0, "260 Tiên Du (the topmost office)", "verify", record);
	said = verified(stage.district, 0, record, NULL);
	chain = json_object_get(json_object_get(said, "proved"), "chain");
	cr_expect_str_eq(text_at(json_array_get(chain, 1), "register_office"), "09163 Phường Vũ Ninh");
	json_decref(said);
	free(RUN(stage.district, 0, "prove", stage.reference, "--out", renamed));
	WORDS(NULL, 0, "09163 Phường Vũ Ninh", "verify", renamed);

	/* whoever names a register wants to hear what it says */
	proc_directory(damaged.home);
	WORDS(&damaged, 1, "there is no office in", "verify", record);
	snprintf(store, sizeof(store), "%s/store", damaged.home);
	cr_assert_eq(mkdir(store, 0700), 0);
	snprintf(store, sizeof(store), "%s/store/data.mdb", damaged.home);
	f = fopen(store, "w");
	cr_assert(f && ftruncate(fileno(f), 8192) == 0 && fclose(f) == 0);
	WORDS(&damaged, 1, "is damaged", "verify", record);
	cr_assert_eq(setenv("LIENTHONG_HOME", damaged.home, 1), 0);
	WORDS(NULL, 1, "is damaged", "verify", record);
	proc_remove(damaged.home);
	stage_done(&stage);
}

/* As another office would have got it: the head of the commune's in the file, of @size leaves that it never wrote. */
static char *note_of(const struct stage *stage, const uint8_t seed[SIGN_SEED_LEN], uint64_t size) {
	const struct oplog_id oplog = { stage->commune->office.id, 1, LANE_NORMAL };
	struct head head = { .size = size };
	uint8_t key[SIGN_PUBLIC_LEN];
	char note[HEAD_NOTE_MAX];
	struct signer *signer;

	memset(head.root.b, 7, sizeof(head.root.b));
	cr_assert_eq(signer_new(seed, &signer), 0);
	signer_public(signer, key);
	cr_assert_eq(head_sign(signer, &oplog, &head), 0);
	signer_free(signer);
	head_note(&oplog, &head, key, note);
	return strdup(note);
}

/* What the district finds of each head in the file. */
static void expect_findings(const struct stage *stage, const char *path, int code, size_t n, const char *finding) {
	char *text = RUN(stage->district, code, "checkpoint", "--compare", path, "--json");
	json_t *rows = json_loads(text, 0, NULL), *row;
	size_t i;

	cr_assert_eq(json_array_size(rows), n, "%s", text);
	json_array_foreach (rows, i, row)
		cr_expect_str_eq(text_at(row, "finding"), finding);
	json_decref(rows);
	free(text);
}

Test(proof, two_histories_are_found_by_whoever_compares_heads, .timeout = 120) {
	struct stage stage;
	char path[128];
	char *text;

	stage_init(&stage);
	snprintf(path, sizeof(path), "%s/heads", stage.dir);
	save(&stage, "heads", RUN(stage.commune, 0, "checkpoint"));
	expect_findings(&stage, path, 0, 1, "agrees");
	text = RUN(stage.commune, 0, "checkpoint", "--lane", "normal", "--since", "3");
	save(&stage, "heads", strdup(text));
	expect_findings(&stage, path, 0, 1, "agrees");
	text = realloc(text, strlen(text) + 100);
	strcat(text, "\nlienthong/nobody\n");
	save(&stage, "heads", text);
	expect_findings(&stage, path, 2, 1, "agrees");
	WORDS(stage.district, 2, ": this is not a head", "checkpoint", "--compare", path);
	save(&stage, "heads", note_of(&stage, stage.commune->keys.seed, 1000));
	expect_findings(&stage, path, 3, 1, "not-here");
	save(&stage, "heads", note_of(&stage, stage.commune->keys.seed, 4));
	expect_findings(&stage, path, 1, 1, "another-history");
	WORDS(stage.district, 1, "show it to the office above", "checkpoint", "--compare", path);
	save(&stage, "heads", note_of(&stage, (const uint8_t[SIGN_SEED_LEN]){ 99 }, 4));
	expect_findings(&stage, path, 1, 1, "not-signed");
	text = note_of(&stage, stage.commune->keys.seed, 4);
	text[strlen("lienthong/")] ^= 1; /* another office */
	save(&stage, "heads", text);
	WORDS(stage.district, 2, "heads, line 1: ", "checkpoint", "--compare", path); /* one line says another than the other */
	save(&stage, "heads", strdup("\n"));
	WORDS(stage.district, 2, "is empty", "checkpoint", "--compare", path);
	WORDS(stage.district, 2, "without --json", "checkpoint", "--json");
	WORDS(stage.district, 2, "stands alone", "checkpoint", "--key", "--compare", path);
	WORDS(stage.district, 1, "cannot read", "checkpoint", "--compare", "/nowhere");
	WORDS(stage.district, 1, "cannot read", "checkpoint", "--compare", stage.dir);
	stage_done(&stage);
}

Test(proof, what_a_revoked_office_wrote_is_proved_up_to_its_end_and_says_so, .timeout = 120) {
	char before[128], after[128], words[256];
	struct stage stage;
	char *root;
	json_t *said, *chain;

	stage_init(&stage);
	root = fingerprint_of(stage.district, "root_fingerprint");
	snprintf(before, sizeof(before), "%s/before", stage.dir);
	snprintf(after, sizeof(after), "%s/after", stage.dir);
	free(RUN(stage.commune, 0, "key", "rotate"));
	add(&stage, 1);
	tree_open(&stage.tree);
	cr_assert(tree_wait(&stage.tree, 30000));
	tree_close(&stage.tree);
	free(RUN(stage.district, 0, "prove", stage.reference, "--out", before));
	free(RUN(stage.district, 0, "key", "rotate")); /* one key enrolled it, another ends it */
	free(RUN(stage.district, 0, "office", "revoke", "09163", "--for-ever"));
	snprintf(words, sizeof(words), "proof after %s", root);
	free(RUN(stage.district, 0, "prove", stage.reference, "--out", after));
	cr_expect(other_verifies(&stage, words));
	free(RUN(stage.district, 0, "prove", "09163/1/normal/0", "--out", after));
	cr_expect(other_verifies(&stage, words));
	said = verified(stage.commune, 0, after, NULL);
	chain = json_object_get(json_object_get(said, "proved"), "chain");
	cr_expect(json_is_true(json_object_get(json_array_get(chain, 1), "revoked")));
	cr_expect(json_is_false(json_object_get(json_array_get(chain, 0), "revoked")));
	json_decref(said);
	WORDS(stage.commune, 0, "(revoked)", "verify", after);
	WORDS(stage.district, 0, "was revoked; what is proved lies before its end", "verify", before);

	/* what it goes on to write is beyond the end that the register has */
	add(&stage, 1);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", before));
	said = verified(stage.district, 1, before, NULL);
	cr_expect_str_eq(text_at(said, "register"), "ended");
	json_decref(said);
	free(root);
	stage_done(&stage);
}

Test(proof, one_fingerprint_is_for_proofs_whatever_key_the_topmost_office_has, .timeout = 120) {
	char before[128], after[128];
	char *first, *present, *again;
	struct stage stage;
	struct proc old;

	stage_init(&stage);
	snprintf(old.home, sizeof(old.home), "%.56s/old", stage.dir);
	snprintf(before, sizeof(before), "%s/before", stage.dir);
	snprintf(after, sizeof(after), "%s/after", stage.dir);
	first = fingerprint_of(stage.district, "root_fingerprint");
	present = fingerprint_of(stage.district, "fingerprint");
	cr_expect_str_eq(first, present);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", before));
	free(present);
	free(RUN(stage.district, 0, "backup", old.home));
	free(RUN(stage.district, 0, "key", "rotate"));
	add(&(struct stage){ .commune = stage.district }, 1);
	free(RUN(stage.district, 0, "prove", "260/1/normal/0", "--out", after));
	WORDS(&old, 0, "says the same", "verify", after); /* it has not heard of the change, which is in the proof */
	tree_add(&stage.tree, "Hoàn Sơn", 9205, 5, 0, false); /* enrolled with the new one */
	present = fingerprint_of(stage.district, "fingerprint");
	again = fingerprint_of(stage.district, "root_fingerprint");
	cr_expect_str_neq(first, present);
	cr_expect_str_eq(first, again);
	tree_open(&stage.tree);
	cr_assert(tree_wait(&stage.tree, 30000));
	tree_close(&stage.tree);
	add(&(struct stage){ .commune = stage.tree.procs[2] }, 1);
	free(RUN(stage.tree.procs[2], 0, "prove", "09205/1/normal/0", "--out", after));
	for (unsigned i = 0; i < 2; i++)
		WORDS(stage.district, 0, "says the same", "verify", i ? after : before, "--root", first);
	WORDS(stage.district, 0, "In order", "verify", "--root", first);
	WORDS(stage.commune, 0, "In order", "verify", "--root", first);

	WORDS(stage.district, 1, "shows for proofs", "verify", after, "--root", present);
	WORDS(stage.district, 1, "its present key", "verify", "--root", present);
	WORDS(stage.district, 1, "Nothing was checked", "verify", "--root", "0123 4567 89ab cdef 0123");
	WORDS(stage.district, 1, "\"ok\": false", "verify", "--root", "0123 4567 89ab cdef 0123", "--json");
	WORDS(stage.district, 2, "is not a fingerprint", "verify", "--root", "0123 4567 89ab cdef 012");
	WORDS(stage.district, 2, "is not a fingerprint", "verify", before, "--root", "0123 4567 89ab cdef 012g");
	free(first);
	free(present);
	free(again);
	stage_done(&stage);
}

Test(proof, a_file_is_for_its_owner_and_replaces_nothing_but_a_file, .timeout = 120) {
	char path[128], pipe[128], link[128];
	struct stage stage;
	struct stat st;

	stage_init(&stage);
	snprintf(path, sizeof(path), "%s/record", stage.dir);
	snprintf(pipe, sizeof(pipe), "%s/pipe", stage.dir);
	snprintf(link, sizeof(link), "%s/link", stage.dir);
	for (unsigned i = 0; i < 2; i++)
		free(RUN(stage.commune, 0, "prove", stage.reference, "--out", path));
	cr_assert_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 0777, 0600);
	cr_assert_eq(mkfifo(pipe, 0600), 0);
	cr_assert_eq(symlink(path, link), 0);
	WORDS(stage.commune, 1, "not a file", "prove", stage.reference, "--out", pipe);
	WORDS(stage.commune, 1, "not a file", "prove", stage.reference, "--out", link);
	WORDS(stage.commune, 1, "directory", "prove", stage.reference, "--out", stage.dir);
	cr_expect(lstat(pipe, &st) == 0 && S_ISFIFO(st.st_mode));
	cr_expect(lstat(link, &st) == 0 && S_ISLNK(st.st_mode));
	stage_done(&stage);
}
