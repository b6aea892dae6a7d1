/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How an office comes to be below another: by two files, each signed by who wrote it. */
#include "node/core_internal.h"

#include <errno.h>

#include "proto/enrol.h"

bool core_too_deep(const struct core *core) {
	const struct register_entry *entry = core->reg.own;
	size_t levels = 0;

	for (; entry && levels < ENROL_CHAIN_MAX; levels++)
		entry = register_find(&core->reg, &entry->row.office.parent);
	return levels == ENROL_CHAIN_MAX;
}

int core_enrol_answer(struct core *core, const struct id *child, struct span address, struct writer *w) {
	struct enrol_answer answer = { .address = address };
	const struct register_entry *entry = register_find(&core->reg, child);
	int r;

	/* from the child upward, then turned round: the topmost first */
	for (; entry && answer.n_chain < ENROL_CHAIN_MAX;
		entry = register_find(&core->reg, &entry->row.office.parent))
		answer.chain[answer.n_chain++] = (struct enrol_office){ entry->row.office, entry->row.former,
			entry->row.parents };
	if (entry)
		return ENROL_MALFORMED;
	for (size_t i = 0; i < answer.n_chain / 2; i++) {
		struct enrol_office office = answer.chain[i];

		answer.chain[i] = answer.chain[answer.n_chain - 1 - i];
		answer.chain[answer.n_chain - 1 - i] = office;
	}
	r = enrol_answer_write(&answer, core->author.signer, w);
	if (r == -EMSGSIZE || (r == 0 && !writer_ok(w)))
		return ENROL_MALFORMED; /* more levels, and changes of keys, than an answer can name */
	return r;
}

static int write_answer(struct core *core, struct span client, uint64_t number, const struct id *child,
	struct span address) {
	uint8_t file[ENROL_FILE_MAX];
	struct writer w;
	int r;

	writer_init(&w, file, sizeof(file));
	r = core_enrol_answer(core, child, address, &w);
	if (r > 0)
		return core_answer_failure(core, client, number, CONTROL_TOO_DEEP, 0, span_str(""));
	if (r)
		return r;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, number, 1);
	write_bin(&core->answers, writer_span(&w));
	return core_answer_end(core);
}

const struct register_entry *core_taken_by(const struct core *core, const struct office *office) {
	const struct office_register *reg = &core->reg;
	static const uint8_t none[32];

	for (size_t i = 0; i < reg->n; i++) {
		const struct office_row *row = &reg->entries[i]->row;
		const struct office *other = &row->office;
		bool here = reg->entries[i] == reg->own || (id_eq(&other->parent, &reg->own->row.office.id) &&
				other->state != OFFICE_MOVING);

		if (here && other->state == OFFICE_ACTIVE && other->code == office->code &&
			other->code_digits == office->code_digits)
			return reg->entries[i];
		/* a key is one office's for ever, whatever became of that */
		if (here && memcmp(office->sign_key, none, sizeof(none)) != 0 &&
			(office_has_key(other, &row->former, office->sign_key) ||
				memcmp(other->curve_key, office->curve_key, sizeof(none)) == 0))
			return reg->entries[i];
	}
	return NULL;
}

/* Whether what a file says of an office's keys can be: it may be older than the present ones. */
static bool same_keys(const struct register_entry *held, const struct office *said) {
	return office_has_key(&held->row.office, &held->row.former, said->sign_key) &&
		memcmp(held->row.office.curve_key, said->curve_key, sizeof(said->curve_key)) == 0;
}

