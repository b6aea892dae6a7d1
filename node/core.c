/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/core_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "store/private.h"

enum {
	READERS_EVERY_MS = 60000,
	FORGET_TURN_MAX = 1000,   /* change rows forgotten in one turn */
	ROOM_SHARE = 32,          /* one in so many bytes of the store is kept for cursors and acks */
	FULL_PAUSE_MS = 10000,    /* after a turn for which there was no room */
	GREETING_MAX = 64,        /* offices below that may greet at once: each costs a look at all that it holds */
	TURN_BATCHES = 128,       /* pushed in one turn, over all links */
	ZSTD_LEVEL = 3,           /* a third fewer bytes than level 1 on petitions, for a little time */
};

/* Keeps the first error of a turn; it ends with it. */
static void core_fail(struct core *core, int r) {
	if (r < 0 && !core->failed)
		core->failed = r;
}

int core_txn(struct core *core, struct txn **ret_txn) {
	int r;

	if (!core->txn) {
		r = store_begin_write(core->store, &core->txn);
		if (r)
			return r;
		author_begin(&core->author);
	}
	*ret_txn = core->txn;
	return 0;
}

/* The committed turn changed the key. */
static void take_next_signer(struct core *core) {
	signer_free(core->own_signer);
	core->signer = core->own_signer = TAKE(core->next_signer);
	core->io->rotated(core->io->userdata);
}

/* What is in memory of the store. */

/* What the core knows from the store. 0 or -errno. */
static int core_load(struct core *core) {
	struct span address;
	int r;

	r = store_begin_read(core->store, &core->txn);
	if (!r)
		r = core_recovery_load(core, core->txn);
	receive_own(core->receive, core->recovery.on);
	if (!r)
		r = register_init(&core->reg, core->txn);
	if (!r)
		r = fold_init(&core->fold, core->txn, &core->fold_sink);
	if (!r)
		r = core_load_neighbours(core);
	if (!r) {
		r = offices_parent_address(core->txn, &address);
		if (r == 0 && address.len <= CONFIG_ADDRESS_MAX) {
			memcpy(core->address, address.data, address.len);
			core->address[address.len] = '\0';
		}
		r = r < 0 ? r : 0;
	}
	if (!r)
		r = core_load_guests(core, core->txn);
	if (!r)
		r = core_line_load(core, core->txn);
	if (!r)
		r = core_disclosures_load(core);
	if (!r)
		r = private_settle(core->txn, core->keys->keyring, &core->shut);
	core->txn = store_abort(core->txn);
	return r > 0 ? -EIO : r;
}

static void core_unload(struct core *core) {
	receive_clear(core->receive);
	core_disclosures_clear(core);
	core_unload_neighbours(core);
	core->shown_next = 0;
	fold_done(&core->fold);
	register_done(&core->reg);
	core->serial_year = 0;
	core->serial_dirty = false;
	core->address[0] = '\0';
}

/* Answers */

void core_answer_begin(struct core *core, struct span client) {
	struct core_answer *answer;

	if (core->n_answers == core->cap_answers) {
		size_t cap = core->cap_answers ? 2 * core->cap_answers : 64;
		struct core_answer *list = realloc(core->answer_list, cap * sizeof(*list));

		if (!list) {
			core_fail(core, -ENOMEM);
			return;
		}
		core->answer_list = list;
		core->cap_answers = cap;
	}
	answer = &core->answer_list[core->n_answers];
	*answer = (struct core_answer){ client, core->answers.len, 0, false };
}

int core_answer_end(struct core *core) {
	struct core_answer *answer = &core->answer_list[core->n_answers];

	if (core->failed)
		return core->failed;
	if (!writer_ok(&core->answers))
		return -ENOMEM;
	answer->frame_len = core->answers.len - answer->frame;
	core->n_answers++;
	return 0;
}

int core_answer_failure(struct core *core, struct span client, uint64_t number,
	enum control_result result, uint64_t index, struct span detail) {
	core_answer_begin(core, client);
	control_write_failure(&core->answers, number, result, index, detail);
	return core_answer_end(core);
}

static void forget_answers(struct core *core) {
	if (core->told_private)
		explicit_bzero(core->answers.data, core->answers.len);
	core->told_private = false;
	core->n_answers = 0;
	core->answers.len = 0;
}

static void give_answers(struct core *core) {
	for (size_t i = 0; i < core->n_answers; i++) {
		const struct core_answer *answer = &core->answer_list[i];

		(answer->to_guest ? core->io->answer_guest : core->io->answer)(core->io->userdata,
			answer->client, (struct span){ core->answers.data + answer->frame, answer->frame_len });
	}
	forget_answers(core);
}

