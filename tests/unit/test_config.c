/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/config.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/head.h"
#include "proto/kinds/petition.h"

static int parse(const char *text, struct config *ret_config, char **ret_report) {
	*ret_report = NULL;
	return config_parse("f", span_str(text), ret_config, ret_report);
}

Test(config, an_empty_file_means_the_defaults_and_their_rules) {
	static const char *const empty[] = { "", "# nothing\n", "---\n", "\n\n" };
	struct config config, defaults;
	char *report;

	config_init(&defaults);
	cr_expect_eq(defaults.store_size, 64ULL << 30);
	cr_expect_eq(defaults.reconnect_ms, 2000);
	cr_expect_eq(defaults.changes_days, 30);
	cr_expect_eq(defaults.receipt_seconds, 600);
	cr_expect_eq(defaults.detail, DETAIL_ALL);
	cr_expect_str_empty(defaults.listen);
	cr_assert_eq(defaults.n_rules, 8);
	for (size_t i = 2; i < 6; i++)
		cr_expect_eq(defaults.rules[i].legal_kind, LEGAL_DATA_REQUEST, "whatever state it is in");
	cr_expect_eq(defaults.rules[6].state, CASE_RECEIVED);
	cr_expect(defaults.rules[6].working_days);
	for (size_t i = 0; i < N_ELEMENTS(empty); i++) {
		cr_assert_eq(parse(empty[i], &config, &report), 0, "text %zu", i);
		cr_expect_eq(config.n_rules, defaults.n_rules);
		cr_expect_eq(config.store_size, defaults.store_size);
	}
}

Test(config, every_setting_arrives_where_it_belongs) {
	static const char text[] = "listen: tcp://10.0.0.1:7401\n"
				   "announce: tcp://district.example:7401\n"
				   "stream: ipc:///run/x.sock\n"
				   "store_size: 2T\n"
				   "reconnect_ms: 50\n"
				   "changes_days: 3650\n"
				   "detail: escalated\n"
				   "link_hours: 11:30-13:00, 22:00-05:00\n"
				   "link_daily_bytes: 50M\n"
				   "rules:\n"
				   "  - {name: gấp, when: urgent, on: seen}\n"
				   "  - name: many\n"
				   "    when: people\n"
				   "    at_least: 100\n"
				   "    lane: normal\n"
				   "  - name: late\n"
				   "    when: overdue\n"
				   "    state: forwarded\n"
				   "    kind: complaint\n"
				   "    days: 30\n"
				   "    working_days: yes\n";
	struct config config;
	char *report;

	cr_assert_eq(parse(text, &config, &report), 0, "%s", report);
	cr_expect_str_eq(config.listen, "tcp://10.0.0.1:7401");
	cr_expect_str_eq(config.announce, "tcp://district.example:7401");
	cr_expect_str_eq(config.stream, "ipc:///run/x.sock");
	cr_expect_eq(config.store_size, 2ULL << 40);
	cr_expect_eq(config.reconnect_ms, 50);
	cr_expect_eq(config.changes_days, 3650);
	cr_expect_eq(config.detail, DETAIL_ESCALATED);
	cr_expect_eq(config.link_hours[0].from, 11 * 60 + 30);
	cr_expect_eq(config.link_hours[0].to, 13 * 60);
	cr_expect_eq(config.link_hours[1].from, 22 * 60);
	cr_expect_eq(config.link_hours[1].to, 5 * 60);
	cr_expect_eq(config.link_hours[2].to, 0);
	cr_expect_eq(config.link_daily_bytes, 50 << 20);
	cr_assert_eq(config.n_rules, 3);
	cr_expect_str_eq(config.rules[0].name, "gấp");
	cr_expect_eq(config.rules[0].cause, CAUSE_URGENT);
	cr_expect_eq(config.rules[0].scope, RULE_SEEN);
	cr_expect_eq(config.rules[0].lane, LANE_URGENT);
	cr_expect_eq(config.rules[1].at_least, 100);
	cr_expect_eq(config.rules[1].scope, RULE_HELD);
	cr_expect_eq(config.rules[1].lane, LANE_NORMAL);
	cr_expect_eq(config.rules[2].state, CASE_FORWARDED);
	cr_expect_eq(config.rules[2].days, 30);
	cr_expect_eq(config.rules[2].legal_kind, LEGAL_COMPLAINT);
	cr_expect_eq(config.rules[1].legal_kind, 0);
	cr_expect(config.rules[2].working_days);
}

