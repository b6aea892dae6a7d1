/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who brings a denunciation, from the clerk who types it to the chairman who opens it: in between nobody
 * reads it, whatever of the office he has in hand.
 */
#include <criterion/criterion.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/private.h"
#include "tests/cluster/cli.h"
#include "tests/cluster/tree.h"

#define ADD "petition", "add", "--category", "letters", "--organisation", "front", "--kind"
#define LOOK(ref) "petition", "show", ref, "--private", "--reason", "xác minh"
#define HEADER "number,received,organisation,kind,village,category,channel,people,urgent,text,asked_of," \
	       "petitioner,contact,address\n"
#define NAME "Nguyễn Thị Hồng Nhung"
#define TELEPHONE "0912 345 678"
#define IMPORTED "Hoàng Văn Thụ Lâm"

#define JSON(home, ...) cli_json(home, (const char *const[]){ __VA_ARGS__, "--json", NULL })
#define EXPECT(home, code, words, ...)                                                             \
	expect(home, code, words, (const char *const[]){ __VA_ARGS__, NULL })

/* That a command ends with @code and says @words. */
static void expect(const char *home, int code, const char *words, const char *const *args) {
	struct cli cli;

	cr_expect_eq(cli_run(&cli, home, args), code, "%s %s: %s", args[0], args[1], cli.err);
	cr_expect(strstr(code ? cli.err : cli.out, words), "%s %s: no \"%s\" in: %s%s", args[0], args[1], words,
		cli.out, cli.err);
	cli_done(&cli);
}

