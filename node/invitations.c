/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Invitations: a text is made, somebody asks with it, a person (or the invitation itself) decides.
 * Whoever holds the text can reach nothing but core_guest(): it asks, and hears how that stands.
 */
#include "node/core_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "proto/enrol.h"
#include "proto/invite.h"
#include "store/invites.h"

enum {
	LOOK_EVERY_MS = 1000, /* at what is asked with one invitation: each look may verify and sign */
};
#define DAY_MS (24ull * 3600 * 1000)
#define GRACE_MS DAY_MS       /* so long after its end who comes with an invitation still hears that it has ended */
#define FETCH_MS (7 * DAY_MS) /* and so long who was accepted can fetch the answer */

static struct core_guest *find_guest(const struct core *core, const struct id *office) {
	for (size_t i = 0; i < core->n_guests; i++)
		if (id_eq(&core->guests[i].office, office))
			return &core->guests[i];
	return NULL;
}

static int list_guest(void *userdata, const struct invite_row *row) {
	struct core *core = userdata;
	struct core_guest *guest = find_guest(core, &row->office), *guests;

	if (!guest) {
		if (core->wall_ms >= row->expires_ms + GRACE_MS)
			return 0;
		guests = realloc(core->guests, (core->n_guests + 1) * sizeof(*guests));
		if (!guests)
			return -ENOMEM;
		core->guests = guests;
		guest = &guests[core->n_guests++];
		*guest = (struct core_guest){ .office = row->office };
		memcpy(guest->key, row->guest_key, OFFICE_CURVE_LEN);
	}
	guest->until_ms = row->expires_ms + GRACE_MS;
	return 0;
}

int core_load_guests(struct core *core, struct txn *txn) {
	return invites_each(txn, list_guest, core);
}

const struct id *core_guest_by_curve(const struct core *core, const uint8_t key[OFFICE_CURVE_LEN]) {
	for (size_t i = 0; i < core->n_guests; i++)
		if (memcmp(core->guests[i].key, key, OFFICE_CURVE_LEN) == 0 &&
			core->wall_ms < core->guests[i].until_ms)
			return &core->guests[i].office;
	return NULL;
}

static int put(struct core *core, struct txn *txn, const struct invite_row *row) {
	int r = invites_put(txn, row);

	return r ? r : core_load_guests(core, txn);
}

/* Who was invited, as far as is known before it has keys. */
static struct office invited(const struct core *core, const struct invite_row *row) {
	return (struct office){
		.id = row->office, .parent = core->reg.own->row.office.id, .code = row->code,
		.code_digits = row->code_digits, .level = row->level, .name = row->name,
	};
}

int core_invite(struct core *core, struct span client, const struct request *request) {
	const struct office *own = &core->reg.own->row.office;
	struct span address = request->address.len ? request->address : span_str(core->config->announce);
	struct invite invite = { .code = request->office.code, .code_digits = request->office.code_digits,
		.level = request->office.level, .name = request->office.name, .parent = own->id,
		.address = address };
	struct invite_row row = { .state = INVITE_OPEN, .automatic = request->automatic,
		.code = invite.code, .code_digits = invite.code_digits, .level = invite.level,
		.name = invite.name, .address = address };
	const struct register_entry *taken;
	char text[INVITE_TEXT_MAX];
	struct office office;
	struct txn *txn;
	int r;

	if (address.len == 0 || address.len > ENROL_ADDRESS_MAX)
		return core_answer_failure(core, client, request->number, CONTROL_NO_ADDRESS, 0, span_str(""));
	if (core_too_deep(core))
		return core_answer_failure(core, client, request->number, CONTROL_TOO_DEEP, 0, span_str(""));
	office = invited(core, &row);
	taken = core_taken_by(core, &office);
	if (taken)
		return core_answer_failure(core, client, request->number, CONTROL_TAKEN, 0,
			taken->row.office.name);
	row.expires_ms = invite.expires_ms = core->wall_ms + request->valid_ms;
	memcpy(invite.parent_curve_key, own->curve_key, OFFICE_CURVE_LEN);
	r = core->io->random(core->io->userdata, invite.token, sizeof(invite.token));
	if (!r)
		r = curve_public(invite.token, row.guest_key);
	if (!r)
		r = author_make_id(&core->author, core->wall_ms, &invite.office);
	row.office = invite.office;
	if (!r)
		r = invite_write(&invite, text);
	explicit_bzero(invite.token, sizeof(invite.token));
	if (!r)
		r = core_txn(core, &txn);
	if (!r)
		r = put(core, txn, &row);
	if (r)
		return r < 0 ? r : -EIO;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 2);
	write_str(&core->answers, span_str(text));
	write_id(&core->answers, &invite.office);
	core->told_private = true; /* the text is as good as a key */
	explicit_bzero(text, sizeof(text));
	return core_answer_end(core);
}

