/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* How an office comes to be below another: by two files, each signed by who wrote it. */
#include "node/core_internal.h"

#include <errno.h>

#include "proto/enrol.h"

static int write_answer(struct core *core, struct span client, uint64_t number, const struct id *child,
	struct span address) {
	struct enrol_answer answer = { .address = address };
	const struct register_entry *entry = register_find(&core->reg, child);
	uint8_t file[ENROL_FILE_MAX];
	struct writer w;
	int r;

	/* from the child upward, then turned round: the topmost first */
	for (; entry && answer.n_chain < ENROL_CHAIN_MAX;
		entry = register_find(&core->reg, &entry->row.office.parent))
		answer.chain[answer.n_chain++] = entry->row.office;
	if (entry)
		return core_answer_failure(core, client, number, CONTROL_FAILED, 0,
			span_str("more levels than an answer can name"));
	for (size_t i = 0; i < answer.n_chain / 2; i++) {
		struct office office = answer.chain[i];

		answer.chain[i] = answer.chain[answer.n_chain - 1 - i];
		answer.chain[answer.n_chain - 1 - i] = office;
	}
	writer_init(&w, file, sizeof(file));
	r = enrol_answer_write(&answer, core->keys->signer, &w);
	if (r || !writer_ok(&w))
		return r ? r : -ENOBUFS;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, number, 1);
	write_bin(&core->answers, writer_span(&w));
	return core_answer_end(core);
}

static int enrol(struct core *core, const struct office *office) {
	struct record rec = { .kind = KIND_OFFICE, .time_ms = core->wall_ms };
	uint8_t body[1024];
	struct writer w;
	int r;

	writer_init(&w, body, sizeof(body));
	office_encode(office, &w);
	rec.body = writer_span(&w);
	r = writer_ok(&w) ? author_make_id(&core->author, core->wall_ms, &rec.id) : -ENOBUFS;
	return r ? r : core_write(core, LANE_URGENT, &rec, NULL, 0);
}

/*
 * The office below this one that has the code or a key of @office already: references are made of
 * codes, and keys say who speaks. NULL: there is none.
 */
static const struct register_entry *taken_by(const struct office_register *reg,
	const struct office *office) {
	for (size_t i = 0; i < reg->n; i++) {
		const struct office *other = &reg->entries[i]->row.office;

		if (other->state != OFFICE_ACTIVE || !id_eq(&other->parent, &reg->own->row.office.id))
			continue;
		if ((other->code == office->code && other->code_digits == office->code_digits) ||
			memcmp(other->sign_key, office->sign_key, sizeof(other->sign_key)) == 0 ||
			memcmp(other->curve_key, office->curve_key, sizeof(other->curve_key)) == 0)
			return reg->entries[i];
	}
	return NULL;
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
	held = register_find(&core->reg, &office.id);
	if (held && (held == core->reg.own || !id_eq(&held->row.office.parent, &own->id) ||
			memcmp(held->row.office.sign_key, office.sign_key, sizeof(office.sign_key)) != 0 ||
			memcmp(held->row.office.curve_key, office.curve_key, sizeof(office.curve_key)) != 0))
		return core_answer_failure(core, client, request->number, CONTROL_ALREADY, 0,
			held->row.office.name);
	if (!held) {
		held = taken_by(&core->reg, &office);
		if (held)
			return core_answer_failure(core, client, request->number, CONTROL_TAKEN, 0,
				held->row.office.name);
		office.parent = own->id;
		office.state = OFFICE_ACTIVE;
		office.valid_from_ms = core->wall_ms;
		r = enrol(core, &office);
		if (r)
			return r < 0 ? r : -EIO;
	}
	return write_answer(core, client, request->number, &office.id, address);
}

int core_join(struct core *core, struct span client, const struct request *request) {
	const struct office *own = &core->reg.own->row.office;
	struct enrol_answer answer;
	const struct office *me, *parent;
	struct txn *txn;
	int r;

	r = enrol_answer_read(request->file, &answer);
	if (r < 0)
		return r;
	if (r > 0 || answer.n_chain < 2 || answer.address.len > CONFIG_ADDRESS_MAX)
		return core_answer_failure(core, client, request->number, CONTROL_BAD_FILE, 0, span_str(""));
	me = &answer.chain[answer.n_chain - 1];
	parent = &answer.chain[answer.n_chain - 2];
	if (!id_eq(&me->id, &own->id) ||
		memcmp(me->sign_key, own->sign_key, sizeof(me->sign_key)) != 0 ||
		memcmp(me->curve_key, own->curve_key, sizeof(me->curve_key)) != 0)
		return core_answer_failure(core, client, request->number, CONTROL_NOT_FOR_US, 0, me->name);
	if (!id_is_nil(&own->parent) && !id_eq(&own->parent, &parent->id))
		return core_answer_failure(core, client, request->number, CONTROL_ALREADY, 0,
			core_parent(core) ? core_parent(core)->name : span_str(""));
	r = core_txn(core, &txn);
	for (size_t i = 0; r == 0 && i < answer.n_chain; i++) {
		uint32_t number;

		r = offices_put(txn, &answer.chain[i], &number);
		if (!r)
			r = register_refresh(&core->reg, txn, &answer.chain[i].id);
	}
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
