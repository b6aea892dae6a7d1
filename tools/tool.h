/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * tool - what every command is given; the commands; how they read their options
 *
 * A command gets its own arguments (argv[0] is its last word) and returns how it ended (output.h).
 */
#include "tools/output.h"
#include "tools/user.h"

struct tool {
	const char *home;
	bool home_given; /* by somebody; otherwise it is where an office is if there is one */
	bool json;
	struct user user; /* who gave the command */
};

int command_escalations(struct tool *tool, int argc, char **argv);
int command_import(struct tool *tool, int argc, char **argv);
int command_init(struct tool *tool, int argc, char **argv);
int command_join(struct tool *tool, int argc, char **argv);
int command_invite(struct tool *tool, int argc, char **argv);
int command_office_pending(struct tool *tool, int argc, char **argv);
int command_office_accept(struct tool *tool, int argc, char **argv);
int command_office_refuse(struct tool *tool, int argc, char **argv);
int command_office_rename(struct tool *tool, int argc, char **argv);
int command_office_close(struct tool *tool, int argc, char **argv);
int command_office_reopen(struct tool *tool, int argc, char **argv);
int command_office_move(struct tool *tool, int argc, char **argv);
int command_office_unfork(struct tool *tool, int argc, char **argv);
int command_office_revoke(struct tool *tool, int argc, char **argv);
int command_bundle_export(struct tool *tool, int argc, char **argv);
int command_bundle_import(struct tool *tool, int argc, char **argv);
int command_backup(struct tool *tool, int argc, char **argv);
int command_restore(struct tool *tool, int argc, char **argv);
int command_key_denunciations(struct tool *tool, int argc, char **argv);
int command_key_rotate(struct tool *tool, int argc, char **argv);
int command_link_pause(struct tool *tool, int argc, char **argv);
int command_link_resume(struct tool *tool, int argc, char **argv);
int command_log(struct tool *tool, int argc, char **argv);
int command_meeting_add(struct tool *tool, int argc, char **argv);
int command_meeting_list(struct tool *tool, int argc, char **argv);
int command_office_add(struct tool *tool, int argc, char **argv);
int command_office_list(struct tool *tool, int argc, char **argv);
int command_petition_add(struct tool *tool, int argc, char **argv);
int command_petition_erase(struct tool *tool, int argc, char **argv);
int command_petition_list(struct tool *tool, int argc, char **argv);
int command_petition_show(struct tool *tool, int argc, char **argv);
int command_petition_step(struct tool *tool, int argc, char **argv);
int command_queue(struct tool *tool, int argc, char **argv);
int command_request(struct tool *tool, int argc, char **argv);
int command_requests(struct tool *tool, int argc, char **argv);
int command_request_grant(struct tool *tool, int argc, char **argv);
int command_request_refuse(struct tool *tool, int argc, char **argv);
int command_status(struct tool *tool, int argc, char **argv);
int command_stream(struct tool *tool, int argc, char **argv);
int command_tally(struct tool *tool, int argc, char **argv);
int command_verify(struct tool *tool, int argc, char **argv);
int command_visibility(struct tool *tool, int argc, char **argv);
int command_prove(struct tool *tool, int argc, char **argv);
int command_receipt(struct tool *tool, int argc, char **argv);
int command_checkpoint(struct tool *tool, int argc, char **argv);

struct option_def {
	const char *name;     /* without the dashes */
	const char *argument; /* N_(): what help calls its argument; NULL: a flag */
	const char *help;     /* N_() */
	const char **value;
	bool *flag;
};

struct usage {
	const char *command;   /* "petition add" */
	const char *arguments; /* "REF", as help shows them; NULL: none */
	const char *about;     /* N_(): what it does, in a sentence or a few */
	const struct option_def *options;
	size_t n_options;
	int args_min;
	int args_max;
};

/*
 * Fills the options' variables, and @tool from the options that all commands have. False: nothing
 * is to be done (help was shown, or a mistake named); return @ret_ending.
 */
bool options_read(struct tool *tool, const struct usage *usage, int argc, char **argv,
	char ***ret_args, int *ret_n_args, int *ret_ending);

/* The value of an option that names one of @words; true also if it was not given (0). */
bool option_word(const char *option, const char *value, const struct words *words,
	uint8_t *ret_value, int *ret_ending);
/* A date (the first millisecond of it); true also if it was not given (@ret_ms is then untouched). */
bool option_date(const char *option, const char *value, uint64_t *ret_ms, int *ret_ending);
/* A whole number; true also if it was not given (@ret_n is then untouched). */
bool option_number(const char *option, const char *value, uint64_t *ret_n, int *ret_ending);
/* A line of 1 to @max bytes, normalised; on the heap, also where it is not that. DONE, or an ending with its words. */
int option_line(const char *option, const char *text, size_t max, struct span *ret_line);
/* --reason of what is written down with its user's name; likewise. NULL: it was not given. */
int option_reason(const char *reason, struct span *ret_reason);