/* Enrols whoever asked. 0, CONTROL_TAKEN, CONTROL_TOO_DEEP, CONTROL_NO_MORE_BELOW or -errno. */
static int accept(struct core *core, struct txn *txn, struct invite_row *row) {
	struct office office;
	int r;

	r = enrol_request_read(row->request, &office);
	if (r)
		return r < 0 ? r : -EIO; /* it was read when it came */
	if (core_taken_by(core, &office))
		return CONTROL_TAKEN;
	if (core_too_deep(core)) /* since it was invited */
		return CONTROL_TOO_DEEP;
	r = core_enrol(core, &office);
	if (r)
		return r;
	row->state = INVITE_ACCEPTED;
	row->expires_ms = core->wall_ms + FETCH_MS;
	return put(core, txn, row);
}

/* A row whose spans do not point into the store, which is about to be written. */
struct owned_row {
	struct invite_row row;
	uint8_t bytes[INVITE_REQUEST_MAX + 1024];
};

static struct span own_span(struct owned_row *owned, size_t *len, struct span from) {
	struct span to = { owned->bytes + *len, from.len };

	if (from.len > 0)
		memcpy(owned->bytes + *len, from.data, from.len);
	*len += from.len;
	return to;
}

static int get(struct txn *txn, const struct id *office, struct owned_row *ret_owned) {
	size_t len = 0;
	int r = invites_get(txn, office, &ret_owned->row);

	if (r)
		return r;
	ret_owned->row.level = own_span(ret_owned, &len, ret_owned->row.level);
	ret_owned->row.name = own_span(ret_owned, &len, ret_owned->row.name);
	ret_owned->row.address = own_span(ret_owned, &len, ret_owned->row.address);
	ret_owned->row.request = own_span(ret_owned, &len, ret_owned->row.request);
	return 0;
}

int core_decide(struct core *core, struct span client, const struct request *request) {
	struct owned_row owned;
	struct txn *txn;
	int r;

	r = core_txn(core, &txn);
	if (!r)
		r = get(txn, &request->record, &owned);
	if (r < 0)
		return r;
	/* what nobody has asked for yet can be taken back, but not accepted */
	if (r == STORE_NOT_FOUND || (owned.row.state != INVITE_ASKED &&
			(owned.row.state != INVITE_OPEN || request->command == COMMAND_ACCEPT)))
		return core_answer_failure(core, client, request->number, CONTROL_NOT_ASKED, 0, span_str(""));
	if (request->command == COMMAND_ACCEPT) {
		r = accept(core, txn, &owned.row);
	} else {
		owned.row.state = INVITE_REFUSED;
		owned.row.expires_ms = core->wall_ms;
		r = put(core, txn, &owned.row);
	}
	if (r > 0)
		return core_answer_failure(core, client, request->number, r, 0, owned.row.name);
	if (r)
		return r;
	core_answer_begin(core, client);
	control_write_ok(&core->answers, request->number, 0);
	return core_answer_end(core);
}

/* That the request is for the office invited, and says of it what the invitation does. */
static bool as_invited(const struct invite_row *row, const struct office *office) {
	return id_eq(&office->id, &row->office) && office->code == row->code &&
		office->code_digits == row->code_digits && span_eq(office->level, row->level) &&
		span_eq(office->name, row->name) && office->state == OFFICE_ACTIVE;
}

