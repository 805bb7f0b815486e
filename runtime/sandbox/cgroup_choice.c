/* cgroup_choice.c - /proc/self/cgroup and /proc/mounts as a table, and the decision about it. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/sandbox/cgroup_choice.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/slice.h"

static const char *const controller_names[CGROUP_CONTROLLERS] = {
    [CGROUP_CPU] = "cpu",
    [CGROUP_MEMORY] = "memory",
    [CGROUP_PIDS] = "pids",
};

const char *cgroup_controller_name(enum cgroup_controller controller)
{
    return controller_names[controller];
}

unsigned cgroup_controller_bit(const char *name, size_t size)
{
    for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++)
        if (slice_equal(slice_make(name, size), slice_cstr(controller_names[i]))) return 1U << i;
    return 0;
}

/* ---- the two files ---- */

/* The text up to `end`, which is stepped over; *text stands behind it. False at the end of the text. */
static bool next_piece(const char **text, char end, struct slice *piece)
{
    if (!**text) return false;
    const char *stop = strchrnul(*text, end);
    *piece = slice_make(*text, (size_t)(stop - *text));
    *text = *stop ? stop + 1 : stop;
    return true;
}

static bool next_in(struct slice *line, char end, struct slice *piece)
{
    if (line->size == 0) return false;
    const char *begin = line->data, *stop = memchr(begin, end, line->size);
    size_t size = stop ? (size_t)(stop - begin) : line->size;
    *piece = slice_make(begin, size);
    size_t used = stop ? size + 1 : size;
    *line = slice_make(begin + used, line->size - used);
    return true;
}

static bool copy(char to[CGROUP_PATH_MAX], struct slice from)
{
    if (from.size >= CGROUP_PATH_MAX) return false;
    memcpy(to, from.data, from.size);
    to[from.size] = 0;
    return true;
}

static unsigned bits_of(struct slice list)
{
    unsigned bits = 0;
    struct slice name;
    while (next_in(&list, ',', &name)) bits |= cgroup_controller_bit(name.data, name.size);
    return bits;
}

/* "4:memory:/path", "0::/path" of version 2; hierarchies of other controllers are of no use. */
static bool parse_tree(struct slice line, struct cgroup_tree *tree)
{
    struct slice number, controllers;
    *tree = (struct cgroup_tree){.version = 1};
    if (!next_in(&line, ':', &number) || line.size == 0) return false;
    if (*(const char *)line.data ==
        ':') /* next_in would take an empty list for a piece, too; told apart here */
    {
        tree->version = 2;
        line = slice_make((const char *)line.data + 1, line.size - 1);
    }
    else
    {
        if (!next_in(&line, ':', &controllers)) return false;
        tree->controllers = bits_of(controllers);
        if (!tree->controllers) return false;
    }
    return line.size > 0 && *(const char *)line.data == '/' && copy(tree->own, line);
}

/* "cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu 0 0": the first mount of a hierarchy is taken. */
static void parse_mount(struct slice line, struct cgroup_tree *trees, size_t count)
{
    struct slice device, place, type, options, option;
    if (!next_in(&line, ' ', &device) || !next_in(&line, ' ', &place) || !next_in(&line, ' ', &type) ||
        !next_in(&line, ' ', &options))
        return;
    bool first = slice_is(type, "cgroup"), second = slice_is(type, "cgroup2");
    if (!first && !second) return;
    bool read_only = false;
    unsigned controllers = bits_of(options);
    while (next_in(&options, ',', &option)) read_only |= slice_is(option, "ro");
    for (size_t i = 0; i < count; i++)
    {
        struct cgroup_tree *tree = &trees[i];
        if (tree->mount[0] || tree->version != (first ? 1 : 2)) continue;
        if (first && !(tree->controllers & controllers)) continue;
        if (copy(tree->mount, place)) tree->read_only = read_only;
    }
}

size_t cgroup_trees_parse(const char *self_cgroup, const char *mounts,
                          struct cgroup_tree trees[CGROUP_TREES_MAX])
{
    size_t count = 0;
    struct slice line;
    while (count < CGROUP_TREES_MAX && next_piece(&self_cgroup, '\n', &line))
        count += parse_tree(line, &trees[count]);
    while (next_piece(&mounts, '\n', &line)) parse_mount(line, trees, count);
    return count;
}