Test(config, an_empty_list_of_rules_means_no_rules) {
	struct config config;
	char *report;

	cr_assert_eq(parse("rules: []\n", &config, &report), 0);
	cr_expect_eq(config.n_rules, 0);
}

Test(config, what_to_announce_follows_listen_unless_that_is_every_address) {
	static const struct {
		const char *text;
		const char *announce;
	} cases[] = {
		{ "listen: tcp://10.0.0.1:7401", "tcp://10.0.0.1:7401" },
		{ "listen: tcp://[fd00::1]:7401", "tcp://[fd00::1]:7401" },
		{ "listen: tcp://*:7401", "" },
		{ "listen: tcp://0.0.0.0:7401", "" },
		{ "listen: 'tcp://[::]:7401'", "" },
		{ "changes_days: 3", "" },
	};
	struct config config;
	char *report;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		cr_assert_eq(parse(cases[i].text, &config, &report), 0, "%s", cases[i].text);
		cr_expect_str_eq(config.announce, cases[i].announce, "%s", cases[i].text);
	}
}

Test(config, a_fault_is_named_with_its_line_and_what_would_be_right) {
	static const struct {
		const char *text;
		const char *line;  /* the report begins so */
		const char *right; /* and contains this */
	} cases[] = {
		{ "lisen: tcp://1.2.3.4:1", "f:1: ", "only: listen, announce" },
		{ "\n\nlisten: 10.0.0.1:7401", "f:3: ", "tcp://ADDRESS:PORT" },
		{ "# less\ndetail: none", "f:2: ", "all (the default) or escalated" },
		{ "detail: [all]", "f:1: ", "all (the default) or escalated" },
		{ "listen: tcp://10.0.0.1", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: tcp://10.0.0.1:0", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: tcp://10.0.0.1:65536", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: tcp://:7401", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: \"tcp://a\\0b:7401\"", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: tcp://::1:7401", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: ipc:///x", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen:", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "listen: [tcp://10.0.0.1:7401]", "f:1: ", "tcp://ADDRESS:PORT" },
		{ "announce: tcp://*:7401", "f:1: ", "that the offices below can reach" },
		{ "stream: ipc://relative", "f:1: ", "ipc:///PATH" },
		{ "stream: tcp://127.0.0.1:7402", "f:1: ", "ipc:///PATH" },
		{ "store_size: 64", "f:1: ", "K, M, G or T" },
		{ "store_size: 15M", "f:1: ", "from 16M" },
		{ "store_size: 17T", "f:1: ", "to 16T" },
		{ "store_size: 99999999999999999999T", "f:1: ", "to 16T" },
		{ "reconnect_ms: 9", "f:1: ", "10" },
		{ "reconnect_ms: -10", "f:1: ", "10" },
		{ "reconnect_ms: 0x100", "f:1: ", "10" },
		{ "changes_days: 3651", "f:1: ", "3650" },
		{ "link_hours: 22:00", "f:1: ", "22:00-05:00" },
		{ "link_hours: 22:00-24:01", "f:1: ", "22:00-05:00" },
		{ "link_hours: 22:60-23:00", "f:1: ", "22:00-05:00" },
		{ "link_hours: 22:00-22:00", "f:1: ", "22:00-05:00" },
		{ "link_hours: 24:00-05:00", "f:1: ", "22:00-05:00" },
		{ "link_hours: 22:00-05:00,", "f:1: ", "22:00-05:00" },
		{ "link_hours: 22:00-05:00 11:00-12:00", "f:1: ", "22:00-05:00" },
		{ "link_hours: [22:00-05:00]", "f:1: ", "22:00-05:00" },
		{ "link_daily_bytes: 1K", "f:1: ", "from 1M" },
		{ "receipt_seconds: 0", "f:1: ", "86400" },
		{ "changes_days: 1\nchanges_days: 2", "f:2: ", "second time" },
		{ "- listen", "f:1: ", "settings" },
		{ "? [a]\n: b", "f:1: ", "one of: listen" },
		{ "listen: [a", "f:2: ", "YAML" },
		{ "listen: 'a\n\n", "f:", "YAML" },
		{ "changes_days: 1\n\trules: x", "f:2: ", "YAML" },
		{ "changes_days: 1\n# \x01", "f:2: ", "YAML" },
		{ "changes_days: 1\n# \xff\xfe", "f:2: ", "YAML" },
		{ "changes_days: 1\n---\nchanges_days: 2", "f:2: ", "second document" },
		{ "rules: 5", "f:1: ", "list" },
		{ "rules:", "f:1: ", "list" },
		{ "rules:\n  - urgent", "f:2: ", "settings" },
		{ "rules: &a [*a]", "f:1: ", "settings" },
		{ "rules:\n  - when: urgent", "f:2: ", "needs \"name\"" },
		{ "rules:\n  - name: a", "f:2: ", "needs \"when\"" },
		{ "rules:\n  - name: a\n    when: late", "f:3: ", "overdue" },
		{ "rules:\n  - name: \"a\\nb\"\n    when: urgent", "f:2: ", "a line" },
		{ "rules:\n  - name: a\n    when: people", "f:2: ", "needs \"at_least\"" },
		{ "rules:\n  - name: a\n    when: people\n    at_least: 0", "f:4: ", "1 to 1000000" },
		{ "rules:\n  - name: a\n    when: urgent\n    days: 3", "f:4: ", "leave it out" },
		{ "rules:\n  - name: a\n    when: overdue\n    days: 3", "f:2: ", "needs \"state\"" },
		{ "rules:\n  - name: a\n    when: overdue\n    days: 3\n    state: closed", "f:5: ",
			"received, accepted" },
		{ "rules:\n  - {name: a, when: urgent}\n  - {name: a, when: urgent}", "f:3: ",
			"its own name" },
		{ "rules:\n  - name: a\n    when: urgent\n    lane: bulk", "f:4: ", "normal" },
	};
	struct config config;
	char *report;

	for (size_t i = 0; i < N_ELEMENTS(cases); i++) {
		cr_assert_eq(parse(cases[i].text, &config, &report), CONFIG_INVALID, "%s",
			cases[i].text);
		cr_expect_eq(strncmp(report, cases[i].line, strlen(cases[i].line)), 0, "%s -> %s",
			cases[i].text, report);
		cr_expect(strstr(report, cases[i].right), "%s -> %s", cases[i].text, report);
		cr_expect_eq(strchr(report, '\n'), report + strlen(report) - 1, "one fault: %s", report);
		free(report);
	}
}

Test(config, all_faults_are_reported_at_once) {
	struct config config;
	char *report;

	cr_assert_eq(parse("lisen: a\nlisten: b\nrules:\n  - when: soon\n  - name: x\n", &config,
			     &report),
		CONFIG_INVALID);
	cr_expect(strstr(report, "f:1: "), "%s", report);
	cr_expect(strstr(report, "f:2: "), "%s", report);
	cr_expect(strstr(report, "f:4: \"when\""), "%s", report);
	cr_expect(strstr(report, "f:4: this rule needs \"name\""), "%s", report);
	cr_expect(strstr(report, "f:5: this rule needs \"when\""), "%s", report);
	free(report);
}

Test(config, more_rules_than_there_is_room_for_are_refused) {
	char text[128 * 32] = "rules:\n";
	struct config config;
	char *report;

	for (int n = 0; n <= CONFIG_RULES_MAX; n++) {
		size_t len = strlen(text);

		report = NULL;
		cr_assert_eq(parse(text, &config, &report), n ? 0 : CONFIG_INVALID, "%d rules", n);
		free(report);
		(void)snprintf(text + len, sizeof(text) - len, "- {name: r%d, when: urgent}\n", n);
	}
	cr_assert_eq(parse(text, &config, &report), CONFIG_INVALID);
	cr_expect(strstr(report, "at most 64"), "%s", report);
	free(report);
}

Test(config, a_file_that_is_not_there_is_told_from_one_that_cannot_be_read) {
	char path[] = "/tmp/test_config.XXXXXX";
	struct config config;
	char *report;
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, "changes_days: 7\n", 16), 16);
	(void)close(fd);
	cr_expect_eq(config_load(path, &config, &report), 0);
	cr_expect_eq(config.changes_days, 7);
	(void)unlink(path);
	cr_expect_eq(config_load(path, &config, &report), -ENOENT);
	cr_expect_eq(config_load("/", &config, &report), -EISDIR);
}
