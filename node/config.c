/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The two tables below are the whole schema: reading, checking and what is said of a fault are
 * readings of them. libyaml gives the document as nodes that know their lines, so every fault can
 * be named with its line, all in one go.
 */
#include "node/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml.h>

#include "proto/text.h"
#include "proto/codec.h"
#include "proto/head.h"
#include "proto/kinds/petition.h"

enum {
	CONFIG_FILE_MAX = 64 * 1024,
	OPTIONS_MAX = 11, /* keys of one mapping */
};

struct word {
	const char *text;
	uint64_t value;
};

struct option {
	const char *key;
	/* Writes what @text means to @ret; false: it does not fit. NULL: not a single value. */
	bool (*parse)(const struct option *option, struct span text, void *ret);
	size_t offset;
	size_t size;
	uint64_t min;
	uint64_t max;
	const struct word *words;
	const char *right; /* what would be */
};

struct reading {
	const char *name;
	yaml_document_t *document;
	FILE *report;
	size_t n_faults;
};

__attribute__((format(printf, 3, 4))) static void fault(struct reading *reading, size_t line,
	const char *format, ...) {
	va_list args;

	(void)fprintf(reading->report, "%s:%zu: ", reading->name, line);
	va_start(args, format);
	(void)vfprintf(reading->report, format, args);
	va_end(args);
	(void)fputc('\n', reading->report);
	reading->n_faults++;
}

/* What a value means. */

static void store_uint(const struct option *option, uint64_t value, void *ret) {
	switch (option->size) {
	case sizeof(uint8_t):
		*(uint8_t *)ret = (uint8_t)value;
		break;
	case sizeof(uint32_t):
		*(uint32_t *)ret = (uint32_t)value;
		break;
	default:
		*(uint64_t *)ret = value;
	}
}

static bool digits(struct span text, uint64_t *ret_value) {
	uint64_t value = 0;

	if (text.len == 0 || text.len > 18) /* 18 digits cannot wrap */
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (text.data[i] - '0');
	}
	*ret_value = value;
	return true;
}

static bool parse_count(const struct option *option, struct span text, void *ret) {
	uint64_t value;

	if (!digits(text, &value) || value < option->min || value > option->max)
		return false;
	store_uint(option, value, ret);
	return true;
}

static bool parse_size(const struct option *option, struct span text, void *ret) {
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t value;
	unsigned shift;

	if (text.len == 0 || !(unit = memchr(units, text.data[text.len - 1], 4)))
		return false;
	shift = 10 * (unsigned)(unit - units + 1);
	text.len--;
	if (!digits(text, &value) || value > option->max >> shift || value << shift < option->min)
		return false;
	store_uint(option, value << shift, ret);
	return true;
}

static bool parse_word(const struct option *option, struct span text, void *ret) {
	for (const struct word *word = option->words; word->text; word++)
		if (span_eq(text, span_str(word->text))) {
			store_uint(option, word->value, ret);
			return true;
		}
	return false;
}

/* HH:MM, up to 24:00, at the beginning of @text, which it is taken from. */
static bool take_time(struct span *text, uint16_t *ret_minute) {
	uint64_t hour, minute;

	if (text->len < 5 || text->data[2] != ':' || !digits((struct span){ text->data, 2 }, &hour) ||
		!digits((struct span){ text->data + 3, 2 }, &minute) || minute > 59 || hour * 60 + minute > 24 * 60)
		return false;
	*ret_minute = (uint16_t)(hour * 60 + minute);
	*text = (struct span){ text->data + 5, text->len - 5 };
	return true;
}

static bool take_char(struct span *text, char c) {
	if (text->len == 0 || text->data[0] != (uint8_t)c)
		return false;
	*text = (struct span){ text->data + 1, text->len - 1 };
	return true;
}

