/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * core - the node without its I/O: events in, effects out
 *
 * A turn: core_turn_begin(), any number of core_message(), core_request(), core_link_open(),
 * core_link_lost(), then core_turn_end(), which does everything that arrived in one transaction,
 * commits it, and only then yields the effects through struct core_io: acknowledgements, answers,
 * batches, change rows. It owns no socket, no clock and no randomness; a simulator can run
 * thousands of cores in one thread. What is given to it is borrowed until core_turn_end() returns.
 *
 * A turn for which there is no room on the disk is given up whole: who asked for something is told
 * so, the neighbours' sessions begin again, and the core stands where it stood before. Any other
 * error of core_turn_end() (-errno) means that what is on disk is not known: exit, start again.
 */
#include "node/config.h"
#include "node/link.h"
#include "node/register.h"
#include "proto/control.h"
#include "store/keyring.h"
#include "store/store.h"

enum {
	CORE_TURN_RECORDS = 2000, /* begin to end a turn when so many came in */
};

/* The keys of an office: read from files by the daemon, made by tests. */
struct core_keys {
	struct signer *signer;     /* until it changes: see next_key */
	struct keyring *keyring;   /* of private parts */
	uint8_t curve_public[OFFICE_CURVE_LEN];
};

struct core_io {
	void *userdata;
	/* Sends a frame to a neighbour. Always takes it; false: no more for now (see core_link_ready). */
	bool (*send)(void *userdata, const struct id *neighbour, struct span frame);
	/* Answers a request; @client is what core_request() was given. */
	void (*answer)(void *userdata, struct span client, struct span frame);
	/* Answers core_guest(); @client is what that was given. */
	void (*answer_guest)(void *userdata, struct span client, struct span frame);
	/* A change row, after its commit. */
	void (*publish)(void *userdata, uint64_t number, struct span row);
	/* The parent is now known, or where it listens has changed: core_parent_address(). */
	void (*joined)(void *userdata);
	/* Fills @len random bytes. 0 or -errno. */
	int (*random)(void *userdata, void *ret, size_t len);
	/* The key that this office shall sign with next, made by whoever asks for it. 0, an outcome: none, or -errno. */
	int (*next_key)(void *userdata, struct signer **ret_signer);
	/* It is the office's key from now on: that is on disk. */
	void (*rotated)(void *userdata);
	/* Somebody tried what the invitation of @office (its name) is not for: @outcome is what he was told. */
	void (*misused)(void *userdata, struct span office, enum enrol_outcome outcome);
};

struct core;

/* @store, @config, @keys and @io are borrowed until core_free(). 0 or -errno. */
int core_new(struct store *store, const struct config *config, const struct core_keys *keys,
	const struct core_io *io, uint64_t wall_ms, struct core **ret_core);
struct core *core_free(struct core *core);

/* @wall_ms: the clock on the wall, shown to people; @now_ms: a clock that only goes forward. */
void core_turn_begin(struct core *core, uint64_t wall_ms, uint64_t now_ms);
/* The transport to @office can carry frames (for the parent: connected and encrypted). */
void core_link_open(struct core *core, const struct id *office);
/* It no longer can, and why. */
void core_link_lost(struct core *core, const struct id *office, const struct trouble *why);
/* It takes frames again after send() returned false. */
void core_link_ready(struct core *core, const struct id *office);
/* A frame from the office whose key the transport proved. */
void core_message(struct core *core, const struct id *office, struct span frame);
/* A frame on the control socket, in which private parts are wiped when the turn ends; @client comes back with the answer. */
void core_request(struct core *core, struct span client, struct span frame);
/* A frame from who holds the invitation to be @office; @client comes back with the answer. */
void core_guest(struct core *core, struct span client, const struct id *office, struct span frame);
/* Records taken in since the turn began: enough for one turn at CORE_TURN_RECORDS. */
size_t core_turn_records(const struct core *core);
int core_turn_end(struct core *core);

/* When core_turn_begin()/end() must be called though nothing came: on the monotonic clock. */
uint64_t core_wakeup_ms(const struct core *core);
/* Work is left that needs no event: batches to push. Call the next turn at once. */
bool core_busy(const struct core *core);

/* Parts whose keys were not there at the start; @ret_name: the file with the first. */
uint64_t core_shut_parts(const struct core *core, char ret_name[KEYRING_NAME_MAX]);

/* For the transport. NULL: unknown, or not one of the offices below that may connect. */
const struct office *core_child_by_curve(const struct core *core, const uint8_t key[OFFICE_CURVE_LEN]);
/* The office that this key's holder was invited to be; NULL: none. */
const struct id *core_guest_by_curve(const struct core *core, const uint8_t key[OFFICE_CURVE_LEN]);
const struct office *core_own(const struct core *core);
const struct office *core_parent(const struct core *core); /* NULL: none */
/* Whether this office keeps the line to its parent closed now; @ret_why may be NULL. */
bool core_line_closed(struct core *core, struct line_report *ret_why);
/* Where the parent listens; empty: not joined, or handed over to another. Borrowed until the next turn. */
const char *core_parent_address(const struct core *core);
