/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "node/core_internal.h"
#include "proto/kinds/petition.h"
#include "store/private.h"

enum {
	COUNTERS_LEN = 12,
	SERIALS_A_YEAR = 100000000, /* proto/reference.h */
};

const char recovery_name[] = "recover";   /* u32 each: leaves that came back, hashes, petitioners not known */
const char recovered_name[] = "recovered"; /* u64 when, then the same, and u32 records written again */
static const char old_copy_name[] = "old-copy"; /* empty: it is proven that this store is one */

static void forget_given(struct recovery *recovery) {
	for (struct recovery_given *given = recovery->given, *next; given; given = next) {
		next = given->next;
		free(given);
	}
	recovery->given = recovery->given_last = NULL;
	recovery->given_len = 0;
}

void core_recovery_done(struct core *core) {
	forget_given(&core->recovery);
	free(core->recovery.oplogs);
}

int core_recovery_load(struct core *core, struct txn *txn) {
	struct recovery *recovery = &core->recovery;
	struct span value;
	int r = meta_get(txn, recovery_name, &value);

	core_recovery_done(core);
	*recovery = (struct recovery){ .on = r == 0 };
	if (r == 0 && value.len == COUNTERS_LEN) {
		recovery->pulled = get_be32(value.data);
		recovery->hashes = get_be32(value.data + 4);
		recovery->lost = get_be32(value.data + 8);
	}
	if (r >= 0)
		r = meta_get(txn, old_copy_name, &value);
	recovery->proven = r == 0;
	if (recovery->on)
		core->barred = CONTROL_RESTORING;
	else if (core->barred != CONTROL_OLD_COPY) /* what was said is known also when a turn is given up */
		core->barred = recovery->proven ? CONTROL_OLD_COPY : 0;
	return r < 0 ? r : 0;
}

static struct recovery_oplog *find(struct recovery *recovery, const struct oplog_id *id) {
	for (size_t i = 0; i < recovery->n; i++)
		if (oplog_id_eq(&recovery->oplogs[i].id, id))
			return &recovery->oplogs[i];
	return NULL;
}

static int want(struct recovery *recovery, const struct held *held) {
	struct recovery_oplog *wanted = find(recovery, &held->oplog);

	if (wanted && held->size > wanted->size)
		wanted->size = held->size;
	if (wanted || held->size == 0)
		return 0;
	if (recovery->n == recovery->cap) {
		size_t cap = recovery->cap ? 2 * recovery->cap : 8;
		struct recovery_oplog *oplogs = realloc(recovery->oplogs, cap * sizeof(*oplogs));

		if (!oplogs)
			return -ENOMEM;
		recovery->oplogs = oplogs;
		recovery->cap = cap;
	}
	recovery->oplogs[recovery->n++] = (struct recovery_oplog){ held->oplog, held->size, 0, UINT64_MAX };
	return 0;
}

/* What of an oplog of ours is here. 0 or -errno. */
static int size_here(struct txn *txn, const struct oplog_id *id, uint64_t *ret_size) {
	struct oplog oplog;
	int r = oplog_load(txn, id, &oplog);

	*ret_size = r == 0 ? oplog.frontier.size : 0;
	return r < 0 ? r : 0;
}

/* Whether so much of an oplog of ours is more of this life than is here, or of a later one. 0, 1 or -errno. */
static int is_later(struct core *core, const struct oplog_id *oplog, uint64_t size) {
	struct txn *txn;
	uint64_t here;
	int r;

	if (oplog->epoch < core->author.epoch)
		return 0;
	r = core_txn(core, &txn);
	if (!r)
		r = size_here(txn, oplog, &here);
	return r ? r : oplog->epoch > core->author.epoch || size > here;
}

int core_recovery_heads(struct core *core, struct link *link, struct message message) {
	struct recovery *recovery = &core->recovery;
	struct held held;
	int r = 0;

	if (!link->greeted)
		return 0; /* of a session that is over */
	if (recovery->session != link->session) {
		recovery->session = link->session;
		recovery->told = recovery->later = false;
		recovery->n = 0;
		forget_given(recovery);
	}
	while (r == 0 && message_held_next(&message, &held)) {
		if (!id_eq(&held.oplog.office, &core->author.office))
			continue;
		r = recovery->on ? want(recovery, &held) : is_later(core, &held.oplog, held.size);
		recovery->later |= r > 0;
		r = r < 0 ? r : 0;
	}
	recovery->told = !message.more;
	if (r || recovery->on || recovery->proven || !recovery->told)
		return r;
	core->barred = recovery->later ? CONTROL_OLD_COPY : 0;
	link->say_heads |= recovery->later; /* anybody can say so: it is asked for what this office signed */
	return 0;
}