static bool parse_hours(const struct option *option, struct span text, void *ret) {
	struct hours list[CONFIG_HOURS_MAX] = { 0 };
	size_t n = 0;

	do {
		struct hours *hours = &list[n];

		while (take_char(&text, ' '))
			;
		if (n++ == CONFIG_HOURS_MAX || !take_time(&text, &hours->from) || !take_char(&text, '-') ||
			!take_time(&text, &hours->to) || hours->from == hours->to || hours->from == 24 * 60)
			return false;
	} while (take_char(&text, ','));
	memcpy(ret, list, sizeof(list));
	return text.len == 0;
}

static void store_text(struct span text, void *ret) {
	memcpy(ret, text.data, text.len);
	((char *)ret)[text.len] = '\0';
}

/* Whether a record's decoder will take it as one line of text. */
static bool is_name(struct span text) {
	uint8_t buf[ESCALATION_RULE_MAX + 8];
	struct writer w;
	struct reader r;

	writer_init(&w, buf, sizeof(buf));
	write_str(&w, text);
	if (!writer_ok(&w))
		return false;
	reader_init(&r, writer_span(&w));
	read_line(&r, 1, ESCALATION_RULE_MAX);
	return reader_done(&r) == 0;
}

static bool parse_name(const struct option *option, struct span text, void *ret) {
	if (!is_name(text))
		return false;
	store_text(text, ret);
	return true;
}

/* Takes tcp://HOST:PORT apart. */
static bool tcp_host(struct span text, struct span *ret_host) {
	static const char prefix[] = "tcp://";
	const uint8_t *colon;
	struct span host;
	uint64_t port;
	bool brackets;

	if (text.len < sizeof(prefix) || text.len > CONFIG_ADDRESS_MAX ||
		memcmp(text.data, prefix, sizeof(prefix) - 1) != 0)
		return false;
	host.data = text.data + sizeof(prefix) - 1;
	colon = memrchr(host.data, ':', text.len - (sizeof(prefix) - 1));
	if (!colon || colon == host.data)
		return false;
	host.len = (size_t)(colon - host.data);
	if (!digits((struct span){ colon + 1, text.len - (size_t)(colon + 1 - text.data) }, &port) ||
		port == 0 || port > 65535)
		return false;
	brackets = host.len > 2 && host.data[0] == '[' && host.data[host.len - 1] == ']';
	for (size_t i = brackets; i < host.len - brackets; i++) {
		char c = (char)host.data[i];

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			c == '.' || c == '-' || c == '_')
			continue;
		if (brackets ? c == ':' || c == '%' : c == '*' && host.len == 1)
			continue;
		return false;
	}
	*ret_host = host;
	return true;
}

/* An address to listen at, but none to connect to. */
static bool is_any(struct span host) {
	return span_eq(host, span_str("*")) || span_eq(host, span_str("0.0.0.0")) ||
	       span_eq(host, span_str("[::]"));
}

static bool parse_listen(const struct option *option, struct span text, void *ret) {
	struct span host;

	if (!tcp_host(text, &host))
		return false;
	store_text(text, ret);
	return true;
}

static bool parse_announce(const struct option *option, struct span text, void *ret) {
	struct span host;

	if (!tcp_host(text, &host) || is_any(host))
		return false;
	store_text(text, ret);
	return true;
}

static bool parse_stream(const struct option *option, struct span text, void *ret) {
	static const char prefix[] = "ipc:///";

	if (text.len < sizeof(prefix) || text.len > CONFIG_ADDRESS_MAX ||
		memcmp(text.data, prefix, sizeof(prefix) - 1) != 0 ||
		memchr(text.data, '\0', text.len))
		return false;
	store_text(text, ret);
	return true;
}

/* The schema. */

#define FIELD(type, member) offsetof(type, member), sizeof(((type *)NULL)->member)

static const struct word causes[] = {
	{ "urgent", CAUSE_URGENT },
	{ "people", CAUSE_PEOPLE },
	{ "overdue", CAUSE_OVERDUE },
	{ NULL, 0 },
};

