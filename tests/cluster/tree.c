/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "tests/cluster/tree.h"

#include <unistd.h>

#include "store/fold.h"
#include "tests/cluster/ctl.h"

#define FAULT(n, ...) ((n)++, fprintf(stderr, "fault: " __VA_ARGS__), fputc('\n', stderr))

size_t tree_add(struct tree *tree, const char *name, uint32_t code, uint8_t code_digits, int parent,
	bool listens) {
	size_t at = tree->n++;

	must(at < TREE_MAX, "the tree is full");
	tree->parent[at] = parent;
	tree->procs[at] = proc_new(name, code, code_digits, listens);
	proc_start(tree->procs[at]);
	if (parent >= 0)
		ctl_enrol(tree->procs[parent], tree->procs[at]);
	return at;
}

void tree_done(struct tree *tree) {
	tree_close(tree);
	for (size_t i = 0; i < tree->n; i++)
		proc_free(tree->procs[i]);
	tree->n = 0;
}

void tree_open(struct tree *tree) {
	for (size_t i = 0; i < tree->n; i++) {
		tree->stores[i] = proc_store(tree->procs[i], STORE_READ);
		must(store_begin_read(tree->stores[i], &tree->txns[i]) == 0, "begin");
	}
}

void tree_close(struct tree *tree) {
	for (size_t i = 0; i < tree->n; i++) {
		tree->txns[i] = store_abort(tree->txns[i]);
		tree->stores[i] = store_close(tree->stores[i]);
	}
}

void tree_refresh(struct tree *tree) {
	for (size_t i = 0; i < tree->n; i++)
		must(txn_refresh(tree->txns[i]) == 0, "refresh");
}

static const char *name_of(const struct tree *tree, size_t at) {
	return (const char *)tree->procs[at]->office.name.data; /* a literal */
}

/* Whether @origin is @at's own office or one above it. */
static bool is_above(const struct tree *tree, const struct id *origin, size_t at) {
	for (int i = (int)at; i >= 0; i = tree->parent[i])
		if (id_eq(&tree->procs[i]->office.id, origin))
			return true;
	return false;
}

/* Calls @fn for every oplog that travels from @from to its neighbour @to. */
struct travel {
	const struct tree *tree;
	size_t from, to;
	bool up;
	bool same; /* so far */
};

static int compare_size(void *userdata, const struct oplog *oplog) {
	struct travel *travel = userdata;
	bool travels = is_above(travel->tree, &oplog->id.office, travel->from);
	struct oplog other;

	if (travel->up) /* its own and those of the offices below it */
		travels = !travels || id_eq(&oplog->id.office,
					      &travel->tree->procs[travel->from]->office.id);
	if (!travels || oplog->frontier.size == 0)
		return 0;
	if (oplog_load(travel->tree->txns[travel->to], &oplog->id, &other) != 0 ||
		other.frontier.size != oplog->frontier.size)
		travel->same = false;
	return 0;
}

bool tree_at_rest(struct tree *tree) {
	bool same = true;

	tree_refresh(tree);
	for (size_t i = 0; i < tree->n; i++) {
		size_t parent = (size_t)tree->parent[i];
		struct travel up = { tree, i, parent, true, true };
		struct travel down = { tree, parent, i, false, true };

		if (tree->parent[i] < 0)
			continue;
		must(oplog_each(tree->txns[i], compare_size, &up) == 0, "oplogs");
		must(oplog_each(tree->txns[parent], compare_size, &down) == 0, "oplogs");
		same &= up.same && down.same;
	}
	return same;
}

bool tree_wait(struct tree *tree, unsigned timeout_ms) {
	uint64_t until_ms = proc_now_ms() + timeout_ms;

	while (!tree_at_rest(tree)) {
		if (proc_now_ms() >= until_ms)
			return false;
		proc_pause_ms(20);
	}
	return true;
}

static uint32_t number_of(const struct tree *tree, size_t at, size_t of) {
	struct office_row row;
	int r = offices_get(tree->txns[at], &tree->procs[of]->office.id, &row);

	must(r >= 0, "%s: its register", name_of(tree, at));
	return r == 0 ? row.number : 0;
}

struct count {
	uint32_t office;
	uint8_t measure;
	uint64_t n;
};

static int add_count(void *userdata, const struct tally_entry *entry) {
	struct count *count = userdata;

	if (entry->office == count->office && entry->row.measure == count->measure)
		count->n += entry->row.n;
	return 0;
}