static void write_file(const char *path, const char *text) {
	FILE *f = fopen(path, "w");

	cr_assert(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
}

/* Of what `petition show` gives under "private". NULL: null. */
static char *private_text(const char *home, const char *ref, const char *file, const char *key) {
	json_t *shown = file ? JSON(home, LOOK(ref), "--key", file) : JSON(home, LOOK(ref));
	json_t *value = json_object_get(json_object_get(shown, "private"), key);
	char *text = json_is_string(value) ? strdup(json_string_value(value)) : NULL;

	cr_expect(value, "%s: there is no %s", ref, key);
	json_decref(shown);
	return text;
}

static void expect_private(const char *home, const char *ref, const char *file, const char *key, const char *want) {
	char *text = private_text(home, ref, file, key);

	if (want)
		cr_expect_str_eq(text ? text : "null", want, "%s: %s", ref, key);
	else
		cr_expect_null(text, "%s: %s: %s", ref, key, text);
	free(text);
}

/* How often somebody looked. */
static size_t looks(const char *home) {
	json_t *rows = JSON(home, "log", "--lane", "bulk", "--count", "1000");
	json_t *row;
	size_t i, n = 0;

	json_array_foreach (rows, i, row) {
		const char *kind = json_string_value(json_object_get(row, "kind"));

		n += kind && strcmp(kind, "access") == 0;
	}
	json_decref(rows);
	return n;
}

static void make_key(const char *home, const char *file, char ret_fingerprint[32]) {
	json_t *made = JSON(home, "key", "denunciations", file);

	snprintf(ret_fingerprint, 32, "%s", json_string_value(json_object_get(made, "fingerprint")));
	cr_expect_eq(strlen(ret_fingerprint), 24);
	cr_expect_str_eq(json_string_value(json_object_get(made, "file")), file);
	json_decref(made);
}

static json_int_t import(const char *home, const char *file, const char *key) {
	json_t *done = JSON(home, "import", "petitions", file);
	json_int_t n = json_integer_value(json_object_get(done, key));

	json_decref(done);
	return n;
}

static bool found(const char *text, const char *directory) {
	char command[512];

	snprintf(command, sizeof(command), "grep -rqaF '%s' '%s'", text, directory);
	return system(command) == 0;
}

struct desk {
	struct tree tree;
	const char *home, *parent;
	char stick[64]; /* a directory that is not the office's */
	char key[96], later[96], rows[96];
	char who[96], name[96]; /* who brings it, for --petitioner-file: with more than the name, or only that */
};

static struct desk desk_new(void) {
	struct desk desk = { 0 };

	tree_add(&desk.tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&desk.tree, "Đại Đồng", 9163, 5, 0, false);
	desk.parent = desk.tree.procs[0]->home;
	desk.home = desk.tree.procs[1]->home;
	proc_directory(desk.stick);
	snprintf(desk.key, sizeof(desk.key), "%s/key", desk.stick);
	snprintf(desk.later, sizeof(desk.later), "%s/later", desk.stick);
	snprintf(desk.rows, sizeof(desk.rows), "%s/rows.csv", desk.stick);
	snprintf(desk.who, sizeof(desk.who), "%s/who", desk.stick);
	snprintf(desk.name, sizeof(desk.name), "%s/name", desk.stick);
	write_file(desk.name, NAME "\n");
	return desk;
}

static void desk_done(struct desk *desk) {
	tree_done(&desk->tree);
	proc_remove(desk->stick);
}

Test(denunciations, are_taken_with_a_key_or_without_who_brings_them, .timeout = 120) {
	_cleanup_(desk_done) struct desk desk = desk_new();
	char inside[96], fingerprint[32];
	struct stat st;
	json_t *shown;

	EXPECT(desk.home, 3, "lienthong key denunciations FILE", ADD, "denunciation", "--text", "a", "--petitioner-file", desk.name);
	write_file(desk.who, "\n" TELEPHONE "\n");
	EXPECT(desk.home, 3, "--contact: who brings", ADD, "denunciation", "--text", "a", "--petitioner-file", desk.who);
	EXPECT(desk.home, 2, "--channel", ADD, "denunciation", "--text", "a", "--petitioner-file", desk.name, "--channel", "x");
	write_file(desk.rows, HEADER "7,2024-05-31,front,denunciation,,letters,letter,,,b,," IMPORTED ",,\n");
	EXPECT(desk.home, 3, ":2: petitioner: who brings", "import", "petitions", desk.rows);
	EXPECT(desk.home, 0, "", ADD, "denunciation", "--text", "c", "--number", "1");
	EXPECT(desk.home, 3, "nobody has recorded", LOOK("1"));
	EXPECT(desk.home, 0, "has no key", "key", "denunciations");

	snprintf(inside, sizeof(inside), "%s/key", desk.home);
	EXPECT(desk.home, 3, "in the home", "key", "denunciations", inside);
	cr_expect_neq(access(inside, F_OK), 0);
	make_key(desk.home, desk.key, fingerprint);
	cr_assert_eq(stat(desk.key, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
	EXPECT(desk.home, 3, "is there already", "key", "denunciations", desk.key);
	EXPECT(desk.home, 2, "name a file", "key", "denunciations", "-");
	EXPECT(desk.home, 0, fingerprint, "key", "denunciations");
	EXPECT(desk.home, 0, "", ADD, "denunciation", "--text", "d", "--petitioner-file", desk.name, "--number", "2");
	expect_private(desk.home, "2", desk.key, "petitioner", NAME);

	/* a key that others can put there is not used */
	snprintf(inside, sizeof(inside), "%s/denunciation.key", desk.home);
	cr_assert_eq(chmod(inside, 0666), 0);
	EXPECT(desk.home, 3, "--use", ADD, "denunciation", "--text", "e", "--petitioner-file", desk.name);
	EXPECT(desk.home, 1, "--use", "key", "denunciations");
	EXPECT(desk.home, 0, "", ADD, "complaint", "--text", "f", "--petitioner", NAME);
	shown = JSON(desk.home, "key", "denunciations", "--use", desk.key);
	cr_expect_str_eq(json_string_value(json_object_get(shown, "fingerprint")), fingerprint);
	cr_expect(json_is_null(json_object_get(shown, "replaced")), "it is the same");
	json_decref(shown);
	shown = JSON(desk.home, "key", "denunciations", "--use", desk.key);
	cr_expect(json_is_null(json_object_get(shown, "replaced")), "nor is it another now");
	json_decref(shown);
	EXPECT(desk.home, 0, "", ADD, "denunciation", "--text", "g", "--petitioner-file", desk.name);
}

Test(denunciations, are_not_taken_with_who_brings_them_on_the_command_line, .timeout = 60) {
	static const char *const options[] = { "--petitioner", "--contact", "--address" };
	_cleanup_(desk_done) struct desk desk = desk_new();
	char fingerprint[32];

	make_key(desk.home, desk.key, fingerprint);
	for (size_t i = 0; i < N_ELEMENTS(options); i++) {
		EXPECT(desk.home, 2, "--petitioner-file -", ADD, "denunciation", "--text", "a", options[i], NAME);
		EXPECT(desk.home, 2, "--petitioner-file -", ADD, "Denunciation", "--text", "a", options[i], NAME);
	}
	EXPECT(desk.home, 0, "", ADD, "denunciation", "--text", "a", "--number", "1", "--petitioner-file", desk.name);
	expect_private(desk.home, "1", desk.key, "petitioner", NAME);
}

Test(denunciations, are_opened_by_the_file_of_their_key_and_every_look_is_written_down, .timeout = 120) {
	_cleanup_(desk_done) struct desk desk = desk_new();
	char first[32], second[32];
	json_t *shown;

	make_key(desk.home, desk.key, first);
	write_file(desk.who, NAME "\n" TELEPHONE "\n");
	EXPECT(desk.home, 0, "", ADD, "denunciation", "--text", "a", "--number", "1", "--petitioner-file", desk.who);
	expect_private(desk.home, "1", NULL, "petitioner", NULL);
	expect_private(desk.home, "1", NULL, "contact", NULL);
	expect_private(desk.home, "1", NULL, "sealed_to", first);
	EXPECT(desk.home, 0, "--key FILE", LOOK("1"));
	cr_expect_eq(looks(desk.home), 4);
	expect_private(desk.home, "1", desk.key, "petitioner", NAME);
	expect_private(desk.home, "1", desk.key, "contact", TELEPHONE);
	expect_private(desk.home, "1", desk.key, "address", "");
	expect_private(desk.home, "1", desk.key, "sealed_to", first);
	cr_expect_eq(looks(desk.home), 8);

	write_file(desk.rows, "no key\n");
	EXPECT(desk.home, 3, "is not the file", LOOK("1"), "--key", desk.rows);
	EXPECT(desk.home, 1, "No such file", LOOK("1"), "--key", desk.later);
	EXPECT(desk.home, 2, "--private", "petition", "show", "1", "--key", desk.key);
	cr_expect_eq(looks(desk.home), 8, "nothing was given out");

	shown = JSON(desk.home, "key", "denunciations", desk.later);
	snprintf(second, sizeof(second), "%s", json_string_value(json_object_get(shown, "fingerprint")));
	cr_expect_str_eq(json_string_value(json_object_get(shown, "replaced")), first);
	json_decref(shown);
	EXPECT(desk.home, 0, "", ADD, "denunciation", "--text", "b", "--number", "2", "--petitioner-file", desk.name);
	expect_private(desk.home, "2", desk.later, "petitioner", NAME);
	expect_private(desk.home, "1", desk.key, "petitioner", NAME);
	EXPECT(desk.home, 3, first, LOOK("1"), "--key", desk.later);
	EXPECT(desk.home, 3, second, LOOK("1"), "--key", desk.later);

	EXPECT(desk.home, 0, "", ADD, "complaint", "--text", "c", "--number", "3", "--petitioner", NAME);
	expect_private(desk.home, "3", NULL, "petitioner", NAME);
	expect_private(desk.home, "3", NULL, "sealed_to", NULL);
	EXPECT(desk.home, 0, "", "petition", "erase", "1", "--reason", "bà yêu cầu");
	EXPECT(desk.home, 3, "was erased", LOOK("1"), "--key", desk.key);
	EXPECT(desk.home, 0, "", "verify");
}

/* Opens every private part in a backup as who has all its keys can. How many say @text. */
static unsigned read_with_all_keys(const char *backup, const char *text, unsigned *ret_n) {
	_cleanup_(keyring_closep) struct keyring *keyring = NULL;
	_cleanup_(store_closep) struct store *store = NULL;
	_cleanup_(store_abortp) struct txn *txn = NULL;
	_cleanup_(scan_closep) struct scan *scan = NULL;
	uint8_t salt[PRIVATE_SALT_LEN], part[PRIVATE_MAX];
	unsigned saying = 0;
	struct span key, row;
	char path[128];
	struct id id;
	size_t len;

	cr_assert_eq(keyring_open(backup, &keyring), 0);
	snprintf(path, sizeof(path), "%s/store", backup);
	cr_assert_eq(store_open(path, STORE_READ, 0, &store), 0);
	cr_assert_eq(store_begin_read(store, &txn), 0);
	cr_assert_eq(scan_open(txn, TABLE_PRIVATE, (struct span){ 0 }, &scan), 0);
	for (*ret_n = 0; scan_next(scan, &key, &row) == 0; ++*ret_n) {
		memcpy(id.b, key.data, sizeof(id.b));
		cr_assert_eq(private_get(txn, keyring, &id, salt, part, &len), 0);
		saying += memmem(part, len, text, strlen(text)) != NULL;
	}
	return saying;
}

Test(denunciations, leave_no_name_in_the_home_its_backup_or_the_office_above, .timeout = 120) {
	_cleanup_(desk_done) struct desk desk = desk_new();
	static const char *const secrets[] = { NAME, "Hồng Nhung", TELEPHONE, IMPORTED, "thôn Đông Sơn" };
	char fingerprint[32], copy[96], again[96];
	json_t *made;
	unsigned n;

	EXPECT(desk.home, 0, "", ADD, "complaint", "--text", "d", "--petitioner", NAME);
	make_key(desk.home, desk.key, fingerprint);
	write_file(desk.who, NAME "\n" TELEPHONE "\nthôn Đông Sơn\n");
	made = JSON(desk.home, ADD, "denunciation", "--text", "Thu tiền trái quy định", "--petitioner-file", desk.who);
	EXPECT(desk.home, 0, NAME, LOOK(json_string_value(json_object_get(made, "id"))), "--key", desk.key);
	json_decref(made);
	write_file(desk.rows, HEADER "7,2024-05-31,front,denunciation,,letters,letter,,,b,," IMPORTED "," TELEPHONE ",\n"
				       "8,2024-05-31,front,denunciation,,letters,letter,,,c,,,,\n");
	cr_expect_eq(import(desk.home, desk.rows, "added"), 2);
	cr_expect_eq(import(desk.home, desk.rows, "held"), 2, "again it adds nothing");
	expect_private(desk.home, "7", desk.key, "petitioner", IMPORTED);
	write_file(desk.rows, HEADER "7,2024-05-31,front,denunciation,,letters,letter,,,b,,Trần Văn Nam,,\n");
	cr_expect_eq(import(desk.home, desk.rows, "held"), 1, "nor does it say whether it was he");
	expect_private(desk.home, "7", desk.key, "petitioner", IMPORTED);

	tree_open(&desk.tree);
	cr_assert(tree_wait(&desk.tree, 60000));
	tree_close(&desk.tree);
	snprintf(copy, sizeof(copy), "%s/copy", desk.stick);
	EXPECT(desk.home, 0, "", "backup", copy, "--with-private");
	cr_expect(found("Thu tiền trái", desk.home) && found("Thu tiền trái", copy) &&
			found("Thu tiền trái", desk.parent), "the search finds what is there");
	for (size_t i = 0; i < N_ELEMENTS(secrets); i++) {
		cr_expect_not(found(secrets[i], desk.home), "%s is in the home", secrets[i]);
		cr_expect_not(found(secrets[i], copy), "%s is in the backup", secrets[i]);
		cr_expect_not(found(secrets[i], desk.parent), "%s is above", secrets[i]);
	}
	cr_expect_eq(read_with_all_keys(copy, NAME, &n), 1, "that of the complaint");
	cr_expect_eq(read_with_all_keys(copy, IMPORTED, &n), 0);
	cr_expect_eq(n, 3, "nor is there more than a box to read");
	cr_expect(found("denunciations 1: seals", copy), "the half that seals is put back with the office");
	cr_expect_not(found("denunciations 1: OPENS", copy) || found("denunciations 1: OPENS", desk.home), "and only that");
	snprintf(again, sizeof(again), "%s/again", desk.stick);
	cr_assert_eq(mkdir(again, 0700), 0);
	EXPECT(again, 0, fingerprint, "restore", copy);
	EXPECT(again, 0, fingerprint, "key", "denunciations");
}