static const struct word scopes[] = {
	{ "held", RULE_HELD },
	{ "seen", RULE_SEEN },
	{ NULL, 0 },
};

static const struct word states[] = {
	{ "received", CASE_RECEIVED },
	{ "accepted", CASE_ACCEPTED },
	{ "forwarded", CASE_FORWARDED },
	{ "resolved", CASE_RESOLVED },
	{ NULL, 0 },
};

static const struct word legal_kinds[] = {
	{ "reflection", LEGAL_REFLECTION },
	{ "petition", LEGAL_PETITION },
	{ "complaint", LEGAL_COMPLAINT },
	{ "denunciation", LEGAL_DENUNCIATION },
	{ "data-request", LEGAL_DATA_REQUEST },
	{ NULL, 0 },
};

static const struct word lanes[] = {
	{ "urgent", LANE_URGENT },
	{ "normal", LANE_NORMAL },
	{ NULL, 0 },
};

static const struct word details[] = {
	{ "all", DETAIL_ALL },
	{ "escalated", DETAIL_ESCALATED },
	{ NULL, 0 },
};

static const struct word yes_no[] = {
	{ "true", true },
	{ "yes", true },
	{ "false", false },
	{ "no", false },
	{ NULL, 0 },
};

enum rule_option {
	RULE_NAME,
	RULE_WHEN,
	RULE_ON,
	RULE_STATE,
	RULE_AT_LEAST,
	RULE_DAYS,
	RULE_WORKING_DAYS,
	RULE_LANE,
	RULE_KIND,
	RULE_OPTIONS_N,
};

static const struct option rule_options[RULE_OPTIONS_N] = {
	[RULE_NAME] = { "name", parse_name, FIELD(struct rule, name), 0, 0, NULL,
		N_("a line of 1 to 64 bytes") },
	[RULE_WHEN] = { "when", parse_word, FIELD(struct rule, cause), 0, 0, causes,
		N_("urgent, people or overdue") },
	[RULE_ON] = { "on", parse_word, FIELD(struct rule, scope), 0, 0, scopes,
		N_("held (the default) or seen") },
	[RULE_STATE] = { "state", parse_word, FIELD(struct rule, state), 0, 0, states,
		N_("received, accepted, forwarded or resolved") },
	[RULE_AT_LEAST] = { "at_least", parse_count, FIELD(struct rule, at_least), 1, 1000000, NULL,
		N_("a number from 1 to 1000000") },
	[RULE_DAYS] = { "days", parse_count, FIELD(struct rule, days), 1, 3650, NULL,
		N_("a number from 1 to 3650") },
	[RULE_WORKING_DAYS] = { "working_days", parse_word, FIELD(struct rule, working_days), 0, 0,
		yes_no, N_("true or false (the default)") },
	[RULE_LANE] = { "lane", parse_word, FIELD(struct rule, lane), 0, 0, lanes,
		N_("urgent (the default) or normal") },
	[RULE_KIND] = { "kind", parse_word, FIELD(struct rule, legal_kind), 0, 0, legal_kinds,
		N_("reflection, petition, complaint, denunciation or data-request") },
};

/* Which keys a rule must have (1) and may have (0) by its cause; -1: they mean nothing there. */
static const int8_t rule_needs[CAUSE_N][RULE_OPTIONS_N] = {
	[0] = { 1, 1, 0, 0, 0, 0, 0, 0, 0 }, /* its "when" is missing or wrong */
	[CAUSE_URGENT] = { 1, 1, 0, -1, -1, -1, -1, 0, 0 },
	[CAUSE_PEOPLE] = { 1, 1, 0, -1, 1, -1, -1, 0, 0 },
	[CAUSE_OVERDUE] = { 1, 1, 0, 1, -1, 1, 0, 0, 0 },
};

