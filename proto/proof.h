/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * proof - one file that proves a record to whoever has only the key of the topmost office
 *
 *   proof  [1, [link, ...], root id, root's signing key, root's CURVE key]
 *   link   [office, epoch, lane, index, leaf, [hash, ...], size, root hash, signature]
 *
 * A link says that a leaf stands in an oplog: the leaf (as in a batch), its inclusion path
 * (RFC 6962, 2.1.1), and a head that the oplog's office signed. The first is that of the record. Each further
 * one is of an office record that is needed to believe those before it: in an office's own oplog the one that
 * changed its key; in its parent's one that says who it is, and the one that revoked it, if it was. So the
 * links of one office stand together, and behind them those of its parent. The last link's office is the root,
 * whom nobody enrolled: its id and keys end the file, and whether they are the right ones only a person can
 * say, who has their fingerprint from elsewhere. Beyond that fingerprint every byte of the file is under a
 * signature or a hash.
 *
 * Every office in the chain can speak for whatever is below it: who is in it must be shown.
 */
#include "proto/kinds/office.h"
#include "proto/merkle.h"
#include "proto/message.h"

enum {
	PROOF_VERSION = 1,
	PROOF_LINKS_MAX = 64, /* levels, and changes of keys */
	PROOF_FILE_MAX = 256 * 1024,
};

enum {
	PROOF_MALFORMED = 1,
	PROOF_BAD_PATH,      /* the leaf is not in the tree of the head */
	PROOF_BAD_SIGNATURE, /* the head is not signed by the key that the next link says */
	PROOF_BAD_CHAIN,     /* a link does not say who an office is that the ones before it need */
	PROOF_ENDED,         /* a head lies beyond the end of its office, which was revoked */
};

struct proof_link {
	struct oplog_id oplog;
	uint64_t index;
	struct leaf leaf;
	struct merkle_proof path;
	struct head head;
};

struct proof {
	size_t n_links;
	struct proof_link links[PROOF_LINKS_MAX];
	struct office root; /* its id and keys; all else is empty */
};

void proof_write(const struct proof *proof, struct writer *w);
/* 0 or PROOF_MALFORMED. Spans borrow from @file. Nothing of it is believed yet. */
int proof_read(struct span file, struct proof *ret_proof);
/*
 * Whether it proves what it says, given that the root's key is right. @ret_offices has room for
 * PROOF_LINKS_MAX: who wrote each link, with the key that it is signed with. @ret_at: the link that fails. 0, an outcome or
 * -errno.
 */
int proof_check(const struct proof *proof, struct office ret_offices[PROOF_LINKS_MAX], size_t *ret_at);