/* What was kept lies sealed in the store now; what was not is no business of ours. */
static void forget_asked(struct core *core) {
	struct draft draft;

	for (size_t i = 0; core->heard_private && i < core->n_asked; i++)
		while (control_draft_next(&core->asked[i].request, &draft))
			if (draft.private.len > 0)
				explicit_bzero((void *)draft.private.data, draft.private.len);
	core->heard_private = false;
	core->n_asked = 0;
}

static int note_asked(struct core *core, struct span client, const struct request *request,
	bool writes) {
	if (core->n_asked == core->cap_asked) {
		size_t cap = core->cap_asked ? 2 * core->cap_asked : 64;
		struct core_asked *asked = realloc(core->asked, cap * sizeof(*asked));

		if (!asked)
			return -ENOMEM;
		core->asked = asked;
		core->cap_asked = cap;
	}
	core->asked[core->n_asked++] = (struct core_asked){ client, *request, writes };
	return 0;
}

/* Events */

void core_turn_begin(struct core *core, uint64_t wall_ms, uint64_t now_ms) {
	uint64_t used, max;

	core->wall_ms = wall_ms;
	core->now_ms = now_ms;
	core->n_records = 0;
	core->first_change = 0;
	core->full = now_ms < core->full_until_ms ||
		(store_usage(core->store, &used, &max) == 0 && max - used < max / ROOM_SHARE);
}

struct link_io core_link_io(struct core *core) {
	struct link_io io = { core->io->userdata, core->io->send, &core->reg, core->wall_ms, core->now_ms,
		0, core->config->detail == DETAIL_ESCALATED, core_line_report(core).why != TROUBLE_NONE,
		core_recovery_asks(core), TURN_BATCHES };

	core_fail(core, core->io->random(core->io->userdata, &io.random, sizeof(io.random)));
	return io;
}

void core_link_open(struct core *core, const struct id *office) {
	struct link_io io = core_link_io(core);
	struct link *link = core_find_link(core, office);

	if (link)
		link_opened(link, &io);
}

void core_link_lost(struct core *core, const struct id *office, const struct trouble *why) {
	struct link_io io = core_link_io(core);
	struct link *link = core_find_link(core, office);

	if (link)
		link_lost(link, &io, why);
}

void core_link_ready(struct core *core, const struct id *office) {
	struct link *link = core_find_link(core, office);

	if (link)
		link->blocked = false;
}

/* 0, a refusal that ends the session, or -errno. */
static int take_batch(struct core *core, struct link *link, const struct link_io *io,
	const struct batch *batch) {
	struct span plain;
	struct txn *txn;
	int r;

	r = link_unpack(link, io, batch, &plain);
	if (r < 0)
		return r;
	if (r > 0)
		return r == REFUSAL_MALFORMED ? REFUSAL_OUT_OF_STEP : r;
	if (core->full) {
		core->refusals[REFUSAL_FULL]++;
		return link_refuse(link, &batch->oplog, batch->first, REFUSAL_FULL);
	}
	if (link->up && id_eq(&batch->oplog.office, &core->author.office)) {
		r = core_recovery_shown(core, &batch->oplog, &batch->head);
		if (r)
			return r;
	}
	r = core_txn(core, &txn);
	return r ? r : receive_batch(core->receive, txn, link, batch, plain, core->refusals);
}

static bool is_offered(const struct link *link, const struct held_oplog *held) {
	for (size_t i = 0; i < link->n_oplogs; i++)
		if (link->oplogs[i].held == held)
			return true;
	return false;
}

/* Who says how far it has its own oplogs wants to have back what is here of them. */
static int give_back(struct core *core, struct link *link, struct message message) {
	bool asks = false;
	struct held held;
	int r = 0;

	while (message_held_next(&message, &held))
		asks |= id_eq(&held.oplog.office, &link->neighbour);
	for (size_t i = 0; asks && r == 0 && i < core->n_oplogs; i++)
		if (core->oplogs[i] && id_eq(&core->oplogs[i]->id.office, &link->neighbour) &&
			!is_offered(link, core->oplogs[i]))
			r = link_offer(link, core->oplogs[i], 0, 0);
	return r;
}

/*
 * 0, or within how many milliseconds an office below is to say HELLO again. So thousands that lost this node together
 * come in as fast as it gets through with those before them, on whatever disk; the more wait, the longer each.
 */