/* What the invitation makes of a request; moves it on. 0 with an outcome, or -errno. */
static int consider(struct core *core, struct txn *txn, struct invite_row *row, struct span request,
	enum enrol_outcome *ret_outcome) {
	struct office office;
	int r;

	if (row->request.len > 0 && !span_eq(row->request, request)) {
		*ret_outcome = ENROL_OUTCOME_USED; /* another computer, with the same text */
		return 0;
	}
	if (row->state == INVITE_OPEN) {
		if (core->wall_ms >= row->expires_ms) {
			*ret_outcome = ENROL_OUTCOME_EXPIRED;
			return 0;
		}
		r = request.len <= INVITE_REQUEST_MAX ? enrol_request_read(request, &office) : ENROL_MALFORMED;
		if (r < 0)
			return r;
		if (r > 0 || !as_invited(row, &office)) {
			*ret_outcome = ENROL_OUTCOME_NOT_INVITED;
			return 0;
		}
		row->request = request;
		row->state = INVITE_ASKED;
		*ret_outcome = ENROL_OUTCOME_WAITING;
		r = row->automatic ? accept(core, txn, row) : put(core, txn, row);
		if (r)
			return r < 0 ? r : put(core, txn, row); /* a person must look why it cannot be */
	}
	*ret_outcome = row->state == INVITE_ACCEPTED ? ENROL_OUTCOME_ENROLLED
		: row->state == INVITE_REFUSED ? ENROL_OUTCOME_REFUSED : ENROL_OUTCOME_WAITING;
	return 0;
}

/* @row is looked at only where it was enrolled. */
static int answer_guest(struct core *core, struct span client, const struct invite_row *row,
	enum enrol_outcome outcome) {
	uint8_t file[ENROL_FILE_MAX];
	struct span answer = { NULL, 0 };
	struct writer w;
	int r = 0;

	writer_init(&w, file, sizeof(file));
	if (outcome == ENROL_OUTCOME_ENROLLED) {
		r = core_enrol_answer(core, &row->office, row->address, &w);
		if (r < 0)
			return r;
		if (r > 0) /* more came above since it was enrolled */
			outcome = ENROL_OUTCOME_LATER;
		else
			answer = writer_span(&w);
	}
	core_answer_begin(core, client);
	message_write_enrol(&core->answers, outcome, answer);
	core->answer_list[core->n_answers].to_guest = true;
	return core_answer_end(core);
}

static int guest(struct core *core, struct span client, const struct id *office, struct span request) {
	enum enrol_outcome outcome = ENROL_OUTCOME_REFUSED;
	struct owned_row owned;
	struct txn *txn;
	int r;

	r = core_txn(core, &txn);
	if (!r)
		r = get(txn, office, &owned);
	if (r == 0)
		r = consider(core, txn, &owned.row, request, &outcome);
	if (r < 0)
		return r;
	if (outcome >= ENROL_OUTCOME_EXPIRED && outcome <= ENROL_OUTCOME_NOT_INVITED) {
		core->refusals[REFUSAL_INVITATION]++;
		core->io->misused(core->io->userdata, owned.row.name, outcome);
	}
	return answer_guest(core, client, &owned.row, outcome);
}

void core_guest(struct core *core, struct span client, const struct id *office, struct span frame) {
	struct core_guest *from = find_guest(core, office);
	struct message message;
	int r;

	if (core->failed)
		return; /* it asks again */
	if (!from || core->wall_ms >= from->until_ms || core->now_ms < from->look_at_ms) {
		core->refusals[REFUSAL_INVITATION]++;
		return;
	}
	from->look_at_ms = core->now_ms + LOOK_EVERY_MS;
	if (message_decode(frame, &message) || message.type != MESSAGE_JOIN) {
		core->refusals[REFUSAL_MALFORMED]++;
		return;
	}
	r = core->full || core->barred ? answer_guest(core, client, NULL, ENROL_OUTCOME_LATER)
					 : guest(core, client, office, message.file);
	if (r < 0 && !core->failed)
		core->failed = r;
}
