/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * text - how strings for people are marked for translation (GNU gettext, domain "lienthong")
 */
#include <libintl.h>

#define _(text) gettext(text)
#define N_(text) (text) /* translated where it is shown */