static const struct option options[] = {
	{ "listen", parse_listen, FIELD(struct config, listen), 0, 0, NULL,
		N_("tcp://ADDRESS:PORT, such as tcp://10.0.0.1:7401") },
	{ "announce", parse_announce, FIELD(struct config, announce), 0, 0, NULL,
		N_("tcp://ADDRESS:PORT that the offices below can reach, such as tcp://10.0.0.1:7401") },
	{ "stream", parse_stream, FIELD(struct config, stream), 0, 0, NULL,
		N_("ipc:///PATH, such as ipc:///run/lienthong/stream.sock") },
	{ "store_size", parse_size, FIELD(struct config, store_size), 16ULL << 20, 16ULL << 40, NULL,
		N_("a whole number with K, M, G or T, from 16M to 16T") },
	{ "reconnect_ms", parse_count, FIELD(struct config, reconnect_ms), 10, 600000, NULL,
		N_("milliseconds, from 10 to 600000") },
	{ "changes_days", parse_count, FIELD(struct config, changes_days), 1, 3650, NULL,
		N_("days, from 1 to 3650") },
	{ "receipt_seconds", parse_count, FIELD(struct config, receipt_seconds), 1, 86400, NULL,
		N_("seconds, from 1 to 86400") },
	{ "link_hours", parse_hours, FIELD(struct config, link_hours), 0, 0, NULL,
		N_("at most 8 times of the day, such as 22:00-05:00 or 11:30-13:00, 22:00-05:00") },
	{ "link_daily_bytes", parse_size, FIELD(struct config, link_daily_bytes), 1 << 20, 1ULL << 40, NULL,
		N_("a whole number with K, M, G or T, from 1M to 1T") },
	{ "detail", parse_word, FIELD(struct config, detail), 0, 0, details,
		N_("all (the default) or escalated") },
	{ "rules", NULL, 0, 0, 0, 0, NULL, N_("a list of at most 64 rules") },
};

_Static_assert(N_ELEMENTS(options) <= OPTIONS_MAX && N_ELEMENTS(rule_options) <= OPTIONS_MAX,
	"OPTIONS_MAX is too small");

#define DATA_REQUEST_RULE(word, in_state) \
	{ .name = "data-request-" word, .cause = CAUSE_OVERDUE, .legal_kind = LEGAL_DATA_REQUEST, \
		.state = in_state, .days = DATA_REQUEST_DAYS, .working_days = true }

static const struct rule default_rules[] = {
	{ .name = "urgent", .cause = CAUSE_URGENT },
	{ .name = "crowd", .cause = CAUSE_PEOPLE, .at_least = 50 },
	/* due is what the law says of the kind (petition.h), whatever state it is in */
	DATA_REQUEST_RULE("received", CASE_RECEIVED), DATA_REQUEST_RULE("accepted", CASE_ACCEPTED),
	DATA_REQUEST_RULE("forwarded", CASE_FORWARDED), DATA_REQUEST_RULE("resolved", CASE_RESOLVED),
	{ .name = "not-accepted", .cause = CAUSE_OVERDUE, .state = CASE_RECEIVED, .days = 10,
		.working_days = true },
	{ .name = "not-resolved", .cause = CAUSE_OVERDUE, .state = CASE_FORWARDED, .days = 30 },
};

/* Reading a document. */

static struct span scalar(const yaml_node_t *node) {
	return (struct span){ node->data.scalar.value, node->data.scalar.length };
}

static size_t line_of(const yaml_node_t *node) {
	return node->start_mark.line + 1;
}

static void unknown_key(struct reading *reading, const yaml_node_t *node, const struct option *table,
	size_t n) {
	char keys[256];
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		int written = snprintf(keys + len, sizeof(keys) - len, "%s%s", i ? ", " : "",
			table[i].key);

		if (written > 0)
			len += (size_t)written;
	}
	if (node->type == YAML_SCALAR_NODE && is_name(scalar(node)))
		fault(reading, line_of(node), _("there is no setting \"%s\" here, only: %s"),
			(const char *)node->data.scalar.value, keys);
	else
		fault(reading, line_of(node), _("a setting needs a name, one of: %s"), keys);
}

