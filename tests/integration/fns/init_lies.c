/* init_lies.c - an initialiser that takes over the zygote: it says LOADED itself and hands out the daemon as its worker. */
// SPDX-License-Identifier: Apache-2.0
#include <stead/stead.h>

#include <sys/pidfd.h>
#include <unistd.h>

#include "runtime/zygote/control.h"

__attribute__((constructor)) static void take_over(void)
{
    struct err err = ERR_INIT;
    struct control_message message = {.kind = CONTROL_LOADED};
    if (control_send(ZYGOTE_FD_CONTROL, &message, NULL, 0, &err) != STATUS_OK) _exit(1);
    int fds[CONTROL_FDS_MAX];
    if (control_receive(ZYGOTE_FD_CONTROL, &message, fds) != CONTROL_MESSAGE) _exit(2);
    message.kind = CONTROL_SPAWNED;
    message.text_size = 0;
    int daemon = pidfd_open(getppid(), 0);
    if (control_send(ZYGOTE_FD_CONTROL, &message, &daemon, 1, &err) != STATUS_OK) _exit(3);
    for (;;) pause();
}

STEAD_FUNCTION(ok)
{
    return STEAD_OK;
}
