/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * output - what people and programs are shown: messages, tables, JSON
 *
 * Nothing that came from outside reaches a terminal with its control characters. A listing is
 * filled once, cell by cell, and shown as a table, as cards (a line for each column) or as JSON.
 */
#include <jansson.h>

#include "proto/base.h"
#include "proto/text.h"
#include "tools/words.h"

/* How a command ends; main() returns it. */
enum ending {
	DONE = 0,
	FAILED = 1,
	MISUSED = 2,
	REFUSED = 3, /* understood, and not allowed by a rule */
};

/* Each says its sentence on stderr and returns the ending, so that one can return it in turn. */
__attribute__((format(printf, 1, 2))) int fail(const char *format, ...);
__attribute__((format(printf, 1, 2))) int misuse(const char *format, ...);
__attribute__((format(printf, 1, 2))) int refuse(const char *format, ...);
int fail_memory(void);
/* To stdout. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);

/* A text that N_() marks: for people in their language, for a program (@json) as it stands. */
__attribute__((format_arg(2))) const char *for_reader(bool json, const char *text);
const char *error_text(bool json, int error); /* of an errno, likewise */

/* To stdout, with spaces behind it up to @width columns of the terminal. */
void put_padded(const char *text, size_t width);
/* To stdout, divided between words; further lines begin at @indent. */
void put_wrapped(const char *text, size_t indent, size_t width);

/* A copy without control characters but \n and \t; heap, NULL without memory. */
char *clean(const char *text, size_t len);

struct column {
	const char *key;   /* in JSON; NULL: only for people */
	const char *title; /* N_(); NULL: only in JSON */
	uint8_t width_max; /* in a table, in columns of the terminal; 0: whole */
	bool right;
};

struct listing {
	const struct column *columns;
	size_t n_columns;
	json_t *rows;
	char **cells; /* what people see, row by row */
	size_t n_cells;
	size_t cap_cells;
	bool failed;  /* sticky: out of memory */
};

void listing_init(struct listing *listing, const struct column *columns, size_t n_columns);
void listing_done(struct listing *listing);
/* Overwrites what it shows, which must not stay in memory; then only listing_done() may follow. */
void listing_wipe(struct listing *listing);

/* The next cell, in the order of the columns; consumes @value. */
__attribute__((format(printf, 3, 4))) void cell(struct listing *listing, json_t *value,
	const char *format, ...);
void cell_text(struct listing *listing, struct span text);
void cell_str(struct listing *listing, const char *text);
void cell_count(struct listing *listing, uint64_t n);
void cell_bytes(struct listing *listing, uint64_t n);
void cell_time(struct listing *listing, uint64_t ms); /* 0: nothing */
void cell_date(struct listing *listing, uint64_t ms); /* 0: nothing */
void cell_age(struct listing *listing, uint64_t ms);
void cell_bool(struct listing *listing, bool value);
void cell_word(struct listing *listing, const struct words *words, uint64_t value);
void cell_id(struct listing *listing, const struct id *id);
void cell_reference(struct listing *listing, uint64_t reference);
void cell_none(struct listing *listing);

/* As JSON (an array) or as a table, or @nothing where it has no rows. Returns an ending. */
int listing_show(const struct listing *listing, bool json, const char *nothing);
void listing_table(const struct listing *listing);
void listing_cards(const struct listing *listing);
json_t *listing_rows(const struct listing *listing);   /* a new reference */
json_t *listing_object(const struct listing *listing); /* of its first row; a new reference */
int json_show(json_t *value);                          /* consumes; returns an ending */
/* On one line. */
int json_line(json_t *value);
/*
 * A sentence on what is kept from here on, whatever becomes of what is to be shown of it: it is said
 * where that cannot be written.
 */
__attribute__((format(printf, 1, 2))) void output_kept(const char *format, ...);
/* Ends the output: all of it is written, or @ending gives way to one that says why it is not. */
int output_finish(int ending);

/* "3 d 4 h", "12 min" */
void format_age(uint64_t ms, char *ret_text, size_t size);
void format_bytes(uint64_t n, char *ret_text, size_t size);
/* "90.0 %", half up; "-" of nothing. */
void format_share(uint64_t part, uint64_t whole, char *ret_text, size_t size);
/* The same for JSON: a number with one decimal, or null. */
json_t *json_share(uint64_t part, uint64_t whole);