static uint64_t greets_too_early(const struct core *core, const struct link *link) {
	uint64_t n_greeting = 0, n_waiting = 0;

	if (link->up)
		return 0;
	for (size_t i = 0; i < core->n_links; i++) {
		const struct link *other = core->links[i];

		if (other == link || other->up || !other->open)
			continue;
		n_greeting += other->state == LINK_GREETING && core->now_ms < other->last_heard_ms + LINK_GREETING_MS;
		n_waiting += other->state == LINK_DOWN;
	}
	if (n_greeting < GREETING_MAX)
		return 0;
	n_waiting = LINK_GREET_AGAIN_MS * (1 + n_waiting / GREETING_MAX);
	return n_waiting < LINK_LATER_MAX_MS ? n_waiting : LINK_LATER_MAX_MS;
}

void core_message(struct core *core, const struct id *office, struct span frame) {
	struct link *link = core_find_link(core, office);
	struct link_io io = core_link_io(core);
	struct message message;
	uint64_t later_ms = 0;
	struct txn *txn;
	int r = 0;

	if (!link || core->failed)
		return;
	link->open = true;
	link->last_heard_ms = core->now_ms;
	link->n_bytes += frame.len + LINK_FRAME_BYTES;
	if (message_decode(frame, &message)) {
		core->refusals[REFUSAL_MALFORMED]++;
		core_fail(core, link_refuse(link, &(struct oplog_id){ 0 }, 0, REFUSAL_MALFORMED));
		return;
	}
	switch (message.type) {
	case MESSAGE_HELLO:
		later_ms = greets_too_early(core, link);
		r = later_ms ? REFUSAL_BUSY : link_hello(link, &io, &message.hello);
		break;
	case MESSAGE_HEADS:
		r = link->up ? core_recovery_heads(core, link, message) : give_back(core, link, message);
		if (r)
			break;
		/* fall through */
	case MESSAGE_ACK:
		r = core_txn(core, &txn);
		if (!r)
			r = link_held(link, &io, txn, &message);
		break;
	case MESSAGE_BATCH:
		r = take_batch(core, link, &io, &message.batch);
		break;
	case MESSAGE_REFUSE:
		link_refused(link, &io, &message.refuse);
		break;
	case MESSAGE_DISCLOSE:
		r = core_take_disclosure(core, link, &message.disclose);
		break;
	case MESSAGE_DISCLOSED:
		r = core_txn(core, &txn);
		if (!r)
			r = disclose_answered(link, &io, txn, &message);
		break;
	case MESSAGE_JOIN: /* a guest's, and what it is answered: not between neighbours */
	case MESSAGE_ENROL:
		r = REFUSAL_MALFORMED;
		break;
	}
	if (r > 0) {
		core->refusals[r]++;
		r = link_reset(link, &io, r, later_ms);
	}
	core_fail(core, r);
}

static bool command_writes(uint8_t command) {
	switch (command) {
	case COMMAND_SUBMIT:
	case COMMAND_ADD_OFFICE:
	case COMMAND_JOIN:
	case COMMAND_READ:
	case COMMAND_ERASE:
	case COMMAND_INVITE:
	case COMMAND_ACCEPT:
	case COMMAND_DECLINE:
	case COMMAND_CHANGE_OFFICE:
	case COMMAND_ROTATE:
	case COMMAND_ASK:
	case COMMAND_GRANT:
	case COMMAND_DENY:
	case COMMAND_UNFORK:
	case COMMAND_MOVE_OFFICE:
	case COMMAND_IMPORT:
	case COMMAND_HOLD_LINE:
		return true;
	default:
		return false;
	}
}

void core_request(struct core *core, struct span client, struct span frame) {
	struct request request = { 0 }; /* also where it is malformed: a command that nobody knows */
	bool writes;
	int r;

	(void)control_request_decode(frame, &request);
	writes = command_writes(request.command);
	r = note_asked(core, client, &request, writes);
	if (r || core->failed || !writes)
		core_fail(core, r);
	else if (request.command == COMMAND_HOLD_LINE) /* nothing is taken in */
		core_fail(core, core_hold_line(core, client, &request));
	else if (core->barred && request.command != COMMAND_JOIN)
		core_fail(core, core_answer_failure(core, client, request.number, core->barred, 0,
			span_str("")));
	else if (core->full)
		core_fail(core, core_answer_failure(core, client, request.number, CONTROL_FULL, 0,
			span_str("")));
	else if (request.command == COMMAND_SUBMIT)
		core_fail(core, core_submit(core, client, &request));
	else if (request.command == COMMAND_ADD_OFFICE)
		core_fail(core, core_add_office(core, client, &request));
	else if (request.command == COMMAND_CHANGE_OFFICE)
		core_fail(core, core_change_office(core, client, &request));
	else if (request.command == COMMAND_MOVE_OFFICE)
		core_fail(core, core_move_office(core, client, &request));
	else if (request.command == COMMAND_IMPORT)
		core_fail(core, core_import(core, client, &request));
	else if (request.command == COMMAND_UNFORK)
		core_fail(core, core_unfork(core, client, &request));
	else if (request.command == COMMAND_ASK)
		core_fail(core, core_ask(core, client, &request));
	else if (request.command == COMMAND_GRANT || request.command == COMMAND_DENY)
		core_fail(core, core_answer_request(core, client, &request));
	else if (request.command == COMMAND_ROTATE)
		core_fail(core, core_rotate(core, client, &request));
	else if (request.command == COMMAND_READ)
		core_fail(core, core_read_private(core, client, &request));
	else if (request.command == COMMAND_ERASE)
		core_fail(core, core_erase_private(core, client, &request));
	else if (request.command == COMMAND_INVITE)
		core_fail(core, core_invite(core, client, &request));
	else if (request.command == COMMAND_ACCEPT || request.command == COMMAND_DECLINE)
		core_fail(core, core_decide(core, client, &request));
	else
		core_fail(core, core_join(core, client, &request));
}

