/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "node/node.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "node/loop.h"
#include "proto/text.h"
#include "store/offices.h"

enum {
	STOP_SECONDS = 8, /* then the kernel ends what libzmq could not */
};

/* Says why the node does not start. */
#define FAIL(node, ...) (log_write(&(node)->log, LOG_ERR, __VA_ARGS__), NODE_FAILED)

static int load_config(struct node *node, const char *path) {
	char own[PATH_MAX];
	char *report = NULL, *line, *rest;
	int r;

	config_init(&node->config);
	(void)snprintf(own, sizeof(own), "%s/lienthong.yaml", node->home);
	r = config_load(path ? path : own, &node->config, &report);
	if (r == -ENOENT && !path)
		return 0;
	if (r == CONFIG_INVALID) {
		for (line = strtok_r(report, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
			log_write(&node->log, LOG_ERR, "%s", line);
		free(report);
		return NODE_FAILED;
	}
	if (r)
		return FAIL(node, _("%s cannot be read: %s"), path ? path : own, strerror(-r));
	return 0;
}

/*
 * A child on this machine that tries a port out of which the kernel also takes the near ends of
 * connections can connect to itself, and libzmq then never tries again.
 */
static int check_listen(struct node *node) {
	const char *address = node->config.listen;
	const char *port = strrchr(address, ':');
	unsigned low = 32768;
	FILE *file;

	if (!port || (strncmp(address, "tcp://127.", 10) != 0 &&
			     strncmp(address, "tcp://[::1]:", 12) != 0 &&
			     strncmp(address, "tcp://localhost:", 16) != 0 &&
			     strncmp(address, "tcp://lo:", 9) != 0))
		return 0;
	file = fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
	if (file) {
		if (fscanf(file, "%u", &low) != 1)
			low = 32768;
		(void)fclose(file);
	}
	if (strtoul(port + 1, NULL, 10) < low)
		return 0;
	return FAIL(node, _("listen: port %s on loopback is one that the system gives to outgoing "
			    "connections; choose one below %u"),
		port + 1, low);
}

static int check_home(struct node *node) {
	size_t most = sizeof(((struct sockaddr_un *)NULL)->sun_path) - sizeof("/control.sock");

	if (strlen(node->home) > most)
		return FAIL(node, _("%s is too long a path for sockets in it: choose one of at most "
				    "%zu bytes"),
			node->home, most);
	if (keyfile_check_folder(node->home) == KEYFILE_EXPOSED)
		return FAIL(node, _("%s belongs to another user, or others can write to it: make it yours, mode 0700"),
			node->home);
	return 0;
}

static int open_store(struct node *node, enum store_mode mode) {
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/store", node->home);
	r = store_open(path, mode, node->config.store_size, &node->store);
	switch (r) {
	case 0:
		return 0;
	case STORE_NOT_FOUND:
		return FAIL(node, _("there is no store in %s: run `lienthong init` first"),
			node->home);
	case STORE_BUSY:
		return FAIL(node, _("another node is already running in %s"), node->home);
	case STORE_NEWER_FORMAT:
		return FAIL(node, _("%s was made by a newer version of lienthong: install that"), path);
	case STORE_DAMAGED:
	case -EIO:
		(void)FAIL(node, _("%s is damaged: restore it, or let the parent's copy rebuild it"),
			path);
		return NODE_NOT_TRUSTED;
	default:
		return FAIL(node, _("%s cannot be opened: %s"), path, strerror(-r));
	}
}

static int load_keys(struct node *node, const char *name) {
	char path[PATH_MAX], secret[41], curve_public[41];
	int r;

	(void)snprintf(path, sizeof(path), "%s/%s", node->home, name);
	r = keyfile_read(path, &node->keyfile);
	switch (r) {
	case 0:
		break;
	case KEYFILE_MISSING:
		return FAIL(node, _("%s is missing: restore this office's keys from where they were "
				    "kept safe"),
			path);
	case KEYFILE_EXPOSED:
		return FAIL(node, _("%s can be read by others, or belongs to another user: make it "
				    "yours, mode 0600"),
			path);
	case KEYFILE_MALFORMED:
		return FAIL(node, _("%s is not a key file, or damaged: restore it"), path);
	default:
		return FAIL(node, _("%s cannot be read: %s"), path, strerror(-r));
	}
	r = signer_new(node->keyfile.seed, &node->keys.signer);
	if (r)
		return FAIL(node, _("the keys cannot be used: %s"), strerror(-r));
	if (!zmq_z85_encode(secret, node->keyfile.curve_secret, 32) ||
		zmq_curve_public(curve_public, secret) < 0 ||
		!zmq_z85_decode(node->keys.curve_public, curve_public))
		r = errno;
	explicit_bzero(secret, sizeof(secret));
	return r ? FAIL(node, _("the keys cannot be used: %s"), zmq_strerror(r)) : 0;
}

static int check_keyring(void *userdata, uint64_t file) {
	struct node *node = userdata;
	char name[KEYRING_NAME_MAX];
	uint32_t n;
	int r = keyring_size(node->keys.keyring, file, &n);

	keyring_name(file, name);
	switch (r) {
	case 0:
		return 0;
	case KEYRING_EXPOSED:
		return FAIL(node, _("%s/%s can be read by others, or belongs to another user: make it "
				    "yours, mode 0600"),
			node->home, name);
	case KEYRING_MALFORMED:
		return FAIL(node, _("%s/%s is damaged, or was renamed: put it back from where it is kept safe, or move it "
				    "away until it is found"),
			node->home, name);
	default:
		return FAIL(node, _("%s/%s cannot be used: %s"), node->home, name, strerror(-r));
	}
}

/* The keys of private parts. Without them the node would forget whom it should answer. */
static int open_keyring(struct node *node) {
	int r = keyring_open(node->home, &node->keys.keyring);

	if (r == 0)
		r = keyring_each(node->keys.keyring, check_keyring, node);
	return r < 0 ? FAIL(node, _("%s cannot be used: %s"), node->home, strerror(-r)) : r;
}

/* A copy takes no other file's place, so it can be put back at any time. */
static void warn_of_shut_parts(struct node *node) {
	char name[KEYRING_NAME_MAX];
	uint64_t n = core_shut_parts(node->core, name);

	if (n > 0)
		log_write(&node->log, LOG_WARNING, _("of %llu petitions nobody can read who brought them: put %s back into %s from where it is kept safe, when it is at hand"),
			(unsigned long long)n, name, node->home);
}

static bool are_keys_of(const struct node *node, const struct office *office) {
	uint8_t sign_public[SIGN_PUBLIC_LEN];

	signer_public(node->keys.signer, sign_public);
	return memcmp(office->sign_key, sign_public, sizeof(sign_public)) == 0 &&
		memcmp(office->curve_key, node->keys.curve_public, OFFICE_CURVE_LEN) == 0;
}

/* The store knows the next keys already, and the files were not told: the node was ended between the two. */
static int take_next_keys(struct node *node, const struct office *own) {
	char next[PATH_MAX];
	int r;

	(void)snprintf(next, sizeof(next), "%s/keys.next", node->home);
	if (access(next, F_OK) < 0)
		return 0;
	node->keys.signer = signer_free(node->keys.signer);
	r = load_keys(node, "keys.next");
	if (!r && are_keys_of(node, own))
		node->keys_are_next = true;
	return r;
}

static int replace_keys(struct node *node) {
	char path[PATH_MAX], next[PATH_MAX];

	(void)snprintf(path, sizeof(path), "%s/keys", node->home);
	(void)snprintf(next, sizeof(next), "%s/keys.next", node->home);
	return keyfile_replace(path, next);
}

/* That the keys are those of the office whose store this is. */
static int check_own(struct node *node) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	struct office_row own;
	uint32_t epoch;
	int r;

	r = store_begin_read(node->store, &txn);
	if (!r)
		r = offices_own(txn, &own, &epoch);
	if (r == STORE_NOT_FOUND)
		return FAIL(node, _("the store in %s belongs to no office: run `lienthong init` first"),
			node->home);
	if (r) {
		(void)FAIL(node, _("the store in %s cannot be read: it is damaged"), node->home);
		return NODE_NOT_TRUSTED;
	}
	if (!are_keys_of(node, &own.office)) {
		r = take_next_keys(node, &own.office);
		if (r)
			return r;
	}
	if (!are_keys_of(node, &own.office))
		return FAIL(node, _("%s/keys are not the keys of %.*s, whose store this is: restore "
				    "the right ones"),
			node->home, (int)own.office.name.len, own.office.name.data);
	return 0;
}

/* What --check and a start have in common. */
static int prepare(struct node *node, const char *home, const char *config_path,
	enum store_mode mode) {
	int r;

	*node = (struct node){ .home = home };
	log_init(&node->log);
	r = check_home(node);
	if (!r)
		r = load_config(node, config_path);
	if (!r)
		r = check_listen(node);
	if (!r)
		r = open_store(node, mode);
	if (!r)
		r = load_keys(node, "keys");
	if (!r)
		r = check_own(node);
	return r;
}

/* The core's effects. */

static bool on_send(void *userdata, const struct id *neighbour, struct span frame) {
	struct node *node = userdata;
	const struct office *parent = core_parent(node->core);

	if (parent && id_eq(&parent->id, neighbour))
		return uplink_send(&node->uplink, frame);
	return downlink_send(&node->downlink, neighbour, frame);
}

static void on_answer(void *userdata, struct span client, struct span frame) {
	struct node *node = userdata;

	control_answer(&node->control, client, frame);
}

static void on_answer_guest(void *userdata, struct span client, struct span frame) {
	struct node *node = userdata;

	downlink_answer_guest(&node->downlink, client, frame);
}

static void on_publish(void *userdata, uint64_t number, struct span row) {
	struct node *node = userdata;

	feed_publish(&node->feed, number, row);
}

static void on_joined(void *userdata) {
	struct node *node = userdata;

	uplink_renew(&node->uplink);
}

/* Those that the tool made beside the present ones; the key of the transport stays. */
static int on_next_key(void *userdata, struct signer **ret_signer) {
	struct node *node = userdata;
	struct keyfile next;
	char path[PATH_MAX];
	int r;

	(void)snprintf(path, sizeof(path), "%s/keys.next", node->home);
	r = keyfile_read(path, &next);
	if (r == 0 && memcmp(next.curve_secret, node->keyfile.curve_secret, sizeof(next.curve_secret)) != 0)
		r = KEYFILE_MALFORMED;
	if (r == 0)
		r = signer_new(next.seed, ret_signer);
	explicit_bzero(&next, sizeof(next));
	if (r < 0 && r != -ENOMEM) { /* nothing has happened yet */
		log_write(&node->log, LOG_WARNING, _("%s cannot be read: %s"), path, strerror(-r));
		r = KEYFILE_MALFORMED;
	}
	return r;
}

static void on_rotated(void *userdata) {
	struct node *node = userdata;
	int r = replace_keys(node);

	if (r) /* a start does it again */
		log_write(&node->log, LOG_ERR, _("keys.next could not take the place of keys: %s; leave both as they are"),
			strerror(-r));
	else
		log_write(&node->log, LOG_NOTICE, _("this office signs with another key from now on"));
}

static void on_misused(void *userdata, struct span office, enum enrol_outcome outcome) {
	struct node *node = userdata;
	const int len = (int)office.len;
	const char *name = (const char *)office.data;

	switch (outcome) {
	case ENROL_OUTCOME_USED:
		log_cause(&node->log, LOG_WARNING, _("the invitation of %.*s was tried by another computer than the one that asked first"),
			len, name);
		break;
	case ENROL_OUTCOME_EXPIRED:
		log_cause(&node->log, LOG_WARNING, _("the invitation of %.*s was tried after it had expired"), len, name);
		break;
	default:
		log_cause(&node->log, LOG_WARNING, _("the invitation of %.*s was tried for what it is not for"), len, name);
		break;
	}
}

static int on_random(void *userdata, void *ret, size_t len) {
	return random_bytes(ret, len);
}

static int start_core(struct node *node) {
	struct timespec now;
	int r;

	node->io = (struct core_io){
		.userdata = node,
		.send = on_send,
		.answer = on_answer,
		.answer_guest = on_answer_guest,
		.publish = on_publish,
		.joined = on_joined,
		.random = on_random,
		.next_key = on_next_key,
		.rotated = on_rotated,
		.misused = on_misused,
	};
	(void)clock_gettime(CLOCK_REALTIME, &now);
	r = core_new(node->store, &node->config, &node->keys, &node->io,
		(uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000, &node->core);
	if (r == -EIO) {
		(void)FAIL(node, _("the store in %s cannot be read: it is damaged"), node->home);
		return NODE_NOT_TRUSTED;
	}
	return r ? FAIL(node, _("the node cannot be set up: %s"), strerror(-r)) : 0;
}

static int start_zap(struct node *node) {
	int r;

	r = zap_init(&node->zap, node->context, node->core, &node->log);
	if (!r)
		r = zap_self_test(&node->zap, node->context, node->keyfile.curve_secret);
	if (r == ZAP_ADMITS_STRANGERS)
		return FAIL(node, _("this libzmq lets strangers connect, which nothing may rest on: "
				    "install version 4.3.4 or newer"));
	return r ? FAIL(node, _("the check that strangers are refused did not work: %s"),
			   zmq_strerror(-r))
		 : 0;
}

static int cannot_listen(struct node *node, const char *what, const char *where, int r) {
	if (r == -EADDRINUSE)
		return FAIL(node, _("%s: %s is in use by another program"), what, where);
	return FAIL(node, _("%s: %s cannot be used: %s"), what, where, zmq_strerror(-r));
}

int node_start(struct node *node, const char *home, const char *config_path) {
	struct config *config = &node->config;
	const uint8_t *secret = node->keyfile.curve_secret;
	int r;

	r = prepare(node, home, config_path, STORE_WRITE);
	if (r)
		return r;
	if (node->keys_are_next)
		on_rotated(node);
	r = open_keyring(node);
	if (!r)
		r = start_core(node);
	if (r)
		return r;
	warn_of_shut_parts(node);
	node->context = zmq_ctx_new(); /* nothing forks from here on */
	/* sockets close at once, whatever is in them: it is in the store as well */
	if (!node->context || zmq_ctx_set(node->context, ZMQ_BLOCKY, false) < 0)
		return FAIL(node, _("libzmq cannot be set up: %s"), zmq_strerror(errno));
	r = start_zap(node); /* before any socket that rests on it */
	if (r)
		return r;
	r = control_init(&node->control, node->context, node->core, home, &node->log);
	if (r)
		return cannot_listen(node, _("the control socket"), home, r);
	r = feed_init(&node->feed, node->context, config->stream, home, &node->log);
	if (r)
		return cannot_listen(node, "stream", config->stream[0] ? config->stream : home, r);
	r = downlink_init(&node->downlink, node->context, node->core, config->listen, secret,
		&node->log);
	if (r)
		return cannot_listen(node, "listen", config->listen, r);
	uplink_init(&node->uplink, node->context, node->core, config, &node->keyfile, &node->log);
	return 0;
}

int node_run(struct node *node) {
	const struct office *own = core_own(node->core);
	int r;

	log_write(&node->log, LOG_INFO, _("%.*s is running in %s, version %s"), (int)own->name.len,
		own->name.data, node->home, LIENTHONG_VERSION);
	r = loop_run(node);
	if (r == -EIO) {
		(void)FAIL(node, _("the disk failed: what is on it cannot be trusted until it was "
				   "checked; stopping"));
		return NODE_NOT_TRUSTED;
	}
	return r ? FAIL(node, _("the node cannot go on: %s"), zmq_strerror(-r)) : 0;
}

void node_stop(struct node *node) {
	(void)sd_notify(0, "STOPPING=1");
	(void)alarm(STOP_SECONDS);
	uplink_done(&node->uplink);
	downlink_done(&node->downlink);
	feed_done(&node->feed);
	control_done(&node->control);
	zap_done(&node->zap);
	if (node->context)
		(void)zmq_ctx_term(TAKE(node->context));
	node->core = core_free(node->core);
	node->keys.signer = signer_free(node->keys.signer);
	node->keys.keyring = keyring_close(node->keys.keyring);
	node->store = store_close(node->store);
	explicit_bzero(&node->keyfile, sizeof(node->keyfile));
}

/* Who the office is and what it would do. 0 or an error of the store. */
static void print_line(const struct config *config) {
	if (config->link_hours[0].from == config->link_hours[0].to && !config->link_daily_bytes)
		return;
	(void)printf(_("line     upward, but for what is urgent:"));
	for (size_t i = 0; i < CONFIG_HOURS_MAX && config->link_hours[i].from != config->link_hours[i].to; i++) {
		const struct hours *hours = &config->link_hours[i];

		(void)printf(" %02u:%02u-%02u:%02u", hours->from / 60u, hours->from % 60u, hours->to / 60u, hours->to % 60u);
	}
	if (config->link_daily_bytes)
		(void)printf(_(" at most %llu KiB a day"), (unsigned long long)config->link_daily_bytes >> 10);
	(void)printf("\n");
}

static int print_plan(struct node *node) {
	_cleanup_(store_abortp) struct txn *txn = NULL;
	const struct config *config = &node->config;
	struct office_row own, parent;
	struct span address = { NULL, 0 };
	char id[OFFICE_ID_TEXT_LEN + 1];
	uint32_t epoch;
	int r;

	r = store_begin_read(node->store, &txn);
	if (!r)
		r = offices_own(txn, &own, &epoch);
	if (r)
		return r;
	id_format(&own.office.id, id);
	(void)printf(_("office   %.*s (%.*s), %s\n"), (int)own.office.name.len, own.office.name.data,
		(int)own.office.level.len, own.office.level.data, id);

	r = offices_parent_address(txn, &address);
	if (!r)
		r = offices_get(txn, &own.office.parent, &parent);
	if (r < 0)
		return r;
	if (r == 0)
		(void)printf(_("parent   %.*s, at %.*s\n"), (int)parent.office.name.len,
			parent.office.name.data, (int)address.len, address.data);
	else
		(void)printf(_("parent   none: `lienthong join` makes this office part of a tree\n"));
	print_line(config);

	if (config->listen[0])
		(void)printf(_("listen   %s, announced as %s\n"), config->listen,
			config->announce[0] ? config->announce : _("what office add says"));
	else
		(void)printf(_("listen   nowhere: no office can be below this one\n"));
	(void)printf(_("stream   %s\n"), config->stream[0] ? config->stream : _("stream.sock in the home"));
	(void)printf(_("store    %s/store, may grow to %llu MiB\n"), node->home,
		(unsigned long long)config->store_size >> 20);
	(void)printf(_("rules    %zu:"), config->n_rules);
	for (size_t i = 0; i < config->n_rules; i++)
		(void)printf(" %s", config->rules[i].name);
	(void)printf("\n");
	return 0;
}

int node_check(const char *home, const char *config_path) {
	struct node node;
	int r;

	r = prepare(&node, home, config_path, STORE_READ);
	if (!r && print_plan(&node) != 0)
		r = FAIL(&node, _("the store in %s cannot be read: it is damaged"), home);
	node_stop(&node);
	return r;
}
