/* test_cgroup.c - which hierarchies are used, and what is done in them, on machines in memory. */
// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
// cmocka wants the ones above before it.
#include <cmocka.h>

#include "tests/unit/sandbox/fx_cgroups.h"

/* ---- the decision ---- */

static const char v1_mount[] = "cgroup /cg cgroup rw,relatime,memory 0 0\n";
static const char v2_mount[] = "cgroup2 /cg cgroup2 rw,nosuid 0 0\n";

static void a_hierarchy_is_used_only_where_it_is_ours(void **state)
{
    (void)state;
    static const struct {
        const char *what;
        const char *self, *mounts;
        struct cgroup_facts group, above;
        uint32_t uid;
        enum cgroup_why why;
        const char *dir;
    } cases[] = {
        {"the root of a machine or container, version 1",
         "1:memory:/\n",
         v1_mount,
         {.there = true, .writable = true},
         {.there = false},
         0,
         CGROUP_IS_ROOT,
         "/cg"},
        {"the root, version 2",
         "0::/\n",
         v2_mount,
         {.there = true, .writable = true},
         {.there = false},
         0,
         CGROUP_IS_ROOT,
         "/cg"},
        {"the root without the right to write",
         "0::/\n",
         v2_mount,
         {.there = true},
         {.there = false},
         1000,
         CGROUP_NOT_WRITABLE,
         ""},
        {"a group that systemd gave to us",
         "0::/a/b\n",
         v2_mount,
         {.there = true, .writable = true, .delegated = true},
         {.there = true, .writable = true},
         0,
         CGROUP_IS_DELEGATED,
         "/cg/a/b"},
        {"a leaf of one that systemd gave to us",
         "0::/a/b\n",
         v2_mount,
         {.there = true, .writable = true},
         {.there = true, .writable = true, .delegated = true},
         0,
         CGROUP_IS_DELEGATED,
         "/cg/a"},
        {"a group of our own user, who is not root",
         "0::/a/b\n",
         v2_mount,
         {.there = true, .writable = true, .owner = 1000},
         {.there = true, .writable = true, .owner = 1000},
         1000,
         CGROUP_IS_OWN,
         "/cg/a/b"},
        {"a nested group of somebody else, whom root could overrule",
         "1:memory:/a/b\n",
         v1_mount,
         {.there = true, .writable = true},
         {.there = true, .writable = true},
         0,
         CGROUP_FOREIGN,
         ""},
        {"a group of another user",
         "0::/a/b\n",
         v2_mount,
         {.there = true, .owner = 7},
         {.there = true},
         1000,
         CGROUP_FOREIGN,
         ""},
        {"given to us but not to be written",
         "0::/a/b\n",
         v2_mount,
         {.there = true, .delegated = true},
         {.there = true, .delegated = true},
         0,
         CGROUP_FOREIGN,
         ""},
        {"a mount to read only",
         "1:memory:/\n",
         "cgroup /cg cgroup ro,nosuid,memory 0 0\n",
         {.there = true, .writable = true},
         {.there = false},
         0,
         CGROUP_READ_ONLY,
         ""},
        {"another view of the tree is mounted",
         "1:memory:/docker/77\n",
         v1_mount,
         {.there = false},
         {.there = false},
         0,
         CGROUP_NOT_THERE,
         ""},
        {"no mount at all",
         "1:memory:/\n",
         "proc /proc proc rw 0 0\n",
         {.there = false},
         {.there = false},
         0,
         CGROUP_NOT_MOUNTED,
         ""},
        {"a kernel without the controller",
         "1:cpu:/\n",
         v1_mount,
         {.there = false},
         {.there = false},
         0,
         CGROUP_NO_CONTROLLER,
         ""},
        {"nothing", "", "", {.there = false}, {.there = false}, 0, CGROUP_NO_CONTROLLER, ""},
        {"lines that are none",
         "\n:\n::\n1\n1:memory\n1:memory:\n1:memory:a\n",
         "cgroup\ncgroup2 /\n\n   \n",
         {.there = true, .writable = true},
         {.there = false},
         0,
         CGROUP_NO_CONTROLLER,
         ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        struct cgroup_tree trees[CGROUP_TREES_MAX];
        struct cgroup_choice choice[CGROUP_CONTROLLERS];
        size_t count = cgroup_trees_parse(cases[i].self, cases[i].mounts, trees);
        for (size_t t = 0; t < count; t++)
        {
            trees[t].group = cases[i].group;
            trees[t].above = cases[i].above;
            if (trees[t].version == 2) trees[t].controllers = 1U << CGROUP_MEMORY;
        }
        cgroup_choose(trees, count, cases[i].uid, choice);
        const struct cgroup_choice *memory = &choice[CGROUP_MEMORY];
        if (memory->why != cases[i].why || strcmp(memory->dir, cases[i].dir) != 0)
            fail_msg("%s: %d in `%s`", cases[i].what, memory->why, memory->dir);
        char words[256];
        cgroup_choice_words(memory, words, sizeof words);
        assert_int_equal(strncmp(words, "not used: ", 10) == 0, memory->dir[0] == 0);
    }
}

static void controllers_that_share_a_hierarchy_and_both_versions_beside_each_other_are_found(void **state)
{
    (void)state;
    struct cgroup_tree trees[CGROUP_TREES_MAX];
    size_t count = cgroup_trees_parse("12:cpu,cpuacct:/x\n3:name=systemd:/y\n0::/z:1\n",
                                      "cgroup2 /cg/unified cgroup2 rw 0 0\n"
                                      "cgroup /cg/systemd cgroup rw,name=systemd 0 0\n"
                                      "cgroup /cg/cpu,cpuacct cgroup ro,cpu,cpuacct 0 0\n"
                                      "cgroup /again cgroup rw,cpu,cpuacct 0 0\n",
                                      trees);
    assert_int_equal(count, 2);
    assert_int_equal(trees[0].version, 1);
    assert_int_equal(trees[0].controllers, 1U << CGROUP_CPU);
    assert_string_equal(trees[0].own, "/x");
    assert_string_equal(trees[0].mount, "/cg/cpu,cpuacct");
    assert_true(trees[0].read_only);
    assert_int_equal(trees[1].version, 2);
    assert_string_equal(trees[1].own, "/z:1");
    assert_string_equal(trees[1].mount, "/cg/unified");
    assert_false(trees[1].read_only);
}

static void paths_that_are_too_long_are_left_out(void **state)
{
    (void)state;
    char self[CGROUP_PATH_MAX + 32], long_path[CGROUP_PATH_MAX + 1], dir[CGROUP_PATH_MAX];
    struct cgroup_tree trees[CGROUP_TREES_MAX];
    memset(long_path, 'a', CGROUP_PATH_MAX);
    long_path[CGROUP_PATH_MAX] = 0;
    snprintf(self, sizeof self, "0::/%s\n", long_path);
    assert_int_equal(cgroup_trees_parse(self, v2_mount, trees), 0);
    long_path[CGROUP_PATH_MAX - 2] = 0;
    snprintf(self, sizeof self, "0::/%s\n", long_path);
    assert_int_equal(cgroup_trees_parse(self, v2_mount, trees), 1);
    assert_false(cgroup_tree_dir(&trees[0], false, dir));
    assert_true(cgroup_tree_dir(&trees[0], true, dir));
    assert_string_equal(dir, "/cg");
}

static void only_names_of_ours_name_a_daemon(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        pid_t daemon;
    } cases[] = {
        {"stead.17.1.bank", 17}, {"stead.17.node", 17}, {"stead.17.", 0},   {"stead.17", 0},
        {"stead..1.bank", 0},    {"stead.x.1.bank", 0}, {"stead.", 0},      {"", 0},
        {"steady.17.1.a", 0},    {"user.slice", 0},     {"stead.17x.1", 0}, {"stead.99999999999999.1.a", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (cgroup_name_daemon(cases[i].name, strlen(cases[i].name)) != cases[i].daemon)
            fail_msg("%s", cases[i].name);
}

/* ---- groups ---- */

static struct cgroups *opened(struct fx_cgroups *fx)
{
    struct cgroups *cgroups;
    cgroups_open(&fx->port, &cgroups);
    return cgroups;
}

static struct cgroup *made(struct cgroups *cgroups)
{
    struct cgroup_limits limits = {.memory_bytes = 1 << 20, .cpu_percent = 20, .processes = 40};
    struct cgroup *group;
    struct err err = ERR_INIT;
    if (cgroup_make(cgroups, "bank", &limits, &group, &err) != STATUS_OK) fail_msg("%s", err_text(&err));
    return group;
}

static void version_1_gets_its_limits_in_the_hierarchies_that_are_ours(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v1(&fx);
    struct cgroups *cgroups = opened(&fx);
    assert_true(cgroups_usable(cgroups));
    struct cgroup *group = made(cgroups);
    assert_string_equal(cgroup_name(group), "stead.4000.1.bank");
    assert_string_equal(fx_text(&fx, "/cg/cpu/stead.4000.1.bank/cpu.cfs_quota_us"), "20000");
    assert_string_equal(fx_text(&fx, "/cg/cpu/stead.4000.1.bank/cpu.shares"), "128");
    assert_string_equal(fx_text(&fx, "/cg/pids/stead.4000.1.bank/pids.max"), "40");
    assert_int_equal(fx_count(&fx, "/cg/memory/theirs/a1"), 0);
    assert_int_equal(cgroup_memory_kills(group), 0);
    assert_true(cgroup_remove(group));
    assert_int_equal(fx_count(&fx, "/cg/cpu") + fx_count(&fx, "/cg/pids"), 0);
    cgroups_close(cgroups);
}

static void version_2_has_all_limits_in_one_group(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v2(&fx);
    struct cgroups *cgroups = opened(&fx);
    struct cgroup *group = made(cgroups);
    assert_string_equal(fx_text(&fx, "/cg/service/stead.4000.1.bank/cpu.max"), "20000 100000");
    assert_string_equal(fx_text(&fx, "/cg/service/stead.4000.1.bank/cpu.weight"), "12");
    assert_string_equal(fx_text(&fx, "/cg/service/stead.4000.1.bank/memory.max"), "1048576");
    assert_string_equal(fx_text(&fx, "/cg/service/stead.4000.1.bank/pids.max"), "40");
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

static void the_daemon_makes_room_in_what_was_given_to_it(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v2(&fx);
    struct cgroups *cgroups = opened(&fx);
    assert_string_equal(fx.moves, "4000>/cg/service/stead.4000.node ");
    assert_string_equal(fx_text(&fx, "/cg/service/cgroup.subtree_control"), "cpu memory pids");
    cgroups_close(cgroups);
}

static void nobody_else_is_moved_to_make_room(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v2(&fx);
    fx_fork(&fx, FX_SELF, 77);
    struct cgroups *cgroups = opened(&fx);
    assert_false(cgroups_usable(cgroups));
    assert_int_equal(cgroups_choice(cgroups, CGROUP_CPU)->why, CGROUP_NOT_ENABLED);
    assert_string_equal(fx.moves, "");
    struct cgroup *group;
    struct err err = ERR_INIT;
    assert_int_equal(cgroup_make(cgroups, "bank", &(struct cgroup_limits){0}, &group, &err),
                     STATUS_UNSUPPORTED);
    cgroups_close(cgroups);
}

static void no_room_is_made_where_a_leaf_was_given(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v2(&fx);
    snprintf(fx.self_cgroup, sizeof fx.self_cgroup, "0::/service/leaf\n");
    (void)fx_group_add(&fx, 0, 2, "/cg/service/leaf", ""); /* nothing is passed on to it yet */
    fx_put(&fx, FX_SELF, "/cg/service/leaf");
    struct cgroups *cgroups = opened(&fx);
    assert_string_equal(fx.moves, "");
    assert_string_equal(cgroups_choice(cgroups, CGROUP_MEMORY)->dir, "/cg/service");
    struct cgroup *group = made(cgroups);
    assert_non_null(fx_group(&fx, "/cg/service/stead.4000.1.bank"));
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

static void a_zygote_enters_before_its_children(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v1(&fx);
    struct cgroups *cgroups = opened(&fx);
    struct cgroup *group = made(cgroups);
    struct err err = ERR_INIT;
    fx_fork(&fx, FX_SELF, 50);
    fx_fork(&fx, 50, 51);
    fx_fork(&fx, 51, 52);
    fx_fork(&fx, 51, 53);
    fx_fork(&fx, FX_SELF, 60); /* another one's zygote */
    assert_int_equal(cgroup_enter(group, 50, &err), STATUS_OK);
    assert_string_equal(fx.moves, "50>/cg/cpu/stead.4000.1.bank 50>/cg/pids/stead.4000.1.bank "
                                  "51>/cg/cpu/stead.4000.1.bank 51>/cg/pids/stead.4000.1.bank "
                                  "52>/cg/cpu/stead.4000.1.bank 52>/cg/pids/stead.4000.1.bank "
                                  "53>/cg/cpu/stead.4000.1.bank 53>/cg/pids/stead.4000.1.bank ");
    assert_false(cgroup_remove(group));
    for (pid_t pid = 50; pid <= 53; pid++) fx_end(&fx, pid);
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

static void a_number_that_is_another_processs_by_now_is_not_moved(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v1(&fx);
    struct cgroups *cgroups = opened(&fx);
    struct cgroup *group = made(cgroups);
    struct err err = ERR_INIT;
    fx_fork(&fx, FX_SELF, 50);
    fx_fork(&fx, 50, 51);
    assert_int_equal(cgroup_enter(group, 51, &err), STATUS_UNAVAILABLE);
    assert_int_equal(cgroup_enter(group, 99, &err), STATUS_UNAVAILABLE);
    assert_string_equal(fx.moves, "");
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

static void what_dead_daemons_left_is_swept_and_nothing_else(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v1(&fx);
    static const struct {
        const char *dir;
        bool stays;
    } groups[] = {
        {"/cg/cpu/stead.99.1.bank", false}, /* nobody has this number */
        {"/cg/cpu/stead.4000.7.bank", false}, /* ours: of the one before us */
        {"/cg/cpu/stead.70.1.bank", true}, /* it lives */
        {"/cg/cpu/stead.98.1.full", true}, /* dead, but somebody is in it */
        {"/cg/cpu/theirs", true},
    };
    for (size_t i = 0; i < 5; i++) (void)fx_group_add(&fx, 0, 1, groups[i].dir, "cpu");
    fx_fork(&fx, FX_SELF, 70);
    fx_put(&fx, 70, "/cg/cpu/stead.98.1.full");
    struct cgroups *cgroups = opened(&fx);
    for (size_t i = 0; i < 5; i++)
        if ((fx_group(&fx, groups[i].dir) != NULL) != groups[i].stays) fail_msg("%s", groups[i].dir);
    cgroups_close(cgroups);
}

static void a_name_that_is_in_use_is_passed_over(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v1(&fx);
    struct cgroups *cgroups = opened(&fx);
    (void)fx_group_add(&fx, 2, 1, "/cg/pids/stead.4000.1.bank", "pids");
    struct cgroup *group = made(cgroups);
    assert_string_equal(cgroup_name(group), "stead.4000.2.bank");
    assert_int_equal(fx_count(&fx, "/cg/cpu"), 1);
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

static void a_group_is_there_whole_or_not_at_all(void **state)
{
    (void)state;
    static const struct {
        const char *at;
        int with;
        enum status status;
        const char *words;
    } cases[] = {
        {"/cg/pids/stead", EACCES, STATUS_PERMISSION_DENIED, "make the control group"},
        {"/cg/cpu/stead", ENOSPC, STATUS_NO_RESOURCES, "make the control group"},
        {"pids.max", EIO, STATUS_NO_RESOURCES, "limit pids of the control group"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    {
        struct fx_cgroups fx;
        fx_machine_v1(&fx);
        struct cgroups *cgroups = opened(&fx);
        struct cgroup *group;
        struct err err = ERR_INIT;
        struct cgroup_limits limits = {.cpu_percent = 20, .processes = 40};
        fx.fail_at = cases[i].at;
        fx.fail_with = cases[i].with;
        assert_int_equal(cgroup_make(cgroups, "bank", &limits, &group, &err), cases[i].status);
        if (!strstr(err_text(&err), cases[i].words)) fail_msg("%s", err_text(&err));
        assert_int_equal(fx_count(&fx, "/cg/cpu") + fx_count(&fx, "/cg/pids"), 0);
        cgroups_close(cgroups);
    }
}

static void a_container_with_less_than_the_limit_is_no_failure(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v1(&fx);
    struct cgroups *cgroups = opened(&fx);
    fx.fail_at = "cfs_quota";
    fx.fail_with = EINVAL;
    struct cgroup *group = made(cgroups);
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

static void kills_for_memory_are_read_in_both_versions(void **state)
{
    (void)state;
    struct fx_cgroups fx;
    fx_machine_v2(&fx);
    struct cgroups *cgroups = opened(&fx);
    struct cgroup *group = made(cgroups);
    assert_int_equal(cgroup_memory_kills(group), 0);
    char path[] = "/cg/service/stead.4000.1.bank/memory.events";
    assert_int_equal(fx.port.write(&fx, path, "oom 9\noom_kill 3\noom_group_kill 1\n"), 0);
    assert_int_equal(cgroup_memory_kills(group), 3);
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);

    fx_machine_v1(&fx);
    snprintf(fx.self_cgroup, sizeof fx.self_cgroup, "4:memory:/\n");
    (void)fx_group_add(&fx, 1, 1, "/cg/memory", "memory");
    cgroups = opened(&fx);
    group = made(cgroups);
    assert_string_equal(fx_text(&fx, "/cg/memory/stead.4000.1.bank/memory.limit_in_bytes"), "1048576");
    assert_int_equal(cgroup_memory_kills(group), 0);
    char file[] = "/cg/memory/stead.4000.1.bank/memory.oom_control";
    assert_int_equal(fx.port.write(&fx, file, "oom_kill_disable 7\nunder_oom 0\noom_kill 2\n"), 0);
    assert_int_equal(cgroup_memory_kills(group), 2);
    assert_true(cgroup_remove(group));
    cgroups_close(cgroups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hierarchy_is_used_only_where_it_is_ours),
        cmocka_unit_test(controllers_that_share_a_hierarchy_and_both_versions_beside_each_other_are_found),
        cmocka_unit_test(paths_that_are_too_long_are_left_out),
        cmocka_unit_test(only_names_of_ours_name_a_daemon),
        cmocka_unit_test(version_1_gets_its_limits_in_the_hierarchies_that_are_ours),
        cmocka_unit_test(version_2_has_all_limits_in_one_group),
        cmocka_unit_test(the_daemon_makes_room_in_what_was_given_to_it),
        cmocka_unit_test(nobody_else_is_moved_to_make_room),
        cmocka_unit_test(no_room_is_made_where_a_leaf_was_given),
        cmocka_unit_test(a_zygote_enters_before_its_children),
        cmocka_unit_test(a_number_that_is_another_processs_by_now_is_not_moved),
        cmocka_unit_test(what_dead_daemons_left_is_swept_and_nothing_else),
        cmocka_unit_test(a_name_that_is_in_use_is_passed_over),
        cmocka_unit_test(a_group_is_there_whole_or_not_at_all),
        cmocka_unit_test(a_container_with_less_than_the_limit_is_no_failure),
        cmocka_unit_test(kills_for_memory_are_read_in_both_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
