/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * control - what a tool asks of a running node over its control socket, and the answers
 *
 * A request is [number, command, arguments...], an answer [number, result, values...]; the number
 * is the asker's and comes back, so that many requests can be under way. A result other than
 * CONTROL_OK means that nothing of the request was done.
 *
 *   SUBMIT      [check only, [draft, ...]]  -> [[outcome, record id, reference], ...]
 *   STATUS      []                          -> [status fields, see struct control_status]
 *   ADD_OFFICE  [request file, address]     -> [answer file]
 *   JOIN        [answer file]               -> []
 *   SINCE       [number, max]               -> [[change row, ...], last number]
 *   SNAPSHOT    [after key]                 -> [[tally entry, ...], number, next key or nil]
 *   READ        [record id, who, reason]    -> [private part]
 *   ERASE       [record id, who, reason]    -> []
 *   INVITE      [code, code digits, level, name, address, valid_ms, automatic] -> [text, office id]
 *   ACCEPT      [office id]                 -> []         of who asked with an invitation
 *   DECLINE     [office id]                 -> []
 *   CHANGE_OFFICE [office id, code, code digits, level, name, state] -> []  of one directly below, or the topmost itself
 *   UNFORK      [office id]                 -> []
 *   MOVE_OFFICE [office id, new parent's id] -> []        of one directly below; to this office: takes it back
 *   EXPORT      [office id, max, from]      -> [[message, ...], records, next]  for a bundle (bundle.h); from and next:
 *                                              [office, epoch, lane, size], or nil: the beginning, the end
 *   IMPORT      [office id, [message, ...]] -> [new records, [[office, epoch, lane, size, reason], ...]]
 *   HOLD_LINE   [held, until_ms]            -> []         the line to the parent is kept closed; 0: until it is not
 *   ROTATE      []                          -> []         to the key in the file beside the present one
 *   ASK         [body of a request]         -> [outcome, record id]  for a case; asked is any office below, whose case it is
 *   GRANT       [record id, who]            -> []         of a request
 *   DENY        [record id, who, reason]    -> []
 *
 * A draft is [kind, organisation, lane, id or nil, body, private part or nil]: a record that the node
 * will complete, number, encode and sign. All drafts of a request are kept, or none; with check only, none, and the
 * answer says what would be: of what would be added, a nil id and no reference. A draft with an id
 * that is already held adds nothing and is answered OUTCOME_HELD.
 *
 * A failure is [number, result, index, detail, ...]; to a SUBMIT that cannot be kept, an array of
 * [result, index, detail] follows, with what is wrong with the drafts after that one.
 */
#include "proto/bundle.h"
#include "proto/codec.h"
#include "proto/kinds/inquiry.h"
#include "proto/kinds/office.h"
#include "proto/message.h"
#include "proto/record.h"
#include "proto/trouble.h"

enum {
	CONTROL_MAX = 24 * 1024 * 1024, /* bytes of a request or an answer */
	CONTROL_DRAFTS_MAX = 65536,
	CONTROL_DETAIL_MAX = 512,
	CONTROL_KEY_MAX = 511,   /* of SNAPSHOT: the store's longest */
	CONTROL_ROWS_MAX = 1000, /* in one answer to SINCE or SNAPSHOT */
	CONTROL_FAULTS_MAX = 100, /* in one answer to SUBMIT */
	CONTROL_STATUS_VALUES = 9,
};

enum {
	CONTROL_MALFORMED = 1,
};

enum command {
	COMMAND_SUBMIT = 1,
	COMMAND_STATUS = 2,
	COMMAND_ADD_OFFICE = 3,
	COMMAND_JOIN = 4,
	COMMAND_SINCE = 5,
	COMMAND_SNAPSHOT = 6,
	COMMAND_READ = 7,
	COMMAND_ERASE = 8,
	COMMAND_INVITE = 9,
	COMMAND_ACCEPT = 10,
	COMMAND_DECLINE = 11,
	COMMAND_CHANGE_OFFICE = 12,
	COMMAND_ROTATE = 13,
	COMMAND_UNFORK = 14,
	COMMAND_MOVE_OFFICE = 15,
	COMMAND_EXPORT = 16,
	COMMAND_IMPORT = 17,
	COMMAND_HOLD_LINE = 18,
	COMMAND_ASK = 20,
	COMMAND_GRANT = 21,
	COMMAND_DENY = 22,
};

/* The CLI turns each into a sentence; detail is the part of it that only the node knows. */
enum control_result {
	CONTROL_OK = 0,
	CONTROL_BAD_REQUEST = 1,     /* not understood: another version, or damaged */
	CONTROL_FULL = 2,            /* the disk or the store's limit; nothing was kept */
	CONTROL_NO_CASE = 3,         /* no such petition here */
	CONTROL_NOT_HOLDER = 4,      /* another office must act next; detail: its name */
	CONTROL_WRONG_STATE = 5,     /* this step cannot follow; detail: the present state's name */
	CONTROL_BAD_FIELD = 6,       /* detail: the field */
	CONTROL_CONFLICT = 7,        /* the id is held with other content; detail: the field */
	CONTROL_NOT_ABOVE = 8,       /* a petition can only be handed over to the parent */
	CONTROL_ALREADY = 9,         /* joined already, or enrolled already with other keys */
	CONTROL_BAD_FILE = 10,       /* damaged, or signed by another key */
	CONTROL_TOO_OLD = 11,        /* SINCE: those changes are no longer kept: take a snapshot */
	CONTROL_NOT_FOR_US = 12,     /* JOIN: the answer is for another office */
	CONTROL_FAILED = 13,         /* the node cannot go on; detail says why */
	CONTROL_NO_ADDRESS = 14,     /* ADD_OFFICE: the node listens nowhere and none was given */
	CONTROL_TOO_MANY = 15,       /* the petition has as many steps as one can have, the office as many keys, or moves */
	CONTROL_TAKEN = 16,          /* ADD_OFFICE: detail: who has that code or key already */
	CONTROL_NO_PRIVATE = 17,     /* the record has no private part here */
	CONTROL_ERASED = 18,         /* its private part was erased */
	CONTROL_PRIVATE_LOST = 19,   /* the key to its private part is not here; detail: in which file it was */
	CONTROL_NOT_ASKED = 20,      /* nobody waits to be enrolled as this office */
	CONTROL_NOT_BELOW = 21,      /* CHANGE_OFFICE: it is not directly below this one */
	CONTROL_REVOKED = 22,        /* CHANGE_OFFICE: it was revoked, which is for ever */
	CONTROL_NOT_FORKED = 24,     /* UNFORK: there is nothing to settle */
	CONTROL_RESTORING = 25,      /* a store that was put back: what the parent has comes first */
	CONTROL_OLD_COPY = 26,       /* the parent has more of this office than is here */
	CONTROL_OLD_KEYS = 27,       /* the office changed its key after the copy was made */
	CONTROL_CLOSED = 23,         /* this office was closed: it takes nothing new in */
	CONTROL_NOT_THERE = 29,      /* MOVE_OFFICE: the new parent is not known here, or below the office itself */
	CONTROL_HOLDS_CASES = 30,    /* MOVE_OFFICE: cases of the office are held here */
	CONTROL_TOO_DEEP = 28,       /* as many levels are above as an answer can name */
	CONTROL_FORKED = 36,         /* MOVE_OFFICE: its fork is not settled */
	CONTROL_BEHIND = 37,         /* MOVE_OFFICE: the office above has not all that is here of it */
	CONTROL_NO_MORE_BELOW = 38,  /* as many offices are below this one, or one above it, as the others keep */
	CONTROL_UNSEALED = 31,       /* who brings a denunciation comes sealed, or not at all */
	CONTROL_OTHER_KEY = 32,      /* an office that ran twice changed its key on this side alone */
	CONTROL_KEY_LEFT = 33,       /* its private part is gone, and the key to it still in the file that detail names */
	CONTROL_NO_REQUEST = 40,     /* GRANT, DENY: the office above has not asked that of this one */
	CONTROL_ANSWERED = 41,       /* GRANT, DENY: it was */
	CONTROL_READABLE = 42,       /* ASK: it can be read here already */
	CONTROL_NOT_NEIGHBOUR = 44,  /* EXPORT, IMPORT: not the office above, nor one directly below */
	CONTROL_SEVERAL = 43,        /* GRANT: several petitions have the reference that was asked for */
};

enum outcome {
	OUTCOME_ADDED = 0,
	OUTCOME_HELD = 1, /* the same record is already here */
};

struct draft {
	uint8_t kind;
	uint8_t organisation;
	uint8_t lane;
	bool has_id;
	struct id id;
	struct span body;
	struct span private; /* kinds/private.h; empty: none */
};

struct request {
	uint64_t number;
	uint8_t command;        /* one not known here has no arguments, and is answered BAD_REQUEST */
	bool check_only;        /* SUBMIT */
	uint64_t n_drafts;      /* SUBMIT */
	struct reader drafts;   /* SUBMIT: see control_draft_next() */
	struct span file;       /* ADD_OFFICE, JOIN */
	struct span address;    /* ADD_OFFICE, INVITE; may be empty */
	struct office office;   /* INVITE: code, level, name; CHANGE_OFFICE: also id, state */
	uint64_t valid_ms;      /* INVITE */
	bool automatic;         /* INVITE */
	bool held;              /* HOLD_LINE */
	uint64_t until_ms;      /* HOLD_LINE */
	uint64_t since;         /* SINCE */
	uint64_t max;           /* SINCE; EXPORT: bytes */
	struct held from;       /* EXPORT; office nil: from the beginning */
	struct reader messages; /* IMPORT: see control_message_next() */
	struct span after;      /* SNAPSHOT; empty: from the beginning */
	struct inquiry inquiry; /* ASK */
	struct id record;       /* READ, ERASE, as the next two; GRANT, DENY; ACCEPT, DECLINE, UNFORK, EXPORT, IMPORT: the office */
	struct span who;        /* the user of the machine */
	struct span reason;
};

/* What is wrong with one draft. */
struct control_fault {
	enum control_result result;
	uint64_t index;         /* which draft, counted from 0 */
	struct span detail;
};

/* The beginning of every answer; @values is left where the values begin. */
struct answer {
	uint64_t number;
	uint64_t result;
	uint64_t index;         /* not OK: which draft, counted from 0 */
	struct span detail;     /* not OK */
	struct reader values;   /* the rest of the array, by read_*(); not OK: see control_fault_next() */
};

/* How a link stands, as `queue` and `status` show it. */
enum link_report_state {
	LINK_REPORT_DOWN = 0,
	LINK_REPORT_GREETING = 1,
	LINK_REPORT_STREAMING = 2,
};

struct link_report {
	struct id office;
	bool up;               /* towards the parent */
	uint8_t state;
	uint64_t since_ms;     /* wall clock */
	uint64_t last_progress_ms; /* wall clock; 0: never in this run */
	struct trouble trouble; /* why nothing moves */
	int64_t clock_skew_ms; /* theirs less ours at the last HELLO */
};

/* Why this office keeps the line to its parent closed, or open for what is urgent alone. */
struct line_report {
	uint8_t why;       /* enum trouble_code: PAUSED, HOURS, BUDGET; NONE: it does not */
	uint64_t since_ms; /* wall clock, as the next; 0: not known */
	uint64_t until_ms; /* 0: until somebody says so */
};

/* Answer values to STATUS: [pid, started_ms, version, turns, [[reason, n], ...], [link, ...], line in three values]. */
struct control_status {
	uint64_t pid;
	uint64_t started_ms;
	struct span version;
	uint64_t turns;
	uint64_t refusals[REFUSAL_N]; /* by enum refusal, since the start */
	size_t n_links;
	struct reader links;   /* see control_link_next() */
	struct line_report line;
};

/* 0, or CONTROL_MALFORMED with nothing but the request's number, 0 where that cannot be read either. */
int control_request_decode(struct span in, struct request *ret_request);
bool control_draft_next(struct request *request, struct draft *ret_draft); /* false at the end */
bool control_message_next(struct request *request, struct span *ret_message); /* false at the end */
int control_answer_decode(struct span in, struct answer *ret_answer);
/* The fault after the last one; the first is the answer itself. False at the end. */
bool control_fault_next(struct answer *answer, struct control_fault *ret_fault);

/* Requests. For SUBMIT: control_write_submit(), then n_drafts times control_write_draft(). */
void control_write_submit(struct writer *w, uint64_t number, bool check_only, size_t n_drafts);
void control_write_draft(struct writer *w, const struct draft *draft);
void control_write_status(struct writer *w, uint64_t number);
void control_write_add_office(struct writer *w, uint64_t number, struct span file, struct span address);
void control_write_join(struct writer *w, uint64_t number, struct span file);
void control_write_since(struct writer *w, uint64_t number, uint64_t since, uint64_t max);
void control_write_snapshot(struct writer *w, uint64_t number, struct span after);
/* READ or ERASE. */
void control_write_private(struct writer *w, uint64_t number, enum command command,
	const struct id *record, struct span who, struct span reason);
void control_write_invite(struct writer *w, uint64_t number, const struct office *office,
	struct span address, uint64_t valid_ms, bool automatic);
/* What @office shall be called from now on, and its state. */
void control_write_change_office(struct writer *w, uint64_t number, const struct office *office);
/* Keeps the line to the parent closed, until a time or (0) until it is not @held any more. */
void control_write_hold_line(struct writer *w, uint64_t number, bool held, uint64_t until_ms);
void control_write_rotate(struct writer *w, uint64_t number);
void control_write_move_office(struct writer *w, uint64_t number, const struct id *office, const struct id *parent);
void control_write_export(struct writer *w, uint64_t number, const struct id *office, uint64_t max,
	const struct held *from);
/* @messages: as they come from a bundle; what is no array of them is not understood. */
void control_write_import(struct writer *w, uint64_t number, const struct id *office, struct span messages);
/* @inquiry's asked is the office whose case it is: the node finds whom to ask. */
void control_write_ask(struct writer *w, uint64_t number, const struct inquiry *inquiry);
/* GRANT, or DENY with @reason. */
void control_write_reply(struct writer *w, uint64_t number, enum command command, const struct id *request,
	struct span who, struct span reason);
/* ACCEPT, DECLINE or UNFORK. */
void control_write_decision(struct writer *w, uint64_t number, enum command command,
	const struct id *office);

/* Answers: control_write_ok() opens the array for @n_values values that the caller then writes. */
void control_write_ok(struct writer *w, uint64_t number, size_t n_values);
void control_write_failure(struct writer *w, uint64_t number, enum control_result result,
	uint64_t index, struct span detail); /* at most CONTROL_DETAIL_MAX bytes */
/* Every fault of a SUBMIT, at least one and at most CONTROL_FAULTS_MAX, in order of index. */
void control_write_faults(struct writer *w, uint64_t number, const struct control_fault *faults,
	size_t n_faults);
/* After control_write_ok() for CONTROL_STATUS_VALUES; @status' n_links and links are not looked at. */
void control_write_status_values(struct writer *w, const struct control_status *status,
	const struct link_report *links, size_t n_links);
/* Of EXPORT: how far it came, as its next @from. */
void control_write_from(struct writer *w, const struct held *from);
void control_read_from(struct reader *r, struct held *ret_from);
/* Of IMPORT: one that was refused. */
void control_write_refused(struct writer *w, const struct refuse *refuse);
void control_read_refused(struct reader *r, struct refuse *ret_refuse); /* without its text */
int control_status_read(struct answer *answer, struct control_status *ret_status);
bool control_link_next(struct control_status *status, struct link_report *ret_link);
