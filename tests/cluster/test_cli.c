/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The command line as it is documented: how it ends, what it prints for programs, and what it says
 * where something is in its way.
 */
#include <criterion/criterion.h>
#include <signal.h>
#include <unistd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/ctl.h"
#include "tests/cluster/tree.h"

#define ADD "petition", "add", "--category", "land", "--organisation", "front", "--text"

static struct proc *running_office(void) {
	struct proc *proc = proc_new("Đại Đồng", 9163, 5, false);

	proc_start(proc);
	return proc;
}

#define JSON(home, ...) cli_json(home, (const char *const[]){ __VA_ARGS__, "--json", NULL })

static size_t count(const char *home, const char *group) {
	json_t *rows = JSON(home, group, "list");
	size_t n = json_array_size(rows);

	json_decref(rows);
	return n;
}

Test(cli, what_is_kept_is_said_to_be_also_where_it_cannot_be_shown, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	static const char *const adds[][10] = {
		{ ADD, "một" },
		{ ADD, "hai", "--json" },
		{ "meeting", "add", "--type", "other", "--organisation", "front", "--attendance", "5" },
	};

	for (size_t i = 0; i < N_ELEMENTS(adds); i++) {
		struct cli cli;

		cli_start(&cli, proc->home, "/dev/full", adds[i]);
		cli_wait(&cli, CLI_PATIENT_MS);
		cr_expect_eq(cli_code(&cli), 1, "%s: %d", adds[i][0], cli.status);
		cr_expect(strstr(cli.err, "No space left on device"), "%s", cli.err);
		cr_expect_null(strstr(cli.err, "memory"), "%s", cli.err);
		cr_expect(strstr(cli.err, i < 2 ? "it is kept all the same, as 09163-" :
						  "it is kept all the same, as "), "%s", cli.err);
		cli_done(&cli);
	}
	cr_expect_eq(count(proc->home, "petition"), 2);
	cr_expect_eq(count(proc->home, "meeting"), 1);
}

Test(cli, what_is_only_looked_at_says_why_it_cannot_be_shown, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = proc_new("Đại Đồng", 9163, 5, false);
	struct cli cli;

	cli_start(&cli, proc->home, "/dev/full", (const char *const[]){ "status", "--json", NULL });
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 1);
	cr_expect(strstr(cli.err, "No space left on device"), "%s", cli.err);
	cr_expect_null(strstr(cli.err, "kept"), "%s", cli.err);
	cli_done(&cli);
}

static const char *text_of(json_t *object, const char *key) {
	json_t *value = json_object_get(object, key);

	cr_assert(value, "%s is not there", key);
	return json_is_null(value) ? "null" : json_string_value(value);
}

Test(cli, why_nothing_moves_is_a_word_for_programs, .timeout = 60) {
	_cleanup_(tree_done) struct tree tree = { 0 };
	const struct proc *child;
	json_t *rows, *row;

	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	child = tree.procs[1];
	proc_stop(tree.procs[0]);
	for (unsigned i = 0; i < 200; i++) { /* the link is lost first, then nobody answers */
		bool there;

		rows = JSON(child->home, "queue");
		there = strcmp(text_of(json_array_get(rows, 0), "why"), "no-answer") == 0;
		if (there)
			break;
		json_decref(rows);
		rows = NULL;
		proc_pause_ms(50);
	}
	cr_assert(rows, "the word never came");
	row = json_array_get(rows, 0);
	cr_expect_str_eq(text_of(row, "why_detail"), tree.procs[0]->listen);
	json_decref(rows);
	proc_stop(tree.procs[1]);
	rows = JSON(child->home, "queue");
	row = json_array_get(rows, 0);
	cr_expect_str_eq(text_of(row, "why"), "node-down");
	cr_expect_str_eq(text_of(row, "why_detail"), "null");
	json_decref(rows);
}

/* Until nothing waits, or something does, for the parent; and why. */
static bool comes_to(const char *home, const char *why, int n_records) {
	for (unsigned i = 0; i < 400; i++) {
		json_t *rows = JSON(home, "queue"), *row = json_array_get(rows, LANE_NORMAL);
		bool there = strcmp(text_of(row, "why"), why) == 0 &&
			json_integer_value(json_object_get(row, "records")) == n_records;

		json_decref(rows);
		if (there)
			return true;
		proc_pause_ms(50);
	}
	return false;
}

