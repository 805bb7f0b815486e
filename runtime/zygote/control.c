/* control.c - packets between daemon and zygote. */
// SPDX-License-Identifier: Apache-2.0
#include "runtime/zygote/control.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/base/bounds.h"
#include "runtime/base/check.h"

enum { HEAD_BYTES = offsetof(struct control_message, text) };

static enum status send_with(int socket, struct slice bytes, const int *fds, size_t count, struct err *err)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
    } beside = {0};
    struct iovec part = {.iov_base = (void *)bytes.data, .iov_len = bytes.size};
    struct msghdr packet = {.msg_iov = &part, .msg_iovlen = 1};
    if (count)
    {
        packet.msg_control = beside.bytes;
        packet.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        struct cmsghdr *rights = CMSG_FIRSTHDR(&packet);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(rights), fds, sizeof(int) * count);
    }
    ssize_t sent;
    do sent = sendmsg(socket, &packet, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0) return STATUS_OK;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return err_set(err, STATUS_UNAVAILABLE, "the zygote has gone");
    return err_errno(err, STATUS_NO_RESOURCES, errno, "send to the zygote");
}

enum status control_send(int socket, const struct control_message *message, const int *fds, size_t count,
                         struct err *err)
{
    CHECK(message->text_size <= CONTROL_TEXT_MAX && count <= CONTROL_FDS_MAX);
    return send_with(socket, slice_make(message, HEAD_BYTES + message->text_size), fds, count, err);
}

/* Takes the descriptors out of a packet; false when there were more than we have places for. */
static bool take_fds(struct msghdr *packet, int fds[CONTROL_FDS_MAX])
{
    size_t taken = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(packet); part; part = CMSG_NXTHDR(packet, part))
    {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++)
        {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
            if (taken < CONTROL_FDS_MAX)
                fds[taken++] = fd;
            else
                close(fd); /* room for alignment can hold one more than we asked for */
        }
    }
    return !(packet->msg_flags & MSG_CTRUNC);
}

static bool well_formed(const struct control_message *message, size_t size)
{
    return size >= HEAD_BYTES && message->text_size <= CONTROL_TEXT_MAX &&
           size == HEAD_BYTES + message->text_size && message->kind >= CONTROL_SPAWN &&
           message->kind <= CONTROL_EXITED && message->status < STATUS_COUNT;
}

/* The size of the packet, 0 at the end, -1 with errno. *whole: bytes and descriptors have all found room. */
static ssize_t receive_with(int socket, void *bytes, size_t room, int fds[CONTROL_FDS_MAX], bool *whole)
{
    for (size_t i = 0; i < CONTROL_FDS_MAX; i++) fds[i] = -1;
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(int) * CONTROL_FDS_MAX)];
    } beside;
    struct iovec part = {.iov_base = bytes, .iov_len = room};
    struct msghdr packet = {
        .msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = beside.bytes,
        .msg_controllen = sizeof beside.bytes,
    };
    ssize_t size;
    do size = recvmsg(socket, &packet, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0 || (size == 0 && packet.msg_controllen == 0)) return size;
    *whole = take_fds(&packet, fds) && size > 0 && !(packet.msg_flags & MSG_TRUNC);
    return size > 0 ? size : 1; /* an empty packet with descriptors is not the end */
}

static void close_fds(int fds[CONTROL_FDS_MAX])
{
    for (size_t i = 0; i < CONTROL_FDS_MAX; i++)
        if (fds[i] >= 0) close(fds[i]);
}

enum control_event control_receive(int socket, struct control_message *message, int fds[CONTROL_FDS_MAX])
{
    bool whole = false;
    ssize_t size = receive_with(socket, message, sizeof *message, fds, &whole);
    if (size == 0) return CONTROL_END;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK ? CONTROL_NOTHING : CONTROL_END;
    if (whole && well_formed(message, (size_t)size)) return CONTROL_MESSAGE;
    close_fds(fds);
    return CONTROL_NONSENSE;
}

enum status control_send_setup(int socket, struct slice packet, const int *fds, size_t count, struct err *err)
{
    CHECK(packet.size <= CONTROL_SETUP_MAX && count <= CONTROL_FDS_MAX);
    return send_with(socket, packet, fds, count, err);
}

enum control_event control_receive_setup(int socket, struct slice *packet, int fds[CONTROL_FDS_MAX])
{
    char *bytes = mem_alloc(CONTROL_SETUP_MAX);
    bool whole = false;
    ssize_t size = receive_with(socket, bytes, CONTROL_SETUP_MAX, fds, &whole);
    if (size > 0 && whole)
    {
        *packet = slice_make(bytes, (size_t)size);
        return CONTROL_MESSAGE;
    }
    if (size > 0) close_fds(fds);
    free(bytes);
    return CONTROL_END;
}

/* ---- the first packet: a fixed head, limits for each function, then zero-terminated texts ---- */

enum {
    FUNCTION_LIMITS = 2,
    FUNCTION_BYTES = FUNCTION_LIMITS * sizeof(uint64_t)
}; /* memory, time inside of a caller */

struct setup_head {
    uint32_t version;
    int32_t daemon;
    uint32_t profile;
    uint32_t uid;
    uint32_t gid;
    uint32_t function_count;
    uint32_t env_count;
    uint32_t mount_count;
    uint32_t allow_count;
    uint32_t worker_follows;
};