/*
 * Reads @mapping into @target. @ret_nodes gets the value of each key of @table, or NULL where the
 * key is not there.
 */
static void read_mapping(struct reading *reading, const yaml_node_t *mapping,
	const struct option *table, size_t n, void *target, const yaml_node_t *ret_nodes[OPTIONS_MAX]) {
	memset(ret_nodes, 0, OPTIONS_MAX * sizeof(*ret_nodes));
	for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
		pair < mapping->data.mapping.pairs.top; pair++) {
		const yaml_node_t *key = yaml_document_get_node(reading->document, pair->key);
		const yaml_node_t *value = yaml_document_get_node(reading->document, pair->value);
		const struct option *option;
		size_t i = 0;

		while (i < n && (key->type != YAML_SCALAR_NODE ||
					!span_eq(scalar(key), span_str(table[i].key))))
			i++;
		if (i == n) {
			unknown_key(reading, key, table, n);
			continue;
		}
		option = &table[i];
		if (ret_nodes[i]) {
			fault(reading, line_of(key), _("\"%s\" is given a second time: leave one of them"),
				option->key);
			continue;
		}
		ret_nodes[i] = value;
		if (option->parse &&
			(value->type != YAML_SCALAR_NODE ||
				!option->parse(option, scalar(value), (char *)target + option->offset)))
			fault(reading, line_of(key), _("\"%s\" must be %s"), option->key,
				_(option->right));
	}
}

static void read_rule(struct reading *reading, const yaml_node_t *node, struct rule *rule) {
	const yaml_node_t *nodes[OPTIONS_MAX];

	*rule = (struct rule){ .lane = LANE_URGENT };
	if (node->type != YAML_MAPPING_NODE) {
		fault(reading, line_of(node), _("a rule must have settings, such as: name, when"));
		return;
	}
	read_mapping(reading, node, rule_options, RULE_OPTIONS_N, rule, nodes);
	for (size_t i = 0; i < RULE_OPTIONS_N; i++) {
		int8_t need = rule_needs[rule->cause][i];

		if (need > 0 && !nodes[i])
			fault(reading, line_of(node), _("this rule needs \"%s\": %s"), rule_options[i].key,
				_(rule_options[i].right));
		else if (need < 0 && nodes[i])
			fault(reading, line_of(nodes[i]),
				_("\"%s\" means nothing in a rule of this kind: leave it out"),
				rule_options[i].key);
	}
}

static void read_rules(struct reading *reading, const yaml_node_t *list, struct config *config) {
	if (list->type != YAML_SEQUENCE_NODE) {
		fault(reading, line_of(list), _("\"%s\" must be %s"), "rules",
			_("a list of at most 64 rules"));
		return;
	}
	config->n_rules = 0;
	for (const yaml_node_item_t *item = list->data.sequence.items.start;
		item < list->data.sequence.items.top; item++) {
		const yaml_node_t *node = yaml_document_get_node(reading->document, *item);
		struct rule *rule = &config->rules[config->n_rules];

		if (config->n_rules == CONFIG_RULES_MAX) {
			fault(reading, line_of(node), _("\"%s\" must be %s"), "rules",
				_("a list of at most 64 rules"));
			return;
		}
		read_rule(reading, node, rule);
		for (size_t i = 0; i < config->n_rules; i++)
			if (rule->name[0] && strcmp(config->rules[i].name, rule->name) == 0)
				fault(reading, line_of(node),
					_("another rule is called \"%s\": give each its own name"),
					rule->name);
		config->n_rules++;
	}
}

static void read_document(struct reading *reading, struct config *config) {
	const yaml_node_t *root = yaml_document_get_root_node(reading->document);
	const yaml_node_t *nodes[OPTIONS_MAX];

	if (!root || (root->type == YAML_SCALAR_NODE && root->data.scalar.length == 0))
		return; /* nothing but comments, or "---": the defaults */
	if (root->type != YAML_MAPPING_NODE) {
		fault(reading, line_of(root), _("the file must have settings, such as: listen: "
						"tcp://10.0.0.1:7401"));
		return;
	}
	read_mapping(reading, root, options, N_ELEMENTS(options), config, nodes);
	if (nodes[N_ELEMENTS(options) - 1])
		read_rules(reading, nodes[N_ELEMENTS(options) - 1], config);
}

