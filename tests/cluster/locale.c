/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Loaded before the command line: it finds its texts where they were built, not where they will be
 * installed.
 */
#include <dlfcn.h>
#include <libintl.h>
#include <stdlib.h>

#undef bindtextdomain

char *bindtextdomain(const char *domain, const char *dir) {
	char *(*next)(const char *, const char *);

	*(void **)&next = dlsym(RTLD_NEXT, "bindtextdomain");
	return next(domain, getenv("LIENTHONG_TEXTS"));
}
