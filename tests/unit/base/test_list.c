/* test_list.c - the intrusive list keeps order, through removal while walking and splicing. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/base/list.h"

struct item {
    struct list link;
    int number;
};

/* The numbers in order as one decimal: 1, 2, 3 is 123. Checks the back links on the way. */
static int digits(struct list *head)
{
    int all = 0;
    LIST_FOREACH(link, head)
    {
        assert_ptr_equal(link->next->prev, link);
        assert_ptr_equal(link->prev->next, link);
        all = all * 10 + CONTAINER_OF(link, struct item, link)->number;
    }
    return all;
}

static void fill(struct list *head, struct item *items, int first, int last)
{
    list_init(head);
    for (int i = first; i <= last; i++)
    {
        items[i].number = i;
        list_push_back(head, &items[i].link);
    }
}

static void both_ends_take_items_and_the_front_gives_them_back(void **state)
{
    (void)state;
    struct list head;
    struct item items[10] = {0};
    fill(&head, items, 2, 4);
    items[1].number = 1;
    list_push_front(&head, &items[1].link);
    assert_int_equal(digits(&head), 1234);
    for (int i = 1; i <= 4; i++) assert_ptr_equal(list_pop_front(&head), &items[i].link);
    assert_null(list_pop_front(&head));
    assert_true(list_empty(&head));
}

static void items_may_be_removed_while_walking_and_twice(void **state)
{
    (void)state;
    struct list head;
    struct item items[10] = {0};
    fill(&head, items, 1, 6);
    LIST_FOREACH(link, &head)
    {
        if (CONTAINER_OF(link, struct item, link)->number % 2)
        {
            list_remove(link);
            list_remove(link);
        }
    }
    assert_int_equal(digits(&head), 246);
}

static void a_splice_moves_all_in_order_and_leaves_the_source_empty(void **state)
{
    (void)state;
    struct list to, from;
    struct item items[10] = {0};
    fill(&to, items, 1, 3);
    fill(&from, items, 4, 6);
    list_splice_back(&to, &from);
    assert_int_equal(digits(&to), 123456);
    assert_true(list_empty(&from));
    list_splice_back(&to, &from);
    assert_int_equal(digits(&to), 123456);
    list_splice_back(&from, &to);
    assert_int_equal(digits(&from), 123456);
    assert_true(list_empty(&to));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ends_take_items_and_the_front_gives_them_back),
        cmocka_unit_test(items_may_be_removed_while_walking_and_twice),
        cmocka_unit_test(a_splice_moves_all_in_order_and_leaves_the_source_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
