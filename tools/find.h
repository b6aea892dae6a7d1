/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * find - which case a clerk means: by reference, by the number in the paper register, or by id
 */
#include "store/cases.h"
#include "tools/home.h"
#include "tools/import.h"

struct book_entry {
	struct id id;
	uint8_t kind;
	uint8_t organisation;
	uint32_t origin;
	uint64_t reference;
	uint64_t date_ms;
	struct span number; /* borrowed from the store, as the body */
	struct span body;
};

/* Every case that can be read here, sorted by number. */
struct book {
	const struct home *home;
	struct book_entry *entries;
	size_t n;
	size_t cap;
};

/* 0 or -errno; free with book_done() in both cases. */
int book_init(struct book *book, const struct home *home);
void book_done(struct book *book);

enum import_lookup book_find_petition(const struct book *book, struct span name,
	const struct book_entry **ret_entry);
/* Office, date and id of each petition that has this name, for IMPORT_MANY; heap, NULL without memory. */
char *book_list_petitions(const struct book *book, struct span name);
/* The @nth record of this office, from 0, under a number of a year's book; NULL: none. */
const struct book_entry *book_find_number(const struct book *book, uint8_t kind, struct span number,
	unsigned year, size_t nth);

/* What import.h asks; @userdata of the context is @book. */
void book_context(struct book *book, struct import_context *ret_context);

/* The petition meant by @name. DONE, or an ending, having said why. */
int find_petition(const struct home *home, const char *name, struct id *ret_id,
	struct case_row *ret_row);
/*
 * That no record of this office has @number (NULL: none is wanted) in the book of the year of @date.
 * DONE, also where either cannot be read, or an ending, having said which one has it.
 */
int find_number_free(const struct tool *tool, uint8_t kind, const char *number, const char *date);