bool core_recovery_asks(const struct core *core) {
	return core->recovery.on || (core->recovery.later && !core->recovery.proven);
}

int core_recovery_shown(struct core *core, const struct oplog_id *oplog, const struct head *head) {
	struct recovery *recovery = &core->recovery;
	struct txn *txn;
	int r;

	if (recovery->on || !core_recovery_asks(core))
		return 0;
	r = is_later(core, oplog, head->size);
	if (r <= 0)
		return r;
	r = receive_verify(core->receive, oplog, head);
	if (r)
		return r < 0 ? r : 0;
	recovery->proven = true;
	core->barred = CONTROL_OLD_COPY;
	r = core_txn(core, &txn);
	return r ? r : meta_put(txn, old_copy_name, span_str("")); /* known also after a restart without a line */
}

void core_recovery_seen(struct core *core, const struct oplog_id *oplog, uint64_t size) {
	struct recovery_oplog *wanted = find(&core->recovery, oplog);

	if (wanted && size > wanted->seen_to)
		wanted->seen_to = size;
}

void core_recovery_parted(struct core *core, const struct oplog_id *oplog, uint64_t at) {
	struct recovery_oplog *wanted = find(&core->recovery, oplog);

	if (wanted)
		wanted->parted = at;
}

/* References of a year that were given out are not given out again: those up to @serial, and @more beyond that. */
static int keep_serial(struct txn *txn, uint32_t year, uint32_t serial, uint32_t more) {
	uint32_t kept = 0;
	struct span value;
	uint8_t bytes[4];
	char name[32];
	int r;

	snprintf(name, sizeof(name), "serial-%u", year);
	r = meta_get(txn, name, &value);
	if (r == 0 && value.len == 4)
		kept = get_be32(value.data);
	if (r < 0 || (more == 0 && kept >= serial))
		return r;
	put_be32(bytes, (kept > serial ? kept : serial) + more);
	return meta_put(txn, name, (struct span){ bytes, sizeof(bytes) });
}

/* Each leaf that came back as its hash may have been a petition; of which year, nobody here knows any more. */
static int keep_serials_of_hashes(struct core *core, struct txn *txn) {
	uint32_t year = fold_period(core->wall_ms) / 100, hashes = core->recovery.hashes;
	int r = hashes ? keep_serial(txn, year, 0, hashes) : 0;

	return hashes && r >= 0 ? keep_serial(txn, year - 1, 0, hashes) : r;
}

int core_recovery_give(struct core *core, struct span record) {
	struct recovery *recovery = &core->recovery;
	struct recovery_given *given;

	if (recovery->given_len + record.len > RECOVERY_GIVEN_MAX)
		return 0; /* then it comes as its hash alone */
	given = malloc(sizeof(*given) + record.len);
	if (!given)
		return -ENOMEM;
	given->next = NULL;
	given->len = record.len;
	leaf_hash_of(record, &given->hash);
	memcpy(given->bytes, record.data, record.len);
	if (recovery->given)
		recovery->given_last->next = given;
	else
		recovery->given = given;
	recovery->given_last = given;
	recovery->given_len += record.len;
	return 0;
}

struct recovery_given *core_recovery_take(struct core *core, const struct leaf *leaf) {
	struct recovery *recovery = &core->recovery;
	struct recovery_given **at = &recovery->given, *last = NULL, *given;
	struct hash hash;

	if (!leaf->withheld)
		return NULL;
	leaf_hash(leaf, &hash);
	while (*at && memcmp((*at)->hash.b, hash.b, sizeof(hash.b)) != 0) { /* it is the first, but for the lanes */
		last = *at;
		at = &last->next;
	}
	given = *at;
	if (!given)
		return NULL;
	*at = given->next;
	if (recovery->given_last == given)
		recovery->given_last = last;
	recovery->given_len -= given->len;
	return given;
}

int core_recovery_kept(struct core *core, struct txn *txn, const struct record *rec) {
	struct recovery *recovery = &core->recovery;
	struct petition petition;
	int r = 0;

	recovery->pulled++;
	recovery->hashes += rec == NULL;
	if (rec && rec->has_commitment) {
		r = private_state(txn, &rec->id, NULL);
		recovery->lost += r == STORE_NOT_FOUND;
	}
	if (r >= 0 && rec && rec->kind == KIND_PETITION && petition_decode(rec->body, &petition) == 0)
		r = keep_serial(txn, fold_period(petition.received_ms) / 100, petition.reference % SERIALS_A_YEAR, 0);
	return r < 0 ? r : 0;
}

