/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * import - what clerks write (a CSV file, or the options of one command) into drafts for the node
 *
 * Pure: knows the store only through struct import_context. Every fault of a file is found, not
 * only the first; a file with a fault gives nothing to send.
 *
 * A row of a file has an id that follows from what the row is about (office, kind, number and year
 * of the paper register; for a step, all of it), so that the same file imported again adds nothing.
 */
#include "proto/control.h"
#include "tools/csvfile.h"

enum import_type {
	IMPORT_PETITIONS,
	IMPORT_STEPS,
	IMPORT_MEETINGS,
	IMPORT_N,
};

/* The columns of each type, in the order in which import_one() takes them. */
enum {
	PETITION_COLUMN_NUMBER,
	PETITION_COLUMN_RECEIVED,
	PETITION_COLUMN_ORGANISATION,
	PETITION_COLUMN_KIND,
	PETITION_COLUMN_VILLAGE,
	PETITION_COLUMN_CATEGORY,
	PETITION_COLUMN_CHANNEL,
	PETITION_COLUMN_PEOPLE,
	PETITION_COLUMN_URGENT,
	PETITION_COLUMN_TEXT,
	PETITION_COLUMN_ASKED_OF,
	PETITION_COLUMN_PETITIONER, /* private, as the next two; a file need not have them */
	PETITION_COLUMN_CONTACT,
	PETITION_COLUMN_ADDRESS,
	PETITION_COLUMN_N,
};

enum {
	STEP_COLUMN_PETITION,
	STEP_COLUMN_STEP,
	STEP_COLUMN_DATE,
	STEP_COLUMN_TO,
	STEP_COLUMN_DUE,
	STEP_COLUMN_TEXT,
	STEP_COLUMN_N,
};

enum {
	MEETING_COLUMN_NUMBER,
	MEETING_COLUMN_DATE,
	MEETING_COLUMN_ORGANISATION,
	MEETING_COLUMN_TYPE,
	MEETING_COLUMN_HOST,
	MEETING_COLUMN_ATTENDANCE,
	MEETING_COLUMN_OPINIONS,
	MEETING_COLUMN_ON_THE_SPOT,
	MEETING_COLUMN_LATER,
	MEETING_COLUMN_PENDING,
	MEETING_COLUMN_TOPIC,
	MEETING_COLUMN_N,
};

enum {
	IMPORT_COLUMNS_MAX = 14,
};

/* What the functions below may answer. */
enum import_lookup {
	IMPORT_FOUND = 0,
	IMPORT_NONE,
	IMPORT_MANY,        /* a number or reference that several petitions have */
	IMPORT_WRONG_CHECK, /* a reference with a digit misread */
};

/* What the steps of a petition must know of it. */
struct import_case {
	struct id id;
	uint8_t organisation;
	uint64_t received_ms;
};

/* A petition or meeting that is kept already. */
struct import_held {
	struct id id;
	uint8_t organisation;
	uint64_t reference; /* 0: a meeting */
	struct span body;   /* borrowed from whoever found it */
};

struct import_context {
	void *userdata;
	struct id own;
	struct span secret; /* of this office's store: nobody else can say which id a row will have */
	/* To which who brings a denunciation is sealed (proto/denunciation.h); NULL: there is none. */
	const uint8_t *denunciation_key;
	bool denunciation_key_damaged; /* there is one that cannot be used */
	uint64_t now_ms; /* by this computer's clock; what is done cannot be later than tomorrow */
	/* The petition with this id, reference or number. */
	enum import_lookup (*find_case)(void *userdata, struct span name,
		struct import_case *ret_case);
	/* After IMPORT_MANY: which they are, for people; heap, NULL without memory. */
	char *(*list_cases)(void *userdata, struct span name);
	/* The office with this code, if a petition can be handed to it. */
	enum import_lookup (*find_office)(void *userdata, struct span code, struct id *ret_id);
	/* The @nth record of this office, from 0, that has this number in the book of that year. */
	enum import_lookup (*find_number)(void *userdata, uint8_t kind, struct span number,
		unsigned year, size_t nth, struct import_held *ret_held);
	/* NULL: nobody looks on. */
	void (*progress)(void *userdata, size_t done, size_t total);
};

struct import_fault {
	uint64_t line;      /* 0: the file as a whole */
	const char *column; /* NULL: the line as a whole */
	char *text;         /* a sentence for people, translated */
	unsigned order;     /* within a line: as its columns are */
	bool rule;          /* well written, and not allowed in this office */
};

struct import_row {
	uint64_t line;
	struct draft draft;
	struct span name;  /* the number, or which petition; for messages */
	struct hash key;   /* what the row is about */
	uint64_t date_ms;
	size_t body_at;
	size_t private_at;
	bool faulty;
};

struct import {
	enum import_type type;
	struct csvfile file;
	struct writer bodies;
	struct writer privates; /* wiped by import_done() */
	struct import_row *rows;
	size_t n_rows;
	size_t cap_rows;
	struct import_fault *faults; /* in order of line and column */
	size_t n_faults;
	size_t cap_faults;
};

/* The words of the command line: "petitions", "steps", "meetings". */
const char *import_type_name(enum import_type type);
/* The name of a column, as in a header line; NULL: there are no more. */
const char *import_column(enum import_type type, unsigned column);

/* Reads a whole file. 0 (look at the faults) or -errno; free with import_done() in both cases. */
int import_file(enum import_type type, const struct import_context *context, struct span bytes,
	struct import *ret_import);
/* As one row, without a number that must be there, and without an id: @cells as the columns. */
int import_one(enum import_type type, const struct import_context *context,
	const struct span *cells, struct import *ret_import);
void import_done(struct import *import);