size_t core_turn_records(const struct core *core) {
	return core->n_records + receive_waiting(core->receive);
}

/* Everything the turn wrote, in one synced transaction. */
static int turn_commit(struct core *core) {
	uint64_t keep_ms = (uint64_t)core->config->changes_days * 24 * 3600 * 1000;
	int r = 0;

	if (core->txn)
		r = receive_finish(core->receive, core->txn, core->refusals);
	if (r == 0)
		r = core_keep_disclosures(core);
	if (r == 0)
		r = core_recovery_step(core);
	if (r == 0)
		r = core_look_at_clocks(core);
	if (r == 0)
		r = core_write_receipts(core);
	if (r == 0)
		r = core_look_at_shown(core);
	if (r == 0 && !core->txn)
		r = core_put_disclosures(core); /* the first of a new parent or rule; otherwise nothing is due */
	if (r || !core->txn)
		return r;
	r = core_publish_counts(core);
	if (r == 0 && core->serial_dirty) {
		char name[32];
		uint8_t value[4];

		snprintf(name, sizeof(name), "serial-%u", core->serial_year);
		put_be32(value, core->serial);
		r = meta_put(core->txn, name, (struct span){ value, sizeof(value) });
		core->serial_dirty = false;
	}
	if (r == 0)
		r = author_finish(&core->author, core->txn, core_oplog_grown, core);
	if (r == 0)
		r = core_put_disclosures(core);
	if (r == 0)
		r = core_line_keep(core);
	if (r == 0 && core->first_change && core->wall_ms > keep_ms)
		r = changes_forget(core->txn, core->wall_ms - keep_ms, FORGET_TURN_MAX);
	return r ? r : store_commit(TAKE(core->txn));
}

static int publish_row(void *userdata, uint64_t number, struct span row) {
	struct core *core = userdata;

	core->io->publish(core->io->userdata, number, row);
	return 0;
}

/* After the commit: everybody is told what is now on disk. */
static int turn_effects(struct core *core) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct link_io io = core_link_io(core);
	int r = core->failed ? core->failed : core_destroy_keys(core);

	if (core->next_signer)
		take_next_signer(core);
	if (core->recovered) {
		core->recovered = false;
		core->barred = 0;
		receive_own(core->receive, false);
		core->parted = true;
	}
	if (r == 0)
		r = store_begin_read(core->store, &txn);
	if (r == 0 && core->parted)
		r = core_part(core, &io, txn);
	for (size_t i = 0; r == 0 && i < core->n_asked; i++)
		if (!core->asked[i].writes)
			r = core_query(core, txn, &core->asked[i]);
	if (r == 0)
		give_answers(core);
	/* another one begins each time: none is kept waiting by what the others have to push */
	for (size_t i = 0; r == 0 && i < core->n_links; i++)
		r = link_flush(core->links[(core->first_link + i) % core->n_links], &io, txn);
	core_line_count(core);
	core->first_link = core->n_links ? (core->first_link + 1) % core->n_links : 0;
	if (r == 0 && core->first_change)
		r = changes_each(txn, core->first_change - 1, publish_row, core);
	if (r == 0 && core->joined) {
		core->joined = false;
		core->io->joined(core->io->userdata);
	}
	return r;
}

/*
 * There was no room: what the turn wrote is gone, so what is in memory is read again from the store,
 * as at a start. Sessions with neighbours were ahead of that and begin again.
 */