static void put_counters(const struct recovery *recovery, uint8_t ret_bytes[COUNTERS_LEN]) {
	put_be32(ret_bytes, recovery->pulled);
	put_be32(ret_bytes + 4, recovery->hashes);
	put_be32(ret_bytes + 8, recovery->lost);
}

struct last_life {
	struct oplog_id id;
	uint32_t epoch;
};

static int find_last_life(void *userdata, const struct oplog *oplog) {
	struct last_life *life = userdata;

	if (oplog->frontier.size > 0 && oplog->id.epoch > life->epoch)
		life->epoch = oplog->id.epoch;
	return 0;
}

/* How much of it the parent gives back: what lies beyond the end of a life stays where it is. */
static uint64_t wanted_size(const struct core *core, const struct recovery_oplog *wanted) {
	const struct office_row *own = &core->reg.own->row;
	uint64_t limit = office_limit(&own->office, &own->former, &wanted->id);

	return wanted->size < limit ? wanted->size : limit;
}

/* Whether all that the parent holds is here, and known to be the same or not. 0 (no), 1 or -errno. */
static int is_complete(struct core *core, struct txn *txn) {
	struct recovery *recovery = &core->recovery;

	if (!core_parent(core))
		return 1; /* there is nobody who has it */
	if (!recovery->told)
		return 0;
	for (size_t i = 0; i < recovery->n; i++) {
		const struct recovery_oplog *wanted = &recovery->oplogs[i];
		uint64_t size;
		int r = size_here(txn, &wanted->id, &size);

		if (r)
			return r;
		if (wanted->parted == UINT64_MAX && (wanted->seen_to < wanted_size(core, wanted) ||
							    size < wanted_size(core, wanted)))
			return 0;
	}
	return 1;
}

/* How far the parent has of an oplog what is here. */
static uint64_t agreed(struct core *core, const struct oplog_id *id, uint64_t here) {
	const struct recovery_oplog *wanted = find(&core->recovery, id);
	uint64_t size = !core_parent(core) ? here : wanted ? wanted->size : 0;

	if (wanted && wanted->parted < size)
		size = wanted->parted;
	return size < here ? size : here;
}

/*
 * Where the oplogs of the last life end for everybody: up to there the parent has what is here. Not before its
 * last change of key, which the parent may have yet to hear of. 0, 1: the histories part before that, or -errno.
 */
static int find_end(struct core *core, struct txn *txn, uint32_t epoch, struct office_end *ret_end) {
	const struct office_former *former = &core->reg.own->row.former;
	const struct office_end *last = former->n ? &former->terms[former->n - 1].end : NULL;

	*ret_end = (struct office_end){ .epoch = epoch };
	for (unsigned lane = 0; lane < LANE_N; lane++) {
		const struct oplog_id id = { core->author.office, epoch, lane };
		const struct recovery_oplog *wanted = find(&core->recovery, &id);
		uint64_t here;
		int r = size_here(txn, &id, &here);

		if (r)
			return r;
		ret_end->sizes[lane] = agreed(core, &id, here);
		if (!last || last->epoch != epoch || ret_end->sizes[lane] >= last->sizes[lane])
			continue;
		if (wanted && wanted->parted < last->sizes[lane])
			return 1;
		ret_end->sizes[lane] = last->sizes[lane];
	}
	return 0;
}

/*
 * A head where an oplog ends, if there is none: a parent that loses what it has takes the old life again up to
 * there, and no batch goes beyond.
 */
static int sign_end(struct core *core, struct txn *txn, const struct oplog_id *id, uint64_t size) {
	struct head head = { .size = size }, next;
	struct oplog oplog;
	int r = size ? oplog_load(txn, id, &oplog) : STORE_NOT_FOUND;

	if (r)
		return r < 0 ? r : 0;
	r = oplog_next_head(txn, &oplog, size - 1, &next);
	if (r < 0 || (r == 0 && next.size == size))
		return r;
	r = oplog_root(txn, &oplog, size, &head.root);
	if (r == 0)
		r = head_sign(core->signer, id, &head);
	return r ? r : oplog_insert_head(txn, &oplog, &head);
}

