/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * home - the directory of an office: its store, opened for reading, and its register in memory
 *
 *   HOME/store         the store          HOME/control.sock  where the node takes requests
 *   HOME/keys          private keys       HOME/stream.sock   where it publishes changes
 *   HOME/request       for the parent     HOME/denunciation.key  to which who denounces is sealed
 *
 * Works with the node up or down, and on a copy. All is read in one state of the store.
 */
#include "proto/record.h"
#include "store/offices.h"
#include "store/oplog.h"
#include "tools/tool.h"

struct home {
	struct store *store;
	struct txn *txn;
	uint32_t epoch;
	struct span import_secret;         /* borrowed; empty in a store that lienthong did not make */
	const struct office_row *own;
	struct office_row *offices;        /* by number */
	size_t n_offices;
	size_t cap_offices;
	const struct office_row **by_id;   /* sorted by id */
};

/*
 * Where a root user works on a directory of another user, becomes that user for good: whoever reads
 * the store writes to its lock file, and one that belongs to root would lock the node out. 0 or an
 * ending, having said why.
 */
int home_become_owner(const char *path);
/* DONE, or an ending, having said why. */
int home_open(const struct tool *tool, struct home *ret_home);
/* Says nothing, and becomes nobody. 0, an outcome of store.h, or -errno. */
int home_try(const struct tool *tool, struct home *ret_home);
void home_close(struct home *home);
/* Says why the store cannot be opened: an outcome of store.h or -errno; returns the ending. */
int home_open_failed(const struct tool *tool, int r);

/* HOME/@name; heap, NULL without memory. */
char *home_path(const struct tool *tool, const char *name);

const struct office_row *home_office(const struct home *home, uint32_t number); /* NULL: unknown */
const struct office_row *home_office_by_id(const struct home *home, const struct id *id);
/* Where an office is looked for that somebody names. */
enum offices {
	OFFICES_KNOWN,
	/* what may be changed here: those directly below, or until they have moved; the topmost itself where it is this one */
	OFFICES_BELOW,
};
/*
 * How far an office is from this one: each step down from this office, or from one above it, weighs more than all
 * steps up. Who enrols offices below itself can give them any code, but none is so near as the one it is taken from.
 */
size_t home_distance(const struct home *home, const struct office_row *row);
/*
 * By code with all its digits, id, or name: of several the nearest, of those equally near the one that works. NULL:
 * none or still several, which home_no_office() says.
 */
const struct office_row *home_find_office(const struct home *home, const char *text, enum offices among);
bool office_is_called(const struct office_row *row, struct span text);
/* Those that home_find_office() could not choose between, for people; heap, NULL without memory. */
char *home_list_offices(const struct home *home, const char *text, enum offices among);
/* Says why home_find_office() found none; returns the ending. */
int home_no_office(const struct home *home, const char *text, enum offices among);
bool home_is_within(const struct home *home, const struct id *office, const struct id *above);
const struct office_row *home_parent(const struct home *home); /* NULL: none */
bool home_is_child(const struct home *home, const struct office_row *row);

/* "09163 Phường Vũ Ninh" */
enum {
	OFFICE_LABEL_MAX = OFFICE_NAME_MAX + 16,
};
void office_label(const struct office_row *row, char ret_label[OFFICE_LABEL_MAX]);
void office_code(const struct office *office, char ret_code[16]);
/* The label of an office by number or id, also of one that is not known. */
void cell_office(struct listing *listing, const struct home *home, uint32_t number);
void cell_office_id(struct listing *listing, const struct home *home, const struct id *id);

/* Says that the store cannot be read; returns the ending. */
int home_failed(int r);

enum {
	RECORD_WITHHELD = 1, /* only its hash is here */
	RECORD_UNREADABLE = 2,
};
/* The record that stands at @arrival; borrowed from the store. 0, an outcome or -errno. */
int home_record(const struct home *home, uint64_t arrival, struct record *ret_record);

/* Where a record stands: in which oplog, under which number. */
struct place {
	struct oplog_id oplog;
	uint64_t index;
};
int home_place(const struct home *home, uint64_t arrival, struct place *ret_place); /* 0, -errno */
void cell_place(struct listing *listing, const struct home *home, const struct place *place);