Test(cli, a_paused_line_is_closed_until_it_is_resumed, .timeout = 120) {
	_cleanup_(tree_done) struct tree tree = { 0 };
	const char *home;
	struct cli cli;

	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	home = tree.procs[1]->home;
	cr_assert(comes_to(home, "null", 0));
	cr_expect_eq(CLI(&cli, home, "link", "pause", "--for", "never"), 2);
	cli_done(&cli);
	cr_expect_eq(CLI(&cli, home, "link", "pause", "--for", "367d"), 2);
	cli_done(&cli);
	cr_expect_eq(CLI(&cli, home, "link", "pause", "--for", "2h"), 0, "%s", cli.err);
	cli_done(&cli);
	ctl_take_petitions(tree.procs[1], 1, 1);
	cr_expect(comes_to(home, "paused", 2), "a petition and its count");
	proc_stop(tree.procs[1]);
	proc_start(tree.procs[1]);
	cr_expect(comes_to(home, "paused", 2));
	cr_expect_eq(CLI(&cli, home, "queue"), 0);
	cr_expect_not_null(strstr(cli.out, "until "), "%s", cli.out);
	cli_done(&cli);
	cr_expect_eq(CLI(&cli, home, "link", "resume"), 0, "%s", cli.err);
	cli_done(&cli);
	cr_expect(comes_to(home, "null", 0));
}

Test(cli, what_a_node_would_do_says_when_its_line_is_open, .timeout = 60) {
	struct proc *commune = proc_new("Đại Đồng", 9163, 5, false);
	char command[512], line[256];
	bool found = false;
	FILE *out;

	proc_configure(commune, "link_hours: 11:30-13:00, 22:00-05:00\nlink_daily_bytes: 20M\n");
	snprintf(command, sizeof(command), "'%s' --home '%s' --check", getenv("LIENTHONGD"), commune->home);
	out = popen(command, "r");
	cr_assert_not_null(out);
	while (fgets(line, sizeof(line), out))
		found |= strcmp(line, "line     upward, but for what is urgent: 11:30-13:00 22:00-05:00 at most 20480 KiB a day\n") == 0;
	cr_expect_eq(pclose(out), 0);
	cr_expect(found);
	proc_free(commune);
}

static char *said(const char *home, const char *language, const char *const *args) {
	struct cli cli;
	char *out;

	(void)setenv("LC_ALL", "C.UTF-8", 1);
	(void)setenv("LANGUAGE", language, 1);
	(void)setenv("LD_PRELOAD", getenv("LIENTHONG_TEXTS_MODULE"), 1);
	(void)cli_run(&cli, home, args);
	(void)unsetenv("LD_PRELOAD");
	out = cli.out;
	cli.out = NULL;
	cli_done(&cli);
	return out;
}

/* What changes from one second to the next is asked for again. */
static bool same_in_both(const char *home, const char *const *args) {
	bool same = false;

	for (unsigned i = 0; i < 3 && !same; i++) {
		char *english = said(home, "en", args), *vietnamese = said(home, "vi", args);

		same = english[0] && strcmp(english, vietnamese) == 0;
		free(english);
		free(vietnamese);
	}
	return same;
}

Test(cli, a_program_reads_the_same_in_every_language, .timeout = 120) {
	static const char *const commands[][3] = {
		{ "status" }, { "queue" }, { "log" }, { "verify" }, { "petition", "list" },
		{ "office", "list" }, { "tally" }, { "escalations" },
	};
	_cleanup_(tree_done) struct tree tree = { 0 };
	const char *home;
	char path[96];

	if (getenv("LIENTHONGD_SANITIZED"))
		cr_skip_test("nothing may be loaded before a sanitizer");
	tree_add(&tree, "Tiên Du", 260, 3, -1, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 0, false);
	proc_stop(tree.procs[0]);
	ctl_take_petitions(tree.procs[1], 50, 10);
	proc_stop(tree.procs[1]);
	home = tree.procs[1]->home;
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		const char *json[] = { "--json", commands[i][0], commands[i][1], NULL };
		const char *table[] = { commands[i][0], commands[i][1], NULL };

		cr_expect(same_in_both(home, json), "%s --json", commands[i][0]);
		cr_expect_not(same_in_both(home, table), "%s is not translated", commands[i][0]);
	}
	snprintf(path, sizeof(path), "%s/store/data.mdb", home);
	cr_assert_eq(truncate(path, 16 * 4096), 0);
	cr_expect(same_in_both(home, (const char *const[]){ "verify", "--json", NULL }));
}