static int give_up_turn(struct core *core) {
	const struct link *up = core_uplink(core);
	bool was_open = up && up->open;
	int r;

	core_unload(core);
	r = core_load(core);
	core->failed = 0;
	forget_answers(core);
	core_keep_keys(core);
	core->first_change = 0;
	core->joined = false;
	core->parted = core->moved = core->recovered = false;
	core->author.epoch = core->fold.epoch;
	core->author.signer = core->signer;
	core->next_signer = signer_free(core->next_signer);
	core->full_until_ms = core->now_ms + FULL_PAUSE_MS;
	for (size_t i = 0; r == 0 && i < core->n_asked; i++)
		if (core->asked[i].writes)
			r = core_answer_failure(core, core->asked[i].client,
				core->asked[i].request.number, CONTROL_FULL, 0, span_str(""));
	if (r == 0 && was_open) /* at once it would only be for nothing again */
		link_reopen(core_uplink(core), core->full_until_ms);
	return r;
}

int core_turn_end(struct core *core) {
	int r = core->failed ? core->failed : turn_commit(core);

	core->txn = store_abort(core->txn);
	if (r == -ENOSPC)
		r = give_up_turn(core);
	if (r == 0)
		r = turn_effects(core);
	forget_asked(core);
	if (r == 0 && core->now_ms >= core->readers_at_ms) {
		core->readers_at_ms = core->now_ms + READERS_EVERY_MS;
		r = store_clear_readers(core->store);
	}
	core->turns++;
	return r > 0 ? -EIO : r;
}

uint64_t core_wakeup_ms(const struct core *core) {
	uint64_t at = core->overdue_at_ms < core->receipts_at_ms ? core->overdue_at_ms : core->receipts_at_ms;

	if (core->shown_at_ms < at)
		at = core->shown_at_ms;
	for (size_t i = 0; i < core->n_links; i++) {
		uint64_t link_at = link_wakeup_ms(core->links[i]);

		if (link_at < at)
			at = link_at;
	}
	return at;
}

bool core_busy(const struct core *core) {
	for (size_t i = 0; i < core->n_links; i++)
		if (link_busy(core->links[i], core->now_ms))
			return true;
	return false;
}

uint64_t core_shut_parts(const struct core *core, char ret_name[KEYRING_NAME_MAX]) {
	keyring_name(core->shut.file, ret_name);
	return core->shut.n;
}

const struct office *core_child_by_curve(const struct core *core, const uint8_t key[OFFICE_CURVE_LEN]) {
	const struct register_entry *entry = register_child_by_curve(&core->reg, key);

	return entry ? &entry->row.office : NULL;
}

const struct office *core_own(const struct core *core) {
	return &core->reg.own->row.office;
}

const struct office *core_parent(const struct core *core) {
	const struct register_entry *parent = register_parent(&core->reg);

	return parent ? &parent->row.office : NULL;
}

const char *core_parent_address(const struct core *core) {
	/* whom this office was handed over to listens elsewhere: its answer says where */
	return core->reg.own->row.office.state == OFFICE_MOVING ? "" : core->address;
}

int core_new(struct store *store, const struct config *config, const struct core_keys *keys,
	const struct core_io *io, uint64_t wall_ms, struct core **ret_core) {
	struct core *core = calloc(1, sizeof(*core));
	int r;

	if (!core)
		return -ENOMEM;
	core->store = store;
	core->config = config;
	core->keys = keys;
	core->io = io;
	core->wall_ms = core->started_ms = wall_ms;
	core->fold_sink = core_fold_sink(core);
	core->receive_sink = core_receive_sink(core);
	writer_init_grow(&core->answers);
	r = receive_new(&core->reg, &core->receive_sink, &core->receive);
	if (!r)
		r = compress_work_new(ZSTD_LEVEL, &core->work);
	if (!r)
		r = core_load(core);
	if (r) {
		core_free(core);
		return r;
	}
	core->author.office = core->reg.own->row.office.id;
	core->author.epoch = core->fold.epoch;
	core->author.signer = core->signer = keys->signer;
	core->author.reg = &core->reg;
	core->author.random = io->random;
	core->author.random_userdata = io->userdata;
	*ret_core = core;
	return 0;
}

struct core *core_free(struct core *core) {
	if (!core)
		return NULL;
	store_abort(core->txn);
	core_unload(core);
	receive_free(core->receive);
	core_disclosures_done(core);
	signer_free(core->own_signer);
	signer_free(core->next_signer);
	compress_work_free(core->work);
	free(core->asked);
	free(core->guests);
	core_recovery_done(core);
	free(core->erased);
	free(core->answer_list);
	writer_done(&core->answers);
	free(core);
	return NULL;
}
