/* test_bus_mem.c - buses on a wire of memory hear each other and programs, and lose what a fault takes. */
// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "messaging/bus/bus.h"
#include "runtime/base/buf.h"

struct heard {
    struct buf text; /* "source:bytes;" */
};

static void on_message(void *ctx, uint32_t source, struct slice bytes)
{
    struct heard *heard = ctx;
    buf_printf(&heard->text, "%u:%.*s;", source, SLICE_FMT(bytes));
}

static struct bus *open_bus(struct bus_wire *wire, struct heard *heard)
{
    *heard = (struct heard){BUF_INIT};
    return bus_mem_open(wire, &(struct bus_handler){.on_message = on_message, .ctx = heard});
}

static void peers_hear_what_is_published_and_one_what_is_pushed_to_it(void **state)
{
    struct bus_wire *wire = bus_wire_create();
    struct heard a, b, c;
    struct bus *bus_a = open_bus(wire, &a), *bus_b = open_bus(wire, &b), *bus_c = open_bus(wire, &c);
    bus_a->ops->publish(bus_a, SLICE("x"));
    bus_c->ops->publish(bus_c, SLICE("y"));
    bus_mem_push(bus_b, SLICE("z"));
    assert_true(bus_wire_run(wire));
    assert_false(bus_wire_run(wire));
    assert_string_equal(buf_cstr(&a.text), "2:y;");
    assert_string_equal(buf_cstr(&b.text), "1:x;2:y;0:z;");
    assert_string_equal(buf_cstr(&c.text), "1:x;");
    struct bus_stats stats;
    bus_b->ops->stats(bus_b, &stats);
    assert_true(stats.received == 3 && stats.sent == 0);
    bus_a->ops->publish(bus_a, SLICE("never"));
    bus_a->ops->close(bus_a);
    bus_b->ops->close(bus_b);
    bus_c->ops->close(bus_c);
    bus_wire_destroy(wire);
    buf_fini(&a.text);
    buf_fini(&b.text);
    buf_fini(&c.text);
}

static void a_fault_drops_and_repeats_what_it_is_told_to(void **state)
{
    struct bus_wire *wire = bus_wire_create();
    struct heard a, b;
    struct bus_fault fault = {.drop_every = 3, .repeat_every = 2};
    struct bus *bus_a = bus_fault_wrap(open_bus(wire, &a), &fault), *bus_b = open_bus(wire, &b);
    for (char text = '1'; text <= '6'; text++) bus_a->ops->publish(bus_a, slice_make(&text, 1));
    assert_true(bus_wire_run(wire));
    assert_string_equal(buf_cstr(&b.text), "1:1;1:2;1:2;1:4;1:4;1:5;");
    bus_a->ops->close(bus_a);
    bus_b->ops->close(bus_b);
    bus_wire_destroy(wire);
    buf_fini(&a.text);
    buf_fini(&b.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(peers_hear_what_is_published_and_one_what_is_pushed_to_it),
        cmocka_unit_test(a_fault_drops_and_repeats_what_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