static void start_adding(struct cli *ret_cli, const struct proc *proc, const char *text) {
	cli_start(ret_cli, proc->home, NULL, (const char *const[]){ ADD, text, NULL });
}

Test(cli, a_node_that_is_held_up_is_waited_for_with_a_word, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;

	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	start_adding(&cli, proc, "một");
	proc_pause_ms(4000);
	cr_assert_eq(kill(proc->pid, SIGCONT), 0);
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 0, "%d %s", cli.status, cli.err);
	cr_expect_str_eq(cli.err, "lienthong: waiting for the node ...\n");
	cr_expect_eq(strncmp(cli.out, "09163-", 6), 0, "%s", cli.out);
	cli_done(&cli);
	cr_expect_eq(count(proc->home, "petition"), 1);
}

Test(cli, what_a_killed_node_may_have_kept_is_not_asserted, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;
	uint64_t killed_ms;

	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	start_adding(&cli, proc, "một");
	proc_pause_ms(1000);
	proc_kill9(proc);
	killed_ms = proc_now_ms();
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 1, "%d %s", cli.status, cli.err);
	cr_expect_lt(proc_now_ms() - killed_ms, 15000, "it waits for a node that is not there");
	cr_expect(strstr(cli.err, "whether the petition is kept is not known"), "%s", cli.err);
	cr_expect(strstr(cli.err, "lienthong petition list"), "%s", cli.err);
	cli_done(&cli);
}

Test(cli, a_node_that_comes_back_is_asked_again, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;

	cr_assert_eq(kill(proc->pid, SIGSTOP), 0);
	start_adding(&cli, proc, "một");
	proc_pause_ms(500);
	proc_kill9(proc);
	proc_pause_ms(1000);
	proc_start(proc);
	cli_wait(&cli, CLI_PATIENT_MS);
	cr_expect_eq(cli_code(&cli), 0, "%d %s", cli.status, cli.err);
	cr_expect(strstr(cli.err, "waiting for it to come back"), "%s", cli.err);
	cr_expect_lt(cli.took_ms, 10000);
	cli_done(&cli);
	cr_expect_eq(count(proc->home, "petition"), 1);
}

Test(cli, the_change_stream_outlives_its_node, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	struct cli cli;

	cli_start(&cli, proc->home, NULL, (const char *const[]){ "stream", NULL });
	proc_pause_ms(500);
	proc_kill9(proc);
	proc_start(proc);
	ctl_take_petitions(proc, 1, 1);
	proc_pause_ms(7000); /* it asks when nothing came for a while */
	cli_wait(&cli, 0);
	cr_expect_eq(cli.status, -1, "it ended: %s", cli.err);
	cr_expect(strstr(cli.out, "\"type\":\"tally\""), "%s", cli.out);
	cli_done(&cli);
}

/* The man page's promises */

enum {
	KEYS_MAX = 64,
	KEY_MAX = 48,
};

struct keys {
	char words[KEYS_MAX][KEY_MAX];
	size_t n;
};

static char *read_man(void) {
	char path[512];
	char *text = calloc(1, 1 << 17);
	FILE *file;

	snprintf(path, sizeof(path), "%s/man/lienthong.1.scd", getenv("SOURCE_ROOT"));
	file = fopen(path, "re");
	cr_assert(file && text && fread(text, 1, (1 << 17) - 1, file) > 0, "%s", path);
	(void)fclose(file);
	return text;
}

static void add_word(struct keys *keys, const char *word, size_t len) {
	if (len == 0 || (len == 3 && strncmp(word, "and", 3) == 0))
		return;
	cr_assert(keys->n < KEYS_MAX && len < KEY_MAX, "%.*s", (int)len, word);
	snprintf(keys->words[keys->n++], KEY_MAX, "%.*s", (int)len, word);
}

/* The words after @marker under @heading, up to the end of that list; not what is in parentheses. */
static struct keys promised(const char *man, const char *heading, const char *marker) {
	static const char in_word[] = "abcdefghijklmnopqrstuvwxyz_";
	const char *at = strstr(man, heading);
	struct keys keys = { 0 };
	unsigned depth = 0;

	cr_assert(at, "the page has no %s", heading);
	at = strstr(at + strlen(heading), marker);
	cr_assert(at, "the page has no \"%s\" under %s", marker, heading);
	at += strlen(marker);
	while (depth > 0 || !strchr(".;:)", *at)) {
		size_t len = strspn(at, in_word);

		if (depth == 0)
			add_word(&keys, at, len);
		depth += len == 0 && *at == '(';
		depth -= len == 0 && *at == ')';
		at += len ? len : 1;
	}
	return keys;
}