/* Writes again what the parent does not have; it was folded when it was written, and changes nothing. */
static int write_again(struct core *core, struct txn *txn, const struct office_end *end, uint32_t *ret_n) {
	for (unsigned lane = 0; lane < LANE_N; lane++) {
		const struct oplog_id old_id = { core->author.office, end->epoch, lane };
		const struct oplog_id new_id = { core->author.office, core->author.epoch, lane };
		struct oplog old;
		int r = oplog_load(txn, &old_id, &old);

		for (uint64_t i = end->sizes[lane]; r == 0 && i < old.frontier.size; i++) {
			struct record rec;
			struct leaf leaf;
			uint64_t arrival;

			r = oplog_leaf(txn, &old, i, &leaf, &arrival);
			/* what is carried is said anew: see core_carry_counts() */
			if (r == 0 && !leaf.withheld && record_kind(leaf.bytes) != KIND_CARRIED) {
				const struct span bytes = { core->author.record, leaf.bytes.len };

				r = author_append(&core->author, txn, lane, leaf.bytes, &arrival);
				++*ret_n;
				if (r == 0 && record_decode(bytes, &rec) == 0)
					r = fold_apply(&core->fold, txn, &new_id,
						core->author.oplogs[lane].frontier.size - 1, core->fold.own, arrival,
						&rec);
				r = r < 0 ? r : 0;
			}
		}
		if (r < 0)
			return r;
	}
	return 0;
}

static int begin_life(struct core *core, struct txn *txn) {
	struct recovery *recovery = &core->recovery;
	const struct fold_sink *sink = core->fold.sink;
	struct last_life life = { .epoch = 0 };
	uint8_t value[8 + COUNTERS_LEN + 4];
	struct office_end end;
	uint32_t n_again = 0;
	int r = oplog_each_of(txn, &core->author.office, find_last_life, &life);

	if (life.epoch < core->author.epoch)
		life.epoch = core->author.epoch;
	if (r == 0 && (life.epoch == EPOCH_MAX || core->reg.own->row.former.n == OFFICE_FORMER_MAX)) {
		core->barred = CONTROL_TOO_MANY; /* there is no life after this one: it stays as it is, to be read */
		return 0;
	}
	if (r == 0)
		r = find_end(core, txn, life.epoch, &end);
	if (r > 0) {
		core->barred = CONTROL_OTHER_KEY;
		return 0;
	}
	if (r == 0)
		r = keep_serials_of_hashes(core, txn);
	r = r < 0 ? r : 0;
	for (unsigned lane = 0; r == 0 && lane < LANE_N; lane++)
		r = sign_end(core, txn, &(struct oplog_id){ core->author.office, life.epoch, lane }, end.sizes[lane]);
	core->author.epoch = core->fold.epoch = life.epoch + 1;
	if (r == 0)
		r = offices_set_own(txn, &core->author.office, core->author.epoch);
	recovery->on = recovery->proven = false;
	forget_given(recovery);
	if (r == 0)
		r = core_begin_term(core, &end);
	core->fold.sink = NULL; /* nobody is told again */
	if (r == 0)
		r = write_again(core, txn, &end, &n_again);
	core->fold.sink = sink;
	put_be64(value, core->wall_ms);
	put_counters(recovery, value + 8);
	put_be32(value + 8 + COUNTERS_LEN, n_again);
	if (r == 0)
		r = meta_put(txn, recovered_name, (struct span){ value, sizeof(value) });
	if (r == 0)
		r = meta_delete(txn, recovery_name);
	if (r == 0)
		r = meta_delete(txn, old_copy_name);
	if (r >= 0)
		r = core_carry_counts(core);
	if (r >= 0)
		r = core_publish_all_counts(core);
	core->recovered = true;
	return r < 0 ? r : 0;
}

int core_recovery_step(struct core *core) {
	struct recovery *recovery = &core->recovery;
	uint8_t counters[COUNTERS_LEN], public[SIGN_PUBLIC_LEN];
	struct txn *txn;
	int r;

	if (!recovery->on)
		return 0;
	r = core_txn(core, &txn);
	if (r == 0) {
		put_counters(recovery, counters);
		r = meta_put(txn, recovery_name, (struct span){ counters, sizeof(counters) });
	}
	if (r == 0)
		r = is_complete(core, txn);
	if (r <= 0)
		return r;
	signer_public(core->signer, public);
	if (memcmp(public, core->reg.own->row.office.sign_key, sizeof(public)) != 0) {
		core->barred = CONTROL_OLD_KEYS; /* changed since the copy was made: the keys of that time do not sign */
		return 0;
	}
	return begin_life(core, txn);
}