int core_add_office(struct core *core, struct span client, const struct request *request) {
	const struct office *own = &core->reg.own->row.office;
	struct span address = request->address.len ? request->address : span_str(core->config->announce);
	const struct register_entry *held;
	struct office office;
	int r;

	r = enrol_request_read(request->file, &office);
	if (r < 0)
		return r;
	if (r > 0)
		return core_answer_failure(core, client, request->number, CONTROL_BAD_FILE, 0, span_str(""));
	if (address.len == 0 || address.len > ENROL_ADDRESS_MAX)
		return core_answer_failure(core, client, request->number, CONTROL_NO_ADDRESS, 0,
			span_str(""));
	if (core_too_deep(core))
		return core_answer_failure(core, client, request->number, CONTROL_TOO_DEEP, 0, span_str(""));
	held = register_find(&core->reg, &office.id);
	if (held && (held == core->reg.own || held->row.office.state == OFFICE_REVOKED || !same_keys(held, &office) ||
			!(id_eq(&held->row.office.parent, &own->id) || core_may_take_back(core, held))))
		return core_answer_failure(core, client, request->number, CONTROL_ALREADY, 0,
			held->row.office.name);
	if (!held || held->row.office.state == OFFICE_MOVING) {
		held = core_taken_by(core, &office);
		if (held)
			return core_answer_failure(core, client, request->number, CONTROL_TAKEN, 0,
				held->row.office.name);
		r = core_enrol(core, &office);
		if (r)
			return r < 0 ? r : core_answer_failure(core, client, request->number, (enum control_result)r, 0,
				span_str(""));
	}
	return write_answer(core, client, request->number, &office.id, address);
}

/*
 * Who a file like this cannot be about: keys of an office that is known do not change by it (whoever made
 * it signed it with a key that is in it), and neither does what is above that office, unless our own parent says
 * so, which hears of a move where we may not. NULL: nobody.
 */
static const struct office *changed_by(const struct core *core, struct txn *txn, const struct enrol_answer *answer) {
	const struct office *signer = &answer->chain[answer->n_chain - 2].office;
	bool ours = id_eq(&signer->id, &core->reg.own->row.office.parent);

	for (size_t i = 0; i + 1 < answer->n_chain; i++) {
		const struct office *said = &answer->chain[i].office;
		const struct register_entry *held = register_find(&core->reg, &said->id);

		/* it may be older than what is known; a newer key is learned from the office's own record */
		if (held && (!same_keys(held, said) || fold_is_older(txn, &held->row, said) ||
				(!ours && !id_is_nil(&held->row.office.parent) &&
					!id_eq(&held->row.office.parent, &said->parent))))
			return &held->row.office;
	}
	return NULL;
}

static int put_answered(struct core *core, struct txn *txn, const struct enrol_answer *answer) {
	int r = 0;

	for (size_t i = 0; r == 0 && i < answer->n_chain; i++) {
		r = fold_told(txn, &answer->chain[i]);
		if (r == 0)
			r = register_refresh(&core->reg, txn, &answer->chain[i].office.id);
	}
	core->fold.moved = true;
	return r;
}

int core_join(struct core *core, struct span client, const struct request *request) {
	const struct office *own = &core->reg.own->row.office;
	struct enrol_answer answer;
	const struct office *me, *parent, *other;
	struct txn *txn;
	int r;

	r = enrol_answer_read(request->file, &answer);
	if (r < 0)
		return r;
	if (r > 0 || answer.n_chain < 2 || answer.address.len > CONFIG_ADDRESS_MAX)
		return core_answer_failure(core, client, request->number, CONTROL_BAD_FILE, 0, span_str(""));
	r = core_txn(core, &txn);
	if (r)
		return r;
	me = &answer.chain[answer.n_chain - 1].office;
	parent = &answer.chain[answer.n_chain - 2].office;
	if (!id_eq(&me->id, &own->id) || !same_keys(core->reg.own, me))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_FOR_US, 0, me->name);
	/* whom it moves to it may not have heard of, where its line was down: people compared the fingerprint */
	if (!id_is_nil(&own->parent) && !id_eq(&own->parent, &parent->id) && fold_is_older(txn, &core->reg.own->row, me))
		return core_answer_failure(core, client, request->number, CONTROL_ALREADY, 0,
			core_parent(core) ? core_parent(core)->name : span_str(""));
	other = changed_by(core, txn, &answer);
	if (other)
		return core_answer_failure(core, client, request->number, CONTROL_ALREADY, 0, other->name);
	r = put_answered(core, txn, &answer);
	core->parted = core->moved = true;
	if (!r)
		r = offices_set_parent_address(txn, answer.address);
	if (!r)
		r = core_meet_neighbours(core);
	if (r)
		return r < 0 ? r : -EIO;
	memcpy(core->address, answer.address.data, answer.address.len);
	core->address[answer.address.len] = '\0';
	core->joined = true;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 0);
	return core_answer_end(core);
}