/* "links.0": the first row of links. */
static json_t *value_at(json_t *value, const char *path) {
	while (*path) {
		char step[KEY_MAX];
		size_t len = strcspn(path, ".");

		snprintf(step, sizeof(step), "%.*s", (int)len, path);
		value = strcmp(step, "0") == 0 ? json_array_get(value, 0) : json_object_get(value, step);
		path += len + (path[len] == '.');
	}
	return value;
}

static void expect_keys(json_t *object, const struct keys *keys, const char *what) {
	const char *key;
	json_t *value;

	cr_assert(json_is_object(object), "%s: there is no object", what);
	cr_assert_gt(keys->n, 0, "%s", what);
	for (size_t i = 0; i < keys->n; i++)
		cr_expect(json_object_get(object, keys->words[i]), "%s has no %s", what, keys->words[i]);
	json_object_foreach(object, key, value) {
		bool found = false;

		for (size_t i = 0; i < keys->n; i++)
			found = found || strcmp(keys->words[i], key) == 0;
		cr_expect(found, "%s: the page does not name %s", what, key);
	}
}

struct shape {
	const char *args[6];
	const char *path;
	const char *heading;
	const char *marker;
};

static void expect_shape(const char *man, const char *home, const struct shape *shape) {
	struct keys keys = promised(man, shape->heading, shape->marker);
	const char *args[8] = { "--json" };
	json_t *value;
	char what[96];

	memcpy(args + 1, shape->args, sizeof(shape->args));
	snprintf(what, sizeof(what), "%s %s: %s", args[1], args[2] ? args[2] : "", shape->path);
	value = cli_json(home, args);
	expect_keys(value_at(value, shape->path), &keys, what);
	json_decref(value);
}

static const struct shape shapes[] = {
	{ { "status" }, "", "\n*status*\n", "an object of " },
	{ { "status" }, "office", "\n*status*\n", "office: " },
	{ { "status" }, "links.0", "\n*status*\n", "links: " },
	{ { "queue" }, "0", "\n*queue*\n", "an array of " },
	{ { "office", "list" }, "0", "\n*office list*", "an array of " },
	{ { "petition", "list" }, "0", "\n*petition list*", "an array of " },
	{ { "meeting", "list" }, "0", "\n*meeting list*", "an array of " },
	{ { "escalations" }, "0", "\n*escalations*", "an array of " },
	{ { "escalations" }, "0.record", "\n*petition show*", "record is an object of " },
	{ { "tally" }, "", "\n*tally*", "JSON is an object of " },
	{ { "tally" }, "petitions.0", "\n*tally*", "object of petitions (" },
	{ { "tally" }, "meetings.0", "\n*tally*", "meetings (" },
	{ { "tally", "--by", "office" }, "0", "\n*tally*", "an array of " },
	{ { "tally", "--by", "measure" }, "0", "\n*tally*", "*--by measure*: " },
	{ { "verify" }, "", "\n*verify*", "an object of " },
	{ { "verify" }, "oplogs.0", "\n*verify*", "oplogs (" },
};

/* An office with something of everything: @ret_reference is of its petition. */
static struct proc *busy_office(struct tree *tree, char ret_reference[32]) {
	struct proc *proc;
	struct cli cli;

	tree_add(tree, "Tiên Du", 260, 3, -1, true);
	tree_add(tree, "Đại Đồng", 9163, 5, 0, false);
	proc = tree->procs[1];
	cr_assert_eq(CLI(&cli, proc->home, ADD, "Đèn đường hỏng", "--urgent"), 0, "%s", cli.err);
	snprintf(ret_reference, 32, "%.*s", (int)strcspn(cli.out, "\n"), cli.out);
	cli_done(&cli);
	cr_assert_eq(CLI(&cli, proc->home, "petition", "step", ret_reference, "accepted"), 0, "%s",
		cli.err);
	cli_done(&cli);
	cr_assert_eq(CLI(&cli, proc->home, "meeting", "add", "--type", "other", "--organisation",
			     "front", "--attendance", "5"), 0, "%s", cli.err);
	cli_done(&cli);
	return proc;
}