uint64_t tree_count(const struct tree *tree, size_t at, size_t of, uint8_t measure) {
	struct count count = { number_of(tree, at, of), measure, 0 };

	must(tallies_each(tree->txns[at], add_count, &count) == 0, "tallies");
	return count.n;
}

static int add_petition(void *userdata, const struct id *id, const struct case_row *row) {
	struct count *count = userdata;

	count->n += row->kind == KIND_PETITION && row->origin == count->office;
	return 0;
}

uint64_t tree_petitions(const struct tree *tree, size_t at, size_t of) {
	struct count count = { number_of(tree, at, of), 0, 0 };

	must(cases_each(tree->txns[at], add_petition, &count) == 0, "cases");
	return count.n;
}

uint64_t tree_size(const struct tree *tree, size_t at, size_t of, enum lane lane) {
	struct oplog oplog;
	int r = oplog_load(tree->txns[at], &(struct oplog_id){ tree->procs[of]->office.id, 1, lane },
		&oplog);

	must(r >= 0, "oplog");
	return r == 0 ? oplog.frontier.size : 0;
}

struct verify {
	struct tree *tree;
	size_t at;
	unsigned faults;
};

/* Recomputes the root of every head that is kept, and checks what was signed. */
static unsigned verify_heads(struct verify *verify, const struct oplog *oplog) {
	_cleanup_(oplog_walk_closep) struct oplog_walk *walk = NULL;
	_cleanup_(verifier_freep) struct verifier *key = NULL;
	struct txn *txn = verify->tree->txns[verify->at];
	const char *name = name_of(verify->tree, verify->at);
	struct office_row origin;
	struct frontier frontier;
	uint64_t index, arrival;
	struct head head = { 0 };
	unsigned faults = 0;
	struct leaf leaf;
	int r;

	must(offices_get(txn, &oplog->id.office, &origin) == 0, "%s: no such office", name);
	must(verifier_new(origin.office.sign_key, &key) == 0, "%s: a key", name);
	frontier_init(&frontier);
	must(oplog_walk_open(txn, oplog, 0, &walk) == 0, "%s: walk", name);
	r = oplog_next_head(txn, oplog, 0, &head);
	for (; oplog_walk_next(walk, &index, &leaf, &arrival) == 0;) {
		struct hash hash;

		if (index != frontier.size) {
			FAULT(faults, "%s: leaf %llu stands where %llu should", name,
				(unsigned long long)index, (unsigned long long)frontier.size);
			return faults;
		}
		leaf_hash(&leaf, &hash);
		frontier_append(&frontier, &hash);
		if (r != 0 || frontier.size != head.size)
			continue;
		frontier_root(&frontier, &hash);
		if (memcmp(hash.b, head.root.b, sizeof(hash.b)) != 0)
			FAULT(faults, "%s: the root at %llu is another", name,
				(unsigned long long)head.size);
		if (head_verify(key, &oplog->id, &head) != 0)
			FAULT(faults, "%s: the head at %llu is signed badly", name,
				(unsigned long long)head.size);
		r = oplog_next_head(txn, oplog, head.size, &head);
	}
	if (frontier.size != oplog->frontier.size || r == 0)
		FAULT(faults, "%s: %llu leaves of %llu, and a head at %llu", name,
			(unsigned long long)frontier.size, (unsigned long long)oplog->frontier.size,
			(unsigned long long)head.size);
	if (oplog->head.size != oplog->frontier.size)
		FAULT(faults, "%s: no head covers the end", name);
	return faults;
}

/* The parent's copy: the same bytes, or their hash where they are withheld from it. */
static unsigned verify_copy(struct verify *verify, const struct oplog *oplog) {
	struct tree *tree = verify->tree;
	size_t parent = (size_t)tree->parent[verify->at];
	_cleanup_(oplog_walk_closep) struct oplog_walk *ours = NULL, *theirs = NULL;
	const char *name = name_of(tree, verify->at);
	struct leaf a, b;
	struct hash ha, hb;
	uint64_t ia, ib, arrival;
	unsigned faults = 0;
	struct oplog copy;

	if (oplog->frontier.size == 0)
		return 0;
	if (oplog_load(tree->txns[parent], &oplog->id, &copy) != 0) {
		FAULT(faults, "%s: the parent has no copy", name);
		return faults;
	}
	must(oplog_walk_open(tree->txns[verify->at], oplog, 0, &ours) == 0, "walk");
	must(oplog_walk_open(tree->txns[parent], &copy, 0, &theirs) == 0, "walk");
	while (oplog_walk_next(ours, &ia, &a, &arrival) == 0) {
		if (oplog_walk_next(theirs, &ib, &b, &arrival) != 0 || ia != ib) {
			FAULT(faults, "%s: the parent lacks leaf %llu", name, (unsigned long long)ia);
			return faults;
		}
		leaf_hash(&a, &ha);
		leaf_hash(&b, &hb);
		if (memcmp(ha.b, hb.b, sizeof(ha.b)) != 0 ||
			(!a.withheld && !b.withheld && !span_eq(a.bytes, b.bytes)))
			FAULT(faults, "%s: leaf %llu is another at the parent", name,
				(unsigned long long)ia);
	}
	if (oplog_walk_next(theirs, &ib, &b, &arrival) == 0)
		FAULT(faults, "%s: the parent has more than its origin", name);
	return faults;
}

