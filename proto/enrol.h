/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * enrol - the two files with which an office joins: its request, and its parent's answer
 *
 *   request  [office body, signature by its own key over "lienthong request 1\n" || office body]
 *   answer   [content, signature by the parent's key over "lienthong answer 1\n" || content],
 *            content being, as bin, [address, [offices: the topmost first, the parent
 *            last but one, the new office last]]
 *
 * An office body is that of kinds/office.h, as bin; an office of the chain [office body, former terms, former
 * parents].
 */
#include "proto/kinds/office.h"

enum {
	ENROL_CHAIN_MAX = 16, /* levels */
	ENROL_ADDRESS_MAX = 256,
	ENROL_FILE_MAX = 16 * 1024,
};

enum {
	ENROL_MALFORMED = 1,
	ENROL_BAD_SIGNATURE,
};

struct enrol_office {
	struct office office;
	struct office_former former;
	struct office_parents parents;
};

struct enrol_answer {
	struct span address;                  /* where the parent listens, such as tcp://10.0.0.1:7401 */
	size_t n_chain;                       /* at least 2: parent and child */
	struct enrol_office chain[ENROL_CHAIN_MAX]; /* the topmost first, the new office last */
};

/*
 * @w gets the file's bytes; @office is the asker, its parent nil. 0 or -errno: -EKEYREJECTED where
 * the signer's key is not the one in the body it signs for.
 */
int enrol_request_write(const struct office *office, struct signer *own, struct writer *w);
/* 0, an outcome, or -errno. Spans borrow from @file. */
int enrol_request_read(struct span file, struct office *ret_office);
int enrol_answer_write(const struct enrol_answer *answer, struct signer *parent, struct writer *w);
/* 0, an outcome, or -errno; what is returned is undefined then. Spans borrow from @file. */
int enrol_answer_read(struct span file, struct enrol_answer *ret_answer);
