/* suggest.c - edit distance with swaps, on words short enough for a row on the stack. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/base/suggest.h"

enum { WORD_BYTES_MAX = 63, FAR_AWAY = WORD_BYTES_MAX + 1 };

static size_t min3(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`. */
static size_t distance(struct slice a, struct slice b)
{
    if (a.size > WORD_BYTES_MAX || b.size > WORD_BYTES_MAX) return FAR_AWAY;
    size_t rows[3][WORD_BYTES_MAX + 1];
    const char *left = a.data, *right = b.data;
    for (size_t j = 0; j <= b.size; j++) rows[0][j] = j;
    for (size_t i = 1; i <= a.size; i++)
    {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b.size; j++)
        {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left[i - 1] != right[j - 1]));
            bool swapped = i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if (swapped && above2[j - 2] + 1 < row[j]) row[j] = above2[j - 2] + 1;
        }
    }
    return rows[a.size % 3][b.size];
}

const char *suggest_word(struct slice typed, const char *const *words)
{
    const char *nearest = NULL;
    size_t least = typed.size / 3 + 1;
    for (; *words; words++)
    {
        size_t slips = distance(typed, slice_cstr(*words));
        /* A whole word replaced is no slip: "ls" is not a typo of "rm". */
        if (slips > least || slips >= typed.size || slips >= strlen(*words)) continue;
        if (nearest && slips == least) continue;
        nearest = *words;
        least = slips;
    }
    return nearest;
}
