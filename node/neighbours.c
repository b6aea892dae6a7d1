/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Who the neighbours are, and what of all that is here is offered to each. */
#include <errno.h>
#include <stdlib.h>

#include "node/core_internal.h"
#include "store/cursor.h"

static struct held_oplog *find_oplog(struct core *core, uint32_t number) {
	return number > 0 && number <= core->n_oplogs ? core->oplogs[number - 1] : NULL;
}

/* Levels between an oplog's origin and us, or -1 if this link does not push it. */
static int push_distance(const struct core *core, const struct link *link, const struct id *origin) {
	const struct id *own = &core->reg.own->row.office.id;

	return link->up ? register_depth(&core->reg, origin, own) : register_depth(&core->reg, own, origin);
}

/* How far an oplog is passed on. */
static uint64_t pass_on(const struct core *core, const struct oplog_id *id, uint64_t size) {
	uint64_t limit = register_limit(&core->reg, id);

	if (id_eq(&id->office, &core->reg.own->row.office.id) && core->recovery.on)
		return 0; /* it is not known yet which of it the parent has otherwise */
	return size < limit ? size : limit;
}

static int offer(struct core *core, struct txn *txn, struct link *link, struct held_oplog *held) {
	int distance = push_distance(core, link, &held->id.office);
	uint64_t acked;
	int r;

	if (distance < 0)
		return 0;
	r = cursor_get(txn, &link->neighbour, &held->id, &acked);
	return r ? r : link_offer(link, held, distance, acked);
}

static int add_oplog(struct core *core, struct txn *txn, const struct oplog *oplog) {
	struct held_oplog *held;

	if (oplog->number == 0)
		return -EIO;
	if (oplog->number > core->n_oplogs) { /* at the start they come in the order of their ids */
		struct held_oplog **oplogs = realloc(core->oplogs, oplog->number * sizeof(*oplogs));

		if (!oplogs)
			return -ENOMEM;
		memset(oplogs + core->n_oplogs, 0, (oplog->number - core->n_oplogs) * sizeof(*oplogs));
		core->oplogs = oplogs;
		core->n_oplogs = oplog->number;
	}
	if (find_oplog(core, oplog->number))
		return -EIO; /* two of one number */
	held = calloc(1, sizeof(*held));
	if (!held)
		return -ENOMEM;
	*held = (struct held_oplog){ .id = oplog->id, .size = pass_on(core, &oplog->id, oplog->frontier.size),
		.full = oplog->frontier.size, .number = oplog->number };
	core->oplogs[oplog->number - 1] = held;
	for (size_t i = 0; i < core->n_links; i++) {
		int r = offer(core, txn, core->links[i], held);
		if (r)
			return r;
	}
	return 0;
}

int core_oplog_grown(void *userdata, const struct oplog *oplog) {
	struct core *core = userdata;
	struct held_oplog *held = find_oplog(core, oplog->number);

	if (!held)
		return add_oplog(core, core->txn, oplog);
	held->full = oplog->frontier.size;
	held->size = pass_on(core, &oplog->id, held->full);
	return 0;
}

