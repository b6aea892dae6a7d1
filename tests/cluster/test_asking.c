/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What the officers of three levels type about a petition that only the lowest two can read: who can see it,
 * asking for it, answering; and how each command ends.
 */
#include <criterion/criterion.h>
#include <unistd.h>

#include "tests/cluster/cli.h"
#include "tests/cluster/ctl.h"
#include "tests/cluster/tree.h"

enum {
	PATIENT_MS = 30000,
};

struct stage {
	struct tree tree;
	const char *province, *district, *commune; /* their homes */
	char reference[32];
};

static void stage_init(struct stage *stage) {
	struct cli cli;

	*stage = (struct stage){ 0 };
	tree_add(&stage->tree, "Bắc Ninh", 27, 2, -1, true);
	tree_add(&stage->tree, "Tiên Du", 260, 3, 0, true);
	tree_add(&stage->tree, "Đại Đồng", 9163, 5, 1, false);
	stage->province = stage->tree.procs[0]->home;
	stage->district = stage->tree.procs[1]->home;
	stage->commune = stage->tree.procs[2]->home;
	cr_assert_eq(CLI(&cli, stage->commune, "petition", "add", "--category", "land", "--organisation", "front",
			     "--text", "Đường hỏng"), 0, "%s", cli.err);
	snprintf(stage->reference, sizeof(stage->reference), "%.*s", (int)strcspn(cli.out, "\n"), cli.out);
	cli_done(&cli);
}

static int ends(const char *home, const char *const *args) {
	struct cli cli;
	int code = cli_run(&cli, home, args);

	cli_done(&cli);
	return code;
}
#define ENDS(home, ...) ends(home, (const char *const[]){ __VA_ARGS__, NULL })

/* Until a command ends with @code. */
static bool comes(const char *home, int code, const char *const *args) {
	for (unsigned waited = 0; waited < PATIENT_MS; waited += 100) {
		if (ends(home, args) == code)
			return true;
		usleep(100000);
	}
	return false;
}
#define COMES(home, code, ...) comes(home, code, (const char *const[]){ __VA_ARGS__, NULL })

static json_t *json_of(const char *home, const char *first, const char *second) {
	return cli_json(home, (const char *const[]){ "--json", first, second, NULL });
}

/* What @key says of the office at @level, from the one that wrote it up. */
static char *seen(const char *home, const char *reference, size_t level, const char *key) {
	json_t *levels = json_of(home, "visibility", reference);
	const char *text = json_string_value(json_object_get(json_array_get(levels, level), key));
	char *copy = strdup(text ? text : "");

	json_decref(levels);
	return copy;
}

static void expect_seen(const char *home, const char *reference, size_t level, const char *holds, const char *why) {
	char *got_holds = seen(home, reference, level, "holds"), *got_why = seen(home, reference, level, "why");

	cr_expect_str_eq(got_holds, holds, "level %zu", level);
	cr_expect_str_eq(got_why, why, "level %zu", level);
	free(got_holds);
	free(got_why);
}

/* The state of the only request that @home knows; waits for it. */
static void expect_state(const char *home, const char *state) {
	char got[32] = "none";

	for (unsigned waited = 0; waited < PATIENT_MS && strcmp(got, state) != 0; waited += 100) {
		json_t *requests = json_of(home, "requests", NULL);
		const char *text = json_string_value(json_object_get(json_array_get(requests, 0), "state"));

		snprintf(got, sizeof(got), "%s", text ? text : "none");
		json_decref(requests);
		if (strcmp(got, state) != 0)
			usleep(100000);
	}
	cr_expect_str_eq(got, state);
}

/* The page names the keys of @object, in their order. */
static void expect_documented(json_t *object) {
	static char page[1 << 18];
	char path[4096], keys[1024] = "";
	const char *key;
	json_t *value;
	size_t n, out = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/man/lienthong.1.scd", getenv("SOURCE_ROOT"));
	f = fopen(path, "r");
	cr_assert_not_null(f, "%s", path);
	n = fread(page, 1, sizeof(page) - 1, f);
	fclose(f);
	for (size_t i = 0; i < n; i++) { /* lines are no more than spaces */
		char c = page[i] == '\n' || page[i] == '\t' ? ' ' : page[i];

		if (c != ' ' || out == 0 || page[out - 1] != ' ')
			page[out++] = c;
	}
	page[out] = 0;
	json_object_foreach(object, key, value)
		snprintf(keys + strlen(keys), sizeof(keys) - strlen(keys), "%s%s", keys[0] ? ", " : "", key);
	cr_expect_not_null(strstr(page, keys), "the page does not name: %s", keys);
}

/* What a request says of the petition that it is for; @text NULL: nothing, since it is not here. */
static void expect_case(json_t *request, const char *reference, const char *text, const char *reason) {
	const char *got_reference = json_string_value(json_object_get(request, "reference"));
	const char *got_text = json_string_value(json_object_get(request, "text"));

	cr_expect_str_eq(got_reference ? got_reference : "", reference);
	cr_expect_str_eq(got_text ? got_text : "", text ? text : "");
	cr_expect_str_eq(json_string_value(json_object_get(request, "reason")), reason);
	cr_expect(json_string_length(json_object_get(request, "who")) > 0);
}

