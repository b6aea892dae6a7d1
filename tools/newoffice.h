/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * newoffice - an office that is made on this computer: its keys, its request, its empty store
 *
 * Each step may be repeated after a power cut: keys that are there are used again, and nothing that an
 * office already has is touched. All but newoffice_done() return DONE, or an ending with its words.
 */
#include "proto/enrol.h"
#include "proto/keyfile.h"
#include "tools/tool.h"

struct newoffice {
	struct office office;
	struct span name;  /* heap, NFC, as the next */
	struct span level;
	struct keyfile keys;
	struct signer *signer;
};

void newoffice_done(struct newoffice *made);
/* Code, name and level, as they were typed. */
int newoffice_describe(struct newoffice *made, const char *code, const char *name, const char *level);
/* Makes the home and the keys, or takes those that are there. */
int newoffice_keys(const struct tool *tool, struct newoffice *made);
/* The office that is in the home already; @ret_office is nil if there is none. */
int newoffice_present(const struct tool *tool, struct id *ret_office);
int newoffice_id(struct newoffice *made);
/* Writes HOME/request, and @w. */
int newoffice_request(const struct tool *tool, const struct newoffice *made, struct writer *w);
/* Makes the store of the last office of @chain; the others are those above it, the topmost first. */
int newoffice_store(const struct tool *tool, const struct enrol_office *chain, size_t n_chain,
	struct span address);
