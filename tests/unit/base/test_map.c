/* test_map.c - the hash map against a model, with random operations from a seed. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "runtime/base/map.h"
#include "runtime/base/prng.h"

enum { KEYS = 300, STEPS = 50000 };

/* The model: which value each of the KEYS possible keys has. Key i is its decimal text repeated i % 5 times, so that
 * lengths differ and one key is empty. */
struct model {
    void *values[KEYS];
    size_t count;
};

static struct slice key_of(char *space, size_t size, unsigned i)
{
    int used = 0;
    for (unsigned n = 0; n < i % 5; n++) used += snprintf(space + used, size - (size_t)used, "%u", i);
    if (i % 5 == 0 && i != 0) used = snprintf(space, size, "key/%u", i);
    return slice_make(space, (size_t)used);
}

static void model_put(struct model *model, unsigned i, void *value)
{
    model->count += model->values[i] == NULL;
    model->values[i] = value;
}

static void *model_remove(struct model *model, unsigned i)
{
    void *old = model->values[i];
    model->count -= old != NULL;
    model->values[i] = NULL;
    return old;
}

static void check_equal(const struct map *map, const struct model *model)
{
    char space[64];
    assert_int_equal(map->count, model->count);
    for (unsigned i = 0; i < KEYS; i++)
        assert_ptr_equal(map_get(map, key_of(space, sizeof space, i)), model->values[i]);

    size_t place = 0, seen = 0;
    struct map_entry entry;
    while (map_next(map, &place, &entry))
    {
        assert_ptr_equal(map_get(map, entry.key), entry.value);
        seen++;
    }
    assert_int_equal(seen, model->count);
}

static void random_operations_agree_with_a_model(void **state)
{
    (void)state;
    uint64_t seed = getenv("STEAD_SEED") ? strtoull(getenv("STEAD_SEED"), NULL, 10) : prng_entropy();
    printf("seed: STEAD_SEED=%llu\n", (unsigned long long)seed);
    struct prng prng;
    prng_init(&prng, seed);
    static char values[1000];
    struct map map = MAP_INIT;
    struct model model = {{0}, 0};
    char space[64];
    for (unsigned step = 0; step < STEPS; step++)
    {
        unsigned i = (unsigned)prng_below(&prng, KEYS);
        struct slice key = key_of(space, sizeof space, i);
        /* Phases of growth and of shrinking: a map that only grows hides faults of removal. */
        if (prng_chance(&prng, step / 5000 % 2 ? 3 : 7, 10))
        {
            void *value = &values[prng_below(&prng, sizeof values)];
            assert_ptr_equal(map_put(&map, key, value), model.values[i]);
            model_put(&model, i, value);
        }
        else
        {
            void *expected = model_remove(&model, i);
            assert_ptr_equal(map_remove(&map, key), expected);
        }
        if (step % 500 == 0) check_equal(&map, &model);
    }
    check_equal(&map, &model);
    map_fini(&map);
}

static void an_empty_map_finds_removes_and_lists_nothing(void **state)
{
    (void)state;
    struct map map = MAP_INIT;
    size_t place = 0;
    struct map_entry entry;
    assert_null(map_get(&map, SLICE("a")));
    assert_null(map_remove(&map, SLICE("a")));
    assert_false(map_next(&map, &place, &entry));
    map_fini(&map);
}

static void keys_are_copied_and_may_hold_any_bytes(void **state)
{
    (void)state;
    struct map map = MAP_INIT;
    int one, two;
    char key[] = {'a', 0, 'b'};
    assert_null(map_put(&map, slice_make(key, 3), &one));
    key[2] = 'c';
    assert_null(map_put(&map, slice_make(key, 3), &two));
    assert_ptr_equal(map_get(&map, SLICE("a\0b")), &one);
    assert_ptr_equal(map_get(&map, SLICE("a\0c")), &two);
    assert_null(map_get(&map, SLICE("a")));

    uint64_t number = 7;
    assert_null(map_put(&map, map_key_u64(&number), &one));
    uint64_t same = 7;
    assert_ptr_equal(map_get(&map, map_key_u64(&same)), &one);
    map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_operations_agree_with_a_model),
        cmocka_unit_test(an_empty_map_finds_removes_and_lists_nothing),
        cmocka_unit_test(keys_are_copied_and_may_hold_any_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