Test(asking, a_petition_is_asked_for_and_granted, .timeout = 180) {
	struct stage stage;
	const char *reference;
	json_t *answer;

	stage_init(&stage);
	reference = stage.reference;
	cr_assert(COMES(stage.province, 0, "visibility", "09163/1/normal/0"));
	cr_expect_eq(ENDS(stage.province, "petition", "show", reference), 3);
	cr_expect_eq(ENDS(stage.province, "visibility", reference), 3, "it is not known by it here");
	expect_seen(stage.province, "09163/1/normal/0", 2, "hash", "rule");
	expect_seen(stage.commune, reference, 0, "record", "origin");
	expect_seen(stage.commune, reference, 1, "record", "one-level-up");

	cr_expect_eq(ENDS(stage.province, "request", reference), 2, "a reason is needed");
	cr_expect_eq(ENDS(stage.province, "request", "what", "--reason", "x"), 2);
	cr_expect_eq(ENDS(stage.province, "request", reference, "--reason", "a\nb"), 2, "at once");
	cr_expect_eq(ENDS(stage.commune, "petition", "erase", reference, "--reason", "a\tb"), 2);
	cr_expect_eq(ENDS(stage.commune, "petition", "show", reference, "--private", "--reason", "\x1b[2J"), 2);
	cr_expect_eq(ENDS(stage.province, "request", "09163-24-00042-14", "--reason", "x"), 3, "a digit is wrong");
	cr_expect_eq(ENDS(stage.district, "request", reference, "--reason", "x"), 3, "it can read it");
	cr_expect_eq(ENDS(stage.commune, "request", "27/1/normal/0", "--reason", "x"), 3, "it is not below");
	answer = cli_json(stage.province, (const char *const[]){ "--json", "request", reference, "--reason",
		"Dân hỏi tỉnh.", NULL });
	cr_expect_not(json_is_true(json_object_get(answer, "asked_before")));
	json_decref(answer);
	answer = cli_json(stage.province, (const char *const[]){ "--json", "request", reference, "--reason",
		"Dân lại hỏi.", NULL });
	cr_expect(json_is_true(json_object_get(answer, "asked_before")));
	expect_documented(answer);
	json_decref(answer);
	answer = json_of(stage.province, "requests", NULL);
	expect_documented(json_array_get(answer, 0));
	json_decref(answer);
	answer = json_of(stage.province, "visibility", "09163/1/normal/0");
	expect_documented(json_array_get(answer, 2));
	json_decref(answer);

	expect_state(stage.district, "open");
	expect_state(stage.commune, "open");
	cr_expect_eq(ENDS(stage.commune, "request", "grant", reference), 3, "it was not asked");
	cr_expect_eq(ENDS(stage.district, "request", "refuse", reference), 2, "a reason is needed");
	cr_expect_eq(ENDS(stage.district, "request", "grant", "018f3b00000070008000000000000003"), 3);
	answer = json_of(stage.district, "requests", NULL);
	expect_case(json_array_get(answer, 0), reference, "Đường hỏng", "Dân hỏi tỉnh.");
	json_decref(answer);
	answer = json_of(stage.province, "requests", NULL);
	expect_case(json_array_get(answer, 0), reference, NULL, "Dân hỏi tỉnh.");
	json_decref(answer);
	answer = cli_json(stage.district, (const char *const[]){ "--json", "request", "grant", reference, NULL });
	expect_case(answer, reference, "Đường hỏng", "Dân hỏi tỉnh.");
	cr_expect(json_is_true(json_object_get(answer, "granted")));
	expect_documented(answer);
	json_decref(answer);
	cr_expect_eq(ENDS(stage.district, "request", "grant", reference), 3, "it was answered");
	cr_assert(COMES(stage.province, 0, "petition", "show", reference));
	expect_state(stage.province, "granted");
	expect_seen(stage.province, reference, 2, "record", "granted");
	cr_expect_eq(ENDS(stage.province, "verify"), 0);
	cr_expect_eq(ENDS(stage.province, "log", "09163"), 0);
	cr_expect_eq(ENDS(stage.province, "request", reference, "--reason", "x"), 3, "now it can read it");
	tree_done(&stage.tree);
}

Test(asking, a_petition_is_asked_for_and_refused, .timeout = 180) {
	struct stage stage;

	stage_init(&stage);
	cr_assert(COMES(stage.province, 0, "visibility", "09163/1/normal/0"));
	cr_assert_eq(ENDS(stage.province, "request", "09163/1/normal/0", "--reason", "Kiểm tra."), 0);
	expect_state(stage.district, "open");
	{
		json_t *requests = json_of(stage.district, "requests", NULL);
		const char *id = json_string_value(json_object_get(json_array_get(requests, 0), "id"));

		expect_case(json_array_get(requests, 0), stage.reference, "Đường hỏng", "Kiểm tra.");
		cr_expect_eq(ENDS(stage.district, "request", "refuse", id, "--reason", "Đã trả lời dân."), 0);
		json_decref(requests);
	}
	expect_state(stage.province, "refused");
	cr_expect_eq(ENDS(stage.province, "petition", "show", stage.reference), 3);
	cr_expect_eq(ENDS(stage.province, "verify"), 0);
	tree_done(&stage.tree);
}

