/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * core_internal - what core.c and the files that answer its requests share, and nobody else
 */
#include "node/author.h"
#include "node/core.h"
#include "node/disclosure.h"
#include "node/receive.h"
#include "node/recovery.h"
#include "node/rules.h"
#include "store/changes.h"
#include "store/fold_offices.h"
#include "store/private.h"

/* A request of this turn; one that only reads is answered after the commit, from what was committed. */
struct core_asked {
	struct span client;
	struct request request;
	bool writes;
};

/* An answer; its frame as an offset into the turn's buffer, which may move while the turn lasts. */
struct core_answer {
	struct span client;
	size_t frame, frame_len;
	bool to_guest;
};

/* A key to be destroyed, and who asked for that. */
struct core_erased {
	struct keyring_key key;
	struct span client;
	uint64_t number;
	bool answered; /* in a turn before: it could not be destroyed then */
};

/* Whose key may connect to ask to be enrolled, and until when. */
struct core_guest {
	struct id office;
	uint8_t key[OFFICE_CURVE_LEN];
	uint64_t until_ms;
	uint64_t look_at_ms; /* what it asks before is dropped; monotonic */
};

/* What decides whether the line to the parent is kept closed; on the wall clock, to outlast a restart. */
struct core_line {
	uint64_t paused_ms; /* somebody said so then; 0: nobody did */
	uint64_t until_ms;  /* 0: until it is resumed */
	uint64_t day_end_ms; /* the day to which belong so many */
	uint64_t n_bytes;   /* that went over it, both ways */
	bool counted;       /* some of them are not in the store yet */
};

struct core {
	struct store *store;
	const struct config *config;
	const struct core_keys *keys;
	const struct core_io *io;
	struct office_register reg;
	struct signer *signer;     /* of what is committed: the one that was given, or own_signer */
	struct signer *own_signer; /* NULL: the key has not changed since the start */
	struct signer *next_signer; /* of this turn; NULL: it stays */
	struct author author;
	struct fold fold;
	struct fold_sink fold_sink;
	struct receive *receive;
	struct receive_sink receive_sink;
	struct core_guest *guests;
	size_t n_guests;
	struct core_disclosures disclosures;
	struct core_line line;
	struct compress_work *work;
	struct link **links; /* sorted by neighbour */
	size_t n_links;
	size_t first_link; /* whose turn it is to push first */
	struct held_oplog **oplogs; /* every oplog here by its number, from 1; entries stay where they are */
	size_t n_oplogs;

	/* the turn */
	struct txn *txn; /* NULL: nothing has been written yet */
	uint64_t wall_ms, now_ms;
	size_t n_records;
	int failed;      /* the first -errno: the turn ends with it */
	bool full;       /* hardly any room is left: nothing new is taken in */
	uint64_t full_until_ms; /* after a turn for which there was no room, monotonic */
	struct writer answers;
	struct core_answer *answer_list;
	size_t n_answers, cap_answers;
	struct core_asked *asked;
	size_t n_asked, cap_asked;
	uint64_t first_change; /* number of the turn's first change row; 0: none */
	struct recovery recovery;
	enum control_result barred; /* why nothing is written; 0: it is */
	bool recovered;
	bool joined;
	bool parted;         /* an office may be no neighbour any more */
	bool moved;          /* one has another parent now */
	bool told_private;   /* the answers are wiped when they were given */
	bool heard_private;  /* and the requests */
	struct core_erased *erased; /* keys to be destroyed after the commit */
	size_t n_erased;
	struct private_shut shut;   /* what was kept and cannot be opened, as of the start */
	struct case_row changed_row; /* of the record folded last */
	bool changed;

	uint32_t serial_year, serial; /* running number of references; 0: not loaded */
	bool serial_dirty;
	uint64_t overdue_at_ms; /* when the clocks are looked at next, monotonic */
	size_t overdue_rule;    /* where looking goes on, among the rules times the kinds of clocks */
	uint64_t overdue_from_ms;
	uint64_t receipts_at_ms; /* and receipts written; 0: the first turn is still to come */
	uint64_t shown_at_ms; /* and what others were shown compared; 0: likewise */
	size_t shown_next;    /* where comparing goes on, among the oplogs */
	uint64_t readers_at_ms; /* and the reader slots */
	char address[CONFIG_ADDRESS_MAX + 1];
	uint64_t started_ms;
	uint64_t turns;
	uint64_t refusals[REFUSAL_N];
};

/* The turn's write transaction, begun on the first need. 0 or -errno. */
int core_txn(struct core *core, struct txn **ret_txn);
/* What a link needs of the core in this turn. */
struct link_io core_link_io(struct core *core);
/* Begins an answer to @client in the turn's buffer; core_answer_end() closes it. */
void core_answer_begin(struct core *core, struct span client);
int core_answer_end(struct core *core);
int core_answer_failure(struct core *core, struct span client, uint64_t number,
	enum control_result result, uint64_t index, struct span detail);

/* judge.c */
struct fold_sink core_fold_sink(struct core *core);
struct receive_sink core_receive_sink(struct core *core);
/* Writes, folds and judges one record of our own. 0, AUTHOR_TOO_LONG or -errno. */
int core_write(struct core *core, enum lane lane, const struct record *rec, const struct id *audience,
	size_t n_audience);