static void append_text(struct buf *packet, const char *text)
{
    buf_append(packet, slice_make(text, strlen(text) + 1));
}

enum status control_setup_encode(struct buf *packet, const struct control_setup *setup, struct err *err)
{
    struct setup_head head = {
        .version = CONTROL_VERSION,
        .daemon = setup->daemon,
        .profile = setup->sandbox.profile,
        .uid = setup->sandbox.uid,
        .gid = setup->sandbox.gid,
        .function_count = (uint32_t)setup->function_count,
        .env_count = (uint32_t)setup->env_count,
        .mount_count = (uint32_t)setup->sandbox.mount_count,
        .allow_count = (uint32_t)setup->sandbox.allow_count,
        .worker_follows = setup->worker_follows,
    };
    buf_append(packet, slice_make(&head, sizeof head));
    for (size_t i = 0; i < setup->function_count; i++)
    {
        const struct control_function *function = &setup->functions[i];
        uint64_t limits[FUNCTION_LIMITS] = {function->memory_bytes, function->inside_ms};
        buf_append(packet, slice_make(limits, sizeof limits));
    }
    append_text(packet, setup->app);
    append_text(packet, setup->artifact);
    for (size_t i = 0; i < setup->function_count; i++) append_text(packet, setup->functions[i].name);
    for (size_t i = 0; i < setup->env_count; i++) append_text(packet, setup->env[i]);
    for (size_t i = 0; i < setup->sandbox.mount_count; i++)
    {
        append_text(packet, setup->sandbox.mounts[i].from);
        append_text(packet, setup->sandbox.mounts[i].to);
    }
    for (size_t i = 0; i < setup->sandbox.allow_count; i++) append_text(packet, setup->sandbox.allow[i]);
    if (packet->size <= CONTROL_SETUP_MAX) return STATUS_OK;
    return err_set(err, STATUS_INVALID_ARGUMENT,
                   "functions, environment, mounts and network have %zu bytes; at most %d are allowed",
                   packet->size, (int)CONTROL_SETUP_MAX);
}

/* The next text of the packet; NULL when there is none. */
static const char *next_text(struct slice packet, size_t *offset)
{
    const char *bytes = packet.data;
    const char *end = memchr(bytes + *offset, 0, packet.size - *offset);
    if (!end) return NULL;
    const char *text = bytes + *offset;
    *offset = (size_t)(end - bytes) + 1;
    return text;
}

enum status control_setup_decode(struct slice packet, struct control_setup *setup, struct err *err)
{
    struct setup_head head;
    if (packet.size < sizeof head)
        return err_set(err, STATUS_INTERNAL, "the set-up has %zu bytes", packet.size);
    memcpy(&head, packet.data, sizeof head);
    size_t offset = sizeof head;
    if (head.version != CONTROL_VERSION)
        return err_set(err, STATUS_INTERNAL, "daemon and zygote are of different builds (%u and %d)",
                       head.version, (int)CONTROL_VERSION);
    if (head.function_count > (packet.size - offset) / FUNCTION_BYTES || head.env_count > packet.size ||
        head.mount_count > BOUND_MOUNTS_MAX || head.allow_count > BOUND_ALLOW_MAX)
        return err_set(err, STATUS_INTERNAL, "the set-up is cut off");

    struct control_setup read = {
        .daemon = head.daemon,
        .worker_follows = head.worker_follows != 0,
        .sandbox = {.profile = head.profile, .uid = head.uid, .gid = head.gid},
        .functions = mem_zalloc((head.function_count + 1) * sizeof *read.functions),
        .function_count = head.function_count,
        .env = mem_zalloc((head.env_count + 1) * sizeof *read.env),
        .env_count = head.env_count,
    };
    struct sandbox_mount *mounts = mem_zalloc((head.mount_count + 1) * sizeof *mounts);
    const char **allow = mem_zalloc((head.allow_count + 1) * sizeof *allow);
    read.sandbox.mounts = mounts;
    read.sandbox.mount_count = head.mount_count;
    read.sandbox.allow = allow;
    read.sandbox.allow_count = head.allow_count;
    for (size_t i = 0; i < read.function_count; i++, offset += FUNCTION_BYTES)
    {
        uint64_t limits[FUNCTION_LIMITS];
        memcpy(limits, (const char *)packet.data + offset, sizeof limits);
        read.functions[i].memory_bytes = limits[0];
        read.functions[i].inside_ms = (uint32_t)limits[1];
    }
    bool whole = (read.app = next_text(packet, &offset)) && (read.artifact = next_text(packet, &offset));
    for (size_t i = 0; whole && i < read.function_count; i++)
        whole = (read.functions[i].name = next_text(packet, &offset)) != NULL;
    for (size_t i = 0; whole && i < read.env_count; i++)
        whole = (read.env[i] = next_text(packet, &offset)) != NULL;
    for (size_t i = 0; whole && i < head.mount_count; i++)
        whole = (mounts[i].from = next_text(packet, &offset)) && (mounts[i].to = next_text(packet, &offset));
    for (size_t i = 0; whole && i < head.allow_count; i++)
        whole = (allow[i] = next_text(packet, &offset)) != NULL;
    if (whole)
    {
        *setup = read;
        return STATUS_OK;
    }
    free(read.functions);
    free(read.env);
    free(mounts);
    free(allow);
    return err_set(err, STATUS_INTERNAL, "the set-up is cut off");
}
