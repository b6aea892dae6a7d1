/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * lienthong - the command line of an office: finds the command, and leaves the rest to it
 */
#include <fcntl.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/keyfile.h"
#include "tools/tool.h"

#define HOME_DEFAULT "/var/lib/lienthong"

enum {
	WORD_MAX = 32,  /* of what was typed, for a suggestion */
	FAR = 3,        /* so many letters apart, a suggestion is a guess */
};

static const struct command {
	const char *group; /* NULL: a command of one word */
	const char *name;
	int (*run)(struct tool *tool, int argc, char **argv);
	const char *help;
} commands[] = {
	{ NULL, "init", command_init, N_("make a new office on this computer") },
	{ "office", "add", command_office_add, N_("enrol an office directly below this one") },
	{ NULL, "invite", command_invite, N_("a text with which an office below joins") },
	{ "office", "pending", command_office_pending, N_("who was invited, and who asks") },
	{ "office", "accept", command_office_accept, N_("enrol who asks") },
	{ "office", "refuse", command_office_refuse, N_("do not") },
	{ "office", "list", command_office_list, N_("the offices known here") },
	{ "office", "rename", command_office_rename, N_("another name, code or level for an office below") },
	{ "office", "close", command_office_close, N_("an office below takes nothing new in") },
	{ "office", "reopen", command_office_reopen, N_("it does again") },
	{ "office", "revoke", command_office_revoke, N_("nothing more is accepted from an office below") },
	{ "office", "move", command_office_move, N_("hand an office below over to another office above it") },
	{ "office", "unfork", command_office_unfork, N_("settle that an office below ran twice") },
	{ "key", "rotate", command_key_rotate, N_("sign with another key from now on") },
	{ "key", "denunciations", command_key_denunciations, N_("the key to which who denounces is sealed") },
	{ NULL, "backup", command_backup, N_("copy this office as it is now") },
	{ NULL, "restore", command_restore, N_("put a copy back") },
	{ NULL, "join", command_join, N_("join the office above") },
	{ NULL, "status", command_status, N_("how this office stands") },
	{ NULL, "queue", command_queue, N_("what waits for each neighbour, and why") },
	{ "bundle", "export", command_bundle_export, N_("what waits for a neighbour, in a file to carry there") },
	{ "bundle", "import", command_bundle_import, N_("take what a neighbour sent in such a file") },
	{ "link", "pause", command_link_pause, N_("close the line to the office above for a while") },
	{ "link", "resume", command_link_resume, N_("open it again") },
	{ "petition", "add", command_petition_add, N_("keep a petition") },
	{ "petition", "list", command_petition_list, N_("the petitions that can be read here") },
	{ "petition", "show", command_petition_show, N_("one petition with its history") },
	{ "petition", "erase", command_petition_erase, N_("forget who brought a petition") },
	{ "petition", "step", command_petition_step, N_("keep what was done about a petition") },
	{ "meeting", "add", command_meeting_add, N_("keep a meeting") },
	{ "meeting", "list", command_meeting_list, N_("the meetings that can be read here") },
	{ NULL, "import", command_import, N_("petitions, steps or meetings from a CSV file") },
	{ NULL, "escalations", command_escalations, N_("what a rule found to need those above") },
	{ NULL, "tally", command_tally, N_("the counts of this office and those below it") },
	{ "request", "grant", command_request_grant, N_("disclose a case to the office above, which asked") },
	{ "request", "refuse", command_request_refuse, N_("do not") },
	{ NULL, "request", command_request, N_("ask the office below for a petition that only its hash is here of") },
	{ NULL, "requests", command_requests, N_("what was asked for, and what was answered") },
	{ NULL, "visibility", command_visibility, N_("which offices can read a petition, and why") },
	{ NULL, "log", command_log, N_("the records of an office as they are kept") },
	{ NULL, "verify", command_verify, N_("check the whole store, or a proof in a file") },
	{ NULL, "prove", command_prove, N_("a petition in a file that anybody can check") },
	{ NULL, "receipt", command_receipt, N_("which offices above hold a petition, since when") },
	{ NULL, "checkpoint", command_checkpoint, N_("heads, to publish or to compare with another's") },
	{ NULL, "stream", command_stream, N_("follow the numbers as they change") },
};

static void full_name(const struct command *command, char ret_name[WORD_MAX]) {
	snprintf(ret_name, WORD_MAX, "%s%s%s", command->group ? command->group : "",
		command->group ? " " : "", command->name);
}

static int show_help(void) {
	printf(_("Usage: lienthong COMMAND [OPTIONS]\n\n"));
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		char name[WORD_MAX];

		full_name(&commands[i], name);
		printf("  %-18s %s\n", name, _(commands[i].help)); /* names are ASCII */
	}
	printf("  %-18s %s\n", "version", _("the version of this tool"));
	printf("  %-18s %s\n\n", "help", _("this text"));
	printf("%s\n", _("Every command has --help. All know --home DIRECTORY, and most --json."));
	printf("%s\n", _("Endings: 0 done, 1 failed, 2 not understood, 3 refused by a rule."));
	return DONE;
}

static unsigned min3(unsigned a, unsigned b, unsigned c) {
	unsigned least = a < b ? a : b;

	return least < c ? least : c;
}