/* Folds and judges a record of another office that was just kept. 0 or -errno. */
int core_kept(struct core *core, const struct oplog_id *oplog, uint64_t index, uint64_t arrival, struct span bytes);
/* An office has signed two histories: a record of ours proves it to everybody. 0 or -errno. */
int core_take_fork(struct core *core, const struct fork *fork);
/* Escalates what became overdue, if it is time to look. 0 or -errno. */
int core_look_at_clocks(struct core *core);
/* This office's counts that changed in this turn, as records. 0 or -errno. */
int core_publish_counts(struct core *core);
/* All of this office's counts once more, the change stream beyond a gap. 0 or -errno. */
int core_publish_all_counts(struct core *core);
/* Counts of this office as records of @kind. 0 or -errno. */
int core_write_counts(struct core *core, uint8_t kind, const struct tally_entry *entries, size_t n_entries);

/* bundle.c: within the turn's transaction; after it, with a read transaction. 0 or -errno. */
int core_import(struct core *core, struct span client, const struct request *request);
int core_export(struct core *core, struct txn *txn, const struct core_asked *query);
/* line.c */
int core_line_load(struct core *core, struct txn *txn); /* 0 or -errno */
/* Why the line is closed, or open for the urgent lane alone. */
struct line_report core_line_report(const struct core *core);
/* Counts what went over it; what was counted, into the turn's transaction. 0 or -errno. */
void core_line_count(struct core *core);
int core_line_keep(struct core *core);
/* Within the turn's transaction. 0 or -errno. */
int core_hold_line(struct core *core, struct span client, const struct request *request);

/* neighbours.c */
int core_load_neighbours(struct core *core); /* 0 or -errno */
void core_unload_neighbours(struct core *core);
/* NULL: there is none. */
struct link *core_find_link(struct core *core, const struct id *neighbour);
struct link *core_uplink(struct core *core); /* to the parent */
/* Opens a link to the office, if it is a neighbour. 0 or -errno. */
int core_meet_office(struct core *core, struct txn *txn, const struct office *office);
/* To neighbours that the register has now and had not before. 0 or -errno. */
int core_meet_neighbours(struct core *core);
/* After the commit: lets links go to whom this turn made no neighbour any more. 0 or -errno. */
int core_part(struct core *core, struct link_io *io, struct txn *txn);
int core_oplog_grown(void *core, const struct oplog *oplog);

/* intake.c, enrolment.c, lifecycle.c, invitations.c, private.c, requests.c: within the turn's transaction. queries.c: after it. 0 or -errno. */
int core_submit(struct core *core, struct span client, struct request *request);
int core_add_office(struct core *core, struct span client, const struct request *request);
int core_join(struct core *core, struct span client, const struct request *request);
int core_change_office(struct core *core, struct span client, const struct request *request);
int core_move_office(struct core *core, struct span client, const struct request *request);
int core_unfork(struct core *core, struct span client, const struct request *request);
int core_rotate(struct core *core, struct span client, const struct request *request);
int core_read_private(struct core *core, struct span client, const struct request *request);
int core_erase_private(struct core *core, struct span client, const struct request *request);
int core_invite(struct core *core, struct span client, const struct request *request);
int core_decide(struct core *core, struct span client, const struct request *request);
int core_ask(struct core *core, struct span client, const struct request *request);
int core_answer_request(struct core *core, struct span client, const struct request *request);
int core_load_guests(struct core *core, struct txn *txn);
/* Enrols an office below this one, perhaps again: its record. 0, CONTROL_NO_MORE_BELOW or -errno. */
int core_enrol(struct core *core, struct office *office);
/* Whether this office handed @entry's over to one that has said nothing of it here: it may take it back, or has it back. */
bool core_may_take_back(const struct core *core, const struct register_entry *entry);
/* Writes receipts for what has come, if it is time. 0 or -errno. */
int core_write_receipts(struct core *core);
/* Compares what those below say that they were shown with what is here, if it is time. 0 or -errno. */
int core_look_at_shown(struct core *core);
/* Says in the first record of a life where the one before ended. 0 or -errno. */
int core_begin_term(struct core *core, const struct office_end *end);
/* Goes on counting what this office counted and has only hashes of now. 0 or -errno. */
int core_carry_counts(struct core *core);
/* Writes that an office forked, or that this is settled. 0 or -errno. */
int core_write_fork(struct core *core, const struct fork *fork);
/* That so many offices are above that an answer could not name one below this one too. */
bool core_too_deep(const struct core *core);
/* The answer file for a child that was enrolled. 0, ENROL_MALFORMED (more levels than fit) or -errno. */
int core_enrol_answer(struct core *core, const struct id *child, struct span address, struct writer *w);
/*
 * This office or the one below it that has the code or a key of @office already: references are made of
 * codes, and keys say who speaks. NULL: there is none.
 */
const struct register_entry *core_taken_by(const struct core *core, const struct office *office);
/* Destroys the keys of what was erased: after the commit. Only then who asked for it is told. 0 or -errno. */
int core_destroy_keys(struct core *core);
/* Forgets what a turn that was given up was to erase. */
void core_keep_keys(struct core *core);
int core_query(struct core *core, struct txn *txn, const struct core_asked *query);
