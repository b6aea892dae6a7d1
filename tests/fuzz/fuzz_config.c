/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What is accepted is within the limits that the rest of the node takes for granted; what is not is
 * answered with lines that each name the file and a line of it.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>

#include "node/config.h"
#include "proto/head.h"

static void check_report(const char *report, struct span text) {
	size_t lines = 1;

	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n' || text.data[i] == '\r' || text.data[i] == 0x85 ||
			 text.data[i] == 0xa8 || text.data[i] == 0xa9; /* YAML's other line ends */
	assert(*report);
	while (*report) {
		char *end;
		unsigned long line;

		assert(strncmp(report, "f:", 2) == 0);
		line = strtoul(report + 2, &end, 10);
		assert(line >= 1 && line <= lines + 1 && strncmp(end, ": ", 2) == 0);
		report = strchr(report, '\n');
		assert(report);
		report++;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct span text = { data, size };
	struct config config;
	char *report = NULL;
	int r;

	r = config_parse("f", text, &config, &report);
	if (r) {
		assert(r == CONFIG_INVALID);
		check_report(report, text);
		free(report);
		return 0;
	}
	assert(!report);
	assert(memchr(config.listen, '\0', sizeof(config.listen)));
	assert(memchr(config.stream, '\0', sizeof(config.stream)));
	assert(config.store_size >= 16 << 20 && config.store_size % 1024 == 0);
	assert(config.reconnect_ms >= 10 && config.reconnect_ms <= 600000);
	assert(config.changes_days >= 1 && config.changes_days <= 3650);
	assert(config.n_rules <= CONFIG_RULES_MAX);
	for (size_t i = 0; i < config.n_rules; i++) {
		const struct rule *rule = &config.rules[i];

		assert(rule->name[0] && memchr(rule->name, '\0', sizeof(rule->name)));
		assert(rule->cause >= CAUSE_URGENT && rule->cause < CAUSE_N);
		assert((rule->cause == CAUSE_PEOPLE) == (rule->at_least > 0));
		assert((rule->cause == CAUSE_OVERDUE) == (rule->days > 0));
		assert((rule->cause == CAUSE_OVERDUE) == (rule->state != 0));
		assert(rule->lane == LANE_URGENT || rule->lane == LANE_NORMAL);
	}
	return 0;
}
