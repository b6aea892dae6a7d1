/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What a node proves is verified by a program that shares nothing with it: tests/independent/verify.py,
 * written from the specifications. And what was altered by one bit is not.
 */
#include <criterion/criterion.h>
#include <jansson.h>
#include <unistd.h>

#include "proto/proof.h"
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

	cr_assert_eq(cli_run(&cli, proc->home, args), code, "%s: %s", args[0], cli.err);
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

/* The other program, with names of files in the stage's directory; whether it verifies. */
static bool other_verifies(const struct stage *stage, const char *words) {
	char command[1024];

	snprintf(command, sizeof(command), "cd '%s' && python3 '%s/tests/independent/verify.py' %s >said 2>&1",
		stage->dir, getenv("SOURCE_ROOT"), words);
	return system(command) == 0;
}

Test(proof, heads_and_growth_are_verified_by_another_program, .timeout = 120) {
	struct stage stage;
	char *text;

	stage_init(&stage);
	save(&stage, "key", RUN(stage.commune, 0, "checkpoint", "--lane", "normal", "--key"));
	save(&stage, "old", RUN(stage.commune, 0, "checkpoint", "--lane", "normal"));
	cr_expect(other_verifies(&stage, "note key old"));
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

/* Of the topmost office, as it says itself. Heap. */
static char *fingerprint_of(const struct proc *topmost) {
	json_t *rows = cli_json(topmost->home, (const char *const[]){ "office", "list", "--json", NULL });
	char *text = NULL;
	json_t *row;
	size_t i;

	json_array_foreach (rows, i, row)
		if (json_is_true(json_object_get(row, "own")))
			text = strdup(json_string_value(json_object_get(row, "fingerprint")));
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
	fingerprint = fingerprint_of(stage.district);
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

static void root_key(const struct stage *stage, char ret_hex[2 * SIGN_PUBLIC_LEN + 1]) {
	for (size_t i = 0; i < SIGN_PUBLIC_LEN; i++)
		snprintf(ret_hex + 2 * i, 3, "%02x", stage->district->office.sign_key[i]);
}

Test(proof, a_record_is_verified_by_another_program_without_a_store, .timeout = 120) {
	char key[2 * SIGN_PUBLIC_LEN + 1], words[256], path[128];
	struct stage stage;

	stage_init(&stage);
	root_key(&stage, key);
	snprintf(path, sizeof(path), "%s/record", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", path));
	snprintf(words, sizeof(words), "proof record %s", key);
	cr_expect(other_verifies(&stage, words));
	free(RUN(stage.district, 0, "verify", path));

	stage_done(&stage);
}

Test(proof, an_erased_part_changes_no_proof, .timeout = 120) {
	char key[2 * SIGN_PUBLIC_LEN + 1], words[256], before[128], after[128];
	struct stage stage;

	stage_init(&stage);
	root_key(&stage, key);
	snprintf(before, sizeof(before), "%s/before", stage.dir);
	snprintf(after, sizeof(after), "%s/after", stage.dir);
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", before));
	free(RUN(stage.commune, 0, "petition", "erase", stage.reference, "--reason", "bà yêu cầu"));
	free(RUN(stage.commune, 0, "prove", stage.reference, "--out", after));
	for (unsigned i = 0; i < 2; i++) {
		snprintf(words, sizeof(words), "proof %s %s", i ? "after" : "before", key);
		cr_expect(other_verifies(&stage, words));
		free(RUN(stage.district, 0, "verify", i ? after : before));
	}
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