Test(cli, programs_get_the_keys_that_the_page_names, .timeout = 120) {
	_cleanup_(tree_done) struct tree tree = { 0 };
	char reference[32];
	struct proc *proc = busy_office(&tree, reference);
	const struct shape shown[] = {
		{ { "petition", "show", reference }, "", "\n*petition show*", "an object of " },
		{ { "petition", "show", reference }, "steps.0", "\n*petition show*", "steps: " },
		{ { "petition", "show", reference }, "escalations.0", "\n*petition show*",
			"escalations: " },
		{ { "visibility", reference }, "0", "\n*visibility*", "an array of " },
	};
	struct keys keys;
	char *man = read_man();
	json_t *value;

	for (size_t i = 0; i < N_ELEMENTS(shapes); i++)
		expect_shape(man, proc->home, &shapes[i]);
	for (size_t i = 0; i < N_ELEMENTS(shown); i++)
		expect_shape(man, proc->home, &shown[i]);
	keys = promised(man, "\n*tally*", "an array of ");
	add_word(&keys, "village", strlen("village"));
	value = JSON(proc->home, "tally", "--by", "village");
	expect_keys(value_at(value, "villages.0"), &keys, "tally --by village");
	json_decref(value);
	keys = promised(man, "\n*petition list*", "an array of ");
	add_word(&keys, "recorded", strlen("recorded"));
	add_word(&keys, "petitioner", strlen("petitioner"));
	add_word(&keys, "record", strlen("record"));
	value = JSON(proc->home, "petition", "show", reference);
	expect_keys(json_object_get(value, "petition"), &keys, "petition show: petition");
	json_decref(value);
	keys = promised(man, "\n*petition add*", "an object of ");
	value = JSON(proc->home, ADD, "hai");
	expect_keys(value, &keys, "petition add");
	json_decref(value);
	free(man);
}

Test(cli, what_reads_works_with_the_node_stopped, .timeout = 120) {
	static const char *const same[][3] = {
		{ "petition", "list" }, { "meeting", "list" }, { "office", "list" }, { "tally" },
		{ "escalations" }, { "log" },
	};
	static const char *const others[][3] = { { "status" }, { "queue" }, { "verify" } };
	_cleanup_(tree_done) struct tree tree = { 0 };
	char reference[32];
	struct proc *proc = busy_office(&tree, reference);
	json_t *running[N_ELEMENTS(same)];

	tree_open(&tree);
	cr_assert(tree_wait(&tree, 60000));
	tree_close(&tree);
	for (size_t i = 0; i < N_ELEMENTS(same); i++)
		running[i] = JSON(proc->home, same[i][0], same[i][1] ? same[i][1] : "--json");
	proc_stop(proc);
	for (size_t i = 0; i < N_ELEMENTS(same); i++) {
		json_t *stopped = JSON(proc->home, same[i][0], same[i][1] ? same[i][1] : "--json");

		cr_expect_gt(json_array_size(running[i]) + json_object_size(running[i]), 0, "%s",
			same[i][0]);
		cr_expect(json_equal(running[i], stopped), "%s", same[i][0]);
		json_decref(running[i]);
		json_decref(stopped);
	}
	for (size_t i = 0; i < N_ELEMENTS(others); i++)
		json_decref(JSON(proc->home, others[i][0]));
	json_decref(JSON(proc->home, "petition", "show", reference));
}

struct ending {
	int code;
	const char *says; /* on stderr; NULL: nothing */
	const char *args[10];
};

static void expect_endings(const char *home, const struct ending *endings, size_t n) {
	for (size_t i = 0; i < n; i++) {
		const char *const *args = endings[i].args;
		struct cli cli;
		int code = cli_run(&cli, home, args);

		cr_expect_eq(code, endings[i].code, "%s %s: %d %s", args[0], args[1] ? args[1] : "", code,
			cli.err);
		if (endings[i].says)
			cr_expect(strstr(cli.err, endings[i].says), "%s %s: %s", args[0],
				args[1] ? args[1] : "", cli.err);
		else
			cr_expect_str_empty(cli.err, "%s: %s", args[0], cli.err);
		cli_done(&cli);
	}
}

