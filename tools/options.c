/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/kinds/access.h"
#include "tools/csvfile.h"
#include "tools/dates.h"
#include "tools/tool.h"

enum {
	OPTIONS_MAX = 20, /* of one command, with those of all */
	HELP_COLUMN = 28,
	HELP_WIDTH = 80,
};

/* What getopt_long() returns for the options that every command has; the others count from 0. */
enum {
	OPTION_HELP = 256,
	OPTION_HOME,
	OPTION_JSON,
};

static void show_option(const char *name, const char *argument, const char *help) {
	char head[64];

	snprintf(head, sizeof(head), "  --%s%s%s", name, argument ? " " : "", argument ? argument : "");
	put_padded(head, HELP_COLUMN);
	put_wrapped(help, HELP_COLUMN, HELP_WIDTH);
}

static void show_help(const struct usage *usage) {
	printf(_("Usage: lienthong %s%s%s [OPTIONS]\n\n"), usage->command,
		usage->arguments ? " " : "", usage->arguments ? usage->arguments : "");
	put_wrapped(_(usage->about), 0, HELP_WIDTH);
	putchar('\n');
	for (size_t i = 0; i < usage->n_options; i++) {
		const struct option_def *def = &usage->options[i];

		show_option(def->name, def->argument ? _(def->argument) : NULL, _(def->help));
	}
	show_option("home", _("DIRECTORY"), _("of the office; default $LIENTHONG_HOME or /var/lib/lienthong"));
	show_option("json", NULL, _("for programs: the same as JSON"));
	show_option("help", NULL, _("this text"));
}

static void make_table(const struct usage *usage, struct option ret_table[OPTIONS_MAX + 1]) {
	static const struct option common[] = {
		{ "help", no_argument, NULL, OPTION_HELP },
		{ "home", required_argument, NULL, OPTION_HOME },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ 0 },
	};
	size_t n = 0;

	for (; n < usage->n_options && n + N_ELEMENTS(common) <= OPTIONS_MAX; n++) {
		const struct option_def *def = &usage->options[n];

		ret_table[n] = (struct option){ def->name,
			def->argument ? required_argument : no_argument, NULL, (int)n };
	}
	memcpy(&ret_table[n], common, sizeof(common));
}

/* getopt's own messages would be those of the C library; @argv as it was before it looked. */
static int wrong_option(const struct usage *usage, const char *given, bool no_argument_given) {
	if (no_argument_given)
		return misuse(_("the option %s needs a value; see: lienthong %s --help"), given,
			usage->command);
	return misuse(_("there is no option %s here; see: lienthong %s --help"), given, usage->command);
}

bool options_read(struct tool *tool, const struct usage *usage, int argc, char **argv,
	char ***ret_args, int *ret_n_args, int *ret_ending) {
	struct option table[OPTIONS_MAX + 1];
	int c;

	make_table(usage, table);
	optind = 0; /* begins anew, whoever called before */
	while ((c = getopt_long(argc, argv, ":", table, NULL)) != -1) {
		switch (c) {
		case OPTION_HELP:
			show_help(usage);
			*ret_ending = DONE;
			return false;
		case OPTION_HOME:
			tool->home = optarg;
			tool->home_given = true;
			break;
		case OPTION_JSON:
			tool->json = true;
			break;
		case '?':
		case ':':
			*ret_ending = wrong_option(usage, argv[optind - 1], c == ':');
			return false;
		default:
			if (usage->options[c].flag)
				*usage->options[c].flag = true;
			else
				*usage->options[c].value = optarg;
			break;
		}
	}
	*ret_args = argv + optind;
	*ret_n_args = argc - optind;
	if (*ret_n_args >= usage->args_min && *ret_n_args <= usage->args_max)
		return true;
	if (*ret_n_args < usage->args_min)
		*ret_ending = misuse(_("something is missing; write: lienthong %s %s"), usage->command,
			usage->arguments);
	else
		*ret_ending = misuse(_("\"%s\" is one word too many; see: lienthong %s --help"),
			(*ret_args)[usage->args_max], usage->command);
	return false;
}

bool option_word(const char *option, const char *value, const struct words *words,
	uint8_t *ret_value, int *ret_ending) {
	char *list;

	*ret_value = 0;
	if (!value || words_find(words, span_str(value), ret_value))
		return true;
	list = words_list(words);
	*ret_ending = misuse(_("--%s: \"%s\" is not known here; write one of: %s"), option, value,
		list ? list : "");
	free(list);
	return false;
}

bool option_date(const char *option, const char *value, uint64_t *ret_ms, int *ret_ending) {
	if (!value || date_parse(span_str(value), ret_ms))
		return true;
	*ret_ending = misuse(_("--%s: \"%s\" is not a date; write 2024-05-31 or 31/05/2024"), option,
		value);
	return false;
}

bool option_number(const char *option, const char *value, uint64_t *ret_n, int *ret_ending) {
	unsigned long long n;
	char *end;

	if (!value)
		return true;
	errno = 0;
	n = strtoull(value, &end, 10);
	if (errno == 0 && *value >= '0' && *value <= '9' && *end == '\0') {
		*ret_n = n;
		return true;
	}
	*ret_ending = misuse(_("--%s: \"%s\" is not a whole number"), option, value);
	return false;
}

int option_line(const char *option, const char *text, size_t max, struct span *ret_text) {
	int r = csvfile_normalise(span_str(text), ret_text);

	if (r < 0)
		return fail_memory();
	if (r == CSVFILE_NOT_UTF8)
		return misuse(_("--%s is not UTF-8 text"), option);
	if (ret_text->len == 0 || ret_text->len > max)
		return misuse(_("--%s must have from 1 to %zu bytes"), option, max);
	if (text_unfit(*ret_text, false) < ret_text->len)
		return misuse(_("--%s holds a line break, or a character that cannot be seen; write it again by hand"),
			option);
	return DONE;
}

int option_reason(const char *reason, struct span *ret_reason) {
	if (!reason)
		return misuse(_("--reason: say in a line why; it is written down with your name"));
	return option_line("reason", reason, ACCESS_REASON_MAX, ret_reason);
}
