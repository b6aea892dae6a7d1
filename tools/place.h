/* SPDX-License-Identifier: AGPL-3.0-or-later */
#pragma once
/*
 * place - which record is meant by REF|PLACE: a petition that can be read here, or office/epoch/lane/number
 */
#include "tools/home.h"

/* Whether it is written as a place. */
bool place_is(const char *name);
/* DONE, or an ending, having said why. */
int place_find(const struct home *home, const char *name, struct place *ret_place);
