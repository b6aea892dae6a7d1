/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "proto/kinds/fork.h"

enum {
	PROOF_FIELDS = 4,
	HEAD_FIELDS = 3,
};

void fork_encode(const struct fork *fork, struct writer *w) {
	bool found = fork->state == FORK_FOUND;

	write_array(w, FORK_FIELDS + (found ? PROOF_FIELDS : 0));
	oplog_id_write(w, &fork->oplog);
	write_uint(w, fork->state);
	if (!found)
		return;
	for (unsigned i = 0; i < 2; i++) {
		write_array(w, HEAD_FIELDS);
		head_write(w, i ? &fork->large : &fork->small);
	}
	write_hash(w, &fork->other);
	write_array(w, fork->path.n);
	for (size_t i = 0; i < fork->path.n; i++)
		write_hash(w, &fork->path.node[i]);
}

int fork_decode(struct span body, struct fork *ret_fork) {
	struct reader r;

	*ret_fork = (struct fork){ 0 };
	reader_init(&r, body);
	read_array(&r, FORK_FIELDS, UINT64_MAX);
	oplog_id_read(&r, &ret_fork->oplog);
	ret_fork->state = read_uint(&r, UINT8_MAX);
	if (ret_fork->state == FORK_FOUND) {
		for (unsigned i = 0; i < 2; i++) {
			read_array(&r, HEAD_FIELDS, UINT64_MAX);
			head_read(&r, i ? &ret_fork->large : &ret_fork->small);
			read_end(&r);
		}
		read_hash(&r, &ret_fork->other);
		ret_fork->path.n = read_array(&r, 0, MERKLE_DEPTH_MAX + 1);
		for (size_t i = 0; i < ret_fork->path.n && !r.failed; i++)
			read_hash(&r, &ret_fork->path.node[i]);
		read_end(&r);
	}
	read_end(&r);
	return reader_done(&r) ? FORK_MALFORMED : 0;
}

int fork_check(const struct fork *fork, struct verifier *key) {
	if (fork->state != FORK_FOUND ||
		memcmp(fork->other.b, fork->small.root.b, sizeof(fork->other.b)) == 0 ||
		merkle_consistency_check(fork->small.size, &fork->other, fork->large.size, &fork->large.root,
			&fork->path))
		return FORK_NOT_PROVED;
	for (unsigned i = 0; i < 2; i++) {
		int r = head_verify(key, &fork->oplog, i ? &fork->large : &fork->small);

		if (r)
			return r < 0 ? r : FORK_NOT_PROVED;
	}
	return 0;
}