/* ---- the decision ---- */

bool cgroup_tree_dir(const struct cgroup_tree *tree, bool above, char dir[CGROUP_PATH_MAX])
{
    if (!tree->mount[0]) return false;
    size_t own = strlen(tree->own);
    if (above)
    {
        if (own <= 1) return false;
        own = (size_t)(strrchr(tree->own, '/') - tree->own);
    }
    else if (own == 1)
        own = 0; /* "/" */
    int size = snprintf(dir, CGROUP_PATH_MAX, "%s%.*s", tree->mount, (int)own, tree->own);
    return size > 0 && size < CGROUP_PATH_MAX;
}

static bool is_given(const struct cgroup_facts *facts)
{
    return facts->there && facts->writable && facts->delegated;
}

static enum cgroup_why judge(const struct cgroup_tree *tree, uint32_t uid, bool *above)
{
    const struct cgroup_facts *group = &tree->group;
    *above = false;
    if (!tree->mount[0]) return CGROUP_NOT_MOUNTED;
    if (tree->read_only) return CGROUP_READ_ONLY;
    if (strcmp(tree->own, "/") == 0)
    {
        if (!group->there) return CGROUP_NOT_THERE;
        return group->writable ? CGROUP_IS_ROOT : CGROUP_NOT_WRITABLE;
    }
    /* systemd can put a service into a leaf of what it gave to it (DelegateSubgroup=), beside which ours go. */
    *above = is_given(&tree->above);
    if (*above) return CGROUP_IS_DELEGATED;
    if (!group->there) return CGROUP_NOT_THERE; /* another one's view of the tree is mounted here */
    if (is_given(group)) return CGROUP_IS_DELEGATED;
    if (uid == 0 || group->owner != uid) return CGROUP_FOREIGN;
    return group->writable ? CGROUP_IS_OWN : CGROUP_NOT_WRITABLE;
}

void cgroup_choose(const struct cgroup_tree *trees, size_t count, uint32_t uid,
                   struct cgroup_choice choice[CGROUP_CONTROLLERS])
{
    for (unsigned controller = 0; controller < CGROUP_CONTROLLERS; controller++)
    {
        struct cgroup_choice *chosen = &choice[controller];
        *chosen = (struct cgroup_choice){.why = CGROUP_NO_CONTROLLER};
        for (size_t i = 0; i < count; i++)
        {
            const struct cgroup_tree *tree = &trees[i];
            if (!(tree->controllers & (1U << controller)) || cgroup_is_used(chosen)) continue;
            bool above;
            chosen->why = judge(tree, uid, &above);
            chosen->version = tree->version;
            memcpy(chosen->own, tree->own, sizeof chosen->own);
            if (cgroup_is_used(chosen) && !cgroup_tree_dir(tree, above, chosen->dir))
                chosen->why = CGROUP_NOT_THERE;
        }
    }
}

void cgroup_choice_words(const struct cgroup_choice *choice, char *text, size_t size)
{
    static const char *const words[] = {
        [CGROUP_NO_CONTROLLER] = "the kernel has no such controller here",
        [CGROUP_NOT_MOUNTED] = "its hierarchy is not mounted",
        [CGROUP_READ_ONLY] = "its hierarchy is mounted read-only",
        [CGROUP_NOT_THERE] = "the directory of our group is not there",
        [CGROUP_NOT_WRITABLE] = "we may not make groups in it",
        [CGROUP_NOT_ENABLED] =
            ("the controller cannot be passed on to groups of ours: other processes are in our "
             "group (systemd: DelegateSubgroup=)"),
        [CGROUP_OFF] = "`cgroup` is `off`",
    };
    if (cgroup_is_used(choice))
        snprintf(text, size, "version %u at %s%s", choice->version, choice->dir,
                 choice->why == CGROUP_IS_ROOT ? "" : ", given to us");
    else if (choice->why == CGROUP_FOREIGN)
        snprintf(text, size,
                 "not used: %s is somebody else's group (systemd: Delegate=yes gives one to the node)",
                 choice->own);
    else
        snprintf(text, size, "not used: %s", words[choice->why]);
}