Test(cli, how_it_ends_says_what_kind_of_ending_it_is, .timeout = 120) {
	_cleanup_(tree_done) struct tree tree = { 0 };
	char reference[32];
	struct proc *proc = busy_office(&tree, reference);
	const struct ending running[] = {
		{ 0, NULL, { "status" } },
		{ 0, NULL, { "help" } },
		{ 0, NULL, { "version" } },
		{ 0, NULL, { "petition", "add", "--help" } },
		{ 0, NULL, { "petition", "list", "--state", "accepted" } },
		{ 1, "cannot read", { "import", "petitions", "/nonexistent.csv" } },
		{ 2, "did you mean: lienthong status", { "statsu" } },
		{ 2, "--colour", { "status", "--colour" } },
		{ 2, "nowhere", { "petition", "list", "--state", "nowhere" } },
		{ 2, "", { "petition", "show" } },
		{ 2, "", { "receipt" } },
		{ 2, "bananas", { "import", "bananas", "/nonexistent.csv" } },
		{ 2, "--category", { "petition", "add", "--text", "x", "--organisation", "front" } },
		{ 3, "this step cannot follow", { "petition", "step", reference, "reopened", "--text",
			"x" } },
		{ 3, "99999", { "log", "99999" } },
	};
	const struct ending stopped[] = {
		{ 1, "the node is not running", { ADD, "x" } },
		{ 1, "the node is not running", { "petition", "step", reference, "withdrawn" } },
		{ 0, NULL, { "petition", "show", reference } },
	};
	const struct ending nowhere[] = {
		{ 1, "there is no office in", { "status" } },
		{ 1, "there is no office in", { "verify" } },
	};

	expect_endings(proc->home, running, N_ELEMENTS(running));
	proc_stop(proc);
	expect_endings(proc->home, stopped, N_ELEMENTS(stopped));
	expect_endings("/nonexistent", nowhere, N_ELEMENTS(nowhere));
}

#define HEADER "number,received,organisation,kind,village,category,channel,people,urgent,text,asked_of\n"

static void write_csv(const struct proc *proc, const char *text, char ret_path[96]) {
	FILE *file;

	snprintf(ret_path, 96, "%s/petitions.csv", proc->home);
	file = fopen(ret_path, "we");
	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

static void expect_imported(const struct proc *proc, const char *path, const char *option,
	unsigned added, unsigned held) {
	json_t *value = JSON(proc->home, "import", "petitions", path, option);

	cr_expect_eq(json_integer_value(json_object_get(value, "rows")), added + held);
	cr_expect_eq(json_integer_value(json_object_get(value, "added")), added);
	cr_expect_eq(json_integer_value(json_object_get(value, "held")), held);
	json_decref(value);
}

Test(cli, a_file_imported_again_adds_nothing, .timeout = 60) {
	_cleanup_(proc_freep) struct proc *proc = running_office();
	char path[96];

	write_csv(proc, HEADER
		"1/2024,2024-01-05,labour,petition,,facilities,meeting,21,no,\"Ô tô đỗ kín, ban đêm\",\n"
		"2/2024,2024-01-06,women,petition,,land,letter,1,no,Ranh giới đất,UBND xã\n", path);
	expect_imported(proc, path, "--dry-run", 2, 0);
	cr_expect_eq(count(proc->home, "petition"), 0);
	expect_imported(proc, path, "--json", 2, 0);
	cr_expect_eq(count(proc->home, "petition"), 2);
	expect_imported(proc, path, "--json", 0, 2);
	cr_expect_eq(count(proc->home, "petition"), 2);
}

Test(cli, every_fault_of_a_file_is_named_with_line_and_column, .timeout = 60) {
	static const char *const faults[] = {
		"petitions.csv:2: received: ", "petitions.csv:2: people: ", "petitions.csv:4: category: ",
		"petitions.csv:5: text: ",
	};
	_cleanup_(proc_freep) struct proc *proc = running_office();
	char path[96];
	struct cli cli;

	write_csv(proc, HEADER
		"1/2024,2024-13-05,labour,petition,,facilities,meeting,many,no,Một,\n"
		"2/2024,2024-01-06,women,petition,,land,letter,1,no,Hai,UBND xã\n"
		"3/2024,2024-01-06,women,petition,,lnad,letter,1,no,Ba,UBND xã\n"
		"4/2024,2024-01-06,women,petition,,land,letter,1,no,,UBND xã\n", path);
	cr_expect_eq(CLI(&cli, proc->home, "import", "petitions", path), 3, "%s", cli.err);
	for (size_t i = 0; i < N_ELEMENTS(faults); i++)
		cr_expect(strstr(cli.err, faults[i]), "%s is not in: %s", faults[i], cli.err);
	cr_expect_null(strstr(cli.err, "petitions.csv:3:"), "%s", cli.err);
	cli_done(&cli);
	cr_expect_eq(count(proc->home, "petition"), 0, "a file with a fault gives nothing");
}