/* A fault of YAML itself. What libyaml finds while it decodes characters has an offset, not a line. */
static void syntax_fault(struct reading *reading, const yaml_parser_t *parser, struct span text) {
	size_t line = parser->problem_mark.line + 1;

	if (parser->error == YAML_READER_ERROR) {
		line = 1;
		for (size_t i = 0; i < parser->problem_offset && i < text.len; i++)
			line += text.data[i] == '\n';
	}
	fault(reading, line, _("this is not YAML (%s): compare with lienthong.yaml(5)"),
		parser->problem ? parser->problem : "?");
}

static int load_text(struct reading *reading, struct span text, struct config *config) {
	yaml_document_t document;
	yaml_parser_t parser;
	int r = 0;

	if (!yaml_parser_initialize(&parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&parser, text.data, text.len);
	for (int i = 0; i < 2; i++) {
		bool empty;

		if (!yaml_parser_load(&parser, &document)) {
			if (parser.error == YAML_MEMORY_ERROR)
				r = -ENOMEM;
			else
				syntax_fault(reading, &parser, text);
			break;
		}
		empty = !yaml_document_get_root_node(&document);
		reading->document = &document;
		if (i == 0)
			read_document(reading, config);
		else if (!empty)
			fault(reading, document.start_mark.line + 1,
				_("a second document begins here: leave one"));
		yaml_document_delete(&document);
		if (empty)
			break;
	}
	yaml_parser_delete(&parser);
	return r;
}

void config_init(struct config *config) {
	*config = (struct config){
		.store_size = 64ULL << 30,
		.reconnect_ms = 2000,
		.changes_days = 30,
		.receipt_seconds = 600,
		.n_rules = N_ELEMENTS(default_rules),
	};
	memcpy(config->rules, default_rules, sizeof(default_rules));
}

int config_parse(const char *name, struct span text, struct config *ret_config, char **ret_report) {
	struct reading reading = { .name = name };
	struct config config;
	struct span host;
	char *report = NULL;
	size_t len = 0;
	int r;

	config_init(&config);
	reading.report = open_memstream(&report, &len);
	if (!reading.report)
		return -errno;
	if (text.len > CONFIG_FILE_MAX) {
		fault(&reading, 1, _("the file must be at most %d bytes long"), CONFIG_FILE_MAX);
		r = 0;
	} else {
		r = load_text(&reading, text, &config);
	}
	if (fclose(reading.report) != 0 && !r)
		r = -ENOMEM;
	if (!r && reading.n_faults > 0) {
		*ret_report = report;
		return CONFIG_INVALID;
	}
	free(report);
	if (r)
		return r;
	/* where anybody may connect is not where somebody can: then it must be said each time */
	if (!config.announce[0] && tcp_host(span_str(config.listen), &host) && !is_any(host))
		memcpy(config.announce, config.listen, sizeof(config.announce));
	*ret_config = config;
	return 0;
}

int config_load(const char *path, struct config *ret_config, char **ret_report) {
	size_t len = 0, cap = CONFIG_FILE_MAX + 1;
	uint8_t *text;
	ssize_t n;
	int fd, r;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	text = malloc(cap);
	if (!text) {
		(void)close(fd);
		return -ENOMEM;
	}
	do {
		n = read(fd, text + len, cap - len);
		len += n > 0 ? (size_t)n : 0;
	} while ((n > 0 && len < cap) || (n < 0 && errno == EINTR));
	r = n < 0 ? -errno : config_parse(path, (struct span){ text, len }, ret_config, ret_report);
	(void)close(fd);
	free(text);
	return r;
}