/* The place of @neighbour among the links: where it is, or where it belongs. */
static size_t link_place(const struct core *core, const struct id *neighbour) {
	size_t low = 0, high = core->n_links;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(core->links[mid]->neighbour.b, neighbour->b, sizeof(neighbour->b)) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

struct link *core_find_link(struct core *core, const struct id *neighbour) {
	size_t at = link_place(core, neighbour);

	return at < core->n_links && id_eq(&core->links[at]->neighbour, neighbour) ? core->links[at] : NULL;
}

static int meet(struct core *core, struct txn *txn, const struct id *neighbour, bool up) {
	size_t at = link_place(core, neighbour);
	struct link **links, *link;
	int r;

	if (core_find_link(core, neighbour))
		return 0;
	links = realloc(core->links, (core->n_links + 1) * sizeof(*links));
	if (!links)
		return -ENOMEM;
	core->links = links;
	r = link_new(neighbour, up, core->work, core->wall_ms, &link);
	if (r)
		return r;
	memmove(links + at + 1, links + at, (core->n_links - at) * sizeof(*links));
	links[at] = link;
	core->n_links++;
	for (size_t i = 0; r == 0 && i < core->n_oplogs; i++)
		if (core->oplogs[i]) /* one that this turn began, with a later one, is offered when it is done */
			r = offer(core, txn, link, core->oplogs[i]);
	return r;
}

/* Whether there is a link to the office: it is this one's parent (@ret_up), or directly below it. */
static bool is_neighbour(const struct core *core, const struct office *office, bool *ret_up) {
	const struct office *own = &core->reg.own->row.office;

	*ret_up = id_eq(&office->id, &own->parent);
	return *ret_up || (id_eq(&office->parent, &own->id) && office->state != OFFICE_REVOKED &&
			office->state != OFFICE_MOVING);
}

/* Opens a link to the office, if it is a neighbour. */
int core_meet_office(struct core *core, struct txn *txn, const struct office *office) {
	bool up;

	return is_neighbour(core, office, &up) ? meet(core, txn, &office->id, up) : 0;
}

/* Takes from a link what it does not push any more. */
static void withdraw(const struct core *core, struct link *link) {
	size_t n = 0;

	for (size_t i = 0; i < link->n_oplogs; i++) {
		struct link_oplog *oplog = &link->oplogs[i];
		int distance = push_distance(core, link, &oplog->held->id.office);

		if (distance < 0 && !id_eq(&oplog->held->id.office, &link->neighbour))
			continue;
		link->oplogs[n] = *oplog;
		link->oplogs[n++].distance = distance < 0 ? 0 : distance;
	}
	link->n_oplogs = n;
}

/* Offers what a link did not push until now, or not any more, and does since an office moved. */
static int offer_again(struct core *core, struct txn *txn, struct link *link) {
	bool *has = calloc(core->n_oplogs + 1, sizeof(*has));
	int r = has ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < link->n_oplogs; i++)
		has[link->oplogs[i].held->number] = true;
	for (size_t i = 0; r == 0 && i < core->n_oplogs; i++)
		if (core->oplogs[i] && !has[core->oplogs[i]->number])
			r = offer(core, txn, link, core->oplogs[i]);
	free(has);
	return r;
}

/*
 * Lets links go to whom this turn made no neighbour any more; not before its end: it works with them. Whoever is
 * below hears of it first, since what says so is not offered to it any more.
 */
int core_part(struct core *core, struct link_io *io, struct txn *txn) {
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->n_links; i++) {
		const struct register_entry *entry = register_find(&core->reg, &core->links[i]->neighbour);

		if (entry && !core->links[i]->up && entry->row.office.state != OFFICE_REVOKED)
			r = link_flush(core->links[i], io, txn);
	}
	for (size_t i = 0; i < core->n_links; i++) {
		const struct register_entry *entry = register_find(&core->reg, &core->links[i]->neighbour);
		bool up;

		if (entry && is_neighbour(core, &entry->row.office, &up) && up == core->links[i]->up)
			core->links[n++] = core->links[i];
		else
			link_free(core->links[i]);
	}
	core->n_links = n;
	for (size_t i = 0; r == 0 && i < n; i++) {
		withdraw(core, core->links[i]);
		if (core->moved)
			r = offer_again(core, txn, core->links[i]);
	}
	for (size_t i = 0; i < core->n_oplogs; i++)
		if (core->oplogs[i])
			core->oplogs[i]->size = pass_on(core, &core->oplogs[i]->id, core->oplogs[i]->full);
	core->parted = core->moved = false;
	return r;
}

static int meet_neighbours(struct core *core, struct txn *txn) {
	int r = 0;

	for (size_t i = 0; r == 0 && i < core->reg.n; i++)
		r = core_meet_office(core, txn, &core->reg.entries[i]->row.office);
	return r;
}

int core_meet_neighbours(struct core *core) {
	struct txn *txn;
	int r = core_txn(core, &txn);

	return r ? r : meet_neighbours(core, txn);
}

static int load_oplog(void *userdata, const struct oplog *oplog) {
	struct core *core = userdata;

	return add_oplog(core, core->txn, oplog);
}

int core_load_neighbours(struct core *core) {
	int r = oplog_each(core->txn, load_oplog, core);

	for (size_t i = 0; r == 0 && i < core->n_oplogs; i++)
		r = core->oplogs[i] ? 0 : -EIO; /* the store numbers oplogs one by one */
	return r ? r : meet_neighbours(core, core->txn);
}

void core_unload_neighbours(struct core *core) {
	for (size_t i = 0; i < core->n_links; i++)
		link_free(core->links[i]);
	free(TAKE(core->links));
	core->n_links = 0;
	for (size_t i = 0; i < core->n_oplogs; i++)
		free(core->oplogs[i]);
	free(TAKE(core->oplogs));
	core->n_oplogs = 0;
}

struct link *core_uplink(struct core *core) {
	const struct office *parent = core_parent(core);

	return parent ? core_find_link(core, &parent->id) : NULL;
}
