/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * ctl - a client of a daemon's control socket, as small as tests need it
 */
#include "proto/control.h"
#include "proto/kinds/petition.h"
#include "proto/kinds/step.h"
#include "tests/cluster/proc.h"

enum {
	CTL_SILENT = 1,       /* no answer: whether it was done is not known */
	CTL_PATIENT_MS = 60000,
	CTL_DRAFTS_MAX = 1000,
};

struct ctl;

struct ctl *ctl_new(const struct proc *proc);
struct ctl *ctl_free(struct ctl *ctl);
void ctl_freep(struct ctl **ctl);

/* What is sent next: write the request there, with ctl_number() as its number. */
struct writer *ctl_writer(struct ctl *ctl);
uint64_t ctl_number(const struct ctl *ctl); /* another one after each ctl_ask() */
/*
 * Sends the request and waits for its answer, until @gave_up (may be NULL) becomes true. 0 or
 * CTL_SILENT; the answer is borrowed until the next call.
 */
int ctl_ask(struct ctl *ctl, unsigned timeout_ms, bool (*gave_up)(void *userdata), void *userdata,
	struct answer *ret_answer);
int ctl_status(struct ctl *ctl, unsigned timeout_ms, struct control_status *ret_status);
uint64_t ctl_refusals(const struct proc *proc, unsigned reason); /* 0: all of them */
/* How the link with @office stands: enum link_report_state, or -1: there is none. */
int ctl_link_state(const struct proc *proc, const struct id *office);

/* Both run. */
void ctl_enrol(const struct proc *parent, const struct proc *child);
/* Enrols an office that is no daemon; returns the length of the answer. */
size_t ctl_add_office(const struct proc *parent, const struct office *office,
	const struct keyfile *keys, uint8_t ret_answer[16384]);
void ctl_join(const struct proc *child, struct span answer);

/* What a petition of these says, with its @n. */
#define CTL_PETITION_TEXT "Đường thôn hư hỏng, đoạn số %u"

/* A draft whose body stands in @buf. @n makes its text; more than 0 people. */
struct draft ctl_petition(uint8_t *buf, size_t len, unsigned n, uint32_t people, bool urgent);
struct draft ctl_step(uint8_t *buf, size_t len, const struct id *petition, uint8_t action);
/* Takes in @n petitions, some of them in each request, as a clerk would who is told of each. */
void ctl_take_petitions(const struct proc *proc, unsigned n, unsigned in_each);
