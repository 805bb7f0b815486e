/* suggest.h - the word that a user probably meant. Pure. */
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "runtime/base/slice.h"

/* The nearest of `words` (ended by NULL) by edit distance, or NULL when none is near enough to be worth a guess: at most
 * one slip in every three letters. */
const char *suggest_word(struct slice typed, const char *const *words);