/* Anybody can write an escalation about a reference: only the office whose code is in it says whose it is. */
Test(asking, an_escalation_does_not_say_whose_a_reference_is, .timeout = 180) {
	struct stage stage;
	struct cli cli;
	char reference[32];

	stage_init(&stage);
	cr_assert_eq(CLI(&cli, stage.commune, "petition", "add", "--category", "land", "--organisation", "front",
			     "--text", "Cầu sập", "--urgent"), 0, "%s", cli.err);
	snprintf(reference, sizeof(reference), "%.*s", (int)strcspn(cli.out, "\n"), cli.out);
	cli_done(&cli);
	cr_assert(COMES(stage.province, 0, "visibility", "09163/1/normal/0"));
	cr_assert_eq(ENDS(stage.district, "office", "rename", "09163", "--code", "09170"), 0);
	cr_assert(COMES(stage.province, 0, "log", "09170"));
	{
		json_t *found = json_of(stage.province, "escalations", NULL);

		cr_assert_eq(json_array_size(found), 1);
		cr_expect_str_eq(json_string_value(json_object_get(json_array_get(found, 0), "reference")), reference);
		json_decref(found);
	}
	cr_expect_eq(ENDS(stage.province, "petition", "show", reference), 3, "it cannot be read here");
	cr_expect_eq(ENDS(stage.province, "request", reference, "--reason", "x"), 3, "nobody has that code now");
	cr_expect_eq(ENDS(stage.province, "request", "09170/1/normal/0", "--reason", "x"), 0, "its place is as it was");
	tree_done(&stage.tree);
}

/* An office that exists only in the register, directly below @parent. */
static void enrol(struct proc *parent, const char *name, uint32_t code, uint8_t code_digits) {
	struct keyfile keys;
	struct office office;
	uint8_t answer[16384];

	proc_identity(name, code, code_digits, &keys, &office);
	(void)ctl_add_office(parent, &office, &keys, answer);
}

static char *state_of(const char *home, const char *name) {
	json_t *offices = json_of(home, "office", "list");
	char *state = strdup("none");
	json_t *office;
	size_t i;

	json_array_foreach(offices, i, office) {
		if (strcmp(json_string_value(json_object_get(office, "name")), name) == 0) {
			free(state);
			state = strdup(json_string_value(json_object_get(office, "state")));
		}
	}
	json_decref(offices);
	return state;
}

static void expect_office(const char *home, const char *name, const char *state) {
	char *got = state_of(home, name);

	cr_expect_str_eq(got, state, "%s", name);
	free(got);
}

/* Whoever enrols offices below itself gives them the codes of its neighbours; nobody above notices. */
Test(asking, an_office_takes_no_code_from_another, .timeout = 180) {
	struct tree tree = { 0 };
	const char *province, *district;

	tree_add(&tree, "Bắc Ninh", 27, 2, -1, true);
	tree_add(&tree, "Tiên Du", 260, 3, 0, true);
	tree_add(&tree, "Đại Đồng", 9163, 5, 1, true);
	province = tree.procs[0]->home;
	district = tree.procs[1]->home;
	enrol(tree.procs[2], "Giả hai bảy", 27, 2);
	enrol(tree.procs[2], "Giả hai sáu không", 260, 3);
	enrol(tree.procs[2], "Giả hai sáu một", 261, 3);
	cr_assert(COMES(province, 0, "log", "Giả hai sáu một"));
	cr_expect_eq(ENDS(province, "log", "27"), 0);
	cr_expect_eq(ENDS(province, "log", "260"), 0);
	cr_expect_eq(ENDS(district, "log", "27"), 0);
	enrol(tree.procs[1], "Hai bảy", 27, 2);
	cr_expect_eq(ENDS(district, "office", "close", "27"), 0, "what can be changed is below");
	expect_office(district, "Hai bảy", "closed");
	cr_expect_eq(ENDS(province, "visibility", "260/1/urgent/0"), 0);
	cr_expect_eq(ENDS(province, "office", "close", "261"), 3, "it is not directly below");
	cr_expect_eq(ENDS(province, "office", "rename", "260", "--name", "Tiên Du mới"), 0);
	expect_office(province, "Tiên Du mới", "active");
	expect_office(province, "Giả hai sáu không", "active");
	cr_expect_eq(ENDS(province, "office", "close", "260"), 0);
	expect_office(province, "Tiên Du mới", "closed");
	cr_expect_eq(ENDS(province, "office", "revoke", "260", "--for-ever"), 0, "though one with its code works");
	expect_office(province, "Tiên Du mới", "revoked");
	expect_office(province, "Giả hai sáu không", "active");
	tree_done(&tree);
}
