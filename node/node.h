/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * node - everything a running office consists of, and the order in which it starts and stops
 *
 * Owns it all; the parts borrow from each other as the order of node_start() shows. What keeps a
 * node from starting is said in one sentence on stderr, before anything was changed.
 */
#include "node/control.h"
#include "node/core.h"
#include "node/downlink.h"
#include "node/feed.h"
#include "node/log.h"
#include "node/uplink.h"
#include "node/zap.h"
#include "proto/keyfile.h"

enum {
	NODE_FAILED = 1,      /* what is wrong was said */
	NODE_NOT_TRUSTED = 2, /* so it was, and it is that the storage may be damaged */
};

struct node {
	const char *home;
	struct log log;
	struct config config;
	struct keyfile keyfile;
	struct core_keys keys;
	bool keys_are_next; /* they were read from keys.next */
	struct core_io io;
	struct store *store;
	struct core *core;
	void *context; /* libzmq's */
	struct zap zap;
	struct uplink uplink;
	struct downlink downlink;
	struct control control;
	struct feed feed;
};

/*
 * @home: the office's directory. @config_path NULL: lienthong.yaml in it, if there is one.
 * 0 or an outcome; node_stop() is called for either.
 */
int node_start(struct node *node, const char *home, const char *config_path);
/* Until it is told to stop. 0 or an outcome. */
int node_run(struct node *node);
void node_stop(struct node *node);
/* Checks what node_start() would need, beside a running node too, and prints what it would do. */
int node_check(const char *home, const char *config_path);