static int verify_oplog(void *userdata, const struct oplog *oplog) {
	struct verify *verify = userdata;

	verify->faults += verify_heads(verify, oplog);
	if (verify->tree->parent[verify->at] >= 0)
		verify->faults += verify_copy(verify, oplog);
	return 0;
}

/* Every row that is derived, made again from the oplogs. */
static void verify_derived(struct verify *verify) {
	static const enum table tables[] = { TABLE_CASES, TABLE_STEPS, TABLE_ESCALATIONS, TABLE_WAITING,
		TABLE_TALLIES };
	struct txn *txn = verify->tree->txns[verify->at], *again;
	char directory[64], path[96];
	struct store *into;

	proc_directory(directory);
	snprintf(path, sizeof(path), "%s/store", directory);
	must(store_create(path, PROC_MAP) == 0, "%s", path);
	must(store_open(path, STORE_WRITE, PROC_MAP, &into) == 0, "%s", path);
	must(fold_rebuild(txn, into) == 0, "%s: folding again", name_of(verify->tree, verify->at));
	must(store_begin_read(into, &again) == 0, "%s", path);
	for (size_t t = 0; t < N_ELEMENTS(tables); t++) {
		_cleanup_(scan_closep) struct scan *a = NULL, *b = NULL;
		struct span ka, va, kb, vb;
		size_t n = 0;
		int ra, rb;

		must(scan_open(txn, tables[t], (struct span){ NULL, 0 }, &a) == 0, "scan");
		must(scan_open(again, tables[t], (struct span){ NULL, 0 }, &b) == 0, "scan");
		do {
			ra = scan_next(a, &ka, &va);
			rb = scan_next(b, &kb, &vb);
			n++;
		} while (ra == 0 && rb == 0 && span_eq(ka, kb) && span_eq(va, vb));
		if (ra != STORE_NOT_FOUND || rb != STORE_NOT_FOUND)
			FAULT(verify->faults, "%s: row %zu of derived table %zu is not what the oplogs give",
				name_of(verify->tree, verify->at), n, t);
	}
	store_abort(again);
	store_close(into);
	proc_remove(directory);
}

struct counts {
	struct verify *verify;
	uint32_t own;    /* its number in its own store */
	uint32_t number; /* its number above */
	size_t above;
	size_t n;
};

static int compare_count(void *userdata, const struct tally_entry *entry) {
	struct counts *counts = userdata;
	struct tally_entry above = { .office = counts->number, .row = entry->row };

	if (entry->office != counts->own)
		return 0;
	counts->n++;
	above.row.n = 0;
	if (tallies_get(counts->verify->tree->txns[counts->above], &above) != 0 || above.row.n != entry->row.n)
		FAULT(counts->verify->faults, "%s counts %llu of measure %u, and %s %llu",
			name_of(counts->verify->tree, counts->verify->at), (unsigned long long)entry->row.n,
			entry->row.measure, name_of(counts->verify->tree, counts->above),
			(unsigned long long)above.row.n);
	return 0;
}

/* What an office counts itself is what every office above it knows of it. */
static void verify_counts(struct verify *verify) {
	struct tree *tree = verify->tree;

	for (int above = tree->parent[verify->at]; above >= 0; above = tree->parent[above]) {
		struct counts counts = { verify, number_of(tree, verify->at, verify->at),
			number_of(tree, (size_t)above, verify->at), (size_t)above, 0 };

		must(tallies_each(tree->txns[verify->at], compare_count, &counts) == 0, "tallies");
	}
}

unsigned tree_verify(struct tree *tree) {
	struct verify verify = { .tree = tree };

	for (verify.at = 0; verify.at < tree->n; verify.at++) {
		must(oplog_each(tree->txns[verify.at], verify_oplog, &verify) == 0, "oplogs");
		verify_derived(&verify);
		verify_counts(&verify);
	}
	return verify.faults;
}
