/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "node/node.h"
#include "proto/keyfile.h"
#include "proto/text.h"

/* What a supervisor is told. Usage is not worth a restart; distrust is a case for the operator. */
enum {
	EXIT_USAGE = 2,
	EXIT_NOT_TRUSTED = 76,
};

struct arguments {
	const char *home;
	const char *config;
	bool check;
};

static void print_help(FILE *file) {
	(void)fputs(_("lienthongd - the node of an office\n"
		      "\n"
		      "  lienthongd [--home DIR] [--config FILE] [--check]\n"
		      "\n"
		      "  --home DIR      the office's directory (LIENTHONG_HOME, /var/lib/lienthong)\n"
		      "  --config FILE   instead of DIR/lienthong.yaml\n"
		      "  --check         check everything, print what would be done, and stop\n"
		      "  -V, --version   print the version\n"
		      "  -h, --help      print this\n"),
		file);
}

/* -1: go on, otherwise the exit code. */
static int read_arguments(int argc, char **argv, struct arguments *ret_arguments) {
	static const struct option options[] = {
		{ "home", required_argument, NULL, 'H' },
		{ "config", required_argument, NULL, 'c' },
		{ "check", no_argument, NULL, 'k' },
		{ "version", no_argument, NULL, 'V' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	const char *home = getenv("LIENTHONG_HOME");
	int c;

	*ret_arguments = (struct arguments){ .home = home && *home ? home : "/var/lib/lienthong" };
	while ((c = getopt_long(argc, argv, "Vh", options, NULL)) != -1)
		switch (c) {
		case 'H':
			ret_arguments->home = optarg;
			break;
		case 'c':
			ret_arguments->config = optarg;
			break;
		case 'k':
			ret_arguments->check = true;
			break;
		case 'V':
			(void)printf("lienthongd %s\n", LIENTHONG_VERSION);
			return EXIT_SUCCESS;
		case 'h':
			print_help(stdout);
			return EXIT_SUCCESS;
		default:
			print_help(stderr);
			return EXIT_USAGE;
		}
	if (optind == argc)
		return -1;
	print_help(stderr);
	return EXIT_USAGE;
}

/* Each office below is a connection, and at the limit libzmq burns a processor without a word. */
static void allow_many_files(void) {
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* Before libzmq starts its threads, which then inherit it. */
static void set_signals(void) {
	sigset_t signals;

	(void)signal(SIGPIPE, SIG_IGN); /* stderr may be gone */
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
}

int main(int argc, char **argv) {
	struct arguments arguments;
	struct node *node;
	int r;

	keyfile_forbid_dumps();
	(void)setlocale(LC_ALL, "");
	(void)bindtextdomain("lienthong", LOCALEDIR);
	(void)textdomain("lienthong");
	r = read_arguments(argc, argv, &arguments);
	if (r >= 0)
		return r;
	if (arguments.check)
		return node_check(arguments.home, arguments.config) ? EXIT_FAILURE : EXIT_SUCCESS;

	(void)umask(umask(0) | 0007); /* the sockets: never for others */
	allow_many_files();
	set_signals();
	node = calloc(1, sizeof(*node));
	if (!node)
		return EXIT_FAILURE;
	r = node_start(node, arguments.home, arguments.config);
	if (!r)
		r = node_run(node);
	node_stop(node);
	free(node);
	return r == NODE_NOT_TRUSTED ? EXIT_NOT_TRUSTED : r ? EXIT_FAILURE : EXIT_SUCCESS;
}