/* How many letters must be changed, put in or left out (Levenshtein). */
static unsigned distance(const char *a, const char *b) {
	unsigned row[WORD_MAX + 1];
	size_t n = strnlen(b, WORD_MAX);

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; *a; a++, i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1, diagonal + (*a != b[j - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

static int unknown(const char *first, const char *second) {
	char best[WORD_MAX] = "";
	unsigned best_distance = FAR;
	char typed[WORD_MAX];

	snprintf(typed, sizeof(typed), "%s%s%s", first, second ? " " : "", second ? second : "");
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		char name[WORD_MAX];
		unsigned apart;

		full_name(&commands[i], name);
		apart = distance(commands[i].group ? typed : first, name);
		if (commands[i].group && strcmp(first, commands[i].group) == 0 && !second)
			apart = 1; /* only the second word is missing */
		if (apart < best_distance) {
			best_distance = apart;
			memcpy(best, name, sizeof(best));
		}
	}
	if (best[0])
		return misuse(_("there is no command \"%s\"; did you mean: lienthong %s"), typed, best);
	return misuse(_("there is no command \"%s\"; see: lienthong help"), typed);
}

static const struct command *find_command(const char *first, const char *second) {
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		const struct command *command = &commands[i];

		if (!command->group ? strcmp(first, command->name) == 0 :
				      strcmp(first, command->group) == 0 && second &&
					strcmp(second, command->name) == 0)
			return command;
	}
	return NULL;
}

static bool is_group(const char *word) {
	for (size_t i = 0; i < N_ELEMENTS(commands); i++) {
		if (commands[i].group && strcmp(commands[i].group, word) == 0)
			return true;
	}
	return false;
}

/* Options of all commands may also stand before each of its words; @argv is left at the word. */
static bool read_global(struct tool *tool, int *argc, char ***argv) {
	while (*argc > 0 && (*argv)[0][0] == '-' && strcmp((*argv)[0], "--help") != 0 &&
		strcmp((*argv)[0], "--version") != 0) {
		const char *option = (*argv)[0];

		if (strcmp(option, "--json") == 0) {
			tool->json = true;
		} else if (strcmp(option, "--home") == 0 && *argc == 1) {
			(void)misuse(_("the option %s needs a value; see: lienthong help"), option);
			return false;
		} else if (strcmp(option, "--home") == 0) {
			tool->home = (*argv)[1];
			tool->home_given = true;
			(*argv)++;
			(*argc)--;
		} else if (strncmp(option, "--home=", 7) == 0) {
			tool->home = option + 7;
			tool->home_given = true;
		} else {
			(void)misuse(_("the option %s is not one of all commands; write it behind the command; see: lienthong help"),
				option);
			return false;
		}
		(*argv)++;
		(*argc)--;
	}
	return true;
}

static int run(struct tool *tool, int argc, char **argv) {
	const struct command *command;
	const char *first;
	const char *second;

	if (!read_global(tool, &argc, &argv))
		return MISUSED;
	if (argc == 0)
		return misuse(_("say what to do; see: lienthong help"));
	if (strcmp(argv[0], "help") == 0 || strcmp(argv[0], "--help") == 0)
		return show_help();
	if (strcmp(argv[0], "version") == 0 || strcmp(argv[0], "--version") == 0) {
		say("lienthong %s", LIENTHONG_VERSION);
		return DONE;
	}
	first = argv[0];
	if (is_group(first)) {
		argc--;
		argv++;
		if (!read_global(tool, &argc, &argv))
			return MISUSED;
		second = argc > 0 ? argv[0] : NULL;
	} else {
		second = argc > 1 ? argv[1] : NULL;
	}
	command = find_command(first, second);
	if (command && !command->group && is_group(first)) { /* a command that is a group, too: what follows is its own */
		argc++;
		argv--;
	}
	if (!command)
		return unknown(first, second && second[0] != '-' ? second : NULL);
	return command->run(tool, argc, argv);
}

/* What a signal handler may still say: it can only write and end. */
static char damaged[512];

static void on_damage(int number) {
	(void)!write(STDERR_FILENO, damaged, strlen(damaged));
	_exit(FAILED);
}

/* The map of a store that is cut off or altered ends whoever follows it. */
static void watch_map(void) {
	struct sigaction action = { .sa_handler = on_damage };

	snprintf(damaged, sizeof(damaged), "lienthong: %s\n",
		_("the store is damaged and cannot be read on; keep a copy of it, delete nothing, and run: lienthong verify"));
	(void)sigaction(SIGBUS, &action, NULL);
	(void)sigaction(SIGSEGV, &action, NULL);
}

/*
 * Where one of the three was closed, the next file opened, the store's perhaps, would take its place
 * and be written to. What stands there instead refuses.
 */
static bool hold_streams(void) {
	static const int modes[] = { O_WRONLY, O_RDONLY, O_RDONLY };

	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", modes[fd]) != fd)
			return false;
	}
	return true;
}

int main(int argc, char **argv) {
	const char *home = getenv("LIENTHONG_HOME");
	bool given = home && *home;
	struct tool tool = { .home = given ? home : HOME_DEFAULT, .home_given = given, .user = user_here() };

	keyfile_forbid_dumps();
	if (!hold_streams())
		return FAILED;
	/* not LC_NUMERIC: numbers in JSON and in messages are written by us */
	setlocale(LC_CTYPE, "");
	setlocale(LC_MESSAGES, "");
	bindtextdomain("lienthong", LOCALE_DIR);
	bind_textdomain_codeset("lienthong", "UTF-8"); /* what is kept is UTF-8, whatever LC_CTYPE */
	textdomain("lienthong");
	watch_map();
	return output_finish(run(&tool, argc - 1, argv + 1));
}
