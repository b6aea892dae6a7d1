/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/fork.h"

enum {
	SIDES = 2,
	SIDE_FIELDS = 5,
};

static void write_side(struct writer *w, const struct fork_side *side) {
	write_array(w, SIDE_FIELDS);
	write_uint(w, side->head.size);
	write_hash(w, &side->head.root);
	write_bin(w, (struct span){ side->head.signature, SIGN_SIGNATURE_LEN });
	write_hash(w, &side->leaf);
	write_array(w, side->path.n);
	for (size_t i = 0; i < side->path.n; i++)
		write_hash(w, &side->path.node[i]);
}

static void read_side(struct reader *r, struct fork_side *ret_side) {
	struct span signature;

	read_array(r, SIDE_FIELDS, UINT64_MAX);
	ret_side->head.size = read_uint(r, UINT64_MAX);
	read_hash(r, &ret_side->head.root);
	signature = read_bin(r, SIGN_SIGNATURE_LEN, SIGN_SIGNATURE_LEN);
	if (signature.len == SIGN_SIGNATURE_LEN)
		memcpy(ret_side->head.signature, signature.data, SIGN_SIGNATURE_LEN);
	read_hash(r, &ret_side->leaf);
	ret_side->path.n = read_array(r, 0, MERKLE_DEPTH_MAX);
	for (size_t i = 0; i < ret_side->path.n && !r->failed; i++)
		read_hash(r, &ret_side->path.node[i]);
	read_end(r);
	read_end(r);
}

void fork_encode(const struct fork *fork, struct writer *w) {
	bool found = fork->state == FORK_FOUND;

	write_array(w, FORK_FIELDS + (found ? SIDES : 0));
	write_id(w, &fork->oplog.office);
	write_uint(w, fork->oplog.epoch);
	write_uint(w, fork->oplog.lane);
	write_uint(w, fork->index);
	write_uint(w, fork->state);
	for (size_t i = 0; found && i < SIDES; i++)
		write_side(w, &fork->sides[i]);
}

int fork_decode(struct span body, struct fork *ret_fork) {
	struct reader r;

	*ret_fork = (struct fork){ 0 };
	reader_init(&r, body);
	read_array(&r, FORK_FIELDS, UINT64_MAX);
	read_id(&r, &ret_fork->oplog.office);
	ret_fork->oplog.epoch = read_uint(&r, EPOCH_MAX);
	ret_fork->oplog.lane = read_uint(&r, LANE_N - 1);
	ret_fork->index = read_uint(&r, UINT64_MAX);
	ret_fork->state = read_uint(&r, UINT8_MAX);
	for (size_t i = 0; ret_fork->state == FORK_FOUND && i < SIDES; i++)
		read_side(&r, &ret_fork->sides[i]);
	read_end(&r);
	return reader_done(&r) ? FORK_MALFORMED : 0;
}

int fork_check(const struct fork *fork, struct verifier *const keys[2]) {
	if (fork->state != FORK_FOUND ||
		memcmp(fork->sides[0].leaf.b, fork->sides[1].leaf.b, sizeof(fork->sides[0].leaf.b)) == 0)
		return FORK_NOT_PROVED;
	for (size_t i = 0; i < SIDES; i++) {
		const struct fork_side *side = &fork->sides[i];
		int r;

		if (fork->index >= side->head.size || merkle_inclusion_check(fork->index, side->head.size, &side->leaf,
			    &side->head.root, &side->path))
			return FORK_NOT_PROVED;
		r = keys[i] ? head_verify(keys[i], &fork->oplog, &side->head) : FORK_NOT_PROVED;
		if (r)
			return r < 0 ? r : FORK_NOT_PROVED;
	}
	return 0;
}
